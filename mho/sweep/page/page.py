"""The report of a sweep: one page that holds its points and the script that draws them, made from the folder alone."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from mho.files import write_atomic
from mho.report import published
from mho.report.page import environment
from mho.report.quantities import duration, quantity, rounded
from mho.sweep.names import PREFIXED, better, label_of, unit_of
from mho.sweep.page import payload
from mho.sweep.page.reading import ABSENT, Reading, read
from mho.sweep.pareto import Aims
from mho.sweep.study import Study

PAGE = "report.html"
#: In the order in which they must be read.
SCRIPTS = ("data", "controls", "lines", "heat", "front", "parallel", "shares", "table", "start")
_CARDS = 4


def write(folder: Path, output: Path | None = None, *, study: Study | None = None, aims: Aims | None = None) -> Path:
    """Write the page of the sweep in ``folder``, whole or not at all, and return where.

    ``study`` is the sweep where it is at hand (else the sheet in the folder is read again); ``aims`` the objectives and
    limits of a search. Raises InputError for a folder that holds no sweep, and for an aim that no point gives.
    """
    target = output or folder / PAGE
    write_atomic(target, html(read(folder, study), aims).encode())
    return target


def html(found: Reading, aims: Aims | None = None) -> str:
    """The page as text. No script, style, font or picture comes from elsewhere."""
    from plotly.offline import get_plotlyjs

    if aims is not None:
        aims.refuse_unknown(list(found.outputs))
        named = (*aims.objectives, *(name for name in aims.constraints if name not in aims.objectives))
        found = replace(found, wanted=found.wanted or named)
    chips = published.every()
    data = payload.build(found, aims, chips)
    folder = Path(__file__).parent.parent.parent / "templates" / "sweep"
    script = "\n".join((folder / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS)
    states = Counter(found.states)
    pages = environment()
    pages.filters["labelled"] = label_of
    return (
        pages.get_template("sweep.html.j2")
        .render(
            found=found,
            aims=aims,
            judged=found.judged,
            data=data,
            json=Markup(embedded(data)),
            plotly=Markup(get_plotlyjs()),
            script=Markup(script),
            own_style=Markup((folder / "sweep.css").read_text(encoding="utf-8")),
            states={name: states.get(name, 0) for name in ("done", "stale", "failed", "missing", "pruned")},
            failures=failures(found),
            cards=cards(found, aims),
            chips=chips,
            figures=published.FIGURES,
            shown_figure=shown_figure,
            label_of=label_of,
            most_points=payload.MOST_POINTS,
            axes=[*axes_in_words(found)],
            seconds=sum(found.seconds),
            outside=outside(found, aims),
        )
        .lstrip()
    )


def outside(found: Reading, aims: Aims | None) -> int:
    """How many finished points break a limit."""
    return int((found.usable & ~aims.feasible(found.outputs)).sum()) if aims and aims.constraints else 0


def embedded(data: dict[str, Any]) -> str:
    """JSON that can end no script and open no comment, whatever texts are in it."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    for sign, code in (
        ("<", "\\u003c"),
        (">", "\\u003e"),
        ("&", "\\u0026"),
        ("\u2028", "\\u2028"),
        ("\u2029", "\\u2029"),
    ):
        text = text.replace(sign, code)
    # A lone surrogate, as a path of a foreign file system may hold, cannot be written in UTF-8.
    return re.sub(r"[\ud800-\udfff]", "\ufffd", text)


def failures(found: Reading) -> list[tuple[str, int, str]]:
    """Errors of failed points, how many points each has, and the first of them in words."""
    failed: dict[str, list[int]] = {}
    for number, state in enumerate(found.states):
        if state == "failed":
            failed.setdefault(found.errors[number], []).append(number)
    ordered = sorted(failed.items(), key=lambda item: -len(item[1]))
    return [(error, len(points), words(found, points[0])) for error, points in ordered]


def words(found: Reading, number: int) -> str:
    """One point by its coordinates."""
    parts = [
        f"{label_of(path)} {_value(path, values[number])}"
        for path, values in found.coordinates.items()
        if values[number] is not ABSENT
    ]
    return ", ".join(parts) or "the base itself"


def _value(path: str, value: Any) -> str:
    if not payload.is_number(value):
        return next(iter(payload.texts_of([value]).values()))
    if path.rsplit(".", 1)[-1] == "t_s":
        return duration(value)
    return quantity(value, unit_of(path)) if unit_of(path) in PREFIXED else f"{value:.6g}"


def axes_in_words(found: Reading) -> list[tuple[str, str]]:
    """Each axis with the values that it takes."""
    rows = []
    for path, values in found.coordinates.items():
        present = [value for value in values if value is not ABSENT]
        texts = list(payload.texts_of(present).values())
        if present and all(payload.is_number(value) for value in present) and len(texts) > payload.FEW:
            text = f"{len(texts)} values from {min(present):.6g} to {max(present):.6g}"
        else:
            text = ", ".join(texts[: payload.FEW]) + (
                f" and {len(texts) - payload.FEW} more" * (len(texts) > payload.FEW)
            )
        rows.append((path, text + ("; at some points only" if len(present) < len(values) else "")))
    return rows


def cards(found: Reading, aims: Aims | None) -> list[tuple[str, str, str]]:
    """The best value of each main output that has a better way, with its noise, and at which point it was found."""
    rows = []
    usable = found.usable & (aims.feasible(found.outputs) if aims else True)
    ways = (
        dict(aims.objectives)
        if aims
        else {name: better(name) for name in payload.main_outputs(found) if not payload.derived(name)}
    )
    for name, way in ways.items():
        values = np.where(usable, found.outputs[name], np.nan)
        if way is None or not np.isfinite(values).any() or float(np.nanmax(values)) == float(np.nanmin(values)):
            continue
        best_at = int(np.nanargmax(values) if way == "maximize" else np.nanargmin(values))
        best = "highest" if way == "maximize" else "lowest"
        where = f"{noise(found, name, values, best_at)}{words(found, best_at)}"
        rows.append((f"{best} {label_of(name)}", in_unit(float(values[best_at]), unit_of(name)), where))
    return rows[:_CARDS]


def noise(found: Reading, name: str, values: NDArray[np.float64], best_at: int) -> str:
    """The spread of the best point over its chips, and how many others differ from it by less than chance may make.

    Two means differ by chance by up to 1.96 standard errors of their difference in 95 % of cases.
    """
    spread = found.spread.get(name)
    if spread is None or not np.isfinite(spread[best_at]):
        return ""
    chips = found.chips.get(name)
    text = f"± {in_unit(float(spread[best_at]), unit_of(name))} standard deviation over {chips or 'its'} chips"
    if chips is None:
        return f"{text}; "
    error = np.sqrt((spread**2 + spread[best_at] ** 2) / chips)
    level = int((np.abs(values - values[best_at]) <= 1.96 * error).sum()) - 1
    return f"{text}, {'no' if level < 1 else level} other point{'' if level == 1 else 's'} within chance of it; "


def in_unit(value: float, unit: str) -> str:
    """A figure with its unit, prefixed where the field does so."""
    return quantity(value, unit) if unit in PREFIXED else f"{rounded(value)} {unit}".rstrip()


def shown_figure(name: str, figure: published.PublishedFigure | None) -> str:
    """A published figure in a cell of a table."""
    return "–" if figure is None else in_unit(figure.value, unit_of(name))
