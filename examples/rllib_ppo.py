"""RLlib's PPO on the state as sets: rows for satellites and pairs, and layers that are the same for all of them.

RLlib installs the Gymnasium of its choice, so give it an environment of its own:

    pip install 'ray[rllib]' -e '.[agents]'
    python examples/rllib_ppo.py --rounds 10000
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import torch
from torch import Tensor, nn

from satfl_agents import RuleAction
from satfl_agents.networks.set_networks import SetEncoder, SetValue
from satfl_baselines import make_policy, run_episode
from satfl_baselines.seeds import VALIDATION
from satfl_env import Decision, NetworkState, SatFLEnv
from satfl_env.wrappers import OneDecision, SetObservation

try:
    import ray
    from ray.rllib.algorithms.ppo import PPOConfig
    from ray.rllib.core.columns import Columns
    from ray.rllib.core.rl_module.apis import ValueFunctionAPI
    from ray.rllib.core.rl_module.rl_module import RLModuleSpec
    from ray.rllib.core.rl_module.torch import TorchRLModule
    from ray.tune.registry import register_env
except ImportError as error:  # also of a Ray without what RLlib needs
    raise SystemExit(f"this example needs RLlib ({error}): pip install 'ray[rllib]'") from error


def wrapped(env: gym.Env[Any, Any]) -> gym.Env[Any, Any]:
    """The state as sets to see, and five numbers of the rule `full` to set."""
    return SetObservation(RuleAction(env))


class SetModule(TorchRLModule, ValueFunctionAPI):
    """Normal distributions of the actions and the value of a state, from sets of any size."""

    def setup(self) -> None:
        """Make the layers."""
        width, outputs = self.model_config["width"], self.action_space.shape[0]
        self.encoder = SetEncoder(self.observation_space, width, nn.Tanh)
        self.critic = SetValue(self.observation_space, width, nn.Tanh)
        self.mean = nn.Linear(width, outputs)
        self.log_std = nn.Parameter(torch.full((outputs,), -1.0))
        with torch.no_grad():  # it starts near the zero action, which is the reference rule
            self.mean.weight.mul_(0.01)
            self.mean.bias.zero_()

    def _forward(self, batch: dict[str, Any], **_: Any) -> dict[str, Tensor]:
        mean = self.mean(self.encoder(batch[Columns.OBS]).whole)
        return {Columns.ACTION_DIST_INPUTS: torch.cat([mean, self.log_std.expand_as(mean)], dim=-1)}

    def compute_values(self, batch: dict[str, Any], embeddings: Any = None) -> Tensor:
        """Values of the states, (B,)."""
        value: Tensor = self.critic(batch[Columns.OBS]).squeeze(-1)
        return value


def as_policy(module: SetModule, scenario: str) -> Callable[[NetworkState], Decision]:
    """What a module decides when it does not explore, as a policy that plays everywhere."""
    native = SatFLEnv(scenario)
    shown = OneDecision(native.observation_space, native.action_space)
    env = wrapped(shown)

    def decide(state: NetworkState) -> Decision:
        shown.simulation.state = state
        sets, _ = env.reset()
        batch = {Columns.OBS: {name: torch.as_tensor(rows)[None] for name, rows in sets.items()}}
        with torch.no_grad():
            mean, _ = module.forward_inference(batch)[Columns.ACTION_DIST_INPUTS][0].chunk(2)
        env.step(mean.clamp(-1.0, 1.0).numpy())
        return shown.decision

    return decide


def parsed() -> argparse.Namespace:
    """The choices."""
    parser = argparse.ArgumentParser(description="PPO of RLlib on the state as sets")
    parser.add_argument("--scenario", default="leo-multitask")
    parser.add_argument("--rounds", type=int, default=1920, help="rounds in all environments")
    parser.add_argument("--envs", type=int, default=8)
    parser.add_argument("--batch", type=int, default=480, help="rounds between two updates")
    parser.add_argument("--workers", type=int, default=0, help="processes that play; 0 plays in this one")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def main() -> None:
    """Train, and compare with the rule that the learner starts from."""
    args = parsed()
    ray.init(num_cpus=max(args.workers, 1), include_dashboard=False, log_to_driver=False)
    register_env("satfl", lambda config: wrapped(SatFLEnv(**config)))
    learner = (
        PPOConfig()
        .environment("satfl", env_config={"scenario": args.scenario})
        .env_runners(num_env_runners=args.workers, num_envs_per_env_runner=args.envs)
        .rl_module(rl_module_spec=RLModuleSpec(module_class=SetModule, model_config={"width": 64}))
        .training(lr=3e-4, num_epochs=10, minibatch_size=args.batch // 4, train_batch_size_per_learner=args.batch)
        .debugging(seed=args.seed)
        .build_algo()
    )
    for done in range(0, args.rounds, args.batch):
        played = learner.train()["env_runners"]
        print(f"round {done + args.batch}: mean return {played['episode_return_mean']:.4f}", flush=True)

    learnt = as_policy(learner.get_module(), args.scenario)
    for name, policy in {"learnt": learnt, "full": make_policy("full")}.items():
        last = run_episode(args.scenario, policy, VALIDATION[0])[-1]
        print(f"{name}: balanced accuracy {last['balanced_accuracy']:.4f} on seed {VALIDATION[0]}")
    learner.stop()
    ray.shutdown()


if __name__ == "__main__":
    main()
