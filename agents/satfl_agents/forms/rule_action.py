"""Actions that set a few numbers of a scheduling rule in every round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs
from numpy.typing import ArrayLike, NDArray

from satfl_baselines import RuleNumbers, rule_policy
from satfl_baselines.rule import names
from satfl_env import Decision, NetworkState
from satfl_env.suggestions import did_you_mean
from satfl_env.wrappers import DecisionAction

SET_NUMBERS = ("late_threshold", "samples_power", "epochs_power", "credit_power", "charge_share")


@dataclass(frozen=True)
class RuleForm:
    """Changes of a reference rule, `(numbers in [-1, 1], NetworkState) -> Decision`.

    Attributes:
        reference: The rule whose numbers are changed.
        numbers: Names of the numbers of `satfl_baselines.RuleNumbers` that are set, one for each entry of an action.
    """

    reference: RuleNumbers = RuleNumbers()  # noqa: RUF009 (it is frozen)
    numbers: tuple[str, ...] = SET_NUMBERS

    def __call__(self, values: NDArray[Any], state: NetworkState) -> Decision:
        """What the changed rule decides."""
        return rule_policy(self.rule(values))(state)

    def rule(self, values: NDArray[Any]) -> RuleNumbers:
        """The changed rule: 0 leaves a number as it is, -1 stands for its lowest value and 1 for its highest."""
        changes = np.asarray(values, dtype=np.float64).tolist()
        rule = asdict(self.reference)
        rule |= {
            name: float(changed(name, rule[name], change)) for name, change in zip(self.numbers, changes, strict=True)
        }
        return RuleNumbers(**rule)


def changed(name: str, value: float, change: ArrayLike) -> NDArray[np.float64]:
    """A number of a rule after some changes: 0 leaves it as it is, -1 is its lowest value and 1 its highest."""
    low, high = _LOWEST[name], _HIGHEST[name]
    share, end = np.abs(change), np.where(np.less(change, 0), low, high)
    # Rounding must not leave the range.
    return np.asarray(np.clip((1 - share) * value + share * end, low, high))


class RuleAction(DecisionAction, RecordConstructorArgs):
    """One `Box(-1, 1)` of changes of a reference rule; the zero action is the reference rule.

    Args:
        env: An environment with the native action space.
        numbers: Names of the numbers of `satfl_baselines.RuleNumbers` that an action sets, in this order. Since they
            are set anew in every round, `late_threshold` alone sets the threshold of a rule without a switch.
        reference: Numbers in which the reference differs from the policy `full`, by name.

    Raises:
        TypeError: If the action space is not the native one.
        ValueError: If a number is unknown, named twice or out of range, or there is none.
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        numbers: Sequence[str] = SET_NUMBERS,
        reference: Mapping[str, float] | None = None,
    ) -> None:
        RecordConstructorArgs.__init__(self, numbers=numbers, reference=reference)
        super().__init__(env, rule_form(numbers, reference), spaces.Box(-1.0, 1.0, (len(numbers),), np.float32))


def rule_form(numbers: Sequence[str], reference: Mapping[str, float] | None) -> RuleForm:
    """The form of some numbers of a rule that differs from `full` by others, as `RuleAction` takes them."""
    chosen = dict(reference or {})
    _check_names("reference", tuple(chosen))
    _check_names("numbers", tuple(numbers))
    if not numbers:
        raise ValueError(f"numbers must be some of {', '.join(names())}, got none")
    try:
        rule = RuleNumbers(**chosen)
    except ValueError as error:
        raise ValueError(f"reference {error}") from error
    return RuleForm(rule, tuple(numbers))


def _check_names(argument: str, given: tuple[str, ...]) -> None:
    for index, name in enumerate(given):
        if name not in names():
            raise ValueError(
                f"{argument} must be some of {', '.join(names())}, got {name!r}{did_you_mean(name, names())}"
            )
        if name in given[:index]:
            raise ValueError(f"{argument} must name each number once, got {name!r} twice")


_LOWEST, _HIGHEST = (asdict(RuleNumbers.from_vector(np.full(len(names()), end))) for end in (0.0, 1.0))
