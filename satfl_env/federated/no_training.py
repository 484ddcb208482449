"""The engine that trains nothing."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from satfl_env.federated.hardware import Hardware
from satfl_env.federated.local import LocalData, TrainingResult, TrainingSettings
from satfl_env.federated.model import TrainableModel
from satfl_env.federated.objective import LocalObjective


class NoTraining:
    """Leaves all models as they are, whatever the model, the settings and the hardware."""

    mixes_precision = True
    needs_cpu = False

    def __init__(self, model: TrainableModel, settings: TrainingSettings, hardware: Hardware) -> None:
        pass

    def train(
        self,
        parameters: Tensor,
        data: LocalData,
        epochs: NDArray[np.int64],
        seeds: NDArray[np.uint64],
        objective: LocalObjective | None = None,
    ) -> TrainingResult:
        """What `LocalTrainer.train` returns if nobody trains."""
        satellites = data.num_satellites
        return TrainingResult(
            parameters=parameters,
            last_loss=np.full(satellites, np.nan),
            diverged=np.zeros(satellites, dtype=np.bool_),
            batches=np.zeros(satellites, dtype=np.int64),
            mean_gradient=None if objective is None else torch.zeros_like(objective.shift),
        )
