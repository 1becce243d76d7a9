"""A liquid on random resistive memory: fixed random weights, spiking neurons, counters.

(1) input      x_j = g (sum over active inputs i of W_ij + sum over neurons k that fired a step ago of W_kj)
(2) membrane   u <- decay u (1 - s) + x,   s = 1 where u > threshold
(3) feature    f_j = (spikes of neuron j) / T

The **reservoir** is what is computed; the **chip** brings the weights, each the difference of two cells on one word
line. With ``neighbours`` it is that of adjacent bit lines, ``W_ij = G_i,j+1 - G_ij``: 201 bit lines serve 200 neurons,
and the weights of adjacent neurons share a cell, so their correlation is -1/2, and so is that of their read noise. With
``pairs`` every neuron has two bit lines to itself.

N. Lin et al., Nat. Comput. Sci. 5, 37-47 (2025), doi 10.1038/s43588-024-00751-z. The paper's figures show 456 x 201
cells for 256 inputs and 200 neurons; that its weights are neighbours' differences is inferred from them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated

import numpy as np
import torch
from annotated_types import Gt, Interval
from numpy.typing import NDArray

from devices import Cells, ChipStreams, FormedTaOx, InputError
from mappings.actions import Actions
from mappings.contract import Layer, LayerRead, MappedLayer, ProgrammedLayer, WordFormat, WrittenCells
from mappings.liquid.actions import LiquidReadout, reservoir_actions
from mappings.liquid.chip import US, LiquidChip, LiquidShape
from mappings.liquid.gpu import run_torch
from mappings.liquid.membrane import BuiltMembranes, MappedMembranes
from mappings.liquid.run import ActiveLines, Job, LiquidActivity, LiquidArrays, LiquidEngine, LiquidRun
from mappings.liquid.step import on_grid
from mappings.tile import TileGrid
from periphery.neurons.lif import LIF, MembraneCapacitor, Neurons
from periphery.prices.cells import with_cells
from periphery.prices.component import Component, load_components
from periphery.prices.leakage import with_library

INPUT_RATE, FIRING_RATE, STEPS = 0.0861, 0.0675, 50
"""Assumed activity: input lines and neurons active in a step [1], and steps of a recording, as measured on 880
recordings of N-MNIST, binned as in the paper (docs/liquid.md)."""


@dataclass(frozen=True, kw_only=True)
class Reservoir(Layer):
    """A recurrent layer of spiking neurons with fixed random weights. The defaults are the paper's for N-MNIST.

    Parameters
    ----------
    inputs, neurons : word lines driven by the data, and neurons, whose spikes drive as many word lines more
    gain_per_uS : membrane input for one active weight of a microsiemens (``const`` of the paper: 0.07 N-MNIST, 0.08
        N-TIDIGITS)
    neuron : the neuron, in units of the membrane
    """

    inputs: Annotated[int, Interval(ge=1, le=65536)] = 256
    neurons: Annotated[int, Interval(ge=2, le=65536)] = 200
    gain_per_uS: Annotated[float, Gt(0.0)] = 0.07
    neuron: LIF = LIF()

    @property
    def outputs(self) -> int:
        """Neurons, whose spikes are counted."""
        return self.neurons

    @property
    def rows(self) -> int:
        """Word lines: inputs and neurons."""
        return self.inputs + self.neurons

    @property
    def parameters(self) -> int:
        """Random weights."""
        return self.rows * self.neurons

    def map(self, chip: LiquidChip, *, name: str = "liquid", inputs: WordFormat | None = None) -> MappedLiquid:
        """Find where the reservoir goes on arrays of ``chip``. Raises InputError for inputs that are no spikes."""
        if inputs is not None and inputs.kind != "spike":
            raise InputError(f"{name}: inputs of kind: spike, a word line is active or not (got {inputs.kind})")
        return MappedLiquid(self, chip, name)


@dataclass(frozen=True, kw_only=True)
class Liquid(Reservoir, LiquidChip):
    """A reservoir and its chip, in one record of YAML."""

    def map(
        self, chip: LiquidChip | None = None, *, name: str = "liquid", inputs: WordFormat | None = None
    ) -> MappedLiquid:
        """Find where the reservoir goes on arrays of a chip, by default those of the record."""
        return super().map(self if chip is None else chip, name=name, inputs=inputs)


@dataclass(frozen=True)
class MappedLiquid(MappedLayer):
    """A reservoir on the arrays of a chip; no cell is formed."""

    reservoir: Reservoir
    chip: LiquidChip
    name: str = "liquid"

    @property
    def shape(self) -> LiquidShape:
        """Word lines, bit lines and arrays."""
        return LiquidShape(self.reservoir.rows, self.reservoir.neurons, self.chip)

    @property
    def grid(self) -> TileGrid:
        """Arrays that the weights take; a column of one is a neuron."""
        return self.shape.grid

    def components(self) -> Mapping[str, Component]:
        """The price list, which has the board's converters, with cells as this chip has them."""
        chip = self.chip
        records = with_library(load_components(), "aladdin", chip.temperature_K)
        return with_cells(records, chip.circuit.node_nm, weights=chip.device.kind)

    @property
    def neuron(self) -> LIF | MembraneCapacitor:
        """The neuron's circuit: numbers in logic, or the capacitor that behaves like them under mirrored currents."""
        how, circuit = self.reservoir, self.chip.circuit
        if self.chip.read_path == "board":
            return how.neuron
        return MembraneCapacitor.of(
            how.neuron,
            unit_A=circuit.v_read_V * 1e-6 / how.gain_per_uS / self.membranes.design.division,
            t_step_s=circuit.t_step_s,
            v_threshold_V=self.chip.front_end.swing_V,
        )

    @cached_property
    def membranes(self) -> MappedMembranes:
        """Front ends of the bit lines, where they charge membranes. Raises InputError where the circuit does not
        close."""
        how = self.reservoir
        return MappedMembranes.of(
            self.shape,
            gain_per_uS=how.gain_per_uS,
            threshold=how.neuron.threshold,
            decay=how.neuron.decay,
        )

    def actions(self, activity: LiquidActivity | None = None) -> Actions:
        """One step of the reservoir; as many as ``activity`` states, or assumes, make a recording."""
        notes: tuple[str, ...] = ()
        if activity is None:
            how, mean_uS = self.reservoir, self.chip.design_mean_uS
            spikes = FIRING_RATE * how.neurons
            load_S = self.shape.columns * mean_uS / US
            activity = LiquidActivity(lines=INPUT_RATE * how.inputs + spikes, spikes=spikes, load_S=load_S, steps=STEPS)
            notes = (
                f"assumed: {INPUT_RATE:.2%} of the input lines and {FIRING_RATE:.2%} of the neurons active in a step, "
                f"as on N-MNIST; recordings of {STEPS} steps; cells of {mean_uS:.4g} uS, the mean of the design",
            )
        membranes = self.membranes if self.chip.read_path == "capacitor" else None
        return reservoir_actions(self.shape, self.neuron, membranes, activity, name=self.name, notes=notes)

    def readout(self, outputs: int, *, bits: int | None = None) -> LiquidReadout:
        """The digital layer that a linear read-out is; ``bits`` of a weight, by default the circuit's."""
        bits = self.chip.circuit.readout_bits if bits is None else bits
        return LiquidReadout(features=self.reservoir.neurons, outputs=outputs, bits=bits, chip=self.chip)

    def program(self, *, rng: ChipStreams) -> ProgrammedLiquid:
        """Form (or write) the cells of every chip of ``rng`` once, and draw its neurons."""
        device, shape = self.chip.device, (self.reservoir.rows, self.shape.columns)
        cells = rng.child("cells")
        if isinstance(device, FormedTaOx):
            made = device.form(shape, rng=cells)
        else:
            low, high = device.g_min_S, device.g_max_S
            targets = 0.5 * (low + high) + self.chip.cell_sd_S * rng.child("targets").normal(shape)
            made = device.program(targets.clamp_(low, high), rng=cells)
        neurons = self.reservoir.neuron.build(self.reservoir.neurons, rng=rng.child("neurons"))
        built = self.membranes.build(rng.child("front end")) if self.chip.read_path == "capacitor" else None
        return ProgrammedLiquid(self, neurons, made, None, built)

    def software(self, *, rng: ChipStreams) -> ProgrammedLiquid:
        """The same equations with independent, exactly Gaussian weights of the same spread, no noise, no converter and
        equal neurons; one liquid for each stream of ``rng``."""
        how = self.reservoir
        ideal = math.sqrt(2.0) * self.chip.cell_sd_S * US * rng.child("weights").normal((how.rows, how.neurons))
        equal = replace(how.neuron, threshold_sigma=0.0, noise=0.0)
        return ProgrammedLiquid(self, equal.build(how.neurons, rng=rng), None, ideal)


@dataclass(frozen=True, eq=False)
class ProgrammedLiquid(ProgrammedLayer):
    """A liquid on a batch of chips: its ``cells`` (chips, rows, columns), or ideal weights where there are none;
    ``membranes``: front ends of bit lines that charge membranes."""

    mapped: MappedLiquid
    neurons: Neurons
    cells: Cells | None
    ideal_uS: torch.Tensor | None
    membranes: BuiltMembranes | None = None

    def written(self) -> tuple[WrittenCells, ...]:
        """All cells, where they were written and not formed."""
        device = self.mapped.chip.device
        if self.cells is None or isinstance(device, FormedTaOx):
            return ()
        return (WrittenCells(part="weights", device=device.kind, cells=(self.cells,)),)

    def conductance_uS(self, t_s: float = 0.0) -> torch.Tensor:
        """Cells (chips, rows, columns) ``t_s`` seconds after forming, fast noise apart [uS]; ValueError in software."""
        if self.cells is None:
            raise ValueError("a liquid in software has weights but no cells")
        return self.mapped.chip.device.conductance_S(self.cells, t_s) * US

    def weights_uS(self, t_s: float = 0.0) -> torch.Tensor:
        """Weights (chips, inputs + neurons, neurons), from word line to neuron, as front ends pass them on [uS]."""
        if self.ideal_uS is not None:
            return self.ideal_uS
        if self.membranes is not None:
            return self.membranes.read(self.conductance_uS(t_s)).weights
        return self.mapped.shape.wiring.differences(self.conductance_uS(t_s))

    def at(self, t_s: float = 0.0) -> LiquidRead:
        """The arrays ``t_s`` seconds after forming."""
        how, chip, shape = self.mapped.reservoir, self.mapped.chip, self.mapped.shape
        nothing = torch.zeros(len(self.neurons.threshold))
        offset = lsb = supply = 0.0
        floor, bias = nothing, torch.zeros_like(self.neurons.threshold)
        top, variance, sigma, load_S = 0, None, nothing, nothing[:, None].expand(-1, how.rows)
        if self.cells is None:
            rows = self.weights_uS(t_s)
        else:
            g = self.conductance_uS(t_s)
            load_S = g.sum(dim=2) / US
            noise = chip.device.read_sigma_S(g / US, self.cells) * US
            if bool((noise == noise[:, :1, :1]).all()):
                sigma = noise[:, 0, 0]
            else:
                variance = on_grid(noise.square())
            if self.membranes is None:
                rows = shape.wiring.differences(g)
            else:
                taken = self.membranes.read(g)
                rows, floor, bias = taken.weights, taken.floor_uS2, taken.bias_uS
                supply = chip.read_supply.noise_V / chip.circuit.v_read_V
                sigma = sigma * taken.gain
                variance = None if variance is None else variance * taken.gain[:, None, None].square()
            if chip.read_path == "board" and chip.adc_bits is not None:
                # The mean of the design, not of a chip: what a chip converts must not depend on those beside it.
                offset, top = chip.design_mean_uS, 2**chip.adc_bits - 1
                rows = g - offset
                lsb = (min(chip.array_rows, how.rows) if chip.adc_lines is None else chip.adc_lines) * offset / top
        return LiquidRead(
            self.neurons,
            on_grid(rows),
            variance,
            sigma,
            floor,
            bias,
            supply,
            offset,
            lsb,
            top,
            load_S,
            shape.wiring,
            shape.row_edges,
            how.inputs,
            how.gain_per_uS,
        )


@dataclass(frozen=True, eq=False)
class LiquidRead(LiquidArrays, LayerRead):
    """A liquid's chips at one time."""

    def run(
        self,
        spikes: ActiveLines,
        *,
        noise: ChipStreams,
        numbers: NDArray[np.int64] | None = None,
        record: bool = False,
        engine: LiquidEngine = "auto",
        device: torch.device | str = "cpu",
    ) -> LiquidRun:
        """All recordings from rest on all chips.

        ``noise``: a stream for each chip, of its read noise; ``numbers``: (recordings,), the number of each recording
        from which its noise is drawn, by default its position: neither the batch nor the chips beside move a bit of it.
        ``record`` keeps every spike. ``engine``: ``events`` adds the rows of active lines, ``dense`` multiplies
        matrices, ``auto`` takes whichever is expected to be faster; their results are the same to the bit. ``device``:
        a CUDA device runs all of it there (``mappings.liquid.gpu``); its noise is another one, and goes with a
        recording's position. Raises ValueError for spikes on another number of lines, other chips, and ``numbers`` on a
        GPU.
        """
        chips = len(self.neurons.threshold)
        if spikes.inputs != self.inputs:
            raise ValueError(f"spikes: allowed are {self.inputs} word lines, the liquid's inputs (got {spikes.inputs})")
        if len(noise) != chips:
            raise ValueError(f"noise: allowed is one stream for each of the {chips} chips (got {len(noise)})")
        n = (len(spikes.offsets) - 1) // spikes.steps
        if numbers is not None and len(numbers) != n:
            raise ValueError(f"numbers: allowed is one for each of the {n} recordings (got {len(numbers)})")
        if torch.device(device).type != "cpu":
            if numbers is not None:
                raise ValueError("numbers: allowed on the CPU alone; on a GPU noise goes with a recording's position")
            return run_torch(self, spikes, rng=noise, device=device, record=record)
        numbers = np.arange(n, dtype=np.int64) if numbers is None else np.asarray(numbers, np.int64)
        job = Job.of(self, spikes, numbers, record=record)
        return job.run([stream.child("read").key for stream in noise.streams], engine)
