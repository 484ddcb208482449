from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

pytest.importorskip("stable_baselines3")
from satfl_agents.envs.episodes import EpisodeRecorder
from satfl_agents.envs.vec_env import SatFLVecEnv
from satfl_env import Outcome
from satfl_env.wrappers import BoxAction, ScaledObservation
from tests.factories import physics_only

ROUNDS, ENVS = 3, 2


def flat(env: gym.Env[Any, Any]) -> gym.Env[Any, Any]:
    return ScaledObservation(BoxAction(env))


@pytest.mark.parametrize("goes_on", [False, True])
def test_episodes_are_recorded_in_the_terms_of_the_field(goes_on: bool) -> None:
    envs = EpisodeRecorder(
        SatFLVecEnv(ENVS, flat, scenario=physics_only(ROUNDS), reward={"lost_updates": 2.0}), goes_on=goes_on
    )
    envs.seed(3)
    envs.reset()
    rng, played = np.random.default_rng(0), []
    for _ in range(2 * ROUNDS):
        _, rewards, ended, infos = envs.step(rng.uniform(-1, 1, (ENVS, *envs.action_space.shape)).astype(np.float32))
        played.append((rewards.copy(), infos))
    assert ended.all()
    assert [info["TimeLimit.truncated"] for info in infos] == [goes_on] * ENVS
    assert len(envs.records) == 2 * ENVS
    for number, record in enumerate(envs.records):
        episode, index = divmod(number, ENVS)
        rounds = played[episode * ROUNDS : (episode + 1) * ROUNDS]
        seen = [infos[index] for _, infos in rounds]
        assert record["rounds"] == ENVS * ROUNDS * (episode + 1)
        assert record["length"] == ROUNDS
        assert record["return"] == pytest.approx(sum(float(rewards[index]) for rewards, _ in rounds))
        assert record["energy_j"] == pytest.approx(sum(info["energy_j"].sum() for info in seen))
        lost = [~np.isin(info["outcome"], [Outcome.RETURNED, Outcome.SAT_OUT]) for info in seen]
        assert record["lost_updates"] == np.sum(lost)
        assert record["idle_share"] == pytest.approx(np.mean([info["outcome"] == Outcome.SAT_OUT for info in seen]))
        assert record["balanced_accuracy"] == seen[-1]["metrics"]["balanced_accuracy"]
