from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Callable
from typing import ClassVar

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers import RecordEpisodeStatistics, TimeLimit

import satfl_baselines
from satfl_env import Outcome, SatFLEnv, SatFLVectorEnv
from satfl_env.wrappers import BoxAction, DiscreteAction, ScaledObservation

QUICK = {"training.max_epochs": 2, "rounds.episode": 3}
PHYSICS_ONLY = {"training.engine": "none", "rounds.episode": 3}


def make(num_envs: int = 3, mode: str = "NextStep", **kwargs: object) -> SatFLVectorEnv:
    return gym.make_vec(
        "SatFL-v0",
        num_envs=num_envs,
        vectorization_mode="vector_entry_point",
        autoreset_mode=AutoresetMode(mode),
        **{"overrides": QUICK, **kwargs},
    )


def make_reference(
    num_envs: int = 3, mode: str = "NextStep", wrap: Callable[[gym.Env], gym.Env] = lambda env: env, **kwargs: object
) -> gym.vector.SyncVectorEnv:
    def one() -> gym.Env:
        return wrap(SatFLEnv(**{"overrides": QUICK, **kwargs}))

    return gym.vector.SyncVectorEnv([one] * num_envs, autoreset_mode=AutoresetMode(mode))


def visible_actions(envs: gym.vector.VectorEnv, observation: dict) -> dict:
    """Random actions whose associations can bring updates back."""
    actions = envs.action_space.sample()
    visible = observation["visible"]
    actions["association"] = np.where(visible.any(-1), visible.argmax(-1), visible.shape[-1])
    actions["cpu_frequency"] = np.full(actions["cpu_frequency"].shape, 0.35)
    return actions


def assert_close(one: object, other: object, name: str) -> None:
    """Physics to the bit, what models do to 1e-5."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_close(one[key], other[key], key)
    elif isinstance(one, np.ndarray) and one.dtype == object:
        for first, second in zip(one, other, strict=True):
            assert_close(first, second, name)
    elif name == "update_similarity" or "loss" in name or "metrics" in name or name.endswith("accuracy"):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5, err_msg=name)
    else:
        np.testing.assert_array_equal(one, other, err_msg=name)


def assert_same_step(one: tuple, other: tuple) -> None:
    assert_close(one[0], other[0], "observation")
    np.testing.assert_allclose(one[1], other[1], atol=1e-5)
    np.testing.assert_array_equal(one[2], other[2])
    np.testing.assert_array_equal(one[3], other[3])
    assert_close(one[4], other[4], "info")


@pytest.mark.parametrize("mode", ["NextStep", "SameStep"])
@pytest.mark.parametrize("workers", [1, 2])
def test_every_step_is_that_of_single_environments(mode, workers):
    envs, reference = make(mode=mode, workers=workers), make_reference(mode=mode)
    assert envs.metadata["autoreset_mode"] == AutoresetMode(mode)
    assert envs.observation_space == reference.observation_space
    assert envs.action_space == reference.action_space
    observation, info = envs.reset(seed=[4, 9, 2])
    expected = reference.reset(seed=[4, 9, 2])
    assert_close(observation, expected[0], "observation")
    assert_close(info, expected[1], "info")
    envs.action_space.seed(0)
    trained = 0
    for _ in range(8):
        actions = visible_actions(envs, observation)
        step = envs.step(actions)
        observation = step[0]
        assert_same_step(step, reference.step(actions))
        trained += np.count_nonzero(step[4].get("epochs", 0))
    assert trained > 30
    envs.close()


def test_a_whole_episode_of_full_training_is_that_of_single_environments():
    envs, reference = make(4, overrides={}), make_reference(4, overrides={})
    agent = satfl_baselines.as_agent(satfl_baselines.make_policy("semspacefl"))
    observation, _ = envs.reset(seed=1)
    reference.reset(seed=1)
    for _ in range(30):
        actions = agent(observation)
        step = envs.step(actions)
        observation = step[0]
        assert_same_step(step, reference.step(actions))


def test_environments_whose_episodes_end_apart_go_on_alike():
    # The target is reached in different rounds, so that some start anew while others play.
    overrides = {**QUICK, "rounds.episode": 4, "target": {"metric": "balanced_accuracy", "value": 0.52}}
    envs, reference = make(4, overrides=overrides), make_reference(4, overrides=overrides)
    observation, _ = envs.reset(seed=0)
    reference.reset(seed=0)
    envs.action_space.seed(1)
    ends = []
    for _ in range(10):
        actions = visible_actions(envs, observation)
        step = envs.step(actions)
        observation = step[0]
        assert_same_step(step, reference.step(actions))
        ends.append(step[2] | step[3])
    assert any(0 < end.sum() < 4 for end in ends)


def test_reconstruction_with_equal_models_agrees_too():
    few = {"data.test_samples": 6, "data.partition": {"kind": "equal", "total_samples": 40}}
    overrides = {"training.max_epochs": 1, "rounds.episode": 2, **few}
    envs, reference = (it(2, scenario="semspacefl-mini", overrides=overrides) for it in (make, make_reference))
    observation, _ = envs.reset(seed=0)
    reference.reset(seed=0)
    actions = visible_actions(envs, observation)
    for name, value in reference.step(actions)[4]["metrics"].items():
        if not name.startswith("_"):
            np.testing.assert_allclose(envs.step(actions)[4]["metrics"][name], value, rtol=1e-5)
            break


def test_autoreset_can_be_left_to_the_user():
    envs = make(2, "Disabled", overrides=PHYSICS_ONLY)
    envs.reset(seed=0)
    for _ in range(3):
        *_, truncations, _ = envs.step(envs.action_space.sample())
    assert truncations.all()
    with pytest.raises(ResetNeeded, match=r"environments \[0, 1\]"):
        envs.step(envs.action_space.sample())
    observation, info = envs.reset(options={"reset_mask": np.array([False, True])})
    assert observation["round"].ravel().tolist() == [3, 0]
    assert info["_seed"].tolist() == [False, True]
    with pytest.raises(ResetNeeded, match=r"environments \[0\]"):
        envs.step(envs.action_space.sample())
    envs.reset(options={"reset_mask": np.array([True, False])})
    assert envs.step(envs.action_space.sample())[0]["round"].ravel().tolist() == [1, 1]


def test_bad_actions_change_nothing():
    envs, twin = make(2, overrides=PHYSICS_ONLY), make(2, overrides=PHYSICS_ONLY)
    with pytest.raises(ResetNeeded):
        envs.step(envs.action_space.sample())
    envs.reset(seed=0)
    twin.reset(seed=0)
    actions = envs.action_space.sample()
    bad = copy.deepcopy(actions)
    bad["weights"][1, 3] = 2.0
    with pytest.raises(ValueError, match=r"action\['weights'\] .* got 2.0 at index 3"):
        envs.step(bad)
    assert_same_step(envs.step(actions), twin.step(actions))


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="num_envs must be at least 1, got 0"):
        SatFLVectorEnv(0)
    with pytest.raises(ValueError, match="max_episode_steps must be at least 1, got 0"):
        make(1, max_episode_steps=0)
    with pytest.raises(TypeError, match="wrap must give the environment in its wrappers, got None"):
        make(1, wrap=lambda env: None)
    envs = make(2, overrides=PHYSICS_ONLY)
    with pytest.raises(ValueError, match="seed must be one number or 2"):
        envs.reset(seed=[1, 2, 3])
    with pytest.raises(ValueError, match=r"reset_mask must be a bool array of shape \(2,\)"):
        envs.reset(options={"reset_mask": np.zeros(2, dtype=bool)})
    with pytest.raises(ValueError, match="no options"):
        envs.reset(options={"phase": 1})


def test_making_it_gives_no_warning_and_arguments_arrive():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        envs = make(2, overrides=PHYSICS_ONLY, reward={"loss_drop": 0.0, "lost_updates": 1.0}, render_mode="ansi")
    observation, _ = envs.reset(seed=0)
    assert observation in envs.observation_space
    actions = envs.action_space.sample()
    actions["association"] = np.where(observation["visible"].all(-1), 3, observation["visible"].argmin(-1))
    _, rewards, *_ = envs.step(actions)
    assert (rewards < 0).all()
    assert [len(text.splitlines()) for text in envs.render()] == [12, 12]
    envs.close()


@pytest.mark.parametrize("inner", [BoxAction, DiscreteAction])
def test_wrappers_of_single_environments_serve_in_each(inner):
    def wrap(env: gym.Env) -> gym.Env:
        return gym.wrappers.TransformReward(ScaledObservation(inner(env, num_clusters=2)), lambda reward: 10 * reward)

    envs = make(2, wrap=wrap)
    singles = [wrap(SatFLEnv(overrides=QUICK)) for _ in range(2)]
    observation, _ = envs.reset(seed=5)
    assert observation in envs.observation_space
    for index, env in enumerate(singles):
        np.testing.assert_array_equal(observation[index], env.reset(seed=5 + index)[0])
    envs.action_space.seed(0)
    for _ in range(2):
        actions = envs.action_space.sample()
        observation, rewards, *_ = envs.step(actions)
        for index, env in enumerate(singles):
            expected, reward, *_ = env.step(actions[index])
            np.testing.assert_allclose(observation[index], expected, atol=1e-5)
            assert rewards[index] == pytest.approx(reward, abs=1e-5)
    masks = envs.call("action_masks")
    assert len(masks) == 2
    assert envs.call("render_mode") == (None, None)


class Fleet(gym.Wrapper):
    """A reward from info and from what the wrapper has seen before."""

    def __init__(self, env: gym.Env) -> None:
        super().__init__(env)
        self.returned = 0

    def reset(self, **kwargs: object) -> tuple:
        self.returned = 0
        return self.env.reset(**kwargs)

    def step(self, action: object) -> tuple:
        observation, _, terminated, truncated, info = self.env.step(action)
        self.returned += int((info["outcome"] == Outcome.RETURNED).sum())
        return observation, float(self.returned), terminated, truncated, info | {"returned": self.returned}


class Twice(gym.Wrapper):
    """Every action counts for two rounds."""

    def step(self, action: object) -> tuple:
        first = self.env.step(action)
        return first if first[2] or first[3] else self.env.step(action)


class LookAhead(gym.Wrapper):
    """Tries every action on a copy first."""

    def step(self, action: object) -> tuple:
        expected = copy.deepcopy(self.env).step(action)[0]["time_s"].item()
        observation, reward, terminated, truncated, info = self.env.step(action)
        return observation, reward, terminated, truncated, info | {"expected_s": expected}


@pytest.mark.parametrize("mode", ["NextStep", "SameStep"])
@pytest.mark.parametrize("wrapper", [Fleet, Twice, LookAhead, lambda env: TimeLimit(env, 2)])
def test_any_wrapper_of_a_single_environment_serves(wrapper, mode):
    envs, reference = make(mode=mode, wrap=wrapper), make_reference(mode=mode, wrap=wrapper)
    observation, info = envs.reset(seed=3)
    expected = reference.reset(seed=3)
    assert_close(info, expected[1], "info")
    envs.action_space.seed(0)
    for _ in range(6):
        actions = visible_actions(envs, observation)
        step = envs.step(actions)
        observation = step[0]
        assert_same_step(step, reference.step(actions))


def test_episode_statistics_are_those_of_single_environments():
    def wrap(env: gym.Env) -> gym.Env:
        return RecordEpisodeStatistics(Fleet(env))

    envs, reference = make(2, "SameStep", wrap=wrap), make_reference(2, "SameStep", wrap=wrap)
    observation, _ = envs.reset(seed=0)
    reference.reset(seed=0)
    for _ in range(3):
        actions = visible_actions(envs, observation)
        observation, *_, infos = envs.step(actions)
        *_, expected = reference.step(actions)
    for name in ("r", "l"):
        found = [info["episode"][name] for info in (infos["final_info"], expected["final_info"])]
        np.testing.assert_array_equal(found[0], found[1])
        assert found[0].all()


class Nested(Fleet):
    """Holds something open around the round that all share, and that has to be closed in order."""

    opened: ClassVar[list[Nested]] = []

    def step(self, action: object) -> tuple:
        self.opened.append(self)
        try:
            return super().step(action)
        finally:
            assert self.opened.pop() is self


def test_nothing_changes_for_wrappers_either_if_one_action_is_bad():
    envs, twin = (make(3, wrap=lambda env: TimeLimit(Nested(env), 5)) for _ in range(2))
    observation, _ = envs.reset(seed=0)
    twin.reset(seed=0)
    actions = visible_actions(envs, observation)
    bad = {**actions, "weights": actions["weights"] + np.array([0.0, 9.0, 0.0])[:, None]}
    with pytest.raises(ValueError, match=r"environment 1: action\['weights'\]"):
        envs.step(bad)
    assert not Nested.opened
    assert envs.get_attr("_elapsed_steps") == (0, 0, 0)
    for _ in range(2):
        assert_same_step(envs.step(actions), twin.step(actions))
        assert not Nested.opened


def test_wrappers_see_what_is_set_around_the_step():
    class Seen(gym.ActionWrapper):
        def action(self, action: object) -> object:
            self.seen = np.geterr()["divide"]
            return action

    envs = make(2, wrap=Seen, overrides=PHYSICS_ONLY)
    envs.reset(seed=0)
    with np.errstate(divide="print"):
        envs.step(envs.action_space.sample())
    assert envs.get_attr("seen") == ("print", "print")


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda envs: pickle.loads(pickle.dumps(envs))])
def test_clones_go_on_alike_and_apart(clone):
    envs = make(2)
    observation, _ = envs.reset(seed=0)
    envs.step(visible_actions(envs, observation))
    twin = clone(envs)
    actions = visible_actions(envs, observation)
    assert_same_step(envs.step(actions), twin.step(actions))


def test_a_policy_acts_on_all_at_once():
    envs, single = make(2, overrides=PHYSICS_ONLY), SatFLEnv(overrides=PHYSICS_ONLY)
    agent = satfl_baselines.as_agent(satfl_baselines.make_policy("semspacefl"))
    observation, _ = envs.reset(seed=3)
    alone, _ = single.reset(seed=4)
    for _ in range(2):
        observation, _, _, _, infos = envs.step(agent(observation))
        alone, *_, info = single.step(agent(alone))
        np.testing.assert_array_equal(infos["epochs"][1], info["epochs"])
        assert info["epochs"].any()


@pytest.mark.parametrize("workers", [1, 2])
def test_batches_of_actions_that_do_not_fit_are_refused(workers: int):
    envs = gym.make_vec(
        "SatFL-v0", num_envs=2, vectorization_mode="vector_entry_point", workers=workers, overrides=PHYSICS_ONLY
    )
    actions = visible_actions(envs, envs.reset(seed=np.int64(0))[0])
    too_many = {key: np.concatenate([value, value[:1]]) for key, value in actions.items()}
    bad_value = {**actions, "weights": np.stack([actions["weights"][0], actions["weights"][1] + 9])}
    for wrong, message in (
        (None, "must be a dict with the keys .* got NoneType"),
        ({**actions, "colour": actions["weights"]}, r"has unknown \['colour'\]"),
        ({key: value for key, value in actions.items() if key != "weights"}, r"lacks \['weights'\]$"),
        (
            {key.title(): value for key, value in actions.items()},
            r"lacks \['association'.* has unknown \['Assoc",
        ),
        (too_many, r"actions must have shape \(2, 10\), one row for each of 2 environments; got \(3, 10\)"),
        (bad_value, "environment 1: "),
    ):
        with pytest.raises(ValueError, match=message):
            envs.step(wrong)
    envs.close()


def test_masks_before_the_first_reset_are_refused():
    with pytest.raises(ResetNeeded, match="reset"):
        SatFLEnv(overrides=PHYSICS_ONLY).action_masks()


def test_a_step_that_broke_off_asks_for_a_reset():
    armed: list[bool] = []

    def fails_once(updates, weights):
        if armed and armed.pop():
            raise KeyError("rule")
        return weights @ updates

    envs = make(2, scenario="task-clustering-mini", parts={"combine": fails_once})
    envs.reset(seed=0)
    envs.action_space.seed(0)

    def play_on() -> None:
        for _ in range(3):
            envs.step(envs.action_space.sample())

    armed.append(True)
    with pytest.raises(KeyError, match="rule"):
        play_on()
    with pytest.raises(ResetNeeded, match=r"the last step of environments \[0, 1\] broke off: reset them first"):
        envs.step(envs.action_space.sample())
    envs.reset(seed=0)
    envs.step(envs.action_space.sample())


def test_a_bad_action_breaks_nothing_off():
    envs = make(2, overrides=PHYSICS_ONLY)
    envs.reset(seed=0)
    bad = envs.action_space.sample()
    bad["weights"][1, 0] = 7.0
    with pytest.raises(ValueError, match="environment 1"):
        envs.step(bad)
    envs.step(envs.action_space.sample())


def test_a_mask_before_the_first_reset_names_who_has_no_episode():
    envs = make(2, overrides=PHYSICS_ONLY)
    with pytest.raises(ResetNeeded, match=r"environments \[1\] have no episode to go on with"):
        envs.reset(options={"reset_mask": np.array([True, False])})
    envs.reset(seed=[1, np.int64(3)])
