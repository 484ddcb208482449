"""Whatever a scenario's file holds ends in a scenario or in one ScenarioError that names the file, within a second."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from satfl_env import scenarios
from satfl_env.scenarios import ScenarioError
from satfl_env.scenarios.limits import MOST_BYTES
from satfl_env.scenarios.reader import read_yaml
from tests.timing import within_a_second

BUILT_IN = resources.files("satfl_env.scenarios") / "builtin"
# Once for all examples: hypothesis and the fixture of a function do not go together.
QUIET = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def text_of(name: str) -> str:
    return (BUILT_IN / f"{name}.yaml").read_text(encoding="utf-8")


def refusal(path: Path, content: str | bytes) -> str:
    """The message of the error that a file with this content ends in: of one line, with the file's name."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ScenarioError) as caught, within_a_second():
        scenarios.load(path)
    message = str(caught.value)
    assert path.name in message
    assert "\n" not in message
    return message


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mine.yaml"


def bomb(merge: bool) -> str:
    """Nine levels, each ten times the one before."""
    lines = ["a0: &a0 {x: 1}"]
    for level in range(1, 10):
        aliases = ", ".join([f"*a{level - 1}"] * 10)
        lines.append(f"a{level}: &a{level} {{{'<<' if merge else 'x'}: [{aliases}]}}")
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (bomb(merge=False), ["not valid YAML", "must not hold more than 10000 values, aliases written out"]),
        (bomb(merge=True), ["not valid YAML", "must not hold more than 10000 values, aliases written out"]),
        ("a: &a [*a]", ["nested more than 32 levels"]),
        ("a: &a {<<: *a}", ["nested more than 32 levels"]),
        ("name: x\na: " + "[" * 40_000, ["line 2", "nested more than 32 levels"]),
        ("name: x\na: " + "{a: " * 30_000, ["line 2", "nested more than 32 levels"]),
        ("- " * 40_000, ["line 1", "nested more than 32 levels"]),
        ("a: [" + "1," * 50_000 + "]", ["line 1", "more than 10000 values"]),
        ("#" * (MOST_BYTES + 1), ["must not be longer than 131072 bytes"]),
        ("name: x\n# für\n".encode("latin-1"), ["line 2: must be UTF-8 text, got byte 0xfc"]),
        ("name: x\n".encode("utf-16"), ["line 1: must be UTF-8 text, got byte 0xff"]),
        (b"name: x\0\n", ["not valid YAML", "#x0000"]),
        ("name: *nobody\n", ["line 1", "undefined alias 'nobody'"]),
        ("name: x\n---\nname: y\n", ["line 2", "single document"]),
        ("name: x\nepoch: !!python/name:os.system\n", ["line 2", "python/name:os.system"]),
        ("name: x\nn: !!timestamp 5\n", ["line 2: not a valid timestamp"]),
        ("name: x\nn: !!bool perhaps\n", ["line 2: not a valid bool"]),
        ("name: x\nn: " + "9" * 5000, ["line 2: not a valid int"]),
        ("name: x\n? [a, b]\n: 3", ["line 2", "unhashable key"]),
        ("name: x\nrounds: {3: 4}", ["keys must be text, got 3"]),
        ("name: x\nrounds: !!set {a, b}", ["got a set"]),
        ("name: x\nrounds: !!binary aGVsbG8=", ["got a bytes"]),
        ("", ["must be a mapping of sections, got NoneType"]),
        ("[1, 2]", ["must be a mapping of sections, got list"]),
    ],
)
def test_files_that_are_no_scenarios_are_refused_by_name_and_line(path, content, words):
    message = refusal(path, content)
    for word in words:
        assert word in message


def test_a_byte_order_mark_and_any_case_of_the_ending_are_fine(tmp_path):
    for ending, codec in (("YAML", "utf-8"), ("Yml", "utf-8-sig")):
        path = tmp_path / f"mine.{ending}"
        path.write_bytes(text_of("leo-multitask").encode(codec))
        assert scenarios.load(path).name == "leo-multitask"


def test_what_is_no_regular_file_is_refused_and_not_waited_for(tmp_path):
    pipe, folder, loop = (tmp_path / f"{name}.yaml" for name in ("pipe", "folder", "loop"))
    os.mkfifo(pipe)
    folder.mkdir()
    loop.symlink_to(loop)
    for path, words in (
        (pipe, "not a regular file"),
        (folder, "not a regular file"),
        (loop, "cannot be read: Too many"),
    ):
        with pytest.raises(ScenarioError, match=rf"{path.name}'(:)? {words}"):
            scenarios.load(path)


@pytest.mark.parametrize("name", ["null\0.yaml", "half\ud800.yaml", "~nobody-at-all/mine.yaml", "a" * 300 + ".yaml"])
def test_names_that_no_file_can_have_are_refused(name):
    with pytest.raises(ScenarioError) as caught:
        scenarios.load(name)
    assert "\n" not in str(caught.value)


def test_files_that_may_not_be_read_are_refused_by_name(path, monkeypatch):
    def forbidden(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    path.write_text(text_of("leo-multitask"))
    monkeypatch.setattr(Path, "open", forbidden)
    with pytest.raises(ScenarioError, match=r"mine\.yaml' cannot be read: Permission denied"):
        scenarios.load(path)


def test_home_is_expanded_in_names_of_scenarios_and_of_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mine.yaml").write_text(text_of("leo-multitask"))
    scenario = scenarios.load("~/mine.yaml", **{"data.data_dir": "~/images"})
    assert scenario.data.data_dir == str(tmp_path / "images")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e6", 1e6),
        ("-2.5E-3", -2.5e-3),
        (".5", 0.5),
        ("010", 10),
        ("0x1F", 31),
        ("0o17", 15),
        ("-.inf", float("-inf")),
        ("true", True),
        ("False", False),
        ("no", "no"),
        ("on", "on"),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("~", None),
        ("'1e6'", "1e6"),
        (".", "."),
    ],
)
def test_values_are_those_of_yaml_1_2(text, value):
    read = read_yaml(f"x: {text}")["x"]
    assert read == value
    assert type(read) is type(value)


def test_sections_that_share_an_alias_can_be_changed_alone(path):
    sections = yaml.safe_load(text_of("leo-multitask"))
    others = {name: section for name, section in sections.items() if name not in ("rounds", "onboard")}
    path.write_text(yaml.safe_dump(others) + "rounds: &none {}\nonboard: *none\n")
    changed = scenarios.load(path, **{"rounds.episode": 3})
    assert changed.rounds.episode == 3
    assert changed.onboard == scenarios.load(path).onboard


def problem(read: Callable[[], object]) -> str:
    """The message of the error that something ends in within a second; empty if there is none."""
    with within_a_second():
        try:
            read()
        except ValueError as error:
            return str(error)
    return ""


@given(st.one_of(st.binary(max_size=60), st.text(max_size=60).map(lambda text: text.encode("utf-8", "replace"))))
@QUIET
def test_any_bytes_end_in_a_scenario_or_its_error(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(content)
    assert "any.yaml" in problem(lambda: scenarios.load(path))


# What YAML is made of, with everything that its tags and aliases can break.
PIECES = [*"{}[]@#|>'\t\n", "&a ", "*a", "<<: ", "- ", "? ", ": ", "  ", ", ", "name", "!x ", "---", "...", "%TAG ! x"]
TAGS = [f"!!{tag} " for tag in ("int", "float", "bool", "null", "timestamp", "map", "seq", "str", "omap", "pairs")]
SCALARS = ["2026-01-01", "1e999", "0x", "-", ".nan", "1:30"]


@given(st.lists(st.sampled_from([*PIECES, *TAGS, *SCALARS]), max_size=30).map("".join))
@settings(QUIET, max_examples=200)
def test_any_yaml_ends_in_a_value_or_an_error_of_one_line(text):
    assert "\n" not in problem(lambda: read_yaml(text))
