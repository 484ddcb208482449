"""Systems of the field that plan with contacts: FedSpace, FedSatSchedule, FedAvgSat, FedProxSat, FedBuffSat."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from satfl_baselines.field import first_in_contact
from satfl_baselines.field.fedsatschedule import fedsatschedule, next_is_long_enough
from satfl_baselines.field.fedspace import fedspace, schedule_worth
from satfl_env import NetworkState, When
from tests.factories import make_state

bits = st.lists(st.booleans(), min_size=3, max_size=3)


def at_work(window_s: list[float], waiting: int = 0, rounds_left: int = 5, **changes: object) -> NetworkState:
    """A state under one gateway after ten rounds of 300 s, everyone's windows given; 0 is out of sight."""
    windows_s = np.array(window_s)[:, None]
    never_s = np.full((len(window_s), 1, 1), 6000.0)
    later = {"contact_start_s": never_s, "contact_end_s": never_s, "rounds_left": rounds_left}
    return make_state(
        len(window_s),
        1,
        round=10,
        time_s=3000.0,
        window_s=windows_s,
        visible=windows_s > 0,
        on_request={**later, "waiting": np.array([waiting])} | changes,
    )


def by_event_log(schedule: list[bool], visits: list[list[bool]], waiting: int) -> float:
    """The worth of one schedule, event by event."""
    worth, version, buffer = 0.0, 0, [0] * waiting  # staleness of what waits
    fetched, brought = {}, set()
    for aggregates, visiting in zip(schedule, visits, strict=True):
        there = [satellite for satellite, visit in enumerate(visiting) if visit]
        for satellite in there:
            model = fetched.get(satellite, 0)
            if (satellite, model) not in brought:
                buffer.append(version - model)
                brought.add((satellite, model))
        if aggregates and buffer:
            worth += sum((1 + staleness) ** -0.5 for staleness in buffer) / (len(buffer) + 8)
            version, buffer = version + 1, []
        fetched.update(dict.fromkeys(there, version))
    return worth


@settings(max_examples=60, deadline=None)
@given(
    rounds=st.lists(st.tuples(st.booleans(), bits), min_size=1, max_size=5),
    other=st.booleans(),
    waiting=st.integers(0, 3),
)
def test_a_schedule_is_worth_what_the_event_log_says(rounds, other, waiting):
    schedule, visits = [aggregates for aggregates, _ in rounds], [visiting for _, visiting in rounds]
    both = [schedule, [other] * len(schedule)]
    worth = schedule_worth(np.array(both), np.array(visits), waiting)
    assert worth.tolist() == pytest.approx([by_event_log(one, visits, waiting) for one in both])


def test_one_update_now_and_nine_next_are_worth_more_together():
    visits = np.array([[True] + [False] * 9, [False] + [True] * 9])
    worth = schedule_worth(np.array([[True, True], [False, True]]), visits, 0)
    assert worth.tolist() == pytest.approx([1 / 9 + 9 / 17 / np.sqrt(2), 10 / 18])
    worth = schedule_worth(np.array([[True, True], [False, True]]), visits[::-1], 0)
    assert worth[0] > worth[1]


def test_fedspace_waits_for_those_about_to_come():
    coming = np.full((10, 1, 1), 200.0)
    coming[0] = 6000.0
    soon = {"contact_start_s": coming, "contact_end_s": np.full((10, 1, 1), 6000.0)}
    state = at_work([100.0] + [0.0] * 9, rounds_left=2, **soon)
    assert fedspace(state).aggregate.tolist() == [When.WAIT] * 2
    last = at_work([100.0] + [0.0] * 9, rounds_left=1, **soon)
    assert fedspace(last).aggregate.tolist() == [When.NOW] * 2


def test_who_can_train_within_its_next_visit_waits_for_the_model_of_then():
    """Rounds of 300 s. The first stays in sight; the next visits of the others have two rounds, one round, and none."""
    starts_s = np.array([[6000.0, 6000.0], [900.0, 6000.0], [1100.0, 6000.0], [6000.0, 6000.0]])[:, None]
    visits = {
        "contact_start_s": starts_s,
        "contact_end_s": starts_s + np.array([0.0, 550.0, 350.0, 0.0])[:, None, None],
    }
    state = at_work([700.0, 100.0, 100.0, 100.0], rounds_left=8, **visits)
    decision = fedsatschedule(state)
    assert decision.association.tolist() == [0] * 4
    assert (decision.cpu_frequency > 0).tolist() == [True, False, True, True]
    assert (decision.weights > 0).all()
    # An epoch of 80 samples at 1 GHz takes 8 s; one of 320 s does not fit a round.
    slow = replace(state, cycles_per_sample=40 * state.cycles_per_sample)
    assert (fedsatschedule(slow).cpu_frequency > 0).all()


@settings(max_examples=60, deadline=None)
@given(rounds=st.lists(bits, min_size=1, max_size=7))
def test_a_next_visit_is_long_enough_with_two_rounds(rounds):
    visits = np.array(rounds).T
    text = ["".join("x" if it else "." for it in row) for row in visits]
    expected = [re.match(r".\.+xx", row) is not None for row in text]
    assert next_is_long_enough(visits).tolist() == expected


@pytest.mark.parametrize("policy", [first_in_contact.fedavgsat, first_in_contact.fedproxsat])
def test_a_global_step_takes_the_first_in_contact(policy):
    windows_s = [400.0, 100.0, 300.0, 200.0]
    decision = policy(at_work(windows_s, waiting=first_in_contact.CLIENTS - 2))
    assert decision.association.tolist() == [1, 0, 1, 0]
    assert (decision.weights > 0).tolist() == [False, True, False, True]
    assert decision.aggregate.tolist() == [When.NOW] * 2
    short = policy(at_work(windows_s, waiting=first_in_contact.CLIENTS - 5))
    assert short.association.tolist() == [0] * 4
    assert short.aggregate.tolist() == [When.WAIT] * 2


def test_fedbuffsat_lets_all_take_part():
    decision = first_in_contact.fedbuffsat(at_work([400.0, 100.0, 0.0], waiting=first_in_contact.CLIENTS - 1))
    assert decision.association.tolist() == [0, 0, 1]
    assert decision.aggregate.tolist() == [When.NOW] * 2
