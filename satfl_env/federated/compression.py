r"""Models and updates in fewer bits: compressors $x \mapsto \mathcal{C}(x)$, and what a sender remembers of the rest.

A compressor takes vectors, (n, P), and gives what their receiver decompresses, (n, P). It says how many bits that
takes. Any object of the form of `Compressor` is one.
"""

from __future__ import annotations

import copy
from math import ceil, log2
from typing import Annotated, Literal, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, SkipValidation, model_validator
from pydantic.dataclasses import dataclass
from torch import Tensor

from satfl_env.settings import STRICT, STRICT_WITH_OBJECTS, Count, Share

FloatArray = NDArray[np.float64]

FLOAT_BITS = 32
"""Bits of a number that is not compressed."""
SEED_BITS = 64
"""Bits of a seed from which the receiver draws the same places as the sender."""


class Compressor(Protocol):
    """Makes vectors smaller, each for itself."""

    def size_bits(self, num_parameters: int) -> float:
        """Bits of one compressed vector of P numbers."""

    def compress(self, vectors: Tensor, generator: torch.Generator) -> Tensor:
        """What the receiver decompresses, (n, P), of vectors (n, P); all draws come from `generator`."""

    def variance(self, vectors: Tensor) -> Tensor:
        r"""Expected squared error of an unbiased compressor over $\lVert x \rVert^2$, (n,); 0 if it draws nothing."""


@runtime_checkable
class LinkCompressor(Compressor, Protocol):
    """A compressor of updates whose size follows each satellite's link; `size_bits` is its largest."""

    def fitting_bits(self, room_bits: FloatArray, num_parameters: int) -> FloatArray:
        """Bits of compressed vectors of P numbers, from those that each link carries in its contact, of any shape."""

    def of_size(self, size_bits: FloatArray, num_parameters: int) -> Compressor:
        """The compressor of n vectors, each to the bits (n,) that `fitting_bits` has given it."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Quantised:
    r"""Numbers on an even grid of $2^b$ levels between a vector's lowest and highest, rounded up or down at random.

    $$\Delta = \frac{x_\mathrm{max} - x_\mathrm{min}}{2^b - 1}, \qquad
    \hat{x}_i = x_\mathrm{min} + \Delta \left\lfloor \frac{x_i - x_\mathrm{min}}{\Delta} + u_i \right\rfloor, \qquad
    u_i \sim U[0, 1)$$

    Stochastic k-level quantisation (A. T. Suresh et al., "Distributed Mean Estimation with Limited Communication", ICML
    2017, section 2.2; with one bit, section 2.1). It is unbiased. A vector takes $bP$ bits and two numbers, lowest and
    step.

    Attributes:
        bits: Bits b of a number, at most 16.
    """

    kind: Literal["quantised"] = "quantised"
    bits: Annotated[Count, Field(le=16)] = 8

    def size_bits(self, num_parameters: int) -> float:
        """Bits of one compressed vector of P numbers."""
        return quantised_bits(self.bits, num_parameters)

    def compress(self, vectors: Tensor, generator: torch.Generator) -> Tensor:
        """What the receiver decompresses, (n, P), of vectors (n, P)."""
        return quantise(vectors, 2**self.bits - 1, generator)

    def variance(self, vectors: Tensor) -> Tensor:
        r"""$\sum_i (x_i - l_i)(l_i + \Delta - x_i) / \lVert x \rVert^2$ with $l_i$ the level below $x_i$, (n,)."""
        return quantisation_variance(vectors, 2**self.bits - 1)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TopK:
    """The numbers of largest magnitude, each with its place; zeros for the others.

    A. F. Aji, K. Heafield, "Sparse Communication for Distributed Gradient Descent", EMNLP 2017. It is biased. Each of
    the k numbers takes 32 bits and ceil(log2 P) for its place.

    Attributes:
        share: k / P, in (0, 1]; at least one number is kept.
    """

    kind: Literal["top-k"] = "top-k"
    share: Share

    def size_bits(self, num_parameters: int) -> float:
        """Bits of one compressed vector of P numbers."""
        return float(_kept(self.share, num_parameters) * (FLOAT_BITS + ceil(log2(num_parameters))))

    def compress(self, vectors: Tensor, generator: torch.Generator) -> Tensor:
        """What the receiver decompresses, (n, P), of vectors (n, P); it draws nothing."""
        return _only(vectors, vectors.abs(), self.share)

    def variance(self, vectors: Tensor) -> Tensor:
        """Zeros, (n,)."""
        return vectors.new_zeros(len(vectors))


@dataclass(frozen=True, kw_only=True, config=STRICT)
class RandomK:
    """Numbers at places drawn at random, times P / k; zeros for the others.

    A random mask (J. Konečný et al., "Federated Learning: Strategies for Improving Communication Efficiency", 2016,
    arXiv 1610.05492), which the receiver draws itself: k numbers of 32 bits and a seed of 64. It is unbiased.

    Attributes:
        share: k / P, in (0, 1]; at least one number is kept.
    """

    kind: Literal["random-k"] = "random-k"
    share: Share

    def size_bits(self, num_parameters: int) -> float:
        """Bits of one compressed vector of P numbers."""
        return float(_kept(self.share, num_parameters) * FLOAT_BITS + SEED_BITS)

    def compress(self, vectors: Tensor, generator: torch.Generator) -> Tensor:
        """What the receiver decompresses, (n, P), of vectors (n, P)."""
        draw = torch.rand(vectors.shape, generator=generator)
        return _only(vectors, draw, self.share) * self._scale(vectors)

    def variance(self, vectors: Tensor) -> Tensor:
        """P / k - 1 everywhere, (n,)."""
        return vectors.new_full((len(vectors),), self._scale(vectors) - 1.0)

    def _scale(self, vectors: Tensor) -> float:
        num_parameters = vectors.shape[1]
        return num_parameters / _kept(self.share, num_parameters)


@dataclass(frozen=True, kw_only=True, config=STRICT_WITH_OBJECTS)
class Compression:
    r"""How models get smaller on their way to satellites, and updates on their way back.

    With error feedback a satellite remembers what its updates have lost, and adds it to its next one:

    $$a = u + e, \qquad s = \frac{\mathcal{C}(a)}{1 + \omega(a)}, \qquad e' = a - s$$

    S. U. Stich, S. P. Karimireddy, "The Error-Feedback Framework", JMLR 21, 2020. It needs a compressor that brings
    vectors closer to 0 than they were; an unbiased one of relative variance $\omega$ does so when it is divided by
    $1 + \omega$ (A. Beznosikov et al., "On Biased Compression for Distributed Learning", JMLR 24, 2023). For `top-k`
    $\omega$ is 0, and `random-k` loses its factor. The quantised numbers carry it in lowest and step.

    Attributes:
        upload: Compressor of the updates that satellites return; None sends them as they are.
        download: Compressor of the models that satellites fetch from gateways; None sends them as they are.
        error_feedback: Whether satellites remember what the uploads have lost.

    Raises:
        ValueError: If there is error feedback without an `upload`.
    """

    upload: SkipValidation[Compressor] | None = None
    download: SkipValidation[Compressor] | None = None
    error_feedback: bool = False

    @model_validator(mode="after")
    def _something_to_remember(self) -> Compression:
        if self.error_feedback and self.upload is None:
            raise ValueError("error_feedback must be false where upload is null, got True: nothing is lost")
        return self

    def upload_share(self, num_parameters: int) -> float:
        """Bits of an update of P parameters as it is sent, over those of 32 bits a parameter."""
        return _share(self.upload, num_parameters)

    def download_share(self, num_parameters: int) -> float:
        """Bits of a model of P parameters as it is sent, over those of 32 bits a parameter."""
        return _share(self.download, num_parameters)

    def of_size(self, size_bits: FloatArray, num_parameters: int) -> Compression:
        """The same for n updates of P parameters, each of a size of its own, (n,), where sizes follow links."""
        if not isinstance(self.upload, LinkCompressor):
            return self
        sized = copy.copy(self)
        # Settings are frozen, and take what a scenario can state alone.
        vars(sized)["upload"] = self.upload.of_size(size_bits, num_parameters)
        return sized

    def fetch(self, models: Tensor, generator: torch.Generator) -> Tensor:
        """Models as they arrive at satellites, (n, P)."""
        if self.download is None or not models.numel():
            return models
        return _compressed(self.download, models, generator)

    def send(self, updates: Tensor, memory: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Updates as they arrive at gateways, (n, P), and what satellites remember then.

        Args:
            updates: Updates, (n, P).
            memory: What the satellites remember, (n, P), with error feedback; otherwise it is passed on.
            generator: Generator of all draws.
        """
        if self.upload is None or not updates.numel():
            return updates, memory
        if not self.error_feedback:
            return _compressed(self.upload, updates, generator), memory
        wanted = updates + memory
        sent = _compressed(self.upload, wanted, generator) / (1 + self.upload.variance(wanted)[:, None])
        return sent, wanted - sent


def quantised_bits(bits: int, num_parameters: int) -> float:
    """Bits of a vector of P numbers of b bits, with its lowest and step."""
    return float(bits * num_parameters + 2 * FLOAT_BITS)


def quantise(vectors: Tensor, steps: Tensor | int, generator: torch.Generator) -> Tensor:
    """Vectors (n, P) on even grids of so many steps, one number or (n, 1); see `Quantised`."""
    lowest, step = _grid(vectors, steps)
    draw = torch.rand(vectors.shape, generator=generator, dtype=vectors.dtype)
    level = ((vectors - lowest) / step + draw).floor_().clamp_(max=steps)
    return lowest + step * level


def quantisation_variance(vectors: Tensor, steps: Tensor | int) -> Tensor:
    """Relative variance of that, (n,); see `Quantised.variance`."""
    lowest, step = _grid(vectors, steps)
    share = ((vectors - lowest) / step).frac()
    return _relative((share * (1 - share)).sum(dim=1) * step[:, 0] ** 2, vectors)


def _grid(vectors: Tensor, steps: Tensor | int) -> tuple[Tensor, Tensor]:
    """Lowest number and step of each vector, each (n, 1); a step of 1 where all numbers are equal."""
    lowest, highest = vectors.amin(dim=1, keepdim=True), vectors.amax(dim=1, keepdim=True)
    step = (highest - lowest) / steps
    return lowest, step.masked_fill(step == 0, 1.0)


def _kept(share: float, num_parameters: int) -> int:
    """Numbers that a sparse vector keeps."""
    return max(1, round(share * num_parameters))


def _only(vectors: Tensor, scores: Tensor, share: float) -> Tensor:
    """Vectors (n, P) where the scores (n, P) are highest, and 0 elsewhere."""
    places = scores.topk(_kept(share, vectors.shape[1]), dim=1, sorted=False).indices
    return torch.zeros_like(vectors).scatter_(1, places, vectors.gather(1, places))


def _relative(squared_error: Tensor, vectors: Tensor) -> Tensor:
    """Squared errors (n,) over the squared norms of vectors (n, P); 0 for those that are zero."""
    squared_norm = vectors.square().sum(dim=1)
    return torch.where(squared_norm > 0, squared_error / squared_norm, 0.0)


def _share(compressor: Compressor | None, num_parameters: int) -> float:
    return 1.0 if compressor is None else compressor.size_bits(num_parameters) / (FLOAT_BITS * num_parameters)


def _compressed(compressor: Compressor, vectors: Tensor, generator: torch.Generator) -> Tensor:
    """The checked result of a compressor, which may be the user's own."""
    result, name = compressor.compress(vectors, generator), f"the compressor {type(compressor).__name__}"
    if not isinstance(result, Tensor) or result.shape != vectors.shape:
        found = tuple(result.shape) if isinstance(result, Tensor) else type(result).__name__
        raise ValueError(f"{name} must give a tensor of shape (n, P) = {tuple(vectors.shape)}, got {found}")
    if not result.isfinite().all():
        raise ValueError(f"{name} must give finite numbers, got NaN or infinity")
    return result.detach().to(vectors)
