"""Exit codes, signals and terminals: one rule for every command, and never a traceback."""

from __future__ import annotations

import errno
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from configs.errors import InputError
from mho import catalogue, exits
from mho.files import RunFolder, user_path, write_atomic
from tests.mho.command import mho

REPOSITORY = Path(__file__).resolve().parents[2]


def _command(*arguments: object, **environment: str) -> subprocess.Popen[bytes]:
    """A command in a process of its own, as from a shell."""
    return subprocess.Popen(
        [sys.executable, "-m", "mho", *map(os.fspath, map(str, arguments))],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1", **environment},
    )


@pytest.fixture(autouse=True)
def usual_signals() -> Iterator[None]:
    """Signals as in a terminal: a job in the background, and nohup, hand on some that are ignored."""
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGHUP: signal.SIG_DFL, signal.SIGTERM: signal.SIG_DFL}
    before = {number: signal.signal(number, handler) for number, handler in usual.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def _failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def fail(name: str) -> str:
        raise error

    monkeypatch.setattr(catalogue, "shown", fail)


def test_a_fault_of_mho_is_written_down_and_named_in_one_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    _failing(monkeypatch, KeyError("inside"))
    code, out, err = mho(capsys, "show", "rram_taox")
    assert code == 1
    assert out == ""
    assert "Traceback" not in err
    assert len(err.splitlines()) == 1
    (report,) = tmp_path.iterdir()
    assert str(report) in err
    text = report.read_text(encoding="utf-8")
    for part in ("numpy ", "command: mho 'show' 'rram_taox'", "configuration: rram_taox", "KeyError: 'inside'"):
        assert part in text


def test_a_report_goes_to_the_temporary_folder_where_this_one_cannot_be_written(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refused() -> Path:
        raise OSError(errno.EACCES, "no")

    monkeypatch.setattr(exits.Path, "cwd", refused)
    monkeypatch.setattr(exits.tempfile, "gettempdir", lambda: str(tmp_path))
    _failing(monkeypatch, RecursionError("deep"))
    code, _, err = mho(capsys, "show", "rram_taox")
    assert code == 1
    assert f"a report of it is in {tmp_path}" in err


def test_debug_shows_the_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MHO_DEBUG", "1")
    _failing(monkeypatch, KeyError("inside"))
    code, _, err = mho(capsys, "show", "rram_taox")
    assert code == 1
    assert "Traceback" in err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("Unable to allocate 8.00 TiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        ValueError("array is too big; `arr.size * arr.dtype.itemsize` is larger than the maximum possible size."),
    ],
)
def test_lack_of_memory_is_one_sentence_with_what_helps(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception
) -> None:
    monkeypatch.chdir(tmp_path)
    _failing(monkeypatch, error)
    code, _, err = mho(capsys, "show", "rram_taox")
    assert code == 1
    assert err.startswith("mho: out of memory; fewer evaluation.chips")
    assert not list(tmp_path.iterdir())


def test_what_helps_is_what_the_innermost_package_allocates() -> None:
    code = compile("def work(): raise MemoryError", "/x/workloads/kws/training.py", "exec")
    found: dict[str, object] = {}
    exec(code, found)
    with pytest.raises(MemoryError) as error:
        found["work"]()  # type: ignore[operator]
    assert "training.software.batch" in exits.smaller(error.value)


@pytest.mark.parametrize(("number", "code"), [(errno.ENOSPC, 1), (errno.EDQUOT, 1), (errno.ENOTDIR, 2)])
def test_a_full_disk_is_no_wrong_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, number: int, code: int
) -> None:
    wrong = InputError("out: cannot write")
    wrong.__cause__ = OSError(number, os.strerror(number))
    _failing(monkeypatch, wrong)
    assert mho(capsys, "show", "rram_taox")[0] == code


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_a_signal_ends_a_command_with_its_number(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    number = signal.Signals[name]
    before = signal.getsignal(number)

    def shown(_: str) -> str:
        with RunFolder(tmp_path / "run") as folder:
            (folder / "half").write_text("")
            os.kill(os.getpid(), number)
            time.sleep(5.0)
        return ""

    monkeypatch.setattr(catalogue, "shown", shown)
    code, _, err = mho(capsys, "show", "rram_taox")
    assert code == 128 + number
    assert err == "mho: stopped; nothing was left half-written\n"
    assert not list(tmp_path.iterdir())
    assert signal.getsignal(number) is before


def test_ctrl_c_ends_a_sweep_with_workers_in_one_sentence(tmp_path: Path) -> None:
    sheet = tmp_path / "many.yaml"
    axes = "axes: {ramp.max_clocks: {first: 40, last: 2000, step: 1}}"
    sheet.write_text(f"base: {{kind: nladc, ramp: {{device: rram_taox}}}}\n{axes}\n", encoding="utf-8")
    with _command("sweep", sheet, "-j", 2, "-o", tmp_path / "out", "--quiet") as running:
        while running.poll() is None and not list((tmp_path / "out").glob("*.sqlite-wal")):
            time.sleep(0.02)
        time.sleep(0.5)  # workers are being started, which is when a traceback is likeliest
        os.killpg(running.pid, signal.SIGINT)
        out, err = running.communicate(timeout=120)
    assert (running.returncode, out) == (130, b"")
    assert err == b"mho: stopped; all that is finished is kept, and the same command goes on from there\n"


def test_a_signal_that_is_ignored_stays_ignored(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:

        def shown(_: str) -> str:
            os.kill(os.getpid(), signal.SIGHUP)
            return "whole"

        monkeypatch.setattr(catalogue, "shown", shown)
        assert mho(capsys, "show", "rram_taox") == (0, "whole\n", "")
    finally:
        signal.signal(signal.SIGHUP, before)


def test_what_killed_runs_have_left_is_swept_by_the_next_one(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    for name in (f".kws.{gone.pid}.part", f".kws.{os.getppid()}.part", f".kws.{gone.pid}-elsewhere.part", ".x.part"):
        (tmp_path / name).mkdir()
    (tmp_path / f".file.{gone.pid}.part").write_text("")
    with RunFolder(tmp_path / "run") as folder:
        (folder / "manifest.json").write_text("{}")
    left = {entry.name for entry in tmp_path.iterdir()}
    assert left == {
        *("run", f".kws.{os.getppid()}.part", f".kws.{gone.pid}-elsewhere.part", ".x.part"),
        f".file.{gone.pid}.part",
    }


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_a_terminal_of_few_letters_shows_what_it_can(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    with exits.exit_codes():
        print("90.1 % ± 0.2, \udcff, 中")
    shown = raw.getvalue()
    expected = "90.1 % +- 0.2, \\udcff, \\u4e2d\n" if encoding == "ascii" else "90.1 % ± 0.2, \\udcff, 中\n"
    assert shown == expected.encode()


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"], ["list", "devices"], ["show", "rram_taox"]])
def test_help_and_tables_on_an_ascii_terminal(words: list[str]) -> None:
    done = _command(*words, PYTHONIOENCODING="ascii", LC_ALL="C", COLUMNS="80")
    out, err = done.communicate(timeout=120)
    assert (done.returncode, err) == (0, b"")
    assert out


def test_a_reader_that_goes_away_is_no_error() -> None:
    with _command("schema", "experiment") as done:
        assert done.stdout is not None
        assert done.stderr is not None
        done.stdout.close()
        assert done.stderr.read() == b""
        assert done.wait(120) == 1


def test_paths_of_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_path("~/run") == tmp_path / "run"
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for path, message in (
        ("~nosuchuser/x", "no such user"),
        (tmp_path / "loop", "this link leads to itself"),
        ("a\0b", "the file system takes no such name"),
        ("x" * 300, "File name too long"),
    ):
        for use in (user_path, RunFolder, lambda path: write_atomic(path, b"")):
            with pytest.raises(InputError, match=message):
                use(path)


@pytest.mark.parametrize(
    "words",
    [
        ["run", "kws_tiny", "--data", "~nosuchuser/x"],
        ["run", "kws_tiny", "--weights", "LOOP"],
        ["run", "kws_tiny", "-o", "LOOP"],
        ["run", "PIPE.yaml"],
        ["validate", "LOOP.yaml"],
        ["report", "~nosuchuser/x"],
        ["report", "LOOP"],
        ["sweep", "kws_tiny_bits", "-o", "LOOP"],
        ["sweep", "kws_tiny_bits", "--merge", "LOOP"],
        ["fit", "LOOP"],
        ["show", "NLADC", "--samples", "LOOP"],
        ["show", "NLADC", "--samples", "PIPE.yaml"],
        ["show", "NLADC", "--set", "x=[1"],
        ["show", "NLADC", "--set", "cells=[1"],
    ],
)
def test_bad_paths_are_one_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("LOOP", "LOOP.yaml"):
        os.symlink(name, name)
    os.mkfifo("PIPE.yaml")
    code, out, err = mho(capsys, *words)
    assert code == 2, err
    assert (out, len(err.splitlines())) == ("", 1)
    assert sorted(os.listdir()) == ["LOOP", "LOOP.yaml", "PIPE.yaml"]
