"""Satellites that differ: each by the closed forms with its own numbers, and equal ones as if nobody had asked."""

from __future__ import annotations

import copy
import pickle
from itertools import pairwise
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from satfl_env import NetworkState, Outcome, RoundReport, Simulation, scenarios
from satfl_env.links import FixedIsl, RadioLinks, link_time_s
from satfl_env.onboard import Battery, EnergyDraws, epoch_energy_j, epoch_time_s
from satfl_env.orbits import ConstellationScene, site, walker
from satfl_env.scenarios import ScenarioError
from satfl_env.simulation.protocols import PlaneLinks, Relays
from satfl_env.simulation.quantities import NonNegativeQuantity, PositiveQuantity
from tests.factories import decide, parts_of, physics_only
from tests.worlds import RELAYED, SLOW

BATTERY = {"kind": "battery", "capacity_j": 2000.0, "initial_j": 1500.0, "harvest_w": 1.0, "standing_w": 1.5}
WORLDS: dict[str, dict[str, Any]] = {
    "draws": {},
    "battery": {"onboard.energy": BATTERY},
    "late": {"onboard.energy": BATTERY, "rounds.late": {"buffer": 2}},
    "relays": {"onboard.energy": BATTERY, **RELAYED},
}


def build(fleet: Any = (), world: str = "battery", rounds: int = 4, **changes: Any) -> Simulation:
    return scenarios.build(physics_only(rounds, **SLOW, **WORLDS[world], fleet=fleet, **changes))


def play(simulation: Simulation, seed: int = 0) -> list[NetworkState | RoundReport]:
    state = simulation.reset(seed)
    shown: list[NetworkState | RoundReport] = [state]
    while not simulation.finished:
        state, report = simulation.step(decide(state))
        shown += [report, state]
    return shown


def records(shown: list[NetworkState | RoundReport]) -> list[dict[str, Any]]:
    return [parts_of(record) for record in shown]


@pytest.mark.parametrize("world", WORLDS)
def test_equal_satellites_are_those_without_a_fleet(world):
    stated = {"transmit_power_w": 10.0, "satellite_gain_dbi": [25.0] * 4, "kappa": {"kind": "choice", "of": [5e-27]}}
    stated |= {"cpu_max_hz": 1e9, "cycles_per_sample": 1e8}
    if world == "draws":
        stated |= {"mean_j": 100.0, "std_j": 10.0}
    else:
        stated |= {"capacity_j": 2000.0, "initial_j": [1500.0] * 4, "depth_of_discharge": 1.0}
        stated |= {"harvest_w": 1.0, "standing_w": {"kind": "normal", "mean": 0, "std": 1, "low": 1.5, "high": 1.5}}
    fleet = [{"name": "one", "count": 4, **stated}, {"name": "other"}]
    np.testing.assert_equal(records(play(build(fleet, world))), records(play(build((), world))))


FLEET = [
    {
        "name": "small",
        "count": 7,
        "cpu_max_hz": {"kind": "uniform", "low": 2e8, "high": 4e8},
        "kappa": {"kind": "log-uniform", "low": 1e-27, "high": 1e-25},
        "transmit_power_w": {"kind": "choice", "of": [1, 2, 5], "weights": [1, 1, 2]},
        "satellite_gain_dbi": 12.0,
        "capacity_j": 900.0,
        "harvest_w": {"kind": "normal", "mean": 5, "std": 3, "low": 0, "high": 9},
    },
    {
        "name": "big",
        "cycles_per_sample": [1e8, 2e8, 3e8],
        "transmit_power_w": 20.0,
        "capacity_j": 9000.0,
        "standing_w": 7.0,
    },
]


@pytest.mark.parametrize("world", ["battery", "late", "relays"])
def test_each_satellite_pays_by_its_own_numbers(world):
    simulation = build(FLEET, world, rounds=6)
    shown = play(simulation)
    power_w = simulation._episode.equipment.links.transmit_power_w
    fetched_hz = np.zeros(10)
    for state, report, after in zip(shown[::2], shown[1::2], shown[2::2], strict=False):
        decided_hz = decide(state).cpu_frequency
        cpu_hz = fetched_hz if world == "late" else decided_hz
        cycles, trained = state.cycles_per_sample, report.returned
        seconds = epoch_time_s(state.samples, cpu_hz, cycles_per_sample=cycles)
        joules = report.epochs * epoch_energy_j(state.samples, cpu_hz, cycles_per_sample=cycles, kappa=state.kappa)
        np.testing.assert_allclose(report.compute_s[trained], report.epochs[trained] * seconds[trained])
        np.testing.assert_allclose(report.compute_energy_j, joules)
        np.testing.assert_allclose(report.transmit_energy_j, power_w * report.upload_s)
        # What may be spent pays for both, and no battery is overdrawn or overfilled.
        assert (report.energy_j <= state.energy_j * (1 + 1e-9)).all()
        capacity_j = np.repeat([900.0, 9000.0], [7, 3])
        assert ((report.charge_j >= 0) & (report.charge_j <= capacity_j)).all()
        assert (report.charge_before_j <= capacity_j).all()
        assert (report.standing_j <= np.repeat([1.5, 7.0], [7, 3]) * report.duration_s * (1 + 1e-12)).all()
        fetched_hz = np.where((report.outcome == Outcome.FETCHED.value) | trained, decided_hz, fetched_hz)
        np.testing.assert_allclose(after.energy_j, report.charge_j)
    assert any(record.returned.any() for record in shown[1::2])


def test_a_fleet_is_as_good_as_its_kinds_each_for_itself():
    """Of two kinds, every satellite has the rate, the budget and the charge that it has among its like."""
    small = {"transmit_power_w": 2.0, "satellite_gain_dbi": 12.0, "cpu_max_hz": 3e8, "standing_w": 0.5}
    big = {"transmit_power_w": 20.0, "satellite_gain_dbi": 30.0, "cpu_max_hz": 2e9, "standing_w": 9.0}
    mixed = play(build([{"name": "small", "count": 4, **small}, {"name": "big", "count": 6, **big}], rounds=1))
    for kind, members in ((small, slice(0, 4)), (big, slice(4, 10))):
        alike = play(
            build(
                rounds=1,
                **{f"links.{name}": kind[name] for name in ("transmit_power_w", "satellite_gain_dbi")},
                **{"onboard.cpu_max_hz": kind["cpu_max_hz"], "onboard.energy.standing_w": kind["standing_w"]},
            )
        )
        for name in ("rate_bps", "link_s", "energy_j", "cpu_max_hz", "transmit_power_w"):
            np.testing.assert_array_equal(getattr(mixed[0], name)[members], getattr(alike[0], name)[members])


def test_a_relay_sends_with_its_own_transmitter():
    power_w, gain_dbi = np.linspace(1.0, 9.0, 18), np.linspace(10.0, 30.0, 18)
    orbits = walker(18, 2, 1, altitude_m=600e3, inclination_deg=70, epoch="2026-03-20T00:00:00")
    direct = ConstellationScene(orbits, [site("Svalbard"), site("Kourou"), site("Awarua")]).at(0.0)
    contacts = Relays(PlaneLinks(2), FixedIsl(1e8)).contacts(direct, 1e8)
    assert (contacts.sender != np.arange(18)[:, None]).any()
    own = copy.copy(RadioLinks())
    vars(own).update(transmit_power_w=power_w, satellite_gain_dbi=gain_dbi)
    rates = own.solo_rate_bps(contacts.snapshot)
    for satellite, gateway in np.ndindex(rates.shape):
        sender = contacts.sender[satellite, gateway]
        alone = RadioLinks(transmit_power_w=power_w[sender], satellite_gain_dbi=gain_dbi[sender])
        expected = alone.solo_rate_bps(contacts.snapshot)[satellite, gateway]
        assert rates[satellite, gateway] == pytest.approx(expected, rel=1e-12)


def test_relayed_uploads_have_the_rate_of_their_relay():
    powers = np.linspace(1.0, 30.0, 10).tolist()
    simulation = build([{"name": "all", "transmit_power_w": powers}], "relays")
    state = simulation.reset(1)
    alone = decide(state)
    relayed = (simulation._view.contacts.sender[alone.pairs] != np.arange(10)) & alone.associated
    assert relayed.any()
    first = np.flatnonzero(relayed)[0]
    only = np.where(np.arange(10) == first, alone.association, state.sits_out)
    _, report = simulation.step(decide(state, association=only))
    gateway = only[first]
    carry_s = simulation.ingredients.protocol.contacts(simulation.scene.at(0.0), 1e10).carry_s[first, gateway]
    expected = link_time_s(1e10, state.rate_bps[first, gateway], state.distance_m[first, gateway]) + carry_s
    assert report.outcome[first] == Outcome.RETURNED.value
    assert report.upload_s[first] == pytest.approx(expected)


def test_what_is_drawn_depends_on_the_seed_alone_and_stays_for_the_episode():
    simulation, other = build(FLEET), build(FLEET)
    shown = play(simulation, 3)
    for before, after in pairwise(shown[::2]):
        for name in ("kappa", "cpu_max_hz", "transmit_power_w"):
            np.testing.assert_array_equal(getattr(before, name), getattr(after, name))
    assert (simulation.reset(4).kappa != shown[0].kappa).any()
    np.testing.assert_equal(records(play(other, 3)), records(shown))
    # A state brings its own satellites with it, to a simulation of another seed and to another process.
    state = other.reset(3)
    other.step(decide(state))
    restored = simulation.set_state(other.get_state())
    np.testing.assert_array_equal(restored.kappa, shown[0].kappa)
    for twin in (simulation, pickle.loads(pickle.dumps(simulation))):
        _, report = twin.step(decide(twin.state))
        np.testing.assert_equal(parts_of(report), parts_of(shown[3]))


def test_other_draws_of_an_episode_are_as_without_a_fleet():
    with_fleet, without = build(FLEET, "battery").reset(5), build((), "battery").reset(5)
    for name in ("position_m", "samples", "similarity", "visible"):
        np.testing.assert_array_equal(getattr(with_fleet, name), getattr(without, name))


@pytest.mark.parametrize("seed", range(5))
def test_observations_stay_inside_the_space_for_every_draw(seed):
    overrides = {"training.engine": "none", "onboard.energy": BATTERY, "fleet": FLEET}
    env = gym.make("SatFL-v0", overrides=overrides)
    observation, _ = env.reset(seed=seed)
    space = env.observation_space
    assert space.contains(observation)
    state = env.unwrapped.simulation.state
    for name in ("kappa", "cpu_max_hz", "transmit_power_w", "energy_j", "rate_bps", "cycles_per_sample"):
        # Nothing had to be clipped.
        np.testing.assert_array_equal(observation[name], getattr(state, name))
    assert space["energy_j"].high.max() == 9000.0
    assert space["transmit_power_w"].high.max() == 20.0


def test_a_vector_environment_draws_as_single_ones_do():
    options = {
        "scenario": "leo-multitask",
        "overrides": {"training.engine": "none", "onboard.energy": BATTERY, "fleet": FLEET},
    }
    envs = gym.make_vec("SatFL-v0", num_envs=2, vectorization_mode="vector_entry_point", **options)
    observations, _ = envs.reset(seed=[0, 1])
    for index in range(2):
        alone, _ = gym.make("SatFL-v0", **options).reset(seed=index)
        for name, values in alone.items():
            np.testing.assert_array_equal(observations[name][index], values)


def quantity(given: Any, form: Any = PositiveQuantity) -> Any:
    return TypeAdapter(form).validate_python(given)


@settings(max_examples=60, deadline=None)
@given(
    st.floats(1e-3, 1e3), st.floats(1, 10), st.integers(0, 2**32), st.sampled_from(["uniform", "log-uniform", "normal"])
)
def test_draws_lie_between_their_bounds(low, ratio, seed, kind):
    more = {"mean": low, "std": low} if kind == "normal" else {}
    drawn = quantity({"kind": kind, "low": low, "high": low * ratio, **more})
    values = drawn.values(50, np.random.default_rng(seed))
    assert drawn.ends == (low, low * ratio)
    assert ((values >= low) & (values <= low * ratio)).all()


def test_draws_have_the_stated_distribution():
    rng, many = np.random.default_rng(0), 100_000
    draws = {
        "uniform": ({"low": 2, "high": 6}, lambda x: x, 4.0),
        "log-uniform": ({"low": 1, "high": 100}, np.log, np.log(10)),
        # Half of it is set to the mean.
        "normal": ({"mean": 5, "std": 2, "low": 5, "high": 1e9}, lambda x: x - 5, 2 / np.sqrt(2 * np.pi)),
        "choice": ({"of": [1, 2, 5], "weights": [1, 1, 2]}, lambda x: x, 13 / 4),
    }
    for kind, (given_values, transform, mean) in draws.items():
        values = quantity({"kind": kind, **given_values}).values(many, rng)
        assert transform(values).mean() == pytest.approx(mean, rel=0.01)


@pytest.mark.parametrize(
    ("given_value", "problem"),
    [
        (-1, "greater than 0"),
        ([1, 0], "greater than 0"),
        ([], "at least 1 item"),
        ({"kind": "uniform", "low": 0, "high": 1}, "greater than 0"),
        ({"kind": "uniform", "low": 2, "high": 1}, "high must be at least low = 2, got 1"),
        ({"kind": "choice", "of": [1, 2], "weights": [1]}, "weights must be 2, one for each"),
        ({"kind": "choice", "of": [1, 2], "weights": [0, 0]}, "not all zero"),
        (True, "must be a number, got True"),
        ({"kind": "pareto"}, "'uniform'"),
    ],
)
def test_values_out_of_range_are_refused(given_value, problem):
    with pytest.raises(ValidationError, match=problem):
        quantity(given_value)


def test_a_quantity_may_be_zero_where_its_setting_may():
    assert quantity(0, NonNegativeQuantity).ends == (0.0, 0.0)


BAD_FLEETS: list[tuple[Any, dict[str, Any], str]] = [
    ([{"name": "a", "count": 9}], {}, "fleet: the kinds must make up 10 satellites, .* got 9 a"),
    (
        [{"name": "a", "count": 10}, {"name": "b"}],
        {},
        "fleet: the kinds must .* 10 satellites, .* got 10 a, the rest b",
    ),
    ([{"name": "a"}, {"name": "b"}], {}, "fleet: .* at most one without a count; got the rest a, the rest b"),
    (
        [{"name": "a", "kappa": [1e-27, 2e-27]}],
        {},
        "fleet: a: kappa must list one value for .* 10 satellites, got 2",
    ),
    ([{"name": "a", "count": 1}, {"name": "a"}], {}, r"fleet: kinds must have distinct names, got \['a', 'a'\]"),
    ([{"name": "a", "mean_j": 3}], {}, "fleet: a must state some of .*capacity_j.*, got mean_j of kind 'draws'"),
    (
        [{"name": "a", "harvest_w": 3}],
        {"onboard.energy": {"kind": "draws"}},
        "a must .*, got harvest_w of kind 'battery'",
    ),
    (
        [{"name": "a", "satellite_gain_dbi": 3}],
        {"links": {"kind": "ideal"}},
        "fleet: a must .* got satellite_gain_dbi of kind 'radio'",
    ),
    ([{"name": "a", "cpu_max_hz": -5}], {}, r"fleet\.0\.cpu_max_hz: Input should be greater than 0, got -5"),
    ([{"name": "a", "cpu_hz": 5}], {}, r"fleet\.0\.cpu_hz: unknown key, did you mean 'cpu_max_hz'"),
    (
        [{"name": "a", "harvest_w": 5}],
        {"onboard.energy": {**BATTERY, "harvest_w": 0, "panels": {"area_m2": 1}}},
        "fleet: harvest_w",
    ),
]


@pytest.mark.parametrize(("fleet", "changes", "problem"), BAD_FLEETS)
def test_messages_name_the_kind_and_the_value(fleet, changes, problem):
    with pytest.raises(ScenarioError, match=problem):
        scenarios.load("leo-multitask", **{"onboard.energy": BATTERY, **changes, "fleet": fleet})


class Aging:
    """A fleet of somebody's own: the later a satellite was launched, the faster it computes."""

    highest = {"cpu_max_hz": 2e9}  # noqa: RUF012

    def draw(self, num_satellites, rng):
        return {"cpu_max_hz": np.sort(rng.uniform(1e9, 2e9, num_satellites))}


def own(**changes: Any) -> Aging:
    fleet = Aging()
    vars(fleet).update(changes)
    return fleet


def test_a_fleet_of_one_s_own():
    simulation = scenarios.build(physics_only(2), parts={"fleet": Aging()})
    state = simulation.reset(0)
    assert (np.diff(state.cpu_max_hz) > 0).all()
    assert (state.kappa == 5e-27).all()


@pytest.mark.parametrize(
    ("fleet", "error", "problem"),
    [
        (own(highest={}), ValueError, r"parts\['fleet'\].highest\['cpu_max_hz'\] must be finite"),
        (own(highest={"cpu_max_hz": 1e9}), ValueError, r"highest\['cpu_max_hz'\] must be at least .*, got 1e\+09"),
        (
            own(draw=lambda n, rng: {"speed": np.ones(n)}),
            ValueError,
            "must draw values that links, .* have, got 'speed'",
        ),
        (own(draw=lambda n, rng: {"kappa": np.ones(3)}), ValueError, r"draw\(\)\['kappa'\] must have shape \(10,\)"),
        (
            own(draw=lambda n, rng: {"cpu_max_hz": -np.ones(n)}),
            ValueError,
            r"parts\['computer'\].cpu_max_hz must be finite and at least",
        ),
    ],
)
def test_bad_fleets_of_one_s_own_are_refused(fleet, error, problem):
    with pytest.raises(error, match=problem):
        scenarios.build(physics_only(2), parts={"fleet": fleet})


def test_a_scenario_s_fleet_that_states_what_a_part_of_one_s_own_lacks_is_refused():
    scenario, battery = physics_only(2, fleet=[{"name": "rich", "mean_j": 300.0}]), Battery(**BATTERY)
    with pytest.raises(ValueError, match=r"the fleet must draw values that links, energy .* have, got 'mean_j'"):
        scenarios.build(scenario, parts={"energy": battery})
    scenarios.build(scenario, parts={"energy": EnergyDraws()})
