r"""Server optimisers: how a model moves along the combined update of its satellites, the pseudo-gradient $\Delta$.

S. J. Reddi et al., "Adaptive Federated Optimization", ICLR 2021, algorithms 1 and 2. Moments of a model are vectors of
its size that the optimiser remembers between updates. Any object of the form of `ServerOptimiser` is one.
"""

from __future__ import annotations

from typing import Annotated, Literal, Protocol

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from satfl_env.settings import STRICT, NonNegative, Positive

Decay = Annotated[NonNegative, Field(lt=1)]


class ServerOptimiser(Protocol):
    """Moves models along their updates; it keeps nothing itself."""

    @property
    def first_moments(self) -> tuple[float, ...]:
        """The number that each of its n moments is filled with at first."""

    def step(self, models: Tensor, updates: Tensor, moments: Tensor) -> tuple[Tensor, Tensor]:
        """The moved models (K, P) and their moments (n, K, P), from models and updates, (K, P), and earlier moments."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class FedAvg:
    r"""A step along the update: $x \leftarrow x + \eta \Delta$ (algorithm 1 of Reddi et al. with gradient descent).

    Attributes:
        server_rate: Step size eta; at 1 it is federated averaging. That of late updates is part of Delta.
    """

    kind: Literal["fedavg"] = "fedavg"
    server_rate: Positive = 1.0

    @property
    def first_moments(self) -> tuple[float, ...]:
        """None."""
        return ()

    def step(self, models: Tensor, updates: Tensor, moments: Tensor) -> tuple[Tensor, Tensor]:
        """The moved models (K, P) and their moments (0, K, P)."""
        return models + self.server_rate * updates, moments


@dataclass(frozen=True, kw_only=True, config=STRICT)
class FedAvgM:
    r"""Momentum: $m \leftarrow \beta m + \Delta$, $x \leftarrow x + \eta m$, from $m = 0$.

    T.-M. H. Hsu, H. Qi, M. Brown, "Measuring the Effects of Non-Identical Data Distribution for Federated Visual
    Classification", 2019, arXiv 1909.06335.

    Attributes:
        server_rate: Step size eta; that of late updates is part of Delta.
        server_momentum: Share beta of the momentum that stays, in [0, 1).
    """

    kind: Literal["fedavgm"] = "fedavgm"
    server_rate: Positive = 1.0
    server_momentum: Decay = 0.9

    @property
    def first_moments(self) -> tuple[float, ...]:
        """The momentum."""
        return (0.0,)

    def step(self, models: Tensor, updates: Tensor, moments: Tensor) -> tuple[Tensor, Tensor]:
        """The moved models (K, P) and their momentum (1, K, P)."""
        momentum = self.server_momentum * moments + updates
        return models + self.server_rate * momentum[0], momentum


@dataclass(frozen=True, kw_only=True, config=STRICT)
class FedAdam:
    r"""Adam (algorithm 2 of Reddi et al.), without bias correction, from $m = 0$ and $v = \tau^2$.

    $$m \leftarrow \beta_1 m + (1 - \beta_1) \Delta, \qquad
    v \leftarrow \beta_2 v + (1 - \beta_2) \Delta^2, \qquad
    x \leftarrow x + \eta \frac{m}{\sqrt{v} + \tau}$$

    The defaults are those of Flower.

    Attributes:
        server_rate: Step size eta; that of late updates is part of Delta.
        beta_1: Share of the first moment that stays, in [0, 1).
        beta_2: Share of the second moment that stays, in [0, 1).
        tau: Degree of adaptivity: how far updates are from counting by their sign alone.
    """

    kind: Literal["fedadam"] = "fedadam"
    server_rate: Positive = 0.1
    beta_1: Decay = 0.9
    beta_2: Decay = 0.99
    tau: Positive = 1e-3

    @property
    def first_moments(self) -> tuple[float, ...]:
        """The mean of updates, and that of their squares."""
        return (0.0, self.tau**2)

    def step(self, models: Tensor, updates: Tensor, moments: Tensor) -> tuple[Tensor, Tensor]:
        """The moved models (K, P) and their two moments (2, K, P)."""
        new = moments.clone()
        new[0].lerp_(updates, 1 - self.beta_1)
        new[1].lerp_(updates.square(), 1 - self.beta_2)
        return models + self.server_rate * new[0] / (new[1].sqrt() + self.tau), new


def server_step(optimiser: ServerOptimiser, models: Tensor, updates: Tensor, moments: Tensor) -> tuple[Tensor, Tensor]:
    """The checked step of an optimiser, which may be the user's own and may write to what it is given.

    Args:
        optimiser: The optimiser.
        models: Models, (K, P); they stay as they are.
        updates: Their updates, (K, P).
        moments: Their earlier moments, (n, K, P).

    Raises:
        ValueError: If it gives anything but a tensor of models and one of moments, in their shapes.
    """
    with torch.no_grad():
        step = tuple(optimiser.step(models.clone(), updates, moments))
    shapes = tuple(models.shape), tuple(moments.shape)
    found = tuple(tuple(it.shape) if isinstance(it, Tensor) else type(it).__name__ for it in step)
    if found != shapes:
        raise ValueError(
            f"the server optimiser {type(optimiser).__name__} must give tensors of moved models {shapes[0]} and "
            f"moments {shapes[1]}, got {' and '.join(map(str, found))}"
        )
    moved, new = step
    return moved.to(models), new.to(moments)
