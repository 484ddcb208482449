"""A federation of Flower gives the rounds of `Simulation.step`."""

from __future__ import annotations

import re
import sys
from typing import Any

import numpy as np
import pytest

from satfl_baselines import make_policy
from satfl_env import Outcome, RoundReport, Simulation
from satfl_env.scenarios import Scenario, build, load

SHORT = {"training.max_epochs": 2, "data.test_samples": 8, "rounds.episode": 3}
CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "own decoders": {"training.shared": "encoder"},
    "SCAFFOLD": {"local": {"kind": "scaffold", "proximal_mu": 0.01}},
}


def short(**overrides: Any) -> Scenario:
    return load("leo-multitask", **SHORT, **overrides)


def our_episode(scenario: Scenario) -> tuple[Simulation, list[RoundReport]]:
    simulation, policy, reports = build(scenario), make_policy("full"), []
    state = simulation.reset(0)
    while not simulation.finished:
        state, report = simulation.step(policy(state))
        reports.append(report)
    return simulation, reports


def assert_equal_models(simulation: Simulation, arrays: dict[str, np.ndarray]) -> None:
    ours = {
        f"gateway {gateway}/cluster {cluster}/{name}": part.numpy()
        for (gateway, cluster), model in simulation.gateway_models.items()
        for name, part in model.items()
    }
    assert ours.keys() == arrays.keys()
    for name, part in ours.items():
        np.testing.assert_allclose(arrays[name], part, rtol=0, atol=1e-5)


class Nodes:
    """Flower's grid without processes: nodes in a shuffled order, each with the number of a satellite."""

    def __init__(self, app: Any, satellites: list[int], failing: int | None = None) -> None:
        from flwr.app import Context, RecordDict

        self.app, self.failing, self.trained = app, failing, 0
        self.contexts = {
            2**60 + 17 * number: Context(0, 0, {"partition-id": satellite}, RecordDict(), {})
            for number, satellite in enumerate(satellites)
        }

    def get_node_ids(self) -> list[int]:
        return list(self.contexts)

    def send_and_receive(self, messages: Any, *, timeout: float | None = None) -> list[Any]:
        return [self.reply(message) for message in messages]

    def reply(self, message: Any) -> Any:
        from flwr.app import Error, Message

        context = self.contexts[message.metadata.dst_node_id]
        if message.metadata.message_type == "train" and context.node_config["partition-id"] == self.failing:
            return Message(Error(code=0, reason="out of memory"), reply_to=message)
        self.trained += message.metadata.message_type == "train"
        return self.app(message, context)


@pytest.fixture
def in_a_server(monkeypatch):
    """Messages can be made as in a process that Flower has started for its server."""
    pytest.importorskip("flwr")
    from flwr.supercore.task_identity import TaskIdentity

    for name in ("_task_id", "_run_id", "_node_id"):
        monkeypatch.setattr(TaskIdentity, name, 1)


@pytest.mark.usefixtures("in_a_server")
@pytest.mark.parametrize("overrides", CASES.values(), ids=CASES)
def test_a_strategy_gives_our_rounds(overrides):
    from flwr.app import ArrayRecord

    from satfl_baselines.bridges.flower import ScheduledStrategy, client_app

    scenario = short(**overrides)
    simulation, reports = our_episode(scenario)
    strategy = ScheduledStrategy(scenario, "full", seed=0)
    satellites = np.random.default_rng(0).permutation(simulation.scene.num_satellites).tolist()
    # One round more than the episode has: it does nothing.
    result = strategy.start(Nodes(client_app(scenario, seed=0), satellites), ArrayRecord(), num_rounds=4)
    assert len(strategy.reports) == len(reports) == 3
    for ours, theirs in zip(reports, strategy.reports, strict=True):
        np.testing.assert_array_equal(theirs.outcome, ours.outcome)
        np.testing.assert_array_equal(theirs.weights, ours.weights)
        np.testing.assert_allclose(theirs.train_loss, ours.train_loss, rtol=1e-5)
        np.testing.assert_allclose(theirs.test_loss, ours.test_loss, rtol=1e-5)
    assert_equal_models(simulation, {name: array.numpy() for name, array in result.arrays.items()})
    assert result.train_metrics_clientapp[3]["returned"] == reports[-1].returned.sum() > 0
    accuracy = reports[-1].metrics["balanced_accuracy"].mean()
    assert result.train_metrics_clientapp[3]["balanced_accuracy"] == pytest.approx(accuracy)


@pytest.mark.usefixtures("in_a_server")
def test_a_client_that_fails_has_lost_its_update_alone():
    from flwr.app import ArrayRecord

    from satfl_baselines.bridges.flower import ScheduledStrategy, client_app

    scenario = short()
    _, (expected, *_) = our_episode(scenario)
    failing = int(np.flatnonzero(expected.returned)[0])
    strategy = ScheduledStrategy(scenario)
    strategy.start(Nodes(client_app(scenario), list(range(10)), failing), ArrayRecord(), num_rounds=1)
    (report,) = strategy.reports
    assert report.outcome[failing] == Outcome.DIVERGED
    np.testing.assert_array_equal(np.delete(report.outcome, failing), np.delete(expected.outcome, failing))


@pytest.mark.usefixtures("in_a_server")
def test_nodes_that_are_not_the_satellites_are_told():
    from flwr.app import ArrayRecord

    from satfl_baselines.bridges.flower import ScheduledStrategy, client_app

    scenario = short()
    nodes = Nodes(client_app(scenario), [0, 0, *range(2, 10)])
    with pytest.raises(ValueError, match=re.escape("nodes must be the satellites 0..9, one each, got [0, 0, 2, 3")):
        ScheduledStrategy(scenario).start(nodes, ArrayRecord(), num_rounds=1)


@pytest.mark.usefixtures("in_a_server")
def test_the_server_s_app_plays_the_whole_episode():
    from satfl_baselines.bridges.flower import client_app, server_app

    scenario = short()
    nodes = Nodes(client_app(scenario), list(range(10)))
    server_app(scenario)(nodes, next(iter(nodes.contexts.values())))
    _, reports = our_episode(scenario)
    assert nodes.trained == sum((report.epochs > 0).sum() for report in reports)


@pytest.mark.slow
def test_flower_s_simulation_gives_our_aggregate():
    """A minute or two, most of it for Ray and the imports of its actors."""
    pytest.importorskip("flwr")
    pytest.importorskip("ray")
    from flwr.app import ArrayRecord, Context
    from flwr.serverapp import Grid, ServerApp
    from flwr.simulation import run_simulation

    from satfl_baselines.bridges.flower import ScheduledStrategy, client_app

    scenario, results = short(), []
    simulation, reports = our_episode(scenario)
    server = ServerApp()

    @server.main()
    def main(grid: Grid, context: Context) -> None:
        strategy = ScheduledStrategy(scenario)
        results.append((strategy, strategy.start(grid, ArrayRecord(), num_rounds=3)))

    resources = {"client_resources": {"num_cpus": 1, "num_gpus": 0}, "init_args": {"num_cpus": 2}}
    run_simulation(server, client_app(scenario), num_supernodes=10, backend_config=resources)
    ((strategy, result),) = results
    for ours, theirs in zip(reports, strategy.reports, strict=True):
        np.testing.assert_array_equal(theirs.outcome, ours.outcome)
        np.testing.assert_allclose(theirs.test_loss, ours.test_loss, rtol=1e-5)
    assert_equal_models(simulation, {name: array.numpy() for name, array in result.arrays.items()})


def test_flower_s_absence_is_told_in_a_line(monkeypatch):
    monkeypatch.delitem(sys.modules, "satfl_baselines.bridges.flower", raising=False)
    monkeypatch.setitem(sys.modules, "flwr", None)
    monkeypatch.setitem(sys.modules, "flwr.app", None)
    with pytest.raises(ImportError, match=r"the bridge to Flower needs Flower: pip install -e '\.\[flower\]'"):
        import satfl_baselines.bridges.flower  # noqa: F401
