"""Draws ``docs/circuit.svg`` and prints the tables of ``docs/circuit.md``: a column's analog chain and its budget.

    python docs/circuit.py

Every number is the budget of the default integrator behind ``mho.front_ends.REFERENCE``. A test draws it again and
compares.
"""

from __future__ import annotations

import math
from dataclasses import replace
from html import escape
from pathlib import Path

from mho.front_ends import REFERENCE, value_text
from periphery.front_end import BudgetLine, FrontEndDesign, Integrator, Transimpedance

TARGET = Path(__file__).resolve().parent / "circuit.svg"
WIDTH, HEIGHT, TOP, BOX, BARS = 1080, 310, 20, 92, 150
STYLE = (
    "text{font-family:Helvetica,Arial,sans-serif;fill:#1b2733;font-size:11px}.name{font-size:13px;font-weight:bold}"
    ".line{fill:#44525f}rect{stroke:#8aa0b4;stroke-width:1;fill:#f3f6f9}.bar{fill:#7d9cc0;stroke:none}"
    "path{stroke:#5b7086;fill:none;stroke-width:1.4}"
)


def design() -> FrontEndDesign:
    """The default integrator behind the reference column."""
    return Integrator().design(REFERENCE)


def svg() -> str:
    """The chain from the row driver to the comparator, and below it every noise at the capacitor beside the LSB."""
    built, load = design(), REFERENCE
    stages = (
        (
            "Row driver",
            f"{load.read_V:g} V, {load.t_clk_s * 1e9:g} ns a count",
            f"two phases, {load.drive_s * 1e9:g} ns",
            "Q V_dd",
        ),
        ("Cells, line", f"G = {load.line_S * 1e3:.2f} mS a line", f"{load.line_F * 1e15:g} fF a line", "2kTGT"),
        ("Virtual ground", "R_in = 1 / (gm_m A)", "offset V_os G T", "2kTγG²T / gm"),
        ("Mirror", f"current / {built.division:g}", f"spread {100 * built.mirror_sigma:.2g} %", "2kTγ gm_in T (1 + M)"),
        ("Difference", "of the lines", "of a pair", ""),
        ("Capacitor", f"{built.capacitor_F * 1e15:.3g} fF", f"{built.swing_V:g} V swing", "kT / C"),
        ("Converter", "ramp, comparator", "or linear ADC", ""),
    )
    step = (WIDTH - 40) / len(stages)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"><style>{STYLE}</style>']
    for k, (name, *lines) in enumerate(stages):
        x = 20 + k * step
        parts.append(f'<rect x="{x:.0f}" y="{TOP}" width="{step - 22:.0f}" height="{BOX}" rx="4"/>')
        parts.append(f'<text class="name" x="{x + 8:.0f}" y="{TOP + 20}">{escape(name)}</text>')
        for row, line in enumerate(lines):
            parts.append(f'<text class="line" x="{x + 8:.0f}" y="{TOP + 42 + 17 * row}">{escape(line)}</text>')
        if k:
            y = TOP + BOX // 2
            parts.append(f'<path d="M{x - 21:.0f} {y}H{x - 2:.0f}m-6 -4l6 4l-6 4"/>')
    return "\n".join([*parts, *_bars(built.budget()), "</svg>", ""])


def _bars(budget: list[BudgetLine]) -> list[str]:
    lsb_V = budget[0].value
    shown = [(line.name, line.value) for line in budget if line.name.startswith("noise")]
    parts = [f'<text class="name" x="20" y="{BARS}">At the capacitor, in LSB of {lsb_V * 1e3:.1f} mV (sigma)</text>']
    for k, (name, volts) in enumerate(shown):
        y = BARS + 14 + 22 * k
        parts.append(f'<text x="20" y="{y + 12}">{escape(name)}</text>')
        parts.append(f'<rect class="bar" x="300" y="{y}" width="{5000 * volts / lsb_V:.1f}" height="15"/>')
        parts.append(f'<text class="line" x="{308 + 5000 * volts / lsb_V:.1f}" y="{y + 12}">{volts / lsb_V:.4f}</text>')
    return parts


def table() -> str:
    """The budget as a table of Markdown."""
    rows = [f"| {line.name} | {value_text(line)} | {line.equation} |" for line in design().budget()]
    return "\n".join(["| quantity | value | equation |", "|---|---|---|", *rows])


def changes() -> str:
    """What single changes do to the design, as a table of Markdown."""
    one_phase = replace(REFERENCE, phases_cancel=False, phases=1, drive_s=REFERENCE.drive_s / 2)
    rows = {
        "default": design(),
        **{f"`division: {m}`": Integrator(division=m).design(REFERENCE) for m in (16, 64, 128)},
        **{f"`mirror_um2: {area:g}`": Integrator(mirror_um2=area).design(REFERENCE) for area in (0.05, 1.0)},
        "`gain_error: 0.05`": Integrator(gain_error=0.05).design(REFERENCE),
        "`stages: 3`": Integrator(stages=3).design(REFERENCE),
        "3 ns to settle instead of 1": Integrator().design(replace(REFERENCE, settle_s=3e-9)),
        "one phase of 15 ns": Integrator().design(one_phase),
        "`division: 1`, `gain_error: 0.05`": Integrator(division=1.0, gain_error=0.05).design(REFERENCE),
        "`transimpedance`, `gain_error: 0.05`": Transimpedance(gain_error=0.05).design(REFERENCE),
    }
    head = (
        *("change", "C (fF)", "noise", "offset", "gain lost", "spread of gain", "capacitor + transistors (um2)"),
        *("bias (uA)", "pJ a product"),
    )
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for name, built in rows.items():
        line_S, lsb_z = built.load.line_S, built.load.range_z / 2**5
        noise, offset = math.sqrt(built.noise_z2(line_S)) / lsb_z, built.offset_sigma_z(line_S) / lsb_z
        area = f"{built.capacitor_m2 * 1e12:.0f} + {built.area_m2 * 1e12:.0f}"
        energy_J = built.bias_W * built.load.open_s
        lines.append(
            f"| {name} | {built.capacitor_F * 1e15:.0f} | {noise:.3f} | {offset:.2f} | {1 - built.gain(line_S):.1%} | "
            f"{built.gain_sigma:.1%} | {area} | {built.bias_A * 1e6:.0f} | {energy_J * 1e12:.1f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    TARGET.write_text(svg(), encoding="utf-8")
    print(table(), changes(), sep="\n\n")
