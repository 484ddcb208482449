from __future__ import annotations

import copy
import hashlib
import importlib
import pickle
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env

import satfl_env
from satfl_env import Outcome, SatFLEnv, decision_to_action, observation_to_state, scenarios
from satfl_env.envs.spaces import ObservationWriter, bounds

PHYSICS_ONLY = {"training.engine": "none"}
QUICK = {"training.max_epochs": 2, "rounds.episode": 6}
FEW_IMAGES = {"data.test_samples": 10, "data.partition": {"kind": "equal", "total_samples": 40}}
SCENARIOS = {
    "leo-multitask": PHYSICS_ONLY,
    "semspacefl-mini": {**PHYSICS_ONLY, **FEW_IMAGES},
    "task-clustering-mini": PHYSICS_ONLY,
}


def visible_action(env: gym.Env, info: dict) -> dict:
    """A random action whose associations can bring updates back."""
    action = env.action_space.sample()
    action["association"] = info["action_mask"]["association"].argmax(axis=1)
    action["cpu_frequency"] = np.full(len(action["association"]), 0.35)
    return action


def play(env: gym.Env, seed: int, steps: int) -> list[tuple]:
    env.action_space.seed(seed)
    _, info = env.reset(seed=seed)
    trajectory = []
    for _ in range(steps):
        observation, reward, terminated, truncated, info = env.step(visible_action(env, info))
        trajectory.append((observation, reward, terminated, truncated, info))
    return trajectory


def digest(trajectory: list[tuple]) -> str:
    """A hash of every bit of observations, rewards and test losses."""
    hashed = hashlib.sha256()
    for observation, reward, _, _, info in trajectory:
        for value in (*observation.values(), np.float64(reward), info["satellite_test_loss"], info["energy_j"]):
            hashed.update(np.ascontiguousarray(value).tobytes())
    return hashed.hexdigest()


def assert_equal_steps(one: tuple, other: tuple) -> None:
    for key in one[0]:
        np.testing.assert_array_equal(one[0][key], other[0][key], err_msg=key)
    assert one[1:4] == other[1:4]
    np.testing.assert_array_equal(one[4]["satellite_test_loss"], other[4]["satellite_test_loss"])


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("render_mode", ["rgb_array", "ansi"])
def test_gymnasium_checks_pass_without_warnings(scenario, render_mode):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = gym.make("SatFL-v0", scenario=scenario, overrides=SCENARIOS[scenario], render_mode=render_mode)
        play(env, 0, 2)
        check_env(env.unwrapped)


def test_gymnasium_checks_pass_with_training():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gym.make("SatFL-v0", overrides=QUICK, render_mode="ansi").unwrapped)


def test_the_spaces_are_there_before_the_first_reset_and_reset_runs_only_when_called():
    env = SatFLEnv()
    assert env.action_space["association"].nvec.tolist() == [4] * 10
    assert env.observation_space["window_s"].shape == (10, 3)
    with pytest.raises(RuntimeError, match="reset"):
        _ = env.simulation.state


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_observations_stay_inside_bounds_that_hold_for_every_seed(scenario):
    env = gym.make("SatFL-v0", scenario=scenario, overrides=SCENARIOS[scenario])
    for seed in range(4):
        observation, info = env.reset(seed=seed)
        state = env.unwrapped.simulation.state
        for _ in range(10):
            assert observation in env.observation_space
            seen = observation_to_state(observation)
            for name in observation:
                np.testing.assert_allclose(getattr(seen, name), getattr(state, name), rtol=1e-9, atol=1e-9)
                assert type(getattr(seen, name)) is type(getattr(state, name)), name
            observation, *_, info = env.step(visible_action(env, info))
            state = env.unwrapped.simulation.state


def test_spaces_of_battery_and_dirichlet_scenarios_hold_too():
    battery = {"kind": "battery", "capacity_j": 300.0, "initial_j": 120.0, "harvest_w": 0.5}
    for scenario in ("leo-multitask", "semspacefl-mini"):
        env = SatFLEnv(scenario, {**PHYSICS_ONLY, "onboard.energy": battery, "rounds.cadence_s": 120.0})
        assert env.observation_space["energy_j"].high[0] == 300.0
        trajectory = play(env, 0, 4)
        assert all(observation in env.observation_space for observation, *_ in trajectory)


def test_equal_seeds_give_equal_trajectories_and_others_do_not():
    env = gym.make("SatFL-v0", overrides=QUICK)
    first, again, other = play(env, 1, 4), play(gym.make("SatFL-v0", overrides=QUICK), 1, 4), play(env, 2, 4)
    for one, two in zip(first, again, strict=True):
        assert_equal_steps(one, two)
    assert digest(first) != digest(other)


def test_thirty_steps_are_bit_equal_in_two_processes():
    here = Path(__file__)
    code = (
        f"import sys; sys.path.insert(0, {str(here.parent)!r}); import gymnasium as gym; import {here.stem} as test; "
        "print(test.digest(test.play(gym.make('SatFL-v0'), 7, 30)))"
    )
    command = [sys.executable, "-c", code]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    first, second = (process.communicate(timeout=120)[0] for process in running)
    assert len(first.strip()) == 64
    assert first == second


def test_resets_without_seed_differ_but_follow_from_the_first():
    def seeds(env: gym.Env) -> list[int]:
        return [env.reset(seed=5)[1]["seed"], env.reset()[1]["seed"], env.reset()[1]["seed"]]

    env = SatFLEnv(overrides=PHYSICS_ONLY)
    first = seeds(env)
    assert first[0] == 5
    assert len(set(first)) == 3
    assert first == seeds(SatFLEnv(overrides=PHYSICS_ONLY)) == seeds(env)


@pytest.mark.parametrize("term", ["metric_gain", "loss_drop"])
def test_the_return_is_the_metric_gained_or_the_loss_dropped(term):
    env = SatFLEnv(overrides=QUICK, reward={"metric_gain": 0.0, term: 1.0})
    env.action_space.seed(0)
    _, first = env.reset(seed=0)
    info, total, truncated, steps = first, 0.0, False, 0
    while not truncated:
        _, reward, terminated, truncated, info = env.step(visible_action(env, info))
        assert reward == info["reward_terms"][term]
        assert not terminated
        total, steps = total + reward, steps + 1
    assert steps == 6
    accuracy = [it["metrics"]["balanced_accuracy"] for it in (first, info)]
    expected = {"metric_gain": accuracy[1] - accuracy[0], "loss_drop": first["test_loss"] - info["test_loss"]}
    assert total == pytest.approx(expected[term])
    assert total > 0


def test_prices_are_subtracted():
    prices = {"energy_j": 1e-3, "time_s": 1e-4, "lost_updates": 0.1}
    env = SatFLEnv(overrides=QUICK, reward=prices)
    _, info = env.reset(seed=0)
    action = visible_action(env, info)
    action["cpu_frequency"][:3] = 1.0
    _, reward, *_, info = env.step(action)
    lost = (info["outcome"] != Outcome.RETURNED) & (info["outcome"] != Outcome.SAT_OUT)
    assert lost.any()
    costs = 1e-3 * info["energy_j"].sum() + 1e-4 * info["duration_s"] + 0.1 * lost.sum()
    assert reward == pytest.approx(info["reward_terms"]["metric_gain"] - costs)


def layout(info: object) -> object:
    """Keys, shapes and types of an info."""
    if isinstance(info, dict):
        return {key: layout(value) for key, value in info.items()}
    return (info.dtype, info.shape) if isinstance(info, np.ndarray) else type(info)


def leaves(layout: dict) -> list:
    return [one for value in layout.values() for one in (leaves(value) if isinstance(value, dict) else [value])]


@pytest.mark.parametrize(
    "scenario", ["leo-multitask", "semspacefl-mini", "task-clustering-mini", "walker-earth", "sentinel"]
)
def test_info_has_the_same_keys_shapes_and_types_at_reset_and_at_every_step(scenario):
    env = SatFLEnv(scenario, {"training.max_epochs": 1, "data.test_samples": 4, "rounds.episode": 4})
    env.action_space.seed(0)
    _, info = env.reset(seed=0)
    first = layout(info)
    numbers = [one for one in leaves(first) if isinstance(one, tuple)]
    assert len(numbers) > 10
    assert all(one in (int, float) or one[0].kind in "bif" for one in leaves(first))
    assert (info["outcome"] == Outcome.SAT_OUT).all()
    for round_number in range(4):
        action = visible_action(env, info)
        action["weights"] *= round_number % 2
        *_, info = env.step(action)
        assert layout(info) == first
    assert info["seed"] == 0


def test_bad_arguments_are_rejected():
    with pytest.raises(ValueError, match="did you mean 'leo-multitask'"):
        SatFLEnv("leo-multitusk")
    with pytest.raises(ValueError, match=r"render_mode must be one of \["):
        SatFLEnv(render_mode="human")
    with pytest.raises(ValueError, match="overrides go with"):
        SatFLEnv(scenarios.load("leo-multitask"), {"rounds.episode": 3})
    with pytest.raises(ValueError, match="no options"):
        SatFLEnv(overrides=PHYSICS_ONLY).reset(options={"seed": 3})


def test_scenarios_can_be_given_loaded():
    env = SatFLEnv(scenarios.load("leo-multitask", **{"rounds.episode": 1, **PHYSICS_ONLY}))
    assert play(env, 0, 1)[0][3] is True


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"association": np.full(10, 4)}, r"action\['association'\] must hold integers in \[0, 3\], got 4 at index 0"),
        ({"association": np.zeros(10)}, r"action\['association'\] must hold integers, got dtype float64"),
        ({"association": np.zeros(9, dtype=int)}, r"action\['association'\] must be an array of shape \(10,\)"),
        ({"cluster": np.full(10, -1)}, r"action\['cluster'\] must hold integers in \[0, 9\], got -1"),
        ({"cpu_frequency": np.full(10, 1.5)}, r"action\['cpu_frequency'\] must hold numbers in \[0, 1\], got 1.5"),
        ({"weights": np.array([0.0] * 9 + [np.nan])}, r"action\['weights'\] .* in \[0, 1\], got nan at index 9"),
        ({"weights": np.full(10, np.inf)}, r"action\['weights'\] must hold numbers in \[0, 1\], got inf"),
        ({"gateway_weights": [[1.0], [1.0, 2.0]]}, r"action\['gateway_weights'\] must be an array of shape \(3,\)"),
        ({"gateway_weights": ["a", "b", "c"]}, r"action\['gateway_weights'\] must hold numbers, got dtype"),
        ({"weigths": np.zeros(10)}, r"has unknown \['weigths'\]"),
    ],
)
def test_bad_actions_are_named_and_consume_nothing(change, message):
    env, twin = SatFLEnv(overrides=PHYSICS_ONLY), SatFLEnv(overrides=PHYSICS_ONLY)
    _, info = env.reset(seed=0)
    twin.reset(seed=0)
    action = visible_action(env, info)
    with pytest.raises(ValueError, match=message):
        env.step({**action, **change})
    assert_equal_steps(env.step(action), twin.step(action))


def test_actions_that_are_no_dict_or_lack_a_key_are_rejected():
    env = SatFLEnv(overrides=PHYSICS_ONLY)
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"must be a dict with the keys .*, got ndarray"):
        env.step(np.zeros(3))
    action = env.action_space.sample()
    del action["weights"]
    with pytest.raises(ValueError, match=r"lacks \['weights'\]"):
        env.step(action)


def test_steps_before_reset_and_after_the_end_are_refused():
    env = SatFLEnv(overrides={**PHYSICS_ONLY, "rounds.episode": 2}, render_mode="ansi")
    with pytest.raises(ResetNeeded, match=r"call reset\(\)"):
        env.step(env.action_space.sample())
    with pytest.raises(ResetNeeded, match=r"call reset\(\)"):
        env.render()
    assert [step[3] for step in play(env, 0, 2)] == [False, True]
    with pytest.raises(ResetNeeded, match="episode"):
        env.step(env.action_space.sample())
    assert play(env, 0, 1)


def test_a_target_terminates_the_episode():
    env = SatFLEnv(overrides={**PHYSICS_ONLY, "target": {"metric": "accuracy", "value": 0.0}})
    (_, _, terminated, truncated, _) = play(env, 0, 1)[0]
    assert terminated
    assert not truncated
    with pytest.raises(ResetNeeded):
        env.step(env.action_space.sample())
    unreached = SatFLEnv(overrides={**PHYSICS_ONLY, "target": {"metric": "accuracy", "value": 1.1}})
    assert not play(unreached, 0, 1)[0][2]
    with pytest.raises(ValueError, match=r"target\.metric must be one of accuracy, balanced_accuracy"):
        SatFLEnv(overrides={**PHYSICS_ONLY, "target": {"metric": "balanced_acuracy", "value": 0.9}}).reset(seed=0)


def test_masks_tell_visible_gateways_and_allow_sitting_out():
    env = SatFLEnv(overrides=PHYSICS_ONLY)
    observation, info = env.reset(seed=0)
    for _ in range(5):
        mask = info["action_mask"]["association"]
        np.testing.assert_array_equal(mask, env.action_masks()["association"])
        np.testing.assert_array_equal(mask[:, :3], observation["visible"])
        assert mask[:, 3].all()
        action = visible_action(env, info)
        action["association"] = (~mask).argmax(axis=1) * ~mask.all(axis=1) + 3 * mask.all(axis=1)
        hidden = action["association"] < 3
        observation, _, _, _, info = env.step(action)
        np.testing.assert_array_equal(info["outcome"][hidden], Outcome.NOT_VISIBLE)
        np.testing.assert_array_equal(info["outcome"][~hidden], Outcome.SAT_OUT)


def test_equal_weights_are_told_when_all_raw_weights_are_zero():
    env = SatFLEnv(overrides={**QUICK, "rounds.cloud_every": 1})
    _, info = env.reset(seed=0)
    action = visible_action(env, info)
    action["cluster"][:] = 2
    action["weights"][:], action["gateway_weights"][:] = 0.0, 0.0
    info = env.step(action)[4]
    returned = info["outcome"] == Outcome.RETURNED
    assert returned.any()
    np.testing.assert_array_equal(info["equal_weights"], returned)
    assert np.flatnonzero(info["equal_merges"]).tolist() == [2]
    action["weights"][:], action["gateway_weights"][:] = 0.5, 0.5
    info = env.step(action)[4]
    assert not info["equal_weights"].any()
    assert not info["equal_merges"].any()


def test_info_says_how_much_real_training_stands_for_an_epoch():
    env = SatFLEnv(overrides={**QUICK, "training.batches_per_epoch": 1})
    info = play(env, 0, 1)[0][4]
    assert info["batches_per_epoch"] == 1
    np.testing.assert_array_equal(info["batches"], info["epochs"])
    for name, mean in info["metrics"].items():
        assert mean == pytest.approx(info["satellite_metrics"][name].mean())


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_clones_made_in_an_episode_go_on_alike_and_apart(clone):
    env = gym.make("SatFL-v0", overrides=QUICK, render_mode="ansi")
    info = play(env, 0, 2)[-1][4]
    twin = clone(env)
    assert twin.render() == env.render()
    for _ in range(2):
        action = visible_action(env, info)
        step = env.step(action)
        assert_equal_steps(step, twin.step(action))
        info = step[4]
    _, one = env.reset()
    _, other = twin.reset()
    assert one["seed"] == other["seed"]


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_vector_environments_play_the_episodes_of_single_ones(mode):
    envs = gym.make_vec("SatFL-v0", num_envs=2, vectorization_mode=mode, overrides=QUICK)
    singles = [gym.make("SatFL-v0", overrides=QUICK) for _ in range(2)]
    try:
        envs.reset(seed=[3, 4])
        for env, seed in zip(singles, (3, 4), strict=True):
            env.reset(seed=seed)
        envs.action_space.seed(0)
        for _ in range(3):
            actions = envs.action_space.sample()
            observations, rewards, _, _, infos = envs.step(actions)
            for index, env in enumerate(singles):
                observation, reward, *_ = env.step({key: value[index] for key, value in actions.items()})
                assert reward == rewards[index]
                for key, value in observation.items():
                    np.testing.assert_array_equal(observations[key][index], value)
            assert infos["metrics"]["accuracy"].shape == (2,)
            assert infos["action_mask"]["association"].shape == (2, 10, 4)
    finally:
        envs.close()


def test_vector_environments_start_anew_after_an_episode():
    envs = gym.make_vec(
        "SatFL-v0", num_envs=2, vectorization_mode="sync", overrides={**PHYSICS_ONLY, "rounds.episode": 2}
    )
    envs.reset(seed=0)
    rounds = [envs.step(envs.action_space.sample())[0]["round"][0, 0] for _ in range(4)]
    assert rounds == [1, 2, 0, 1]


def test_rendering_gives_an_image_and_a_table():
    env = SatFLEnv(overrides=QUICK, render_mode="rgb_array")
    _, info = env.reset(seed=0)
    start = env.render()
    action = visible_action(env, info)
    action["association"][0] = 3
    env.step(action)
    image = env.render()
    assert start.shape == image.shape
    assert image.ndim == 3
    assert image.shape[2] == 3
    assert image.dtype == np.uint8
    assert not np.array_equal(start, image)
    env.render_mode = "ansi"
    text = env.render()
    assert len(text.splitlines()) == 12
    assert "sat out" in text
    env.reset(seed=0)
    assert len(env.render().splitlines()) == 12


def test_rendering_without_a_mode_warns():
    env = SatFLEnv(overrides=PHYSICS_ONLY)
    env.reset(seed=0)
    with pytest.warns(UserWarning, match="render_mode"):
        assert env.render() is None


def test_decisions_and_actions_translate_into_each_other():
    env = SatFLEnv(overrides=PHYSICS_ONLY)
    observation, _ = env.reset(seed=0)
    state = observation_to_state(observation)
    decision = satfl_env.Decision(
        association=np.arange(10) % 4,
        cpu_frequency=np.linspace(0, 1, 10) * state.cpu_max_hz,
        cluster=np.arange(10),
        weights=np.arange(10) * 30.0,
        gateway_weights=np.array([0.25, 0.5, 0.0]),
    )
    action = decision_to_action(decision, state)
    assert action in env.action_space
    np.testing.assert_allclose(action["weights"], np.arange(10) / 9)
    np.testing.assert_array_equal(action["gateway_weights"], decision.gateway_weights)
    env.step(action)


def test_the_environment_is_registered_once():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        importlib.reload(satfl_env)
    assert gym.spec("SatFL-v0").entry_point == "satfl_env:SatFLEnv"
    assert gym.spec("SatFL-v0").max_episode_steps is None


def test_losses_up_to_ten_are_shown_as_they_are():
    env = SatFLEnv(overrides={"training.engine": "none"})
    env.reset(seed=0)
    loss = np.array([0.0, 0.5, 2.9, 3.1, 5.0, 9.9, 10.0, 10.1, 50.0, np.inf])
    shown = ObservationWriter(env.observation_space)(replace(env.simulation.state, last_loss=loss))["last_loss"]
    np.testing.assert_array_equal(shown, np.minimum(loss, 10.0))


@pytest.mark.parametrize("large", [0, 20, 10**6])
def test_parts_of_an_observation_are_the_same_written_alone_and_together(large, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("satfl_env.envs.spaces._LARGE", large)
    env = SatFLEnv(overrides={"training.engine": "none"})
    env.reset(seed=0)
    state = replace(env.simulation.state, energy_j=np.linspace(-1e9, 1e9, env.simulation.scene.num_satellites))
    shown = ObservationWriter(env.observation_space)(state)
    assert list(shown) == list(env.observation_space)
    assert shown in env.observation_space
    for key, space in env.observation_space.items():
        low, high = bounds(space)
        written = np.reshape(getattr(state, key), low.shape)
        np.testing.assert_array_equal(shown[key], np.clip(written, low, high), strict=False)
        assert shown[key].dtype == space.dtype
