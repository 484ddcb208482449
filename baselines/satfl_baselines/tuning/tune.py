"""Finding the numbers of the rule that end episodes of a scenario with the best metric."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from typing_extensions import TypedDict

from satfl_baselines.arrays import FloatArray
from satfl_baselines.cross_entropy import Gaussian
from satfl_baselines.files import damaged, is_new, one_writer, read_json, write_json, write_table
from satfl_baselines.identity import identity, read_record, require_same, write_record
from satfl_baselines.rule import RULES, RuleNumbers
from satfl_baselines.seeds import TUNING
from satfl_baselines.summary import Estimate
from satfl_baselines.tuning.budget import DEFAULT_START, Budget
from satfl_baselines.tuning.episodes import rule_episodes
from satfl_baselines.tuning.rule_file import RuleFile, write_rule
from satfl_baselines.tuning.tuned import FILE
from satfl_env import __version__
from satfl_env.counted import counted
from satfl_env.scenarios import Scenario
from satfl_env.suggestions import did_you_mean

CONFIG, SEARCH, TABLE = "config.json", "search.json", "generations.csv"
FIRST_SPREAD = 0.25
ELITE_SHARE = 0.25

# Rules as points of the unit cube, (N, 12), and the seeds that each plays; to scores (N, number of seeds).
Evaluate = Callable[[FloatArray, Sequence[int]], FloatArray]


class Generation(TypedDict):
    """What is kept of a generation: the distribution after it, and the scores of its candidates."""

    mean: list[float]
    spread: list[float]
    best: float
    average: float


def tune_rules(
    scenario: Scenario,
    out: str | Path,
    *,
    start: str = DEFAULT_START,
    budget: Budget | None = None,
    seed: int = 0,
    workers: int = 1,
    progress: Callable[[int, int], Any] = lambda finished, total: None,
) -> RuleFile:
    """Tune the numbers of the rule on a scenario by the cross-entropy method.

    A score is the mean of the metric that judges, at the end of episodes on tuning seeds, the same for all
    candidates of a generation. The result is the mean of the last generation's distribution.

    Args:
        scenario: The scenario.
        out: Folder of the search; the same call goes on from the last finished generation.
        start: The rule to start from, one of `satfl_baselines.rule.RULES`.
        budget: What it may cost.
        seed: Seed of the candidates.
        workers: Processes to play in; their number changes nothing else.
        progress: Called with the numbers of finished and of all generations.

    Returns:
        The rule, which is also in `tuned.yaml` of the folder.

    Raises:
        ValueError: If there is no such rule to start from, or the folder holds another search, or a damaged one.
        OSError: If the folder cannot be read or written.
    """
    out, budget = Path(out), budget or Budget()
    if start not in RULES:
        raise ValueError(f"unknown rule {start!r}{did_you_mean(start, tuple(RULES))}; there are: {', '.join(RULES)}")
    config = identity(scenario, start=start, seed=seed, **asdict(budget))
    if not is_new(out):
        require_same(out, "search", read_record(out / CONFIG, "search"), config)
    first = RULES[start].to_vector()
    with one_writer(out):
        write_record(out / CONFIG, config)
        with rule_episodes(scenario, budget.population * budget.seeds, workers) as episodes:
            found = search(episodes, first, budget, seed, out / SEARCH, progress)
            scores = episodes(np.stack([found, first]), TUNING[-budget.checks :])
        rule = RuleFile(
            scenario=scenario.name,
            numbers=RuleNumbers.from_vector(found),
            found={"version": __version__, "start": start, "seed": seed, **asdict(budget), **_compared(scores)},
        )
        write_rule(out / FILE, rule)
    return rule


def search(
    evaluate: Evaluate,
    first: FloatArray,
    budget: Budget,
    seed: int,
    file: Path,
    progress: Callable[[int, int], Any] = lambda finished, total: None,
) -> FloatArray:
    """The best point of the unit cube that the cross-entropy method finds, (D,).

    Args:
        evaluate: Gives candidates their scores.
        first: Where it starts, (D,).
        budget: What it may cost.
        seed: Seed of the candidates. Those of a generation depend on it, the generation's number and the distribution
            alone, so a search that was killed goes on as if it had not been.
        file: Keeps the generations that are finished; a table of them is beside it.
        progress: Called with the numbers of finished and of all generations.
    """
    generations = _kept(file, len(first), budget) if file.exists() else []
    progress(len(generations), budget.generations)
    for index in range(len(generations), budget.generations):
        gaussian = _last(generations, first)
        candidates = np.clip(gaussian.draw(budget.population, np.random.default_rng([seed, index])), 0.0, 1.0)
        seeds = TUNING[index * budget.seeds : (index + 1) * budget.seeds]
        scores = evaluate(candidates, seeds).mean(axis=1)
        after = gaussian.after(candidates, scores, elite=max(2, round(ELITE_SHARE * budget.population)))
        generations.append(
            {
                "mean": after.mean.tolist(),
                "spread": after.spread.tolist(),
                "best": float(scores.max()),
                "average": float(scores.mean()),
            }
        )
        write_json(file, generations)
        rows = [{"generation": i, "best": one["best"], "average": one["average"]} for i, one in enumerate(generations)]
        write_table(file.with_name(TABLE), rows)
        progress(len(generations), budget.generations)
    return _last(generations, first).mean


def _kept(file: Path, numbers: int, budget: Budget) -> list[Generation]:
    """The finished generations of a search for so many numbers.

    Raises:
        ValueError: If the file is damaged; it is named.
    """
    kept: list[Generation] = read_json(file, list[Generation])
    if len(kept) > budget.generations:
        raise damaged(file, f"it has {len(kept)} of {counted(budget.generations, 'generation')}")
    for index, generation in enumerate(kept):
        values = [*generation["mean"], *generation["spread"]]
        if {len(generation["mean"]), len(generation["spread"])} != {numbers} or not np.isfinite(values).all():
            raise damaged(file, f"generation {index} has not {numbers} means and spreads")
    return kept


def _last(generations: Sequence[Generation], first: FloatArray) -> Gaussian:
    """The distribution after some generations."""
    if not generations:
        return Gaussian(first, np.full(len(first), FIRST_SPREAD))
    return Gaussian(np.array(generations[-1]["mean"]), np.array(generations[-1]["spread"]))


def _compared(scores: FloatArray) -> Mapping[str, float]:
    """What the result got on the seeds of the check, and by how much it is better than the start, paired by seed."""
    gain = Estimate.of(scores[0] - scores[1])
    numbers = {"metric": scores[0].mean(), "over_start": gain.mean, "over_start_ci95": gain.half_width}
    return {name: round(float(number), 4) for name, number in numbers.items()}
