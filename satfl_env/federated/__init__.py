"""How satellites learn together: local training engines and the aggregation of their models."""

from __future__ import annotations

from satfl_env.federated.aggregation import cloud_aggregate, gateway_aggregate, normalise_weights
from satfl_env.federated.engines import ENGINES, make_trainer
from satfl_env.federated.local import LocalData, LocalTrainer, TrainingResult, TrainingSettings
from satfl_env.federated.loop import LoopTrainer
from satfl_env.federated.model import SemanticModel
from satfl_env.federated.parameters import Layout
from satfl_env.federated.stacked import StackedTrainer

__all__ = [
    "ENGINES",
    "Layout",
    "LocalData",
    "LocalTrainer",
    "LoopTrainer",
    "SemanticModel",
    "StackedTrainer",
    "TrainingResult",
    "TrainingSettings",
    "cloud_aggregate",
    "gateway_aggregate",
    "make_trainer",
    "normalise_weights",
]
