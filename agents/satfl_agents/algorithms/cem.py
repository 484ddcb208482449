"""The cross-entropy method on the numbers of a network, as a learner of Stable-Baselines3."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy, MultiInputActorCriticPolicy
from stable_baselines3.common.type_aliases import GymEnv, MaybeCallback
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from satfl_agents.envs.observations import rows
from satfl_agents.envs.vec_env import SatFLVecEnv
from satfl_agents.networks.network import deciding
from satfl_baselines.cross_entropy import Gaussian
from satfl_baselines.seeds import TRAINING


class CEM(BaseAlgorithm):
    """Draws networks around a mean one, plays an episode or more with each, and moves to the best; see `Gaussian`.

    All networks of a generation play the same episodes. The value network of the policy is not used.

    Args:
        policy: Class of the policy.
        env: The environments, `SatFLVecEnv` inside; each plays an episode of one network at a time.
        population: Networks in a generation.
        elite: How many of the best count.
        episodes: Episodes that each network plays.
        spread: Standard deviation of the numbers at the start.
        lowest_spread: Standard deviation that is kept at least.
        rate: How far the distribution moves in a generation, in (0, 1].
        policy_kwargs: Arguments of the policy.
        seed: Of everything that is drawn.
        device: Of the network.

    Raises:
        ValueError: If there are fewer networks than those that count.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {
        "MlpPolicy": ActorCriticPolicy,
        "MultiInputPolicy": MultiInputActorCriticPolicy,
    }

    def __init__(
        self,
        policy: type[BasePolicy],
        env: GymEnv,
        population: int = 32,
        elite: int = 8,
        episodes: int = 2,
        spread: float = 0.1,
        lowest_spread: float = 0.01,
        rate: float = 0.8,
        policy_kwargs: dict[str, Any] | None = None,
        seed: int | None = None,
        device: str = "cpu",
    ) -> None:
        if elite > population:
            raise ValueError(f"hyperparameter learner.elite must be at most the population {population}, got {elite}")
        self.population, self.elite, self.episodes = population, elite, episodes
        self.lowest_spread, self.rate = lowest_spread, rate
        super().__init__(policy, env, 0.0, policy_kwargs, seed=seed, device=device, support_multi_env=True)
        self._setup_model()
        self.spread = torch.full((sum(map(torch.numel, self._numbers)),), spread, dtype=torch.float64)

    def _setup_model(self) -> None:
        self._setup_lr_schedule()
        self.set_random_seed(self.seed)
        self.policy = self.policy_class(self.observation_space, self.action_space, _no_rate, **self.policy_kwargs)
        # How far PPO would explore decides nothing here.
        self._numbers = [value for name, value in deciding(self.policy).items() if name != "log_std"]

    def learn(
        self,
        total_timesteps: int,
        callback: MaybeCallback = None,
        log_interval: int = 1,
        tb_log_name: str = "CEM",
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> CEM:
        """Play generations until the rounds are reached, the last one whole."""
        total, hook = self._setup_learn(total_timesteps, callback, reset_num_timesteps, tb_log_name, progress_bar)
        hook.on_training_start(locals(), globals())
        while self.num_timesteps < total:
            hook.on_rollout_start()
            self._play_generation(hook)
            hook.on_rollout_end()
        hook.on_training_end()
        return self

    def generation_rounds(self) -> int:
        """Rounds of a generation, in all environments."""
        assert self.env is not None
        (episode,) = {scenario.rounds.episode for scenario in self.env.get_attr("scenario")}
        return math.ceil(self.population * self.episodes / self.n_envs) * self.n_envs * int(episode)

    def _play_generation(self, hook: BaseCallback) -> None:
        rng = np.random.default_rng([self.seed or 0, self._n_updates])
        mean = parameters_to_vector(self._numbers).detach().numpy().astype(np.float64)
        around = Gaussian(mean, self.spread.numpy())
        candidates = around.draw(self.population, rng)
        seeds = rng.integers(TRAINING.stop, size=self.episodes).tolist()
        runs = [(index, seed) for index in range(self.population) for seed in seeds]
        returns = [
            self._play([(candidates[index], seed) for index, seed in runs[first : first + self.n_envs]], hook)
            for first in range(0, len(runs), self.n_envs)
        ]
        scores = np.concatenate(returns)[: len(runs)].reshape(self.population, self.episodes).mean(axis=1)
        after = around.after(candidates, scores, elite=self.elite, rate=self.rate, lowest_spread=self.lowest_spread)
        self._set_numbers(after.mean)
        self.spread.copy_(torch.as_tensor(after.spread))
        self._n_updates += 1
        self.logger.record("train/return", scores.mean())
        self.logger.record("train/elite_return", np.sort(scores)[-self.elite :].mean())
        self.logger.record("train/spread", after.spread.mean())
        self.logger.dump(self.num_timesteps)

    def _play(self, runs: list[tuple[NDArray[np.float64], int]], hook: BaseCallback) -> NDArray[np.float64]:
        """The return of one episode in each environment; the last run fills those that are left."""
        runs = [*runs, *[runs[-1]] * (self.n_envs - len(runs))]
        envs = self.env
        assert envs is not None
        native = envs.unwrapped
        assert isinstance(native, SatFLVecEnv)
        native.seed_each([seed for _, seed in runs])
        observations, returns, playing = envs.reset(), np.zeros(self.n_envs), np.ones(self.n_envs, dtype=np.bool_)
        while playing.any():
            actions = [self._act(numbers, rows(observations, index)) for index, (numbers, _) in enumerate(runs)]
            observations, rewards, ended, _ = envs.step(np.stack(actions))
            returns += np.where(playing, rewards, 0.0)
            playing &= ~ended
            self.num_timesteps += self.n_envs
            hook.on_step()
        return returns

    def _act(self, numbers: NDArray[np.float64], observation: Any) -> NDArray[Any]:
        """What a network does."""
        self._set_numbers(numbers)
        action, _ = self.policy.predict(observation, deterministic=True)
        return action

    def _set_numbers(self, numbers: NDArray[np.float64]) -> None:
        vector_to_parameters(torch.as_tensor(numbers, dtype=torch.float32), self._numbers)

    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        return ["policy"], ["spread"]


def _no_rate(_: float) -> float:
    """The learning rate of an optimiser that is not used."""
    return 0.0
