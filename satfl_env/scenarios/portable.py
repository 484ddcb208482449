"""Arguments that name a scenario as JSON has them; they mean the same in any process and any folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from typing import Any

from pydantic_core import to_jsonable_python

from satfl_env.scenarios.loader import anchored, anchored_override
from satfl_env.scenarios.plain import plain, utc_text
from satfl_env.scenarios.schema import Scenario


def portable(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of an environment, `scenario` and `overrides` among them, as plain data wherever they are data.

    Paths become absolute text and NumPy scalars numbers. Loaded scenarios, functions and other objects stay.
    """
    return {name: _PORTABLE.get(name, _data)(value) for name, value in arguments.items()}


def _scenario(value: Any) -> Any:
    return value if isinstance(value, Scenario) else anchored(value)


def _overrides(value: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if value is None:
        return None
    anchored_items = {path: anchored_override(path, item) for path, item in value.items()}
    data: dict[str, Any] = json.loads(json.dumps(anchored_items, default=_jsonable))
    return data


def _jsonable(value: Any) -> Any:
    return utc_text(value) if isinstance(value, date) else to_jsonable_python(value)


def _data(value: Any) -> Any:
    try:
        return plain(value)
    except ValueError:  # an object
        return value


_PORTABLE = {"scenario": _scenario, "overrides": _overrides}
