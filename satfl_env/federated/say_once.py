"""What a process logs a single time, however often it happens."""

from __future__ import annotations

import logging
from functools import cache


@cache
def say_once(message: str) -> None:
    """Log a warning, unless the same has been logged."""
    logging.getLogger(__name__).warning(message)
