"""What constellations of published orbital elements have in common."""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
from pydantic import model_validator

from satfl_env.orbits import REACH_S, Sgp4Orbits, load_elements, samples
from satfl_env.scenarios.constellation_section import LONGEST_SPAN_S, SameOrbits
from satfl_env.scenarios.decay import RULES, Decay
from satfl_env.scenarios.errors import prefixed
from satfl_env.simulation import RoundSettings


def elements_path(name: str) -> Path:
    """The file of orbital elements that a shipped sample's name or a path stands for."""
    return samples().get(name, Path(name))


class Published(SameOrbits):
    """Base class of constellations of published orbital elements; `ElementsConstellation` explains the fields."""

    epoch: str | None = None
    decay: Decay = "refuse"

    @property
    @abstractmethod
    def paths(self) -> tuple[Path, ...]:
        """The files of orbital elements."""

    def orbits(self) -> Sgp4Orbits:
        """The orbits of the elements, which are read once."""
        return self._read

    @cached_property
    def _read(self) -> Sgp4Orbits:
        return load_elements(self.paths, self.epoch)

    def check(self, rounds: RoundSettings) -> None:
        """Check that times stay in the range of dates and satellites stay up, as `decay` has it."""
        super().check(rounds)
        self.flown(rounds)

    def flown(self, rounds: RoundSettings) -> Sgp4Orbits:
        """The orbits of the satellites that stay up for long enough, as `decay` has it."""
        orbits = self.orbits()
        scene = self._scene_of(orbits)
        span_s = self.start_within_s + rounds.longest_s(scene.horizon_s) + scene.look_ahead_s
        # Who comes down after all episodes flies in them, but may be gone within a forecast.
        decay_s = orbits.decays_s(min(span_s + REACH_S, LONGEST_SPAN_S))
        during, after = decay_s <= span_s, (decay_s > span_s) & np.isfinite(decay_s)
        if after.any():
            orbits = orbits.ending(np.where(after, decay_s, np.inf))
        return RULES[self.decay](orbits, np.where(during, decay_s, np.inf), self.start_within_s)

    @model_validator(mode="after")
    def _readable(self) -> Self:
        try:
            orbits = self._read
        except FileNotFoundError as error:
            raise ValueError(f"elements: {error}; shipped samples: {', '.join(samples())}") from error
        except (OSError, ValueError) as error:
            raise ValueError(f"elements: {error}") from error
        with prefixed(self._too_long):
            orbits.advanced(self.start_within_s)
        return self
