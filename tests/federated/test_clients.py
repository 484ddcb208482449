from __future__ import annotations

import numpy as np
import pytest
import torch

from satfl_env.federated import ClientTrainer, LocalData, LocalObjective, TrainingSettings
from tests.federated.test_trainers import EPOCHS, SAMPLES, SEEDS, local_data, make, mlp, starts

SETTINGS = TrainingSettings(4)


def trained(clients: int, **changes):
    arguments = {"parameters": starts(mlp), "data": local_data(), "epochs": EPOCHS, "seeds": SEEDS, **changes}
    return ClientTrainer(make("stacked", mlp(), SETTINGS), clients).train(**arguments)


@pytest.mark.parametrize("mu", [None, 0.5])
def test_a_satellite_has_the_mean_of_what_its_clients_train_one_by_one(mu: float | None) -> None:
    clients, data, start = 3, local_data(), starts(mlp)
    shift = torch.full((len(SAMPLES), 20), 0.1)
    result = trained(clients, objective=None if mu is None else LocalObjective(shift, mu))
    loop = make("loop", mlp(), SETTINGS)
    for satellite, samples in enumerate(SAMPLES):
        parameters, gradient, loss, batches = torch.zeros_like(start[0]), torch.zeros(20), 0.0, 0
        first = int(data.offsets[satellite])
        sizes = [samples * (number + 1) // clients - samples * number // clients for number in range(clients)]
        assert max(sizes) == -(-samples // clients)
        for number, size in enumerate(sizes):
            own = slice(first, first + size)
            first += size
            if not size or not EPOCHS[satellite]:
                continue
            one = LocalData(data.images[own], data.targets[own], np.array([0, size]), data.output_mask[[satellite]])
            seed = np.array([(int(SEEDS[satellite]) + number * 0x9E3779B97F4A7C15) % 2**64], dtype=np.uint64)
            objective = None if mu is None else LocalObjective(shift[:1], mu)
            client = loop.train(start[[satellite]], one, EPOCHS[[satellite]], seed, objective)
            parameters += size / samples * client.parameters[0]
            gradient += 0 if mu is None else size / samples * client.mean_gradient[0]
            loss += size / samples * client.last_loss[0]
            batches += int(client.batches[0])
        if not samples or not EPOCHS[satellite]:
            assert torch.equal(result.parameters[satellite], start[satellite])
            assert np.isnan(result.last_loss[satellite])
            continue
        np.testing.assert_allclose(result.parameters[satellite], parameters, atol=1e-5)
        assert result.last_loss[satellite] == pytest.approx(loss, abs=1e-5)
        assert result.batches[satellite] == batches
        if mu is not None:
            np.testing.assert_allclose(result.mean_gradient[satellite], gradient, atol=1e-5)


def test_one_client_trains_as_its_satellite_would() -> None:
    alone = make("stacked", mlp(), SETTINGS).train(starts(mlp), local_data(), EPOCHS, SEEDS)
    result = trained(1)
    assert torch.equal(result.parameters, alone.parameters)
    np.testing.assert_array_equal(result.last_loss, alone.last_loss)


def test_a_client_that_diverges_takes_its_satellite_with_it() -> None:
    data = local_data()
    data.images[-1] = np.nan  # of the last satellite with samples, whose other client is fine
    result = trained(2, data=data)
    np.testing.assert_array_equal(np.flatnonzero(result.diverged), [5])
    assert torch.equal(result.parameters[5], starts(mlp)[5])
    assert np.isnan(result.last_loss[5])
    assert np.isfinite(result.parameters.numpy()).all()
