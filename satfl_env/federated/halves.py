"""Large minibatches in two halves, which two threads may share: few satellites then keep all cores busy."""

from __future__ import annotations

from heapq import heapreplace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

# Samples times parameters from which on a minibatch has halves. It takes thousands of times as long as the one meeting
# of its two threads.
_LEAST_WORK = 8_000_000
# Time that two threads take for a satellite which they share, compared with that of one.
_PAIR_TIME = 0.55


class Halves(NamedTuple):
    """How the gradient of a large minibatch comes about: as the sum of those of its two halves, whoever computes them.

    Attributes:
        least: Samples from which on a minibatch has halves.
        own: The half that a call of the kernel computes, 0 or 1, or -1 for both. The other half is then computed at the
            same time by another call, which has the same `gradients` and `met` and a copy of all that changes in place.
            Of the two, that with half 0 records the losses of minibatches without halves.
        gradients: Where the gradients of both halves lie, of one minibatch and the next, (2, 2, P); P is 0 where no
            minibatch has halves.
        met: How often each of the two calls has waited for the other, int64, (2,); negative where no call shall wait.
    """

    least: int
    own: int
    gradients: NDArray[Any]
    met: NDArray[np.int64]

    @classmethod
    def both(cls, batch_size: int, num_parameters: int, dtype: np.dtype[Any]) -> Halves:
        """Both halves of minibatches of at most `batch_size` samples."""
        least = _least(num_parameters)
        stored = num_parameters if batch_size >= least else 0
        return cls(least, -1, np.empty((2, 2, stored), dtype), np.zeros(2, np.int64))

    def split(self) -> list[Halves]:
        """One half each."""
        return [self._replace(own=0), self._replace(own=1)]

    def release(self) -> None:
        """Let no call wait any longer: the other one has failed, and the results are of no use."""
        self.met[:] = -1


def pays_in_pairs(steps: NDArray[np.int64], batch_size: int, num_parameters: int, threads: int) -> bool:
    """Whether satellites are done sooner if two threads share each of them than if each thread has its own.

    Args:
        steps: Minibatches of each satellite, (A,).
        batch_size: Samples in the largest of them.
        num_parameters: Parameters of a model, P.
        threads: Threads that may train.
    """
    if threads < 2 or batch_size < _least(num_parameters):
        return False
    return _PAIR_TIME * _longest(steps, threads // 2) < _longest(steps, threads)


def _least(num_parameters: int) -> int:
    """Samples from which on a minibatch has halves."""
    return max(2, -(-_LEAST_WORK // num_parameters))


def _longest(steps: NDArray[np.int64], workers: int) -> int:
    """Steps of the busiest of some workers, each of which takes up the next satellite when it is free."""
    loads = [0] * workers
    for own in steps.tolist():
        heapreplace(loads, loads[0] + own)
    return max(loads)
