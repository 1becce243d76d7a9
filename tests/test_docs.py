"""The code in the documents runs as printed, files that they name exist, and the figure of the code is up to date."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

import mho
from periphery import ADCS
from workloads import WORKLOADS

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", *DOCS.rglob("*.md")])
PLACEHOLDERS = {"configs/devices/relaxing.yaml"}
"""Paths that stand for a file of the reader's."""
REGISTRIES: tuple[dict[str, Any], ...] = (mho.DEVICES, ADCS, WORKLOADS)


@pytest.fixture
def registries() -> Iterator[None]:
    before = [dict(registry) for registry in REGISTRIES]
    yield
    for registry, entries in zip(REGISTRIES, before, strict=True):
        registry.clear()
        registry.update(entries)


def examples() -> list[tuple[str, str, str]]:
    """Head, Python and YAML of each section of the page that has both."""
    found = []
    for section in (DOCS / "extending.md").read_text(encoding="utf-8").split("\n## ")[1:]:
        blocks = dict(re.findall(r"```(python|yaml)\n(.*?)```", section, flags=re.S))
        found.append((section.split("\n")[0], blocks["python"], blocks["yaml"]))
    return found


@pytest.mark.parametrize(("head", "code", "yaml"), examples(), ids=[head for head, _, _ in examples()])
def test_a_worked_example_runs(head: str, code: str, yaml: str, registries: None, tmp_path: Path) -> None:
    if "kws_tiny" in yaml:
        pytest.importorskip("espeakng_loader", reason="without it there are no words to recognise")
    module = type(sys)("example")
    sys.modules["example"] = module
    try:
        exec(compile(code, head, "exec", dont_inherit=True), module.__dict__)
        (tmp_path / "mine.yaml").write_text(yaml, encoding="utf-8")
        found = mho.run(tmp_path / "mine.yaml", output=tmp_path / "run")
    finally:
        del sys.modules["example"]
    assert len(found["variants"]) >= 1
    assert all(variant["cost"]["energy_J"] > 0.0 for variant in found["variants"])
    assert (tmp_path / "run" / "report.html").stat().st_size > 10_000


@pytest.mark.parametrize("page", ["README.md", "docs/arrays.md", "docs/layers.md", "docs/network.md"])
def test_the_python_of_a_page_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    if "mho.run(" in text:
        pytest.importorskip("espeakng_loader", reason="without it there are no words to recognise")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.S)
    assert blocks
    for block in blocks:  # as printed, but for the size of the experiment
        exec(compile(block.replace('run("kws"', 'run("kws_tiny"'), page, "exec", dont_inherit=True), names)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_a_page_names_exist(page: Path) -> None:
    named = re.findall(r"`([\w.-]+/[\w./-]+\.(?:py|yaml|md|svg))`", page.read_text(encoding="utf-8"))
    missing = {path for path in named if not any((at / path).exists() for at in (ROOT, page.parent))}
    assert missing <= PLACEHOLDERS, f"{page.name} names {sorted(missing - PLACEHOLDERS)}"


def test_the_table_of_public_reports_names_tests_that_exist() -> None:
    """Each row: one report, linked by its own number; what mho does; a test."""
    text = (DOCS / "public_reports.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if line[:3] == "| ["]
    assert len(rows) >= 45
    assert len({report for report, *_ in rows}) == len(rows)
    answers = Counter(answer.partition(":")[0] for _, _, answer, _ in rows)
    counted = ", ".join(f"{answers[kind]} {kind}" for kind in ("refused", "not supported"))
    assert f"{len(rows)} reports" in text
    assert f"{answers['right']} are right, {counted}." in text
    assert set(answers) == {"right", "refused", "not supported"}
    for report, kind, _, test in rows:
        link = re.fullmatch(r"\[([\w.-]+/[\w.-]+)#(\d+)\]\(https://github\.com/\1/(issues|pull)/\2\)", report)
        assert link, report
        assert kind, report
        file, _, name = test.strip("`").partition("::")
        assert f"\ndef {name}(" in (ROOT / file).read_text(encoding="utf-8"), test


@pytest.mark.parametrize("experiment", ["kws_tiny", "nmnist_tiny", "spgemm_tiny"])
def test_every_table_of_a_run_is_named(experiment: str, tmp_path: Path) -> None:
    if experiment == "kws_tiny":
        pytest.importorskip("espeakng_loader", reason="without it there are no words to recognise")
    mho.run(experiment, output=tmp_path / "run")
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    named = set(re.findall(r"`([\w*]+\.csv)`", text))
    tables = {path.name for path in (tmp_path / "run").glob("*.csv")}
    unnamed = {name for name in tables if not any(fnmatch(name, pattern) for pattern in named)}
    assert tables
    assert not unnamed, f"no page in docs names {sorted(unnamed)}"


def test_three_kinds_of_extension_are_shown() -> None:
    assert [head for head, _, _ in examples()] == ["A device", "A converter", "A workload"]
    python = examples()[-1][1]
    assert len(python.splitlines()) <= 150, "a workload is about 150 lines"


def test_the_figure_of_the_architecture_is_drawn_from_the_code() -> None:
    run = "import runpy; print(runpy.run_path('architecture.py')['svg'](), end='')"
    drawn = subprocess.run([sys.executable, "-c", run], cwd=DOCS, capture_output=True, text=True, check=True).stdout
    assert drawn == (DOCS / "architecture.svg").read_text(encoding="utf-8"), "run python docs/architecture.py"


def test_the_figure_of_the_readme_is_drawn_by_the_code(tmp_path: Path) -> None:
    run = "import runpy, sys; print(runpy.run_path(sys.argv[1])['svg'](chips=2), end='')"
    command = [sys.executable, "-c", run, str(DOCS / "overview.py")]
    where = {**os.environ, "PYTHONPATH": str(ROOT)}
    drawn = subprocess.run(command, cwd=tmp_path, env=where, capture_output=True, text=True, check=True).stdout
    stored = (DOCS / "overview.svg").read_text(encoding="utf-8")
    assert len(stored) < 200_000
    texts = [re.findall(r"<text [^>]*>([^<]*)</text>", figure) for figure in (drawn, stored)]
    heads = [[text for text in found if not re.search(r"\d", text)] for found in texts]
    assert heads[0] == heads[1], "run python docs/overview.py"
    assert 'fill="white"' in stored, "read on dark pages as well"


def test_the_example_of_the_readme_is_short() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.S)
    assert len([line for line in code.splitlines() if line]) <= 8
