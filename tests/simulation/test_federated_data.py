from __future__ import annotations

import numpy as np
import pytest
import torch

from satfl_env.federated import LocalData
from satfl_env.simulation.federated_data import FederatedData


def data_with(images: torch.Tensor) -> FederatedData:
    train = LocalData(torch.zeros(1, 2), torch.zeros(1, dtype=torch.int64), np.array([0, 1]))
    return FederatedData(
        train, np.ones((1, 1)), images, torch.zeros(1, 3, dtype=torch.int64), torch.full((1, 3), 1 / 3)
    )


@pytest.mark.parametrize("spoiled", [[np.nan], [np.inf], [-np.inf], [np.inf, -np.inf]])
def test_images_that_are_no_numbers_are_refused(spoiled):
    images = torch.zeros(3, 2)
    images.view(-1)[1 : 1 + len(spoiled)] = torch.tensor(spoiled)
    with pytest.raises(ValueError, match=f"test_images must be finite, got {spoiled[0]}"):
        data_with(images)


def test_images_may_be_larger_than_their_sum_can_be():
    data_with(torch.full((3, 2), 3e38))
