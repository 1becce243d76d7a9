"""The page of the benchmarks, made of the two files of results as the site is built. A third hook of MkDocs."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

RESULTS = Path(__file__).resolve().parent.parent / "benchmarks"
RUNS = {
    "CPU": ("results.json", "make bench"),
    "GPU": ("results_gpu.json", "python -m benchmarks.gpu_recurrent"),
    "GPU characters": ("results_gpu_charlm.json", "python -m benchmarks.gpu_charlm"),
}
"""Files of results, and what writes them."""
WHERE = {"CPU": "", "GPU": ", on a GPU", "GPU characters": ", characters on a GPU"}
COLOURS = {"within": "#0072B2", "beyond": "#D55E00", "none": "#8A93A3"}
Row = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """Rows that are shown together, known by words in what they measure or in what stands beside it."""

    head: str
    words: tuple[str, ...]
    part: Literal["reference", "name"] = "reference"
    about: str = ""

    def has(self, row: Row) -> bool:
        """Whether the row belongs here."""
        return any(word in f" {row[self.part]}".lower() for word in self.words)


PEERS = (
    Kind("aihwkit", ("aihwkit",), about="Tile and LSTM of IBM's analog hardware kit on as many weights, as old."),
    Kind("snnTorch", ("snntorch",), about="A liquid of snnTorch's neurons on the same recordings."),
    Kind("SciPy", ("scipy", "sparse lu"), about="Sparse products, and sparse LU (SuperLU) of the network of an array."),
    Kind("GraphBLAS", ("graphblas",), about="The same sparse products by SuiteSparse:GraphBLAS, on as many threads."),
)
OTHERS = (
    Kind(
        "Start of a process", ("import torch",), about="A command of mho beside `import torch`, each in a new process."
    ),
    Kind(
        "Together or one by one", (" runs of one", " calls for one", "the same points"), about="Many chips or points."
    ),
)
LIMIT = (
    Kind("Converters", ("-bit conversion",), "name"),
    Kind("Mapping and prices", ("mapped and priced",), "name"),
    Kind("Liquids", ("liquid",), "name"),
    Kind("LSTMs and training", ("lstm", "training", "character"), "name"),
    Kind("Arrays and cells", ("",), "name"),
)
GROUPS = {
    "Beside the digital limit": (
        "The products, layers or draws of normal numbers that are in the work, by torch alone: what a simulation "
        "without any analog effect takes.",
        LIMIT,
    ),
    "Beside peers": (
        "The nearest that a peer has: aihwkit's tile adds noise at the outputs, mho's has that of every cell; SciPy "
        "and GraphBLAS leave rows unsorted, mho sorts them; snnTorch starts from dense spikes made before and has no "
        "converter.",
        PEERS,
    ),
    "Beside other ways": ("", OTHERS),
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page and its figures."""
    runs = {name: read(RESULTS / file) for name, (file, _) in RUNS.items()}
    files.append(File.generated(config, "benchmarks.md", content=page(runs)))
    for _, kinds in GROUPS.values():
        for kind, name, rows in parts(runs, kinds):
            files.append(File.generated(config, f"benchmarks/{slug(kind, name)}.svg", content=bars(rows)))
    return files


def read(path: Path) -> list[Row]:
    """Rows of a file; none where it is not there."""
    rows: list[Row] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    return rows


def kind_of(row: Row) -> Kind:
    """The first kind that a row fits, peers before the rest."""
    return next(kind for kind in (*PEERS, *OTHERS, *LIMIT) if kind.has(row))


def parts(runs: dict[str, list[Row]], kinds: Sequence[Kind]) -> Iterator[tuple[Kind, str, list[Row]]]:
    """Rows by kind and run, without empty ones."""
    for kind in kinds:
        for name, rows in runs.items():
            if found := [row for row in rows if kind_of(row) == kind]:
                yield kind, name, found


def slug(kind: Kind, name: str) -> str:
    """The name of a figure's file."""
    return f"{kind.head} {name}".lower().replace(" ", "_")


def share(row: Row) -> float | None:
    """Ratio over target: 1 just keeps it; None without a target [1]."""
    return row["ratio"] / row["target_ratio"] if row.get("target_ratio") else None


def beyond(row: Row) -> bool:
    """Whether a row misses what is promised of its time or its memory."""
    most_MB = row.get("most_MB")
    return (share(row) or 0.0) > 1.0 or (most_MB is not None and row["peak_MB"] > most_MB)


def page(runs: dict[str, list[Row]]) -> str:
    """All rows, what falls short first."""
    rows = [(name, row) for name in runs for row in runs[name]]
    lines = [
        "# Benchmarks",
        "",
        "Seconds move from machine to machine; the **ratio** to a reference that took turns with mho in one process",
        "moves less, and below 1 mho is the faster one. Each row promises a ratio of at most its **target**. The page",
        "is made of the files that these commands write, as the site is built.",
        "",
        *ran(runs),
        "",
        "## What falls short",
        "",
        *short(rows),
    ]
    absent = [kind.head for kind in PEERS if not any(kind_of(row) == kind for _, row in rows)]
    if absent:
        lines += ["", f"No rows beside {', '.join(absent)}: not installed, or without their data, when the files were"]
        lines += ["written; `make bench` installs all peers (extra `bench`)."]
    for head, (about, kinds) in GROUPS.items():
        if every := list(parts(runs, kinds)):
            lines += ["", f"## {head}", *(["", about] if about else [])]
        for kind, name, found in every:
            lines += ["", f"### {kind.head}{WHERE[name]}"]
            lines += ["", kind.about] if kind.about else []
            lines += ["", f"![Ratio over target: {kind.head}, {name}](benchmarks/{slug(kind, name)}.svg)", ""]
            lines += table(found)
    lines += [
        "",
        "## How it is measured",
        "",
        "*CPU*: medians of seven rounds, the reference before every round, so that a busy moment weighs on both; one",
        "thread but where a row names more (`benchmarks/conftest.py`). Peak memory is that of the process while the",
        "work ran, interpreter and torch included. *GPU*: medians by CUDA events after a warm-up, single precision",
        "with TF32 off, those of characters with nothing else on the card; more in [On a GPU](gpu.md). Why the same",
        "sparse product has two times: [two threads](spgemm_fabric.md#on-two-threads). Models have",
        "tables of their own: [wires](wires.md), [liquids](liquid.md), [SMASH](spgemm_fabric.md), [sweeps](sweeps.md).",
    ]
    return "\n".join(lines) + "\n"


def ran(runs: dict[str, list[Row]]) -> Iterator[str]:
    """Commands, machines, dates and versions."""
    yield "| | command | machine | date | versions |"
    yield "|---|---|---|---|---|"
    for name, rows in runs.items():
        for machine in distinct([row.get("machine", {}) for row in rows]):
            of = machine.get("card") or f"{machine.get('cpu', 'unknown')}, {machine.get('cores', '?')} cores"
            versions = {key: machine[key] for key in ("python", "torch", "cuda") if machine.get(key)}
            versions |= machine.get("versions", {})
            listed = ", ".join(f"{key} {value}" for key, value in versions.items())
            yield f"| {name} | `{RUNS[name][1]}` | {of} | {machine.get('date', 'not recorded')} | {listed} |"


def distinct(machines: Sequence[Row]) -> list[Row]:
    """Machines that differ in more than their load."""
    found = [{key: value for key, value in each.items() if key != "load"} for each in machines]
    return [each for number, each in enumerate(found) if each and each not in found[:number]]


def short(rows: Sequence[tuple[str, Row]]) -> Iterator[str]:
    """Rows beyond what they promise, the farthest first."""
    missed = sorted((one for one in rows if beyond(one[1])), key=lambda one: -(share(one[1]) or 0.0))
    promised = sum(share(row) is not None for _, row in rows)
    yield (
        f"{len(missed)} of {promised} rows with a target miss it."
        if missed
        else f"All {promised} rows keep their target."
    )
    if missed:
        yield from ("", "| what | on | ratio | target | beyond it by |", "|---|---|---|---|---|")
    for name, row in missed:
        ratio, promised_ratio = figures(row)
        excess = max(0.0, (share(row) or 0.0) - 1.0)
        by = f"{excess:.0%}" if excess >= 0.1 else f"{100.0 * excess:.2g}%"
        yield f"| {' | '.join([beside(row), name, f'**{ratio}**', promised_ratio, by])} |"


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Rows of one kind; a ratio beyond its target in bold."""
    memory = any(row.get("peak_MB") for row in rows)
    yield "| what | time | reference | ratio | target |" + (" peak memory |" if memory else "")
    yield "|---|---|---|---|---|" + ("---|" if memory else "")
    for row in rows:
        ratio, promised = figures(row)
        cells = [beside(row), duration(row["seconds"]), duration(row["reference_seconds"])]
        cells += [f"**{ratio}**, beyond" if (share(row) or 0.0) > 1.0 else ratio, promised]
        if memory:
            most_MB = row.get("most_MB")
            cells += [f"{row['peak_MB']:.0f} MB" + (f" (at most {most_MB:.0f})" if most_MB else "")]
        yield f"| {' | '.join(cells)} |"


def beside(row: Row) -> str:
    """What was measured, and beside what."""
    return f"{row['name']}, *beside {row['reference']}*"


def figures(row: Row) -> tuple[str, str]:
    """Ratio and target with three digits, and with more where a miss would else read as kept."""
    ratio, goal = row["ratio"], row.get("target_ratio")
    if not goal:
        return f"{ratio:#.3g}", "none"
    digits = next((n for n in range(3, 9) if (ratio > goal) == (float(f"{ratio:.{n}g}") > float(f"{goal:.{n}g}"))), 9)
    return f"{ratio:#.{digits}g}", f"{goal:.{digits}g}"


def duration(time_s: float) -> str:
    """A time with three digits and its unit."""
    factor, unit = next(
        (factor, unit)
        for factor, unit in ((1.0, "s"), (1e3, "ms"), (1e6, "µs"))
        if time_s * factor >= 1.0 or unit == "µs"
    )
    return f"{time_s * factor:.3g} {unit}"


def bars(rows: Sequence[Row]) -> bytes:
    """Ratio over target as bars on a logarithmic axis, the target a line; without a target the bare ratio, in grey."""
    shown = [row["ratio"] if (found := share(row)) is None else found for row in rows]
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "mho", "font.size": 9, "font.family": "sans-serif"}):
        figure = Figure(figsize=(9.0, 0.9 + 0.36 * len(rows)), layout="constrained")
        axes = figure.subplots()
        for place, (row, long) in enumerate(zip(rows, shown, strict=True)):
            kind = "none" if share(row) is None else "beyond" if long > 1.0 else "within"
            axes.barh(place, long - 1e-3, left=1e-3, color=COLOURS[kind], height=0.7)
            text = ("{}, no target" if kind == "none" else "{} of {}").format(*figures(row))
            axes.text(long * 1.08, place, text, va="center")
        axes.axvline(1.0, color="0.3", linewidth=1.0, linestyle="--")
        axes.set_yticks(range(len(rows)), [fill(row["name"], 62) for row in rows])
        axes.set(xscale="log", xlim=(min(0.1, *(0.6 * one for one in shown)), 4.0 * max(1.0, *shown)))
        axes.xaxis.set_minor_formatter(NullFormatter())  # minor labels of half a decade lie on one another
        axes.set_xlabel("ratio over target (dashed: just kept; orange: beyond it)")
        axes.invert_yaxis()
        axes.spines[["top", "right"]].set_visible(False)
        drawn = io.BytesIO()
        figure.savefig(drawn, format="svg", metadata={"Date": None})
    return drawn.getvalue()
