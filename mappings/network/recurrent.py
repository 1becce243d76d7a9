"""A recurrent layer on tiles: LSTM, GRU or plain RNN, with the nonlinear ramp as its activation.

Rows are the inputs, the hidden state and the bias; columns are the gates. One step of an LSTM is

    [i f o g] = ramp(W [x h 1])       sigmoid ramp for i, f, o and tanh ramp for g, all columns at once
    c = f c + i g                     digital, saturating fixed point
    h = o ramp(c)                     c goes back to charge through one cell pair per unit and meets a second tanh ramp;
                                      h is rounded to the bits of the input

The GRU is the form whose reset gate acts before the product (Cho et al., 2014), ``n = tanh(W [x, r h, 1])``: with a
nonlinear conversion there is no linear partial sum to which the gate could be applied afterwards. It takes two passes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from devices import BlockNoise, Cells, ChipStreams, InputError, Stream
from mappings.actions import Actions
from mappings.activity import Activity
from mappings.chip import Chip
from mappings.columns import ColumnGroup, GroupConverter, codes_of, volts_per_z
from mappings.matrix import MappedMatrix, MatrixRead, PreActivation, calibration_counts, check_chip, rows_of
from mappings.network.actions import RecurrentShape, StepActivity, StepTiming, recurrent_actions
from periphery import SIGMOID, TANH, LookUpConverter, RampConversion
from periphery.prices.component import Component

Cell = Literal["lstm", "gru", "rnn"]

GATES: dict[Cell, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "lstm": (("i", "f", "o"), ("g",)),
    "gru": (("r", "z"), ("n",)),
    "rnn": ((), ("h",)),
}
TORCH_ORDER: dict[Cell, tuple[str, ...]] = {"lstm": ("i", "f", "g", "o"), "gru": ("r", "z", "n"), "rnn": ("h",)}


@dataclass(frozen=True)
class RecurrentLayer:
    """Weights of one recurrent layer in the order of the columns, before any hardware.

    ``matrix``: ``(inputs + hidden + bias rows, gates * hidden)``; sigmoid gates first, then tanh gates.
    """

    cell: Cell
    inputs: int
    hidden: int
    matrix: torch.Tensor
    bias_rows: int

    @classmethod
    def from_torch(
        cls,
        cell: Cell,
        weight_ih: torch.Tensor,
        weight_hh: torch.Tensor,
        bias: torch.Tensor | None,
        *,
        chip: Chip,
    ) -> RecurrentLayer:
        """From tensors named and ordered as torch does; ``bias`` is the sum of torch's two."""
        hidden = weight_hh.shape[1]
        names = [*GATES[cell][0], *GATES[cell][1]]
        order = torch.cat([torch.arange(hidden) + TORCH_ORDER[cell].index(name) * hidden for name in names])
        matrix, bias_rows = rows_of(
            torch.cat([weight_ih, weight_hh], dim=1)[order], None if bias is None else bias[order], chip=chip
        )
        return cls(cell, weight_ih.shape[1], hidden, matrix, bias_rows)

    @property
    def rows(self) -> int:
        """Word lines."""
        return self.matrix.shape[0]

    @property
    def columns(self) -> int:
        """Weight columns."""
        return self.matrix.shape[1]

    def groups(self, chip: Chip) -> list[ColumnGroup]:
        """Columns by function, cut by tiles."""
        split = len(GATES[self.cell][0]) * self.hidden
        groups = []
        if split:
            groups.append(ColumnGroup.cut(SIGMOID, 0, split, chip.columns, chip.columns_per_ramp))
        groups.append(ColumnGroup.cut(TANH, split, self.columns, chip.columns, chip.columns_per_ramp))
        return groups

    def row_tiles(self, chip: Chip) -> int:
        """Tiles that one column is spread over."""
        return -(-self.rows // chip.rows)

    def seen_by(self, chip: Chip, counts: torch.Tensor) -> dict[str, torch.Tensor]:
        """Pre-activations ``(samples, ramps, width)`` that each converter would see on an ideal chip of this format.

        ``counts``: calibration inputs ``(n, steps, inputs)`` in clock periods. Keys are the numbers of the groups of
        columns, ``"0"`` and ``"1"``: what ranges and optimal levels are chosen for.
        """
        ideal = chip.plain()
        rng = ChipStreams.of(Stream.root(0).child("calibration"), 1)
        activity = Activity(seen={})
        self.program(ideal, rng=rng).read(0.0).run(counts, noise=BlockNoise(rng, [0], len(counts)), activity=activity)
        assert activity.seen is not None
        groups = self.groups(chip)
        return {name: groups[int(name)].gather(torch.cat(z, dim=1))[0] for name, z in activity.seen.items()}

    def program(
        self, chip: Chip, *, rng: ChipStreams, seen: Mapping[str, torch.Tensor] | None = None
    ) -> ProgrammedRecurrent:
        """Lay the layer on ``len(rng)`` chips: write its cells, ramps and comparators once.

        ``seen``: what ``seen_by`` gave, for a chip whose ranges or levels follow data. Raises InputError for a chip
        that cannot hold the layer, or that follows data and is given none.
        """
        if chip.follows_data and seen is None:
            raise InputError(
                "chip: ranges calibrated on data and optimal levels need calibration inputs (got none): "
                "program(chip, rng=..., seen=layer.seen_by(chip, counts))"
            )
        seen = seen or {}
        check_chip(chip, self.rows, "a ramp that computes an activation")
        groups, cold = self.groups(chip), chip.as_written
        volts = volts_per_z(chip, [(group.function, chip.bits) for group in groups])
        matrix = MappedMatrix.program(self.matrix, cold, rng=rng.child("weights"))
        converters = tuple(
            GroupConverter.build(
                group, cold, bits=chip.bits, volts_per_z=volts, rng=rng.child("group", k), seen_z=seen.get(str(k))
            )
            for k, group in enumerate(groups)
        )
        state_cells = state = None
        if self.cell == "lstm" and chip.readout == "ramp":
            top = torch.full((1, self.hidden), chip.ramp.device.g_max_S)
            state_cells = chip.ramp.device.program(top, rng=rng.child("state cells"))
            unit = ColumnGroup.cut(TANH, 0, self.hidden, chip.columns, chip.columns_per_ramp)
            # What comes back from the digital state is a whole number of clock periods: no data to place levels by.
            state = GroupConverter.build(
                unit, cold.without_data(), bits=chip.bits, volts_per_z=volts, rng=rng.child("state")
            )
        return ProgrammedRecurrent(self, chip, matrix, converters, state_cells, state, rng)


@dataclass(frozen=True)
class ProgrammedRecurrent:
    """A layer that stands on chips; it can be read at any time, and gives the same chips each time."""

    layer: RecurrentLayer
    chip: Chip
    matrix: MappedMatrix
    converters: tuple[GroupConverter, ...]
    state_cells: Cells | None
    state: GroupConverter | None
    rng: ChipStreams

    @property
    def ramps(self) -> list[GroupConverter]:
        """All converters that have a ramp, the one of tanh(c) last."""
        return [c for c in (*self.converters, self.state) if c is not None and c.ramp is not None]

    def shape(self, layer: str) -> RecurrentShape:
        """What stands on the chip for this layer, in the words of the price list."""
        chip = self.chip
        return RecurrentShape(
            layer=layer,
            cell=self.layer.cell,
            inputs=self.layer.inputs,
            hidden=self.layer.hidden,
            state_bits=chip.state.bits,
            bias_rows=self.layer.bias_rows,
            row_tiles=self.layer.row_tiles(chip),
            column_tiles=-(-self.layer.columns // chip.columns),
            cells=self.matrix.array.cell_count,
            driver=chip.driver,
            converter=chip.adc.converter,
            unit=chip.adc.activation,
            groups=sum(c.group.ramps for c in self.converters),
            slices=self.matrix.array.encoded.parts,
            slice_shift_bits=self.matrix.array.encoded.shift_bits,
            branches=self.matrix.array.encoded.branches,
            bits=chip.bits,
            readout=chip.readout,
            ramps=sum(c.group.ramps for c in self.ramps),
            ramp_cells=sum(c.group.ramps * c.design.cells for c in self.ramps if c.design),
            columns_per_adc=chip.adc.columns_per_adc,
            adc_model=chip.adc.price,
            adc_bits=chip.adc_bits,
            partial_sums=chip.partial_sums,
            lanes=chip.lanes,
        )

    def actions(self, layer: str, activity: Activity, components: Mapping[str, Component]) -> Actions:
        """What one step does, from what the simulator saw: counts, instances and schedule."""
        chip, shape = self.chip, self.shape(layer)
        quantum_J = chip.driver.v_read_V**2 * chip.driver.t_clk_s
        gates = [c for c in self.converters if c.ramp is not None]
        ramps = [c.reading(chip).ramp for c in self.ramps]
        timing = StepTiming.of(
            shape,
            t_clk_s=chip.driver.t_clk_s,
            node_nm=chip.node_nm,
            components=components,
            gate_ramp_clocks=max((c.design.ramp_clocks for c in gates if c.design), default=0),
            state_ramp_clocks=self.state.design.ramp_clocks if self.state and self.state.design else 0,
        )
        seen = StepActivity(
            array_ohmic_J=activity.mean_loss_S(self.matrix.reading(chip).read(0.0).array) * quantum_J,
            row_pulses=activity.mean("row_pulses"),
            row_clocks=activity.mean("row_clocks"),
            gate_compare_steps=activity.mean("gate_compare_steps"),
            adc_steps=activity.mean("adc_steps"),
            ramp_ohmic_J=quantum_J * sum(float(c.ramp.read(0.0).loss_S.sum(1).mean()) for c in ramps if c),
            state_ohmic_J=activity.mean("state_clocks") * chip.ramp.device.g_max_S * quantum_J,
            state_pulses=activity.mean("state_pulses"),
            state_clocks=activity.mean("state_clocks"),
            state_compare_steps=activity.mean("state_compare_steps"),
        )
        return recurrent_actions(shape, seen, timing)

    def read(self, t_s: float) -> RecurrentRead:
        """The layer ``t_s`` seconds after programming, compensated if the chip says so.

        Cells are read at the temperature of the chip; they were written, and ramps calibrated, at that of programming.
        """
        chip = self.chip
        converters = tuple(converter.reading(chip) for converter in self.converters)
        state = self.state and self.state.reading(chip)
        if chip.compensation.mode == "off":
            return self._read(t_s, converters, Factors([1.0] * len(converters)), state)
        if chip.ramp_moves(t_s):
            rng = self.rng.child("recentre", float(t_s).hex())
            converters = tuple(c.recentred(t_s, rng.child(k)) for k, c in enumerate(converters))
            state = state and state.recentred(t_s, rng.child("state"))
        return self._read(t_s, converters, self._factors(t_s, converters), state)

    def _read(
        self,
        t_s: float,
        converters: Sequence[GroupConverter],
        factors: Factors,
        state: GroupConverter | None,
        *,
        at: Chip | None = None,
    ) -> RecurrentRead:
        chip = self.chip if at is None else at
        gain: torch.Tensor | float = 1.0
        if self.state_cells is not None:
            device = chip.ramp.device
            gain = (device.conductance_S(self.state_cells, t_s) / device.g_max_S)[:, None]
        return RecurrentRead(
            self.layer,
            self.chip,
            self.matrix.reading(chip).read(t_s),
            tuple(converter.group for converter in converters),
            tuple(c.read(t_s, factor) for c, factor in zip(converters, factors.ramp, strict=True)),
            state.group if state else None,
            state.read(t_s) if state else None,
            gain,
            tuple(factors.ramp),
            tuple(factors.column or [None] * len(converters)),
        )

    def _factors(self, t_s: float, converters: Sequence[GroupConverter]) -> Factors:
        """By how much the array has shrunk as its own ramps see it.

        The same calibration inputs are driven right after programming, at the temperature of programming, and now; both
        are converted by the ramp, the codes taken back through the table of ``g^-1``, and the slope between the two is
        the factor. End codes carry no slope and are left out. A second round with the factor applied removes what the
        first left in the codes.
        ``baseline: exact`` compares with the products in software instead; ``per_column`` measures one slope more for
        every column, once the ramps' factors are applied.
        """
        counts = calibration_counts(self.layer.matrix, self.chip)
        compensation = self.chip.compensation
        step = compensation.resolution

        def measure(
            factors: Factors, at_s: float, by: Sequence[GroupConverter], *name: str | int, at: Chip | None = None
        ) -> list[torch.Tensor]:
            noise = BlockNoise(self.rng.child("calibration", *name), [0], counts.shape[1])
            read = self._read(at_s, by, factors, None, at=at)
            return [c.linearised(codes) for c, codes in zip(by, read.gate_codes(counts, noise), strict=True)]

        ones = [torch.ones((len(self.rng), c.group.ramps, 1), dtype=torch.float64) for c in converters]
        if compensation.baseline == "exact":
            exact = counts @ self.layer.matrix * self.chip.driver.lsb(self.chip.bits)
            wanted = [c.group.gather(exact).expand(len(self.rng), -1, -1, -1) for c in converters]
        else:
            wanted = measure(Factors(ones), 0.0, self.converters, "start", at=self.chip.as_written)
        factors = Factors(ones)
        for turn in range(2):
            now = measure(factors, t_s, converters, float(t_s).hex(), turn)
            slopes = [_slope(z, before, (1, 3))[..., None] for z, before in zip(now, wanted, strict=True)]
            factors = Factors(
                [_stepped(f * slope, step) for f, slope in zip(factors.ramp, slopes, strict=True)], factors.column
            )
        if compensation.mode == "per_column":
            now = measure(factors, t_s, converters, float(t_s).hex(), "columns")
            trims = [_stepped(_slope(z, before, (1,)), step) for z, before in zip(now, wanted, strict=True)]
            factors = Factors(factors.ramp, trims)
        return factors


@dataclass(frozen=True)
class Factors:
    """Drift compensation of all groups: ``ramp``, ``(chips, ramps, 1)`` or 1, and ``column``, ``(chips, ramps,
    width)``, or None where columns are not trimmed."""

    ramp: Sequence[torch.Tensor | float]
    column: Sequence[torch.Tensor] | None = None


def _slope(now: torch.Tensor, before: torch.Tensor, over: tuple[int, ...]) -> torch.Tensor:
    """Least-squares factor that takes ``before`` to ``now``, over the given dimensions; 1 where nothing was seen."""
    use = torch.isfinite(now) & torch.isfinite(before)
    now, before = torch.where(use, now, 0.0), torch.where(use, before, 0.0)
    energy = before.square().sum(over)
    slope = (now * before).sum(over) / energy.clamp_min(1e-12)
    return torch.where(energy > 1e-12, slope, torch.ones_like(slope)).double()


def _stepped(factor: torch.Tensor, step: float) -> torch.Tensor:
    """The nearest setting of a generator with this step."""
    return (torch.round(factor / step) * step).clamp_min(step)


@dataclass(frozen=True)
class RecurrentRead:
    """A layer at one time, ready to run."""

    layer: RecurrentLayer
    chip: Chip
    matrix: MatrixRead
    groups: tuple[ColumnGroup, ...]
    conversions: tuple[RampConversion | LookUpConverter, ...]
    state_group: ColumnGroup | None
    state_conversion: RampConversion | LookUpConverter | None
    state_gain: torch.Tensor | float
    factors: tuple[torch.Tensor | float, ...]
    trims: tuple[torch.Tensor | None, ...]

    def gate_codes(
        self, counts: torch.Tensor, noise: BlockNoise, activity: Activity | None = None
    ) -> list[torch.Tensor]:
        """Codes of all gates for ``counts (chips | 1, n, rows)``, one tensor ``(chips, n, ramps, width)`` per group."""
        parts = self.matrix.pre_activation(counts, noise)
        if activity is not None:
            for k in range(1 if self.layer.cell == "gru" else len(self.groups)):
                activity.watch(str(k), parts[0].z)
        return [
            codes_of(conversion, group, parts, noise, trim=trim, activity=activity)
            for group, conversion, trim in zip(self.groups, self.conversions, self.trims, strict=True)
        ]

    def _pulses(self, h: torch.Tensor) -> torch.Tensor:
        """Pulse widths that feed ``h`` back to the word lines; the driver's range limits them."""
        return self.chip.driver.counts(h, self.chip.bits)

    def run(
        self,
        counts: torch.Tensor,
        *,
        noise: BlockNoise,
        activity: Activity | None = None,
        readout_steps: int = 1,
    ) -> torch.Tensor:
        """Run whole sequences.

        ``counts``: input pulse widths ``(n, steps, inputs)`` in clock periods, ``n`` a multiple of the block. Returns
        the mean hidden state of the last ``readout_steps`` steps, a digital sum rounded to whole pulse widths,
        ``(chips, n, hidden)``. ``activity`` counts what the first
        ``activity.valid`` samples did (all of them by default), since the last block may be filled up.
        """
        layer, chip = self.layer, self.chip
        chips, (n, steps, _) = self.matrix.array.difference_S.shape[0], counts.shape
        top = float(2 ** (chip.bits - 1) - 1)
        state = chip.state
        state_lsb = 2.0 * state.limit / 2**state.bits
        v = torch.zeros((chips, n, layer.rows))
        v[..., layer.inputs + layer.hidden :] = top
        c = torch.zeros((chips, n, layer.hidden))
        total = torch.zeros_like(c)
        for t in range(steps):
            v[..., : layer.inputs] = counts[:, t]
            codes = self.gate_codes(v, noise, activity)
            gates = [
                group.scatter(conversion.values(code))
                for group, conversion, code in zip(self.groups, self.conversions, codes, strict=True)
            ]
            if activity is not None:
                self._count_gates(activity, v, codes[:1] if layer.cell == "gru" else codes)
            if layer.cell == "lstm":
                i, f, o = gates[0].split(layer.hidden, dim=-1)
                c = (f * c).addcmul_(i, gates[1])
                c = torch.round(c / state_lsb).mul_(state_lsb).clamp_(-state.limit, state.limit - state_lsb)
                h = o * self._tanh_of_state(c, noise, activity)
            elif layer.cell == "gru":
                r, u = gates[0].split(layer.hidden, dim=-1)
                second = v.clone()
                second[..., layer.inputs : layer.inputs + layer.hidden] = self._pulses(r * c)
                parts = self.matrix.pre_activation(second, noise)
                if activity is not None:
                    activity.watch("1", parts[0].z)
                code = codes_of(
                    self.conversions[1], self.groups[1], parts, noise, trim=self.trims[1], activity=activity
                )
                candidate = self.groups[1].scatter(self.conversions[1].values(code))
                c = (1.0 - u) * candidate + u * c
                c = torch.round(c / state_lsb).mul_(state_lsb).clamp_(-state.limit, state.limit - state_lsb)
                h = c
                if activity is not None:
                    self._count_gates(activity, second, [code], again=True)
            else:
                h = gates[0]
            pulses = self._pulses(h)
            v[..., layer.inputs : layer.inputs + layer.hidden] = pulses
            if steps - t <= readout_steps:
                total += pulses
        return torch.round(total / readout_steps)

    def _tanh_of_state(self, c: torch.Tensor, noise: BlockNoise, activity: Activity | None) -> torch.Tensor:
        """tanh of the cell state: a pulse into one cell pair per unit and the second ramp, or a look-up."""
        if self.state_conversion is None or self.state_group is None:
            table = self.conversions[-1]
            assert isinstance(table, LookUpConverter)
            return table.values(table.look_up(c))
        chip = self.chip
        top = 2 ** (chip.bits - 1) - 1
        per_clock = top / chip.state.drive_limit
        pulses = torch.round(c * per_clock).clamp_(-top, top)
        z = pulses * (self.state_gain / per_clock)
        codes = codes_of(self.state_conversion, self.state_group, [PreActivation(z)], noise)
        if activity is not None:
            real = slice(activity.valid)
            activity.add("state_pulses", pulses[:, real] != 0)
            activity.add("state_clocks", pulses[:, real].abs())
            activity.add("state_compare_steps", self.state_group.scatter(codes)[:, real] + 1)
        return self.state_group.scatter(self.state_conversion.values(codes))

    def _count_gates(
        self, activity: Activity, v: torch.Tensor, codes: list[torch.Tensor], *, again: bool = False
    ) -> None:
        """Add what one pass of gate products did to the sums."""
        v = v[:, : activity.valid]
        if not again:
            activity.samples += v.shape[0] * v.shape[1]
        activity.drive(v, self.chip.driver, self.chip.bits)
        for group, code in zip(self.groups[-1:] if again else self.groups, codes, strict=False):
            activity.add("gate_compare_steps", group.scatter(code)[:, : activity.valid] + 1)
