"""Measured conductances in, a device record out, with how well every candidate fits."""

from __future__ import annotations

import io
import math
import warnings
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from configs.errors import InputError
from configs.plausible import problems, range_of
from configs.yaml_source import Node, Origin, as_node, dump_yaml
from devices import AnyDevice, Device, Gaussian, LogNormal, Measured
from devices.candidates import fits
from devices.fitting import NO_EVIDENCE, Fit, chosen
from devices.measured_csv import Measurements, read_measurements
from mho.config.schema import suggestion
from mho.files import write_atomic

WIDTH = 110
MOST_LEVELS_SHOWN = 100


def fit_file(
    path: Path, output: Path | None, *, kind: str | None = None, reads: Path | None = None, plot: Path | None = None
) -> str:
    """Fit devices to a CSV file of samples or of a summary, and write the one chosen as a record.

    ``kind`` is a candidate or a kind of device, of which the best candidate is taken; ``reads`` a file of samples that
    repeat the read of one cell a level, for the fast read noise; ``plot`` a picture of measured and fitted cells to
    write. Returns the tables to print. Raises InputError for a
    bad file or kind; a record is written whole or not at all, and has nothing that mho would not read again.
    """
    data = read_measurements(path)
    candidates = [fit for fit in fits(data) if _is_valid(fit)]
    if not candidates:
        usual = "{:g} to {:g} S".format(*range_of("g_max_S"))
        raise InputError(
            f"{data.name}: must be numbers that a device of some kind can describe, of {usual} (got none that fits)"
        )
    best = _chosen(candidates, kind, data)
    read_noise_S, read_source = _read_noise(reads)
    how = "as asked for" if kind is not None else _reason(candidates, best)
    text = _record(best, data, read_noise_S, read_source, how)
    if plot is not None:
        _draw(best, data, plot)
    if output is not None:
        write_atomic(output, text.encode())
    return _tables(candidates, best, data) + ("" if output is not None else "\n" + text)


def _draw(best: Fit, data: Measurements, path: Path) -> None:
    from matplotlib.figure import Figure

    from mho.catalogue import save_figure
    from mho.report.plots_fit import fitted

    figure = Figure(figsize=(9.4, 3.8), layout="constrained")
    fitted(figure, data.table(), best.device, best.name.replace("_", " "))
    save_figure(figure, path)


def _is_valid(fit: Fit) -> bool:
    """Whether a record of this device can be read again: its numbers are finite, plausible and as its kind allows."""
    adapter: TypeAdapter[Any] = TypeAdapter(AnyDevice)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydantic warns of what is refused below
            plain = adapter.dump_python(fit.device, mode="json")
            adapter.validate_python(plain)
    except ValueError:
        return False
    refused = problems(as_node(plain, Node(None, Origin(fit.name))))
    return not refused and (not fit.samples or math.isfinite(fit.bic))


def _notes(data: Measurements) -> list[str]:
    """What was read otherwise than written, and means that fall where the targets rise."""
    table, notes = data.table(), list(data.notes)
    for row, mean_S in enumerate(table.mean_S):
        falls = [level for level, step in enumerate(np.diff(mean_S)) if step < 0.0]
        if falls:
            low, high = table.target_S[falls[0]], table.target_S[falls[0] + 1]
            when = f" at {table.t_s[row]:g} s" if table.t_s else ""
            notes.append(
                f"The mean falls where the target rises, {len(falls)} times{when}, first from {low:g} to {high:g} S "
                f"(mean {mean_S[falls[0]]:.3g} to {mean_S[falls[0] + 1]:.3g} S): are columns or units mixed up?"
            )
            break
    return notes


def _chosen(candidates: list[Fit], kind: str | None, data: Measurements) -> Fit:
    if kind is None:
        return chosen(candidates)
    found = [fit for fit in candidates if fit.name == kind] or [fit for fit in candidates if _kind(fit) == kind]
    if found:
        return chosen(found)
    names = list(dict.fromkeys([fit.name for fit in candidates] + [_kind(fit) for fit in candidates]))
    needs = "" if data.measured_S is not None else "; the others need samples, or a count column"
    raise InputError(f"--kind: must be one of {', '.join(sorted(names))}{needs} (got {kind}){suggestion(kind, names)}")


def _reason(candidates: list[Fit], best: Fit) -> str:
    """Why this law was taken, as its record says it."""
    above = best.bic - candidates[0].bic
    return f"{above:.1f} above the least, of fewer parameters" if above > 0.0 else "the least"


def _kind(fit: Fit) -> str:
    return str(getattr(fit.device, "kind"))  # noqa: B009  every member of the registry has one, the base has not


def _read_noise(reads: Path | None) -> tuple[float, str]:
    """Root mean square over levels of the spread of repeated reads."""
    if reads is None:
        return 0.0, "No repeated reads were given: no read noise."
    data = read_measurements(reads)
    if data.measured_S is None:
        raise InputError(f"{reads}: repeated reads must be samples, with the columns target_S and measured_S")
    levels = np.unique(data.target_S)
    spreads = []
    for level in levels:
        values = data.measured_S[data.target_S == level]
        if len(values) < 2:
            raise InputError(f"{reads}: level {level:g} S must have at least two reads (got {len(values)})")
        spreads.append(float(values.std(ddof=1)))
    noise = float(np.sqrt(np.mean(np.square(spreads))))
    source = (
        f"Read noise: root mean square over {len(levels)} levels, of {min(spreads):.3g} to {max(spreads):.3g} S, of "
        f"{data.source}."
    )
    return noise, source


def _record(best: Fit, data: Measurements, read_noise_S: float, read_source: str, reason: str) -> str:
    """The YAML of a device: what differs from the defaults of its kind, with its source."""
    how = f"BIC {best.bic:.1f}, {reason}" if best.samples else "the table as it is"
    moments = len(data.table().t_s)
    kept = "" if moments else " One moment was measured: the conductance is taken to stay where programming left it."
    if moments and isinstance(best.device, Measured) and data.cell is None:
        kept = " Cells were not followed one by one: that each keeps its rank is an assumption."
    device = replace(
        best.device,
        description=f"{best.name.replace('_', ' ')} fitted to {Path(data.name).name}",
        source=f"fitted by mho fit to {data.source}; {best.name}, {how}.{kept}{_absolute(best.device)} {read_source}"
        + "".join(f" {note}" for note in _notes(data)),
        read_noise_S=float(f"{read_noise_S:.6g}"),
    )
    plain: dict[str, Any] = TypeAdapter(AnyDevice).dump_python(device, mode="json")
    always = {"description", "kind", "status", "source", "g_min_S", "g_max_S", "read_noise_S"}
    if plain["kind"] == "measured":
        always |= {"target_S", "mean_S", "sigma_S", "t_s", "shape"}
    kept_keys = {
        field.name: plain[field.name]
        for field in fields(device)
        if field.name in always or field.default is MISSING or getattr(device, field.name) != field.default
    }
    front = ("description", "kind", "status", "source")
    return dump_yaml({key: kept_keys[key] for key in (*front, *(key for key in kept_keys if key not in front))})


def _absolute(device: Device) -> str:
    """What ``sigma_absolute`` is in siemens: a record gives it as a share."""
    if not isinstance(device, Gaussian | LogNormal) or device.sigma_absolute == 0.0:
        return ""
    return (
        f" sigma_absolute is a share of g_max_S: {device.sigma_absolute:g} x {device.g_max_S:g} S = "
        f"{device.sigma_absolute * device.g_max_S:.3g} S at every level."
    )


def _tables(candidates: list[Fit], best: Fit, data: Measurements) -> str:
    page = Console(file=io.StringIO(), width=WIDTH, force_terminal=False, color_system=None)
    overview = Table(title=escape(data.source), title_justify="left", box=None, pad_edge=False)
    for column in ("candidate", "parameters", "ln L", "BIC", "above least", "KS, largest", "p", "chi2 / dof", "p"):
        overview.add_column(column, justify="left" if column == "candidate" else "right", no_wrap=True)
    least = min(fit.bic for fit in candidates)
    for fit in candidates:
        worst = min(fit.levels, key=lambda level: level.p, default=None)
        overview.add_row(
            ("* " if fit is best else "  ") + fit.name,
            str(fit.parameters),
            *(
                [f"{value:.1f}" for value in (fit.log_likelihood, fit.bic, fit.bic - least)]
                if fit.samples
                else ["-"] * 3
            ),
            *([f"{worst.distance:.3f}", f"{worst.p:.2g}"] if worst else ["-", "-"]),
            *([f"{fit.chi2[0]:.1f} / {fit.chi2[1]}", f"{fit.chi2[2]:.2g}"] if fit.chi2 else ["-", "-"]),
        )
    page.print(overview)
    if best.samples and best is chosen(candidates) and best.bic > least:
        page.print(
            f"\nDifferences of BIC below {NO_EVIDENCE:g} are no evidence (Kass and Raftery 1995): the law of fewer "
            f"parameters is taken."
        )
    for note in _notes(data):
        page.print(f"\n{escape(note)}")
    if not best.samples:
        page.print("\nNo count column: the goodness of fit cannot be judged, and the table is taken as it is.")
    if best.levels:
        page.print()
        page.print(_levels(best, data))
        page.print(
            f"\np is that of a distribution chosen beforehand; fitted to the same samples, it is too high. With "
            f"{len(best.levels)} levels, one of them below {1 / len(best.levels):.2f} is expected."
        )
    assert isinstance(page.file, io.StringIO)
    return "\n".join(line.rstrip() for line in page.file.getvalue().splitlines())


def _levels(best: Fit, data: Measurements) -> Table:
    """Every level at every time: what was measured, and the distance to the fitted distribution."""
    table = data.table()
    moving = len(table.t_s) > 1
    shown = Table(title=f"{best.name}, level by level", title_justify="left", box=None, pad_edge=False)
    for column in ("target, uS", *(["t, s"] if moving else []), "cells", "mean, uS", "spread, uS", "KS", "p"):
        shown.add_column(column, justify="right", no_wrap=True)
    means, sigmas = np.ravel(table.mean_S), np.ravel(table.sigma_S)
    worst = sorted(best.levels, key=lambda level: level.p)[:MOST_LEVELS_SHOWN]
    limit = worst[-1].p if len(best.levels) > MOST_LEVELS_SHOWN else 1.0
    if limit < 1.0:
        shown.title = f"{best.name}, the levels that fit worst, {MOST_LEVELS_SHOWN} of {len(best.levels)}"
    for level, mean, sigma in zip(best.levels, means, sigmas, strict=True):
        if level.p > limit:
            continue
        shown.add_row(
            f"{level.target_S * 1e6:.6g}",
            *([f"{level.t_s:g}"] if moving else []),
            str(level.count),
            f"{mean * 1e6:.4g}",
            f"{sigma * 1e6:.3g}",
            f"{level.distance:.3f}",
            f"{level.p:.2g}",
        )
    return shown
