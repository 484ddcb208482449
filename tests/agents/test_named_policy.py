from __future__ import annotations

import pickle
import sys
from importlib.metadata import EntryPoint

import pytest

pytest.importorskip("stable_baselines3")
from typer.testing import CliRunner

import satfl_agents
from satfl_agents.named_policy import find_policy, list_trained
from satfl_agents.policies.files import WEIGHTS, load_policy, save_policy
from satfl_baselines import run_episode
from satfl_baselines.commands import policy_names
from satfl_baselines.qualified import describe
from satfl_env import SatFLEnv
from satfl_env.commands import make_app
from tests.agents.test_policy_files import untrained
from tests.factories import physics_only

SCENARIO = physics_only(3)


@pytest.fixture
def folder(tmp_path):
    """A run's folder with a recurrent policy, which remembers."""
    _, network, description = untrained(SatFLEnv(SCENARIO), "recurrent-ppo")
    save_policy(tmp_path / "run" / "policy", network, description.model_copy(update={"rounds": 700}))
    return tmp_path / "run"


def test_a_folder_is_found_and_plays_as_the_policy_in_it(folder):
    found = find_policy(str(folder))
    assert found.training_rounds == 700
    again = pickle.loads(pickle.dumps(found))
    expected = [run_episode(SCENARIO, load_policy(folder), seed) for seed in (0, 1)]
    assert [run_episode(SCENARIO, again, seed) for seed in (0, 1)] == expected


def test_results_know_it_by_its_weights(folder):
    _, network, description = untrained(SatFLEnv(SCENARIO), "ppo")
    before = describe(find_policy(str(folder)))
    save_policy(folder / "policy", network, description.model_copy(update={"rounds": 700}))
    assert describe(find_policy(str(folder))) != before


def test_the_policies_of_the_package_are_listed():
    assert ("rush-hour-cem", "cem on rush-hour, 34,560 rounds") in list_trained()


def test_nothing_is_found_elsewhere(tmp_path):
    assert find_policy("fulll") is None
    assert find_policy(str(tmp_path)) is None


def test_what_is_damaged_is_told_before_anything_is_played(folder):
    (folder / "policy" / WEIGHTS).write_bytes(b"")
    with pytest.raises(ValueError, match="does not belong"):
        find_policy(str(folder))


def test_without_the_learners_libraries_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)  # as if it were not installed
    monkeypatch.delitem(sys.modules, "satfl_agents.policies.files")
    monkeypatch.delitem(vars(satfl_agents), "load_policy", raising=False)
    result = CliRunner().invoke(make_app(), ["compare", "--policies", "rush-hour-cem", "--out", "unused"])
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.endswith(": pip install -e '.[agents]'")
    assert line.count("pip install") == 1


def test_a_trained_scheduler_is_a_row_of_a_comparison(folder, tmp_path, monkeypatch):
    finder = EntryPoint("trained", "satfl_agents.named_policy:find_policy", "satfl.policies")
    monkeypatch.setattr(policy_names, "entry_points", lambda group: [finder])
    policies, out = f"full,{folder}", tmp_path / "out"
    short = ("--set", "training.engine=none", "--rounds", "2", "--seeds", "1")
    result = CliRunner().invoke(make_app(), ["compare", "--policies", policies, *short, "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert str(folder) in (out / "summary.csv").read_text()
