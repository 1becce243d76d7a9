"""The table of a sweep: one row a point, in the order of the sweep's file, as CSV, Parquet or NetCDF.

The table holds what the sweep asks for and nothing that depends on when, where or in which order points ran, so that
two runs of one sweep give the same bytes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from configs.errors import InputError
from mho.files import parquet_bytes, write_atomic
from mho.sweep.names import unit_of
from mho.sweep.plan import Dimension
from mho.sweep.store import Store
from mho.sweep.study import Study
from mho.sweep.template import VARIANT

ENDINGS = (".csv", ".parquet", ".nc")
STATES = ("done", "stale", "failed", "missing")


def table(study: Study, store: Store) -> pd.DataFrame:
    """Coordinates, outputs and state of every point; ``stale`` where other code or data made it, ``missing`` where
    nothing did yet."""
    asked, statuses = store.statuses()
    digests = {point.index: asked.get(study.asked(point), "") for point in study.points}
    wanted_rows = set(digests.values())
    rows = {name: (outputs, error) for name, outputs, error in store.figures() if name in wanted_rows}
    wanted = study.sheet.sweep.outputs
    found, names = [], dict.fromkeys(wanted)
    for point in sorted(study.points, key=lambda each: each.index):
        name = digests[point.index]
        outputs, error = rows.get(name, ({}, ""))
        one = statuses.get(name)
        state = "missing" if one is None else one.state if study.counts(one, point) else "stale"
        if not wanted:
            names |= dict.fromkeys(outputs)
        found.append((point, state, outputs, error))
    columns = [path for dimension in study.plan.dimensions for path in dimension.paths]
    columns = [*([VARIANT] if study.sheet.sweep.variants else []), *columns]
    unknown = [name for name in wanted if found and all(name not in each[2] for each in found if each[1] == "done")]
    if unknown and any(each[1] == "done" for each in found):
        raise InputError(f"{study.sheet.name}: outputs: no point gives {', '.join(unknown)}")
    return pd.DataFrame(
        [
            {
                **{path: cell(dict(point.coordinates).get(path)) for path in columns},
                **{name: outputs.get(name) for name in names},
                "state": state,
                "error": error,
            }
            for point, state, outputs, error in found
        ],
        columns=[*columns, *names, "state", "error"],
    )


def cell(value: Any) -> Any:
    """A value as a table holds it: a mapping or a list as its JSON."""
    return json.dumps(value, separators=(",", ":")) if isinstance(value, (dict, list)) else value


def as_json(frame: pd.DataFrame) -> str:
    """A table as a list of rows; every digit is kept, and what is not available is null."""
    rows = [{name: _plain(value) for name, value in row.items()} for row in frame.to_dict("records")]
    return json.dumps(rows, indent=1, ensure_ascii=False, allow_nan=False)


def _plain(value: Any) -> Any:
    plain = value.item() if isinstance(value, np.generic) else value
    return None if plain is pd.NA or plain != plain else plain


def refuse(paths: Sequence[Path]) -> None:
    """Raise InputError, before anything runs, for what cannot be written."""
    for path in paths:
        if path.suffix not in ENDINGS:
            raise InputError(f"--export {path}: the ending must be one of {', '.join(ENDINGS)} (got {path.suffix})")
        if path.suffix == ".nc":
            _xarray()
        if path.is_dir():
            raise InputError(f"--export {path}: cannot write a file here: it is a folder")
        above = next((each for each in path.absolute().parents if each.exists()), Path("/"))
        if not above.is_dir() or not os.access(above, os.W_OK):
            raise InputError(f"--export {path}: cannot write here: {above} is no folder that can be written to")


def write(study: Study, frame: pd.DataFrame, path: Path) -> None:
    """Write the table in the format of the path's ending, whole or not at all."""
    if path.suffix == ".csv":
        data = frame.to_csv(index=False, lineterminator="\n").encode()
    elif path.suffix == ".parquet":
        data = parquet_bytes(uniform(frame))
    else:
        data = bytes(dataset(study, frame).to_netcdf(engine="scipy", format="NETCDF3_64BIT"))
    write_atomic(path, data)


def uniform(frame: pd.DataFrame) -> pd.DataFrame:
    """Columns of one type each: an axis that mixes numbers and words becomes words."""
    out = frame.copy()
    for name in out.columns:
        if out[name].dtype == object and not all(isinstance(value, str) for value in out[name]):
            numbers = pd.to_numeric(out[name], errors="coerce")
            clean = all(value is None or isinstance(value, (int, float)) for value in out[name])
            out[name] = numbers if clean else out[name].map(lambda value: None if value is None else str(value))
    return out


def dataset(study: Study, frame: pd.DataFrame) -> Any:
    """The table as an xarray Dataset: a dimension for each axis, with zipped and sampled settings along it.

    Zipped settings under the name of an output are along ``NAME_axis``, since a variable is no dimension of itself.
    Where axes have conditions the points form no grid: then there is one dimension, ``point``.
    """
    xarray = _xarray()
    outputs = [name for name in frame.columns if name not in ("state", "error") and name not in _paths(study)]
    dimensions = list(study.plan.dimensions)
    if study.sheet.sweep.variants:
        dimensions.insert(0, Dimension(VARIANT, (VARIANT,), tuple((name,) for name in study.template.nodes)))
    shape = tuple(len(dimension.values) for dimension in dimensions)
    if study.plan.conditional or int(np.prod(shape)) != len(frame):
        names: tuple[str, ...] = ("point",)
        shape = (len(frame),)
        coordinates = {path: ("point", _array(frame[path])) for path in _paths(study)}
    else:
        taken = {*outputs, "state"}
        names = tuple(f"{each.name}_axis" if each.name in taken else each.name for each in dimensions)
        coordinates = {
            path: (name, _array(pd.Series([cell(values[column]) for values in dimension.values])))
            for name, dimension in zip(names, dimensions, strict=True)
            for column, path in enumerate(dimension.paths)
        }
    variables = {
        name: (
            names,
            frame[name].to_numpy(dtype=float, na_value=np.nan).reshape(shape),
            {"units": unit_of(name) or "1"},
        )
        for name in outputs
    }
    code = frame["state"].map(STATES.index).to_numpy(dtype=np.int8).reshape(shape)
    meanings = {"flag_values": np.arange(len(STATES), dtype=np.int8), "flag_meanings": " ".join(STATES)}
    about = {"title": study.sheet.title, "description": study.sheet.sweep.description, "code": study.code}
    return xarray.Dataset({**variables, "state": (names, code, meanings)}, coordinates, about)


def _paths(study: Study) -> list[str]:
    named = [VARIANT] if study.sheet.sweep.variants else []
    return [*named, *(path for dimension in study.plan.dimensions for path in dimension.paths)]


def _array(values: pd.Series[Any]) -> Any:
    """A coordinate: numbers where all are numbers, else words (an axis that does not exist at a point is empty)."""
    if all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values):
        return np.array(list(values), dtype=float)
    return np.array(["" if value is None or value != value else str(value) for value in values])


def _xarray() -> Any:
    try:
        import xarray
    except ImportError as error:
        raise InputError("--export: NetCDF needs xarray: pip install 'mho[sweeps]' (or choose .csv)") from error
    return xarray
