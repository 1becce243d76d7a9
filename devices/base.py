"""One memory cell: what is stored when a conductance is asked for, and how that value moves with time.

A device answers four questions, each a pure function of tensors in siemens and seconds:

- ``program``: a target conductance goes in, a cell comes out that will keep its identity (its error, its drift
  exponent, its defects) for as long as it is read;
- ``conductance_S``: the conductance of those same cells at a time after programming, slow noise included; asked twice
  for the same time, it gives the same answer;
- ``read_sigma_S``: the standard deviation of the fast noise of those cells, drawn anew at every product by whoever
  reads;
- ``g_min_S`` and ``g_max_S``: the range of allowed targets.

The current at a voltage is ``I = G V`` unless a device overrides it, as a polynomial in V whose coefficients follow
from G: so a product on nonlinear cells is a few matrix products, and never a loop over cells.

What a real array adds (cells that do not work, spread, temperature, program-and-verify ...) is listed under
``effects`` and composes with any device. A kind answers for a working cell alone, at one temperature: ``written_S``,
``evolve_S``, ``fast_noise_S`` and ``evolves``. ``program``, ``conductance_S``, ``read_sigma_S`` and ``drifts`` let the
effects act on these answers, and no kind overrides the last three.

Adding a device means one file with one frozen dataclass, one line in ``devices.DEVICES`` and one YAML record.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Annotated, ClassVar, Literal, TypeVar, final

import torch
from annotated_types import Ge, Gt, Len

from configs.errors import InputError
from devices.effects import STAGES, AnyEffect, Draws, Effect, Faults, Marks, Temperature, Window, WriteRecord, in_order
from devices.streams import ChipStreams

D = TypeVar("D", bound="Device")

NO_LIMIT_PUBLISHED = "three halves of the usual 0.2 V, since no limit is published"


@dataclass(frozen=True)
class Cells:
    """Cells as they left programming. All tensors have shape ``(chips, ...)``.

    ``programmed_S`` is the conductance at programming time; ``state`` holds what else a device keeps per cell, such as
    its drift exponent; ``slow`` is the stream from which the slow noise of these cells unfolds. ``target_S`` is what
    was aimed at and ``asked_S`` what the caller asked for, two things where levels are limited; ``marks`` is what each
    effect keeps per cell; ``write`` is what writing took, where it is modelled as a process.
    """

    target_S: torch.Tensor
    programmed_S: torch.Tensor
    state: dict[str, torch.Tensor] = field(default_factory=dict)
    slow: ChipStreams | None = None
    faults: Faults | None = None
    asked_S: torch.Tensor | None = None
    marks: tuple[Marks, ...] = ()
    write: WriteRecord | None = None

    @property
    def quantisation_S(self) -> torch.Tensor:
        """What limited levels took from each target, aimed at less asked for [S]."""
        return torch.zeros_like(self.target_S) if self.asked_S is None else self.target_S - self.asked_S

    @property
    def stuck(self) -> torch.Tensor | None:
        """Which cells do not work; None where all do."""
        return None if self.faults is None else self.faults.stuck

    @property
    def shape(self) -> torch.Size:
        """Shape ``(chips, ...)`` of the batch of cells."""
        return self.programmed_S.shape


@dataclass(frozen=True, kw_only=True)
class Device:
    """What every kind of cell has: a range, a fast read noise, and the effects of a real array.

    Parameters
    ----------
    g_min_S, g_max_S : range of targets [S]
    read_noise_S : standard deviation of the fast read noise of one read, independent of the state [S]
    read_voltage_max_V : largest voltage across a cell while it is read, None where nothing bounds it [V]
    read_voltage_status, read_voltage_source : whether that is measured or an estimate, and what it is taken from
    status : how the numbers were found: published, stand-in, estimate, ideal or generic
    source : where they are from
    effects : what a real array adds, in the order of a cell's life (``devices.effects``)
    """

    writable: ClassVar[bool] = True  # whether a cell takes the conductance that is asked for

    kind: str
    description: str = ""
    source: str = ""
    status: str = "generic"
    cite: tuple[str, ...] = ()
    g_min_S: Annotated[float, Ge(0.0)]
    g_max_S: Annotated[float, Gt(0.0)]
    read_noise_S: Annotated[float, Ge(0.0)] = 0.0
    read_voltage_max_V: Annotated[float, Gt(0.0)] | None = None
    read_voltage_status: Literal["measured", "estimate"] = "estimate"
    read_voltage_source: str = NO_LIMIT_PUBLISHED
    effects: Annotated[tuple[AnyEffect, ...], Len(0, 100)] = ()

    def __post_init__(self) -> None:
        if self.g_min_S >= self.g_max_S:
            raise ValueError(f"g_min_S must be below g_max_S = {self.g_max_S:g} (got {self.g_min_S:g})")
        in_order(self.effects, self.window)

    @property
    def window(self) -> Window:
        """The range of targets, as effects see it."""
        return Window(self.g_min_S, self.g_max_S)

    @property
    def evolves(self) -> bool:
        """Whether ``evolve_S`` changes working cells after programming."""
        return False

    @final
    @property
    def drifts(self) -> bool:
        """Whether the conductance changes after programming, by the kind of cell or by an effect."""
        return self.evolves or any(effect.moves for effect in self.effects)

    @property
    def drift_known(self) -> bool:
        """Whether it is established what time does to these cells, or defined where no device is behind a kind."""
        return True

    @final
    @property
    def unknown_drift(self) -> str:
        """The sentence that a reader needs where cells stay as written only because nothing is established; else an
        empty text."""
        if self.drift_known or self.drifts:
            return ""
        return f"drift and retention of {self.kind} are not established: none is modelled, cells stay as written"

    def programming_sigma_S(self, target_S: torch.Tensor) -> torch.Tensor:
        """Standard deviation of the programming error at a target [S], same shape."""
        return torch.zeros_like(target_S)

    def cell_state(self, target_S: torch.Tensor, *, rng: ChipStreams) -> dict[str, torch.Tensor]:
        """What else is drawn once per cell; ``target_S`` has shape ``(chips, ...)``."""
        return {}

    def written_S(self, target_S: torch.Tensor, state: dict[str, torch.Tensor], *, rng: ChipStreams) -> torch.Tensor:
        """Conductance of working cells at the end of programming [S]: a Gaussian error unless a device overrides it.

        A device whose cells are not written by a Gaussian error overrides this and not ``program``.
        """
        error = rng.child("error").normal_like(target_S)
        return (target_S + self.programming_sigma_S(target_S) * error).clamp_min_(0.0)

    def too_late(self, aged_s: float) -> str:
        """Why nothing is known of these cells at that age in seconds; an empty text where it is."""
        return ""

    def check_time(self, t_s: float) -> None:
        """Raise InputError for a time that is negative or infinite, or at which nothing is known of these cells."""
        if not t_s >= 0.0:
            raise InputError(f"t_s must be at least 0 (got {t_s})")
        if t_s == math.inf:
            raise InputError(f"t_s must be a finite number (got {t_s})")
        aged_s = self._aged_s(t_s)
        if reason := self.too_late(aged_s):
            raise InputError(reason if aged_s == t_s else f"{t_s:g} s in storage age a cell as {aged_s:g} s: {reason}")

    def check_voltage(self, v_V: float) -> None:
        """Raise InputError for a voltage beyond ``read_voltage_max_V``, of either sign."""
        most_V = self.read_voltage_max_V
        if most_V is not None and not abs(v_V) <= most_V:
            estimate = ", an estimate" if self.read_voltage_status == "estimate" else ""
            raise InputError(f"v_V must lie within +-{most_V:g} V, {self.read_voltage_source}{estimate} (got {v_V:g})")

    def evolve_S(self, cells: Cells, t_s: float) -> torch.Tensor:
        """Conductance of working cells at ``t_s`` seconds after programming, fast noise apart [S]."""
        return cells.programmed_S

    @property
    def linear(self) -> bool:
        """Whether the current is proportional to the voltage."""
        return type(self).current_coefficients is Device.current_coefficients

    def current_coefficients(self, g_S: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """``c_1, c_2, ...`` of ``I = c_1 V + c_2 V^2 + ...`` for ``V >= 0`` [A/V, A/V^2, ...], each of the shape of
        ``g_S``; the current at ``-V`` is ``-I(V)``."""
        return (g_S,)

    def current_A(self, g_S: torch.Tensor, v_V: torch.Tensor) -> torch.Tensor:
        """Current of cells of state ``g_S`` at the voltage ``v_V`` across them (shapes broadcast) [A]."""
        size = v_V.abs()
        total = torch.zeros_like(g_S * size)
        for coefficient in reversed(self.current_coefficients(g_S)):
            total = (total + coefficient) * size
        return total * v_V.sign()

    def program(self, target_S: torch.Tensor, *, rng: ChipStreams, cycle: int = 0) -> Cells:
        """Program one batch of chips.

        ``target_S`` has shape ``(1, ...)`` (the same targets on every chip) or ``(chips, ...)``, ``chips = len(rng)``.
        The same cells programmed again are the same ``rng`` with another ``cycle``: what belongs to a cell (its
        defect, its spread from other cells) stays, and what belongs to a programming is drawn anew. Gradients pass to
        the targets. Raises ValueError for targets outside ``[g_min_S, g_max_S]``: encodings clip, and report it.
        """
        asked = target_S.expand(len(rng), *target_S.shape[1:])
        low, high = float(asked.detach().min()), float(asked.detach().max())
        slack = 1e-6 * self.g_max_S
        if not (self.g_min_S - slack <= low and high <= self.g_max_S + slack):
            raise ValueError(f"targets must lie in [{self.g_min_S:g}, {self.g_max_S:g}] S (got [{low:g}, {high:g}] S)")
        again = rng if cycle == 0 else rng.child("cycle", cycle)
        draws, window = self._draws(rng, again), self.window
        target = asked
        for effect in self.effects:
            target = effect.aimed_S(target, window)
        faults = self._faults(target, draws)
        programmed = write = None
        for effect, draw in zip(self.effects, draws, strict=True):
            if effect.stage == "write":
                programmed, write = effect.written(target, window, faults, draws=draw)
        state = self.cell_state(target, rng=again)
        if programmed is None:
            programmed = self.written_S(target, state, rng=again)
        marks = tuple(
            effect.marks(target, window, draws=draw) for effect, draw in zip(self.effects, draws, strict=True)
        )
        for effect, mark in zip(self.effects, marks, strict=True):
            programmed = effect.left_S(programmed, mark, window)
        if faults is not None:
            programmed = faults.applied(programmed)
        snapped = asked if target is not asked else None
        return Cells(target, programmed, state, again.child("slow"), faults, snapped, marks, write)

    def _draws(self, identity: ChipStreams, programming: ChipStreams) -> list[Draws]:
        """Streams of each effect, by its kind and its number among its kind: listing another moves no bit."""
        seen: dict[str, int] = {}
        draws = []
        for effect in self.effects:
            number = seen[effect.kind] = seen.get(effect.kind, -1) + 1
            draws.append(Draws(identity, programming).child(*effect.stream(number)))
        return draws

    def _faults(self, target_S: torch.Tensor, draws: list[Draws]) -> Faults | None:
        """Which cells do not work, by all effects that make faults."""
        found = None
        for effect, draw in zip(self.effects, draws, strict=True):
            if effect.stage == "fault":
                more = effect.faults(target_S, self.window, draws=draw)
                found = more if found is None else found.before(more)
        return found

    @final
    def conductance_S(self, cells: Cells, t_s: float) -> torch.Tensor:
        """Conductance of these cells at ``t_s`` seconds after programming [S], shape of ``cells``.

        Raises InputError for a negative time and where nothing is known, and ValueError for cells that were programmed
        with other effects.
        """
        self.check_time(t_s)
        if len(cells.marks) != len(self.effects):
            raise ValueError(f"these cells were programmed with {len(cells.marks)} effects, not {len(self.effects)}")
        aged_s, window = self._aged_s(t_s), self.window
        g = self.evolve_S(cells, aged_s)
        for effect, marks in zip(self.effects, cells.marks, strict=True):
            g = effect.aged_S(g, marks, window, aged_s=aged_s, elapsed_s=t_s)
        if cells.faults is not None:
            g = cells.faults.applied(g)
        for effect, marks in zip(self.effects, cells.marks, strict=True):
            g = effect.read_S(g, marks, window)
        return g

    def _aged_s(self, t_s: float) -> float:
        for effect in self.effects:
            t_s = effect.aged_s(t_s)
        return t_s

    def with_effect(self: D, effect: Effect) -> D:
        """The same device with one more effect, after those of the same and of earlier stages of a cell's life."""
        stages = [STAGES.index(each.stage) for each in self.effects]
        first = sum(stage <= STAGES.index(effect.stage) for stage in stages)
        return replace(self, effects=(*self.effects[:first], effect, *self.effects[first:]))

    def read_within(self: D, window_s: float) -> D:
        """The same device read for ``window_s`` seconds at a time, where that bounds its 1/f noise."""
        return self

    @property
    def as_written(self: D) -> D:
        """The same device read at the temperature at which its cells are programmed."""
        hot = [effect for effect in self.effects if isinstance(effect, Temperature) and effect.reads_elsewhere]
        return self.at_K(hot[0].programmed_K) if hot else self

    def at_K(self: D, temperature_K: float) -> D:
        """The same device read at another temperature, for cells that are programmed already.

        Raises ValueError unless a ``temperature`` effect is listed.
        """
        if not any(isinstance(effect, Temperature) for effect in self.effects):
            raise ValueError("list a temperature effect on the device, and program its cells with it, to read them hot")
        return replace(
            self,
            effects=tuple(
                replace(effect, temperature_K=temperature_K) if isinstance(effect, Temperature) else effect
                for effect in self.effects
            ),
        )

    def fast_noise_S(self, g_S: torch.Tensor, cells: Cells) -> torch.Tensor:
        """Standard deviation of the fast noise of working ``cells`` while they are at ``g_S`` [S], same shape."""
        return torch.full_like(g_S, self.read_noise_S)

    @final
    def read_sigma_S(self, g_S: torch.Tensor, cells: Cells) -> torch.Tensor:
        """Standard deviation of the fast noise of one read of ``cells`` while they are at ``g_S`` [S], same shape.

        By the kind of cell and its effects; zero for cells that are stuck off.
        """
        sigma_S = self.fast_noise_S(g_S, cells)
        for effect in self.effects:
            sigma_S = effect.read_sigma_S(sigma_S, g_S)
        return sigma_S if cells.faults is None else sigma_S.masked_fill(cells.faults.off, 0.0)
