"""The policy `tuned`: the package's rule for a scenario. Little is imported before it is made."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from satfl_baselines.policy import Policy
from satfl_baselines.rule import rule_policy

TUNED = "tuned"
FILE = f"{TUNED}.yaml"
_FOLDER = Path(str(resources.files("satfl_baselines"))) / TUNED


def tuned_scenarios() -> tuple[str, ...]:
    """Names of the scenarios that the package has a tuned rule for."""
    return tuple(sorted(file.stem for file in _FOLDER.glob("*.yaml")))


def tuned_policy(scenario: str | None) -> Policy:
    """The rule that was tuned on a scenario, given by its name.

    Raises:
        ValueError: If the package has none.
    """
    known = tuned_scenarios()
    if scenario not in known:
        whose = "without a scenario" if scenario is None else f"for scenario {scenario!r}"
        raise ValueError(
            f"there is no policy {TUNED!r} {whose}; the package has tuned rules for: {', '.join(known) or 'none yet'}. "
            f"`satfl tune-rules` makes a file {FILE}, which is a policy, too"
        )
    return policy_in(_FOLDER / f"{scenario}.yaml")


def policy_in(file: str | Path) -> Policy:
    """The policy of a rule's YAML file; errors are those of `read_rule`."""
    from satfl_baselines.tuning.rule_file import read_rule

    rule = read_rule(file)
    return rule_policy(rule.numbers, TUNED, f"the rule with its numbers tuned on {rule.scenario}")
