"""Digital steps between layers: what they compute on words, and the adders and registers that they need."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Annotated

import torch
from annotated_types import Ge

from mappings.actions import ActionLedger, Actions
from mappings.chip import Chip


@dataclass(frozen=True)
class MeanOfLast:
    """The mean of the words of the last ``steps`` steps of a sequence, rounded to whole counts."""

    steps: Annotated[int, Ge(1)] = 1

    def apply(self, words: torch.Tensor) -> torch.Tensor:
        """``(chips, n, steps, values)`` to ``(chips, n, values)``.

        Raises ValueError for what is no sequence, and for one of fewer steps than the mean is over.
        """
        if words.dim() != 4:
            raise ValueError(f"a mean over steps takes (chips, n, steps, values) (got shape {tuple(words.shape)})")
        if words.shape[2] < self.steps:
            raise ValueError(f"a mean over the last {self.steps} steps needs as many (got {words.shape[2]})")
        return torch.round(words[..., -self.steps :, :].sum(dim=-2) / self.steps)

    def counted(self, actions: Actions, values: int, chip: Chip) -> Actions:
        """What the layer behind it does, with the sums of so many ``values``; a single step needs none.

        The additions fit in the time of the steps, and the division by ``steps`` is part of the scale of the weights
        behind it: neither takes time of its own.
        """
        if self.steps == 1:
            return actions
        width = chip.bits + math.ceil(math.log2(self.steps))
        ledger = ActionLedger(actions.actions[0].layer)
        ledger.act("adder", "add_bit", values * (self.steps - 1) * width)
        ledger.act("register", "write_bit", values * self.steps * width)
        ledger.need("adder", chip.lanes * width)
        ledger.need("register", values * width)
        mean = ledger.close()
        return replace(
            actions,
            actions=(*actions.actions, *mean.actions),
            instances=(*actions.instances, *mean.instances),
        )
