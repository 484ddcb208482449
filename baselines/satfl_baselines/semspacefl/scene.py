"""Tables III and V and Fig. 5: windows, frequencies and epochs of the scene, which need no training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from satfl_baselines.arrays import FloatArray
from satfl_baselines.association import at_gateway
from satfl_baselines.policies import make_policy
from satfl_baselines.semspacefl.paper import EPOCHS, SAMPLES, TABLE_3
from satfl_env.scenarios import build, load

RULES = {"proposed": "proposed-fedavg", "nearest": "nearest-fedavg"}
# The scene, links and energy are those of `semspacefl`; images and model are small, since they are not used.
SCENARIO = "semspacefl-mini"
UNTRAINED: Mapping[str, Any] = {
    "training.engine": "none",
    "training.max_epochs": 1000,
    "model.widths": (1, 1, 1),
    "data.test_samples": 1,
    # No satellite is busy that long: rounds of equal length meet all phases of the circles equally often. Rounds that
    # end when the last satellite is back would not, since the next one then finds it at the edge of its gateway's disc.
    "rounds.minimum_s": 1900.0,
}
ROUNDS = 300


class Means(NamedTuple):
    """Means over rounds, each (S,): window (s) and frequency (Hz) at the chosen gateway, local epochs."""

    window_s: FloatArray
    cpu_hz: FloatArray
    epochs: FloatArray


@cache
def measure(rule: str, samples: tuple[int, ...], rounds: int = ROUNDS) -> Means:
    """Play rounds without training under an association rule; satellites pass all phases of their circles.

    Args:
        rule: `proposed` or `nearest`.
        samples: Training samples of each satellite, (S,).
        rounds: Rounds to play.
    """
    partition = {"kind": "counts", "counts": samples}
    simulation = build(load(SCENARIO, **UNTRAINED, **{"data.partition": partition, "rounds.episode": rounds}))
    policy = make_policy(RULES[rule])
    played = []
    state = simulation.reset(0)
    for _ in range(rounds):
        decision = policy(state)
        window_s = at_gateway(state.window_s, decision.association)
        state, report = simulation.step(decision)
        played.append((window_s, decision.cpu_frequency, report.epochs))
    return Means(*np.mean(played, axis=0))


def table3_rows() -> list[dict[str, Any]]:
    """Mean frequency and window of each satellite beside Table III: one row per satellite."""
    means = {rule: measure(rule, SAMPLES[0.1]) for rule in RULES}
    return [
        {
            "satellite": satellite,
            **{
                key: value
                for rule, (papers_ghz, papers_s) in TABLE_3.items()
                for key, value in (
                    (f"{rule}_ghz", float(means[rule].cpu_hz[satellite]) / 1e9),
                    (f"{rule}_ghz_paper", papers_ghz[satellite]),
                    (f"{rule}_s", float(means[rule].window_s[satellite])),
                    (f"{rule}_s_paper", papers_s[satellite]),
                )
            },
        }
        for satellite in range(len(SAMPLES[0.1]))
    ]


def table5_rows() -> list[dict[str, Any]]:
    """Mean epochs of each satellite beside Table V, with the paper's sample counts: one row per satellite."""
    epochs = {alpha: measure("proposed", samples).epochs for alpha, samples in SAMPLES.items()}
    return [
        {
            "satellite": satellite,
            **{
                key: value
                for alpha, samples in SAMPLES.items()
                for key, value in (
                    (f"samples_{alpha:g}", samples[satellite]),
                    (f"epochs_{alpha:g}", float(epochs[alpha][satellite])),
                    (f"epochs_{alpha:g}_paper", EPOCHS[alpha][satellite]),
                )
            },
        }
        for satellite in range(len(SAMPLES[0.1]))
    ]


def fig5_rows() -> list[dict[str, Any]]:
    """Samples and mean epochs of each satellite under both association rules (Fig. 5): one row per satellite."""
    epochs = {rule: measure(rule, SAMPLES[0.1]).epochs for rule in RULES}
    return [
        {
            "satellite": satellite,
            "samples": samples,
            **{f"{rule}_epochs": float(values[satellite]) for rule, values in epochs.items()},
            "proposed_epochs_paper": EPOCHS[0.1][satellite],
        }
        for satellite, samples in enumerate(SAMPLES[0.1])
    ]


def mean_deviation(rows: Sequence[Mapping[str, Any]]) -> float:
    """Mean absolute relative deviation of all values that have a neighbour `<name>_paper`."""
    pairs = [
        (row[name.removesuffix("_paper")], printed)
        for row in rows
        for name, printed in row.items()
        if name.endswith("_paper")
    ]
    return float(np.mean([abs(ours / printed - 1) for ours, printed in pairs]))
