"""Pictures look the same whatever the user has set up for Matplotlib."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def own_style() -> Iterator[None]:
    """Draw with Matplotlib's defaults, and text as it is; the user's settings are left as they were.

    What draws is imported inside, too.
    """
    import_matplotlib()
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        # Names are the user's, and a dollar sign in them begins no formula.
        matplotlib.rcParams["text.parse_math"] = False
        yield


def import_matplotlib() -> None:
    """Import Matplotlib even where MPLBACKEND names no backend of this machine, which it refuses; we need none."""
    named = os.environ.pop("MPLBACKEND", None) if "matplotlib" not in sys.modules else None
    try:
        import matplotlib
    finally:
        if named is not None:
            os.environ["MPLBACKEND"] = named
    if named:
        with suppress(ValueError):
            matplotlib.rcParams["backend"] = named
