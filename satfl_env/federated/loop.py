"""The reference engine: one satellite after the other, with plain modules and optimisers."""

from __future__ import annotations

import copy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from satfl_env.federated.local import LocalData, TrainingResult, TrainingSettings, check_round
from satfl_env.federated.model import SemanticModel
from satfl_env.federated.parameters import Layout
from satfl_env.federated.schedule import batches_per_epoch, draw_epochs, samples_per_epoch


class LoopTrainer:
    """Trains the satellites one by one; see `LocalTrainer`.

    Args:
        model: A template; its parameters are never changed.
        settings: How to train.
    """

    def __init__(self, model: SemanticModel, settings: TrainingSettings) -> None:
        """Keep the template and work out its layout."""
        self.model = model
        self.settings = settings
        self.layout = Layout.of(model)

    def train(
        self, parameters: Tensor, data: LocalData, epochs: NDArray[np.int64], seeds: NDArray[np.uint64]
    ) -> TrainingResult:
        """Train each satellite from its own row; see `LocalTrainer.train`."""
        check_round(parameters, data, epochs, seeds, self.layout.num_parameters)
        worker = copy.deepcopy(self.model)
        trained = parameters.clone()
        last_loss = np.full(data.num_satellites, np.nan)
        diverged = np.zeros(data.num_satellites, dtype=np.bool_)
        batches = batches_per_epoch(data.samples, self.settings) * epochs
        for satellite in np.flatnonzero(batches).tolist():
            self.layout.load(worker, parameters[satellite])
            loss = self._train_one(worker, data, satellite, int(epochs[satellite]), int(seeds[satellite]))
            row = self.layout.flatten(worker)
            if np.isfinite(loss) and row.isfinite().all():
                trained[satellite], last_loss[satellite] = row, loss
            else:
                diverged[satellite] = True
        return TrainingResult(trained, last_loss, diverged, batches)

    def _train_one(self, worker: SemanticModel, data: LocalData, satellite: int, epochs: int, seed: int) -> float:
        """Train `worker` as one satellite; its mean loss over the last epoch, not finite if it diverged."""
        own = slice(data.offsets[satellite], data.offsets[satellite + 1])
        images, targets = data.images[own], data.targets[own]
        mask = None if data.output_mask is None else data.output_mask[satellite]
        used = int(samples_per_epoch(data.samples, self.settings)[satellite])
        optimizer = _fresh_optimizer(worker, self.settings)
        epoch_loss = 0.0
        for order, channel in draw_epochs(worker, len(images), used, epochs, seed):
            epoch_loss = 0.0
            for first in range(0, used, self.settings.batch_size):
                batch = slice(first, first + self.settings.batch_size)
                chosen = order[batch].to(images.device)
                draw = type(channel)(*(part[batch].to(images.device) for part in channel))
                loss = worker.sample_loss(worker(images[chosen], draw), images[chosen], targets[chosen], mask)
                optimizer.zero_grad()
                loss.mean().backward()
                optimizer.step()
                epoch_loss += float(loss.detach().sum())
            if not np.isfinite(epoch_loss):
                break
        return epoch_loss / used


def _fresh_optimizer(model: SemanticModel, settings: TrainingSettings) -> torch.optim.Optimizer:
    parameters = [parameter for _, parameter in model.named_parameters()]
    if settings.optimizer == "sgd":
        return torch.optim.SGD(parameters, settings.learning_rate, fused=True)
    return torch.optim.Adam(parameters, settings.learning_rate, fused=True)
