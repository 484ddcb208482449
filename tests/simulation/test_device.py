"""Where models are trained and tested, and how much of it at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from satfl_env import Simulation, scenarios
from satfl_env.federated import torch_defaults
from satfl_env.simulation import Evaluation, testers
from tests.factories import decide
from tests.pretended_cuda import pretended_cuda

NEEDS_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch sees no GPU")
TESTED, VALUES = 7, 64
DIGITS = {"data.source": "digits", "data.image_size": None, "data.partition.total_samples": 200}
SWIN = {"model.patch": 2, "model.width": 4, "model.head_width": 4, "model.depths": (2,), "model.window": 2}
SCENARIOS: dict[str, dict[str, Any]] = {
    "leo-multitask": {"training.max_epochs": 1},
    "semspacefl-mini": {**DIGITS, "training.max_epochs": 1},
    "semspacefl": {**DIGITS, **SWIN, "training.round_share": 0.001},
}
all_scenarios = pytest.mark.parametrize("name", SCENARIOS)


def build(name: str, **changes: Any) -> Simulation:
    return scenarios.build(scenarios.load(name, **(SCENARIOS[name] | {"data.test_samples": TESTED} | changes)))


def play(simulation: Simulation) -> Evaluation:
    simulation.step(decide(simulation.reset(1)))
    return simulation.test


def assert_close(one: Evaluation, other: Evaluation, tolerance: float) -> None:
    np.testing.assert_allclose(one.loss, other.loss, rtol=tolerance)
    for name, values in one.metrics.items():
        np.testing.assert_allclose(values, other.metrics[name], rtol=tolerance)


@pytest.mark.parametrize(
    ("name", "precision"),
    [("leo-multitask", "float32"), pytest.param("semspacefl", "bfloat16", marks=pytest.mark.slow)],
)
@pytest.mark.filterwarnings("ignore:CUDA is not available")
def test_on_a_gpu_every_tensor_is_where_it_belongs(name: str, precision: str, monkeypatch: pytest.MonkeyPatch):
    """Whatever mixes devices raises; trained, merged and tested models come back to the CPU."""
    with pretended_cuda(monkeypatch):
        simulation = build(name, **{"training.device": "cuda", "training.precision": precision})
        test = play(simulation)
        simulation.set_state(simulation.get_state())
    assert (test.loss == 1).all()
    assert simulation.get_state()["models"]["held"].device.type == "cpu"


@NEEDS_GPU
@all_scenarios
def test_a_gpu_gives_what_the_cpu_gives(name: str):
    assert_close(play(build(name)), play(build(name, **{"training.device": "cuda"})), 1e-3)


@pytest.mark.parametrize("at_once", [2 * VALUES, 3 * TESTED * VALUES])
@all_scenarios
def test_models_and_images_beyond_the_memory_are_tested_in_pieces(
    name: str, at_once: int, monkeypatch: pytest.MonkeyPatch
):
    simulation = build(name, **{"training.engine": "stacked"})  # one that tests in PyTorch
    whole = simulation.reset(1), simulation.test
    forward, sizes = testers._outputs, []

    def outputs(forward_pass, images, draw, axis):
        def measured(part, of_channel):
            sizes.append(part.numel())
            return forward_pass(part, of_channel)

        return forward(measured, images, draw, axis)

    monkeypatch.setattr(testers, "_outputs", outputs)
    monkeypatch.setattr(testers, "_VALUES_AT_ONCE", at_once)
    pieces = simulation.reset(1), simulation.test
    np.testing.assert_allclose(whole[0].last_loss, pieces[0].last_loss, rtol=1e-5)
    assert_close(whole[1], pieces[1], 1e-5)
    assert max(sizes) == at_once


def test_convolutions_on_a_gpu_are_in_single_precision_from_the_first_one_on():
    """Also where CUDA is only initialised inside the block, as in a process that has computed nothing yet."""
    before = torch.backends.cudnn.allow_tf32
    with torch_defaults():
        assert not torch.backends.cudnn.allow_tf32
    assert torch.backends.cudnn.allow_tf32 == before
