"""The specification that Gymnasium keeps of an environment, with which it can be made again."""

from __future__ import annotations

from dataclasses import replace

from gymnasium.envs.registration import EnvSpec

from satfl_env.scenarios.portable import portable


class PortableSpec:
    """An environment whose `spec` can be written as JSON and made again in another folder, if it was made of data."""

    _spec: EnvSpec | None = None

    @property
    def spec(self) -> EnvSpec | None:
        """What `gymnasium.make` was given; None without it."""
        return self._spec

    @spec.setter
    def spec(self, value: EnvSpec | None) -> None:
        self._spec = None if value is None else replace(value, kwargs=portable(value.kwargs))
