"""A nonlinear ramp converter on the bench: transfer curve, nonlinearity, effective bits, missing codes of many chips.

Definitions, with LSB = output range / 2^bits, ``rho_k`` the input at which step k is passed, ``g`` the function:

(1) INL_k  = (g(rho_k) - d_k) / LSB                            d_k: output at which the ideal converter passes step k
(2) DNL_k  = (abs(g(rho_k+1) - g(rho_k)) - abs(d_k+1 - d_k)) / LSB       not across the turn of a folded function
(3) error  = (output - g(z)) / LSB                             quantisation included, so 0.5 LSB is ideal
(4) ENOB   = log2(range / (sqrt(12) NAD))                      NAD: rms left by the best sine through the outputs

A nonlinear converter turns a sine at its input into something else by design, so the sine test runs behind the
function: the input is ``z = g^-1(s)``, with a coherent sine ``s`` that spans the outputs from the first level to the
last, and an ideal converter returns s plus quantisation noise, and ``bits`` effective bits. Where the function turns,
the sine stays on the branch that spans the most outputs. Definition (4) and the fit, whose offset, amplitude and phase
are free: IEEE Std 1241-2010, doi 10.1109/IEEESTD.2011.5692956.

INL and DNL are those of the ramp as the comparators see it (delay and leak included); offset of a column and all noise
enter the error (offset) and the sine test (both).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch

from devices import BlockNoise, ChipStreams, Stream
from periphery.functions.function import thresholds
from periphery.ramp.cells import Ramp
from periphery.ramp.comparator import Comparator
from periphery.ramp.converter import RampConversion, RampConverter
from periphery.ramp.design import RampDesign

POINTS, MARGIN = 2048, 0.06
SWING_V = 0.5  # of the integrator in front, where no chip says otherwise
SINE_SAMPLES, SINE_PERIODS = 4096, 67  # no common factor: every sample has another phase
BLOCK = 64


@dataclass(frozen=True)
class Characteristic:
    """What the measurement of many chips gave; tensors in float64.

    ``z (points,)`` and ``transfer (chips, points)``: inputs from before the first to behind the last threshold, and
    output values; ``inl``, ``inl_before (chips, steps)`` [LSB]: as the chip works, and before the bias cells were
    trimmed; ``dnl (chips, steps - 1)`` [LSB], not-a-number across a turn; ``error (chips, inside)`` [LSB], between the
    first and the last threshold; ``enob (chips,)`` [bit]; ``missing (chips,)``: codes that no input gives; ``falls
    (chips,)``: steps at which the ramp falls back.
    """

    design: RampDesign
    z: torch.Tensor
    transfer: torch.Tensor
    inl: torch.Tensor
    inl_before: torch.Tensor
    dnl: torch.Tensor
    error: torch.Tensor
    enob: torch.Tensor
    missing: torch.Tensor
    falls: torch.Tensor

    def figures(self) -> dict[str, tuple[float, float]]:
        """Mean over chips and worst chip of every figure, by name with unit."""
        worst_dnl = self.dnl.nan_to_num(0.0).abs()
        zero = self.dnl.new_zeros(len(self.dnl), 1)
        rows = {
            "mean |INL| before calibration [LSB]": self.inl_before.abs().mean(-1),
            "max |INL| before calibration [LSB]": self.inl_before.abs().amax(-1),
            "mean |INL| [LSB]": self.inl.abs().mean(-1),
            "max |INL| [LSB]": self.inl.abs().amax(-1),
            "max |DNL| [LSB]": torch.cat([worst_dnl, zero], dim=-1).amax(-1),
            "mean |error| [LSB]": self.error.abs().mean(-1),
            "max |error| [LSB]": self.error.abs().amax(-1),
            "missing codes": self.missing.double(),
            "steps at which the ramp falls": self.falls.double(),
        }
        found = {name: (float(each.mean()), float(each.max())) for name, each in rows.items()}
        return {**found, "ENOB of the sine test [bit]": (float(self.enob.mean()), float(self.enob.min()))}


def characterise(
    design: RampDesign,
    *,
    chips: int,
    rng: Stream,
    t_s: float = 0.0,
    recentre: bool = False,
    comparator: Comparator | None = None,
    swing_V: float = SWING_V,
) -> Characteristic:
    """Build a ramp (``RampColumn.design``) on ``chips`` chips, one column each, and measure it ``t_s`` seconds after
    programming.

    ``recentre``: the bias cells are programmed again at ``t_s``; ``comparator``: None takes the default one;
    ``swing_V``: voltage over which the ramp sweeps [V].
    """
    streams = ChipStreams.of(rng, chips)
    comparator = comparator or Comparator()
    ramp = Ramp.program(design, ramps=1, rng=streams.child("ramp"))
    if recentre:
        ramp = ramp.recentred(t_s, streams.child("recentre"))
    volts_per_z = swing_V / (2.0 * float(design.theta.abs().max()) or 1.0)
    offset = comparator.offset_sigma_V() * streams.child("comparators").normal((1, 1))
    conversion, before = (
        RampConverter(each, comparator, offset, volts_per_z).read(t_s) for each in (ramp, replace(ramp, bias=()))
    )
    # One threshold spans nothing: one bit is measured where two bits would be.
    ends = design.theta if len(design.theta) > 1 else thresholds(design.function, 2)
    first, last = float(ends[0]), float(ends[-1])
    z = torch.linspace(first - MARGIN * (last - first), last + MARGIN * (last - first), POINTS, dtype=torch.float64)
    inside = (z >= first) & (z <= last)
    seen = (z + conversion.offset_z[:, 0, 0].double()).float()
    transfer = conversion.values(torch.searchsorted(conversion.table[:, 0].contiguous(), seen, right=True)).double()
    return Characteristic(
        design=design,
        z=z,
        transfer=transfer,
        inl=inl_lsb(conversion, design),
        inl_before=inl_lsb(before, design),
        dnl=dnl_lsb(conversion, design),
        error=((transfer - design.function.f(z)) / design.function.lsb(design.bits))[:, inside],
        enob=effective_bits(conversion, design, rng=streams.child("sine")),
        missing=missing_codes(conversion, design),
        falls=ramp.read(t_s).falls()[:, 0],
    )


def inl_lsb(conversion: RampConversion, design: RampDesign) -> torch.Tensor:
    """Definition (1) at every step of the first ramp of every chip, ``(chips, steps)``."""
    outputs = design.function.f(conversion.table[:, 0].double())
    return (outputs - design.decisions) / design.function.lsb(design.bits)


def dnl_lsb(conversion: RampConversion, design: RampDesign) -> torch.Tensor:
    """Definition (2) between neighbouring steps, ``(chips, steps - 1)``."""
    width = torch.diff(design.function.f(conversion.table[:, 0].double())).abs()
    ideal = torch.diff(design.decisions).abs()
    direction = torch.diff(design.words)
    dnl = (width - ideal) / design.function.lsb(design.bits)
    return torch.where(direction[1:] == direction[:-1], dnl, torch.nan)


def missing_codes(conversion: RampConversion, design: RampDesign) -> torch.Tensor:
    """Codes between the lowest and the highest that no input gives, ``(chips,)``: steps of no width."""
    table = conversion.table[:, 0]
    reached = torch.ones((len(table), len(design.words)), dtype=torch.long)
    reached[:, 1:-1] = (torch.diff(table) > 0).long()
    given = torch.zeros((len(table), 2**design.bits), dtype=torch.long)
    given.scatter_add_(1, design.words.expand(len(table), -1), reached)
    return (given[:, int(design.words.min()) : int(design.words.max()) + 1] == 0).sum(-1)


def effective_bits(conversion: RampConversion, design: RampDesign, *, rng: ChipStreams) -> torch.Tensor:
    """Definition (4) from one coherent sine, ``(chips,)``."""
    function = design.function
    phase = 2.0 * math.pi * SINE_PERIODS / SINE_SAMPLES * torch.arange(SINE_SAMPLES, dtype=torch.float64)
    first, last, inverse = float(design.outputs.min()), float(design.outputs.max()), function.inverse
    if function.branches:
        widest = max(function.branches, key=lambda branch: abs(branch.last - branch.first))
        ends = sorted((widest.first, widest.last))
        first, last, inverse = max(first, ends[0]), min(last, ends[1]), widest.inverse
    wave = 0.5 * (first + last) + 0.5 * (last - first) * torch.sin(phase)
    chips = len(conversion.table)
    z = inverse(wave.clamp(first, last)).float()[None, :, None, None].expand(chips, -1, 1, 1)
    noise = BlockNoise(rng, range(SINE_SAMPLES // BLOCK), BLOCK)
    outputs = conversion.values(conversion.codes(z, None, noise))[:, :, 0, 0].double()
    # Coherent: the three parts of the fit are orthogonal.
    basis = torch.stack([torch.full_like(phase, math.sqrt(0.5)), torch.sin(phase), torch.cos(phase)])
    fit = outputs @ basis.T @ basis * (2.0 / SINE_SAMPLES)
    left = (outputs - fit).square().mean(-1).sqrt()
    return torch.log2((function.high - function.low) / (math.sqrt(12.0) * left))
