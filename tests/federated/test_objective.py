"""Terms beside the loss in local training: equal in every engine, and equal to a plain loop."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from satfl_env.federated import Layout, LocalObjective, TrainingResult, TrainingSettings
from satfl_env.federated.schedule import draw_epochs
from satfl_env.semantics import Channel, MLPLink
from tests.federated.test_trainers import (
    EPOCHS,
    SAMPLES,
    SEEDS,
    all_engines,
    assert_same,
    conv,
    local_data,
    make,
    mlp,
    skip_what_it_cannot_train,
    starts,
    train,
)

BUILDS = {"mlp": mlp, "conv": conv}
MU = 0.7


def objective_of(build, *, mu: float = MU, size: float = 0.05, dtype: torch.dtype = torch.float32) -> LocalObjective:
    """Random shifts of the encoder's gradient."""
    shared = Layout.of(build()).num_shared("encoder")
    shift = torch.randn(len(SAMPLES), shared, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    return LocalObjective((size * shift).to(dtype), mu)


def both(engine: str, build, settings: TrainingSettings, dtype: torch.dtype) -> list[TrainingResult]:
    return [
        train(it, build, settings, dtype=dtype, objective=objective_of(build, dtype=dtype)) for it in ("loop", engine)
    ]


@all_engines
@pytest.mark.parametrize("name", BUILDS)
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_engines_agree(engine: str, name: str, optimizer: str):
    skip_what_it_cannot_train(engine, name)
    settings = TrainingSettings(16, 2e-3 if optimizer == "adam" else 0.05, optimizer, 2)
    loop, other = both(engine, BUILDS[name], settings, torch.float32)
    assert_same(loop, other, 1e-5)
    assert float((loop.mean_gradient - other.mean_gradient).abs().max()) < 1e-5
    plain = train(engine, BUILDS[name], settings)
    assert float((plain.parameters - other.parameters).abs().max()) > 1e-3


@all_engines
@pytest.mark.parametrize("name", BUILDS)
def test_engines_agree_in_double_precision(engine: str, name: str):
    skip_what_it_cannot_train(engine, name)
    loop, other = both(engine, BUILDS[name], TrainingSettings(16, 0.05, "sgd", 2), torch.float64)
    assert_same(loop, other, 1e-12)
    assert float((loop.mean_gradient - other.mean_gradient).abs().max()) < 1e-12


class Spare(MLPLink):
    """A link with a layer that it does not use."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(0)
        super().__init__(64, 4, channel=Channel("awgn"), generator=generator, hidden=32)
        self.spare = nn.Linear(3, 2)


def test_a_layer_that_is_not_used_moves_by_its_shift_alone():
    rate, steps = 0.05, 2
    settings, shift = TrainingSettings(16, rate, "sgd"), torch.ones(7, Layout.of(Spare()).num_parameters)
    start = Layout.of(Spare()).flatten(Spare()).repeat(7, 1)
    layout, epochs = Layout.of(Spare()), np.array([0, 0, 0, steps, 0, 0, 0])
    for engine in ("loop", "stacked"):
        result = make(engine, Spare(), settings).train(start, local_data(), epochs, SEEDS, LocalObjective(shift))
        moved = layout.split(result.parameters - start)
        for name in ("spare.weight", "spare.bias"):
            torch.testing.assert_close(moved[name][3], torch.full_like(moved[name][3], -rate * steps))


@all_engines
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_terms_of_zero_change_no_bit(engine: str, optimizer: str):
    settings = TrainingSettings(16, 0.01, optimizer, 2)
    plain = train(engine, mlp, settings)
    nothing = train(engine, mlp, settings, objective=objective_of(mlp, mu=0.0, size=0.0))
    assert torch.equal(plain.parameters, nothing.parameters)
    assert np.array_equal(plain.last_loss, nothing.last_loss, equal_nan=True)
    assert plain.mean_gradient is None
    assert not nothing.mean_gradient[[3, 6]].any()


def plain_loop(build, index: int, shift: Tensor, mu: float, settings: TrainingSettings) -> tuple[Tensor, Tensor]:
    """One satellite's round with the terms written into the loss: its parameters, and the losses' mean gradient."""
    model, data, layout = build(), local_data(torch.float64), Layout.of(build())
    layout.load(model, starts(build, torch.float64)[index])
    start, parameters = layout.flatten(model), dict(model.named_parameters())
    own = slice(data.offsets[index], data.offsets[index + 1])
    images, targets = data.images[own], data.targets[own]
    used = min(len(images), settings.batches_per_epoch * settings.batch_size)
    kind = torch.optim.SGD if settings.optimizer == "sgd" else torch.optim.Adam
    optimizer, gradients = kind(model.parameters(), settings.learning_rate), []
    for order, channel in draw_epochs(model, len(images), used, int(EPOCHS[index]), int(SEEDS[index])):
        for batch in torch.arange(used).split(settings.batch_size):
            chosen = order[batch]
            outputs = model(images[chosen], type(channel)(*(part[batch] for part in channel)))
            loss = model.sample_loss(outputs, images[chosen], targets[chosen], data.output_mask[index]).mean()
            flat = torch.cat([parameters[name].flatten() for name in layout.names])
            gradients.append(torch.autograd.grad(loss, flat_inputs(parameters, layout), retain_graph=True))
            away = (flat - start)[: len(shift)]
            optimizer.zero_grad()
            (loss + mu / 2 * away.square().sum() + (shift * away).sum()).backward()
            optimizer.step()
    mean = torch.stack([torch.cat([part.flatten() for part in each]) for each in gradients]).mean(dim=0)
    return layout.flatten(model), mean[: len(shift)]


def flat_inputs(parameters: dict[str, Tensor], layout: Layout) -> list[Tensor]:
    return [parameters[name] for name in layout.names]


@pytest.mark.parametrize("name", BUILDS)
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_round_is_that_of_a_plain_loop_with_the_terms_in_its_loss(name: str, optimizer: str):
    build, settings = BUILDS[name], TrainingSettings(16, 0.01, optimizer, 2)
    objective = objective_of(build, dtype=torch.float64)
    result = train("loop", build, settings, dtype=torch.float64, objective=objective)
    for index in (0, 2, 4):
        parameters, gradient = plain_loop(build, index, objective.shift[index], MU, settings)
        torch.testing.assert_close(result.parameters[index], parameters, rtol=0, atol=1e-9)
        torch.testing.assert_close(result.mean_gradient[index], gradient, rtol=0, atol=1e-9)


def test_with_plain_descent_the_mean_gradient_is_option_two_of_scaffold():
    settings, objective = TrainingSettings(16, 0.05, "sgd", 2), objective_of(mlp, mu=0.0, dtype=torch.float64)
    result = train("compiled", mlp, settings, dtype=torch.float64, objective=objective)
    moved = (starts(mlp, torch.float64) - result.parameters)[:, : objective.shift.shape[1]]
    busy = result.batches > 0
    steps = torch.from_numpy(result.batches[busy]).double()[:, None]
    # c_i - c is minus the shift.
    option_two = moved[busy] / (steps * settings.learning_rate) - objective.shift[busy]
    torch.testing.assert_close(result.mean_gradient[busy], option_two, rtol=0, atol=1e-12)


@all_engines
def test_the_loss_is_reported_without_the_terms(engine: str):
    """In a single step the loss is that of the start."""
    settings, once = TrainingSettings(100), EPOCHS.clip(max=1)
    plain, far = (
        train(engine, mlp, settings, epochs=once, **more)
        for more in ({}, {"objective": objective_of(mlp, mu=5.0, size=3.0)})
    )
    np.testing.assert_allclose(plain.last_loss, far.last_loss, rtol=1e-6)


@pytest.mark.parametrize("engine", ["loop", "compiled", "stacked"])
def test_a_diverged_satellite_has_no_gradient(engine: str):
    objective = objective_of(mlp)
    objective.shift[2] = 1e20
    result = train(engine, mlp, TrainingSettings(16, 1.0, "sgd", 2), objective=objective)
    assert result.diverged[2]
    assert not result.mean_gradient[2].any()
    assert result.mean_gradient.isfinite().all()


@pytest.mark.parametrize(
    ("objective", "words"),
    [
        (LocalObjective(torch.zeros(3, 5)), r"objective.shift has shape \(3, 5\); expected \(7, at most"),
        (LocalObjective(torch.zeros(7, 99_999)), r"objective.shift has shape \(7, 99999\)"),
        (LocalObjective(torch.zeros(7, 5), -1.0), "objective.proximal_mu must be >= 0; got -1.0"),
    ],
)
def test_objectives_that_do_not_fit_are_refused(objective: LocalObjective, words: str):
    trainer = make("loop", mlp(), TrainingSettings())
    with pytest.raises(ValueError, match=words):
        trainer.train(starts(mlp), local_data(), EPOCHS, SEEDS, objective)
