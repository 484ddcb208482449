"""Proximal policy optimisation in one file, on many environments whose satellites train as one job.

In the manner of CleanRL's `ppo_continuous_action.py` (S. Huang et al., JMLR 23, 2022): every choice can be seen and
changed. `satfl train` does the same with Stable-Baselines3, and keeps, judges and resumes what it learns.

    python examples/single_file_ppo.py --rounds 40000 --out results/single-file
    tensorboard --logdir results/single-file
    satfl evaluate --scenario leo-multitask --policy results/single-file --against full
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import AutoresetMode
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import nn
from torch.distributions import Normal
from torch.utils.tensorboard import SummaryWriter

from satfl_agents import Form, Network, PolicyDescription, RuleAction, save_policy
from satfl_env import SatFLEnv, make_vector_env
from satfl_env.wrappers import ScaledObservation


class Agent(nn.Module):
    """Means of the actions and the value of a state; how far to explore is the same in every state."""

    def __init__(self, inputs: int, outputs: int, rng: torch.Generator) -> None:
        super().__init__()
        self.critic = nn.Sequential(nn.Linear(inputs, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))
        self.actor = nn.Sequential(
            nn.Linear(inputs, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, outputs)
        )
        self.log_std = nn.Parameter(torch.full((outputs,), -1.0))
        for parameter in self.parameters():
            if parameter.dim() == 2:
                nn.init.orthogonal_(parameter, gain=2**0.5, generator=rng)
        with torch.no_grad():  # it starts near the zero action, which is the reference rule
            self.actor[-1].weight.mul_(0.01)
            self.actor[-1].bias.zero_()

    def actions(self, observations: torch.Tensor) -> Normal:
        """The distribution of actions."""
        return Normal(self.actor(observations), self.log_std.exp())


def advantages(
    rewards: torch.Tensor, values: torch.Tensor, ended: torch.Tensor, last: torch.Tensor, gamma: float, lam: float
) -> torch.Tensor:
    """Generalised advantages, (T, N) (J. Schulman et al., ICLR 2016).

    Args:
        rewards: Rewards, (T, N).
        values: Values of the states before, (T, N).
        ended: Whether the episode ended in a step, (T, N).
        last: Values of the states after the last step, (N,).
        gamma: Discount.
        lam: Weight of longer sums.
    """
    result, running = torch.zeros_like(rewards), torch.zeros_like(last)
    following = last
    for t in reversed(range(len(rewards))):
        goes_on = 1.0 - ended[t].float()
        error = rewards[t] + gamma * following * goes_on - values[t]
        running = error + gamma * lam * goes_on * running
        result[t], following = running, values[t]
    return result


def parsed() -> argparse.Namespace:
    """The choices."""
    parser = argparse.ArgumentParser(description="PPO in one file")
    parser.add_argument("--scenario", default="leo-multitask")
    parser.add_argument("--rounds", type=int, default=40000, help="rounds in all environments")
    parser.add_argument("--envs", type=int, default=8)
    parser.add_argument("--steps", type=int, default=60, help="rounds of each environment in a rollout")
    parser.add_argument("--epochs", type=int, default=10, help="passes over a rollout")
    parser.add_argument("--minibatches", type=int, default=4)
    parser.add_argument("--learning-rate", type=float, default=3e-4)
    parser.add_argument("--gamma", type=float, default=0.99)
    parser.add_argument("--lam", type=float, default=0.95)
    parser.add_argument("--clip", type=float, default=0.2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("results/single-file"), help="folder of curves and policy")
    return parser.parse_args()


def wrap(env: gym.Env[Any, Any]) -> gym.Env[Any, Any]:
    """A vector of numbers to see, and five numbers of the rule `full` to set."""
    return ScaledObservation(RuleAction(env))


def save(agent: Agent, args: argparse.Namespace) -> None:
    """Write the policy as `satfl train` does: what decides has the same layers there, under other names."""
    native, network = SatFLEnv(args.scenario), Network()
    seen = wrap(native)
    policy = ActorCriticPolicy(seen.observation_space, seen.action_space, lambda _: 0.0, **network.policy_kwargs)
    layers = {"mlp_extractor.policy_net": agent.actor[:-1], "action_net": agent.actor[-1]}
    weights = {f"{name}.{key}": value for name, part in layers.items() for key, value in part.state_dict().items()}
    policy.load_state_dict({**policy.state_dict(), **weights, "log_std": agent.log_std})
    forms = Form(kind="scaled"), Form(kind="rule")
    description = PolicyDescription.of(native, "ppo", *forms, network, rounds=args.rounds, seed=args.seed)
    save_policy(args.out / "policy", policy, description)


def main() -> None:
    """Train, say how the episodes go, and keep the policy."""
    args = parsed()
    curves = SummaryWriter(args.out)
    torch.set_num_threads(1)
    rng = torch.Generator().manual_seed(args.seed)
    envs = make_vector_env(args.envs, wrap=wrap, scenario=args.scenario, autoreset_mode=AutoresetMode.SAME_STEP)
    inputs, outputs = envs.single_observation_space.shape[0], envs.single_action_space.shape[0]
    agent = Agent(inputs, outputs, rng)
    optimizer = torch.optim.Adam(agent.parameters(), args.learning_rate, eps=1e-5)
    shape = (args.steps, args.envs)
    seen, chosen = torch.zeros(*shape, inputs), torch.zeros(*shape, outputs)
    log_probability, rewards, values, ended = (torch.zeros(shape) for _ in range(4))

    observations = torch.as_tensor(envs.reset(seed=args.seed)[0])
    for done in range(0, args.rounds, args.steps * args.envs):
        finals = []
        for t in range(args.steps):
            with torch.no_grad():
                spread = agent.actions(observations)
                action = spread.mean + spread.stddev * torch.randn(spread.mean.shape, generator=rng)
                seen[t], chosen[t] = observations, action
                log_probability[t] = spread.log_prob(action).sum(1)
                values[t] = agent.critic(observations).squeeze(1)
            following, reward, terminated, truncated, infos = envs.step(action.clamp(-1.0, 1.0).numpy())
            observations, rewards[t] = torch.as_tensor(following), torch.as_tensor(reward)
            over = terminated | truncated  # what counts is the episode, so nothing comes after its last round
            ended[t] = torch.as_tensor(over)
            if over.any():
                finals += infos["final_info"]["metrics"]["balanced_accuracy"][over].tolist()

        with torch.no_grad():
            last = agent.critic(observations).squeeze(1)
            gain = advantages(rewards, values, ended, last, args.gamma, args.lam).flatten()
        target = gain + values.flatten()
        flat_seen, flat_chosen, before = seen.flatten(0, 1), chosen.flatten(0, 1), log_probability.flatten()
        for _ in range(args.epochs):
            for part in torch.randperm(len(gain), generator=rng).chunk(args.minibatches):
                spread = agent.actions(flat_seen[part])
                ratio = (spread.log_prob(flat_chosen[part]).sum(1) - before[part]).exp()
                scaled = (gain[part] - gain[part].mean()) / (gain[part].std() + 1e-8)
                clipped = ratio.clamp(1 - args.clip, 1 + args.clip)
                policy_loss = -torch.min(ratio * scaled, clipped * scaled).mean()
                value_loss = 0.5 * (agent.critic(flat_seen[part]).squeeze(1) - target[part]).square().mean()
                optimizer.zero_grad()
                (policy_loss + value_loss).backward()
                nn.utils.clip_grad_norm_(agent.parameters(), 0.5)
                optimizer.step()
        if finals:
            played = done + args.steps * args.envs
            print(f"round {played}: balanced accuracy {np.mean(finals):.4f}", flush=True)
            curves.add_scalar("balanced_accuracy", np.mean(finals), played)
            curves.add_scalar("policy_loss", policy_loss, played)
            curves.add_scalar("value_loss", value_loss, played)
            curves.add_scalar("std", agent.log_std.exp().mean(), played)
    envs.close()
    curves.close()
    save(agent, args)
    print(f"policy in {args.out}")


if __name__ == "__main__":
    main()
