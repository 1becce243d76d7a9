"""What a sweep's folder holds, as a report needs it: its axes, its points in their order, and what was left out.

The sheet that the folder keeps lists the points that belong to the sweep; rows that other sheets have left there are
counted and not shown. Where the sheet cannot be read again (for example, its base was a file that is gone), the points
are those of the rows.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from configs.errors import InputError
from configs.yaml_source import dump_yaml, parse_mapping
from mho.sweep.engines.cards import Compute
from mho.sweep.plan import Dimension, Point
from mho.sweep.store import Store, StoredResult
from mho.sweep.study import Study
from mho.sweep.template import VARIANT

#: The value of an axis at a point at which it does not exist.
ABSENT = "\0absent"
_SPREAD = "_std"


@dataclass
class Reading:
    """The points of one sweep, column by column.

    Parameters
    ----------
    coordinates : by path, a value a point (``ABSENT`` where the axis does not exist)
    outputs : by name, a figure a point, NaN where there is none
    spread : by output, its standard deviation over the chips of a point
    chips : how many chips that is, by output
    states : done, stale, failed or missing; of a search's trials also pruned
    wanted : outputs that the sheet names
    notes : what runs noted, and at how many points
    left_out : rows of the folder that belong to no point of this sweep
    remarks : how the folder was read, where that matters to a reader
    judged : stale is other than the code and data of now, and not of the newest point
    """

    folder: Path
    title: str
    description: str = ""
    text: str = ""
    kind: str = ""
    dimensions: list[Dimension] = field(default_factory=list)
    coordinates: dict[str, list[Any]] = field(default_factory=dict)
    outputs: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    spread: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    chips: dict[str, int] = field(default_factory=dict)
    states: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    wanted: tuple[str, ...] = ()
    notes: list[tuple[str, int]] = field(default_factory=list)
    left_out: int = 0
    remarks: list[str] = field(default_factory=list)
    codes: list[tuple[str, int]] = field(default_factory=list)
    finished: tuple[str, str] = ("", "")
    judged: bool = False

    def __len__(self) -> int:
        return len(self.states)

    @property
    def paths(self) -> list[str]:
        """Every setting that is an axis, in the order of the sweep."""
        return [path for dimension in self.dimensions for path in dimension.paths]

    @property
    def synthetic(self) -> int:
        """At how many points a note states that the data were made and not recorded."""
        return max((count for text, count in self.notes if "synthetic" in text.lower()), default=0)

    @property
    def usable(self) -> NDArray[np.bool_]:
        """Which points have figures to draw."""
        return np.array([state in ("done", "stale") for state in self.states], dtype=bool)


def read(folder: Path, study: Study | None = None) -> Reading:
    """The sweep that worked in the folder last. Raises InputError where the folder holds none.

    ``study`` is that sweep where the caller has it at hand: then the state of each point is judged by the code and data
    of now, and otherwise by the code of the newest point.
    """
    with Store(folder, create=False) as store:
        sheets, stored = store.sheets(), {one.digest: one for one in store.results()}
        asked, statuses = store.statuses()
        first = next(store.rows(list(stored)[:1]), None)
    name, text, _, device = sheets[-1] if sheets else (str(folder), "", "", "cpu")
    found, judge = Reading(folder, Path(name).stem or folder.name, text=text, judged=study is not None), study
    if study is None and text:
        study, why = _again(name, text, "cuda" if device == "cuda" else "cpu")
        if study is None:
            found.remarks.append(
                f"The sweep's file could not be read again ({why}); the points are those that the folder holds, and "
                "none can be listed as missing."
            )
    if study is None:
        points, rows = _by_rows(stored, sheets, text)
        _describe(found, text)
        found.kind = str(first.config.get("kind") or "") if first is not None else ""
        paths = dict.fromkeys(path for point in points for path, _ in point.coordinates)
        found.dimensions = [Dimension(path, (path,)) for path in paths]
    else:
        points = sorted(study.points, key=lambda point: point.index)
        rows, remark = _by_study(study, points, stored, asked)
        found.remarks += remark
        found.kind, sweep = study.kind, study.sheet.sweep
        found.description, found.wanted = sweep.description, sweep.outputs
        named = [Dimension(VARIANT, (VARIANT,))] if sweep.variants else []
        found.dimensions = [*named, *study.plan.dimensions]
    found.left_out = len(stored) - len({one.digest for one in rows if one is not None})
    _fill(found, points, rows)
    newest = max((one for one in rows if one is not None), key=lambda one: one.finished, default=None)
    for number, one in enumerate(rows):
        if one is None or newest is None or one.state != "done":
            continue
        if not (judge.counts(statuses[one.digest], points[number]) if judge else one.code == newest.code):
            found.states[number] = "stale"
    return found


def of_table(about: Reading, frame: pd.DataFrame, paths: Sequence[str]) -> Reading:
    """The trials of a search, one row each, as points: ``about`` with the table's figures and states.

    ``paths`` are the columns that are settings; those of numbers are outputs, but for the number of the trial;
    ``state`` (done, pruned or failed) and ``error`` are those of the trial. Figures of a pruned trial are of a cheap
    look, and are listed but not drawn.
    """
    others = ("trial", "feasible", "front", "rung", "state", "error")
    figures = {
        str(name): pd.to_numeric(frame[name], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
        for name in frame.columns
        if name not in (*others, *paths)
    }
    return replace(
        about,
        dimensions=[Dimension(path, (path,)) for path in paths],
        coordinates={path: [ABSENT if _nothing(value) else _number(value) for value in frame[path]] for path in paths},
        outputs=figures,
        spread={name: figures[name + _SPREAD] for name in figures if name + _SPREAD in figures},
        chips={},
        states=[str(state) for state in frame["state"]],
        errors=[str(error) for error in frame["error"]],
        seconds=[0.0] * len(frame),
        remarks=[],
        left_out=0,
    )


def _nothing(value: Any) -> bool:
    return value is None or value is pd.NA or value != value


def _number(value: Any) -> Any:
    """A cell as plain data; pandas makes 8.0 of an 8 beside cells that are empty."""
    plain = value.item() if isinstance(value, np.generic) else value
    return int(plain) if isinstance(plain, float) and plain.is_integer() else plain


def _again(name: str, text: str, compute: Compute) -> tuple[Study | None, str]:
    """The study of a sheet that the folder keeps: from its file where that is unchanged, else from the kept text."""
    sources = [name, *([Path(name).stem] if name.startswith("configs/sweeps/") else [])]
    for source in sources:
        try:
            study = Study(source, compute=compute)
        except InputError:
            continue
        if dump_yaml(study.sheet.node.plain()) == text:
            return study, ""
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / f"{re.sub('[^a-zA-Z0-9_-]', '_', Path(name).stem)[:60] or 'sweep'}.yaml"
        copy.write_text(text, encoding="utf-8")
        try:
            return Study(str(copy), compute=compute), ""
        except InputError as error:
            return None, error.problems[0].replace(f"{copy}", copy.name)


def _by_study(
    study: Study, points: Sequence[Point], stored: Mapping[str, StoredResult], asked: Mapping[str, str]
) -> tuple[list[StoredResult | None], list[str]]:
    rows = [stored.get(asked.get(study.asked(point), "")) for point in points]
    if any(row is not None for row in rows) or not stored:
        return rows, []
    # The base or a record has changed since: what was asked for then has other keys now.
    newest: dict[str, StoredResult] = {}
    for one in sorted(stored.values(), key=lambda one: one.finished):
        newest[_key(one.coordinates)] = one
    rows = [newest.get(_key(point.coordinates)) for point in points]
    return rows, [
        "The base of this sweep, or a record that it names, has changed since these points were made: they were found "
        "by their coordinates."
    ]


def _by_rows(
    stored: Mapping[str, StoredResult], sheets: Sequence[tuple[str, str, str, str]], text: str
) -> tuple[list[Point], list[StoredResult | None]]:
    """Points by the rows; where several sheets worked here, those since this one began."""
    others = len({each[1] for each in sheets}) > 1
    since = min((each[2] for each in sheets if each[1] == text), default="") if others else ""
    rows = sorted((one for one in stored.values() if one.finished >= since), key=lambda one: one.finished)
    return [Point(number, one.coordinates) for number, one in enumerate(rows)], list(rows)


def _describe(found: Reading, text: str) -> None:
    with suppress(InputError):
        plain = parse_mapping(text.encode(), found.title, found.folder).plain()
        found.description = str(plain.get("description") or "")
        wanted = plain.get("outputs") or ()
        found.wanted = tuple(str(each) for each in wanted) if isinstance(wanted, list) else ()


def _key(coordinates: Iterable[tuple[str, Any]]) -> str:
    return json.dumps([[path, value] for path, value in coordinates], sort_keys=True)


def _fill(found: Reading, points: Sequence[Point], rows: Sequence[StoredResult | None]) -> None:
    size = len(points)
    given = [dict(point.coordinates) for point in points]
    found.coordinates = {path: [each.get(path, ABSENT) for each in given] for path in found.paths}
    notes: Counter[str] = Counter()
    codes: Counter[str] = Counter()
    seen: set[str] = set()
    for number, one in enumerate(rows):
        found.states.append("missing" if one is None else one.state)
        found.errors.append(one.error if one is not None else "")
        found.seconds.append(one.seconds if one is not None else 0.0)
        if one is None:
            continue
        for name, value in one.outputs.items():
            column = found.outputs.setdefault(name, np.full(size, np.nan))
            column[number] = np.nan if value is None else value
        for name, values in _by_chip(one).items():
            spread = found.spread.setdefault(name, np.full(size, np.nan))
            spread[number] = np.std(values, ddof=1) if len(values) > 1 else np.nan
            found.chips[name] = max(found.chips.get(name, 0), len(values))
        # Points that share a row share its notes.
        if one.digest not in seen:
            seen.add(one.digest)
            codes[one.code] += 1
            notes.update({str(text) for text in one.artefacts.get("notes") or ()})
    for name, column in found.outputs.items():
        if name.removesuffix(_SPREAD) in found.outputs and name.endswith(_SPREAD):
            found.spread[name.removesuffix(_SPREAD)] = column
    times = [one.finished for one in rows if one is not None]
    found.finished = (min(times), max(times)) if times else ("", "")
    found.notes, found.codes = notes.most_common(), codes.most_common()


def _by_chip(one: StoredResult) -> dict[str, list[float]]:
    """Figures of single chips, of outputs that are the mean over them."""
    chips = one.artefacts.get("chips")
    if not isinstance(chips, dict):
        return {}
    return {name: values for name, values in chips.items() if name in one.outputs and len(values) > 1}
