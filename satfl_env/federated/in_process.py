"""The best of the engines that train in this process, for a model."""

from __future__ import annotations

from torch import Tensor

from satfl_env.federated.compiled import CompiledTrainer
from satfl_env.federated.cost import forward_flops
from satfl_env.federated.hardware import Hardware
from satfl_env.federated.kernel import CompiledTest, KernelError
from satfl_env.federated.local import LocalData, TrainingSettings
from satfl_env.federated.loop import LoopTrainer
from satfl_env.federated.model import TrainableModel, has_kernel, has_stacked_gradient
from satfl_env.federated.say_once import say_once
from satfl_env.federated.stacked import StackedTrainer
from satfl_env.federated.trainer import RowTrainer, Shard, TrainedRows

# On a CPU minibatches with a forward pass below this many operations cost mostly their bookkeeping, which stacking
# shares; above it mapping a model over satellites and padding minibatches cost more than they save.
_STACKED_FLOPS = 200e6


class InProcessTrainer(RowTrainer):
    """Trains in this process, by machine code, stacked or one by one, by a fixed rule: equal runs choose alike.

    On the CPU in float32 models with a kernel are trained by it; where this machine cannot compile it, that is logged
    once. Of the others, it stacks models with a gradient in closed form, small minibatches, and everything that is not
    on the CPU.
    """

    def __init__(self, model: TrainableModel, settings: TrainingSettings, hardware: Hardware | None = None) -> None:
        """Keep the engines to pick from."""
        super().__init__(model, settings, hardware)
        self.loop = LoopTrainer(model, settings, Hardware(self.hardware.device))
        self.stacked = StackedTrainer(model, settings, self.hardware)
        plain = self.hardware.device == "cpu" and self.hardware.precision == "float32"
        self.compiled = CompiledTrainer(model, settings) if plain and has_kernel(model) else None
        self._flops: int | None = None

    def train_rows(self, rows: Tensor, data: LocalData, shard: Shard) -> TrainedRows:
        """Train the satellites of a shard; see `RowTrainer.train_rows`."""
        return self.chosen(rows, data).train_rows(rows, data, shard)

    def chosen(self, rows: Tensor, data: LocalData) -> RowTrainer:
        """The engine that suits the model, the type of its parameters and the size of the images."""
        where = self.hardware
        if compiled := self._compiled_for(rows):
            return compiled
        if where.device != "cpu" or where.precision != "float32" or has_stacked_gradient(self.model):
            return self.stacked
        small = self.flops(data) * self.settings.batch_size < _STACKED_FLOPS
        return self.stacked if small else self.loop

    def compiled_test(self, rows: Tensor) -> CompiledTest | None:
        """That of the compiled engine, if it trains this model and this machine has both."""
        compiled = self._compiled_for(rows)
        try:
            return compiled.compiled_test(rows) if compiled else None
        except KernelError as error:
            say_once(f"{error}; testing is slower without it")
            return None

    def flops(self, data: LocalData) -> int:
        """Operations of a forward pass per image, counted once."""
        if self._flops is None:
            self._flops = forward_flops(self.model, data.images)
        return self._flops

    def _compiled_for(self, rows: Tensor) -> CompiledTrainer | None:
        """The compiled engine, if the model has a kernel that runs here for parameters of the type of `rows`."""
        if self.compiled is None:
            return None
        try:
            self.compiled.kernel(rows)
        except KernelError as error:
            say_once(f"{error}; training is slower without it")
            return None
        return self.compiled
