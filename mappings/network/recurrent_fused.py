"""A recurrent layer prepared for the compiled loop over its steps, and run there on all threads.

Everything that a step-by-step run (``mappings.network.recurrent_run``) does to a column before its comparator is
affine, with Gaussian noise: mirrors, trims, the reference's drift compensation, offsets and floors of noise are folded
into the matrices and into one shift and one variance a column. Codes are those of the step-by-step run, except where
the last bit of a product's sum moves a tie; noise has the same moments from other streams.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from devices import BlockNoise
from mappings.activity import Activity
from mappings.chip import Chip
from mappings.columns import ColumnGroup, ColumnsRead, Conversion
from mappings.network.actions import RecurrentShape
from mappings.network.layer import StateRead
from mappings.network.recurrent_kernel import (
    ADC_STEPS,
    DRAWN,
    GATE_STEPS,
    GRU,
    LSTM,
    RNN,
    SAMPLES,
    SEVERAL,
    STATE_CLOCKS,
    STATE_PULSES,
    STATE_STEPS,
    Back,
    Bank,
    Layer,
    Sums,
    Work,
    run,
)
from mappings.panel_product import PANEL, TOGETHER, panels
from periphery import LookUpConverter, RampConversion
from periphery.drivers.base import full_scale

CELLS = {"lstm": LSTM, "gru": GRU, "rnn": RNN, "rnn_relu": RNN}
EMPTY = torch.empty(0)
SHARES = 2  # of a thread, so that none waits long for another


@dataclass(frozen=True)
class Matrix:
    """A matrix and the converters of its columns, folded together; columns are numbered with what fills up panels.

    ``weights``: ``(chips, rows, wide)``; ``variance``: the same or, with ``by_row (chips, rows)``, ``(chips, wide)``;
    both of size 0 without read noise; ``shift``, ``floor``: ``(chips, wide)``; ``settled``: what arrives of pulses, or
    None; ``starts``: of each group's panels, and the end of the last; ``columns``: those that hold something;
    ``draws``: noise numbers of a step.
    """

    weights: torch.Tensor
    variance: torch.Tensor
    by_row: torch.Tensor
    shift: torch.Tensor
    floor: torch.Tensor
    settled: torch.Tensor | None
    starts: NDArray[np.int64]
    bank: Bank
    columns: int
    draws: int

    @classmethod
    def of(cls, columns: ColumnsRead, chips: int) -> Matrix | None:
        """The matrix prepared, or None where a part of it works in a way that a loop does not know.

        It knows charge that adds up to whole sums under pulses that are exactly as wide as asked for, and converters
        that are ramps, or ideal quantisers with a table.
        """
        matrix, conversions, groups = columns.matrix, columns.conversions, columns.groups
        part = matrix.parts[0]
        if (
            len(matrix.parts) > 1
            or not (matrix.driver.exact and matrix.driver.pulse_widths)
            or matrix.driver.digital_accumulation
            or part.range != 1.0
            or part.array.higher
            or part.array.common_S2 is not None
            or part.array.difference_S.device.type != "cpu"
            or not (_ramps(conversions) or (_tables(conversions) and columns.trims[0] is None))
        ):
            return None
        scale, shift, sigma2 = _folded(columns, chips)
        weights = _in_panels(part.array.difference_S * scale, groups)
        floor = torch.zeros_like(shift) if part.front_end.white_z2 is None else part.front_end.white_z2[:, None]
        floor = floor * scale.square() + sigma2
        if part.front_end.offset_z is not None:
            shift = shift + part.front_end.offset_z[:, None] * scale
        variance, by_row = EMPTY.expand(chips, 0), EMPTY.expand(chips, 0)
        if part.array.variance_S2 is not None:
            whole = _in_panels(part.array.variance_S2 * scale.square(), groups)
            by_row, by_column = whole.mean(dim=2), whole.mean(dim=1)
            variance = by_column / by_row.mean(dim=1, keepdim=True)
            if not torch.allclose(by_row[:, :, None] * variance[:, None], whole, rtol=1e-5, atol=0.0):
                variance, by_row = whole, EMPTY.expand(chips, 0)
        starts = np.cumsum([0, *(-(-(group.last - group.first) // PANEL) * PANEL for group in groups)])
        noisy = part.array.variance_S2 is not None or bool((floor > 0.0).any())
        bank, draws = _bank(conversions, groups, starts, chips, 0, noisy=noisy)
        shift, floor = (_in_panels(one, groups)[:, 0] for one in (shift, floor))
        held = sum(group.last - group.first for group in groups)
        return cls(weights, variance, by_row, shift, floor, matrix.settled, starts, bank, held, draws)

    @property
    def sums(self) -> Sums:
        """The matrix as the compiled loop takes it."""
        variance = panels(self.variance) if self.variance.dim() == 3 else self.variance
        settled = EMPTY if self.settled is None else self.settled
        parts = (panels(self.weights), variance, self.by_row, self.shift, self.floor, settled)
        return Sums(*map(_array, parts))


@dataclass(frozen=True)
class FusedLayer:
    """What the compiled loop needs of a recurrent layer on its chips at one time."""

    layer: Layer
    columns: ColumnsRead
    chips: int

    @classmethod
    def of(cls, shape: RecurrentShape, chip: Chip, columns: ColumnsRead, state: StateRead | None) -> FusedLayer | None:
        """The layer prepared, or None where a part of it works in a way that the loop does not know."""
        matrix, conversions = columns.matrix, columns.conversions
        known = _ramps([*conversions, *([] if state is None else [state.conversion])])
        if shape.cell not in CELLS or not (known or (state is None and _tables(conversions))):
            return None
        chips, rows, _ = matrix.array.difference_S.shape
        folded = Matrix.of(columns, chips)
        if folded is None:
            return None
        starts = folded.starts
        back, draws = _back(chip, conversions, state, chips, folded.draws)
        half = 2.0 ** (chip.state.bits - 1)
        layer = Layer(
            cell=CELLS[shape.cell],
            inputs=shape.inputs,
            hidden=shape.hidden,
            rows=rows,
            wide=int(starts[-1]),
            draws=-(-draws // DRAWN) * DRAWN,
            first=np.stack([starts[:-1], starts[1:]], axis=1).astype(np.int64),
            sums=folded.sums,
            bank=folded.bank,
            back=back,
            top=np.float32(full_scale(chip.bits)),
            per_value=np.float32(full_scale(chip.bits) / chip.driver.x_max),
            state_lsb=np.float32(chip.state.limit / half),
            state_half=np.float32(half),
            supply_noise=np.float32(matrix.supply_noise),
        )
        return cls(layer, columns, chips)

    def run(
        self,
        inputs: torch.Tensor,
        noise: BlockNoise,
        activity: Activity | None,
        h: torch.Tensor | None = None,
        c: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """States ``(chips, n, steps, hidden)`` in clock periods, and the last stored one ``(chips, n, hidden)``,
        for inputs and noise as ``RecurrentRead.answers`` takes them.

        ``h``: the hidden state before the first step in clock periods, ``c``: the stored one as its register keeps it,
        ``(chips | 1, n, hidden)`` each, zero by default.
        """
        x = inputs if inputs.dim() == 4 else inputs[None]
        layer, (_, n, steps, _) = self.layer, x.shape
        valid = n if activity is None or activity.valid is None else activity.valid
        states = torch.empty((self.chips, n, steps, layer.hidden))
        size = (self.chips, n, layer.hidden)
        state = torch.zeros(size) if c is None else c.float().expand(size).clone()
        start = torch.full((self.chips, n, 1, layer.rows - layer.inputs), float(layer.top))
        start[:, :, 0, : layer.hidden] = 0.0 if h is None else h.float()
        second = torch.empty_like(states if activity is not None and layer.cell == GRU else EMPTY.reshape(0, 0, 0, 0))
        did = np.zeros((self.chips, n, 5) if activity is not None else (0, 0, 0), np.int64)
        work = Work(
            _array(x),
            states.numpy(),
            start.numpy(),
            state.numpy(),
            second.numpy(),
            noise.keys,
            noise.numbers,
            np.uint32(noise.next_run()),
            did,
        )
        _on_threads(layer, work, self.chips, n)
        if activity is not None:
            self._count(activity, work, torch.from_numpy(did)[:, :valid], valid)
        return states, state

    def _count(self, activity: Activity, work: Work, did: torch.Tensor, valid: int) -> None:
        """Add what was done for the samples that count."""
        layer, matrix = self.layer, self.columns.matrix
        x, states = torch.from_numpy(work.x)[:, :valid], torch.from_numpy(work.y)[:, :valid]
        counts = torch.empty((self.chips, valid, layer.rows))
        fed_back = slice(layer.inputs, layer.inputs + layer.hidden)
        counts[..., layer.inputs :] = torch.from_numpy(work.start)[:, :valid, 0]
        for t in range(x.shape[2]):
            counts[..., : layer.inputs] = x[:, :, t]
            activity.drive(counts, matrix.driver, matrix.bits)
            if layer.cell == GRU:
                counts[..., fed_back] = torch.from_numpy(work.candidates)[:, :valid, t]
                activity.drive(counts, matrix.driver, matrix.bits)
            counts[..., fed_back] = states[:, :, t]
        activity.samples += did.shape[0] * valid * x.shape[2]
        names = {"gate_compare_steps": GATE_STEPS}
        if layer.bank.levels.size == 0:
            names["adc_steps"] = ADC_STEPS
        if layer.back.gain.size:
            names |= {"state_pulses": STATE_PULSES, "state_clocks": STATE_CLOCKS, "state_compare_steps": STATE_STEPS}
        for name, place in names.items():
            activity.add(name, did[..., place])


def _on_threads(layer: Layer, work: Work, chips: int, n: int) -> None:
    """Run all samples of all chips, shared out among as many threads as torch uses."""
    threads = torch.get_num_threads()
    fair = -(-chips * n // (SHARES * threads))
    at_once = min(SAMPLES, -(-fair // TOGETHER) * TOGETHER)
    units = np.array(
        [(chip, first, min(first + at_once, n)) for chip in range(chips) for first in range(0, n, at_once)], np.int64
    )
    shares = [share for share in np.array_split(units, SHARES * threads if threads > 1 else 1) if len(share)]
    if len(shares) == 1:
        run(layer, work, units)
        return
    with ThreadPoolExecutor(min(threads, len(shares))) as pool:
        list(pool.map(lambda share: run(layer, work, share), shares))


def _ramps(conversions: Sequence[Conversion]) -> bool:
    """Whether all are ramps of as many steps that decide once, all of them with noise of their cells or none."""
    ramps = [one for one in conversions if isinstance(one, RampConversion) and not one.per_step]
    gates = {(one.levels.shape[-1], one.walk_sigma is None) for one in ramps}
    return len(ramps) == len(conversions) and len(gates) == 1


def _tables(conversions: Sequence[Conversion]) -> bool:
    """Whether all are ideal quantisers with a table behind."""
    return all(isinstance(one, LookUpConverter) and one.adc is None for one in conversions)


def _folded(columns: ColumnsRead, chips: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """What multiplies the product of every column before its comparator, what is added there, and the variance of the
    decision, ``(chips, 1, columns)`` each."""
    found: list[list[torch.Tensor]] = [[], [], []]
    for group, conversion, trim in zip(columns.groups, columns.conversions, columns.trims, strict=True):
        assert isinstance(conversion, RampConversion | LookUpConverter)
        size = (chips, 1, group.ramps, group.width)
        scale = torch.ones(size) if trim is None else 1.0 / trim[:, None].float().expand(size)
        if isinstance(conversion, RampConversion):
            shift = conversion.offset_z.expand(size)
            sigma2 = torch.full(size, conversion.sigma_z**2 + conversion.hold_sigma_z**2)
        else:
            gain = torch.as_tensor(conversion.gain, dtype=torch.float32)
            kept = 1.0 if conversion.kept is None else conversion.kept
            scale, shift = scale * gain * kept, conversion.offset_z[:, None].expand(size) * gain
            sigma2 = conversion.sigma_z**2 * gain.square() * torch.ones(size)
        for values, value in zip(found, (scale, shift, sigma2), strict=True):
            values.append(group.scatter(value.float()))
    scale, shift, sigma2 = (torch.cat(values, dim=-1) for values in found)
    return scale, shift, sigma2


def _bank(
    conversions: Sequence[Conversion],
    groups: Sequence[ColumnGroup],
    starts: NDArray[np.int64],
    chips: int,
    drawn: int,
    *,
    noisy: bool,
) -> tuple[Bank, int]:
    """The converters of these groups, whose columns start in the panels at ``starts``, and the noise numbers of a step
    with theirs, which stand behind the ``drawn`` ones."""
    columns = [
        (int(start) + int(piece[0]) - group.first, int(start) + int(piece[-1]) + 1 - group.first, number)
        for number, (group, start) in enumerate(zip(groups, starts, strict=False))
        for piece in group.columns
    ]
    levels, walks, values, steps, words = [], [], [], [], []
    lsb = half = 0.0
    for conversion in conversions:
        if isinstance(conversion, RampConversion):
            codes = torch.arange(conversion.levels.shape[-1] + 1)
            levels.append(conversion.table if conversion.walk_sigma is None else conversion.levels)
            if conversion.walk_sigma is not None:
                walks.append(conversion.walk_sigma)
            words.append(torch.zeros_like(codes))
        else:
            assert isinstance(conversion, LookUpConverter)
            lsb, half = 2.0 * conversion.range_z / 2.0**conversion.bits, 2.0 ** (conversion.bits - 1)
            word = (torch.arange(2**conversion.bits) - half) * lsb
            codes = conversion.look_up(word)
            words.append(conversion.compare_steps(word).flatten())
        values.append(conversion.values(codes))
        steps.append(codes + 1)
    cells = max((walk.shape[-1] for walk in walks), default=0)
    filled = [torch.nn.functional.pad(walk, (cells - walk.shape[-1], 0)).expand(chips, -1, -1) for walk in walks]
    thresholds = levels[0].shape[-1] if levels else 0
    tables = [
        torch.nn.functional.pad(level, (0, -thresholds % SEVERAL), value=torch.nan).expand(chips, -1, -1)
        for level in levels
    ]
    after = drawn + (int(starts[-1]) if noisy else 0)
    bank = Bank(
        columns=np.array(columns, np.int64).reshape(-1, 3),
        levels=_array(torch.cat(tables, dim=1) if tables else EMPTY.reshape(0, 0, 0)),
        thresholds=thresholds,
        walk_sigma=_array(torch.cat(filled, dim=1) if filled else EMPTY.reshape(0, 0, 0)),
        lsb=np.float32(lsb),
        half=np.float32(half),
        values=_array(torch.stack(values)) if values else _array(EMPTY.reshape(0, 0)),
        steps=torch.stack(steps).long().numpy() if steps else np.empty((0, 0), np.int64),
        words=torch.stack(words).long().numpy() if words else np.empty((0, 0), np.int64),
        decisions=drawn if noisy else -1,
        walks=after if walks else -1,
    )
    return bank, after + len(columns) * cells


def _back(
    chip: Chip, conversions: Sequence[Conversion], state: StateRead | None, chips: int, drawn: int
) -> tuple[Back, int]:
    """The way of an LSTM's cell states to their tanh (of another cell, nothing that is used), and the noise numbers
    of a step with its own, which stand behind the ``drawn`` ones."""
    per_clock = full_scale(chip.bits) / chip.state.drive_limit
    table, parts = EMPTY, [EMPTY.reshape(0, 0)] * 5
    if state is None:
        bank, drawn = _bank([], [], np.zeros(1, np.int64), chips, drawn, noisy=False)
        if isinstance(last := conversions[-1], LookUpConverter):
            half = 2 ** (chip.state.bits - 1)
            table = last.values(last.look_up(torch.arange(-half, half) * (chip.state.limit / half)))
    else:
        conversion = state.conversion
        assert isinstance(conversion, RampConversion)
        least = state.white + (conversion.sigma_z**2 + conversion.hold_sigma_z**2)
        noisy = bool((state.variance > 0.0).any()) or bool((least > 0.0).any())
        ends = np.array([0, state.group.last])
        bank, drawn = _bank([conversion], [state.group], ends, chips, drawn, noisy=noisy)
        moved = state.group.scatter(conversion.offset_z.expand(chips, -1, -1, -1))
        whole = (state.gain / per_clock, state.offset, state.variance / per_clock**2, least, moved)
        parts = [part[:, 0] for part in whole]
    gain, offset, variance, floor, shift = (_array(part) for part in parts)
    return Back(bank, gain, offset, variance, floor, shift, np.float32(per_clock), _array(table)), drawn


def _in_panels(values: torch.Tensor, groups: Sequence[ColumnGroup]) -> torch.Tensor:
    """``(..., columns)`` with zeros behind each group, so that the next one starts with a panel."""
    return torch.cat(
        [torch.nn.functional.pad(values[..., g.first : g.last], (0, -(g.last - g.first) % PANEL)) for g in groups],
        dim=-1,
    )


def _array(values: torch.Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = values.detach().float().contiguous().numpy()
    return array
