"""Actions with the same few choices for every satellite, in spaces of numbers; see `satellite_choices`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs
from numpy.typing import NDArray

from satfl_agents.forms.satellite_choices import PACES, THRESHOLDS, WEIGHTS, PerSatelliteChoices, PerSatelliteNumbers
from satfl_env.wrappers import ReversibleAction
from satfl_env.wrappers.native import association_mask, native_sizes


class PerSatelliteAction(ReversibleAction, RecordConstructorArgs):
    """One `MultiDiscrete` with the same choices for every satellite: for PPO, RecurrentPPO and, masked, MaskablePPO.

    | Length | Choices           | Part                                                                        |
    |--------|-------------------|-----------------------------------------------------------------------------|
    | `S`    | `G + 1`           | gateway; the last sits out, and so does one that is not seen                |
    | `S`    | `len(paces)`      | pace: 0 is the closed form, -1 stands still, 1 is the highest CPU frequency |
    | `S`    | `len(thresholds)` | how similar those are with whom it shares a model                           |
    | `S`    | `len(weights)`    | weight of the update in multiples of its samples                            |

    Gateways count at the cloud as the sum of their updates' weights.

    Args:
        env: An environment with the native action space.
        paces: Paces to choose from, in [-1, 1].
        thresholds: Thresholds to choose from, in [0, 1]: positions between the lowest similarity of any two satellites,
            which joins everyone, and the highest.
        weights: Weights to choose from, in [0, 100].

    Raises:
        TypeError: If the action space is not the native one.
        ValueError: If there is nothing to choose from, or a value is out of range.
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        paces: Sequence[float] = PACES,
        thresholds: Sequence[float] = THRESHOLDS,
        weights: Sequence[float] = WEIGHTS,
    ) -> None:
        RecordConstructorArgs.__init__(self, paces=paces, thresholds=thresholds, weights=weights)
        form = PerSatelliteChoices(
            _checked("thresholds", thresholds, 0.0, 1.0),
            _checked("paces", paces, -1.0, 1.0),
            _checked("weights", weights, 0.0, 100.0),
        )
        satellites, gateways = native_sizes(env)
        choices = [gateways + 1, len(paces), len(thresholds), len(weights)]
        super().__init__(env, form, spaces.MultiDiscrete(np.repeat(choices, satellites)))

    def action_masks(self) -> NDArray[np.bool_]:
        """Which choices make sense now: one entry per choice of each part in turn, as sb3-contrib wants them."""
        association = association_mask(self.env).ravel()
        assert isinstance(self.action_space, spaces.MultiDiscrete)
        return np.concatenate([association, np.ones(int(self.action_space.nvec.sum()) - len(association), np.bool_)])


class PerSatelliteBoxAction(ReversibleAction, RecordConstructorArgs):
    """One `Box(-1, 1)` with the same numbers for every satellite, for all algorithms with continuous actions.

    | Length        | Part                                                                                         |
    |---------------|----------------------------------------------------------------------------------------------|
    | `S * (G + 1)` | preferences among visible gateways and sitting out (last); at 0 the longest window wins      |
    | `S`           | pace: 0 is the closed form, -1 stands still, 1 is the highest CPU frequency                  |
    | `S`           | threshold: the first of `thresholds` at -1, the middle one at 0, the last one at 1           |
    | `S`           | weight: as the samples at 0, none at -1, twice that at 1                                     |

    Args:
        env: An environment with the native action space.
        thresholds: As for `PerSatelliteAction`.

    Raises:
        TypeError: If the action space is not the native one.
        ValueError: If there is no threshold, or one is out of range.
    """

    def __init__(self, env: gym.Env[Any, Any], thresholds: Sequence[float] = THRESHOLDS) -> None:
        RecordConstructorArgs.__init__(self, thresholds=thresholds)
        form = PerSatelliteNumbers(_checked("thresholds", thresholds, 0.0, 1.0))
        satellites, gateways = native_sizes(env)
        super().__init__(env, form, spaces.Box(-1.0, 1.0, (satellites * (gateways + 4),), np.float32))


def _checked(name: str, values: Sequence[float], low: float, high: float) -> tuple[float, ...]:
    allowed = f"must be numbers in [{low:g}, {high:g}]"
    if len(values) == 0:
        raise ValueError(f"{name} {allowed}, got none")
    for value in values:
        if not low <= value <= high:
            raise ValueError(f"{name} {allowed}, got {value!r}")
    return tuple(map(float, values))
