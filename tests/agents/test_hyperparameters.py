from __future__ import annotations

import inspect
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("stable_baselines3")
from satfl_agents import Assignment, load_hyperparameters
from satfl_agents.algorithms.algorithm import ALGORITHMS
from satfl_agents.hyperparameters.learner import check_learner
from satfl_agents.hyperparameters.reading import merged, nested, read_file, with_changes
from satfl_env import scenarios


@pytest.mark.parametrize("algo", ALGORITHMS)
def test_every_file_has_settings_that_its_algorithm_takes_and_so_has_its_search(algo: str) -> None:
    file = read_file(algo)
    for scenario in ("default", *file.get("scenarios", {})):
        settings = load_hyperparameters(algo, scenario)
        check_learner(algo, settings.learner)
        for name, allowed in file["search"].items():
            for value in allowed.get("choices") or (allowed["low"], allowed["high"]):
                check_learner(algo, with_changes(settings, {name: value}).learner)


@pytest.mark.parametrize("algo", ALGORITHMS)
def test_defaults_of_an_algorithm_may_be_stated_and_nothing_but_numbers_and_words(algo: str) -> None:
    with pytest.raises(ValueError, match="has no such setting here; there are: ") as told:
        check_learner(algo, {"zzz": 1})
    listed = str(told.value).partition("there are: ")[2].split(", ")
    parameters = inspect.signature(ALGORITHMS[algo].learner).parameters
    for name in listed:
        assert isinstance(parameters[name].default, int | float | str | None)
        check_learner(algo, {name: parameters[name].default})


@pytest.mark.parametrize(
    ("algo", "name", "value", "allowed"),
    [
        ("ppo", "gamma", math.nan, "a finite number, got nan"),
        ("ppo", "gamma", 1.2, "less than or equal to 1, got 1.2"),
        ("ppo", "gamma", "0.9", "a valid number, got '0.9'"),
        ("ppo", "gamma", True, "must be a number, got True"),
        ("ppo", "learning_rate", 0, "greater than 0, got 0"),
        ("ppo", "clip_range_vf", 0.0, "greater than 0, got 0.0"),
        ("ppo", "n_steps", 2.5, "a valid integer, got 2.5"),
        ("ppo", "n_steps", 0, "greater than or equal to 1, got 0"),
        ("ppo", "normalize_advantage", 1, "a valid boolean, got 1"),
        ("ppo", "rollout_buffer_class", "x", "no such setting here; there are: batch_size, clip_range"),
        ("ppo", "use_sde", True, "no such setting here"),
        ("ppo", "lr", 0.1, "no such setting here"),
        ("ppo", "learning_rat", 0.1, "did you mean 'learning_rate'"),
        ("sac", "ent_coef", "outo", "or Input should be a valid number, got 'outo'"),
        ("sac", "gradient_steps", -2, "greater than or equal to -1, got -2"),
        ("sac", "train_freq", [8, "step"], "a valid integer, got"),
        ("cem", "rate", 1.5, "less than or equal to 1, got 1.5"),
    ],
)
def test_settings_of_learners_are_checked_before_anything_runs(algo: str, name: str, value: Any, allowed: str) -> None:
    settings = load_hyperparameters(algo, "any", {f"learner.{name}": value})
    with pytest.raises(ValueError, match=rf"^hyperparameter learner\.{name}: ") as told:
        Assignment(scenarios.load("leo-multitask"), algo, settings)
    assert allowed in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("value", [-1, 0.0, -2.5, "auto", "auto_0.1", 1, None])
def test_values_of_an_algorithms_own_kinds_may_be_stated(value: Any) -> None:
    names = {"auto_0.1": "ent_coef", -1: "gradient_steps", None: "target_kl"}
    name = names.get(value, "target_entropy")
    check_learner("ppo" if name == "target_kl" else "sac", {name: value})


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"envz": 1}, "hyperparameter envz: unknown key, did you mean 'envs'?"),
        ({"gamma": 0.9}, "hyperparameter gamma: unknown key, did you mean 'learner.gamma'?"),
        ({"gama": 0.9}, "hyperparameter gama: unknown key, did you mean 'learner.gamma'?"),
        ({"learningrate": 0.1}, "hyperparameter learningrate: unknown key, did you mean 'learner.learning_rate'?"),
        ({"zzz": 1}, "hyperparameter zzz: unknown key, allowed are rounds, envs, observation, action, network, "),
        ({"network.zzz": 1}, "hyperparameter network.zzz: unknown key, allowed are kind, hidden, width, "),
        ({"envs": 0}, "hyperparameter envs: Input should be greater than or equal to 1, got 0"),
        ({"validation": 3}, "hyperparameter validation: must be a section with the fields every, seeds, rules, got 3"),
        ({"network.hidden": 3}, "hyperparameter network.hidden: Input should be a valid list, got 3"),
        ({"training.max_epochs": 3}, "the scenario has such a setting: --set training.max_epochs=VALUE"),
        ({"max_epochs": 3}, "the scenario has such a setting: --set training.max_epochs=VALUE"),
        ({"rounds.episode": 3}, "got {'episode': 3}; the scenario has such a setting: --set rounds.episode=VALUE"),
    ],
)
def test_hyperparameters_that_there_are_not_are_told_with_those_that_there_are(
    changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(ValueError, match=r"^hyperparameter \w+") as raised:
        load_hyperparameters("ppo", "any", changes)
    assert told in str(raised.value)
    assert "\n" not in str(raised.value)


def test_the_scenario_is_not_named_for_a_hyperparameter() -> None:
    with pytest.raises(ValueError, match=r"got 0$"):
        load_hyperparameters("ppo", "any", {"rounds": 0})


@given(st.dictionaries(st.sampled_from(["a", "b", "a.c", "a.d", "b.c.d"]), st.integers(), max_size=4))
def test_dotted_names_are_sections(flat: dict[str, int]) -> None:
    """The last of those that contradict each other counts."""
    sections = merged({"a": 0, "kept": 1}, nested(flat))
    assert sections["kept"] == 1
    for position, (path, value) in enumerate(flat.items()):
        others = list(flat)[position + 1 :]
        if any(f"{other}.".startswith(f"{path}.") or f"{path}.".startswith(f"{other}.") for other in others):
            continue
        found: Any = sections
        for part in path.split("."):
            found = found[part]
        assert found == value
