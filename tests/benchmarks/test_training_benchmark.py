from __future__ import annotations

import copy
import itertools
import json

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from benchmarks import __main__ as command
from benchmarks import flower, gpu, machine, report, timing, training
from benchmarks.naive import satellite_data, train_one
from benchmarks.workloads import SMALL_MODELS, Workload, small_mlp, workload
from satfl_env.federated import TrainingSettings, forward_flops


def tiny() -> Workload:
    return small_mlp(3)


def test_workloads_are_those_of_the_text():
    work = workload("W1m")
    assert (work.num_satellites, set(work.data.samples.tolist()), work.settings.batch_size) == (50, {400}, 64)
    assert work.samples_seen == 50 * 400 * 5
    assert forward_flops(work.model, work.data.images) == 2 * (784 * 64 + 64 * 8 + 8 * 32 + 32 * 2)
    unequal = workload("unequal")
    assert (unequal.data.samples.min(), unequal.data.samples.max()) == (18, 382)
    assert (unequal.epochs.min(), unequal.epochs.max()) == (3, 85)
    swin = workload("Swin")
    assert sum(parameter.numel() for parameter in swin.model.parameters()) == pytest.approx(26.3e6, rel=0.01)
    assert swin.data.images.shape == (2, 3, 224, 224)
    assert SMALL_MODELS == ("W1", "W1s", "W1m", "W2", "unequal")


def test_the_plain_loop_learns():
    work = tiny()
    images, targets = satellite_data(work, 1)
    model = copy.deepcopy(work.model)
    train_one(model, images, targets, 200, TrainingSettings(16, 5e-3), seed=1)
    with torch.no_grad():
        draw = model.draw_channel(len(images), torch.Generator().manual_seed(0))
        before, after = (net.sample_loss(net(images, draw), images, targets).mean() for net in (work.model, model))
    assert after < 0.2 * before


def test_medians_leave_the_first_out_and_take_turns(monkeypatch: pytest.MonkeyPatch):
    turns: list[str] = []
    # Two readings of each job: the warm-ups' are 100 and 200 apart, the others' 1, 5, ...
    clock = itertools.accumulate(itertools.chain(*([0, n] for n in (100, 200, 1, 5, 2, 6, 9, 7))))
    monkeypatch.setattr(timing.time, "perf_counter", lambda: next(clock))
    values = timing.medians({"a": lambda: turns.append("a"), "b": lambda: turns.append("b")}, 3)
    assert values == {"a": 2, "b": 6}
    assert turns == ["a", "b"] * 4


def test_a_short_job_counts_when_its_own_caches_are_warm(monkeypatch: pytest.MonkeyPatch):
    # The warm-up, and one repeat: first time and second time.
    clock = itertools.accumulate(itertools.chain(*([0, n] for n in (0.09, 0.08, 0.05, 0.03))))
    monkeypatch.setattr(timing.time, "perf_counter", lambda: next(clock))
    assert timing.medians({"a": lambda: None}, 1) == {"a": pytest.approx(0.03)}


def test_tables_join_neighbours_with_equal_quantities():
    values = {"A: x, s": 1.0, "A: y, s": 2.0, "B: x, s": 12345.6, "B: y, s": 0.01234, "C, D: other: z": 3.0}
    first, second = report.tables(values)
    assert first == (("x, s", "y, s"), {"A": (1.0, 2.0), "B": (12345.6, 0.01234)})
    assert second == (("z",), {"C, D: other": (3.0,)})
    lines = report.markdown("Title", ["Text."], values).splitlines()
    assert lines[:6] == ["## Title", "", "Text.", "", "|  | x, s | y, s |", "| --- | ---: | ---: |"]
    assert "| B | 12,346 | 0.0123 |" in lines


def test_round_seconds_compare_every_engine_with_the_plain_loop(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(training, "ENGINES", ("loop", "stacked", "auto"))
    work = tiny()
    values = training.round_seconds(work, 1, 1e9)
    plain, auto = (values[f"S = 3: {name}, s"] for name in ("plain loop with DataLoader", "auto"))
    assert values["S = 3: plain loop / auto"] == pytest.approx(plain / auto)
    flops = 2 * (64 * 32 + 32 * 8 + 8 * 16 + 16 * 4)
    assert values["S = 3: arithmetic floor, s"] == pytest.approx(3 * flops * work.samples_seen / 1e9)


def test_forms_on_a_device_are_compared():
    values = gpu.forms(tiny(), "cpu", repeats=1)
    assert len(values) == 4
    assert min(values.values()) > 0


def test_the_machine_is_named_in_words():
    words = machine.in_words()
    assert "core" in words
    assert "PyTorch" in words


def test_what_is_missing_is_left_out_with_a_plain_line(monkeypatch: pytest.MonkeyPatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(flower, "find_spec", lambda name: None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    app = command.typer.Typer()
    app.command()(command.main)
    done = CliRunner().invoke(app, ["flower", "gpu", "--write", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["values"] == {}
    text = (tmp_path / "BENCHMARKS.md").read_text(encoding="utf-8")
    assert "Left out: Flower is not installed: pip install -e '.[bench]'." in text
    assert "Left out: PyTorch sees no GPU." in text
    assert "Machine: " in text


@pytest.mark.slow
def test_a_quick_run_finds_auto_ahead_and_the_plain_loop_heavier():
    values = training.run(quick=True)
    assert all(np.isfinite(value) for value in values.values())
    assert values["W1s: plain loop / auto"] > 1
