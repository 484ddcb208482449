"""The round loop: NetworkState -> Decision -> RoundReport."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from satfl_env.federated import Layout, make_trainer
from satfl_env.links import link_time_s
from satfl_env.onboard import battery_after_j, draw_energy_j
from satfl_env.orbits import SceneSnapshot
from satfl_env.semantics import semantic_similarity
from satfl_env.simulation.evaluation import Evaluation, evaluate, training_loss
from satfl_env.simulation.ingredients import EnergyDraws, Ingredients
from satfl_env.simulation.models import ModelStore, first_models
from satfl_env.simulation.participation import Participation, participate
from satfl_env.simulation.state import (
    BoolArray,
    Decision,
    FloatArray,
    IntArray,
    NetworkState,
    Outcome,
    RoundReport,
    check_decision,
)
from satfl_env.simulation.streams import numpy_generator, satellite_seeds, torch_generator
from satfl_env.simulation.updates import noisy_updates, refreshed, update_cosines


@dataclass
class _Progress:
    """What changes from round to round, apart from the models."""

    round: int
    time_s: float
    charge_j: FloatArray
    last_loss: FloatArray
    last_epochs: IntArray
    cluster: IntArray
    update_similarity: FloatArray
    test: Evaluation


class _Learned(NamedTuple):
    """What came of training and of the aggregation at the gateways."""

    outcome: IntArray
    weights: FloatArray
    equal_weight_groups: tuple[tuple[int, int], ...]
    train_loss: FloatArray
    batches: IntArray
    update_similarity: FloatArray


class Simulation:
    """A constellation that trains by federated learning, one communication round a step.

    Args:
        ingredients: What it is made of.
        torch_threads: Threads PyTorch may use inside a round; None leaves the process's setting alone.
    """

    def __init__(self, ingredients: Ingredients, *, torch_threads: int | None = 1) -> None:
        if torch_threads is not None and torch_threads < 1:
            raise ValueError(f"torch_threads must be at least 1 or None, got {torch_threads}")
        self.ingredients = ingredients
        self.torch_threads = torch_threads
        self._seed: int | None = None

    def reset(self, seed: int) -> NetworkState:
        """Start an episode; the seed determines all of it, given the decisions."""
        if seed < 0:
            raise ValueError(f"seed must not be negative, got {seed}")
        with _torch_threads(self.torch_threads):
            return self._start(seed)

    def step(self, decision: Decision) -> tuple[NetworkState, RoundReport]:
        """Play one communication round.

        Raises:
            ValueError: If the decision does not fit the state.
            RuntimeError: Before the first reset or after the last round of the episode.
        """
        self._require_reset()
        if self.finished:
            raise RuntimeError(f"the episode ended after {self._progress.round} rounds; call reset() first")
        check_decision(decision, self.state)
        with _torch_threads(self.torch_threads):
            return self._play(decision)

    @property
    def finished(self) -> bool:
        """Whether the episode's last round has been played."""
        self._require_reset()
        return self._progress.round >= self.ingredients.rounds.episode

    @property
    def state(self) -> NetworkState:
        """The network at the start of the next round."""
        self._require_reset()
        return self._state

    @property
    def snapshot(self) -> SceneSnapshot:
        """Where everything is at the start of the next round."""
        self._require_reset()
        return self._snapshot

    @property
    def test(self) -> Evaluation:
        """Test loss and metrics of the models the satellites hold now."""
        self._require_reset()
        return self._progress.test

    def get_state(self) -> dict[str, Any]:
        """Everything needed to go on from here: plain numbers, NumPy arrays and tensors, safe to save and load."""
        self._require_reset()
        return copy.deepcopy(
            {
                "seed": self._seed,
                "held": self._models.held,
                "gateway_models": self._models.gateway_models,
                "updated": sorted(self._models.updated),
                "progress": {name: value for name, value in vars(self._progress).items() if name != "test"},
                "test_loss": self._progress.test.loss,
                "test_metrics": dict(self._progress.test.metrics),
            }
        )

    def set_state(self, state: dict[str, Any]) -> NetworkState:
        """Go back to a state taken by `get_state` of a simulation with the same ingredients."""
        state = copy.deepcopy(state)
        if state["seed"] != self._seed:
            self.reset(state["seed"])
        test = Evaluation(state["test_loss"], state["test_metrics"])
        self._progress = _Progress(**state["progress"], test=test)
        self._models.held = state["held"]
        self._models.gateway_models = state["gateway_models"]
        self._models.updated = set(state["updated"])
        self._observe()
        return self._state

    def _require_reset(self) -> None:
        if self._seed is None:
            raise RuntimeError("call reset(seed) first")

    def _start(self, seed: int) -> NetworkState:
        ingredients = self.ingredients
        self._seed = seed
        self._scene = ingredients.scene(numpy_generator(seed, "orbits"))
        self._data = ingredients.data(numpy_generator(seed, "split"))
        self._similarity = semantic_similarity(self._data.label_pmf)
        self._model = ingredients.model(torch_generator(seed, "weights"))
        self._layout = Layout.of(self._model)
        num_shared = self._layout.num_shared(ingredients.shared)
        first = first_models(
            ingredients.model,
            torch_generator(seed, "weights", 0),
            self._scene.num_satellites,
            num_shared,
            own_decoders=ingredients.first_decoders == "own",
        )
        self._models = ModelStore(first, num_shared)
        self._model_bits = ingredients.model_bits or 32.0 * num_shared
        self._trainer = None
        if ingredients.engine != "none":
            self._trainer = make_trainer(ingredients.engine, self._model, ingredients.training)
        self._test_draw = self._model.draw_channel(
            len(self._data.test_images), torch_generator(seed, "noise"), snr_db=ingredients.test_snr_db
        )

        num_satellites = self._scene.num_satellites
        energy = ingredients.energy
        initial_j = 0.0 if isinstance(energy, EnergyDraws) else energy.initial_j
        self._progress = _Progress(
            round=0,
            time_s=0.0,
            charge_j=np.full(num_satellites, initial_j),
            last_loss=training_loss(
                self._model, self._layout, first, self._data.train, torch_generator(seed, "noise", 0)
            ),
            last_epochs=np.zeros(num_satellites, dtype=np.int64),
            cluster=np.zeros(num_satellites, dtype=np.int64),
            update_similarity=np.eye(num_satellites),
            test=self._evaluate(),
        )
        self._observe()
        return self._state

    def _require_seed(self) -> int:
        self._require_reset()
        assert self._seed is not None
        return self._seed

    def _evaluate(self) -> Evaluation:
        return evaluate(self._model, self._layout, self._models.held, self._data, self._test_draw)

    def _observe(self) -> None:
        """Look at the network at the current time."""
        progress, computer = self._progress, self.ingredients.computer
        snapshot = self._scene.at(progress.time_s)
        rate_bps = self.ingredients.links.solo_rate_bps(snapshot.distance_m)
        link_s = 2 * link_time_s(self._model_bits, rate_bps, snapshot.distance_m)
        num_satellites = self._scene.num_satellites
        self._snapshot = snapshot
        self._state = NetworkState(
            round=progress.round,
            time_s=progress.time_s,
            position_m=snapshot.position_m,
            velocity_mps=snapshot.velocity_mps,
            distance_m=snapshot.distance_m,
            visible=snapshot.visible,
            window_s=snapshot.window_s,
            rate_bps=rate_bps,
            link_s=np.minimum(link_s, self._scene.horizon_s),
            energy_j=self._available_energy_j(),
            samples=self._data.train.samples,
            last_loss=progress.last_loss,
            last_epochs=progress.last_epochs,
            cluster=progress.cluster,
            similarity=self._similarity,
            update_similarity=progress.update_similarity,
            cpu_max_hz=np.full(num_satellites, computer.cpu_max_hz),
            cycles_per_sample=np.full(num_satellites, computer.cycles_per_sample),
            kappa=np.full(num_satellites, computer.kappa),
            max_epochs=np.full(num_satellites, self.ingredients.max_epochs, dtype=np.int64),
        )

    def _available_energy_j(self) -> FloatArray:
        energy = self.ingredients.energy
        if isinstance(energy, EnergyDraws):
            rng = numpy_generator(self._require_seed(), "energy", self._progress.round)
            return draw_energy_j(rng, self._scene.num_satellites, energy.mean_j, energy.std_j)
        return np.maximum(self._progress.charge_j - energy.reserve_j, 0.0)

    def _play(self, decision: Decision) -> tuple[NetworkState, RoundReport]:
        before, settings = self._progress, self.ingredients.rounds
        part = self._participate(decision)
        learned = self._learn(decision, part)
        returned = learned.outcome == Outcome.RETURNED
        merged = (before.round + 1) % settings.cloud_every == 0
        gateway_weights, equal_merges = np.zeros((len(returned), self._scene.num_gateways)), tuple[int, ...]()
        if merged:
            gateway_weights, equal_merges = self._models.merge(decision.gateway_weights)
        self._models.distribute(decision.association, decision.cluster, returned)
        test = before.test if self._trainer is None else self._evaluate()
        duration_s = settings.cadence_s or max(settings.minimum_s, float(part.busy_s.max()))
        report = RoundReport(
            round=before.round,
            time_s=before.time_s,
            duration_s=duration_s,
            outcome=learned.outcome,
            epochs=part.epochs,
            batches=learned.batches,
            download_s=part.download_s,
            compute_s=part.compute_s,
            upload_s=part.upload_s,
            compute_energy_j=part.compute_energy_j,
            transmit_energy_j=part.transmit_energy_j,
            weights=learned.weights,
            equal_weight_groups=learned.equal_weight_groups,
            merged=merged,
            gateway_weights=gateway_weights,
            equal_weight_merges=equal_merges,
            train_loss=learned.train_loss,
            test_loss_before=before.test.loss,
            test_loss=test.loss,
            metrics=test.metrics,
        )
        self._progress = _Progress(
            round=before.round + 1,
            time_s=before.time_s + duration_s,
            charge_j=self._charge_after(report),
            last_loss=np.where(np.isfinite(learned.train_loss), learned.train_loss, before.last_loss),
            last_epochs=np.where(returned, part.epochs, before.last_epochs),
            cluster=decision.cluster.astype(np.int64),
            update_similarity=learned.update_similarity,
            test=test,
        )
        self._observe()
        return self._state, report

    def _participate(self, decision: Decision) -> Participation:
        links, snapshot = self.ingredients.links, self._snapshot
        pair = np.minimum(decision.association, self._scene.num_gateways - 1)
        distance_m = snapshot.distance_m[np.arange(len(pair)), pair]
        rate_bps = links.associated_rate_bps(
            snapshot.position_m, snapshot.gateway_position_m, snapshot.distance_m, decision.association
        )
        return participate(
            self._state,
            decision,
            link_time_s(self._model_bits, rate_bps, distance_m),
            transmit_power_w=links.transmit_power_w,
            cadence_s=self.ingredients.rounds.cadence_s,
        )

    def _learn(self, decision: Decision, part: Participation) -> _Learned:
        """Train, then aggregate at the gateways."""
        num_satellites = len(part.outcome)
        start = self._models.start_parameters(decision.association, decision.cluster, part.trains)
        if self._trainer is None:
            trained, outcome = start, part.outcome
            train_loss, batches = np.full(num_satellites, np.nan), np.zeros(num_satellites, dtype=np.int64)
        else:
            seeds = satellite_seeds(self._require_seed(), self._progress.round, num_satellites)
            result = self._trainer.train(start, self._data.train, part.epochs, seeds)
            trained, train_loss, batches = result.parameters, result.last_loss, result.batches
            outcome = np.where(part.trains & result.diverged, Outcome.DIVERGED, part.outcome).astype(np.int64)
        returned = outcome == Outcome.RETURNED
        received, update_similarity = self._receive(start, trained, returned)
        weights, equal_groups = self._models.aggregate(
            received, decision.weights, decision.association, decision.cluster, returned
        )
        return _Learned(outcome, weights, equal_groups, train_loss, batches, update_similarity)

    def _receive(self, start: Tensor, trained: Tensor, returned: BoolArray) -> tuple[Tensor, FloatArray]:
        """Parameters as they arrive, (S, P), and how alike the updates look that have come in so far, (S, S)."""
        shared, snr_db = slice(self._models.num_shared), self.ingredients.upload_snr_db
        updates, received = trained[:, shared] - start[:, shared], trained
        if snr_db is not None:
            generator = torch_generator(self._require_seed(), "uploads", self._progress.round)
            updates, received = noisy_updates(updates, snr_db, generator), trained.clone()
            received[:, shared] = start[:, shared] + updates
        cosines = update_cosines(updates[torch.from_numpy(returned)])
        return received, refreshed(self._progress.update_similarity, cosines, returned)

    def _charge_after(self, report: RoundReport) -> FloatArray:
        energy = self.ingredients.energy
        if isinstance(energy, EnergyDraws):
            return self._progress.charge_j
        return battery_after_j(
            self._progress.charge_j,
            report.energy_j,
            report.duration_s,
            harvest_w=energy.harvest_w,
            capacity_j=energy.capacity_j,
        )


@contextmanager
def _torch_threads(num_threads: int | None) -> Iterator[None]:
    """Limit PyTorch's threads inside the block: many small models train several times faster on one."""
    if num_threads is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(num_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
