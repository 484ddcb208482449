from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Callable
from importlib.metadata import entry_points

import pytest
from typer.testing import CliRunner

from satfl_baselines import policy_names
from satfl_env.commands import main, make_app
from satfl_env.commands.app import COMMANDS
from satfl_env.commands.options import complete_scenario
from satfl_env.scenarios import names

SHELLS = ("bash", "zsh", "fish")


def shell_variables(shell: str, line: str) -> dict[str, str]:
    """What the scripts of `satfl --show-completion` set when the cursor is at the end of a line."""
    variables = {"_SATFL_COMPLETE": f"complete_{shell}"}
    if shell == "bash":
        return variables | {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)}
    return variables | {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"}


@pytest.fixture
def complete(monkeypatch, capsys) -> Callable[[str, str], set[str]]:
    """The words that a shell is offered for a line."""
    # The program would take interrupts and warnings from the tests that follow.
    monkeypatch.setattr("satfl_env.commands.app.end_on_signals", lambda: None)
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)

    def ask(shell: str, line: str) -> set[str]:
        for name, value in {"COLUMNS": "80", **shell_variables(shell, line)}.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(SystemExit):
            main()
        lines = capsys.readouterr().out.strip().removeprefix("_arguments '*: :((").removesuffix("))'").splitlines()
        # zsh takes "value":"help", fish value<tab>help.
        return {entry.split('":"')[0].split("\t")[0].strip('"') for entry in lines}

    return ask


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("satfl ", {command.name for command in entry_points(group=COMMANDS)}),
        ("satfl repr", {"reproduce"}),
        ("satfl compare --p", {"--policies", "--parts"}),
        ("satfl compare --scenario semspacefl", {"semspacefl", "semspacefl-mini"}),
        ("satfl train --scenario walk", {"walker-earth"}),
        ("satfl show task", {"task-clustering", "task-clustering-mini"}),
        ("satfl list pa", {"parts"}),
        ("satfl compare --policies proposed-fedi", {"proposed-fedindi"}),
        ("satfl compare --policies full,rand", {"full,random"}),
        ("satfl reproduce fig2 --size ", {"tiny", "paper"}),
    ],
)
def test_shells_are_offered_subcommands_options_and_values(complete, shell, line, offered):
    assert complete(shell, line) == offered


def test_everything_is_offered_where_nothing_is_typed_yet(complete):
    assert complete_scenario("") == list(names())
    assert complete("bash", "satfl compare --policies ") == set(policy_names())
    assert "full,full" not in complete("bash", "satfl compare --policies full,")


@pytest.mark.parametrize(
    ("shell", "file"),
    [
        ("bash", ".bash_completions/satfl.sh"),
        ("zsh", ".zfunc/_satfl"),
        ("fish", ".config/fish/completions/satfl.fish"),
    ],
)
def test_completion_is_shown_and_installed(tmp_path, monkeypatch, shell, file):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("shellingham.detect_shell", lambda: (shell, f"/bin/{shell}"))
    shown = CliRunner().invoke(make_app(), ["--show-completion"], prog_name="satfl")
    assert f"_SATFL_COMPLETE=complete_{shell}" in shown.stdout
    assert CliRunner().invoke(make_app(), ["--install-completion"], prog_name="satfl").exit_code == 0
    assert (tmp_path / file).read_text().strip() == shown.stdout.strip()


def test_names_of_policies_are_offered_without_deep_learning():
    code = (
        "import sys; from satfl_baselines.commands.policy_names import complete_policies; "
        "print(complete_policies('ran'), sorted({'torch', 'scipy', 'astropy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "['random'] []", done.stderr
