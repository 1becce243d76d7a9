"""What a layer is taken to do where nothing was run: assumptions about inputs and weights, from which a cost follows.

Inputs, and weights without values, are taken as normally distributed about zero. Cells are at their targets: the mean
conductance of any encoding follows from a histogram of the weights over the full scale of their tile, whose bins the
encoding turns into cells.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
import torch
from annotated_types import Interval
from numba import njit

from crossbar.wires import ends
from mappings.chip import INPUT_SIZE, WEIGHT_SIZE, normal_quantiles
from mappings.matrix import MappedMatrix
from mappings.step import LayerShape, StepActivity

BINS = 2001  # an odd number: weights of zero are in the middle of a bin
UNIFORM = 32  # cells along a side of a tile of equal cells


@dataclass(frozen=True, kw_only=True)
class Assumed:
    """Means that only a run can measure; all of them are estimates.

    Parameters
    ----------
    input_size : mean size of the inputs, and of a cell state, over full scale [1]
    weight_size : mean size of weights over the largest one of their tile, where they have no values [1]; the largest
        of some 20,000 normally distributed ones is 4 standard deviations
    code_share : steps that a comparator takes until it stops, over all codes [1]
    """

    input_size: Annotated[float, Interval(gt=0.0, le=0.5)] = INPUT_SIZE
    weight_size: Annotated[float, Interval(gt=0.0, le=0.5)] = WEIGHT_SIZE
    code_share: Annotated[float, Interval(gt=0.0, le=1.0)] = 0.5

    def note(self, matrix: MappedMatrix) -> str:
        """The sentence that goes with a cost."""
        weights = "the layer's weights" if matrix.weights.real else f"weights of mean size {self.weight_size:g}"
        return (
            f"no run was observed; assumed (estimates): inputs of mean size {self.input_size:g} of full scale, cells "
            f"at their targets for {weights}, comparators that stop after {self.code_share:g} of the codes"
        )

    def activity(
        self,
        matrix: MappedMatrix,
        shape: LayerShape,
        *,
        passes: int,
        codes: int,
        states: int,
        state_pair_S: float,
        ramp_loss_S: float,
    ) -> StepActivity:
        """One step of ``passes`` products; ``codes``: summed over columns, how many codes a column's sum may become.

        ``states``: cell states that go back to charge, each on a pair of cells of ``state_pair_S`` [S];
        ``ramp_loss_S``: of all ramps [S clocks].
        """
        driver, bits = matrix.chip.driver, shape.bits
        top = torch.tensor([float(driver.top(bits))])
        counts = torch.round(normal_quantiles(self.input_size) * top)
        counts = counts if driver.signed_words else counts.abs()
        pairs = float(driver.paired_clocks(counts, bits)) / (len(counts) - 1)
        charge = float(driver.charge_counts(counts, bits).sum())
        bias = torch.tensor([float(matrix.bias_counts)])
        row_S = self.row_S(matrix) * self.drawn_share(matrix, pairs / charge if charge > 0.0 else 0.0)
        quantum_C = driver.v_read_V * driver.t_clk_s

        def rows(of: Callable[[torch.Tensor, int], torch.Tensor]) -> float:
            """The sum over word lines of what one of them does."""
            mean, biased = float(of(counts, bits).mean()), float(of(bias, bits))
            return passes * (matrix.weights.inputs * mean + matrix.bias_rows * biased)

        conversions = shape.columns * shape.conversions_per_column if shape.linear else 0
        state_clocks = states * float(counts.abs().mean())
        return StepActivity(
            array_charge_C=rows(driver.charge_counts) * row_S * quantum_C,
            row_pulses=rows(driver.pulses),
            row_clocks=rows(driver.driven_clocks),
            gate_compare_steps=self.code_share * codes,
            adc_steps=conversions * self.code_share * 2**shape.code_bits,
            ramp_charge_C=ramp_loss_S * quantum_C,
            state_charge_C=state_clocks * state_pair_S * quantum_C,
            state_pulses=states * float((counts != 0).float().mean()),
            state_clocks=state_clocks,
            state_compare_steps=states * self.code_share * 2**bits,
        )

    def row_S(self, matrix: MappedMatrix) -> float:
        """Mean conductance of all cells on one word line [S]."""
        levels, share = self._levels(matrix)
        cells = matrix.encoded(levels).target_S.double()
        weights = float((cells[..., 0].sum(0) * share).sum())
        references = float(cells[..., 1:].sum((0, 2))[0]) * matrix.grid.column_tiles
        return weights * matrix.columns + references

    def drawn_share(self, matrix: MappedMatrix, together: float) -> float:
        """What drivers supply through the wires of a tile of equal cells, over what they would without wires [1].

        ``together``: share of the other lines that are driven while one is. Neighbouring cells are taken together until
        ``UNIFORM`` are left along either side, with as many segments of line between them.
        """
        wires, tile = matrix.chip.lines, matrix.chip.tile
        if wires is None or wires.ideal:
            return 1.0
        rows, columns = min(tile.rows, matrix.rows), min(tile.columns, matrix.columns)
        lines = columns * matrix.format.planes
        m, n = min(rows, UNIFORM), min(lines, UNIFORM)
        # So many lines in parallel, and so many segments in a row.
        beside, under = rows / m, lines / n
        lumped = replace(
            wires,
            r_word_ohm=wires.r_word_ohm * under / beside,
            r_bit_ohm=wires.r_bit_ohm * beside / under,
            r_driver_ohm=wires.r_driver_ohm / beside,
            r_sense_ohm=wires.r_sense_ohm / under,
        )
        line_S = self.row_S(matrix) * columns / matrix.columns
        found = ends(torch.full((m, n), line_S * rows / (m * n), dtype=torch.float64), lumped)
        return float((found.alone_S - together * found.sunk_S).mean()) * m / (line_S * rows) if line_S > 0.0 else 1.0

    def _levels(self, matrix: MappedMatrix) -> tuple[torch.Tensor, torch.Tensor]:
        """Levels of weights over full scale, and the share of the weights at each."""
        if not matrix.weights.real:
            levels = normal_quantiles(self.weight_size)
            return levels, torch.full((len(levels),), 1.0 / len(levels), dtype=torch.float64)
        half = (BINS - 1) // 2
        per_unit = torch.empty(matrix.columns)
        per_unit[torch.arange(matrix.columns) if matrix.weights.order is None else matrix.weights.order] = (
            half / matrix.full_scale
        )
        found = np.zeros(BINS, dtype=np.int64)
        for block in matrix.weights.blocks:
            _count(block.detach().cpu().float().contiguous().numpy(), per_unit.numpy(), np.float32(half + 0.5), found)
        levels = torch.arange(-half, half + 1) / half
        return levels, torch.from_numpy(found / found.sum())


@njit(nogil=True, cache=True, error_model="numpy")
def _count(weights: Any, per_unit: Any, middle: Any, found: Any) -> None:
    """Add the weights ``(columns, inputs)`` to the bins ``found``; ``per_unit (columns,)``: bins for each unit."""
    columns, inputs = weights.shape
    top = found.shape[0] - 1
    for j in range(columns):
        scale = per_unit[j]
        for i in range(inputs):
            found[min(max(int(weights[j, i] * scale + middle), 0), top)] += 1
