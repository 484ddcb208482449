"""Local training as in the usual scripts of papers: a `DataLoader` and an optimizer for each satellite."""

from __future__ import annotations

import copy

import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.workloads import Workload
from satfl_env.federated import TrainableModel, TrainingSettings


def train_all(work: Workload) -> None:
    """Train all satellites of a round, one after the other."""
    for satellite in range(work.num_satellites):
        images, targets = satellite_data(work, satellite)
        model = copy.deepcopy(work.model)
        train_one(model, images, targets, int(work.epochs[satellite]), work.settings, seed=satellite)


def satellite_data(work: Workload, satellite: int) -> tuple[Tensor, Tensor]:
    """Images and targets of one satellite."""
    own = slice(work.data.offsets[satellite], work.data.offsets[satellite + 1])
    return work.data.images[own], work.data.targets[own]


def train_one(
    model: TrainableModel, images: Tensor, targets: Tensor, epochs: int, settings: TrainingSettings, *, seed: int
) -> None:
    """Train one model in place."""
    generator = torch.Generator().manual_seed(seed)
    dataset = TensorDataset(images, targets)
    loader = DataLoader(dataset, batch_size=settings.batch_size, shuffle=True, generator=generator)
    parameters = [parameter for _, parameter in model.named_parameters()]
    optimizer = torch.optim.Adam(parameters, lr=settings.learning_rate)
    for _ in range(epochs):
        for batch, labels in loader:
            optimizer.zero_grad()
            outputs = model(batch, model.draw_channel(len(batch), generator))
            model.sample_loss(outputs, batch, labels).mean().backward()
            optimizer.step()
