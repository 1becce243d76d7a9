"""What the loop on a GPU is made of: converters, matrices, the way of a cell state, and the buffers of one run."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from devices.counters import has_triton
from mappings.network.recurrent_fused import Matrix
from mappings.network.recurrent_kernel import Bank, Layer

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Converters:
    """The converters of a group of columns, ramps or quantisers, on the device.

    ``levels``: ``(chips, ramps, 2^log)``, filled up with not-a-number, or of size 0 where quantisers of ``lsb`` and
    ``half`` codes convert; ``walk_sigma``: ``(chips, ramps, cells)``, or of size 0; ``ramp``, ``group``: of each
    column, int32; ``values``, ``steps``, ``words``: ``(groups, codes)``; ``decisions``, ``walks``: places of their
    noise among the numbers of a step, -1 where they have none.
    """

    levels: torch.Tensor
    thresholds: int
    walk_sigma: torch.Tensor
    ramp: torch.Tensor
    group: torch.Tensor
    values: torch.Tensor
    steps: torch.Tensor
    words: torch.Tensor
    lsb: float
    half: float
    decisions: int
    walks: int

    @classmethod
    def of(cls, bank: Bank, wide: int, device: torch.device) -> Converters:
        """Those of ``wide`` columns, filling ones included."""
        ramp, group = (torch.zeros(wide, dtype=torch.int32) for _ in range(2))
        for number, (first, last, of) in enumerate(bank.columns.tolist()):
            ramp[first:last], group[first:last] = number, of
        levels = torch.from_numpy(bank.levels)
        if levels.numel():
            size = 1 << max(1, bank.thresholds.bit_length())
            levels = torch.nn.functional.pad(
                levels[..., : bank.thresholds], (0, size - bank.thresholds), value=float("nan")
            )
        parts = (levels, torch.from_numpy(bank.walk_sigma), ramp, group, torch.from_numpy(bank.values))
        counted = (torch.from_numpy(one).int() for one in (bank.steps, bank.words))
        levels, sigma, ramp, group, values, steps, words = (one.to(device).contiguous() for one in (*parts, *counted))
        return cls(
            levels, bank.thresholds, sigma, ramp, group, values, steps, words,
            float(bank.lsb), float(bank.half), bank.decisions, bank.walks,
        )  # fmt: skip

    @property
    def log(self) -> int:
        """Comparisons that find a code among the thresholds; 0 for quantisers."""
        return (self.levels.shape[-1]).bit_length() - 1 if self.levels.numel() else 0

    def tables(self, drawn: torch.Tensor) -> torch.Tensor:
        """Thresholds of every conversion, ``(chips, n | 1, steps | 1, ramps, 2^log)``; ``drawn (chips, n, steps, ..)``:
        noise."""
        levels = self.levels[:, None, None]
        if self.walks < 0 or not self.levels.numel():
            return levels
        _, ramps, cells = self.walk_sigma.shape
        if drawn.is_cuda and has_triton():
            from periphery.ramp.rise import rise

            return rise(self.levels, self.walk_sigma, drawn, self.walks, self.thresholds)
        xi = drawn[..., self.walks : self.walks + ramps * cells].unflatten(-1, (ramps, cells))
        walk = (xi.double() * self.walk_sigma[:, None, None]).cumsum(-1)[..., cells - self.thresholds :].float()
        rising = (levels[..., : self.thresholds] + walk).cummax(-1).values
        return torch.nn.functional.pad(rising, (0, levels.shape[-1] - self.thresholds), value=float("nan"))

    def codes(self, seen: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        """Codes of ``seen (chips, n, columns)``, int64; ``table (chips, n | 1, ramps, 2^log)``."""
        if not self.log:
            return (torch.floor(seen / self.lsb + 0.5).clamp(-self.half, self.half - 1.0) + self.half).long()
        chips, n, ramps, size = table.shape
        first = torch.arange(chips * n, device=seen.device).reshape(chips, n, 1) * ramps + self.ramp
        flat, code = table.reshape(-1), torch.zeros(seen.shape, dtype=torch.long, device=seen.device)
        for k in reversed(range(self.log)):
            code += (flat[first * size + code + ((1 << k) - 1)] <= seen).long() << k
        return code

    def looked(self, table: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        """What a ``(groups, codes)`` table holds for the codes of all columns."""
        return table[self.group.long(), codes]


@dataclass(frozen=True)
class Product:
    """One matrix with its converters on the device; ``fed``: its rows that come from a step before.

    ``weights``: ``(chips, rows, wide)``; ``variances``: the same, or of size 0; ``by_row (chips, rows)`` and
    ``by_column (chips, wide)``: where cells differ by row and by column alone, else of size 0; ``shift``, ``floor``:
    ``(chips, wide)``; ``draws``: noise numbers of a step; ``columns``: those that hold something.
    """

    weights: torch.Tensor
    variances: torch.Tensor
    by_row: torch.Tensor
    by_column: torch.Tensor
    shift: torch.Tensor
    floor: torch.Tensor
    settled: torch.Tensor
    converters: Converters
    draws: int
    columns: int

    @classmethod
    def of(cls, matrix: Matrix, draws: int, device: torch.device) -> Product:
        """The matrix that the loop of the CPU was prepared from."""
        by_row, variance = matrix.by_row, matrix.variance
        nothing = torch.empty(0)
        one_product = by_row.numel() > 0
        tensors = (
            matrix.weights,
            nothing if one_product or not variance.numel() else variance,
            by_row if one_product else nothing,
            variance if one_product else nothing,
            matrix.shift,
            matrix.floor,
            nothing if matrix.settled is None else matrix.settled,
        )
        weights, spread, rows, columns, shift, floor, settled = (one.float().to(device).contiguous() for one in tensors)
        ways = Converters.of(matrix.bank, matrix.weights.shape[-1], device)
        return cls(weights, spread, rows, columns, shift, floor, settled, ways, draws, matrix.columns)

    def arrived(self, pulses: torch.Tensor, top: float) -> torch.Tensor:
        """What reaches the word lines for pulses."""
        return self.settled[(pulses + top).long()] if self.settled.numel() else pulses

    def spread(self, x: torch.Tensor, rows: slice) -> torch.Tensor:
        """Variances by read noise of what ``x (chips, n, rows)`` on these rows gives: ``(chips, n, 1 | wide)`` or of
        size 0; one number a vector times ``by_column``."""
        if self.variances.numel():
            return torch.bmm(x.square(), self.variances[:, rows])
        if self.by_row.numel():
            return torch.bmm(x.square(), self.by_row[:, rows, None])
        return x.new_empty(0)

    def seen(
        self, z: torch.Tensor, spread: torch.Tensor, gain: torch.Tensor | None, drawn: torch.Tensor
    ) -> torch.Tensor:
        """What comparators see of ``z (chips, n, wide)``."""
        z = (z if gain is None else z * gain[..., None]) + self.shift[:, None]
        if self.converters.decisions < 0:
            return z
        floor = self.floor[:, None]
        if spread.numel():
            floor = floor + (spread * self.by_column[:, None] if self.by_row.numel() else spread)
        at = self.converters.decisions
        return z + floor.sqrt() * drawn[..., at : at + z.shape[-1]]


@dataclass(frozen=True)
class StateWay:
    """An LSTM's cell state on its way to its tanh, as ``recurrent_kernel.Back``, on the device; ``table`` or the
    rest."""

    converters: Converters
    gain: torch.Tensor
    offset: torch.Tensor
    variance: torch.Tensor
    floor: torch.Tensor
    shift: torch.Tensor
    table: torch.Tensor
    per_clock: float


@dataclass(frozen=True)
class Steps:
    """One run of a layer over its steps: its parts and buffers.

    ``h0``: pulses before the first step, ``c``: stored states, in the end those behind the last step; ``out``: pulses
    of all states, ``(chips, n, steps, outputs)``; ``units``: of what is projected, where that is counted; ``counts``:
    whether what is done is counted, in ``did``.
    """

    layer: Layer
    main: Product
    state: StateWay
    projection: Product | None
    h0: torch.Tensor
    c: torch.Tensor
    out: torch.Tensor
    units: torch.Tensor
    counts: bool
    did: Tensors
