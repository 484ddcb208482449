"""Bounds on time that do not depend on what else the machine does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def within_a_second() -> Iterator[None]:
    """Fail if a block, or what is decorated with this, takes a second of the processor's time or more."""
    start = time.process_time()
    yield
    assert time.process_time() - start < 1
