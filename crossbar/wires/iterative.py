"""Currents of an array with wires, input by input: for nonlinear cells and for rows that are gated off.

Cells carry ``I = c_1 U + c_2 U^2 + ...`` (odd in U) at the voltage ``U = W - B`` between word node and bit node.
Newton's method replaces them by a conductance ``D = dI/dU`` beside a current source. What is left is linear: the word
lines are eliminated exactly, each being tridiagonal, and conjugate gradients find the bit nodes from

    (T_b + D - D (T_w + D)^-1 D) B = b                 T_w, T_b: conductance matrices of the bare lines

preconditioned by the exact solution of every bit line, ``(T_b + D)^-1``. Eigenvalues are between ``1 - s^2`` and 1,
with ``s`` about ``1 / (1 + pi^2 / 4 kappa)``: a handful of iterations. What does not settle is an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from crossbar.wires.line import Lines, pairwise_sum
from crossbar.wires.model import Wires

# Cells times input vectors that are solved at once, at some 200 bytes each.
CHUNK_CELLS = {"cpu": 1 << 19, "cuda": 1 << 24}
NEWTON_STEPS = 40


class NotConvergedError(ArithmeticError):
    """An iteration that did not reach its tolerance."""


@dataclass(frozen=True)
class Solved:
    """Column currents and their accuracy.

    ``current_A``: shape ``(..., batch, n)``; ``driver_A``: what the drivers of the word lines supply, ``(..., batch,
    m)``; ``iterations``: of conjugate gradients, over all Newton steps of the
    slowest vector; ``newton_steps``: linearisations of the slowest vector; ``residual``: the largest current that is
    lost between cells and sense input of a column, over the sum of its cells' currents by amount [1].
    """

    current_A: torch.Tensor
    driver_A: torch.Tensor
    iterations: int
    newton_steps: int
    residual: float


@torch.no_grad()
def solve(
    v_V: torch.Tensor,
    coefficients: Sequence[torch.Tensor],
    wires: Wires,
    *,
    tolerance: float = 1e-10,
    max_iterations: int = 200,
) -> Solved:
    """Column currents of input vectors ``v_V (..., batch, m)`` [V].

    ``coefficients``: ``c_1, c_2, ...`` of the cells, ``(..., m, n)`` each, as ``Device.current_coefficients`` gives
    them; leading dimensions broadcast against those of ``v_V``. ``tolerance`` bounds the residual. With
    ``wires.unselected = "floating"`` the cells of a row whose input is exactly 0 V carry no current.

    Raises NotConvergedError where ``max_iterations`` of conjugate gradients (a Newton step) or 40 Newton steps do not
    reach the tolerance, and ValueError where a cell's current falls with rising voltage, an input is not finite, or a
    gradient is asked for.
    """
    if any(tensor.requires_grad for tensor in (v_V, *coefficients)):
        raise ValueError("method 'iterative' has no gradient: use 'exact' or 'alpha_beta', or detach its inputs")
    m, n = coefficients[0].shape[-2:]
    lead = torch.broadcast_shapes(v_V.shape[:-2], *(c.shape[:-2] for c in coefficients))
    batch = v_V.shape[-2]
    inputs = v_V.to(torch.float64).expand(*lead, batch, m).reshape(-1, m)
    cells = [c.to(torch.float64).expand(*lead, m, n).reshape(-1, m, n) for c in coefficients]
    if not all(bool(tensor.isfinite().all()) for tensor in (inputs, *cells)):
        raise ValueError("inputs and cells of an array with wires must be finite")
    current, supplied = inputs.new_empty(inputs.shape[0], n), torch.empty_like(inputs)
    iterations = steps = 0
    residual = 0.0
    at_once = max(CHUNK_CELLS.get(inputs.device.type, CHUNK_CELLS["cpu"]) // (m * n), 1)
    for some in torch.arange(inputs.shape[0], device=inputs.device).split(at_once):
        network = _Network(inputs[some], [c[some // batch] for c in cells], wires, tolerance, max_iterations)
        current[some], supplied[some] = network.settled()
        iterations, steps = max(iterations, network.iterations), max(steps, network.steps)
        residual = max(residual, network.residual)
    found = (current.reshape(*lead, batch, n), supplied.reshape(*lead, batch, m))
    return Solved(found[0].to(v_V.dtype), found[1].to(v_V.dtype), iterations, steps, residual)


class _Network:
    """Arrays with one input vector each.

    Bit nodes and cells are laid out ``(m, vectors, n)`` with the sense inputs at row 0, word nodes ``(n, vectors, m)``
    with the drivers at column 0, so that either kind of line runs along dimension 0.
    """

    def __init__(
        self, v_V: torch.Tensor, cells: list[torch.Tensor], wires: Wires, tolerance: float, max_iterations: int
    ) -> None:
        self.wires, self.tolerance, self.max_iterations = wires, tolerance, max_iterations
        self.iterations = self.steps = 0
        self.residual = 0.0
        below = wires.sense == "bottom"
        self.v = v_V.flip(-1) if below else v_V
        sides = [-2] * below + [-1] * (wires.driver == "right")
        driven = (self.v != 0.0).T[..., None] if wires.unselected == "floating" else 1.0
        self.cells = [c.flip(sides).transpose(0, 1) * driven for c in cells]

    def settled(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Currents of columns ``(vectors, n)`` and of drivers ``(vectors, m)`` [A]."""
        voltage = self.v.T[..., None].expand(self.cells[0].shape)
        bit = torch.zeros_like(voltage)
        current, slope = self._cells_at(voltage)
        accuracy = torch.full_like(self.v[:, 0], 0.1 * self.tolerance if len(self.cells) == 1 else 1e-3)
        open_ = torch.ones_like(accuracy, dtype=torch.bool)
        arriving = torch.zeros_like(bit[0])
        while True:
            self.steps += 1
            step = _Linearised(self, current - slope * voltage, slope.clamp(min=0.0))
            bit = torch.where(open_[:, None], step.bit_V(bit, accuracy, open_), bit)
            across, through, out = step.result(bit)
            voltage = torch.where(open_[:, None], across, voltage)
            current, slope = self._cells_at(voltage)
            lost = pairwise_sum(through, 0) - out
            lost = (lost.abs() + pairwise_sum((current - through).abs(), 0)).amax(-1)
            whole = pairwise_sum(current.abs(), 0).amax(-1)
            residual = torch.where(whole > 0.0, lost / whole, lost)
            arriving = torch.where(open_[:, None], out, arriving)
            closed = open_ & (residual <= self.tolerance)
            self.residual = max(self.residual, float((residual * closed).amax()))
            open_ = open_ & ~closed
            if self.steps == NEWTON_STEPS or not bool(open_.any()):
                break
            accuracy = (0.01 * residual).clamp(0.1 * self.tolerance, 1e-3)
        if bool((slope < 0.0).any()):
            worst = float(voltage.abs()[slope < 0.0].min())
            raise ValueError(
                f"the current of a cell falls with rising voltage at {worst:.3g} V, where an array with wires has no "
                "single solution: keep inputs below it"
            )
        if bool(open_.any()):
            raise NotConvergedError(
                f"the cells of an array with wires did not settle in {NEWTON_STEPS} Newton steps: "
                f"{float(residual[open_].amax()):.2g} of a column's current is unaccounted for, above the tolerance "
                f"{self.tolerance:g}"
            )
        supplied = pairwise_sum(_turned(current), 0)
        return (
            arriving.flip(-1) if self.wires.driver == "right" else arriving,
            supplied.flip(-1) if self.wires.sense == "bottom" else supplied,
        )

    def _cells_at(self, voltage: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Current [A] and its slope [S] of cells at ``voltage``."""
        size = voltage.abs()
        current, slope = torch.zeros_like(size), torch.zeros_like(size)
        for power in range(len(self.cells), 0, -1):
            coefficient = self.cells[power - 1]
            current = (current + coefficient) * size
            slope = slope * size + power * coefficient
        return current * voltage.sign(), slope


class _Linearised:
    """One Newton step: cells as conductances ``slope_S`` beside current sources ``offset_A``."""

    def __init__(self, network: _Network, offset_A: torch.Tensor, slope_S: torch.Tensor) -> None:
        wires = network.wires
        self.network, self.offset, self.slope = network, offset_A, slope_S
        self.bits = Lines(slope_S, wires.r_bit_ohm, wires.r_sense_ohm)
        self.words = Lines(_turned(slope_S), wires.r_word_ohm, wires.r_driver_ohm)

    def word_V(self, bit_V: torch.Tensor) -> torch.Tensor:
        """Word nodes under these bit nodes, laid out as they."""
        return _turned(self.words.fed(self.network.v, _turned(self.slope * bit_V - self.offset)))

    def bit_V(self, start_V: torch.Tensor, accuracy: torch.Tensor, open_: torch.Tensor) -> torch.Tensor:
        """Bit nodes by conjugate gradients, to ``accuracy`` of the voltages that currents of one sign would leave.

        Vectors that are not ``open_`` keep ``start_V``.
        """
        bit = start_V
        drive = self.slope * self.word_V(torch.zeros_like(bit)) + self.offset
        scale = self.bits.solved(drive.abs())
        rest = drive - self._applied(bit)
        direction = ahead = self.bits.solved(rest)
        product = _per_vector(rest * ahead)
        for _ in range(self.network.max_iterations + 1):
            near = ahead[0].abs().amax(-1) <= accuracy * scale[0].amax(-1)
            everywhere = ahead.abs().amax((0, 2)) <= accuracy * scale.amax((0, 2))
            open_ = open_ & ~(near & everywhere)
            if not bool(open_.any()):
                return bit
            self.network.iterations += 1
            applied = self._applied(direction)
            along = _ratio(product, _per_vector(direction * applied), open_)
            bit = bit + along * direction
            rest = rest - along * applied
            ahead = self.bits.solved(rest)
            product, before = _per_vector(rest * ahead), product
            direction = ahead + _ratio(product, before, open_) * direction
        raise NotConvergedError(
            f"the wires of an array did not settle in {self.network.max_iterations} iterations of conjugate gradients: "
            "raise max_iterations, or use method 'exact' where cells are linear"
        )

    def result(self, bit_V: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Voltages across cells [V], currents through them by this linearisation [A], and what arrives at the sense
        inputs [A]."""
        across = self.word_V(bit_V) - bit_V
        through = self.offset + self.slope * across
        return across, through, pairwise_sum(through, 0) if self.bits.ideal else self.bits.end_S * bit_V[0]

    def _applied(self, bit_V: torch.Tensor) -> torch.Tensor:
        """``(T_b + D - D (T_w + D)^-1 D) B``."""
        drawn = self.slope * bit_V
        return self.bits.drawn(bit_V) + drawn - self.slope * _turned(self.words.solved(_turned(drawn)))


def _per_vector(terms: torch.Tensor) -> torch.Tensor:
    """Sum over all nodes of each vector."""
    return pairwise_sum(pairwise_sum(terms, 0), -1)


def _turned(nodes: torch.Tensor) -> torch.Tensor:
    """``(m, vectors, n)`` to ``(n, vectors, m)`` and back."""
    return nodes.transpose(0, 2).contiguous()


def _ratio(over: torch.Tensor, under: torch.Tensor, where: torch.Tensor) -> torch.Tensor:
    """``over / under`` of the vectors ``where``, 0 of the others, as a factor for nodes."""
    return torch.where(where & (under > 0.0), over / under, torch.zeros_like(over))[:, None]
