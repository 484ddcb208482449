"""Pictures look the same whatever the user has set up for Matplotlib."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import chdir, contextmanager, suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path


@contextmanager
def own_style() -> Iterator[None]:
    """Draw with Matplotlib's defaults, and text as it is; the user's settings are left as they were.

    Characters that its font lacks, as Chinese ones in names, become boxes without a word. What draws is imported
    inside, too.
    """
    _import_matplotlib()
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        # Names are the user's, and a dollar sign in them begins no formula.
        matplotlib.rcParams["text.parse_math"] = False
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
            yield


def _import_matplotlib() -> None:
    """Import Matplotlib even where it refuses the user's settings.

    It does so where MPLBACKEND names no backend of this machine, and we need none, and where a matplotlibrc is no text.
    """
    named = os.environ.pop("MPLBACKEND", None) if "matplotlib" not in sys.modules else None
    try:
        _import_with_any_settings()
    finally:
        if named is not None:
            os.environ["MPLBACKEND"] = named
    if named:
        import matplotlib

        with suppress(ValueError):
            matplotlib.rcParams["backend"] = named


def _import_with_any_settings() -> None:
    try:
        import_module("matplotlib")
    except (UnicodeDecodeError, OSError):
        # What was imported by half would not be found again.
        for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
            del sys.modules[name]
        # It takes the matplotlibrc of the current folder first, here its own.
        with chdir(_its_folder() / "mpl-data"):
            import_module("matplotlib")


def _its_folder() -> Path:
    spec = find_spec("matplotlib")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent
