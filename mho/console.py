"""Progress: on standard error, and in a notebook below the cell."""

from __future__ import annotations

import html
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from workloads.running import Progress as ProgressCall
from workloads.running import silent

_APART_S = 0.1  # between two states of a notebook's line


@contextmanager
def watching(progress: ProgressCall | None) -> Iterator[ProgressCall]:
    """``progress`` as given; without one, a bar in a notebook and nothing elsewhere."""
    line = notebook_line() if progress is None else None
    try:
        yield progress or line or silent
    finally:
        if line is not None:
            line("", 0, 0)


def notebook_line() -> ProgressCall | None:
    """In a notebook, a line with a bar that every call replaces and that a total of 0 empties; elsewhere None.

    Plain HTML: no widgets are needed, and a stored notebook keeps no bar.
    """
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if type(shell).__name__ != "ZMQInteractiveShell":
        return None
    from IPython.display import HTML, display

    shown, last = display(HTML(""), display_id=True), 0.0

    def line(text: str, done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if done >= total or now - last >= _APART_S:
            last = now
            bar = f'<progress value="{done}" max="{total}"></progress> {html.escape(text)}, {done} of {total}'
            shown.update(HTML(bar if total else ""))

    return line


class Watch:
    """Shows stages: bars on a terminal, one line per finished stage elsewhere."""

    def __init__(self, *, quiet: bool) -> None:
        self.console = Console(stderr=True)
        self.live = self.console.is_terminal and not quiet
        self.bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self.console,
            transient=False,
        )
        self.tasks: dict[str, TaskID] = {}
        self.finished: set[str] = set()
        self.started = time.monotonic()

    def __enter__(self) -> Watch:
        if self.live:
            self.bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.live:
            self.bars.stop()

    def progress(self, stage: str, done: int, total: int) -> None:
        """``done`` of ``total`` parts of a stage."""
        if self.live:
            if stage not in self.tasks or self.bars.tasks[self.tasks[stage]].finished:
                self.tasks[stage] = self.bars.add_task(stage, total=total)
            self.bars.update(self.tasks[stage], completed=done, total=total)
        elif done >= total and total > 0:
            print(f"[{time.monotonic() - self.started:6.1f} s] {stage}", file=sys.stderr, flush=True)
