"""Episodes of training as records, in the field's terms."""

from __future__ import annotations

from typing import Any

import numpy as np
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from satfl_env import Outcome

Record = dict[str, float]
# Added up over the rounds of an episode.
_SUMS = ("return", "length", "energy_j", "lost_updates", "idle_share")


class EpisodeRecorder(VecEnvWrapper):
    """Records every finished episode, in place of `VecMonitor`.

    A record has the `rounds` played in all environments until then, the episode's `return` and `length`, its last
    mean test metrics, the joules spent (`energy_j`), the `lost_updates`, and the `idle_share`: of its satellites and
    rounds, those that sat out.

    Args:
        envs: The environments.
        goes_on: Whether learners are told of an episode's last round that the task goes on after it, as
            Stable-Baselines3 takes a truncation.

    Attributes:
        records: The records so far.
    """

    def __init__(self, envs: VecEnv, *, goes_on: bool) -> None:
        super().__init__(envs)
        self._goes_on = goes_on
        self.records: list[Record] = []
        self._rounds = 0
        self._sums = np.zeros((len(_SUMS), envs.num_envs))

    def reset(self) -> VecEnvObs:
        """Start an episode in every environment."""
        self._sums[:] = 0.0
        return self.venv.reset()

    def step_wait(self) -> VecEnvStepReturn:
        """Play one communication round in every environment."""
        observations, rewards, ended, infos = self.venv.step_wait()
        self._rounds += self.num_envs
        for index, info in enumerate(infos):
            terms = info["reward_terms"]
            idle = float(np.mean(info["outcome"] == Outcome.SAT_OUT))
            self._sums[:, index] += rewards[index], 1.0, -terms["energy_j"], -terms["lost_updates"], idle
            if ended[index]:
                goes_on = self._goes_on and info["TimeLimit.truncated"]
                infos[index] = {**info, "episode": self._finish(index, info), "TimeLimit.truncated": goes_on}
        return observations, rewards, ended, infos

    def get_state(self) -> dict[str, Any]:
        """What the records to come depend on, and those so far."""
        return {"records": list(self.records), "rounds": self._rounds, "sums": self._sums.copy()}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go back to a state taken by `get_state`."""
        self.records, self._rounds, self._sums = list(state["records"]), state["rounds"], state["sums"].copy()

    def _finish(self, index: int, info: dict[str, Any]) -> Record:
        """Keep the record of an episode; returns what Stable-Baselines3 wants to know of it."""
        sums = dict(zip(_SUMS, self._sums[:, index].tolist(), strict=True))
        sums["idle_share"] /= sums["length"]
        self.records.append({"rounds": float(self._rounds), **sums, **info["metrics"]})
        self._sums[:, index] = 0.0
        return {"r": sums["return"], "l": sums["length"], "t": 0.0}
