"""Peak memory of a round, measured in a separate process."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

from benchmarks.naive import train_all
from benchmarks.workloads import small_mlp, workload
from satfl_env.federated import make_trainer


def more_memory_mb(name: str, form: str) -> float:
    """Memory that a round takes at its peak on top of the program and the data, in MB.

    Args:
        name: A round by its name in `benchmarks.workloads`, or a number of satellites for `small_mlp`.
        form: An engine that works in one process, or `naive`.
    """
    command = [sys.executable, "-m", "benchmarks.memory", name, form]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _measure(name: str, form: str) -> float:
    work = small_mlp(int(name)) if name.isdigit() else workload(name)
    before_mb = forget_peak_mb()
    if form == "naive":
        train_all(work)
    else:
        work.train(make_trainer(form, work.model, work.settings))
    return peak_mb() - before_mb


def forget_peak_mb() -> float:
    """Start measuring the peak anew, where the system can; the peak at the start."""
    clear = Path("/proc/self/clear_refs")
    if clear.exists():
        clear.write_text("5", encoding="ascii")
    return peak_mb()


def peak_mb() -> float:
    """Peak of this program's memory; `getrusage` may report that of the program which started this one."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    (line,) = [line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    print(_measure(*sys.argv[1:]))
