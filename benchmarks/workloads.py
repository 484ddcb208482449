"""Rounds of local training to measure, always the same data for the same name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from satfl_baselines.semspacefl.training import SIZES
from satfl_env.federated import Layout, LocalData, LocalTrainer, TrainingResult, TrainingSettings
from satfl_env.semantics import Channel, ConvJSCC, MLPLink, SwinJSCC


@dataclass(frozen=True, eq=False)
class Workload:
    """One round of local training.

    Attributes:
        name: What it is called.
        model: What is trained; all satellites start from its parameters.
        data: The data of the satellites.
        epochs: Epochs of each satellite, (S,).
        settings: How they train.
    """

    name: str
    model: MLPLink | ConvJSCC | SwinJSCC
    data: LocalData
    epochs: NDArray[np.int64]
    settings: TrainingSettings

    @property
    def num_satellites(self) -> int:
        """Number of satellites, S."""
        return self.data.num_satellites

    @property
    def samples_seen(self) -> int:
        """Samples that all satellites go through in the round."""
        return int((self.data.samples * self.epochs).sum())

    @cached_property
    def rows(self) -> Tensor:
        """Parameters that the satellites start from, (S, P), of the images' precision."""
        return Layout.of(self.model).flatten(self.model).repeat(self.num_satellites, 1).to(self.data.images.dtype)

    @property
    def seeds(self) -> NDArray[np.uint64]:
        """Seed of each satellite, (S,)."""
        return np.arange(self.num_satellites, dtype=np.uint64)

    def train(self, trainer: LocalTrainer) -> TrainingResult:
        """The round, by a trainer."""
        return trainer.train(self.rows, self.data, self.epochs, self.seeds)


def _large_mlp(name: str, satellites: int, samples: int, epochs: int, batch_size: int) -> Workload:
    """The task clustering paper's link on images of MNIST's size."""
    model = MLPLink(784, 2, channel=Channel(), generator=_generator(), hidden=64, decoder_hidden=32)
    data = _random_data([samples] * satellites, (1, 28, 28))
    return Workload(name, model, data, np.full(satellites, epochs), TrainingSettings(batch_size, 1e-3))


def _conv(name: str, samples: NDArray[np.int64], epochs: NDArray[np.int64]) -> Workload:
    """The convolutional autoencoder on small colour images."""
    channel = Channel(snr_db=(1.0, 11.0))
    model = ConvJSCC((3, 32, 32), channel=channel, generator=_generator())
    return Workload(name, model, _random_data(samples.tolist(), (3, 32, 32)), epochs, TrainingSettings(32, 1e-3))


def _unequal() -> Workload:
    """Few samples and many epochs beside many samples and few epochs, as under one time limit for all."""
    samples, epochs = np.geomspace(18, 382, 10), np.geomspace(85, 3, 10)
    return _conv("unequal", samples.round().astype(np.int64), epochs.round().astype(np.int64))


def _paper_swin(name: str, satellites: int) -> Workload:
    """One minibatch of two images each with SemSpaceFL's Swin transformer at the size `paper`."""
    size = SIZES["paper"]
    shape = (3, size["data.image_size"], size["data.image_size"])
    options = {key.removeprefix("model."): value for key, value in size.items() if key.startswith("model.")}
    model = SwinJSCC(shape, channel=Channel(snr_db=(1.0, 11.0)), generator=_generator(), **options)
    data = _random_data([2] * satellites, shape)
    return Workload(name, model, data, np.ones(satellites, np.int64), TrainingSettings(2, 1e-4))


_TINY_IMAGE = (3, 16, 16)


def _tiny(name: str, model: ConvJSCC | SwinJSCC) -> Workload:
    """A few steps of three satellites with a few colour images."""
    data, epochs = _random_data([6, 14, 3], _TINY_IMAGE), np.array([2, 1, 1])
    return Workload(name, model, data, epochs, TrainingSettings(8, 1e-3))


def _tiny_conv() -> Workload:
    channel = Channel(snr_db=(1.0, 11.0))
    return _tiny("tiny conv", ConvJSCC(_TINY_IMAGE, channel=channel, generator=_generator(), widths=(4, 6, 4)))


def _tiny_swin() -> Workload:
    size: dict[str, Any] = {"patch": 2, "width": 8, "depths": (2,), "head_width": 4, "window": 2}
    channel = Channel(snr_db=(1.0, 11.0))
    return _tiny("tiny Swin", SwinJSCC(_TINY_IMAGE, channel=channel, generator=_generator(), **size))


_MAKERS: dict[str, Callable[[], Workload]] = {
    "W1": lambda: _large_mlp("W1", 3, 20_000, 10, 256),
    "W1s": lambda: _large_mlp("W1s", 3, 2_000, 1, 256),
    "W1m": lambda: _large_mlp("W1m", 50, 400, 5, 64),
    "W2": lambda: _conv("W2", np.full(10, 200), np.full(10, 2)),
    "unequal": _unequal,
    "Swin": lambda: _paper_swin("Swin", 1),
    "Swin x 10": lambda: _paper_swin("Swin x 10", 10),
    "tiny link": lambda: replace(small_mlp(3), name="tiny link"),
    "tiny conv": _tiny_conv,
    "tiny Swin": _tiny_swin,
    "default round": lambda: replace(small_mlp(10), name="default round"),
}
SMALL_MODELS = ("W1", "W1s", "W1m", "W2", "unequal")
TINY_MODELS = ("tiny link", "tiny conv", "tiny Swin")


@lru_cache(maxsize=1)
def workload(name: str) -> Workload:
    """One of the rounds above by name; the last one is kept."""
    return _MAKERS[name]()


def small_mlp(satellites: int) -> Workload:
    """A round of the built-in `leo-multitask` scenario's size with any number of satellites, unequal as there."""
    rng = np.random.default_rng(0)
    model = MLPLink(64, 4, channel=Channel(), generator=_generator(), hidden=32)
    data = _random_data(rng.integers(15, 81, satellites).tolist(), (1, 8, 8))
    return Workload(f"S = {satellites}", model, data, rng.integers(1, 9, satellites), TrainingSettings(16, 2e-3))


def _random_data(samples: list[int], shape: tuple[int, ...]) -> LocalData:
    """Uniform pixels and two classes: how fast a round is does not depend on what it learns."""
    generator, total = _generator(), sum(samples)
    images: Tensor = torch.rand(total, *shape, generator=generator)
    targets = torch.randint(0, 2, (total,), generator=generator)
    return LocalData(images, targets, np.cumsum([0, *samples]))


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)
