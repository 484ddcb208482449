"""Files of published mean elements: two-line elements (TLE) or orbit mean-elements messages (OMM)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from satfl_env.orbits.element_set import ElementSet, one_of_each
from satfl_env.orbits.frames import make_epoch
from satfl_env.orbits.omm import read_omm
from satfl_env.orbits.omm_formats import READERS, reader_of
from satfl_env.orbits.sgp4_orbits import Sgp4Orbits
from satfl_env.orbits.tle import read_tle
from satfl_env.paths import expanded, require_file
from satfl_env.suggestions import did_you_mean
from satfl_env.utf8 import decoded

if TYPE_CHECKING:
    from astropy.time import Time

TLE_ENDINGS = (".tle", ".2le", ".3le")
# All catalogued objects take some 40 MB.
MAX_FILE_BYTES = 100_000_000


def samples() -> dict[str, Path]:
    """The shipped files of synthesised elements by name; their epoch is 1 January 2026."""
    folder = Path(__file__).with_name("samples")
    return {path.stem: path for path in sorted(folder.iterdir())}


def load_elements(path: str | Path | Iterable[str | Path], epoch: Time | str | None = None) -> Sgp4Orbits:
    """The satellites of a file, or of several.

    It is OMM if its name ends in .csv, .json, .xml or .kvn, TLE if it ends in .tle, .2le or .3le, both in upper or
    lower case. With any other name its first line decides. Of several sets of one satellite, which share a catalogue
    number, the newest that is not newer than the epoch is flown, or the oldest if all are newer; see `one_of_each`.

    Args:
        path: The file, UTF-8, of at most 100 MB; `~` is your home. Or several, read as if they were one.
        epoch: As in `Sgp4Orbits`.

    Raises:
        FileNotFoundError: If there is no such file; the message suggests shipped samples of similar names.
        ValueError: If an element set is malformed or not one of SGP4, naming the file, and its line and columns or its
            message and field; as in `Sgp4Orbits`.
    """
    paths = [expanded(one) for one in ([path] if isinstance(path, str | Path) else path)]
    start = None if epoch is None else make_epoch(epoch)
    sets = [given for one in paths for given in _sets_of(one)]
    try:
        flown = one_of_each(sets, start)
        names = [given.name or f"NORAD {given.number:05}" for given in flown]
        return Sgp4Orbits([given.record for given in flown], names, start)
    except ValueError as error:
        raise ValueError(f"{', '.join(map(str, paths))}: {error}") from error


def _sets_of(path: Path) -> list[ElementSet]:
    if not path.exists():
        guess = did_you_mean(path.name, samples())
        raise FileNotFoundError(f"there is no file of orbital elements {str(path)!r}{guess}")
    try:
        require_file(path)
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ValueError(f"a file of elements has at most {MAX_FILE_BYTES} bytes, got {path.stat().st_size}")
        sets = list(_sets(decoded(path.read_bytes()), path.suffix.lower()))
        if not sets:
            raise ValueError("a constellation needs at least one satellite, got a file without elements")
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return sets


def _sets(text: str, ending: str) -> Iterator[ElementSet]:
    reader = None if ending in TLE_ENDINGS else READERS.get(ending) or reader_of(text)
    return read_tle(text) if reader is None else read_omm(reader(text))
