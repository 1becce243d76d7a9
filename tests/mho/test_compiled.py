"""Compiled kernels are kept by the sources they were made from: an update in place never loads those of before."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from mho.compiled import KEPT_S, PREFIX, VARIABLE, digest_of, use_kernels_of
from mho.packages import PACKAGES, ROOT

KERNEL = """
    from numba import njit
    from records import FACTOR, Pulses

    @njit(cache=True)
    def kernel(one):
        return FACTOR * one.count

    print(kernel(Pulses(3)))
"""
RECORDS = """
    from typing import NamedTuple

    FACTOR = {factor}

    class {record}(NamedTuple):
        count: int

    Pulses = {record}
"""


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(VARIABLE, "")  # as if it were not set, and set back afterwards even if it was not
    folder = tmp_path / "sources"
    (folder / "below").mkdir(parents=True)
    (folder / "below" / "a.py").write_text("A = 1\n", encoding="utf-8")
    return folder


def chosen(sources: Path, beside: Path) -> Path:
    use_kernels_of([sources], beside)
    return Path(os.environ[VARIABLE])


def test_kernels_after_a_change_of_a_record_and_a_constant_in_another_file(sources: Path, tmp_path: Path) -> None:
    start = "import sys; from pathlib import Path; from mho.compiled import use_kernels_of as use\n"
    start += f"use([Path({str(sources)!r})], Path({str(tmp_path / 'kernels')!r})); import kernels"
    (sources / "kernels.py").write_text(textwrap.dedent(KERNEL), encoding="utf-8")
    printed = []
    for factor, record in ((2, "Counter"), (5, "PulseCounter")):
        text = textwrap.dedent(RECORDS).format(factor=factor, record=record)
        (sources / "records.py").write_text(text, encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-c", start],
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(sources)])},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        printed.append(int(done.stdout))
    assert printed == [6, 15]
    assert len(list((tmp_path / "kernels").glob(f"{PREFIX}*/*/*.nbi"))) == 2


def test_the_folder_follows_the_sources_and_nothing_else(sources: Path, tmp_path: Path) -> None:
    first = chosen(sources, tmp_path / "kernels")
    assert first.parent == tmp_path / "kernels"
    (sources / "__pycache__").mkdir()
    (sources / "__pycache__" / "b.py").write_text("")
    (sources / "note.txt").write_text("")
    assert chosen(sources, tmp_path / "kernels") == first
    (sources / "below" / "a.py").write_text("A = 12\n", encoding="utf-8")
    assert chosen(sources, tmp_path / "kernels") != first
    assert digest_of([sources]) != digest_of([sources, sources / "below"])


def test_a_folder_that_the_user_chose(sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "mine"))
    first = chosen(sources, tmp_path / "kernels")
    assert first.parent == tmp_path / "mine"
    assert chosen(sources, tmp_path / "kernels") == first, "a process that this one starts takes the same"


def test_kernels_of_sources_that_are_gone_are_removed_after_a_week(sources: Path, tmp_path: Path) -> None:
    old, recent = (tmp_path / "kernels" / f"{PREFIX}{name}" for name in ("old", "recent"))
    for folder in (old, recent):
        folder.mkdir(parents=True)
    before = recent.stat().st_mtime - KEPT_S - 60.0
    os.utime(old, (before, before))
    chosen(sources, tmp_path / "kernels")
    assert not old.exists()
    assert recent.exists()


def test_kernels_of_mho_are_kept_by_its_sources() -> None:
    """In a process of its own: this one may have been given another folder by the tests before."""
    code = f"import os, mho, periphery; print(os.environ[{VARIABLE!r}])"
    surroundings = {name: value for name, value in os.environ.items() if name != VARIABLE}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=surroundings, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).name == PREFIX + digest_of(map(ROOT.joinpath, PACKAGES))
