"""The round in JAX is the same mathematics as our own."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.workloads import Workload, small_mlp
from satfl_env.federated import Layout, TrainingSettings, make_trainer
from satfl_env.semantics import Channel, MLPLink

pytest.importorskip("jax")
pytest.importorskip("optax")


@pytest.mark.parametrize("batch_size", [16, 80])
def test_it_trains_like_the_reference(batch_size: int):
    """Without noise and in whole batches no draw matters; in small ones everyone takes as many steps as it should."""
    from benchmarks.jax import compiled_round

    generator = torch.Generator().manual_seed(0)
    model = MLPLink(64, 4, channel=Channel(snr_db=200.0), generator=generator, hidden=32)
    work = Workload("quiet", model, small_mlp(4).data, np.array([1, 3, 8, 2]), TrainingSettings(batch_size, 2e-3))
    found = compiled_round(work)()
    layout = Layout.of(model)
    ours = layout.split(work.train(make_trainer("loop", model, work.settings)).parameters)
    steps = -(-work.data.samples // batch_size) * work.epochs
    for name, start in model.named_parameters():
        theirs = torch.from_numpy(np.array(found[name]))
        moved = (theirs - start).abs().flatten(1).amax(1)
        assert (moved <= 2.5e-3 * torch.from_numpy(steps)).all()
        assert (moved > 0).all()
        if batch_size == 80:
            torch.testing.assert_close(theirs, ours[name], rtol=1e-4, atol=1e-5)
