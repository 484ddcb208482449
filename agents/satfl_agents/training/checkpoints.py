"""Everything that a training run depends on, so that it goes on bit for bit after it was killed.

It holds the learner (networks, optimisers, replay buffer, counters, what it saw last), the environments, and the
global generators from which Stable-Baselines3 draws, as numbers, arrays and tensors that `satfl_baselines.checkpoint`
writes. It must be taken before a rollout begins.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from sb3_contrib.common.recurrent.type_aliases import RNNStates
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.save_util import recursive_getattr
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper, VecNormalize

from satfl_agents.envs.episodes import EpisodeRecorder
from satfl_agents.envs.vec_env import SatFLVecEnv
from satfl_agents.surroundings import generators, set_generators

# Of a learner, where it has them.
_COUNTERS = (
    "num_timesteps",
    "_episode_num",
    "_n_updates",
    "_current_progress_remaining",
    "_last_obs",
    "_last_original_obs",
    "_last_episode_starts",
)
_STATISTICS = ("ep_info_buffer", "ep_success_buffer")
_NORMALISATION = ("returns", "old_obs", "old_reward")


def training_state(learner: BaseAlgorithm) -> dict[str, Any]:
    """The state of a learner, its environments and the global generators."""
    _, tensors = learner._get_torch_save_params()
    return {
        "counters": {name: getattr(learner, name) for name in _COUNTERS if hasattr(learner, name)},
        "statistics": {name: list(getattr(learner, name) or ()) for name in _STATISTICS},
        "memory": _memory_state(learner),
        "parameters": learner.get_parameters(),
        "tensors": {name: recursive_getattr(learner, name) for name in tensors},
        "replay": _replay_state(getattr(learner, "replay_buffer", None)),
        "actions": learner.action_space.np_random.bit_generator.state,
        "environments": [_environment_state(envs) for envs in _layers(learner.env)],
        "generators": generators(),
    }


def set_training_state(learner: BaseAlgorithm, state: dict[str, Any]) -> None:
    """Go back to a state taken by `training_state` of a learner made in the same way."""
    for layer, its in zip(_layers(learner.env), state["environments"], strict=True):
        _set_environment_state(layer, its)
    vars(learner).update(state["counters"])
    for name, values in state["statistics"].items():
        setattr(learner, name, deque(values, maxlen=learner._stats_window_size))
    if state["memory"] is not None:
        vars(learner)["_last_lstm_states"] = RNNStates(*state["memory"])
    learner.set_parameters(state["parameters"])
    for name, value in state["tensors"].items():
        if value is not None:
            recursive_getattr(learner, name).data.copy_(value.data)
    _set_replay_state(getattr(learner, "replay_buffer", None), state["replay"])
    learner.action_space.np_random.bit_generator.state = state["actions"]
    set_generators(state["generators"])


def _layers(envs: VecEnv | None) -> Iterator[VecEnv]:
    """The environments and the wrappers around them, the outermost first."""
    while isinstance(envs, VecEnvWrapper):
        yield envs
        envs = envs.venv
    assert envs is not None
    yield envs


def _environment_state(envs: VecEnv) -> Any:
    if isinstance(envs, VecNormalize):
        return {name: getattr(envs, name) for name in _NORMALISATION} | {"ret_rms": vars(envs.ret_rms)}
    if isinstance(envs, EpisodeRecorder):
        return envs.get_state()
    assert isinstance(envs, SatFLVecEnv)
    # The last round is for pictures alone, and made of objects.
    return [state | {"last_round": None} for state in envs.env_method("get_state")]


def _set_environment_state(envs: VecEnv, state: Any) -> None:
    if isinstance(envs, VecNormalize):
        vars(envs.ret_rms).update(state["ret_rms"])
        vars(envs).update({name: state[name] for name in _NORMALISATION})
    elif isinstance(envs, EpisodeRecorder):
        envs.set_state(state)
    else:
        assert isinstance(envs, SatFLVecEnv)
        envs.vector.reset()
        envs.vector.apply_each([(index, partial(_set_state, state=its)) for index, its in enumerate(state)])


def _set_state(env: Any, state: dict[str, Any]) -> None:
    env.get_wrapper_attr("set_state")(state)


def _memory_state(learner: BaseAlgorithm) -> tuple[Any, ...] | None:
    """What a recurrent learner remembers of the episodes under way."""
    memory = getattr(learner, "_last_lstm_states", None)
    return None if memory is None else tuple(memory)


def _replay_state(buffer: ReplayBuffer | None) -> dict[str, Any] | None:
    """What a replay buffer holds so far."""
    if buffer is None:
        return None
    filled = buffer.buffer_size if buffer.full else buffer.pos
    arrays = {name: array[:filled] for name, array in _arrays(buffer)}
    return {"position": buffer.pos, "full": buffer.full, "arrays": arrays}


def _set_replay_state(buffer: ReplayBuffer | None, state: dict[str, Any] | None) -> None:
    if buffer is None or state is None:
        return
    buffer.pos, buffer.full = state["position"], state["full"]
    for name, array in _arrays(buffer):
        saved = state["arrays"][name]
        array[: len(saved)] = saved


def _arrays(buffer: ReplayBuffer) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    """The arrays of a replay buffer by name; those of observations in parts by part."""
    for name, value in vars(buffer).items():
        if isinstance(value, np.ndarray):
            yield name, value
        elif isinstance(value, dict):
            yield from ((f"{name}.{part}", array) for part, array in value.items() if isinstance(array, np.ndarray))
