"""A sweep's or a search's points for other programs: CSV, JSON, Markdown and Parquet."""

from __future__ import annotations

import json
from collections.abc import Callable

import pandas as pd

from mho.files import parquet_bytes
from mho.report.exports import grid
from mho.sweep import export
from mho.sweep.names import label_of, unit_of
from mho.sweep.page.reading import ABSENT, Reading


def table(found: Reading) -> pd.DataFrame:
    """One row a point in the order of the sweep: coordinates, outputs, state and error, as ``results.csv`` has them."""
    names = list(found.wanted) or list(found.outputs)
    columns = {
        path: [None if value is ABSENT else export.cell(value) for value in values]
        for path, values in found.coordinates.items()
    }
    figures = {name: found.outputs.get(name, [float("nan")] * len(found)) for name in names}
    return pd.DataFrame({**columns, **figures, "state": found.states, "error": found.errors})


def _csv(found: Reading) -> bytes:
    return table(found).to_csv(index=False, lineterminator="\n").encode()


def _json(found: Reading) -> bytes:
    names = [name for name in found.outputs if not found.wanted or name in found.wanted]
    points = [
        {
            "coordinates": {path: of[number] for path, of in found.coordinates.items() if of[number] is not ABSENT},
            "outputs": {name: _figure(found.outputs[name][number]) for name in names},
            "state": found.states[number],
            "error": found.errors[number],
        }
        for number in range(len(found))
    ]
    notes = [{"note": text, "points": many} for text, many in found.notes]
    about = {"sweep": found.title, "description": found.description, "left_out": found.left_out, "notes": notes}
    return (json.dumps({**about, "points": points}, indent=1, ensure_ascii=False) + "\n").encode()


def _figure(value: float) -> float | None:
    return float(value) if value == value else None


def _markdown(found: Reading) -> bytes:
    frame = table(found)
    heads = [f"{label_of(name)} [{unit}]" if (unit := unit_of(name)) else label_of(name) for name in frame.columns]
    lines = [f"# {found.title}", "", found.description, ""]
    lines += [f"> {text} ({many} of {len(found)} points)\n" for text, many in found.notes]
    lines += grid(heads, ([_text(value) for value in row] for row in frame.itertuples(index=False)))
    return "\n".join(lines).encode()


def _text(value: object) -> str:
    if value is None or value != value:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _parquet(found: Reading) -> bytes:
    return parquet_bytes(export.uniform(table(found)))


FORMATS: dict[str, Callable[[Reading], bytes]] = {
    "csv": _csv,
    "json": _json,
    "markdown": _markdown,
    "parquet": _parquet,
}
