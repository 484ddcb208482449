"""Suites: what is frozen stays, and what is wrong in a file is told in a line."""

from __future__ import annotations

import pytest
import yaml

from satfl_baselines.seeds import HELD_OUT
from satfl_baselines.suites import suite as suites
from satfl_baselines.suites.suite import load_suite, suite_names

SMALL = {
    "name": "small",
    "scenarios": ["leo-multitask"],
    "seeds": 3,
    "zero": "random",
    "one": "full",
    "references": ["random", "full"],
    "budgets": {"short": 100, "long": 1000},
}


@pytest.fixture
def file(tmp_path):
    def written(**changes) -> str:
        path = tmp_path / "small.yaml"
        path.write_text(yaml.safe_dump(SMALL | changes))
        return str(path)

    return written


@pytest.mark.parametrize("name", suite_names())
def test_suites_of_the_package_load(name):
    suite = load_suite(name)
    assert suite.name == name
    assert tuple(suite.loaded()) == suite.scenarios
    assert all(seed in HELD_OUT for seed in suite.held_out)


def test_a_suite_without_a_checksum_may_change(file):
    assert load_suite(file()).digest != load_suite(file(seeds=4)).digest


def test_a_frozen_suite_may_not(file):
    digest = load_suite(file()).digest
    assert load_suite(file(checksum=digest)).digest == digest
    with pytest.raises(ValueError, match=f"frozen with the checksum {digest}, but it .* changed"):
        load_suite(file(checksum=digest, seeds=4))


def test_nor_may_its_scenarios_but_for_comments(file, monkeypatch):
    frozen = file(checksum=load_suite(file()).digest)
    text = suites.yaml_text("leo-multitask")
    monkeypatch.setattr(suites, "yaml_text", lambda name: f"# A comment.\n{text}")
    load_suite(frozen)
    monkeypatch.setattr(suites, "yaml_text", lambda name: text.replace("episode: 30", "episode: 31"))
    with pytest.raises(ValueError, match="a scenario of it was changed"):
        load_suite(frozen)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scenarios": ["leo-multitsk"]}, "unknown scenario 'leo-multitsk', did you mean 'leo-multitask'"),
        ({"scenarios": ["mine.yaml"]}, "scenarios must be built in, got 'mine.yaml'"),
        ({"references": ["random", "ful"]}, "unknown policy 'ful', did you mean 'full'"),
        ({"references": ["full", "full"]}, "references must be distinct"),
        ({"one": "fine"}, "one must be one of the references, got 'fine'"),
        ({"seeds": 0}, "seeds: Input should be greater than or equal to 1"),
        ({"seed": 1}, "seed: unknown key, did you mean 'seeds'"),
        ({"scenarios": "leo-multitask"}, "scenarios: Input should be a valid list"),
    ],
)
def test_what_is_wrong_is_told_in_a_line(file, changes, message):
    with pytest.raises(ValueError, match=message) as caught:
        load_suite(file(**changes))
    assert "\n" not in str(caught.value)
    assert "small.yaml" in str(caught.value)


def test_an_unknown_suite_is_told():
    with pytest.raises(ValueError, match=r"suite 'v1.0': there is none, did you mean 'v1'"):
        load_suite("v1.0")


def test_the_class_of_a_learned_policy_is_the_smallest_budget_that_holds(file):
    suite = load_suite(file())
    assert [suite.budget(rounds) for rounds in (1, 100, 101, 1000, 1001)] == ["short", "short", "long", "long", ""]
