"""The one price that no source gives, fitted to all rows of a published table at once, and what it does not explain.

Yang et al., Nat. Commun. 16, 1136 (2025), doi 10.1038/s41467-025-56254-6, Table 1: a step of an LSTM for keywords and
of one for characters, at 5 and 8 bits; energies and times as ``configs/published`` derives them, and two areas. The
chip is ``yang2025`` as shipped. A case changes what the paper states, bits and size, and one choice: digital lanes, as
many for a unit as the shipped chip has for the 32 of its keyword layer. Weights are normally distributed, their spread
that of a trained keyword layer, whose mean size is 0.28 of the largest one; that the largest is 1.3 is an estimate, and
the activity is that of ``Assumed``.

Fitted is the latency of ``controller``, the hand-over once a step, by least squares of the log of ours over theirs on
every energy, time and area. No energy and no area is fitted. The size of the language model has two readings, and both
count by half:

(a) 633 x 8064 weights, 2016 units projected to 504 (the projection's own tiles come on top)
(b) 633 x 2016 weights of four cells, 504 units, a quarter of the operations in the same rates

    PYTHONPATH=. python benchmarks/fit_prices.py
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Any

import torch
from scipy.optimize import minimize_scalar

from crossbar.differential import DifferentialPair
from crossbar.encoding import Encoding
from crossbar.offset import OffsetColumn
from mappings.chip import Chip
from mappings.cost import price, shares, summarise
from mappings.network.assumed import Assumed
from mappings.network.recurrent import MappedRecurrent, RecurrentLayer
from mho.config.read import read
from mho.report.published import Published
from periphery.prices.component import Component

LARGEST = 1.3  # weight of the gates; an estimate
SPREAD = 0.28 * math.sqrt(math.pi / 2.0)  # standard deviation of a weight over the largest one
FIGURES = ("energy_J", "latency_s", "area_m2")
BITS = (5, 8)
UNITS_PER_LANE = 8


@dataclass(frozen=True, kw_only=True)
class Case:
    """One layer of the table; ``share``: of the row's operations that are the layer's."""

    name: str
    row: str
    inputs: int
    hidden: int
    projected: int = 0
    encoding: Encoding = DifferentialPair()
    share: float = 1.0
    units_per_lane: int = UNITS_PER_LANE


KWS = Case(name="KWS", row="yang2025_kws", inputs=40, hidden=32)
READING_A = Case(name="NLP (a)", row="yang2025_nlp", inputs=128, hidden=2016, projected=504)
READING_B = Case(
    name="NLP (b)", row="yang2025_nlp", inputs=128, hidden=504, encoding=DifferentialPair(cells=2), share=0.25
)
CASES = (KWS, READING_A, READING_B)
READINGS = {"(a)": (KWS, READING_A), "(b)": (KWS, READING_B)}
ONE_CELL = tuple(replace(case, name=f"{case.name}, one cell", encoding=OffsetColumn()) for case in (KWS, READING_A))


@dataclass(frozen=True, kw_only=True)
class HandOverChip(Chip):
    """A chip whose controller takes ``hand_over_s`` a step, whatever its record says."""

    hand_over_s: float

    def price_list(self) -> dict[str, Component]:
        """The records with this latency."""
        records = super().price_list()
        old = records["controller"]
        latency = replace(old.latency, latency_s=self.hand_over_s, node_nm=self.node_nm)
        return records | {"controller": replace(old, latency=latency)}


@dataclass(frozen=True)
class Cost:
    """Cost of a step, linear in the hand-over: at none, and what a second of it adds."""

    at_none: Mapping[str, float]
    per_second: Mapping[str, float]

    def at(self, hand_over_s: float) -> dict[str, float]:
        """Energy, time and area of a step."""
        return {name: self.at_none[name] + self.per_second[name] * hand_over_s for name in FIGURES}


def weights(case: Case) -> RecurrentLayer:
    """Normal weights cut at the largest one; a projection's keep the size of what it projects."""
    rng = torch.Generator().manual_seed(14)

    def normal(*shape: int, size: float) -> torch.Tensor:
        return (torch.randn(shape, generator=rng) * size).clamp_(-size / SPREAD, size / SPREAD)

    columns, fed_back, size = 4 * case.hidden, case.projected or case.hidden, LARGEST * SPREAD
    return RecurrentLayer.from_torch(
        "lstm",
        normal(columns, case.inputs, size=size),
        normal(columns, fed_back, size=size),
        normal(columns, size=size),
        weight_hr=normal(case.projected, case.hidden, size=case.hidden**-0.5) if case.projected else None,
    )


def mapped_on(case: Case, bits: int) -> MappedRecurrent:
    """The layer on the shipped chip."""
    shipped = read("yang2025", Chip, folder="chips").value
    same = {field.name: getattr(shipped, field.name) for field in fields(shipped)}
    lanes, on = case.hidden // case.units_per_lane, replace(shipped.weights, encoding=case.encoding)
    chip = HandOverChip(**(same | {"bits": bits, "lanes": lanes, "weights": on}), hand_over_s=0.0)
    mapped = weights(case).map(chip, name=case.name)
    assert isinstance(mapped, MappedRecurrent)
    return mapped


def lines_at(mapped: MappedRecurrent, hand_over_s: float) -> tuple[list[Any], dict[str, float]]:
    """Cost lines of a step with this hand-over, and their sum."""

    def over(layer: Any) -> Any:
        return replace(layer, chip=replace(layer.chip, hand_over_s=hand_over_s))

    then = replace(over(mapped), projection=None if mapped.projection is None else over(mapped.projection))
    step = then.step(mapped.expected(Assumed()))
    lines = price(step, node_nm=then.chip.node_nm, components=then.components())
    return lines, summarise(lines, step.latency_s, step.ops)


@cache
def cost(case: Case, bits: int) -> Cost:
    """Cost of one step of a case."""
    mapped, apart_s = mapped_on(case, bits), 1e-7
    start, later = (lines_at(mapped, s)[1] for s in (0.0, apart_s))
    return Cost(
        {name: start[name] for name in FIGURES}, {name: (later[name] - start[name]) / apart_s for name in FIGURES}
    )


@cache
def row(case: Case, bits: int) -> dict[str, float]:
    """The published figures of a step of this case: as many operations as its reading has, in the same rates."""
    record = read(case.row, Published, folder="published").value
    mode = next(mode for mode in record.modes if mode.bits_in == bits)
    found = {name: getattr(mode, name).value for name in FIGURES}
    return {name: value * (1.0 if name == "area_m2" else case.share) for name, value in found.items()}


def ratios(case: Case, bits: int, hand_over_s: float) -> dict[str, float]:
    """Ours over theirs."""
    ours, theirs = cost(case, bits).at(hand_over_s), row(case, bits)
    return {name: ours[name] / theirs[name] for name in FIGURES}


Rows = Sequence[tuple[Case, int, float]]


def rows_of(cases: Iterable[Case], without: tuple[str, int] | None = None) -> Rows:
    """Case, bits and weight of each row of the table; the two readings of one row share a weight of 1."""
    cases = list(cases)
    shared = {case.row: sum(other.row == case.row for other in cases) for case in cases}
    return [(c, bits, 1.0 / shared[c.row]) for c in cases for bits in BITS if (c.row, bits) != without]


def misfit(rows: Rows, hand_over_s: float) -> float:
    """Root of the mean square of ln(ours / theirs): energy and time of every row, and an area for each layer."""
    total = count = 0.0
    for case, bits, weight in rows:
        for name, ratio in ratios(case, bits, hand_over_s).items():
            # The table has one area a layer: that of its 5-bit chip.
            if name != "area_m2" or bits == BITS[0]:
                total, count = total + weight * math.log(ratio) ** 2, count + weight
    return math.sqrt(total / count)


def fit(rows: Rows) -> float:
    """The hand-over of least misfit, from 0 to 1 us [s]."""
    found = minimize_scalar(lambda ns: misfit(rows, ns * 1e-9), bounds=(0.0, 1000.0), method="bounded")
    best_s = float(found.x) * 1e-9
    return best_s if misfit(rows, best_s) < misfit(rows, 0.0) else 0.0


def lanes_against_hand_over(rows: Rows, hand_over_s: float) -> float:
    """Correlation of the fitted price with the chosen lanes: cosine of what each
    does to the logs of all times."""
    over, lanes = [], []
    for case, bits, weight in rows:
        now, half = cost(case, bits), cost(replace(case, units_per_lane=2 * UNITS_PER_LANE), bits)
        at, slower = now.at(hand_over_s)["latency_s"], half.at(hand_over_s)["latency_s"]
        over.append(math.sqrt(weight) * now.per_second["latency_s"] / at)
        lanes.append(math.sqrt(weight) * math.log(slower / at))
    return sum(a * b for a, b in zip(over, lanes, strict=True)) / (math.hypot(*over) * math.hypot(*lanes))


def main() -> None:
    """Print the fit, its profile, each row held out, and ours over theirs."""
    both, both_rows = fit(rows_of(CASES)), rows_of(CASES)
    print(f"hand-over, both readings by half: {both * 1e9:.1f} ns, rms ln ratio {misfit(both_rows, both):.3f}")
    for name, cases in READINGS.items():
        rows = rows_of(cases)
        best = fit(rows)
        print(f"hand-over, reading {name} alone: {best * 1e9:.1f} ns, rms ln ratio {misfit(rows, best):.3f}")
    keywords = fit(rows_of((KWS,)))
    print(f"hand-over, keyword rows alone: {keywords * 1e9:.1f} ns")
    print("profile, rms ln ratio at a hand-over of")
    for ns in (0.0, 10.0, 17.0, 30.0, 60.0, 100.0, 200.0):
        parts = [f"{misfit(rows_of(cases), ns * 1e-9):.3f} {name}" for name, cases in READINGS.items()]
        print(f"  {ns:5.0f} ns: {misfit(both_rows, ns * 1e-9):.3f} both, {', '.join(parts)}")
    print(f"correlation of hand-over and lanes on the times: {lanes_against_hand_over(both_rows, both):.2f}")
    for held in [(case.row, bits) for case in (KWS, READING_A) for bits in BITS]:
        best = fit(rows_of(CASES, held))
        print(f"without {held[0]} at {held[1]} bits: {best * 1e9:.1f} ns; that row then, ours over theirs:")
        for case in CASES:
            if case.row == held[0]:
                print(f"  {case.name:8} {_figures(ratios(case, held[1], best))}")
    print("ours over theirs at the shipped hand-over")
    for case in (*CASES, *ONE_CELL):
        for bits in BITS:
            now = cost(case, bits).at(both)
            print(f"  {case.name:17} {bits} bits: {_figures(ratios(case, bits, both))}")
            print(f"    {now['energy_J']:.4g} J, {now['latency_s']:.4g} s, {now['area_m2']:.4g} m2")
            if case in CASES:
                parts = shares(lines_at(mapped_on(case, bits), both)[0], "component").items()
                for what in ("energy_share", "area_share"):
                    largest = sorted(((getattr(part, what), name) for name, part in parts), reverse=True)[:4]
                    print(f"    {what}: {', '.join(f'{name} {share:.0%}' for share, name in largest)}")


def _figures(found: Mapping[str, float]) -> str:
    return ", ".join(f"{name.rpartition('_')[0]} {ratio:.2f}" for name, ratio in found.items())


if __name__ == "__main__":
    main()
