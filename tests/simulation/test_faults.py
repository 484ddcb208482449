"""Satellites, gateways, contacts and bits that fail in whole rounds."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from satfl_baselines import as_agent, make_policy, run_episode
from satfl_env import Outcome, SatFLEnv, SatFLVectorEnv, Simulation, observation_to_state, scenarios
from satfl_env.federated import TrainingResult
from satfl_env.scenarios import ScenarioError
from satfl_env.simulation import Faults, Outages, Renewals
from satfl_env.simulation.faults import EpisodeFaults, strike, upset_models
from satfl_env.simulation.protocols import Participation
from tests.factories import decide, parts_of, physics_only
from tests.simulation.test_energy_of_rounds import GLOBE, SMALL, assert_balanced

OFTEN: dict[str, Any] = {
    "satellites": {"mtbf_s": 900.0, "mttr_s": 300.0},
    "gateways": {"mtbf_s": 2000.0, "mttr_s": 600.0},
    "contact_loss": 0.3,
    "transfer_mtbf_s": 60.0,
    "upsets_per_bit_day": 1e-3,
}
# Transfers of about ten seconds, and training of minutes.
SLOW = {"links.model_bits": 1e9}
QUICK = {"training.max_epochs": 1, "data.test_samples": 8, "rounds.episode": 4}
PROTOCOLS: dict[str, dict[str, Any]] = {
    "one-contact": {},
    "late": {"rounds.late": {"buffer": 2}},
    "relays": {"constellation": GLOBE, "rounds.relay": {"isl": {"kind": "fixed", "rate_bps": 1e9}}},
    "late-relays": {
        "constellation": GLOBE,
        "rounds.relay": {"isl": {"kind": "fixed", "rate_bps": 1e9}},
        "rounds.late": {},
    },
}
INFINITE = st.sampled_from([np.inf])


def build(faults: dict[str, Any] | None, rounds: int = 8, **changes: Any) -> Simulation:
    return scenarios.build(physics_only(rounds, faults=faults, **{**SLOW, **changes}))


def learning(faults: dict[str, Any] | None, parts: dict[str, Any] | None = None, **changes: Any) -> Simulation:
    return scenarios.build(scenarios.load("leo-multitask", faults=faults, **{**QUICK, **changes}), parts=parts)


def play(simulation: Simulation, seed: int = 0, **changes: Any) -> list:
    state, played = simulation.reset(seed), []
    while not simulation.finished:
        before = state
        state, report = simulation.step(decide(state, **changes))
        played.append((before, report))
    return played


def assert_same(one: object, other: object, *but: str) -> None:
    first, second = ({name: it for name, it in parts_of(record).items() if name not in but} for record in (one, other))
    np.testing.assert_equal(first, second)


def second_by_second(part: dict[str, float], satellite_s: float, gateway_s: float, breaks_s: float) -> dict[str, float]:
    """One satellite's round as a story: each phase goes on until it is done or something stops it."""
    clock, transferred, cause = 0.0, 0.0, Outcome.RETURNED
    done = {"download_s": 0.0, "compute_s": 0.0, "upload_s": 0.0}
    for phase in done:
        end = clock + part[phase]
        stops = {Outcome.FAILED: satellite_s}
        if phase == "compute_s":
            if gateway_s < end and gateway_s < satellite_s:
                cause = Outcome.GATEWAY_DOWN  # which the satellite does not know
        else:
            stops |= {Outcome.GATEWAY_DOWN: gateway_s, Outcome.LINK_BROKEN: clock + breaks_s - transferred}
        reason = min(stops, key=lambda it: stops[it])
        until = min(max(stops[reason], clock), end)
        done[phase] = until - clock
        if stops[reason] < end:
            cause = reason if cause == Outcome.RETURNED else cause
            break
        clock, transferred = end, transferred + (part[phase] if phase != "compute_s" else 0.0)
    return {**done, "outcome": cause}


@settings(max_examples=300, deadline=None)
@given(
    phases=st.tuples(*[st.integers(1, 20)] * 3),
    satellite_s=st.integers(0, 70) | INFINITE,
    gateway_s=st.integers(0, 70) | INFINITE,
    breaks_s=st.integers(0, 50) | INFINITE,
)
def test_a_struck_round_is_what_a_story_of_it_tells(phases, satellite_s, gateway_s, breaks_s):
    # Halves keep events from happening at once.
    satellite_s, gateway_s, breaks_s = satellite_s + 0.5, gateway_s + 0.25, breaks_s + 0.125
    names = ("download_s", "compute_s", "upload_s")
    expected = second_by_second(dict(zip(names, phases, strict=True)), satellite_s, gateway_s, breaks_s)
    download_s, compute_s, upload_s = (np.array([float(it)]) for it in phases)
    part = Participation(
        np.array([0]), np.array([4]), download_s, compute_s, upload_s, 3 * compute_s, 2 * upload_s, sum(phases)
    )
    never = np.array([np.inf])
    struck = strike(
        part,
        satellite_s=np.array([satellite_s]),
        gateway_s=np.array([gateway_s]),
        relay_s=never,
        breaks_s=np.array([breaks_s]),
    )
    assert struck.outcome[0] == expected["outcome"]
    for name in names:
        assert getattr(struck, name)[0] == pytest.approx(expected[name])
    assert struck.compute_energy_j[0] == pytest.approx(3 * expected["compute_s"])
    assert struck.transmit_energy_j[0] == pytest.approx(2 * expected["upload_s"])
    assert struck.busy_s[0] == pytest.approx(sum(expected[name] for name in names))
    assert struck.epochs[0] == int(4 * expected["compute_s"] / phases[1] + 1e-9)


def test_upsets_are_flipped_bits_and_as_many_as_a_binomial_law_has_it():
    models, probability = torch.randn(4, 5000, generator=torch.Generator().manual_seed(0)), np.array([0, 1e-4, 0.1, 1])
    before = models.clone()
    hit, upset, flips = upset_models(models, probability, np.random.default_rng(0))
    assert torch.equal(models, before)
    assert hit.tolist() == [1, 2, 3]
    difference = before.numpy()[hit].view(np.uint32) ^ upset.numpy().view(np.uint32)
    assert np.bitwise_count(difference).sum(axis=1).tolist() == flips[hit].tolist()
    bits = 32 * 5000
    assert np.abs(flips - bits * probability).max() <= 5 * np.sqrt(bits * 0.1 * 0.9)
    assert flips[[0, 3]].tolist() == [0, bits]


def test_a_bit_is_another_one_after_an_odd_number_of_upsets():
    faults, rng = Faults(upsets_per_bit_day=2e4), np.random.default_rng(0)
    exposure_s = np.array([0.0, 1.0, 5.0, 1e6])
    odd = rng.poisson(2e4 / 86_400 * exposure_s, (100_000, 4)) % 2
    np.testing.assert_allclose(faults.upset_probability(exposure_s), odd.mean(axis=0), atol=0.01)
    assert faults.upset_probability(exposure_s)[0] == 0.0


def test_contacts_are_lost_and_break_off_as_often_as_stated():
    lasts_s = Faults(contact_loss=0.3, transfer_mtbf_s=20.0).breaks_s(1000, 20, np.random.default_rng(0))
    share, bound = np.mean(lasts_s == 0), 5 * np.sqrt(0.3 * 0.7 / lasts_s.size)
    assert abs(share - 0.3) <= bound
    assert np.mean(lasts_s > 20.0) == pytest.approx(0.7 * np.exp(-1), abs=0.02)
    assert np.isinf(Faults().breaks_s(3, 2, np.random.default_rng(0))).all()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_faults_that_never_happen_change_no_bit(protocol):
    without, with_ = (play(build(faults, 4, **PROTOCOLS[protocol])) for faults in (None, {}))
    for (state, report), (other_state, other_report) in zip(without, with_, strict=True):
        assert state.satellite_up is None
        assert other_state.satellite_up.all()
        assert_same(state, other_state, "satellite_up", "gateway_up")
        assert_same(report, other_report, "upsets")


def test_faults_that_never_happen_leave_learning_alone():
    (_, one), (_, other) = (play(learning(faults))[-1] for faults in (None, {}))
    np.testing.assert_array_equal(one.test_loss, other.test_loss)
    assert one.upsets is None
    assert not other.upsets.any()


def test_what_fails_depends_on_the_seed_alone_and_not_on_decisions_or_the_length_of_rounds():
    simulations = [build(OFTEN), build(OFTEN), build(OFTEN, **{"rounds.cadence_s": 60.0})]
    for simulation, association in zip(simulations, ({}, {"association": np.full(10, 3)}, {}), strict=True):
        simulation.step(decide(simulation.reset(4), **association))
    everyone = np.zeros(10)
    for time_s in np.arange(0.0, 480.0, 20.0):
        health, *others = (simulation._episode.faults.health(time_s) for simulation in simulations)
        for other in others:
            np.testing.assert_equal(other, health)
        everyone += health["satellite_up"]
    assert (everyone < 24).any()
    for simulation in simulations:
        state = simulation.state
        np.testing.assert_array_equal(
            state.satellite_up, simulations[0]._episode.faults.health(state.time_s)["satellite_up"]
        )


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_energy_balances_and_every_outcome_is_what_was_known(protocol):
    outcomes = set()
    for state, report in play(build(OFTEN, 12, **{**PROTOCOLS[protocol], "onboard.energy": SMALL})):
        assert_balanced(report)
        assert not state.visible[~state.satellite_up].any()
        assert not state.visible[:, ~state.gateway_up].any()
        assert not state.window_s[~state.visible].any()
        outcomes |= set(report.outcome.tolist())
        broken = np.isin(report.outcome, [Outcome.FAILED, Outcome.GATEWAY_DOWN, Outcome.LINK_BROKEN])
        assert report.lost[broken].all()
        assert not report.weights[broken].any()
    assert Outcome.LINK_BROKEN in outcomes
    # Late satellites are in a round for some seconds only.
    assert "late" in protocol or outcomes >= {Outcome.FAILED, Outcome.GATEWAY_DOWN}


def test_who_chooses_what_is_known_to_be_down_is_told_so():
    class Down(Faults):
        def satellite_outages(self, num_satellites, span_s, rng):
            return Outages(np.where(np.arange(num_satellites) == 1, [[0.0], [1e5]], np.inf))

        def gateway_outages(self, num_gateways, span_s, rng):
            return Outages(np.where(np.arange(num_gateways) == 2, 0.0, np.inf)[None])

    simulation = scenarios.build(physics_only(2, **SLOW), parts={"faults": Down()})
    state = simulation.reset(0)
    assert state.satellite_up.tolist() == [True, False] + [True] * 8
    assert state.gateway_up.tolist() == [True, True, False]
    _, report = simulation.step(decide(state, association=np.full(10, 2)))
    assert report.outcome.tolist() == [Outcome.GATEWAY_DOWN, Outcome.FAILED] + [Outcome.GATEWAY_DOWN] * 8
    assert not report.energy_j.any()


def test_no_contact_costs_nothing_and_brings_nothing():
    for _, report in play(learning({"contact_loss": 1.0})):
        assert set(report.outcome) <= {Outcome.LINK_BROKEN, Outcome.OUT_OF_TIME, Outcome.SAT_OUT}
        assert report.lost.any()
        assert not report.energy_j.any()
        assert not report.batches.any()
        np.testing.assert_array_equal(report.test_loss, report.test_loss_before)


class OneFails(Faults):
    """The satellite `relay` fails after a second."""

    def satellite_outages(self, num_satellites, span_s, rng):
        return Outages(np.where(np.arange(num_satellites) == self.relay, 1.0, np.inf)[None])


class OneHasNoContact(Faults):
    """The satellite `relay` finds no contact."""

    def breaks_s(self, num_satellites, num_gateways, rng):
        return np.where(np.arange(num_satellites)[:, None] == self.relay, 0.0, np.full((1, num_gateways), np.inf))


@pytest.mark.parametrize(("kind", "outcome"), [(OneFails, Outcome.FAILED), (OneHasNoContact, Outcome.LINK_BROKEN)])
def test_a_relay_that_fails_or_finds_no_contact_breaks_the_links_of_those_behind_it(kind, outcome):
    changes = {**SLOW, **PROTOCOLS["relays"]}
    simulation = scenarios.build(physics_only(2, **changes))
    decision = decide(simulation.reset(0))
    sender = simulation._view.contacts.sender[decision.pairs]
    relays, number = np.unique(sender[decision.associated], return_counts=True)
    faults = kind()
    object.__setattr__(faults, "relay", relays[number.argmax()])
    other = scenarios.build(physics_only(2, **changes), parts={"faults": faults})
    _, report = other.step(decide(other.reset(0)))
    behind = decision.associated & (sender == faults.relay)
    assert behind.sum() > 1
    assert report.outcome[faults.relay] == outcome
    behind[faults.relay] = False
    assert (report.outcome[behind] == Outcome.LINK_BROKEN).all()


class RadiationOnOne(Faults):
    """Half of the bits of the first satellite's model flip."""

    def upset_probability(self, exposure_s):
        return np.where(exposure_s > 0, 0.5 * (np.arange(len(exposure_s)) == 0), 0.0)


class NoContactOfOne(Faults):
    """The first satellite never finds a contact."""

    def breaks_s(self, num_satellites, num_gateways, rng):
        return np.where(np.arange(num_satellites)[:, None] == 0, 0.0, np.full((num_satellites, num_gateways), np.inf))


@pytest.mark.parametrize("changes", [{}, {"links.upload_snr_db": 10.0}, {"training.shared": "all"}])
def test_a_model_of_which_upsets_leave_nothing_has_diverged_and_spoils_nobody(changes):
    upset, lost = (play(learning(None, {"faults": part}, **changes)) for part in (RadiationOnOne(), NoContactOfOne()))
    outcomes = [report.outcome[0] for _, report in upset]
    assert Outcome.DIVERGED in outcomes
    assert Outcome.RETURNED not in outcomes
    for (_, one), (_, other) in zip(upset, lost, strict=True):
        assert (one.upsets[0] > 0) == (one.outcome[0] == Outcome.DIVERGED)
        # First models are means over who trains, which round differently.
        np.testing.assert_allclose(one.test_loss[1:], other.test_loss[1:], rtol=1e-6)
        assert np.isfinite(one.test_loss).all()


def test_a_flipped_bit_is_in_the_update_that_is_returned():
    class OneBit(Faults):
        def upset_probability(self, exposure_s):
            return np.where(exposure_s > 0, 3e-5, 0.0)

    plain, upset = learning(None), learning(None, {"faults": OneBit()})
    for simulation in (plain, upset):
        _, report = simulation.step(decide(simulation.reset(1)))
    assert report.returned[report.upsets > 0].any()
    trained = (simulation.get_state()["models"]["held"] for simulation in (plain, upset))
    assert not torch.equal(*trained)


def test_a_model_of_no_use_goes_back_to_where_it_started():
    faults, start = EpisodeFaults(RadiationOnOne(), 0, 3, 1, span_s=1.0), torch.zeros(3, 50)
    result = TrainingResult(torch.ones(3, 50), np.array([0.1, 0.2, np.nan]), np.zeros(3, bool), np.array([2, 2, 0]))
    ones = np.ones(3)
    part = Participation(np.array([0, 0, 1]), ones, ones, ones, ones, ones, ones, 3 * ones)
    after, flips = faults.upset(result, part, start, 0, lambda models, satellites: satellites > 0)
    assert torch.equal(after.parameters, torch.stack([start[0], *result.parameters[1:]]))
    assert after.diverged.tolist() == [True, False, False]
    np.testing.assert_array_equal(after.last_loss, [np.nan, 0.2, np.nan])
    assert (flips > 0).tolist() == [True, False, False]
    assert (result.parameters == 1).all()


def test_who_is_cut_off_is_not_trained_in_earnest_and_spends_what_it_has_trained():
    broken_off = 0
    for _, report in play(learning({"transfer_mtbf_s": 5.0}, **SLOW)):
        broken = report.outcome == Outcome.LINK_BROKEN
        assert not report.batches[broken].any()
        trained = broken & (report.epochs > 0)
        assert (report.compute_energy_j[trained] > 0).all()
        broken_off += trained.sum()
    assert broken_off


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_faults_go_on_from_the_middle_of_an_episode(protocol):
    simulation, other = (build(OFTEN, **PROTOCOLS[protocol]) for _ in range(2))
    state = simulation.reset(2)
    for _ in range(3):
        state, _ = simulation.step(decide(state))
    twins = [copy.deepcopy(simulation), other]
    other.set_state(simulation.get_state())
    _, report = simulation.step(decide(state))
    for twin in twins:
        assert_same(twin.state, state)
        assert_same(twin.step(decide(twin.state))[1], report)


def test_a_late_satellite_does_not_train_while_it_is_out_of_order():
    class Down(Faults):
        def satellite_outages(self, num_satellites, span_s, rng):
            return Outages(np.tile([[100.0], [400.0]], num_satellites))

    simulation = scenarios.build(
        physics_only(4, **{"rounds.late": {}, "rounds.cadence_s": 500.0}), parts={"faults": Down()}
    )
    simulation.step(decide(simulation.reset(0)))
    since_s = simulation._progress.fetched(simulation._episode.faults).since_s
    assert np.isfinite(since_s).any()
    assert (since_s[np.isfinite(since_s)] == 200.0).all()


def test_the_environment_shows_what_works_and_masks_what_does_not():
    env = SatFLEnv("leo-multitask", {**QUICK, "rounds.episode": 8, "training.engine": "none", "faults": OFTEN})
    agent, (observation, info) = as_agent(make_policy("full")), env.reset(seed=1)
    masked = False
    while env.simulation.finished is False:
        assert env.observation_space.contains(observation)
        state = observation_to_state(observation)
        up, gateway_up = state.satellite_up, state.gateway_up
        np.testing.assert_array_equal(up, env.simulation.state.satellite_up)
        mask = info["action_mask"]["association"]
        assert not mask[~up, :-1].any()
        assert not mask[:, :-1][:, ~gateway_up].any()
        masked |= not up.all()
        observation, _, _, _, info = env.step(agent(observation))
        assert not (info["outcome"][~up] == Outcome.FAILED).any()
    assert masked
    assert {"satellite_up", "gateway_up"}.isdisjoint(SatFLEnv(overrides=QUICK).observation_space)


def test_single_and_vector_environments_fail_alike():
    overrides = {**QUICK, **SLOW, "faults": OFTEN}
    vector, agent = SatFLVectorEnv(2, overrides=overrides), as_agent(make_policy("full"))
    together, _ = vector.reset(seed=[3, 4])
    infos = []
    for _ in range(3):
        together, *_, info = vector.step(agent(together))
        infos.append(info["outcome"])
    for index, seed in enumerate((3, 4)):
        env = SatFLEnv(overrides=overrides)
        observation, _ = env.reset(seed=seed)
        for number in range(3):
            observation, *_, info = env.step(agent(observation))
            np.testing.assert_array_equal(info["outcome"], infos[number][index])
        np.testing.assert_array_equal(observation["satellite_up"], together["satellite_up"][index])


def test_a_section_and_a_part_give_the_same_episode():
    section, part = {"contact_loss": 0.5, "transfer_mtbf_s": 3.0}, Faults(contact_loss=0.5, transfer_mtbf_s=3.0)
    by_section = run_episode(physics_only(4, faults=section), "full", 0)
    by_part = run_episode(physics_only(4), "full", 0, parts={"faults": part})
    assert by_section == by_part
    assert sum(record["lost"] for record in by_part) > sum(r["lost"] for r in run_episode(physics_only(4), "full", 0))


@pytest.mark.parametrize(
    ("faults", "message"),
    [
        ({"contact_loss": 1.5}, "faults.contact_loss: .*less than or equal to 1, got 1.5"),
        ({"satellites": {"mtbf_s": 0.0, "mttr_s": 1.0}}, "faults.satellites.mtbf_s: .*greater than 0, got 0"),
        ({"satellites": {"mtbf_s": 5.0}}, "faults.satellites.mttr_s: missing"),
        ({"upsets_per_bit_day": -1.0}, "faults.upsets_per_bit_day: .*greater than or equal to 0, got -1"),
        ({"contact_los": 0.1}, "faults.contact_los.*contact_loss"),
    ],
)
def test_impossible_faults_are_refused_by_name(faults, message):
    with pytest.raises(ScenarioError, match=message):
        scenarios.load("leo-multitask", faults=faults)


@pytest.mark.parametrize("name", ["leo-multitask", "walker-earth", "sentinel"])
def test_outages_too_short_for_an_episode_are_refused_when_the_scenario_is_loaded(name):
    scenario = scenarios.load(name)
    scene = scenario.constellation.scenes(scenario.rounds)(np.random.default_rng(0))
    assert scenario.constellation.horizon_s == scene.horizon_s
    shortest_s = scenario.rounds.longest_s(scene.horizon_s) / 10_000
    scenarios.load(name, faults={"gateways": {"mtbf_s": shortest_s, "mttr_s": 1e-3}})
    too_short = {"gateways": {"mtbf_s": shortest_s / 2, "mttr_s": shortest_s / 3}}
    with pytest.raises(
        ScenarioError, match=r"  faults\.gateways: mtbf_s \+ mttr_s must be at least \d.* s in episodes"
    ):
        scenarios.load(name, faults=too_short)


def test_outages_of_a_part_too_short_for_an_episode_are_refused_when_it_begins():
    often = Renewals(mtbf_s=0.05, mttr_s=0.05)
    simulation = scenarios.build(physics_only(2), parts={"faults": Faults(satellites=often)})
    with pytest.raises(ValueError, match=r"^faults\.satellites: mtbf_s \+ mttr_s must be at least"):
        simulation.reset(0)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"upset_probability": lambda self, exposure_s: exposure_s},
            r"parts\['faults'\]: upset_probability\(\) must be at most 1, got 60",
        ),
        (
            {"satellite_outages": lambda self, number, *_: Outages(np.tile([[100.0], [50.0]], number))},
            r"parts\['faults'\]: switch_s must ascend",
        ),
        ({"breaks_s": lambda self, *_: np.zeros(3)}, r"parts\['faults'\]: breaks_s\(\) must have shape \(10, 3\)"),
        ({"satellite_outages": lambda self, *_: [1.0]}, "satellite_outages.. must give Outages, got list"),
        ({"gateway_outages": lambda self, *_: Outages.never(2)}, r"gateway_outages\(\).* must have shape \(3,\)"),
        ({"upset_probability": lambda self, s: s * np.nan}, r"upset_probability\(\) must be finite"),
    ],
)
def test_parts_of_the_wrong_form_are_told_so(changed, message):
    part = type("Own", (Faults,), changed)()
    with pytest.raises((TypeError, ValueError), match=message):
        scenarios.build(physics_only(2), parts={"faults": part})
