"""Playing episodes under policies and recording what happens, round by round."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from satfl_baselines.arrays import BoolArray, FloatArray
from satfl_baselines.jobs import ENGINES, EngineName, require_picklable
from satfl_baselines.policies import make_policy
from satfl_baselines.qualified import qualified_name
from satfl_env import Decision, NetworkState, Outcome, Reward, RewardChoice, RoundReport, Simulation, check_decision
from satfl_env.arguments import checked_integer
from satfl_env.scenarios import Scenario, Target, build, load
from satfl_env.scenarios.errors import prefixed
from satfl_env.settings import MOST_WORKERS

Record = dict[str, float]
Episode = list[Record]
Decide = Callable[[NetworkState], Decision]

# Added up over satellites and over the rounds of an episode; with satellites by the name of their outcome.
COSTS = (
    "energy_j",
    "lost",
    *(outcome.name.lower() for outcome in Outcome),
    "untestable",
    "epochs",
    "batches",
    "download_bits",
    "upload_bits",
)
# What a round that is not played costs.
NOT_PLAYED = dict.fromkeys(("reward", "duration_s", *COSTS), 0.0)


class PlayedRound(NamedTuple):
    """The untrained federation, or a round of an episode.

    Attributes:
        record: What `run_episode` records of it.
        simulation: The simulation after it.
        decision: What was decided; None for the untrained federation.
        report: What happened; None for the untrained federation.
    """

    record: Record
    simulation: Simulation
    decision: Decision | None = None
    report: RoundReport | None = None


class Run(NamedTuple):
    """One episode to play: the name of a policy and the seed of everything random."""

    policy: str
    seed: int


def run_episode(
    scenario: Scenario | str | Path,
    policy: Decide | str,
    seed: int,
    *,
    parts: Mapping[str, Any] | None = None,
    reward: RewardChoice | None = None,
) -> Episode:
    """Play one episode of a scenario and record it, to its last round or until it reaches the scenario's target.

    Args:
        scenario: A scenario, its built-in name, or the path of a YAML file.
        policy: Decides every round: a function `NetworkState -> Decision`, or a name in the registry.
        seed: Seed of the episode, and of a policy of the registry.
        parts: Your own parts in place of the scenario's.
        reward: Names of terms with weights, functions `RoundReport -> float`, or both, as for the environment.

    Returns:
        One record for the untrained federation and one for each round played: finished rounds (`round`), mean over
        satellites of the test loss and of every test metric, simulated `time_s`, number of `clusters`; and of the
        round just finished its `reward`, its `duration_s` and, over all satellites, `energy_j`, updates `lost`,
        satellites of each `Outcome` by its name in small letters (`returned`, `out_of_energy`, `diverged`, ...), models
        `untestable`, local `epochs`, real `batches`, `download_bits` and `upload_bits`. With tasks also test
        loss and metrics of each, `<metric>/<task>`, and for every two the share of their satellites' pairs that are in
        one cluster, `together/<task>+<task>`. With final SNRs in the scenario also the test of each gateway's model,
        `<metric>/gateway <g>`, and in the last record at each SNR `<metric>@<snr>/gateway <g>` with their mean
        `<metric>@<snr>`.

    Raises:
        ValueError: If the scenario, the policy's name, a part or the reward is not valid, the scenario's target names
            no test metric, or a decision does not fit the network; the message names the policy, round and satellite.
            If a reward is not finite; the message names the policy, round and term.
        TypeError: If the policy is neither a function of one argument nor a name, or a reward is no number.
        RuntimeError: If the policy itself raises; the message says where.
    """
    return [played.record for played in play_rounds(scenario, policy, seed, parts=parts, reward=reward)]


def play_rounds(
    scenario: Scenario | str | Path,
    policy: Decide | str,
    seed: int,
    *,
    parts: Mapping[str, Any] | None = None,
    reward: RewardChoice | None = None,
) -> Iterator[PlayedRound]:
    """Play the same episode round by round, for those who want to see more of it than `run_episode` records.

    Each is played when it is asked for, and has the same simulation, which goes on. Arguments and errors are those of
    `run_episode`.
    """
    scenario = loaded(scenario)
    decide = function_of(policy, seed, scenario.name)
    judge = Reward.of(scenario, reward)
    return _play(build(scenario, parts=parts), scenario, decide, policy_name(policy), seed, judge)


def loaded(scenario: Scenario | str | Path) -> Scenario:
    """A scenario as it is, or the one of a name or path."""
    return scenario if isinstance(scenario, Scenario) else load(scenario)


def function_of(policy: Decide | str, seed: int, scenario: str) -> Decide:
    """The policy that a function is, or that a name in the registry stands for; see `make_policy`."""
    return make_policy(policy, seed, scenario) if isinstance(policy, str) else require_function("policy", policy)


def require_function(name: str, policy: Decide) -> Decide:
    """The policy; raises `TypeError` if it cannot be called with a state alone."""
    if not callable(policy):
        raise TypeError(f"{name} must be a function NetworkState -> Decision, got {policy!r}")
    with suppress(ValueError):  # what is written in C may not tell its arguments
        try:
            inspect.signature(policy).bind(None)
        except TypeError as error:
            raise TypeError(
                f"{name} must be a function NetworkState -> Decision, got {qualified_name(policy)}: {error}"
            ) from error
    return policy


def _play(
    simulation: Simulation, scenario: Scenario, decide: Decide, policy: str, seed: int, judge: Reward
) -> Iterator[PlayedRound]:
    final_snrs_db, target = scenario.model.channel.final_snrs_db, scenario.target
    state = simulation.reset(seed)
    tasks, test = simulation.tasks, simulation.test
    _reached(target, test.metrics)  # raises at once if there is no such metric
    members = {task: np.array(tasks) == task for task in dict.fromkeys(tasks)}
    gateway_record = partial(_gateway_record, simulation) if final_snrs_db else dict[str, float]
    untrained = _test_record(state, test.loss, test.metrics, members) | NOT_PLAYED | gateway_record()
    yield PlayedRound(untrained, simulation)
    over = False
    while not over:
        whose = in_round(policy, state, seed)
        decision = decided(decide, state, whose)
        state, report = simulation.step(decision)
        record = _test_record(state, report.test_loss, report.metrics, members) | _cost_record(report)
        ended = _reached(target, report.metrics)
        over = ended or simulation.finished
        record["reward"] = _rewarded(judge, report, ended, whose)
        record |= gateway_record()
        for snr_db in final_snrs_db if over else ():
            record |= _gateway_record(simulation, snr_db)
        yield PlayedRound(record, simulation, decision, report)


def policy_name(policy: Decide | str) -> str:
    """What messages call a policy."""
    return policy if isinstance(policy, str) else qualified_name(policy)


def in_round(policy: str, state: NetworkState, seed: int) -> str:
    """Where a policy is, for messages."""
    return f"the policy {policy} in round {state.round} of seed {seed}"


def decided(decide: Decide, state: NetworkState, whose: str) -> Decision:
    """The decision of a policy, which fits the state; errors say whose it is."""
    try:
        decision = decide(state)
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        raise RuntimeError(
            f"{whose} failed at {place.filename}, line {place.lineno}: {type(error).__name__}: {error}"
        ) from error
    with prefixed(f"{whose}: "):
        check_decision(decision, state)
    return decision


def _rewarded(judge: Reward, report: RoundReport, ended: bool, whose: str) -> float:
    """The reward of a round; errors say whose it is."""
    try:
        return judge.total(judge.terms(report, ended=ended))
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"the reward of {whose}: {error}") from error


def _reached(target: Target | None, metrics: Mapping[str, FloatArray]) -> bool:
    return target is not None and target.reached(metrics)


def play_all(
    scenario: Scenario,
    runs: Sequence[Run],
    *,
    own: Mapping[str, Decide],
    parts: Mapping[str, Any] | None = None,
    reward: RewardChoice | None = None,
    workers: int | None = None,
    engine: str = EngineName.PROCESSES,
) -> Iterator[tuple[Run, Episode]]:
    """Play several runs, in this process, in several or on a cluster; each is yielded as soon as it is finished.

    Policies that are not in `own` are the registry's. Workers and engine change nothing but the order in which runs
    finish.

    Raises:
        TypeError: If the number of workers is no integer.
        ValueError: If there is no such engine, there are too many workers, or what is played in other processes and an
            own policy, part or reward cannot be sent to them.
        RuntimeError: If a worker dies.
    """
    play = partial(run_episode, scenario, parts=parts, reward=reward)
    if engine not in ENGINES:
        raise ValueError(f"engine must be one of {', '.join(ENGINES)}, got {engine!r}")
    if workers is not None:
        workers = checked_integer("workers", workers, 1, MOST_WORKERS)
    if ((workers or 1) > 1 or engine != EngineName.PROCESSES) and runs:
        require_picklable("policy", own)
        require_picklable("part", parts or {})
        require_picklable("own", {"reward": reward})
    jobs = {run: partial(play, own.get(run.policy, run.policy), run.seed) for run in runs}
    return ENGINES[engine](jobs, workers)


def _test_record(
    state: NetworkState, loss: FloatArray, metrics: Mapping[str, FloatArray], members: Mapping[str, BoolArray]
) -> Record:
    results = {"test_loss": loss, **metrics}
    same = state.cluster[:, None] == state.cluster
    return {
        "round": float(state.round),
        "time_s": float(state.time_s),
        **{name: float(values.mean()) for name, values in results.items()},
        "clusters": float(len(np.unique(state.cluster))),
        **{
            f"{name}/{task}": float(values[own].mean())
            for name, values in results.items()
            for task, own in members.items()
        },
        **{
            f"together/{one}+{two}": float(same[members[one]][:, members[two]].mean())
            for one, two in combinations(members, 2)
        },
    }


def _gateway_record(simulation: Simulation, snr_db: float | None = None) -> Record:
    """The test of each gateway's model; at another SNR than usual also the mean over the gateways that hold one."""
    at = "" if snr_db is None else f"@{snr_db:g}"
    metrics = simulation.test_gateways(snr_db).metrics
    record = {
        f"{name}{at}/gateway {g}": float(value) for name, values in metrics.items() for g, value in enumerate(values)
    }
    if snr_db is None:
        return record
    return record | {f"{name}{at}": float(values[np.isfinite(values)].mean()) for name, values in metrics.items()}


def _cost_record(report: RoundReport) -> Record:
    return {
        "energy_j": float(report.energy_j.sum()),
        "duration_s": float(report.duration_s),
        "lost": float(report.lost.sum()),
        **{outcome.name.lower(): float((report.outcome == outcome).sum()) for outcome in Outcome},
        "untestable": float(report.untestable.sum()),
        "epochs": float(report.epochs.sum()),
        "batches": float(report.batches.sum()),
        "download_bits": float(report.download_bits.sum()),
        "upload_bits": float(report.upload_bits.sum()),
    }
