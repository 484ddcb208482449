"""Training and testing as machine code: made ready once, by one process at a time, and kept on disk."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import torch
from filelock import FileLock
from numpy.typing import NDArray

from satfl_env.federated.halves import Halves
from satfl_env.federated.model import EvaluationKernel, HasEvaluationKernel, HasKernel, Kernel
from satfl_env.imports import tidy_imports

_log = logging.getLogger(__name__)
# By model, what it does and the type of parameters; machines do not change, so that what failed once fails again.
_loaded: WeakKeyDictionary[HasKernel, dict[tuple[str, torch.dtype], Any]] = WeakKeyDictionary()


class KernelError(RuntimeError):
    """Machine code can be neither compiled nor loaded here."""


class CompiledTest(NamedTuple):
    """The test of a model as machine code.

    Attributes:
        kernel: The machine code.
        metrics: Names of the metrics that it gives, in their order.
        threads: Threads that may share the models.
    """

    kernel: EvaluationKernel
    metrics: tuple[str, ...]
    threads: int


def load_kernel(model: HasKernel, dtype: torch.dtype) -> Kernel:
    """The kernel of a model, ready for parameters of a type: compiled, or loaded from Numba's folder on disk.

    Processes and threads that need it at the same time wait for the first one. A compilation is logged, since it takes
    about 10 s.

    Raises:
        KernelError: If Numba is missing or does not work, or finds no folder that it can write to.
    """
    kernel: Kernel = _loaded_once(model, dtype, model.kernel, _arguments)
    return kernel


def load_test(model: HasEvaluationKernel, dtype: torch.dtype, threads: int) -> CompiledTest:
    """The test of a model, for some number of threads; see `load_kernel`."""
    kernel = _loaded_once(model, dtype, model.evaluation_kernel, _evaluation_arguments)
    return CompiledTest(kernel, model.evaluated_metrics, threads)


def channel_arrays(draw: Any, dtype: np.dtype[Any]) -> tuple[NDArray[Any], ...]:
    """A channel draw as contiguous arrays of a floating-point type."""
    return tuple(np.ascontiguousarray(part.numpy(), dtype) for part in draw)


def _loaded_once(
    model: HasKernel,
    dtype: torch.dtype,
    make: Callable[[], tuple[Any, tuple[float, ...]]],
    arguments: Callable[[HasKernel, torch.dtype], tuple[Any, ...]],
) -> Any:
    loaded, key = _loaded.setdefault(model, {}), (make.__name__, dtype)
    if key not in loaded:
        loaded[key] = _load(type(model).__name__, make, arguments(model, dtype))
    kernel = loaded[key]
    if isinstance(kernel, KernelError):
        # Itself it would keep its traceback, and so the model, for ever.
        raise KernelError(*kernel.args)
    return kernel


def _load(name: str, make: Callable[[], tuple[Any, tuple[float, ...]]], arguments: tuple[Any, ...]) -> Any:
    try:
        with tidy_imports():
            import numba

            options: Any = numba.config
            if options.DISABLE_JIT:
                raise RuntimeError("NUMBA_DISABLE_JIT is set")
            function, constants = make()
            types = tuple(map(numba.typeof, (constants, *arguments)))
            # Two that write at once could mix up their files.
            with FileLock(Path(function.stats.cache_path) / f"{function.__name__}.lock"), _announced(function):
                _compile(function, types)
    except Exception as error:
        return KernelError(f"no machine code for {name}: {type(error).__name__}: {error}")
    return partial(function, constants)


def _compile(function: Any, types: tuple[Any, ...]) -> None:
    """Compile a function, or load it from disk; what is damaged there gives way to what is compiled anew."""
    try:
        function.compile(types)
    except (EOFError, pickle.UnpicklingError):
        function.recompile()  # forgets what is on disk
        function.compile(types)
    except OSError as error:
        if types not in function.signatures:
            raise
        _log.warning("%s cannot be kept, every process compiles it again: %s", function.__name__, error)


def _arguments(model: HasKernel, dtype: torch.dtype) -> tuple[Any, ...]:
    """Arguments of the right types; see `Kernel`."""
    real, index = torch.zeros(1, 1, dtype=dtype).numpy(), np.zeros(1, np.int64)
    channel = channel_arrays(model.draw_channel(1, torch.Generator()), real.dtype)
    satellites = real, real[None], real[None], index, index, np.zeros((1, 1))
    data = real, index, np.ones((1, 1), np.bool_)
    halves = Halves(1, 0, real[None], index)
    return *satellites, *data, index, index, index, index, channel, 1, 1.0, True, 0.0, halves


def _evaluation_arguments(model: HasKernel, dtype: torch.dtype) -> tuple[Any, ...]:
    """Arguments of the right types; see `EvaluationKernel`."""
    real, index = torch.zeros(1, 1, dtype=dtype).numpy(), np.zeros((1, 1), np.int64)
    channel = channel_arrays(model.draw_channel(1, torch.Generator()), real.dtype)
    return real, index[0], real, index, real, np.ones((1, 1), np.bool_), channel, np.zeros((1, 1))


@contextmanager
def _announced(function: Any) -> Iterator[None]:
    """Log that a function is compiled, if it is."""
    from numba.core import event

    class Announcement(event.Listener):
        def on_start(self, started: Any) -> None:
            if started.data["dispatcher"] is function:
                _log.warning("compiling %s, once on this machine: this takes about 10 s", function.__name__)

        def on_end(self, ended: Any) -> None:
            pass

    with event.install_listener("numba:compile", Announcement()):
        yield
