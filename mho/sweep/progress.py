"""Progress of a sweep: a bar on a terminal and in a notebook, a line on standard error now and then elsewhere."""

from __future__ import annotations

import sys
import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from mho.console import notebook_line

_LINE_S = 10.0


class Meter:
    """Counts points; rate and time left are those of this run, points taken over from earlier ones left out.

    ``what`` is the word for what is counted, ``more`` what else is in the line.
    """

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet
        console = Console(stderr=True)
        self.live = console.is_terminal and not quiet
        columns = (BarColumn(), TextColumn("{task.description}"))
        self.bar = Progress(*columns, console=console) if self.live else None
        self.line = notebook_line()
        self.total = self.before = self.done = self.failed = 0
        self.what, self.more = "points", ""
        self.started = self.shown = time.monotonic()

    def start(self, total: int, before: int) -> None:
        """``total`` points, of which ``before`` are there already."""
        self.total, self.before = total, before
        self.started = self.shown = time.monotonic()
        if self.bar is not None:
            self.bar.start()
            self.bar.add_task(self.text(), total=total, completed=before)
        self._notebook()

    def advance(self, done: int, failed: int) -> None:
        """So many points more, ``failed`` of them."""
        self.done, self.failed = self.done + done, self.failed + failed
        now = time.monotonic()
        self._notebook()
        if self.bar is not None:
            self.bar.update(self.bar.task_ids[0], completed=self.before + self.done, description=self.text())
        elif not self.quiet and now - self.shown >= _LINE_S:
            self.shown = now
            self.write(self.text())

    def stop(self) -> None:
        """Leave the last state on the screen, and nothing in a notebook."""
        if self.line is not None:
            self.line("", 0, 0)
        if self.bar is not None:
            self.bar.stop()
        elif not self.quiet and self.done:
            self.write(self.text())

    def _notebook(self) -> None:
        if self.line is not None:
            self.line(self.what, self.before + self.done, self.total)

    def write(self, text: str) -> None:
        """One line, with the seconds since the start; nothing where the user wants quiet."""
        if self.quiet:
            return
        if self.bar is not None and self.bar.live.is_started:
            self.bar.console.print(text, highlight=False)
        else:
            print(f"[{time.monotonic() - self.started:6.1f} s] {text}", file=sys.stderr, flush=True)

    def text(self) -> str:
        """Points done, rate, time left and failures."""
        finished = self.before + self.done
        parts = [f"{finished} of {self.total} {self.what}"]
        seconds = time.monotonic() - self.started
        if self.done and seconds > 0.0:
            rate = self.done / seconds
            parts.append(f"{rate:.3g}/s" if rate >= 0.1 else f"{1.0 / rate:.3g} s each")
            if finished < self.total:
                parts.append(f"{span((self.total - finished) / rate)} left")
        parts.append(f"{self.failed} failed")
        parts += [self.more] if self.more else []
        return ", ".join(parts)


def span(seconds: float) -> str:
    """A time in words, to two digits or so."""
    for unit, size in (("days", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2.0 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.2g} s" if seconds < 10.0 else f"{seconds:.0f} s"
