"""Local training on a GPU: all satellites as one job against one after the other."""

from __future__ import annotations

from functools import partial

import torch

from benchmarks.timing import medians
from benchmarks.workloads import Workload, workload
from satfl_env.federated import Hardware, make_trainer, torch_defaults

ROUNDS = ("default round", "W1m", "W2", "Swin x 10")


def run(quick: bool) -> dict[str, float]:
    """Measure everything; `quick` takes fewer repeats.

    Returns:
        Values by name; each name ends in its unit, ratios say what they compare.

    Raises:
        ImportError: If PyTorch sees no GPU.
    """
    if not torch.cuda.is_available():
        raise ImportError("PyTorch sees no GPU")
    values: dict[str, float] = {}
    for name in ROUNDS:
        values |= forms(workload(name), "cuda", repeats=1 if quick else 5)
    return values


@torch_defaults()
def forms(work: Workload, device: str, *, repeats: int) -> dict[str, float]:
    """Seconds of a round on a device; training ends with a copy to the CPU, which waits for the device."""
    trainers = {
        "loop": make_trainer("loop", work.model, work.settings, Hardware(device)),
        "stacked": make_trainer("stacked", work.model, work.settings, Hardware(device)),
        "stacked in bfloat16": make_trainer("stacked", work.model, work.settings, Hardware(device, "bfloat16")),
    }
    seconds = medians({form: partial(work.train, trainer) for form, trainer in trainers.items()}, repeats)
    return {
        **{f"{work.name} on {device}: {form}, s": value for form, value in seconds.items()},
        f"{work.name} on {device}: loop / stacked": seconds["loop"] / seconds["stacked"],
    }
