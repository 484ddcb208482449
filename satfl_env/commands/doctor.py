"""`satfl doctor`: versions, threads, devices and data sets of this installation."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer
from packaging.requirements import Requirement

from satfl_env import __version__
from satfl_env.commands.console import output_console, say_error
from satfl_env.imports import to_install

DISTRIBUTION = "satfl-env"
# Extras that are only needed to develop this package.
FOR_DEVELOPERS = {"dev", "docs"}

Row = tuple[str, str]


def doctor(
    data: Annotated[Path | None, typer.Option(help="Folder with data sets; SATFL_DATA if not given.")] = None,
) -> None:
    """Show versions, threads, device, data sets found and optional packages missing."""
    from rich.table import Table

    console = output_console()
    for heading, rows in (("package", package_rows()), ("machine", machine_rows()), ("data", data_rows(data))):
        table = Table(heading, "", box=None)
        for row in rows:
            table.add_row(*row)
        console.print(table, "")
    missing = [name for name, extra in requirements() if extra is None and version_of(name) is None]
    if missing:
        say_error(f"required packages are missing: {', '.join(missing)}")
        raise typer.Exit(1)


def requirements() -> Iterator[tuple[str, str | None]]:
    """Packages that the installed distribution requires on this Python, each with the extra it belongs to or None."""
    for requirement in map(Requirement, metadata.requires(DISTRIBUTION) or []):
        named = re.search(r"extra == ['\"]([\w.-]+)['\"]", str(requirement.marker))
        extra = named and named[1]
        wanted = requirement.marker is None or requirement.marker.evaluate({"extra": extra or ""})
        if wanted and requirement.name != DISTRIBUTION and extra not in FOR_DEVELOPERS:
            yield requirement.name, extra


def package_rows() -> Iterator[Row]:
    """Versions of the packages that the distribution requires, and how to get those that are missing."""
    yield "python", platform.python_version()
    yield DISTRIBUTION, metadata.version(DISTRIBUTION)
    for name, extra in requirements():
        how = "missing" if extra is None else f"missing (optional): {to_install(extra)}"
        yield name, version_of(name) or how


def versions() -> dict[str, str]:
    """Versions of Python, this package and what is installed of the packages that it can use."""
    found = {name: version_of(name) for name, _ in requirements()} if version_of(DISTRIBUTION) else {}
    known = {name: version for name, version in found.items() if version is not None}
    return {"python": platform.python_version(), DISTRIBUTION: __version__, **known}


def machine_rows() -> Iterator[Row]:
    """Cores, threads and accelerators."""
    import torch

    yield "system", platform.platform()
    yield "cores", str(os.cpu_count())
    yield "threads of PyTorch", str(torch.get_num_threads())
    yield "OMP_NUM_THREADS", os.environ.get("OMP_NUM_THREADS", "not set")
    for index in range(torch.cuda.device_count()):
        yield f"cuda:{index}", torch.cuda.get_device_name(index)
    if not torch.cuda.is_available():
        yield "device", "cpu (PyTorch finds no CUDA device)"


def data_rows(data: Path | None) -> Iterator[Row]:
    """Which image sources can be loaded: those embedded in packages, and those found in the data folder."""
    from satfl_env.data import SOURCES
    from satfl_env.data.folders import DATA_DIR_VARIABLE, FOLDERS, resolve_data_dir

    try:
        root: Path | None = resolve_data_dir(data, "data")
    except FileNotFoundError:
        root = None
    yield "folder", f"none: set {DATA_DIR_VARIABLE} or give --data" if root is None else _found(root)
    for name in SOURCES:
        if name in FOLDERS:
            yield name, "not looked for" if root is None else _found(root / FOLDERS[name])
        else:
            yield name, "a folder of your own (data.folder)" if name == "image-folder" else "embedded"


def _found(folder: Path) -> str:
    return str(folder) if folder.is_dir() else f"{folder} (missing)"


def version_of(name: str) -> str | None:
    """Version of an installed package; None if it is missing."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
