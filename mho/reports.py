"""``mho report``: of runs, or of a sweep or a search, by what the folders hold."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from devices import InputError
from mho.files import write_atomic
from mho.report import page as report
from mho.search import page as search_page
from mho.search.table import settings
from mho.sweep import export
from mho.sweep.names import label_of, unit_of
from mho.sweep.page import page
from mho.sweep.page.reading import ABSENT, Reading, of_table, read
from mho.sweep.store import FILE


def write(folders: Sequence[Path | str], format: str = "html", output: Path | str | None = None) -> list[Path]:
    """Report run directories, or the folder of one sweep or search, in ``format`` and return the files written.

    Without ``output``, ``html`` goes to ``report.html`` in the folder and everything else to standard output.
    """
    places = [Path(folder) for folder in folders]
    sweeps = [place for place in places if (place / FILE).is_file()]
    if not sweeps:
        return report.write(folders, format, output)
    if len(places) > 1:
        raise InputError(f"{sweeps[0]}: a sweep is reported alone (got {len(places)} folders)")
    folder = sweeps[0]
    trials = search_page.replayed(folder) if search_page.is_search(folder) else None
    if format == "html" and trials is not None:
        return [search_page.write(folder, *trials, Path(output) if output is not None else None)]
    if format == "html":
        return [page.write(folder, Path(output) if output is not None else None)]
    if format not in FORMATS:
        raise InputError(f"--format: must be one of html, {', '.join(FORMATS)} for a sweep (got {format})")
    if format == "parquet" and output is None:
        raise InputError("--format parquet is binary and needs a file: -o PATH")
    found = read(folder) if trials is None else of_table(read(folder), trials[1], settings(trials[0]))
    data = FORMATS[format](found)
    if output is None:
        sys.stdout.write(data.decode())
        return []
    write_atomic(output, data)
    return [Path(output)]


def table(found: Reading) -> pd.DataFrame:
    """One row a point in the order of the sweep: coordinates, outputs, state and error, as ``results.csv`` has them."""
    names = list(found.wanted) or list(found.outputs)
    columns = {path: [_cell(value) for value in values] for path, values in found.coordinates.items()}
    figures = {name: found.outputs.get(name, [float("nan")] * len(found)) for name in names}
    return pd.DataFrame({**columns, **figures, "state": found.states, "error": found.errors})


def _cell(value: object) -> object:
    if value is ABSENT:
        return None
    return json.dumps(value, separators=(",", ":")) if isinstance(value, (dict, list)) else value


def _csv(found: Reading) -> bytes:
    return table(found).to_csv(index=False, lineterminator="\n").encode()


def _json(found: Reading) -> bytes:
    names = [name for name in found.outputs if not found.wanted or name in found.wanted]
    points = [
        {
            "coordinates": {path: held[place] for path, held in found.coordinates.items() if held[place] is not ABSENT},
            "outputs": {name: _figure(found.outputs[name][place]) for name in names},
            "state": found.states[place],
            "error": found.errors[place],
        }
        for place in range(len(found))
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
    lines += [_line(heads), _line(["---"] * len(heads))]
    lines += [_line([_text(value) for value in row]) for row in frame.itertuples(index=False)]
    return ("\n".join(lines) + "\n").encode()


def _text(value: object) -> str:
    if value is None or value != value:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _parquet(found: Reading) -> bytes:
    return export.parquet(table(found))


FORMATS: dict[str, Callable[[Reading], bytes]] = {
    "csv": _csv,
    "json": _json,
    "markdown": _markdown,
    "parquet": _parquet,
}
