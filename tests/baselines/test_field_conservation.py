"""What every system of the field must conserve: updates, weights, staleness, energy, bits, and its own state.

Updates are counted against a plain log that is kept beside the simulation; see `tests.event_log`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from satfl_baselines import make_policy
from satfl_baselines.commands.policy_names import own_policies
from satfl_baselines.evaluate import Decide
from satfl_baselines.field.system import System, load_systems, system_names
from satfl_env import Decision, NetworkState, Outcome, RoundReport, Simulation
from satfl_env.scenarios import Scenario, build
from satfl_env.simulation.protocols import Contacts
from tests.event_log import COMMON, EventLog, Group, Painter, Vector, group_of, log_of
from tests.factories import parts_of

# Rounds of ten minutes, so that satellites come back within few of them.
ROUNDS, SATELLITES, SEED = 9, 24, 3
QUICK = {"rounds.episode": ROUNDS, "rounds.minimum_s": 600.0, "data.test_samples": 4, "training.max_epochs": 2}
MODEL_BITS, ISL_BPS = 1e9, 1e8
# What quantisation to two bits leaves of the rounding of float32.
ROUNDING = 1e-5


def gossips(system: System) -> bool:
    return "rounds.gossip" in system.settings


NAMES = system_names()
SERVED = [system.name for system in load_systems() if not gossips(system)]
GOSSIP = sorted(set(NAMES) - set(SERVED))
# Their gateways keep updates over rounds.
COLLECTS = {"deadline", "fedavgsat", "fedbuff", "fedbuffsat", "fedproxsat", "fedsn"}
each_system = pytest.mark.parametrize("name", NAMES)
each_with_servers = pytest.mark.parametrize("name", SERVED)


class Round(NamedTuple):
    """A round, and what is there at its end, by how much it holds of every update, (U,).

    Attributes:
        state: From which it was decided.
        contacts: How satellites reached gateways.
        gateways: The gateways' models, by cluster.
        held: The satellites' models, (S, U).
        waiting: The updates that wait at a gateway, by cluster, (n, U).
        moved: How far numbers that no update changes are from where they were at first, in any model.
    """

    state: NetworkState
    decision: Decision
    report: RoundReport
    contacts: Contacts
    gateways: dict[Group, Vector]
    held: Vector
    waiting: dict[Group, Vector]
    moved: float


def system_of(name: str) -> tuple[System, Scenario, Decide]:
    (system,) = load_systems([name])
    policy = own_policies([system.policy]).get(system.policy) or make_policy(system.policy)
    return system, system.scenario(QUICK), policy


@cache
def painted(name: str) -> tuple[Round, ...]:
    """An episode in which models tell which updates they hold."""
    _, scenario, decide = system_of(name)
    simulation = Simulation(replace(build(scenario).ingredients, trainer=Painter))
    state, rounds = simulation.reset(SEED), []
    first = simulation.get_state()["models"]["held"][:, : simulation._learner.num_shared].double().numpy()
    # Narrower models have zeros elsewhere.
    everywhere = np.flatnonzero(first.all(axis=0))
    places, others = np.split(everywhere, [COMMON + ROUNDS * SATELLITES])
    simulation.trainer.places, own = places, places[COMMON:]
    while not simulation.finished:
        before, decision, contacts = state, decide(state), simulation._view.contacts
        state, report = simulation.step(decision)
        models = simulation.get_state()["models"]
        held = models["held"].double().numpy()[:, : first.shape[1]]
        gateways = {group: model.double().numpy() for group, model in models["gateway_models"].items()}
        everyones = np.array([*held, *gateways.values()])
        rounds.append(
            Round(
                before,
                decision,
                report,
                contacts,
                gateways={group: model[own] - first[0, own] for group, model in gateways.items()},
                held=held[:, own] - first[:, own],
                waiting={group: updates.double().numpy()[:, own] for group, (updates, *_) in models["waiting"].items()},
                moved=float(np.abs(everyones[:, others] - first[0, others]).max()),
            )
        )
    return tuple(rounds)


def with_log(name: str) -> Iterator[tuple[Round, EventLog]]:
    """Each round, with the log at its end."""
    system, *_ = system_of(name)
    episode = painted(name)
    log = log_of(system.settings, episode[0].state.samples, ROUNDS)
    for each in episode:
        log.play(each.decision, each.report)
        yield each, log


@each_system
def test_weights_sum_to_one_wherever_something_is_merged(name: str):
    for each in painted(name):
        report, used = each.report, each.report.weights
        for group in {group_of(each.decision, it) for it in np.flatnonzero(used).tolist()}:
            assert sum(used[it] for it in range(SATELLITES) if group_of(each.decision, it) == group) == pytest.approx(1)
        assert not used[~report.returned].any()
        merged = report.gateway_weights.sum(axis=1)
        np.testing.assert_allclose(merged[merged > 0], 1)
        # A mean of models by other weights would move what they agree on.
        assert each.moved < ROUNDING


def held_by(models: Iterable[Vector]) -> list[int]:
    """Numbers of the updates that some models hold, once for each of these."""
    return [number for model in models for number in np.flatnonzero(model > ROUNDING).tolist()]


@each_with_servers
def test_every_update_is_counted_or_lost_or_waits(name: str):
    """By the models alone: sent = counted + waiting + set aside + lost, none twice."""
    sent, lost, counted = set(), set(), set()
    for each, log in with_log(name):
        report = each.report
        trained = set((report.round * SATELLITES + np.flatnonzero(report.epochs)).tolist())
        returned = set((report.round * SATELLITES + np.flatnonzero(report.returned)).tolist())
        sent |= trained
        lost |= trained - returned
        assert returned <= trained
        waiting = held_by(update for updates in each.waiting.values() for update in updates)
        before, counted = counted, set(held_by(each.gateways.values()))
        assert before <= counted
        assert len(waiting) == sum(map(len, each.waiting.values()))
        assert len(sent) == len(counted) + len(waiting) + len(log.set_aside) + len(lost)
        assert sent == counted.union(waiting, log.set_aside, lost)
    assert counted


@each_with_servers
def test_models_hold_as_much_of_every_update_as_the_log_says(name: str):
    for each, log in with_log(name):
        assert each.gateways.keys() == log.models.keys()
        for group, model in each.gateways.items():
            np.testing.assert_allclose(model, log.models[group], atol=ROUNDING)
        np.testing.assert_allclose(each.held, log.held, atol=ROUNDING)
        assert {group: len(updates) for group, updates in each.waiting.items()} == {
            group: len(events) for group, events in log.waiting.items()
        }


@pytest.mark.parametrize("name", GOSSIP)
def test_every_update_counts_once_in_total_where_satellites_gossip(name: str):
    trained = np.zeros(ROUNDS * SATELLITES)
    for each in painted(name):
        start = each.report.round * SATELLITES
        trained[start : start + SATELLITES] = each.report.returned
        np.testing.assert_array_equal(each.report.returned, each.report.epochs > 0)
        np.testing.assert_allclose(each.held.sum(axis=0), trained, atol=ROUNDING)
        assert each.held.min() > -ROUNDING
        assert not each.gateways
        assert not each.waiting
    assert trained.any()


@each_with_servers
def test_staleness_is_what_the_log_says(name: str):
    for each, log in with_log(name):
        np.testing.assert_array_equal(each.report.staleness, log.staleness)


@each_system
def test_every_satellite_has_one_outcome(name: str):
    for each in painted(name):
        report = each.report
        no_update = np.isin(report.outcome, (Outcome.SAT_OUT, Outcome.FETCHED))
        np.testing.assert_array_equal(report.returned.astype(int) + report.lost + no_update, 1)


def fetched(report: RoundReport) -> NDArray[np.bool_]:
    """Satellites that leave a round with a model of their gateway, (S,)."""
    return np.isin(report.outcome, (Outcome.RETURNED, Outcome.FETCHED))


def sending_s(each: Round) -> Vector:
    """Time in which each satellite sends, where one model goes down for all of a sum, by a walk along its way, (S,).

    It sends its sum to the next satellite in it, through others that pass it on, or to the sink. The sink's transfer is
    shared in equal parts.
    """
    sender, carry_s, via = each.contacts.sender, each.contacts.carry_s, each.contacts.via
    sends, spent_s = np.flatnonzero(each.report.upload_s).tolist(), np.zeros(SATELLITES)
    sum_of = {it: (sender[it, each.decision.association[it]], *group_of(each.decision, it)) for it in sends}
    for satellite, own in sum_of.items():
        sink, gateway, _ = own
        after = via[satellite, gateway]
        while after != sink and sum_of.get(after) != own:
            after = via[after, gateway]
        # A sink has its model from devices below it, as all have.
        hops_s = carry_s[satellite, gateway] - (carry_s[after, gateway] - carry_s[sink, gateway])
        down_s = each.report.upload_s[satellite] - carry_s[satellite, gateway]
        spent_s[satellite] = hops_s + down_s / [*sum_of.values()].count(own)
    return spent_s


@each_system
def test_energy_adds_up(name: str):
    system, scenario, _ = system_of(name)
    relay, isl_bits = system.settings.get("rounds.relay", {}), ISL_BPS if gossips(system) else None
    late, cpu_hz = "rounds.late" in system.settings, np.zeros(SATELLITES)
    first = painted(name)[0].report.charge_before_j
    for each in painted(name):
        report, state = each.report, each.state
        # Those that return late have trained at the frequency of their fetch.
        trained_hz = cpu_hz if late else each.decision.cpu_frequency
        epoch_j = state.kappa * state.cycles_per_sample * state.samples * trained_hz**2
        computed_j = np.where(report.epochs > 0, report.epochs * epoch_j, 0.0) * ("clients" not in relay)
        np.testing.assert_allclose(report.compute_energy_j, computed_j)
        if relay.get("combine_on_board") or "clients" in relay:
            sent_s = sending_s(each)
        else:
            sent_s = report.upload_s if isl_bits is None else report.upload_bits / isl_bits
        np.testing.assert_allclose(report.transmit_energy_j, scenario.links.transmit_power_w * sent_s)
        np.testing.assert_array_equal(report.energy_j, report.compute_energy_j + report.transmit_energy_j)
        cpu_hz = np.where(
            np.isin(report.outcome, (Outcome.RETURNED, Outcome.FETCHED)), each.decision.cpu_frequency, cpu_hz
        )
    flows_j = sum(
        each.report.harvested_j - each.report.energy_j - each.report.standing_j - each.report.spilled_j
        for each in painted(name)
    )
    np.testing.assert_allclose(painted(name)[-1].report.charge_j, first + flows_j, rtol=1e-9)


@each_system
def test_bits_are_transfers_times_bits_of_what_is_sent(name: str):
    system, scenario, _ = system_of(name)
    simulation = build(scenario)
    simulation.reset(SEED)
    num_shared = simulation._learner.num_shared
    size = (simulation.get_state()["models"]["held"][:, :num_shared] != 0).double().mean(dim=1).numpy()
    down_bits = np.rint(MODEL_BITS * size * system.settings.get("rounds.broadcast", 1))
    for each in painted(name):
        report = each.report
        downloads = fetched(report) & (not gossips(system))
        np.testing.assert_array_equal(report.download_bits, np.where(downloads, down_bits, 0.0))
        if gossips(system):
            assert ((report.sends > 0) <= report.returned).all()
        else:
            np.testing.assert_array_equal(report.sends, report.returned)
        up_bits = report.upload_bits[report.sends > 0] / report.sends[report.sends > 0]
        if "compression" not in system.settings:
            np.testing.assert_allclose(up_bits, np.rint(MODEL_BITS * size)[report.sends > 0])
            continue
        widths = (up_bits / MODEL_BITS * 32 * num_shared - 64) / num_shared
        np.testing.assert_allclose(widths, np.rint(widths), atol=1e-5)
        assert ((widths >= 1.99) & (widths <= 16.01)).all()


def go_on(simulation: Simulation, decide: Decide, rounds: int) -> list[RoundReport]:
    """The reports of the next rounds."""
    return [simulation.step(decide(simulation.state))[1] for _ in range(rounds)]


def assert_same(found: list[RoundReport], expected: list[RoundReport]) -> None:
    """To the bit."""
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_equal(parts_of(one), parts_of(other))


def waiting_after(name: str, rounds: int) -> int:
    return sum(map(len, painted(name)[rounds - 1].waiting.values()))


@each_system
def test_an_episode_goes_on_from_its_middle_to_the_bit(name: str):
    """A twin of the same seed, a fresh simulation from a state of the middle, and itself from there once more."""
    system, scenario, decide = system_of(name)
    middle = max(range(3, ROUNDS - 2), key=lambda rounds: waiting_after(name, rounds))
    assert waiting_after(name, middle) or name not in COLLECTS
    simulation, twin, fresh = (build(scenario) for _ in range(3))
    simulation.reset(SEED)
    before = go_on(simulation, decide, middle)
    state = simulation.get_state()
    # Updates on their way to the next contact.
    assert np.isfinite(state["progress"]["fetched_s"]).any() or "rounds.late" not in system.settings
    after = go_on(simulation, decide, ROUNDS - middle)
    twin.reset(SEED)
    assert_same(go_on(twin, decide, ROUNDS), before + after)
    for other in (fresh, simulation):
        other.set_state(state)
        assert_same(go_on(other, decide, ROUNDS - middle), after)
