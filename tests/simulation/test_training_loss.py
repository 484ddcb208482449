from __future__ import annotations

import numpy as np
import pytest
import torch

from satfl_env.federated import Layout, LocalData, RowTrainer, TrainingSettings, make_trainer
from satfl_env.semantics import Channel, MLPLink
from satfl_env.simulation.evaluation import training_loss
from satfl_env.simulation.testers import CompiledTester, TorchTester


def test_each_satellite_has_the_loss_of_its_own_model_whether_or_not_others_hold_the_same():
    def made(seed: int) -> MLPLink:
        generator = torch.Generator().manual_seed(seed)
        return MLPLink(4, 2, channel=Channel(snr_db=0.0), generator=generator)

    model = made(0)
    layout = Layout.of(model)
    one, other = layout.flatten(model).clone(), layout.flatten(made(1)).clone()
    held = torch.stack([one, one, other, one])
    generator = torch.Generator().manual_seed(2)
    images, targets = torch.rand(12, 1, 2, 2, generator=generator), torch.randint(2, (12,), generator=generator)
    data = LocalData(images, targets, np.arange(0, 13, 3))
    tester = TorchTester(model, layout, "cpu")
    losses = training_loss(tester, held, data, model.draw_channel, generator.manual_seed(3))
    generator.manual_seed(3)
    for satellite in range(4):
        rows = slice(3 * satellite, 3 * satellite + 3)
        alone = LocalData(images[rows], targets[rows], np.array([0, 3]))
        own = training_loss(tester, held[satellite, None], alone, model.draw_channel, generator)
        assert own == losses[satellite]


@pytest.mark.parametrize("tasks", [None, torch.tensor([[True, True, False], [True, True, True]])])
def test_machine_code_gives_the_same(tasks):
    generator = torch.Generator().manual_seed(0)
    model = MLPLink(4, 3, channel=Channel("rayleigh"), channel_draws=2, generator=generator)
    layout, trainer = Layout.of(model), make_trainer("compiled", model, TrainingSettings())
    held = torch.randn(2, layout.num_parameters, generator=generator)
    images, targets = torch.rand(9, 1, 2, 2, generator=generator), torch.randint(2, (9,), generator=generator)
    data = LocalData(images, targets, np.array([0, 2, 9]), tasks)
    assert isinstance(trainer, RowTrainer)
    compiled = trainer.compiled_test(held)
    assert compiled
    expected, found = (
        training_loss(tester, held, data, model.draw_channel, generator.manual_seed(1))
        for tester in (TorchTester(model, layout, "cpu"), CompiledTester(compiled))
    )
    assert found == pytest.approx(expected, rel=1e-5, abs=1e-6)
