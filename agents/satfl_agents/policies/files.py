"""Trained policies as folders, in a form that cannot run code.

    policy.json            algorithm, forms, network, native spaces, scenario, versions
    weights.safetensors    the numbers of the network that decides; critics are left out

The policies that come with the package lie in `pretrained/`, each with a card, `card.md`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import torch
from gymnasium import spaces
from pydantic import ConfigDict
from safetensors import SafetensorError
from safetensors.torch import load, save
from stable_baselines3.common.policies import BasePolicy

from satfl_agents.algorithms.algorithm import algorithm
from satfl_agents.forms.form import ActionForm, Form, ObservationForm
from satfl_agents.networks.network import Network, deciding
from satfl_agents.policies.folders import DESCRIPTION, policy_folder, pretrained_names
from satfl_agents.policies.spaces import SpaceFile, space_file, to_space
from satfl_agents.policies.trained import TrainedPolicy
from satfl_agents.surroundings import own_generators
from satfl_baselines.files import damaged, one_writer, read_json, write_json, write_whole
from satfl_env import SatFLEnv
from satfl_env.scenarios.section import Section
from satfl_env.suggestions import did_you_mean

WEIGHTS = "weights.safetensors"


class PolicyDescription(Section):
    """What `policy.json` holds: everything about a policy but its weights.

    Attributes:
        algorithm: Name of the algorithm, which knows the class of the network.
        observation: The form in which the policy sees the network's state.
        action: The form of its decisions.
        network: The network's form.
        observation_space: The native observation space in training.
        action_space: The native action space in training.
        scenario: The scenario that it was trained on, for the record.
        rounds: Rounds that it was trained on.
        seed: Seed of its learner.
        versions: Versions of the libraries that trained it.
        weights: SHA-256 of the file of weights.
        format: Version of this form of files.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    algorithm: str
    observation: ObservationForm
    action: ActionForm
    network: Network
    observation_space: SpaceFile
    action_space: SpaceFile
    scenario: Mapping[str, Any]
    rounds: int
    seed: int
    versions: Mapping[str, str] = {}
    weights: str = ""
    format: Literal[1] = 1

    @classmethod
    def of(
        cls,
        env: SatFLEnv,
        algorithm: str,
        observation: Form,
        action: Form,
        network: Network,
        *,
        rounds: int = 0,
        seed: int = 0,
    ) -> PolicyDescription:
        """The description of a policy that was trained in these forms on an environment with the native spaces."""
        return cls(
            algorithm=algorithm,
            observation=observation,
            action=action,
            network=network,
            observation_space=space_file(env.observation_space),
            action_space=space_file(env.action_space),
            scenario=env.scenario.model_dump(mode="json"),
            rounds=rounds,
            seed=seed,
        )


def save_policy(folder: str | Path, network: BasePolicy, description: PolicyDescription) -> None:
    """Write a trained policy into a folder, in place of one that is there.

    Args:
        folder: The folder; made if it is not there.
        network: The policy of a learner.
        description: All else; versions and the digest of the weights are put in.

    Raises:
        OSError: If it cannot be written.
    """
    folder = Path(folder)
    weights = save({name: value.detach().cpu().contiguous() for name, value in deciding(network).items()})
    versions = {name: metadata.version(name) for name in ("satfl-env", "stable-baselines3", "sb3-contrib", "torch")}
    description = description.model_copy(update={"versions": versions, "weights": _digest(weights)})
    with one_writer(folder):
        write_whole(folder / WEIGHTS, weights)
        write_json(folder / DESCRIPTION, description.model_dump(mode="json"))


def load_policy(name_or_folder: str | Path) -> TrainedPolicy:
    """A trained policy, `NetworkState -> Decision`.

    Args:
        name_or_folder: The folder of a policy, or of the run that trained it; or the name of one that comes with the
            package, see `pretrained_names`.

    Raises:
        ValueError: If there is no such policy, or its files are damaged or not those of a policy.
        OSError: If they cannot be read.
    """
    folder = _folder(name_or_folder)
    description = read_description(folder)
    content = (folder / WEIGHTS).read_bytes()
    if _digest(content) != description.weights:
        raise damaged(folder / WEIGHTS, f"it does not belong to {DESCRIPTION} beside it")
    try:
        return TrainedPolicy(
            partial(_network, description.algorithm, description.network, load(content)),
            description.observation,
            description.action,
            to_space(description.observation_space),
            to_space(description.action_space),
        )
    except (ValueError, TypeError, KeyError, RuntimeError, SafetensorError) as error:
        raise damaged(folder / DESCRIPTION, " ".join(str(error).split())) from error


def read_description(folder: str | Path) -> PolicyDescription:
    """What is written about a policy.

    Raises:
        ValueError: If the file is damaged or holds something else; the message names it.
        OSError: If it cannot be read.
    """
    description: PolicyDescription = read_json(Path(folder) / DESCRIPTION, PolicyDescription)
    return description


def _folder(name_or_folder: str | Path) -> Path:
    """Where a policy lies."""
    if (folder := policy_folder(name_or_folder)) is not None:
        return folder
    names = pretrained_names()
    raise ValueError(
        f"there is no trained policy {str(name_or_folder)!r}: neither a folder with {DESCRIPTION} nor one that comes "
        f"with the package{did_you_mean(str(name_or_folder), names)}; these are: {', '.join(names) or 'none yet'}"
    )


def _network(
    algo: str,
    network: Network,
    weights: Mapping[str, torch.Tensor],
    observation_space: spaces.Space[Any],
    action_space: spaces.Space[Any],
) -> BasePolicy:
    """A network with its weights.

    Raises:
        ValueError: If they do not fit the spaces, are numbers of another type, or are not finite.
    """
    made = algorithm(algo).policy_class(observation_space, network)
    with own_generators():
        policy = made(observation_space, action_space, lambda _: 0.0, **network.policy_kwargs)
    own = deciding(policy)
    for name in sorted(own.keys() | weights.keys()):
        there, needed = (_form(of.get(name)) for of in (weights, own))
        if there != needed:
            raise ValueError(f"weights {name!r} are {there}, the network needs {needed}")
        if not torch.isfinite(weights[name]).all():
            raise ValueError(f"weights {name!r} are not all finite")
    with torch.no_grad():
        for name, value in own.items():
            value.copy_(weights[name])
    policy.set_training_mode(False)
    return policy


def _form(numbers: torch.Tensor | None) -> str:
    """Shape and type of numbers, for messages."""
    return "nothing" if numbers is None else f"{tuple(numbers.shape)} of {str(numbers.dtype).removeprefix('torch.')}"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
