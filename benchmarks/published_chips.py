"""Two published cores and one published conversion from mho's own price list, with nothing fitted to any of them.

``hermes_core`` and ``neurram`` of ``configs/chips`` on one dense layer that fills a tile, in every mode of
``configs/published``: energy and area, ours over theirs. Then the conversion of 128 columns by the ramp at 5 bits,
beside what Hong et al. (Nat. Commun. 2025, doi 10.1038/s41467-025-65233-w) quote for Yang et al.'s ramp: 42.82 pJ and
32 ns for one product of a 128 x 128 array.

    PYTHONPATH=. python benchmarks/published_chips.py
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from benchmarks.studies import table
from configs.errors import InputError
from mappings.actions import Actions
from mappings.chip import Chip, OutputConverter
from mappings.cost import price, shares, summarise
from mappings.network.actions import DenseShape, dense_actions
from mappings.network.assumed import Assumed
from mappings.network.dense import DenseLayer
from mappings.network.layer import MappedMatrixLayer
from mappings.step import ColumnCircuit
from mho.config.read import read
from mho.report.published import Mode, Published

CORES = {"hermes_core": 1, "neurram": 48}  # cores that the published rates are of
SIGMA = 0.25  # of the weights, normally distributed and cut at 1
# Inputs of mean size 1/4 have rms 0.31 of full scale; a sum of n products has rms 0.31 sigma sqrt(n), and the converter
# spans four times that.
LIMIT_PER_ROOT_ROW = 4.0 * 0.31 * SIGMA
HONG = {"energy_J": 42.82e-12, "latency_s": 32e-9}
COLUMNS, BITS = 128, 5


@dataclass(frozen=True)
class Core:
    """Cost of one product on one core, and what the published rates make of as many operations."""

    mode: Mode
    ours: dict[str, float]
    theirs: dict[str, float]
    largest: dict[str, str]

    def ratio(self, name: str) -> float:
        """Ours over theirs."""
        return self.ours[name] / self.theirs[name]


def full_tile(chip: Chip) -> MappedMatrixLayer:
    """A dense layer with a weight at every place of one tile."""
    rng = torch.Generator().manual_seed(14)
    weight = (torch.randn((chip.columns, chip.rows), generator=rng) * SIGMA).clamp_(-1.0, 1.0)
    return DenseLayer.from_torch(weight, None, limit=LIMIT_PER_ROOT_ROW * chip.rows**0.5).map(chip, name="core")


def core(name: str, mode: Mode) -> Core:
    """One product in one mode; raises InputError where the chip has no such mode."""
    assert mode.bits_in is not None
    assert mode.bits_out is not None
    assert mode.tops is not None
    assert mode.tops_per_W is not None
    assert mode.tops_per_mm2 is not None
    shipped = read(name, Chip, folder="chips").value
    words, adc = OutputConverter(bits=mode.bits_out), replace(shipped.adc, bits=mode.bits_out)
    chip = replace(shipped, bits=mode.bits_in, output=words, adc=adc)
    mapped = full_tile(chip)
    step = mapped.actions()
    lines = price(step, node_nm=chip.node_nm, components=mapped.components())
    tops = mode.tops.value * 1e12 / CORES[name]
    theirs = {
        "energy_J": step.ops / (mode.tops_per_W.value * 1e12),
        "latency_s": step.ops / tops,
        "area_m2": tops / (mode.tops_per_mm2.value * 1e18),
    }
    found = shares(lines, "component").items()
    largest = {
        what: ", ".join(
            f"{part} {share:.0%}"
            for share, part in sorted(((getattr(s, f"{what}_share"), n) for n, s in found), reverse=True)[:3]
        )
        for what in ("energy", "area")
    }
    return Core(mode, summarise(lines, step.latency_s, step.ops), theirs, largest)


def conversion() -> tuple[dict[str, float], float]:
    """Energy of every component [J], and time [s], of one ramp past all columns of a full array of 128 x 128.

    What a step takes less what the same step takes where no ramp rises: comparators until they stop, ramp cells with
    their supply, word lines and sequencer, the ramp's integrator, columns' integrators that hold, counter and lines,
    latches, controller. Leakage is left out.
    """
    shipped = read("yang2025", Chip, folder="chips").value
    mapped = full_tile(replace(shipped, bits=BITS, rows=COLUMNS, columns=COLUMNS, output=OutputConverter(bits=BITS)))
    shape, timing, did = mapped.shape, mapped.timing, mapped.expected(Assumed())
    assert isinstance(shape, DenseShape)
    converted = dense_actions(shape, did, timing)
    driven = dense_actions(
        replace(shape, ramp_cells=0, ramp_lines=0, ramp_circuit=ColumnCircuit()),
        replace(did, gate_compare_steps=0.0, ramp_charge_C=0.0),
        replace(timing, gate_ramp_clocks=0),
    )
    found: dict[str, float] = {}
    for step, sign in ((converted, 1.0), (driven, -1.0)):
        for line in price(Actions(step.actions), node_nm=mapped.chip.node_nm, components=mapped.components()):
            # Codes are written once, by the conversion.
            if sign > 0.0 or line.component != "code_latch":
                found[line.component] = found.get(line.component, 0.0) + sign * line.energy_J
    return {name: energy_J for name, energy_J in found.items() if energy_J > 0.0}, (
        converted.latency_s - driven.latency_s
    )


def main() -> None:
    """Print both tables."""
    rows = []
    for name in CORES:
        published = read(name, Published, folder="published").value
        for mode in published.modes:
            label = f"{published.label} {mode.name}".strip()
            try:
                found = core(name, mode)
            except InputError as error:
                rows.append((label, f"not simulated: {error}", "", "", "", "", ""))
                continue
            sizes = [f"{found.ours[key]:.3g} / {found.theirs[key]:.3g}" for key in ("energy_J", "latency_s", "area_m2")]
            ratios = [f"{found.ratio(key):.2f}" for key in ("energy_J", "latency_s", "area_m2")]
            rows.append(
                (
                    label,
                    *(f"{size} = {ratio}" for size, ratio in zip(sizes, ratios, strict=True)),
                    *found.largest.values(),
                )
            )
    table(
        (
            "chip, mode",
            "energy a product [J], ours / theirs",
            "time [s]",
            "area [m2]",
            "largest energies",
            "largest areas",
        ),
        rows,
    )
    parts, latency_s = conversion()
    total = sum(parts.values())
    table(
        (f"{COLUMNS} columns at {BITS} bits", "energy [pJ]"),
        [(name, f"{energy_J * 1e12:.2f}") for name, energy_J in sorted(parts.items(), key=lambda part: -part[1])],
    )
    print(
        f"together {total * 1e12:.1f} pJ in {latency_s * 1e9:.0f} ns; quoted are {HONG['energy_J'] * 1e12:.2f} pJ "
        f"and {HONG['latency_s'] * 1e9:.0f} ns: {total / HONG['energy_J']:.2f} and {latency_s / HONG['latency_s']:.2f}"
    )


if __name__ == "__main__":
    main()
