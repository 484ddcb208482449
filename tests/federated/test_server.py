"""Server optimisers against plain loops in double precision, and against PyTorch's."""

from __future__ import annotations

from math import sqrt

import pytest
import torch

from satfl_env.federated import FedAdam, FedAvg, FedAvgM, ServerOptimiser

ROUNDS, MODELS, SIZE = 6, 2, 5
UPDATES = torch.randn(ROUNDS, MODELS, SIZE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def moved(optimiser: ServerOptimiser) -> torch.Tensor:
    models = torch.zeros(MODELS, SIZE, dtype=torch.float64)
    moments = torch.tensor(optimiser.first_moments, dtype=torch.float64)[:, None, None].expand(-1, MODELS, SIZE)
    for updates in UPDATES:
        models, moments = optimiser.step(models, updates, moments)
    return models


def test_a_step_of_one_along_the_update_is_federated_averaging():
    torch.testing.assert_close(moved(FedAvg()), UPDATES.sum(dim=0))
    torch.testing.assert_close(moved(FedAvg(server_rate=0.5)), UPDATES.sum(dim=0) / 2)


def test_momentum_is_that_of_pytorch():
    weight = torch.zeros(MODELS, SIZE, dtype=torch.float64, requires_grad=True)
    reference = torch.optim.SGD([weight], lr=0.7, momentum=0.8)
    for updates in UPDATES:
        weight.grad = -updates
        reference.step()
    torch.testing.assert_close(moved(FedAvgM(server_rate=0.7, server_momentum=0.8)), weight.detach())


def test_adam_is_a_plain_loop_of_its_algorithm():
    rate, beta_1, beta_2, tau = 0.03, 0.8, 0.95, 0.01
    models = moved(FedAdam(server_rate=rate, beta_1=beta_1, beta_2=beta_2, tau=tau))
    for row in range(MODELS):
        for column in range(SIZE):
            x, m, v = 0.0, 0.0, tau**2
            for delta in UPDATES[:, row, column].tolist():
                m = beta_1 * m + (1 - beta_1) * delta
                v = beta_2 * v + (1 - beta_2) * delta**2
                x += rate * m / (sqrt(v) + tau)
            assert models[row, column].item() == pytest.approx(x, rel=1e-12)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: FedAvg(server_rate=0.0), "greater than 0"),
        (lambda: FedAvgM(server_momentum=1.0), "less than 1"),
        (lambda: FedAdam(beta_2=-0.1), "greater than or equal to 0"),
        (lambda: FedAdam(tau=0.0), "greater than 0"),
    ],
)
def test_settings_out_of_range_are_named(make, words):
    with pytest.raises(ValueError, match=words):
        make()
