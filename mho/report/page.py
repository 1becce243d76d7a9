"""The report of a run, made from the files of its run directory alone, so that old runs can be reported anew."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from configs.bounded import read_file
from configs.errors import InputError
from mho.files import user_path, write_atomic, write_or_print
from mho.report import costs, drift, exports, merit, pairs, paper, sections
from mho.report.labels import label_of
from mho.report.published import of_task
from mho.report.quantities import NOT_AVAILABLE, between, count, duration, number, percent, quantity
from mho.report.rundata import RunData, load_run

if TYPE_CHECKING:
    import jinja2
    from matplotlib.figure import Figure

__all__ = ["FORMATS", "RunData", "figures", "html", "load_run", "write"]

# Sections that a run leaves out where it wrote no such table.
_OF_TABLES = {
    "confusion": "confusion",
    "ramp": "ramp",
    "vread": "vread",
    "learning": "learning",
    "prices": "prices",
    "latency": "schedule",
}
_DOI = re.compile(r"\b(?:doi[:\s]*)?(10\.\d{4,9}/[^\s\"'<>,;]*[^\s\"'<>,;.)])", re.IGNORECASE)
_URL = re.compile(r"https?://[^\s\"'<>]*[^\s\"'<>.,;)]")
_ARXIV = re.compile(r"\barXiv[:\s]*(\d{4}\.\d{4,5}(?:v\d+)?)", re.IGNORECASE)


def html(run_dir: Path | str, *, published_as: Path | None = None) -> str:
    """The report of one run as a self-contained page: no script, style, font or picture comes from elsewhere.

    ``published_as``: the folder's path once it is complete, where it still has another. Raises ``InputError`` when
    ``run_dir`` is no run directory.
    """
    run = load_run(run_dir)
    return _page(run if published_as is None else replace(run, path=published_as))


def figures(run: RunData) -> dict[str, Figure]:
    """The page's figures by name, as matplotlib has them."""
    from mho.report import panels, plots

    with plots.gathered() as found:
        _plots(run)
        panels.drawn(run)
    return found


def _page(run: RunData) -> str:
    from mho.report import panels
    from mho.report.plots import variant_styles

    template = environment().get_template("report.html.j2")
    _, accuracy = merit.accuracy_rows(run)
    cases = drift.drift_cases(run)
    shown_panels = panels.drawn(run)
    beside = costs.beside_rows(run)
    published = of_task(str(run.config.get("kind") or ""))
    components, sources = costs.component_rows(run.tables["components"])
    compared: dict[str, list[pairs.Pair]] = {}
    for pair in pairs.of_variants(run):
        compared.setdefault(pair.ours, []).append(pair)
    return template.render(
        run=run,
        metric=run.metrics.metrics[run.metric],
        default=run.default,
        colours={name: style.key for name, style in variant_styles(run.variants).items()},
        description=run.config.get("description") or "",
        config_text=run.config_text,
        manifest_text=json.dumps(run.manifest, indent=2, ensure_ascii=False),
        word=run.metric.replace("_", " "),
        paper=paper.of_run(run),
        marks={variant.name: merit.changes(variant) for variant in run.metrics.variants},
        overall=merit.changes(run.metrics),
        notes=_notes(run),
        pairs=compared,
        pair_times=sorted({pair.t_s for each in compared.values() for pair in each}),
        first=run.default.quality[0] if run.default.quality else None,
        stages=merit.stage_rows(run),
        one_chip=all(row["chips"] == 1 for row in accuracy),
        splits=max(row["splits"] for row in accuracy),
        comparisons=merit.comparison_rows(run),
        drift_cases=cases,
        drift_sentence=drift.drift_sentence(run, cases) if cases else "",
        confusions=sections.confusion_matrices(run),
        mismatches=costs.mismatches(run),
        statuses=costs.status_rows(run.rows("components", variant=run.default.name)),
        components=components,
        sources=sources,
        layers=run.tables["layers"].to_dict("records"),
        conventional=sections.conventional(run),
        beside=beside,
        published=published,
        ours=sections.ours(run),
        prices=costs.price_rows(run),
        ramps=run.tables["ramps"].to_dict("records"),
        plots=_plots(run),
        cells_caption=sections.cells_caption(run),
        panels=shown_panels,
        unfolded=panels.unfolded(shown_panels),
        panel_heads=[(f"panels{number}", title) for number, (title, _) in enumerate(shown_panels, start=1)],
        hidden={section for section, table in _OF_TABLES.items() if run.tables[table].empty}
        | ({"notes"} if not _notes(run) else set())
        | ({"pairs"} if not compared and not run.metrics.comparisons else set())
        | ({"drift"} if not cases else set())
        | ({"beside"} if not beside else set())
        | ({"published"} if not published else set()),
    ).lstrip()


def _notes(run: RunData) -> list[str]:
    """What the run noted, but for what its banner says."""
    said = run.data.note or "" if run.data.synthetic else ""
    return [note for note in run.metrics.notes if note not in said]


def _plots(run: RunData) -> dict[str, Any]:
    """Every figure as markup; other variants' ramps only where their design differs from those already drawn."""
    from mho.report import figures

    default = run.default.name
    others: list[tuple[str, Markup]] = []
    seen = {_design(run, default)}
    for name in run.variants:
        design = _design(run, name)
        if design and design not in seen:
            seen.add(design)
            ramp = figures.ramp_errors(run, name, f"ramp{len(others)}")
            if ramp:
                others.append((name, Markup(ramp)))
    drawn = {
        "accuracy": figures.accuracy(run),
        "drift": figures.drift(run),
        "compensation": figures.compensation(run),
        "cells": figures.cells(run),
        "tiles": figures.tiles(run),
        "flow": figures.energy_flow(run),
        "cost": figures.cost_bars(run),
        "beside": figures.beside(run),
        "ramp": figures.ramp(run, default),
        "vread": figures.vread(run),
        "learning": figures.learning(run),
    }
    # The SVG is matplotlib's, which escapes every text in it.
    return {
        **{name: Markup(text) if text else None for name, text in drawn.items()},
        "ramps": others,
        "timelines": [(layer, Markup(text), end) for layer, text, end in figures.timelines(run)],
    }


def _design(run: RunData, variant: str) -> tuple[tuple[str, str, float], ...]:
    rows = run.rows("ramps", variant=variant)
    return tuple(sorted(zip(rows["device"], rows["function"], rows["bits"], strict=True)))


def _linked(text: object) -> Markup:
    """Escaped text whose DOIs, arXiv numbers and addresses are links."""
    plain, out, done = str(text), Markup(), 0
    found = [(match.span(), match.group()) for match in _URL.finditer(plain)]
    found += [(match.span(), f"https://doi.org/{match.group(1)}") for match in _DOI.finditer(plain)]
    found += [(match.span(), f"https://arxiv.org/abs/{match.group(1)}") for match in _ARXIV.finditer(plain)]
    for (start, end), address in sorted(found):
        if start >= done:
            out += escape(plain[done:start]) + Markup('<a href="{}">{}</a>').format(address, plain[start:end])
            done = end
    return out + escape(plain[done:])


def environment() -> jinja2.Environment:
    """Templates with the filters of quantities; all text is escaped."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent.parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Callable[..., Any]] = {
        "quantity": quantity,
        "number": number,
        "count": count,
        "percent": percent,
        "between": between,
        "duration": duration,
        "linked": _linked,
        "labelled": label_of,
    }
    environment.filters.update(filters)
    environment.globals.update(
        label_of=label_of,
        shown=merit.shown,
        bare=merit.bare,
        of_few=merit.of_few,
        shown_difference=merit.shown_difference,
        NOT_AVAILABLE=NOT_AVAILABLE,
    )
    return environment


def _html(runs: Sequence[RunData]) -> bytes:
    from mho.report import several

    return (_page(runs[0]) if len(runs) == 1 else several.html(runs, environment())).encode()


def _trace(runs: Sequence[RunData]) -> bytes:
    path = _only(runs, "trace").folder / "trace.json"
    if not path.exists():
        raise InputError(f"{path}: no such file; the run wrote no schedule")
    return read_file(path)


def _json(runs: Sequence[RunData]) -> bytes:
    return (json.dumps([run.metrics_json for run in runs], indent=2, ensure_ascii=False) + "\n").encode()


def _only(runs: Sequence[RunData], format: str) -> RunData:
    if len(runs) != 1:
        raise InputError(f"--format {format} takes one run directory (got {len(runs)}); the other formats take several")
    return runs[0]


FORMATS: dict[str, Callable[[Sequence[RunData]], bytes]] = {
    "html": _html,
    "csv": exports.csv,
    "json": _json,
    "markdown": exports.markdown,
    "parquet": exports.parquet,
    "trace": _trace,
}


def write(
    run_dirs: Sequence[Path | str],
    format: str = "html",
    output: Path | str | None = None,
    figures: Path | str | None = None,
) -> list[Path]:
    """Report the runs in ``format`` and return the files written.

    ``html`` of several runs with an ``output`` is one page that compares them. Without ``output``, ``html`` goes to
    ``report.html`` in each run directory and everything else to standard output (Parquet, being binary, needs an
    ``output``). ``figures``: a folder for the pages' pictures as SVG and PDF; those of several pages to a folder each.
    All problems of all directories are raised as one ``InputError``.
    """
    if format not in FORMATS:
        raise InputError(f"--format: must be one of {', '.join(FORMATS)} (got {format!r})")
    if not run_dirs:
        raise InputError("no run directory given: mho report RUN_DIR...")
    runs: list[RunData] = []
    problems: list[str] = []
    for folder in run_dirs:
        try:
            runs.append(load_run(folder))
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)
    pictures = None if figures is None else user_path(figures)
    if pictures is not None and format != "html":
        raise InputError(f"--figures: pictures are those of a page, --format html (got {format})")
    from mho.report import plots

    if output is None and format == "html":
        targets = [run.folder / "report.html" for run in runs]
        for run, target in zip(runs, targets, strict=True):
            with plots.kept(pictures / run.folder.resolve().name if pictures and len(runs) > 1 else pictures):
                write_atomic(target, _html([run]))
        return targets
    if output is None and format == "parquet":
        raise InputError("--format parquet is binary and needs a file: -o PATH")
    with plots.kept(pictures):
        data = FORMATS[format](runs)
    return write_or_print(data, output)
