"""The link between satellite and gateway: path loss, antennas, SINR, rate and transfer times."""

from __future__ import annotations

from satfl_env.links.antenna import (
    array_features,
    circular_aperture_pattern,
    planar_array_gain_dbi,
    scan_gain,
    upa_gain,
)
from satfl_env.links.atmosphere import Atmosphere
from satfl_env.links.channel import channel_coefficient, doppler_shift_hz, free_space_path_loss_db, path_gain
from satfl_env.links.contract import Geometry, Links
from satfl_env.links.ideal import IdealLinks
from satfl_env.links.isl import FixedIsl, Isl, IslBudget, isl_power_w
from satfl_env.links.itu import Site
from satfl_env.links.noma import NomaLinks
from satfl_env.links.radio import BandLinks, RadioLinks
from satfl_env.links.rate import bandwidth_share_hz, link_time_s, rate_bps
from satfl_env.links.sinr import sinr, thermal_noise_w

__all__ = [
    "Atmosphere",
    "BandLinks",
    "FixedIsl",
    "Geometry",
    "IdealLinks",
    "Isl",
    "IslBudget",
    "Links",
    "NomaLinks",
    "RadioLinks",
    "Site",
    "array_features",
    "bandwidth_share_hz",
    "channel_coefficient",
    "circular_aperture_pattern",
    "doppler_shift_hz",
    "free_space_path_loss_db",
    "isl_power_w",
    "link_time_s",
    "path_gain",
    "planar_array_gain_dbi",
    "rate_bps",
    "scan_gain",
    "sinr",
    "thermal_noise_w",
    "upa_gain",
]
