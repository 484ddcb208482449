"""CUDA graphs: a training step of all satellites replayed as one, against its kernels launched one by one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor

from benchmarks.timing import medians
from benchmarks.workloads import Workload
from satfl_env.federated import Layout, data_on, model_on, torch_defaults
from satfl_env.federated.feeder import Feeder
from satfl_env.federated.gradients import gradient_of
from satfl_env.federated.row_optimizer import row_optimizer
from satfl_env.federated.schedule import Work
from satfl_env.federated.trainer import Shard

STEPS = 50
_WARM_UP = 3  # steps that a library may need to make its plans


@torch_defaults()
def gain(work: Workload, device: str, *, repeats: int) -> dict[str, float]:
    """Milliseconds of a step, launched and replayed, and how far both are apart after as many steps.

    Raises:
        ImportError: If the device has no graphs.
    """
    if not device.startswith("cuda"):
        raise ImportError(f"device {device!r} has no CUDA graphs")
    step, launched = one_step(work, device)
    same_step, replayed = one_step(work, device)
    replay = captured(same_step)
    for _ in range(_WARM_UP):
        step()
    forms = {"launched": step, "replayed": replay}
    seconds = medians({name: partial(_steps, form, device) for name, form in forms.items()}, repeats)
    case = f"{work.name}, a step on {device}"
    return {
        **{f"{case}: {name}, ms": 1e3 * value / STEPS for name, value in seconds.items()},
        f"{case}: launched / replayed": seconds["launched"] / seconds["replayed"],
        f"{case}: largest difference": float((launched - replayed).abs().max()),
    }


def one_step(work: Workload, device: str) -> tuple[Callable[[], None], Tensor]:
    """A step of stacked training, always with the same minibatches, and the parameters (A, P) that it changes."""
    model, data = model_on(device, work.model), data_on(device, work.data)
    amounts = Work.of(work.data.samples, work.epochs, work.settings)
    order = np.argsort(-amounts.steps, kind="stable")
    batch = next(iter(Feeder(model, data, Shard(order, amounts.part(order), work.seeds[order]), work.settings)))
    rows = work.rows.to(device, copy=True)
    optimizer = row_optimizer(rows, work.settings)
    gradient_at = gradient_of(model, Layout.of(model), rows, None, "float32")

    @torch.no_grad()
    def step() -> None:
        _, gradient = gradient_at(batch)
        optimizer.update(rows, gradient)

    return step, rows


def captured(step: Callable[[], None]) -> Callable[[], None]:
    """A function that does what `step` does in one launch; a few steps are made on the way."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(_WARM_UP):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    replay: Callable[[], None] = graph.replay
    return replay


def _steps(step: Callable[[], None], device: str) -> None:
    for _ in range(STEPS):
        step()
    torch.cuda.synchronize(device)
