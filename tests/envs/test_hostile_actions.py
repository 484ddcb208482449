"""Whatever is given as an action is refused by name and changes nothing, or counts as its canonical form."""

from __future__ import annotations

import array
import itertools
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from satfl_env import SatFLEnv, make_vector_env
from satfl_env.wrappers import BoxAction, DiscreteAction, ScaledObservation

OVERRIDES = {"training.engine": "none", "rounds.episode": 50}
WRAPS: dict[str, Callable[[gym.Env], gym.Env]] = {
    "native": lambda env: env,
    "box": BoxAction,
    "discrete": DiscreteAction,
    "scaled": lambda env: ScaledObservation(BoxAction(env)),
    "masked": lambda env: ScaledObservation(DiscreteAction(env)),
}


class Raises:
    def __array__(self, *args: object, **kwargs: object) -> np.ndarray:
        raise RuntimeError("no array")


class Subclass(np.ndarray):
    pass


def bits(value: Any) -> list[bytes]:
    """Every bit of a state."""
    if isinstance(value, Mapping):
        return [bit for key in sorted(value, key=repr) for bit in (repr(key).encode(), *bits(value[key]))]
    return [np.ascontiguousarray(value).tobytes() if value is not None else b"None"]


def state_of(env: gym.Env) -> list[bytes]:
    simulation = env.unwrapped.simulation.get_state()
    models = simulation.pop("models")
    return [*bits(simulation), repr(models).encode(), repr(env.unwrapped.np_random.bit_generator.state).encode()]


def with_one(valid: np.ndarray, value: Any, rng: np.random.Generator) -> np.ndarray:
    """A copy in which one number is another one, of a type that holds it."""
    changed = valid.astype(np.result_type(valid, np.asarray(value)))
    changed.flat[rng.integers(valid.size)] = value
    return changed


# Each makes something out of a valid array.
HOSTILE: list[Callable[[np.ndarray, np.random.Generator], Any]] = [
    *(
        (lambda valid, rng, value=value: with_one(valid, value, rng))
        for value in (np.nan, np.inf, -np.inf, -1e-300, -0.0, 5e-324, 1 + 2**-52, -1, -1.5, 2**31, 10**6, 1e308, 1j)
    ),
    *(
        (lambda valid, rng, kind=kind: valid.astype(kind))
        for kind in (
            "f2",
            "f4",
            "f8",
            "g",
            "i1",
            "u8",
            "i8",
            ">f8",
            ">i8",
            "c16",
            "?",
            "U8",
            "S8",
            "O",
            "m8[s]",
            "M8[s]",
        )
    ),
    lambda valid, rng: valid,
    lambda valid, rng: valid.tolist(),
    lambda valid, rng: tuple(valid.tolist()),
    lambda valid, rng: valid[:-1],
    lambda valid, rng: np.concatenate([valid, valid]),
    lambda valid, rng: valid[None],
    lambda valid, rng: valid[..., None],
    lambda valid, rng: valid.ravel()[:0],
    lambda valid, rng: valid.flat[0],
    lambda valid, rng: np.array(0.5),
    lambda valid, rng: float("nan"),
    lambda valid, rng: [*valid.tolist()[:-1], None],
    lambda valid, rng: [*valid.tolist()[:-1], "x"],
    lambda valid, rng: [*valid.tolist()[:-1], 10**30],
    lambda valid, rng: [*valid.tolist()[:-1], [1, 2, 3, 4, 5, 6, 7]],
    lambda valid, rng: [True] * len(valid),
    lambda valid, rng: None,
    lambda valid, rng: "all",
    lambda valid, rng: b"\x00" * valid.size,
    lambda valid, rng: set(),
    lambda valid, rng: {"association": valid},
    lambda valid, rng: (it for it in valid),
    lambda valid, rng: Raises(),
    lambda valid, rng: len,
    lambda valid, rng: 10**400,
    lambda valid, rng: array.array("d", [0.5] * valid.size),
    lambda valid, rng: memoryview(np.ascontiguousarray(valid)),
    lambda valid, rng: np.ma.masked_array(valid, mask=rng.random(valid.shape) < 0.3),
    lambda valid, rng: np.ma.masked_array(valid),
    lambda valid, rng: valid.view(Subclass),
    lambda valid, rng: np.repeat(valid, 2, axis=-1)[..., ::2],
    lambda valid, rng: valid[::-1],
    lambda valid, rng: np.asfortranarray(valid),
    lambda valid, rng: read_only(valid),
    lambda valid, rng: valid.astype([("x", valid.dtype)]),
]


def read_only(valid: np.ndarray) -> np.ndarray:
    valid = valid.copy()
    valid.setflags(write=False)
    return valid


def canonical(value: Any, space: spaces.Space) -> np.ndarray | None:
    """The array of the space's own type that a value stands for, number by number; None if there is none."""
    try:
        found = np.asarray(value)
    except Exception:
        return None
    discrete = isinstance(space, spaces.MultiDiscrete)
    kinds = "iu" if np.issubdtype(space.dtype, np.integer) else "iuf"
    if np.ma.is_masked(value) or found.shape != space.shape or found.dtype.kind not in kinds:
        return None
    high = (space.nvec - 1 if discrete else space.high).ravel().tolist()
    low = (space.nvec * 0 if discrete else space.low).ravel().tolist()
    for least, number, most in zip(low, found.ravel().tolist(), high, strict=True):
        if not least <= number <= most:
            return None
    return found.astype(space.dtype)


def twisted(space: spaces.Space, rng: np.random.Generator) -> tuple[Any, Any, str]:
    """A hostile action, what it stands for, and the name that a message about it has to hold."""
    action = space.sample()
    if not isinstance(space, spaces.Dict):
        value = HOSTILE[rng.integers(len(HOSTILE))](action, rng)
        return value, canonical(value, space), "action"
    if rng.random() < 0.1:
        missing = {key: value for key, value in action.items() if key != "cluster"}
        whole = (None, 5, "all", [*action.values()], missing, {**action, "colour": 1}, {}, np.zeros(3), set(action))
        return whole[rng.integers(len(whole))], None, "action must be a dict with the keys"
    key = list(action)[rng.integers(len(action))]
    action[key] = value = HOSTILE[rng.integers(len(HOSTILE))](action[key], rng)
    parts = {name: canonical(action[name], space[name]) for name in action}
    return action, None if parts[key] is None else parts, f"action['{key}']"


def same(one: Any, other: Any) -> bool:
    return bits(one) == bits(other) if isinstance(one, Mapping) else np.array_equal(one, other)


def play(env: Any, twin: Any, states: Callable[[Any], Any], count: int) -> dict[str, int]:
    """Give both environments the same rounds, one of them in hostile forms and among what it has to refuse."""
    rng, seeds = np.random.default_rng(0), itertools.count()
    env.action_space.seed(0)
    counts = {"refused": 0, "played": 0}
    over = True
    for number in range(count):
        if over:
            seed = next(seeds)
            env.reset(seed=seed)
            twin.reset(seed=seed)
        over = False
        action, meant, name = twisted(env.action_space, rng)
        if meant is None:
            with pytest.raises(ValueError, match=r"must") as refusal:
                env.step(action)
            assert name in str(refusal.value), (name, str(refusal.value))
            counts["refused"] += 1
        else:
            found, expected = env.step(action), twin.step(meant)
            assert same(found[0], expected[0])
            assert all(np.array_equal(one, other) for one, other in zip(found[1:4], expected[1:4], strict=True))
            counts["played"] += 1
            over = bool(np.any(found[2]) or np.any(found[3]))
        assert states(env) == states(twin), (number, action)
    return counts


def play_face(face: str, count: int) -> dict[str, int]:
    if face in WRAPS:
        env, twin = (WRAPS[face](SatFLEnv(overrides=OVERRIDES)) for _ in range(2))
        return play(env, twin, state_of, count)
    wrap, workers = face.split("-")
    make = {"autoreset_mode": "Disabled", "wrap": WRAPS[wrap], "overrides": OVERRIDES}
    envs, twin = (make_vector_env(2, workers=number, **make) for number in (int(workers), 1))
    try:
        return play(envs, twin, lambda each: each.apply(state_of), count)
    finally:
        envs.close()


@pytest.mark.parametrize("face", [*WRAPS, "native-1", "box-1"])
def test_hostile_actions_leave_an_environment_equal_to_its_twin(face: str):
    counts = play_face(face, 60)
    assert min(counts.values()) > 5, counts


@pytest.mark.slow
@pytest.mark.parametrize("face", [*WRAPS, "native-1", "box-1", "discrete-1", "native-2", "masked-2"])
def test_ten_thousand_hostile_actions_through_each_face(face: str):
    print(face, play_face(face, 10_000))
