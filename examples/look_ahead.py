"""How much is there to gain? The best of some rules, and a look-ahead that tries them all in every round.

python examples/look_ahead.py --scenario leo-battery --seeds 5 --depth 6
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from satfl_baselines import (
    Comparison,
    Estimate,
    LookAhead,
    Policy,
    RuleNumbers,
    Run,
    make_policy,
    rule_policy,
    run_episode,
)
from satfl_baselines.arrays import FloatArray
from satfl_env import judging_metric
from satfl_env.scenarios import Scenario, load

RULES = {
    name: make_policy(name) for name in ("full", "task-clustering", "fine", "curriculum", "thrifty", "individual")
} | {
    f"fine, {share:.0%} of the charge": rule_policy(
        RuleNumbers(early_threshold=0.8, late_threshold=0.8, epochs_power=0, credit_power=0, charge_share=share)
    )
    for share in (0.5, 0.1)
}


def main(
    scenario: Annotated[str, typer.Option(help="A built-in scenario or a YAML file.")] = "leo-battery",
    seeds: Annotated[int, typer.Option(min=2, help="Number of seeds, 0, 1, ...")] = 5,
    depth: Annotated[int, typer.Option(min=1, help="Rounds to look ahead.")] = 6,
) -> None:
    """Print the final metric of every rule, and that of looking ahead with the best one as base."""
    config = load(scenario)
    final: dict[str, FloatArray] = {}
    for name, rule in RULES.items():
        final[name] = _finals(config, [rule] * seeds)
        _print(name, final[name])
    best = max(final, key=lambda name: final[name].mean())
    others = {name: rule for name, rule in RULES.items() if name != best}
    ahead = _finals(config, [LookAhead(config, seed, others, base=RULES[best], depth=depth) for seed in range(seeds)])
    _print(f"look-ahead of {depth} rounds", ahead)
    _print(f"... beyond {best}", ahead - final[best])


def _finals(scenario: Scenario, policies: Sequence[Policy | LookAhead]) -> FloatArray:
    """The metric that judges, at the end of an episode of each policy on a seed of its own: 0, 1, ..."""
    episodes = {Run("", seed): run_episode(scenario, policy, seed) for seed, policy in enumerate(policies)}
    played = Comparison(("",), tuple(range(len(policies))), episodes)
    return played.outcomes("")[judging_metric(played.metrics, scenario.target)]


def _print(name: str, values: FloatArray) -> None:
    estimate = Estimate.of(values)
    print(f"{name:28s} {estimate.mean:+.3f} ± {estimate.half_width:.3f}", flush=True)


if __name__ == "__main__":
    typer.run(main)
