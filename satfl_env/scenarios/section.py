"""The base class of a scenario's sections, and sections of several kinds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, BeforeValidator, ConfigDict


class Section(BaseModel):
    """A frozen part of a scenario; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def by_default(section: Any) -> BeforeValidator:
    """What a section of several kinds is where its fields come without a `kind`: the section that is the default."""

    def completed(value: Any) -> Any:
        return {"kind": section.kind, **value} if isinstance(value, Mapping) else value

    return BeforeValidator(completed)
