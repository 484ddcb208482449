"""The fast engine: all satellites as one batched job."""

from __future__ import annotations

from itertools import groupby

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from satfl_env.federated.feeder import Feeder
from satfl_env.federated.gradients import gradient_of
from satfl_env.federated.local import LocalData, TrainingResult, TrainingSettings, check_round
from satfl_env.federated.model import SemanticModel
from satfl_env.federated.parameters import Layout
from satfl_env.federated.row_optimizer import row_optimizer
from satfl_env.federated.schedule import batches_per_epoch


class StackedTrainer:
    """Trains all satellites together, each with its own samples, epochs and decoder size; see `LocalTrainer`.

    Satellites are sorted by their number of steps: those still at work are the first rows of the parameters and of the
    optimizer's state, so that one that is done is simply left out.

    Args:
        model: Gives the computation; its own parameters are not read.
        settings: How to train.
    """

    def __init__(self, model: SemanticModel, settings: TrainingSettings) -> None:
        """Keep the model and work out its layout."""
        self.model = model
        self.settings = settings
        self.layout = Layout.of(model)

    def train(
        self, parameters: Tensor, data: LocalData, epochs: NDArray[np.int64], seeds: NDArray[np.uint64]
    ) -> TrainingResult:
        """Train each satellite from its own row; see `LocalTrainer.train`."""
        check_round(parameters, data, epochs, seeds, self.layout.num_parameters)
        trained = parameters.clone()
        last_loss = np.full(data.num_satellites, np.nan)
        diverged = np.zeros(data.num_satellites, dtype=np.bool_)
        batches = batches_per_epoch(data.samples, self.settings) * epochs
        busy = np.argsort(-batches, kind="stable")[: np.count_nonzero(batches)]
        if busy.size:
            feeder = Feeder(self.model, data, busy, epochs[busy], seeds[busy], self.settings)
            rows, losses = self._train_rows(parameters[busy], feeder)
            finite = np.isfinite(losses).all(axis=0) & rows.isfinite().all(dim=1).cpu().numpy()
            trained[busy[finite]] = rows[finite]
            last_loss[busy[finite]] = (losses * feeder.last_epoch_share()).sum(axis=0)[finite]
            diverged[busy] = ~finite
        return TrainingResult(trained, last_loss, diverged, batches)

    @torch.no_grad()
    def _train_rows(self, flat: Tensor, feeder: Feeder) -> tuple[Tensor, NDArray[np.float64]]:
        """Train the sorted rows `flat` (A, P) in place; returns them and the loss of every step, (steps, A)."""
        optimizer = row_optimizer(flat, self.settings)
        losses = flat.new_zeros(int(feeder.steps[0]), len(flat))
        step_losses = iter(losses)
        for active, batches in groupby(feeder, key=lambda batch: len(batch.targets)):
            rows = flat[:active]
            mask = None if feeder.output_mask is None else feeder.output_mask[:active]
            gradient_at = gradient_of(self.model, self.layout, rows, mask)
            for batch in batches:
                sample_loss, gradient = gradient_at(batch)
                optimizer.update(rows, gradient)
                torch.sum(sample_loss * batch.share, 1, out=next(step_losses)[:active])
        return flat, losses.double().cpu().numpy()
