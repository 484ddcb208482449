"""The better of `loop` and `stacked` for a model."""

from __future__ import annotations

from torch import Tensor

from satfl_env.federated.cost import forward_flops
from satfl_env.federated.hardware import Hardware
from satfl_env.federated.local import LocalData, TrainingSettings
from satfl_env.federated.loop import LoopTrainer
from satfl_env.federated.model import HasStackedGradient, TrainableModel
from satfl_env.federated.stacked import StackedTrainer
from satfl_env.federated.trainer import RowTrainer, Shard, TrainedRows

# On a CPU minibatches with a forward pass below this many operations cost mostly their bookkeeping, which stacking
# shares; above it mapping a model over satellites and padding minibatches cost more than they save.
_STACKED_FLOPS = 200e6


class InProcessTrainer(RowTrainer):
    """Trains in this process, stacked or one by one by a fixed rule: equal runs choose alike.

    It stacks models with a gradient in closed form, small minibatches, and everything that is not on the CPU.
    """

    def __init__(self, model: TrainableModel, settings: TrainingSettings, hardware: Hardware | None = None) -> None:
        """Keep both engines."""
        super().__init__(model, settings, hardware)
        self.loop = LoopTrainer(model, settings, Hardware(self.hardware.device))
        self.stacked = StackedTrainer(model, settings, self.hardware)
        self._flops: int | None = None

    def train_rows(self, rows: Tensor, data: LocalData, shard: Shard) -> TrainedRows:
        """Train the satellites of a shard; see `RowTrainer.train_rows`."""
        return self.chosen(data).train_rows(rows, data, shard)

    def chosen(self, data: LocalData) -> RowTrainer:
        """The engine that suits the model and the size of the images."""
        where = self.hardware
        if where.device != "cpu" or where.precision != "float32" or isinstance(self.model, HasStackedGradient):
            return self.stacked
        small = self.flops(data) * self.settings.batch_size < _STACKED_FLOPS
        return self.stacked if small else self.loop

    def flops(self, data: LocalData) -> int:
        """Operations of a forward pass per image, counted once."""
        if self._flops is None:
            self._flops = forward_flops(self.model, data.images)
        return self._flops
