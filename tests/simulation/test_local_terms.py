"""Terms beside the loss in a federation: FedProx and SCAFFOLD against closed forms and replayed rounds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from satfl_env import Simulation, scenarios
from satfl_env.federated import LocalData, LocalObjective, TrainingSettings, make_trainer
from satfl_env.simulation import FedProx, LocalTerms, OneContact, Scaffold
from satfl_env.simulation.models import Arrivals
from tests.factories import decide, make_decision
from tests.vectors import assert_vectors_play_like_singles

QUICK = {"training.max_epochs": 2, "rounds.episode": 6, "data.test_samples": 8}
SCAFFOLD = {"local": {"kind": "scaffold"}}
SGD = {"training.optimizer": "sgd", "training.learning_rate": 0.05}
SQUEEZED = {
    "compression": {"upload": {"kind": "quantised", "bits": 4}, "error_feedback": True},
    "server": {"kind": "fedadam", "server_rate": 0.01},
}
ALL = [
    {"local": {"kind": "fedprox", "proximal_mu": 0.1}},
    {**SCAFFOLD, "rounds.cohort": 5},
    {"local": {"kind": "scaffold", "proximal_mu": 0.1}, **SQUEEZED},
    {**SCAFFOLD, "rounds.late": {"buffer": 2}, "links.upload_snr_db": 10.0},
]


def build(parts: Any = None, **changes: Any) -> Simulation:
    return scenarios.build(scenarios.load("leo-multitask", **{**QUICK, **changes}), parts=parts)


def play(simulation: Simulation, rounds: int) -> list:
    simulation.reset(0)
    return [simulation.step(decide(simulation.state)) for _ in range(rounds)]


def assert_equal(one: Any, other: Any) -> None:
    for (state, report), (other_state, other_report) in zip(one, other, strict=True):
        np.testing.assert_array_equal(report.train_loss, other_report.train_loss)
        np.testing.assert_array_equal(report.test_loss, other_report.test_loss)
        np.testing.assert_array_equal(report.outcome, other_report.outcome)
        np.testing.assert_array_equal(state.update_similarity, other_state.update_similarity)


# Two satellites with losses a (w - b)^2 / 2, one of them steep.
CURVATURE, OPTIMUM = np.array([1.0, 8.0]), np.array([3.0, -1.0])
RATE, STEPS = 0.05, 6


class Nothing(NamedTuple):
    """No channel."""


class Quadratic(nn.Module):
    """A point; a sample is a curvature and an optimum."""

    def __init__(self) -> None:
        super().__init__()
        self.point = nn.Parameter(torch.zeros(1, dtype=torch.float64))

    def draw_channel(self, count: int, generator: torch.Generator) -> Nothing:
        return Nothing()

    def forward(self, images: Tensor, draw: Nothing) -> Tensor:
        return self.point.expand(len(images), 1)

    def stacked_forward(self, parameters: Any, images: Tensor, draw: Nothing) -> Tensor:
        return parameters["point"][:, None].expand(*images.shape[:2], 1)

    def sample_loss(self, outputs: Tensor, images: Tensor, targets: Tensor, output_mask: Any = None) -> Tensor:
        return images[..., 0] * (outputs[..., 0] - images[..., 1]).square() / 2


def limit(terms: LocalTerms, engine: str) -> float:
    """Where federated averaging of the two ends up from 0."""
    samples = torch.from_numpy(np.stack([CURVATURE, OPTIMUM], axis=1))
    data = LocalData(samples, torch.zeros(2, dtype=torch.int64), np.arange(3))
    trainer = make_trainer(engine, Quadratic(), TrainingSettings(1, RATE, "sgd"))
    decision, everyone, point = make_decision([0, 0], 1), np.ones(2, bool), torch.zeros(1, dtype=torch.float64)
    for number in range(60):
        start, seeds = point.repeat(2, 1), np.full(2, number, np.uint64)
        objective = terms.objective(OneContact(), decision, everyone)
        result = trainer.train(start, data, np.full(2, STEPS), seeds, objective)
        sender, samples = np.zeros((2, 1), np.int64), np.ones(2, np.int64)
        arrivals = Arrivals(start, result.parameters, result.parameters, everyone, sender, samples)
        terms.learn(decision, arrivals, result.mean_gradient)
        terms.merge()
        point = result.parameters.mean(dim=0)
    return float(point)


@pytest.mark.parametrize("engine", ["loop", "stacked"])
def test_a_gradient_beyond_all_use_counts_as_diverged(engine: str):
    """A loss as steep as a cliff, next to its optimum: loss and parameters stay small."""
    samples = torch.tensor([[1.0, 1.0], [1e30, 1e-12]], dtype=torch.float64)
    data = LocalData(samples, torch.zeros(2, dtype=torch.int64), np.arange(3))
    trainer = make_trainer(engine, Quadratic(), TrainingSettings(1, 1e-13, "adam"))
    start, once = torch.zeros(2, 1, dtype=torch.float64), (np.ones(2, np.int64), np.zeros(2, np.uint64))
    assert not trainer.train(start, data, *once).diverged.any()
    result = trainer.train(start, data, *once, LocalObjective(torch.zeros_like(start)))
    assert result.diverged.tolist() == [False, True]
    assert result.mean_gradient is not None
    assert result.mean_gradient.flatten().tolist() == [-1.0, 0.0]


def weighted(weights: np.ndarray) -> float:
    return float(weights @ OPTIMUM / weights.sum())


@pytest.mark.parametrize("engine", ["loop", "stacked"])
def test_scaffold_reaches_the_optimum_of_all_and_the_others_their_known_limits(engine: str):
    first, mu = torch.zeros(2, 1, dtype=torch.float64), 4.0
    reached = 1 - (1 - RATE * CURVATURE) ** STEPS
    near = CURVATURE / (CURVATURE + mu) * (1 - (1 - RATE * (CURVATURE + mu)) ** STEPS)
    best = weighted(CURVATURE)
    assert limit(LocalTerms(), engine) == pytest.approx(weighted(reached), abs=1e-9)
    assert limit(FedProx(proximal_mu=mu).episode(first), engine) == pytest.approx(weighted(near), abs=1e-9)
    assert limit(Scaffold().episode(first), engine) == pytest.approx(best, abs=1e-9)
    assert abs(weighted(reached) - best) > abs(weighted(near) - best) > 0.1


def replayed(simulation: Simulation, rounds: int, late: bool) -> None:
    """Play rounds and follow all control variates with option II of the paper, with lists and sums."""
    rate, state = 0.05, simulation.reset(0)
    shared, satellites = simulation._models.num_shared, state.num_satellites
    own, held = torch.zeros(satellites, shared), torch.zeros(satellites, shared)
    counted_in = np.zeros(satellites, dtype=int)
    old: list[tuple[int, Tensor]] = []  # clusters and changes that the cloud knows
    new: list[tuple[int, int, Tensor]] = []  # gateways, clusters and changes since the last merge

    def at_gateway(gateway: int, label: int) -> Tensor:
        total = torch.zeros(shared)
        for one, change in [*old, *((one, change) for where, one, change in new if where == gateway)]:
            total = total + change * (one == label)
        return total / np.count_nonzero(decision.cluster == label)

    checked = 0
    for number in range(rounds):
        cluster = (np.arange(satellites) + (number >= 3)) % 2
        decision = replace(decide(simulation.state), cluster=cluster)
        opened = simulation.begin(decision)
        trains = opened.participation.trains
        for one in np.flatnonzero(trains) if not late else []:
            held[one] = at_gateway(decision.association[one], cluster[one])
        torch.testing.assert_close(opened.job.objective.shift[trains], (held - own)[trains], rtol=0, atol=1e-5)
        checked += int((held - own)[trains].any(dim=1).sum())
        result = simulation.trainer.train(*opened.job)
        moved = (opened.job.parameters - result.parameters)[:, :shared]
        learned = simulation.learn(opened, result)
        _, report = simulation.finish(learned, simulation.evaluate(learned.job))
        for one in np.flatnonzero(report.returned):
            option_two = own[one] - held[one] + moved[one] / (float(result.batches[one]) * rate)
            gateway = int(decision.association[one])
            new += [(gateway, counted_in[one], -own[one].clone()), (gateway, cluster[one], option_two)]
            own[one], counted_in[one] = option_two, cluster[one]
        if report.merged:
            old, new = old + [(label, change) for _, label, change in new], []
            for label in (0, 1):
                expected = own[counted_in == label].sum(dim=0) / np.count_nonzero(cluster == label)
                torch.testing.assert_close(at_gateway(0, label), expected, rtol=0, atol=1e-5)
        for one in np.flatnonzero(learned.fetches) if late else []:
            held[one] = at_gateway(decision.association[one], cluster[one])
    torch.testing.assert_close(simulation.get_state()["local"]["own"], own, rtol=0, atol=1e-5)
    assert checked > 10


@pytest.mark.parametrize("late", [None, {"buffer": 2}])
def test_control_variates_are_those_of_a_replay_in_lists(late: dict | None):
    rounds = {"rounds.late": late, "rounds.cloud_every": 2, "rounds.episode": 16}
    replayed(build(**SCAFFOLD, **SGD, **rounds), 6 if late is None else 16, late is not None)


def test_a_lost_update_leaves_the_control_variate_as_it_was():
    simulation = build(**SCAFFOLD, **{"faults": {"contact_loss": 0.5}})
    simulation.reset(0)
    before = simulation.get_state()["local"]["own"]
    lost = 0
    for _ in range(3):
        _, report = simulation.step(decide(simulation.state))
        after = simulation.get_state()["local"]["own"]
        assert np.array_equal((after != before).any(dim=1).numpy(), report.returned)
        lost += int(np.count_nonzero(report.lost))
        before = after
    assert lost


def test_terms_of_zero_are_the_loss_alone_bit_for_bit():
    plain = play(build(), 3)
    assert_equal(plain, play(build(**{"local": {"kind": "fedprox", "proximal_mu": 0.0}}), 3))
    # In the first round all control variates are 0.
    scaffold = play(build(**SCAFFOLD), 2)
    assert_equal(plain[:1], scaffold[:1])
    assert (plain[1][1].train_loss != scaffold[1][1].train_loss).any()


def test_a_large_mu_holds_satellites_back():
    simulations = [build(**SGD, **{"local": {"kind": "fedprox", "proximal_mu": mu}}) for mu in (0.0, 5.0)]
    moved = []
    for simulation in simulations:
        simulation.reset(0)
        opened = simulation.begin(decide(simulation.state))
        result, shared = simulation.trainer.train(*opened.job), simulation._models.num_shared
        away = (result.parameters - opened.job.parameters)[opened.participation.trains]
        moved.append((away[:, :shared].norm(), away[:, shared:].norm()))
    assert moved[1][0] < 0.9 * moved[0][0]
    assert moved[1][1] > 0.95 * moved[0][1]


def test_control_variates_take_as_many_bits_as_a_model_each_way_and_are_not_compressed():
    links = {"links": {"kind": "ideal", "rate_bps": 1e6, "transmit_power_w": 2.0, "model_bits": 16e6}}
    simulation = build(**links, **SCAFFOLD, **{"compression.upload": {"kind": "quantised", "bits": 2}})
    _, report = play(simulation, 1)[0]
    came, number = report.returned, simulation._models.num_shared
    assert came.any()
    np.testing.assert_allclose(report.download_bits[came], 2 * 16e6)
    np.testing.assert_allclose(report.upload_bits[came], 16e6 * (1 + (2 * number + 64) / (32 * number)))


@pytest.mark.parametrize("changes", ALL, ids=str)
def test_a_state_in_the_middle_goes_on_as_it_would_have(changes: dict):
    simulation, other = build(**changes), build(**changes)
    play(simulation, 3)
    other.set_state(simulation.get_state())
    rest = [[one.step(decide(one.state)) for _ in range(3)] for one in (simulation, other)]
    assert_equal(*rest)
    assert_equal(rest[0], play(build(**changes), 6)[3:])
    assert np.isfinite([report.test_loss for _, report in rest[0]]).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"own": torch.zeros(10, 3)}, r"\['local'\]\['own'\] has shape \(10, 3\); expected \(10, "),
        ({"label": np.zeros(3, int)}, r"\['local'\]\['label'\] has shape \(3,\); expected \(10,\)"),
        ({"merged": {0: torch.zeros(3)}}, r"\['local'\]\['merged'\]\[0\] has shape \(3,\)"),
        ({"more": 0}, r"\['local'\] has the entries .*'more'"),
    ],
)
def test_a_state_of_other_terms_is_refused(change: dict, words: str):
    simulation = build(**SCAFFOLD)
    play(simulation, 1)
    state = simulation.get_state()
    with pytest.raises(ValueError, match=words):
        simulation.set_state({**state, "local": {**state["local"], **change}})
    with pytest.raises(ValueError, match=r"\['local'\] has the entries"):
        build().set_state(state)


def test_single_environments_vectors_and_processes_play_the_same():
    assert_vectors_play_like_singles({**QUICK, "training.max_epochs": 1, "rounds.episode": 3, **ALL[2]})


@pytest.mark.parametrize("local", [FedProx(proximal_mu=0.1), Scaffold()])
def test_a_part_is_the_scenario_s_section(local: Any):
    section = {"local": {name: getattr(local, name) for name in ("kind", "proximal_mu")}}
    assert_equal(play(build({"local": local}), 3), play(build(**section), 3))


class Drift(LocalTerms):
    """Everyone is pushed the same way, once updates have come back."""

    def __init__(self, first: Tensor) -> None:
        self.shift = torch.zeros_like(first)

    def objective(self, protocol: Any, decision: Any, trains: Any) -> LocalObjective:
        return LocalObjective(self.shift)

    def learn(self, decision: Any, arrivals: Arrivals, gradient: Any) -> None:
        self.shift = self.shift + 1.0


class Drifting:
    extra_vectors = 0

    def episode(self, first: Tensor) -> LocalTerms:
        return Drift(first)


class Formless(Drifting):
    def episode(self, first: Tensor) -> Any:
        return first


def test_terms_of_one_s_own_are_used():
    plain, drifting = play(build(), 2), play(build({"local": Drifting()}), 2)
    assert_equal(plain[:1], drifting[:1])
    assert (plain[1][1].train_loss != drifting[1][1].train_loss).any()


def test_without_training_only_bits_change():
    _, report = play(build(**SCAFFOLD, **{"training.engine": "none"}), 2)[1]
    _, plain = play(build(**{"training.engine": "none"}), 2)[1]
    assert report.upload_model_bits == 2 * plain.upload_model_bits


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"local.kind": "fedprox"}, "local.proximal_mu: missing"),
        ({"local": {"kind": "fedprox", "proximal_mu": -1}}, "local.proximal_mu: .* greater than or equal to 0, got -1"),
        (
            {"local.kind": "scafold"},
            "local.kind: must be one of 'loss', 'fedprox', 'scaffold', got 'scafold', did you mean 'scaffold'?",
        ),
        ({"local": {"kind": "scaffold", "mu": 1}}, "local.mu: unknown key"),
    ],
)
def test_settings_that_do_not_fit_are_named(changes: dict, words: str):
    with pytest.raises(scenarios.ScenarioError, match=words):
        scenarios.load("leo-multitask", **changes)


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (Scaffold, r"parts\['local'\] .* got the class Scaffold instead of an object of it"),
        (object(), r"parts\['local'\] .* object lacks the method episode\(\)"),
        (Formless(), r"parts\['local'\]: episode\(\) must give LocalTerms, got Tensor"),
    ],
)
def test_parts_that_do_not_fit_are_named(part: Any, words: str):
    with pytest.raises(TypeError, match=words):
        build({"local": part})
