"""The project's own files: what they say of versions, types and papers is true."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml
from typer.testing import CliRunner

import satfl_env
from satfl_baselines.suites.suite import suite_names
from satfl_env.commands import make_app

ROOT = Path(__file__).parents[1]
ISSUE_FORMS = ROOT / ".github" / "ISSUE_TEMPLATE"
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]


def test_the_version_stands_in_the_package_alone():
    assert "version" in PYPROJECT["project"]["dynamic"]
    source = (ROOT / PYPROJECT["tool"]["hatch"]["version"]["path"]).read_text(encoding="utf-8")
    assert re.findall(r'^__version__ = "(.*)"$', source, re.MULTILINE) == [satfl_env.__version__]
    assert CliRunner().invoke(make_app(), ["--version"]).stdout == f"satfl {satfl_env.__version__}\n"


def test_the_oldest_python_of_the_classifiers_is_the_one_required():
    label = "Programming Language :: Python :: 3."
    minors = [int(it.removeprefix(label)) for it in PYPROJECT["project"]["classifiers"] if it.startswith(label)]
    assert minors == list(range(min(minors), max(minors) + 1))
    assert PYPROJECT["project"]["requires-python"] == f">=3.{min(minors)}"
    assert PYPROJECT["tool"]["ruff"]["target-version"] == f"py3{min(minors)}"


def test_every_package_is_typed():
    assert len(PACKAGES) == 3
    for package in PACKAGES:
        assert (ROOT / package / "py.typed").is_file(), package


def test_the_citation_names_this_version_and_both_papers():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == satfl_env.__version__
    assert citation["license"] == PYPROJECT["project"]["license"]
    papers = {paper["url"].rpartition("/")[2]: paper["title"] for paper in citation["references"]}
    equations = " ".join((ROOT / "docs" / "equations.md").read_text(encoding="utf-8").split())
    assert set(papers) == {"2505.00966", "2601.17419"}
    for title in papers.values():
        assert title in equations


def test_issue_forms_are_whole_and_name_what_there_is():
    forms = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in ISSUE_FORMS.glob("*.yml")}
    assert set(forms) == {"bug", "feature", "leaderboard"}
    for form in forms.values():
        assert {"name", "description", "body"} <= set(form)
        identifiers = [field["id"] for field in form["body"]]
        assert len(set(identifiers)) == len(identifiers)
    suite = next(field for field in forms["leaderboard"]["body"] if field["id"] == "suite")
    assert suite["attributes"]["options"] == list(suite_names())


def test_files_that_contributing_names_exist():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for file in re.findall(r"\]\(([^)#]+)", text) + re.findall(
        r"`((?:satfl_env|baselines|agents|docs)/[\w./]+)`", text
    ):
        assert (ROOT / file).exists(), file
