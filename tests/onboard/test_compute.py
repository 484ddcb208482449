from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from satfl_env.onboard import (
    OnboardComputer,
    affordable_epochs,
    epoch_energy_j,
    epoch_time_s,
    optimal_frequency_hz,
    whole_epochs,
)


def one(value: float) -> np.ndarray:
    return np.array([value], dtype=np.float64)


def test_epoch_time_and_energy_by_hand() -> None:
    samples, cpu_hz = np.array([100, 200]), np.array([5e8, 1e9])
    np.testing.assert_allclose(epoch_time_s(samples, cpu_hz, cycles_per_sample=1e8), [20.0, 20.0])
    np.testing.assert_allclose(
        epoch_energy_j(samples, cpu_hz, cycles_per_sample=1e8, kappa=5e-27), [5e-27 * 1e10 * 25e16, 5e-27 * 2e10 * 1e18]
    )
    assert epoch_time_s(np.array([5]), one(0.0), cycles_per_sample=1e8)[0] == np.inf


@settings(max_examples=150, deadline=None)
@given(
    window_s=st.floats(1, 2000),
    link_share=st.floats(0, 1.2),
    energy_j=st.floats(0.1, 500),
    samples=st.integers(1, 500),
    cycles=st.floats(1e7, 2e9),
    kappa=st.floats(1e-28, 1e-26),
    cpu_max_hz=st.floats(1e8, 2e9),
)
def test_closed_form_agrees_with_a_search_over_frequency(
    window_s: float,
    link_share: float,
    energy_j: float,
    samples: int,
    cycles: float,
    kappa: float,
    cpu_max_hz: float,
) -> None:
    link_s = link_share * window_s
    frequency = optimal_frequency_hz(one(energy_j), one(window_s), one(link_s), cpu_max_hz=cpu_max_hz, kappa=kappa)
    epochs = affordable_epochs(
        one(window_s), one(link_s), np.array([samples]), one(energy_j), frequency, cycles_per_sample=cycles, kappa=kappa
    )

    tried_hz = np.linspace(0, cpu_max_hz, 20_001)[1:]
    fits = np.minimum(
        (window_s - link_s) / (cycles * samples / tried_hz), energy_j / (kappa * cycles * samples * tried_hz**2)
    )
    best = fits.max()
    if best <= 0:
        assert frequency[0] == 0
        assert epochs[0] == 0
        return
    # The bound falls off at most as 1 / f^2, so the grid misses the peak by at most two steps' worth.
    step = tried_hz[0]
    slack = 2 * step / max(frequency[0], step) + 1e-9
    if frequency[0] > step:
        assert abs(tried_hz[fits.argmax()] - frequency[0]) <= 1.01 * step
        assert np.floor(best) <= epochs[0] <= np.floor(best * (1 + 2 * slack))
    assert epochs[0] >= np.floor(best * (1 - 1e-9))


@settings(max_examples=60, deadline=None)
@given(epochs=st.integers(1, 60), seed=st.integers(0, 2**32))
def test_rounding_costs_no_epoch_where_both_bounds_are_exact(epochs: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    samples, cpu_hz = rng.integers(1, 400, 50), rng.uniform(1e8, 9e8, 50)
    window_s = epochs * epoch_time_s(samples, cpu_hz, cycles_per_sample=1e8)
    energy_j = epochs * epoch_energy_j(samples, cpu_hz, cycles_per_sample=1e8, kappa=5e-27)
    none = np.zeros(50)
    frequency = optimal_frequency_hz(energy_j, window_s, none, cpu_max_hz=1e9, kappa=5e-27)
    np.testing.assert_allclose(frequency, cpu_hz, rtol=1e-9)
    found = affordable_epochs(window_s, none, samples, energy_j, frequency, cycles_per_sample=1e8, kappa=5e-27)
    np.testing.assert_array_equal(found, epochs)


def test_more_epochs_than_an_integer_holds_are_as_many_as_a_float_counts() -> None:
    found = affordable_epochs(one(1.0), one(0.0), one(1.0), np.inf, one(1e9), cycles_per_sample=1e-60, kappa=5e-27)
    assert found[0] == pytest.approx(2**53)


def test_epochs_agree_with_adding_them_one_by_one() -> None:
    rng = np.random.default_rng(3)
    size = 200
    window_s, link_s = rng.uniform(0, 800, size), rng.uniform(0, 100, size)
    samples, energy_j, cpu_hz = rng.integers(1, 100, size), rng.uniform(0, 200, size), rng.uniform(1e8, 1e9, size)
    found = affordable_epochs(window_s, link_s, samples, energy_j, cpu_hz, cycles_per_sample=1e9, kappa=5e-27)
    for s in range(size):
        epochs, time_s, spent_j = 0, link_s[s], 0.0
        while True:
            time_s += 1e9 * samples[s] / cpu_hz[s]
            spent_j += 5e-27 * 1e9 * samples[s] * cpu_hz[s] ** 2
            if time_s > window_s[s] or spent_j > energy_j[s]:
                break
            epochs += 1
        assert found[s] == epochs


def test_nothing_fits_without_samples_frequency_time_or_energy() -> None:
    window_s = np.array([100.0, 100.0, 10.0, 100.0, 100.0, 0.0])
    link_s = np.array([1.0, 1.0, 20.0, np.inf, 1.0, 0.0])
    samples = np.array([0, 10, 10, 10, 10, 10])
    energy_j = np.array([100.0, 100.0, 100.0, 100.0, 0.0, 100.0])
    cpu_hz = np.array([1e9, 0.0, 1e9, 1e9, 1e9, 1e9])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        epochs = affordable_epochs(window_s, link_s, samples, energy_j, cpu_hz, cycles_per_sample=1e6, kappa=1e-27)
        frequency = optimal_frequency_hz(energy_j, window_s, link_s, cpu_max_hz=1e9, kappa=1e-27)
    assert epochs.dtype == np.int64
    np.testing.assert_array_equal(epochs, 0)
    np.testing.assert_array_equal(frequency == 0, [False, False, True, True, True, True])


def test_pairs_and_unlimited_energy_broadcast() -> None:
    window_s = np.array([[100.0, 200.0], [300.0, 0.0]])
    frequency = optimal_frequency_hz(np.full((2, 1), 1e6), window_s, np.zeros((2, 2)), cpu_max_hz=1e9, kappa=1e-27)
    np.testing.assert_allclose(frequency, [[1e9, 1e9], [1e9, 0]])
    samples, cycles = np.array([[10], [20]]), np.array([[1e9], [1e9]])
    epochs = affordable_epochs(
        window_s, np.zeros((2, 2)), samples, np.inf, frequency, cycles_per_sample=cycles, kappa=1e-27
    )
    np.testing.assert_array_equal(epochs, [[10, 20], [15, 0]])


@pytest.mark.parametrize("cpu_max_hz", [1e8, np.array([1e8, 1e8])])
def test_frequency_is_clipped_to_the_chip(cpu_max_hz: float | np.ndarray) -> None:
    frequency = optimal_frequency_hz(
        np.full(2, 100.0), np.full(2, 400.0), np.zeros(2), cpu_max_hz=cpu_max_hz, kappa=5e-27
    )
    np.testing.assert_array_equal(frequency, 1e8)


@pytest.mark.parametrize("name", ["cpu_max_hz", "cycles_per_sample", "kappa"])
def test_a_computer_needs_positive_numbers(name: str) -> None:
    with pytest.raises(ValueError, match=rf"{name}\n.* greater than 0 .*=0.0"):
        OnboardComputer(**{name: 0.0})


@given(st.lists(st.tuples(st.integers(-10, 1_000_000), st.integers(0, 1000)), min_size=1, max_size=3))
def test_whole_epochs_are_as_many_as_a_budget_has(budgets):
    most = [max(there_is // taken, 0) if taken else 0 for there_is, taken in budgets]
    assert whole_epochs(*np.array(budgets).T).tolist() == most
    assert whole_epochs(1.0, np.array([np.inf])).tolist() == [0]
