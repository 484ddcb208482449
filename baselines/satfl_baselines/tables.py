"""Results as tables for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table

from satfl_baselines.evaluate import COSTS
from satfl_baselines.paired import Change
from satfl_baselines.reproduce import DIFFERENCES, Claim, difference_rows, quantities
from satfl_baselines.suites.standings import Standing
from satfl_baselines.summary import Comparison, Estimate
from satfl_env import Outcome
from satfl_env.counted import counted
from satfl_env.quantities import quantity


class OutcomeColumn(NamedTuple):
    """A column of a comparison's table.

    Attributes:
        heading: What stands over it.
        name: Name of the outcome, see `Comparison.estimates`.
        scale: Factor from the outcome's unit to that of the heading.
        digits: Digits after the point.
    """

    heading: str
    name: str
    scale: float
    digits: int


def outcome_columns(comparison: Comparison) -> list[OutcomeColumn]:
    """The columns of a comparison's table."""
    return [
        *(column for name in comparison.primary for column in _metric_columns(name)),
        *(
            OutcomeColumn(_heading(name), name, quantity(name).factor, 3)
            for name in comparison.metrics
            if name not in comparison.primary
        ),
        OutcomeColumn("return", "return", 1.0, 3),
        OutcomeColumn("loss", "test_loss", 1.0, 3),
        OutcomeColumn("energy (kJ)", "energy_j", 1e-3, 2),
        OutcomeColumn("time (h)", "time_s", 1 / 3600, 2),
        OutcomeColumn("lost", "lost", 1.0, 1),
        *([OutcomeColumn("rounds", "rounds", 1.0, 1)] if _some_ended_early(comparison) else []),
    ]


def comparison_table(comparison: Comparison, title: str) -> Table:
    """Mean and 95 % interval per policy; narrow terminals break between the two."""
    columns = outcome_columns(comparison)
    title = f"{title} (mean ± 95 % interval)"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("policy", no_wrap=True)
    for heading, *_ in columns:
        table.add_column(heading, justify="right")
    for policy in comparison.policies:
        estimates = comparison.estimates(policy)
        table.add_row(policy, *(_cell(estimates[name], scale, digits) for _, name, scale, digits in columns))
    return table


def lost_update_lines(comparison: Comparison) -> list[str]:
    """Why no update of a policy came back at all, and what it lost to divergence: lines for policies with either."""
    lines = []
    for policy in comparison.policies:
        totals = {name: int(values.sum()) for name, values in comparison.outcomes(policy).items() if name in COSTS}
        if not totals["returned"]:
            reasons = {outcome.name.lower().replace("_", " "): totals[outcome.name.lower()] for outcome in Outcome}
            told = ", ".join(f"{reason} {number}" for reason, number in reasons.items() if number)
            lines.append(f"{policy}: no update came back; {told} (all seeds)")
        updates, models = totals["diverged"], totals["untestable"]
        if updates or models:
            lines.append(
                f"{policy}: {counted(updates, 'update')} lost to divergence, "
                f"{counted(models, 'test')} of models gave no number (all seeds)"
            )
    return lines


def _some_ended_early(comparison: Comparison) -> bool:
    return any((comparison.rounds_played(policy) < comparison.rounds).any() for policy in comparison.policies)


def _metric_columns(metric: str) -> list[OutcomeColumn]:
    """A metric and its difference to the first policy's."""
    factor = quantity(metric).factor
    return [
        OutcomeColumn(_heading(metric), metric, factor, 3),
        OutcomeColumn("vs first", f"{metric}_difference", factor, 3),
    ]


def _heading(metric: str) -> str:
    return quantity(metric).label.replace("accuracy", "acc.")


def _cell(estimate: Estimate, scale: float, digits: int) -> str:
    mean = f"{estimate.mean * scale:.{digits}f}"
    if not np.isfinite(estimate.half_width):
        return mean
    return f"{mean} ±{estimate.half_width * scale:.{digits}f}"


def accuracy_table(comparison: Comparison) -> Table:
    """Final accuracies of every policy and task, and the paired differences below them."""
    title = f"seeds: {len(comparison.seeds)} (mean ± 95 % interval)"
    table = _plain_table(title, "final accuracy", *quantities(comparison))
    differences = difference_rows(comparison)
    for policy in comparison.policies:
        estimates = comparison.estimates(policy)
        table.add_row(policy, *(_cell(estimates[name], 1.0, 3) for name in quantities(comparison).values()))
    table.add_section()
    for one, other in DIFFERENCES:
        own = [row for row in differences if (row["policy"], row["minus"]) == (one, other)]
        table.add_row(f"{one} - {other} (points)", *(_signed(row["points"], row["points_ci95"]) for row in own))
    return table


def standings_table(found: Sequence[Standing], title: str) -> Table:
    """Standings of policies, and beside each what it is paired with the best rule."""
    best = found[0].best
    table = _plain_table(f"{title} (95 % intervals)", "policy", "mean", "IQM", f"vs {best}", "wins", "P(better)")
    for standing in found:
        beside = ("best rule", "", "")
        if standing.policy != best:
            beside = (f"{standing.difference:+.3f}", f"{standing.win_rate:.0%}", f"{standing.improvement:.3f}")
        table.add_row(standing.policy, f"{standing.mean:.3f}", f"{standing.iqm:.3f}", *beside)
    return table


def changes_table(changes: Sequence[Change]) -> Table:
    """What a change of the scenario did to each policy, seed by seed."""
    headings = ("quantity", "seeds", "first", "second", "second - first", "rises")
    table = _plain_table("paired by seed (95 % intervals)", "policy", *headings)
    for change in changes:
        table.add_row(
            change.policy,
            change.quantity.replace("_", " "),
            str(change.seeds),
            f"{change.first:.4g}",
            f"{change.second:.4g}",
            f"{change.difference:+.4g}",
            f"{change.rises:.0%}",
        )
    return table


def claims_table(claims: Sequence[Claim]) -> Table:
    """The paper's claims beside what was measured."""
    table = Table(
        "claim", "paper", "measured", "holds", title="the paper's claims", title_justify="left", box=SIMPLE_HEAD
    )
    for claim in claims:
        table.add_row(claim.claim, claim.paper, claim.measured, claim.holds)
    return table


def gains_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Average gains of clustering at every value of every factor."""
    others = [name.removeprefix("over_") for name in rows[0] if name.startswith("over_") and not name.endswith("_ci95")]
    headings = [f"over {other} (points)" for other in others]
    title = f"average gains of clustering, seeds: {rows[0]['seeds']} (mean ± 95 % interval)"
    table = _plain_table(title, "factor", "value", *headings)
    last = None
    for row in rows:
        if last not in (None, row["factor"]):
            table.add_section()
        gains = (_signed(row[f"over_{other}"], row[f"over_{other}_ci95"]) for other in others)
        table.add_row("" if last == row["factor"] else row["factor"], row["value"], *gains)
        last = row["factor"]
    return table


def _plain_table(title: str, first: str, *others: str) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column(first, no_wrap=True)
    for heading in others:
        table.add_column(heading, justify="right")
    return table


def _signed(mean: float, half_width: float) -> str:
    return f"{mean:+.2f} ±{half_width:.2f}" if np.isfinite(half_width) else f"{mean:+.2f}"
