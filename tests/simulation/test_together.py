from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from satfl_env import Decision, NetworkState, Simulation, scenarios
from satfl_env.federated import LocalData
from satfl_env.federated.no_training import NoTraining
from satfl_env.semantics import MLPLink
from satfl_env.simulation import SimulationGroup
from satfl_env.simulation.training import JointTraining, TrainingJob
from tests.factories import decide as longest_window
from tests.factories import parts_of

QUICK = {"training.max_epochs": 2, "rounds.episode": 4}


def build(**overrides: object) -> Simulation:
    return scenarios.build(scenarios.load("leo-multitask", **{**QUICK, **overrides}))


def decide(state: NetworkState) -> Decision:
    labels = np.arange(state.num_satellites) % 3
    return longest_window(state, cpu_frequency=0.35 * state.cpu_max_hz, cluster=labels)


def assert_close(one: object, other: object, atol: float = 1e-5) -> None:
    others = parts_of(other)
    for part, first in parts_of(one).items():
        second = others[part]
        pairs = [(first[key], second[key]) for key in first] if part.startswith("metrics") else [(first, second)]
        for mine, theirs in pairs:
            np.testing.assert_allclose(mine, theirs, rtol=0, atol=atol, err_msg=part)


@pytest.mark.parametrize("overrides", [{}, {"training.engine": "none"}, {"training.tested": "trained"}])
def test_simulations_go_together_as_they_go_alone(overrides):
    seeds = (5, 1, 8)
    together, alone = ([build(**overrides) for _ in seeds] for _ in range(2))
    for simulations in (together, alone):
        for simulation, seed in zip(simulations, seeds, strict=True):
            simulation.reset(seed)
    group = SimulationGroup(together)
    # Others rest in each round, so that the job is another every time, and of another size.
    for resting in ({0}, {1, 2}, {1}):
        decisions = {index: decide(together[index].state) for index in range(3) if index not in resting}
        steps = group.step(decisions)
        assert list(steps) == list(decisions)
        for index, decision in decisions.items():
            state, report = alone[index].step(decision)
            assert_close(steps[index][0], state, atol=0)
            assert_close(steps[index][1], report, atol=0)
    assert group.step({}) == {}


def test_jobs_of_equal_size_start_in_the_same_memory():
    """Pages of fresh memory would cost more than the copy."""
    data = LocalData(torch.zeros(2, 1), torch.zeros(2, dtype=torch.int64), np.array([0, 1, 2]))
    nobody, seeds, started = np.zeros(2, dtype=np.int64), np.zeros(2, dtype=np.uint64), []

    class Trainer(NoTraining):
        def train(self, parameters, *work):
            started.append(parameters)
            return super().train(parameters + 1, *work)

    joint, trainer = JointTraining(), Trainer(None, None, None)
    for count, dtype in ((2, torch.float32), (2, torch.float32), (3, torch.float32), (3, torch.float64)):
        jobs = [TrainingJob(torch.full((2, 5), float(job), dtype=dtype), data, nobody, seeds) for job in range(count)]
        results = joint.train(trainer, jobs)
        assert [result.parameters.unique().tolist() for result in results] == [[job + 1.0] for job in range(count)]
        assert started[-1].dtype == dtype
    assert len({parameters.data_ptr() for parameters in started}) == 3


def test_test_images_are_never_copied(monkeypatch):
    """Copies for every model would grow with the square of the environments."""
    forward, tested = MLPLink.stacked_forward, []

    def stacked_forward(self, parameters, images, draw):
        tested.append(images.untyped_storage().data_ptr())
        return forward(self, parameters, images, draw)

    monkeypatch.setattr(MLPLink, "stacked_forward", stacked_forward)
    simulations = [build(**{"training.engine": "stacked"}) for _ in range(3)]
    for seed, simulation in enumerate(simulations):
        simulation.reset(seed)
    SimulationGroup(simulations).step({index: decide(one.state) for index, one in enumerate(simulations)})
    own = [simulation._episode.data.test_images.untyped_storage().data_ptr() for simulation in simulations]
    assert set(own) <= set(tested)
    assert tested[-3:] == own


def test_models_are_tested_alike_whoever_is_tested_with_them():
    """To the bit, which `loop` leaves to the test: it trains one satellite after the other."""
    together, alone = ([build(**{"training.engine": "loop"}) for _ in range(3)] for _ in range(2))
    for simulations in (together, alone):
        for seed, simulation in enumerate(simulations):
            simulation.reset(seed)
    steps = SimulationGroup(together).step({index: decide(one.state) for index, one in enumerate(together)})
    for index, simulation in enumerate(alone):
        assert_close(steps[index][1], simulation.step(decide(simulation.state))[1], atol=0)


def test_a_satellite_trains_alike_whoever_trains_with_it():
    """To the bit where models are fully connected: what the vectors of the environment promise."""
    simulations = [build() for _ in range(4)]
    for seed, simulation in enumerate(simulations):
        simulation.reset(seed)
    alone = simulations[2]
    opened = alone.begin(decide(alone.state))
    expected = alone.trainer.train(*opened.job)
    group = SimulationGroup(simulations)
    jobs = [simulation.begin(decide(simulation.state)).job for simulation in simulations]
    found = group._training.train(alone.trainer, jobs)[2]
    assert torch.equal(found.parameters, expected.parameters)
    np.testing.assert_array_equal(found.batches, expected.batches)


def test_a_decision_that_does_not_fit_changes_no_simulation():
    group = SimulationGroup([build(), build()])
    for seed, simulation in enumerate(group.simulations):
        simulation.reset(seed)
    before = [simulation.state for simulation in group.simulations]
    good = decide(before[0])
    with pytest.raises(ValueError, match=r"decision\.weights"):
        group.step({0: good, 1: replace(decide(before[1]), weights=np.full(10, -1.0))})
    assert [simulation.state for simulation in group.simulations] == before
    with pytest.raises(ValueError, match="at least one"):
        SimulationGroup([])


def test_test_sets_of_several_sizes_go_together():
    full = build().ingredients.data

    def growing(scene, rng):
        data = full(scene, rng)
        few = int(rng.integers(20, 40))
        weights = data.test_weights[:, :few]
        return replace(
            data,
            test_images=data.test_images[:few],
            test_targets=data.test_targets[:, :few],
            test_weights=weights / weights.sum(dim=1, keepdim=True),
        )

    scenario = scenarios.load("leo-multitask", **QUICK)
    together, alone = ([scenarios.build(scenario, parts={"data": growing}) for _ in range(2)] for _ in range(2))
    for simulations in (together, alone):
        for seed, simulation in enumerate(simulations):
            simulation.reset(seed)
    steps = SimulationGroup(together).step({index: decide(one.state) for index, one in enumerate(together)})
    for index, simulation in enumerate(alone):
        assert_close(steps[index][1], simulation.step(decide(simulation.state))[1])
