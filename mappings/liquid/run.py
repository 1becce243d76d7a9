"""Runs of a liquid over many recordings: what goes in, what comes out, and the two engines between."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from mappings.liquid.step import Block, Marks, Physics, SpikeArrays, Wiring, advance_block, fill_inputs, run_events
from periphery.neurons.lif import Neurons

BLOCK = 256
"""Recordings that are simulated together; their number moves no bit."""
EVENTS_BELOW = 0.6
"""Share of active input lines above which a product of matrices is the faster engine, as timed on one core."""
_VECTOR = 16
LiquidEngine = Literal["auto", "events", "dense"]


class ActiveLines(Protocol):
    """Active word lines of every step of every recording, as ``workloads.lsm.binning.Spikes`` has them.

    Step ``s`` of recording ``i`` drives ``lines[offsets[k] : offsets[k + 1]]``, ``k = i * steps + s``, rising.
    """

    @property
    def lines(self) -> NDArray[np.int32]:
        """(active,) numbers of word lines."""

    @property
    def offsets(self) -> NDArray[np.int64]:
        """(recordings * steps + 1,)."""

    @property
    def steps(self) -> int:
        """Steps of a recording."""

    @property
    def inputs(self) -> int:
        """Word lines."""


@dataclass(frozen=True, eq=False)
class LineSpikes:
    """``ActiveLines`` as arrays."""

    lines: NDArray[np.int32]
    offsets: NDArray[np.int64]
    steps: int
    inputs: int

    @classmethod
    def of(cls, raster: NDArray[Any]) -> LineSpikes:
        """From a dense array (recordings, steps, inputs), active where it is not zero."""
        n, steps, inputs = raster.shape
        flat = raster.reshape(n * steps, inputs) != 0
        offsets = np.concatenate([[0], np.cumsum(flat.sum(1))]).astype(np.int64)
        return cls(np.nonzero(flat)[1].astype(np.int32), offsets, steps, inputs)


@dataclass(frozen=True, kw_only=True)
class LiquidActivity:
    """How much went on in a step, on average over recordings and chips.

    Parameters
    ----------
    lines : word lines driven, of inputs and of neurons that fired
    spikes : neurons that fired
    load_S : all cells on a word line, the mean over all lines, driven or not [S]
    steps : of a recording
    """

    lines: float
    spikes: float
    load_S: float
    steps: int


@dataclass(frozen=True, eq=False)
class LiquidArrays:
    """What the arrays of a liquid are at one time: everything that a run needs of them.

    Parameters
    ----------
    rows : (chips, rows, width), on a binary grid: weights, or with a converter bit lines less ``offset_uS`` [uS]
    sigma_uS : (chips,), read noise where all cells have one; else ``variance_uS2`` (chips, rows, columns) gives it
    floor_uS2, bias_uS : of front ends, (chips,) and (chips, neurons): variance of a bit line's noise whatever is
        driven, and a constant input; zeros on the board
    supply : relative standard deviation of the read voltage in a step, the same for all lines [1]
    lsb_uS, top_code : the converter; ``lsb_uS`` is 0 without one
    load_S : (chips, rows), all cells on a word line [S]; zeros in software
    wiring, edges : how bit lines become neurons; first word lines of the row tiles, and their end
    inputs, gain_per_uS : word lines driven by data; membrane input of one microsiemens
    """

    neurons: Neurons
    rows: torch.Tensor
    variance_uS2: torch.Tensor | None
    sigma_uS: torch.Tensor
    floor_uS2: torch.Tensor
    bias_uS: torch.Tensor
    supply: float
    offset_uS: float
    lsb_uS: float
    top_code: int
    load_S: torch.Tensor
    wiring: Wiring
    edges: NDArray[np.int64]
    inputs: int
    gain_per_uS: float


@dataclass(frozen=True, eq=False)
class LiquidRun:
    """What the neurons did.

    Parameters
    ----------
    counts : (chips, n, neurons) int32, spikes
    line_reads : (chips, n) int64, word lines driven, summed over steps: active inputs and neurons that fired a step ago
    clipped : (chips, n) int64, conversions that hit an end of the ADC's range
    raster : (chips, n, steps, neurons) uint8, or None where it was not recorded
    load_S : mean over chips and word lines of all cells on a line [S]
    input_reads : (n,) int64, active inputs, summed over steps
    """

    counts: torch.Tensor
    line_reads: torch.Tensor
    clipped: torch.Tensor
    raster: torch.Tensor | None
    load_S: float
    steps: int
    input_reads: NDArray[np.int64]

    @classmethod
    def of(cls, read: LiquidArrays, spikes: ActiveLines, marks: Sequence[torch.Tensor], *, record: bool) -> LiquidRun:
        """From ``marks``: counts, lines driven, conversions clipped, raster."""
        counts, reads, clipped, raster = marks
        load_S, read_in = float(read.load_S.double().mean()), np.diff(spikes.offsets[:: spikes.steps])
        return cls(counts, reads, clipped, raster if record else None, load_S, spikes.steps, read_in)

    @property
    def features(self) -> torch.Tensor:
        """Equation (3), (chips, n, neurons) float32."""
        return self.counts.float() / self.steps

    @property
    def rates(self) -> torch.Tensor:
        """Mean spikes per neuron and step of every chip, (chips,)."""
        return self.counts.double().mean(dim=(1, 2)) / self.steps

    @property
    def activity(self) -> LiquidActivity:
        """What its cost follows from."""
        return LiquidActivity(
            lines=float(self.line_reads.double().mean()) / self.steps,
            spikes=float(self.counts.double().sum(2).mean()) / self.steps,
            load_S=self.load_S,
            steps=self.steps,
        )


@dataclass(frozen=True, eq=False)
class Job:
    """Arrays of one run, as the compiled steps take them: ``marks`` have a leading dimension of chips."""

    read: LiquidArrays
    spikes: ActiveLines
    rows: NDArray[np.float32]
    variance: NDArray[np.float32]
    recordings: SpikeArrays
    marks: Marks

    @classmethod
    def of(cls, read: LiquidArrays, spikes: ActiveLines, numbers: NDArray[np.int64], *, record: bool) -> Job:
        """Lay out what a run reads and writes."""
        chips, width = read.neurons.threshold.shape
        shape = (chips, len(numbers))
        return cls(
            read,
            spikes,
            _padded(read.rows),
            np.zeros((chips, 0, 0), np.float32) if read.variance_uS2 is None else _padded(read.variance_uS2),
            SpikeArrays(spikes.lines, spikes.offsets, spikes.steps, numbers),
            Marks(
                np.zeros((*shape, width), np.int32),
                np.zeros(shape, np.int64),
                np.zeros(shape, np.int64),
                np.zeros((*shape, spikes.steps, width) if record else (chips, 0, 0, 0), np.uint8),
            ),
        )

    def run(self, keys: list[int], engine: LiquidEngine) -> LiquidRun:
        """All blocks of recordings on all chips; ``keys``: of each chip's read noise."""
        spikes, n = self.spikes, len(self.recordings.numbers)
        if engine == "auto":
            cells = self.read.inputs * n * spikes.steps
            engine = "events" if len(spikes.lines) <= EVENTS_BELOW * cells else "dense"
        blocks = [(chip, first) for chip in range(len(keys)) for first in range(0, n, BLOCK)]
        work = self._events if engine == "events" else self._dense
        threads = torch.get_num_threads() if engine == "events" else 1
        if threads > 1 and len(blocks) > 1:
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(lambda block: work(block[0], block[1], keys[block[0]]), blocks))
        else:
            for chip, first in blocks:
                work(chip, first, keys[chip])
        marks = [torch.from_numpy(array) for array in self.marks]
        return LiquidRun.of(self.read, spikes, marks, record=self.marks.raster.size > 0)

    def physics(self, chip: int, key: int) -> Physics:
        """What the steps share on one chip; ``key``: of its read noise."""
        read, neuron, f = self.read, self.read.neurons.design, np.float32
        return Physics(
            edges=read.edges if read.lsb_uS > 0.0 else read.edges[[0, -1]],
            sigma=f(read.sigma_uS[chip]),
            floor=f(read.floor_uS2[chip]),
            supply=f(read.supply),
            bias=read.bias_uS[chip].float().contiguous().numpy(),
            offset=f(read.offset_uS),
            lsb=f(read.lsb_uS),
            top=f(read.top_code),
            segments=read.wiring.segments,
            gain=f(read.gain_per_uS),
            decay=f(neuron.decay),
            residue=f(neuron.residue),
            refractory=neuron.refractory_steps,
            threshold=read.neurons.threshold[chip].float().contiguous().numpy(),
            wobble=f(neuron.noise),
            key=np.array([key & 0xFFFFFFFF, key >> 32], np.uint32),
            z_width=-(-(read.wiring.columns + 1) // (4 * _VECTOR)) * 4 * _VECTOR,
            columns=read.wiring.columns,
            inputs=read.inputs,
        )

    def _events(self, chip: int, first: int, key: int) -> None:
        """A block of recordings on one chip, row by row."""
        last, marks = min(first + BLOCK, len(self.recordings.numbers)), Marks(*(array[chip] for array in self.marks))
        rows, variance = self.rows[chip], self.variance[chip]
        run_events(self.physics(chip, key), rows, variance, self.recordings, first, last, marks)

    def _dense(self, chip: int, first: int, key: int) -> None:
        """A block of recordings on one chip, as a product of matrices for each step."""
        how, marks = self.physics(chip, key), Marks(*(array[chip] for array in self.marks))
        n, tiles = min(BLOCK, len(self.recordings.numbers) - first), len(how.edges) - 1
        membrane = np.zeros((n, self.marks.counts.shape[2]), np.float32)
        block = Block(
            driven=np.zeros((n, int(how.edges[-1])), np.float32),
            lit=np.zeros((n, tiles), np.int64),
            sums=np.empty((tiles, n, self.rows.shape[2]), np.float32),
            variances=np.empty((tiles, n, self.variance.shape[2]), np.float32),
            membrane=membrane,
            kept=np.full_like(membrane, how.decay),
            waiting=np.zeros(membrane.shape, np.int32),
        )
        left = torch.from_numpy(block.driven)
        products = [
            (left[:, lo:hi], torch.from_numpy(matrix[chip, lo:hi]), torch.from_numpy(out[tile]))
            for matrix, out in ((self.rows, block.sums), (self.variance, block.variances))
            for tile, (lo, hi) in enumerate(pairwise(how.edges.tolist()))
            if out.size
        ]
        for step in range(self.spikes.steps):
            fill_inputs(block, how.edges, self.recordings, step, first)
            for part, right, out in products:
                torch.matmul(part, right, out=out)
            advance_block(how, block, self.recordings, step, first, marks)


def _padded(rows: torch.Tensor) -> NDArray[np.float32]:
    """Columns of zeros up to whole vector registers."""
    filled = torch.nn.functional.pad(rows.float(), (0, -rows.shape[-1] % _VECTOR)).contiguous()
    return np.asarray(filled.numpy(), np.float32)
