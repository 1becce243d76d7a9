"""Progress on standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from workloads.running import Progress as ProgressCall
from workloads.running import silent


@contextmanager
def watching(progress: ProgressCall | None) -> Iterator[ProgressCall]:
    """``progress`` as given; without one, bars in a notebook and nothing elsewhere."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if progress is None and type(shell).__name__ == "ZMQInteractiveShell":
        with Watch(quiet=False) as watch:
            yield watch.progress
    else:
        yield progress or silent


class Watch:
    """Shows stages: bars on a terminal, one line per finished stage elsewhere."""

    def __init__(self, *, quiet: bool) -> None:
        self.console = Console(stderr=True)
        self.live = (self.console.is_terminal or self.console.is_jupyter) and not quiet
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
