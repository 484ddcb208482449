"""README and docs: every example runs and every name exists; `test_docs_commands` has the commands."""

from __future__ import annotations

import pkgutil
import re
import runpy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from typer.testing import CliRunner

from satfl_baselines import make_policy
from satfl_baselines.field.system import load_systems
from satfl_env import decision_to_action, observation_to_state, scenarios
from satfl_env.commands import make_app
from satfl_env.links import atmosphere
from satfl_env.scenarios.reader import read_yaml
from satfl_env.scenarios.schema import Scenario
from satfl_env.simulation.parts import PARTS

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
OWN = ROOT / "docs" / "bring-your-own.md"

# An HTML comment before a block says that it goes on where the one before ended.
BLOCK = re.compile(
    r'^(?P<continued><!-- continued -->\n)?```(?P<language>\w+)(?: title="(?P<file>[\w.]+)")?\n(?P<text>.*?)^```$',
    re.MULTILINE | re.DOTALL,
)
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


@dataclass(frozen=True)
class Block:
    page: Path
    line: int
    language: str
    file: str | None
    continued: bool
    text: str

    def run(self, names: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run it as a script, or go on with the names of one; returns the names."""
        names = {"__name__": "__main__"} if names is None else names
        # Empty lines in front give tracebacks the lines of the page.
        exec(compile("\n" * self.line + self.text, self.page, "exec"), names)
        return names


def blocks(page: Path, text: str | None = None) -> Iterator[Block]:
    """Code blocks of a page, or of some text in it."""
    whole = page.read_text()
    for block in BLOCK.finditer(whole if text is None else text):
        yield Block(
            page,
            whole[: whole.index(block["text"])].count("\n"),
            block["language"],
            block["file"],
            block["continued"] is not None,
            block["text"],
        )


def section(name: str) -> list[Block]:
    """Blocks of the section on a part."""
    _, *sections = re.split(r"^## ", OWN.read_text(), flags=re.MULTILINE)
    (text,) = (text for text in sections if text.partition("\n")[0] == name.capitalize())
    return list(blocks(OWN, text))


def code_lines(block: Block) -> list[str]:
    return [line for line in block.text.splitlines() if line.strip()]


def satfl(*arguments: str) -> str:
    result = CliRunner().invoke(make_app(), list(arguments))
    assert result.exit_code == 0, f"satfl {' '.join(arguments)}\n{result.output}"
    return result.output


@each_page
def test_examples_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = None
    for block in blocks(page):
        if block.file is not None:
            Path(block.file).write_text(block.text)
        if block.language == "python":
            names = block.run(names if block.continued else None)


@each_page
def test_sections_in_yaml_are_valid(page, monkeypatch):
    monkeypatch.setattr(atmosphere, "find_spec", lambda name: "installed")
    for block in blocks(page):
        if block.language == "yaml":
            sections = read_yaml(dedent(block.text))
            if "name" in sections:
                assert Scenario.model_validate(sections)
                continue
            if "gateways" in sections:
                sections = {"constellation": sections}
            assert scenarios.load("sentinel" if "data" in sections else "walker-earth", **sections)


def test_all_options_of_a_round_are_switched_on_at_once_and_play():
    everything = read_yaml(next(blocks(ROOT / "docs" / "rounds.md")).text)
    short = {"training.max_epochs": 1, "data.test_samples": 8, "rounds.episode": 3}
    scenario = scenarios.load("walker-earth", **everything, **short)
    plain = scenarios.load("walker-earth", **short)
    for section, options in everything.items():
        for option in options if isinstance(options, dict) else ():
            assert getattr(getattr(scenario, section), option) != getattr(getattr(plain, section), option, None)
    simulation, policy = scenarios.build(scenario), make_policy("full")
    state, returned = simulation.reset(seed=0), 0
    while not simulation.finished:
        state, report = simulation.step(policy(state))
        returned += int(report.returned.sum())
    assert returned


@each_page
def test_names_exist(page):
    for name in re.findall(r"`(satfl_(?:\w+\.)+\w+)", page.read_text()):
        assert pkgutil.resolve_name(name) is not None


# With all options that follow it.
REFERENCE = re.compile(r"^::: (\S+)((?:\n {4}.*)*)", re.MULTILINE)


def documented() -> dict[str, bool]:
    """What pages take from docstrings: names of modules, classes and functions, and whether with all that they have."""
    found = [reference for page in PAGES for reference in REFERENCE.findall(page.read_text())]
    assert len({name for name, _ in found}) == len(found), "a reference to what is documented twice is ambiguous"
    return {name: "members: false" not in options for name, options in found}


def test_nothing_is_documented_twice():
    names = documented()
    for name in names:
        parent, _, own = name.rpartition(".")
        # A package shows its public names, a module or class all that it has.
        assert not names.get(parent) or own not in getattr(pkgutil.resolve_name(parent), "__all__", [own]), name


@pytest.mark.parametrize("package", ["satfl_env", "satfl_baselines", "satfl_agents"])
def test_every_public_name_is_in_the_reference(package):
    names = documented()
    # The page of a package shows all of its public names.
    packages = [pkgutil.resolve_name(name) for name in names if (ROOT / name.replace(".", "/")).is_dir()]
    shown = {id(getattr(module, name)) for module in packages for name in module.__all__}
    public = pkgutil.resolve_name(package)
    for name in public.__all__:
        value = getattr(public, name)
        assert isinstance(value, str | ModuleType) or f"{package}.{name}" in names or id(value) in shown, name


@each_page
def test_a_list_goes_on_after_a_paragraph_in_it(page):
    """The site's Markdown wants four spaces; GitHub's is content with fewer."""
    outside_of_code = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    assert not re.findall(r"\n\n {1,3}[^ \n].*", outside_of_code)


def test_cells_of_a_table_keep_numbers_whole_and_break_names_between_their_words():
    hooks = runpy.run_path(str(ROOT / "docs" / "cells.py"))
    cells = {
        "<td>0.71 ± 0.02, 9 of 10</td>": "<td>0.71&nbsp;±&nbsp;0.02, 9 of 10</td>",
        "<td>1.14 [-1.1, +1.2]</td>": "<td>1.14 [-1.1,&nbsp;+1.2]</td>",
        "<th><code>a.b_c:d [1, 2]</code> 3</th>": "<th><code>a.<wbr>b_<wbr>c:<wbr>d [1, 2]</code> 3</th>",
        "<td><code>__version__ 0.5</code></td>": "<td><code>__version__ 0.5</code></td>",
        "<p>3 ± 4 <code>a.b</code></p>": "<p>3 ± 4 <code>a.b</code></p>",
    }
    assert hooks["on_page_content"]("".join(cells)) == "".join(cells.values())


@pytest.mark.parametrize("system", load_systems(), ids=lambda system: system.name)
def test_every_system_has_a_page_with_its_claim_and_its_numbers(system):
    pages = runpy.run_path(str(ROOT / "docs" / "systems.py"))
    field = (ROOT / "docs" / "field.md").read_text()
    (file,) = (file for file in pages["_files"]() if file.stem == system.name)
    text = pages["page"](system.name, pages["_read"](file), field)
    for told in (f"# {system.title}\n", system.source, system.claim, system.chosen, *system.settings):
        assert told in text
    (row,) = re.findall(rf"^\| `{system.name}` \| (.* ±.*) \|$", field, re.MULTILINE)
    for number in row.split(" | "):
        assert f" | {number} |" in text


def test_files_that_the_readme_names_exist():
    readme = PAGES[0].read_text()
    files = re.findall(r"\]\((?!https?:)([^)#]+)", readme) + re.findall(r"python (\S+\.py)", readme)
    assert files
    for file in files:
        assert (ROOT / file).is_file(), file


def test_bring_your_own_begins_with_all_parts():
    introduction, _, _ = OWN.read_text().partition("```")
    for name in PARTS:
        assert f"`{name}`" in introduction


@pytest.fixture(params=[*PARTS, "reward"])
def part(request, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return request.param


def trajectory(env: gym.Env) -> list[Any]:
    """What an environment shows in two rounds of one policy."""
    observation, info = env.reset(seed=0)
    shown = [observation, info["metrics"]]
    for _ in range(2):
        state = observation_to_state(observation)
        observation, reward, _, _, info = env.step(decision_to_action(make_policy("semspacefl")(state), state))
        assert np.isfinite(reward)
        assert env.observation_space.contains(observation)
        shown += [observation, reward, info["metrics"], info["outcome"]]
    return shown


def test_a_part_s_example_is_short_and_changes_what_happens(part):
    (example,) = section(part)
    assert len(code_lines(example)) <= 15
    env = example.run()["env"]
    plain = gym.make("SatFL-v0", scenario=env.unwrapped.scenario)
    with pytest.raises(AssertionError):
        np.testing.assert_equal(trajectory(env), trajectory(plain))


def test_a_part_s_example_runs_in_a_vector_environment(part):
    (example,) = section(part)
    names = example.run()
    own = {name: names[name] for name in ("parts", "reward") if name in names}
    envs = gym.make_vec(
        "SatFL-v0",
        num_envs=2,
        vectorization_mode="vector_entry_point",
        scenario=names["env"].unwrapped.scenario,
        **own,
    )
    first, _ = names["env"].reset(seed=0)
    observations, _ = envs.reset(seed=[0, 1])
    for name, values in first.items():
        np.testing.assert_equal(observations[name][0], values)
    envs.action_space.seed(0)
    _, rewards, *_ = envs.step(envs.action_space.sample())
    assert np.isfinite(rewards).all()


def test_a_part_s_example_runs_by_command(part):
    (example,) = section(part)
    scenario = example.run()["env"].unwrapped.scenario.name
    # Modules are known by their names from one test to the next.
    module = f"my_{part}"
    Path(f"{module}.py").write_text(example.text)
    own = ("--reward", f"{module}:reward") if part == "reward" else ("--parts", f"{module}:parts")
    own = (*own, "--scenario", scenario)
    satfl("compare", *own, "--policies", "semspacefl", "--rounds", "1", "--seeds", "1", "--out", "run")


def test_the_policy_s_example_runs_by_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (example,) = section("policy")
    assert len(code_lines(example)) <= 15
    Path("my_policy.py").write_text(example.text)
    satfl("compare", "--policies", "my_policy:policy", "--rounds", "1", "--seeds", "1", "--out", "run")


def test_a_network_on_one_s_own_data_learns(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (example,) = section("your data, your network")
    assert len(code_lines(example)) <= 25
    episode = example.run()["episode"]
    assert episode[-1]["accuracy"] > episode[0]["accuracy"] + 0.3
