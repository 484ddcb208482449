"""`satfl reproduce` for SemSpaceFL: plays what is missing, writes CSV and pictures, makes tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from satfl_baselines.files import write_figure, write_table
from satfl_baselines.semspacefl import results, scene, training
from satfl_baselines.semspacefl.paper import METRICS, SNRS_DB
from satfl_baselines.summary import Comparison
from satfl_baselines.tables import claims_table
from satfl_env.drawing import DEFAULT_FORMATS, own_style
from satfl_env.quantities import quantity
from satfl_env.scenarios import Scenario, load

UNTRAINED: Mapping[str, tuple[str, Callable[[], list[dict[str, Any]]]]] = {
    "table3": ("Table III: mean frequency (GHz) and window (s)", scene.table3_rows),
    "table5": ("Table V: mean epochs with the paper's samples", scene.table5_rows),
    "fig5": ("Fig. 5: mean epochs of both associations", scene.fig5_rows),
}
NAMES = ("table2", "table3", "table4", "table5", "fig3", "fig4", "fig5", "fig6", "fig7")
CURVE_METRICS = {"fig3": "psnr_db", "fig4": "ms_ssim"}
SNR_METRICS = {"fig6": "psnr_db", "fig7": "ms_ssim"}
DEFAULT_SEEDS = 5

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ProgressBar = Callable[[], AbstractContextManager[Callable[[int, int], None]]]


def default_seeds(quick: bool) -> int:
    """The usual number of seeds."""
    return training.QUICK_SEEDS if quick else DEFAULT_SEEDS


def reproduce(
    names: Sequence[str],
    changes: Mapping[str, Any],
    out: Path,
    *,
    seeds: int,
    size: str = "tiny",
    quick: bool = False,
    workers: int = 1,
    formats: Sequence[str] = DEFAULT_FORMATS,
    progress_bar: ProgressBar,
) -> Iterator[Table]:
    """Tables for the terminal, each as soon as it is ready; CSV and pictures are written on the way.

    Args:
        names: Some of `NAMES`.
        changes: Scenario values to change.
        out: Result folder.
        seeds: Number of seeds.
        size: Key of `training.SIZES`.
        quick: Play a short version, in a separate folder.
        workers: Processes to play in.
        formats: Of the pictures.
        progress_bar: Opens a progress bar.
    """
    changes = {**training.SIZES[size], **(training.QUICK if quick else {}), **changes}
    scenario = load(training.SCENARIO, **changes)
    out.mkdir(parents=True, exist_ok=True)
    for name in UNTRAINED:
        if name in names:
            yield _untrained(name, out, formats)
    trained = [name for name in NAMES if name in names and name not in UNTRAINED]
    if not trained:
        return
    folder = out / (f"{size}-quick" if quick else size)
    with progress_bar() as progress:
        played = training.play(trained, changes, range(seeds), folder, workers=workers, progress=progress)
    for name in trained:
        yield from _trained(name, played, scenario, folder, formats)


def _untrained(name: str, out: Path, formats: Sequence[str]) -> Table:
    heading, make_rows = UNTRAINED[name]
    rows = make_rows()
    write_table(out / f"{name}.csv", rows)
    if name == "fig5":
        write_figure(out / name, _draw_epochs(rows, heading), formats)
    return _rows_table(rows, f"{heading}; mean absolute deviation {scene.mean_deviation(rows):.2%}")


@own_style()
def _draw_epochs(rows: Sequence[Mapping[str, Any]], title: str) -> Figure:
    # Matplotlib takes a while to import, and most commands never draw.
    from satfl_baselines.semspacefl.plots import Panel, column, draw_panels

    satellites = column(rows, "satellite")
    shown = {"samples": ("samples",), "epochs": ("proposed_epochs", "nearest_epochs")}
    panels = [
        Panel("", "satellite", label, {key.removesuffix("_epochs"): (satellites, column(rows, key)) for key in keys})
        for label, keys in shown.items()
    ]
    return draw_panels(panels, title)


def _trained(
    name: str, played: Mapping[str, Comparison], scenario: Scenario, out: Path, formats: Sequence[str]
) -> Iterator[Table]:
    facts = results.fidelity(scenario)
    told = ", ".join(f"{quantity(key).label} {_number(value)}" for key, value in facts.items() if value is not None)
    title, seeds = f"{name}: {told}", len(next(iter(played.values())).seeds)
    of_picture = f"{name}, seeds: {seeds} (mean, 95 % interval)\n{told}"
    if name in results.PRINTED:
        comparison = played[training.HFL]
        rows, claims = results.table_rows(name, comparison), results.table_claims(name, comparison)
        _write(out / f"{name}-differences.csv", results.difference_rows(name, comparison), facts)
        yield _quality_table(rows, f"{title}, seeds {seeds} (mean ± 95 % interval, below it the paper's)")
    elif name in CURVE_METRICS:
        rows = results.gateway_rows(played, CURVE_METRICS[name])
        claims = results.gateway_claims(played, CURVE_METRICS[name])
        write_figure(out / name, _draw_gateways(rows, CURVE_METRICS[name], of_picture), formats)
        yield _rows_table(rows[-1:], f"{title} (after the last round)")
    else:
        rows = results.snr_rows(played, SNR_METRICS[name])
        claims = results.snr_claims(played) if name == "fig6" else []
        write_figure(out / name, _draw_over_snr(rows, SNR_METRICS[name], of_picture), formats)
        yield _rows_table(rows, title)
    _write(out / f"{name}.csv", rows, facts)
    if claims:
        write_table(out / f"{name}-claims.csv", [asdict(claim) for claim in claims])
        yield claims_table(claims)


def _write(path: Path, rows: Sequence[Mapping[str, Any]], facts: Mapping[str, Any]) -> None:
    write_table(path, [{**row, **facts} for row in rows])


@own_style()
def _draw_gateways(rows: Sequence[Mapping[str, Any]], metric: str, title: str) -> Figure:
    from satfl_baselines.plot import ROUND
    from satfl_baselines.semspacefl.plots import Panel, column, draw_panels

    names = [name for name in rows[0] if f"{name}_ci95" in rows[0]]
    # The paper writes its own scheme in capitals, and files in lower case.
    shown = {name: name.upper() if name == training.HFL else name for name in names}
    lines = {shown[name]: tuple(column(rows, key) for key in ("round", name, f"{name}_ci95")) for name in names}
    return draw_panels([Panel("", ROUND, quantity(metric).label, lines)], title)


@own_style()
def _draw_over_snr(rows: Sequence[Mapping[str, Any]], metric: str, title: str) -> Figure:
    from satfl_baselines.semspacefl.plots import Panel, draw_panels

    panels = [
        Panel(setting, "SNR (dB)", quantity(metric).label, results.snr_series(rows, setting))
        for setting in dict.fromkeys(row["setting"] for row in rows)
    ]
    return draw_panels(panels, title)


def _quality_table(rows: Sequence[Mapping[str, Any]], title: str) -> Table:
    """Metrics over the SNR: one row per metric and SNR, one column per policy, ours above the paper's."""
    policies = list(dict.fromkeys(row["policy"] for row in rows))
    table = Table("metric", "SNR (dB)", *policies, title=title, title_justify="left", box=SIMPLE_HEAD)
    cells = {(row["metric"], row["snr_db"], row["policy"]): row for row in rows}
    for metric in METRICS:
        digits = 2 if metric == "psnr_db" else 4
        for snr_db in SNRS_DB:
            own = [cells[metric, snr_db, policy] for policy in policies]
            texts = [f"{row['mean']:.{digits}f} ±{row['ci95']:.{digits}f}\n{row['paper']:.{digits}f}" for row in own]
            table.add_row(quantity(metric).label, str(snr_db), *texts)
    return table


def _rows_table(rows: Sequence[Mapping[str, Any]], title: str) -> Table:
    table = Table(*rows[0], title=title, title_justify="left", box=SIMPLE_HEAD)
    for row in rows:
        table.add_row(*(_number(value) for value in row.values()))
    return table


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
