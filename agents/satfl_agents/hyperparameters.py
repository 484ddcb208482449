"""Hyperparameters of the algorithms: a YAML file of the package for each, and changes on the command line."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from typing import Any

from pydantic import ValidationError

from satfl_agents.algorithms import algorithm
from satfl_agents.forms import ActionForm, Form, ObservationForm
from satfl_agents.networks import Network
from satfl_env.scenarios.reader import read_yaml
from satfl_env.scenarios.section import Section
from satfl_env.settings import Count, Positive
from satfl_env.suggestions import did_you_mean

_FOLDER = resources.files("satfl_agents") / "hyperparameters"
# What a scenario's section of a file replaces as a whole.
_WHOLE = ("observation", "action")


class Validation(Section):
    """How a learner is judged while it learns.

    Attributes:
        every: Rounds of training between two judgements.
        seeds: Episodes of each, on the first seeds of `satfl_baselines.seeds.VALIDATION`.
        rules: Reference policies that the gap is measured to.
    """

    every: Count = 2000
    seeds: Count = 10
    rules: tuple[str, ...] = ("full", "task-clustering")


class Cloning(Section):
    """A start from a reference policy, whose decisions the network learns first.

    Attributes:
        policy: Name of the policy; none is cloned if it is empty.
        episodes: Episodes that it plays.
        epochs: Passes over its decisions.
        batch_size: Decisions in a step of Adam.
        learning_rate: Of Adam.
    """

    policy: str = ""
    episodes: Count = 50
    epochs: Count = 30
    batch_size: Count = 64
    learning_rate: Positive = 1e-3


class Hyperparameters(Section):
    """All that a training run depends on beside its scenario and seed.

    Attributes:
        rounds: Rounds to train on, rounded up to whole rollouts.
        envs: Environments that play at once.
        observation: The form in which the learner sees the network's state.
        action: The form of its decisions.
        network: The network of its policy.
        learner: Arguments of the algorithm's class in Stable-Baselines3.
        normalise_reward: Whether rewards are divided by the standard deviation of the return so far.
        goes_on: Whether the state after an episode's last round has a value, as in a task that goes on; else nothing
            counts but the episode, and nothing is worth saving beyond it.
        clone: A start from a reference policy.
        validation: How the learner is judged while it learns.
        checkpoint_every: Rounds between two checkpoints.
        tuned: Whether `satfl tune` found these values for this scenario.
    """

    rounds: Count
    envs: Count
    observation: ObservationForm = Form(kind="scaled")
    action: ActionForm
    network: Network = Network()
    learner: Mapping[str, Any] = {}
    normalise_reward: bool = False
    goes_on: bool = False
    clone: Cloning = Cloning()
    validation: Validation = Validation()
    checkpoint_every: Count = 1000
    tuned: bool = False


def load_hyperparameters(algo: str, scenario: str, changes: Mapping[str, Any] | None = None) -> Hyperparameters:
    """Hyperparameters of an algorithm on a scenario.

    Args:
        algo: Name of the algorithm.
        scenario: Name of the scenario; without a section of its own it gets the default values.
        changes: Values to change, by dotted names: `learner.learning_rate`.

    Raises:
        ValueError: If there is no such algorithm, or a name or value is not valid; the message says which.
    """
    file = read_file(algo)
    return _checked(merged(file["default"], file.get("scenarios", {}).get(scenario, {})), changes or {})


def with_changes(settings: Hyperparameters, changes: Mapping[str, Any]) -> Hyperparameters:
    """Hyperparameters with some changed, by dotted names; errors are those of `load_hyperparameters`."""
    return _checked(settings.model_dump(), changes)


def read_file(algo: str) -> dict[str, Any]:
    """The file of an algorithm: values by `default`, by name of `scenarios`, and what `search` may try.

    Raises:
        ValueError: If there is no such algorithm.
    """
    algorithm(algo)  # raises if there is none
    values: dict[str, Any] = read_yaml((_FOLDER / f"{algo}.yaml").read_text(encoding="utf-8"))
    return values


def merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Values with changes; sections are merged, forms replaced."""
    return {
        **values,
        **{
            name: merged(values.get(name, {}), value) if isinstance(value, Mapping) and name not in _WHOLE else value
            for name, value in changes.items()
        },
    }


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Values by dotted names as sections."""
    sections: dict[str, Any] = {}
    for path, value in flat.items():
        first, _, rest = path.partition(".")
        sections = merged(sections, {first: nested({rest: value}) if rest else value})
    return sections


def _checked(values: Mapping[str, Any], changes: Mapping[str, Any]) -> Hyperparameters:
    try:
        return Hyperparameters(**merged(values, nested(changes)))
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        place = ".".join(map(str, problem["loc"])).partition(".function-")[0]
        near = did_you_mean(place, Hyperparameters.model_fields) if problem["type"] == "extra_forbidden" else ""
        raise ValueError(f"hyperparameter {place!r}: {problem['msg']}, got {problem['input']!r}{near}") from error
