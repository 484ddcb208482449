"""The satellites' updates as a server receives them: compressed, and with noise."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from satfl_env.federated import LARGEST_USABLE, Compression, take_rows
from satfl_env.simulation.state import BoolArray


def compress_updates(
    compression: Compression,
    start: Tensor,
    trained: Tensor,
    sent: BoolArray,
    memory: Tensor,
    generator: Callable[[], torch.Generator],
) -> tuple[Tensor, BoolArray, Tensor]:
    """Shared parameters after training as gateways decompress them, (S, P), who sends them, (S,), and the new memory.

    An update of which compression leaves no parameters within 1e12 is not sent.

    Args:
        compression: How updates get smaller.
        start: Shared parameters before training, (S, P).
        trained: The same after it, (S, P).
        sent: Satellites that send their update, (S,).
        memory: What satellites remember of earlier updates, (S, P); (S, 0) where they remember nothing.
        generator: Makes the generator of the draws.
    """
    if compression.upload is None:
        return trained, sent, memory
    members = np.flatnonzero(sent)
    rows, first = torch.from_numpy(members), take_rows(start, members)
    arriving, left = compression.send(take_rows(trained, members) - first, take_rows(memory, members), generator())
    received, sent = trained.index_copy(0, rows, first + arriving), sent.copy()
    sent[members] = (first + arriving).abs().le(LARGEST_USABLE).all(dim=1).numpy()
    return received, sent, memory.index_copy(0, rows, left)


def receive_updates(
    start: Tensor, trained: Tensor, sent: BoolArray, snr_db: float | None, generator: Callable[[], torch.Generator]
) -> tuple[Tensor, Tensor, BoolArray]:
    """Shared parameters as the server receives them, (S, P), the updates of those that came back, (R, P), and who did.

    An update of which noise leaves no parameters within 1e12 does not come back.

    Args:
        start: Shared parameters before training, (S, P).
        trained: The same after it, (S, P).
        sent: Satellites that send their update, (S,).
        snr_db: SNR at which updates arrive, in dB; None means that they arrive as they were sent.
        generator: Makes the generator of the noise.
    """
    if snr_db is None:
        members = np.flatnonzero(sent)
        return trained, take_rows(trained, members).sub_(take_rows(start, members)), sent
    updates = noisy_updates(trained - start, snr_db, generator())
    received = start + updates
    returned = sent & (received.abs() <= LARGEST_USABLE).all(dim=1).numpy()
    return received, take_rows(updates, np.flatnonzero(returned)), returned


def noisy_updates(updates: Tensor, snr_db: float, generator: torch.Generator) -> Tensor:
    """Updates as received over an analogue link: white Gaussian noise at an SNR of each update's own power.

    Task clustering names noisy model updates as future work (section V).

    Args:
        updates: One update per row, (S, P).
        snr_db: Mean power of an update's entries over the power of the noise, in dB.
        generator: Generator of the noise; every row draws its own, whichever others are there.

    Returns:
        A new tensor, (S, P).
    """
    power = updates.square().mean(dim=1, keepdim=True)
    noise = torch.randn(updates.shape, generator=generator).to(updates)
    received: Tensor = updates + noise * (power * 10.0 ** (-snr_db / 10.0)).sqrt()
    return received
