"""Two calls of machine code, in two threads, that wait for each other."""

from __future__ import annotations

import os
from typing import Any

from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np import arrayobj

# Numba has no types for these.
_arrays: Any = arrayobj
_tools: Any = cgutils

# Whoever waits lets others run: with fewer free cores than threads, what it waits for is among them.
_give_way: Any = types.ExternalFunction("sched_yield", types.int32()) if os.name == "posix" else njit(lambda: 0)


def _written(_context: Any, counts: Any, index: Any, value: Any) -> Any:
    """Write a count after all that was written before, as the other thread sees it."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.store_atomic(arguments[2], _address(context, builder, signature, arguments), "release", 8)
        return context.get_dummy_value()

    return types.void(counts, index, types.int64), generate


def _read(_context: Any, counts: Any, index: Any) -> Any:
    """Read a count before all that is read after."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load_atomic(_address(context, builder, signature, arguments), "acquire", 8)

    return types.int64(counts, index), generate


def _address(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    kind = signature.args[0]
    array = _arrays.make_array(kind)(context, builder, arguments[0])
    return _tools.get_item_pointer(context, builder, kind, array, [arguments[1]])


_announce: Any = intrinsic(_written)
_latest: Any = intrinsic(_read)


@njit(nogil=True)
def meet(counts: Any, own: int) -> None:
    """Wait until the other one, 1 - `own`, has come here as often as this one.

    Args:
        counts: How often each has come here, int64, (2,); negative where the other one will not come any more.
        own: Which of the two this is, 0 or 1.
    """
    times = counts[own] + 1
    _announce(counts, own, times)
    while 0 <= _latest(counts, 1 - own) < times:
        _give_way()
