"""The engines of local training by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from satfl_env.federated.local import LocalTrainer, TrainingSettings
from satfl_env.federated.loop import LoopTrainer
from satfl_env.federated.model import SemanticModel
from satfl_env.federated.stacked import StackedTrainer

ENGINES: Mapping[str, Callable[[SemanticModel, TrainingSettings], LocalTrainer]] = {
    "loop": LoopTrainer,
    "stacked": StackedTrainer,
}


def make_trainer(engine: str, model: SemanticModel, settings: TrainingSettings) -> LocalTrainer:
    """Make the trainer of an engine: `loop` is the readable reference, `stacked` the fast one.

    Raises:
        ValueError: If the engine is unknown.
    """
    if engine not in ENGINES:
        raise ValueError(f"engine is {engine!r}; allowed are {', '.join(ENGINES)}")
    return ENGINES[engine](model, settings)
