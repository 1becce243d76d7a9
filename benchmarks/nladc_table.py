"""Nonlinearity of the ramp for every function and resolution, as a Markdown table: docs/nladc_table.md.

PYTHONPATH=. python benchmarks/nladc_table.py > docs/nladc_table.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch

from devices import ChipStreams, Ideal, Stream, TaOx
from periphery import FUNCTIONS, Ramp, RampColumn

CHIPS = 64
BITS = (3, 4, 5, 6, 8)

HEAD = """# Every function, every resolution

Integral nonlinearity (INL) of the nonlinear ramp right after programming, in LSB of the output: the mean of |INL| over
thresholds and {chips} chips, and the largest |INL| of all of them. *Ideal*: cells without error, which leaves what the
design loses. *TaOx, raw*: the stand-in of the ramp-ADC chip (2.73 uS of 400 uS, never below 100 uS) as programmed, with
the error of the start and the capacitors' mismatch (0.1 %). *TaOx, calibrated*: five bias cells have moved the middle
threshold to its place. Columns are the default: the smallest step a quarter of a cell's range, larger ones as many
clock periods as they need. `benchmarks/nladc_table.py` prints this page; a test holds its rows of up to 5 bits to it.

| function | bits | steps | clocks | lost | ideal mean | max | TaOx raw mean | max | TaOx calibrated mean | max |
|---|---|---|---|---|---|---|---|---|---|---|
"""

FOOT = """
- *Steps* is `2^bits - 1`, and more where the function turns: GELU and SiLU pass some levels on the way down to their
  minimum and again on the way up, with a counter that counts down and then up (`periphery/functions/function.py`).
- *Lost*, of TaOx: where the first threshold lies close to zero (rectifier, square root, GELU and SiLU at few bits) the
  start would need less charge than one cell at its lowest conductance brings. The bias cells take it back: hence a
  large raw and a small calibrated error.
- The square root is steep at zero: at 8 bits its first step is 1/170 of its last, so that errors of the large steps,
  added up from the trimmed middle downwards, are whole LSBs at the small ones.
- Ranges: `mho list functions`.

## A function that turns

GELU and SiLU have two inputs for one output near zero, so they have no inverse, and one falling and one rising ramp per
column would need two conversions or two comparators. mho keeps one ramp. It rises through the *inputs* at which the
output passes a level, whichever way the output goes, and every step carries one bit, the same for all columns: count up
or count down. The counter starts at the code of the range's low end, falls to 0 at the minimum and rises to
`2^bits - 1`. That costs as many extra steps as there are levels on the falling branch (10 of 265 for an 8-bit GELU, 1
at 5 bits, none at 4), and a bit per step. In Python, `conversion.codes(z)` is the number of steps passed, which is what
energy counts; `conversion.words(codes)` the code, and `conversion.values(codes)` the output.

A flat part costs nothing: a rectifier has no levels left of zero and no thresholds there.

## Your own function

`periphery.from_callable("name", f, low, high)` takes a Python function of a tensor or of a number, and
`from_csv("file.csv")` a table of x and y; `mho show NLADC --function file.csv` measures it. Both invert by bisection. A
function that turns is refused with the input where it does, unless `turns=(z, ...)` names the turning points. What is
looked at is 4097 points of every piece: a wiggle between two of them goes unseen.
"""


@dataclass(frozen=True)
class Row:
    """One design over ``CHIPS`` chips: mean and largest |INL| [LSB]."""

    function: str
    bits: int
    steps: int
    clocks: int
    lost: int
    ideal: tuple[float, float]
    raw: tuple[float, float]
    calibrated: tuple[float, float]

    def markdown(self) -> str:
        """The row as the table has it."""
        errors = [f"{value:.2f}" for pair in (self.ideal, self.raw, self.calibrated) for value in pair]
        cells = [self.function, self.bits, self.steps, self.clocks, self.lost, *errors]
        return "| " + " | ".join(map(str, cells)) + " |"


def row_of(name: str, bits: int) -> Row:
    """Program the ramps of one function and look at their thresholds right after programming."""
    streams = ChipStreams.of(Stream.root(0).child("nladc table", name, bits), CHIPS)
    taox = RampColumn(device=TaOx())
    design = taox.design(FUNCTIONS[name], bits)
    ramp = Ramp.program(design, ramps=1, rng=streams)
    ideal = replace(taox, device=Ideal(), capacitor_mismatch=0.0).design(FUNCTIONS[name], bits)
    return Row(
        name,
        bits,
        len(design.theta),
        design.ramp_clocks,
        design.lost_steps,
        figures(Ramp.program(ideal, ramps=1, rng=ChipStreams.of(Stream.root(0), 1))),
        figures(replace(ramp, bias=())),
        figures(ramp),
    )


def figures(ramp: Ramp) -> tuple[float, float]:
    """Mean and largest |INL| [LSB]."""
    inl: torch.Tensor = ramp.read(0.0).inl_lsb().abs()
    return float(inl.mean()), float(inl.max())


def table(resolutions: Iterable[int]) -> list[Row]:
    """All functions at the given resolutions."""
    wanted = tuple(resolutions)
    return [row_of(name, bits) for name in FUNCTIONS for bits in wanted]


def main() -> None:
    """Print the page."""
    rows = "\n".join(row.markdown() for row in table(BITS))
    sys.stdout.write(HEAD.format(chips=CHIPS) + rows + "\n" + FOOT)


if __name__ == "__main__":
    main()
