"""The hyperparameters that there are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from satfl_agents.forms.form import ActionForm, Form, ObservationForm
from satfl_agents.networks.network import Network
from satfl_env.scenarios.section import Section
from satfl_env.settings import Count, Positive


class Validation(Section):
    """How a learner is judged while it learns.

    Attributes:
        every: Rounds of training between two judgements.
        seeds: Episodes of each, on the first seeds of `satfl_baselines.seeds.VALIDATION`.
        rules: Reference policies that the gap is measured to.
    """

    every: Count = 2000
    seeds: Count = 10
    rules: tuple[str, ...] = ("full", "fine", "curriculum", "ration", "neediest")


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
        checkpoint_every: Rounds between two checkpoints; a run may go on with another value.
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
