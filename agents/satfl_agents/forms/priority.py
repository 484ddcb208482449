"""Actions that say who comes first where a gateway cannot serve everyone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, get_args

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs
from numpy.typing import NDArray

from satfl_agents.forms.rule_action import RuleForm, changed, rule_form
from satfl_agents.priority_layout import parts_of_priority
from satfl_baselines import rule_policy
from satfl_baselines.association import in_order_of
from satfl_baselines.frequency import thrifty
from satfl_baselines.ration import rationed_frequency, those_that_train
from satfl_env import Decision, NetworkState
from satfl_env.wrappers import ReversibleAction
from satfl_env.wrappers.native import native_sizes

Charge = Literal["rule", "shares", "planned"]
SET_NUMBERS = ("late_threshold", "samples_power")


@dataclass(frozen=True)
class PriorityForm:
    """Priorities of pairs, shares of the charge and changes of a rule, `(numbers, NetworkState) -> Decision`.

    Numbers in [-1, 1] are the priorities of all pairs, S times G, then each satellite's share of its charge, as changes
    of the rule's `charge_share`, and then those of `rule`.

    Attributes:
        rule: The rule that is changed, and which of its numbers.
        charge: Who says how the charge is spent: the `rule`, with its own share for everyone; the `shares` of the
            action; or the plan of the policy `ration`, `planned`.
    """

    rule: RuleForm
    charge: Charge

    def __call__(self, values: NDArray[Any], state: NetworkState) -> Decision:
        """What the changed rule decides if beams are given in order of priority."""
        satellites, gateways = state.distance_m.shape
        parts = parts_of_priority(satellites, gateways, len(self.rule.numbers))
        priority, charge, changes = np.split(np.asarray(values, dtype=np.float64), np.cumsum(parts[:-1]))
        rule = self.rule.rule(changes)
        association = in_order_of(priority.reshape(satellites, gateways), state)
        policy = rule_policy(rule)
        if self.charge == "shares":
            share = changed("charge_share", rule.charge_share, charge)
            policy = replace(policy, frequency=partial(thrifty, share=share, speed=rule.speed, trim=rule.trim))
        elif self.charge == "planned":
            association = those_that_train(state, association)
            policy = replace(policy, frequency=rationed_frequency)
        return replace(policy, association=lambda _: association)(state)

    def reverse(self, decision: Decision, state: NetworkState) -> NDArray[Any]:
        """Numbers for imitation: a priority of 1 for pairs that are together and -1 for the rest; the rule as it is."""
        together = decision.association[:, None] == np.arange(state.num_gateways)
        rest = np.zeros(state.num_satellites + len(self.rule.numbers))
        return np.concatenate([np.where(together, 1.0, -1.0).ravel(), rest])


class PriorityAction(ReversibleAction, RecordConstructorArgs):
    """One `Box(-1, 1)` that gives beams in order of priority, and changes a reference rule besides.

    | Length  | Part                                                                                                  |
    |---------|-------------------------------------------------------------------------------------------------------|
    | `S * G` | priorities of pairs, see `satfl_baselines.association.in_order_of`                                    |
    | `S`     | share of the charge a satellite may spend, heard if `charge` is `shares`; 0 is the reference's        |
    | the rest| changes of the reference's numbers, as for `RuleAction`                                               |

    At the zero action a satellite has the gateway with the longest window that has a beam left.

    Args:
        env: An environment with the native action space.
        numbers: As for `RuleAction`.
        reference: As for `RuleAction`.
        charge: What says how the charge is spent: the `rule`, the `shares` of the action, or `planned`, the plan of the
            policy `ration`, where satellites without an epoch in the plan sit out.

    Raises:
        TypeError: If the action space is not the native one.
        ValueError: As for `RuleAction`, or if `charge` is none of these.
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        numbers: Sequence[str] = SET_NUMBERS,
        reference: Mapping[str, float] | None = None,
        charge: Charge = "rule",
    ) -> None:
        RecordConstructorArgs.__init__(self, numbers=numbers, reference=reference, charge=charge)
        if charge not in get_args(Charge):
            raise ValueError(f"charge must be one of {', '.join(get_args(Charge))}, got {charge!r}")
        form = PriorityForm(rule_form(numbers, reference), charge)
        length = sum(parts_of_priority(*native_sizes(env), len(numbers)))
        super().__init__(env, form, spaces.Box(-1.0, 1.0, (length,), np.float32))
