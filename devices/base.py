"""One memory cell: what is stored when a conductance is asked for, and how that value moves with time.

A device answers four questions, each a pure function of tensors in siemens and seconds:

- ``program``: a target conductance goes in, a cell comes out that will keep its identity (its error, its drift
  exponent, its defects) for as long as it is read;
- ``conductance_S``: the conductance of those same cells at a time after programming, slow noise included; asked twice
  for the same time, it gives the same answer;
- ``read_sigma_S``: the standard deviation of the fast noise, drawn anew at every read by whoever reads;
- ``g_min_S`` and ``g_max_S``: the range in which targets may lie.

The current at a voltage is ``I = G V`` unless a device says otherwise, as a polynomial in V whose coefficients follow
from G: so a product on nonlinear cells is a few matrix products, and never a loop over cells.

Adding a device means one file with one frozen dataclass, one line in ``devices.DEVICES`` and one YAML record.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import torch
from annotated_types import Ge, Gt, Interval

from devices.streams import ChipStreams

Rate = Annotated[float, Interval(ge=0.0, le=1.0)]


@dataclass(frozen=True)
class Cells:
    """Cells as they left programming. All tensors have shape ``(chips, ...)``.

    ``programmed_S`` is the conductance at programming time; ``state`` holds what else a device keeps per cell, such as
    its drift exponent; ``slow`` is the stream from which the slow noise of these cells unfolds.
    """

    target_S: torch.Tensor
    programmed_S: torch.Tensor
    state: dict[str, torch.Tensor] = field(default_factory=dict)
    slow: ChipStreams | None = None
    stuck: torch.Tensor | None = None
    stuck_S: torch.Tensor | None = None

    @property
    def shape(self) -> torch.Size:
        """Shape ``(chips, ...)`` of the batch of cells."""
        return self.programmed_S.shape


@dataclass(frozen=True, kw_only=True)
class Device:
    """What every kind of cell has: a range, a fast read noise, and cells that do not work.

    Parameters
    ----------
    g_min_S, g_max_S : range of targets [S]
    read_noise_S : standard deviation of the fast read noise of one read, independent of the state [S]
    stuck_off_rate, stuck_on_rate : share of cells that stay at zero or at ``g_max_S`` whatever is programmed [1]
    status : how the numbers are known: published, stand-in, estimate, ideal or generic
    source : where they are from
    """

    description: str = ""
    source: str = ""
    status: str = "generic"
    cite: tuple[str, ...] = ()
    g_min_S: Annotated[float, Ge(0.0)]
    g_max_S: Annotated[float, Gt(0.0)]
    read_noise_S: Annotated[float, Ge(0.0)] = 0.0
    stuck_off_rate: Rate = 0.0
    stuck_on_rate: Rate = 0.0

    def __post_init__(self) -> None:
        if self.g_min_S >= self.g_max_S:
            raise ValueError(f"g_min_S must be below g_max_S = {self.g_max_S:g} (got {self.g_min_S:g})")
        if self.stuck_off_rate + self.stuck_on_rate > 1.0:
            raise ValueError("stuck_off_rate + stuck_on_rate must not exceed 1")

    @property
    def drifts(self) -> bool:
        """Whether working cells change after programming."""
        return False

    def programming_sigma_S(self, target_S: torch.Tensor) -> torch.Tensor:
        """Standard deviation of the programming error at a target [S], same shape."""
        return torch.zeros_like(target_S)

    def cell_state(self, target_S: torch.Tensor, *, rng: ChipStreams) -> dict[str, torch.Tensor]:
        """What else is drawn once per cell; ``target_S`` has shape ``(chips, ...)``."""
        return {}

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

    def program(self, target_S: torch.Tensor, *, rng: ChipStreams) -> Cells:
        """Program one batch of chips.

        ``target_S`` has shape ``(1, ...)`` (the same targets on every chip) or ``(chips, ...)``, ``chips = len(rng)``.
        Raises ValueError for targets outside ``[g_min_S, g_max_S]``: encodings clip, and say so.
        """
        target = target_S.expand(len(rng), *target_S.shape[1:])
        low, high = float(target.min()), float(target.max())
        slack = 1e-6 * self.g_max_S
        if not (self.g_min_S - slack <= low and high <= self.g_max_S + slack):
            raise ValueError(f"targets must lie in [{self.g_min_S:g}, {self.g_max_S:g}] S (got [{low:g}, {high:g}] S)")
        shape = target.shape[1:]
        error = rng.child("error").normal(shape, dtype=target.dtype, device=target.device)
        programmed = (target + self.programming_sigma_S(target) * error).clamp_min_(0.0)
        stuck = stuck_S = None
        if self.stuck_off_rate + self.stuck_on_rate > 0.0:
            draw = rng.child("stuck").uniform(shape, dtype=target.dtype, device=target.device)
            on = draw >= 1.0 - self.stuck_on_rate
            stuck = on | (draw < self.stuck_off_rate)
            stuck_S = on * self.g_max_S
            programmed = torch.where(stuck, stuck_S.to(target.dtype), programmed)
        return Cells(target, programmed, self.cell_state(target, rng=rng), rng.child("slow"), stuck, stuck_S)

    def conductance_S(self, cells: Cells, t_s: float) -> torch.Tensor:
        """Conductance of these cells at ``t_s`` seconds after programming [S], shape of ``cells``.

        Raises ValueError for a negative time.
        """
        if not t_s >= 0.0:
            raise ValueError(f"t_s must be at least 0 (got {t_s})")
        g = self.evolve_S(cells, t_s)
        if cells.stuck is not None and cells.stuck_S is not None:
            g = torch.where(cells.stuck, cells.stuck_S.to(g.dtype), g)
        return g

    def read_sigma_S(self, g_S: torch.Tensor) -> torch.Tensor:
        """Standard deviation of the fast noise of one read at conductance ``g_S`` [S], same shape."""
        return torch.full_like(g_S, self.read_noise_S)
