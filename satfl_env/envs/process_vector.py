"""Many environments divided among processes; each process plays its environments as one job."""

from __future__ import annotations

import pickle
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from satfl_env.arguments import checked_integer
from satfl_env.envs.batched_infos import joined_infos
from satfl_env.envs.spaces import BoolArray
from satfl_env.envs.vector import AppliedVectorEnv, Function, SatFLVectorEnv, Step
from satfl_env.federated import WorkerError, Workers, available_cores, packed
from satfl_env.settings import MOST_WORKERS


class ProcessVectorEnv(AppliedVectorEnv):
    """Several `SatFLVectorEnv`s, each in a separate process with some of the environments.

    It behaves as one `SatFLVectorEnv` of all of them. The processes start a fresh Python, so a script needs
    `if __name__ == "__main__":`.

    An error in an environment comes back as the error itself, caused by a `WorkerError` with its traceback; the
    environments of the other processes have then played their round, and the next step asks for a reset of all. If a
    request breaks off before all have answered, by an interrupt or since a process dies, the vector environment is
    closed and says so from then on. It cannot be copied, and it stays with the process that made it.

    Args:
        num_envs: Number of environments.
        workers: Number of processes, from 1 to `num_envs`, at most 256; None means one per core.
        autoreset_mode: As for `SatFLVectorEnv`.
        **kwargs: Other arguments of `SatFLVectorEnv`; `wrap` and a reward function may be lambdas.

    Raises:
        TypeError: If an argument has the wrong type or cannot be sent to a process.
        ValueError: If an argument is out of range.
        WorkerError: If a process dies, here or in any method; all environments are then lost.
    """

    def __init__(
        self,
        num_envs: int,
        *,
        workers: int | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_envs, autoreset_mode)
        workers = _num_workers(workers, num_envs)
        self._bounds = [number * num_envs // workers for number in range(workers + 1)]
        self._sizes = np.diff(self._bounds).tolist()
        kwargs["autoreset_mode"] = self.autoreset_mode
        makers = [
            packed("an argument", partial(_Environments, first, size, kwargs))
            for first, size in zip(self._bounds[:-1], self._sizes, strict=True)
        ]
        self._workers = Workers(makers, name="satfl-envs", lost="its environments are lost")
        try:
            described = self._ask("describe", dict.fromkeys(range(workers), ()))[0]
        except BaseException:
            self._workers.close()
            raise
        self.metadata, self.render_mode, self.single_action_space, self.single_observation_space = described
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self._observations: list[Any] = [None] * workers
        self.closed = False

    def __getstate__(self) -> dict[str, Any]:
        raise TypeError("a ProcessVectorEnv cannot be copied or pickled: its environments live in other processes")

    def close_extras(self, **kwargs: Any) -> None:
        """End the processes."""
        self._workers.close()

    def _reset_chosen(self, chosen: BoolArray, seeds: Sequence[int | None]) -> tuple[Any, dict[str, Any]]:
        answers = self._ask(
            "reset",
            {
                worker: (seeds[first:last], {"reset_mask": chosen[first:last]})
                for worker, (first, last) in enumerate(pairwise(self._bounds))
                if chosen[first:last].any()
            },
        )
        infos: list[dict[str, Any]] = [{} for _ in self._sizes]
        for worker, (observations, info) in answers.items():
            self._observations[worker], infos[worker] = observations, info
        return _joined(self._observations), joined_infos(infos, self._sizes)

    def _play(self, actions: Any, played: BoolArray) -> Step:
        self._broken_off[:] = True
        answers = self._ask(
            "step",
            {worker: (_part(actions, first, last),) for worker, (first, last) in enumerate(pairwise(self._bounds))},
        )
        observations, *outcomes, infos = zip(*answers.values(), strict=True)
        self._observations = list(observations)
        rewards, terminations, truncations = map(np.concatenate, outcomes)
        return _joined(observations), rewards, terminations, truncations, joined_infos(infos, self._sizes)

    def _apply(self, functions: Sequence[tuple[int, Function]]) -> tuple[Any, ...]:
        owners = [bisect_right(self._bounds, index) - 1 for index, _ in functions]
        asked: dict[int, list[tuple[int, Function]]] = {}
        for owner, (index, function) in zip(owners, functions, strict=True):
            asked.setdefault(owner, []).append((index - self._bounds[owner], function))
        answers = self._ask("apply", {worker: (each,) for worker, each in asked.items()})
        results = {worker: iter(answer) for worker, answer in answers.items()}
        return tuple(next(results[owner]) for owner in owners)

    @property
    def _why_closed(self) -> str:
        return self._workers.why_closed or super()._why_closed

    def _ask(self, name: str, asked: Mapping[int, tuple[Any, ...]]) -> dict[int, Any]:
        """Call a method in some workers at once, each with its own arguments; the answers are in the same order."""
        requests = {worker: packed(f"an argument of {name}", (name, args)) for worker, args in asked.items()}
        try:
            answers = self._workers.ask(requests)
        except BaseException:
            self.closed = True
            raise
        for worker, (_, failure) in answers.items():
            if failure:
                first, last = self._bounds[worker], self._bounds[worker + 1] - 1
                where = f"in {self._workers.name(worker)}, environments {first} to {last}"
                raise failure.error from WorkerError(f"{where}:\n{failure.trace}")
        return {worker: value for worker, (value, _) in answers.items()}


def make_vector_env(num_envs: int = 1, *, workers: int | None = 1, **kwargs: Any) -> SatFLVectorEnv | ProcessVectorEnv:
    """Entry point of `gymnasium.make_vec("SatFL-v0", vectorization_mode="vector_entry_point")`.

    Args:
        num_envs: Number of environments.
        workers: Processes to divide them among; with 1 all are played in this one. None means one per core.
        **kwargs: Arguments of `SatFLVectorEnv`.

    Raises:
        ValueError: If an argument is out of range.
    """
    if _num_workers(workers, checked_integer("num_envs", num_envs, 1)) == 1:
        return SatFLVectorEnv(num_envs, **kwargs)
    return ProcessVectorEnv(num_envs, workers=workers, **kwargs)


def _num_workers(workers: int | None, num_envs: int) -> int:
    """Number of processes for some environments: as given, or one per core."""
    most = min(num_envs, MOST_WORKERS)
    return min(most, available_cores()) if workers is None else checked_integer("workers", workers, 1, most)


class _Environments:
    """Answers requests with environments of this process, of which the first has a number in all processes."""

    def __init__(self, first_number: int, num_envs: int, kwargs: Mapping[str, Any]) -> None:
        self._envs = SatFLVectorEnv(num_envs, **kwargs)
        self._envs.first_number = first_number

    def __call__(self, request: bytes) -> Any:
        name, args = pickle.loads(request)
        return _DO[name](self._envs, *args)


def _describe(envs: SatFLVectorEnv) -> tuple[Any, ...]:
    return envs.metadata, envs.render_mode, envs.single_action_space, envs.single_observation_space


_DO: Mapping[str, Callable[..., Any]] = {
    "describe": _describe,
    "reset": lambda envs, seeds, options: envs.reset(seed=seeds, options=options),
    "step": lambda envs, actions: envs.step(actions),
    "apply": lambda envs, functions: envs.apply_each(functions),
}


def _part(batch: Any, first: int, last: int) -> Any:
    """Some rows of a batch of actions."""
    if isinstance(batch, Mapping):
        return {key: _part(value, first, last) for key, value in batch.items()}
    return batch[first:last]


def _joined(batches: Sequence[Any]) -> Any:
    """Batches of observations as one."""
    if isinstance(batches[0], Mapping):
        return {key: _joined([batch[key] for batch in batches]) for key in batches[0]}
    return np.concatenate(batches)
