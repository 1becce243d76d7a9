"""Every setting that a designer chooses is paid for: moved up or down, nothing gets better for nothing.

Of error, area, energy, latency and write cost, one may not get better by more than 1 % while none is worse by 0.1 %.
The error is that of what a column gives, in units of the pre-activation: of inputs, of the capacitor (gain, offset and
noise), of the comparator, of the ramp's levels, of the steps. The same chips are drawn before and after.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from devices import BlockNoise, ChipStreams, Ideal, Stream, SuperT, TaOx
from devices.effects import ProgramVerify
from mappings.chip import Chip, Compensation, Weights
from mappings.cost import price, summarise
from mappings.network.recurrent import RecurrentLayer
from periphery import Comparator, RampColumn, RampConversion
from periphery.front_end import Integrator

GOOD, BAD = 0.01, 0.001
SIZE, CHIPS, SAMPLES = 32, 16, 64  # as many inputs as units: rows and columns of a tile are full
LARGEST = {"bits": 8, "gm_per_I": 28.0, "input_share": 0.9}
PAGE = Path(__file__).parents[3] / "docs" / "circuit.md"
PLAIN = Chip(
    rows=2 * SIZE,
    columns=SIZE,
    weights=Weights(device=Ideal(g_max_S=150e-6)),
    ramp=RampColumn(device=Ideal(g_max_S=150e-6)),
    comparator=Comparator(step_J=10.45e-15),
    front_end=Integrator(gain_error=0.05),
    ramp_front_end=Integrator(division=8.0, mirror_um2=0.5, auto_zero_F=100e-15, gain_error=0.05),
)
CHIPS_BY_NAME = {
    "plain": PLAIN,
    "ramp": replace(PLAIN, ramp=RampColumn(device=SuperT())),
    "conventional": replace(PLAIN, readout="conventional"),
    "verified": replace(PLAIN, weights=Weights(device=TaOx(effects=(ProgramVerify(),)))),
    "corrected": replace(PLAIN, compensation=Compensation(mode="per_column", baseline="exact")),
}
CHOSEN = {
    "plain": [
        *("bits", "lanes", "rows", "columns", "driver.v_read_V", "driver.t_clk_s", "front_end.swing_V"),
        *(
            f"front_end.{name}"
            for name in ("division", "gm_per_I", "gain_error", "noise_share", "stages", "input_share")
        ),
        *("front_end.pair_um2", "front_end.mirror_um2", "front_end.settle_clocks"),
        *("comparator.pair_um2", "comparator.step_J"),
        *(f"ramp_front_end.{name}" for name in ("division", "auto_zero_F", "gain_error", "mirror_um2", "noise_share")),
    ],
    "ramp": [
        *(f"ramp.{name}" for name in ("parallel_cells", "columns", "start_cells", "smallest_step", "bias_cells")),
        *("ramp.redundant_columns", "ramp.max_clocks"),
    ],
    "conventional": [f"adc.{name}" for name in ("bits", "range_z", "columns_per_adc", "rate_per_s")],
    "verified": [f"weights.device.effects.0.{name}" for name in ("tolerance_S", "max_iterations", "gain")],
    "corrected": [
        *("compensation.vectors", "compensation.resolution"),
        *(f"front_end.{name}" for name in ("mirror_um2", "gain_error", "division", "settle_clocks", "noise_share")),
    ],
}
# True exceptions, each with its reason in docs/circuit.md.
EXCEPTIONS = {
    ("front_end.pair_um2", 0.5),
    ("adc.range_z", 0.5),
}


def moved(part: Any, path: str, factor: float) -> Any:
    """The same with one number times ``factor``, whole and within its range."""
    name, _, rest = path.partition(".")
    if isinstance(part, tuple):
        return (*part[: int(name)], moved(part[int(name)], rest, factor), *part[int(name) + 1 :])
    old = getattr(part, name)
    if rest:
        return replace(part, **{name: moved(old, rest, factor)})
    new = (5 if old is None else old) * factor  # an ADC without bits has those of the chip
    new = min(new, LARGEST.get(name, math.inf))
    if old is None or isinstance(old, int):
        new = max(3 if name == "bits" else 1, round(new))
    changes = {"v_read_V": new, "v_design_V": new} if name == "v_read_V" else {name: new}
    return replace(part, **changes)


@cache
def figures(chip: Chip) -> dict[str, float]:
    """Error [z], area, energy and latency of a step, and what writing takes [cells, or J where it is modelled]."""
    draw = torch.Generator().manual_seed(3)
    weight = (0.25 * torch.randn((SIZE, 2 * SIZE), generator=draw)).clamp(-1.0, 1.0)
    layer = RecurrentLayer.from_torch("rnn", weight[:, :SIZE], weight[:, SIZE:], None)
    mapped = layer.map(chip)
    rng = ChipStreams.of(Stream.root(0), CHIPS)
    programmed = mapped.program(rng=rng)
    read = programmed.at(0.0).columns
    x = (torch.randn((1, SAMPLES, 2 * SIZE), generator=draw) / 3).clamp(-1.0, 1.0)
    parts = read.matrix.pre_activation(chip.driver.counts(x, chip.bits), BlockNoise(rng.child("read"), [0], SAMPLES))
    z = torch.stack([part.z for part in parts]).sum(0).double()
    if read.trims[0] is not None:
        z = z / read.trims[0].flatten(1)[:, None]
    exact = (x @ weight.T).double().expand_as(z)
    conversion, wrong = read.conversions[0], z - exact
    if isinstance(conversion, RampConversion):
        design = mapped.converters[0].design
        assert design is not None
        # What the ramp errs by where the exact input crosses it: a gain of both cancels.
        levels, theta = conversion.levels.double()[:, 0], design.theta
        at = torch.searchsorted(theta, exact.contiguous()).clamp(1, len(theta) - 1)
        share = ((exact - theta[at - 1]) / (theta[at] - theta[at - 1])).clamp(0.0, 1.0)
        chip_of = torch.arange(CHIPS)[:, None, None]
        error = levels - theta
        wrong = wrong - torch.lerp(error[chip_of, at - 1], error[chip_of, at], share)
        square = wrong.square().mean() + torch.diff(theta).square().mean() / 12
        if conversion.walk_sigma is not None:
            square += conversion.walk_sigma.square().cumsum(-1).mean()
    else:
        lost = (exact.abs() - chip.adc.range_z).clamp_min(0.0)
        square = wrong.square().mean() + lost.square().mean() + (2 * chip.adc.range_z / 2**chip.adc_bits) ** 2 / 12
    square += sum(part.variance.mean() for part in parts if part.variance is not None)
    square += conversion.offset_z.square().mean() + conversion.sigma_z**2
    step = mapped.actions()
    cost = summarise(price(step, node_nm=chip.node_nm, components=mapped.components()), step.latency_s, step.ops)
    written = programmed.matrix.array.cells.write
    return {
        "error": math.sqrt(float(square)),
        **{name: cost[name] for name in ("area_m2", "energy_J", "latency_s")},
        "write": float(mapped.shape.cells + mapped.shape.ramp_cells if written is None else written.energy_J.sum()),
    }


def changes(name: str, path: str, factor: float) -> dict[str, float]:
    """By how much each figure grows, as a share."""
    before, after = figures(CHIPS_BY_NAME[name]), figures(moved(CHIPS_BY_NAME[name], path, factor))
    return {figure: after[figure] / before[figure] - 1.0 for figure in before}


MOVES = [(name, path, factor) for name, paths in CHOSEN.items() for path in paths for factor in (0.5, 2.0)]
MOVES.remove(("plain", "front_end.swing_V", 2.0))  # above the supply


@pytest.mark.parametrize(("name", "path", "factor"), MOVES)
def test_nothing_gets_better_for_nothing(name: str, path: str, factor: float) -> None:
    found = changes(name, path, factor)
    free = min(found.values()) < -GOOD and max(found.values()) < BAD
    assert free == ((path, factor) in EXCEPTIONS), found


def test_exceptions_are_in_the_docs() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert all(f"`{path}`" in text for path, _ in EXCEPTIONS)


if __name__ == "__main__":
    for name, path, factor in MOVES:
        print(
            f"{path:36s} x {factor}", "  ".join(f"{k} {100 * v:+.2f}%" for k, v in changes(name, path, factor).items())
        )
