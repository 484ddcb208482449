"""The project's own style: pictures look the same whatever the user has set up for Matplotlib."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager, suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any

# Okabe and Ito's colours (Color Universal Design, jfly.uni-koeln.de/color, 2008), which people with every kind of
# colour vision can tell apart; without yellow, which is too pale for lines on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")

FORMATS = ("png", "pdf", "svg")
DEFAULT_FORMATS = ("png",)
# What Matplotlib would date; without it, a picture of the same data is the same to the byte.
UNDATED = MappingProxyType({"pdf": {"CreationDate": None}, "svg": {"Date": None}})

# Over Matplotlib's defaults.
STYLE: Mapping[Any, Any] = MappingProxyType(
    {
        # Names are the user's, and a dollar sign in them begins no formula.
        "text.parse_math": False,
        # Text stays text in PDF and SVG, to be searched and set in another font.
        "pdf.fonttype": 42,
        "svg.fonttype": "none",
        # Names inside an SVG are drawn from this, and not at random.
        "svg.hashsalt": "satfl",
        "figure.dpi": 150,
        "figure.titlesize": 11,
        "axes.titlesize": 11,
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": "0.9",
        "lines.linewidth": 1.8,
        "legend.frameon": False,
    }
)


@contextmanager
def own_style() -> Iterator[None]:
    """Draw in `STYLE`, and text as it is; the user's settings are left as they were.

    Characters that its font lacks, as Chinese ones in names, become boxes without a word. What draws is imported
    inside, too.
    """
    _import_matplotlib()
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
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
