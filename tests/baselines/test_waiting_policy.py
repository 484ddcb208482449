"""The example that waits for longer contacts."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np

from satfl_baselines import as_agent, make_policy, run_episode
from satfl_env import SatFLEnv
from satfl_env.scenarios import load
from tests.factories import make_state

EXAMPLE = runpy.run_path(str(Path(__file__).parents[2] / "examples" / "wait_for_longer.py"))


def test_a_satellite_sits_out_only_where_more_than_twice_the_time_comes_soon():
    start, end = np.full((2, 4, 2, 1), 5000.0)
    # In 400 s left: nothing comes, 700 s come, 900 s come too late, 900 s come soon at the other gateway.
    start[1, 0], end[1, 0] = 500.0, 1200.0
    start[2, 0], end[2, 0] = 601.0, 1501.0
    start[3, 1], end[3, 1] = 599.0, 1499.0
    state = make_state(4, on_request={"contact_start_s": start, "contact_end_s": end})
    decision, base = EXAMPLE["wait_for_longer"](state), make_policy("semspacefl")(state)
    assert (decision.association == state.sits_out).tolist() == [False, False, False, True]
    assert np.array_equal(decision.association[:3], base.association[:3])


def test_the_waiting_policy_decides_alike_on_states_and_on_observations():
    changes = {"rounds.episode": 3, "training.engine": "none"}
    scenario = load("leo-multitask", **changes)
    rows = run_episode(scenario, EXAMPLE["wait_for_longer"], seed=4)
    env, agent = SatFLEnv(overrides={**changes, **EXAMPLE["FORECAST"]}), as_agent(EXAMPLE["wait_for_longer"])
    observation, _ = env.reset(seed=4)
    for row in rows[1:]:
        observation, *_, info = env.step(agent(observation))
        assert row["time_s"] == info["time_s"]


def test_the_example_runs(capsys):
    EXAMPLE["main"](rounds=2)
    assert capsys.readouterr().out.count("updates of") == 2
