"""Ramp against ordinary converters: energy, area and time of an LSTM step over every price model and rate.

The keyword layer (72 x 128) on ``yang2025``, with its ramp or with a conventional readout: eight columns a converter,
priced by each model of ``configs/components`` at 1e7 to 1e9 conversions a second, then a look-up. Pairs that a model
does not price (too fast for it) are left out. Draws docs/studies/ramp_or_adc.svg.

    PYTHONPATH=. python benchmarks/ramp_or_adc.py
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

from matplotlib.figure import Figure

from benchmarks.fit_prices import KWS, weights
from benchmarks.studies import save, table
from configs.errors import InputError
from mappings.chip import Chip
from mappings.cost import price, summarise
from mappings.network.layer import MappedMatrixLayer
from mho.config.read import read
from mho.report.plots import PALETTE
from periphery.prices.adc import ADC_PRICES

BITS = range(3, 9)
RATES = (1e7, 3e7, 1e8, 3e8, 1e9)
SHOWN = {
    "energy_J": ("energy a step [nJ]", 1e9),
    "area_m2": ("area [mm2]", 1e6),
    "latency_s": ("time a step [ns]", 1e9),
}


@dataclass(frozen=True)
class Conventional:
    """Cost of a step with the converters of one model at one rate."""

    model: str
    rate_per_s: float
    bits: int
    cost: dict[str, float]


def _cost(mapped: MappedMatrixLayer) -> dict[str, float]:
    step = mapped.actions()
    return summarise(price(step, node_nm=mapped.chip.node_nm, components=mapped.components()), step.latency_s, step.ops)


@cache
def ramp(bits: int) -> dict[str, float]:
    """Cost of a step with the chip's own ramp."""
    chip = read("yang2025", Chip, folder="chips").value
    return _cost(weights(KWS).map(replace(chip, bits=bits), name="lstm"))


@cache
def conventional(bits: int) -> Sequence[Conventional]:
    """Cost of a step with every model at every rate that it prices."""
    chip = replace(read("yang2025", Chip, folder="chips").value, bits=bits, readout="conventional")
    mapped = weights(KWS).map(chip, name="lstm")
    found = []
    for model in ADC_PRICES:
        for rate in RATES:
            adc = replace(chip.adc, price=model, rate_per_s=rate)
            try:
                cost = _cost(replace(mapped, chip=replace(chip, adc=adc)))
            except InputError:
                continue
            found.append(Conventional(model, rate, bits, cost))
    return tuple(found)


def span(bits: int, figure: str) -> tuple[Conventional, Conventional]:
    """The cheapest and the dearest conventional step."""
    every = sorted(conventional(bits), key=lambda one: one.cost[figure])
    return every[0], every[-1]


def cheaper(bits: int, figure: str) -> float:
    """Share of all models and rates against which the ramp is cheaper [1]."""
    every = conventional(bits)
    return sum(ramp(bits)[figure] < one.cost[figure] for one in every) / len(every)


def meeting(model: str, rate_per_s: float, figure: str) -> str:
    """Bits up to which the ramp is cheaper than this converter, of those that the model prices."""
    better = [
        ramp(one.bits)[figure] < one.cost[figure]
        for bits in BITS
        for one in conventional(bits)
        if (one.model, one.rate_per_s) == (model, rate_per_s)
    ]
    priced = [bits for bits in BITS if any((o.model, o.rate_per_s) == (model, rate_per_s) for o in conventional(bits))]
    if not priced:
        return "not priced"
    if all(better):
        return "always"
    wins = [bits for bits, one in zip(priced, better, strict=True) if one]
    return "never" if not wins else "at " + ", ".join(map(str, wins))


def draw(figure: Figure) -> None:
    """Bands of all models and rates by bits, and energy by rate at 5 bits."""
    axes = figure.subplots(1, 3)
    for ax, name in zip(axes, ("energy_J", "area_m2"), strict=False):
        label, unit = SHOWN[name]
        ends = [span(bits, name) for bits in BITS]
        low, high = ([one[k].cost[name] * unit for one in ends] for k in (0, 1))
        ax.fill_between(BITS, low, high, color=PALETTE[1], alpha=0.25, label="conventional, all models and rates")
        ax.plot(BITS, [ramp(bits)[name] * unit for bits in BITS], "o-", color=PALETTE[0], label="ramp")
        ax.set(yscale="log", xlabel="bits", ylabel=label, title="LSTM 72 x 128, 16 nm")
    axes[0].legend(loc="upper left")
    axes[0].set_ylim(top=9.0)
    label, unit = SHOWN["energy_J"]
    for colour, model in zip((*PALETTE[1:], *PALETTE[1:]), ADC_PRICES, strict=False):
        points = [(one.rate_per_s, one.cost["energy_J"] * unit) for one in conventional(5) if one.model == model]
        if points:
            axes[2].plot(*zip(*points, strict=True), "o-", color=colour, label=model, linewidth=1.0)
    axes[2].axhline(ramp(5)["energy_J"] * unit, color=PALETTE[0], linestyle="--", label="ramp")
    axes[2].set(xscale="log", yscale="log", xlabel="conversions a second", ylabel=label, title="5 bits")
    axes[2].legend(fontsize=6.5)


def main() -> None:
    """Draw the figure and print both tables."""
    save("ramp_or_adc", draw)
    rows = []
    for bits in BITS:
        cells = []
        for name, (_, unit) in SHOWN.items():
            low, high = (one.cost[name] * unit for one in span(bits, name))
            cells.append(f"{ramp(bits)[name] * unit:.3g}; {low:.3g} to {high:.3g}; {cheaper(bits, name):.0%}")
        rows.append((bits, *cells))
    table(("bits", *(f"{label}: ramp; conventional; ramp below" for label, _ in SHOWN.values())), rows)
    table(
        ("model", "conversions a second", "ramp has less energy", "ramp has less area", "ramp is faster"),
        [
            (model, f"{rate:.0e}", *(meeting(model, rate, name) for name in SHOWN))
            for model in ADC_PRICES
            for rate in RATES
        ],
    )


if __name__ == "__main__":
    main()
