"""Where tasks run: in this process, in worker processes of this machine (loky), or on a Dask or Ray cluster.

Every engine takes the same tasks and gives the same futures, so that nothing else of a sweep depends on the engine.
"""

from __future__ import annotations

import gc
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from multiprocessing import resource_tracker
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from joblib.externals.loky import BrokenProcessPool, ProcessPoolExecutor
from typing_extensions import Self

from mho.sweep.engines.cards import take_card

#: One thread a task: points side by side, so that a second worker does not wait for the first one's threads, and the
#: same bits whatever the number of workers.
PINNED = dict.fromkeys(
    (
        *("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"),
        *("VECLIB_MAXIMUM_THREADS", "NUMBA_NUM_THREADS"),
    ),
    "1",
)
_LOOK_S = 0.5


class WorkerDied(Exception):
    """A worker ended without an answer: killed, out of memory, or crashed in compiled code."""


class Engine(Protocol):
    """Takes tasks and gives futures. ``workers`` is how many compute at this moment; on a cluster it may change."""

    @property
    def workers(self) -> int:
        """How many tasks run at once."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def submit(self, function: Callable[[Any], Any], task: Any) -> Future[Any]:
        """Start a task, or queue it. The future ends with WorkerDied where the worker did."""

    def close(self) -> None:
        """End the workers, whatever they are doing."""


class Closing:
    """An engine that ends its workers where its block ends."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the workers, whatever they are doing."""


class Here(Closing):
    """Tasks one after another in this process."""

    workers = 1

    def submit(self, function: Callable[[Any], Any], task: Any) -> Future[Any]:
        """Run the task now."""
        future: Future[Any] = Future()
        try:
            future.set_result(function(task))
        except Exception as error:
            future.set_exception(error)
        return future


class Local(Closing):
    """Worker processes of this machine. One that dies takes the others' tasks with it: all are started afresh.

    ``cards``: graphics cards, one for each worker.
    """

    def __init__(self, workers: int, cards: Sequence[str] = ()) -> None:
        self.workers, self.cards = workers, tuple(cards)
        self._pool: Any = None
        self._locks: tempfile.TemporaryDirectory[str] | None = None

    def submit(self, function: Callable[[Any], Any], task: Any) -> Future[Any]:
        """Queue the task; workers are started with the first one, and again after a death."""
        for _ in range(2):
            if self._pool is None:
                self._locks = tempfile.TemporaryDirectory(prefix="mho-cards-")
                about = (os.getpid(), self.cards, self._locks.name)
                self._pool = ProcessPoolExecutor(self.workers, env=PINNED, initializer=_begin, initargs=about)
            try:
                with uninterrupted():
                    return translated(self._pool.submit(function, task), _broken)
            except BrokenProcessPool:
                self.close()
        raise ConnectionError("worker processes die as soon as they are started; all points finished so far are kept")

    def close(self) -> None:
        """Kill the workers: what they had not handed over is computed again by the next run."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=True, kill_workers=True)
        if self._locks is not None:
            self._locks.cleanup()


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Processes started here do not receive Ctrl-C, which the terminal sends to all: the sweep ends them itself.

    They inherit the mask of this thread; a Ctrl-C that comes meanwhile reaches the sweep when the mask is lifted.
    """
    resource_tracker.ensure_running()  # where the first process starts it, some Pythons lift the mask
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def translated(inner: Any, means: Callable[[BaseException], BaseException]) -> Future[Any]:
    """The future of an engine with its exceptions as those of a sweep."""
    outer: Future[Any] = Future()

    def hand_over(done: Any) -> None:
        error = CancelledError() if done.cancelled() else done.exception()
        if error is not None:
            outer.set_exception(means(error))
        else:
            outer.set_result(done.result())

    inner.add_done_callback(hand_over)
    return outer


def _broken(error: BaseException) -> BaseException:
    return WorkerDied() if isinstance(error, (BrokenProcessPool, CancelledError)) else error


def _begin(parent: int, cards: tuple[str, ...], locks: str) -> None:
    """Let a worker take its card, if there are any, and end when its sweep was killed, and only then: nobody would take
    its answers.

    loky collects garbage about once a second; what was imported is no garbage, and to look at it takes a quarter of
    that second.
    """
    gc.freeze()
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK_S)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    if cards:
        take_card(cards, Path(locks))
