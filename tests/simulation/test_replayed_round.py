"""Rounds played a second time, one satellite after the other, with the equations written out.

Who takes part and what it costs is replayed without training; what is learned, with the participants and epochs of the
report. Chance comes from the streams of the seed, one child a round: that each has its own is part of the promise.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from satfl_env import Decision, NetworkState, Outcome, RoundReport, Simulation, scenarios
from satfl_env.federated import Layout, thread_limit
from satfl_env.links import FixedIsl
from satfl_env.orbits import SceneSnapshot
from satfl_env.semantics import ChannelDraw
from satfl_env.simulation.protocols import Contacts, PlaneLinks, Relays, direct_contacts
from satfl_env.simulation.streams import Stream, numpy_generator, satellite_seeds, torch_generator

SEED, ROUNDS = 3, 4
MODEL_BITS, ISL_RATE_BPS, PLANES, COHORT = 2e10, 5e9, 2, 4
CYCLES, KAPPA, CPU_MAX_HZ, MEAN_J, STD_J = 1e8, 5e-27, 1e9, 100.0, 10.0
CARRIER_HZ, BAND_HZ, POWER_W, ARRAY = 10e9, 1e9, 10.0, 16
PEAK_GAIN, NOISE_W_PER_HZ = 10 ** ((25 + 45 - 1.5) / 10), 1.380649e-23 * 290 * 10 ** (2 / 10)
LIGHT_MPS, NEVER_SHORTER_S = 299_792_458.0, 60.0
BATCH, MAX_EPOCHS, LEARNING_RATE, TEST_SNR_DB, UPLOAD_SNR_DB = 8, 3, 5e-3, 0.0, 3.0
BUFFER, STALENESS_POWER, SERVER_RATE, LATE_CYCLES = 2, 0.7, 0.8, 1e9

# A gateway and a cluster.
Group = tuple[int, int]

SMALL: dict[str, Any] = {
    "links.model_bits": MODEL_BITS,
    "onboard.cycles_per_sample": CYCLES,
    "data.partition": {"samples": [10, 30]},
    "data.test_samples": 40,
    "model": {"hidden": 8, "channel_uses": 4, "decoder_hidden": 6},
    "training": {"batch_size": BATCH, "learning_rate": LEARNING_RATE, "max_epochs": MAX_EPOCHS},
}
PHYSICS: dict[str, Any] = {"training.engine": "none", "training.max_epochs": 1000}
# Two gateways close to each other: a satellite that serves one of them can interfere with the other.
GLOBE: dict[str, Any] = {
    "kind": "walker",
    "satellites": 24,
    "planes": PLANES,
    "phasing": 1,
    "altitude_m": 3e6,
    "inclination_deg": 70,
    "epoch": "2026-03-20T00:00:00",
    "start_within_s": 0.0,
    "gateways": [
        {"name": "west", "latitude_deg": 0.0, "longitude_deg": 0.0},
        {"name": "east", "latitude_deg": 0.0, "longitude_deg": 3.0},
    ],
}


def build(**changes: Any) -> Simulation:
    return scenarios.build(scenarios.load("leo-multitask", **{**SMALL, **changes}))


def decide(state: NetworkState, rng: np.random.Generator, *, labels: int = 1) -> Decision:
    """Gateways in sight at random, some satellites at rest; gateways keep their weights."""
    chance = np.where(state.visible, rng.random(state.visible.shape), -1.0)
    takes_part = state.visible.any(axis=1) & (rng.random(state.num_satellites) < 0.8)
    return Decision(
        association=np.where(takes_part, chance.argmax(axis=1), state.num_gateways),
        cpu_frequency=rng.uniform(0.2, 0.9, state.num_satellites) * CPU_MAX_HZ,
        cluster=rng.integers(0, labels, state.num_satellites),
        weights=rng.uniform(0.2, 1.0, state.num_satellites),
        gateway_weights=np.arange(1.0, state.num_gateways + 1),
    )


# What a round costs.


def rate_by_hand(satellite: int, sender_m: np.ndarray, snapshot: SceneSnapshot, association: np.ndarray) -> float:
    """The shared rate with interference (SemSpaceFL, eq. 8-15); satellites send from `sender_m`, (S, 3)."""
    gateway = association[satellite]
    sight_m = sender_m - snapshot.gateway_position_m[gateway]
    distance_m = np.linalg.norm(sight_m, axis=1)
    axes = np.eye(3) if snapshot.gateway_frame is None else snapshot.gateway_frame[gateway]
    direction = sight_m / distance_m[:, None] @ axes.T
    arriving_w = POWER_W * PEAK_GAIN / (4 * np.pi * distance_m * CARRIER_HZ / LIGHT_MPS) ** 2
    share_hz = BAND_HZ / (association == gateway).sum()
    disturbance_w = NOISE_W_PER_HZ * share_hz
    others = (association != gateway) & (association < len(snapshot.gateway_position_m)) & (direction[:, 2] > 0)
    for other in np.flatnonzero(others):
        apart = direction[other] - direction[satellite]
        along = [np.exp(1j * np.pi * np.arange(ARRAY) * cosine).mean() for cosine in apart[:2]]
        disturbance_w += arriving_w[other] * abs(along[0] * along[1]) ** 2 * share_hz / BAND_HZ
    return float(share_hz * math.log2(1 + arriving_w[satellite] / disturbance_w))


def energy_by_hand(round_index: int, satellites: int) -> np.ndarray:
    drawn = numpy_generator(SEED, "energy", round_index).normal(MEAN_J, STD_J, satellites)
    return np.clip(drawn, 0.0, MEAN_J + 6 * STD_J)


def cohort_by_hand(decision: Decision, state: NetworkState, round_index: int) -> Decision:
    """Everybody in a decision of `decide` sees the gateway; all but the drawn ones sit out."""
    candidates = np.flatnonzero(decision.association < state.num_gateways)
    drawn = numpy_generator(SEED, "cohort", round_index).permutation(candidates)[:COHORT]
    takes_part = np.isin(np.arange(state.num_satellites), drawn)
    return replace(decision, association=np.where(takes_part, decision.association, state.num_gateways))


def link_s_by_hand(relays: Contacts, horizon_s: float) -> np.ndarray:
    """There and back, alone on the whole band."""
    distance_m = relays.snapshot.distance_m
    arriving_w = POWER_W * PEAK_GAIN / (4 * np.pi * distance_m * CARRIER_HZ / LIGHT_MPS) ** 2
    rate_bps = BAND_HZ * np.log2(1 + arriving_w / (NOISE_W_PER_HZ * BAND_HZ))
    one_way_s = MODEL_BITS / rate_bps + distance_m / LIGHT_MPS + relays.carry_s
    return np.minimum(2 * one_way_s, horizon_s)


def costs_by_hand(state: NetworkState, scene: SceneSnapshot, relays: Contacts, decision: Decision) -> dict[str, Any]:
    """Times and energies of everyone (SemSpaceFL, eq. 5-6 and 16-19), under the names they have in the report.

    First everyone alone on the links, then together with those who could take part so, until all of them can.
    """
    everyone, sits_out = np.arange(state.num_satellites), state.num_gateways

    def costs_among(transmits: list[int], satellite: int) -> dict[str, Any]:
        association = np.where(np.isin(everyone, transmits), decision.association, sits_out)
        return cost_by_hand(satellite, state, scene, relays, decision, association)

    costs = {one: costs_among([one], one) for one in everyone.tolist()}
    transmits: list[int] = []
    while transmits != (fit := [one for one in costs if costs[one]["outcome"] == Outcome.RETURNED]):
        transmits = fit
        costs |= {one: costs_among(transmits, one) for one in transmits}
    return {name: np.array([costs[one][name] for one in costs]) for name in costs[0]}


def cost_by_hand(
    satellite: int,
    state: NetworkState,
    scene: SceneSnapshot,
    relays: Contacts,
    decision: Decision,
    association: np.ndarray,
) -> dict[str, Any]:
    """Times and energies of one satellite while those with an `association` transmit."""
    times, energies = ("download_s", "compute_s", "upload_s"), ("compute_energy_j", "transmit_energy_j")
    costs: dict[str, Any] = dict.fromkeys(("outcome", "epochs", *times, *energies), 0)
    gateway = decision.association[satellite]
    if gateway == state.num_gateways:
        return {**costs, "outcome": Outcome.SAT_OUT}
    relay = relays.sender[np.arange(state.num_satellites), np.minimum(association, state.num_gateways - 1)]
    rate_bps = rate_by_hand(satellite, scene.position_m[relay], scene, association)
    distance_m = np.linalg.norm(scene.position_m[relay[satellite]] - scene.gateway_position_m[gateway])
    transfer_s = MODEL_BITS / rate_bps + distance_m / LIGHT_MPS + relays.carry_s[satellite, gateway]
    cycles, cpu_hz = CYCLES * state.samples[satellite], decision.cpu_frequency[satellite]
    in_time = (relays.snapshot.window_s[satellite, gateway] - 2 * transfer_s) * cpu_hz / cycles
    if in_time < 1:
        return {**costs, "outcome": Outcome.OUT_OF_TIME}
    epochs = math.floor(min(in_time, state.energy_j[satellite] / (KAPPA * cycles * cpu_hz**2)))
    assert epochs >= 1
    return {
        "outcome": Outcome.RETURNED,
        "epochs": epochs,
        "download_s": transfer_s,
        "compute_s": epochs * cycles / cpu_hz,
        "upload_s": transfer_s,
        "compute_energy_j": epochs * KAPPA * cycles * cpu_hz**2,
        "transmit_energy_j": POWER_W * transfer_s,
    }


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"rounds.cohort": COHORT},
        {"constellation": GLOBE},
        {
            "constellation": {**GLOBE, "satellites": 12},
            "rounds.relay": {"isl": {"kind": "fixed", "rate_bps": ISL_RATE_BPS}},
        },
    ],
    ids=["plane", "cohort", "globe", "relays"],
)
def test_times_and_energies_are_those_of_the_equations(changes: dict[str, Any]) -> None:
    simulation, rng = build(**PHYSICS, **changes), np.random.default_rng(0)
    state, time_s = simulation.reset(SEED), 0.0
    last_epochs = np.zeros(state.num_satellites)
    for round_index in range(ROUNDS):
        scene = simulation.scene.at(time_s)
        relays = direct_contacts(scene)
        if "rounds.relay" in changes:
            relays = Relays(PlaneLinks(PLANES), FixedIsl(ISL_RATE_BPS)).contacts(scene, MODEL_BITS)
        np.testing.assert_allclose(state.energy_j, energy_by_hand(round_index, state.num_satellites))
        np.testing.assert_allclose(state.link_s, link_s_by_hand(relays, simulation.scene.horizon_s))
        decision = decide(state, rng)
        if round_index == ROUNDS - 1:
            # Those who have trained before are now too slow for a single epoch.
            decision.cpu_frequency[last_epochs > 0] = 1e5
        expected = decision
        if "rounds.cohort" in changes:
            expected = cohort_by_hand(decision, state, round_index)
        costs = costs_by_hand(state, scene, relays, expected)
        state, report = simulation.step(decision)
        for name, value in costs.items():
            np.testing.assert_allclose(getattr(report, name), value, rtol=1e-9, err_msg=name)
        busy_s = costs["download_s"] + costs["compute_s"] + costs["upload_s"]
        time_s += max(NEVER_SHORTER_S, busy_s.max())
        assert state.time_s == pytest.approx(time_s)
        last_epochs = np.where(report.returned, costs["epochs"], last_epochs)
        np.testing.assert_array_equal(state.last_epochs, last_epochs)
    assert (report.lost & (last_epochs > 0)).any()


# What a round teaches.


class Federation:
    """What satellites hold, and gateways of each cluster: encoders are shared, decoders stay on board."""

    def __init__(self, simulation: Simulation) -> None:
        ingredients = simulation.ingredients
        self.data = ingredients.data(simulation.scene, numpy_generator(SEED, "split"))
        self.model = ingredients.model()
        self.layout = Layout.of(self.model)
        self.shared = self.layout.num_shared("encoder")
        self.held: Tensor = simulation.get_state()["models"]["held"]
        self.first = self.held[0, : self.shared].clone()
        self.at_gateways: dict[Group, Tensor] = {}
        self.test_draw = self.model.draw_channel(
            len(self.data.test_images), torch_generator(SEED, "noise"), snr_db=TEST_SNR_DB
        )

    def train(self, satellite: int, report: RoundReport) -> float:
        """Adam on shuffled minibatches, from the model on board; gives the mean loss of the last epoch."""
        data = self.data.train
        own = slice(*data.offsets[satellite : satellite + 2])
        images, targets, mask = data.images[own], data.targets[own], data.output_mask[satellite]
        seeds = satellite_seeds(SEED, report.round, len(self.held))
        chance = torch.Generator().manual_seed(int(seeds[satellite]))
        self.layout.load(self.model, self.held[satellite])
        optimizer = torch.optim.Adam(self.model.parameters(), lr=LEARNING_RATE)
        losses: list[Tensor] = []
        for order, draw in self._epochs(len(images), report.epochs[satellite], chance):
            losses = []
            for first in range(0, len(images), BATCH):
                batch = slice(first, first + BATCH)
                chosen, met = order[batch], ChannelDraw(*(part[batch] for part in draw))
                outputs = self.model(images[chosen], met)
                loss = self.model.sample_loss(outputs, images[chosen], targets[chosen], mask)
                optimizer.zero_grad()
                loss.mean().backward()
                optimizer.step()
                losses.append(loss.detach())
        self.held[satellite] = self.layout.flatten(self.model)
        return float(torch.cat(losses).mean())

    def _epochs(self, samples: int, epochs: int, chance: torch.Generator) -> Iterator[tuple[Tensor, ChannelDraw]]:
        """Orders and channels, drawn for as many epochs at once as make 512 samples."""
        at_once = max(1, 512 // samples)
        for first in range(0, epochs, at_once):
            count = min(at_once, epochs - first)
            orders = torch.rand(count, samples, dtype=torch.float64, generator=chance).argsort()
            draws = self.model.draw_channel(count * samples, chance)
            for number, order in enumerate(orders):
                own = slice(number * samples, (number + 1) * samples)
                yield order, ChannelDraw(*(part[own] for part in draws))

    def test_loss(self) -> list[float]:
        data = self.data
        losses = []
        for satellite, row in enumerate(self.held):
            self.layout.load(self.model, row)
            targets, mask = data.test_targets[satellite], data.train.output_mask[satellite]
            with torch.no_grad():
                outputs = self.model(data.test_images, self.test_draw)
                loss = self.model.sample_loss(outputs, data.test_images, targets, mask)
            losses.append(float((loss * data.test_weights[satellite]).sum()))
        return losses

    def play(self, decision: Decision, report: RoundReport, upload_snr_db: float | None) -> np.ndarray:
        """A round whose updates come back at once, up to the merge; gives the training losses, (S,)."""
        losses, shared = np.full(len(self.held), np.nan), self.shared
        noise = torch.randn(len(self.held), shared, generator=torch_generator(SEED, "uploads", report.round))
        for group, satellites in groups_of(decision, report, Outcome.RETURNED).items():
            start = self.at_gateways.get(group, self.held[satellites, :shared].mean(dim=0))
            arrived = []
            for satellite in satellites:
                self.held[satellite, :shared] = start
                losses[satellite] = self.train(satellite, report)
                update = self.held[satellite, :shared] - start
                if upload_snr_db is not None:
                    update = update + noise[satellite] * (update.square().mean() * 10 ** (-upload_snr_db / 10)).sqrt()
                arrived.append(start + update)
            self.at_gateways[group] = mean(arrived, decision.weights[satellites])
        return losses

    def merge(self, weights: np.ndarray) -> None:
        """The cloud merges cluster 0, of which every gateway has a new model."""
        merged = mean([self.at_gateways[gateway, 0] for gateway in range(len(weights))], weights)
        self.at_gateways = {(gateway, 0): merged for gateway in range(len(weights))}

    def hand_out(self, groups: dict[Group, list[int]]) -> None:
        for group, satellites in groups.items():
            self.held[satellites, : self.shared] = self.at_gateways.get(group, self.first)


def mean(rows: list[Tensor], weights: np.ndarray) -> Tensor:
    return (torch.from_numpy(weights / weights.sum())[:, None] * torch.stack(rows)).sum(dim=0).float()


def groups_of(decision: Decision, report: RoundReport, *outcomes: Outcome) -> dict[Group, list[int]]:
    """Satellites with one of these outcomes, by gateway and cluster."""
    groups: dict[Group, list[int]] = {}
    for satellite in np.flatnonzero(np.isin(report.outcome, outcomes)).tolist():
        group = int(decision.association[satellite]), int(decision.cluster[satellite])
        groups.setdefault(group, []).append(satellite)
    return groups


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """More threads only get in each other's way with models as small as these."""
    with thread_limit(1):
        yield


@pytest.mark.parametrize(
    ("changes", "labels"),
    [
        ({"rounds.cloud_every": 2}, 1),
        ({"rounds.cloud_every": 1000}, 3),
        ({"rounds.cloud_every": 1000, "links.upload_snr_db": UPLOAD_SNR_DB}, 2),
    ],
    ids=["cloud", "clusters", "noisy-uploads"],
)
def test_losses_are_those_of_plain_training_and_means(changes: dict[str, Any], labels: int) -> None:
    simulation, rng = build(**changes), np.random.default_rng(1)
    state = simulation.reset(SEED)
    federation, last_loss = Federation(simulation), state.last_loss
    np.testing.assert_allclose(simulation.test.loss, federation.test_loss(), rtol=1e-5)
    for _ in range(ROUNDS):
        decision = decide(state, rng, labels=labels)
        state, report = simulation.step(decision)
        assert report.returned.sum() > 4
        losses = federation.play(decision, report, changes.get("links.upload_snr_db"))
        if report.merged:
            federation.merge(decision.gateway_weights)
        federation.hand_out(groups_of(decision, report, Outcome.RETURNED))
        last_loss = np.where(report.returned, losses, last_loss)
        np.testing.assert_allclose(report.train_loss, losses, atol=1e-5)
        np.testing.assert_allclose(state.last_loss, last_loss, atol=1e-5)
        np.testing.assert_allclose(report.test_loss, federation.test_loss(), atol=1e-5)


class Fetch(NamedTuple):
    """When a satellite fetched its model, in which version, and how fast it has trained since."""

    time_s: float
    version: int
    cpu_hz: float


class LateFederation(Federation):
    """Updates are trained between two contacts; gateways wait for some and move along their mean (FedBuff)."""

    def __init__(self, simulation: Simulation) -> None:
        super().__init__(simulation)
        self.fetches: dict[int, Fetch] = {}
        self.waiting: dict[Group, list[Tensor]] = {}
        self.version = 0

    def play_late(self, state: NetworkState, decision: Decision, report: RoundReport) -> dict[str, np.ndarray]:
        """A round from its state on; gives what its report must say, by name."""
        expected = {name: np.zeros(state.num_satellites) for name in ("epochs", "compute_s", "staleness")}
        expected["train_loss"] = np.full(state.num_satellites, np.nan)
        for group, satellites in groups_of(decision, report, Outcome.RETURNED).items():
            weights = decision.weights[satellites] / decision.weights[satellites].mean()
            for satellite, weight in zip(satellites, weights, strict=True):
                fetch, cycles = self.fetches[satellite], LATE_CYCLES * state.samples[satellite]
                in_time = (report.time_s - fetch.time_s) * fetch.cpu_hz / cycles
                in_energy = state.energy_j[satellite] / (KAPPA * cycles * fetch.cpu_hz**2)
                epochs, staleness = math.floor(min(in_time, in_energy, MAX_EPOCHS)), self.version - fetch.version
                expected["epochs"][satellite], expected["staleness"][satellite] = epochs, staleness
                expected["compute_s"][satellite] = epochs * cycles / fetch.cpu_hz
                fetched = self.held[satellite, : self.shared].clone()
                expected["train_loss"][satellite] = self.train(satellite, report)
                update = self.held[satellite, : self.shared] - fetched
                self.waiting.setdefault(group, []).append(weight * (1 + staleness) ** -STALENESS_POWER * update)
        self.move_models()
        takers = groups_of(decision, report, Outcome.RETURNED, Outcome.FETCHED)
        self.hand_out(takers)
        for satellite in np.concatenate([*takers.values()]):
            self.fetches[satellite] = Fetch(report.time_s, self.version, decision.cpu_frequency[satellite])
        return expected

    def move_models(self) -> None:
        full = [group for group, updates in self.waiting.items() if len(updates) >= BUFFER]
        for group in full:
            step = torch.stack(self.waiting.pop(group)).mean(dim=0)
            self.at_gateways[group] = self.at_gateways.get(group, self.first) + SERVER_RATE * step
        self.version += bool(full)


def test_late_updates_are_those_of_the_fetch_and_count_less_when_stale() -> None:
    late = {"buffer": BUFFER, "staleness_power": STALENESS_POWER, "server_rate": SERVER_RATE}
    changes = {"rounds.late": late, "rounds.cloud_every": 1000, "onboard.cycles_per_sample": LATE_CYCLES}
    simulation, rng = build(**changes), np.random.default_rng(2)
    state = simulation.reset(SEED)
    federation, stalest = LateFederation(simulation), 0
    for _ in range(2 * ROUNDS):
        decision, before = decide(state, rng), state
        state, report = simulation.step(decision)
        for name, value in federation.play_late(before, decision, report).items():
            np.testing.assert_allclose(getattr(report, name), value, atol=1e-5, err_msg=name)
        np.testing.assert_allclose(report.test_loss, federation.test_loss(), atol=1e-5)
        stalest = max(stalest, report.staleness.max())
    assert stalest > 1


@pytest.mark.parametrize("stream", ["energy", "cohort", "uploads"])
def test_every_round_has_chance_of_its_own(stream: Stream) -> None:
    drawn = [numpy_generator(SEED, stream, round_index).random() for round_index in range(ROUNDS)]
    assert len(set(drawn)) == ROUNDS
    seeds = np.stack([satellite_seeds(SEED, round_index, 10) for round_index in range(ROUNDS)])
    assert len(np.unique(seeds)) == seeds.size
