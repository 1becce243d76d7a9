"""Several runs on one page: their summary, figures of merit over time, differences in pairs, and what was set apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure

from configs.errors import InputError
from mho.report import pairs, paper, plots
from mho.report.costs import breakdown
from mho.report.labels import label_of
from mho.report.merit import analog, changes, quality
from mho.report.rundata import RunData

if TYPE_CHECKING:
    import jinja2

MOST_SETTINGS = 60


def html(runs: Sequence[RunData], templates: jinja2.Environment) -> str:
    """The page. Raises ``InputError`` where the runs' first figures of merit differ."""
    found = named(runs)
    merits = {run.metric: name for name, run in found.items()}
    if len(merits) > 1:
        given = ", ".join(f"{metric} of {name}" for metric, name in merits.items())
        raise InputError(f"one page takes runs with the same figure of merit (got {given})")
    first = runs[0]
    return (
        templates.get_template("runs.html.j2")
        .render(
            runs=found,
            first=first,
            metric=first.metrics.metrics[first.metric],
            word=first.metric.replace("_", " "),
            colours={name: style.key for name, style in plots.variant_styles(list(found)).items()},
            paper=paper.of_runs(found),
            marks={name: [*changes(run.default), *changes(run.metrics)] for name, run in found.items()},
            pairs=pairs.of_runs(found),
            accuracy=Markup(_accuracy(found)),
            cost=Markup(_cost(found)),
            settings=settings(found),
            most=MOST_SETTINGS,
        )
        .lstrip()
    )


def named(runs: Sequence[RunData]) -> dict[str, RunData]:
    """Runs by the name of their folder; with its parents' as far as two have the same, and a number at the last."""
    paths = [run.folder.resolve() for run in runs]
    names = [path.name for path in paths]
    for depth in range(2, max(len(path.parts) for path in paths)):
        met = Counter(names)
        names = [
            "/".join(path.parts[-depth:]) if met[name] > 1 else name for name, path in zip(names, paths, strict=True)
        ]
    return {
        name if names.count(name) == 1 else f"{name} ({number})": run
        for number, (name, run) in enumerate(zip(names, runs, strict=True), start=1)
    }


def _of_default(runs: Mapping[str, RunData], table: str) -> pd.DataFrame:
    """Figures of the default variants, under the runs' names."""
    tables = {"analog": analog, "quality": quality}
    parts = []
    for name, run in runs.items():
        frame = tables[table](run)
        parts.append(frame[frame["variant"] == run.default.name].assign(variant=name))
    return pd.concat(parts, ignore_index=True)


def _accuracy(runs: Mapping[str, RunData]) -> str:
    first = next(iter(runs.values()))
    metric = first.metrics.metrics[first.metric]
    unit = "" if metric.is_share or metric.unit == "1" else f" ({metric.unit})"
    styles = plots.variant_styles(list(runs))

    def draw(figure: Figure) -> None:
        plots.accuracy_over_time(
            figure.subplots(), _of_default(runs, "quality"), _of_default(runs, "analog"), styles,
            label=first.metric.replace("_", " ") + unit, share=metric.is_share,
        )  # fmt: skip

    return plots.svg("accuracy", draw, height_in=max(3.6, 0.24 * len(runs) + 2.0))


def _cost(runs: Mapping[str, RunData]) -> str:
    def parts(column: str) -> pd.DataFrame:
        frames = ((name, run.default.name, breakdown(run, column)) for name, run in runs.items())
        return pd.concat(
            [frame[frame["variant"] == default].assign(variant=name) for name, default, frame in frames],
            ignore_index=True,
        )

    energy, area = parts("energy_J"), parts("area_m2")
    colours = plots.group_colours(dict.fromkeys([*energy["group"], *area["group"]]))

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2, sharey=True)
        plots.stacked_bars(left, energy, "J", colours, label="energy per inference", names=list(runs))
        plots.stacked_bars(right, area, "m2", colours, label="area", names=list(runs))
        handles = [left.barh([0], [0], color=colour, label=label_of(group)) for group, colour in colours.items()]
        figure.legend(handles=handles, loc="outside lower center", ncols=min(6, len(handles)))

    return plots.svg("cost", draw, height_in=1.6 + 0.4 * len(runs))


def settings(runs: Mapping[str, RunData]) -> list[tuple[str, list[str]]]:
    """Settings of the resolved files that are not the same in all runs, by path, with the value of each run."""
    flat = [dict(_leaves(run.config, "")) for run in runs.values()]
    paths = dict.fromkeys(path for each in flat for path in each)
    rows = [(path, [each.get(path, "–") for each in flat]) for path in paths if path != "description"]
    return [(path, values) for path, values in rows if len(set(values)) > 1]


def _leaves(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for key, part in value.items():
            yield from _leaves(part, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and any(isinstance(part, Mapping) for part in value):
        for part in value:
            name = part.get("name") if isinstance(part, Mapping) else None
            yield from _leaves(part, f"{path}.{name or value.index(part)}")
    else:
        text = str(value)
        yield path, text if len(text) <= 80 else text[:79] + "…"
