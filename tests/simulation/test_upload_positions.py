"""Models returned from where satellites are when their upload begins."""

from __future__ import annotations

import numpy as np
import pytest

from satfl_env import scenarios
from satfl_env.links import link_time_s
from satfl_env.orbits import ConstellationScene, GeostationaryGateway, OrbitingGateway, positions_m, site, walker
from satfl_env.scenarios import ScenarioError
from satfl_env.simulation import Simulation
from satfl_env.simulation.upload_positions import moved
from tests.factories import decide
from tests.worlds import EIGHTEEN_SATELLITES, assert_a_twin_goes_on_from_the_middle

PHYSICS = {"training.engine": "none", "links.positions_at": "upload"}
# Large models on few cycles: transfers and training take about as long.
SLOW = {"links.model_bits": 2e11, "onboard.cycles_per_sample": 1e8, "onboard.energy.mean_j": 1e6}


def build(name: str, **overrides) -> Simulation:
    return scenarios.build(scenarios.load(name, **PHYSICS, **overrides))


def alone(state, satellite: int):
    """A decision in which one satellite alone takes part, at its nearest gateway in sight."""
    gateway = int(np.where(state.visible[satellite], state.distance_m[satellite], np.inf).argmin())
    association = np.full(state.num_satellites, state.sits_out)
    association[satellite] = gateway
    return decide(state, association=association), gateway


def free_space_upload_s(simulation: Simulation, position_m: np.ndarray, gateway_m: np.ndarray) -> float:
    """Upload of a satellite that is alone on the links, by hand from the printed link budget (eq. 9 and 15-17)."""
    links, distance_m = simulation.ingredients.links, float(np.linalg.norm(position_m - gateway_m))
    loss_db = 20 * np.log10(4 * np.pi * distance_m * links.carrier_hz / 299_792_458.0) + links.extra_loss_db
    gain_db = links.satellite_gain_dbi + links.gateway_gain_dbi + 10 * np.log10(links.transmit_power_w) - loss_db
    noise_w = 1.380649e-23 * links.noise_temperature_k * links.bandwidth_hz * 10 ** (links.noise_figure_db / 10)
    rate_bps = links.bandwidth_hz * np.log2(1 + 10 ** (gain_db / 10) / noise_w)
    return simulation.ingredients.model_bits / rate_bps + distance_m / 299_792_458.0


def test_an_upload_is_made_from_where_the_satellite_is_after_fetching_and_training() -> None:
    simulation = build("leo-multitask", **SLOW, **{"training.max_epochs": 1})
    state = simulation.reset(1)
    scene = simulation.scene
    longest = int(state.window_s.max(axis=1).argmax())
    decision, gateway = alone(state, longest)
    _, report = simulation.step(decision)
    assert report.returned[longest]
    begins_s = report.download_s[longest] + report.compute_s[longest]
    assert begins_s > 40
    angle = scene.phase_rad[longest] + scene.speed_mps * begins_s / scene.circle_radius_m[longest]
    circle_m = scene.circle_radius_m[longest] * np.array([np.cos(angle), np.sin(angle)])
    position_m = np.array([*(scene.centre_m + circle_m), scene.altitude_m])
    expected_s = free_space_upload_s(simulation, position_m, np.array([*scene.gateway_m[gateway], 0.0]))
    assert report.upload_s[longest] == pytest.approx(expected_s, rel=1e-9)
    assert report.upload_s[longest] != pytest.approx(report.download_s[longest], rel=0.01)


def test_on_the_globe_an_upload_is_that_of_a_snapshot_of_its_time() -> None:
    simulation = build("walker-earth", **EIGHTEEN_SATELLITES, **{"links.model_bits": 1e11, "training.max_epochs": 1})
    state = simulation.reset(0)
    seen = int(state.window_s.max(axis=1).argmax())
    decision, gateway = alone(state, seen)
    _, report = simulation.step(decision)
    assert report.returned[seen]
    then = simulation.scene.at(report.download_s[seen] + report.compute_s[seen])
    rate_bps = simulation.ingredients.links.solo_rate_bps(then)[seen, gateway]
    expected_s = link_time_s(1e11, np.array([rate_bps]), then.distance_m[seen, gateway : gateway + 1])[0]
    assert report.upload_s[seen] == pytest.approx(expected_s, rel=1e-6)
    assert report.upload_s[seen] != pytest.approx(report.download_s[seen], rel=1e-3)


def test_epochs_and_both_transfers_fit_the_contact_and_one_more_would_not() -> None:
    simulation = build("leo-multitask", **SLOW)
    state, trained = simulation.reset(0), 0
    while not simulation.finished:
        before = state
        decision = decide(state)
        state, report = simulation.step(decision)
        busy_s = report.download_s + report.compute_s + report.upload_s
        window_s = before.window_s[decision.pairs]
        epoch_s = before.cycles_per_sample * before.samples / np.maximum(decision.cpu_frequency, 1.0)
        trains = report.returned & (report.epochs < before.max_epochs)
        assert (busy_s[report.returned] <= window_s[report.returned] * (1 + 1e-9)).all()
        assert (busy_s + epoch_s >= window_s * (1 - 1e-9))[trains].all()
        trained += int(trains.sum())
    assert trained > 10


def test_nothing_differs_where_nothing_moves() -> None:
    resting = {"constellation.speed_mps": 1e-9, "rounds.minimum_s": 60.0, "constellation.coverage_radius_m": 1e7}
    uploads_s = []
    for rule in ("upload", "start"):
        overrides = {**PHYSICS, **resting, "links.positions_at": rule}
        simulation = scenarios.build(scenarios.load("leo-multitask", **overrides))
        state = simulation.reset(0)
        uploads_s.append(simulation.step(decide(state))[1].upload_s)
    assert (uploads_s[0] > 0).any()
    np.testing.assert_allclose(uploads_s[0], uploads_s[1], rtol=1e-5)


@pytest.mark.parametrize(
    "rounds",
    [
        {},
        {"rounds.late": {"buffer": 2}, "compression": {"upload": {"kind": "quantised", "bits": 4}}},
        {
            "rounds.relay": {"isl": {"kind": "fixed", "rate_bps": 1e8}},
            "faults": {"satellites": {"mtbf_s": 3000.0, "mttr_s": 600.0}},
        },
    ],
)
@pytest.mark.parametrize("links", [{}, {"links.scan_exponent": 1.2, "links.satellite_pattern": "nadir"}])
def test_rounds_go_on_from_a_state_in_the_middle(rounds: dict, links: dict) -> None:
    scenario = scenarios.load("walker-earth", **PHYSICS, **EIGHTEEN_SATELLITES, **rounds, **links)
    assert_a_twin_goes_on_from_the_middle(scenario)


def globe_scene() -> ConstellationScene:
    orbits = walker(6, 2, 1, altitude_m=600e3, inclination_deg=60, epoch="2026-03-20T00:00:00")
    gateways = [
        site("Kourou"),
        GeostationaryGateway("Relay", longitude_deg=9.0),
        OrbitingGateway(
            "Medium",
            walker(1, 1, 0, altitude_m=8062e3, inclination_deg=20, epoch="2026-03-20T00:00:00"),
        ),
    ]
    return ConstellationScene(orbits, gateways)


def test_positions_at_many_times_are_those_of_snapshots() -> None:
    planar = scenarios.build("leo-multitask")
    planar.reset(0)
    for scene in (globe_scene(), planar.scene):
        times = np.array([0.0, 77.0, 600.0])
        satellites_m, gateways_m = positions_m(scene, times)
        snapshots = [scene.at(time) for time in times]
        np.testing.assert_allclose(satellites_m, [it.position_m for it in snapshots], rtol=1e-12, atol=1e-3)
        np.testing.assert_allclose(gateways_m, [it.gateway_position_m for it in snapshots], rtol=1e-12, atol=1e-3)


class Borrowed:
    """A scene of somebody's own, without positions at many times."""

    def __init__(self, scene: ConstellationScene) -> None:
        self.at, self.num_satellites = scene.at, scene.num_satellites


@pytest.mark.parametrize("own", [False, True])
def test_senders_are_placed_as_their_gateway_sees_them_then(monkeypatch, own: bool) -> None:
    monkeypatch.setattr("satfl_env.simulation.upload_positions._STATES", 12)
    scene = globe_scene()
    start = scene.at(100.0)
    sender, gateway = np.array([5, 1, 1, 0, 3, 4]), np.array([0, 1, 2, 2, 0, 1])
    rows = {name: getattr(start, name)[sender] for name in ("position_m", "velocity_mps", "distance_m", "clear")}
    senders = type(start)(**{**vars(start), **rows, "sender": sender})
    time_s = np.array([100.0, 160.0, 160.0, 300.0, 250.0, 101.5])
    there = moved(Borrowed(scene) if own else scene, senders, gateway, time_s)
    for row in range(6):
        then = scene.at(time_s[row])
        sight = then.position_m[sender[row]] - then.gateway_position_m[gateway[row]]
        np.testing.assert_allclose(there.position_m[row] - start.gateway_position_m[gateway[row]], sight, atol=1e-3)
        assert there.distance_m[row, gateway[row]] == pytest.approx(then.distance_m[sender[row], gateway[row]])


def test_a_misspelt_rule_is_named() -> None:
    with pytest.raises(ScenarioError, match=r"links\.positions_at: .*'start' or 'upload', got 'end'"):
        scenarios.load("leo-multitask", **{"links.positions_at": "end"})
