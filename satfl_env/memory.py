"""Memory of this machine, to refuse what will not fit before it is taken."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

_MEMINFO = Path("/proc/meminfo")
# Of the second and of the first version of control groups.
_CONTAINERS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
_GIGABYTE = 1e9


class Need(NamedTuple):
    """Memory that one part of something needs, in bytes, and the setting that makes it smaller."""

    what: str
    num_bytes: float
    field: str


def available_bytes() -> float:
    """Memory that a process can still take: what Linux says is available, or all there is; infinite where unknown.

    The limit of a container counts as well.
    """
    return min(_of_machine(), *map(_of_container, _CONTAINERS))


def check_fits(num_bytes: float, what: str) -> None:
    """Check that something fits the memory of this machine.

    Raises:
        ValueError: If it does not; the message begins with what it is.
    """
    available = available_bytes()
    if num_bytes > available:
        raise ValueError(f"{what}: need {gigabytes(num_bytes)} of memory, {gigabytes(available)} are available")


def gigabytes(num_bytes: float) -> str:
    """A number of bytes for a message, with three digits."""
    return f"{num_bytes / _GIGABYTE:.3g} GB"


def _of_machine() -> float:
    try:
        fields = dict(line.split(":") for line in _MEMINFO.read_text().splitlines())
        return 1024.0 * int(fields["MemAvailable"].split()[0])
    except (OSError, KeyError):
        names = getattr(os, "sysconf_names", {})
        known = "SC_PHYS_PAGES" in names and "SC_PAGE_SIZE" in names
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")) if known else float("inf")


def _of_container(limit: Path) -> float:
    try:
        return float(limit.read_text())
    except (OSError, ValueError):  # there is none, or it says "max"
        return float("inf")
