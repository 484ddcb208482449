from __future__ import annotations

import csv
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from typer.testing import CliRunner, Result

from satfl_baselines import Comparison, Run
from satfl_baselines.commands.policy_names import own_policies
from satfl_baselines.evaluate import NOT_PLAYED
from satfl_baselines.field import table
from satfl_baselines.field.deadline import DEADLINE_ROUNDS, deadline
from satfl_baselines.field.playing import play
from satfl_baselines.field.satfed import satfed
from satfl_baselines.field.system import BASELINE, SCENARIO, load_systems, system_names
from satfl_env import Outcome, When
from satfl_env.commands import make_app
from satfl_env.commands.app import COMMANDS
from satfl_env.scenarios import load
from satfl_env.scenarios.errors import ScenarioError
from tests.factories import make_state

QUICK = {"training.engine": "none", "rounds.episode": 2}
# How models are learned and sent, which is what systems are.
LEARNING = {"rounds", "server", "local", "compression", "structures"}
# What else rows change, as docs/field.md lists it.
SCENE = {
    "fedhap": {"gateways"},
    "nomafedhap": {"gateways", "links"},
    "geo": {"gateways"},
    "meo": {"gateways"},
    "one-beam": {"access"},
    "satfed": {"access"},
    "unequal": {"fleet"},
    "fedsn": {"fleet"},
}


def run_field(out: Path, *arguments: str) -> Result:
    given = ("--seeds", "2", "--rounds", "2", "--set", "training.engine=none", "--out", str(out))
    # As it is in pyproject.toml, also where an older installation does not know it yet.
    app = make_app([EntryPoint("field", "satfl_baselines.commands.field:field", COMMANDS)])
    return CliRunner().invoke(app, ["field", *arguments, *given])


def played(*curves: tuple[float, ...]) -> Comparison:
    """A system by hand: the metric after each round, one curve per seed; rounds of an hour, four satellites."""
    costs = {"energy_j": 500.0, "lost": 1.0, "returned": 2.0, "fetched": 1.0, "sat_out": 1.0}
    bits = {"download_bits": 2e9, "upload_bits": 1e9}
    episodes = {
        Run("own", seed): [
            {
                **NOT_PLAYED,
                "round": float(n),
                "time_s": 3600.0 * n,
                "test_loss": 1.0,
                "clusters": 1.0,
                "accuracy": value,
            }
            | (costs | bits if n else {})
            for n, value in enumerate(curve)
        ]
        for seed, curve in enumerate(curves)
    }
    return Comparison(("own",), tuple(range(len(curves))), episodes)


@pytest.mark.parametrize("name", system_names())
def test_every_system_plays_from_its_file_alone(name: str, tmp_path: Path):
    (system,) = load_systems([name])
    own = own_policies([system.policy])
    ((_, comparison),) = play([system], QUICK, [0], tmp_path, own=own).items()
    assert comparison.rounds == 2
    curves = table.curves_of(comparison)
    assert sum(curves[outcome.name.lower()][0, 1:] for outcome in Outcome).tolist() == [24, 24]


def test_the_table_says_what_episodes_reach_and_spend():
    rows = table.field_rows(
        {BASELINE: played((0.2, 0.3, 0.5), (0.2, 0.4, 0.5)), "other": played((0.1, 0.8, 0.9), (0, 0.5, 0.7))},
        {BASELINE: BASELINE, "other": BASELINE},
    )
    first, other = rows
    assert (other["metric"], other["hours_to_target"], other["reached"]) == (pytest.approx(0.8), 1.0, 1)
    assert (first["hours_to_target"], first["reached"]) == (None, 0)
    assert other["minus_baseline"] == pytest.approx(0.3)
    t = stats.t.ppf(0.975, 1)
    assert other["minus_baseline_ci95"] == pytest.approx(t * stats.sem([0.4, 0.2]))
    assert first["minus_baseline"] == 0.0
    assert {
        name: other[name] for name in ("energy_kj", "sent_gbit", "returned", "lost", "idle_share")
    } == pytest.approx({"energy_kj": 1.0, "sent_gbit": 6.0, "returned": 4.0, "lost": 2.0, "idle_share": 0.25})


def test_a_system_is_compared_with_the_row_that_it_names():
    curves = {BASELINE: played((0.1, 0.2)), "scarce": played((0.1, 0.5)), "queues": played((0.1, 0.75))}
    rows = table.field_rows(curves, {BASELINE: BASELINE, "scarce": BASELINE, "queues": "scarce"})
    assert [(row["baseline"], row["minus_baseline"]) for row in rows[1:]] == [(BASELINE, 0.3), ("scarce", 0.25)]


def test_systems_that_change_another_one_are_compared_with_that():
    named = {system.name: system.against for system in load_systems() if system.against != BASELINE}
    assert named == {"satfed": "one-beam", "fedsn": "unequal", "fedsatschedule": "fedsat"}


def test_the_page_shows_means_with_intervals_where_there_are_some():
    text = table.markdown(table.field_rows({"alone": played((0.2, 0.9))}, {"alone": BASELINE}), "accuracy")
    assert text.splitlines()[2] == "| `alone` | 0.900 | - | 1.00 | 0.5 | 3.0 | 1.0 | 0.250 | 1 of 1 | `fedavg` |"


def test_a_second_run_plays_what_is_missing(tmp_path: Path):
    assert run_field(tmp_path, "--systems", "fedsat").exit_code == 0
    runs = {path: path.stat().st_mtime_ns for path in tmp_path.glob("fedsat/runs/*")}
    result = run_field(tmp_path, "--systems", "fedsat,fedavg", "--format", "png,pdf")
    assert result.exit_code == 0, result.output
    assert len(runs) == 2
    assert {path: path.stat().st_mtime_ns for path in runs} == runs
    with (tmp_path / "field.csv").open() as file:
        assert [row["system"] for row in csv.DictReader(file)] == ["fedavg", "fedsat"]
    assert (tmp_path / "field.png").stat().st_size > 10_000
    assert (tmp_path / "field.pdf").read_bytes().startswith(b"%PDF")


def test_unknown_systems_are_refused_with_those_there_are(tmp_path: Path):
    result = run_field(tmp_path, "--systems", "fedsatt")
    assert result.exit_code == 2
    assert "unknown system 'fedsatt'" in " ".join(result.output.split())


def test_a_deadline_waits_until_everyone_is_back_or_time_is_up():
    def decides(number: int, waiting: tuple[int, int]) -> set[int]:
        visible = np.array([[True, False]] * 3 + [[False, False]])
        state = make_state(4, round=number, visible=visible, on_request={"waiting": np.array(waiting)})
        return set(deadline(state).aggregate.tolist())

    assert decides(0, (0, 0)) == {When.WAIT}
    assert decides(1, (0, 1)) == {When.NOW}  # three come in now
    assert decides(DEADLINE_ROUNDS - 1, (0, 0)) == {When.NOW}


def test_a_scarce_link_goes_to_the_highest_loss():
    state = make_state(3, last_loss=np.array([0.1, 0.9, 0.5]), on_request={"beams": np.array([1, 0])})
    assert satfed(state).association.tolist() == [2, 0, 2]


def test_systems_start_from_the_same_models_and_data(tmp_path: Path):
    systems = load_systems(["fedavg", "fedsat"])
    comparisons = play(systems, {"rounds.episode": 1, "training.max_epochs": 1}, [0, 1], tmp_path)
    losses = [table.curves_of(own)["test_loss"][:, 0].tolist() for own in comparisons.values()]
    assert losses[0] == losses[1]
    assert losses[0][0] != losses[0][1]


@pytest.mark.parametrize("name", system_names())
def test_a_system_changes_the_scene_only_where_the_page_says_so(name: str):
    (system,) = load_systems([name])
    own, shared = (scenario.model_dump() for scenario in (system.scenario({}), load(SCENARIO)))
    for places in (own, shared):
        places["gateways"] = places["constellation"].pop("gateways")
    assert {part for part in shared if own[part] != shared[part]} - LEARNING == SCENE.get(name, set())


@pytest.mark.parametrize("change", ["rounds.late", "rounds.late.buffer", "rounds"])
def test_a_change_of_what_a_system_sets_is_refused(change: str):
    (system,) = load_systems(["fedsat"])
    message = f"system 'fedsat': '{change}' cannot be changed, its file sets 'rounds.late'"
    with pytest.raises(ScenarioError, match=f"^{message}$"):
        system.scenario({change: {}})


def test_changes_that_do_not_go_with_a_system_name_it_in_one_line():
    (system,) = load_systems(["fedsat"])
    with pytest.raises(ScenarioError, match=r"^system 'fedsat': .* not valid: rounds.cloud_every: .*, got 0$"):
        system.scenario({"rounds.cloud_every": 0})
