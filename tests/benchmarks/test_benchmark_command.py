from __future__ import annotations

import sys
from types import SimpleNamespace

import typer
from typer.testing import CliRunner

from benchmarks.__main__ import main


def test_a_missing_package_is_told_with_a_way_out(monkeypatch):
    def run(quick):
        raise ImportError("flower needs more: pip install -e '.[bench]'")

    monkeypatch.setitem(sys.modules, "benchmarks.flower", SimpleNamespace(run=run))
    app = typer.Typer()
    app.command()(main)
    result = CliRunner().invoke(app, ["flower"])
    assert result.exit_code == 0, result.output
    assert "pip install -e '.[bench]'" in result.stdout


def test_a_misspelt_section_gets_a_suggestion():
    app = typer.Typer()
    app.command()(main)
    result = CliRunner().invoke(app, ["vectorz"])
    assert result.exit_code == 2
    assert "no section 'vectorz', did you mean 'vectors'?" in " ".join(result.output.replace("│", "").split())
