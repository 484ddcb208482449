"""Data sets that Minari reads, and what their actions give when they are played again."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from typer.testing import CliRunner

import satfl_env
from satfl_env import NetworkState
from satfl_env.commands import make_app
from tests.factories import decide

SHORT = {"training.max_epochs": 1, "data.test_samples": 8, "rounds.episode": 2}
CHANGES = [word for name, value in SHORT.items() for word in ("--set", f"{name}={value}")]
ID = "satfl/full-v0"


@pytest.fixture
def minari(tmp_path, monkeypatch):
    """Minari, which keeps its data sets in a folder of the test."""
    library = pytest.importorskip("minari")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "sets"))
    return library


def satfl(*arguments: str) -> Any:
    command = EntryPoint("record", "satfl_baselines.commands.record:record", "satfl.commands")
    return CliRunner().invoke(make_app([command]), ["record", *arguments, *CHANGES])


def record(*arguments: str) -> str:
    result = satfl(*arguments)
    assert result.exit_code == 0, result.output
    return result.output


def row(columns: Any, number: int) -> Any:
    """One step of what Minari gives as columns."""
    return (
        {key: row(values, number) for key, values in columns.items()}
        if isinstance(columns, Mapping)
        else columns[number]
    )


def assert_played_again(dataset: Any, seeds: list[int]) -> None:
    """The recorded actions give the recorded episodes, to the bit."""
    env = dataset.recover_environment()
    assert [episode["seed"] for episode in dataset.storage.get_episode_metadata(range(len(dataset)))] == seeds
    for seed, episode in zip(seeds, dataset, strict=True):
        observation, info = env.reset(seed=seed)
        assert len(episode) == SHORT["rounds.episode"]
        for number, reward in enumerate(episode.rewards):
            np.testing.assert_equal(row(episode.observations, number), observation)
            np.testing.assert_equal(episode.infos["outcome"][number], info["outcome"])
            np.testing.assert_equal(row(episode.infos["metrics"], number), info["metrics"])
            observation, expected, terminated, truncated, info = env.step(row(episode.actions, number))
            assert reward == expected
            assert (episode.terminations[number], episode.truncations[number]) == (terminated, truncated)
        np.testing.assert_equal(row(episode.observations, len(episode)), observation)
        assert truncated


@pytest.mark.parametrize("form", ["flat", "native"])
def test_what_was_recorded_can_be_played_again(minari, form):
    output = record("--out", ID, "--episodes", "2", "--first-seed", "7", "--form", form)
    dataset = minari.load_dataset(ID)
    assert f"2 episodes of full in {os.environ['MINARI_DATASETS_PATH']}" in " ".join(output.split())
    assert_played_again(dataset, [7, 8])
    about = dataset.storage.metadata["satfl"]
    assert (about["scenario"], about["policy"], about["seeds"], about["form"]) == (
        "leo-multitask",
        "full",
        [7, 8],
        form,
    )
    assert about["overrides"] == SHORT
    assert about["versions"]["satfl-env"] == satfl_env.__version__
    assert isinstance(dataset.action_space, gym.spaces.Box) == (form == "flat")
    assert ID in minari.list_local_datasets()
    assert [path.name for path in Path(os.environ["MINARI_DATASETS_PATH"]).iterdir()] == ["satfl"]


@pytest.mark.parametrize("data_format", ["arrow", "parquet"])
@pytest.mark.parametrize("form", ["flat", "native"])
def test_arrow_s_formats_hold_the_same(minari, form, data_format):
    pytest.importorskip("pyarrow")
    record("--out", ID, "--episodes", "2", "--format", data_format, "--form", form)
    dataset = minari.load_dataset(ID)
    assert dataset.storage.metadata["data_format"] == data_format
    assert_played_again(dataset, [0, 1])


def test_a_folder_of_one_s_own(minari, tmp_path):
    record("--out", str(tmp_path / "mine" / "nearest-v3"), "--episodes", "1", "--policy", "nearest-fedavg")
    assert not (tmp_path / "sets").exists()
    dataset = minari.MinariDataset(tmp_path / "mine" / "nearest-v3" / "data")
    assert dataset.storage.metadata["algorithm_name"] == "nearest-fedavg"
    assert_played_again(dataset, [0])


def own_policy(state: NetworkState):
    return decide(state)


def test_a_policy_of_one_s_own(minari):
    from satfl_baselines.bridges import minari as bridge

    name = f"{__name__}:own_policy"
    record("--out", ID, "--episodes", "1", "--policy", name)
    bridge.record("second-v0", "leo-multitask", own_policy, [0], overrides=SHORT)
    for dataset in (minari.load_dataset(ID), minari.load_dataset("second-v0")):
        assert dataset.storage.metadata["satfl"]["policy"] == name
        assert_played_again(dataset, [0])


def test_flat_actions_have_as_many_clusters_as_the_policy_makes(minari):
    result = satfl("--out", ID, "--policy", "individual")
    assert result.exit_code == 2
    assert "makes 10 clusters in round 0, but actions of the form 'flat' have 3 labels" in " ".join(
        result.output.split()
    )
    record("--out", ID, "--policy", "individual", "--episodes", "1", "--clusters", "10")
    record("--out", "native-v0", "--policy", "individual", "--episodes", "1", "--form", "native")
    flat, native = (minari.load_dataset(name)[0] for name in (ID, "native-v0"))
    np.testing.assert_array_equal(flat.infos["outcome"], native.infos["outcome"])
    np.testing.assert_allclose(flat.rewards, native.rewards, atol=1e-6)


def test_a_random_policy_has_the_seed_of_its_episode(minari):
    random = ("--policy", "random", "--form", "native")
    record("--out", "first-v0", "--episodes", "2", *random)
    record("--out", "second-v0", "--episodes", "1", "--first-seed", "1", *random)
    first, second = (minari.load_dataset(name)[-1] for name in ("first-v0", "second-v0"))
    np.testing.assert_equal(first.actions, second.actions)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--out", "full"), "with a version at the end, such as satfl/full-v0, got 'full'"),
        (("--out", ID, "--form", "flatt"), "form must be one of flat, native, got 'flatt', did you mean 'flat'?"),
        (("--out", ID, "--format", "csv"), "format must be one of hdf5, arrow, parquet, got 'csv'"),
        (("--out", ID, "--policy", "ful"), "unknown policy 'ful', did you mean 'full'"),
    ],
)
def test_what_is_wrong_is_told_in_a_line_and_leaves_nothing(minari, tmp_path, arguments, message):
    result = satfl(*arguments)
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_data_set_that_is_there_stays(minari):
    record("--out", ID, "--episodes", "1")
    result = satfl("--out", ID, "--episodes", "2")
    assert result.exit_code == 2
    assert "is there already; choose another name or version" in " ".join(result.output.split())
    assert len(minari.load_dataset(ID)) == 1


def test_an_interrupted_recording_leaves_nothing(minari, monkeypatch, tmp_path):
    from satfl_baselines.bridges import minari as bridge

    def stop(finished: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bridge.record(ID, "leo-multitask", "full", [0, 1], overrides=SHORT, progress=stop)
    assert os.environ["MINARI_DATASETS_PATH"] == str(tmp_path / "sets")
    assert list((tmp_path / "sets").iterdir()) == []


def test_of_two_that_write_at_once_the_first_stays(minari, tmp_path):
    from satfl_baselines.bridges import minari as bridge

    out = str(tmp_path / "mine" / "full-v0")

    def overtake(finished: int, total: int) -> None:
        bridge.record(out, "leo-multitask", "full", [5], overrides=SHORT)

    with pytest.raises(ValueError, match="is there already; choose another name or version"):
        bridge.record(out, "leo-multitask", "full", [6], overrides=SHORT, progress=overtake)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["full-v0"]
    assert_played_again(minari.MinariDataset(f"{out}/data"), [5])


def test_minari_s_absence_is_told_in_a_line(monkeypatch):
    monkeypatch.delitem(sys.modules, "satfl_baselines.bridges.minari", raising=False)
    monkeypatch.setitem(sys.modules, "minari", None)
    result = satfl("--out", ID)
    assert result.exit_code == 1
    assert "data sets of episodes need Minari: pip install -e '.[minari]'" in " ".join(result.output.split())
