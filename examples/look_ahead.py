"""How much is there to gain? The best of some rules, and a look-ahead that tries them all in every round.

python examples/look_ahead.py --scenario leo-battery --seeds 5 --depth 6
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
import typer

from satfl_baselines import Estimate, LookAhead, Policy, RuleNumbers, make_policy, rule_policy, run_episode

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
    final: dict[str, list[float]] = {}
    for name, rule in RULES.items():
        final[name] = [_final(scenario, rule, seed) for seed in range(seeds)]
        _print(name, final[name])
    best = max(final, key=lambda name: np.mean(final[name]))
    others = {name: rule for name, rule in RULES.items() if name != best}
    ahead = [
        _final(scenario, LookAhead(scenario, seed, others, base=RULES[best], depth=depth), seed)
        for seed in range(seeds)
    ]
    _print(f"look-ahead of {depth} rounds", ahead)
    _print(f"... beyond {best}", np.subtract(ahead, final[best]).tolist())


def _final(scenario: str, policy: Policy | LookAhead, seed: int) -> float:
    """The headline metric at the end of an episode."""
    last = run_episode(scenario, policy, seed)[-1]
    return last["balanced_accuracy"] if "balanced_accuracy" in last else last["psnr_db"]


def _print(name: str, values: list[float]) -> None:
    estimate = Estimate.of(np.array(values))
    print(f"{name:28s} {estimate.mean:+.3f} ± {estimate.half_width:.3f}", flush=True)


if __name__ == "__main__":
    typer.run(main)
