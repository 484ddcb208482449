"""Many environments divided among processes; each process plays its environments as one job."""

from __future__ import annotations

import pickle
import signal
import traceback
from collections.abc import Callable, Mapping, Sequence
from itertools import chain, pairwise
from multiprocessing import connection, get_context
from typing import Any

import cloudpickle
import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from satfl_env.envs.spaces import check_batch
from satfl_env.envs.vector import AnyEnv, AppliedVectorEnv, SatFLVectorEnv, Step, checked_mask, seed_list
from satfl_env.federated import WorkerError, dead_worker


class ProcessVectorEnv(AppliedVectorEnv):
    """Several `SatFLVectorEnv`s, each in a separate process with some of the environments.

    It behaves as one `SatFLVectorEnv` of all of them, with one difference: if an action is outside its space, the
    environments of the other processes have played their round. The processes start a fresh Python, so a script needs
    `if __name__ == "__main__":`.

    Args:
        num_envs: Number of environments.
        workers: Number of processes, from 1 to `num_envs`.
        autoreset_mode: As for `SatFLVectorEnv`.
        **kwargs: Other arguments of `SatFLVectorEnv`; `wrap` and a reward function may be lambdas.

    Raises:
        ValueError: If there are fewer environments than workers, or an argument is out of range.
        WorkerError: If a process dies, here or in any method; its environments are then lost.
    """

    def __init__(
        self,
        num_envs: int,
        *,
        workers: int,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        **kwargs: Any,
    ) -> None:
        if not 1 <= workers <= num_envs:
            raise ValueError(f"workers must lie in 1..num_envs = {num_envs}, got {workers}")
        self.num_envs = num_envs
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self._bounds = [number * num_envs // workers for number in range(workers + 1)]
        context = get_context("spawn")
        self._pipes: list[connection.Connection] = []
        self._processes = []
        for number, (first, last) in enumerate(pairwise(self._bounds)):
            ours, theirs = context.Pipe()
            make = cloudpickle.dumps((first, last - first, {"autoreset_mode": autoreset_mode, **kwargs}))
            process = context.Process(target=_serve, args=(theirs, make), name=f"satfl-envs-{number}", daemon=True)
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self._processes.append(process)
        try:
            described = self._ask("describe", dict.fromkeys(range(workers), ()))[0]
        except BaseException:
            self.close()
            raise
        self.metadata, self.render_mode, self.single_action_space, self.single_observation_space = described
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self._observations: list[Any] = [None] * workers

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start an episode in every environment; see `SatFLVectorEnv.reset`."""
        seeds, others = seed_list(seed, self.num_envs), dict(options or {})
        mask = checked_mask(others.pop("reset_mask", np.ones(self.num_envs, dtype=np.bool_)), self.num_envs)
        asked = {
            worker: (seeds[first:last], others | {"reset_mask": mask[first:last]})
            for worker, (first, last) in enumerate(pairwise(self._bounds))
            if mask[first:last].any()
        }
        answers = self._ask("reset", asked)
        infos: list[dict[str, Any]] = [{} for _ in self._pipes]
        for worker, (observations, info) in answers.items():
            self._observations[worker], infos[worker] = observations, info
        return _joined(self._observations), self._joined_infos(infos)

    def step(self, actions: Any) -> Step:
        """Play one communication round in every environment; see `SatFLVectorEnv.step`."""
        check_batch(actions, self.action_space, self.num_envs)
        asked = {worker: (_part(actions, first, last),) for worker, (first, last) in enumerate(pairwise(self._bounds))}
        answers = self._ask("step", asked)
        columns = list(zip(*(answers[worker] for worker in asked), strict=True))
        self._observations = list(columns[0])
        rewards, terminations, truncations = (np.concatenate(column) for column in columns[1:4])
        return _joined(self._observations), rewards, terminations, truncations, self._joined_infos(columns[4])

    def apply(self, function: Callable[[AnyEnv], Any], indices: Sequence[int] | None = None) -> tuple[Any, ...]:
        """The results of a function for some of the environments, called in their processes; None means all."""
        chosen = np.arange(self.num_envs) if indices is None else np.asarray(indices, dtype=np.int64)
        owner = np.searchsorted(self._bounds, chosen, side="right") - 1
        packed = cloudpickle.dumps(function)
        asked = {
            worker: (packed, (chosen[owner == worker] - self._bounds[worker]).tolist())
            for worker in np.unique(owner).tolist()
        }
        answers = {worker: iter(answer) for worker, answer in self._ask("apply", asked).items()}
        return tuple(next(answers[worker]) for worker in owner.tolist())

    def close_extras(self, **kwargs: Any) -> None:
        """End the processes."""
        for process in self._processes:
            process.terminate()
        for process, pipe in zip(self._processes, self._pipes, strict=True):
            process.join()
            pipe.close()

    def _ask(self, name: str, asked: Mapping[int, tuple[Any, ...]]) -> dict[int, Any]:
        """Call a method in some workers at once, each with its own arguments; the answers are in the same order."""
        for worker, args in asked.items():
            try:
                self._pipes[worker].send((name, args))
            except OSError as error:
                raise dead_worker(self._processes[worker], "its environments are lost") from error
        answers, failures = {}, []
        for worker in asked:
            try:
                answers[worker], failure = self._pipes[worker].recv()
            except (EOFError, OSError) as error:
                raise dead_worker(self._processes[worker], "its environments are lost") from error
            failures += [failure] if failure else []
        if failures:
            cause, trace = failures[0]
            raise cause from WorkerError(trace)
        return answers

    def _joined_infos(self, infos: Sequence[dict[str, Any]]) -> dict[str, Any]:
        return _join_infos(infos, np.diff(self._bounds).tolist())


def make_vector_env(num_envs: int = 1, *, workers: int = 1, **kwargs: Any) -> SatFLVectorEnv | ProcessVectorEnv:
    """Entry point of `gymnasium.make_vec("SatFL-v0", vectorization_mode="vector_entry_point")`.

    Args:
        num_envs: Number of environments.
        workers: Processes to divide them among; with 1 all are played in this one.
        **kwargs: Arguments of `SatFLVectorEnv`.

    Raises:
        ValueError: If an argument is out of range.
    """
    if workers == 1:
        return SatFLVectorEnv(num_envs, **kwargs)
    return ProcessVectorEnv(num_envs, workers=workers, **kwargs)


def _serve(pipe: connection.Connection, packed: bytes) -> None:
    """Make environments and answer requests until the other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles the interrupt and ends its workers
    envs: SatFLVectorEnv | None = None
    while True:
        try:
            name, args = pipe.recv()
        except (EOFError, OSError):
            return
        answer, failure = None, None
        try:
            if envs is None:
                first, num_envs, kwargs = cloudpickle.loads(packed)
                envs = SatFLVectorEnv(num_envs, **kwargs)
                envs.first_number = first
            answer = _DO[name](envs, *args)
        except Exception as error:
            failure = _portable(error), traceback.format_exc()
        pipe.send((answer, failure))


def _describe(envs: SatFLVectorEnv) -> tuple[Any, ...]:
    return envs.metadata, envs.render_mode, envs.single_action_space, envs.single_observation_space


_DO: Mapping[str, Callable[..., Any]] = {
    "describe": _describe,
    "reset": lambda envs, seeds, options: envs.reset(seed=seeds, options=options),
    "step": lambda envs, actions: envs.step(actions),
    "apply": lambda envs, packed, indices: envs.apply(cloudpickle.loads(packed), indices),
}


def _portable(error: Exception) -> Exception:
    """The error itself if it can be sent through a pipe, else a `WorkerError` with its text."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return WorkerError(f"{type(error).__name__}: {error}")
    return error


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


def _join_infos(infos: Sequence[dict[str, Any]], sizes: Sequence[int]) -> dict[str, Any]:
    """Gymnasium's batched infos of several vectors as those of one; missing entries are blank."""
    joined: dict[str, Any] = {}
    for key in dict.fromkeys(chain.from_iterable(infos)):
        found = next(info[key] for info in infos if key in info)
        if isinstance(found, dict):
            joined[key] = _join_infos([info.get(key, {}) for info in infos], sizes)
        else:
            rows = (info[key] if key in info else _blank(found, size) for info, size in zip(infos, sizes, strict=True))
            joined[key] = np.concatenate(list(rows))
    return joined


def _blank(like: NDArray[Any], size: int) -> NDArray[Any]:
    shape = (size, *like.shape[1:])
    return np.full(shape, None) if like.dtype == object else np.zeros(shape, like.dtype)
