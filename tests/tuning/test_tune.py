from __future__ import annotations

import json
import re
from importlib.metadata import EntryPoint

import numpy as np
import pytest
from typer.testing import CliRunner

from satfl_baselines import RuleNumbers, compare, make_policy, policy_names, rule_policy, run_episode
from satfl_baselines.commands import policy_names as names_on_command_lines
from satfl_baselines.rule import RULES, names
from satfl_baselines.seeds import TUNING
from satfl_baselines.tuning import tuned
from satfl_baselines.tuning.budget import Budget
from satfl_baselines.tuning.episodes import Episodes, rule_episodes
from satfl_baselines.tuning.rule_file import RuleFile, read_rule, write_rule
from satfl_baselines.tuning.tune import search, tune_rules
from satfl_env.commands import make_app
from satfl_env.scenarios import Scenario, load
from tests.factories import physics_only

TINY = Budget(generations=2, population=4, seeds=1, checks=2)
APP = make_app([EntryPoint("tune-rules", "satfl_baselines.commands.tune_rules:tune_rules", "satfl.commands")])
OPTIMUM = np.linspace(0.1, 0.9, len(names()))


def tiny() -> Scenario:
    """Two rounds that really train, on few samples."""
    return load("leo-multitask", **{"rounds.episode": 2, "data.partition.samples": (15, 20), "data.test_samples": 60})


class Bowl:
    """Scores that are highest at `OPTIMUM`, with noise that all candidates of a generation have in common."""

    def __init__(self, most: int = 10**6) -> None:
        self.most, self.seeds = most, []

    def __call__(self, vectors, seeds):
        if len(self.seeds) == self.most:
            raise KeyboardInterrupt
        self.seeds.append(list(seeds))
        noise = [np.random.default_rng(seed).normal() for seed in seeds]
        return -((vectors - OPTIMUM) ** 2).sum(axis=1)[:, None] + np.array(noise)


def test_the_search_finds_a_known_optimum(tmp_path):
    bowl, counts = Bowl(), []
    budget = Budget(generations=40, population=40, seeds=2)
    found = search(bowl, np.full(len(names()), 0.5), budget, 0, tmp_path / "search.json", lambda *n: counts.append(n))
    assert found == pytest.approx(OPTIMUM, abs=0.08)
    assert counts == [(number, 40) for number in range(41)]
    # Each generation plays seeds of its own, for tuning.
    assert [seed for seeds in bowl.seeds for seed in seeds] == list(TUNING[:80])


def test_a_search_that_is_killed_goes_on_as_if_it_had_not_been(tmp_path):
    budget, first = Budget(generations=5, population=8, seeds=2), RULES["fine"].to_vector()
    whole = search(Bowl(), first, budget, 3, tmp_path / "whole.json")
    for most in (0, 2, 1):
        with pytest.raises(KeyboardInterrupt):
            search(Bowl(most), first, budget, 3, tmp_path / "killed.json")
    assert np.array_equal(search(Bowl(), first, budget, 3, tmp_path / "killed.json"), whole)
    assert (tmp_path / "killed.json").read_bytes() == (tmp_path / "whole.json").read_bytes()
    assert not np.array_equal(search(Bowl(), first, budget, 4, tmp_path / "other.json"), whole)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        "[1]",
        '[{"mean": [0.5], "spread": [0.1], "best": 1.0, "average": 1.0}]',
        json.dumps([{"mean": [float("nan")] * 12, "spread": [0.1] * 12, "best": 1.0, "average": 1.0}]),
        json.dumps([{"mean": [0.5] * 12, "spread": [0.1] * 12, "best": 1.0, "average": 1.0}] * 3),
    ],
)
def test_a_damaged_search_is_refused_by_name(tmp_path, content):
    (tmp_path / "search.json").write_text(content)
    with pytest.raises(ValueError, match=r"search\.json' is damaged"):
        search(Bowl(), RULES["fine"].to_vector(), TINY, 0, tmp_path / "search.json")


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="is not empty and holds no search; choose a new or an empty one"):
        tune_rules(tiny(), tmp_path, budget=TINY)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ValueError, match=r"holds no search: file '.*config\.json' is damaged"):
        tune_rules(tiny(), tmp_path, budget=TINY)
    assert {file.name for file in tmp_path.iterdir()} == {"notes.txt", "config.json"}


def test_the_same_seed_finds_the_same_files(tmp_path):
    for folder in ("one", "two"):
        tune_rules(tiny(), tmp_path / folder, start="fine", budget=TINY)
    one, two = ({file.name: file.read_bytes() for file in (tmp_path / folder).iterdir()} for folder in ("one", "two"))
    assert one == two
    assert set(one) >= {"config.json", "search.json", "tuned.yaml"}


def test_episodes_are_those_that_run_episode_plays():
    scenario, rules, seeds = tiny(), [RULES["full"], RULES["curriculum"]], [3, 4, 5]
    expected = [
        [run_episode(scenario, rule_policy(rule), seed)[-1]["balanced_accuracy"] for seed in seeds] for rule in rules
    ]
    # Four environments for six episodes: the last batch is not full.
    with rule_episodes(scenario, 4) as episodes:
        finals = episodes(np.stack([rule.to_vector() for rule in rules]), seeds)
    assert finals.tolist() == expected


def test_an_episode_counts_as_it_ends_whatever_its_environment_plays_then():
    class Scripted:
        """Two environments: the first ends in the first and in the third step, the second in the third."""

        num_envs = 2
        finals = iter([([0.5, 0.1], [True, False]), ([0.2, 0.2], [False, False]), ([0.9, 0.7], [True, True])])

        def reset(self, seed):
            assert seed == [8, 9]

        def step(self, vectors):
            accuracy, ended = next(self.finals)
            infos = {"metrics": {"balanced_accuracy": np.array(accuracy)}}
            return None, np.zeros(2), np.array(ended), np.zeros(2, dtype=bool), infos

    assert Episodes(Scripted(), None)(np.zeros((1, 12)), [8, 9]).tolist() == [[0.5, 0.7]]


def test_a_tiny_search_is_resumed_and_its_file_is_a_policy(tmp_path):
    scenario, out = tiny(), tmp_path / "out"
    rule = tune_rules(scenario, out, start="fine", budget=TINY)
    assert rule.found["start"] == "fine"
    assert rule == read_rule(out / "tuned.yaml")
    assert tune_rules(scenario, out, start="fine", budget=TINY) == rule
    with pytest.raises(ValueError, match=r"belongs to another search: start is 'fine' there and 'full' here"):
        tune_rules(scenario, out, start="full", budget=TINY)
    with pytest.raises(ValueError, match=r"unknown rule 'fin', did you mean 'fine'\?; there are: full, fine, "):
        tune_rules(scenario, tmp_path / "other", start="fin", budget=TINY)
    name = str(out / "tuned.yaml")
    own = names_on_command_lines.own_policies([name, "full"])
    comparison = compare(scenario, [name, "full"], [0], tmp_path / "compared", own=own)
    played = run_episode(scenario, rule_policy(rule.numbers), 0)
    assert comparison.outcomes(name)["balanced_accuracy"][0] == played[-1]["balanced_accuracy"]


def test_the_command_says_what_it_found(tmp_path):
    changes = [f"--set={change}" for change in ("rounds.episode=1", "training.engine=none", "data.test_samples=40")]
    budget = ["--generations=1", "--population=4", "--seeds=1", "--checks=2"]
    result = CliRunner().invoke(APP, ["tune-rules", "--out", str(tmp_path / "out"), *budget, *changes])
    assert result.exit_code == 0, result.output
    assert re.search(r"on 2 other seeds, \+0.0000 ±0.0000 over curriculum", result.output)
    assert "charge share" in result.output
    found = read_rule(tmp_path / "out" / "tuned.yaml").found
    assert (found["generations"], found["population"], found["seeds"], found["checks"]) == (1, 4, 1, 2)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("scenario: x", r"rule '.*r.yaml': numbers: missing"),
        ("scenario: x\nnumbers: {sped: 1}", r"rule '.*r.yaml': numbers.sped: unknown key, did you mean 'speed'"),
        ("scenario: x\nnumbers: {speed: 2}", r"rule '.*r.yaml': numbers.speed must lie in \[0, 1\], got 2"),
        ("scenario: [", r"rule '.*r.yaml': .*line 1"),
    ],
)
def test_files_that_are_no_rule_are_refused_by_name_and_field(tmp_path, text, words):
    file = tmp_path / "r.yaml"
    file.write_text(text)
    with pytest.raises(ValueError, match=words):
        read_rule(file)


def test_tuned_is_the_package_s_rule_for_a_scenario(tmp_path, monkeypatch):
    monkeypatch.setattr(tuned, "_FOLDER", tmp_path)
    with pytest.raises(
        ValueError, match=r"no policy 'tuned' for scenario 'leo-multitask'; .*for: none yet. `satfl tune"
    ):
        compare(physics_only(1), ["tuned"], [0], tmp_path / "out")
    assert "tuned" not in policy_names("leo-multitask")
    numbers = RuleNumbers(early_threshold=0.3, load=1.0)
    write_rule(tmp_path / "leo-multitask.yaml", RuleFile(scenario="leo-multitask", numbers=numbers))
    assert "tuned" in policy_names("leo-multitask")
    assert "tuned" not in policy_names()
    assert make_policy("tuned", scenario="leo-multitask").description.endswith("tuned on leo-multitask")
    scenario = physics_only(2)
    assert run_episode(scenario, "tuned", 0) == run_episode(scenario, rule_policy(numbers), 0)
    with pytest.raises(
        ValueError, match=r"no policy 'tuned' without a scenario; the package has tuned rules for: leo-multitask\."
    ):
        make_policy("tuned")


def test_rules_that_the_package_has_are_valid_and_of_built_in_scenarios():
    for scenario in tuned.tuned_scenarios():
        assert read_rule(tuned._FOLDER / f"{scenario}.yaml").scenario == load(scenario).name == scenario
