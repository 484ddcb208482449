"""When things fail and come back, against closed forms and plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from satfl_env.simulation import Outages, Renewals

MANY = 20_000


@pytest.mark.parametrize("time_s", [0.0, 100.0, 500.0, 20_000.0])
def test_so_many_work_as_the_markov_chain_has_it(time_s):
    """A(t) = mu / (lambda + mu) + lambda / (lambda + mu) exp(-(lambda + mu) t), within five standard deviations."""
    outages = Renewals(mtbf_s=1000.0, mttr_s=400.0).outages(MANY, 20_000.0, np.random.default_rng(0))
    failing, repairing = 1 / 1000, 1 / 400
    both = failing + repairing
    expected = repairing / both + failing / both * np.exp(-both * time_s)
    bound = 5 * np.sqrt(expected * (1 - expected) / MANY)
    assert abs(outages.works(time_s).mean() - expected) <= bound


def test_times_to_failure_and_to_repair_are_exponential():
    outages = Renewals(mtbf_s=1000.0, mttr_s=400.0).outages(MANY, 10_000.0, np.random.default_rng(1))
    fails_s = outages.next_failure_s(0.0)
    assert fails_s.mean() == pytest.approx(1000.0, rel=5 / np.sqrt(MANY))
    assert np.mean(fails_s > 1000.0) == pytest.approx(np.exp(-1), abs=0.02)
    # Whoever is out of order then has forgotten for how long.
    down = ~outages.works(2000.0)
    back_s = outages.next_failure_s(2000.0)[down] - 2000.0
    assert back_s.mean() == pytest.approx(400.0, rel=5 / np.sqrt(down.sum()))


def test_outages_do_not_depend_on_the_length_of_the_episode():
    short, long = (Renewals(50.0, 20.0).outages(7, span_s, np.random.default_rng(3)) for span_s in (1000.0, 9000.0))
    for time_s in np.arange(0.0, 1000.0, 13.0):
        np.testing.assert_array_equal(short.works(time_s), long.works(time_s))
        np.testing.assert_array_equal(short.next_failure_s(time_s), long.next_failure_s(time_s))


@settings(max_examples=100, deadline=None)
@given(
    lasts_s=st.lists(st.integers(1, 30), max_size=7),
    since_s=st.integers(0, 120),
    more_s=st.integers(0, 120),
)
def test_working_time_is_counted_second_by_second(lasts_s, since_s, more_s):
    switch_s = np.cumsum(np.array(lasts_s, dtype=np.float64))
    outages = Outages(switch_s[:, None])
    seconds = [time_s for time_s in range(since_s, since_s + more_s) if (switch_s <= time_s).sum() % 2 == 0]
    assert outages.working_s(np.array([float(since_s)]), since_s + more_s) == [len(seconds)]
    later = switch_s[switch_s > since_s]
    assert outages.next_failure_s(since_s) == [later[0] if later.size else np.inf]


def test_nothing_fails_without_times_and_no_time_stays_none():
    never = Outages.never(2)
    assert never.works(1e9).all()
    assert np.isinf(never.next_failure_s(0.0)).all()
    np.testing.assert_array_equal(never.working_s(np.array([3.0, np.nan]), 10.0), [7.0, np.nan])


def test_more_failures_than_anyone_means_are_refused():
    with pytest.raises(ValueError, match=r"mtbf_s \+ mttr_s must be at least 10 s in episodes of up to 100000 s, got"):
        Renewals(mtbf_s=5.0, mttr_s=4.0).outages(3, 1e5, np.random.default_rng(0))
