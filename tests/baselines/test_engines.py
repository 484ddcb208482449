"""Where episodes are played changes nothing of them: one after the other, in processes, or on a cluster of Ray."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace

import pytest

from satfl_baselines import compare
from satfl_baselines.jobs import ENGINES
from satfl_env.scenarios import load
from tests.baselines.test_own_policies import nearest
from tests.factories import physics_only

SCENARIO = physics_only(2)
TRAINED = load("leo-multitask", **{"rounds.episode": 2, "data.partition.samples": (15, 20)})


@pytest.fixture(scope="module")
def ray():
    """A cluster of this machine."""
    ray = pytest.importorskip("ray")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield ray
    ray.shutdown()


def doubled(number: int) -> int:
    return 2 * number


def failing() -> int:
    raise ValueError("no\nnumber")


def asleep() -> int:
    time.sleep(600)
    return 0


def ended() -> int:
    os._exit(1)


def test_jobs_are_done_on_this_machine():
    jobs = {number: partial(doubled, number) for number in range(5)}
    for workers in (None, 1):
        assert list(ENGINES["processes"](jobs, workers)) == [(number, 2 * number) for number in range(5)]
    assert list(ENGINES["processes"]({}, 2)) == []


def test_an_unknown_engine_is_told(tmp_path):
    with pytest.raises(ValueError, match="engine must be one of processes, ray, got 'spark'"):
        compare(SCENARIO, ["full"], [0], tmp_path, engine="spark")


def test_what_cannot_be_sent_to_a_cluster_is_told_before_it_is_asked_for(tmp_path):
    with pytest.raises(ValueError, match=r"policy 'mine' .* cannot be pickled"):
        compare(SCENARIO, ["mine"], [0], tmp_path, own={"mine": lambda state: nearest(state)}, engine="ray")


@pytest.mark.parametrize("workers", [None, 1, 2])
def test_a_cluster_does_all_jobs(ray, workers):
    jobs = {number: partial(doubled, number) for number in range(7)}
    assert dict(ENGINES["ray"](jobs, workers)) == {number: 2 * number for number in range(7)}


class PretendedRay:
    """As much of Ray as jobs need; counts how many are under way."""

    def __init__(self) -> None:
        self.exceptions = SimpleNamespace(RayTaskError=KeyError, RayError=OSError)
        self.under_way = self.most = 0

    def is_initialized(self) -> bool:
        return True

    def remote(self, **_: object) -> Callable[..., SimpleNamespace]:
        return lambda function: SimpleNamespace(remote=partial(self._begin, function))

    def _begin(self, function: Callable[..., object], *given: object) -> partial[object]:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        return partial(function, *given)

    def wait(self, pending: list[partial[object]]) -> tuple[list[partial[object]], list[object]]:
        self.under_way -= 1
        return pending, []

    def get(self, task: partial[object]) -> object:
        return task()


@pytest.mark.parametrize(("workers", "at_once"), [(None, 7), (1, 1), (2, 2)])
def test_one_worker_of_a_cluster_is_one(monkeypatch, workers, at_once):
    monkeypatch.setitem(sys.modules, "ray", ray := PretendedRay())
    jobs = {number: partial(doubled, number) for number in range(7)}
    assert dict(ENGINES["ray"](jobs, workers)) == {number: 2 * number for number in range(7)}
    assert ray.most == at_once


def test_a_cluster_plays_the_same_episodes_to_the_bit(ray, tmp_path):
    asked = (TRAINED, ["full", "mine"], [0, 1])
    own = {"mine": nearest}
    here = compare(*asked, tmp_path / "here", own=own)
    there = compare(*asked, tmp_path / "there", own=own, engine="ray")
    assert dict(there.episodes) == dict(here.episodes)
    file = "runs/full-0.json"
    assert (tmp_path / "there" / file).read_bytes() == (tmp_path / "here" / file).read_bytes()


def test_what_a_job_raises_ends_all_of_them(ray):
    with pytest.raises(ValueError, match="no\nnumber") as caught:
        list(ENGINES["ray"]({"fails": failing, "sleeps": asleep}, 2))
    assert type(caught.value) is ValueError
    # The core of the sleeper is free.
    assert dict(ENGINES["ray"]({number: partial(doubled, number) for number in range(2)}, 2)) == {0: 0, 1: 2}


def test_a_task_that_dies_again_and_again_is_told(ray):
    with pytest.raises(RuntimeError, match="a process that played episodes died"):
        list(ENGINES["ray"]({"ends": ended}, 1))


def test_the_absence_of_ray_is_told_with_its_extra(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError, match=r"the engine 'ray' needs Ray: pip install -e '\.\[ray\]'"):
        compare(SCENARIO, ["full"], [0], tmp_path, engine="ray")


def test_an_interrupt_ends_the_command_and_its_cluster(tmp_path):
    pytest.importorskip("ray")
    psutil = pytest.importorskip("psutil")
    command = [sys.executable, "-c", "from satfl_env.commands import main; main()", "compare", "--engine", "ray"]
    asked = ["--policies", "random", "--seeds", "40", "--rounds", "200", "--set", "training.engine=none"]
    process = subprocess.Popen(
        [*command, *asked, "--out", str(tmp_path)], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    while not list((tmp_path / "runs").glob("*.json")):
        assert process.poll() is None
        time.sleep(0.2)
    cluster = psutil.Process(process.pid).children(recursive=True)
    assert any("raylet" in child.name() for child in cluster)
    names = {child.pid: child.name() for child in cluster}
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=20)
    assert process.returncode == 130
    assert told.splitlines()[-1].startswith("interrupted; to go on from what is finished: satfl compare --engine ray")
    # Ray's agents look only now and then whether their node is still there.
    cluster = [child for child in cluster if "Agent" not in names[child.pid]]
    _, left = psutil.wait_procs(cluster, timeout=20)
    assert not left
