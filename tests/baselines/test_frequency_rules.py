from __future__ import annotations

import numpy as np
import pytest

from satfl_baselines.epochs import predicted_epochs
from satfl_baselines.frequency import closed_form, maximum, random_frequency
from tests.factories import make_state


def test_closed_form_by_hand():
    window = np.array([[400.5, 50.5], [400.5, 50.5], [1.0, 1.0], [0.4, 0.4]])
    state = make_state(4, 2, window_s=window)
    frequency = closed_form(state, np.array([0, 1, 2, 0]))
    # f* = (E / (kappa (T - t)))^(1/3); the last two sit out and have no time left.
    assert frequency == pytest.approx([(100 / (5e-27 * 400)) ** (1 / 3), (100 / (5e-27 * 50)) ** (1 / 3), 0.0, 0.0])


def test_closed_form_stays_below_the_highest_frequency():
    state = make_state(1, 1, energy_j=np.array([1e6]))
    assert closed_form(state, np.array([0])) == pytest.approx([1e9])


@pytest.mark.parametrize("seed", range(5))
def test_no_frequency_on_a_grid_affords_more_epochs(seed):
    rng = np.random.default_rng(seed)
    state = make_state(
        20,
        1,
        window_s=rng.uniform(1, 600, (20, 1)),
        energy_j=rng.uniform(1, 200, 20),
        samples=rng.integers(1, 300, 20),
    )
    gateway = np.zeros(20, dtype=np.int64)
    best = predicted_epochs(state, gateway, closed_form(state, gateway))
    for share in np.linspace(0.001, 1, 400):
        assert (predicted_epochs(state, gateway, share * state.cpu_max_hz) <= best).all()


def test_maximum_and_random_stay_in_range():
    state = make_state(500, 1)
    gateway = np.zeros(500, dtype=np.int64)
    assert (maximum(state, gateway) == 1e9).all()
    drawn = random_frequency(state, gateway, np.random.default_rng(0))
    assert ((drawn > 0) & (drawn <= 1e9)).all()
    assert drawn.mean() == pytest.approx(5e8, rel=0.1)


def test_predicted_epochs_respect_the_limit_and_sitting_out():
    state = make_state(3, 1, max_epochs=np.array([3, 100, 100]))
    epochs = predicted_epochs(state, np.array([0, 0, 1]), np.full(3, 2e8))
    # Time allows 399.5 s / 50 s = 7 epochs, energy 100 J / 2 J = 50.
    assert epochs.tolist() == [3, 7, 0]
