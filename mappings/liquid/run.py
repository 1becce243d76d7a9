"""Runs of a liquid over many recordings: what goes in, what comes out, and the two engines between."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from mappings.liquid.step import Marks, Physics, Wiring, advance_block, fill_inputs, run_events
from periphery.neurons.lif import Neurons

BLOCK = 256
"""Recordings that are simulated together; their number moves no bit."""
EVENTS_BELOW = 0.6
"""Share of active input lines above which a product of matrices is the faster engine, as timed on one core."""
_VECTOR = 16
Engine = Literal["auto", "events", "dense"]


class ActiveLines(Protocol):
    """Active word lines of every step of every recording, as ``workloads.lsm.binning.Spikes`` holds them.

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
    """``ActiveLines`` of one's own."""

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


@dataclass(frozen=True, eq=False)
class LiquidRead:
    """What the arrays of a liquid are at one time: everything that a run needs of them.

    Parameters
    ----------
    rows : (chips, rows, width), on a binary grid: weights, or with a converter bit lines less ``offset_uS`` [uS]
    sigma_uS : (chips,), read noise where all cells have one; else ``variance_uS2`` (chips, rows, columns) holds it
    lsb_uS, top_code : the converter; ``lsb_uS`` is 0 without one
    load_S : (chips, rows), all cells on a word line [S]; zeros in software
    wiring, edges : how bit lines become neurons; first word lines of the row tiles, and their end
    inputs, gain_per_uS : word lines driven by data; membrane input of one microsiemens
    """

    rows: torch.Tensor
    variance_uS2: torch.Tensor | None
    sigma_uS: torch.Tensor
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
    input_reads : (n,) int64, active inputs, summed over steps
    """

    counts: torch.Tensor
    line_reads: torch.Tensor
    clipped: torch.Tensor
    raster: torch.Tensor | None
    steps: int
    input_reads: NDArray[np.int64]

    @property
    def features(self) -> torch.Tensor:
        """Equation (3), (chips, n, neurons) float32."""
        return self.counts.float() / self.steps

    @property
    def rates(self) -> torch.Tensor:
        """Mean spikes per neuron and step of every chip, (chips,)."""
        return self.counts.double().mean(dim=(1, 2)) / self.steps


@dataclass(frozen=True, eq=False)
class Job:
    """Arrays of one run, as the compiled steps take them."""

    read: LiquidRead
    neurons: Neurons
    rows: NDArray[np.float32]
    variance: NDArray[np.float32]
    z_width: int
    spikes: ActiveLines
    numbers: NDArray[np.int64]
    counts: NDArray[np.int32]
    reads: NDArray[np.int64]
    clipped: NDArray[np.int64]
    raster: NDArray[np.uint8]

    @classmethod
    def of(
        cls, read: LiquidRead, neurons: Neurons, spikes: ActiveLines, numbers: NDArray[np.int64], *, record: bool
    ) -> Job:
        """Lay out what a run reads and writes."""
        chips, width = neurons.threshold.shape
        shape = (chips, len(numbers))
        return cls(
            read,
            neurons,
            _padded(read.rows),
            np.zeros((chips, 0, 0), np.float32) if read.variance_uS2 is None else _padded(read.variance_uS2),
            -(-read.wiring.columns // (4 * _VECTOR)) * 4 * _VECTOR,
            spikes,
            numbers,
            np.zeros((*shape, width), np.int32),
            np.zeros(shape, np.int64),
            np.zeros(shape, np.int64),
            np.zeros((*shape, spikes.steps, width) if record else (chips, 0, 0, 0), np.uint8),
        )

    def run(self, keys: list[int], engine: Engine) -> LiquidRun:
        """All blocks of recordings on all chips; ``keys``: of each chip's read noise."""
        spikes, n = self.spikes, len(self.numbers)
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
        return LiquidRun(
            torch.from_numpy(self.counts),
            torch.from_numpy(self.reads),
            torch.from_numpy(self.clipped),
            torch.from_numpy(self.raster) if self.raster.size else None,
            spikes.steps,
            np.diff(spikes.offsets[:: spikes.steps]),
        )

    def _physics(self, chip: int, key: int) -> Physics:
        read, neuron, f = self.read, self.neurons.design, np.float32
        return Physics(
            edges=read.edges if read.lsb_uS > 0.0 else read.edges[[0, -1]],
            sigma=f(read.sigma_uS[chip]),
            offset=f(read.offset_uS),
            lsb=f(read.lsb_uS),
            top=f(read.top_code),
            segments=read.wiring.segments,
            gain=f(read.gain_per_uS),
            decay=f(neuron.decay),
            residue=f(neuron.residue),
            refractory=neuron.refractory_steps,
            threshold=self.neurons.threshold[chip].float().contiguous().numpy(),
            wobble=f(neuron.noise),
            key=np.array([key & 0xFFFFFFFF, key >> 32], np.uint32),
            z_width=self.z_width,
            columns=read.wiring.columns,
            inputs=read.inputs,
        )

    def _marks(self, chip: int) -> Marks:
        return Marks(self.counts[chip], self.reads[chip], self.clipped[chip], self.raster[chip])

    def _events(self, chip: int, first: int, key: int) -> None:
        """A block of recordings on one chip, row by row."""
        spikes, last = self.spikes, min(first + BLOCK, len(self.numbers))
        run_events(
            self._physics(chip, key),
            self.rows[chip],
            self.variance[chip],
            spikes.steps,
            spikes.lines,
            spikes.offsets,
            self.numbers,
            first,
            last,
            self._marks(chip),
        )

    def _dense(self, chip: int, first: int, key: int) -> None:
        """A block of recordings on one chip, as a product of matrices for each step."""
        spikes, how, marks = self.spikes, self._physics(chip, key), self._marks(chip)
        n, neurons, tiles = min(BLOCK, len(self.numbers) - first), self.counts.shape[2], len(how.edges) - 1
        driven, lit = np.zeros((n, int(how.edges[-1])), np.float32), np.zeros((n, tiles), np.int64)
        sums = np.empty((tiles, n, self.rows.shape[2]), np.float32)
        variances = np.empty((tiles, n, self.variance.shape[2]), np.float32)
        membrane, waiting = np.zeros((n, neurons), np.float32), np.zeros((n, neurons), np.int32)
        kept = np.full_like(membrane, how.decay)
        left = torch.from_numpy(driven)
        products = [
            (left[:, lo:hi], torch.from_numpy(matrix[chip, lo:hi]), torch.from_numpy(out[tile]))
            for matrix, out in ((self.rows, sums), (self.variance, variances))
            for tile, (lo, hi) in enumerate(pairwise(how.edges.tolist()))
            if out.size
        ]
        for step in range(spikes.steps):
            fill_inputs(driven, lit, how.edges, spikes.lines, spikes.offsets, spikes.steps, step, first)
            for block, right, out in products:
                torch.matmul(block, right, out=out)
            advance_block(how, sums, variances, driven, lit, step, self.numbers, membrane, kept, waiting, first, marks)


def _padded(rows: torch.Tensor) -> NDArray[np.float32]:
    """Columns of zeros up to whole vector registers."""
    filled = torch.nn.functional.pad(rows.float(), (0, -rows.shape[-1] % _VECTOR)).contiguous()
    return np.asarray(filled.numpy(), np.float32)
