"""SemSpaceFL's Swin transformer at the size `paper`: a training step of two images of 224x224 pixels on the CPU."""

from __future__ import annotations

from functools import partial

from benchmarks.memory import more_memory_mb
from benchmarks.timing import medians
from benchmarks.workloads import workload
from satfl_env.federated import Layout, make_trainer


def run(quick: bool) -> dict[str, float]:
    """Measure everything; `quick` takes fewer repeats.

    Returns:
        Values by name; each name ends in its unit.
    """
    work = workload("Swin")
    step = partial(work.train, make_trainer("loop", work.model, work.settings))
    name = "Swin transformer, size paper, two images"
    return {
        f"{name}: parameters, million": Layout.of(work.model).num_parameters / 1e6,
        f"{name}: forward, backward and Adam, s": medians({name: step}, 1 if quick else 3)[name],
        f"{name}: more memory at the peak, MB": more_memory_mb("Swin", "loop"),
    }
