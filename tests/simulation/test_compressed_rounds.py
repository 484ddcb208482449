"""Rounds whose transfers are compressed: bits, times and energies by hand, and what arrives at either end."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from satfl_env import (
    Compression,
    Outcome,
    Simulation,
    scenarios,
)
from satfl_env.federated import FedAvgM, Quantised, RandomK, TopK
from tests.factories import decide
from tests.vectors import assert_vectors_play_like_singles

QUICK = {"training.max_epochs": 2, "rounds.episode": 6, "data.test_samples": 8}
RATE_BPS, POWER_W, LIGHT_MPS = 1e6, 2.0, 299_792_458.0
IDEAL = {"links": {"kind": "ideal", "rate_bps": RATE_BPS, "transmit_power_w": POWER_W, "model_bits": 16e6}}
EIGHT_DOWN_TWO_UP = {
    "compression": {
        "upload": {"kind": "quantised", "bits": 2},
        "download": {"kind": "quantised", "bits": 8},
        "error_feedback": True,
    }
}
BOTH = {**EIGHT_DOWN_TWO_UP, "server": {"kind": "fedavgm"}}
ALL = [
    {"compression.upload": {"kind": "top-k", "share": 0.1}},
    {"compression": {"upload": {"kind": "random-k", "share": 0.1}, "error_feedback": True}},
    {"compression.download": {"kind": "quantised", "bits": 4}},
    {**BOTH, "links.upload_snr_db": 10.0},
    {**BOTH, "rounds.late": {"buffer": 2}},
    {"server": {"kind": "fedadam", "server_rate": 0.01}, "rounds.cohort": 5},
    {**BOTH, "faults": {"contact_loss": 0.2, "transfer_mtbf_s": 0.05, "upsets_per_bit_day": 1e-3}},
    {
        **BOTH,
        "fleet": [{"name": "small", "count": 4, "transmit_power_w": 2.0}, {"name": "big", "cpu_max_hz": 2e9}],
        "observation": {"add": ["gateway_version", "contact_start_s"]},
    },
]
each = pytest.mark.parametrize("changes", ALL, ids=str)


class Tenths:
    """Numbers rounded to tenths, which takes half of the bits."""

    def size_bits(self, num_parameters: int) -> float:
        return 16.0 * num_parameters

    def compress(self, vectors: Tensor, generator: torch.Generator) -> Tensor:
        return (10 * vectors).round() / 10

    def variance(self, vectors: Tensor) -> Tensor:
        return vectors.new_zeros(len(vectors))


class TooLarge(Tenths):
    """Numbers that no model can hold."""

    def compress(self, vectors: Tensor, generator: torch.Generator) -> Tensor:
        return 1e20 * vectors


def build(parts: Any = None, **changes: Any) -> Simulation:
    return scenarios.build(scenarios.load("leo-multitask", **{**QUICK, **changes}), parts=parts)


def play(simulation: Simulation, rounds: int, seed: int = 0) -> list:
    state, steps = simulation.reset(seed), []
    for _ in range(rounds):
        state, report = simulation.step(decide(state))
        steps.append((state, report))
    return steps


def shared_of(simulation: Simulation) -> int:
    return next(iter(simulation.get_state()["models"]["gateway_models"].values())).numel()


def assert_equal(one: Any, other: Any) -> None:
    for (state, report), (other_state, other_report) in zip(one, other, strict=True):
        np.testing.assert_array_equal(report.test_loss, other_report.test_loss)
        np.testing.assert_array_equal(report.outcome, other_report.outcome)
        np.testing.assert_array_equal(report.upload_bits, other_report.upload_bits)
        np.testing.assert_array_equal(state.update_similarity, other_state.update_similarity)


def test_bits_times_and_energies_are_those_counted_by_hand():
    simulation = build(**IDEAL, **EIGHT_DOWN_TWO_UP)
    before = simulation.reset(0)
    _, report = simulation.step(decide(before))
    came, number = report.returned, shared_of(simulation)
    down_bits = round(16e6 * (8 * number + 64) / (32 * number))
    up_bits = round(16e6 * (2 * number + 64) / (32 * number))
    np.testing.assert_allclose(report.download_bits, np.where(came, down_bits, 0.0))
    np.testing.assert_array_equal(report.upload_bits, np.where(came, up_bits, 0.0))
    pair = np.arange(len(came)), np.where(came, decide(before).association, 0)
    way_s = before.distance_m[pair] / LIGHT_MPS
    np.testing.assert_allclose(report.download_s[came], (down_bits / RATE_BPS + way_s)[came])
    np.testing.assert_allclose(report.upload_s[came], (up_bits / RATE_BPS + way_s)[came])
    np.testing.assert_allclose(report.transmit_energy_j, POWER_W * report.upload_s)
    np.testing.assert_allclose(before.link_s[pair][came], (report.download_s + report.upload_s)[came])


def test_what_is_saved_on_the_link_is_trained():
    changes = {
        "links": {**IDEAL["links"], "model_bits": 50e6},
        "training.max_epochs": 10_000,
        "onboard.cycles_per_sample": 1e7,
        "onboard.energy.mean_j": 1e6,
    }
    plain, small = (
        play(build(**changes, **more), 1)[0][1]
        for more in ({}, {"compression.upload": {"kind": "quantised", "bits": 1}})
    )
    both = plain.returned & small.returned
    assert both.any()
    assert (small.epochs[both] > plain.epochs[both]).all()
    assert (small.transmit_energy_j[both] < plain.transmit_energy_j[both]).all()


def test_the_state_s_power_gives_the_energy_of_an_upload():
    simulation = build(**IDEAL, **EIGHT_DOWN_TWO_UP, **{"onboard.energy.counts_transmission": True})
    state = simulation.reset(0)
    _, report = simulation.step(decide(state))
    pair = np.arange(state.num_satellites), decide(state).association % state.num_gateways
    expected_j = (state.transmit_power_w * state.link_s[pair] / 2)[report.returned]
    # The time that light takes goes there and back alike, and the power counts bits.
    np.testing.assert_allclose(expected_j, report.transmit_energy_j[report.returned], atol=POWER_W * 0.01)


def test_gateways_take_in_what_the_compressor_leaves_of_an_update():
    simulation = build({"compression": Compression(upload=Tenths())})
    decision = decide(simulation.reset(0))
    opened = simulation.begin(decision)
    result = simulation.trainer.train(*opened.job)
    simulation.learn(opened, result)
    models = simulation.get_state()["models"]["gateway_models"]
    for (gateway, label), model in models.items():
        group = np.flatnonzero(
            (decision.association == gateway) & (decision.cluster == label) & opened.participation.trains
        )
        start, trained = (it[group, : len(model)] for it in (opened.job.parameters, result.parameters))
        expected = (start + (10 * (trained - start)).round() / 10).mean(dim=0)
        torch.testing.assert_close(model, expected, rtol=0, atol=1e-6)


def test_satellites_remember_what_was_left_of_their_updates_and_nothing_else():
    simulation = build({"compression": Compression(upload=Tenths(), error_feedback=True)})
    simulation.reset(0)
    memory = torch.zeros(10, 0)
    for _ in range(3):
        opened = simulation.begin(decide(simulation.state))
        result = simulation.trainer.train(*opened.job)
        learned = simulation.learn(opened, result)
        simulation.finish(learned, simulation.evaluate(learned.job))
        number, came = shared_of(simulation), learned.outcome == 0
        memory = memory if memory.numel() else torch.zeros(10, number)
        wanted = (result.parameters - opened.job.parameters)[:, :number] + memory
        memory = torch.where(torch.from_numpy(came)[:, None], wanted - (10 * wanted).round() / 10, memory)
        torch.testing.assert_close(simulation.get_state()["progress"]["upload_memory"], memory, rtol=0, atol=1e-6)
    assert memory.any()


@pytest.mark.parametrize(
    ("upload", "changes"),
    [(TooLarge(), {}), (Tenths(), {"links.upload_snr_db": -200.0, "training.learning_rate": 10.0})],
)
def test_updates_that_do_not_arrive_leave_what_satellites_remember(upload, changes):
    simulation = build({"compression": Compression(upload=upload, error_feedback=True)}, **changes)
    (_, report), *_ = play(simulation, 1)
    lost = report.outcome == Outcome.DIVERGED
    assert lost.any()
    assert not simulation.get_state()["progress"]["upload_memory"][torch.from_numpy(lost)].any()


@pytest.mark.parametrize("late", [None, {"buffer": 1}])
def test_satellites_train_from_what_arrives_of_their_gateway_s_model(late):
    simulation = build({"compression": Compression(download=Tenths())}, **{"rounds.late": late})
    simulation.reset(0)
    first = simulation.get_state()["models"]["held"]
    for _ in range(4):
        simulation.step(decide(simulation.state))
    decision = decide(simulation.state)
    opened, number = simulation.begin(decision), shared_of(simulation)
    models, trains = simulation.get_state()["models"], opened.participation.trains
    start = opened.job.parameters[trains, :number]
    # A gateway that has no model yet leaves satellites the one they started with.
    start = start[(start != first[trains, :number]).any(dim=1)]
    assert len(start)
    torch.testing.assert_close(start, (10 * start).round() / 10)
    if late is None:
        own = [models["gateway_models"][decision.association[one], 0] for one in np.flatnonzero(trains)]
        torch.testing.assert_close(start, (10 * torch.stack(own)).round() / 10)
    # What is lost on the way down is not lost at the gateway.
    model = models["gateway_models"][decision.association[np.flatnonzero(trains)[0]], 0]
    assert not torch.equal(model, (10 * model).round() / 10)
    _, report = simulation.step(decision)
    fetched = simulation.get_state()["models"]["held"][report.returned, :number]
    torch.testing.assert_close(fetched, (10 * fetched).round() / 10)


GLOBE = {
    "data.test_samples": 4,
    "data.partition": {"span_s": 7200.0, "max_samples": 20},
    "constellation.satellites": 27,
    "constellation.planes": 3,
    "constellation.phasing": 1,
    "training.max_epochs": 1,
    "rounds.relay": {"combine_on_board": True},
    # A gateway without a model takes the one that satellites bring.
    "rounds.cloud_every": 1,
}


@pytest.mark.parametrize(("scenario", "changes"), [("leo-multitask", QUICK), ("walker-earth", GLOBE)])
def test_what_is_lost_on_the_way_down_is_not_lost_at_gateways(scenario, changes):
    """Nothing is trained at no step size: the model stays, though satellites train from a coarse one."""
    still = {"training.learning_rate": 1e-30, "training.optimizer": "sgd"}
    coarse = {"compression.download": {"kind": "quantised", "bits": 2}}
    simulation = scenarios.build(scenarios.load(scenario, **changes, **still, **coarse))
    simulation.reset(0)
    first = simulation.get_state()["models"]["held"][0]
    for _ in range(4):
        simulation.step(decide(simulation.state))
    number = shared_of(simulation)
    for model in simulation.get_state()["models"]["gateway_models"].values():
        torch.testing.assert_close(model, first[:number], rtol=0, atol=1e-5)
    assert not torch.allclose(simulation.get_state()["models"]["held"][:, :number], first[:number], atol=1e-3)


@each
def test_a_state_in_the_middle_goes_on_as_it_would_have(changes):
    simulation, other = build(**changes), build(**changes)
    play(simulation, 3)
    state = simulation.get_state()
    other.set_state(state)
    rest = [[one.step(decide(one.state)) for _ in range(3)] for one in (simulation, other)]
    assert_equal(*rest)
    again = build(**changes)
    assert_equal(rest[0], play(again, 6)[3:])
    assert np.isfinite([report.test_loss for _, report in rest[0]]).all()


def test_a_state_without_memory_is_refused():
    plain, remembers = build(), build(**EIGHT_DOWN_TWO_UP)
    for simulation in (plain, remembers):
        play(simulation, 1)
    with pytest.raises(ValueError, match=r"\['upload_memory'\] has shape \(10, 0\); expected \(10, "):
        remembers.set_state({**plain.get_state(), "models": remembers.get_state()["models"]})


def test_single_environments_vectors_and_processes_play_the_same():
    assert_vectors_play_like_singles({**QUICK, "training.max_epochs": 1, "rounds.episode": 3, **BOTH})


@pytest.mark.parametrize(
    ("part", "changes"),
    [
        (
            {"compression": Compression(upload=Quantised(bits=4))},
            {"compression.upload": {"kind": "quantised", "bits": 4}},
        ),
        (
            {"compression": Compression(upload=TopK(share=0.2), download=RandomK(share=0.9), error_feedback=True)},
            {
                "compression": {
                    "upload": {"kind": "top-k", "share": 0.2},
                    "download": {"kind": "random-k", "share": 0.9},
                    "error_feedback": True,
                }
            },
        ),
        ({"server": FedAvgM()}, {"server.kind": "fedavgm"}),
    ],
)
def test_a_part_is_the_scenario_s_section(part, changes):
    assert_equal(play(build(part), 3), play(build(**changes), 3))


def test_compression_has_draws_of_its_own():
    (_, plain), (_, small) = (
        play(build(**more), 1)[0] for more in ({}, {"compression.upload": {"kind": "quantised", "bits": 1}})
    )
    np.testing.assert_array_equal(plain.train_loss, small.train_loss)
    assert (plain.test_loss != small.test_loss).any()


def test_without_training_only_bits_and_times_change():
    changes = {**IDEAL, **BOTH, "training.engine": "none"}
    state, report = play(build(**changes), 2)[1]
    assert report.returned.any()
    assert np.unique(report.upload_bits[report.returned]).size == 1
    assert report.upload_s.max() < report.download_s.max()
    np.testing.assert_array_equal(state.update_similarity, np.eye(10))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"compression.upload": {"kind": "top-k"}}, "compression.upload.share: missing"),
        ({"compression.upload": {"kind": "quantised", "bits": 32}}, "compression.upload.bits: .* 16, got 32"),
        ({"compression.uplaod": None}, "compression.uplaod: unknown key, did you mean 'upload'"),
        ({"compression.error_feedback": True}, "compression.error_feedback must be false where upload is null"),
        (
            {"server.kind": "fedsgd"},
            "server.kind: must be one of 'fedavg', 'fedavgm', 'fedadam', got 'fedsgd', did you mean",
        ),
        ({"server": {"kind": "fedadam", "tau": 0}}, "server.tau: .* greater than 0, got 0"),
    ],
)
def test_settings_that_do_not_fit_are_named(changes, words):
    with pytest.raises(scenarios.ScenarioError, match=words):
        scenarios.load("leo-multitask", **changes)
