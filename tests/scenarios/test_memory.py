"""What a scenario needs is estimated, and refused by the field that is too large, before any memory is taken."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from satfl_env import memory, scenarios
from satfl_env.envs import SatFLEnv
from satfl_env.scenarios import ScenarioError
from satfl_env.scenarios.memory import memory_needs, most_waiting
from satfl_env.simulation import When
from tests.factories import decide

MOST = 2**31 - 1


@pytest.mark.parametrize(
    ("name", "overrides", "words"),
    [
        (
            "walker-earth",
            {"constellation": {"satellites": 10**9, "planes": 1, "phasing": 0}},
            "constellation.satellites",
        ),
        (
            "leo-multitask",
            {"constellation.circles": [{"radius_m": 1e6, "satellites": 10**9}]},
            "constellation.circles: .* for pairs of satellites",
        ),
        ("walker-earth", {"data.partition.span_s": 1e15}, "data.partition.span_s: .* for ground tracks"),
        ("walker-earth", {"data.partition.swath_m": 1e-9}, "data.partition.span_s: .* for ground tracks"),
        (
            "mega-shell",
            {
                "constellation.satellites": 4_000_000,
                "observation.add": ["contact_end_s"],
                "observation.contacts": 100,
                "observation.leave_out": ["similarity", "update_similarity"],
            },
            "observation.contacts: .* for contacts to come",
        ),
        (
            "leo-multitask",
            {"rounds": {"aggregate": "decided", "episode": MOST}},
            r"rounds\.episode: .* for updates that may wait",
        ),
        (
            "leo-multitask",
            {"rounds.late": {"buffer": MOST}, "rounds.episode": MOST},
            r"rounds\.episode: .* for updates that may wait",
        ),
        (
            "walker-earth",
            {"rounds.relay": {"clients": {"clients": MOST}}},
            r"rounds\.relay\.clients\.clients: .* for devices",
        ),
        ("leo-multitask", {"model.hidden": MOST}, "model: .* parameters: need .* of memory"),
        ("leo-multitask", {"model": {"hidden": MOST, "channel_uses": MOST}}, "model: "),
        ("semspacefl-mini", {"model.widths": [MOST, MOST, MOST]}, "model: "),
    ],
)
def test_what_cannot_fit_is_refused_at_once_by_its_field(name, overrides, words):
    scenario = scenarios.load(name, **overrides)
    start = time.process_time()
    with pytest.raises(ScenarioError, match=words) as caught:
        scenarios.build(scenario)
    assert time.process_time() - start < 30
    assert "\n" not in str(caught.value)


def test_the_message_tells_estimate_largest_part_and_what_there_is(monkeypatch):
    monkeypatch.setattr("satfl_env.scenarios.memory.available_bytes", lambda: 1e6)
    scenario = scenarios.load("leo-multitask", **{"training.workers": 2})
    with pytest.raises(ScenarioError) as caught:
        scenarios.build(scenario)
    assert str(caught.value) == (
        "training.workers: the scenario needs about 0.6 GB of memory, 0.6 GB of it for worker processes, and 0.001 GB "
        "are available; use a smaller one"
    )


@pytest.mark.parametrize("name", scenarios.names())
def test_every_built_in_scenario_fits_a_small_machine_but_one_that_says_so(name):
    scenario = scenarios.load(name)
    needs = memory_needs(scenario, image_numbers=64, parameters=3_000)
    total = sum(need.num_bytes for need in needs)
    assert total < 1.5e9 or f"It takes {total / 1e9:.0f} GB of memory." in scenario.description


KEPT: dict[str, tuple[dict[str, Any], Callable[[dict[str, Any]], Any]]] = {
    "control variates": ({"local": {"kind": "scaffold"}}, lambda state: state["local"]),
    "error feedback": (
        {"compression": {"upload": {"kind": "top-k", "share": 0.1}, "error_feedback": True}},
        lambda state: state["progress"]["upload_memory"],
    ),
    "delivered models": ({"rounds.late": {"kind": "fedsat"}}, lambda state: state["models"]["delivered"]),
    "updates that may wait": ({"rounds.aggregate": "decided"}, lambda state: state["models"]["waiting"]),
}


def tensor_bytes(value: Any) -> int:
    if isinstance(value, torch.Tensor):
        return value.nbytes
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, tuple) else ()
    return sum(map(tensor_bytes, inside))


@pytest.mark.parametrize("what", KEPT)
def test_what_an_episode_keeps_is_counted(what):
    changes, kept = KEPT[what]
    short = {"rounds.episode": 4, "training.max_epochs": 1, "data.test_samples": 8}
    scenario = scenarios.load("leo-multitask", **short, **changes)
    simulation = scenarios.build(scenario)
    state, taken = simulation.reset(0), 0
    while not simulation.finished:
        waits = np.full(state.num_gateways + 1, When.WAIT.value) if scenario.rounds.decides else None
        labels = np.arange(state.num_satellites) + state.round
        state, _ = simulation.step(decide(state, cluster=labels % state.num_satellites, aggregate=waits))
        taken = max(taken, tensor_bytes(kept(simulation.get_state())))
    shared = simulation._learner.num_shared
    counted = {
        need.what: need.num_bytes for need in memory_needs(scenario, parameters=shared, shared_parameters=shared)
    }
    assert counted[what] / 10 < taken < counted[what]


@pytest.mark.parametrize("buffer", [1, 2, 3])
def test_no_more_updates_wait_than_buffers_hold(buffer):
    scenario = scenarios.load("leo-multitask", **{"rounds.episode": 12, "rounds.late": {"buffer": buffer}})
    simulation, most, rng = scenarios.build(scenario), 0, np.random.default_rng(buffer)
    state = simulation.reset(0)
    while not simulation.finished:
        cluster, cpu = rng.integers(0, 3, state.num_satellites), np.full(state.num_satellites, 1e8)
        state, _ = simulation.step(decide(state, cluster=cluster, cpu_frequency=cpu))
        most = max(most, int(state.waiting.sum()))
    assert bool(most) == (buffer > 1)
    assert most <= state.num_satellites * most_waiting(scenario.rounds, state.num_gateways)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "image_numbers"), [("task-clustering-mini", 64), ("walker-earth", 3 * 32 * 32)])
def test_the_estimate_is_within_a_factor_of_three_of_what_is_taken(name, image_numbers):
    changes = {
        "task-clustering-mini": {"constellation.circles": [{"radius_m": 1.2e6, "satellites": 500}]},
        "walker-earth": {"constellation.satellites": 48},
    }[name]
    scenario = scenarios.load(name, **changes, **{"training.engine": "none"})
    # Whatever is loaded and compiled once does not count.
    SatFLEnv(name, {"training.engine": "none"}).reset(seed=0)
    tracemalloc.start()
    env = SatFLEnv(scenario)
    env.reset(seed=0)
    env.step(env.action_space.sample())
    taken = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    estimate = sum(need.num_bytes for need in memory_needs(scenario, image_numbers=image_numbers))
    assert taken / 3 < estimate < 3 * taken


def test_memory_is_that_of_the_machine_or_of_its_container(monkeypatch, tmp_path):
    assert 1e8 < memory.available_bytes() < 1e14
    (tmp_path / "meminfo").write_text("MemTotal: 16 kB\nMemAvailable:       8 kB\n")
    (tmp_path / "max").write_text("4096\n")
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "_CONTAINERS", (tmp_path / "none", tmp_path / "neither"))
    assert memory.available_bytes() == 8192
    for containers in ((tmp_path / "none", tmp_path / "max"), (tmp_path / "max", tmp_path / "none")):
        monkeypatch.setattr(memory, "_CONTAINERS", containers)
        assert memory.available_bytes() == 4096
