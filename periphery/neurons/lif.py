"""The leaky integrate-and-fire neuron: charge leaks, adds up, and is thrown away with every spike.

Two circuits, one update. ``LIF`` is the digital neuron of a board: numbers decay, are added and compared.
``MembraneCapacitor`` is the same on the chip, in farads, siemens and volts; over a step of constant current its voltage
follows the same recursion exactly, so it is simulated as the ``LIF`` that ``MembraneCapacitor.lif`` returns.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Gt, Interval

from devices import ChipStreams
from periphery.neurons.firing import fire

Counts = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, kw_only=True)
class LIF:
    """A neuron in the units of its input: Lin et al., Nat. Comput. Sci. 5, 37 (2025), 10.1038/s43588-024-00751-z.

    ``u <- decay u (1 - s (1 - residue)) + x``, then ``s <- u > threshold``. The defaults are the paper's for N-MNIST,
    with nothing that a circuit adds.

    Parameters
    ----------
    decay : share of the membrane that is left after a step [1]
    threshold : membrane above which a neuron fires, in units of the input
    threshold_sigma : standard deviation of the thresholds of a chip's neurons, drawn once a chip, same units
    residue : share of the membrane that a reset leaves [1]
    noise : standard deviation of the comparator's noise in one decision, in units of the input
    refractory_steps : steps after a spike in which a neuron takes no input and cannot fire
    membrane_bits, decay_bits : widths of the digital membrane and of its decay factor, which are priced, not simulated
    """

    kind: Literal["digital"] = "digital"
    decay: Annotated[float, Interval(ge=0.0, le=1.0)] = 0.9
    threshold: Annotated[float, Gt(0.0)] = 5.0
    threshold_sigma: Annotated[float, Ge(0.0)] = 0.0
    residue: Annotated[float, Interval(ge=0.0, lt=1.0)] = 0.0
    noise: Annotated[float, Ge(0.0)] = 0.0
    refractory_steps: Annotated[int, Interval(ge=0, le=10_000)] = 0
    membrane_bits: Annotated[int, Interval(ge=1, le=64)] = 16
    decay_bits: Annotated[int, Interval(ge=1, le=64)] = 8

    def build(self, neurons: int, *, rng: ChipStreams) -> Neurons:
        """``neurons`` of this design on every chip of ``rng``, their thresholds drawn."""
        spread = rng.child("threshold").normal((neurons,)) if self.threshold_sigma > 0.0 else None
        ideal = torch.full((len(rng), neurons), self.threshold)
        return Neurons(self, ideal if spread is None else ideal + self.threshold_sigma * spread)

    def actions(self, neuron_steps: float, spikes: float, steps: int) -> Counts:
        """What updates and spikes take, ``{component: {action: count}}``.

        An update multiplies by the decay, adds the input and compares by subtraction; a spike counts up a register
        that can hold ``steps``, which turns over two bits on average.
        """
        bits = self.membrane_bits
        return {
            "multiplier": {"bit_product": neuron_steps * bits * self.decay_bits},
            "adder": {"add_bit": 2.0 * neuron_steps * bits},
            "register": {"write_bit": neuron_steps * bits + spikes * _counter_writes(steps)},
        }

    def instances(self, neurons: float, steps: int) -> Mapping[str, float]:
        """What is on the chip for ``neurons`` that work side by side, ``{component: count}``."""
        bits = self.membrane_bits
        return {
            "multiplier": neurons * bits * self.decay_bits,
            "adder": 2.0 * neurons * bits,
            "register": neurons * (bits + _counter_bits(steps)),
        }


@dataclass(frozen=True, kw_only=True)
class MembraneCapacitor:
    """A neuron on the chip: column current charges a capacitor beside a leak, a clocked comparator fires and resets it.

    Over a step of constant current I, ``V <- V exp(-t g / C) + I (1 - exp(-t g / C)) / g``, exactly. The defaults are
    estimates: some ten microamperes bring the capacitor to the threshold within 100 ns, with the paper's decay of 0.9.

    Parameters
    ----------
    c_membrane_F, g_leak_S : capacitor [F] and leak beside it [S]; no leak integrates perfectly
    v_threshold_V : reference of the comparator [V]
    v_threshold_sigma_V : spread of the comparators' offsets over a chip's neurons, drawn once a chip [V]
    v_noise_V : noise of one decision [V]
    residue : share of the voltage that the reset switch leaves [1]
    t_step_s : time for which the current flows, and between decisions [s]
    t_refractory_s : time after a spike in which the switch holds the capacitor [s]; rounded up to whole steps
    """

    kind: Literal["capacitor"] = "capacitor"
    c_membrane_F: Annotated[float, Gt(0.0)] = 3e-12
    g_leak_S: Annotated[float, Ge(0.0)] = 3.16e-6
    v_threshold_V: Annotated[float, Gt(0.0)] = 0.45
    v_threshold_sigma_V: Annotated[float, Ge(0.0)] = 5e-3
    v_noise_V: Annotated[float, Ge(0.0)] = 0.3e-3
    residue: Annotated[float, Interval(ge=0.0, lt=1.0)] = 0.0
    t_step_s: Annotated[float, Gt(0.0)] = 100e-9
    t_refractory_s: Annotated[float, Ge(0.0)] = 0.0

    @property
    def decay(self) -> float:
        """Share of the voltage that is left after a step [1]."""
        return math.exp(-self.t_step_s * self.g_leak_S / self.c_membrane_F)

    @property
    def ohms(self) -> float:
        """Voltage that one ampere leaves after one step from rest [ohm]: ``t / C`` without a leak."""
        if self.g_leak_S == 0.0:
            return self.t_step_s / self.c_membrane_F
        return -math.expm1(-self.t_step_s * self.g_leak_S / self.c_membrane_F) / self.g_leak_S

    def lif(self, unit_A: float) -> LIF:
        """The same neuron in units of input, where one unit of input is a current of ``unit_A`` [A]."""
        unit_V = self.ohms * unit_A
        return LIF(
            decay=self.decay,
            threshold=self.v_threshold_V / unit_V,
            threshold_sigma=self.v_threshold_sigma_V / unit_V,
            residue=self.residue,
            noise=self.v_noise_V / unit_V,
            refractory_steps=math.ceil(self.t_refractory_s / self.t_step_s - 1e-9),
        )

    @classmethod
    def of(cls, lif: LIF, *, unit_A: float, t_step_s: float = 100e-9, v_threshold_V: float = 0.45) -> MembraneCapacitor:
        """The circuit that behaves as ``lif`` where one unit of input is ``unit_A``: this sizes capacitor and leak.

        Spread and noise go with the threshold. Raises ``ValueError`` for a decay of 0: no leak is that fast.
        """
        if lif.decay == 0.0:
            raise ValueError("decay: allowed is more than 0 for a capacitor (got 0)")
        volts = v_threshold_V / lif.threshold
        rate = -math.log(lif.decay)
        # The voltage of one unit after a step is unit_A t / C times (1 - decay) / rate, which tends to 1 without leak.
        kept = 1.0 if rate == 0.0 else -math.expm1(-rate) / rate
        c_membrane_F = unit_A * t_step_s * kept / volts
        return cls(
            c_membrane_F=c_membrane_F,
            g_leak_S=rate * c_membrane_F / t_step_s,
            v_threshold_V=v_threshold_V,
            v_threshold_sigma_V=lif.threshold_sigma * volts,
            v_noise_V=lif.noise * volts,
            residue=lif.residue,
            t_step_s=t_step_s,
            t_refractory_s=lif.refractory_steps * t_step_s,
        )

    def actions(self, neuron_steps: float, spikes: float, steps: int) -> Counts:
        """What decisions and resets take, ``{component: {action: count}}``; the charge is what front ends deliver."""
        return {
            "comparator": {"step": neuron_steps},
            "membrane": {"reset": spikes},
            "register": {"write_bit": spikes * _counter_writes(steps)},
        }

    def instances(self, neurons: float, steps: int) -> Mapping[str, float]:
        """What is on the chip for ``neurons`` beside capacitors and front ends, ``{component: count}``."""
        return {
            "comparator": neurons,
            "membrane": neurons,
            "register": neurons * _counter_bits(steps),
        }


@dataclass(frozen=True, eq=False)
class State:
    """Membranes and last spikes (chips, n, neurons), float32, and steps that a neuron still has to wait, int32."""

    membrane: torch.Tensor
    spikes: torch.Tensor
    waiting: torch.Tensor


@dataclass(frozen=True, eq=False)
class Neurons:
    """Neurons as built: ``threshold`` (chips, neurons), in units of the input."""

    design: LIF
    threshold: torch.Tensor

    def rest(self, n: int) -> State:
        """``n`` recordings before their first step on every chip: no charge, no spike."""
        chips, neurons = self.threshold.shape
        zeros = torch.zeros((chips, n, neurons), device=self.threshold.device)
        return State(zeros, zeros, zeros.int())

    def step(self, state: State, x: torch.Tensor, xi: torch.Tensor | None = None) -> State:
        """One step under the input ``x`` (chips, n, neurons), that of the recurrent spikes included.

        ``xi``: standard normal numbers in the shape of ``x``, scaled by the design's noise; None adds none.
        """
        how = self.design
        kept = 1.0 - state.spikes * (1.0 - how.residue)
        free = state.waiting == 0
        membrane = (how.decay * kept) * state.membrane + x * free
        seen = membrane if xi is None or how.noise == 0.0 else membrane + how.noise * xi
        spikes = ((seen > self.threshold[:, None]) & free).float()
        waiting = state.waiting.sub(1).clamp_min_(0)
        return State(membrane, spikes, torch.where(spikes > 0, how.refractory_steps, waiting))

    def run(
        self,
        x: torch.Tensor,
        recurrent: torch.Tensor | None = None,
        *,
        xi: torch.Tensor | None = None,
        record: bool = False,
    ) -> Firing:
        """Whole recordings from rest under ``x`` (chips, n, steps, neurons), compiled, on the CPU.

        ``recurrent`` (chips, from, to): weights that a spike adds to the next step's input; only neurons that fired are
        looked at. ``xi``: standard normal numbers in the shape of ``x``. ``record`` keeps the spikes, not only counts.
        """
        noise = self.design.noise if xi is not None else 0.0
        counts, spikes = fire(
            x,
            recurrent,
            self.threshold,
            decay=self.design.decay,
            residue=self.design.residue,
            refractory=self.design.refractory_steps,
            xi=xi * noise if xi is not None and noise > 0.0 else None,
            record=record,
        )
        return Firing(counts, spikes, x.shape[2])


@dataclass(frozen=True, eq=False)
class Firing:
    """Spikes of each neuron over a recording, ``counts`` (chips, n, neurons) int32; ``spikes`` (chips, n, steps,
    neurons) uint8 where they were recorded."""

    counts: torch.Tensor
    spikes: torch.Tensor | None
    steps: int

    @property
    def rate(self) -> float:
        """Mean spikes per neuron and step [1]."""
        return float(self.counts.double().mean() / self.steps)


def _counter_bits(steps: int) -> int:
    return max(1, math.ceil(math.log2(steps + 1)))


def _counter_writes(steps: int) -> float:
    """Bits of a counter that change when it counts up, on average: 1 + 1/2 + 1/4 ..."""
    return 2.0 - 2.0 ** (1 - _counter_bits(steps))
