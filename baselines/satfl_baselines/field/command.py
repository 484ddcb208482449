"""What `satfl field` writes: the table as CSV and markdown, and a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.table import Table

from satfl_baselines.field.table import field_rows, headings, markdown, metric_of, shown
from satfl_baselines.files import one_writer, write_figure, write_table, write_whole
from satfl_baselines.summary import Comparison
from satfl_env.counted import counted
from satfl_env.drawing import DEFAULT_FORMATS, own_style


def write(
    played: Mapping[str, Comparison], against: Mapping[str, str], out: Path, formats: Sequence[str] = DEFAULT_FORMATS
) -> Table:
    """Write `field.csv`, `field.md` and the picture `field`.

    Args:
        played: What `play` gave.
        against: The name of the system that each of them is compared with.
        out: The folder.
        formats: Of the picture.

    Returns:
        The table for the terminal.

    Raises:
        OSError: If the folder cannot be written.
    """
    first = next(iter(played.values()))
    rows, metric = field_rows(played, against), metric_of(first)
    title = f"The systems of the field, {counted(first.rounds, 'round')}, seeds: {len(first.seeds)}"
    with one_writer(out), own_style():
        # Matplotlib takes a while to import, and most commands never draw.
        from satfl_baselines.field.picture import draw_field

        write_table(out / "field.csv", rows)
        write_whole(out / "field.md", markdown(rows, metric).encode())
        write_figure(out / "field", draw_field(played, f"{title} (mean, 95 % interval)"), formats)
    columns = headings(metric)
    title = f"{title} (mean ± 95 % interval)"
    table = Table("system", *columns.values(), "baseline", title=title, title_justify="left", box=SIMPLE_HEAD)
    for row in rows:
        table.add_row(row["system"], *(shown(row, column) for column in columns), row["baseline"])
    return table
