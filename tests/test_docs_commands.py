"""Commands of README, docs and CONTRIBUTING: all are read, and those of `satfl` run in a small form."""

from __future__ import annotations

import importlib.util
import re
import shlex
import tomllib
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from satfl_baselines.commands.reproduce import paper_of
from satfl_env.commands import make_app
from tests.test_docs import PAGES, ROOT, blocks, section

each_page = pytest.mark.parametrize(
    "page", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=lambda page: str(page.relative_to(ROOT))
)

# Put behind a command, these make it small: of a repeated option the last one counts.
SHORT = ("--set", "rounds.episode=2")
DIGITS = ("--set", "data.source=digits", "--set", "data.partition.samples=[60, 60]")
FEW_PICTURES = ("--set", "data={source: digits, partition: {kind: dirichlet, alpha: 0.5, total_samples: 300}}")
SMALL_NETWORK = ("--set", "model={kind: swin-jscc, patch: 2, width: 8, head_width: 4, depths: [1]}")
SMALL = {
    "compare": ("--seeds", "1", "--rounds", "2", "--workers", "1"),
    "doctor": (),
    "evaluate": ("--seeds", "2", "--workers", "1", *SHORT),
    "field": ("--seeds", "1", "--rounds", "2", "--workers", "1"),
    "list": (),
    "pair": (),
    "passes": (),
    "record": ("--episodes", "1", *SHORT),
    "replay": SHORT,
    "report": (),
    "show": (),
    "sites": (),
    "train": ("--rounds", "20", *SHORT),
    "tune-rules": (
        "--generations",
        "1",
        "--population",
        "4",
        "--seeds",
        "1",
        "--checks",
        "2",
        "--workers",
        "1",
        *SHORT,
    ),
    "watch": ("--size", "320x240", *SHORT),
}
SMALL_PAPERS = {
    "task-clustering": ("--seeds", "2", "--workers", "1", *SHORT, *DIGITS),
    "semspacefl": (
        *("--seeds", "2", "--workers", "1", *SHORT, *FEW_PICTURES, *SMALL_NETWORK),
        *("--set", "data.image_size=null", "--set", "data.test_samples=4", "--set", "training.round_share=0.001"),
    ),
}
# Read but not run: what they need is no part of the extra `dev`, or takes minutes however small it is made.
NEEDS = {"ray": "--engine ray", "wandb": "--track wandb"}
LONG = ("reproduce gains", "evaluate --suite")


def lines(page: Path) -> Iterator[list[str]]:
    """Words of every command in the shell blocks of a page, without variables in front of it."""
    for block in blocks(page):
        if block.language == "sh":
            for line in block.text.replace("\\\n", " ").splitlines():
                for command in re.split(r"\s&&\s", line):
                    words = shlex.split(command, comments=True)
                    while words and re.match(r"[A-Z_]+=", words[0]):
                        words.pop(0)
                    if words:
                        yield words


def small(arguments: Sequence[str]) -> Sequence[str]:
    """What makes a command of `satfl` small."""
    name, *rest = arguments
    if name == "reproduce":
        names = [word for word in rest if re.fullmatch(r"(fig|table)\d|gains", word)]
        paper = rest[rest.index("--paper") + 1] if "--paper" in rest else paper_of(names, None)
        return SMALL_PAPERS[paper]
    return SMALL[name]


def runs(arguments: Sequence[str]) -> bool:
    text = " ".join(arguments)
    missing = any(words in text for name, words in NEEDS.items() if importlib.util.find_spec(name) is None)
    return not missing and not text.startswith(LONG)


def require_options(words: Sequence[str], file: Path) -> None:
    """Every option of a script is one that its text names."""
    text = file.read_text(encoding="utf-8")
    for word in words:
        if word.startswith("--"):
            assert word in text or re.search(rf"\b{word[2:].replace('-', '_')}\b", text), f"{file} has no {word}"


def read_python(words: Sequence[str]) -> None:
    module = words[1] if words[0] == "-m" else None
    if module is None:
        require_options(words, ROOT / words[0])
    elif module != "venv":
        spec = importlib.util.find_spec(module)
        assert spec is not None
        assert spec.origin is not None
        require_options(words, Path(spec.origin))


def read_make(words: Sequence[str]) -> None:
    for word in words:
        assert re.search(rf"^{word}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE), word


def read_pip(words: Sequence[str]) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert words[0] == "install"
    for asked in re.findall(r"\.\[([\w,-]+)\]", " ".join(words)):
        assert set(asked.split(",")) <= set(extras)
    for option, value in pairwise(words):
        assert option != "--constraint" or (ROOT / value).is_file()


def read_satfl(words: Sequence[str]) -> None:
    app = typer.main.get_command(make_app())
    if words[0].startswith("--"):
        assert any(words[0] in parameter.opts for parameter in app.params)
        return
    context = app.make_context("satfl", list(words))
    name, command, rest = app.resolve_command(context, list(words))
    command.make_context(name, rest, parent=context)


# Programs of others are known by name.
READ = {"satfl": read_satfl, "python": read_python, "make": read_make, "pip": read_pip}
OTHERS = {"git", "source", "tensorboard"}


@each_page
def test_commands_are_read(page):
    for program, *words in lines(page):
        if program in READ:
            READ[program](words)
        else:
            assert program in OTHERS, program
    names = typer.main.get_command(make_app()).commands
    assert set(re.findall(r"`satfl ([a-z][\w-]*)", page.read_text(encoding="utf-8"))) <= set(names)


@each_page
def test_commands_run_in_a_small_form(page, tmp_path, monkeypatch):
    """In the order of the page and in one folder, as a reader would; programs of others are not run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    (tmp_path / "docs" / "images").mkdir(parents=True)
    (example,) = section("policy")
    Path("my_policy.py").write_text(example.text)
    for block in blocks(page):
        if block.file is not None:
            Path(block.file).write_text(block.text)
    for program, *words in lines(page):
        if program == "satfl" and not words[0].startswith("--") and runs(words):
            arguments = [*words, *small(words)]
            result = CliRunner().invoke(make_app(), arguments)
            assert result.exit_code == 0, f"satfl {' '.join(arguments)}\n{result.output}"
