"""The round loop: NetworkState -> Decision -> RoundReport."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from satfl_env.arguments import checked_integer, checked_seed
from satfl_env.federated import LocalTrainer, TrainingResult, torch_defaults
from satfl_env.links import link_time_s
from satfl_env.onboard import EnergyBalance, as_supply
from satfl_env.orbits import Forecast, Scene, SceneSnapshot
from satfl_env.semantics import semantic_similarity
from satfl_env.settings import MOST, Each
from satfl_env.simulation.decision import Decision, check_decision
from satfl_env.simulation.downlink import downlink
from satfl_env.simulation.evaluation import Evaluation, EvaluationJob
from satfl_env.simulation.faults import episode_faults
from satfl_env.simulation.ingredients import Ingredients
from satfl_env.simulation.models import Arrivals
from satfl_env.simulation.protocols import Aggregation, Fetched, Opening, Participation, Transfers, settle
from satfl_env.simulation.rounds import limit_cohort
from satfl_env.simulation.state import BoolArray, FloatArray, IntArray, NetworkState, Once, RoundReport, as_numbers
from satfl_env.simulation.streams import numpy_generator, satellite_seeds, torch_generator
from satfl_env.simulation.training import TrainingJob
from satfl_env.simulation.transfer_bits import TransferBits
from satfl_env.simulation.update_similarity import UpdateSimilarity
from satfl_env.simulation.updates import Outcome
from satfl_env.simulation.upload_positions import DecidedLinks, moved
from satfl_env.simulation.uploads import compress_updates, receive_updates

# Entries of a state.
_CHECKED_BY_THEMSELVES = ("state['models']", "state['local']")


@dataclass
class _Progress:
    """What changes from round to round, apart from the models."""

    round: int
    time_s: float
    charge_j: FloatArray
    last_loss: FloatArray
    last_epochs: IntArray
    cluster: IntArray
    update_similarity: UpdateSimilarity
    test: Evaluation
    # When each satellite last fetched a model, in which version, and the CPU frequency decided then.
    fetched_s: FloatArray
    fetched_version: IntArray
    fetched_cpu_hz: FloatArray
    # What compression has left out of each satellite's updates, (S, num_shared); (S, 0) without error feedback.
    upload_memory: Tensor


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
        opened: The round up to its training.
        result: What came out of the training.
        job: The test to be done.
        outcome: What became of each satellite's part, (S,).
        fetches: Satellites that leave the round with their gateway's model, (S,).
        aggregation: How updates counted at the gateways.
        gateway_weights: Weights used in the cloud, (S, G).
        equal_merges: Clusters, by label, whose gateways' weights were made equal, (S,).
        update_similarity: Latest cosine similarity of every two updates.
        upsets: Bits flipped in each trained model, (S,); None where nothing can fail.
        upload_memory: What satellites remember of updates that were compressed; see `Compression`.
    """

    opened: OpenRound
    result: TrainingResult
    job: EvaluationJob
    outcome: IntArray
    fetches: BoolArray
    aggregation: Aggregation
    gateway_weights: FloatArray
    equal_merges: BoolArray
    update_similarity: UpdateSimilarity
    upsets: IntArray | None
    upload_memory: Tensor


class Simulation:
    """A constellation that trains by federated learning, one communication round per step.

    Args:
        ingredients: What it is made of.
        torch_threads: Threads PyTorch may use inside a round; None leaves the process's setting alone.

    Raises:
        TypeError: If `torch_threads` is neither an integer nor None.
        ValueError: If it is below 1.
    """

    def __init__(self, ingredients: Ingredients, *, torch_threads: int | None = 1) -> None:
        if torch_threads is not None:
            checked_integer("torch_threads", torch_threads, 1, MOST)
        self.ingredients = ingredients
        self.torch_threads = torch_threads
        with torch_defaults():
            self._learner = ingredients.learner(ingredients)
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
        with torch_defaults(self.torch_threads):
            return self._start(seed)

    def step(self, decision: Decision) -> tuple[NetworkState, RoundReport]:
        """Play one communication round.

        Raises:
            ValueError: If the decision does not fit the state.
            RuntimeError: Before the first reset or after the last round of the episode.
        """
        with torch_defaults(self.torch_threads):
            opened = self.begin(decision)
            learned = self.learn(opened, self.trainer.train(*opened.job))
            return self.finish(learned, self.evaluate(learned.job))

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
        seed, round_index, protocol = self._require_seed(), self._progress.round, self.ingredients.protocol
        cohort = self.ingredients.rounds.cohort
        if cohort is not None:
            decision = limit_cohort(decision, self.state, cohort, numpy_generator(seed, "cohort", round_index))
        senders = self._senders(decision)
        now = self._links_from(decision, senders, self._state.rate_bps[decision.pairs])
        opening = Opening(
            state=self._state,
            decision=decision,
            **now.alone._asdict(),
            fetched=self._fetched(),
            transmit_power_w=self._equipment.links.transmit_power_w,
            counts_transmission=self._supply.counts_transmission,
            limit_s=self.ingredients.rounds.limit_s,
            stored_j=self._supply.stored_j(self._progress.charge_j),
            standing_w=self._supply.standing_w,
            contacts=self._contacts,
            upload_size=self._bits.upload / self._bits.mean,
        )
        later = partial(self._links_later, decision, senders)
        timed, transfers = self.ingredients.upload_positions(protocol, opening, now, later)
        serves = partial(self.ingredients.access.served, self._state, decision)
        served = partial(self._contacts.served, serves, decision)
        part = settle(protocol, timed, transfers, served)
        part = self._faults.strike(part, opening, self._contacts.sender[decision.pairs])
        job = TrainingJob(
            parameters=protocol.start(self._models, decision, part.trains),
            data=self._data.train,
            epochs=np.where(part.trains, part.epochs, 0),
            seeds=satellite_seeds(seed, round_index, len(part.epochs)),
            objective=self._local.objective(protocol, decision, part.trains),
        )
        return OpenRound(decision, part, job)

    def learn(self, opened: OpenRound, result: TrainingResult) -> LearnedRound:
        """Second part, after training: gateways and cloud aggregate, and hand the new models out."""
        decision, part, job = opened
        protocol, models = self.ingredients.protocol, self._models
        usable = partial(self._learner.usable, self._data.train)
        result, upsets = self._faults.upset(result, part, job.parameters, self._progress.round, usable)
        outcome = np.where(part.trains & result.diverged, Outcome.DIVERGED.value, part.outcome)
        arrivals, update_similarity, upload_memory = self._receive(
            job, result, returned=outcome == Outcome.RETURNED.value
        )
        outcome[(outcome == Outcome.RETURNED.value) & ~arrivals.returned] = Outcome.DIVERGED.value
        self._local.learn(decision, arrivals, result.mean_gradient)
        aggregation = protocol.aggregate(models, decision, arrivals, self._fetched(), self.ingredients.combine)
        gateway_weights, equal_merges = self._merge() if self._merges(decision) else models.no_merge()
        fetches = protocol.fetches(outcome)
        changed, judged = self._learner.hand_out(models, decision, fetches)
        self._local.distribute(decision, fetches)
        return LearnedRound(
            opened=opened,
            result=result,
            job=EvaluationJob(judged, changed, self._data, self._test_draw),
            outcome=outcome,
            fetches=fetches,
            aggregation=aggregation,
            gateway_weights=gateway_weights,
            equal_merges=equal_merges,
            update_similarity=update_similarity,
            upsets=upsets,
            upload_memory=upload_memory,
        )

    def evaluate(self, job: EvaluationJob) -> Evaluation:
        """Third part: test the models that have changed."""
        return self._learner.evaluate(job)

    def finish(self, learned: LearnedRound, test: Evaluation) -> tuple[NetworkState, RoundReport]:
        """Last part, after the test of the models: report on the round, and observe the network at its end."""
        before, rounds, (decision, part, _) = self._progress, self.ingredients.rounds, learned.opened
        aggregation, train_loss, fetches = learned.aggregation, learned.result.last_loss, learned.fetches
        test = before.test.updated(learned.job.satellites, test)
        duration_s = rounds.duration_s(part.busy_s)
        balance = self._balance(part.compute_energy_j + part.transmit_energy_j, duration_s)
        report = RoundReport(
            round=before.round,
            time_s=before.time_s,
            duration_s=duration_s,
            outcome=learned.outcome,
            epochs=part.epochs,
            batches=learned.result.batches,
            download_s=part.download_s,
            compute_s=part.compute_s,
            upload_s=part.upload_s,
            compute_energy_j=part.compute_energy_j,
            transmit_energy_j=part.transmit_energy_j,
            charge_before_j=before.charge_j,
            **balance._asdict(),
            download_model_bits=self._bits.download,
            upload_model_bits=self._bits.upload,
            staleness=aggregation.staleness,
            weights=aggregation.intake.weights,
            equal_weights=aggregation.intake.equal_weights,
            merged=self._merges(decision),
            gateway_weights=learned.gateway_weights,
            equal_merges=learned.equal_merges,
            train_loss=train_loss,
            test_loss_before=before.test.loss,
            test_loss=test.loss,
            metrics_before=before.test.metrics,
            metrics=test.metrics,
            untestable=test.untestable,
            last=self._is_over(before.round + 1, before.time_s + duration_s),
            upsets=learned.upsets,
        )
        self._progress = _Progress(
            round=before.round + 1,
            time_s=before.time_s + report.duration_s,
            charge_j=balance.charge_j,
            last_loss=np.where(np.isfinite(train_loss), train_loss, before.last_loss),
            last_epochs=np.where(report.returned, part.epochs, before.last_epochs),
            cluster=decision.cluster.astype(np.int64),
            update_similarity=learned.update_similarity,
            test=test,
            fetched_s=np.where(fetches, before.time_s, before.fetched_s),
            fetched_version=np.where(fetches, self._models.version, before.fetched_version),
            fetched_cpu_hz=np.where(fetches, decision.cpu_frequency, before.fetched_cpu_hz),
            upload_memory=learned.upload_memory,
        )
        self._observe()
        return self._state, report

    @property
    def trainer(self) -> LocalTrainer:
        """The local trainer; it also serves other simulations of the same ingredients."""
        return self._learner.trainer

    @property
    def finished(self) -> bool:
        """Whether the episode's last round has been played, or a satellite has come down."""
        self._require_reset()
        return self._is_over(self._progress.round, self._progress.time_s)

    @property
    def decayed(self) -> BoolArray:
        """Satellites that have come down by now, (S,)."""
        self._require_reset()
        return self._decayed(self._progress.time_s)

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
    def charge_j(self) -> FloatArray:
        """Energy stored at the start of the next round, (S,)."""
        self._require_reset()
        return self._progress.charge_j

    @property
    def label_pmf(self) -> FloatArray:
        """Distribution of each satellite's labels over the common alphabet, such as ocean, coast and land, (S, A)."""
        self._require_reset()
        return self._data.label_pmf

    @property
    def tasks(self) -> tuple[str, ...]:
        """Name of the task that each satellite serves, (S,); empty where there are no tasks."""
        self._require_reset()
        return self._data.tasks

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
        if self._models.num_shared < self._learner.layout.num_parameters:
            raise RuntimeError(
                "gateways hold no whole models to test: training.shared must be 'all', engine not 'none'"
            )
        models = {gateway: model for (gateway, cluster), model in self._models.gateway_models.items() if cluster == 0}
        nan = np.full(self._scene.num_gateways, np.nan)
        none = np.zeros(len(nan), dtype=np.bool_)
        untested = Evaluation(nan, dict.fromkeys(self._progress.test.metrics, nan), untestable=none)
        if not models:
            return untested
        with torch_defaults(self.torch_threads):
            draw = self._test_draw if snr_db is None else self._draw_test_channel(snr_db)
            # Without tasks of their own all satellites are tested alike, so that the first one stands for a gateway.
            which = np.zeros(len(models), dtype=np.int64)
            job = EvaluationJob(torch.stack([*models.values()]), which, self._data, draw)
            return untested.updated(np.array([*models]), self._learner.evaluate(job))

    def get_state(self) -> dict[str, Any]:
        """Everything needed to continue from here: plain numbers, strings, NumPy arrays and tensors.

        A whole simulation or environment can be pickled or deep-copied in the middle of an episode as well.
        """
        self._require_reset()
        with torch_defaults(self.torch_threads):
            return copy.deepcopy(self._changing())

    def set_state(self, state: dict[str, Any]) -> NetworkState:
        """Restore a state taken by `get_state` of a simulation with the same ingredients.

        Raises:
            TypeError: If its seed is missing or no integer.
            ValueError: If it comes from a simulation of other sizes, models or metrics; nothing has changed then.
        """
        # All is set in a copy first, so that an error leaves this simulation as it is.
        restored = copy.copy(self)
        with torch_defaults(self.torch_threads):
            state = copy.deepcopy(state)
            seed = checked_seed("state['seed']", state.get("seed"))
            if seed != self._seed:
                restored._start(seed)
            _check_like("state", state, restored._changing())
            restored._models, restored._local = copy.deepcopy((restored._models, restored._local))
            restored._models.set_state(state["models"])
            restored._local.set_state(state["local"])
            test = Evaluation(state["test_loss"], state["test_metrics"], state["untestable"])
            similarity = UpdateSimilarity(restored._scene.num_satellites, state["progress"]["update_similarity"])
            restored._progress = _Progress(**{**state["progress"], "update_similarity": similarity}, test=test)
            restored._observe()
        vars(self).update(vars(restored))
        return self._state

    def _changing(self) -> dict[str, Any]:
        """Everything that changes from round to round."""
        progress = {name: value for name, value in vars(self._progress).items() if name != "test"}
        return {
            "seed": self._seed,
            "models": self._models.get_state(),
            "local": self._local.get_state(),
            "progress": {**progress, "update_similarity": self._progress.update_similarity.filled()},
            "test_loss": self._progress.test.loss,
            "test_metrics": dict(self._progress.test.metrics),
            "untestable": self._progress.test.untestable,
        }

    def _require_reset(self) -> None:
        if self._seed is None:
            raise RuntimeError("call reset(seed) first")

    def _start(self, seed: int) -> NetworkState:
        ingredients, learner = self.ingredients, self._learner
        self._seed = seed
        self._scene = ingredients.scene(numpy_generator(seed, "orbits"))
        self._forecast = Forecast(self._scene, ingredients.forecast)
        self._data = ingredients.data(self._scene, numpy_generator(seed, "split"))
        num_satellites = self._scene.num_satellites
        fleet = ingredients.fleet.draw(num_satellites, numpy_generator(seed, "fleet"))
        self._equipment = ingredients.equipment.having(fleet)
        self._supply = as_supply(self._equipment.energy)
        # Only the scenes of orbits know of decays.
        self._decay_s = np.broadcast_to(getattr(self._scene, "decay_s", np.inf), num_satellites)
        span_s = ingredients.rounds.longest_s(self._scene.horizon_s)
        self._faults = episode_faults(ingredients.faults, seed, num_satellites, self._scene.num_gateways, span_s=span_s)
        first = learner.first_models(seed, num_satellites)
        self._models = learner.store(first, self._scene.num_gateways)
        self._local = ingredients.local.episode(first[:, : self._models.num_shared])
        model_bits = ingredients.model_bits or 32.0 * learner.num_shared
        compression, shared, extra = ingredients.compression, learner.num_shared, ingredients.local.extra_vectors
        self._bits = TransferBits(
            download=model_bits * (compression.download_share(shared) + extra),
            upload=model_bits * (compression.upload_share(shared) + extra),
        )
        self._test_draw = self._draw_test_channel()
        self._constants = self._constant_fields()
        self._similarity = Once(partial(semantic_similarity, self._data.label_pmf))
        everyone, noise = np.arange(num_satellites), torch_generator(seed, "noise", 0)
        self._progress = _Progress(
            round=0,
            time_s=0.0,
            charge_j=as_numbers("first charge", self._equipment.energy.first_charge_j(num_satellites)),
            last_loss=learner.training_loss(first, self._data.train, noise),
            last_epochs=np.zeros(num_satellites, dtype=np.int64),
            cluster=np.zeros(num_satellites, dtype=np.int64),
            update_similarity=UpdateSimilarity(num_satellites),
            test=learner.evaluate(EvaluationJob(first, everyone, self._data, self._test_draw)),
            fetched_s=np.full(num_satellites, np.nan),
            fetched_version=np.zeros(num_satellites, dtype=np.int64),
            fetched_cpu_hz=np.zeros(num_satellites),
            upload_memory=first.new_zeros(num_satellites, self._models.num_shared * compression.error_feedback),
        )
        self._observe()
        return self._state

    def _require_seed(self) -> int:
        self._require_reset()
        assert self._seed is not None
        return self._seed

    def _draw_test_channel(self, snr_db: float | None = None) -> Any:
        return self._learner.test_draw(self._require_seed(), len(self._data.test_images), snr_db)

    def _observe(self) -> None:
        """Observe the network at the current time."""
        progress, equipment = self._progress, self._equipment
        self._models.downlink = downlink(self.ingredients.compression, self._require_seed(), progress.round)
        self._direct = self._faults.in_order(self._scene.at(progress.time_s))
        self._contacts = self.ingredients.protocol.contacts(self._direct, self._bits.mean)
        snapshot = self._faults.in_order(self._contacts.snapshot)
        for name in ("distance_m", "window_s"):
            as_numbers(f"{name} of the scene at {progress.time_s:g} s", getattr(snapshot, name))
        rate_bps = as_numbers("rates of the links", equipment.links.solo_rate_bps(snapshot))
        link_s = 2 * (link_time_s(self._bits.mean, rate_bps, snapshot.distance_m) + self._contacts.carry_s)
        rng = numpy_generator(self._require_seed(), "energy", progress.round)
        available_j = as_numbers("available energy", equipment.energy.available_j(progress.charge_j, rng))
        self._snapshot = snapshot
        parts = {
            "round": progress.round,
            "time_s": progress.time_s,
            "position_m": snapshot.position_m,
            "velocity_mps": snapshot.velocity_mps,
            "distance_m": snapshot.distance_m,
            "visible": snapshot.visible,
            "window_s": snapshot.window_s,
            "rate_bps": rate_bps,
            "link_s": np.minimum(link_s, self._scene.horizon_s),
            "energy_j": available_j,
            "last_loss": progress.last_loss,
            "last_epochs": progress.last_epochs,
            "cluster": progress.cluster,
            **self._faults.health(progress.time_s),
            **self._constants,
        }
        self._state = NetworkState.of(parts, self._on_request())

    def _on_request(self) -> dict[str, Any]:
        """The parts of the state that are computed when they are first read, and those that few read."""
        progress, forecast = self._progress, self._forecast
        return {
            "similarity": self._similarity,
            "update_similarity": progress.update_similarity.matrix,
            "contact_start_s": partial(forecast.contact_start_s, progress.time_s),
            "contact_end_s": partial(forecast.contact_end_s, progress.time_s),
            "eclipse_start_s": partial(forecast.eclipse_start_s, progress.time_s),
            "eclipse_end_s": partial(forecast.eclipse_end_s, progress.time_s),
            "gateway_version": self._models.gateway_version,
            "waiting": self._models.num_waiting,
            "rounds_to_merge": self.ingredients.rounds.rounds_to_merge(progress.round),
        }

    def _constant_fields(self) -> dict[str, Any]:
        """The fields of the state that stay as they are throughout an episode, read-only."""
        equipment, num_satellites = self._equipment, self._scene.num_satellites
        computers = {
            name: np.array(np.broadcast_to(getattr(equipment.computer, name), num_satellites), dtype=np.float64)
            for name in ("cpu_max_hz", "cycles_per_sample", "kappa")
        }
        over_half_w = self._counted_power_w * self._bits.upload / self._bits.mean
        constants: dict[str, Any] = {
            "transmit_power_w": np.full(num_satellites, over_half_w, dtype=np.float64),
            "samples": self._data.train.samples,
            "max_epochs": np.full(num_satellites, self.ingredients.max_epochs, dtype=np.int64),
            **computers,
        }
        for array in constants.values():
            array.setflags(write=False)
        return constants

    @property
    def _counted_power_w(self) -> Each:
        """Power that takes from the energy for training while a satellite sends, one number or (S,)."""
        return self._equipment.links.transmit_power_w if self._supply.counts_transmission else 0.0

    def _merge(self) -> tuple[FloatArray, BoolArray]:
        """The cloud merges the gateways' models, and what goes with them; see `ModelStore.merge`."""
        self._local.merge()
        return self._models.merge()

    def _merges(self, decision: Decision) -> bool:
        """Whether the cloud merges in the round that comes next."""
        return decision.aggregates(-1, scheduled=self.ingredients.rounds.merges(self._progress.round))

    def _is_over(self, rounds_played: int, time_s: float) -> bool:
        return rounds_played >= self.ingredients.rounds.episode or bool(self._decayed(time_s).any())

    def _decayed(self, time_s: float) -> BoolArray:
        return self._decay_s <= time_s

    def _fetched(self) -> Fetched:
        progress = self._progress
        since_s = self._faults.working_s(progress.fetched_s, progress.time_s)
        return Fetched(since_s, progress.fetched_version, progress.fetched_cpu_hz)

    def _senders(self, decision: Decision) -> SceneSnapshot:
        """The satellites that talk to the decided gateways, in rows, (S,), at the round's start."""
        direct, sender = self._direct, self._contacts.sender[decision.pairs]
        return replace(
            direct,
            position_m=direct.position_m[sender],
            velocity_mps=direct.velocity_mps[sender],
            distance_m=direct.distance_m[sender],
            clear=None if direct.clear is None else direct.clear[sender],
            sender=sender,
        )

    def _links_later(self, decision: Decision, senders: SceneSnapshot, after_s: FloatArray) -> DecidedLinks:
        """The decided links with each sender where it is some time after the round's start, (S,)."""
        row, gateway = decision.pairs
        there = moved(self._scene, senders, gateway, self._progress.time_s + after_s)
        solo_bps = as_numbers("rates of the links", self._equipment.links.solo_rate_bps(there))
        return self._links_from(decision, there, solo_bps[row, gateway])

    def _links_from(self, decision: Decision, senders: SceneSnapshot, alone_bps: FloatArray) -> DecidedLinks:
        """The decided links from senders in rows, with the rates of those in sight if no other transmits, (S,)."""
        pair = decision.pairs
        in_sight = decision.associated & self._state.visible[pair]
        times = partial(self._bits.times, distance_m=senders.distance_m[pair], carry_s=self._contacts.carry_s[pair])

        def among(transmits: BoolArray) -> Transfers:
            shared_bps = self._contacts.rates_bps(partial(self._shared_bps, decision, senders), decision, transmits)
            return times(as_numbers("rates of the links", shared_bps))

        return DecidedLinks(alone=times(np.where(in_sight, alone_bps, 0.0)), among=among)

    def _shared_bps(self, decision: Decision, senders: SceneSnapshot, association: IntArray) -> FloatArray:
        """Rates of the satellites that take band, (S,), from the gateway of each, G for the others, (S,)."""
        share = self.ingredients.access.shares(self._state, decision, association < self._state.sits_out)
        options = {} if share is None else {"share": share}
        return self._equipment.links.associated_rate_bps(senders, association, **options)

    def _receive(
        self, job: TrainingJob, result: TrainingResult, *, returned: BoolArray
    ) -> tuple[Arrivals, UpdateSimilarity, Tensor]:
        """What arrives at the gateways, the similarity of updates known so far, and what satellites remember."""
        shared, before, seed = self._models.num_shared, self._progress, self._require_seed()
        start, trained = job.parameters[:, :shared], result.parameters[:, :shared]
        draws = partial(torch_generator, seed, "uplink", before.round)
        sent, returned, memory = compress_updates(
            self.ingredients.compression, start, trained, returned, before.upload_memory, draws
        )
        noise = partial(torch_generator, seed, "uploads", before.round)
        received, updates, returned = receive_updates(start, sent, returned, self.ingredients.upload_snr_db, noise)
        similarity = before.update_similarity.refreshed(updates, returned)
        arrivals = Arrivals(job.parameters, result.parameters, received, returned, self._contacts.sender)
        # What does not arrive leaves a satellite's memory as it was.
        memory = torch.where(torch.from_numpy(returned)[:, None], memory, before.upload_memory)
        return arrivals, similarity, memory

    def _balance(self, spent_j: FloatArray, duration_s: float) -> EnergyBalance:
        charge_j, start_s = self._progress.charge_j, self._progress.time_s
        sunlit_s = self._scene.sunlit_s(start_s, start_s + duration_s)
        balance = self._supply.balance(charge_j, spent_j=spent_j, sunlit_s=sunlit_s, duration_s=duration_s)
        return EnergyBalance(*(as_numbers(f"{name} after a round", it) for name, it in balance._asdict().items()))


def _check_like(name: str, value: Any, mine: Any) -> None:
    """Raise a `ValueError` that names the entry where a state differs in keys or shapes; some check themselves."""
    if isinstance(mine, dict) and name not in _CHECKED_BY_THEMSELVES:
        if value.keys() != mine.keys():
            raise ValueError(f"{name} has the entries {sorted(value)}; expected {sorted(mine)}")
        for key, own in mine.items():
            _check_like(f"{name}[{key!r}]", value[key], own)
    elif np.shape(value) != np.shape(mine):
        raise ValueError(f"{name} has shape {(*np.shape(value),)}; expected {(*np.shape(mine),)}")
