"""The lines of one direction, each solved exactly: preconditioner of the iterative method, and half of its operator.

A line hangs by its end resistance on a source at node 0 and is open at the other end; cells load its nodes. With loads
``D`` and the conductance matrix ``T`` of the bare line, ``(T + D) x = b`` is tridiagonal. All lines of all arrays and
input vectors are solved beside each other, node after node.
"""

from __future__ import annotations

import torch


def pairwise_sum(terms: torch.Tensor, dim: int) -> torch.Tensor:
    """Sum over a dimension by halving it: the order of additions does not depend on what else is in the batch, which
    the library's sums do not promise."""
    while (count := terms.shape[dim]) > 1:
        half = count // 2
        kept = terms.narrow(dim, 0, count - half).clone()
        kept.narrow(dim, 0, half).add_(terms.narrow(dim, count - half, half))
        terms = kept
    return terms.squeeze(dim)


class Lines:
    """Lines with nodes along dimension 0 of ``load (nodes, ...)`` [S], factorised for these loads.

    ``segment_ohm`` is between neighbours, ``segment_ohm + end_ohm`` between node 0 and the source. Without segment
    resistance a line is one node: every entry of a solution holds its voltage, and currents count by their sum alone.
    Without any resistance it stays at its source.
    """

    def __init__(self, load: torch.Tensor, segment_ohm: float, end_ohm: float) -> None:
        self.load = load
        self.ideal = segment_ohm == end_ohm == 0.0
        self.rigid = segment_ohm == 0.0
        self.end_S = 0.0 if self.ideal else 1.0 / (segment_ohm + end_ohm)
        self.segment_S = 0.0 if self.rigid else 1.0 / segment_ohm
        self.inverse: list[torch.Tensor] = []
        if not self.rigid:
            g, last = self.segment_S, load.shape[0] - 1
            for k, load_S in enumerate(load.unbind(0)):
                pivot = load_S + ((self.end_S if k == 0 else g) + (g if k < last else 0.0))
                if k > 0:
                    pivot = pivot - g * g * self.inverse[-1]
                self.inverse.append(pivot.reciprocal())

    def fed(self, source_V: torch.Tensor, current_A: torch.Tensor) -> torch.Tensor:
        """Voltages with sources ``source_V (...)`` and ``current_A (nodes, ...)`` fed into the nodes [V]."""
        if self.ideal:
            return source_V.expand(current_A.shape)
        current_A = current_A.clone()
        current_A[0] += self.end_S * source_V
        return self.solved(current_A)

    def solved(self, current_A: torch.Tensor) -> torch.Tensor:
        """Voltages with all sources at 0 V [V]."""
        if self.ideal:
            return torch.zeros_like(current_A)
        if self.rigid:
            return (pairwise_sum(current_A, 0) / (self.end_S + pairwise_sum(self.load, 0))).expand(current_A.shape)
        g = self.segment_S
        x = list(current_A.unbind(0))
        for k in range(1, len(x)):
            x[k] = torch.addcmul(x[k], self.inverse[k - 1], x[k - 1], value=g)
        x[-1] = x[-1] * self.inverse[-1]
        for k in range(len(x) - 2, -1, -1):
            x[k] = torch.add(x[k], x[k + 1], alpha=g) * self.inverse[k]
        return torch.stack(x)

    def drawn(self, voltage_V: torch.Tensor) -> torch.Tensor:
        """Currents that bare lines draw from their nodes, ``T x`` [A]."""
        current = torch.zeros_like(voltage_V)
        current[0] = self.end_S * voltage_V[0]
        if not self.rigid:
            between = self.segment_S * voltage_V.diff(dim=0)
            current[1:] += between
            current[:-1] -= between
        return current
