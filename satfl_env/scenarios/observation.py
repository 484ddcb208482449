"""The section of what is observed."""

from __future__ import annotations

from pydantic import field_validator, model_validator
from pydantic.dataclasses import dataclass

from satfl_env.orbits import ForecastSettings
from satfl_env.settings import STRICT
from satfl_env.simulation import MORE_PARTS, STATE_PARTS
from satfl_env.suggestions import did_you_mean


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Observation(ForecastSettings):
    """Which parts of the state are observed, and how far its forecast reaches.

    `leave_out` names parts that are not observed. `add` names some that are not by default: `contact_start_s` and
    `contact_end_s`, `eclipse_start_s` and `eclipse_end_s`, `gateway_version`, `rounds_to_merge`, `rounds_left`,
    `waiting`, `beams`, `cluster_loss`; see `satfl_env.NetworkState`. The simulation's own state has all of them. What
    nobody reads is not computed.
    """

    leave_out: tuple[str, ...] = ()
    add: tuple[str, ...] = ()

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the observed parts."""
        return (*(part for part in STATE_PARTS if part not in self.leave_out), *self.add)

    @field_validator("leave_out")
    @classmethod
    def _can_be_left_out(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _known_parts(value, STATE_PARTS)

    @field_validator("add")
    @classmethod
    def _can_be_added(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _known_parts(value, MORE_PARTS)

    @model_validator(mode="after")
    def _something_is_observed(self) -> Observation:
        if not self.parts:
            raise ValueError("leave_out must leave at least one part, got all of them")
        return self


def _known_parts(names: tuple[str, ...], known: tuple[str, ...]) -> tuple[str, ...]:
    """Names of parts of the state, if all are known ones."""
    for name in names:
        if name not in known:
            raise ValueError(f"must be names of {', '.join(known)}, got {name!r}{did_you_mean(name, known)}")
    return names
