"""Integral nonlinearity of the sigmoid ramp: programming error, cells and rule of the steps, as a Markdown table.

Errors are placed at the thresholds, where a code changes (docs/decisions/0003-ramp-conventions.md).

    PYTHONPATH=. python benchmarks/ramp_inl.py > table.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch

from devices import PCM, AnyDevice, ChipStreams, Gaussian, Ideal, Stream, SuperT, TaOx
from devices.effects import Stuck
from periphery import SIGMOID, RampColumn
from periphery.ramp.cells import Ramp

CHIPS = 256
BITS = (5, 8)
CELLS: tuple[tuple[str, AnyDevice], ...] = (
    ("1 % of g_max", Gaussian(sigma_absolute=0.01)),
    ("2 % of g_max", Gaussian(sigma_absolute=0.02)),
    ("3 % of g_max", Gaussian(sigma_absolute=0.03)),
    ("TaOx", TaOx()),
    ("rram_superT", SuperT()),
    ("rram_superT, 1 % stuck off", SuperT(effects=(Stuck(off_rate=0.01),))),
    ("rram_superT, not verified", SuperT(verified=False)),
    ("PCM", PCM()),
)


@dataclass(frozen=True)
class Row:
    """One ramp design, over ``CHIPS`` chips: means over chips of the mean and of the largest |INL| [LSB]."""

    bits: int
    rule: str
    cells: str
    clocks: int
    lost_steps: int
    raw_mean: float
    raw_max: float
    calibrated_mean: float
    calibrated_max: float


def rules(device: AnyDevice, bits: int) -> tuple[tuple[str, RampColumn], ...]:
    """The default, whose smallest step is a quarter of a cell's range, and one clock a step."""
    ratio = RampColumn(device=Ideal()).design(SIGMOID, bits).max_over_min_step
    several = RampColumn(device=device)
    return ("several clocks", several), ("one clock", replace(several, smallest_step=1.0 / ratio, max_clocks=1))


def row_of(bits: int, rule: str, column: RampColumn, cells: str) -> Row:
    """Program the ramps of one design and look at their thresholds right after programming."""
    design = column.design(SIGMOID, bits)
    ramp = Ramp.program(design, ramps=1, rng=ChipStreams.of(Stream.root(0).child("ramp inl"), CHIPS))
    raw, calibrated = (r.read(0.0).inl_lsb().abs()[:, 0] for r in (replace(ramp, bias=()), ramp))

    def mean(values: torch.Tensor) -> float:
        return float(values.mean())

    return Row(
        bits,
        rule,
        cells,
        design.ramp_clocks,
        design.lost_steps,
        mean(raw),
        mean(raw.amax(-1)),
        mean(calibrated),
        mean(calibrated.amax(-1)),
    )


def table(resolutions: Iterable[int]) -> list[Row]:
    """All rows of the given resolutions."""
    return [
        row_of(bits, rule, column, name)
        for bits in resolutions
        for name, device in CELLS
        for rule, column in rules(device, bits)
    ]


def main() -> None:
    """Print the table."""
    lines = [
        "| bits | cells | steps | clocks | lost steps | mean raw | max raw | mean calibrated | max calibrated |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {r.bits} | {r.cells} | {r.rule} | {r.clocks} | {r.lost_steps} | {r.raw_mean:.2f} | {r.raw_max:.2f} "
        f"| {r.calibrated_mean:.2f} | {r.calibrated_max:.2f} |"
        for r in table(BITS)
    ]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
