"""What every experiment shares while it runs: the options of a run, seconds by stage, and threads."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

import torch

from configs.errors import InputError
from workloads.stored import StoredNetworks

S = TypeVar("S")
Progress = Callable[[str, int, int], None]


def silent(stage: str, done: int, total: int) -> None:
    """Progress that nobody watches."""


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How one experiment is run, apart from its settings.

    Parameters
    ----------
    data : file or folder of the user's data; else ``MHO_DATA``, the cache, the network, the embedded default
    weights : a user's network (safetensors) in place of training in software
    module : ``FILE.py:FUNCTION``, the user's code that gives the network
    device : ``cpu`` or ``cuda``
    progress : called with the stage, and how much of how much is done
    workers : threads that share variants, chips and blocks of data; changes no figure
    stored : where networks are kept that other runs of a sweep need as well
    """

    data: Path | None = None
    weights: Path | None = None
    module: str | None = None
    device: str = "cpu"
    progress: Progress = silent
    workers: int = field(default_factory=lambda: min(8, os.cpu_count() or 1))
    stored: StoredNetworks | None = None

    @property
    def side_by_side(self) -> int:
        """Threads that share variants and chips: one on a graphics card, which captures one graph at a time."""
        return self.workers if self.device == "cpu" else 1

    def refuse_weights(self, why: str) -> None:
        """Raise ``InputError`` where the user names weights for a workload that loads none."""
        if self.weights is not None:
            raise InputError(f"--weights: {why}")


@dataclass
class ExperimentRun(Generic[S]):
    """The state of one run: settings, options, and the seconds that each stage took."""

    settings: S
    options: RunOptions
    stages: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the seconds of the body to one stage."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.stages[name] = self.stages.get(name, 0.0) + time.perf_counter() - started

    def progress(self, stage: str, done: int, total: int) -> None:
        """Tell whoever watches how far a stage is."""
        self.options.progress(stage, done, total)


def card_of(device: str) -> list[int]:
    """Number of the graphics card on which a run draws random numbers, as ``torch.random.fork_rng`` takes it; it starts
    every card of the machine where it is not told."""
    return [] if device == "cpu" else [torch.cuda.current_device()]


@contextmanager
def named(variant: str) -> Iterator[None]:
    """Name the variant in every problem that the body finds."""
    try:
        yield
    except InputError as error:
        raise InputError(f"variants[{variant}]: {problem}" for problem in error.problems) from None


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread: whole jobs run side by side instead, and never wait for each other.

    Threads inside a product of this size spend more time waiting than computing as soon as the machine does anything
    else (a step of training then took 1.1 s instead of 17 ms).
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
