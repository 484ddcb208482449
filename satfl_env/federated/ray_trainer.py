"""The engine that shares the satellites among the machines of a Ray cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from torch import Tensor

from satfl_env.federated.hardware import Hardware, thread_limit
from satfl_env.federated.in_process import InProcessTrainer
from satfl_env.federated.local import LocalData, TrainingSettings
from satfl_env.federated.model import TrainableModel
from satfl_env.federated.shards import balance, join, samples_seen
from satfl_env.federated.trainer import RowTrainer, Shard, TrainedRows
from satfl_env.imports import to_install

if TYPE_CHECKING:
    from types import ModuleType

# Data already in the cluster's object store.
_stored: WeakKeyDictionary[LocalData, Any] = WeakKeyDictionary()


class RayTrainer(RowTrainer):
    """Trains a part of the satellites in each of several Ray tasks of one core.

    It uses the cluster this process is connected to, and starts Ray on this machine where there is none. The data go
    into the object store at their first round. Ray itself retries a task whose worker dies.

    Raises:
        ImportError: If Ray is not installed.
    """

    needs_cpu = True

    def __init__(self, model: TrainableModel, settings: TrainingSettings, hardware: Hardware | None = None) -> None:
        """Keep the arguments for the tasks."""
        super().__init__(model, settings, hardware)
        _ray()
        self._in_process = InProcessTrainer(model, settings, self.hardware)

    def train_rows(self, rows: Tensor, data: LocalData, shard: Shard) -> TrainedRows:
        """Train the satellites of a shard; see `RowTrainer.train_rows`.

        Raises:
            ray.exceptions.RayError: If a task fails for good; nothing of the round is used then.
        """
        ray = _ray()
        if not ray.is_initialized():
            ray.init(include_dashboard=False, log_to_driver=False)
        if data not in _stored:
            _stored[data] = ray.put(data)
        workers = self.hardware.workers or int(ray.cluster_resources()["CPU"])
        positions = balance(samples_seen(shard, self.settings), workers)
        task, trainer = ray.remote(_train_part), ray.put(self._in_process)
        tasks = [task.remote(trainer, rows[index], _stored[data], shard.part(index)) for index in positions]
        return join(positions, ray.get(tasks))


def _train_part(trainer: RowTrainer, rows: Tensor, data: LocalData, shard: Shard) -> TrainedRows:
    with thread_limit(1):
        return trainer.train_rows(rows.clone(), data, shard)


def _ray() -> ModuleType:
    """Ray, imported only where it is asked for."""
    try:
        import ray
    except ImportError as error:
        raise ImportError(f"the engine 'ray' needs Ray: {to_install('ray')}") from error
    module: ModuleType = ray
    return module
