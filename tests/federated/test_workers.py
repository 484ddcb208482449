"""Conversations with workers: errors travel as errors, and what breaks off never leaves a stale answer behind."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from satfl_env.federated import WorkerError, Workers, packed


def start(number: int = 1) -> Workers:
    """Workers that call what they are sent."""
    caller = packed("a caller", lambda: lambda request: pickle.loads(request)())
    return Workers([caller] * number, name="test-worker", lost="all is lost")


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    started = start()
    yield started
    started.close()


def ask(workers: Workers, function: Callable[[], Any]) -> Any:
    value, failure = workers.ask({0: packed("a function", function)})[0]
    if failure:
        raise failure.error from WorkerError(failure.trace)
    return value


def raises_unpicklable() -> None:
    error = ValueError("with a lock")
    error.lock = threading.Lock()  # type: ignore[attr-defined]
    raise error


def raises_unreadable() -> None:
    class NeedsTwoError(Exception):
        def __init__(self, one: str, two: str) -> None:
            super().__init__(f"{one} and {two}")

    raise NeedsTwoError("one", "two")


def gives_unreadable() -> Any:
    class Odd:
        def __reduce__(self) -> tuple:
            return (int, ("no number",))

    return Odd()


@pytest.mark.parametrize(
    ("function", "kind", "message"),
    [
        (lambda: {}["key"], KeyError, "key"),
        (lambda: (_ for _ in ()).throw(MemoryError("full")), MemoryError, "full"),
        (lambda: (_ for _ in ()).throw(SystemExit(3)), WorkerError, "SystemExit: 3"),
        (lambda: (_ for _ in ()).throw(KeyboardInterrupt), WorkerError, "KeyboardInterrupt"),
        (raises_unpicklable, WorkerError, "ValueError: with a lock"),
        (raises_unreadable, WorkerError, "one and two"),
        (threading.Lock, TypeError, "the answer cannot be sent to another process: TypeError: .*lock"),
        (gives_unreadable, ValueError, "invalid literal"),
    ],
)
def test_every_error_in_a_worker_travels_and_the_worker_goes_on(workers, function, kind, message):
    pids = workers.pids
    with pytest.raises(kind, match=message) as caught:
        ask(workers, function)
    assert "Traceback" in str(caught.value.__cause__)
    assert ask(workers, lambda: os.getpid()) == pids[0]


def test_what_cannot_be_sent_never_is(workers):
    lock = threading.Lock()
    with pytest.raises(TypeError, match=r"a function cannot be sent to another process: .*lock"):
        ask(workers, lambda: lock)
    assert ask(workers, lambda: 5) == 5


def test_threads_take_turns(workers):
    answers: dict[int, list[int]] = {number: [] for number in range(4)}

    def talk(number: int) -> None:
        for _ in range(20):
            answers[number].append(ask(workers, lambda: number))

    threads = [threading.Thread(target=talk, args=(number,)) for number in answers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {number: [number] * 20 for number in answers}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_neither_asks_nor_ends_the_workers_of_its_parent(workers):
    child = os.fork()
    if child == 0:
        try:
            ask(workers, lambda: 5)
        except WorkerError as error:
            workers.close()
            os._exit(0 if f"belong to process {os.getppid()}" in str(error) else 1)
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert ask(workers, lambda: 6) == 6


def assert_ended(workers: Workers, why: str) -> None:
    assert not any(os.path.exists(f"/proc/{pid}") for pid in workers.pids)
    for _ in range(2):
        with pytest.raises(WorkerError, match=f"the workers have ended: {why}"):
            ask(workers, lambda: 5)
        workers.close()


def test_an_interrupt_between_question_and_answer_ends_the_workers(monkeypatch: pytest.MonkeyPatch):
    workers = start()
    ask(workers, lambda: 1)

    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(workers, "_receive", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ask(workers, lambda: 2)
    assert_ended(workers, "a request broke off: KeyboardInterrupt")


def test_an_interrupt_between_two_questions_ends_the_workers(monkeypatch: pytest.MonkeyPatch):
    workers = start(2)
    question, send = packed("a function", lambda: 1), workers._send
    workers.ask({0: question, 1: question})

    def interrupted(worker: int, request: bytes) -> None:
        if worker == 1:
            raise KeyboardInterrupt
        send(worker, request)

    monkeypatch.setattr(workers, "_send", interrupted)
    with pytest.raises(KeyboardInterrupt):
        workers.ask({0: question, 1: question})
    assert_ended(workers, "a request broke off: KeyboardInterrupt")


def test_a_death_shows_at_once_although_another_works_on_and_one_is_stopped():
    workers = start(3)
    quick = packed("a function", lambda: 1)
    workers.ask(dict.fromkeys(range(3), quick))
    os.kill(workers.pids[2], signal.SIGSTOP)
    before = time.monotonic()
    with pytest.raises(WorkerError, match=r"test-worker-1 \(pid \d+\) died with exit code 7; all is lost"):
        workers.ask(
            {
                0: packed("a function", lambda: time.sleep(60)),
                1: packed("a function", lambda: os._exit(7)),
                2: quick,
            }
        )
    assert time.monotonic() - before < 30
    assert_ended(workers, "a request broke off: .*died with exit code 7")


def test_an_error_in_the_making_is_an_answer():
    failing = Workers([packed("a maker", lambda: 1 // 0)], name="test-worker", lost="all is lost")
    with pytest.raises(ZeroDivisionError):
        ask(failing, lambda: 1)
    failing.close()
    assert_ended(failing, r"close\(\) has been called")


BUSY = """
import os, pickle, threading, time
from satfl_env.federated import Workers, packed
if __name__ == "__main__":
    workers = Workers([packed("it", lambda: lambda request: time.sleep(600))], name="test-worker", lost="all is lost")
    threading.Thread(target=workers.ask, args=({0: b""},), daemon=True).start()
    time.sleep(0.5)
    print(*workers.pids, flush=True)
    time.sleep(60)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at /proc")
def test_a_busy_worker_ends_with_a_parent_that_is_killed(tmp_path: Path):
    script = tmp_path / "busy.py"
    script.write_text(BUSY)
    parent = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    (worker,) = map(int, parent.stdout.readline().split())
    parent.kill()
    parent.wait(timeout=30)
    parent.stdout.close()
    deadline = time.monotonic() + 30
    while os.path.exists(f"/proc/{worker}") and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not os.path.exists(f"/proc/{worker}")
