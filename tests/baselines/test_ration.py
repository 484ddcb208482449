from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from satfl_baselines import run_episode
from satfl_baselines.epochs import predicted_epochs
from satfl_baselines.frequency import closed_form
from satfl_baselines.ration import (
    most_epochs,
    rationed_association,
    rationed_epochs,
    rationed_frequency,
    training_time_s,
)
from satfl_env import NetworkState
from satfl_env.scenarios import load, names
from tests.factories import make_state, physics_only

KAPPA, CYCLES = 5e-27, 1e10


def plan(time_s, energy_j, *, cpu_max_hz=1e9, max_epochs=100):
    time_s = np.atleast_2d(np.asarray(time_s, dtype=float))
    each = np.ones(len(time_s))
    return most_epochs(
        time_s,
        each * energy_j,
        each * CYCLES,
        cpu_max_hz=each * cpu_max_hz,
        kappa=each * KAPPA,
        max_epochs=np.full(len(time_s), max_epochs),
    )


def spent_j(time_s, epochs) -> float:
    """Energy of epochs that just end in time."""
    return sum(KAPPA * CYCLES * k * (CYCLES * k / t) ** 2 for t, k in zip(time_s, epochs, strict=True) if k)


@settings(max_examples=60, deadline=None)
@given(
    time_s=st.lists(st.one_of(st.just(0.0), st.floats(5, 120)), min_size=1, max_size=4),
    energy_j=st.floats(0, 400),
    max_epochs=st.integers(1, 4),
)
def test_no_split_over_the_rounds_trains_more(time_s, energy_j, max_epochs):
    epochs = plan(time_s, energy_j, max_epochs=max_epochs)[0]
    limits = [min(max_epochs, int(1e9 * t / CYCLES)) for t in time_s]
    assert (epochs <= limits).all()
    assert spent_j(time_s, epochs) <= energy_j * (1 + 1e-6)
    possible = [
        sum(split)
        for split in product(*(range(limit + 1) for limit in limits))
        if spent_j(time_s, split) <= energy_j * (1 - 1e-6)
    ]
    assert epochs.sum() >= max(possible, default=0)


def test_many_epochs_are_those_of_one_frequency_for_all_rounds():
    time_s = np.array([4e3, 1e4, 2e4])
    frequency = np.cbrt(200 / (KAPPA * time_s.sum()))
    assert plan(time_s, 200.0, max_epochs=10**6)[0] == pytest.approx(frequency * time_s / CYCLES, abs=1.0)


def test_satellites_are_planned_for_each_by_itself():
    time_s, energy_j = np.array([[50.0, 90.0], [30.0, 0.0], [0.0, 0.0]]), np.array([90.0, 20.0, 10.0])
    together = plan(time_s, energy_j)
    for index, row in enumerate(together):
        assert row.tolist() == plan(time_s[index], energy_j[index])[0].tolist()


def state_of_one(**changes) -> NetworkState:
    """A satellite in a contact of 100 s; the next ones are from 150 to 350 s and from 500 to 540 s."""
    later = {
        "contact_start_s": np.array([[[150.0, 500.0]]]),
        "contact_end_s": np.array([[[350.0, 540.0]]]),
        "rounds_left": 9,
    }
    now = {"window_s": np.array([[100.0]]), "link_s": np.array([[1.0]]), "round": 2, "time_s": 160.0}
    return make_state(1, 1, on_request=later, **now, **changes)


def test_times_to_come_by_hand():
    # Rounds of 80 s; the forecast ends at 540 s, after the seventh one begins, and then repeats.
    expected = [100, 20, 190, 110, 30, 0, 0, 100, 20]
    assert training_time_s(state_of_one(), np.array([0])).tolist() == [[max(0, t - 1) for t in expected]]
    assert training_time_s(state_of_one(), np.array([1])).tolist() == [[0, 20, 190, 110, 30, 0, 0, 0, 20]]


def test_a_contact_goes_by_where_longer_ones_come():
    # Epochs of 10^10 cycles: in 99 s the first one costs 0.5 J, in the two contacts of 189 s only 0.14 J.
    first = np.zeros(1, dtype=np.int64)
    assert rationed_association(state_of_one(energy_j=np.array([0.5]))).tolist() == [1]
    rich = state_of_one(energy_j=np.array([50.0]))
    assert rationed_association(rich).tolist() == [0]
    epochs = rationed_epochs(rich, first)
    assert rationed_frequency(rich, first) == pytest.approx(epochs * 1e10 / 99)
    assert predicted_epochs(rich, first, rationed_frequency(rich, first)).tolist() == epochs.tolist()
    assert 0 < epochs < predicted_epochs(rich, first, closed_form(rich, first))


def test_a_charge_that_hardly_refills_lasts_for_the_episode():
    scenario = physics_only(
        12,
        **{"onboard.energy": {"kind": "battery", "capacity_j": 600, "initial_j": 600, "harvest_w": 0.02}},
    )
    rationed, greedy = (run_episode(scenario, name, 0) for name in ("ration", "curriculum"))
    late, late_if_greedy = (sum(one["returned"] for one in episode[-4:]) for episode in (rationed, greedy))
    assert late > late_if_greedy
    assert sum(one["lost"] for one in rationed) == 0
    assert sum(one["epochs"] for one in rationed) > sum(one["epochs"] for one in greedy)


@pytest.mark.slow
@pytest.mark.parametrize("name", names())
def test_it_plays_every_built_in_scenario(name):
    if name == "semspacefl":
        pytest.skip("semspacefl-mini has its numbers, and needs no data folder")
    if name == "mega-shell":
        pytest.skip("starlink-shell is as wide, and takes a tenth of the time")
    episode = run_episode(load(name, **{"training.engine": "none", "rounds.episode": 3}), "ration", 0)
    assert sum(record["epochs"] for record in episode) > 0
