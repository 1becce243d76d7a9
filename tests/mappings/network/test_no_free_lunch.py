"""Every setting that a designer chooses is paid for: moved up or down, nothing gets better for nothing.

Of error, area, energy, latency and write cost, one may not get better by more than 1 % while none is worse by 0.1 %. The
error is that of what a column gives, in units of the pre-activation: of inputs, of the capacitor (gain, offset, noise),
of the comparator, of the ramp's levels, of the steps. The same chips are drawn before and after.
"""

from __future__ import annotations

import math
import re
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from devices import BlockNoise, ChipStreams, Ideal, SuperT, Stream
from mappings.chip import Chip, Compensation, Weights
from mappings.cost import price, summarise
from mappings.network.recurrent import RecurrentLayer
from periphery import Comparator, PWMDriver, RampColumn, RampConversion
from periphery.front_end import Integrator

GOOD, BAD = 0.01, 0.001
SIZE, CHIPS, SAMPLES = 32, 16, 64  # as many inputs as units: rows and columns of a tile are full
BASE = Chip(
    rows=2 * SIZE,
    columns=SIZE,
    weights=Weights(device=Ideal(g_max_S=150e-6)),
    ramp=RampColumn(device=Ideal(g_max_S=150e-6)),
    comparator=Comparator(step_J=10.45e-15),
    front_end=Integrator(gain_error=0.05),
)
RAMP = replace(BASE, ramp=RampColumn(device=SuperT()))
LINEAR = replace(BASE, readout="conventional")
CHOSEN: list[tuple[Chip, str]] = [
    *((BASE, name) for name in ("bits", "lanes", "driver.v_read_V", "driver.t_clk_s", "rows", "columns")),
    *((BASE, f"front_end.{name}") for name in ("swing_V", "division", "gm_per_I", "gain_error", "noise_share", "stages")),
    *((BASE, f"front_end.{name}") for name in ("pair_um2", "mirror_um2", "input_share", "headroom_V")),
    *((BASE, f"comparator.{name}") for name in ("pair_um2", "step_J")),
    *((RAMP, f"ramp.{name}") for name in ("parallel_cells", "columns", "start_cells", "smallest_step", "bias_cells")),
    *((RAMP, f"ramp.{name}") for name in ("redundant_columns", "max_clocks")),
    *((LINEAR, f"adc.{name}") for name in ("bits", "range_z", "columns_per_adc", "rate_per_s")),
]


def moved(part: Any, path: str, factor: float) -> Any:
    """The same with one number times ``factor``."""
    name, _, rest = path.partition(".")
    old = getattr(part, name)
    if rest:
        return replace(part, **{name: moved(old, rest, factor)})
    if old is None:
        old = 5
    new = old * factor
    if isinstance(old, int):
        new = max(1, round(new))
    if name in ("bits",):
        new = min(8, max(3, new))
    if name == "gm_per_I":
        new = min(28.0, new)
    if name == "input_share":
        new = min(0.9, new)
    if name == "v_read_V":
        return replace(part, v_read_V=new, v_design_V=new)
    return replace(part, **{name: new})


def figures(chip: Chip) -> dict[str, float]:
    """Error [z], area, energy, latency of a step, and cells to be written."""
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
    return {
        "error": math.sqrt(float(square)),
        **{name: cost[name] for name in ("area_m2", "energy_J", "latency_s")},
        "cells": mapped.shape.cells + mapped.shape.ramp_cells,
    }


if __name__ == "__main__":
    for base, path in CHOSEN:
        before = figures(base)
        for factor in (0.5, 2.0):
            try:
                after = figures(moved(base, path, factor))
            except Exception as e:
                print(f"{path:28s} x{factor}: refused {str(e)[:90]}"); continue
            change = {k: after[k] / before[k] - 1 for k in before}
            free = min(change.values()) < -GOOD and max(change.values()) < BAD
            print(f"{path:28s} x{factor}: " + "  ".join(f"{k} {100*v:+.2f}%" for k, v in change.items()), "  <<<< FREE" if free else "")
