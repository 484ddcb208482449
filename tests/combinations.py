"""The options of a scenario, choices of them, and how environments of such choices are played and compared.

A choice takes one option of each factor.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import combinations
from typing import Any

import numpy as np
import pytest

from satfl_env import Decision, SatFLEnv, decision_to_action
from satfl_env.links import atmosphere
from satfl_env.scenarios import Scenario, load
from tests.factories import decide

ROUNDS, MIDDLE, SEED = 5, 2, 5
BITS, RATE_BPS = 1e6, 1e6
BASE: dict[str, Any] = {
    "rounds.episode": ROUNDS,
    "rounds.cloud_every": 2,
    "training.max_epochs": 2,
    "data.test_samples": 8,
    "links.model_bits": BITS,
}
SITES = ["Kourou", "Svalbard", "Singapore", "Santiago", "Hartebeesthoek", "Awarua"]
GLOBE = {
    "kind": "walker",
    "satellites": 12,
    "planes": 3,
    "phasing": 1,
    "altitude_m": 3e6,
    "inclination_deg": 70,
    "epoch": "2026-03-20T00:00:00",
    "gateways": SITES,
}
# Other satellites in every episode.
FAMILY = {
    **{key: GLOBE[key] for key in ("epoch", "gateways")},
    "kind": "walker-family",
    "satellites": 8,
    "planes": [2, 4],
    "altitude_m": [2e6, 3e6],
    "inclination_deg": [60, 80],
    "gateways_drawn": 4,
}
ELEMENTS = {"kind": "tle", "elements": "polar-like", "gateways": SITES}
CATALOGUE = {
    "kind": "catalogue-family",
    "elements": ["polar-like", "sentinel-like"],
    "satellites": 12,
    "gateways": SITES,
    "gateways_drawn": 6,
}
IN_SPACE = [
    "Svalbard",
    {"name": "platform", "latitude_deg": 46, "longitude_deg": 9, "altitude_m": 20e3, "min_elevation_deg": -4},
    {"kind": "geo", "name": "high", "longitude_deg": 9},
    {"kind": "meo", "name": "moving", "altitude_m": 8e6, "inclination_deg": 50},
]
BATTERY = {"kind": "battery", "capacity_j": 2000.0, "initial_j": 1500.0, "harvest_w": 1.0, "standing_w": 1.5}
FLEET = [
    {"name": "small", "count": 4, "cpu_max_hz": {"kind": "uniform", "low": 3e8, "high": 9e8}, "transmit_power_w": 2.0},
    {"name": "large", "transmit_power_w": {"kind": "choice", "of": [10.0, 20.0]}},
]
FAULTS = {
    "satellites": {"mtbf_s": 2000.0, "mttr_s": 300.0},
    "gateways": {"mtbf_s": 4000.0, "mttr_s": 300.0},
    "contact_loss": 0.1,
    "transfer_mtbf_s": 600.0,
    "upsets_per_bit_day": 1e-4,
}
MORE = [
    "contact_start_s",
    "contact_end_s",
    "eclipse_start_s",
    "eclipse_end_s",
    "gateway_version",
    "rounds_to_merge",
    "rounds_left",
]
IMAGES = {
    "model": {"kind": "conv-jscc", "widths": [4, 4, 2]},
    "data.partition": {"kind": "equal", "total_samples": 60},
}
RELAY = {"isl": {"kind": "fixed", "rate_bps": 1e9, "transmit_power_w": 1.0}}
# Options by factor, each with what it changes. The first one of each factor changes nothing, and meets all others.
FACTORS: dict[str, dict[str, dict[str, Any]]] = {
    "constellation": {
        "planar": {},
        "globe": {"constellation": GLOBE},
        "in-space": {"constellation": {**GLOBE, "gateways": IN_SPACE}},
        "family": {"constellation": FAMILY},
        "elements": {"constellation": ELEMENTS},
        "catalogue": {"constellation": CATALOGUE},
    },
    "protocol": {
        "one-contact": {},
        "late": {"rounds.late": {"buffer": 2, "staleness_power": 0.5}},
        "fedasync": {"rounds.late": {"kind": "fedasync", "staleness": {"kind": "hinge", "free": 1}}},
        "asyncfleo": {"rounds.late": {"kind": "asyncfleo", "similarity": 0.2}},
        "fedgsm": {"rounds.late": {"kind": "fedgsm", "buffer": 2}},
        "fedsat": {"rounds.late": {"kind": "fedsat"}},
        "relays": {"rounds.relay": RELAY},
        "late-relays": {"rounds.relay": RELAY, "rounds.late": {}},
        "grid": {"rounds.relay": {"topology": "grid", "isl": {"kind": "budget"}}},
        "on-board": {"rounds.relay": {**RELAY, "combine_on_board": True}},
        "edge": {"rounds.relay": {**RELAY, "clients": {"clients": 3}}},
        "gossip": {"rounds.gossip": {**RELAY, "stages": [{"kind": "ring"}, {"kind": "neighbours"}]}},
    },
    "links": {
        "radio": {},
        "ideal": {"links": {"kind": "ideal", "rate_bps": RATE_BPS, "transmit_power_w": 2.0, "model_bits": BITS}},
        "antennas": {
            "links.array_efficiency": 0.8,
            "links.scan_exponent": 1.2,
            "links.satellite_pattern": "nadir",
            "links.satellite_gain_dbi": 6.0,
        },
        "atmosphere": {"links.atmosphere": {"rain": True}},
        "noma": {"links": {"kind": "noma", "model_bits": BITS, "cancellation_residual": 0.01}},
    },
    "access": {
        "all": {},
        "beams": {"access": {"beams": 2, "order": "window"}},
        "need": {"access": {"sharing": "need"}},
        "action": {"access": {"subcarriers": 4, "sharing": "decided"}},
    },
    "upload": {"exact": {}, "noise": {"links.upload_snr_db": 20.0}, "later": {"links.positions_at": "upload"}},
    "energy": {
        "draws": {},
        "battery": {"onboard.energy": BATTERY},
        "paying": {"onboard.energy": {"counts_transmission": True, "mean_j": 500.0}},
    },
    "fleet": {"equal": {}, "unequal": {"fleet": FLEET}},
    "faults": {"none": {}, "faults": {"faults": FAULTS}},
    "aggregate": {"scheduled": {}, "decided": {"rounds.aggregate": "decided"}},
    "compression": {
        "none": {},
        "quantised": {"compression": {"upload": {"kind": "quantised", "bits": 4}, "error_feedback": True}},
        "sparse": {
            "compression": {"upload": {"kind": "top-k", "share": 0.2}, "download": {"kind": "quantised", "bits": 8}}
        },
        "random": {"compression": {"upload": {"kind": "random-k", "share": 0.5}, "error_feedback": True}},
        "progressive": {"compression": {"upload": {"kind": "progressive"}, "error_feedback": True}},
    },
    "local": {
        "loss": {},
        "fedprox": {"local": {"kind": "fedprox", "proximal_mu": 0.1}},
        "scaffold": {"local": {"kind": "scaffold"}},
    },
    "server": {"plain": {}, "fedavgm": {"server": {"kind": "fedavgm"}}, "fedadam": {"server": {"kind": "fedadam"}}},
    "observation": {"default": {}, "more": {"observation": {"add": MORE, "leave_out": ["kappa"], "contacts": 3}}},
    "rounds": {"open": {}, "cadence": {"rounds.cadence_s": 600.0, "rounds.cohort": 5}},
    "broadcast": {"one": {}, "two": {"rounds.broadcast": 2}},
    "structures": {"whole": {}, "narrower": {"structures": {"widths": [0.4, 1.0]}}},
    "shared": {
        "encoder": {},
        "all": {"training.shared": "all", "training.first_decoders": "common", "training.tested": "trained"},
    },
    "model": {"link": {}, "images": IMAGES, "untrained": {"training.engine": "none"}},
}
OPTIONS = {factor: tuple(options) for factor, options in FACTORS.items()}
LINKED = ("relays", "late-relays", "grid", "on-board", "edge", "gossip")
# Pairs that cannot meet, each with how its refusal begins.
REFUSED: dict[tuple[tuple[str, str], tuple[str, str]], str] = {
    **{
        (
            ("constellation", constellation),
            ("protocol", option),
        ): "rounds.relay and rounds.gossip need constellation.kind 'walker'"
        for constellation in ("planar", "family", "elements", "catalogue")
        for option in LINKED
    },
    (("constellation", "planar"), ("links", "atmosphere")): "links.atmosphere needs a constellation on the globe",
    **{
        (("access", option), ("links", kind)): f"access.sharing {sharing!r} does not go with links.kind {kind!r}"
        for option, sharing in (("need", "need"), ("action", "decided"))
        for kind in ("ideal", "noma")
    },
    (("protocol", "gossip"), ("aggregate", "decided")): "rounds.aggregate does not go with rounds.gossip",
    (("protocol", "edge"), ("fleet", "unequal")): "cpu_max_hz in fleet does not go with rounds.relay.clients",
    (("protocol", "gossip"), ("broadcast", "two")): "rounds.broadcast does not go with rounds.gossip",
    **{
        (("protocol", "gossip"), (factor, option)): f"{name} does not go with rounds.gossip: no gateway"
        for factor, option, name in (
            ("server", "fedavgm", "server"),
            ("server", "fedadam", "server"),
            ("local", "scaffold", "local.kind 'scaffold'"),
            ("compression", "sparse", "compression.download"),
            ("compression", "progressive", "compression.upload.kind 'progressive'"),
            ("structures", "narrower", "structures"),
            ("faults", "faults", "faults.gateways"),
            ("access", "beams", "access.beams"),
            ("access", "need", "access.sharing 'need'"),
            ("access", "action", "access.sharing 'decided'"),
            ("upload", "later", "links.positions_at 'upload'"),
        )
    },
    **{
        ((factor, option), ("structures", "narrower")): f"{name} does not go with structures"
        for factor, option, name in (
            ("server", "fedavgm", "server"),
            ("server", "fedadam", "server"),
            ("local", "scaffold", "local.kind 'scaffold'"),
            ("compression", "progressive", "compression.upload.kind 'progressive'"),
            ("protocol", "on-board", "rounds.relay.combine_on_board"),
            ("protocol", "edge", "rounds.relay.clients"),
            ("broadcast", "two", "rounds.broadcast"),
            ("protocol", "fedasync", "rounds.late.kind 'fedasync'"),
            ("protocol", "fedsat", "rounds.late.kind 'fedsat'"),
        )
    },
    (("structures", "narrower"), ("model", "images")): "model: structures need fully connected layers",
}
ABSENT = {frozenset(pair) for pair in REFUSED}


@contextmanager
def pretended_itur(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Inside, in place of `itur`: a loss that is the same everywhere."""
    monkeypatch.setattr(atmosphere, "find_spec", lambda name: name)
    monkeypatch.setattr(
        atmosphere, "slant_path_loss_db", lambda site, elevation_deg, **rest: 3 / np.sin(np.radians(elevation_deg))
    )
    for tables in (atmosphere._table, atmosphere._tables):
        tables.cache_clear()
    yield
    for tables in (atmosphere._table, atmosphere._tables):
        tables.cache_clear()


def meet(choice: Mapping[str, str]) -> bool:
    """Whether options can be chosen together."""
    return not any(frozenset(pair) in ABSENT for pair in combinations(choice.items(), 2))


def name_of(choice: Mapping[str, str]) -> str:
    """What is not as by default."""
    return " ".join(option for factor, option in choice.items() if option != OPTIONS[factor][0]) or "default"


def scenario_of(choice: Mapping[str, str]) -> Scenario:
    changes = dict(BASE)
    for factor, option in choice.items():
        changes |= FACTORS[factor][option]
    return load("leo-multitask", **changes)


def decision_of(env: SatFLEnv) -> Decision:
    """Everyone at the gateway of its longest window, in two clusters; whatever else may be decided is drawn."""
    state, ingredients = env.simulation.state, env.simulation.ingredients
    rng = np.random.default_rng(state.round)
    optional: dict[str, Any] = {}
    if ingredients.rounds.decides:
        optional["aggregate"] = rng.integers(0, 3, state.num_gateways + 1)
    if ingredients.access.takes_bandwidth:
        optional["bandwidth"] = rng.random(state.num_satellites)
    labels = np.arange(state.num_satellites) % 2
    return decide(state, cluster=labels, weights=rng.random(state.num_satellites), **optional)


def action_of(env: SatFLEnv) -> dict[str, np.ndarray]:
    return decision_to_action(decision_of(env), env.simulation.state)


def play(env: SatFLEnv, rounds: int) -> list[Any]:
    """What `step` gives, round by round."""
    return [env.step(action_of(env)) for _ in range(rounds)]


def second(value: Any) -> Any:
    """What belongs to the second environment, without the masks that say which environments have an entry."""
    if isinstance(value, dict):
        return {key: second(inner) for key, inner in value.items() if not key.startswith("_")}
    return tuple(map(second, value)) if isinstance(value, tuple) else value[1]


def assert_same(found: Any, expected: Any, *, exact: bool = True) -> None:
    """To the bit, or, where models are not trained by machine code, to the rounding of float32."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        found, expected = list(found.values()), list(expected.values())
    if isinstance(expected, list | tuple):
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other, exact=exact)
    elif exact:
        np.testing.assert_array_equal(found, expected)
    else:
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


def assert_finite(value: Any) -> None:
    if isinstance(value, dict | list | tuple):
        for inner in value.values() if isinstance(value, dict) else value:
            assert_finite(inner)
    else:
        assert np.isfinite(value).all()
