"""Dask and Ray as engines of a sweep: started on this machine, or reached by the address of a running scheduler.

A cluster that somebody else started is used as it is found: its workers come and go, and it is left running. Every
worker runs one task at a time and must hold the very code of the sweep, which each task checks.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from typing import Any, Literal, get_args

from configs.errors import InputError
from mho.sweep.engines.cards import VISIBLE, Compute, cards_of, compute_of
from mho.sweep.engines.engine import PINNED, Closing, Engine, Here, Local, WorkerDied, translated, uninterrupted

Kind = Literal["local", "dask", "ray"]
KINDS: tuple[Kind, ...] = get_args(Kind)
_MOST_WORKERS = 256
_PATIENCE_S = 10.0
_STORE_BYTES = 100_000_000  # of Ray's object store; a task is a few kilobytes, and 75 MB is the least that Ray takes
_KEPT = "all points finished so far are kept, and the sweep resumes"


@dataclass(frozen=True)
class Site:
    """Where a sweep computes: which engine, with how many workers started for it, or at which address, on which device.

    ``workers``: None starts one, or with graphics cards one for each. ``device``: ``cpu``, ``cuda`` (all cards that are
    visible), or cards by number, as in ``cuda:0,cuda:1``.
    """

    kind: Kind = "local"
    workers: int | None = None
    address: str | None = None
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"--engine: must be one of {', '.join(KINDS)} (got {self.kind})")
        compute_of(self.device)
        if self.workers is not None and not 1 <= self.workers <= _MOST_WORKERS:
            raise InputError(f"-j: must be a whole number from 1 to {_MOST_WORKERS} (got {self.workers})")
        if self.address is not None and self.kind == "local":
            raise InputError(f"--address: belongs to --engine dask or ray (got {self.address} with --engine local)")
        if self.address is not None and self.workers not in (None, 1):
            raise InputError(
                f"-j: counts workers started here; at --address the cluster decides how many (got {self.workers})"
            )

        if self.address is not None and self.device not in ("cpu", "cuda"):
            raise InputError(
                f"--device: at --address the cluster decides which cards workers have; take cuda (got {self.device})"
            )

    @property
    def compute(self) -> Compute:
        """Kind of the device that points are computed on."""
        return compute_of(self.device)

    def open(self) -> Engine:
        """The engine, its workers started or its scheduler reached. Raises InputError where it cannot be."""
        cards = self._cards()
        workers = self.workers or max(1, len(cards))
        if self.kind == "dask":
            return Dask(workers, self.address)
        if self.kind == "ray":
            return Ray(workers, self.address, cards, gpus=int(self.compute == "cuda"))
        return Here() if workers == 1 and not cards else Local(workers, cards)

    def _cards(self) -> tuple[str, ...]:
        """The card of each worker started here. Raises InputError where there are fewer than workers."""
        if self.compute == "cpu" or self.address is not None:
            return ()
        if self.kind == "dask":
            raise InputError(
                "--device cuda: with --engine dask, by --address of a cluster whose workers see one card each "
                "(CUDA_VISIBLE_DEVICES=0 dask worker ... --nthreads 1); on this machine take --engine local"
            )
        cards = cards_of(self.device)
        if self.workers is not None and self.workers > len(cards):
            raise InputError(
                f"-j: one worker computes on each card, and --device {self.device} names {len(cards)} "
                f"(got {self.workers})"
            )
        return cards[: self.workers]


HERE = Site()


class Dask(Closing):
    """Workers of a Dask scheduler, one thread each."""

    def __init__(self, workers: int, address: str | None) -> None:
        try:
            import dask
            import distributed
        except ImportError as error:
            raise InputError("--engine dask: needs distributed: pip install 'mho[dask]'") from error
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        self._died = distributed.scheduler.KilledWorker
        self._closed = distributed.client.ClosedClientError
        self._site = address or "this machine"
        self._cluster: Any = None
        if address is not None:
            _knock(address, "Dask", "tcp", "tls")
        else:
            # One try a task: the sweep itself finds out at which point a worker died.
            dask.config.set({"distributed.scheduler.allowed-failures": 0})
            with uninterrupted():
                self._cluster = distributed.LocalCluster(
                    n_workers=workers,
                    threads_per_worker=1,
                    processes=True,
                    host="127.0.0.1",
                    dashboard_address=None,
                    memory_limit=0,
                    env=PINNED,
                    silence_logs=logging.CRITICAL,
                )
        try:
            self._client = distributed.Client(self._cluster or address, timeout=_PATIENCE_S, set_as_default=False)
        except (OSError, ValueError) as error:
            raise InputError(f"--address {address}: no Dask scheduler answers there ({_first_line(error)})") from None
        self._executor = self._client.get_executor(pure=False, retries=0)
        if address is not None:
            self._refuse_threads(address)

    def _refuse_threads(self, address: str) -> None:
        """Raise InputError for workers that would run several tasks side by side."""
        problems = [
            f"--address {address}: worker {name} must have 1 thread (got {about['nthreads']}): "
            f"dask worker {address} --nworkers N --nthreads 1"
            for name, about in self._about_workers().items()
            if about["nthreads"] != 1
        ]
        if problems:
            self.close()
            raise InputError(problems)

    def _about_workers(self) -> dict[str, Any]:
        """What the scheduler says of each; none where it has gone, which the next task finds out."""
        workers: dict[str, Any] = self._client.scheduler_info(n_workers=-1).get("workers", {})
        return workers

    @property
    def workers(self) -> int:
        """How many workers the scheduler has now."""
        return len(self._about_workers())

    def submit(self, function: Callable[[Any], Any], task: Any) -> Future[Any]:
        """Queue the task with the scheduler."""
        try:
            return translated(self._executor.submit(function, task), self._meant)
        except self._closed as error:
            raise self._meant(error) from error

    def _meant(self, error: BaseException) -> BaseException:
        if isinstance(error, self._died):
            return WorkerDied()
        if isinstance(error, (CancelledError, self._closed)):
            return ConnectionError(f"the Dask scheduler at {self._site} is gone; {_KEPT}")
        return _fatal(error)

    def close(self) -> None:
        """End the workers started here; at another's scheduler, take back what is still queued."""
        self._client.close(timeout=_PATIENCE_S)
        if self._cluster is not None:
            with suppress(TimeoutError):  # on a busy machine; its processes end with this one
                self._cluster.close(timeout=_PATIENCE_S)


class Ray(Closing):
    """Worker processes of a Ray cluster, one CPU a task, and with ``gpus`` so many graphics cards as well."""

    def __init__(self, workers: int, address: str | None, cards: Sequence[str] = (), *, gpus: int = 0) -> None:
        if cards:  # those that Ray may give to its workers
            os.environ[VISIBLE] = ",".join(cards)
        self._counted = "GPU" if gpus else "CPU"
        # Ray warns otherwise that it will some day treat a task without GPUs differently.
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            import ray
        except ImportError as error:
            raise InputError("--engine ray: needs ray: pip install 'mho[ray]'") from error
        self._ray: Any = ray
        if address is not None and address != "auto":
            _knock(address, "Ray", "ray")
        quiet = {"include_dashboard": False, "object_store_memory": _STORE_BYTES, "num_cpus": workers}
        quiet["num_gpus"] = len(cards)
        terminated = signal.getsignal(signal.SIGTERM)
        try:
            self._ray.init(
                address=address or "local",
                log_to_driver=False,
                logging_level=logging.CRITICAL,
                runtime_env={"env_vars": PINNED},
                **({} if address else quiet),
            )
        except (OSError, ValueError, RuntimeError) as error:
            raise InputError(
                f"--address {address}: no Ray cluster lets us in ({_first_line(error)}); one that wants a token needs "
                "RAY_AUTH_MODE=token in the environment"
            ) from None
        if threading.current_thread() is threading.main_thread():
            # Ray installs another handler there, which ends the process with a dump of its stack.
            signal.signal(signal.SIGTERM, terminated)
        # Ray reports on its processes on standard output, which is for results.
        self._aside = redirect_stdout(sys.stderr)
        self._aside.__enter__()
        self._run = self._ray.remote(num_cpus=1, num_gpus=gpus, max_retries=0)(_called)

    @property
    def workers(self) -> int:
        """How many tasks the cluster's CPUs, or its cards, take now."""
        return int(self._ray.cluster_resources().get(self._counted, 0))

    def submit(self, function: Callable[[Any], Any], task: Any) -> Future[Any]:
        """Queue the task with the cluster."""
        return translated(self._run.remote(function, task).future(), self._meant)

    def _meant(self, error: BaseException) -> BaseException:
        errors = self._ray.exceptions
        deaths = (errors.WorkerCrashedError, errors.OutOfMemoryError, errors.NodeDiedError, errors.OwnerDiedError)
        if isinstance(error, deaths):
            return WorkerDied()
        return _fatal(error.cause if isinstance(error, errors.RayTaskError) else error)

    def close(self) -> None:
        """End the workers started here; leave another's cluster running."""
        self._ray.shutdown()
        self._aside.__exit__(None, None, None)


def _knock(address: str, engine: str, *schemes: str) -> None:
    """Raise InputError where nothing listens: the engines themselves would try for minutes, or end in a traceback."""
    scheme, found, rest = address.rpartition("://")
    host, _, port = rest.rpartition(":")
    if (found and scheme not in schemes) or not host or not port.isdigit():
        forms = " or ".join(("host:port", *(f"{each}://host:port" for each in schemes)))
        raise InputError(f"--address: must be {forms} for {engine} (got {address})")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_PATIENCE_S).close()
    except (OSError, OverflowError) as error:
        raise InputError(f"--address {address}: nothing answers there ({_first_line(error)})") from None


def _called(function: Callable[[Any], Any], task: Any) -> Any:
    return function(task)


def _fatal(error: BaseException) -> BaseException:
    """What no single point is to blame for ends the sweep with a sentence."""
    if isinstance(error, OSError):
        return error
    return ConnectionError(f"a worker could not take a task ({type(error).__name__}: {_first_line(error)}); {_KEPT}")


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
