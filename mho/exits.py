"""How a command ends: one rule for exit codes and signals, and a file about every fault of mho itself.

0 done; 1 failed (a full disk, no memory, a lost worker, a failed point, a fault of mho); 2 the input is wrong;
128 + n ended by signal n. Each of them but 0 comes with one sentence on standard error, never a traceback.
"""

from __future__ import annotations

import codecs
import errno
import os
import platform
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path

import typer

from configs.bounded import quoted
from configs.errors import InputError

DEBUG = "MHO_DEBUG"
"""Environment variable: 1 shows tracebacks on the terminal in place of a file."""
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
_PACKAGES = ("mho", "torch", "numpy", "scipy", "pandas", "pydantic", "typer")
_NO_MEMORY = (
    *("can't allocate memory", "not enough memory", "out of memory", "Unable to allocate", "bad_alloc"),
    *("Storage size calculation overflowed", "array is too big", "Maximum allowed dimension exceeded"),
)
"""What torch, numpy and scipy say, in errors of several types, of an array that does not fit."""
_SMALLER = {
    "workloads/kws/augment": "fewer features.augmentation.copies or data.clips",
    "workloads/kws/features": "fewer data.clips, or a smaller features.mfcc.n_fft",
    "workloads/kws/model": "a smaller model.hidden",
    "workloads/kws/training": "a smaller training.software.batch and training.aware.batch",
    "workloads/kws": "fewer evaluation.chips or a smaller evaluation.block",
    "workloads/lsm": "fewer data.recordings, evaluation.chips or chip.neurons",
    "workloads/zeroshot": "fewer evaluation.per_class or evaluation.chips",
    "workloads/spgemm": "a smaller matrix, or fewer evaluation.chips",
    "workloads/recordings": "fewer recordings",
    "mappings/sparse": "a smaller matrix, or fewer chip.tiles",
    "devices/candidates": "fewer levels or rows in the table",
    "devices/fitting": "fewer levels or rows in the table",
    "mho/sweep": "fewer workers (-j)",
    "mho/nladc": "fewer --chips or --bits",
    "mho/report": "fewer rows in the tables of the run",
}
"""What needs less memory, by the package that asked for it; the innermost frame decides."""
_LONGEST = 1600  # of a sentence
_IN_ASCII = {"±": "+-", "…": "...", "–": "-", "—": "-", "─": "-", "×": "x", "µ": "u", "μ": "u", "≤": "<=", "≥": ">="}


class Stopped(BaseException):
    """A signal that asks the process to end. What is half-written is removed on the way."""

    def __init__(self, number: int, kept: str = "nothing was left half-written") -> None:
        super().__init__(number)
        self.number, self.kept = number, kept


@contextmanager
def resumable() -> Iterator[None]:
    """The sentence of a signal that ends a sweep or a search."""
    try:
        yield
    except Stopped as stopped:
        kept = "all that is finished is kept, and the same command goes on from there"
        raise Stopped(stopped.number, kept) from None


@contextmanager
def exit_codes() -> Iterator[None]:
    """Turn whatever ends the body into one sentence and an exit code, and signals into Stopped."""
    try:
        with _signals(), _writable():
            yield
    except InputError as error:
        if _debugging() and error.__cause__ is not None:
            traceback.print_exception(error)
        for problem in error.problems:
            _say(problem)
        sys.exit(1 if _disk_failed(error.__cause__) else 2)
    except BrokenPipeError:
        sys.exit(1)
    except Stopped as stopped:
        _say(f"stopped; {stopped.kept}")
        sys.exit(128 + stopped.number)
    except Exception as error:
        if _debugging():
            traceback.print_exc()
        elif short_of_memory(error):
            _say(f"out of memory; {smaller(error)} needs less ({_first_line(error)})")
        elif isinstance(error, OSError):
            file = f"{os.fsdecode(error.filename)}: " if error.filename and not isinstance(error.filename, int) else ""
            _say(f"{file}{error.strerror or error}")
        else:
            _say(_reported(error))
        sys.exit(1)


def _debugging() -> bool:
    return os.environ.get(DEBUG, "") not in ("", "0")


def short_of_memory(error: BaseException) -> bool:
    """Whether an error is of memory that was asked for in vain."""
    return isinstance(error, MemoryError) or (
        isinstance(error, (RuntimeError, ValueError, OSError)) and any(text in str(error) for text in _NO_MEMORY)
    )


def smaller(error: BaseException) -> str:
    """What needs less memory where this error was raised."""
    frames = [Path(frame.filename).as_posix() for frame in traceback.extract_tb(error.__traceback__)]
    for file in reversed(frames):
        for package, text in _SMALLER.items():
            if f"/{package}" in file:
                return text
    return "fewer evaluation.chips or a smaller evaluation.batch"


def _say(text: str) -> None:
    with suppress(OSError, ValueError):
        typer.echo(f"mho: {quoted(' '.join(text.splitlines()), _LONGEST)}", err=True)


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:200]


def _disk_failed(error: BaseException | None) -> bool:
    """A full or broken disk under what is written is no wrong input."""
    return isinstance(error, OSError) and error.errno in _FULL


@contextmanager
def _signals() -> Iterator[None]:
    """Raise Stopped in the main thread for signals that end a process; one that is ignored (nohup) stays so.

    Once one has come, those that queues and terminals send after it are ignored, and a second Ctrl-C ends at once.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: object) -> None:
        for each in usual:
            signal.signal(each, signal.SIG_DFL if each == signal.SIGINT else signal.SIG_IGN)
        raise Stopped(number)

    usual = {number: kind for number in _SIGNALS if (kind := signal.getsignal(number)) is not signal.SIG_IGN}
    for number in usual:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, kind in usual.items():
            signal.signal(number, signal.SIG_DFL if kind is None else kind)


@contextmanager
def _writable() -> Iterator[None]:
    """Standard output that takes any text and is flushed within the rule: a reader that went away is no error."""
    codecs.register_error("mho.plain", _plain)
    for stream in (sys.stdout, sys.stderr):
        if getattr(stream, "errors", "") in ("strict", "backslashreplace"):
            stream.reconfigure(errors="mho.plain")  # type: ignore[union-attr]
    try:
        yield
    finally:
        if sys.stdout is not None:
            try:
                sys.stdout.flush()
            except OSError:
                # What is left in the buffer would fail again as the process ends.
                with suppress(OSError, ValueError):
                    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                raise


def _plain(error: UnicodeError) -> tuple[str, int]:
    """What a terminal cannot show, in its letters: ``+-`` for the sign, an escape where there is no such word."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    bad = error.object[error.start : error.end]
    return "".join(_IN_ASCII.get(each) or _escaped(each) for each in bad), error.end


def _escaped(text: str) -> str:
    return text.encode("unicode_escape").decode()


def _reported(error: Exception) -> str:
    """Write the file about a fault of mho into the current or the temporary folder; the sentence that names it."""
    what = f"{type(error).__name__}: {_first_line(error)}"
    name = f"mho-fault-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
    for folder in (Path.cwd, lambda: Path(tempfile.gettempdir())):
        try:
            path = folder() / name
            path.write_text(_report(error), encoding="utf-8", errors="backslashreplace")
        except OSError:
            continue
        return f"a fault of mho, not of your input: {what}; a report of it is in {path} ({DEBUG}=1 shows it here)"
    return f"a fault of mho, not of your input: {what} (no report could be written; {DEBUG}=1 shows it here)"


def _report(error: Exception) -> str:
    """What somebody who mends it needs: versions, the command, the configuration's name, the traceback."""
    versions = []
    for name in _PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            versions.append(f"{name} {metadata.version(name)}")
    words = sys.argv[1:]
    lines = [
        f"versions: {', '.join(versions)}; Python {platform.python_version()}, {platform.platform()}",
        f"command: mho {' '.join(map(repr, words))}",
        f"configuration: {next((word for word in words[1:] if not word.startswith('-')), 'none')}",
        "",
        "".join(traceback.format_exception(error)),
    ]
    return "\n".join(lines)
