"""A device against the CPU: the same rounds by every engine and in every precision."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from benchmarks.workloads import Workload, workload
from satfl_env.federated import Hardware, LocalData, TrainingResult, check_engine, make_trainer, torch_defaults

ENGINES = ("loop", "stacked", "auto")
# Of parameters in units of their own, of losses relative to them; see `LocalTrainer` and `Hardware`.
TOLERANCES = {"float64": 1e-9, "float32": 1e-5, "bfloat16": 1e-2}


def against_cpu(names: Iterable[str], device: str) -> dict[str, float]:
    """The largest differences between a device and the reference engine on the CPU, a round each."""
    values: dict[str, float] = {}
    for name in names:
        work = workload(name)
        values |= engine_differences(in_double(work), device, "float64")
        values |= engine_differences(work, device, "float32", "bfloat16")
    return values


@torch_defaults()
def engine_differences(work: Workload, device: str, *precisions: str) -> dict[str, float]:
    """How far every engine is from `loop` on the CPU; in `bfloat16`, losses alone are held to the tolerance."""
    expected = work.train(make_trainer("loop", work.model, work.settings))
    values: dict[str, float] = {}
    for engine in ENGINES:
        for precision in precisions:
            mixed = precision == "bfloat16"
            hardware = Hardware(device, "bfloat16" if mixed else "float32")
            if not _possible(engine, hardware):
                continue
            found = work.train(make_trainer(engine, work.model, work.settings, hardware))
            parameters, losses = differences(expected, found)
            case, tolerance = f"{work.name}, {engine} on {device}, {precision}", TOLERANCES[precision]
            values |= {
                f"{case}: largest difference of parameters": parameters,
                f"{case}: of losses, relative": losses,
                f"{case}: tolerance": tolerance,
                f"{case}: kept (1) or not (0)": float(losses <= tolerance and (mixed or parameters <= tolerance)),
            }
    return values


def differences(expected: TrainingResult, found: TrainingResult) -> tuple[float, float]:
    """Largest difference of parameters, and of the last epochs' losses in parts of them."""
    parameters = (found.parameters - expected.parameters).abs().max()
    losses = np.abs(found.last_loss / expected.last_loss - 1)
    return float(parameters), float(np.max(losses))


def in_double(work: Workload) -> Workload:
    """The same round in double precision, in which no rounding matters."""
    data = work.data
    return replace(work, data=LocalData(data.images.double(), data.targets, data.offsets, data.output_mask))


def _possible(engine: str, hardware: Hardware) -> bool:
    try:
        check_engine(engine, hardware)
    except ValueError:
        return False
    return True
