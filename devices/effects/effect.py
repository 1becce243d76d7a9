"""What a real array adds to a cell, as steps that compose with any kind of device.

An effect never sees the device, only the range of its targets and the tensors of one stage of a cell's life:

===========  =================  ==========================================================================
stage        hook               what it may change
===========  =================  ==========================================================================
``aim``      ``aimed_S``        the target, before anything is programmed
``write``    ``written``        the programming error: what verifying leaves, instead of the device's
``cell``     ``left_S``         the conductance that programming left, per cell
``ageing``   ``aged_S``         the conductance of working cells at a time after programming
``fault``    ``faults``         which cells do not work, and their conductance
``reading``  ``read_S`` etc.    the conductance that a read sees, the pace of ageing, the fast noise
===========  =================  ==========================================================================

Effects act in the order in which they are listed, and the list must follow these stages: a cell is aimed at, written,
keeps what it is, ages, and is read; a cell that does not work does not age, but is read like any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch

from devices.effects.write import WriteRecord
from devices.streams import ChipStreams

STAGES = ("aim", "write", "cell", "ageing", "fault", "reading")

Marks = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Window:
    """The range of targets of the device on which an effect acts [S]."""

    g_min_S: float
    g_max_S: float

    def share(self, g_S: torch.Tensor) -> torch.Tensor:
        """Position of a conductance between ``g_min_S`` (0) and ``g_max_S`` (1), clipped to that range."""
        return ((g_S - self.g_min_S) / (self.g_max_S - self.g_min_S)).clamp(0.0, 1.0)


@dataclass(frozen=True)
class Faults:
    """Cells that do not work: which they are, the conductance at which each stays [S], and which of them are stuck off,
    that is without a filament to fluctuate; shapes ``(chips, ...)``."""

    stuck: torch.Tensor
    stuck_S: torch.Tensor
    off: torch.Tensor

    def applied(self, g_S: torch.Tensor) -> torch.Tensor:
        """Conductances with those of the stuck cells in place of what working cells have [S]."""
        return torch.where(self.stuck, self.stuck_S.to(g_S.dtype), g_S)

    def before(self, later: Faults) -> Faults:
        """Both lists of faults; the later one decides where a cell is in both."""
        stuck_S = later.applied(self.stuck_S.to(later.stuck_S.dtype))
        return Faults(self.stuck | later.stuck, stuck_S, torch.where(later.stuck, later.off, self.off))


@dataclass(frozen=True)
class Draws:
    """The two origins of an effect's random numbers.

    ``identity``: of the chip, the same however often its cells are programmed; ``programming``: of this programming.
    """

    identity: ChipStreams
    programming: ChipStreams

    def child(self, *names: str | int) -> Draws:
        """The same child of both."""
        return Draws(self.identity.child(*names), self.programming.child(*names))


@dataclass(frozen=True, kw_only=True)
class Effect:
    """One thing that a real array adds. The defaults of all hooks change nothing.

    ``stage``: when in a cell's life it acts; ``once``: whether a device may list it only once.

    Parameters
    ----------
    source : where the numbers are from
    """

    stage: ClassVar[str]
    once: ClassVar[bool] = True
    cite: ClassVar[tuple[str, ...]] = ()  # papers behind its defaults

    kind: str
    source: str = "estimate"

    def stream(self, number: int) -> tuple[str | int, ...]:
        """Name of the random stream of the effect that is the ``number``-th of its kind on a device."""
        return ("effect", self.kind, number)

    def check(self, window: Window) -> None:
        """Raise ValueError where the parameters do not fit a device of this range."""

    @property
    def moves(self) -> bool:
        """Whether it changes the conductance of a cell in time."""
        return False

    def aimed_S(self, target_S: torch.Tensor, window: Window) -> torch.Tensor:
        """The conductance that is really asked for [S]."""
        return target_S

    def marks(self, target_S: torch.Tensor, window: Window, *, draws: Draws) -> Marks:
        """What is drawn once per cell; ``target_S`` has shape ``(chips, ...)``."""
        return {}

    def written(
        self, target_S: torch.Tensor, window: Window, faults: Faults | None, *, draws: Draws
    ) -> tuple[torch.Tensor, WriteRecord]:
        """Conductance that writing leaves [S], instead of the device's programming error, and what it took."""
        raise NotImplementedError(f"{type(self).__name__} does not write")

    def left_S(self, programmed_S: torch.Tensor, marks: Marks, window: Window) -> torch.Tensor:
        """Conductance at the end of programming [S]."""
        return programmed_S

    def aged_S(
        self, g_S: torch.Tensor, marks: Marks, window: Window, *, aged_s: float, elapsed_s: float
    ) -> torch.Tensor:
        """Conductance of working cells that is left after ``elapsed_s`` seconds on the clock, in which thermally
        activated processes went as far as in ``aged_s`` seconds at the temperature of programming [S]."""
        return g_S

    def faults(self, target_S: torch.Tensor, window: Window, *, draws: Draws) -> Faults:
        """Which cells do not work, and their conductance."""
        raise NotImplementedError(f"{type(self).__name__} makes no faults")

    def aged_s(self, t_s: float) -> float:
        """Seconds at the temperature of programming that age a cell as ``t_s`` seconds on the clock [s]."""
        return t_s

    def read_S(self, g_S: torch.Tensor, marks: Marks, window: Window) -> torch.Tensor:
        """Conductance that a read sees [S]."""
        return g_S

    def read_sigma_S(self, sigma_S: torch.Tensor, g_S: torch.Tensor) -> torch.Tensor:
        """Standard deviation of the fast noise of one read [S]."""
        return sigma_S


def in_order(effects: tuple[Effect, ...], window: Window) -> None:
    """Raise ValueError unless the effects follow the stages of a cell's life and each fits the device."""
    for before, after in pairwise(effects):
        if STAGES.index(before.stage) > STAGES.index(after.stage):
            raise ValueError(
                f"effects must be in the order of a cell's life, {', '.join(STAGES)}: "
                f"{after.kind} ({after.stage}) before {before.kind} ({before.stage})"
            )
    for number, effect in enumerate(effects):
        if effect.once and any(type(effect) is type(other) for other in effects[:number]):
            raise ValueError(f"effects may hold {effect.kind} once")
        try:
            effect.check(window)
        except ValueError as error:
            raise ValueError(f"effects[{number}].{error}") from None
