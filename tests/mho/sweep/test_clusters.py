"""Dask and Ray as engines: real schedulers give the bytes of one process, and what fails is said."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from devices import InputError
from mho import cli
from mho.sweep import command
from mho.sweep.command import sweep
from mho.sweep.engines.clusters import Site
from mho.sweep.store import Store

CHECKOUT = Path(cli.__file__).parent.parent
BENCH = """
base: {kind: nladc, ramp: {device: rram_taox}, chips: 2}
axes: {bits: [2, 3], ramp.device: [rram_taox, pcm]}
seeds: 3
times_s: [0, 3600]
"""
# One start of an engine serves all: it takes seconds.
ON_ENGINE = """
    import os, random, sys
    from pathlib import Path
    from mho.sweep.engines.clusters import Site
    from mho.sweep.command import sweep
    from mho.sweep.engines.engine import WorkerDied
    from mho.sweep.progress import Meter
    from mho.sweep.run import Runner
    from mho.sweep.store import Store
    from mho.sweep.study import Study

    if __name__ == "__main__":
        with Site(sys.argv[2], 2).open() as engine:
            assert engine.workers == 2
            study = Study(sys.argv[1])
            points = list(study.points)
            random.Random(3).shuffle(points)
            with Store(Path("out")) as store:
                Runner(study, store, {}, engine, Meter(quiet=True)).run(points)
            said = []
            try:
                engine.submit(os._exit, 3).result(timeout=60)
            except WorkerDied:
                said.append("died")
            said.append(engine.submit(abs, -3).result(timeout=60))
            said.append(engine.submit(os.getenv, "OMP_NUM_THREADS").result(timeout=60))
            try:
                engine.submit(int, "no number").result(timeout=60)
            except ConnectionError as error:
                said.append(error)
        print(*said, sep=chr(10))
        print(sweep(sys.argv[1], output=Path("out")).computed)
"""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, bytes]:
    """The sweep's file and its table by one process."""
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "bench.yaml").write_text(BENCH, encoding="utf-8")
    sweep(str(folder / "bench.yaml"), output=folder / "out")
    return str(folder / "bench.yaml"), (folder / "out" / command.TABLE).read_bytes()


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(CHECKOUT), "RAY_AUTH_MODE": "token"}


@pytest.mark.parametrize("engine", ["dask", "ray"])
def test_a_real_scheduler_gives_the_same_bytes_and_tells_of_dead_workers(
    engine: str, undisturbed: tuple[str, bytes], tmp_path: Path
) -> None:
    pytest.importorskip({"dask": "distributed"}.get(engine, engine), exc_type=ImportError)
    # Spawned workers import the script again: it must be a file.
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(ON_ENGINE), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script), undisturbed[0], engine], cwd=tmp_path, env=environment(), capture_output=True,
        text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    died, answer, threads, wrong, computed = done.stdout.splitlines()
    assert (died, answer, threads, computed) == ("died", "3", "1", "0")
    assert wrong.startswith("a worker could not take a task (ValueError: invalid literal for int()")
    assert (tmp_path / "out" / command.TABLE).read_bytes() == undisturbed[1]
    with Store(tmp_path / "out") as store:
        assert [row.attempts for row in store.rows()] == [1] * 24


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A Dask scheduler of its own with two workers, as a cluster's users find one."""
    pytest.importorskip("distributed", exc_type=ImportError)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    folder = tmp_path_factory.mktemp("cluster")
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder, "env": environment()}
    dask = [sys.executable, "-m", "dask"]
    head = subprocess.Popen(
        [*dask, "scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"], **quiet  # type: ignore[call-overload]
    )  # fmt: skip
    workers = subprocess.Popen(
        [*dask, "worker", address, "--nworkers", "2", "--nthreads", "1", "--no-dashboard", "--death-timeout", "60"],
        start_new_session=True, **quiet,  # type: ignore[call-overload]
    )  # fmt: skip
    until = time.monotonic() + 60.0
    while time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1.0):
            break
        time.sleep(0.1)
    yield address, head
    head.kill()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(workers.pid, signal.SIGKILL)
    head.wait()
    workers.wait()


def mho(*arguments: object, cwd: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "mho", "sweep", *map(str, arguments)], cwd=cwd, env=environment(), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def test_a_cluster_by_address_gives_the_same_bytes_and_its_end_is_said(
    scheduler: tuple[str, subprocess.Popen[bytes]], undisturbed: tuple[str, bytes], tmp_path: Path
) -> None:
    address, head = scheduler
    running = mho(undisturbed[0], "-o", "out", "--engine", "dask", "--address", address, cwd=tmp_path)
    out, err = running.communicate(timeout=120)
    assert (running.returncode, out.splitlines()[0]) == (0, "24 of 24 points done, 0 failed, 24 computed now"), err
    assert (tmp_path / "out" / command.TABLE).read_bytes() == undisturbed[1]

    long = tmp_path / "long.yaml"
    long.write_text(BENCH.replace("seeds: 3", "seeds: 2000"), encoding="utf-8")
    running = mho(long, "-o", "long", "--engine", "dask", "--address", address, "--quiet", cwd=tmp_path)
    while running.poll() is None and not _some(tmp_path / "long"):
        time.sleep(0.05)
    head.kill()
    out, err = running.communicate(timeout=120)
    assert (running.returncode, out) == (1, "")
    gone = f"mho: the Dask scheduler at {address} is gone; all points finished so far are kept, and the sweep resumes"
    assert gone in err.splitlines()
    with Store(tmp_path / "long", create=False) as store:
        assert {row.state for row in store.rows()} == {"done"}


def _some(folder: Path) -> bool:
    if not (folder / "sweep.sqlite").is_file():
        return False
    with Store(folder, create=False) as store:
        return bool(store.statuses()[1])


def test_other_code_on_a_worker_ends_the_sweep_with_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mho.sweep import provenance, work

    monkeypatch.setattr(provenance, "code", lambda: ("what the worker holds", {}))
    task = work.PointBatch("nladc", ({},), (None,), None, tmp_path, "what the sweep asks for")
    with pytest.raises(OSError, match="has other code of mho or other versions of packages than the sweep"):
        work.perform(task)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "spark"}, "--engine: must be one of local, dask, ray (got spark)"),
        ({"workers": 0}, "-j: must be a whole number from 1 to 256 (got 0)"),
        ({"address": "tcp://a:1"}, "--address: belongs to --engine dask or ray (got tcp://a:1 with --engine local)"),
        (
            {"kind": "dask", "address": "tcp://a:1", "workers": 2},
            "-j: counts workers started here; at --address the cluster decides how many (got 2)",
        ),
        (
            {"kind": "dask", "address": "nowhere"},
            "--address: must be host:port or tcp://host:port or tls://host:port for Dask (got nowhere)",
        ),
        (
            {"kind": "ray", "address": "tcp://a:1"},
            "--address: must be host:port or ray://host:port for Ray (got tcp://a:1)",
        ),
    ],
)
def test_bad_sites_are_one_message(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        Site(**options).open()  # type: ignore[arg-type]


@pytest.mark.parametrize("engine", ["dask", "ray"])
def test_a_scheduler_that_does_not_answer_is_said_and_leaves_nothing(
    engine: str, undisturbed: tuple[str, bytes], tmp_path: Path
) -> None:
    with socket.socket() as taken:  # bound and not listening: nothing can answer there
        taken.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(InputError, match=f"^--address {place}: nothing answers there \\(.*refused\\)$"):
            sweep(undisturbed[0], output=tmp_path / "out", site=Site(engine, address=place))  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("engine", "sign"), [("dask", signal.SIGINT), ("ray", signal.SIGTERM)])
def test_a_stop_from_the_terminal_or_a_queue_is_one_sentence_and_ends_the_workers(
    engine: str, sign: signal.Signals, tmp_path: Path
) -> None:
    pytest.importorskip({"dask": "distributed"}.get(engine, engine), exc_type=ImportError)
    long = tmp_path / "long.yaml"
    long.write_text(BENCH.replace("seeds: 3", "seeds: 2000"), encoding="utf-8")
    running = subprocess.Popen(
        [sys.executable, "-m", "mho", "sweep", str(long), "-o", "long", "--engine", engine, "-j", "2", "--quiet"],
        cwd=tmp_path, env=environment(), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    while running.poll() is None and not _some(tmp_path / "long"):
        time.sleep(0.05)
    # A terminal sends Ctrl-C to all processes of the command, a queue SIGTERM to its first one.
    (os.killpg if sign == signal.SIGINT else os.kill)(running.pid, sign)
    out, err = running.communicate(timeout=120)
    assert (running.returncode, out) == (128 + sign, "")
    assert err == "mho: stopped; all that is finished is kept, and the same command goes on from there\n"
