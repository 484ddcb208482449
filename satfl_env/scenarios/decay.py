"""What a scenario does about satellites that come down before its longest episode can end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from satfl_env.orbits import Sgp4Orbits, times_after
from satfl_env.orbits.frames import utc_text

FloatArray = NDArray[np.float64]

Decay = Literal["refuse", "leave-out", "end-episode"]


def refuse(orbits: Sgp4Orbits, decay_s: FloatArray, latest_start_s: float) -> Sgp4Orbits:
    """All satellites, which must stay up.

    Args:
        orbits: The satellites.
        decay_s: When each comes down, in s after their epoch, (S,); infinite if not before an episode can end.
        latest_start_s: Latest start of an episode.

    Raises:
        ValueError: If one comes down.
    """
    if np.isfinite(decay_s).any():
        raise ValueError(
            f"decay: {_first(orbits, decay_s)}, before the longest episode can end, got 'refuse'; allowed are "
            "'leave-out', which flies without it, and 'end-episode', which ends episodes then"
        )
    return orbits


def leave_out(orbits: Sgp4Orbits, decay_s: FloatArray, latest_start_s: float) -> Sgp4Orbits:
    """The satellites that stay up; arguments as for `refuse`.

    Raises:
        ValueError: If none does.
    """
    stays = ~np.isfinite(decay_s)
    if not stays.any():
        raise ValueError(f"decay: 'leave-out' must leave a satellite, but all come down: {_first(orbits, decay_s)}")
    return orbits.chosen(stays)


def end_episode(orbits: Sgp4Orbits, decay_s: FloatArray, latest_start_s: float) -> Sgp4Orbits:
    """All satellites up to their decay; arguments as for `refuse`.

    Raises:
        ValueError: If one comes down before an episode can start.
    """
    if (decay_s <= latest_start_s).any():
        raise ValueError(f"decay: {_first(orbits, decay_s)}, before the latest start of an episode (start_within_s)")
    return orbits.ending(np.minimum(orbits.decay_s, decay_s))


RULES: dict[Decay, Callable[[Sgp4Orbits, FloatArray, float], Sgp4Orbits]] = {
    "refuse": refuse,
    "leave-out": leave_out,
    "end-episode": end_episode,
}


def _first(orbits: Sgp4Orbits, decay_s: FloatArray) -> str:
    first = int(np.argmin(decay_s))
    return f"{orbits.names[first]!r} comes down at {utc_text(times_after(orbits.epoch, decay_s[first]))}"
