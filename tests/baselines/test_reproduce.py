from __future__ import annotations

import csv
import os
from pathlib import Path

import gymnasium as gym
import matplotlib.image
import numpy as np
import pytest
from scipy import stats
from typer.testing import CliRunner, Result

import satfl_env  # noqa: F401  (registers SatFL-v0)
from satfl_baselines import Comparison, Run, evaluate, reproduce, study
from satfl_baselines.evaluate import NOT_PLAYED
from satfl_env.commands import make_app
from satfl_env.scenarios import load

DIGITS = {"data.source": "digits", "data.partition.samples": [60, 60]}
CHANGES = ("data.source=digits", "data.partition.samples=[60, 60]", "training.engine=none", "rounds.episode=4")
QUICK = tuple(word for change in CHANGES for word in ("--set", change))
TASKS = ("Task1", "Task2", "Task3")


def run(out: Path, *arguments: str) -> Result:
    return CliRunner().invoke(make_app(), ["reproduce", *arguments, "--out", str(out), *QUICK, "--seeds", "2"])


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def episode(finals: dict[str, float], together: tuple[int, int, int], curve: tuple[float, ...]) -> list[dict]:
    """An episode whose average accuracy follows `curve` and whose tasks end at `finals`."""
    pairs = dict(zip(("Task1+Task2", "Task1+Task3", "Task2+Task3"), map(float, together), strict=True))
    return [
        {
            "round": float(index),
            "time_s": 0.0,
            "test_loss": 1.0,
            "accuracy": value,
            "balanced_accuracy": value,
            "clusters": 2.0,
            **{f"test_loss/{task}": 1.0 for task in TASKS},
            **{f"accuracy/{task}": finals[task] for task in TASKS},
            **{f"together/{pair}": share for pair, share in pairs.items()},
            **dict.fromkeys(NOT_PLAYED, 0.0),
        }
        for index, value in enumerate(curve)
    ]


@pytest.fixture
def comparison() -> Comparison:
    """Two seeds by hand."""
    curves = {
        "task-clustering": (0.9, 0.5, 0.7, 0.9),
        "unclustered": (0.1, 0.5, 0.6, 0.7),
        "individual": (0.1, 0.5, 0.6, 0.6),
        "update-clustering": (0.1, 0.8, 0.6, 0.6),
    }
    together = {"task-clustering": (1, 0, 0), "unclustered": (1, 1, 1), "individual": (0, 0, 0)}
    lost = {"unclustered": 0.2}
    episodes = {
        Run(policy, seed): episode(
            {
                "Task1": 0.9,
                "Task2": 0.8 + 0.01 * seed * (policy == "task-clustering"),
                "Task3": 0.9 - lost.get(policy, 0),
            },
            together.get(policy, (0, 1, 0)),
            curve,
        )
        for policy, curve in curves.items()
        for seed in (0, 1)
    }
    return Comparison(reproduce.POLICIES, (0, 1), episodes)


def test_differences_are_paired_and_in_points(comparison):
    found = {(row["policy"], row["minus"], row["of"]): row for row in reproduce.difference_rows(comparison)}
    average = found["task-clustering", "unclustered", "average"]
    assert average["points"] == pytest.approx(20)
    assert average["points_ci95"] == pytest.approx(0, abs=1e-9)
    task = found["task-clustering", "individual", "Task2"]
    assert task["points"] == pytest.approx(0.5)
    assert task["points_ci95"] == pytest.approx(0.5 * stats.t.ppf(0.975, 1))


def test_partitions_are_written_out_for_every_seed(comparison):
    assert reproduce.partitions(comparison, "task-clustering") == ["{Task1, Task2} {Task3}"] * 2
    assert reproduce.partitions(comparison, "unclustered") == ["{Task1, Task2, Task3}"] * 2
    assert reproduce.partitions(comparison, "individual") == ["{Task1} {Task2} {Task3}"] * 2
    assert reproduce.partitions(comparison, "update-clustering") == ["{Task1, Task3} {Task2}"] * 2


def test_rounds_to_reach_count_from_the_first_trained_round(comparison):
    assert reproduce.rounds_to_reach(comparison, "task-clustering").tolist() == [2, 2]
    assert reproduce.rounds_to_reach(comparison, "unclustered").tolist() == [3, 3]
    assert reproduce.rounds_to_reach(comparison, "update-clustering").tolist() == [1, 1]
    assert np.isnan(reproduce.rounds_to_reach(comparison, "individual")).all()


def test_claims_say_what_holds_and_what_does_not(comparison):
    claims = {claim.claim: claim for claim in reproduce.claims(comparison)}
    assert claims["average: task-clustering above unclustered"].measured == "+20.00 ± 0.00 points"
    assert claims["average: task-clustering above unclustered"].holds == "yes"
    assert claims["largest gain over unclustered"].holds == "+12.8 to the paper's; the average's is +12.8"
    assert claims["Task3: unclustered below individual"].holds == "yes"
    assert claims["Task3: task-clustering equals individual"].holds == "yes"
    assert "Task1: unclustered below individual" not in claims
    assert claims["clusters"].measured == "{Task1, Task2} {Task3}: 2 of 2 seeds"
    assert "individual never" in claims["rounds to the final accuracy of unclustered"].measured


def test_a_gain_whose_interval_includes_zero_is_not_decided(comparison):
    comparison.episodes[Run("task-clustering", 1)][-1]["accuracy"] = 0.6
    claims = {claim.claim: claim for claim in reproduce.claims(comparison)}
    gain = claims["average: task-clustering above unclustered"]
    assert gain.measured.startswith("+5.00 ± ")
    assert gain.holds == "not decided"


def test_the_command_writes_pictures_tables_and_claims(tmp_path):
    result = run(tmp_path, "fig2", "fig3")
    assert result.exit_code == 0, result.output
    for words in ("task-clustering - unclustered (points)", "+7.18 points", "+4.77 points", "2 of 2 seeds"):
        assert words in result.stdout
    fig2, fig3 = rows(tmp_path / "fig2.csv"), rows(tmp_path / "fig3.csv")
    assert len(fig2) == len(fig3) == 4 * 5
    assert {"accuracy/Task2", "accuracy/Task2_ci95"} <= fig2[0].keys()
    assert fig3[0].keys() == {"policy", "round", "accuracy", "accuracy_ci95"}
    for name in ("fig2.png", "fig3.png"):
        assert matplotlib.image.imread(tmp_path / name).shape[0] > 100
    clusters = [row["clusters"] for row in rows(tmp_path / "clusters.csv") if row["policy"] == "task-clustering"]
    assert clusters == ["2", "2"]
    assert len(rows(tmp_path / "claims.csv")) == 8


def test_an_interrupted_reproduction_goes_on(tmp_path, monkeypatch):
    play, finished = evaluate.run_episode, []

    def counted(scenario, *one, **brought):
        finished.append(one)
        return play(scenario, *one, **brought)

    def interrupted(scenario, *one, **brought):
        if len(finished) == 3:
            raise KeyboardInterrupt
        return counted(scenario, *one, **brought)

    with monkeypatch.context() as patch:
        patch.setattr(evaluate, "run_episode", interrupted)
        assert run(tmp_path / "broken", "fig3").exit_code != 0
    finished.clear()
    monkeypatch.setattr(evaluate, "run_episode", counted)
    assert run(tmp_path / "broken", "fig3").exit_code == 0
    assert len(finished) == 5
    run(tmp_path / "whole", "fig3")
    for name in ("fig3.csv", "claims.csv", "clusters.csv"):
        assert (tmp_path / "broken" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_the_study_changes_one_thing_at_a_time_and_shares_the_base(tmp_path, monkeypatch):
    factors = {
        "hidden": {"16": {"model.hidden": 16}, "64": {"model.hidden": 64}},
        "upload_snr_db": {"none": {}, "0": {"links.upload_snr_db": 0.0}},
    }
    monkeypatch.setattr(study, "FACTORS", factors)
    result = run(tmp_path, "gains", "--format", "png,svg")
    assert result.exit_code == 0, result.output
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {"base", "hidden-16", "upload_snr_db-0"}
    found = rows(tmp_path / "gains.csv")
    assert [(row["factor"], row["value"]) for row in found] == [
        ("hidden", "16"),
        ("hidden", "64"),
        ("upload_snr_db", "none"),
        ("upload_snr_db", "0"),
    ]
    assert found[1]["over_individual"] == found[2]["over_individual"]
    assert matplotlib.image.imread(tmp_path / "gains.png").shape[0] > 100
    assert "hidden units</text>" in (tmp_path / "gains.svg").read_text()


@pytest.mark.parametrize("factor", study.FACTORS)
def test_every_factor_of_the_study_is_a_valid_scenario_and_has_one_base(factor):
    base = load("task-clustering")
    points = [load("task-clustering", **changes) for changes in study.FACTORS[factor].values()]
    assert sum(point == base for point in points) == 1


@pytest.mark.parametrize(
    "overrides",
    [
        pytest.param({**DIGITS, "rounds.episode": 5}, id="digits"),
        pytest.param(
            {"rounds.episode": 3},
            id="mnist",
            marks=pytest.mark.skipif("SATFL_DATA" not in os.environ, reason="SATFL_DATA names no folder with MNIST"),
        ),
    ],
)
def test_the_environment_gives_the_same_numbers_with_clusters_set_by_hand(tmp_path, overrides):
    scenario = load("task-clustering", **overrides)
    comparison = reproduce.play(scenario, [3], tmp_path)
    env = gym.make("SatFL-v0", scenario="task-clustering", overrides=overrides)
    by_hand = {"task-clustering": [0, 0, 2], "unclustered": [0, 0, 0], "individual": [0, 1, 2]}
    for policy, cluster in by_hand.items():
        action = {
            "association": np.zeros(3, dtype=np.int64),
            "cpu_frequency": np.ones(3),
            "cluster": np.array(cluster),
            "weights": np.ones(3),
            "gateway_weights": np.ones(1),
        }
        _, info = env.reset(seed=3)
        found = [info["satellite_metrics"]["accuracy"]]
        for _ in range(scenario.rounds.episode):
            *_, info = env.step(action)
            found.append(info["satellite_metrics"]["accuracy"])
        curves = comparison.curves(policy)
        for satellite, task in enumerate(TASKS):
            assert curves[f"accuracy/{task}"][0].tolist() == [values[satellite] for values in found]
        assert curves["accuracy"][0].tolist() == [values.mean() for values in found]
    clustered, individual = comparison.curves("task-clustering"), comparison.curves("individual")
    assert np.array_equal(clustered["test_loss/Task3"], individual["test_loss/Task3"])
    assert not np.array_equal(clustered["test_loss/Task1"], individual["test_loss/Task1"])
