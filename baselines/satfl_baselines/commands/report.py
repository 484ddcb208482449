"""`satfl report`: folders of results as a page of HTML."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from satfl_env.commands import output_console, say


def report(
    folders: Annotated[list[Path], typer.Argument(help="Folders that satfl wrote results into.")],
    out: Annotated[Path, typer.Option(help="The page to write: FILE.html.")],
) -> None:
    """Report on folders of results side by side: one page of HTML with tables, curves and configurations."""
    # These take seconds to import, which --help need not wait for.
    from satfl_baselines.files import write_whole
    from satfl_baselines.pages.page import html_page, require_page
    from satfl_baselines.pages.report import report as report_on

    require_page(out)
    write_whole(out, html_page("report", ", ".join(map(str, folders)), report_on(folders)))
    say(output_console(), f"The report is {out}; any browser opens it")
