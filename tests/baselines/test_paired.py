from __future__ import annotations

import json
import shutil
from importlib.metadata import EntryPoint

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from satfl_baselines import compare
from satfl_baselines.commands.pair import MOST_TOLD
from satfl_baselines.evaluate import Run
from satfl_baselines.paired import changes
from satfl_baselines.results import finished
from satfl_env import Decision, NetworkState, __version__
from satfl_env.commands import make_app
from tests.baselines.test_own_policies import nearest
from tests.factories import physics_only

APP = make_app([EntryPoint("pair", "satfl_baselines.commands.pair:pair", "satfl.commands")])
SCENARIO = physics_only(2)
SLOWER = physics_only(2, **{"onboard.cycles_per_sample": 2.4e9})


def thinking(state: NetworkState) -> Decision:
    return nearest(state)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The same policies with cheap and with dear samples, on seeds of which two are in both."""
    path = tmp_path_factory.mktemp("pair")
    own = {"thinking": thinking}
    cheap = compare(SCENARIO, ["full", "thinking"], range(3), path / "cheap", own=own)
    dear = compare(SLOWER, ["full", "random", "thinking"], range(1, 5), path / "dear", own=own)
    return path / "cheap", path / "dear", cheap, dear


def pair(*folders) -> Result:
    return CliRunner().invoke(APP, ["pair", *map(str, folders)])


def test_a_folder_gives_back_its_episodes_without_the_policies(folders):
    path, _, cheap, _ = folders
    assert finished(path).episodes == cheap.episodes
    assert finished(path).record["scenario"]["name"] == "leo-multitask"


def test_changes_are_paired_on_the_seeds_of_both(folders):
    _, _, cheap, dear = folders
    found = changes(cheap.episodes, dear.episodes)
    assert {(change.policy, change.seeds) for change in found} == {("full", 2), ("thinking", 2)}
    energy = next(change for change in found if (change.policy, change.quantity) == ("full", "energy_j"))
    one, other = (
        [sum(record["energy_j"] for record in played.episodes[Run("full", seed)]) for seed in (1, 2)]
        for played in (cheap, dear)
    )
    assert (energy.first, energy.second) == pytest.approx((np.mean(one), np.mean(other)))
    assert energy.difference.value == pytest.approx(np.mean(np.subtract(other, one)))
    assert energy.rises == np.mean(np.heaviside(np.subtract(other, one), 0.5))


def test_a_folder_beside_itself_changes_nothing(folders):
    path, _, cheap, _ = folders
    for change in changes(cheap.episodes, finished(path).episodes):
        assert (change.first, *change.difference, change.rises) == (change.second, 0, 0, 0, 0.5)


def test_the_command_says_what_differs(folders):
    cheap, dear, *_ = folders
    result = pair(cheap, dear)
    assert result.exit_code == 0, result.output
    assert "scenario.onboard.cycles_per_sample: 1200000000.0 in" in result.stdout.replace("\n", " ")
    assert "thinking" in result.stdout
    assert f"seeds in {cheap} alone: 1 of full, 1 of thinking\n" in result.stdout
    assert f"seeds in {dear} alone: 2 of full, 4 of random, 2 of thinking\n" in result.stdout
    assert not result.stderr


def test_settings_that_differ_are_told_in_short_or_all(folders, tmp_path):
    cheap, *_ = folders
    settings = ("training.batch_size", "training.max_epochs", "rounds.cloud_every", "rounds.minimum_s")
    others = ("onboard.kappa", "onboard.cpu_max_hz", "onboard.cycles_per_sample", "links.carrier_hz")
    changed = {**dict.fromkeys(settings, 7), **dict.fromkeys(others, 2e9)}
    compare(physics_only(3, **changed), ["full"], [0], tmp_path / "else")
    short, long = pair(cheap, tmp_path / "else"), pair("--all", cheap, tmp_path / "else")
    told = [line.partition(":")[0] for line in long.stdout.splitlines() if f" in {tmp_path / 'else'}" in line]
    assert set(told) >= {"rounds", *(f"scenario.{name}" for name in changed)}
    assert [line.partition(":")[0] for line in short.stdout.splitlines()[:MOST_TOLD]] == told[:MOST_TOLD]
    assert f"and {len(told) - MOST_TOLD} more; --all names them\n" in short.stdout
    for result in (short, long):
        assert "warning: ends of episodes of 2 rounds are compared with ends of episodes of 3" in result.stderr


def test_what_rounding_alone_tells_apart_is_equal(folders):
    _, _, cheap, _ = folders
    nudged = {
        run: [{name: value * (1 + 2**-50) for name, value in record.items()} for record in episode]
        for run, episode in cheap.episodes.items()
    }
    for change in changes(cheap.episodes, nudged):
        assert (*change.difference, change.rises) == (0, 0, 0, 0.5)


def test_nothing_in_common_is_told(folders, tmp_path):
    cheap, *_ = folders
    compare(SCENARIO, ["full"], [7], tmp_path / "else")
    result = pair(cheap, tmp_path / "else")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "no policy finished the same seed in both" in result.stderr
    assert "holds no comparison" in pair(cheap, tmp_path / "nowhere").stderr


def test_a_changed_episode_is_refused(folders, tmp_path):
    compare(SCENARIO, ["full"], [0], tmp_path / "out")
    (file,) = (tmp_path / "out" / "runs").iterdir()
    file.write_text(file.read_text().replace('"lost": 0.0', '"lost": 1.0'))
    with pytest.raises(ValueError, match="it was changed"):
        finished(tmp_path / "out")


def test_a_folder_of_another_version_says_so_and_what_to_do(folders, tmp_path):
    cheap, *_ = folders
    older = shutil.copytree(cheap, tmp_path / "older")
    manifest = json.loads((older / "manifest.json").read_text())
    for change, problem in (
        ({"reward": None, "version": "0.0.9", "rounds": None}, "rounds: Input should be a valid integer"),
        ({"version": "0.0.9", "scenario": manifest["scenario"] | {"gone": 1}}, "gone: unknown key"),
    ):
        (older / "manifest.json").write_text(json.dumps(manifest | change))
        told = pair(older, cheap).stderr
        assert f"satfl 0.0.9, and this is satfl {__version__} ({problem}" in told
        assert "play again in another folder" in told
