"""Exact effective conductance: blocks of the array joined pairwise until only drivers and sense inputs are left.

A linear network gives ``I = V @ G_eff`` for every input. A block of ``a x b`` cells acts on the rest of the array
by the conductance matrix ``A`` of its ports alone: where word lines enter on the left (``L``) and leave on the right
(``R``), where bit lines enter at the top (``T``) and leave at the bottom (``B``). Two neighbours are joined by tying
together the ports they share and eliminating them,

    A <- A - C K^-1 C^T        K: conductance matrix of the shared nodes;  C: what ties them to the other ports

which is block elimination in the order of nested dissection: about ``100 n^3`` operations on an ``n x n`` array, where
elimination row by row takes ``2 n^4``. All blocks of one size, on all tiles and chips, are one batch. At the end
``G_eff = -A[L, B]``, and ``A[L, L]`` is what the drivers see, ``I_drivers = V @ A[L, L]``. Every step adds numbers of
one sign to the entries off the diagonal, so that small currents keep their relative accuracy. A line without resistance
is a single node: there, joining adds, and nothing is eliminated.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from crossbar.wires.model import Ends, Wires

# Cells whose blocks are in memory at once: what fits into a cache, or what fills a GPU at some 2 kB a cell.
CHUNK_CELLS = {"cpu": 1 << 14, "cuda": 1 << 21}
ORDER = "LTBR"


class Blocks(NamedTuple):
    """Conductance matrices ``(arrays, rows of blocks, columns of blocks, ports, ports)`` [S], and the number of ports
    on each side, in the order ``L, T, B, R``; a line without resistance has no ``R`` or no ``T``."""

    matrix: torch.Tensor
    ports: dict[str, int]

    def spans(self) -> dict[str, slice]:
        """Position of the ports of each side."""
        end, spans = 0, {}
        for side, count in self.ports.items():
            spans[side] = slice(end, end := end + count)
        return spans


def effective_conductance(g_S: torch.Tensor, wires: Wires) -> torch.Tensor:
    """Matrix ``G_eff`` with ``I = V @ G_eff`` for every input, of arrays ``(..., m, n)`` [S], same shape and type.

    Computed in double precision; differentiable in ``g_S``. Raises ValueError for conductances that are negative or not
    finite.
    """
    return g_S if wires.ideal and _checked(g_S) else ends(g_S, wires).columns_S


def ends(g_S: torch.Tensor, wires: Wires) -> Ends:
    """The same matrix with the loads of the drivers, of arrays ``(..., m, n)`` [S]; raises as it does."""
    _checked(g_S)
    m, n = g_S.shape[-2:]
    if wires.ideal or g_S.numel() == 0:
        return Ends(g_S, g_S.sum(-1), torch.zeros_like(g_S[..., 0]))
    arrays = wires.turned(g_S).to(torch.float64).reshape(-1, m, n)
    at_once = max(CHUNK_CELLS.get(g_S.device.type, CHUNK_CELLS["cpu"]) // (m * n), 1)
    columns, drivers = zip(*(_folded(some, wires) for some in arrays.split(at_once)), strict=True)
    effective = wires.turned(torch.cat(columns).reshape(g_S.shape))
    alone = torch.cat(drivers).reshape(*g_S.shape[:-2], m)
    alone = alone.flip(-1) if wires.sense == "top" else alone
    # What one line alone draws reaches the sense inputs or is sunk by other lines.
    return Ends(*(each.to(g_S.dtype) for each in (effective, alone, alone - effective.sum(-1))))


def _checked(g_S: torch.Tensor) -> bool:
    if not bool(((g_S >= 0.0) & (g_S < torch.inf)).all()):
        raise ValueError("conductances of an array with wires must be finite and at least 0 S")
    return True


def _folded(g: torch.Tensor, wires: Wires) -> tuple[torch.Tensor, torch.Tensor]:
    """``G_eff`` and the diagonal of the drivers' matrix, of arrays ``(arrays, m, n)`` with drivers on the left and
    sense inputs at the bottom."""
    m, n = g.shape[-2:]
    # Cells without conductance at the open ends change nothing.
    blocks = _cells(torch.nn.functional.pad(g, (0, _even(n) - n, _even(m) - m, 0)), wires)
    height = width = 1
    while (grid := blocks.matrix.shape[1:3]) != (1, 1):
        across = grid[1] > 1 and (width <= height or grid[0] == 1)
        count = grid[1] if across else grid[0]
        step = 2 if count % 2 == 0 else 3
        blocks = _reduced(blocks, across, step, last=count == step)
        height, width = (height, width * step) if across else (height * step, width)
    for side in "RT":
        blocks = _opened(blocks, side)
    effective, drivers = _terminated(blocks, wires)
    return effective[:, -m:, :n], drivers.diagonal(dim1=-2, dim2=-1)[:, -m:]


def _even(count: int) -> int:
    """The smallest number of the form ``2^p 3^q`` from ``count`` on."""
    threes = (int(3**power) for power in range(count.bit_length() + 1))
    return min(three << (-(-count // three) - 1).bit_length() for three in threes)


def _cells(g: torch.Tensor, wires: Wires) -> Blocks:
    """Single cells, each with the segment to the left of its word node and the segment below its bit node.

    The outermost segments hold the resistance of the driver and of the sense input.
    """
    word, bit = "R" if wires.r_word_ohm else "L", "T" if wires.r_bit_ohm else "B"
    edges = {frozenset((word, bit)): g}
    if wires.r_word_ohm:
        r = g.new_full(g.shape[-1:], wires.r_word_ohm)
        r[0] += wires.r_driver_ohm
        edges[frozenset("LR")] = r.reciprocal().expand(g.shape)
    if wires.r_bit_ohm:
        r = g.new_full(g.shape[-2:-1], wires.r_bit_ohm)
        r[-1] += wires.r_sense_ohm
        edges[frozenset("TB")] = r.reciprocal()[:, None].expand(g.shape)
    sides = [side for side in ORDER if side in {"L", "B", word, bit}]
    none = torch.zeros_like(g)
    entries = []
    for one in sides:
        total = sum((conductance for edge, conductance in edges.items() if one in edge), none)
        entries += [total if other == one else -edges.get(frozenset((one, other)), none) for other in sides]
    matrix = torch.stack(entries, -1).reshape(*g.shape, len(sides), len(sides))
    return Blocks(matrix, dict.fromkeys(sides, 1))


def _reduced(blocks: Blocks, across: bool, step: int, *, last: bool) -> Blocks:
    """Every ``step`` neighbours of a row (``across``) or of a column of blocks joined.

    ``last``: they are all, so that the block at the open ends of the lines loses those ports first.
    """
    members = [
        Blocks(blocks.matrix[:, :, k::step] if across else blocks.matrix[:, k::step], blocks.ports) for k in range(step)
    ]
    if last and across:
        members[-1] = _opened(members[-1], "R")
    elif last:
        members[0] = _opened(members[0], "T")
    whole, *others = members
    for other in others:
        whole = _joined(whole, other, across)
    return whole


def _joined(first: Blocks, second: Blocks, across: bool) -> Blocks:
    """``second`` joined to the right (``across``) or to the bottom of ``first``."""
    entry, leaving = ("L", "R") if across else ("T", "B")
    tied = "R" in first.ports if across else "T" in second.ports
    blocks = (first, second)
    spans = (first.spans(), second.spans())
    shared = (leaving, entry) if tied else ("", "")
    placed: tuple[dict[str, slice], dict[str, slice]] = ({}, {})
    ports: dict[str, int] = {}
    end = 0
    for side in ORDER:
        start = end
        for one in (0, 1):
            if side in blocks[one].ports and side != shared[one]:
                begin = start if not tied and side == ("L" if across else "B") else end
                placed[one][side] = slice(begin, begin + blocks[one].ports[side])
                end = max(end, placed[one][side].stop)
        if end > start:
            ports[side] = end - start
    matrix = first.matrix.new_zeros(*first.matrix.shape[:-2], end, end)
    for block, span, target_of in zip(blocks, spans, placed, strict=True):
        for row, rows in target_of.items():
            for column, columns in target_of.items():
                target, part = matrix[..., rows, columns], block.matrix[..., span[row], span[column]]
                target.copy_(part) if tied else target.add_(part)
    if tied:
        ties = first.matrix.new_zeros(*matrix.shape[:-1], first.ports[leaving])
        for block, span, target_of, side in zip(blocks, spans, placed, shared, strict=True):
            for row, rows in target_of.items():
                ties[..., rows, :] = block.matrix[..., span[row], span[side]]
        out, into = spans[0][leaving], spans[1][entry]
        matrix = _eliminated(matrix, first.matrix[..., out, out] + second.matrix[..., into, into], ties)
    return Blocks(matrix, ports)


def _eliminated(matrix: torch.Tensor, inner: torch.Tensor, ties: torch.Tensor) -> torch.Tensor:
    """``matrix - ties inner^-1 ties^T``, written over ``matrix``."""
    if inner.shape[-1] == 1:
        half = ties / inner.sqrt()
    else:
        factor = torch.linalg.cholesky(inner)
        half = torch.linalg.solve_triangular(factor, ties.mT, upper=False).mT
    half = half.reshape(-1, *half.shape[-2:])
    return matrix.view(-1, *matrix.shape[-2:]).baddbmm_(half, half.mT, alpha=-1).view(matrix.shape)


def _opened(blocks: Blocks, side: str) -> Blocks:
    """Blocks at the open ends of lines, without the ports there."""
    if side not in blocks.ports:
        return blocks
    end = blocks.spans()[side]
    keep = [k for k in range(blocks.matrix.shape[-1]) if not end.start <= k < end.stop]
    kept = torch.tensor(keep, device=blocks.matrix.device)
    rows = blocks.matrix.index_select(-2, kept)
    matrix = _eliminated(rows.index_select(-1, kept), blocks.matrix[..., end, end], rows[..., end])
    return Blocks(matrix, {other: count for other, count in blocks.ports.items() if other != side})


def _terminated(blocks: Blocks, wires: Wires) -> tuple[torch.Tensor, torch.Tensor]:
    """Drivers and sense inputs put to the ports ``L`` and ``B`` that are left, where no segment holds their
    resistance yet: ``G_eff`` of ``(arrays, rows, columns)`` and the drivers' matrix."""
    matrix, spans = blocks.matrix[:, 0, 0], blocks.spans()
    left, bottom = spans["L"], spans["B"]
    effective = -matrix[:, left, bottom]
    left_S = matrix[:, left, left]
    if wires.r_bit_ohm == 0.0 and wires.r_sense_ohm > 0.0:
        at_ends = torch.eye(blocks.ports["B"]).to(matrix) + wires.r_sense_ohm * matrix[:, bottom, bottom]
        loaded = torch.linalg.solve(at_ends, effective, left=False)
        left_S = left_S - wires.r_sense_ohm * loaded @ effective.mT
        effective = loaded
    if wires.r_word_ohm == 0.0 and wires.r_driver_ohm > 0.0:
        at_ends = torch.eye(blocks.ports["L"]).to(matrix) + wires.r_driver_ohm * left_S
        effective = torch.linalg.solve(at_ends, effective)
        left_S = torch.linalg.solve(at_ends, left_S)
    return effective, left_S
