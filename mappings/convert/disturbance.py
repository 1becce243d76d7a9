"""Weights as one freshly written chip holds them, for training: errors by state and drift, drawn anew at every step.

What a cell conducts at a time, less what it was aimed at, depends on its state alone, whatever the device and its
effects. So real cells are programmed once, many in each of a few states from ``g_min`` to ``g_max``, and read at each
time (read noise of one read with it). A step lays the weights as the chip's encoding does and draws, for every cell,
one of those in the two states beside its target ``G`` with the probabilities that make the mean error linear between
them:

(1)  G_held = G + e,   e of state k + 1 with probability  p = (G - G_k) / (G_(k+1) - G_k),  else of state k

The law of the error is that of the device, tails and bias included, not a Gaussian. What has drifted is compared with
what has drifted: a ramp's own cells where drift is not compensated, the measured factor where it is, here without the
error of its measurement, nor the offsets of ``mode: affine``, which here take out what bias cells do alone,

(2)  w_held = (sum_p a_p G_p - G_ref) / (s f),   f = E G_ramp(t) / E G_ramp(0),   or  f = <w_t w_0> / <w_0 w_0>

with the weights ``w_0`` as written (``baseline: noisy``) or in software (``exact``). Gradients pass as if nothing
erred.

Left out: what lies outside the cells of the weights (wires, drivers, front ends, the middle of a ramp, which drifts
where it is not programmed again), the cells of the bias of a recurrent layer, and the defects of ``stuck_maps``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch

from crossbar.array import MEAN_AMPLITUDE
from crossbar.differential import DifferentialPair
from crossbar.encoding import Encoded
from devices import ChipStreams, Device, InputError, Stream
from devices.effects import Stuck
from mappings.chip import Chip
from mappings.network.gpu.graphs import Graphs

STATES, DRAWS = 65, 4096
"""States of a table, evenly from g_min to g_max, and cells in each: the mean error of a state is known to 1/64 of its
standard deviation."""
TIMES = 9
"""Times of which one is drawn at every step, where a training spans several."""

Disturb = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class CellTable:
    """Errors of cells of one kind: ``written_S (states, draws)`` right after programming, without read noise;
    ``error_S (times, states, draws)`` as a read finds the same cells later, both less the state [S]."""

    device: Device
    written_S: torch.Tensor
    error_S: torch.Tensor

    @classmethod
    def of(cls, device: Device, times_s: Sequence[float], *, v_V: float, window_s: float, rng: Stream) -> CellTable:
        """Program cells in all states and read them at these times, by pulses of ``v_V`` within ``window_s``.

        ``device`` aims at what it is asked for: without the effects of the stage ``aim``. Raises InputError for a time
        at which nothing is known of the cells, and for cells that cannot be written.
        """
        if not device.writable:
            raise InputError(f"cells of kind {device.kind} cannot be written, and hold no trained weights")
        state_S = torch.linspace(device.g_min_S, device.g_max_S, STATES, dtype=torch.float64).float()[:, None]
        streams = ChipStreams.of(rng, 1)
        cells = device.program(state_S.expand(1, STATES, DRAWS), rng=streams)
        written_S = device.as_written.conductance_S(cells, 0.0)[0] - state_S
        reads, read = [], device.read_within(window_s)
        for number, t_s in enumerate(times_s if device.drifts else times_s[:1]):
            now_S = read.conductance_S(cells, t_s)
            sigma_S = read.read_sigma_S(now_S, cells)
            if not read.linear:
                chord_S = sum(c * v_V**k for k, c in enumerate(read.current_coefficients(now_S)))
                assert isinstance(chord_S, torch.Tensor)
                now_S, sigma_S = chord_S, sigma_S * (chord_S / now_S.clamp_min(1e-15))
            noise = sigma_S * streams.child("read", number).normal_like(sigma_S)
            reads.append((now_S + noise)[0] - state_S)
        return cls(device, written_S, torch.stack(reads))

    @property
    def gain(self) -> torch.Tensor:
        """Mean conductance at every time over that right after programming, cells spread evenly over the states [1]."""
        middle_S = 0.5 * (self.device.g_min_S + self.device.g_max_S)
        return (middle_S + self.error_S.mean(dim=(1, 2))) / (middle_S + self.written_S.mean())

    def drawn(self, target_S: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """One cell of the table for every target, by equation (1), as its position among ``states * draws``."""
        window_S = self.device.g_max_S - self.device.g_min_S
        place = (target_S.float() - self.device.g_min_S) * ((STATES - 1) / window_S)
        uniform = torch.empty(target_S.shape, device=target_S.device).uniform_(0.0, DRAWS, generator=generator)
        draw = uniform.floor()  # which draw; what is left of the uniform number decides between the two states
        state = place.add_(uniform.sub_(draw)).floor_().clamp_(0, STATES - 1)
        return draw.add_(state, alpha=DRAWS).to(torch.int32).flatten()


@dataclass(frozen=True)
class LayerCells:
    """The cells of one layer: its chip, their table, and ``gain (times,)`` of what their products are compared with;
    ``graphs``: of drawing on a GPU."""

    chip: Chip
    table: CellTable
    gain: torch.Tensor
    graphs: Graphs = field(default_factory=Graphs, compare=False, repr=False)

    def held(self, weight: torch.Tensor, time: int, *, rng: Stream) -> torch.Tensor:
        """``weight (outputs, ...)`` as one new chip holds it at the ``time``-th time, same shape and scale.

        Columns are cut to tiles and scaled as the chip does it, biases apart.
        """
        rows, encoding = weight.detach().flatten(1).T, self.chip.weights.encoding
        when = torch.full((1,), time, dtype=torch.int32, device=rows.device)
        # What does not wait for the device on its way is one graph there.
        straight = isinstance(encoding, DifferentialPair) and encoding.clip_quantile == 1.0
        if rows.is_cuda and straight and not self.chip.weights.device.effects:
            (held,) = self.graphs(self._held, (rows, when), seed=rng.key)
        else:
            (held,) = self._held(rows, when, generator=rng.torch(rows.device))
        return held.to(weight.dtype).T.reshape(weight.shape)

    def _held(self, rows: torch.Tensor, when: torch.Tensor, *, generator: torch.Generator) -> tuple[torch.Tensor]:
        """The same for weights by word lines ``(rows, columns)``, at the time of this number."""
        chip, device = self.chip, self.chip.weights.device
        tiles = torch.arange(rows.shape[1], device=rows.device) // chip.columns
        encoded = chip.weights.encoding.encode(rows, device, tile_of_column=tiles)
        target_S = encoded.target_S
        for effect in device.effects:
            target_S = effect.aimed_S(target_S, device.window)
        cells = self.table.drawn(target_S, generator)

        def read(error_S: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
            return decoded(target_S + error_S.flatten().index_select(0, cells).view(target_S.shape), encoded)

        errors = self.table.error_S
        held = read(errors, cells + when.clamp(max=len(errors) - 1) * (STATES * DRAWS))
        how = chip.compensation
        if how.mode == "off":
            held = held / self.gain.index_select(0, when.clamp(max=len(self.gain) - 1))
        else:
            before = rows if how.baseline == "exact" else read(self.table.written_S, cells)
            over = (0, 1) if how.mode == "global" else (0,)
            energy = before.square().sum(over)
            slope = torch.where(energy > 0.0, (held * before).sum(over) / energy, 1.0)
            held = held / torch.where(slope > 0.0, slope, 1.0)
        return (held,)


def decoded(g_S: torch.Tensor, encoded: Encoded) -> torch.Tensor:
    """Weights ``(rows, columns)`` that cells ``(planes, rows, columns + references)`` amount to."""
    first, *others = encoded.significance
    total = first * g_S[0]
    for weight, plane in zip(others, g_S[1:], strict=True):
        total = total.add_(plane, alpha=weight)
    if encoded.reference is not None:
        total = total[:, : encoded.columns] - total[:, encoded.columns :][:, encoded.reference]
    return total / encoded.scale_S


@dataclass(frozen=True)
class Disturbance:
    """Errors of the weights of a network in training.

    ``layers``: by name; ``times``: how many times there are; ``scale``: multiplies the errors; ``rng``: the stream
    whose children, by step and layer, are all that is random.
    """

    layers: dict[str, LayerCells]
    times: int
    scale: float
    rng: Stream

    @classmethod
    def of(
        cls,
        chips: Mapping[str, Chip],
        times_s: Sequence[float],
        *,
        scale: float = 1.0,
        rng: Stream,
        device: torch.device | str = "cpu",
    ) -> Disturbance:
        """Cells of every chip, read between the first and the last of ``times_s``; tables lie on ``device``.

        Raises InputError, with the layers' names, as ``CellTable.of`` does.
        """
        between, tables = spread_times(times_s), dict[tuple[Device, float, float], CellTable]()

        def table(cells: Device, chip: Chip) -> CellTable:
            cells = unaimed(cells)
            v_V = chip.driver.v_read_V * (MEAN_AMPLITUDE if chip.driver.amplitude else 1.0)
            key = cells, v_V, chip.driver.window_s(chip.bits)
            if key not in tables:
                made = CellTable.of(cells, between, v_V=v_V, window_s=key[2], rng=rng.child("cells", len(tables)))
                tables[key] = replace(
                    made, written_S=made.written_S.to(device), error_S=made.error_S.to(device).contiguous()
                )
            return tables[key]

        layers, problems = {}, list[str]()
        for name, chip in chips.items():
            try:
                moves = chip.readout == "ramp" and chip.compensation.mode == "off" and chip.ramp.device.drifts
                gain = table(chip.ramp.device, chip).gain if moves else torch.ones(1, device=device)
                layers[name] = LayerCells(chip, table(chip.weights.device, chip), gain)
            except InputError as error:
                problems += [f"{name}: {problem}" for problem in error.problems]
        if problems:
            raise InputError(problems)
        return cls(layers, len(between), scale, rng)

    def drawn(self, step: int) -> dict[str, Disturb]:
        """What gives the weights of every layer the errors of the chip of this step, at one time for all layers."""
        generator = self.rng.child("time", step).torch()
        time = int(torch.randint(self.times, (1,), generator=generator))
        return {
            name: self._disturb(cells, time, self.rng.child("step", step, name)) for name, cells in self.layers.items()
        }

    def _disturb(self, cells: LayerCells, time: int, rng: Stream) -> Disturb:
        """Errors of one layer in one step: a matrix that comes again has the same ones, as it is on the same chip."""
        known: list[tuple[torch.Tensor, torch.Tensor]] = []

        def disturb(weight: torch.Tensor) -> torch.Tensor:
            now = weight.detach()
            for before, error in known:
                if before.shape == now.shape and torch.equal(before, now):
                    return weight + error
            error = self.scale * (cells.held(now, time, rng=rng.child(len(known))) - now)
            known.append((now, error))
            return weight + error

        return disturb


def unaimed(device: Device) -> Device:
    """The same cells without effects that belong to one array: levels, which targets are rounded to, and mapped
    defects."""
    kept = [replace(e, map_file=None) if isinstance(e, Stuck) else e for e in device.effects if e.stage != "aim"]
    return replace(device, effects=tuple(kept))


def spread_times(times_s: Sequence[float]) -> tuple[float, ...]:
    """Times between the first and the last of these, evenly in ``log(1 s + t)``; raises InputError for none, and for
    times that are negative or without end."""
    if not times_s or not all(0.0 <= t_s < math.inf for t_s in times_s):
        raise InputError(f"times_s: at least one time, finite and none below 0 (got {list(times_s)})")
    first_s, last_s = float(min(times_s)), float(max(times_s))
    if first_s == last_s:
        return (first_s,)
    start, step = math.log1p(first_s), (math.log1p(last_s) - math.log1p(first_s)) / (TIMES - 1)
    return (first_s, *(math.expm1(start + step * k) for k in range(1, TIMES - 1)), last_s)
