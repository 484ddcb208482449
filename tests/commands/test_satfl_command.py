from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner, Result

from satfl_baselines import policy_names
from satfl_baselines.tuning.tuned import TUNED
from satfl_env.commands import doctor, make_app
from satfl_env.data import SOURCES
from satfl_env.envs.rewards import TERMS
from satfl_env.scenarios import load, names
from satfl_env.simulation import PARTS

ROOT = Path(__file__).parents[2]
COMMANDS = ("compare", "doctor", "list", "passes", "reproduce", "show", "sites", "train")
HEAVY = ("torch", "scipy", "pandas", "astropy", "matplotlib", "sklearn", "stable_baselines3")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(make_app(), list(arguments))


def fresh(code: str, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-c", code, *arguments], capture_output=True, text=True, timeout=300, cwd=cwd
    )


def satfl(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return fresh("from satfl_env.commands import main; main()", *arguments, cwd=folder)


def test_the_subcommands_are_those_that_the_packages_bring():
    result = run("--help")
    assert result.exit_code == 0
    assert all(f" {name} " in result.stdout for name in COMMANDS)


def test_an_unknown_subcommand_is_told_with_all_there_are():
    result = run("fly")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "there is no command 'fly'; there are: compare, " in result.stderr
    assert "'compar', did you mean 'compare'" in run("compar").stderr


def greedy() -> None:
    np.empty(2**50)


def test_too_little_memory_is_told_in_a_line():
    app = make_app([EntryPoint("greedy", f"{__name__}:greedy", "satfl.commands")])
    result = CliRunner().invoke(app, ["greedy"])
    assert (result.exit_code, result.stdout) == (1, "")
    assert re.fullmatch(r"error: Unable to allocate .*\n", result.stderr)


def test_another_package_may_bring_its_own():
    app = make_app([EntryPoint("greet", "typer:echo", "satfl.commands"), EntryPoint("cut", "typer:style", "-")])
    assert {command.name for command in app.registered_commands} == {"greet", "cut"}
    assert {command.callback for command in app.registered_commands} == {typer.echo, typer.style}


@pytest.mark.parametrize(
    "arguments",
    [("show", "absent.yaml"), ("compare", "--scenario", "absent.yaml"), ("train", "--scenario", "absent.yaml")],
)
def test_a_scenario_that_is_not_there_is_told_before_anything_heavy_is_imported(arguments):
    code = (
        "import sys; from typer.testing import CliRunner; from satfl_env.commands import make_app\n"
        "result = CliRunner().invoke(make_app(), sys.argv[1:])\n"
        f"print(result.exit_code, result.stderr.strip(), sorted(set({HEAVY}) & set(sys.modules)))"
    )
    assert fresh(code, *arguments).stdout.strip() == "2 error: there is no scenario file 'absent.yaml' []"


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from typer.testing import CliRunner; from satfl_env.commands import make_app\n"
        "for name in sys.argv[1:]:\n"
        "    result = CliRunner().invoke(make_app(), [name, '--help'])\n"
        "    assert result.exit_code == 0 and 'Usage' in result.stdout, result.output\n"
        f"print(sorted(set({HEAVY}) & set(sys.modules)))"
    )
    done = fresh(code, *COMMANDS)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


@pytest.mark.parametrize(
    ("kind", "known"),
    [
        ("scenarios", names()),
        ("policies", (*policy_names(), TUNED)),
        ("models", ("mlp-link", "conv-jscc", "swin-jscc")),
        ("data", tuple(SOURCES)),
        ("rewards", tuple(TERMS)),
        ("parts", tuple(PARTS)),
    ],
)
def test_every_kind_is_listed_with_a_line_of_its_own(kind, known):
    result = run("list", kind)
    assert result.exit_code == 0, result.output
    heading, *lines = result.stdout.rstrip().splitlines()
    assert heading.split()[0] == kind
    # Long lines go on in further ones, which begin with the spaces of an empty cell.
    rows = [line.split() for line in lines if not line.startswith("  ")]
    assert [row[0] for row in rows] == list(known)
    assert all(len(row) > 2 for row in rows)


def test_list_without_a_kind_lists_everything_and_an_unknown_kind_is_refused():
    everything = run("list").stdout
    assert "leo-multitask" in everything
    assert "nearest-fedavg" in everything
    result = run("list", "policy")
    assert result.exit_code == 2
    assert (
        "there is no list of 'policy', did you mean 'policies'?; there are: data, models, parts, policies, rewards, "
        "scenarios" in result.stderr
    )


@pytest.mark.parametrize("name", names())
def test_show_prints_a_scenario_file_with_all_defaults(tmp_path, name):
    result = run("show", name)
    assert result.exit_code == 0, result.output
    file = tmp_path / "shown.yaml"
    file.write_text(result.stdout, encoding="utf-8")
    assert load(file) == load(name)
    assert "description:" in result.stdout
    assert "minimum_s:" in result.stdout


def test_show_takes_changes_and_refuses_what_is_no_scenario():
    assert "batch_size: 3\n" in run("show", "leo-multitask", "--set", "training.batch_size=3").stdout
    result = run("show", "leo-multitsk")
    assert result.exit_code == 2
    assert "did you mean 'leo-multitask'" in result.stderr
    assert result.stdout == ""


def test_show_refuses_what_cannot_be_built_and_names_the_file(tmp_path):
    file = tmp_path / "mine.yaml"
    text = run("show", "leo-multitask", "--set", "training.engine=none").stdout
    for wrong, words in (
        (text.replace("target: null", "target: {metric: nope, value: 1}"), "target.metric must be one of accuracy, "),
        (text.replace("- 2\n", "- 10\n", 1), "data.partition.tasks.0.classes: must lie in 0..9"),
    ):
        file.write_text(wrong)
        for command in (("show", str(file)), ("compare", "--scenario", str(file), "--out", str(tmp_path / "out"))):
            result = run(*command)
            assert result.exit_code == 2
            assert f"scenario {str(file)!r}" in result.stderr
            assert words in result.stderr
        assert not (tmp_path / "out").exists()
    file.write_text(run("show", "semspacefl-mini", "--set", "data.partition={kind: counts, counts: [5, 6]}").stdout)
    result = run("compare", "--scenario", str(file), "--out", str(tmp_path / "out"))
    assert f"scenario {str(file)!r}: data.partition.counts must have " in result.stderr


def test_doctor_tells_versions_and_data(tmp_path, monkeypatch):
    (tmp_path / "MNIST" / "raw").mkdir(parents=True)
    version = doctor.version_of
    monkeypatch.setattr(doctor, "version_of", lambda name: None if name == "ray" else version(name))
    result = run("doctor", "--data", str(tmp_path))
    assert result.exit_code == 0, result.output
    rows = {line.split()[0]: " ".join(line.split()[1:]) for line in result.stdout.splitlines() if line.strip()}
    assert rows["torch"] == version("torch")
    assert rows["ray"] == "missing (optional): pip install -e '.[ray]'"
    assert "ruff" not in rows
    assert rows["digits"] == "embedded"
    assert rows["mnist"] == str(tmp_path / "MNIST" / "raw")
    assert rows["eurosat"] == f"{tmp_path / 'eurosat' / '2750'} (missing)"


def test_doctor_knows_the_folder_of_the_environment_and_fails_without_a_required_package(tmp_path, monkeypatch):
    monkeypatch.setenv("SATFL_DATA", str(tmp_path))
    assert str(tmp_path) in run("doctor").stdout
    monkeypatch.delenv("SATFL_DATA")
    assert "set SATFL_DATA or give --data" in run("doctor").stdout
    monkeypatch.setattr(doctor, "version_of", lambda name: None)
    result = run("doctor")
    assert result.exit_code == 1
    assert "required packages are missing: astropy" in result.stderr


def test_doctor_asks_for_no_package_that_this_python_cannot_have(monkeypatch):
    texts = ("numpy>=2", "old<2; python_version < '3.0'", "pfl; python_version < '3.0' and extra == 'bench'")
    monkeypatch.setattr(doctor.metadata, "requires", lambda name: [*texts, "jax>=0.5; extra == 'bench'"])
    assert list(doctor.requirements()) == [("numpy", None), ("jax", "bench")]


def test_the_wheel_holds_three_packages_and_one_script():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert {Path(package).name for package in packages} == {"satfl_env", "satfl_baselines", "satfl_agents"}
    assert project["project"]["scripts"] == {"satfl": "satfl_env.commands:main"}
    assert not list(ROOT.glob("*/**/satfl_*/**/__main__.py"))


def test_commands_work_beside_folders_of_the_users_own_that_have_our_folders_names(tmp_path):
    for name in ("agents", "baselines", "torch", "satfl_env"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("")
    (tmp_path / "baselines" / "mine.py").write_text(
        "from agents import mine as more\nfrom satfl_baselines import make_policy\n"
        "def nearest(state):\n    return make_policy('nearest-fedavg')(state)\n"
    )
    (tmp_path / "agents" / "mine.py").write_text("")
    policies = ("--policies", "baselines.mine:nearest,nearest-fedavg", "--workers", "2", "--json", "-")
    short = ("--seeds", "1", "--rounds", "1", "--set", "training.engine=none")
    done = satfl(tmp_path, "compare", "--out", "out", *policies, *short)
    assert done.returncode == 0, done.stderr
    own, registered = json.loads(done.stdout)["policies"].values()
    assert own["test_loss"] == registered["test_loss"]
    assert own["energy_j"] == registered["energy_j"]


def test_reward_terms_are_described_by_their_functions():
    text = " ".join(run("list", "rewards").stdout.split())
    assert "metric_gain Rise of the mean test metric over the round" in text
