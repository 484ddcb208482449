"""The engines of local training by name."""

from __future__ import annotations

from collections.abc import Mapping

from satfl_env.federated.auto import AutoTrainer
from satfl_env.federated.hardware import Hardware
from satfl_env.federated.local import LocalTrainer, TrainingSettings
from satfl_env.federated.loop import LoopTrainer
from satfl_env.federated.model import SemanticModel
from satfl_env.federated.processes import ProcessTrainer
from satfl_env.federated.ray_trainer import RayTrainer
from satfl_env.federated.stacked import StackedTrainer
from satfl_env.federated.trainer import RowTrainer

ENGINES: Mapping[str, type[RowTrainer]] = {
    "auto": AutoTrainer,
    "stacked": StackedTrainer,
    "loop": LoopTrainer,
    "processes": ProcessTrainer,
    "ray": RayTrainer,
}
_MIXED = ("auto", "stacked")


def make_trainer(
    engine: str, model: SemanticModel, settings: TrainingSettings, hardware: Hardware | None = None
) -> LocalTrainer:
    """Make the trainer of an engine.

    Args:
        engine: `auto` picks for each round; `loop` is the readable reference, `stacked` trains all satellites as one
            job, `processes` and `ray` share them among the cores of this machine or of a cluster.
        model: What is trained.
        settings: How.
        hardware: Where; the CPU in float32 by default.

    Raises:
        ValueError: If the engine is unknown, or its hardware is not for it.
        ImportError: If the engine is `ray` and Ray is not installed.
    """
    if engine not in ENGINES:
        raise ValueError(f"engine is {engine!r}; allowed are {', '.join(ENGINES)}")
    if hardware and hardware.precision != "float32" and engine not in _MIXED:
        raise ValueError(f"precision is {hardware.precision!r}; the engine {engine!r} allows 'float32' alone")
    return ENGINES[engine](model, settings, hardware)
