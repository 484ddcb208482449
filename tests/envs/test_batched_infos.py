from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from satfl_env.envs.batched_infos import batched_infos, joined_infos, split_infos

VALUES = {
    "number": st.floats(-1, 1),
    "count": st.integers(0, 9),
    "flag": st.booleans(),
    "share": st.floats(0, 1).map(np.float32),
    "bit": st.booleans().map(np.bool_),
    "name": st.text(max_size=3),
    "row": st.integers(0, 9).map(lambda first: np.arange(first, first + 3)),
    "final_obs": st.integers(0, 9).map(lambda key: {"a": np.full(2, key)}),
    "nested": st.fixed_dictionaries({}, optional={"loss": st.floats(-1, 1), "mask": st.just(np.ones((2, 2), bool))}),
}
INFOS = st.lists(st.fixed_dictionaries({}, optional=VALUES), min_size=1, max_size=5)


def by_gymnasium(infos: list[dict[str, Any]]) -> dict[str, Any]:
    vector, batch = gym.vector.VectorEnv(), {}
    vector.num_envs = len(infos)
    for index, info in enumerate(infos):
        batch = vector._add_info(batch, info, index)
    return batch


def assert_same(one: Any, other: Any) -> None:
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key, value in one.items():
            assert_same(value, other[key])
    else:
        np.testing.assert_equal(one, other)
        assert getattr(one, "dtype", None) == getattr(other, "dtype", None)


@given(INFOS)
def test_batch_is_that_of_gymnasium(infos):
    assert_same(batched_infos(infos), by_gymnasium(infos))


@given(INFOS)
def test_split_undoes_the_batch(infos):
    split = split_infos(batched_infos(infos), len(infos))
    assert [info.keys() for info in split] == [info.keys() for info in infos]
    for found, expected in zip(split, infos, strict=True):
        np.testing.assert_equal(found, expected)


@given(INFOS, INFOS)
def test_joined_batches_are_the_batch_of_all(first, last):
    joined = joined_infos([batched_infos(first), batched_infos(last)], [len(first), len(last)])
    assert_same(joined, batched_infos([*first, *last]))
