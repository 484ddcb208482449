"""SemSpaceFL's rounds, of two policies in turn, each kept in a checkpoint that another day continues."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.pictures import synthetic
from satfl_baselines import checkpoint
from satfl_baselines.files import damaged, write_json
from satfl_baselines.identity import identity, require_same
from satfl_baselines.policies import make_policy
from satfl_baselines.semspacefl.training import SCENARIO, SIZES
from satfl_env import Decision, RoundReport, Simulation
from satfl_env.scenarios import FederatedImages, Scenario, build, load

POLICIES = ("semspacefl", "nearest-fedavg")
SEED = 0
PAPER: Mapping[str, Any] = SIZES["paper"]
TOY: Mapping[str, Any] = {
    "data.image_size": 16,
    "data.partition.total_samples": 160,
    "data.partition.min_samples": 2,
    "data.test_samples": 4,
    "model.patch": 2,
    "model.width": 4,
    "model.head_width": 4,
    "model.depths": (2,),
    "model.window": 2,
    "training.round_share": 0.001,
    "rounds.episode": 3,
}
# What a round may take before one has been timed, and writing a checkpoint.
FIRST_ROUND_S, CHECKPOINT_S = 240.0, 10.0
# How much longer the next round may take than the last one, image pass by image pass.
_MARGIN = 1.25

Round = dict[str, float]


class Rounds:
    """The rounds of one policy: those in the folder's checkpoint, and the next ones.

    The same device gives the same rounds, interrupted or not.

    Args:
        policy: Its name in the registry.
        scenario: What is played.
        folder: Where the checkpoint is, or will be; the results of each round are in a JSON file beside it.
        pictures: What takes the place of the scenario's images.

    Attributes:
        played: Results of the rounds up to now.

    Raises:
        ValueError: If the folder's checkpoint is of other settings, or damaged.
    """

    def __init__(self, policy: str, scenario: Scenario, folder: Path, pictures: FederatedImages | None = None) -> None:
        self.policy, self.played = policy, list[Round]()
        self.simulation = _simulation(scenario, pictures)
        self._scenario, self._folder, self._decide = scenario, folder, make_policy(policy, SEED)
        self._identity = identity(scenario, policy=policy, seed=SEED, made_up=pictures is not None)
        if self._file.exists():
            self._resume()
        else:
            self.simulation.reset(SEED)

    @property
    def finished(self) -> bool:
        """Whether the last round has been played."""
        return self.simulation.finished

    def passes(self) -> int:
        """Images that satellites will train on in the next round, each as often as it is used."""
        return self._passes(self.simulation.begin(self._decision()).participation.epochs)

    def play(self) -> None:
        """Play a round, and write it down."""
        began = time.perf_counter()
        _, report = self.simulation.step(self._decision())
        passes = self._passes(report.epochs)
        self.played.append(_results(report, passes) | {"took_s": time.perf_counter() - began})
        kept = {"identity": self._identity, "state": self.simulation.get_state(), "played": self.played}
        # A round that is not in the checkpoint is played again, and its result written again.
        write_json(self._folder / f"{self.policy}.json", self.played)
        checkpoint.save(self._file, kept)

    @property
    def _file(self) -> Path:
        return self._folder / f"{self.policy}.checkpoint"

    def _resume(self) -> None:
        kept = checkpoint.load(self._file)
        if not (isinstance(kept, dict) and kept.keys() == {"identity", "state", "played"}):
            raise damaged(self._file, "it is no checkpoint of a study")
        require_same(self._folder, "study", kept["identity"], self._identity)
        self.simulation.set_state(kept["state"])
        self.played = kept["played"]

    def _decision(self) -> Decision:
        return self._decide(self.simulation.state)

    def _passes(self, epochs: Any) -> int:
        samples = self.simulation.state.samples
        return int((epochs * samples).sum() * self._scenario.training.round_share)


def scenario(size: Mapping[str, Any], device: str, precision: str, data_dir: Path | None = None) -> Scenario:
    """SemSpaceFL at one of the sizes above, trained and tested on a device."""
    changes = {**size, "training.device": device, "training.precision": precision}
    if precision != "float32":
        changes["training.engine"] = "stacked"  # the engine that can
    if data_dir is not None:
        changes["data.data_dir"] = str(data_dir)
    return load(SCENARIO, **changes)


def play_in_turn(studies: Sequence[Rounds], deadline_s: float, clock: Callable[[], float] = time.monotonic) -> None:
    """Play the rounds of all policies in turn, until the next one would not end in time."""
    with same_bits():
        while ahead := [study for study in studies if not study.finished]:
            study = min(ahead, key=lambda each: len(each.played))
            if clock() + expected_s(study, studies) > deadline_s:
                return
            study.play()


def expected_s(study: Rounds, studies: Sequence[Rounds]) -> float:
    """Seconds that the next round may take, by the slower of the policies' last rounds."""
    last = [each.played[-1] for each in studies if each.played]
    if not last:
        return FIRST_ROUND_S + CHECKPOINT_S
    pace_s = max(result["took_s"] / max(1.0, result["passes"]) for result in last)
    return _MARGIN * pace_s * study.passes() + CHECKPOINT_S


def summary(studies: Sequence[Rounds]) -> dict[str, float]:
    """How many rounds there are, how fast they went, and how good the models are."""
    values: dict[str, float] = {}
    for study in studies:
        if not (played := study.played):
            continue
        took_s = statistics.median(result["took_s"] for result in played)
        paces = [result["passes"] / result["took_s"] for result in played]
        values |= {
            f"{study.policy}: rounds": float(len(played)),
            f"{study.policy}: s a round": took_s,
            f"{study.policy}: image passes a second": statistics.median(paces),
            **{f"{study.policy}: {name}": played[-1][name] for name in ("psnr_db", "ms_ssim")},
        }
    return values


def interruption(device: str, precision: str) -> dict[str, float]:
    """Two rounds of the toy against one, a checkpoint and one: the largest difference of all numbers and parameters."""
    toy, pictures = _toy(device, precision)
    with tempfile.TemporaryDirectory() as name, same_bits():
        whole, parts = Path(name) / "whole", Path(name) / "parts"
        for folder in (whole, parts):
            folder.mkdir()
        through = Rounds(POLICIES[0], toy, whole, pictures)
        through.play()
        through.play()
        Rounds(POLICIES[0], toy, parts, pictures).play()
        resumed = Rounds(POLICIES[0], toy, parts, pictures)
        resumed.play()
        one, other = through.simulation.get_state(), resumed.simulation.get_state()
    held = one["models"]["held"] - other["models"]["held"]
    loss = one["test_loss"] - other["test_loss"]
    return {
        "two rounds, interrupted or not: largest difference of parameters": float(held.abs().max()),
        "two rounds, interrupted or not: of test losses": float(np.abs(loss).max()),
    }


def against_cpu(device: str) -> dict[str, float]:
    """Losses and metrics after a round of the toy in float32: the largest differences from the CPU's, relative."""
    tests = []
    for where in ("cpu", device):
        simulation = _simulation(*_toy(where, "float32"))
        simulation.step(make_policy(POLICIES[0], SEED)(simulation.reset(SEED)))
        tests.append({"test_loss": simulation.test.loss, **simulation.test.metrics})
    expected, found = tests
    return {
        f"a round of the toy on {device}: {name}, relative": float(np.abs(found[name] / values - 1).max())
        for name, values in expected.items()
    }


def _toy(device: str, precision: str) -> tuple[Scenario, FederatedImages]:
    toy = scenario(TOY, device, precision)
    return toy, synthetic(toy)


def _simulation(scenario: Scenario, pictures: FederatedImages | None) -> Simulation:
    return build(scenario, parts={} if pictures is None else {"data": pictures}, torch_threads=None)


@contextmanager
def same_bits() -> Iterator[None]:
    """Inside, a GPU computes the same bits each time wherever PyTorch knows how to; elsewhere it warns."""
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    memory: Any = torch.utils.deterministic
    filled = memory.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True, warn_only=True)
    memory.fill_uninitialized_memory = False  # which only costs time
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        memory.fill_uninitialized_memory = filled


def _results(report: RoundReport, passes: int) -> Round:
    """What a round was worth and what it cost, means over the satellites."""
    return {
        "round": float(report.round + 1),
        "passes": float(passes),
        "batches": float(report.batches.sum()),
        "test_loss": float(report.test_loss.mean()),
        **{name: float(values.mean()) for name, values in report.metrics.items()},
        "lost": float(report.lost.sum()),
        "energy_j": float(report.energy_j.sum()),
        "simulated_s": report.duration_s,
    }
