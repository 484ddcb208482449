"""Every option of a scenario with every other one that it can meet: five rounds each.

A choice takes one option of each factor. Those of the normal suite hold every pair of options together; the slow test
plays each pair alone, and larger sets at random.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest

from satfl_env import Decision, Outcome, RoundReport, SatFLEnv, SatFLVectorEnv
from satfl_env.scenarios import Scenario, ScenarioError, build
from tests.combinations import (
    BITS,
    FACTORS,
    MIDDLE,
    OPTIONS,
    RATE_BPS,
    REFUSED,
    ROUNDS,
    SEED,
    action_of,
    assert_finite,
    assert_same,
    meet,
    name_of,
    play,
    pretended_itur,
    scenario_of,
    second,
)
from tests.pairwise import Choice, all_pairs, covering


@pytest.fixture(autouse=True)
def without_itur(monkeypatch) -> Iterator[None]:
    with pretended_itur(monkeypatch):
        yield


def play_together(scenario: Scenario) -> list[Any]:
    """The same of the second of two environments that play their rounds together."""
    envs, played = SatFLVectorEnv(2, scenario=scenario), []
    envs.reset(seed=[SEED - 1, SEED])
    for _ in range(ROUNDS):
        actions = [action_of(env.unwrapped) for env in envs.envs]
        steps = envs.step({key: np.stack([action[key] for action in actions]) for key in actions[0]})
        played.append(second(steps))
    envs.close()
    return played


def assert_energy_balances(report: RoundReport) -> None:
    """Nothing is negative; a battery's charge is explained to the joule, and draws leave nothing behind."""
    flows_j = report.harvested_j, report.energy_j, report.standing_j, report.spilled_j
    for energy_j in (*flows_j, report.charge_j, report.compute_energy_j, report.transmit_energy_j):
        assert (energy_j >= 0).all()
    gained_j = report.harvested_j - report.energy_j - report.standing_j - report.spilled_j
    np.testing.assert_allclose(report.charge_j, report.charge_before_j + gained_j, rtol=1e-9, atol=1e-9)


def assert_updates_balance(decision: Decision, report: RoundReport) -> None:
    """Everyone has one outcome; weights sum to 1 over the updates of a group, and over the gateways of a merge."""
    assert set(report.outcome.tolist()) <= set(Outcome)
    no_update = np.isin(report.outcome, (Outcome.SAT_OUT, Outcome.FETCHED))
    np.testing.assert_array_equal(report.returned.astype(int) + report.lost + no_update, 1)
    assert not report.weights[~report.returned].any()
    for group in set(zip(decision.association, decision.cluster, strict=True)):
        members = report.returned & (decision.association == group[0]) & (decision.cluster == group[1])
        assert not members.any() or report.weights[members].sum() == pytest.approx(1)
    merged = report.gateway_weights.sum(axis=1)
    np.testing.assert_allclose(merged[merged > 0], 1)
    assert report.merged or not merged.any()


def bits_of(compressor: dict[str, Any] | None, parameters: Any) -> Any:
    """Bits of vectors of so many numbers, counted by hand."""
    if compressor is None:
        return 32 * parameters
    if compressor["kind"] == "quantised":
        return compressor["bits"] * parameters + 2 * 32
    kept = np.rint(compressor["share"] * parameters)
    return kept * (32 + np.ceil(np.log2(parameters))) if compressor["kind"] == "top-k" else 32 * kept + 64


def assert_bits_balance(choice: Mapping[str, str], env: SatFLEnv, report: RoundReport) -> None:
    """Models on the link have the bits of `links.model_bits` that compressors leave; a control variate has them all.

    Narrower models have the share of them that is trained, and models of several clusters have them several times.
    """
    simulation = env.simulation
    parameters, parts = simulation._learner.num_shared, simulation._episode.parts
    sizes = parameters if parts is None else parts.sizes
    compression = FACTORS["compression"][choice.get("compression", "none")].get("compression", {})
    for way, bits, took_s, times in (
        ("download", report.download_bits, report.download_s, env.scenario.rounds.broadcast),
        ("upload", report.upload_bits, report.upload_s, 1),
    ):
        one_each = np.divide(bits, report.sends, out=bits.copy(), where=(report.sends > 0) & (way == "upload"))
        compressor = compression.get(way)
        if compressor and compressor["kind"] == "progressive":
            widths = (one_each[took_s > 0] / BITS - (choice.get("local") == "scaffold")) * 32 - 64 / parameters
            np.testing.assert_allclose(widths, np.rint(widths), atol=64 / BITS)
            assert ((widths > 1.9) & (widths < 16.1)).all()
        else:
            full = np.rint(BITS * times * bits_of(compressor, sizes) / (32 * parameters))
            full += BITS * (choice.get("local") == "scaffold")
            np.testing.assert_allclose(one_each, np.where(took_s > 0, full, 0.0))
        if choice.get("links") == "ideal" and env.scenario.rounds.relay is env.scenario.rounds.gossip is None:
            propagation_s = (took_s - bits / RATE_BPS)[report.returned]
            assert ((propagation_s > 0) & (propagation_s < 0.2)).all()


def check(choice: Mapping[str, str]) -> int:
    """Play a choice alone, restored in the middle by a twin, and in a vector; the number of updates that came back."""
    scenario, exact = scenario_of(choice), choice.get("model") != "images"
    env, twin = SatFLEnv(scenario), SatFLEnv(scenario)
    start = env.reset(seed=SEED)
    assert_same(twin.reset(seed=SEED), start)
    played, returned = [], 0
    for number in range(ROUNDS):
        if number == MIDDLE:
            middle = env.simulation.get_state()
        played += play(env, 1)
        _, decision, report = env._last_round
        assert_energy_balances(report)
        assert_updates_balance(decision, report)
        assert_bits_balance(choice, env, report)
        returned += int(report.returned.sum())
    assert_finite([start, played])
    assert all(observation in env.observation_space for observation, *_ in played)
    twin.simulation.set_state(middle)
    assert_same(play(twin, ROUNDS - MIDDLE), played[MIDDLE:])
    assert_same(play_together(scenario), played, exact=exact)
    return returned


@pytest.mark.parametrize("choice", covering(OPTIONS, meet), ids=name_of)
def test_all_pairs_of_options(choice: Choice):
    assert check(choice)


def alone(pair: Iterable[tuple[str, str]]) -> Choice:
    """Two options, and the first one of each other factor that meets them."""
    choice = dict(pair)
    for factor, options in OPTIONS.items():
        choice |= {factor: next(it for it in options if meet(choice | {factor: it}))} if factor not in choice else {}
    return {factor: choice[factor] for factor in OPTIONS}


def at_random(seed: int) -> Choice:
    """Any options that meet."""
    rng = np.random.default_rng(seed)
    while True:
        choice = {factor: str(rng.choice(options)) for factor, options in OPTIONS.items()}
        if meet(choice):
            return choice


# What a scenario makes of a factor's option, by the name of the part.
PARTS: dict[str, tuple[str, Callable[[Scenario], Any]]] = {
    "constellation": ("scene", lambda scenario: scenario.constellation.scenes(scenario.rounds)),
    "protocol": ("protocol", lambda scenario: scenario.rounds.protocol(scenario.constellation)),
    "links": ("links", lambda scenario: scenario.links),
    "access": ("access", lambda scenario: scenario.access),
    "energy": ("energy", lambda scenario: scenario.onboard.energy),
    "fleet": ("fleet", Scenario.make_fleet),
    "faults": ("faults", lambda scenario: scenario.faults),
    "compression": ("compression", lambda scenario: scenario.compression),
    "local": ("local", lambda scenario: scenario.local),
    "server": ("server", lambda scenario: scenario.server),
}


AS_PARTS = [(it, option) for it in PARTS for option in OPTIONS[it][1:]]


@pytest.mark.parametrize(("factor", "option"), AS_PARTS)
def test_an_option_is_the_same_as_a_part(factor: str, option: str):
    choice, (name, part_of) = alone([(factor, option)]), PARTS[factor]
    scenario = scenario_of(choice)
    by_scenario = SatFLEnv(scenario)
    by_part = SatFLEnv(scenario_of(choice | {factor: OPTIONS[factor][0]}), parts={name: part_of(scenario)})
    assert_same(by_part.reset(seed=SEED), by_scenario.reset(seed=SEED))
    assert_same(play(by_part, 2), play(by_scenario, 2))


BESIDE_PROTOCOLS = [dict(pair) for pair in REFUSED if {"protocol", "constellation"} & dict(pair).keys() == {"protocol"}]


@pytest.mark.parametrize("pair", BESIDE_PROTOCOLS, ids=name_of)
def test_what_does_not_go_with_a_protocol_does_not_go_with_it_as_a_part(pair: Choice):
    protocol = scenario_of({"constellation": "globe", "protocol": pair["protocol"]}).rounds.protocol
    scenario = scenario_of({"constellation": "globe", **pair, "protocol": OPTIONS["protocol"][0]})
    with pytest.raises(
        ScenarioError, match=r"parts\['protocol'\] does not go with|does not go with parts\['protocol'\]"
    ):
        build(scenario, parts={"protocol": protocol(scenario.constellation)})


LIKE_SECTIONS = ("access", "compression", "faults", "links", "local", "server")
BESIDE_SETTINGS = [
    (factor, dict(pair))
    for pair in REFUSED
    for factor in LIKE_SECTIONS
    if factor in dict(pair) and "constellation" not in dict(pair)
]


@pytest.mark.parametrize(("factor", "pair"), BESIDE_SETTINGS, ids=lambda it: it if isinstance(it, str) else name_of(it))
def test_what_does_not_go_with_a_setting_does_not_go_with_it_as_a_part(factor: str, pair: Choice):
    name, part_of = PARTS[factor]
    part = part_of(scenario_of({"constellation": "globe", factor: pair[factor]}))
    scenario = scenario_of({"constellation": "globe", **pair, factor: OPTIONS[factor][0]})
    with pytest.raises(ScenarioError, match="does not go with"):
        build(scenario, parts={name: part})


PAIRS = {name_of(choice): choice for choice in map(alone, all_pairs(OPTIONS, meet))}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(PAIRS))
def test_each_pair_of_options_alone(name: str):
    check(PAIRS[name])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100))
def test_larger_sets_of_options(seed: int):
    check(at_random(seed))


@pytest.mark.parametrize(("pair", "message"), REFUSED.items(), ids=str)
def test_options_that_cannot_meet_are_refused_by_name(pair: Any, message: str):
    with pytest.raises(ScenarioError, match=message):
        build(scenario_of({"constellation": "globe"} | dict(pair)))
