"""The round loop: NetworkState -> Decision -> RoundReport."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from satfl_env.arguments import checked_integer, checked_seed
from satfl_env.counted import counted
from satfl_env.federated import Layout, LocalData, LocalTrainer, TrainingResult, torch_defaults
from satfl_env.onboard import EnergyBalance
from satfl_env.orbits import Scene, SceneSnapshot
from satfl_env.settings import MOST, Each
from satfl_env.simulation.decision import Decision, check_decision
from satfl_env.simulation.downlink import downlink
from satfl_env.simulation.episode import Episode, start_episode
from satfl_env.simulation.evaluation import Evaluation, EvaluationJob
from satfl_env.simulation.ingredients import Ingredients
from satfl_env.simulation.models import Arrivals
from satfl_env.simulation.observing import View, observe
from satfl_env.simulation.progress import Progress, check_like
from satfl_env.simulation.protocols import Aggregation, Participation
from satfl_env.simulation.rounds import limit_cohort
from satfl_env.simulation.settling import who_takes_part
from satfl_env.simulation.state import BoolArray, FloatArray, IntArray, NetworkState, RoundReport, as_numbers
from satfl_env.simulation.streams import numpy_generator, satellite_seeds, torch_generator
from satfl_env.simulation.training import TrainingJob
from satfl_env.simulation.update_similarity import UpdateSimilarity
from satfl_env.simulation.updates import Outcome
from satfl_env.simulation.uploads import compress_updates, receive_updates


class OpenRound(NamedTuple):
    """A round that has been decided on, up to its training.

    Attributes:
        decision: The decision.
        participation: Who trains, and what it costs.
        job: The training to be done.
        upload_bits: Bits of an update that is returned, one number or (S,).
    """

    decision: Decision
    participation: Participation
    job: TrainingJob
    upload_bits: Each


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
        self._episode: Episode
        self._progress: Progress
        self._view: View

    def reset(self, seed: int) -> NetworkState:
        """Start an episode; the seed determines all of it, given the decisions.

        Raises:
            TypeError: If the seed is no integer.
            ValueError: If it is negative or needs more than 63 bits.
        """
        seed = checked_seed("seed", seed)
        with torch_defaults(self.torch_threads):
            return self._start(seed)

    def step(self, decision: Decision) -> tuple[NetworkState, RoundReport]:
        """Play one communication round.

        Returns:
            The state at its end, from which to decide the next round, and the report of what happened.

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
            raise RuntimeError(f"the episode ended after {counted(self._progress.round, 'round')}; call reset() first")
        check_decision(decision, self.state)
        seed, round_index, protocol = self._require_seed(), self._progress.round, self.ingredients.protocol
        cohort = self.ingredients.rounds.cohort
        if cohort is not None:
            decision = limit_cohort(decision, self.state, cohort, numpy_generator(seed, "cohort", round_index))
        part, upload_bits = who_takes_part(self._episode, self._view, self._progress, decision)
        trains = part.trains
        job = TrainingJob(
            parameters=protocol.start(self._models, decision, trains),
            data=self._episode.data.train,
            epochs=np.where(trains, part.epochs, 0),
            seeds=satellite_seeds(seed, round_index, len(part.epochs)),
            objective=self._local.objective(protocol, decision, trains),
        )
        return OpenRound(decision, part, job, upload_bits)

    def learn(self, opened: OpenRound, result: TrainingResult) -> LearnedRound:
        """Second part, after training: gateways and cloud aggregate, and hand the new models out."""
        decision, part, job, _ = opened
        protocol, models = self.ingredients.protocol, self._models
        usable = partial(self._learner.usable, self._episode.data.train)
        result, upsets = self._episode.faults.upset(result, part, job.parameters, self._progress.round, usable)
        trains = part.trains
        arrivals, update_similarity, upload_memory = self._receive(opened, result, returned=trains & ~result.diverged)
        outcome = np.where(trains & ~arrivals.returned, Outcome.DIVERGED.value, part.outcome)
        self._local.learn(decision, arrivals, result.mean_gradient)
        fetched = self._progress.fetched(self._episode.faults)
        aggregation = protocol.aggregate(models, decision, arrivals, fetched, self.ingredients.combine)
        gateway_weights, equal_merges = self._merge() if self._merges(decision) else models.no_merge()
        fetches = protocol.fetches(outcome)
        hand_out = partial(protocol.hand_out, models, decision, arrivals, self._view.contacts, fetches)
        changed, judged = self._learner.hand_out(models, hand_out, fetches)
        self._local.distribute(decision, fetches)
        return LearnedRound(
            opened=opened,
            result=result,
            job=EvaluationJob(judged, changed, self._episode.data, self._test_draw),
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
        return self.evaluate_each([job])[0]

    def evaluate_each(self, jobs: Sequence[EvaluationJob]) -> list[Evaluation]:
        """The same for several simulations of the same ingredients, at least one."""
        return self._learner.evaluate(jobs)

    def finish(self, learned: LearnedRound, test: Evaluation) -> tuple[NetworkState, RoundReport]:
        """Last part, after the test of the models: report on the round, and observe the network at its end."""
        before, rounds, (decision, part, _, _) = self._progress, self.ingredients.rounds, learned.opened
        aggregation, train_loss, fetches = learned.aggregation, learned.result.last_loss, learned.fetches
        test = before.test.updated(learned.job.satellites, test)
        duration_s = rounds.duration_s(float(part.busy_s.max()))
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
            download_model_bits=self._episode.bits.download,
            upload_model_bits=learned.opened.upload_bits,
            sends=np.where(part.upload_s > 0, part.sends, 0.0),
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
            last=self._episode.is_over(before.round + 1, before.time_s + duration_s),
            upsets=learned.upsets,
        )
        self._progress = Progress(
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
        return self._view.state, report

    @property
    def trainer(self) -> LocalTrainer:
        """The local trainer; it also serves other simulations of the same ingredients."""
        return self._learner.trainer

    @property
    def layout(self) -> Layout:
        """Where each parameter is in a model's row."""
        return self._learner.layout

    @property
    def training_data(self) -> LocalData:
        """What satellites train on in the episode."""
        self._require_reset()
        return self._episode.data.train

    @property
    def gateway_models(self) -> dict[tuple[int, int], dict[str, Tensor]]:
        """Federated parameters by name that gateways hold, by gateway and cluster; it has those that there are."""
        self._require_reset()
        return {group: self.layout.named(model) for group, model in self._models.gateway_models.items()}

    @property
    def finished(self) -> bool:
        """Whether the episode's last round has been played, or a satellite has come down."""
        self._require_reset()
        return self._episode.is_over(self._progress.round, self._progress.time_s)

    @property
    def decayed(self) -> BoolArray:
        """Satellites that have come down by now, (S,)."""
        self._require_reset()
        return self._episode.decayed(self._progress.time_s)

    @property
    def state(self) -> NetworkState:
        """The network at the start of the next round."""
        self._require_reset()
        return self._view.state

    @property
    def scene(self) -> Scene:
        """The satellites and gateways of the episode."""
        self._require_reset()
        return self._episode.scene

    @property
    def snapshot(self) -> SceneSnapshot:
        """Where everything is at the start of the next round."""
        self._require_reset()
        return self._view.snapshot

    @property
    def charge_j(self) -> FloatArray:
        """Energy stored at the start of the next round, (S,)."""
        self._require_reset()
        return self._progress.charge_j

    @property
    def label_pmf(self) -> FloatArray:
        """Distribution of each satellite's labels over the common alphabet, such as ocean, coast and land, (S, A)."""
        self._require_reset()
        return self._episode.data.label_pmf

    @property
    def tasks(self) -> tuple[str, ...]:
        """Name of the task that each satellite serves, (S,); empty where there are no tasks."""
        self._require_reset()
        return self._episode.data.tasks

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
        if self._episode.data.train.output_mask is not None:
            raise RuntimeError("satellites serve tasks of their own: a gateway has no task to be tested on")
        if self._models.num_shared < self._learner.layout.num_parameters:
            raise RuntimeError(
                "gateways hold no whole models to test: training.shared must be 'all', engine not 'none'"
            )
        models = {gateway: model for (gateway, cluster), model in self._models.gateway_models.items() if cluster == 0}
        nan = np.full(self._episode.scene.num_gateways, np.nan)
        none = np.zeros(len(nan), dtype=np.bool_)
        untested = Evaluation(nan, dict.fromkeys(self._progress.test.metrics, nan), untestable=none)
        if not models:
            return untested
        with torch_defaults(self.torch_threads):
            draw = self._test_draw if snr_db is None else self._draw_test_channel(snr_db)
            # Without tasks of their own all satellites are tested alike, so that the first one stands for a gateway.
            which = np.zeros(len(models), dtype=np.int64)
            job = EvaluationJob(torch.stack([*models.values()]), which, self._episode.data, draw)
            return untested.updated(np.array([*models]), self.evaluate(job))

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
            check_like("state", state, restored._changing())
            restored._models, restored._local = copy.deepcopy((restored._models, restored._local))
            restored._models.set_state(state["models"])
            restored._local.set_state(state["local"])
            test = Evaluation(state["test_loss"], state["test_metrics"], state["untestable"])
            similarity = UpdateSimilarity(restored.scene.num_satellites, state["progress"]["update_similarity"])
            restored._progress = Progress(**{**state["progress"], "update_similarity": similarity}, test=test)
            restored._observe()
        vars(self).update(vars(restored))
        return self._view.state

    def _changing(self) -> dict[str, Any]:
        """Everything that changes from round to round."""
        progress = {name: value for name, value in vars(self._progress).items() if name != "test"}
        return {
            "seed": self._seed,
            "models": self._models.get_state(),
            "local": self._local.get_state(),
            "progress": {**progress, "update_similarity": self._progress.update_similarity.matrix()},
            "test_loss": self._progress.test.loss,
            "test_metrics": dict(self._progress.test.metrics),
            "untestable": self._progress.test.untestable,
        }

    def _require_reset(self) -> None:
        if self._seed is None:
            raise RuntimeError("call reset(seed) first")

    def _start(self, seed: int) -> NetworkState:
        learner = self._learner
        self._seed = seed
        self._episode = episode = start_episode(self.ingredients, seed, learner.layout, learner.num_shared)
        num_satellites = episode.scene.num_satellites
        first = learner.first_models(seed, num_satellites)
        self._models = learner.store(first, episode.scene.num_gateways, episode.parts)
        self._local = self.ingredients.local.episode(first[:, : self._models.num_shared])
        self._test_draw = self._draw_test_channel()
        remembered = self._models.num_shared * self.ingredients.compression.error_feedback
        everyone, noise = np.arange(num_satellites), torch_generator(seed, "noise", 0)
        self._progress = Progress(
            round=0,
            time_s=0.0,
            charge_j=as_numbers("first charge", episode.equipment.energy.first_charge_j(num_satellites)),
            last_loss=learner.training_loss(first, episode.data.train, noise),
            last_epochs=np.zeros(num_satellites, dtype=np.int64),
            cluster=np.zeros(num_satellites, dtype=np.int64),
            update_similarity=UpdateSimilarity(num_satellites),
            test=self.evaluate(EvaluationJob(first, everyone, episode.data, self._test_draw)),
            fetched_s=np.full(num_satellites, np.nan),
            fetched_version=np.zeros(num_satellites, dtype=np.int64),
            fetched_cpu_hz=np.zeros(num_satellites),
            upload_memory=first.new_zeros(num_satellites, remembered),
        )
        self._observe()
        return self._view.state

    def _require_seed(self) -> int:
        self._require_reset()
        assert self._seed is not None
        return self._seed

    def _draw_test_channel(self, snr_db: float | None = None) -> Any:
        return self._learner.test_draw(self._require_seed(), len(self._episode.data.test_images), snr_db)

    def _observe(self) -> None:
        """Observe the network at the current time."""
        self._models.downlink = downlink(self.ingredients.compression, self._require_seed(), self._progress.round)
        cluster_loss = self._learner.cluster_loss(
            self._models,
            self.ingredients.rounds.broadcast,
            self._episode.data.train,
            self._require_seed(),
            self._progress.round,
        )
        self._view = observe(self._episode, self._progress, self._models, cluster_loss)

    def _merge(self) -> tuple[FloatArray, BoolArray]:
        """The cloud merges the gateways' models, and what goes with them; see `ModelStore.merge`."""
        self._local.merge()
        return self._models.merge()

    def _merges(self, decision: Decision) -> bool:
        """Whether the cloud merges in the round that comes next."""
        return decision.aggregates(-1, scheduled=self.ingredients.rounds.merges(self._progress.round))

    def _receive(
        self, opened: OpenRound, result: TrainingResult, *, returned: BoolArray
    ) -> tuple[Arrivals, UpdateSimilarity, Tensor]:
        """What arrives at the gateways, the similarity of updates known so far, and what satellites remember."""
        shared, before, seed = self._models.num_shared, self._progress, self._require_seed()
        job = opened.job
        start, trained = job.parameters[:, :shared], result.parameters[:, :shared]
        draws = partial(torch_generator, seed, "uplink", before.round)
        compression = self._episode.compression(opened.upload_bits, returned)
        sent, returned, memory = compress_updates(compression, start, trained, returned, before.upload_memory, draws)
        noise = partial(torch_generator, seed, "uploads", before.round)
        received, updates, returned = receive_updates(start, sent, returned, self.ingredients.upload_snr_db, noise)
        similarity = before.update_similarity.refreshed(updates, returned)
        arrivals = Arrivals(
            job.parameters, result.parameters, received, returned, self._view.contacts.sender, self.state.samples
        )
        if memory is not before.upload_memory:
            # What does not arrive leaves a satellite's memory as it was.
            memory = torch.where(torch.from_numpy(returned)[:, None], memory, before.upload_memory)
        return arrivals, similarity, memory

    def _balance(self, spent_j: FloatArray, duration_s: float) -> EnergyBalance:
        charge_j, start_s = self._progress.charge_j, self._progress.time_s
        sunlit_s = self._episode.scene.sunlit_s(start_s, start_s + duration_s)
        balance = self._episode.supply.balance(charge_j, spent_j=spent_j, sunlit_s=sunlit_s, duration_s=duration_s)
        return EnergyBalance(*(as_numbers(f"{name} after a round", it) for name, it in balance._asdict().items()))
