"""The forms in which learners see the network and act on it, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import gymnasium as gym
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

from satfl_agents.forms.per_satellite import PerSatelliteAction, PerSatelliteBoxAction
from satfl_agents.forms.priority import PriorityAction
from satfl_agents.forms.rule_action import RuleAction
from satfl_env.suggestions import did_you_mean
from satfl_env.wrappers import BoxAction, DiscreteAction, ScaledObservation, SetObservation

AnyEnv = gym.Env[Any, Any]
Wrapper = Callable[..., AnyEnv]

OBSERVATIONS: dict[str, Wrapper] = {"scaled": ScaledObservation, "sets": SetObservation}
ACTIONS: dict[str, Wrapper] = {
    "box": BoxAction,
    "discrete": DiscreteAction,
    "per-satellite": PerSatelliteAction,
    "per-satellite-box": PerSatelliteBoxAction,
    "priority": PriorityAction,
    "rule": RuleAction,
}


class Form(BaseModel):
    """A form by its name, and the settings of its wrapper; in a file also the name alone."""

    model_config = ConfigDict(extra="allow", frozen=True)

    kind: str

    @property
    def settings(self) -> dict[str, Any]:
        """Arguments of the wrapper."""
        return dict(self.model_extra or {})


def _of_table(table: Mapping[str, Wrapper]) -> tuple[BeforeValidator, AfterValidator]:
    """Checks that a form is one of a table."""

    def known(form: Form) -> Form:
        if form.kind not in table:
            raise ValueError(
                f"there is no form {form.kind!r}{did_you_mean(form.kind, table)}; there are: {', '.join(table)}"
            )
        return form

    return BeforeValidator(lambda value: {"kind": value} if isinstance(value, str) else value), AfterValidator(known)


ObservationForm = Annotated[Form, *_of_table(OBSERVATIONS)]
ActionForm = Annotated[Form, *_of_table(ACTIONS)]


def wrapped(env: AnyEnv, observation: Form, action: Form) -> AnyEnv:
    """An environment with the native spaces in its forms; see `OBSERVATIONS` and `ACTIONS`.

    Raises:
        TypeError: If a form has no such setting.
        ValueError: If a setting is out of range.
    """
    # Wrappers of actions look at the native observation, so they come before the one that changes it.
    acting = ACTIONS[action.kind](env, **action.settings)
    return OBSERVATIONS[observation.kind](acting, **observation.settings)
