"""Everything worth knowing about one GPU, in a quarter of an hour: `python -m benchmarks.device`.

A bare machine needs a copy of the repository, Python 3.11 or newer, and `pip install -e .`, which brings PyTorch with
CUDA where it is not there. The script itself downloads nothing, so that it also runs without a network: beside PyTorch,
torchvision, scikit-learn, PyYAML, rich, typer, filelock, lazy-loader and threadpoolctl it then needs wheels of pydantic
(pydantic-core, annotated-types, typing-inspection), gymnasium (farama-notifications), greenlet and sgp4, and
`PYTHONPATH=.:baselines`.

What is done is in the output folder as soon as it ends: the same command goes on from there, also on another day. A
round of the long study that is interrupted starts anew.
"""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import torch
import typer
from rich.console import Console

from benchmarks import gpu, graphs, machine, paper_rounds, parity, report
from benchmarks.pictures import synthetic
from benchmarks.workloads import TINY_MODELS, workload
from satfl_baselines.files import read_json, write_json
from satfl_baselines.identity import require_same
from satfl_env.federated import Hardware

REPEATS = 3
# What the long study needs before its first round: pictures, first models and their tests.
STUDY_BEGINS_S = 120.0


class Part(NamedTuple):
    """A part of the work.

    Attributes:
        name: Name of its file.
        longest_s: It starts only with as much time left.
        run: Does it; the values as for `benchmarks.report`. An `ImportError` says that it cannot be done here.
        continues: Whether there is more to do when it has been done before.
    """

    name: str
    longest_s: float
    run: Callable[[], Mapping[str, float]]
    continues: bool = False


def parts(device: str, precision: str, *, toy: bool) -> list[Part]:
    """All parts but the long study."""
    compared = TINY_MODELS if toy else (*TINY_MODELS, "Swin")
    timed, stepped = (TINY_MODELS, TINY_MODELS[:2]) if toy else (gpu.ROUNDS, gpu.ROUNDS[:3])
    longest_s = 20.0 if toy else 60.0
    return [
        Part("parity", 2 * longest_s, lambda: parity.against_cpu(compared, device)),
        Part("round", longest_s, lambda: paper_rounds.against_cpu(device)),
        Part("interruption", longest_s, lambda: paper_rounds.interruption(device, precision)),
        *(Part(f"times {name}", longest_s, partial(_times, name, device)) for name in timed),
        *(Part(f"graph {name}", longest_s, partial(_graph, name, device)) for name in stepped),
    ]


def _times(name: str, device: str) -> dict[str, float]:
    return gpu.forms(workload(name), device, repeats=REPEATS)


def _graph(name: str, device: str) -> dict[str, float]:
    return graphs.gain(workload(name), device, repeats=REPEATS)


def play(todo: Iterable[Part], out: Path, deadline_s: float, console: Console) -> None:
    """Do the parts that are not done yet, as long as there is time; one that fails does not stop the next."""
    for part in todo:
        if part.continues or not _is_done(_file(out, part)):
            record(part, out, deadline_s, console)


def record(part: Part, out: Path, deadline_s: float, console: Console) -> None:
    """Do a part if there is time, and write down what came out of it: values, why it was left out, or the error."""
    if time.monotonic() + part.longest_s > deadline_s:
        console.print(f"{part.name}: left for the next time.", highlight=False)
        return
    console.rule(part.name)
    began, on_gpu = time.perf_counter(), torch.cuda.is_initialized()
    if on_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    outcome: dict[str, Any]
    try:
        outcome = {"values": dict(part.run())}
        report.show(console, outcome["values"])
    except ImportError as error:
        outcome = {"left_out": str(error)}
        console.print(f"Left out: {error}.", markup=False, highlight=False, soft_wrap=True)
    except Exception as error:
        outcome = {"error": traceback.format_exc()}
        console.print(f"Failed: {type(error).__name__}: {error}", markup=False, highlight=False, soft_wrap=True)
    if torch.cuda.is_initialized():
        outcome["gpu_memory_gb"] = torch.cuda.max_memory_allocated() / 1e9
    took_s = time.perf_counter() - began
    write_json(_file(out, part), {"machine": machine.in_words(), "took_s": took_s, **outcome})


def _file(out: Path, part: Part) -> Path:
    return out / f"{part.name.replace(' ', '-')}.json"


def _is_done(path: Path) -> bool:
    """Whether there is a result; a damaged one is none."""
    try:
        return path.exists() and "error" not in read_json(path, dict[str, Any])
    except ValueError:
        return False


def main(
    device: Annotated[str, typer.Option(help="Where to compute: `cuda`, `cuda:<index>` or `cpu`.")] = "cuda",
    minutes: Annotated[float, typer.Option(min=0.0, help="Nothing starts that would take longer.")] = 14.0,
    out: Annotated[Path, typer.Option(help="Folder for results and checkpoints.")] = Path("results/gpu"),
    data: Annotated[Path | None, typer.Option(help="Folder with imagenette2; without it pictures are made up.")] = None,
    precision: Annotated[str, typer.Option(help="Of the long study: bfloat16 or float32.")] = "bfloat16",
    toy: Annotated[bool, typer.Option("--toy", help="Tiny models and pictures: a try without a GPU.")] = False,
) -> None:
    """Compare a device with the CPU, time it, and train SemSpaceFL at the paper's size for the rest of the time."""
    deadline_s = time.monotonic() + 60 * minutes
    # Before the first matrix product: cuBLAS then gives the same bits each time.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    try:
        Hardware(device).check_visible()
        scenario = paper_rounds.scenario(paper_rounds.TOY if toy else paper_rounds.PAPER, device, precision, data)
        _claim(out, device=device, toy=toy)
    except (OSError, ValueError) as error:
        raise typer.BadParameter(str(error)) from error
    console = Console()
    console.print(machine.in_words(), highlight=False)

    def study() -> dict[str, float]:
        pictures = synthetic(scenario) if data is None else None
        studies = [paper_rounds.Rounds(policy, scenario, out, pictures) for policy in paper_rounds.POLICIES]
        paper_rounds.play_in_turn(studies, deadline_s)
        return paper_rounds.summary(studies)

    todo = [*parts(device, precision, toy=toy), Part("rounds", STUDY_BEGINS_S, study, continues=True)]
    play(todo, out, deadline_s, console)


def _claim(out: Path, **settings: Any) -> None:
    """Make the folder of these settings, or raise a `ValueError` if it is that of others."""
    record = out / "settings.json"
    if record.exists():
        require_same(out, "device", read_json(record, dict[str, Any]), settings)
    out.mkdir(parents=True, exist_ok=True)
    write_json(record, settings)


if __name__ == "__main__":
    typer.run(main)
