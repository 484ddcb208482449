"""What each option of a scenario costs in a step: the environment with it and without it, which take turns.

Milliseconds are the processor's time of a step, mean over rounds under `full`. Options of the network are measured
without training, since they also change who trains. The globe is that of `storm` without its options.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from satfl_baselines import make_policy
from satfl_env import SatFLEnv, decision_to_action
from satfl_env.scenarios import load

POLICY = "full"
WARM_UP = 3
_ATMOSPHERE = {"exceedance_percent": 0.1, "cloud": True, "rain": True}
_FAULTS = {
    "satellites": {"mtbf_s": 43200, "mttr_s": 1200},
    "gateways": {"mtbf_s": 21600, "mttr_s": 1800},
    "contact_loss": 0.1,
    "transfer_mtbf_s": 300,
    "upsets_per_bit_day": 1e-6,
}
_FORECAST = ["contact_start_s", "contact_end_s", "eclipse_start_s", "eclipse_end_s"]
_KIND = {"name": "own", "cpu_max_hz": {"kind": "uniform", "low": 5e8, "high": 1e9}, "transmit_power_w": [5.0] * 10}
_RELAY = {"isl": {"kind": "fixed", "rate_bps": 1e8}}


class Base(NamedTuple):
    """A scenario to add options to.

    Attributes:
        name: What it is called in results.
        scenario: The scenario.
        changes: What is different in it.
        options: What to add, by name.
    """

    name: str
    scenario: str
    changes: Mapping[str, Any]
    options: Mapping[str, Mapping[str, Any]]


BASES = (
    Base(
        "leo-multitask without training",
        "leo-multitask",
        {"training.engine": "none"},
        {
            "two beams, shares by need": {"access": {"beams": 2, "sharing": "need"}},
            "unequal satellites": {
                "fleet": [{"name": "own", "cpu_max_hz": {"kind": "uniform", "low": 5e8, "high": 1e9}}]
            },
            "faults": {"faults": _FAULTS},
            "forecast observed": {"observation.add": _FORECAST[:2]},
            "positions of uploads": {"links.positions_at": "upload"},
        },
    ),
    Base(
        "globe without training",
        "storm",
        {"training.engine": "none", "faults": None, "links.atmosphere": None, "links.positions_at": "start"},
        {
            "atmosphere": {"links.atmosphere": _ATMOSPHERE},
            "scan loss, antennas to the nadir": {
                "links.scan_exponent": 1.2,
                "links.satellite_pattern": "nadir",
                "links.satellite_gain_dbi": 6.0,
            },
            "positions of uploads": {"links.positions_at": "upload"},
            "forecast observed": {"observation.add": _FORECAST},
            "faults": {"faults": _FAULTS},
            "relays in planes": {"rounds.relay": _RELAY},
            "relays in the grid, link budget": {"rounds.relay": {"topology": "grid", "isl": {"kind": "budget"}}},
            "aggregation on board": {"rounds.relay": {**_RELAY, "combine_on_board": True}},
        },
    ),
    Base(
        "leo-multitask",
        "leo-multitask",
        {},
        {
            "updates of 8 bits": {"compression.upload": {"kind": "quantised"}},
            "a tenth of each update, error feedback": {
                "compression": {"upload": {"kind": "top-k", "share": 0.1}, "error_feedback": True}
            },
            "models of 8 bits": {"compression.download": {"kind": "quantised"}},
            "FedAdam": {"server": {"kind": "fedadam"}},
            "FedProx": {"local": {"kind": "fedprox", "proximal_mu": 0.1}},
            "SCAFFOLD": {"local": {"kind": "scaffold"}},
            "aggregation decided": {"rounds.aggregate": "decided"},
        },
    ),
)


def run(quick: bool) -> dict[str, float]:
    """Measure every option; `quick` plays a tenth of the rounds.

    Returns:
        Values by name; each name ends in its unit, ratios say what they compare.
    """
    return {
        f"{base.name}, {option}: {quantity}": value
        for base in BASES
        for option, changes in base.options.items()
        for quantity, value in cost(base, changes, rounds=10 if quick else 100).items()
    }


def cost(base: Base, option: Mapping[str, Any], *, rounds: int) -> dict[str, float]:
    """Processor time of a step without an option and with it."""
    steps_s = [_steps_s(base.scenario, {**base.changes, **changes}) for changes in ({}, option)]
    took_s = np.zeros((2, WARM_UP + rounds))
    for number in range(WARM_UP + rounds):
        # What both compute for the first time, such as the Earth's rotation, counts for each of them in turn.
        for which in (number % 2, 1 - number % 2):
            took_s[which, number] = next(steps_s[which])
    without_ms, with_ms = (1e3 * took_s[:, WARM_UP:].mean(axis=1)).tolist()
    return {"without, ms": without_ms, "with, ms": with_ms, "with / without": with_ms / without_ms}


def _steps_s(scenario: str, changes: Mapping[str, Any]) -> Iterator[float]:
    """Processor time of one step after the other; neither policy nor resets count."""
    env, policy, over = SatFLEnv(load(scenario, **changes)), make_policy(POLICY), True
    while True:
        if over:
            env.reset(seed=0)
        state = env.simulation.state
        action = decision_to_action(policy(state), state)
        began_s = time.process_time()
        *_, terminated, truncated, _ = env.step(action)
        yield time.process_time() - began_s
        over = terminated or truncated
