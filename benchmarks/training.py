"""Local training: seconds per round, against a plain loop with a DataLoader and against the arithmetic alone.

The default round is that of `leo-multitask`: 10 satellites with 15 to 80 images of 8x8 pixels, 1 to 8 epochs and
minibatches of 16. W1 is 3 satellites with 20,000 images of 28x28 pixels each, 10 epochs in minibatches of 256, with
the fully connected link; W1s the same with 2,000 images and 1 epoch; W1m 50 satellites with 400 images, 5 epochs and
minibatches of 64. W2 is 10 satellites with 200 images of 32x32x3 pixels, 2 epochs in minibatches of 32, with the
convolutional autoencoder; `unequal` the same with 18 to 382 images and 85 to 3 epochs. The floor is three times the
operations of the forward passes at the rate at which this machine multiplies large matrices, on all cores.
"""

from __future__ import annotations

from functools import partial

import torch

from benchmarks.machine import matrix_flops_per_s
from benchmarks.memory import more_memory_mb
from benchmarks.naive import train_all
from benchmarks.timing import medians
from benchmarks.workloads import SMALL_MODELS, Workload, small_mlp, workload
from satfl_env.federated import Hardware, forward_flops, make_trainer
from satfl_env.federated.model import has_kernel

ENGINES = ("loop", "stacked", "compiled", "processes", "auto")
QUICK = ("default round", "W1s", "W2")
SHORT = ("default round", "W1s")
SIZES = (10, 50, 100, 1000)


def run(quick: bool) -> dict[str, float]:
    """Measure everything; `quick` takes fewer rounds and repeats.

    Returns:
        Values by name; each name ends in its unit, ratios say what they compare.
    """
    values = {"this machine, product of large matrices: GFLOP/s": matrix_flops_per_s() / 1e9}
    rate = 1e9 * values["this machine, product of large matrices: GFLOP/s"]
    for name in QUICK if quick else ("default round", *SMALL_MODELS):
        repeats = 2 if quick else 3
        values |= round_seconds(workload(name), 5 * repeats if name in SHORT else repeats, rate)
    values |= satellites((10, 50) if quick else SIZES, repeats=3 if quick else 7)
    for name in ("W2",) if quick else ("W1m", "W2"):
        values |= {f"{name}, {form}: more memory at the peak, MB": more_memory_mb(name, form) for form in FORMS}
    return values


FORMS = ("naive", "loop", "stacked")


def round_seconds(work: Workload, repeats: int, flops_per_s: float) -> dict[str, float]:
    """Seconds per round of each engine, and how they compare."""
    hardware = Hardware(workers=torch.get_num_threads())
    engines = [engine for engine in ENGINES if engine != "compiled" or has_kernel(work.model)]
    trainers = {engine: make_trainer(engine, work.model, work.settings, hardware) for engine in engines}
    seconds = medians(
        {
            "plain loop with DataLoader": partial(train_all, work),
            **{engine: partial(work.train, trainer) for engine, trainer in trainers.items()},
        },
        repeats,
    )
    floor_s = 3 * forward_flops(work.model, work.data.images) * work.samples_seen / flops_per_s
    return {
        **{f"{work.name}: {name}, s": value for name, value in seconds.items()},
        f"{work.name}: plain loop / auto": seconds["plain loop with DataLoader"] / seconds["auto"],
        f"{work.name}: arithmetic floor, s": floor_s,
        f"{work.name}: auto / floor": seconds["auto"] / floor_s,
        f"{work.name}: stacked / auto": seconds["stacked"] / seconds["auto"],
    }


def satellites(sizes: tuple[int, ...], *, repeats: int) -> dict[str, float]:
    """What a satellite costs in rounds like those of the scenario `leo-multitask`, by the number of satellites."""
    works = [small_mlp(size) for size in sizes]
    trainers = [make_trainer("auto", work.model, work.settings) for work in works]
    seconds = medians(
        {work.name: partial(work.train, trainer) for work, trainer in zip(works, trainers, strict=True)}, repeats
    )
    return {
        name: value
        for work in works
        for name, value in {
            f"{work.name}: a round of auto, ms": 1e3 * seconds[work.name],
            f"{work.name}: ms a satellite": 1e3 * seconds[work.name] / work.num_satellites,
            f"{work.name}: more memory at the peak, MB": more_memory_mb(f"{work.num_satellites}", "stacked"),
        }.items()
    }
