"""The compiled engine: the same as `loop`, bit for bit whoever trains beside, and a way out where Numba cannot run."""

from __future__ import annotations

import errno
import gc
import importlib.util
import os
import re
import subprocess
import sys
import weakref
from dataclasses import replace
from pathlib import Path

import numba
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_info, threadpool_limits

from satfl_env.federated import (
    Hardware,
    Layout,
    LocalData,
    TrainingSettings,
    compiled,
    hardware,
    kernel,
    make_trainer,
)
from satfl_env.federated.kernel import KernelError
from satfl_env.federated.say_once import say_once
from satfl_env.semantics import Channel, ConvJSCC, MLPLink

REPOSITORY = Path(__file__).parents[2]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def link(pixels: int = 9, classes: int = 3, **options) -> MLPLink:
    options = {"channel": Channel(), "hidden": 7, "channel_uses": 3, "decoder_hidden": 5} | options
    return MLPLink(pixels, classes, generator=generator(), **options)


def data_of(samples: list[int], classes: list[int], pixels: int = 9, dtype: torch.dtype = torch.float32, mask=None):
    images = [torch.rand(n, pixels, generator=generator(n), dtype=dtype) for n in samples]
    targets = [torch.randint(0, c, (n,), generator=generator(n)) for n, c in zip(samples, classes, strict=True)]
    return LocalData.concatenate(images, targets, mask)


def rows_of(model: MLPLink, count: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    rows = [Layout.of(model).flatten(model)]
    for seed in range(1, count):
        model.draw_weights(generator(seed))
        rows.append(Layout.of(model).flatten(model))
    return torch.stack(rows).to(dtype)


def seeds_of(count: int) -> np.ndarray:
    return np.arange(count, dtype=np.uint64) + np.uint64(2**63)


snrs_db = st.just(3.0) | st.just((-5.0, 15.0))
channels = st.builds(Channel, st.sampled_from(["awgn", "rayleigh"]), snrs_db) | st.builds(
    Channel, st.just("rician"), snrs_db, st.floats(0, 9)
)
sizes = st.integers(1, 12)
training = st.builds(
    TrainingSettings,
    batch_size=st.integers(1, 9),
    learning_rate=st.floats(1e-4, 1e-2),
    optimizer=st.sampled_from(["adam", "sgd"]),
    batches_per_epoch=st.none() | st.integers(1, 3),
    round_share=st.floats(0.1, 1.0),
)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_it_is_loop_in_double_precision(data):
    pixels, classes, draws, count = (data.draw(st.integers(1, most)) for most in (12, 5, 3, 3))
    widths = {name: data.draw(sizes) for name in ("hidden", "decoder_hidden")}
    # At unit power a single symbol is 1 or -1: its gradient is rounding alone, which Adam makes as large as any other.
    widths["channel_uses"] = data.draw(st.integers(2, 12))
    model = link(pixels, classes, channel=data.draw(channels), channel_draws=draws, **widths)

    def numbers(lowest: int, highest: int) -> list[int]:
        return data.draw(st.lists(st.integers(lowest, highest), min_size=count, max_size=count))

    has = numbers(1, classes)
    mask = data.draw(st.sampled_from([None, torch.arange(classes) < torch.tensor(has)[:, None]]))
    local = data_of(numbers(0, 20), has, pixels, torch.float64, mask)
    work = rows_of(model, count, torch.float64), local, np.array(numbers(0, 4)), seeds_of(count)
    how = data.draw(training)
    loop, compiled = (make_trainer(engine, model, how).train(*work) for engine in ("loop", "compiled"))
    # Adam multiplies what is left of a gradient that cancels by up to 1e8 times its step size.
    tolerance = 1e-12 if how.optimizer == "sgd" else 1e-9
    assert torch.allclose(loop.parameters, compiled.parameters, rtol=0, atol=tolerance)
    assert loop.last_loss == pytest.approx(compiled.last_loss, rel=tolerance, nan_ok=True)
    assert np.array_equal(loop.diverged, compiled.diverged)
    assert np.array_equal(loop.batches, compiled.batches)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("kind", ["awgn", "rayleigh"])
def test_a_round_of_the_usual_link_is_that_of_loop(optimizer: str, kind: str):
    model = link(64, 4, channel=Channel(kind), hidden=32, channel_uses=8, decoder_hidden=16)
    samples, epochs, how = [50, 15, 80], np.array([3, 8, 2]), TrainingSettings(16, optimizer=optimizer)
    for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 1e-5)):
        work = rows_of(model, 3, dtype), data_of(samples, [4] * 3, 64, dtype), epochs, seeds_of(3)
        loop, compiled = (make_trainer(engine, model, how).train(*work) for engine in ("loop", "compiled"))
        assert torch.allclose(loop.parameters, compiled.parameters, rtol=0, atol=tolerance)


@pytest.mark.parametrize("kind", ["awgn", "rician"])
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_bits_depend_on_nobody_else(kind: str, optimizer: str):
    # Odd sizes, so that rows begin anywhere in memory, and minibatches of one sample.
    model = link(13, channel=Channel(kind, (0.0, 9.0)), channel_draws=2)
    samples, how = [17, 33, 5, 80, 1, 26, 16, 49], TrainingSettings(16, optimizer=optimizer)
    count, epochs = len(samples), np.array([3, 1, 40, 2, 5, 0, 2, 12])
    rows, data, seeds = rows_of(model, count), data_of(samples, [3] * count, 13), seeds_of(count)
    alone = torch.cat(
        [
            make_trainer("compiled", model, how)
            .train(rows[s : s + 1], data_of([samples[s]], [3], 13), epochs[s : s + 1], seeds[s : s + 1])
            .parameters
            for s in range(count)
        ]
    )
    engines = [("compiled", None), ("compiled", 2), ("compiled", 5), ("processes", 2), ("auto", 1)]
    for engine, workers in engines:
        result = make_trainer(engine, model, how, Hardware(workers=workers)).train(rows, data, epochs, seeds)
        assert torch.equal(result.parameters, alone), (engine, workers)
    # Three times as many, as in three environments: more than the kernel trains in one call.
    thrice = data_of(samples * 3, [3] * 3 * count, 13)
    result = make_trainer("auto", model, how).train(rows.repeat(3, 1), thrice, np.tile(epochs, 3), np.tile(seeds, 3))
    assert torch.equal(result.parameters, alone.repeat(3, 1))


def test_what_does_not_fit_the_link_is_no_crash():
    model = link()
    trainer = make_trainer("compiled", model, TrainingSettings())
    one = np.ones(1, dtype=np.int64)

    def train(images: torch.Tensor, target: int, mask: torch.Tensor | None = None) -> None:
        data = LocalData(images, torch.tensor([target]), np.array([0, 1]), mask)
        trainer.train(rows_of(model, 1), data, one, seeds_of(1))

    for target in (3, -1, 2**40):
        with pytest.raises(IndexError, match="a target is not among the classes"):
            train(torch.zeros(1, 9), target)
    with pytest.raises(ValueError, match="not as many pixels"):
        train(torch.zeros(1, 8), 0)
    with pytest.raises(ValueError, match="not as many logits as classes"):
        train(torch.zeros(1, 9), 0, torch.ones(1, 2, dtype=torch.bool))


def test_targets_of_other_integers_need_no_machine_code_of_their_own():
    model = link()
    trainer = make_trainer("compiled", model, TrainingSettings())
    data, work = data_of([4], [3]), (np.ones(1, dtype=np.int64), seeds_of(1))
    expected = trainer.train(rows_of(model, 1), data, *work).parameters
    compiled_for = model.kernel()[0].signatures
    found = trainer.train(rows_of(model, 1), replace(data, targets=data.targets.int()), *work).parameters
    assert torch.equal(found, expected)
    assert model.kernel()[0].signatures == compiled_for


def test_a_channel_of_another_shape_is_no_crash():
    class Wide(MLPLink):
        def draw_channel(self, count, generator, *, snr_db=None):
            draw = super().draw_channel(count, generator, snr_db=snr_db)
            return draw._replace(gain=draw.gain.repeat(1, 1, 2))

    model = Wide(9, 3, channel=Channel(), generator=generator())
    with pytest.raises(ValueError, match="channel"):
        make_trainer("compiled", model, TrainingSettings()).train(
            rows_of(model, 1), data_of([4], [3]), np.ones(1, dtype=np.int64), seeds_of(1)
        )


def test_models_without_a_kernel_are_refused():
    conv = ConvJSCC((1, 8, 8), channel=Channel(), generator=generator(), widths=(4, 6, 8))
    with pytest.raises(ValueError, match="engine must not be 'compiled' for ConvJSCC, which has no kernel"):
        make_trainer("compiled", conv, TrainingSettings())


def test_matrix_products_have_one_thread_and_then_as_many_as_before(monkeypatch: pytest.MonkeyPatch):
    def threads() -> set[int]:
        return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}

    model, during = link(), []
    original = compiled.CompiledTrainer._train
    monkeypatch.setattr(
        compiled.CompiledTrainer, "_train", lambda *arguments: (during.append(threads()), original(*arguments))[1]
    )
    with threadpool_limits(2, "blas"):
        make_trainer("compiled", model, TrainingSettings()).train(
            rows_of(model, 1), data_of([4], [3]), np.ones(1, dtype=np.int64), seeds_of(1)
        )
        assert threads() == {2}
    assert during == [{1}]


class Stubborn:
    """A library that takes no number of threads, as OpenBLAS outside its main thread."""

    def get_num_threads(self) -> int:
        return 2

    def set_num_threads(self, number: int) -> None:
        pass


def test_a_library_that_keeps_its_threads_is_told_once(monkeypatch, caplog):
    say_once.cache_clear()
    monkeypatch.setattr(hardware, "_blas", lambda: [Stubborn()])
    for _ in range(2):
        with hardware.one_blas_thread():
            pass
    (said,) = caplog.messages
    assert "matrix products keep 2 threads" in said
    assert "OPENBLAS_NUM_THREADS=1" in said


@pytest.mark.parametrize("engine", ["loop", "stacked", "compiled"])
@pytest.mark.parametrize(("loss", "diverged"), [(4e11, False), (1.1e12, True)])
def test_a_model_is_of_no_use_if_one_of_its_losses_is_too_large_not_their_sum(loss: float, diverged: bool, engine: str):
    model = link()
    with torch.no_grad():
        model.decoder[2].bias[0] = 4e11
        model.decoder[2].bias[1] = 4e11 - loss
    rows = Layout.of(model).flatten(model)[None]
    data = replace(data_of([5], [1]), targets=torch.ones(5, dtype=torch.int64))
    standing_still = TrainingSettings(optimizer="sgd", learning_rate=1e-30)
    trained = make_trainer(engine, model, standing_still).train(rows, data, np.ones(1, dtype=np.int64), seeds_of(1))
    assert trained.diverged.tolist() == [diverged]


class NoFolder(MLPLink):
    """As on a machine where Numba finds no folder that it can write to."""

    def kernel(self):
        raise RuntimeError("cannot cache function 'train_mlp_link': no locator available")


@pytest.mark.parametrize("lacks", ["numba", "folder", "compiler"])
def test_without_numba_auto_stacks_and_says_so_once(lacks: str, monkeypatch, caplog):
    say_once.cache_clear()
    kind = NoFolder if lacks == "folder" else MLPLink
    model = kind(9, 3, channel=Channel(), generator=generator())
    if lacks == "numba":
        monkeypatch.setitem(sys.modules, "numba", None)
    if lacks == "compiler":
        monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)
    work = rows_of(model, 2), data_of([20, 30], [3, 3]), np.array([2, 3]), seeds_of(2)
    for _ in range(2):
        found = make_trainer("auto", model, TrainingSettings()).train(*work)
    with pytest.raises(
        KernelError, match=f"no machine code for {kind.__name__}: .*(numba|cannot cache|NUMBA_DISABLE_JIT is set)"
    ):
        make_trainer("compiled", model, TrainingSettings()).train(*work)
    (said,) = caplog.messages
    assert "no machine code" in said
    assert torch.equal(found.parameters, make_trainer("stacked", model, TrainingSettings()).train(*work).parameters)


class Spare(MLPLink):
    """A link with a layer that it does not use."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.spare = torch.nn.Linear(2, 2)


def test_a_model_with_an_unused_layer_has_no_machine_code_and_is_trained_without_it(caplog):
    say_once.cache_clear()
    model = Spare(9, 3, channel=Channel(), generator=generator())
    work = rows_of(model, 2), data_of([20, 30], [3, 3]), np.array([2, 3]), seeds_of(2)
    loop, stacked, auto = (make_trainer(engine, model, TrainingSettings()) for engine in ("loop", "stacked", "auto"))
    expected = loop.train(*work).parameters
    for trainer in (stacked, auto):
        found = trainer.train(*work)
        assert torch.allclose(found.parameters, expected, atol=1e-6)
        assert not found.diverged.any()
    reason = "no machine code for Spare: .*what differs is spare.bias, spare.weight"
    with pytest.raises(KernelError, match=reason):
        make_trainer("compiled", model, TrainingSettings()).train(*work)
    (said,) = caplog.messages
    assert re.match(reason, said)


def test_without_machine_code_of_the_test_auto_tests_in_pytorch_and_models_are_forgotten(caplog):
    class NoTest(MLPLink):
        def evaluation_kernel(self):
            return NoFolder.kernel(self)

    say_once.cache_clear()
    model = NoTest(9, 3, channel=Channel(), generator=generator())
    rows, gone = rows_of(model, 1), weakref.ref(model)
    assert [make_trainer("auto", model, TrainingSettings()).compiled_test(rows) for _ in range(2)] == [None, None]
    assert len(caplog.messages) == 1
    assert "cannot cache" in caplog.text
    del model
    gc.collect()
    assert gone() is None


class Kept:
    """A small function that Numba keeps on disk, as every process finds it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "kept.py").write_text("from numba import njit\n@njit(cache=True)\ndef add(a):\n    return a + 1\n")

    def compile(self):
        spec = importlib.util.spec_from_file_location("kept", self.folder / "kept.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        kernel._compile(module.add, (numba.int64,))
        assert module.add(2) == 3
        return module.add


@pytest.mark.parametrize("file", ["*.nbi", "*.nbc"])
@pytest.mark.parametrize("share", [0, 0.5])
def test_damaged_machine_code_on_disk_is_compiled_anew(file: str, share: float, tmp_path: Path):
    kept = Kept(tmp_path)
    assert not kept.compile().stats.cache_hits
    (damaged,) = tmp_path.glob(f"__pycache__/{file}")
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[: int(share * len(whole))])
    assert not kept.compile().stats.cache_hits
    assert kept.compile().stats.cache_hits


def test_machine_code_that_cannot_be_kept_is_used_all_the_same(tmp_path: Path, monkeypatch, caplog):
    def no_space(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(numba.core.caching.IndexDataCacheFile, "save", no_space)
    Kept(tmp_path).compile()
    (said,) = caplog.messages
    assert "add cannot be kept, every process compiles it again: [Errno 28] No space left" in said
    monkeypatch.setattr(numba.core.caching.IndexDataCacheFile, "load", no_space)
    with pytest.raises(OSError, match="No space left"):
        Kept(tmp_path).compile()


SCRIPT = """
import sys, numpy as np, torch
from satfl_env.federated import Layout, LocalData, TrainingSettings, make_trainer
from satfl_env.semantics import Channel, MLPLink
dtype = getattr(torch, sys.argv[1])
link = MLPLink(9, 2, channel=Channel(), generator=torch.Generator().manual_seed(0))
data = LocalData(torch.ones(4, 9, dtype=dtype), torch.zeros(4, dtype=torch.int64), np.array([0, 4]))
rows = Layout.of(link).flatten(link)[None].to(dtype)
work = rows, data, np.ones(1, np.int64), np.zeros(1, np.uint64)
stacked = make_trainer("stacked", link, TrainingSettings()).train(*work).parameters
print("numba" in sys.modules)
compiled = make_trainer("compiled", link, TrainingSettings()).train(*work).parameters
print(torch.allclose(stacked, compiled, atol=1e-6))
"""


@pytest.mark.slow
def test_processes_compile_one_after_the_other_and_only_once(tmp_path: Path):
    def start(dtype: str) -> subprocess.Popen:
        path = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
        environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": path}
        command = [sys.executable, "-c", SCRIPT, dtype]
        return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def told(dtypes: list[str]) -> list[int]:
        ends = [process.communicate() for process in [start(dtype) for dtype in dtypes]]
        assert [out.split() for out, _ in ends] == [["False", "True"]] * len(dtypes)
        return [error.count("compiling train_mlp_link") for _, error in ends]

    first = told(["float32", "float64", "float32", "float64"])
    assert sorted((first[0] + first[2], first[1] + first[3])) == [1, 1]
    assert told(["float32", "float64"]) == [0, 0]
