"""Flower: a warm round of its simulation with the same models, data and local training as the plain loop.

A client is one satellite, and a Ray actor has one core. The simulation's start and its first round are left out: only
rounds in which the actors run and have their data count.
Flower's engine looks for work every tenth of a second, so that its short rounds take 0.1 or 0.2 s whatever the machine.
"""

from __future__ import annotations

import copy
import statistics
import sys
import time
from importlib.util import find_spec
from itertools import pairwise

from benchmarks.naive import satellite_data, train_one
from benchmarks.peers import beside
from benchmarks.workloads import workload
from satfl_env.federated import available_cores
from satfl_env.imports import to_install


def run(quick: bool) -> dict[str, float]:
    """Measure everything; `quick` takes fewer rounds.

    Returns:
        Values by name; each name ends in its unit, ratios say what they compare.

    Raises:
        ImportError: If Flower is not installed.
    """
    if find_spec("flwr") is None or find_spec("ray") is None:
        raise ImportError(f"Flower is not installed: {to_install('bench')}")
    return beside("Flower", "benchmarks.flower", quick=quick)


def warm_round_s(name: str, rounds: int) -> float:
    """Median seconds of some rounds of a Flower simulation, after two that warm up."""
    from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
    from flwr.clientapp import ClientApp
    from flwr.serverapp import Grid, ServerApp
    from flwr.serverapp.strategy import FedAvg
    from flwr.simulation import run_simulation

    ends: list[float] = []
    start, num_satellites = workload(name).model, workload(name).num_satellites
    client, server = ClientApp(), ServerApp()

    def train(message: Message, context: Context) -> Message:
        work, satellite = workload(name), int(context.node_config["partition-id"])
        model = copy.deepcopy(work.model)
        model.load_state_dict(message.content["arrays"].to_torch_state_dict())
        images, targets = satellite_data(work, satellite)
        train_one(model, images, targets, int(work.epochs[satellite]), work.settings, seed=satellite)
        metrics = MetricRecord({"num-examples": len(images)})
        content = RecordDict({"arrays": ArrayRecord(model.state_dict()), "metrics": metrics})
        return Message(content=content, reply_to=message)

    def main(grid: Grid, context: Context) -> None:
        strategy = FedAvg(fraction_evaluate=0.0)
        strategy.start(
            grid,
            ArrayRecord(start.state_dict()),
            num_rounds=2 + rounds,
            evaluate_fn=lambda number, arrays: ends.append(time.perf_counter()),
        )

    client.train()(train)
    server.main()(main)
    resources = {"client_resources": {"num_cpus": 1, "num_gpus": 0}, "init_args": {"num_cpus": available_cores()}}
    run_simulation(server, client, num_supernodes=num_satellites, backend_config=resources)
    return statistics.median(after - before for before, after in pairwise(ends[2:]))


if __name__ == "__main__":
    print(warm_round_s(sys.argv[1], int(sys.argv[2])))
