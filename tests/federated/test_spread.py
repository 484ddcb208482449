"""Worker processes: what they may not lose, and that they go when they should."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from satfl_env.federated import (
    Hardware,
    Layout,
    LocalData,
    StackedTrainer,
    TrainingSettings,
    WorkerError,
    auto,
    forward_flops,
    hardware,
    in_process,
    make_trainer,
    pool,
)
from satfl_env.federated.compiled import CompiledTrainer
from satfl_env.federated.shards import balance
from satfl_env.semantics import Channel, ConvJSCC, MLPLink, SwinJSCC

TWO = Hardware(workers=2)
SCRIPT = """
import time
import numpy as np, torch
from satfl_env.federated import Hardware, Layout, LocalData, TrainingSettings, make_trainer, pool
from satfl_env.semantics import Channel, MLPLink
link = MLPLink(9, 2, channel=Channel(), generator=torch.Generator().manual_seed(0))
data = LocalData.concatenate([torch.zeros(4, 9)] * 2, [torch.zeros(4, dtype=torch.int64)] * 2)
rows = Layout.of(link).flatten(link).repeat(2, 1)
trainer = make_trainer("processes", link, TrainingSettings(), Hardware(workers=1))
trainer.train(rows, data, np.ones(2, dtype=np.int64), np.arange(2, dtype=np.uint64))
print(*pool._pools[1].pids, flush=True)
time.sleep(60)
"""


def link() -> MLPLink:
    return MLPLink(9, 2, channel=Channel(), generator=torch.Generator().manual_seed(0))


def job(satellites: int = 4, epochs: int = 2, pixels: int = 9):
    generator = torch.Generator().manual_seed(1)
    data = LocalData.concatenate(
        [torch.rand(20 + s, pixels, generator=generator) for s in range(satellites)],
        [torch.randint(0, 2, (20 + s,), generator=generator) for s in range(satellites)],
    )
    rows = Layout.of(link()).flatten(link()).repeat(satellites, 1)
    return rows, data, np.full(satellites, epochs), np.arange(satellites, dtype=np.uint64)


def is_alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@given(st.lists(st.integers(1, 50), min_size=1, max_size=6), st.integers(1, 3))
def test_balance_is_near_the_best_of_all_splits(cost: list[int], workers: int):
    parts = balance(np.array(cost), workers)
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(cost)))
    assert all(len(part) and (np.diff(part) > 0).all() for part in parts)

    def longest(owner: tuple[int, ...]) -> int:
        return max(sum(c for c, o in zip(cost, owner, strict=True) if o == worker) for worker in range(workers))

    best = min(longest(owner) for owner in itertools.product(range(workers), repeat=len(cost)))
    # Graham's bound for taking the dearest first.
    assert max(sum(cost[index] for index in part) for part in parts) <= (4 / 3 - 1 / (3 * workers)) * best + 1e-9


def test_forward_flops_are_those_of_the_layers():
    images = torch.rand(3, 9)
    assert forward_flops(link(), images) == 2 * (9 * 32 + 32 * 8 + 8 * 16 + 16 * 2)
    conv = ConvJSCC((1, 8, 8), channel=Channel(), generator=torch.Generator().manual_seed(0), widths=(4, 6, 8))
    per_tap = 16 * 1 * 4 + 4 * 4 * 6 + 4 * 6 * 8 + 4 * 8 * 6 + 4 * 6 * 4 + 16 * 4 * 1
    assert forward_flops(conv, torch.rand(1, 1, 8, 8, dtype=torch.float64)) == 2 * 25 * per_tap
    assert conv.encoder[0].weight.dtype == torch.float32


def test_a_killed_worker_is_an_error_and_the_next_round_is_whole():
    trainer = make_trainer("processes", link(), TrainingSettings(4), TWO)
    rows, data, epochs, seeds = job()
    expected = make_trainer("stacked", link(), TrainingSettings(4)).train(rows, data, epochs, seeds)
    trainer.train(rows, data, epochs, seeds)
    victim, other = pool._pools[2].pids
    killer = threading.Timer(0.2, os.kill, (victim, signal.SIGKILL))
    killer.start()
    with pytest.raises(WorkerError, match=rf"pid {victim}\) died with exit code -9"):
        trainer.train(rows, data, np.full(4, 100_000), seeds)
    killer.join()
    assert not is_alive(other), "the rest of the pool ends too"
    again = trainer.train(rows, data, epochs, seeds)
    assert torch.allclose(again.parameters, expected.parameters, atol=1e-6)
    assert victim not in pool._pools[2].pids

    victim = pool._pools[2].pids[1]
    os.kill(victim, signal.SIGKILL)
    with pytest.raises(WorkerError, match=f"pid {victim}"):
        trainer.train(rows, data, epochs, seeds)

    # Images that do not fit the model.
    with pytest.raises(WorkerError, match=r"(?s)training failed in satfl-worker-\d.*kernel.*Error: the images "):
        trainer.train(*job(pixels=10))


def test_trainers_share_workers_and_keep_apart():
    trainers = [make_trainer("processes", link(), TrainingSettings(size), TWO) for size in (4, 8)]
    references = [make_trainer("loop", link(), TrainingSettings(size)) for size in (4, 8)]
    for rounds in range(2):
        for trainer, reference in zip(trainers, references, strict=True):
            arguments = job(3 + rounds)
            found, expected = trainer.train(*arguments), reference.train(*arguments)
            assert torch.allclose(found.parameters, expected.parameters, atol=1e-6)
    assert len(pool._pools) == 1


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at /proc")
def test_workers_end_with_a_parent_that_is_killed():
    parent = subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    (worker,) = map(int, parent.stdout.readline().split())
    assert is_alive(worker)
    parent.kill()
    parent.wait(timeout=30)
    parent.stdout.close()
    deadline = time.monotonic() + 15
    while is_alive(worker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_alive(worker)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_does_not_inherit_the_pool():
    make_trainer("processes", link(), TrainingSettings(4), TWO).train(*job())
    child = os.fork()
    if child == 0:
        os._exit(len(pool._pools))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert pool._pools


class Spy:
    """Stands in for the pool and notes what it was asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.workers: list[int] = []
        monkeypatch.setattr(auto, "train_spread", self)

    def __call__(self, trainer, workers, *arguments):
        self.workers.append(workers)
        return trainer.train_rows(*arguments)


@pytest.fixture
def no_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without Numba."""
    monkeypatch.setattr(in_process.InProcessTrainer, "_compiled_for", lambda *_: None)


@pytest.mark.usefixtures("no_kernel")
def test_auto_spreads_large_rounds_only_and_only_where_it_may(monkeypatch: pytest.MonkeyPatch):
    spy = Spy(monkeypatch)
    flops = forward_flops(link(), torch.rand(1, 9))
    small = int(auto._PROCESSES_FLOPS / flops / (20 + 21) * 0.9)
    for epochs, workers, expected in ((1, 2, []), (1 + small // 10, 1, []), (2, 2, [])):
        make_trainer("auto", link(), TrainingSettings(64), Hardware(workers=workers)).train(*job(2, epochs))
        assert spy.workers == expected
    monkeypatch.setattr(auto, "_PROCESSES_FLOPS", flops * (20 + 21) * 2)
    trainer = make_trainer("auto", link(), TrainingSettings(64), TWO)
    trainer.train(*job(2, 1))
    assert spy.workers == []
    trainer.train(*job(2, 2))
    assert spy.workers == [2]
    trainer.train(*job(1, 50))
    assert spy.workers == [2], "one satellite cannot be shared"
    with hardware.thread_limit(1):
        make_trainer("auto", link(), TrainingSettings(64)).train(*job(2, 2))
    assert spy.workers == [2], "one thread allowed"
    monkeypatch.setattr(auto, "current_process", lambda: SimpleNamespace(daemon=True))
    trainer.train(*job(2, 2))
    assert spy.workers == [2], "daemons have no children"


def test_auto_shares_satellites_of_long_training_among_threads(monkeypatch: pytest.MonkeyPatch):
    spy, threads, original = Spy(monkeypatch), [], CompiledTrainer.train_in_threads

    def train_in_threads(self, count, *arguments):
        threads.append(count)
        return original(self, count, *arguments)

    monkeypatch.setattr(CompiledTrainer, "train_in_threads", train_in_threads)
    monkeypatch.setattr(auto, "_PROCESSES_FLOPS", 0)
    # Two satellites go through 20 and 21 samples.
    flops = forward_flops(link(), torch.rand(1, 9)) * 41 / 2
    for threshold, workers in ((flops, 2), (flops, 1), (flops + 1, 2)):
        monkeypatch.setattr(auto, "_THREADS_FLOPS", threshold)
        make_trainer("auto", link(), TrainingSettings(64), Hardware(workers=workers)).train(*job(2, 1))
    assert threads == [2, 1, 1]
    assert spy.workers == []


@pytest.mark.usefixtures("no_kernel")
def test_auto_gives_large_minibatches_all_threads(monkeypatch: pytest.MonkeyPatch):
    threads = []
    original = StackedTrainer.train_rows

    def train_rows(self, *arguments):
        threads.append(torch.get_num_threads())
        return original(self, *arguments)

    monkeypatch.setattr(StackedTrainer, "train_rows", train_rows)
    flops = forward_flops(link(), torch.rand(1, 9)) * 64
    for threshold, workers in ((flops, 2), (flops, 1), (flops + 1, 2)):
        monkeypatch.setattr(auto, "_THREADS_FLOPS", threshold)
        with hardware.thread_limit(1):
            make_trainer("auto", link(), TrainingSettings(64), Hardware(workers=workers)).train(*job(3, 1))
    assert threads == [2, 1, 1]


@pytest.mark.usefixtures("no_kernel")
def test_auto_gives_the_same_in_workers(monkeypatch: pytest.MonkeyPatch):
    alone = make_trainer("auto", link(), TrainingSettings(4), Hardware(workers=1)).train(*job())
    monkeypatch.setattr(auto, "_PROCESSES_FLOPS", 0)
    spread = make_trainer("auto", link(), TrainingSettings(4), TWO).train(*job())
    assert torch.allclose(alone.parameters, spread.parameters, atol=1e-6)


def test_small_minibatches_are_stacked_and_large_ones_looped(monkeypatch: pytest.MonkeyPatch):
    def chosen(model, images: torch.Tensor, batch_size: int) -> str:
        data = LocalData(images, torch.zeros(len(images), dtype=torch.int64), np.array([0, len(images)]))
        trainer = in_process.InProcessTrainer(model, TrainingSettings(batch_size))
        return type(trainer.chosen(torch.empty(0), data)).__name__

    swin = SwinJSCC((3, 32, 32), channel=Channel(), generator=torch.Generator().manual_seed(0))
    image = torch.rand(1, 3, 32, 32)
    border = int(in_process._STACKED_FLOPS // forward_flops(swin, image))
    assert chosen(swin, image, border - 1) == "StackedTrainer"
    assert chosen(swin, image, border + 1) == "LoopTrainer"
    conv = ConvJSCC((1, 8, 8), channel=Channel(), generator=torch.Generator(), widths=(4, 6, 8))
    assert chosen(conv, torch.rand(1, 1, 8, 8), 10**9) == "StackedTrainer", "its gradient is in closed form"
    assert chosen(link(), torch.rand(1, 9), 10**9) == "CompiledTrainer"


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"device": "tpu"}, "must be cpu, cuda or cuda:<index>, got 'tpu'"),
        ({"precision": "int8"}, "'float32' or 'bfloat16'"),
        ({"workers": 0}, r"workers\n.* greater than or equal to 1"),
    ],
)
def test_bad_hardware_is_rejected(changes: dict, word: str):
    with pytest.raises(ValueError, match=word):
        Hardware(**changes)


def test_a_device_is_looked_for_where_it_is_needed():
    absent = Hardware("cuda:99")
    with pytest.raises(ValueError, match="device is 'cuda:99'; PyTorch sees cpu"):
        make_trainer("loop", link(), TrainingSettings(), absent)


@pytest.mark.parametrize("engine", ["loop", "processes"])
def test_engines_without_mixed_precision_say_so(engine: str):
    with pytest.raises(ValueError, match=f"precision must be 'float32' with engine '{engine}', got 'bfloat16'"):
        make_trainer(engine, link(), TrainingSettings(), Hardware(precision="bfloat16"))


@pytest.mark.parametrize("engine", ["processes", "ray"])
def test_engines_for_the_cpu_say_so(engine: str):
    with pytest.raises(ValueError, match=f"device must be 'cpu' with engine '{engine}', got 'cuda'"):
        make_trainer(engine, link(), TrainingSettings(), Hardware("cuda"))


def test_thread_limit_is_lifted_again():
    before = torch.get_num_threads()
    with hardware.thread_limit(before + 1):
        assert torch.get_num_threads() == before + 1
    with hardware.thread_limit(None):
        assert torch.get_num_threads() == before
    assert torch.get_num_threads() == before
    assert hardware.available_cores() >= 1
