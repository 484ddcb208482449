"""Final metrics, their scores and standings; values that can be worked out by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

from satfl_baselines.suites.finals import Finals, read_finals, write_finals
from satfl_baselines.suites.report import ALL, all_standings, profiles
from satfl_baselines.suites.standings import standings
from satfl_baselines.suites.suite import load_suite

SUITE = load_suite("v1")
METRICS = {"one": "accuracy", "two": "psnr_db"}


def finals(seeds: int = 3, **changes: np.ndarray) -> Finals:
    """Two scenarios on different scales, and two rules with a third policy in the middle of them."""
    spread = np.linspace(-1, 1, seeds)[:, None] * [0.1, 1]
    low, high = spread + np.array([0.2, 20]), spread + np.array([0.6, 40])
    values = {"random": low, "full": high, "mine": (low + high) / 2}
    values |= changes
    return Finals(METRICS, tuple(range(seeds)), values, dict.fromkeys(values, "0.1.0"), {"mine": 400})


def test_scores_have_both_ends_in_each_scenario():
    scores = finals().scores("random", "full")
    assert scores["random"].mean(axis=0) == pytest.approx([0, 0])
    assert scores["full"].mean(axis=0) == pytest.approx([1, 1])
    assert scores["mine"].mean(axis=0) == pytest.approx([0.5, 0.5])
    # A spread of 0.1 in 0.4 and of 1 in 20.
    assert scores["mine"][2] == pytest.approx([0.75, 0.55])


def test_a_scenario_without_room_between_the_ends_is_named():
    flat = finals(full=finals().values["random"])
    with pytest.raises(ValueError, match=r"scenario 'one' gives no scores: full has a mean of 0.2"):
        flat.scores("random", "full")


def test_standings_are_paired_with_the_best_rule():
    own = finals(4, mine=finals(4).values["full"] + 0.01)
    found = {standing.policy: standing for standing in standings(own.of("one"), ["random", "full"])}
    assert list(found) == ["mine", "full", "random"]
    mine = found["mine"]
    assert mine.best == "full"
    assert mine.difference.value == mine.difference.low == mine.difference.high == pytest.approx(0.01)
    assert mine.win_rate == 1
    # Four values each, the same but for a shift that is smaller than their steps.
    assert mine.improvement.value == (4 + 3 + 2 + 1) / 16
    assert mine.row()["improvement_low"] == mine.improvement.low


def test_standings_over_all_scenarios_come_first():
    found = all_standings(finals(), ["random", "full"], ("random", "full"))
    assert list(found) == [ALL, "one", "two"]
    assert {standing.policy: standing.mean.value for standing in found[ALL]}["mine"] == pytest.approx(0.5)
    assert list(all_standings(finals(), ["random", "full"], None)) == ["one", "two"]


def test_profiles_fall_from_everything_to_nothing():
    thresholds, shares = profiles(finals().of("one"))
    assert shares["full"].value[0] == 1
    assert shares["full"].value[-1] == 0
    assert thresholds[[0, -1]] == pytest.approx([0.1, 0.7])


def test_a_file_gives_back_what_was_written(tmp_path):
    own = finals()
    write_finals(tmp_path / "finals.json", own, SUITE)
    again = read_finals(tmp_path / "finals.json", SUITE)
    assert (again.metrics, again.seeds) == (own.metrics, own.seeds)
    assert (again.versions, again.training_rounds) == (own.versions, own.training_rounds)
    for name, values in own.values.items():
        np.testing.assert_array_equal(again.values[name], values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"suite": "v0"}, "results of another suite: its suite is v0, not v1"),
        ({"checksum": "0"}, "results of another suite: its checksum is 0"),
        (
            {"seeds": [0, 1]},
            r"damaged \(policies\.random\.values\.one: must have 2 values, one for each seed, got 3\)",
        ),
        ({"metrics": {"one": "accuracy"}}, r"damaged \(policies\.random\.values: must be of one, got one, two\)"),
        ({"policies": []}, "damaged"),
        (
            {"policies": {"full": {"version": "0", "values": {}}}},
            r"damaged \(policies\.full\.training_rounds: missing\)",
        ),
        ({"seeds": []}, r"damaged \(seeds: List should have at least 1 item"),
        (
            {"policies": {"full": {"version": "0", "training_rounds": None, "values": {"one": [None]}}}},
            r"damaged \(policies\.full\.values\.one\.0: Input should be a valid number\)",
        ),
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path, change, message):
    path = tmp_path / "finals.json"
    write_finals(path, finals(), SUITE)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ValueError, match=message):
        read_finals(path, SUITE)


def test_a_file_that_was_cut_or_is_no_json_is_refused(tmp_path):
    path = tmp_path / "finals.json"
    write_finals(path, finals(), SUITE)
    whole = path.read_bytes()
    for broken in (b"", whole[: len(whole) // 2], whole[:-3], b"\xff" + whole, b"NaN", b"[]"):
        path.write_bytes(broken)
        with pytest.raises(ValueError, match=r"finals\.json' is damaged"):
            read_finals(path, SUITE)


def test_some_of_the_seeds():
    own = finals()
    np.testing.assert_array_equal(own.at((2, 0)).values["mine"], own.values["mine"][[2, 0]])
    assert own.at((2, 7)) is None


def test_joining_keeps_its_own_and_wants_the_same_seeds():
    other = finals(mine=np.zeros((3, 2)), theirs=np.ones((3, 2)))
    joined = finals().joined(other)
    np.testing.assert_array_equal(joined.values["mine"], finals().values["mine"])
    assert "theirs" in joined.values
    with pytest.raises(ValueError, match="3 seeds of one, two and 4 of one, two"):
        finals().joined(finals(4))
