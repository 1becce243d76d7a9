"""A liquid on random resistive memory: fixed random weights, spiking neurons, counters.

(1) input      x_j = g (sum over active inputs i of W_ij + sum over neurons k that fired a step ago of W_kj)
(2) membrane   u <- decay u (1 - s) + x,   s = 1 where u > threshold
(3) feature    f_j = (spikes of neuron j) / T

A weight is the difference of two cells on one word line. With ``neighbours`` it is that of adjacent bit lines,
``W_ij = G_i,j+1 - G_ij``: 201 bit lines serve 200 neurons, and the weights of adjacent neurons share a cell, so their
correlation is -1/2, and so is that of their read noise. With ``pairs`` every neuron has two bit lines of its own.

N. Lin et al., Nat. Comput. Sci. 5, 37-47 (2025), doi 10.1038/s43588-024-00751-z. The paper's figures show 456 x 201
cells for 256 inputs and 200 neurons; that its weights are neighbours' differences is inferred from them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np
import torch
from annotated_types import Gt, Interval
from numpy.typing import NDArray

from devices import AnyDevice, Cells, ChipStreams, FormedTaOx
from mappings.liquid.circuit import LiquidCircuit
from mappings.liquid.gpu import run_torch
from mappings.liquid.run import ActiveLines, Engine, Job, LineSpikes, LiquidRead, LiquidRun
from mappings.liquid.step import Wiring, on_grid
from periphery.neurons.lif import LIF, Neurons

__all__ = ["ActiveLines", "Engine", "LineSpikes", "Liquid", "LiquidRead", "LiquidRun", "ProgrammedLiquid"]

US = 1e6


@dataclass(frozen=True, kw_only=True)
class Liquid:
    """A reservoir of spiking neurons between random resistive cells. The defaults are the paper's for N-MNIST.

    Parameters
    ----------
    inputs, neurons : word lines driven by the data, and neurons, whose spikes drive as many word lines more
    device : the cells. Formed ones take what breakdown leaves; cells that are written take normal targets, in the
        middle of their range with ``written_sd`` of it as standard deviation, drawn a chip
    pairing : ``neighbours`` or ``pairs`` of bit lines
    gain_per_uS : membrane input for one active weight of a microsiemens (``const`` of the paper: 0.07 N-MNIST, 0.08
        N-TIDIGITS)
    neuron : the neuron, in units of the membrane
    read_path : ``board``: every bit line through a transimpedance amplifier and an ADC, differences and neurons in
        logic, as on the paper's board; ``capacitor``: the current difference charges a membrane on the chip
    adc_bits : resolution of the board's ADC (its ADS8324 has 14); None converts exactly
    adc_lines : active word lines, all at the mean conductance, that fill the ADC's range; None sizes it for all lines
        of an array at once, beyond which the code stays at its end
    array_rows, array_columns : cells of one array; what is larger takes several, whose rows are converted apart
    written_sd : standard deviation of written targets, share of the device's range [1]
    circuit : voltages, times and formats of its circuits, by which it is priced
    """

    kind: Literal["liquid"] = "liquid"
    description: str = ""
    source: str = ""
    cite: tuple[str, ...] = ()
    inputs: Annotated[int, Interval(ge=1, le=65536)] = 256
    neurons: Annotated[int, Interval(ge=2, le=65536)] = 200
    device: AnyDevice = FormedTaOx()
    pairing: Literal["neighbours", "pairs"] = "neighbours"
    gain_per_uS: Annotated[float, Gt(0.0)] = 0.07
    neuron: LIF = LIF()
    read_path: Literal["board", "capacitor"] = "board"
    adc_bits: Annotated[int, Interval(ge=2, le=20)] | None = 14
    adc_lines: Annotated[float, Gt(0.0)] | None = None
    array_rows: Annotated[int, Interval(ge=2, le=65536)] = 512
    array_columns: Annotated[int, Interval(ge=2, le=65536)] = 512
    written_sd: Annotated[float, Interval(gt=0.0, le=0.5)] = 0.15
    circuit: LiquidCircuit = LiquidCircuit()

    @property
    def rows(self) -> int:
        """Word lines: inputs and neurons."""
        return self.inputs + self.neurons

    @property
    def columns(self) -> int:
        """Bit lines of all arrays side by side."""
        return self.wiring.columns

    @property
    def row_edges(self) -> NDArray[np.int64]:
        """First word line of every row of arrays, and their end."""
        return np.append(np.arange(0, self.rows, self.array_rows), self.rows).astype(np.int64)

    @property
    def arrays(self) -> int:
        """Arrays of ``array_rows`` x ``array_columns`` cells that the liquid takes."""
        per_array = self.array_columns - 1 if self.pairing == "neighbours" else self.array_columns // 2
        return (len(self.row_edges) - 1) * math.ceil(self.neurons / per_array)

    @property
    def wiring(self) -> Wiring:
        """How bit lines become neurons; neighbours never lie on two arrays."""
        n = self.neurons
        if self.pairing == "pairs":
            return Wiring(n, 2 * n, np.array([[0, n, n, 0]], np.int64))
        width = self.array_columns - 1
        segments = [[lo, min(lo + width, n), part + 1, part] for part, lo in enumerate(range(0, n, width))]
        return Wiring(n, n + len(segments), np.array(segments, np.int64))

    @property
    def cell_sd_S(self) -> float:
        """Standard deviation of the conductances that make weights; unformed cells not among them [S]."""
        if isinstance(self.device, FormedTaOx):
            return self.device.formed_sd_S
        return self.written_sd * (self.device.g_max_S - self.device.g_min_S)

    @property
    def design_mean_uS(self) -> float:
        """Mean conductance for which the converter is laid out, that of a working cell, in whole 2^-12 uS [uS]."""
        if isinstance(self.device, FormedTaOx):
            share = self.device.formed_share
            mean_S = share * self.device.formed_S + (1.0 - share) * self.device.unformed_S
        else:
            mean_S = 0.5 * (self.device.g_min_S + self.device.g_max_S)
        return max(1.0, round(mean_S * US * 4096.0)) / 4096.0

    def program(self, rng: ChipStreams) -> ProgrammedLiquid:
        """Form (or write) the cells of every chip of ``rng`` once, and draw its neurons."""
        shape, cells = (self.rows, self.columns), rng.child("cells")
        if isinstance(self.device, FormedTaOx):
            made = self.device.form(shape, rng=cells)
        else:
            low, high = self.device.g_min_S, self.device.g_max_S
            targets = 0.5 * (low + high) + self.cell_sd_S * rng.child("targets").normal(shape)
            made = self.device.program(targets.clamp_(low, high), rng=cells)
        return ProgrammedLiquid(self, self.neuron.build(self.neurons, rng=rng.child("neurons")), made, None)

    def software(self, rng: ChipStreams) -> ProgrammedLiquid:
        """The same equations with independent, exactly Gaussian weights of the same spread, no noise, no converter and
        equal neurons; one liquid for each stream of ``rng``."""
        ideal = math.sqrt(2.0) * self.cell_sd_S * US * rng.child("weights").normal((self.rows, self.neurons))
        equal = replace(self.neuron, threshold_sigma=0.0, noise=0.0)
        return ProgrammedLiquid(self, equal.build(self.neurons, rng=rng), None, ideal)


@dataclass(frozen=True, eq=False)
class ProgrammedLiquid:
    """A liquid on a batch of chips: its ``cells`` (chips, rows, columns), or ideal weights where there are none."""

    liquid: Liquid
    neurons: Neurons
    cells: Cells | None
    ideal_uS: torch.Tensor | None

    @property
    def chips(self) -> int:
        """Chips of the batch."""
        return len(self.neurons.threshold)

    def conductance_uS(self, t_s: float = 0.0) -> torch.Tensor:
        """Cells (chips, rows, columns) ``t_s`` seconds after forming, fast noise apart [uS]; ValueError in software."""
        if self.cells is None:
            raise ValueError("a liquid in software has weights but no cells")
        return self.liquid.device.conductance_S(self.cells, t_s) * US

    def weights_uS(self, t_s: float = 0.0) -> torch.Tensor:
        """Weights (chips, inputs + neurons, neurons), from word line to neuron [uS]."""
        return self.ideal_uS if self.ideal_uS is not None else self._differences(self.conductance_uS(t_s))

    def _differences(self, columns: torch.Tensor) -> torch.Tensor:
        return torch.cat(
            [
                columns[..., lo + plus : hi + plus] - columns[..., lo + minus : hi + minus]
                for lo, hi, plus, minus in self.liquid.wiring.segments.tolist()
            ],
            dim=-1,
        )

    def read(self, t_s: float = 0.0) -> LiquidRead:
        """What a run needs of the arrays ``t_s`` seconds after forming."""
        how, nothing = self.liquid, torch.zeros(self.chips)
        offset = lsb = 0.0
        top, variance, sigma, load_S = 0, None, nothing, nothing[:, None].expand(-1, how.rows)
        if self.ideal_uS is not None:
            rows = self.ideal_uS
        else:
            g = self.conductance_uS(t_s)
            load_S = g.sum(dim=2) / US
            noise = how.device.read_sigma_S(g / US) * US
            if bool((noise == noise[:, :1, :1]).all()):
                sigma = noise[:, 0, 0]
            else:
                variance = on_grid(noise.square())
            rows = self._differences(g)
            if how.read_path == "board" and how.adc_bits is not None:
                # The mean of the design, not of a chip: what a chip converts must not depend on those beside it.
                offset, top = how.design_mean_uS, 2**how.adc_bits - 1
                rows = g - offset
                lsb = (min(how.array_rows, how.rows) if how.adc_lines is None else how.adc_lines) * offset / top
        return LiquidRead(
            on_grid(rows),
            variance,
            sigma,
            offset,
            lsb,
            top,
            load_S,
            how.wiring,
            how.row_edges,
            how.inputs,
            how.gain_per_uS,
        )

    def run(
        self,
        spikes: ActiveLines,
        *,
        rng: ChipStreams,
        t_s: float = 0.0,
        numbers: NDArray[np.int64] | None = None,
        record: bool = False,
        engine: Engine = "auto",
        read: LiquidRead | None = None,
        device: torch.device | str = "cpu",
    ) -> LiquidRun:
        """All recordings from rest on all chips, ``t_s`` seconds after forming.

        ``rng``: a stream for each chip, of its read noise; ``numbers``: (recordings,), the number of each recording
        from which its noise is drawn, by default its place: neither the batch nor the chips beside move a bit of it.
        ``record`` keeps every spike. ``engine``: ``events`` adds the rows of active lines, ``dense`` multiplies
        matrices, ``auto`` takes whichever is expected to be faster; their results are the same to the bit. ``read``:
        of ``read(t_s)``, where it is at hand. ``device``: a CUDA device runs all of it there (``liquid_torch``); its
        noise is another one, and goes with a recording's place. Raises ValueError for spikes on another number of
        lines, other chips, and ``numbers`` on a GPU.
        """
        how = self.liquid
        if spikes.inputs != how.inputs:
            raise ValueError(f"spikes: allowed are {how.inputs} word lines, the liquid's inputs (got {spikes.inputs})")
        if len(rng) != self.chips:
            raise ValueError(f"rng: allowed is one stream for each of the {self.chips} chips (got {len(rng)})")
        n = (len(spikes.offsets) - 1) // spikes.steps
        given = numbers is not None
        numbers = np.arange(n, dtype=np.int64) if numbers is None else np.asarray(numbers, np.int64)
        if len(numbers) != n:
            raise ValueError(f"numbers: allowed is one for each of the {n} recordings (got {len(numbers)})")
        read = self.read(t_s) if read is None else read
        if torch.device(device).type != "cpu":
            if given:
                raise ValueError("numbers: allowed on the CPU alone; on a GPU noise goes with a recording's place")
            return run_torch(read, self.neurons, spikes, rng=rng, device=device, record=record)
        job = Job.of(read, self.neurons, spikes, numbers, record=record)
        return job.run([stream.child("read").key for stream in rng.streams], engine)
