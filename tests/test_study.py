"""The study in examples/study: its rules, and that its three commands make a table and a figure."""

from __future__ import annotations

import csv
import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from satfl_baselines import Estimate, make_policy
from satfl_baselines.association import longest_window
from satfl_env import scenarios

STUDY = Path(__file__).parents[1] / "examples" / "study"


@pytest.fixture
def beams(monkeypatch):
    """The module of the study, with two numbers of beams."""
    monkeypatch.syspath_prepend(str(STUDY))
    spec = importlib.util.spec_from_file_location("beams", STUDY / "beams.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "beams", module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "BEAMS", (1, 2))
    return module


def states(beams, rounds=4):
    """States of the scenario as the gateways have some number of beams."""
    policy = make_policy("neediest")
    simulation = scenarios.build(scenarios.load("rush-hour", **{"access.beams": beams, "training.engine": "none"}))
    state = simulation.reset(seed=0)
    for _ in range(rounds):
        yield state
        state, _ = simulation.step(policy(state))


def test_rules_give_away_no_more_beams_than_there_are(beams):
    for state in states(1):
        for rule in beams.OWN.values():
            association = rule(state).association
            served = association[association < state.num_gateways]
            assert (np.bincount(served, minlength=state.num_gateways) <= state.beams).all()


def test_where_everybody_gets_a_beam_all_rules_choose_the_longest_window(beams):
    for state in states(16):
        for rule in beams.OWN.values():
            np.testing.assert_array_equal(rule(state).association, longest_window(state))


def test_turns_pass_over_nobody(beams):
    """Three beams in all: round n begins with satellite 3 n, or with the next one that sees a gateway."""
    for turn, state in enumerate(states(1, rounds=8)):
        order = np.roll(np.arange(16), -3 * turn)
        first = next(satellite for satellite in order if state.visible[satellite].any())
        assert beams.OWN["in-turn"](state).association[first] < state.num_gateways


def test_three_commands_make_the_table_and_the_figure(beams, tmp_path):
    few = ["--folder", str(tmp_path), "--seeds", "2", "--rounds", "2"]
    picture = tmp_path / "beams.pdf"
    again = tmp_path / "again.pdf"
    for command in (["play"], ["table"], ["figure", "--out", str(picture)], ["figure", "--out", str(again)]):
        result = CliRunner().invoke(beams.app, [*command, *few], catch_exceptions=False)
        assert result.exit_code == 0, result.output
    assert picture.read_bytes().startswith(b"%PDF")
    assert picture.read_bytes() == again.read_bytes()
    with (tmp_path / "beams.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["beams"] for row in rows] == ["1", "2"]
    comparison = beams.played(tmp_path, seeds=2, rounds=2)[1]
    final = {rule: comparison.outcomes(rule)["balanced_accuracy"] for rule in beams.RULES}
    difference = Estimate.of(final["neediest"] - final["in-turn"])
    assert rows[0]["in turn"] == f"{final['in-turn'].mean():.3f}"
    assert rows[0]["ahead of in turn"] == f"{difference.mean:+.3f} ± {difference.half_width:.3f}"
