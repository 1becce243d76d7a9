"""One input in a forked process with limits, and what came of it."""

from __future__ import annotations

import io
import os
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fuzz.case import Case, Generator

REFUSAL_S = 5.0
"""A refusal may take so long, in seconds of the processor (a busy machine is no fault of mho)."""
RUN_S = 20.0
"""A command that computes for longer hangs, and one that waits for so long and computes nothing."""
RESIDENT_BYTES = 2 << 30
FURTHER_BYTES = 6 << 30
"""Address space beyond what mho has mapped once imported: above it, an allocation fails and the machine lives."""
FILE_BYTES = 1 << 30
SENTENCE_CHARACTERS = 2000

OUTCOMES = ("ok", "refused", "failed", "traceback", "crash", "hang", "slow", "memory", "outside", "infinity", "unclear")
FAULTS = OUTCOMES[3:]
_TRACEBACK = "Traceback (most recent call last)"
_FRAME = re.compile(r'File "([^"]+)", line (\d+), in (\S+)')
_INFINITE = {
    ".json": re.compile(r"(?<![\w\"])-?(?:NaN|Infinity)\b"),
    ".yaml": re.compile(r":\s*[+-]?\.(?:nan|inf)\b", re.I),
}


@dataclass(frozen=True)
class Outcome:
    """What an input led to; ``where`` is the exception and the line of mho that it came through, or a short reason.

    ``processor_s`` and ``resident_bytes`` are the process's own. ``text``: what was written to the terminal, and the
    traceback. ``input_bytes`` tells small inputs from large ones.
    """

    kind: str
    number: int
    about: str
    arguments: tuple[str, ...]
    sort: str
    where: str
    processor_s: float
    resident_bytes: int
    input_bytes: int
    text: str


class Child:
    """An input on its way: made and forked at once; ``poll`` gives its outcome when there is one."""

    def __init__(
        self,
        kind: str,
        number: int,
        make: Generator,
        scratch: Path,
        base: Path,
        *,
        keep: bool = False,
        limit_s: float = RUN_S,
    ) -> None:
        self.kind, self.number, self.keep, self.limit_s = kind, number, keep, limit_s
        # Deep in a folder that is watched, so that what climbs out of the working folder is seen.
        self.top = scratch / f"{kind}.{number}"
        self.work = self.top / "a" / "b" / "work"
        shutil.rmtree(self.top, ignore_errors=True)
        for folder in (self.work, self.top / "home", self.top / "tmp", self.top / "cache"):
            folder.mkdir(parents=True)
        for file in (base / "cache").rglob("*.*"):
            link = self.top / file.relative_to(base)
            link.parent.mkdir(exist_ok=True)
            link.symlink_to(file)
        self.case = make(number, self.work, base)
        self.before = _files(self.top)
        self.input_bytes = sum(size for size, _ in self.before.values() if size > 0)
        self.moved = self.look_again = time.monotonic()
        self.used_s = 0.0
        self.pid = os.fork()
        if self.pid == 0:
            _run(self.case, self.top, self.work)

    def poll(self) -> Outcome | None:
        """The outcome once the process is at its end or its time is over; the folder is removed then."""
        done, status, used = os.wait4(self.pid, os.WNOHANG)
        hangs = not done and self._hangs()
        if hangs:
            os.killpg(self.pid, signal.SIGKILL)
            _, status, used = os.wait4(self.pid, 0)
        elif not done:
            return None
        outcome = self._outcome(status, used, hangs)
        if not self.keep:
            shutil.rmtree(self.top, ignore_errors=True)
        return outcome

    def _hangs(self) -> bool:
        """Whether the process has computed for too long, or is waiting for something that does not come."""
        now = time.monotonic()
        if now < self.look_again:
            return False
        self.look_again = now + 0.5
        state = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        used_s = (int(state[11]) + int(state[12])) / os.sysconf("SC_CLK_TCK")
        if used_s > self.used_s or state[0] != "S":
            self.used_s, self.moved = used_s, now
        return used_s > self.limit_s or now - self.moved > self.limit_s

    def _outcome(self, status: int, used: resource.struct_rusage, hangs: bool) -> Outcome:
        errors, output = _read(self.top / "stderr"), _read(self.top / "stdout")
        seconds, resident = used.ru_utime + used.ru_stime, used.ru_maxrss << 10
        after = _files(self.top)
        new = [path for path, stamp in after.items() if self.before.get(path) != stamp]
        trace = _first_traceback(errors, [path for path in new if path.suffix in ("", ".txt", ".md", ".log", ".json")])
        sort, where = _sorted(status, trace, errors, hangs=hangs)
        if sort in ("ok", "refused", "failed"):
            said = errors.strip() or output  # a group of commands without one of them prints its help
            reason = self._reason(sort, new, set(self.before) - set(after), said, seconds, resident)
            sort, where = reason or (sort, where)
        text = f"{output}\n{errors}" if trace in errors else f"{output}\n{errors}\n{trace}"
        return Outcome(
            self.kind,
            self.number,
            self.case.about,
            self.case.arguments,
            sort,
            where,
            seconds,
            resident,
            self.input_bytes,
            text,
        )

    def _reason(
        self, sort: str, new: list[Path], gone: set[Path], errors: str, seconds: float, resident: int
    ) -> tuple[str, str] | None:
        """The fault of an input that was accepted or refused without a crash, if there is one."""
        command = " ".join(("mho", *self.case.arguments[:1]))
        free = [
            self.top / "cache",
            self.work / "out",
            self.work / "runs",
            *(self.work / name for name in self.case.writable),
        ]
        outside = [path for path in (*new, *gone) if not any(path.is_relative_to(place) for place in free)]
        if outside:
            return "outside", f"{outside[0].relative_to(self.top)} {'removed' if outside[0] in gone else 'written'}"
        if sort == "failed" and "out of memory" in errors:
            return (
                "memory",
                f"{command}: {errors[errors.index('out of memory') :][:60].splitlines()[0]}",
            )
        if resident > RESIDENT_BYTES:
            return "memory", f"{command}: {resident / (1 << 30):.1f} GB"
        if sort == "refused" and seconds > REFUSAL_S:
            return "slow", f"{command}: {seconds:.0f} s to a refusal"
        if sort == "ok":
            if self.case.infinite:
                return "infinity", re.sub(r"\.\d+|\[\d+\]", "", self.case.about)
            for path in new:
                pattern = _INFINITE.get(path.suffix)
                if pattern and pattern.search(_read(path)):
                    return "infinity", f"{command}: NaN or infinity in {path.name}"
        if sort in ("refused", "failed"):
            lines = [line for line in errors.splitlines() if line.startswith("mho: ")]
            usage = "Usage: " in errors
            if not lines and not usage:
                return "unclear", f"{command}: ends without a sentence"
            if any(len(line) > SENTENCE_CHARACTERS for line in lines) and not usage:
                return (
                    "unclear",
                    f"{command}: a sentence of more than {SENTENCE_CHARACTERS} characters",
                )
        return None


def _run(case: Case, top: Path, work: Path) -> None:
    """The forked process: limits, terminal, surroundings, then mho."""
    code = 111
    try:
        os.setpgid(0, 0)
        os.chdir(work)
        for file, number in (("stdout", 1), ("stderr", 2)):
            handle = os.open(top / file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
            os.dup2(handle, number)
        os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
        sys.stdout = io.TextIOWrapper(os.fdopen(1, "wb", closefd=False), case.encoding, write_through=True)
        sys.stderr = io.TextIOWrapper(
            os.fdopen(2, "wb", closefd=False), case.encoding, "backslashreplace", write_through=True
        )
        surroundings: dict[str, str | None] = {"HOME": str(top / "home"), "TMPDIR": str(top / "tmp"), "MHO_DATA": None}
        surroundings |= {"MHO_CACHE": str(top / "cache"), "TORCHINDUCTOR_CACHE_DIR": str(top / "cache" / "torch")}
        tempfile.tempdir = str(top / "tmp")  # found out once, by the parent
        for name, value in {**surroundings, **case.environment}.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})
        mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (mapped + FURTHER_BYTES,) * 2)
        resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES, FILE_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        from mho.cli import main  # the parent has imported it before it forks

        sys.argv = ["mho", *case.arguments]
        main()
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except Exception:
                traceback.print_exc()
                code = 111
        os._exit(code & 255)


def _files(top: Path) -> dict[Path, tuple[int, int]]:
    """Every file and folder below, with its size (-1: folder) and time of change; links as such."""
    found: dict[Path, tuple[int, int]] = {}
    for folder, folders, files in os.walk(top):
        for name in (*folders, *files):
            path = Path(folder, name)
            if path.parent == top and name in ("stdout", "stderr"):
                continue
            state = path.lstat()
            found[path] = (-1, 0) if name in folders and not path.is_symlink() else (state.st_size, state.st_mtime_ns)
    return found


def _read(path: Path, most: int = 4 << 20) -> str:
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return file.read(most).decode("utf-8", "replace")


def _first_traceback(errors: str, files: list[Path]) -> str:
    """A traceback on the terminal, or in a file that mho wrote in its stead."""
    return next((text for text in (errors, *map(_read, files)) if _TRACEBACK in text), "")


def _sorted(status: int, trace: str, errors: str, *, hangs: bool) -> tuple[str, str]:
    if hangs:
        return "hang", f"more than {RUN_S:g} s"
    if os.WIFSIGNALED(status):
        return "crash", signal.Signals(os.WTERMSIG(status)).name
    if trace:
        return "traceback", _line_of(trace)
    code = os.WEXITSTATUS(status)
    return {0: ("ok", ""), 1: ("failed", errors.strip()[-200:]), 2: ("refused", "")}.get(
        code, ("crash", f"exit {code}")
    )


def _line_of(trace: str) -> str:
    """The exception, and the innermost line of mho's packages that it passed."""
    frames = _FRAME.findall(trace)
    ours = [frame for frame in frames if "site-packages" not in frame[0] and "/lib/python" not in frame[0]]
    ours = [frame for frame in ours if "benchmarks/fuzz" not in frame[0]] or frames or [("?", "0", "?")]
    file, line, function = ours[-1]
    root = str(Path(__file__).resolve().parents[2]) + "/"
    last = next(
        (
            text
            for text in reversed(trace.splitlines())
            if re.match(r"[\w.]+(?:Error|Exception|Warning|Interrupt|\w*)(?::|$)", text)
        ),
        "?",
    )
    return f"{last.partition(':')[0]} in {file.removeprefix(root)}:{line} ({function})"
