"""Satellites that train narrower models: which part of one, as what they train it, and what gateways make of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from satfl_env import Outcome, Simulation, scenarios
from satfl_env.federated import FedAvg, Layout, overlapping_mean, weighted_mean, width_mask
from satfl_env.scenarios import ScenarioError
from satfl_env.simulation import Scaffold, Structures
from satfl_env.simulation.structures import widest
from tests.factories import decide

# The first two computers are a quarter as fast, the next three half as fast.
FLEET = [
    {"name": "weak", "count": 2, "cpu_max_hz": 2.5e8},
    {"name": "middling", "count": 3, "cpu_max_hz": 5e8},
    {"name": "strong", "cpu_max_hz": 1e9},
]
WIDTHS = {"fleet": FLEET, "structures": {"widths": [0.25, 0.5, 1.0]}}
QUICK = {"training.max_epochs": 2, "rounds.episode": 5, "data.test_samples": 8, "rounds.cloud_every": 2}


def build(**changes: Any) -> Simulation:
    return scenarios.build(scenarios.load("leo-multitask", **{**QUICK, **WIDTHS, **changes}))


def masks(simulation: Simulation) -> torch.Tensor:
    return simulation._episode.parts.mask


class Link(nn.Module):
    """Five inputs, four hidden units, two symbols, two hidden units, three outputs."""

    def __init__(self, hidden: int = 4, decoder_hidden: int = 2) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(5, hidden), nn.ReLU(), nn.Linear(hidden, 2))
        self.decoder = nn.Sequential(nn.Linear(2, decoder_hidden), nn.ReLU(), nn.Linear(decoder_hidden, 3))


def test_a_width_keeps_the_first_units_of_hidden_layers_with_what_goes_in_and_out():
    layout = Layout.of(Link())
    parts = layout.split(width_mask(layout, layout.num_parameters, 0.5)[None])
    kept = {name: part[0].int().tolist() for name, part in parts.items()}
    assert kept["encoder.0.weight"] == [[1] * 5] * 2 + [[0] * 5] * 2
    assert kept["encoder.0.bias"] == [1, 1, 0, 0]
    assert kept["encoder.2.weight"] == [[1, 1, 0, 0]] * 2
    assert kept["encoder.2.bias"] == [1, 1]
    assert kept["decoder.0.weight"] == [[1, 1], [0, 0]]
    assert kept["decoder.2.weight"] == [[1, 0]] * 3
    for width, hidden in ((0.25, 1), (0.01, 1), (0.26, 2), (1.0, 4)):
        own = Layout.of(Link(hidden, max(1, int(np.ceil(2 * width)))))
        assert width_mask(layout, layout.num_parameters, width).sum() == own.num_parameters


def test_training_with_zeros_outside_is_training_the_narrow_model():
    torch.manual_seed(0)
    wide, narrow = Link(), Link(2, 1)
    layout, inputs, target = Layout.of(wide), torch.rand(6, 5), torch.randint(3, (6,))
    mask = width_mask(layout, layout.num_parameters, 0.5)
    layout.load(wide, layout.flatten(wide) * mask)
    Layout.of(narrow).load(narrow, layout.flatten(wide)[mask])
    for model in (wide, narrow):
        optimiser = torch.optim.Adam(model.parameters(), 0.05)
        for _ in range(5):
            optimiser.zero_grad()
            nn.functional.cross_entropy(model.decoder(model.encoder(inputs)), target).backward()
            optimiser.step()
    trained = layout.flatten(wide)
    assert not trained[~mask].any()
    torch.testing.assert_close(trained[mask], Layout.of(narrow).flatten(narrow))


def test_layers_that_are_not_fully_connected_are_refused():
    with pytest.raises(ValueError, match=r"fully connected layers; 0\.weight has the shape \(2, 1, 3, 3\)"):
        width_mask(Layout.of(nn.Sequential(nn.Conv2d(1, 2, 3))), 5, 0.5)


def test_numbers_move_by_the_mean_of_the_updates_that_have_them():
    updates = torch.tensor([[1.0, 2.0, torch.nan, torch.nan], [5.0, torch.nan, 7.0, torch.nan]])
    assert overlapping_mean(updates, torch.tensor([0.25, 0.75])).tolist() == [4.0, 2.0, 7.0, 0.0]
    assert overlapping_mean(updates, torch.tensor([1.0, 0.0])).tolist() == [1.0, 2.0, 0.0, 0.0]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 6), st.integers(0, 1000))
def test_it_stays_between_the_updates_and_is_their_mean_where_all_are_whole(count, seed):
    generator = torch.Generator().manual_seed(seed)
    updates = torch.randn(count, 5, generator=generator)
    weights = torch.rand(count, generator=generator) + 0.01
    weights /= weights.sum()
    torch.testing.assert_close(overlapping_mean(updates, weights), weights @ updates)
    updates[torch.rand(count, 5, generator=generator) < 0.5] = torch.nan
    mean, there = overlapping_mean(updates, weights), ~updates.isnan()
    low = updates.nan_to_num(nan=torch.inf).amin(dim=0)
    high = updates.nan_to_num(nan=-torch.inf).amax(dim=0)
    some = there.any(dim=0)
    assert ((mean >= low - 1e-5) & (mean <= high + 1e-5))[some].all()
    assert (mean[~some] == 0).all()


def test_each_takes_the_widest_that_it_trains_as_fast_as_the_strongest_trains_the_whole():
    capacity = np.array([0.1, 0.3, 0.55, 0.9, 1.0])
    assert widest(np.array([0.3, 0.55, 1.0]), capacity).tolist() == [0, 0, 1, 1, 2]


@pytest.mark.parametrize("widths", [[], [0.5, 0.25], [0.5, 0.5], [0.0, 1.0], [1.5]])
def test_widths_that_do_not_ascend_are_refused(widths):
    with pytest.raises(ValueError, match="widths"):
        Structures(widths=widths)


def test_bits_and_cycles_are_those_of_the_parts():
    links = {"kind": "ideal", "rate_bps": 1e6, "transmit_power_w": 2.0, "model_bits": 8e6}
    simulation = build(links=links)
    before = simulation.reset(0)
    _, report = simulation.step(decide(before))
    mask, came, layout = masks(simulation), report.returned, simulation._learner.layout
    share = mask.sum(dim=1).numpy() / mask.shape[1]
    assert len(np.unique(share[came])) > 1
    bits = np.rint(8e6 * share)
    np.testing.assert_array_equal(report.upload_bits, np.where(came, bits, 0.0))
    np.testing.assert_array_equal(report.download_bits, np.where(came, bits, 0.0))
    pair = np.arange(len(came)), np.where(came, decide(before).association, 0)
    np.testing.assert_allclose(before.link_s[pair][came], (report.download_s + report.upload_s)[came])
    np.testing.assert_allclose(report.transmit_energy_j, 2.0 * report.upload_s)
    parameters = mask.sum(dim=1).numpy() + layout.num_parameters - mask.shape[1]
    whole = simulation.ingredients.computer.cycles_per_sample
    np.testing.assert_allclose(before.cycles_per_sample, whole * parameters / layout.num_parameters)


@pytest.mark.parametrize("engine", ["compiled", "loop"])
def test_a_round_by_hand(engine):
    simulation = build(**{"training.engine": engine, "rounds.cloud_every": 9})
    before, first = simulation.reset(0), simulation._models.first.clone()
    decision = decide(before)
    opened = simulation.begin(decision)
    result = simulation.trainer.train(*opened.job)
    learned = simulation.learn(opened, result)
    mask = masks(simulation)
    number, came = mask.shape[1], learned.outcome == Outcome.RETURNED
    start, trained = opened.job.parameters[:, :number], result.parameters[:, :number]
    assert came.any()
    assert not start[~mask].any()
    assert not trained[~mask].any()
    for (gateway, _), model in simulation.get_state()["models"]["gateway_models"].items():
        members = np.flatnonzero(came & (decision.association == gateway))
        expected = first.double()
        for column in range(number):
            having = [each for each in members if mask[each, column]]
            if having:
                expected[column] += np.mean([float(trained[each, column] - start[each, column]) for each in having])
        torch.testing.assert_close(model.double(), expected, rtol=1e-4, atol=1e-6)
        for each in members:
            held = simulation.get_state()["models"]["held"][each, :number]
            torch.testing.assert_close(held, torch.where(mask[each], model, 0.0))


@pytest.mark.parametrize("changes", [{}, {"rounds.late": {"buffer": 3}}, {"rounds.aggregate": "decided"}], ids=str)
def test_a_restored_episode_goes_on_alike_and_nobody_holds_more_than_its_part(changes):
    simulation = build(**changes)
    state = simulation.reset(0)
    for _ in range(3):
        state, _ = simulation.step(decide(state))
    kept, reports = simulation.get_state(), []
    held = kept["models"]["held"][:, : masks(simulation).shape[1]]
    assert not held[~masks(simulation)].any()
    for each in (simulation, build(**changes)):
        state = each.set_state(kept)
        reports.append(each.step(decide(state))[1])
    np.testing.assert_array_equal(reports[0].test_loss, reports[1].test_loss)
    np.testing.assert_array_equal(reports[0].upload_bits, reports[1].upload_bits)


def test_equal_satellites_train_whole_models():
    reports = []
    for changes in ({"structures": None}, {}):
        simulation = build(**{"fleet": [], **changes})
        reports.append(simulation.step(decide(simulation.reset(0)))[1])
    np.testing.assert_array_equal(reports[0].upload_bits, reports[1].upload_bits)
    np.testing.assert_allclose(reports[0].test_loss, reports[1].test_loss, rtol=1e-4)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"server": {"kind": "fedavgm"}}, "server"),
        ({"local": {"kind": "scaffold"}}, "local.kind 'scaffold'"),
        ({"compression.upload": {"kind": "progressive"}}, "compression.upload.kind 'progressive'"),
        ({"rounds.broadcast": 2}, "rounds.broadcast"),
        ({"rounds.late": {"kind": "fedsat"}}, "rounds.late.kind 'fedsat'"),
    ],
)
def test_what_takes_all_to_train_the_same_is_refused(changes, name):
    with pytest.raises(ValueError, match=f"{name} does not go with structures"):
        build(**changes)


@pytest.mark.parametrize(
    ("name", "part", "told"),
    [
        ("combine", weighted_mean, r"parts\['combine'\]"),
        ("server", FedAvg(), "server"),
        ("local", Scaffold(), "local.kind 'scaffold'"),
    ],
)
def test_parts_that_would_not_be_used_are_refused(name, part, told):
    scenario = scenarios.load("leo-multitask", **QUICK, **WIDTHS)
    with pytest.raises(ScenarioError, match=rf"^{told} does not go with structures"):
        scenarios.build(scenario, parts={name: part})
