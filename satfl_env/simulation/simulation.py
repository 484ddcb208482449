"""The round loop: NetworkState -> Decision -> RoundReport."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from satfl_env.federated import Layout, LocalTrainer, TrainingResult, make_trainer, thread_limit
from satfl_env.links import link_time_s
from satfl_env.onboard import battery_after_j, draw_energy_j, usable_charge_j
from satfl_env.orbits import Scene, SceneSnapshot
from satfl_env.semantics import ChannelDraw, semantic_similarity
from satfl_env.simulation.evaluation import Evaluation, EvaluationJob, evaluate, training_loss
from satfl_env.simulation.ingredients import EnergyDraws, Ingredients
from satfl_env.simulation.late import participate_late, staleness_discount
from satfl_env.simulation.models import ModelStore, first_models, take_rows
from satfl_env.simulation.participation import Participation, limit_cohort, participate
from satfl_env.simulation.relay import no_relays, plane_relays
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
from satfl_env.simulation.training import NoTraining, TrainingJob
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
    # When each satellite fetched its model, in which version, and how fast its CPU has been to run since: only where
    # updates come a contact late.
    fetched_s: FloatArray
    fetched_version: IntArray
    fetched_cpu_hz: FloatArray


class OpenRound(NamedTuple):
    """A round that has been decided on, up to its training.

    Attributes:
        decision: The decision.
        participation: Who trains, and what it costs.
        job: The training to be done.
    """

    decision: Decision
    participation: Participation
    job: TrainingJob


class LearnedRound(NamedTuple):
    """A round whose models have been trained, aggregated and handed out, up to their test.

    Attributes:
        decision: The decision.
        participation: Who was to train, and what it cost.
        job: The test to be done.
        outcome: What became of each satellite's part, (S,).
        staleness: How often models have changed since it fetched the one it trained from, (S,).
        weights: Weights used at the gateways, (S,).
        equal_weights: Satellites in groups whose weights were made equal, (S,).
        gateway_weights: Weights used in the cloud, (S, G).
        equal_merges: Clusters whose gateways' weights were made equal, (S,).
        train_loss: Loss in the last local epoch, (S,).
        batches: Minibatches trained, (S,).
        update_similarity: How alike updates look by now, (S, S).
    """

    decision: Decision
    participation: Participation
    job: EvaluationJob
    outcome: IntArray
    staleness: IntArray
    weights: FloatArray
    equal_weights: BoolArray
    gateway_weights: FloatArray
    equal_merges: BoolArray
    train_loss: FloatArray
    batches: IntArray
    update_similarity: FloatArray


class Simulation:
    """A constellation that trains by federated learning, one communication round a step.

    Args:
        ingredients: What it is made of.
        torch_threads: Threads PyTorch may use inside a round; None leaves the process's setting alone.

    Raises:
        ValueError: If `torch_threads` is below 1.
    """

    def __init__(self, ingredients: Ingredients, *, torch_threads: int | None = 1) -> None:
        if torch_threads is not None and torch_threads < 1:
            raise ValueError(f"torch_threads must be at least 1 or None, got {torch_threads}")
        self.ingredients = ingredients
        self.torch_threads = torch_threads
        self._model = ingredients.model(torch.Generator())
        self._layout = Layout.of(self._model)
        self._trainer: LocalTrainer = NoTraining()
        if ingredients.engine != "none":
            self._trainer = make_trainer(ingredients.engine, self._model, ingredients.training, ingredients.hardware)
        self._seed: int | None = None
        self._progress: _Progress
        self._state: NetworkState

    def reset(self, seed: int) -> NetworkState:
        """Start an episode; the seed determines all of it, given the decisions.

        Raises:
            ValueError: If the seed is negative.
        """
        if seed < 0:
            raise ValueError(f"seed must not be negative, got {seed}")
        with thread_limit(self.torch_threads):
            return self._start(seed)

    def step(self, decision: Decision) -> tuple[NetworkState, RoundReport]:
        """Play one communication round.

        Raises:
            ValueError: If the decision does not fit the state.
            RuntimeError: Before the first reset or after the last round of the episode.
        """
        with thread_limit(self.torch_threads):
            opened = self.begin(decision)
            learned = self.learn(opened, self.trainer.train(*opened.job))
            (test,) = self.evaluate([learned.job])
            return self.finish(learned, test)

    def begin(self, decision: Decision) -> OpenRound:
        """First part of a step: who trains, from which models, for how long. Nothing has changed yet.

        Raises:
            ValueError: If the decision does not fit the state.
            RuntimeError: Before the first reset or after the last round of the episode.
        """
        self._require_reset()
        if self.finished:
            raise RuntimeError(f"the episode ended after {self._progress.round} rounds; call reset() first")
        check_decision(decision, self.state)
        cohort = self.ingredients.rounds.cohort
        if cohort is not None:
            rng = numpy_generator(self._require_seed(), "cohort", self._progress.round)
            decision = limit_cohort(decision, self.state, cohort, rng)
        part = self._participate(decision)
        held = self._models.held
        if self.ingredients.rounds.late is None:
            held = self._models.start_parameters(decision.association, decision.cluster, part.trains)
        job = TrainingJob(
            parameters=held,
            data=self._data.train,
            epochs=part.epochs,
            seeds=satellite_seeds(self._require_seed(), self._progress.round, len(part.epochs)),
        )
        return OpenRound(decision, part, job)

    def learn(self, opened: OpenRound, result: TrainingResult) -> LearnedRound:
        """Second part, after training: gateways and cloud aggregate, and hand the new models out."""
        decision, part, job = opened
        outcome = np.where(part.trains & result.diverged, Outcome.DIVERGED.value, part.outcome)
        returned = outcome == Outcome.RETURNED.value
        received, update_similarity = self._receive(job.parameters, result.parameters, returned)
        late = returned & (self.ingredients.rounds.late is not None)
        staleness = np.where(late, self._models.version - self._progress.fetched_version, 0)
        weights, equal_weights = self._aggregate(opened, result.parameters, received, returned, staleness)
        gateway_weights = np.zeros((len(returned), self._scene.num_gateways))
        equal_merges = np.zeros(len(returned), dtype=np.bool_)
        if self._merges:
            gateway_weights, equal_merges = self._models.merge()
        # Who sat out holds what was tested before, unless that was a model on its way to the gateway.
        came_back = self._fetched(outcome)
        changed = np.flatnonzero(came_back) if self.ingredients.tested == "held" else np.arange(len(returned))
        held = self._models.held if self.ingredients.tested == "held" else self._models.held.clone()
        self._models.distribute(decision.association, decision.cluster, came_back)
        return LearnedRound(
            decision=decision,
            participation=part,
            job=self._evaluation_job(changed, take_rows(held, changed)),
            outcome=outcome,
            staleness=staleness,
            weights=weights,
            equal_weights=equal_weights,
            gateway_weights=gateway_weights,
            equal_merges=equal_merges,
            train_loss=result.last_loss,
            batches=result.batches,
            update_similarity=update_similarity,
        )

    def evaluate(self, jobs: Sequence[EvaluationJob]) -> list[Evaluation | None]:
        """Third part: test the models of one or more simulations of these ingredients; None where nobody trains."""
        if self.ingredients.engine == "none":
            return [None] * len(jobs)
        return [*evaluate(self._model, self._layout, jobs)]

    def finish(self, learned: LearnedRound, test: Evaluation | None) -> tuple[NetworkState, RoundReport]:
        """Last part: report on the round, and look at the network at its end.

        Args:
            learned: The round.
            test: Its test; None if it is that of the round before.
        """
        before, part = self._progress, learned.participation
        test = before.test if test is None else before.test.updated(learned.job.satellites, test)
        report = RoundReport(
            round=before.round,
            time_s=before.time_s,
            duration_s=self._duration_s(part),
            outcome=learned.outcome,
            epochs=part.epochs,
            batches=learned.batches,
            download_s=part.download_s,
            compute_s=part.compute_s,
            upload_s=part.upload_s,
            compute_energy_j=part.compute_energy_j,
            transmit_energy_j=part.transmit_energy_j,
            staleness=learned.staleness,
            weights=learned.weights,
            equal_weights=learned.equal_weights,
            merged=self._merges,
            gateway_weights=learned.gateway_weights,
            equal_merges=learned.equal_merges,
            train_loss=learned.train_loss,
            test_loss_before=before.test.loss,
            test_loss=test.loss,
            metrics_before=before.test.metrics,
            metrics=test.metrics,
            last=before.round + 1 == self.ingredients.rounds.episode,
        )
        fetched = self._fetched(report.outcome)
        self._progress = _Progress(
            round=before.round + 1,
            time_s=before.time_s + report.duration_s,
            charge_j=self._charge_after(report),
            last_loss=np.where(np.isfinite(learned.train_loss), learned.train_loss, before.last_loss),
            last_epochs=np.where(report.returned, part.epochs, before.last_epochs),
            cluster=learned.decision.cluster.astype(np.int64),
            update_similarity=learned.update_similarity,
            test=test,
            fetched_s=np.where(fetched, before.time_s, before.fetched_s),
            fetched_version=np.where(fetched, self._models.version, before.fetched_version),
            fetched_cpu_hz=np.where(fetched, learned.decision.cpu_frequency, before.fetched_cpu_hz),
        )
        self._observe()
        return self._state, report

    @property
    def trainer(self) -> LocalTrainer:
        """What trains the satellites; it does as well for other simulations of these ingredients."""
        return self._trainer

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
    def scene(self) -> Scene:
        """The satellites and gateways of the episode."""
        self._require_reset()
        return self._scene

    @property
    def snapshot(self) -> SceneSnapshot:
        """Where everything is at the start of the next round."""
        self._require_reset()
        return self._snapshot

    @property
    def label_pmf(self) -> FloatArray:
        """Distribution of each satellite's labels over the common alphabet, (S, A): ocean, coast and land, say."""
        self._require_reset()
        return self._data.label_pmf

    @property
    def test(self) -> Evaluation:
        """Test loss and metrics of the models the satellites hold now."""
        self._require_reset()
        return self._progress.test

    def test_gateways(self, snr_db: float | None = None) -> Evaluation:
        """Test the model each gateway holds of cluster 0: loss and metrics are (G,), NaN where it holds none.

        Args:
            snr_db: Channel SNR of the test; the usual one if None.

        Raises:
            RuntimeError: Before the first reset, where decoders stay on board, where satellites serve tasks of their
                own, or where nobody trains.
        """
        self._require_reset()
        if self._data.train.output_mask is not None:
            raise RuntimeError("satellites serve tasks of their own: a gateway has no task to be tested on")
        if self._models.num_shared < self._layout.num_parameters:
            raise RuntimeError(
                "gateways hold no whole models to test: training.shared must be 'all', engine not 'none'"
            )
        models, held, test = self._models.gateway_models, self._models.held, self._progress.test
        holders = [gateway for gateway in range(self._scene.num_gateways) if (gateway, 0) in models]
        nan = np.full(self._scene.num_gateways, np.nan)
        result = Evaluation(nan, dict.fromkeys(test.metrics, nan))
        if not holders:
            return result
        tested = self.ingredients.tested == "held" and snr_db is None
        pending = []
        for gateway in holders:
            satellites = np.flatnonzero((held == models[gateway, 0]).all(dim=1).numpy())
            if tested and satellites.size:
                first = satellites[:1]
                own = Evaluation(test.loss[first], {name: values[first] for name, values in test.metrics.items()})
                result = result.updated(np.array([gateway]), own)
            else:
                pending.append(gateway)
        if not pending:
            return result
        job = EvaluationJob(
            models=torch.stack([models[gateway, 0] for gateway in pending]),
            satellites=np.zeros(len(pending), dtype=np.int64),
            data=self._data,
            draw=self._test_draw if snr_db is None else self._draw_test_channel(snr_db),
        )
        with thread_limit(self.torch_threads):
            return result.updated(np.array(pending), evaluate(self._model, self._layout, [job])[0])

    def get_state(self) -> dict[str, Any]:
        """Everything needed to go on from here: plain numbers, strings, NumPy arrays and tensors.

        A whole simulation or environment can be pickled or deep-copied in the middle of an episode as well.
        """
        self._require_reset()
        return copy.deepcopy(
            {
                "seed": self._seed,
                "held": self._models.held,
                "gateway_models": self._models.gateway_models,
                "stake": self._models.stake,
                "waiting": self._models.waiting,
                "version": self._models.version,
                "progress": {name: value for name, value in vars(self._progress).items() if name != "test"},
                "test_loss": self._progress.test.loss,
                "test_metrics": dict(self._progress.test.metrics),
            }
        )

    def set_state(self, state: dict[str, Any]) -> NetworkState:
        """Go back to a state taken by `get_state` of a simulation with the same ingredients.

        Raises:
            ValueError: If it comes from a simulation of other sizes.
        """
        state = copy.deepcopy(state)
        if state["seed"] != self._seed:
            self.reset(state["seed"])
        for name, own in (("held", self._models.held), ("stake", self._models.stake)):
            if state[name].shape != own.shape:
                raise ValueError(f"state[{name!r}] has shape {tuple(state[name].shape)}; expected {tuple(own.shape)}")
        test = Evaluation(state["test_loss"], state["test_metrics"])
        self._progress = _Progress(**state["progress"], test=test)
        self._models.held = state["held"]
        self._models.gateway_models = state["gateway_models"]
        self._models.stake = state["stake"]
        self._models.waiting, self._models.version = state["waiting"], state["version"]
        self._observe()
        return self._state

    def _require_reset(self) -> None:
        if self._seed is None:
            raise RuntimeError("call reset(seed) first")

    def _start(self, seed: int) -> NetworkState:
        ingredients = self.ingredients
        self._seed = seed
        self._scene = ingredients.scene(numpy_generator(seed, "orbits"))
        self._data = ingredients.data(self._scene, numpy_generator(seed, "split"))
        self._similarity = semantic_similarity(self._data.label_pmf)
        num_shared = self._layout.num_shared(ingredients.shared)
        first = first_models(
            self._model,
            torch_generator(seed, "weights", 0),
            self._scene.num_satellites,
            num_shared,
            own_decoders=ingredients.first_decoders == "own",
        )
        # Where nobody trains, models are not moved about either.
        moved = (first, num_shared) if ingredients.engine != "none" else (first[:, :0], 0)
        self._models = ModelStore(*moved, self._scene.num_gateways)
        self._model_bits = ingredients.model_bits or 32.0 * num_shared
        self._test_draw = self._draw_test_channel(ingredients.test_snr_db)

        num_satellites = self._scene.num_satellites
        # What never changes is looked at in every round.
        self._computers = {
            "cpu_max_hz": np.full(num_satellites, ingredients.computer.cpu_max_hz),
            "cycles_per_sample": np.full(num_satellites, ingredients.computer.cycles_per_sample),
            "kappa": np.full(num_satellites, ingredients.computer.kappa),
            "max_epochs": np.full(num_satellites, ingredients.max_epochs, dtype=np.int64),
        }
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
            test=evaluate(self._model, self._layout, [self._evaluation_job(np.arange(num_satellites), first)])[0],
            fetched_s=np.full(num_satellites, np.nan),
            fetched_version=np.zeros(num_satellites, dtype=np.int64),
            fetched_cpu_hz=np.zeros(num_satellites),
        )
        self._observe()
        return self._state

    def _require_seed(self) -> int:
        self._require_reset()
        assert self._seed is not None
        return self._seed

    def _draw_test_channel(self, snr_db: float) -> ChannelDraw:
        generator = torch_generator(self._require_seed(), "noise")
        draw: ChannelDraw = self._model.draw_channel(len(self._data.test_images), generator, snr_db=snr_db)
        return draw

    def _evaluation_job(self, satellites: IntArray, models: Tensor) -> EvaluationJob:
        return EvaluationJob(models, satellites, self._data, self._test_draw)

    def _observe(self) -> None:
        """Look at the network at the current time."""
        progress = self._progress
        relay = self.ingredients.rounds.relay
        self._direct = snapshot = self._scene.at(progress.time_s)
        self._relays = no_relays(snapshot)
        if relay is not None:
            self._relays = plane_relays(snapshot, relay.num_planes, self._model_bits, relay.isl_rate_bps)
            snapshot = self._relays.snapshot
        rate_bps = self.ingredients.links.solo_rate_bps(snapshot.distance_m)
        link_s = 2 * (link_time_s(self._model_bits, rate_bps, snapshot.distance_m) + self._relays.carry_s)
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
            **self._computers,
        )

    def _available_energy_j(self) -> FloatArray:
        energy = self.ingredients.energy
        if isinstance(energy, EnergyDraws):
            rng = numpy_generator(self._require_seed(), "energy", self._progress.round)
            return draw_energy_j(rng, self._scene.num_satellites, energy.mean_j, energy.std_j)
        return usable_charge_j(
            self._progress.charge_j, capacity_j=energy.capacity_j, depth_of_discharge=energy.depth_of_discharge
        )

    @property
    def _merges(self) -> bool:
        """Whether the cloud merges in the round that comes next."""
        return (self._progress.round + 1) % self.ingredients.rounds.cloud_every == 0

    def _duration_s(self, part: Participation) -> float:
        rounds = self.ingredients.rounds
        return rounds.cadence_s or max(rounds.minimum_s, float(part.busy_s.max()))

    def _participate(self, decision: Decision) -> Participation:
        links, direct, num_gateways = self.ingredients.links, self._direct, self._scene.num_gateways
        gateway = np.minimum(decision.association, num_gateways - 1)
        pair = np.arange(len(gateway)), gateway
        sender = self._relays.relay[pair]
        rate_bps = links.associated_rate_bps(
            direct.position_m[sender],
            direct.gateway_position_m,
            direct.distance_m[sender],
            # Who is out of sight does not send.
            np.where(self._snapshot.visible[pair], decision.association, num_gateways),
            direct.gateway_frame,
        )
        distance_m = self._snapshot.distance_m[pair]
        transfer_s = link_time_s(self._model_bits, rate_bps, distance_m) + self._relays.carry_s[pair]
        power_w, rounds, progress = links.transmit_power_w, self.ingredients.rounds, self._progress
        if rounds.late is not None:
            away_s = progress.time_s - progress.fetched_s
            return participate_late(
                self._state,
                decision,
                transfer_s,
                away_s,
                progress.fetched_cpu_hz,
                transmit_power_w=power_w,
                cadence_s=rounds.cadence_s,
            )
        return participate(self._state, decision, transfer_s, transmit_power_w=power_w, cadence_s=rounds.cadence_s)

    def _aggregate(
        self,
        opened: OpenRound,
        trained: Tensor,
        received: Tensor | None,
        returned: BoolArray,
        staleness: IntArray,
    ) -> tuple[FloatArray, BoolArray]:
        """Gateways take the updates in; gives the weights used and where they were made equal, (S,)."""
        late, decision = self.ingredients.rounds.late, opened.decision
        if late is None:
            return self._models.aggregate(
                trained,
                decision.weights,
                decision.gateway_weights,
                decision.association,
                decision.cluster,
                returned,
                received=received,
            )
        shared, members = self._models.num_shared, torch.from_numpy(returned)
        arrived = trained[:, :shared] if received is None else received
        return self._models.collect(
            trained,
            arrived[members] - opened.job.parameters[members, :shared],
            decision.weights,
            decision.gateway_weights,
            staleness_discount(staleness, late.staleness_power),
            decision.association,
            decision.cluster,
            returned,
            buffer=late.buffer,
            server_rate=late.server_rate,
        )

    def _receive(self, start: Tensor, trained: Tensor, returned: BoolArray) -> tuple[Tensor | None, FloatArray]:
        """Shared parameters as they arrive if not as sent, and how alike updates look by now, (S, S)."""
        if self.ingredients.engine == "none":
            return None, self._progress.update_similarity
        shared, snr_db = self._models.num_shared, self.ingredients.upload_snr_db
        trained, start, received = trained[:, :shared], start[:, :shared], None
        members = np.flatnonzero(returned)
        if snr_db is None:
            updates = take_rows(trained, members) - take_rows(start, members)
        else:
            generator = torch_generator(self._require_seed(), "uploads", self._progress.round)
            noisy = noisy_updates(trained - start, snr_db, generator)
            updates, received = take_rows(noisy, members), start + noisy
        cosines = update_cosines(updates)
        return received, refreshed(self._progress.update_similarity, cosines, returned)

    def _fetched(self, outcome: IntArray) -> BoolArray:
        """Satellites that leave a round with their gateway's model, (S,).

        One that diverged starts from its gateway's next time anyway; where updates come late it takes that along now.
        """
        fetched = (outcome == Outcome.RETURNED.value) | (outcome == Outcome.FETCHED.value)
        if self.ingredients.rounds.late is not None:
            fetched = fetched | (outcome == Outcome.DIVERGED.value)
        return np.asarray(fetched)

    def _charge_after(self, report: RoundReport) -> FloatArray:
        energy = self.ingredients.energy
        if isinstance(energy, EnergyDraws):
            return self._progress.charge_j
        lit_s = self._scene.sunlit_s(report.time_s, report.time_s + report.duration_s)
        return battery_after_j(
            self._progress.charge_j,
            report.energy_j + energy.standing_w * report.duration_s,
            report.duration_s,
            harvest_w=energy.harvest_w * lit_s / report.duration_s,
            capacity_j=energy.capacity_j,
        )
