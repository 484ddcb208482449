"""The base class of a scenario's sections."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A frozen part of a scenario; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)
