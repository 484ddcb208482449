"""The engines of local training by name."""

from __future__ import annotations

from satfl_env.federated.auto import AutoTrainer
from satfl_env.federated.compiled import CompiledTrainer
from satfl_env.federated.hardware import Hardware
from satfl_env.federated.local import LocalTrainer, TrainingSettings
from satfl_env.federated.loop import LoopTrainer
from satfl_env.federated.model import TrainableModel
from satfl_env.federated.no_training import NoTraining
from satfl_env.federated.processes import ProcessTrainer
from satfl_env.federated.ray_trainer import RayTrainer
from satfl_env.federated.stacked import StackedTrainer
from satfl_env.federated.trainer import RowTrainer

ENGINES: dict[str, type[RowTrainer] | type[NoTraining]] = {
    "auto": AutoTrainer,
    "compiled": CompiledTrainer,
    "stacked": StackedTrainer,
    "loop": LoopTrainer,
    "processes": ProcessTrainer,
    "ray": RayTrainer,
    "none": NoTraining,
}
"""The engines by name; one of your own can be added here."""


def check_engine(engine: str, hardware: Hardware) -> None:
    """Raise `ValueError` if there is no such engine, or it cannot use the hardware, present or not."""
    if engine not in ENGINES:
        raise ValueError(f"engine must be one of {', '.join(map(repr, ENGINES))}, got {engine!r}")
    if hardware.precision != "float32" and not ENGINES[engine].mixes_precision:
        raise ValueError(f"precision must be 'float32' with engine {engine!r}, got {hardware.precision!r}")
    if hardware.device != "cpu" and ENGINES[engine].needs_cpu:
        raise ValueError(f"device must be 'cpu' with engine {engine!r}, got {hardware.device!r}")


def make_trainer(
    engine: str, model: TrainableModel, settings: TrainingSettings, hardware: Hardware | None = None
) -> LocalTrainer:
    """Make the trainer of an engine.

    Args:
        engine: `auto` picks for each round; `loop` is the readable reference, `compiled` trains by machine code,
            `stacked` trains all satellites as one job, `processes` and `ray` share them among the cores of this machine
            or of a cluster, and `none` trains nothing.
        model: What is trained.
        settings: How to train.
        hardware: Where to train; the CPU in float32 by default.

    Raises:
        ValueError: If the engine is unknown, or it cannot use the model or the hardware, or that is not present.
        ImportError: If the engine is `ray` and Ray is not installed.
    """
    hardware = hardware or Hardware()
    check_engine(engine, hardware)
    hardware.check_visible()
    return ENGINES[engine](model, settings, hardware)
