"""Spans of time in which something holds: contacts of pairs, eclipses of satellites."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class Intervals(NamedTuple):
    """N spans of time, each of one row; those of a row do not overlap.

    Attributes:
        row: The satellite of each, or the pair: satellite times G plus gateway; (N,).
        start_s: Its beginning, (N,).
        end_s: Its end, (N,).
    """

    row: IntArray
    start_s: FloatArray
    end_s: FloatArray


def no_intervals() -> Intervals:
    """None at all."""
    return Intervals(np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0))


def paired(starts: tuple[IntArray, FloatArray], ends: tuple[IntArray, FloatArray]) -> Intervals:
    """Intervals from the rows and times of all beginnings and of all ends: the k-th of a row belong together."""
    (row, start_s), (_, end_s) = (_by_row_and_time(*events) for events in (starts, ends))
    return Intervals(row, start_s, end_s)


def joined(pieces: Iterable[Intervals]) -> Intervals:
    """All intervals of some pieces by row and beginning; those of one row that touch are one."""
    row, start_s, end_s = map(np.concatenate, zip(*pieces, strict=True))
    order = np.lexsort((start_s, row))
    row, start_s, end_s = row[order], start_s[order], end_s[order]
    first, last = np.ones((2, len(row)), dtype=np.bool_)
    first[1:] = last[:-1] = (row[1:] != row[:-1]) | (start_s[1:] > end_s[:-1])
    return Intervals(row[first], start_s[first], end_s[last])


def upcoming(
    intervals: Intervals, time_s: float, *, num_rows: int, count: int, horizon_s: float, with_present: bool
) -> tuple[FloatArray, FloatArray]:
    """The next intervals of every row after an instant.

    Args:
        intervals: As of `joined`.
        time_s: The instant.
        num_rows: Number of rows, R.
        count: Number of intervals of each row, K.
        horizon_s: How far to look ahead.
        with_present: Whether an interval that holds at the instant is the first one; else it is left out.

    Returns:
        Beginnings and ends in s after the instant, (R, K) each, in [0, horizon_s]: an interval that is cut by an end of
        that span ends there, and one that does not begin before the horizon has `horizon_s` twice.
    """
    row, start_s, end_s = intervals
    comes = ((end_s if with_present else start_s) > time_s) & (start_s < time_s + horizon_s)
    row, start_s, end_s = row[comes], start_s[comes], end_s[comes]
    place = np.arange(len(row)) - np.searchsorted(row, row)
    kept = place < count
    start, end = np.full((2, num_rows, count), horizon_s)
    at = row[kept], place[kept]
    start[at] = np.maximum(start_s[kept] - time_s, 0.0)
    end[at] = np.minimum(end_s[kept] - time_s, horizon_s)
    return start, end


def _by_row_and_time(row: IntArray, time_s: FloatArray) -> tuple[IntArray, FloatArray]:
    order = np.lexsort((time_s, row))
    return row[order], time_s[order]
