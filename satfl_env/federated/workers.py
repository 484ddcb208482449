"""Worker processes, and conversations with them that never end in a stale answer."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from multiprocessing import connection, get_context, parent_process
from multiprocessing.process import BaseProcess
from typing import Any, NamedTuple

import cloudpickle

# How long a process may take to end before it is killed; one that has been stopped never would.
_PATIENCE_S = 5.0


class WorkerError(RuntimeError):
    """A worker process failed or died; what it was doing is lost."""


class Failure(NamedTuple):
    """An error in a worker, in a form that reaches any process.

    Attributes:
        text: Its type and message.
        trace: Its traceback.
        packed: The error itself, if it can be pickled.
    """

    text: str
    trace: str
    packed: bytes | None

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """The failure that an error is."""
        try:
            # What would end or interrupt a process must not do so in another one.
            packed = cloudpickle.dumps(error) if isinstance(error, Exception) else None
        except Exception:
            packed = None
        return cls(_text(error), "".join(traceback.format_exception(error)), packed)

    @property
    def error(self) -> Exception:
        """The error itself, or a `WorkerError` with its text if it cannot be read here."""
        try:
            error = None if self.packed is None else pickle.loads(self.packed)
        except Exception:
            error = None
        return error if isinstance(error, Exception) else WorkerError(self.text)


class Answer(NamedTuple):
    """What a worker answers: a value, or why there is none."""

    value: Any
    failure: Failure | None


class Workers:
    """Processes that each answer one request at a time.

    Whatever breaks a conversation off, be it an interrupt, a death or a full memory, ends all of them: an answer still
    on its way would be taken for that of the next request.

    Args:
        makers: For each process a packed function without arguments, which makes its function from a request to an
            answer. It is called by the first request, so that an error in the making is an answer as well.
        name: Name of the processes, which are numbered.
        lost: What is lost when one of them dies, to end messages with.
    """

    def __init__(self, makers: Sequence[bytes], name: str, lost: str) -> None:
        self.why_closed: str | None = None
        self._lost = lost
        self._owner = os.getpid()
        self._talking = threading.Lock()
        self._pipes: list[connection.Connection] = []
        self._processes: list[BaseProcess] = []
        context = get_context("spawn")
        try:
            for number, maker in enumerate(makers):
                ours, theirs = context.Pipe()
                self._pipes.append(ours)
                process = context.Process(target=_work, args=(theirs, maker), name=f"{name}-{number}", daemon=True)
                self._processes.append(process)
                with _start_method_open():
                    process.start()
                theirs.close()
        except BaseException:
            self.close()
            raise

    def name(self, worker: int) -> str:
        """Name of a worker's process."""
        return self._processes[worker].name

    @property
    def pids(self) -> list[int]:
        """Process ids of the workers."""
        return [process.pid or 0 for process in self._processes]

    def ask(self, requests: Mapping[int, bytes]) -> dict[int, Answer]:
        """Send some workers a request each and wait for all answers, which are in the order of the requests.

        Raises:
            WorkerError: If a worker dies, if the workers have ended before, or in a fork of their process. After any
                exception all workers have ended.
        """
        self._require_open()
        with self._talking:
            try:
                for worker, request in requests.items():
                    self._send(worker, request)
                received = self._receive(requests)
            except BaseException as error:
                self.why_closed = f"a request broke off: {_text(error)}"
                self.close()
                raise
        return {worker: _unpacked(received[worker]) for worker in requests}

    def close(self) -> None:
        """End the processes; those of another process are left alone."""
        self.why_closed = self.why_closed or "close() has been called"
        started = [process for process in self._processes if process.pid is not None]
        if os.getpid() == self._owner:
            for process in started:
                process.terminate()
            for process in started:
                process.join(_PATIENCE_S)
                process.kill()
                process.join()
        for pipe in self._pipes:
            pipe.close()

    def _require_open(self) -> None:
        if os.getpid() != self._owner:
            raise WorkerError(f"the workers belong to process {self._owner}; its forks have to start their own")
        if self.why_closed:
            raise WorkerError(f"the workers have ended: {self.why_closed}")

    def _send(self, worker: int, request: bytes) -> None:
        try:
            self._pipes[worker].send_bytes(request)
        except OSError as error:
            raise self._death(worker) from error

    def _receive(self, workers: Iterable[int]) -> dict[int, bytes]:
        """One answer from each, in the order they come: a death shows at once, whoever still works."""
        answers: dict[int, bytes] = {}
        waiting: dict[Any, int] = {self._pipes[worker]: worker for worker in workers}
        while waiting:
            for ready in connection.wait(list(waiting)):
                worker = waiting.pop(ready)
                try:
                    answers[worker] = self._pipes[worker].recv_bytes()
                except (EOFError, OSError) as error:
                    raise self._death(worker) from error
        return answers

    def _death(self, worker: int) -> WorkerError:
        process = self._processes[worker]
        process.join(_PATIENCE_S)
        return WorkerError(
            f"{process.name} (pid {process.pid}) died with exit code {process.exitcode}; {self._lost}. Exit code -9 "
            "often means that memory ran out; where a worker dies as soon as a script needs it, the script lacks "
            '`if __name__ == "__main__":`'
        )


def packed(what: str, value: object) -> bytes:
    """Something as bytes for another process.

    Raises:
        TypeError: If it cannot be pickled; `what` begins the message.
    """
    try:
        return bytes(cloudpickle.dumps(value))
    except Exception as error:
        raise TypeError(f"{what} cannot be sent to another process: {type(error).__name__}: {error}") from error


@contextmanager
def _start_method_open() -> Iterator[None]:
    """Starting a process settles the session's start method; the user may still set it afterwards."""
    settled = multiprocessing.get_start_method(allow_none=True)
    try:
        yield
    finally:
        if settled is None:
            multiprocessing.set_start_method(None, force=True)


def _work(pipe: connection.Connection, maker: bytes) -> None:
    """Answer requests in a worker until the other end is closed, at the latest until its process has ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent takes the interrupt and ends its workers
    threading.Thread(target=_end_with_parent, daemon=True).start()
    answerer = cache(lambda: pickle.loads(maker)())
    while True:
        try:
            pipe.send_bytes(_reply(answerer, pipe.recv_bytes()))
        except (EOFError, OSError):
            return


def _reply(answerer: Callable[[], Callable[[bytes], Any]], request: bytes) -> bytes:
    try:
        return packed("the answer", Answer(answerer()(request), None))
    except BaseException as error:
        return bytes(cloudpickle.dumps(Answer(None, Failure.of(error))))


def _unpacked(received: bytes) -> Answer:
    try:
        answer: Answer = pickle.loads(received)
    except Exception as error:
        return Answer(None, Failure.of(error))
    return answer


def _text(error: BaseException) -> str:
    return "".join(traceback.format_exception_only(error)).strip()


def _end_with_parent() -> None:
    """A worker in the middle of a long task does not look at its pipe."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
