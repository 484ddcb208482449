from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from satfl_baselines import Comparison, Run, compare, make_policy, summarise
from satfl_env import Decision, NetworkState, TrimmedMean
from satfl_env.links import FixedIsl
from satfl_env.simulation import Gossip, GridLinks, LateUpdates
from tests.factories import physics_only

SEEDS = (0, 1)
SCENARIO = physics_only(3)


def nearest(state: NetworkState) -> Decision:
    """A policy of the registry under another name."""
    return make_policy("nearest-fedavg")(state)


def shapeless(state: NetworkState) -> Decision:
    """A policy with a mistake in it."""
    return state.energy_j * np.ones(3)


def two_arguments(state: NetworkState, share: float) -> Decision:
    """A policy that lacks a setting."""
    return nearest(state)


def too_fast(state: NetworkState) -> Decision:
    """A policy whose third satellite would overheat in the second round."""
    decision = nearest(state)
    everyone_trains = replace(decision, association=np.zeros_like(decision.association))
    if state.round == 1:
        everyone_trains.cpu_frequency[2] = 1e12
    return everyone_trains


def power(updates, weights, p):
    return weights @ updates.abs().pow(p)


def play(out, names: tuple[str, ...], own: dict[str, Callable[[NetworkState], Decision]], workers: int) -> Comparison:
    comparison = compare(SCENARIO, names, SEEDS, out, own=own, workers=workers)
    assert list(summarise(out, comparison)["policies"]) == list(names)
    return comparison


@pytest.mark.parametrize("workers", [1, 2])
def test_an_own_policy_plays_beside_the_registrys(tmp_path, workers):
    comparison = play(tmp_path, ("mine", "nearest-fedavg", "full"), {"mine": nearest}, workers)
    for seed in SEEDS:
        mine = comparison.episodes[Run("mine", seed)]
        assert mine == comparison.episodes[Run("nearest-fedavg", seed)]
        assert mine != comparison.episodes[Run("full", seed)]


def test_names_of_the_registry_are_taken(tmp_path):
    with pytest.raises(ValueError, match="own policy 'full' has the name of one in the registry"):
        play(tmp_path, ("full",), {"full": nearest}, 1)


def test_a_name_that_nobody_knows_is_refused(tmp_path):
    with pytest.raises(ValueError, match="unknown policy 'mien'"):
        play(tmp_path, ("mien",), {"mine": nearest}, 1)


def test_a_folder_is_that_of_one_reward(tmp_path) -> None:
    prices = {"energy_j": 1e-4}
    comparison = compare(SCENARIO, ["full"], [0], tmp_path, reward=prices)
    energy_j = comparison.outcomes("full")["energy_j"]
    assert comparison.outcomes("full")["return"] == pytest.approx(-1e-4 * energy_j)
    with pytest.raises(ValueError, match=r"reward.energy_j is 0.0001 there and None here"):
        compare(SCENARIO, ["full"], [0], tmp_path)


def test_scenario_and_folder_may_be_named(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(SCENARIO.model_dump_json())
    comparison = compare(str(file), ["full"], [0], str(tmp_path / "out"))
    assert comparison.episodes == compare(SCENARIO, ["full"], [0], tmp_path / "other").episodes
    assert summarise(str(tmp_path / "out"), comparison)["scenario"] == "leo-multitask"


def test_what_is_no_function_is_refused_and_leaves_no_folder(tmp_path):
    with pytest.raises(TypeError, match="own policy 'mine' must be a function NetworkState -> Decision, got 3"):
        compare(SCENARIO, ["mine"], [0], tmp_path / "out", own={"mine": 3})
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        (
            {"protocol": LateUpdates(buffer=1)},
            {"protocol": LateUpdates(buffer=5)},
            r"parts.protocol.buffer is 1 there and 5",
        ),
        ({"combine": TrimmedMean(0.1)}, {"combine": TrimmedMean(0.4)}, r"parts.combine.share is 0.1 there and 0.4"),
        ({"combine": partial(power, p=1)}, {"combine": partial(power, p=2)}, r"parts.combine.p is 1 there and 2"),
    ],
)
def test_a_folder_tells_settings_of_parts_apart(tmp_path, one, other, words):
    compare(SCENARIO, ["full"], [0], tmp_path, parts=one)
    compare(SCENARIO, ["full"], [0], tmp_path, parts=one)
    with pytest.raises(ValueError, match=words):
        compare(SCENARIO, ["full"], [0], tmp_path, parts=other)


@pytest.mark.parametrize("names", [("a:b", "a.b"), ("a/b", "../escaped")])
def test_files_of_own_policies_never_meet(tmp_path, names):
    own = dict(zip(names, (nearest, make_policy("random")), strict=True))
    first = compare(SCENARIO, names, [0], tmp_path / "out", own=own)
    again = compare(SCENARIO, names, [0], tmp_path / "out", own=own)
    assert first.episodes == again.episodes
    assert first.episodes[Run(names[0], 0)] != first.episodes[Run(names[1], 0)]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert len(list((tmp_path / "out" / "runs").iterdir())) == 2


def test_a_mistake_in_a_policy_is_told_with_its_place(tmp_path):
    line = shapeless.__code__.co_firstlineno + 2
    where = rf"shapeless in round 0 of seed 1 failed at .*test_own_policies.py, line {line}: ValueError"
    with pytest.raises(RuntimeError, match=where):
        compare(SCENARIO, ["mine"], [1], tmp_path / "out", own={"mine": shapeless})


def test_a_bad_decision_is_told_with_its_policy_round_and_satellite(tmp_path):
    words = r"^the policy .*too_fast in round 1 of seed 1: decision.cpu_frequency must .*, got 1e\+12 for satellite 2$"
    with pytest.raises(ValueError, match=words) as caught:
        compare(SCENARIO, ["mine"], [1], tmp_path / "out", own={"mine": too_fast})
    assert "[" not in str(caught.value)


def test_a_target_that_is_no_metric_is_told_before_anything_is_played(tmp_path):
    aimless = physics_only(2, **{"target": {"metric": "nope", "value": 1.0}})
    with pytest.raises(ValueError, match=r"target.metric must be one of accuracy, balanced_accuracy, got 'nope'"):
        compare(aimless, ["full"], [0], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_part_that_does_not_go_with_the_scenario_is_told_before_anything_is_played(tmp_path):
    beams = physics_only(2, **{"access.beams": 2})
    with pytest.raises(ValueError, match=r"access.beams does not go with parts\['protocol'\]: no gateway"):
        compare(beams, ["full"], [0], tmp_path / "out", parts={"protocol": Gossip(GridLinks(2, 1), FixedIsl())})
    assert not (tmp_path / "out").exists()


def test_a_wrong_signature_is_told_before_anything_is_played(tmp_path):
    words = r"own policy 'mine' must be .*, got .*two_arguments: missing a required argument: 'share'"
    with pytest.raises(TypeError, match=words):
        compare(SCENARIO, ["full", "mine"], [0], tmp_path / "out", own={"mine": two_arguments})
    assert not (tmp_path / "out").exists()
    compare(SCENARIO, ["mine"], [0], tmp_path / "out", own={"mine": partial(two_arguments, share=0.5)})
