"""What the satellites of a simulation learn: a model, how it is trained, and how it is tested."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from satfl_env.federated import (
    LARGEST_USABLE,
    Layout,
    LocalData,
    LocalTrainer,
    RowTrainer,
    ServerOptimiser,
    Shared,
    TrainableModel,
    model_on,
    take_rows,
    usable_models,
)
from satfl_env.simulation.evaluation import Evaluation, EvaluationJob, Tester, evaluate_each, training_loss
from satfl_env.simulation.models import ModelStore
from satfl_env.simulation.server_store import ServerStore
from satfl_env.simulation.state import BoolArray, FloatArray, IntArray
from satfl_env.simulation.streams import torch_generator
from satfl_env.simulation.structures import OwnParts, PartStore
from satfl_env.simulation.testers import CompiledTester, TorchTester

FirstDecoders = Literal["own", "common"]
Tested = Literal["held", "trained"]


class Lesson(Protocol):
    """What is learned, and how: the part of `Ingredients` that a learner uses."""

    @property
    def model(self) -> Callable[[], TrainableModel]:
        """Makes a model."""

    @property
    def shared(self) -> Shared:
        """Which parameters are federated."""

    @property
    def trainer(self) -> Callable[[TrainableModel], LocalTrainer]:
        """Makes the local trainer of a model."""

    @property
    def first_decoders(self) -> FirstDecoders:
        """Whether decoders that stay on board start from draws of their own or from a common one."""

    @property
    def server_optimiser(self) -> ServerOptimiser | None:
        """How gateways move their models; None means by one step along what updates combine to."""

    @property
    def tested(self) -> Tested:
        """Which models a round is judged by."""

    @property
    def test_snr_db(self) -> float:
        """Channel SNR of the test."""

    @property
    def device(self) -> str:
        """Where models are tested."""


class Learner:
    """Trains, moves and tests the models of a federation.

    Args:
        ingredients: What is learned, and how.
    """

    def __init__(self, ingredients: Lesson) -> None:
        self._ingredients = ingredients
        self.model = ingredients.model()
        self.layout = Layout.of(self.model)
        self.num_shared = self.layout.num_shared(ingredients.shared)
        self.trainer = ingredients.trainer(self.model)
        self._in_torch = TorchTester(model_on(ingredients.device, self.model), self.layout, ingredients.device)

    def first_models(self, seed: int, num_satellites: int) -> Tensor:
        """The models that satellites start with, (S, P): all equal, or with different first decoders."""
        own_decoders = self._ingredients.first_decoders == "own"
        generator = torch_generator(seed, "weights", 0)
        return first_models(self.model, generator, num_satellites, self.num_shared, own_decoders=own_decoders)

    def store(self, first: Tensor, num_gateways: int, parts: OwnParts | None = None) -> ModelStore:
        """Who holds which model at the start, or which part of one."""
        if parts is not None:
            return PartStore(first, self.num_shared, num_gateways, parts.mask)
        optimiser = self._ingredients.server_optimiser
        if optimiser is None:
            return ModelStore(first, self.num_shared, num_gateways)
        return ServerStore(first, self.num_shared, num_gateways, optimiser)

    def test_draw(self, seed: int, num_images: int, snr_db: float | None = None) -> Any:
        """The channel of every test, at the usual SNR or another."""
        snr_db = self._ingredients.test_snr_db if snr_db is None else snr_db
        return self.model.draw_channel(num_images, torch_generator(seed, "noise"), snr_db=snr_db)

    def hand_out(self, models: ModelStore, hand_out: Callable[[], None], fetches: BoolArray) -> tuple[IntArray, Tensor]:
        """Satellites get the models that they leave the round with.

        Args:
            models: Who holds which model.
            hand_out: Gives them out.
            fetches: Satellites that get one, (S,).

        Returns:
            The satellites whose test changes, (R,), and the models to test, (R, P).
        """
        if self._ingredients.tested == "trained":
            judged = models.held.clone()
            hand_out()
            return np.arange(len(judged)), judged
        # Satellites that fetch nothing still hold the model tested before, unless that was tested before aggregation.
        hand_out()
        changed = np.flatnonzero(fetches)
        return changed, take_rows(models.held, changed)

    def evaluate(self, jobs: Sequence[EvaluationJob]) -> list[Evaluation]:
        """Test some models, each job with its own data."""
        return evaluate_each(self._tester(jobs[0].models), jobs)

    def usable(self, data: LocalData, models: Tensor, satellites: IntArray) -> BoolArray:
        """Which models (R, P) are of any use to their satellites (R,); see `usable_models`."""
        return usable_models(self.model, self.layout, models, data, satellites)

    def training_loss(self, held: Tensor, data: LocalData, generator: torch.Generator) -> FloatArray:
        """Mean loss of each satellite's model on its own training samples, (S,)."""
        return training_loss(self._tester(held), held, data, self.model.draw_channel, generator)

    def cluster_loss(
        self, models: ModelStore, clusters: int, data: LocalData, seed: int, round_index: int
    ) -> FloatArray:
        """Mean loss of each satellite's training samples under the newest models of the first K clusters, (S, K).

        Decoders that stay on board are the satellites' own. All models see the same channel. Where no gateway has a
        model of a cluster the loss counts 1e12. With a single cluster there is nothing to choose between: zeros.
        """
        if clusters == 1:
            return np.zeros((len(models.held), 1))
        losses = np.full((len(models.held), clusters), LARGEST_USABLE)
        for cluster in range(clusters):
            newest = models.newest(cluster)
            if newest is None:
                continue
            tried = models.held.clone()
            tried[:, : models.num_shared] = newest
            losses[:, cluster] = self.training_loss(tried, data, torch_generator(seed, "noise", 1, round_index))
        return losses

    def _tester(self, models: Tensor) -> Tester:
        """What tests models with parameters of this type: machine code, where they are trained by such, or PyTorch."""
        compiled = self.trainer.compiled_test(models) if isinstance(self.trainer, RowTrainer) else None
        return self._in_torch if compiled is None else CompiledTester(compiled)


class PhysicsOnly(Learner):
    """Goes with a trainer that trains nothing: all models stay as they are, only the physics is simulated."""

    def store(self, first: Tensor, num_gateways: int, parts: OwnParts | None = None) -> ModelStore:
        """Models without parameters."""
        return ModelStore(first[:, :0], 0, num_gateways)

    def cluster_loss(
        self, models: ModelStore, clusters: int, data: LocalData, seed: int, round_index: int
    ) -> FloatArray:
        """Zeros, (S, K): nothing is learned that one could choose by."""
        return np.zeros((len(models.held), clusters))

    def hand_out(self, models: ModelStore, hand_out: Callable[[], None], fetches: BoolArray) -> tuple[IntArray, Tensor]:
        """Nobody's test changes."""
        return np.zeros(0, dtype=np.int64), models.held[:0]


def first_models(
    model: TrainableModel,
    generator: torch.Generator,
    num_satellites: int,
    num_shared: int,
    *,
    own_decoders: bool,
) -> Tensor:
    """Equal first models, or with different first decoders where decoders stay on board, (S, P).

    The model's own parameters are overwritten.
    """
    layout = Layout.of(model)
    for _, parameter in model.named_parameters():
        # Weights are drawn in the order of memory, which earlier training may have changed.
        parameter.data = parameter.data.contiguous()
    drawn = []
    for _ in range(num_satellites if own_decoders and num_shared < layout.num_parameters else 1):
        model.draw_weights(generator)
        drawn.append(layout.flatten(model))
    held = torch.stack(drawn).repeat(num_satellites // len(drawn), 1)
    held[:, :num_shared] = drawn[0][:num_shared]
    return held
