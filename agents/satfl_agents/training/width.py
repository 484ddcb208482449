"""What wide observations cost a learner: flat ones of a large constellation are millions of numbers."""

from __future__ import annotations

from gymnasium import spaces
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from satfl_agents.algorithms.algorithm import algorithm
from satfl_agents.forms.form import wrapped
from satfl_agents.training.assignment import Assignment
from satfl_env import SatFLEnv
from satfl_env.memory import check_fits, gigabytes
from satfl_env.settings import default_of

# Observations that have more numbers are told.
WIDE = 1_000_000
_PER_NUMBER = 4
# A weight, its gradient and Adam's two moments, in the networks of the policy and of the value.
_PER_WEIGHT = 2 * 4 * _PER_NUMBER


def told_width(assignment: Assignment) -> str:
    """A line about flat observations that are very wide, with the memory that they take; empty if they are not.

    Raises:
        ValueError: If this machine has not so much memory.
    """
    settings = assignment.hyperparameters
    env = wrapped(SatFLEnv(assignment.scenario, **assignment.brought), settings.observation, settings.action)
    space = env.observation_space
    if not isinstance(space, spaces.Box) or (numbers := spaces.flatdim(space)) <= WIDE:
        return ""
    num_bytes = needed_bytes(assignment, numbers)
    what = (
        f"observations of the form {settings.observation.kind!r} have {numbers:,} numbers each, of which "
        f"{assignment.algo} keeps {observations_kept(assignment):,}, and layers as wide"
    )
    instead = "--hyper observation=sets --hyper network.kind=sets has small layers for rows of satellites and pairs"
    try:
        check_fits(num_bytes, what)
    except ValueError as error:
        raise ValueError(f"{error}; {instead}") from error
    return f"{what}: about {gigabytes(num_bytes)} of memory; {instead}"


def needed_bytes(assignment: Assignment, numbers: int) -> float:
    """Memory for observations of so many numbers that are kept, and for the layers that see one."""
    network = assignment.hyperparameters.network
    wide_layer = network.hidden[0] if network.kind == "layers" and network.hidden else 0
    return float(numbers) * (_PER_NUMBER * observations_kept(assignment) + _PER_WEIGHT * wide_layer)


def observations_kept(assignment: Assignment) -> int:
    """Observations that a learner of Stable-Baselines3 holds at once: a rollout, or a replay buffer of pairs."""
    learner, settings = algorithm(assignment.algo).learner, assignment.hyperparameters
    if issubclass(learner, OffPolicyAlgorithm):
        return 2 * int(settings.learner.get("buffer_size", default_of(learner, "buffer_size")))
    if issubclass(learner, OnPolicyAlgorithm):
        return settings.envs * int(settings.learner.get("n_steps", default_of(learner, "n_steps")))
    return 0
