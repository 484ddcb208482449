"""Large minibatches in two halves: the same training to the bit, whether one thread computes both or two share them."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from satfl_env.federated import (
    Hardware,
    Layout,
    LocalData,
    LocalObjective,
    TrainingSettings,
    halves,
    make_trainer,
    threads,
)
from satfl_env.semantics import Channel, MLPLink
from satfl_env.semantics.meeting import meet

PIXELS, CLASSES = 13, 3
# Odd sizes: minibatches of 16, 16 and 8, of 16 and 11, of 5, and of 16 and 1.
SAMPLES, EPOCHS = [40, 27, 5, 17], np.array([2, 3, 4, 40])


def link() -> MLPLink:
    generator = torch.Generator().manual_seed(0)
    return MLPLink(PIXELS, CLASSES, channel=Channel("rician"), generator=generator, hidden=7, channel_draws=2)


def work(dtype: torch.dtype = torch.float32, *, guided: bool = False):
    model, generator = link(), torch.Generator().manual_seed(1)
    rows = Layout.of(model).flatten(model).repeat(len(SAMPLES), 1).to(dtype)
    images = [torch.rand(n, PIXELS, generator=generator, dtype=dtype) for n in SAMPLES]
    targets = [torch.randint(0, CLASSES, (n,), generator=generator) for n in SAMPLES]
    shift = 0.1 * torch.randn(rows.shape, generator=generator, dtype=dtype)
    objective = LocalObjective(shift, 0.3) if guided else None
    return rows, LocalData.concatenate(images, targets), EPOCHS, np.arange(4, dtype=np.uint64), objective


@pytest.fixture
def from_eight_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Minibatches of eight samples have halves already."""
    parameters = Layout.of(link()).num_parameters
    monkeypatch.setattr(halves, "_LEAST_WORK", 8 * parameters)


@pytest.fixture
def in_pairs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many jobs ran at once, each time; two threads share every satellite if they can."""
    monkeypatch.setattr(halves, "_PAIR_TIME", 0.0)
    ran: list[int] = []
    original = threads.at_once

    def counted(jobs, release) -> None:
        ran.append(len(jobs))
        original(jobs, release)

    monkeypatch.setattr("satfl_env.federated.compiled.at_once", counted)
    return ran


@pytest.mark.usefixtures("from_eight_samples")
@pytest.mark.parametrize("guided", [False, True])
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("workers", [1, 2])
def test_it_is_loop_in_double_precision(workers: int, optimizer: str, guided: bool, in_pairs: list[int]):
    how = TrainingSettings(16, optimizer=optimizer, round_share=0.9)
    jobs = work(torch.float64, guided=guided)
    loop = make_trainer("loop", link(), how).train(*jobs)
    found = make_trainer("compiled", link(), how, Hardware(workers=workers)).train(*jobs)
    assert set(in_pairs) == {workers}
    tolerance = 1e-12 if optimizer == "sgd" else 1e-9
    assert torch.allclose(found.parameters, loop.parameters, rtol=0, atol=tolerance)
    assert found.last_loss == pytest.approx(loop.last_loss, rel=tolerance)
    if guided:
        assert torch.allclose(found.mean_gradient, loop.mean_gradient, rtol=0, atol=tolerance)


@pytest.mark.usefixtures("from_eight_samples")
def test_bits_are_those_of_one_thread(in_pairs: list[int]):
    how, jobs = TrainingSettings(16), work(guided=True)
    alone = make_trainer("compiled", link(), how).train(*jobs)
    assert set(in_pairs) == {1}
    in_pairs.clear()
    for workers in (2, 3, 4, 5):
        shared = make_trainer("compiled", link(), how, Hardware(workers=workers)).train(*jobs)
        assert torch.equal(shared.parameters, alone.parameters)
        assert torch.equal(shared.mean_gradient, alone.mean_gradient)
        assert np.array_equal(shared.last_loss, alone.last_loss)
    assert set(in_pairs) == {2}


def test_small_minibatches_have_no_halves(monkeypatch: pytest.MonkeyPatch):
    how = TrainingSettings(16)
    whole = make_trainer("compiled", link(), how).train(*work())
    monkeypatch.setattr(halves, "_LEAST_WORK", 17 * Layout.of(link()).num_parameters)
    assert torch.equal(make_trainer("compiled", link(), how).train(*work()).parameters, whole.parameters)
    monkeypatch.setattr(halves, "_LEAST_WORK", 16 * Layout.of(link()).num_parameters)
    # Sums of halves are rounded otherwise.
    assert not torch.equal(make_trainer("compiled", link(), how).train(*work()).parameters, whole.parameters)


@pytest.mark.usefixtures("from_eight_samples", "in_pairs")
def test_an_error_ends_both_halves():
    rows, data, *rest = work()
    data.targets[-1] = CLASSES  # in one half of a minibatch alone
    with pytest.raises(IndexError, match="a target is not among the classes"):
        make_trainer("compiled", link(), TrainingSettings(16), Hardware(workers=2)).train(rows, data, *rest)


@pytest.mark.parametrize(
    ("steps", "threads", "pays"),
    [
        ([8, 8, 8], 2, True),  # 12 rather than 16
        ([8], 2, True),
        ([8, 8], 2, False),
        ([8, 8, 8, 8], 2, False),
        ([8] * 5, 2, True),  # 20 rather than 24
        ([8] * 51, 2, False),  # 204 rather than 208, less than meeting costs
        ([24, 8, 8, 8], 2, False),
        ([40, 8, 8], 2, True),  # 28 rather than 40
        ([8, 8, 8], 1, False),
        ([8, 8, 8], 3, False),
        ([8, 8], 4, True),
    ],
)
def test_pairs_where_threads_would_wait(steps: list[int], threads: int, pays: bool):
    parameters = 50_000
    assert halves.pays_in_pairs(np.array(steps), 256, parameters, threads) == pays
    assert not halves.pays_in_pairs(np.array(steps), 100, parameters, threads)


def test_two_threads_meet_as_often_as_they_wait():
    counts, seen = np.zeros(2, np.int64), ([], [])

    def go(own: int) -> None:
        for _ in range(200):
            seen[own].append(int(counts[1 - own]))
            meet(counts, own)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(go, range(2)))
    assert counts.tolist() == [200, 200]
    # Before its n-th meeting neither is ahead of the other by more than one.
    assert all(n - 1 <= other <= n + 1 for own in seen for n, other in enumerate(own))


def test_without_a_thread_for_the_other_half_nobody_waits_for_it(monkeypatch: pytest.MonkeyPatch):
    def no_thread(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", no_thread)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        threads.at_once([lambda: pytest.fail("it would wait for ever"), lambda: None], lambda: None)


@pytest.mark.parametrize("failing", [0, 1])
@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_whoever_waits_for_a_job_that_fails_is_released(failing: int, error: type[BaseException]):
    released, ended = threading.Event(), []

    def fail() -> None:
        raise error

    def wait() -> None:
        ended.append(released.wait(10))

    jobs = [wait, fail] if failing else [fail, wait]
    with pytest.raises(error):
        threads.at_once(jobs, released.set)
    assert ended == [True]


def test_a_call_that_is_released_waits_no_longer():
    both = halves.Halves.both(16, 100, np.dtype(np.float32))
    waiting = threading.Thread(target=lambda: [meet(both.met, 1) for _ in range(3)], daemon=True)
    waiting.start()
    waiting.join(0.2)
    assert waiting.is_alive()
    both.release()
    waiting.join(10)
    assert not waiting.is_alive()
