"""A limited number of conductance levels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge, Interval

from devices.effects.effect import Effect, Window


@dataclass(frozen=True, kw_only=True)
class DiscreteLevels(Effect):
    """Targets snap to the nearest of a few conductances: ``count`` of them evenly from ``g_min`` to ``g_max``, or those
    listed.

    What was asked for stays in ``Cells.asked_S``, and what snapping took is ``Cells.quantisation_S``: of variance
    ``step^2 / 12`` for targets spread evenly. Gradients pass as if nothing snapped (straight through).

    Parameters
    ----------
    count : number of levels, evenly spaced in conductance [1]
    values_S : levels in ascending order, in place of ``count`` [S]
    """

    kind: Literal["levels"] = "levels"
    stage: ClassVar[str] = "aim"

    count: Annotated[int, Interval(ge=2, le=65_536)] = 16
    values_S: tuple[Annotated[float, Ge(0.0)], ...] | None = None

    def __post_init__(self) -> None:
        values = self.values_S
        if values is not None and (len(values) < 2 or list(values) != sorted(set(values))):
            raise ValueError(f"values_S must hold at least two levels in ascending order (got {list(values)})")

    def check(self, window: Window) -> None:
        """Listed levels must lie in the device's range."""
        if self.values_S and not window.g_min_S <= self.values_S[0] <= self.values_S[-1] <= window.g_max_S:
            raise ValueError(
                f"values_S must lie in [{window.g_min_S:g}, {window.g_max_S:g}] S "
                f"(got {self.values_S[0]:g} to {self.values_S[-1]:g} S)"
            )

    def levels_S(self, window: Window) -> torch.Tensor:
        """All levels, float64 [S]."""
        if self.values_S is not None:
            return torch.tensor(self.values_S, dtype=torch.float64)
        return torch.linspace(window.g_min_S, window.g_max_S, self.count, dtype=torch.float64)

    def aimed_S(self, target_S: torch.Tensor, window: Window) -> torch.Tensor:
        """The nearest level of each target [S]."""
        levels = self.levels_S(window).to(target_S.device)
        asked = target_S.detach()
        nearest = torch.bucketize(asked.double(), 0.5 * (levels[:-1] + levels[1:]))
        return levels[nearest].to(target_S.dtype) + (target_S - asked)
