"""Times a piece of work beside its reference, in turns and in one process, and writes ``benchmarks/results.json``.

A time moves from machine to machine; the ratio to a digital reference measured in the same run says more. Seconds are
medians of rounds, on one thread: threads that wait for each other on a busy machine measure the machine. ``peak_MB`` is
the largest resident memory while the work ran, the interpreter included.

    pytest benchmarks --benchmark-only          (or: make bench)

Only a run of all files writes ``results.json``. ``docs/benchmarks.py`` makes a page of it.
"""

from __future__ import annotations

import gc
import json
import os
import platform
import resource
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import date
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

RESULTS = Path(__file__).parent / "results.json"
ROUNDS = 7
PEERS = {
    "aihwkit": "aihwkit",
    "numba": "numba",
    "numpy": "numpy",
    "python-graphblas": "graphblas",
    "scipy": "scipy",
    "snntorch": "snntorch",
}
"""Packages beside torch whose version a time depends on, and their modules; those that are not there are left out."""
Work = Callable[[], object]


def pytest_configure(config: pytest.Config) -> None:
    """Find ``bench_*.py``, on one thread; ``--benchmark-only`` outweighs the ``--benchmark-disable`` of the project's
    settings."""
    config.addinivalue_line("python_files", "bench_*.py")
    torch.set_num_threads(1)
    if config.option.benchmark_only:
        config.option.benchmark_enable = True


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Nothing is timed unless asked for."""
    if not config.option.benchmark_only:
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.skip(reason="timed with --benchmark-only"))


def machine() -> dict[str, object]:
    """What the times depend on."""
    names = [
        line.split(":", 1)[1].strip()
        for line in (Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else [])
        if line.startswith("model name")
    ]
    return {
        "cpu": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "load": round(os.getloadavg()[0], 2),
        "date": date.today().isoformat(),
        "versions": {name: version(name) for name in PEERS if find_spec(PEERS[name])},
    }


def peak_MB(work: Work) -> float:
    """Largest resident memory while ``work`` ran; where the kernel cannot forget the mark, that of the process."""
    marks = Path("/proc/self/clear_refs")
    try:
        marks.write_text("5")
        work()
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024
    except OSError:
        work()
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class SideBySide:
    """One measurement: call it with the work and its reference."""

    def __init__(self, benchmark: BenchmarkFixture, results: list[dict[str, Any]]) -> None:
        self.benchmark = benchmark
        self.results = results

    def __call__(
        self,
        name: str,
        work: Work,
        reference_name: str,
        reference: Work,
        *,
        target_ratio: float,
        most_MB: float | None = None,
    ) -> dict[str, Any]:
        """Time both in turns, so that a busy moment of the machine weighs on both; ``most_MB``: promised peak."""
        peak = peak_MB(work)
        reference()
        beside: list[float] = []

        def between() -> None:
            gc.collect()
            start = time.perf_counter()
            reference()
            beside.append(time.perf_counter() - start)

        self.benchmark.pedantic(work, setup=between, rounds=ROUNDS)  # type: ignore[no-untyped-call]
        assert self.benchmark.stats is not None
        median, reference_median = statistics.median(self.benchmark.stats.stats.data), statistics.median(beside)
        row = {
            "name": name,
            "seconds": median,
            "reference": reference_name,
            "reference_seconds": reference_median,
            "ratio": median / reference_median,
            "target_ratio": target_ratio,
            "peak_MB": round(peak, 1),
            "most_MB": most_MB,
            "machine": machine(),
        }
        self.benchmark.extra_info.update(row)
        self.results.append(row)
        return row


@pytest.fixture
def side_by_side(benchmark: BenchmarkFixture, results: list[dict[str, Any]]) -> SideBySide:
    """Measure a piece of work beside its reference."""
    return SideBySide(benchmark, results)


@pytest.fixture(scope="session")
def results(request: pytest.FixtureRequest) -> Iterator[list[dict[str, Any]]]:
    """All rows of the session; written at its end, whole, and not where some files run alone or ``-k`` picks a few."""
    rows: list[dict[str, Any]] = []
    yield rows
    for row in rows:
        mark = "beyond the target" if row["ratio"] > row["target_ratio"] else ""
        print(f"{row['ratio']:8.3f} (at most {row['target_ratio']:.3g}) {row['name']}; {row['reference']} {mark}")
    every = {item.path for item in request.session.items} >= set(Path(__file__).parent.glob("bench_*.py"))
    if rows and every and not request.config.option.keyword:
        part = RESULTS.with_suffix(".json.part")
        part.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
        part.replace(RESULTS)
