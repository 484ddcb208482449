"""Playing episodes under policies and recording what happens, round by round."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import NamedTuple

from baselines.arrays import FloatArray
from baselines.policies import make_policy
from satfl_env import Decision, NetworkState, RoundReport, Simulation
from satfl_env.scenarios import Scenario, build

Record = dict[str, float]
Episode = list[Record]


class Run(NamedTuple):
    """One episode to play: a policy of the registry and the seed of everything random."""

    policy: str
    seed: int


def run_episode(simulation: Simulation, policy: Callable[[NetworkState], Decision], seed: int, rounds: int) -> Episode:
    """Play one episode and record it.

    Args:
        simulation: The simulation; it is reset first.
        policy: Decides every round.
        seed: Seed of the episode.
        rounds: Rounds to play, at most the scenario's `rounds.episode`.

    Returns:
        `rounds + 1` records, the first of the untrained federation: finished rounds (`round`), mean over satellites of
        the test loss and of every test metric, simulated `time_s`; and of the round just finished, over all satellites,
        `energy_j`, updates `lost`, local `epochs` and real `batches`, besides its `duration_s`.
    """
    state = simulation.reset(seed)
    nothing_yet = {"energy_j": 0.0, "duration_s": 0.0, "lost": 0.0, "epochs": 0.0, "batches": 0.0}
    episode = [_test_record(state, simulation.test.loss, simulation.test.metrics) | nothing_yet]
    for _ in range(rounds):
        state, report = simulation.step(policy(state))
        episode.append(_test_record(state, report.test_loss, report.metrics) | _cost_record(report))
    return episode


def play(scenario: Scenario, run: Run) -> Episode:
    """Play one run of a scenario from its first round to its last."""
    return run_episode(build(scenario), make_policy(*run), run.seed, scenario.rounds.episode)


def play_all(scenario: Scenario, runs: Sequence[Run], *, workers: int = 1) -> Iterator[tuple[Run, Episode]]:
    """Play several runs, in this process or in several; each is yielded as soon as it is finished.

    The number of workers changes nothing but the order in which runs finish.
    """
    if workers == 1:
        yield from ((run, play(scenario, run)) for run in runs)
        return
    # Forking a process that has used PyTorch can hang, so workers start afresh.
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        pending = {pool.submit(play, scenario, run): run for run in runs}
        try:
            for finished in as_completed(pending):
                yield pending[finished], finished.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _test_record(state: NetworkState, loss: FloatArray, metrics: Mapping[str, FloatArray]) -> Record:
    means = {name: float(values.mean()) for name, values in {"test_loss": loss, **metrics}.items()}
    return {"round": float(state.round), "time_s": float(state.time_s)} | means


def _cost_record(report: RoundReport) -> Record:
    return {
        "energy_j": float(report.energy_j.sum()),
        "duration_s": float(report.duration_s),
        "lost": float(report.lost.sum()),
        "epochs": float(report.epochs.sum()),
        "batches": float(report.batches.sum()),
    }
