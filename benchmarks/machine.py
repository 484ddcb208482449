"""The machine in words, and how fast it multiplies matrices."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import torch

from benchmarks.timing import medians
from satfl_env.counted import counted
from satfl_env.federated import available_cores

_MATRIX_SIDE = 2048


def in_words() -> str:
    """Processor, memory, GPU and versions, in one sentence."""
    cores = available_cores()
    parts = [f"{counted(cores, 'core')} of {_processor()}"]
    if hasattr(os, "sysconf"):
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        parts.append(f"{memory / 2**30:.0f} GiB of memory")
    parts.append(torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU")
    versions = f"{platform.system()}, Python {platform.python_version()}, PyTorch {torch.__version__}"
    return f"{', '.join(parts)}; {versions}, {counted(torch.get_num_threads(), 'thread')}"


def matrix_flops_per_s(repeats: int = 5) -> float:
    """Operations a second in the product of two large float32 matrices, on all of PyTorch's threads."""
    left, right = torch.rand(2, _MATRIX_SIDE, _MATRIX_SIDE, generator=torch.Generator().manual_seed(0))
    return 2 * _MATRIX_SIDE**3 / medians({"product": lambda: left @ right}, repeats)["product"]


def _processor() -> str:
    """Name of the processor, as the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return f"an {line.split(':', 1)[1].strip()} processor ({platform.machine()})"
    return f"an {platform.processor() or 'unknown'} processor ({platform.machine()})"
