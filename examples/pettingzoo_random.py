"""Satellites, then gateways, as agents of PettingZoo that choose at random among what makes sense."""

from __future__ import annotations

from satfl_env import Outcome, parallel_env


def main(seed: int = 0) -> None:
    """Play one episode with either kind of agent and print how it goes."""
    for agents in ("satellites", "gateways"):
        env = parallel_env("leo-multitask", agents)
        _, infos = env.reset(seed=seed)
        for number, agent in enumerate(env.agents):
            env.action_space(agent).seed(seed + number)
        total, one = 0.0, env.agents[0]
        while env.agents:
            actions = {agent: env.action_space(agent).sample(infos[agent]["action_mask"]) for agent in env.agents}
            _, rewards, _, _, infos = env.step(actions)
            total += rewards[one]
        accuracy = infos[one]["metrics"]["balanced_accuracy"]
        print(f"{len(infos)} {agents}: return {total:+.3f}, balanced accuracy {accuracy:.3f}")
        if agents == "satellites":
            outcomes = {agent: Outcome(info["outcome"]).name.lower() for agent, info in infos.items()}
            print("last round:", ", ".join(f"{agent} {outcome}" for agent, outcome in outcomes.items()))
        env.close()


if __name__ == "__main__":
    main()
