"""A small SemSpaceFL: train a Swin transformer over moving satellites, and test what comes through the channel."""

from __future__ import annotations

import os
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from satfl_baselines import make_policy
from satfl_env import Simulation
from satfl_env.quantities import quantity
from satfl_env.scenarios import build, load

SNRS_DB = (1, 3, 5, 7, 9, 11)
POLICIES = ("semspacefl", "nearest-fedavg")
# Imagenette if SATFL_DATA names its folder, else tiles of the Blue Marble, which need no download.
IMAGES: dict[str, Any] = {} if "SATFL_DATA" in os.environ else {"data.source": "blue-marble", "data.image_size": None}
SMALL = {"rounds.episode": 4, "training.round_share": 0.02, "data.test_samples": 20}


def train(policy_name: str, seed: int = 0) -> Simulation:
    """Play one episode under a policy; returns the simulation at its end."""
    simulation = build(load("semspacefl", **SMALL, **IMAGES))
    policy, state = make_policy(policy_name), simulation.reset(seed)
    while not simulation.finished:
        state, report = simulation.step(policy(state))
        psnr_db = report.metrics["psnr_db"].mean()
        print(f"{policy_name:15} round {state.round}  epochs {report.epochs.sum():3}  PSNR at 5 dB {psnr_db:.2f} dB")
    return simulation


def main(picture: str = "semspacefl.png") -> None:
    """Train under the paper's rules and under its benchmark, test at six SNRs, draw."""
    figure = Figure(figsize=(9, 4), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 2)
    for name in POLICIES:
        simulation = train(name)
        tests = [simulation.test_gateways(snr_db).metrics for snr_db in SNRS_DB]
        for panel, metric in zip(panels, ("psnr_db", "ms_ssim"), strict=True):
            panel.plot(SNRS_DB, [test[metric].mean() for test in tests], marker="o", label=name)
            panel.set(xlabel="SNR (dB)", ylabel=quantity(metric).label)
    panels[0].legend()
    figure.savefig(picture)


if __name__ == "__main__":
    main()
