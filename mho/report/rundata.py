"""A run directory, read back: typed figures and tidy tables, or one clear line on what is wrong with it."""

from __future__ import annotations

import html
import io
import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
from pydantic import TypeAdapter, ValidationError

from configs.bounded import encodable, quoted, read_file
from configs.errors import InputError
from configs.yaml_source import MAX_BYTES, parse_mapping
from workloads.result import Data, MeanAndStd, Metrics, VariantResult

Read = TypeVar("Read")

#: The group of components that convert from analog to digital (``periphery.prices.component.Group``).
CONVERSION = "adc"

# Columns of each table (docs/run_directory.md): text, numbers, truth values. Further columns are kept as they are.
_TEXT: dict[str, str] = {
    "accuracy": "variant stage",
    "layers": "variant layer",
    "components": "variant layer component group action status source",
    "schedule": "variant layer task resource",
    "confusion": "variant true predicted",
    "ramp": "variant function stage",
    "ramps": "variant function device",
    "compensation": "variant layer function",
    "vread": "readout",
    "learning": "stage",
    "prices": "variant component model source",
    "cells": "variant device",
    "levels": "variant device",
}
_NUMBERS: dict[str, str] = {
    "accuracy": "split chip t_s",
    "layers": "rows columns cells tiles steps ops area_m2 energy_J leakage_W latency_s clipped_weights clipped_inputs",
    "components": "count unit_energy_J energy_J instances unit_area_m2 area_m2 leakage_W node_nm",
    "schedule": "start_s duration_s",
    "confusion": "count",
    "ramp": "chip k y threshold_ideal threshold inl_lsb",
    "ramps": "bits cells clocks max_over_min_step lost_steps capacitor_ratio "
    "inl_mean_raw_lsb inl_max_raw_lsb inl_mean_lsb inl_max_lsb",
    "compensation": "split chip t_s factor",
    "vread": "v_read_V mean_shift_lsb predicted_shift_lsb",
    "learning": "split epoch loss validation_accuracy seconds",
    "prices": "energy_J area_m2",
    "cells": "level low_S high_S count",
    "levels": "t_s level target_low_S target_high_S chips count mean_S error_S std_S",
}
_TRUTH: dict[str, str] = {"vread": "offset_and_noise", "prices": "chosen"}
_MOST_OF_JSON, _MOST_OF_A_TABLE = 1 << 25, 1 << 27  # [bytes]
_REQUIRED = ("accuracy", "layers", "components")
_TRUTH_WORDS = {
    "true": True,
    "1": True,
    "1.0": True,
    "yes": True,
    "false": False,
    "0": False,
    "0.0": False,
    "no": False,
}


@dataclass(frozen=True)
class RunData:
    """A run: all that its directory holds, or would. Tables that it does not have are empty and listed in ``absent``.

    ``run["variants"]`` is that part of ``metrics.json``; ``path`` is None where no directory was written.
    """

    path: Path | None
    metrics: Metrics
    metrics_json: dict[str, Any]
    manifest: dict[str, Any]
    config_text: str
    config: dict[str, Any]
    tables: dict[str, pd.DataFrame] = field(repr=False)
    absent: frozenset[str] = frozenset()

    def __getitem__(self, key: str) -> Any:
        return self.metrics_json[key]

    @property
    def summary(self) -> pd.DataFrame:
        """One row for each variant and time: figures as mean and standard deviation over chips, and the cost of one
        inference."""
        rows = []
        for variant in self.metrics.variants:
            cost = {name: value for name, value in variant.cost.items() if value is not None}
            for quality in variant.quality:
                row = {"variant": variant.name, "t_s": quality.t_s, "chips": quality.chips}
                for name in self.metrics.metrics:
                    found = quality.spread(name)
                    row |= {name: found.mean, f"{name}_std": found.std}
                rows.append(row | cost)
        return pd.DataFrame(rows)

    def _repr_html_(self) -> str:
        """The headline figures in a notebook."""
        data = self.data
        warning = " SYNTHETIC: made by a program, not recorded." if data.synthetic else ""
        head = html.escape(f"{self.metrics.experiment}: {data.name}.{warning}")
        return f"<p>{head}</p>{self.summary.to_html(index=False, float_format='{:.4g}'.format, na_rep='')}"

    @property
    def folder(self) -> Path:
        """The run directory. Raises InputError where none was written."""
        if self.path is None:
            raise InputError("this run was not written to a folder; give output=FOLDER")
        return self.path

    @property
    def default(self) -> VariantResult:
        """The variant of the headline figures."""
        return next(variant for variant in self.metrics.variants if variant.default)

    @property
    def variants(self) -> tuple[str, ...]:
        """Names of all variants, in the experiment's order."""
        return tuple(variant.name for variant in self.metrics.variants)

    @property
    def metric(self) -> str:
        """The figure of merit that the run lists first."""
        return next(iter(self.metrics.metrics))

    @property
    def data(self) -> Data:
        """The data's record: the manifest's, completed by that of the metrics. Synthetic in either is synthetic."""
        manifest = self.manifest.get("data")
        merged = {**self.metrics.data.model_dump(exclude_defaults=True), **(manifest if manifest else {})}
        merged["synthetic"] = bool(merged.get("synthetic")) or self.metrics.data.synthetic
        return Data.model_validate(merged)

    def variant(self, name: str) -> VariantResult:
        """The variant of that name."""
        return self.metrics.variant(name)

    def rows(self, table: str, **where: str) -> pd.DataFrame:
        """The rows of a table whose columns equal the given values."""
        frame = self.tables[table]
        for column, value in where.items():
            frame = frame[frame[column] == value]
        return frame


def load_run(run_dir: Path | str) -> RunData:
    """Read the run directory ``run_dir``.

    Raises ``InputError`` with one line per problem (file, line, what is allowed, what was got) when a file is missing
    or broken.
    """
    path = Path(run_dir)
    if not path.is_dir():
        raise InputError(f"{path}: no such folder; a run directory is what 'mho run EXPERIMENT -o DIR' writes")
    needed = ("manifest.json", "metrics.json", "config.resolved.yaml", *(f"{name}.csv" for name in _REQUIRED))
    lacking = [name for name in needed if not (path / name).is_file()]
    if lacking:
        raise InputError(f"{path}: not a run directory (written by 'mho run'): {', '.join(lacking)} missing")

    problems: list[str] = []
    manifest = _collect(problems, lambda: _json_object(path / "manifest.json"))
    metrics_json = _collect(problems, lambda: _json_object(path / "metrics.json"))
    metrics = _collect(problems, lambda: _metrics(path / "metrics.json", metrics_json)) if metrics_json else None
    config_text, config = _collect(problems, lambda: _config(path / "config.resolved.yaml")) or ("", {})
    more = {name for panel in metrics.panels for name in (panel.table, panel.boxes) if name} if metrics else set()
    absent = frozenset(name for name in _TEXT if not (path / f"{name}.csv").is_file())
    tables = {}
    for name in _TEXT:
        table = _empty(name) if name in absent else _collect(problems, lambda n=name: _table(path, n))  # type: ignore[misc]
        tables[name] = _empty(name) if table is None else table
    for name in sorted(more - set(tables)):
        table = _collect(problems, lambda n=name: _table(path, n))  # type: ignore[misc]
        if table is not None:
            tables[name] = table
    if manifest is not None:
        _collect(problems, lambda: _manifest_data(path / "manifest.json", manifest))
    if metrics is not None:
        problems += _unknown_variants(path, metrics, tables)
        metric = next(iter(metrics.metrics))
        if not problems and metric not in tables["accuracy"]:
            problems.append(
                f"{path / 'accuracy.csv'}: column '{quoted(metric)}', the first metric of metrics.json, is missing"
            )
    if problems or metrics is None or manifest is None or metrics_json is None:
        raise InputError(problems)
    return RunData(path, metrics, metrics_json, manifest, config_text, config, tables, absent)


def with_empty(tables: Mapping[str, pd.DataFrame]) -> tuple[dict[str, pd.DataFrame], frozenset[str]]:
    """Tables of a run with an empty one for each that it did not make, and the names of those."""
    absent = frozenset(name for name in _TEXT if name not in tables)
    return {**{name: _empty(name) for name in absent}, **tables}, absent


def _collect(problems: list[str], read: Callable[[], Read]) -> Read | None:
    try:
        return read()
    except InputError as error:
        problems.extend(error.problems)
        return None


def _text(path: Path, most: int) -> str:
    try:
        return read_file(path, most=most).decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: must be text in UTF-8 ({error})") from error


def _json_object(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(_text(path, _MOST_OF_JSON), parse_constant=_not_available)
    except json.JSONDecodeError as error:
        raise InputError(f"{path}:{error.lineno}:{error.colno}: not valid JSON: {error.msg}") from error
    except InputError:
        raise
    except (RecursionError, ValueError) as error:  # lists in lists without end, a number of 5,000 digits
        raise InputError(f"{path}: not JSON of a run: {error}") from error
    if not isinstance(value, dict):
        raise InputError(f"{path}: must hold an object (got {type(value).__name__})")
    return _encodable(value)  # type: ignore[no-any-return]


def _not_available(word: str) -> None:
    """NaN and infinities, which are no JSON, read as what is not available."""


def _encodable(value: Any) -> Any:
    """Half of a surrogate pair, which JSON may hold and no file, is escaped."""
    if isinstance(value, dict):
        return {_encodable(key): _encodable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_encodable(item) for item in value]
    return encodable(value) if isinstance(value, str) else value


def _located(path: Path, error: ValidationError) -> InputError:
    return InputError(
        f"{path}: {quoted('.'.join(map(str, problem['loc'])))}: {quoted(problem['msg'], 300)} "
        f"(got {problem['input']!r:.60})"
        for problem in error.errors()
    )


def _metrics(path: Path, value: dict[str, Any]) -> Metrics:
    try:
        metrics = Metrics.model_validate(value)
    except ValidationError as error:
        raise _located(path, error) from error
    problems = []
    names = [variant.name for variant in metrics.variants]
    defaults = [variant.name for variant in metrics.variants if variant.default]
    if len(defaults) != 1:
        problems.append(f"{path}: variants: exactly one must be the default (got {len(defaults)} of {len(names)})")
    problems += [
        f"{path}: variants: each name once (got '{quoted(name)}' again)"
        for name in sorted({n for n in names if names.count(n) > 1})
    ]
    spread = TypeAdapter(MeanAndStd | None)
    for variant in metrics.variants:
        for quality in variant.quality:
            for metric in metrics.metrics:
                try:
                    spread.validate_python((quality.model_extra or {}).get(metric))
                except ValidationError:
                    got = (quality.model_extra or {})[metric]
                    where = f"variants.{quoted(variant.name)}.quality at t_s = {quality.t_s:g}: {quoted(metric)}"
                    problems.append(f"{path}: {where}: must be an object with mean and std (got {got!r:.60})")
    if problems:
        raise InputError(problems)
    return metrics


def _manifest_data(path: Path, manifest: dict[str, Any]) -> None:
    try:
        TypeAdapter(Data | None).validate_python(manifest.get("data"))
    except ValidationError as error:
        raise _located(path, error) from error


def _config(path: Path) -> tuple[str, dict[str, Any]]:
    text = _text(path, MAX_BYTES)
    return text, parse_mapping(text.encode(), str(path), path.parent).plain()


def _columns(name: str) -> list[str]:
    return f"{_TEXT.get(name, '')} {_TRUTH.get(name, '')} {_NUMBERS.get(name, '')}".split()


def _empty(name: str) -> pd.DataFrame:
    return pd.DataFrame({column: [] for column in _columns(name)})


def _table(folder: Path, name: str) -> pd.DataFrame:
    path = folder / f"{name}.csv"
    text = _text(path, _MOST_OF_A_TABLE)
    try:
        # Everything as text first: pandas would read a variant called "NA" or "null" as missing.
        frame = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
    except (ValueError, OverflowError) as error:
        raise InputError(f"{path}: not a readable CSV table: {quoted(' '.join(str(error).split()))}") from error
    lacking = [column for column in _columns(name) if column not in frame]
    if lacking:
        got = quoted(", ".join(frame.columns))
        raise InputError(f"{path}: column {', '.join(map(repr, lacking))} missing (got {got})")
    problems: list[str] = []
    for column in frame.columns:
        if column in _TEXT.get(name, "variant").split():
            continue
        if column in _TRUTH.get(name, "").split():
            frame[column] = _converted(path, column, frame[column], _truth, "true or false", problems)
        elif column in _NUMBERS.get(name, "").split():
            frame[column] = _converted(path, column, frame[column], _number, "a number", problems)
        else:
            values = pd.to_numeric(frame[column].replace("", "nan"), errors="coerce")
            if not (values.isna() & ~frame[column].isin(["", "nan", "NaN"])).any():
                frame[column] = values
    if problems:
        raise InputError(problems)
    return frame


def _converted(
    path: Path, column: str, cells: pd.Series[str], read: Callable[[str], Any], allowed: str, problems: list[str]
) -> list[Any]:
    """Every cell read, with one problem for the first that cannot be; line 1 of the file is the header."""
    values: list[Any] = []
    for line, cell in enumerate(cells, start=2):
        try:
            values.append(read(cell))
        except (ValueError, KeyError):
            problems.append(f"{path}:{line}: {column}: must be {allowed} (got '{quoted(cell)}')")
            return [math.nan] * len(cells)
    return values


def _number(cell: str) -> float:
    return float(cell) if cell else math.nan


def _truth(cell: str) -> bool:
    return _TRUTH_WORDS[cell.strip().lower()]


def _unknown_variants(path: Path, metrics: Metrics, tables: dict[str, pd.DataFrame]) -> Iterable[str]:
    """Rows of a variant that metrics.json does not list; rows that belong to no variant carry an empty name."""
    allowed = {variant.name for variant in metrics.variants} | {"", "software", "quantised"}
    for name, table in tables.items():
        if "variant" in table:
            for stranger in sorted(set(table["variant"]) - allowed):
                listed = quoted(", ".join(variant.name for variant in metrics.variants))
                yield f"{path / name}.csv: variant '{quoted(stranger)}' is not in metrics.json (it lists {listed})"
