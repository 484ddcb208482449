"""pfl-research: a warm round of its simulation with the same models, data, minibatches and optimizer.

Its users train one after the other with one model, all for the same number of epochs, and with the same minibatches in
every one of them.
"""

from __future__ import annotations

import copy
import statistics
import sys
import time
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

import torch

from benchmarks.naive import satellite_data
from benchmarks.peers import beside
from benchmarks.workloads import workload
from satfl_env.imports import to_install


def run(quick: bool) -> dict[str, float]:
    """Measure everything; `quick` takes fewer rounds.

    Returns:
        Values by name; each name ends in its unit, ratios say what they compare.

    Raises:
        ImportError: If pfl-research is not installed.
    """
    if find_spec("pfl") is None:
        raise ImportError(f"pfl-research, which needs Python below 3.13, is not installed: {to_install('bench')}")
    return beside("pfl-research", "benchmarks.pfl", quick=quick)


def warm_round_s(name: str, rounds: int) -> float:
    """Median seconds of some rounds of its simulation, after two that warm up."""
    from pfl.aggregate.simulate import SimulatedBackend
    from pfl.algorithm.base import NNAlgorithmParams
    from pfl.algorithm.federated_averaging import FederatedAveraging
    from pfl.callback.base import TrainingProcessCallback
    from pfl.data.dataset import Dataset
    from pfl.data.federated_dataset import FederatedDataset
    from pfl.data.sampling import get_user_sampler
    from pfl.hyperparam import NNTrainHyperParams
    from pfl.metrics import Metrics
    from pfl.model.pytorch import PyTorchModel

    work, generator = workload(name), torch.Generator().manual_seed(0)
    ends: list[float] = []

    class Client(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.link = copy.deepcopy(work.model)

        def loss(self, images: torch.Tensor, targets: torch.Tensor, eval: bool = False) -> torch.Tensor:
            outputs = self.link(images, self.link.draw_channel(len(images), generator))
            return self.link.sample_loss(outputs, images, targets).mean()

        def metrics(self, images: torch.Tensor, targets: torch.Tensor, eval: bool = True) -> dict[str, Any]:
            return {}

    class Clock(TrainingProcessCallback):
        def after_central_iteration(self, *_: Any, **__: Any) -> tuple[bool, Any]:
            ends.append(time.perf_counter())
            return False, Metrics()

    users = list(range(work.num_satellites))
    data = FederatedDataset(
        lambda user: Dataset(satellite_data(work, user), user_id=str(user)), get_user_sampler("minimize_reuse", users)
    )
    client = Client()
    FederatedAveraging().run(
        NNAlgorithmParams(
            central_num_iterations=3 + rounds,
            evaluation_frequency=10**9,
            train_cohort_size=len(users),
            val_cohort_size=None,
        ),
        SimulatedBackend(data, None, []),
        PyTorchModel(client, torch.optim.Adam, torch.optim.SGD(client.parameters(), lr=1.0)),
        NNTrainHyperParams(
            local_batch_size=work.settings.batch_size,
            local_num_epochs=int(work.epochs[0]),
            local_learning_rate=work.settings.learning_rate,
        ),
        callbacks=[Clock()],
    )
    return statistics.median(after - before for before, after in pairwise(ends[2:]))


if __name__ == "__main__":
    print(warm_round_s(sys.argv[1], int(sys.argv[2])))
