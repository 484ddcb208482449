"""The policies that come with the package: they load, say where they come from, and keep what they promise."""

from __future__ import annotations

import re

import pytest

pytest.importorskip("stable_baselines3")
from satfl_agents import load_policy, pretrained_names
from satfl_agents.policies.files import read_description
from satfl_agents.policies.folders import policy_folder
from satfl_baselines import run_episode
from satfl_baselines.seeds import VALIDATION
from satfl_env import check_decision
from satfl_env.scenarios import Scenario, build, load
from tests.factories import physics_only


def test_there_are_some():
    assert {"earth-cem", "rush-hour-cem"} <= set(pretrained_names())


@pytest.mark.parametrize("name", pretrained_names())
def test_each_has_a_card_and_decides_for_other_constellations(name):
    folder = policy_folder(name)
    description = read_description(folder)
    card = (folder / "card.md").read_text(encoding="utf-8")
    trained = Scenario.model_validate(description.scenario).name
    assert f"satfl train --algo {description.algorithm} --scenario {trained}" in card
    assert re.search(r"Where it fails", card)
    assert sum(file.stat().st_size for file in folder.iterdir()) < 300e3
    state = build(physics_only(2)).reset(1)
    check_decision(load_policy(name)(state), state)


def test_the_one_for_rush_hour_ends_above_the_papers_rules():
    scenario, policy = load("rush-hour"), load_policy("rush-hour-cem")
    for seed in VALIDATION[:2]:
        finals = [run_episode(scenario, each, seed)[-1]["balanced_accuracy"] for each in (policy, "full")]
        assert finals[0] > finals[1] + 0.02
