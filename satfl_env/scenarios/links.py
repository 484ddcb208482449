"""The sections of links and of what goes over them: how a model is sent, and how it gets smaller."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from satfl_env import federated, links
from satfl_env.federated import Progressive, Quantised, RandomK, TopK
from satfl_env.settings import STRICT, Decibel, Positive
from satfl_env.simulation import PositionsAt


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Uploads:
    """How a model is sent: `model_bits: null` means 32 bits per shared parameter. `compression` makes it smaller.

    `upload_snr_db` adds white noise to the uploaded updates, at this SNR of each update's own power; null adds none.
    `positions_at` says where satellites return a model from: where they are at the `start` of the round, or where each
    is when its `upload` begins.
    """

    model_bits: Positive | None = None
    upload_snr_db: Decibel | None = None
    positions_at: PositionsAt = "start"


@dataclass(frozen=True, kw_only=True, config=STRICT)
class IdealLinks(Uploads, links.IdealLinks):
    """`links.IdealLinks`, and how a model is sent over them."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class RadioLinks(Uploads, links.RadioLinks):
    """`links.RadioLinks`, and how a model is sent over them."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class NomaLinks(Uploads, links.NomaLinks):
    """`links.NomaLinks`, and how a model is sent over them."""


Compressor = Annotated[Quantised | TopK | RandomK, Field(discriminator="kind")]
Upload = Annotated[Quantised | TopK | RandomK | Progressive, Field(discriminator="kind")]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Compression(federated.Compression):
    """`federated.Compression`: how updates get smaller on their way up, and models on their way down.

    The bits on the link, `links.model_bits` or 32 per shared parameter, are multiplied by the bits of the compressed
    vector over 32 per shared parameter.
    """

    upload: Upload | None = None
    download: Compressor | None = None
