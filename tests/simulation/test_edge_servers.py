from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from satfl_env import SatFLVectorEnv, Simulation, scenarios
from satfl_env.scenarios import ScenarioError
from satfl_env.simulation import OneContact
from tests.combinations import action_of
from tests.factories import decide

BITS, CLIENT_BPS, CLIENT_HZ, POWER_W, CLIENTS = 1e6, 2e6, 2e8, 3.0, 3
WORLD = {
    "constellation": {
        "kind": "walker",
        "satellites": 12,
        "planes": 3,
        "phasing": 1,
        "altitude_m": 3e6,
        "inclination_deg": 70,
        "epoch": "2026-03-20T00:00:00",
        "gateways": ["Kourou", "Svalbard", "Singapore"],
    },
    "onboard.energy": {"kind": "draws", "counts_transmission": True, "mean_j": 500.0},
    "links.model_bits": BITS,
    "data.test_samples": 4,
    "training.max_epochs": 1,
    "rounds.episode": 4,
}
RELAY = {"isl": {"kind": "fixed", "rate_bps": 1e8, "transmit_power_w": POWER_W}}
DEVICES = {"clients": CLIENTS, "client_hz": CLIENT_HZ, "client_rate_bps": CLIENT_BPS}


def settings(**relay: Any) -> dict[str, Any]:
    return {**WORLD, "rounds.relay": {**RELAY, **relay}}


def build(**relay: Any) -> Simulation:
    return scenarios.build(scenarios.load("leo-multitask", **settings(**relay)))


def test_time_and_energy_by_hand() -> None:
    """Beside aggregation on board: one hop more both ways, the devices' time, and none of their energy."""
    edge, pooled = build(clients=DEVICES), build(combine_on_board=True)
    state, other_state = edge.reset(1), pooled.reset(1)
    np.testing.assert_allclose(state.link_s[state.visible], other_state.link_s[state.visible] + 2 * BITS / CLIENT_BPS)
    decision = decide(other_state)
    (_, report), (_, other) = (simulation.step(decision) for simulation in (edge, pooled))
    sent = report.returned & other.returned
    assert sent.sum() > 4
    most = np.ceil(state.samples / CLIENTS)
    np.testing.assert_allclose(report.compute_s[sent], (most * state.cycles_per_sample / CLIENT_HZ)[sent])
    assert not report.compute_energy_j.any()
    for name in ("download_s", "upload_s"):
        np.testing.assert_allclose(getattr(report, name)[sent], getattr(other, name)[sent] + BITS / CLIENT_BPS)
    more_j = POWER_W * BITS / CLIENT_BPS
    np.testing.assert_allclose(report.transmit_energy_j[sent], other.transmit_energy_j[sent] + more_j)


def test_gateways_get_the_mean_of_devices() -> None:
    """With plain gradient descent on all samples at once, the mean of the devices is what the satellite would train."""
    changes = {"training.optimizer": "sgd", "training.learning_rate": 0.01, "training.batch_size": 512}
    edge, pooled = (
        scenarios.build(scenarios.load("leo-multitask", **settings(**relay), **changes))
        for relay in ({"clients": DEVICES}, {"combine_on_board": True})
    )
    decision = decide(edge.reset(1))
    pooled.reset(1)
    for simulation in (edge, pooled):
        simulation.step(decision)
    one, other = (simulation.get_state()["models"]["gateway_models"] for simulation in (edge, pooled))
    assert one.keys() == other.keys() != set()
    for group, model in one.items():
        np.testing.assert_allclose(model, other[group], atol=2e-3)
        assert not torch.equal(model, other[group])


def test_a_twin_restored_in_mid_episode_goes_on_to_the_bit_alone_and_in_a_vector() -> None:
    simulation, twin = build(clients=DEVICES), build(clients=DEVICES)
    state = simulation.reset(4)
    state, _ = simulation.step(decide(state))
    restored = twin.set_state(simulation.get_state())
    while not simulation.finished:
        (state, one), (restored, other) = simulation.step(decide(state)), twin.step(decide(restored))
        np.testing.assert_array_equal(one.outcome, other.outcome)
        np.testing.assert_array_equal(one.test_loss, other.test_loss)
    envs = SatFLVectorEnv(2, scenario="leo-multitask", overrides=settings(clients=DEVICES))
    envs.reset(seed=[3, 4])
    simulation.reset(4)
    for _ in range(2):
        actions = [action_of(env.unwrapped) for env in envs.envs]
        envs.step({key: np.stack([action[key] for action in actions]) for key in actions[0]})
        decision = envs.envs[1].unwrapped._last_round[1]
        _, report = simulation.step(decision)
        np.testing.assert_array_equal(report.test_loss, envs.envs[1].unwrapped._last_round[2].test_loss)
    envs.close()


def test_as_a_part_it_is_what_it_is_as_a_setting() -> None:
    scenario = scenarios.load("leo-multitask", **settings(clients=DEVICES))
    plain = scenarios.load("leo-multitask", **WORLD)
    part = scenario.rounds.protocol(scenario.constellation)
    simulation, twin = scenarios.build(scenario), scenarios.build(plain, parts={"protocol": part})
    state, twin_state = simulation.reset(4), twin.reset(4)
    for _ in range(2):
        (state, one), (twin_state, other) = simulation.step(decide(state)), twin.step(decide(twin_state))
        assert one.returned.any()
        np.testing.assert_array_equal(one.test_loss, other.test_loss)
        np.testing.assert_array_equal(one.train_loss, other.train_loss)


def test_another_protocol_as_a_part_trains_no_devices() -> None:
    scenario = scenarios.load("leo-multitask", **settings(clients=DEVICES))
    simulation = scenarios.build(scenario, parts={"protocol": OneContact()})
    twin = scenarios.build(scenarios.load("leo-multitask", **WORLD))
    decision = decide(simulation.reset(4))
    twin.reset(4)
    (_, one), (_, other) = simulation.step(decision), twin.step(decision)
    np.testing.assert_array_equal(one.test_loss, other.test_loss)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rounds.relay": {"clients": {"clients": 0}}}, r"rounds.relay.clients.clients"),
        ({"rounds.relay": {"clients": {"client_hz": -1.0}}}, r"rounds.relay.clients.client_hz"),
        ({"rounds.relay": {"clients": {"client_hz": 1e30}}}, r"rounds.relay.clients.client_hz: .*, got 1e\+30"),
        ({"rounds.relay": {"clients": {}, "combine_on_board": True}}, r"combine_on_board does not go with clients"),
        ({"rounds.relay": {"clients": {}}, "structures": {}}, r"rounds.relay.clients does not go with structures"),
        ({"rounds.relay": {"clients": {}}, "rounds.late": {}}, r"rounds.relay.clients does not go with late"),
        ({"rounds.relay": {"clients": {}}, "onboard.cpu_max_hz": 2e9}, r"cpu_max_hz .*: devices train, at client_hz"),
        ({"rounds.relay": {"clients": {}}, "onboard.kappa": 1e-26}, r"onboard.kappa does not go with .*clients"),
        (
            {"rounds.relay": {"clients": {}}, "fleet": [{"name": "a", "cpu_max_hz": 2e9}]},
            r"cpu_max_hz in fleet .*clients",
        ),
    ],
)
def test_impossible_devices_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        scenarios.load("walker-earth", **changes)
