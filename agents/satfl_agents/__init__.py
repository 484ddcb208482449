"""Training schedulers with Stable-Baselines3, and the policies that came of it: `satfl train`.

    forms             in which learners see the network and act on it
    networks          that learned policies are made of
    envs              in the form that Stable-Baselines3 takes
    algorithms        that learn
    hyperparameters   of the algorithms, with a file for each
    policies          that were trained, and their files
    training          a run: learning, judging, keeping, going on; and the search for hyperparameters

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
            f"training and trained policies need the extra agents ({error}): {to_install('agents')}", name=error.name
        ) from error
