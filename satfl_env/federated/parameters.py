"""Models as flat rows: the parameters of all satellites are one (S, P) tensor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from math import prod
from typing import Literal, get_args

import torch
from torch import Tensor

from satfl_env.federated.model import HasParameters

Shared = Literal["encoder", "all"]
_ENCODER_PREFIX = "encoder."


@dataclass(frozen=True)
class Layout:
    """Where each parameter is in a flat row; the encoder comes first, so that the shared part is a prefix.

    Attributes:
        names: Parameter names in the order of the columns.
        shapes: Their shapes.
    """

    names: tuple[str, ...]
    shapes: tuple[torch.Size, ...]

    @classmethod
    def of(cls, model: HasParameters) -> Layout:
        """The layout of a model's parameters."""
        named = sorted(model.named_parameters(), key=lambda item: not item[0].startswith(_ENCODER_PREFIX))
        return cls(tuple(name for name, _ in named), tuple(parameter.shape for _, parameter in named))

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Number of columns of each parameter."""
        return tuple(prod(shape) for shape in self.shapes)

    @cached_property
    def offsets(self) -> tuple[int, ...]:
        """First column of each parameter, and at the end the number of all columns."""
        return (0, *accumulate(self.sizes))

    @cached_property
    def num_parameters(self) -> int:
        """Number of columns P."""
        return sum(self.sizes)

    def num_shared(self, shared: Shared) -> int:
        """Number of leading columns that are federated: those of the `encoder`, or `all`.

        Raises:
            ValueError: If `shared` is neither, or nothing is named as part of an encoder.
        """
        if shared not in get_args(Shared):
            raise ValueError(f"shared is {shared!r}; allowed are {', '.join(get_args(Shared))}")
        if shared == "all":
            return self.num_parameters
        named = zip(self.names, self.sizes, strict=True)
        if encoder := sum(size for name, size in named if name.startswith(_ENCODER_PREFIX)):
            return encoder
        raise ValueError(
            f"shared is 'encoder', but no parameter of the model has a name that starts with {_ENCODER_PREFIX!r}, the "
            f"first one is {self.names[0]!r}; name the federated part `encoder`, or set training.shared to 'all'"
        )

    def split(self, flat: Tensor) -> dict[str, Tensor]:
        """Views of flat rows (S, P) as named parameters, each (S, *shape); further columns are padding."""
        # One split rather than slices: its backward pass is a single concatenation.
        parts = flat[:, : self.num_parameters].split(self.sizes, dim=1)
        return {
            name: part.unflatten(1, shape) for name, part, shape in zip(self.names, parts, self.shapes, strict=True)
        }

    def named(self, row: Tensor) -> dict[str, Tensor]:
        """Views of one row (P,) as named parameters, or those of its leading columns, such as the shared ones."""
        columns = zip(self.names, self.shapes, self.offsets, self.offsets[1:], strict=False)
        return {name: row[first:last].reshape(shape) for name, shape, first, last in columns if last <= len(row)}

    def row(self, named: Mapping[str, Tensor]) -> Tensor:
        """Named parameters as one row, (P,).

        Raises:
            ValueError: If they are not those of the layout.
        """
        found = {name: tuple(part.shape) for name, part in named.items()}
        expected = {name: tuple(shape) for name, shape in zip(self.names, self.shapes, strict=True)}
        if found != expected:
            name = next(name for name in {**expected, **found} if found.get(name) != expected.get(name))
            raise ValueError(f"parameter {name!r} has shape {found.get(name)}; expected {expected.get(name)}")
        return torch.cat([named[name].flatten() for name in self.names])

    def flatten(self, model: HasParameters) -> Tensor:
        """A copy of a model's parameters as one row, (P,)."""
        parameters = dict(model.named_parameters())
        return torch.cat([parameters[name].detach().flatten() for name in self.names])

    def load(self, model: HasParameters, row: Tensor) -> None:
        """Copy one row (P,) into a model, which also takes its dtype and device.

        Kernels of convolutions are laid out channels last, which saves a CPU some of the time of a training step.
        """
        parameters = dict(model.named_parameters())
        for name, part in self.split(row.detach().unsqueeze(0)).items():
            layout = torch.channels_last if part[0].dim() == 4 else torch.contiguous_format
            parameters[name].data = part[0].clone(memory_format=layout)
