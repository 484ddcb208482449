"""Flower: a federation whose rounds are the communication rounds of a scenario.

The server holds the simulation: who sees which gateway, what satellites can afford, and the models of all gateways.
A policy decides, the satellites that can take part get a message, and what they send back is aggregated by gateway and
cluster with the weights of the decision. A client is one satellite; its number is the partition's, `partition-id`.

A message to train has the records `arrays`, the model by the names of its parameters, and `config`, with `epochs`,
`seed`, `proximal-mu` and `satellite`. The reply has `arrays` again, and may have `metrics` with `last-loss`, `batches`
and `diverged` (0 or 1); `num-examples`, which `client_app` adds, is for other strategies. With SCAFFOLD and FedProx
`gradient` holds the constant in the gradient (`shift`), and in the reply the mean gradient (`mean`).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from functools import lru_cache
from logging import INFO
from math import nan
from pathlib import Path
from typing import Any

from satfl_baselines.evaluate import Decide, function_of
from satfl_env import ClientJob, ClientResult, NetworkState, RemoteRound, RoundReport, Simulation, train_client
from satfl_env.counted import counted
from satfl_env.imports import to_install
from satfl_env.scenarios import Scenario, build, resolve

try:
    from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
    from flwr.clientapp import ClientApp
    from flwr.common import log
    from flwr.serverapp import Grid, ServerApp
    from flwr.serverapp.strategy import Strategy
except ImportError as error:
    raise ImportError(f"the bridge to Flower needs Flower: {to_install('flower')}") from error

WHICH = "query.satellite"
"""Type of the message that asks a node for the number of its satellite."""

LONGEST_WAIT_S = 600.0


class ScheduledStrategy(Strategy):
    """Flower's rounds as communication rounds of a scenario: association, clusters and weights are a policy's.

    `start` takes any first arrays: the first models are the scenario's, drawn from the seed. Rounds after the episode's
    last one do nothing.

    Args:
        scenario: A built-in name, a YAML file, or a loaded scenario.
        policy: Decides every round: a function `NetworkState -> Decision`, or a name in the registry.
        seed: Seed of the episode, and of a policy of the registry.
        parts: Your own parts in place of the scenario's.

    Attributes:
        simulation: The simulation; its `gateway_models` are the models by gateway and cluster.
        reports: What happened in each round.

    Raises:
        ValueError, TypeError: If the scenario, a part, or the policy is not valid.
    """

    def __init__(
        self,
        scenario: str | Path | Scenario,
        policy: Decide | str = "full",
        seed: int = 0,
        *,
        parts: Mapping[str, Any] | None = None,
    ) -> None:
        scenario = resolve(scenario)
        self._decide = function_of(policy, seed, scenario.name)
        self.simulation: Simulation = build(scenario, parts=parts)
        self.state: NetworkState = self.simulation.reset(seed)
        self.reports: list[RoundReport] = []
        self._nodes: dict[int, int] = {}
        self._round: RemoteRound | None = None

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Decide on a round, and ask the satellites that take part to train.

        Raises:
            ValueError: If there is not one node for each satellite.
            TimeoutError: If nodes do not come within ten minutes.
        """
        if self.simulation.finished:
            return []
        self._nodes = self._nodes or _find_nodes(grid, self.state.num_satellites)
        self._round = RemoteRound(self.simulation, self._decide(self.state))
        return [
            Message(_job_records(job, satellite, config), self._nodes[satellite], "train")
            for satellite, job in self._round.jobs.items()
        ]

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Aggregate what came back, and end the round; a client that fails, or sends no arrays, has lost its update.

        Returns:
            The gateways' models, `gateway <g>/cluster <c>/<parameter>`, and the mean test metrics of the satellites'
            models with the round's costs.

        Raises:
            ValueError: If a client sends back another model, or no mean gradient where one was asked for.
        """
        if self._round is None:
            return None, None
        satellites = {node: satellite for satellite, node in self._nodes.items()}
        answers = {
            satellites[reply.metadata.src_node_id]: _result(reply.content)
            for reply in replies
            if not reply.has_error() and "arrays" in reply.content
        }
        self.state, report = self._round.close(answers)
        self._round = None
        self.reports.append(report)
        return self._models(), _round_metrics(self.simulation, report)

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Ask nobody: the server tests the models of all satellites itself."""
        return []

    def aggregate_evaluate(self, server_round: int, replies: Iterable[Message]) -> MetricRecord | None:
        """Nothing, since nobody was asked."""
        return None

    def summary(self) -> None:
        """Log what is scheduled."""
        state = self.state
        log(INFO, "\t└── %d satellites, %d gateways", state.num_satellites, state.num_gateways)

    def _models(self) -> ArrayRecord:
        models = self.simulation.gateway_models.items()
        return ArrayRecord(
            torch_state_dict={
                f"gateway {gateway}/cluster {cluster}/{name}": part
                for (gateway, cluster), model in models
                for name, part in model.items()
            }
        )


def server_app(
    scenario: str | Path | Scenario,
    policy: Decide | str = "full",
    seed: int = 0,
    *,
    parts: Mapping[str, Any] | None = None,
) -> ServerApp:
    """Flower's server of a scenario, which plays all rounds of its episode; arguments are those of the strategy."""
    app, scenario = ServerApp(), resolve(scenario)

    @app.main()
    def main(grid: Grid, context: Context) -> None:
        strategy = ScheduledStrategy(scenario, policy, seed, parts=parts)
        strategy.start(grid, ArrayRecord(), num_rounds=scenario.rounds.episode)

    return app


def client_app(scenario: str | Path | Scenario, seed: int = 0) -> ClientApp:
    """Flower's client of a scenario: a satellite that trains on its own data as the simulation's satellites do.

    Args:
        scenario: The server's scenario, without parts of one's own.
        seed: The server's seed: it determines the data.
    """
    app, text = ClientApp(), resolve(scenario).model_dump_json()

    @app.query("satellite")
    def tell(message: Message, context: Context) -> Message:
        number = MetricRecord({"satellite": int(context.node_config["partition-id"])})
        return Message(RecordDict({"metrics": number}), reply_to=message)

    @app.train()
    def train(message: Message, context: Context) -> Message:
        satellite = int(context.node_config["partition-id"])
        simulation = _on_board(text, seed)
        result = train_client(simulation, satellite, _job(message.content))
        return Message(_result_records(result, int(simulation.state.samples[satellite])), reply_to=message)

    return app


@lru_cache(maxsize=1)
def _on_board(scenario: str, seed: int) -> Simulation:
    """What clients of one process know: the model, and the data of the episode."""
    simulation = build(Scenario.model_validate_json(scenario))
    simulation.reset(seed)
    return simulation


def _find_nodes(grid: Grid, num_satellites: int) -> dict[int, int]:
    """The node of each satellite."""
    end = time.monotonic() + LONGEST_WAIT_S
    while len(nodes := list(grid.get_node_ids())) < num_satellites:
        if time.monotonic() > end:
            raise TimeoutError(
                f"{counted(len(nodes), 'node')} came within {LONGEST_WAIT_S:g} s, not {num_satellites}, "
                "one for each satellite"
            )
        time.sleep(0.1)
    replies = grid.send_and_receive([Message(RecordDict(), node, WHICH) for node in nodes])
    told = [(int(r.content["metrics"]["satellite"]), r.metadata.src_node_id) for r in replies if not r.has_error()]
    if sorted(satellite for satellite, _ in told) != list(range(num_satellites)):
        numbers = sorted(satellite for satellite, _ in told)
        raise ValueError(f"nodes must be the satellites 0..{num_satellites - 1}, one each, got {numbers}")
    return dict(told)


def _job_records(job: ClientJob, satellite: int, config: ConfigRecord) -> RecordDict:
    told = {"epochs": job.epochs, "seed": job.seed, "proximal-mu": job.proximal_mu, "satellite": satellite}
    records = {"arrays": ArrayRecord(torch_state_dict=dict(job.parameters)), "config": ConfigRecord({**config, **told})}
    if job.shift is not None:
        records["gradient"] = ArrayRecord(torch_state_dict={"shift": job.shift})
    return RecordDict(records)


def _job(records: RecordDict) -> ClientJob:
    config = records["config"]
    return ClientJob(
        parameters=records["arrays"].to_torch_state_dict(),
        epochs=config["epochs"],
        seed=config["seed"],
        shift=records["gradient"].to_torch_state_dict()["shift"] if "gradient" in records else None,
        proximal_mu=config["proximal-mu"],
    )


def _result_records(result: ClientResult, samples: int) -> RecordDict:
    told = {"last-loss": result.last_loss, "batches": result.batches, "diverged": int(result.diverged)}
    metrics = MetricRecord({"num-examples": samples, **told})
    records = {"arrays": ArrayRecord(torch_state_dict=dict(result.parameters)), "metrics": metrics}
    if result.mean_gradient is not None:
        records["gradient"] = ArrayRecord(torch_state_dict={"mean": result.mean_gradient})
    return RecordDict(records)


def _result(records: RecordDict) -> ClientResult:
    metrics = records.get("metrics", {})
    return ClientResult(
        parameters=records["arrays"].to_torch_state_dict(),
        last_loss=float(metrics.get("last-loss", nan)),
        batches=int(metrics.get("batches", 0)),
        diverged=bool(metrics.get("diverged", 0)),
        mean_gradient=records["gradient"].to_torch_state_dict()["mean"] if "gradient" in records else None,
    )


def _round_metrics(simulation: Simulation, report: RoundReport) -> MetricRecord:
    metrics = {name: float(values.mean()) for name, values in simulation.test.metrics.items()}
    costs = {"energy-j": float(report.energy_j.sum()), "duration-s": float(report.duration_s)}
    counts = {"returned": int(report.returned.sum()), "lost": int(report.lost.sum())}
    return MetricRecord({**metrics, "test-loss": float(simulation.test.loss.mean()), **costs, **counts})
