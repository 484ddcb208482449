"""Everything that is done on a GPU, at a toy size on the CPU."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer
from rich.console import Console
from typer.testing import CliRunner

from benchmarks import device, graphs, paper_rounds, parity
from benchmarks.device import Part, play
from benchmarks.paper_rounds import POLICIES, Rounds, expected_s, play_in_turn
from benchmarks.pictures import clouds, synthetic
from benchmarks.workloads import TINY_MODELS, workload
from satfl_baselines import checkpoint
from satfl_env.federated import TrainingResult, make_trainer
from tests.pretended_cuda import pretended_cuda

QUIET = Console(quiet=True)
TOY = paper_rounds.scenario(paper_rounds.TOY, "cpu", "float32")
PICTURES = synthetic(TOY)


def command(out: Path, *options: str) -> str:
    app = typer.Typer()
    app.command()(device.main)
    done = CliRunner().invoke(app, ["--device", "cpu", "--toy", "--out", str(out), *options], catch_exceptions=False)
    return done.output


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def no_time(results: list[dict[str, float]]) -> list[dict[str, float]]:
    return [{name: value for name, value in result.items() if name != "took_s"} for result in results]


def test_one_command_does_all_parts_and_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(device, "TINY_MODELS", ("tiny link",))
    monkeypatch.setattr(device, "REPEATS", 1)
    with monkeypatch.context() as patch:
        patch.setattr(paper_rounds, "FIRST_ROUND_S", 1e9)  # no time is enough for a round
        command(tmp_path)
    assert read(tmp_path / "parity.json")["values"]
    assert read(tmp_path / "round.json")["values"].values() == pytest.approx([0.0, 0.0, 0.0])
    assert set(read(tmp_path / "interruption.json")["values"].values()) == {0.0}
    assert len(read(tmp_path / "times-tiny-link.json")["values"]) == 4
    assert read(tmp_path / "graph-tiny-link.json")["left_out"] == "device 'cpu' has no CUDA graphs"
    assert read(tmp_path / "rounds.json")["values"] == {}
    for done in ("against_cpu", "engine_differences"):
        monkeypatch.delattr(parity, done)
    command(tmp_path)
    values = read(tmp_path / "rounds.json")["values"]
    assert {policy: values[f"{policy}: rounds"] for policy in POLICIES} == dict.fromkeys(POLICIES, 3.0)
    assert {result["round"] for result in read(tmp_path / "semspacefl.json")} == {1.0, 2.0, 3.0}
    assert "belongs to another device: toy" in " ".join(_refusal(tmp_path).split())


def _refusal(out: Path) -> str:
    app = typer.Typer()
    app.command()(device.main)
    done = CliRunner().invoke(app, ["--device", "cpu", "--out", str(out)])
    assert done.exit_code == 2
    return done.output.replace("│", "")


def test_an_interrupted_study_gives_the_rounds_of_one_that_was_not(tmp_path: Path):
    for name in ("whole", "parts"):
        (tmp_path / name).mkdir()
    whole = Rounds("semspacefl", TOY, tmp_path / "whole", PICTURES)
    while not whole.finished:
        whole.play()
    for _ in range(3):
        part = Rounds("semspacefl", TOY, tmp_path / "parts", PICTURES)
        assert not part.finished
        part.play()
    assert part.finished
    assert no_time(part.played) == no_time(whole.played)
    assert len(part.played) == 3
    one, other = (study.simulation.get_state() for study in (whole, part))
    assert torch.equal(one["models"]["held"], other["models"]["held"])
    assert one["progress"].keys() == other["progress"].keys()
    for name, value in one["progress"].items():
        np.testing.assert_array_equal(value, other["progress"][name], err_msg=name)
    # A round's images are known before it is played.
    assert whole.played[0]["passes"] == Rounds("semspacefl", TOY, tmp_path, PICTURES).passes() > 0


@pytest.mark.parametrize(("owner", "writer"), [(checkpoint, "save"), (paper_rounds, "write_json")])
def test_a_last_round_interrupted_while_it_is_written_is_in_both_files(owner, writer: str, tmp_path: Path, monkeypatch):
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    study = Rounds("semspacefl", TOY, tmp_path, PICTURES)
    study.play()
    study.play()
    with monkeypatch.context() as patch:
        patch.setattr(owner, writer, killed)
        with pytest.raises(KeyboardInterrupt):
            study.play()
    again = Rounds("semspacefl", TOY, tmp_path, PICTURES)
    while not again.finished:
        again.play()
    assert no_time(read(tmp_path / "semspacefl.json")) == no_time(again.played)
    assert len(again.played) == 3


def test_a_checkpoint_of_other_settings_is_refused(tmp_path: Path):
    Rounds("semspacefl", TOY, tmp_path, PICTURES).play()
    longer = paper_rounds.scenario({**paper_rounds.TOY, "rounds.episode": 9}, "cpu", "float32")
    with pytest.raises(ValueError, match=r"belongs to another study: scenario.rounds.episode is 3 there and 9 here"):
        Rounds("semspacefl", longer, tmp_path, PICTURES)


@pytest.mark.parametrize("content", [{"state": 3}, [1.0], {}])
def test_a_checkpoint_of_something_else_is_told(content: object, tmp_path: Path):
    checkpoint.save(tmp_path / "semspacefl.checkpoint", content)
    with pytest.raises(ValueError, match=r"semspacefl.checkpoint' is damaged .it is no checkpoint of a study."):
        Rounds("semspacefl", TOY, tmp_path, PICTURES)


class Stub:
    """A study whose rounds take the time that they say."""

    finished = False

    def __init__(self, clock: list[float], seconds: float) -> None:
        self.clock, self.seconds = clock, seconds
        self.played: list[dict[str, float]] = []

    def passes(self) -> int:
        return 100

    def play(self) -> None:
        self.clock[0] += self.seconds
        self.played.append({"took_s": self.seconds, "passes": 100.0})


@pytest.mark.parametrize("deadline_s", [0.0, 249.0, 251.0, 400.0, 1000.0, 1017.0])
def test_rounds_take_turns_and_end_in_time(deadline_s: float):
    clock = [0.0]
    studies: list[Any] = [Stub(clock, 60.0), Stub(clock, 100.0)]
    play_in_turn(studies, deadline_s, lambda: clock[0])
    assert clock[0] <= deadline_s
    first, second = (len(study.played) for study in studies)
    assert first in (second, second + 1)
    # No time is given away either.
    assert clock[0] + expected_s(studies[0], studies) > deadline_s


def test_a_part_that_fails_is_written_down_and_the_next_one_goes_on(tmp_path: Path):
    calls: list[str] = []

    def part(name: str, error: Exception | None = None, longest_s: float = 1.0) -> Part:
        def run() -> dict[str, float]:
            calls.append(name)
            if error is not None:
                raise error
            return {f"{name}: x, s": 1.0}

        return Part(name, longest_s, run)

    todo = [
        part("out of memory", RuntimeError("CUDA out of memory")),
        part("absent", ImportError("no CUDA graphs")),
        part("too long", longest_s=100.0),
        part("good"),
    ]
    play(todo, tmp_path, time.monotonic() + 50, QUIET)
    assert calls == ["out of memory", "absent", "good"]
    assert "RuntimeError: CUDA out of memory" in read(tmp_path / "out-of-memory.json")["error"]
    assert read(tmp_path / "absent.json")["left_out"] == "no CUDA graphs"
    assert read(tmp_path / "good.json")["values"] == {"good: x, s": 1.0}
    assert not (tmp_path / "too-long.json").exists()
    # The next time, what failed, was left or is damaged is tried again.
    (tmp_path / "good.json").write_text("{", encoding="utf-8")
    play(todo, tmp_path, time.monotonic() + 200, QUIET)
    assert calls[3:] == ["out of memory", "too long", "good"]


def test_engines_on_a_device_are_held_against_the_cpu():
    values = parity.against_cpu(TINY_MODELS, "cpu")
    kept = {name: value for name, value in values.items() if "kept" in name}
    # Three models; three engines in two precisions, and two of them in bfloat16.
    assert len(kept) == 3 * (3 * 2 + 2)
    assert set(kept.values()) == {1.0}
    assert all(0 <= value <= 0.01 for name, value in values.items() if name not in kept)


def test_a_difference_is_not_kept(monkeypatch: pytest.MonkeyPatch):
    work = workload("tiny link")

    def train(self: Any, *arguments: Any) -> TrainingResult:
        result = original(self, *arguments)
        return replace(result, parameters=result.parameters + 1e-4) if self.hardware.device == "cpu" else result

    trainer = type(make_trainer("stacked", work.model, work.settings))
    original = trainer.train
    monkeypatch.setattr(trainer, "train", train)
    values = parity.engine_differences(work, "cpu", "float32")
    kept = {name.split()[2]: value for name, value in values.items() if "kept" in name}
    assert kept["stacked"] == 0.0
    assert kept["loop"] == 1.0


def test_a_captured_step_is_one_of_stacked_training():
    """Each satellite has a single minibatch: its only step is the step."""
    small = workload("tiny conv")
    work = replace(small, epochs=np.array([1, 1, 1]), settings=replace(small.settings, batch_size=16))
    step, rows = graphs.one_step(work, "cpu")
    step()
    trained = work.train(make_trainer("stacked", work.model, work.settings)).parameters
    assert torch.equal(rows, trained)
    with pytest.raises(ImportError, match="no CUDA graphs"):
        graphs.gain(work, "cpu", repeats=1)


@pytest.mark.parametrize("name", ["tiny link", "tiny conv"])
def test_a_step_to_capture_stays_on_the_gpu(name: str, monkeypatch: pytest.MonkeyPatch):
    """A graph can hold no copy to or from the CPU."""
    with pretended_cuda(monkeypatch) as pretence:
        step, rows = graphs.one_step(workload(name), "cuda")
        assert pretence.crossings > 0
        pretence.crossings = 0
        step()
    assert rows.device.type == "cuda"
    assert pretence.crossings == 0


def test_made_up_pictures_are_smooth_and_differ():
    pictures = clouds(5, 32, torch.Generator().manual_seed(0))
    assert pictures.shape == (5, 3, 32, 32)
    assert pictures.dtype == torch.float32
    assert 0 <= float(pictures.min()) < float(pictures.max()) <= 1
    assert torch.equal(pictures, clouds(5, 32, torch.Generator().manual_seed(0)))
    steps = (pictures[..., 1:] - pictures[..., :-1]).abs().mean()
    assert steps < 0.3 * pictures.std()
    assert len(PICTURES.images.train_images) == 2000
