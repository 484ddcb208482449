"""Training schedulers with Stable-Baselines3, and the policies that came of it: `satfl train`.

The public names are listed in `__init__.pyi`.
"""

from __future__ import annotations

from typing import Any

from satfl_env.imports import lazy_names, to_install

_find, __dir__, __all__ = lazy_names(__name__, __file__)


def __getattr__(name: str) -> Any:
    """A public name, imported when it is first used.

    Raises:
        ModuleNotFoundError: If the extra `agents` is not installed; the message says how to.
    """
    try:
        return _find(name)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"training needs the extra agents ({error}): {to_install('agents')}", name=error.name
        ) from error
