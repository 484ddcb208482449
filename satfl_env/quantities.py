"""What is recorded, as pictures and tables call it: the one table of names and units."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from satfl_env.printable import printable


class Quantity(NamedTuple):
    """A quantity as it is shown.

    Attributes:
        name: What it is called.
        unit: The unit it is shown in, if it has any.
        factor: How much of that unit one unit of the record is.
    """

    name: str
    unit: str = ""
    factor: float = 1.0

    @property
    def label(self) -> str:
        """Name and unit, as on an axis."""
        return f"{self.name} ({self.unit})" if self.unit else self.name


QUANTITIES: Mapping[str, Quantity] = MappingProxyType(
    {
        "psnr_db": Quantity("PSNR", "dB"),
        "ms_ssim": Quantity("MS-SSIM"),
        "ms_ssim_scales": Quantity("MS-SSIM scales"),
        "snr_db": Quantity("SNR", "dB"),
        "upload_snr_db": Quantity("SNR of uploads", "dB"),
        "time_s": Quantity("simulated time", "h", 1 / 3600),
        "duration_s": Quantity("duration", "min", 1 / 60),
        "energy_j": Quantity("energy", "kJ", 1e-3),
        "charge_j": Quantity("charge", "kJ", 1e-3),
        "download_bits": Quantity("downloads", "Gbit", 1e-9),
        "upload_bits": Quantity("uploads", "Gbit", 1e-9),
        "lost": Quantity("lost updates"),
        "hidden": Quantity("hidden units"),
    }
)
# Of names that end in a unit, as those of your own metrics may.
UNITS = MappingProxyType(
    {"db": "dB", "j": "J", "s": "s", "m": "m", "hz": "Hz", "w": "W", "bps": "bit/s", "bits": "bit"}
)


def quantity(name: str) -> Quantity:
    """How a recorded quantity is shown; one that is not in the table by its words, `latency_s` as `latency (s)`."""
    if name in QUANTITIES:
        return QUANTITIES[name]
    words, _, unit = name.rpartition("_")
    known = UNITS.get(unit, "") if words else ""
    return Quantity(printable((words if known else name).replace("_", " ")), known)
