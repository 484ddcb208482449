"""PyTorch and NumPy as they are when nobody has changed them, whatever a user's session has set."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch

from satfl_env.federated.hardware import thread_limit


@contextmanager
def torch_defaults(num_threads: int | None = None) -> Iterator[None]:
    """Inside the block, settings that would change results or break off are the usual ones; then they are put back.

    They are PyTorch's default dtype and device, automatic mixed precision, inference mode, switched-off gradients and
    the precision of float32 products and convolutions. NumPy raises and warns of no floating-point errors: results are
    checked instead.

    Args:
        num_threads: Most threads of PyTorch; see `thread_limit`.
    """
    with np.errstate(all="ignore"), thread_limit(num_threads), ExitStack() as stack:
        # Most often all is as it should be, and asking costs less than setting.
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))
        if not torch.is_grad_enabled():
            stack.enter_context(torch.enable_grad())
        for device in ("cpu", "cuda"):
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        # An empty tensor tells the default device in a tenth of the time of `torch.get_default_device`.
        if torch.empty(0).device.type != "cpu":
            stack.enter_context(torch.device("cpu"))
        if (dtype := torch.get_default_dtype()) != torch.float32:
            stack.callback(torch.set_default_dtype, dtype)
            torch.set_default_dtype(torch.float32)
        _compute_in_full_precision(stack)
        yield


def _compute_in_full_precision(stack: ExitStack) -> None:
    """Products and convolutions of float32 keep its 24 bits; on a GPU convolutions have 11 of them by default."""
    backends: Any = torch.backends  # its stubs lack what came with 2.9
    try:
        products, short_convolutions = torch.get_float32_matmul_precision(), backends.cudnn.allow_tf32
    except RuntimeError:
        # Since 2.9 PyTorch has settings for each operation, and once these differ it does not tell of the older two.
        for operation in (backends.cuda.matmul, backends.cudnn.conv, backends.mkldnn.matmul, backends.mkldnn.conv):
            stack.callback(setattr, operation, "fp32_precision", operation.fp32_precision)
            operation.fp32_precision = "ieee"
        return
    if products != "highest":
        stack.callback(torch.set_float32_matmul_precision, products)
        torch.set_float32_matmul_precision("highest")
    # CUDA may only be initialised inside the block.
    if short_convolutions:
        stack.callback(setattr, backends.cudnn, "allow_tf32", True)
        backends.cudnn.allow_tf32 = False
