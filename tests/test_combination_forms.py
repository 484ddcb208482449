"""Combined options in every form of environment: copied in the middle, wrapped, and in processes of their own.

The choices hold every option once; `test_combinations` plays them as they are.
"""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from satfl_env import ProcessVectorEnv, SatFLEnv, SatFLVectorEnv
from satfl_env.wrappers import BoxAction, DiscreteAction, ScaledObservation
from tests.combinations import (
    MIDDLE,
    OPTIONS,
    ROUNDS,
    SEED,
    action_of,
    assert_same,
    meet,
    name_of,
    play,
    pretended_itur,
    scenario_of,
    second,
)
from tests.pairwise import Choice, covering, spread

# The fullest ones first.
CHOICES = sorted(spread(covering(OPTIONS, meet)), key=lambda choice: -len(name_of(choice).split()))
# Processes know nothing of the pretence.
WITHOUT_ITUR = [choice for choice in CHOICES if choice["links"] != "atmosphere"]


def quick(choices: list[Choice], number: int) -> list[Any]:
    """The first ones are for the normal suite."""
    return [*choices[:number], *(pytest.param(choice, marks=pytest.mark.slow) for choice in choices[number:])]


@pytest.fixture(autouse=True)
def without_itur(monkeypatch) -> Iterator[None]:
    with pretended_itur(monkeypatch):
        yield


@pytest.mark.parametrize("choice", quick(CHOICES, 2), ids=name_of)
def test_copies_made_in_the_middle_go_on_as_the_original(choice: Choice):
    env = SatFLEnv(scenario_of(choice))
    env.reset(seed=SEED)
    play(env, MIDDLE)
    copies = copy.deepcopy(env), pickle.loads(pickle.dumps(env))
    expected = play(env, ROUNDS - MIDDLE)
    for twin in copies:
        assert_same(play(twin, ROUNDS - MIDDLE), expected)


@pytest.mark.parametrize("wrapper", [BoxAction, DiscreteAction])
@pytest.mark.parametrize("choice", quick(CHOICES, 2), ids=name_of)
def test_wrapped_environments_play_what_their_native_actions_say(choice: Choice, wrapper: Any):
    scenario, exact = scenario_of(choice), choice["model"] != "images"

    def wrap(env: Any) -> ScaledObservation:
        return ScaledObservation(wrapper(env))

    wrapped, native = wrap(SatFLEnv(scenario)), SatFLEnv(scenario)
    together = SatFLVectorEnv(2, scenario=scenario, wrap=wrap)
    native.reset(seed=SEED)
    together.reset(seed=[SEED - 1, SEED])
    wrapped.reset(seed=SEED)
    wrapped.action_space.seed(SEED)
    for _ in range(MIDDLE):
        flat = wrapped.action_space.sample()
        observation, *rest = native.step(wrapped.env.action(flat))
        expected = wrapped.observation(observation), *rest
        assert_same(wrapped.step(flat), expected)
        assert expected[0] in wrapped.observation_space
        assert_same(second(together.step(np.stack([flat, flat]))), expected, exact=exact)


@pytest.mark.parametrize("choice", quick(WITHOUT_ITUR, 1), ids=name_of)
def test_environments_in_processes_of_their_own_play_like_single_ones(choice: Choice):
    scenario = scenario_of(choice)
    singles = [SatFLEnv(scenario) for _ in range(2)]
    for seed, single in zip((SEED - 1, SEED), singles, strict=True):
        single.reset(seed=seed)
    envs = ProcessVectorEnv(2, workers=2, scenario=scenario)
    envs.reset(seed=[SEED - 1, SEED])
    for _ in range(ROUNDS):
        actions = [action_of(single) for single in singles]
        _, expected = [single.step(action) for single, action in zip(singles, actions, strict=True)]
        steps = envs.step({key: np.stack([action[key] for action in actions]) for key in actions[0]})
        assert_same(second(steps), expected)
    envs.close()
