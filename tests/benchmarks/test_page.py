"""The page of the benchmarks: each row once, what misses its promise first, figures small."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def docs() -> ModuleType:
    """``docs/benchmarks.py``."""
    pytest.importorskip("mkdocs", reason="the extra 'docs' is not installed")
    spec = importlib.util.spec_from_file_location("page_of_benchmarks", ROOT / "docs" / "benchmarks.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def row(name: str, reference: str, ratio: float, target: float | None, **more: Any) -> dict[str, Any]:
    """One measurement of a second."""
    return {
        "name": name, "seconds": ratio, "reference": reference, "reference_seconds": 1.0, "ratio": ratio,
        "target_ratio": target, **more,
    }  # fmt: skip


def test_what_misses_time_or_memory_comes_first_and_the_farthest_before_the_rest(docs: ModuleType) -> None:
    runs = {
        "CPU": [
            row("LSTM one", "nn.LSTM", 2.0, 3.0, peak_MB=500.0),
            row("LSTM two", "nn.LSTM", 4.5, 3.0, peak_MB=500.0),
            row("liquid", "snnTorch", 0.2, 0.3, peak_MB=1200.0, most_MB=1000.0),
        ],
        "GPU": [row("LSTM three", "cuDNN", 9.0, 3.0, machine={"card": "a card"}), row("LSTM four", "cuDNN", 9.0, None)],
    }
    page = docs.page(runs)
    short = page.split("## What falls short")[1].split("\n## ")[0]
    assert "3 of 4 rows" in short
    assert [line.split(",")[0][2:] for line in short.splitlines() if "*beside" in line] == [
        "LSTM three",
        "LSTM two",
        "liquid",
    ]
    assert "200%" in short
    assert "No rows beside aihwkit, SciPy, GraphBLAS" in short
    assert "1200 MB (at most 1000)" in page
    assert "| GPU | `python -m benchmarks.gpu_recurrent` | a card | not recorded |" in page


def test_a_miss_reads_as_a_miss_however_close(docs: ModuleType) -> None:
    assert docs.figures(row("liquid", "snnTorch", 0.3344, 1 / 3)) == ("0.334", "0.333")
    assert docs.figures(row("liquid", "snnTorch", 0.33341, 1 / 3)) == ("0.3334", "0.3333")
    assert docs.figures(row("liquid", "snnTorch", 2.0, 3.0)) == ("2.00", "3")
    assert docs.figures(row("liquid", "snnTorch", 2.0, None)) == ("2.00", "none")
    assert "| **0.334** | 0.333 | 0.32% |" in docs.page({"CPU": [row("liquid", "snnTorch", 0.3344, 1 / 3)]})


def test_every_row_of_the_results_is_shown_once(docs: ModuleType) -> None:
    runs = {name: docs.read(ROOT / "benchmarks" / file) for name, (file, _) in docs.RUNS.items()}
    shown = [one["name"] for _, kinds in docs.GROUPS.values() for _, _, rows in docs.parts(runs, kinds) for one in rows]
    assert sorted(shown) == sorted(one["name"] for rows in runs.values() for one in rows)
    for _, kinds in docs.GROUPS.values():
        for _, _, rows in docs.parts(runs, kinds):
            assert len(docs.bars(rows)) < 60_000


@pytest.mark.parametrize(
    ("reference", "kind"),
    [
        ("aihwkit 1.1.0 torch tile", "aihwkit"),
        ("snnTorch", "snnTorch"),
        ("graphblas, 2 threads", "GraphBLAS"),
        ("scipy, 1 threads", "SciPy"),
        ("sparse LU (SuperLU) of one chip after the other", "SciPy"),
        ("64 runs of one chip", "Together or one by one"),
        ("import torch", "Start of a process"),
        ("two plain draws of so many normal numbers", "Arrays and cells"),
    ],
)
def test_a_row_is_known_by_what_stands_beside_it(docs: ModuleType, reference: str, kind: str) -> None:
    assert docs.kind_of(row("reading cells", reference, 1.0, 1.0)).head == kind


def test_without_files_the_page_says_so(docs: ModuleType, tmp_path: Path) -> None:
    assert docs.read(tmp_path / "results.json") == []
    (tmp_path / "results.json").write_text(json.dumps([row("a", "torch", 1.0, 2.0)]))
    assert docs.read(tmp_path / "results.json")[0]["ratio"] == 1.0
    assert "All 0 rows keep their target." in docs.page({"CPU": [], "GPU": []})
