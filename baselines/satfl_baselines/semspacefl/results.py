"""Results for SemSpaceFL's trained tables and figures: rows, paired differences and the paper's claims."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from satfl_baselines.arrays import FloatArray
from satfl_baselines.evaluate import Run
from satfl_baselines.reproduce import Claim
from satfl_baselines.semspacefl.paper import METRICS, SNRS_DB, TABLE_2, TABLE_4, Column
from satfl_baselines.semspacefl.training import ALPHA_1, ALPHA_10, APART, FEDAVG, FEDSEL, HFL
from satfl_baselines.summary import OF, Comparison, Estimate
from satfl_env.quantities import quantity
from satfl_env.scenarios import Scenario, similarity_scales

Comparisons = Mapping[str, Comparison]
PRINTED: Mapping[str, Mapping[str, Mapping[str, Column]]] = {"table2": TABLE_2, "table4": TABLE_4}
# (one, other): the paper has the first above the second.
PAIRS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "table2": (("proposed-fedavg", "nearest-fedavg"), ("proposed-fedavep", "nearest-fedavep")),
    "table4": tuple((FEDSEL, other) for other in TABLE_4 if other != FEDSEL),
}
GOAL_DB, GOAL_SNR_DB = 23.0, 11


def final(comparison: Comparison, policy: str, metric: str) -> FloatArray:
    """A metric of the final models at the six SNRs, mean over the gateways, (seeds, SNRs)."""
    last = [comparison.episodes[Run(policy, seed)][-1] for seed in comparison.seeds]
    return np.array([[record[f"{metric}@{snr_db:g}"] for snr_db in SNRS_DB] for record in last])


def table_rows(table: str, comparison: Comparison) -> list[dict[str, Any]]:
    """Table II or IV: ours, its 95 % interval and the paper's, one row per policy, metric and SNR."""
    return [
        _row(policy, metric, snr_db, estimate, index) | {"paper": papers[metric][index]}
        for policy, papers in PRINTED[table].items()
        for metric in METRICS
        for estimate in [Estimate.of(final(comparison, policy, metric))]
        for index, snr_db in enumerate(SNRS_DB)
    ]


def difference_rows(table: str, comparison: Comparison) -> list[dict[str, Any]]:
    """Differences of policies seed by seed, with 95 % intervals, at each SNR and on average over the six."""
    rows: list[dict[str, Any]] = []
    for one, other in PAIRS[table]:
        for metric in METRICS:
            samples, papers = _paired(comparison, one, other, metric), _printed_difference(table, one, other, metric)
            estimate = Estimate.of(_with_mean(samples))
            for index, (snr, printed) in enumerate(zip((*SNRS_DB, "mean"), _with_mean(papers), strict=True)):
                row = {"policy": one, "minus": other, "metric": metric, "snr_db": snr, "seeds": len(comparison.seeds)}
                ours = {"difference": float(estimate.mean[index]), "ci95": float(estimate.half_width[index])}
                rows.append(row | ours | {"paper": float(printed)})
    return rows


def gateway_rows(comparisons: Comparisons, metric: str) -> list[dict[str, Any]]:
    """Fig. 3 or 4: the federation with a cloud and each gateway alone, one row per round."""
    curves = gateway_curves(comparisons, metric)
    estimates = {name: Estimate.of(samples) for name, samples in curves.items()}
    return [
        {
            "round": index,
            "metric": metric,
            **{
                key: float(value)
                for name, estimate in estimates.items()
                for key, value in ((name, estimate.mean[index]), (f"{name}_ci95", estimate.half_width[index]))
            },
        }
        for index in range(1, len(next(iter(estimates.values())).mean))
    ]


def gateway_curves(comparisons: Comparisons, metric: str) -> dict[str, FloatArray]:
    """Test metric after every round at the usual SNR, each (seeds, rounds + 1): `hfl`, `gateway 0`, ..."""
    together, alone = comparisons[HFL].curves(FEDAVG), comparisons[APART].curves(FEDAVG)
    prefix = f"{metric}{OF}"
    gateways = [name for name in alone if name.startswith(f"{prefix}gateway")]
    joint = np.array([together[name][:, 1:] for name in gateways])
    # Before a gateway's first model there is nothing to test, nor is there before the first round.
    mean = np.nanmean(joint, axis=0)
    hfl = np.concatenate([np.full((len(mean), 1), np.nan), mean], axis=1)
    return {"hfl": hfl} | {name.removeprefix(prefix): alone[name] for name in gateways}


def snr_rows(comparisons: Comparisons, metric: str) -> list[dict[str, Any]]:
    """Fig. 6 or 7: a metric over the SNR for every policy, one row per setting, policy and SNR."""
    settings = (ALPHA_1, ALPHA_10) if metric == "psnr_db" else (HFL,)
    return [
        {"setting": setting} | _row(policy, metric, snr_db, estimate, index)
        for setting in settings
        for policy in comparisons[setting].policies
        if setting != HFL or policy in TABLE_4
        for estimate in [Estimate.of(final(comparisons[setting], policy, metric))]
        for index, snr_db in enumerate(SNRS_DB)
    ]


def table_claims(table: str, comparison: Comparison) -> list[Claim]:
    """The orderings of Table II or IV, on average over the six SNRs, and the quality reached."""
    orderings = [
        _ordering(
            f"{one} above {other}, {quantity(metric).label}",
            float(np.mean(_printed_difference(table, one, other, metric))),
            _paired(comparison, one, other, metric).mean(axis=1),
            metric,
        )
        for one, other in PAIRS[table]
        for metric in METRICS
    ]
    at = SNRS_DB.index(GOAL_SNR_DB)
    reached = {policy: final(comparison, policy, "psnr_db")[:, at].mean() for policy in PRINTED[table]}
    lowest, highest = min(reached, key=reached.__getitem__), max(reached, key=reached.__getitem__)
    return [
        *orderings,
        Claim(
            f"PSNR at SNR {GOAL_SNR_DB} dB above {GOAL_DB:g} dB (our own goal)",
            "28.4 to 29.4 dB",
            f"{reached[lowest]:.2f} ({lowest}) to {reached[highest]:.2f} dB ({highest})",
            f"by {sum(value > GOAL_DB for value in reached.values())} of {len(reached)}",
        ),
    ]


def gateway_claims(comparisons: Comparisons, metric: str) -> list[Claim]:
    """Fig. 3 or 4: after the last round the federation with a cloud is above each gateway alone and their mean."""
    last = {name: curve[:, -1] for name, curve in gateway_curves(comparisons, metric).items()}
    together = last.pop("hfl")
    alone = {f"{name} alone": values for name, values in last.items()}
    alone["the mean of the gateways alone"] = np.mean(list(last.values()), axis=0)
    return [
        _ordering(f"HFL above {name}, {quantity(metric).label}", None, together - values, metric)
        for name, values in alone.items()
    ]


def snr_claims(comparisons: Comparisons) -> list[Claim]:
    """Fig. 6: FedSEL above the others at both values of alpha, on average over the six SNRs."""
    return [
        _ordering(
            f"{setting}: {FEDSEL} above {other}, PSNR",
            None,
            _paired(comparisons[setting], FEDSEL, other, "psnr_db").mean(axis=1),
            "psnr_db",
        )
        for setting in (ALPHA_1, ALPHA_10)
        for other in comparisons[setting].policies
        if other != FEDSEL
    ]


def _row(policy: str, metric: str, snr_db: float, estimate: Estimate, index: int) -> dict[str, Any]:
    return {
        "policy": policy,
        "metric": metric,
        "snr_db": snr_db,
        "mean": float(estimate.mean[index]),
        "ci95": float(estimate.half_width[index]),
    }


def _paired(comparison: Comparison, one: str, other: str, metric: str) -> FloatArray:
    return final(comparison, one, metric) - final(comparison, other, metric)


def _printed_difference(table: str, one: str, other: str, metric: str) -> FloatArray:
    return np.subtract(PRINTED[table][one][metric], PRINTED[table][other][metric])


def _with_mean(values: FloatArray) -> FloatArray:
    """Values over the SNRs, (..., SNRs), with their mean as one more."""
    return np.concatenate([values, values.mean(axis=-1, keepdims=True)], axis=-1)


def _ordering(claim: str, printed: float | None, samples: FloatArray, metric: str) -> Claim:
    """A claim that a paired difference, (seeds,), is positive; decided only if its 95 % interval leaves out 0."""
    digits, unit = (2, " dB") if metric == "psnr_db" else (4, "")
    gain = Estimate.of(samples)
    paper = "above" if printed is None else f"{printed:+.{digits}f}{unit}"
    measured = f"{float(gain.mean):+.{digits}f} ± {float(gain.half_width):.{digits}f}{unit}"
    return Claim(claim, paper, measured, gain.verdict())


def fidelity(scenario: Scenario) -> dict[str, Any]:
    """What every result carries: how much was really trained and how it was measured."""
    return {
        "image_size": scenario.data.image_size,
        "rounds": scenario.rounds.episode,
        "batches_per_epoch": scenario.training.batches_per_epoch,
        "round_share": scenario.training.round_share,
        "ms_ssim_scales": similarity_scales(scenario),
    }


def snr_series(rows: Sequence[Mapping[str, Any]], setting: str) -> dict[str, tuple[list[float], ...]]:
    """Rows of `snr_rows` as lines to draw: SNR, mean and half width of each policy."""
    own = [row for row in rows if row["setting"] == setting]
    names = dict.fromkeys(row["policy"] for row in own)
    return {
        name: tuple([row[key] for row in own if row["policy"] == name] for key in ("snr_db", "mean", "ci95"))
        for name in names
    }
