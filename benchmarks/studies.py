"""Pictures and tables of docs/studies.md, from the sweeps' tables in docs/studies.

python benchmarks/studies.py            draws docs/studies/*.svg and prints every table as Markdown
python benchmarks/studies.py NAME ...   those alone
"""

from __future__ import annotations

import io
import json
import math
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from crossbar.wires import Wires
from mho.files import write_atomic
from mho.report.plots import PALETTE
from mho.report.quantities import duration

FOLDER = Path(__file__).parents[1] / "docs" / "studies"
CHANCE = 1.0 / 12.0
PUBLISHED = [31.0, 4.0]  # TOPS/W of the LSTM layer at 5 and 8 bits, 16 nm: doi 10.1038/s41467-025-56254-6, Table 1
LAYER_ROWS = 73  # word lines of the LSTM layer: 40 coefficients, 32 units, the bias
# Mean conductance of a cell of that layer: a pair holds a weight w by g_min and g_min + |w| / max |w| (g_max - g_min),
# and the trained network's mean |w| is 0.28 of the largest.
MEAN_S = {"rram_taox": 142e-6, "pcm": 3.5e-6}
T_7 = 2.365  # of a 95 % interval of the mean over eight chips
RC = {
    "svg.hashsalt": "mho",
    "svg.fonttype": "none",
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.markersize": 4,
}


def load(name: str) -> pd.DataFrame:
    """The committed table of a sweep."""
    return pd.read_csv(FOLDER / f"{name}.csv", keep_default_na=False, na_values=[""])


def save(name: str, draw: Callable[[Figure], object], *, width: float = 9.0, height: float = 3.2) -> None:
    """One SVG, the same bytes from the same table."""
    with mpl.rc_context(RC):
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure)
        held = io.StringIO()
        figure.savefig(held, format="svg", metadata={"Date": None})
    lines = held.getvalue().splitlines()
    write_atomic(FOLDER / f"{name}.svg", ("\n".join(line.rstrip() for line in lines) + "\n").encode())


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a Markdown table."""
    print("|", " | ".join(heads), "|")
    print("|" + "---|" * len(heads))
    for row in rows:
        print("|", " | ".join(str(cell) for cell in row), "|")
    print()


def pooled(part: pd.DataFrame) -> tuple[float, float, float]:
    """Mean accuracy over networks and chips, spread over chips of one network, and spread over networks' means."""
    means = part["accuracy"].to_numpy()
    over_chips = math.sqrt(float((part["accuracy_std"] ** 2).mean()))
    return float(means.mean()), over_chips, float(means.std(ddof=1)) if len(means) > 1 else math.nan


def said(part: pd.DataFrame) -> str:
    """Mean +- spread over chips (spread over networks) [%]."""
    mean, chips, networks = (100 * each for each in pooled(part))
    return f"{mean:.1f} ± {chips:.1f} ({networks:.1f})" if math.isfinite(networks) else f"{mean:.1f} ± {chips:.1f}"


def line(
    ax: Axes, x: Sequence[float], parts: Sequence[pd.DataFrame], colour: str, label: str, style: str = "-"
) -> None:
    """Accuracy with a bar of one standard deviation over chips and networks together."""
    found = [pooled(part) for part in parts]
    y = [100 * each[0] for each in found]
    bars = [100 * math.hypot(each[1], 0.0 if math.isnan(each[2]) else each[2]) for each in found]
    ax.errorbar(x, y, yerr=bars, fmt=f"o{style}", color=colour, label=label, capsize=2, linewidth=1.3)


def kws_spread_bits() -> None:
    """Accuracy against spread, a line for each resolution; the weights alone, and the ramp as well."""
    frame = load("kws_spread_bits")
    weights, ramp = "chip.weights.device.sigma_absolute", "chip.ramp.device.sigma_absolute"
    spreads = sorted(frame[weights].unique())
    first = spreads[1] / 2

    def draw(figure: Figure) -> None:
        axes = figure.subplots(1, 2, sharey=True)
        for ax, title, which in zip(axes, ("weights alone", "weights and ramp"), (0, 1), strict=True):
            for colour, (bits, mine) in zip(PALETTE, frame.groupby("chip.bits"), strict=False):
                held = [_spread(mine, spread, which) for spread in spreads]
                line(ax, [max(first, spread) * 100 for spread in spreads], held, colour, f"{bits} bits")
            ax.set(xscale="log", title=f"spread of the {title}", xlabel="standard deviation / g_max [%]")
            ax.set_xticks([100 * max(first, each) for each in spreads], [f"{100 * each:g}" for each in spreads])
            ax.minorticks_off()
            ax.axhline(100 * CHANCE, color="grey", linewidth=0.8, linestyle=":")
        axes[0].set_ylabel("accuracy [%]")
        axes[0].legend()

    def _spread(mine: pd.DataFrame, spread: float, which: int) -> pd.DataFrame:
        return mine[(mine[weights] == spread) & (mine[ramp] == (spread if which else 0.0))]

    save("kws_spread_bits", draw)
    heads = ["spread / g_max", *(f"{bits} bits" for bits in sorted(frame["chip.bits"].unique()))]
    for which, title in enumerate(("Weights alone", "Weights and ramp")):
        print(f"{title}:\n")
        table(
            heads,
            (
                [f"{100 * spread:g} %", *(said(_spread(mine, spread, which)) for _, mine in frame.groupby("chip.bits"))]
                for spread in spreads
            ),
        )


def kws_drift_year() -> None:
    """Accuracy over a year, three devices side by side."""
    frame = load("kws_drift_year")
    device, ramp, mode = "chip.weights.device", "chip.ramp.device", "chip.compensation.mode"
    times = sorted(frame["t_s"].unique())
    places = [math.log10(each) if each else math.log10(times[1]) - 1.5 for each in times]
    devices = list(dict.fromkeys(frame[device]))
    cases = [(own, how) for own in (False, True) for how in ("off", "global")]

    def _case(name: str, own: bool, how: str, t_s: float) -> pd.DataFrame:
        mine = frame[(frame[device] == name) & (frame[mode] == how) & (frame["t_s"] == t_s)]
        return mine[(mine[ramp] == name) == own]

    def draw(figure: Figure) -> None:
        axes = figure.subplots(1, len(devices), sharey=True)
        for ax, name in zip(axes, devices, strict=True):
            for own, how in cases:
                label = f"{'own' if own else 'TaOx'} ramp, {'compensated' if how == 'global' else 'left alone'}"
                held = [_case(name, own, how, t_s) for t_s in times]
                line(ax, places, held, PALETTE[own], label, "-" if how == "global" else "--")
            ax.set(title=name, xlabel="time since programming")
            ax.set_xticks(places, [duration(each) for each in times])
            ax.axhline(100 * CHANCE, color="grey", linewidth=0.8, linestyle=":")
        axes[0].set_ylabel("accuracy [%]")
        axes[0].legend()

    save("kws_drift_year", draw, width=10.5)
    table(
        ["weights", "ramp", "compensation", *(duration(each) for each in times)],
        (
            [name, name if own else "rram_taox", how, *(said(_case(name, own, how, t_s)) for t_s in times)]
            for name in devices
            for own, how in cases
        ),
    )


def energy_bits_node() -> None:
    """Energy, area and efficiency against bits and node, both readouts."""
    frame = load("energy_bits_node")
    nodes, bits = sorted(frame["chip.node_nm"].unique()), sorted(frame["chip.bits"].unique())
    variants = list(dict.fromkeys(frame["variant"]))
    figures = (
        ("energy_J", 1e9, "energy of one word [nJ]"),
        ("area_m2", 1e6, "area [mm2]"),
        ("tops_per_W", 1, "TOPS/W"),
    )

    def draw(figure: Figure) -> None:
        for ax, (column, factor, label) in zip(figure.subplots(1, 3), figures, strict=True):
            for variant, style in zip(variants, ("-", "--"), strict=True):
                for colour, number in zip(PALETTE, bits, strict=False):
                    mine = frame[(frame["variant"] == variant) & (frame["chip.bits"] == number)]
                    mine = mine.sort_values("chip.node_nm")
                    name = f"{number} bits" if style == "-" else None
                    ax.plot(mine["chip.node_nm"], factor * mine[column], f"o{style}", color=colour, label=name, lw=1.2)
            ax.set(xscale="log", yscale="log", xlabel="node [nm]", ylabel=label)
            ax.set_xticks(nodes, [f"{node:g}" for node in nodes])
            ax.minorticks_off()
        energy, _, efficiency = figure.axes
        energy.set_ylim(top=2e4)
        energy.legend(title="full: ramp; dashed: conventional", title_fontsize=8, ncols=2)
        stars = efficiency.plot([16, 16], PUBLISHED, "*", color="black", markersize=9)
        efficiency.legend(stars, ["Yang et al. 2025, 5 and 8 bits"])

    save("energy_bits_node", draw, width=10.5, height=3.4)
    at = frame.set_index(["variant", "chip.bits", "chip.node_nm"])
    for column, factor, label in figures:
        print(f"{label}:\n")
        table(
            ["readout", "bits", *(f"{node:g} nm" for node in nodes)],
            (
                [variant, number, *(f"{factor * float(at.loc[(variant, number, node), column]):.3g}" for node in nodes)]
                for variant in variants
                for number in bits
            ),
        )


def kws_tile_wires() -> None:
    """Loss of accuracy by wires against the size of a tile, and what small tiles cost in area."""
    frame = load("kws_tile_wires")
    device, mode, wires = "chip.weights.device", "chip.compensation.mode", "chip.wires"
    frame["lines"] = [math.inf if pd.isna(each) else json.loads(each)["node_nm"] for each in frame[wires]]
    sizes, lines = sorted(frame["chip.rows"].unique()), sorted(frame["lines"].unique(), reverse=True)
    key = ["variant", device, mode, "chip.rows"]
    ideal = frame[frame["lines"] == math.inf].set_index(key)["accuracy"]
    frame["loss"] = [100 * (ideal[tuple(row[name] for name in key)] - row["accuracy"]) for _, row in frame.iterrows()]
    names = {"rram_taox": "TaOx, 100 to 400 uS", "pcm": "PCM, 0 to 25 uS"}

    def _part(name: str, how: str, node: float, variant: str = "ramp_5bit") -> pd.DataFrame:
        mine = frame[(frame[device] == name) & (frame[mode] == how) & (frame["lines"] == node)]
        return mine[mine["variant"] == variant].sort_values("chip.rows")

    def draw(figure: Figure) -> None:
        axes = figure.subplots(1, 3, sharey=True)
        for ax, (name, title) in zip(axes, names.items(), strict=False):
            for how, style in (("off", "--"), ("per_column", "-")):
                for colour, node in zip(PALETTE, lines[1:], strict=False):
                    mine = _part(name, how, node)
                    label = f"lines of {node:g} nm" if style == "-" else None
                    bar = 100 * mine["accuracy_std"]
                    ax.errorbar(sizes, mine["loss"], bar, fmt=f"o{style}", color=colour, label=label, capsize=2, lw=1.2)
            ax.set(title=title, xlabel="rows and columns of a tile", xscale="log")
            ax.set_xticks(sizes, [str(size) for size in sizes])
            ax.minorticks_off()
        axes[0].set_ylabel("accuracy lost to wires [points]")
        axes[1].legend(title="full: columns trimmed; dashed: not", title_fontsize=8, loc="upper left")
        for how, marker in (("off", "o"), ("per_column", "^")):
            for colour, name in zip(PALETTE[4:], names, strict=False):
                held = [
                    (kappa(name, node, size), _at(_part(name, how, node), size)) for node in lines[1:] for size in sizes
                ]
                label = f"{name}, {'trimmed' if how == 'per_column' else 'untrimmed'}"
                loss = [one["loss"].iloc[0] for _, one in held]
                axes[2].plot([each for each, _ in held], loss, marker, color=colour, label=label, mfc="none")
        axes[2].set(xscale="log", xlabel="kappa of a tile", title="all of these against kappa")
        axes[2].legend(loc="upper left")

    save("kws_tile_wires", draw, width=10.5, height=3.4)
    for variant in dict.fromkeys(frame["variant"]):
        print(f"{variant}: accuracy without wires, and points lost\n")
        table(
            ["cells", "trim", "tile", "no wires", *(f"{node:g} nm" for node in lines[1:])],
            (
                [name, how, size, said(_at(_part(name, how, math.inf, variant), size))]
                + [
                    f"{_at(mine, size)['loss'].iloc[0]:.1f} ± {100 * _at(mine, size)['accuracy_std'].iloc[0]:.1f}"
                    for mine in (_part(name, how, node, variant) for node in lines[1:])
                ]
                for name in names
                for how in ("off", "per_column")
                for size in sizes
            ),
        )
    columns = ("area_m2", "energy_J", "latency_s")
    found = [(kappa(name, node, size), name, node, size) for name in names for node in lines[1:] for size in sizes]
    table(
        ["kappa", "cells", "lines", "tile", "points lost, untrimmed", "trimmed"],
        (
            [f"{each:.3g}", name, f"{node:g} nm", size]
            + [f"{_at(_part(name, how, node), size)['loss'].iloc[0]:.1f}" for how in ("off", "per_column")]
            for each, name, node, size in sorted(found)
        ),
    )
    table(
        ["readout", "tile", "area [mm2]", "energy [nJ]", "latency [us]"],
        (
            [
                variant,
                size,
                *(
                    f"{factor * float(_at(_part('rram_taox', 'off', math.inf, variant), size)[column].iloc[0]):.3g}"
                    for column, factor in zip(columns, (1e6, 1e9, 1e6), strict=True)
                ),
            ]
            for variant in dict.fromkeys(frame["variant"])
            for size in sizes
        ),
    )


def kappa(device: str, node_nm: float, size: int) -> float:
    """How much the wires of a tile matter (docs/wires.md)."""
    wires = Wires.from_node(node_nm, cell_width_F=4, cell_height_F=12)
    rows, columns = min(size, LAYER_ROWS), 2 * size
    return MEAN_S[device] * (wires.r_word_ohm * columns**2 + wires.r_bit_ohm * rows**2) / 2.0


def _at(part: pd.DataFrame, size: int) -> pd.DataFrame:
    return part[part["chip.rows"] == size]


def liquid_size() -> None:
    """Accuracy against neurons at each gain, and what a recording costs."""
    frame = load("liquid_size")
    gain, path = "chip.gain_per_uS", "chip.read_path"
    board = frame[frame[path] != "capacitor"]
    sizes, gains = sorted(board["chip.neurons"].unique()), sorted(board[gain].unique())

    def draw(figure: Figure) -> None:
        axes = figure.subplots(1, 2)
        for colour, each in zip(PALETTE, gains, strict=False):
            mine = board[board[gain] == each].sort_values("chip.neurons")
            label = f"gain {each:g} / uS"
            axes[0].errorbar(
                sizes,
                100 * mine["accuracy"],
                100 * mine["accuracy_std"],
                fmt="o-",
                color=colour,
                label=label,
                capsize=2,
            )
            axes[0].plot(sizes, 100 * mine["software_accuracy"], ":", color=colour)
        axes[0].set(ylabel="accuracy [%]", title="chips (dotted: in software)")
        axes[0].legend()
        for colour, how in zip(PALETTE, ("board", "capacitor"), strict=False):
            mine = frame[(frame[gain] == 0.07) & (frame[path] == how)].sort_values("chip.neurons")
            axes[1].plot(sizes, 1e6 * mine["energy_J"], "o-", color=colour, label=how)
        axes[1].set(yscale="log", ylabel="energy of a recording [uJ]", title="gain 0.07 / uS")
        axes[1].legend()
        for ax in axes:
            ax.set(xscale="log", xlabel="neurons")
            ax.set_xticks(sizes, [str(size) for size in sizes])
            ax.minorticks_off()

    save("liquid_size", draw)
    table(
        [
            "neurons",
            *(f"gain {each:g}" for each in gains),
            "software, 0.07",
            "capacitor",
            "board [uJ]",
            "capacitor [uJ]",
        ],
        (_liquid_row(frame, board, size, gains) for size in sizes),
    )


def _liquid_row(frame: pd.DataFrame, board: pd.DataFrame, size: int, gains: Sequence[float]) -> list[object]:
    mine, every = board[board["chip.neurons"] == size], frame[frame["chip.neurons"] == size]
    at = {how: every[every["chip.read_path"] == how] for how in ("board", "capacitor")}
    cells: list[object] = [size, *(said(mine[mine["chip.gain_per_uS"] == each]) for each in gains)]
    energies = [f"{1e6 * at[how]['energy_J'].iloc[0]:.3g}" for how in ("board", "capacitor")]
    return [*cells, f"{100 * at['board']['software_accuracy'].iloc[0]:.1f}", said(at["capacitor"]), *energies]


def sparse_tiling() -> None:
    """Share of places filled, and energy, against the size of a tile, a panel for some matrices."""
    frame = load("sparse_tiling")
    frame["matrix"] = [json.loads(each)[0] for each in frame["data.names"]]
    sizes, layouts = sorted(frame["chip.rows"].unique()), list(dict.fromkeys(frame["variant"]))
    matrices = list(dict.fromkeys(frame["matrix"]))

    def _part(matrix: str, layout: str) -> pd.DataFrame:
        return frame[(frame["matrix"] == matrix) & (frame["variant"] == layout)].sort_values("chip.rows")

    def draw(figure: Figure) -> None:
        axes = figure.subplots(2, 4, sharex=True, sharey="row")
        for column, matrix in enumerate(("bcsstk13", "airfoil1", "pubmed_graph", "wiki-Vote")):
            least = frame[frame["matrix"] == matrix]["energy_J"].min()
            for colour, layout in zip(PALETTE, layouts, strict=False):
                mine = _part(matrix, layout)
                axes[0, column].plot(sizes, 100 * mine["utilisation"], "o-", color=colour, label=layout, lw=1.2)
                axes[1, column].plot(sizes, mine["energy_J"] / least, "o-", color=colour, lw=1.2)
            axes[0, column].set(title=matrix, yscale="log")
            axes[1, column].set(xscale="log", yscale="log", xlabel="rows and columns of a tile")
            axes[1, column].set_xticks(sizes, [str(size) for size in sizes])
        for ax, ticks in ((axes[0, 0], (0.1, 1, 10)), (axes[1, 0], (1, 2, 5, 10))):
            ax.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        for ax in axes.flat:
            ax.minorticks_off()
        axes[0, 0].set_ylabel("places filled [%]")
        axes[1, 0].set_ylabel("energy / least of the matrix")
        axes[0, 0].legend(fontsize=7, loc="lower left")

    save("sparse_tiling", draw, width=11, height=4.8)
    for column, factor, label in (
        ("tiles", 1, "tiles"),
        ("utilisation", 100, "places filled [%]"),
        ("energy_J", 1e6, "energy of one product [uJ]"),
    ):
        print(f"{label}, tiles of 8 / 32 / 128 / 256:\n")
        table(
            ["matrix", *layouts],
            (
                [
                    matrix,
                    *(
                        " / ".join(
                            f"{factor * float(_at(_part(matrix, layout), size)[column].iloc[0]):.3g}"
                            for size in (8, 32, 128, 256)
                        )
                        for layout in layouts
                    ),
                ]
                for matrix in matrices
            ),
        )
    worst = frame.loc[frame["exact_share"].idxmin()]
    print(
        f"least exact: {worst['matrix']}, {worst['variant']}, {worst['chip.rows']}: {100 * worst['exact_share']:.4f} %"
    )
    best = frame.loc[frame.groupby("matrix")["energy_J"].idxmin()]
    print(best[["matrix", "variant", "chip.rows", "energy_J", "tiles", "utilisation"]].to_string(index=False))
    print("ratio of energies, best by blocks of the same size:")
    for size in sizes:
        of = {
            matrix: float(
                _at(_part(matrix, "blocks"), size)["energy_J"].iloc[0]
                / min(_at(_part(matrix, each), size)["energy_J"].iloc[0] for each in layouts)
            )
            for matrix in matrices
        }
        print(size, {matrix: round(ratio, 2) for matrix, ratio in of.items()})
    for size in sizes:
        kept = [
            float(
                _at(_part(matrix, "blocks_rcm"), size)["energy_J"].iloc[0]
                / _at(_part(matrix, "blocks"), size)["energy_J"].iloc[0]
            )
            for matrix in matrices
        ]
        print(f"{size}: Cuthill-McKee leaves {math.exp(float(np.mean(np.log(kept)))):.2f} of the energy of blocks")


def charlm_bits() -> None:
    """Bits per character that chips lose against software, over the bits of the ramp, at once and after a month."""
    frame = load("charlm_bits")
    device, bits = "chip.weights.device", "chip.bits"
    frame["lost"] = frame["bits_per_character"] - frame["software_bits_per_character"]
    frame["interval"] = T_7 * frame["bits_per_character_std"] / math.sqrt(8.0)
    rounding = (
        (frame["quantised_bits_per_character"] - frame["software_bits_per_character"]).groupby(frame[bits]).first()
    )
    cells = [
        (name, aged)
        for name in sorted(frame[device].unique())
        for aged in ((False, True) if name == "pcm" else (False,))
    ]

    def _cells(name: str, aged: bool) -> pd.DataFrame:
        mine = frame[frame[device] == name]
        if name == "pcm":
            return mine[(mine["t_s"] > 0.0) == aged].set_index(bits)
        return mine.drop_duplicates(bits).set_index(bits)  # what does not change with time was computed for both times

    def _label(name: str, aged: bool) -> str:
        return name + {True: ", a month", False: ", at once"}[aged] if name == "pcm" else name

    def draw(figure: Figure) -> None:
        ax = figure.subplots()
        for colour, (name, aged) in zip(PALETTE, cells, strict=False):
            mine = _cells(name, aged).sort_index()
            ax.errorbar(
                mine.index, mine["lost"], mine["interval"], fmt="o-", color=colour, capsize=2, label=_label(name, aged)
            )
        ax.plot(rounding.index, rounding, "k:", label="rounding alone")
        ax.set(xlabel="bits", ylabel="bits per character lost")
        ax.set_yscale("symlog", linthresh=0.1)
        ax.set_yticks([0.0, 0.05, 0.1, 0.2, 0.4], ["0", "0.05", "0.1", "0.2", "0.4"])
        ax.minorticks_off()
        ax.set_xticks(list(rounding.index))
        ax.legend()

    save("charlm_bits", draw, width=5.5)

    def _said(name: str, aged: bool, n: int) -> str:
        mine = _cells(name, aged)
        if n not in mine.index:
            return ""
        lost, interval = float(mine["lost"][n]), float(mine["interval"][n])
        return f"{lost:.3f} ({lost - interval:.3f} to {lost + interval:.3f})"

    table(
        ["cells", *(f"{n} bits" for n in rounding.index)],
        [
            *([_label(name, aged), *(_said(name, aged, n) for n in rounding.index)] for name, aged in cells),
            ["rounding alone", *(f"{rounding[n]:.3f}" for n in rounding.index)],
        ],
    )


STUDIES: dict[str, Callable[[], None]] = {
    "kws_spread_bits": kws_spread_bits,
    "kws_drift_year": kws_drift_year,
    "energy_bits_node": energy_bits_node,
    "kws_tile_wires": kws_tile_wires,
    "liquid_size": liquid_size,
    "sparse_tiling": sparse_tiling,
    "charlm_bits": charlm_bits,
}

if __name__ == "__main__":
    np.seterr(all="raise")
    for wanted in sys.argv[1:] or STUDIES:
        print(f"## {wanted}\n")
        STUDIES[wanted]()
