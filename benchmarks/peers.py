"""Other libraries' simulations of the same round, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from functools import partial

import torch

from benchmarks.timing import medians
from benchmarks.workloads import workload
from satfl_env.federated import Hardware, make_trainer

ROUNDS = ("W1", "W1s", "W1m", "W2")
QUICK = ("W1s",)


def beside(peer: str, module: str, *, quick: bool) -> dict[str, float]:
    """Seconds of a warm round of a peer, and of `auto`.

    Args:
        peer: What it is called.
        module: Run with the name of a round and a number of rounds, it prints the median seconds of one.
        quick: Take fewer.
    """
    values: dict[str, float] = {}
    for name in QUICK if quick else ROUNDS:
        rounds = 3 if quick else 5
        command = [sys.executable, "-m", module, name, str(rounds)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        peer_s = float(done.stdout.splitlines()[-1])
        work = workload(name)
        trainer = make_trainer("auto", work.model, work.settings, Hardware(workers=torch.get_num_threads()))
        auto_s = medians({"auto": partial(work.train, trainer)}, 3 * rounds if peer_s < 1 else rounds)["auto"]
        values |= {
            f"{name}: {peer}, warm round, s": peer_s,
            f"{name}: auto, s": auto_s,
            f"{name}: {peer} / auto": peer_s / auto_s,
        }
    return values
