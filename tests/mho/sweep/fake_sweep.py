"""Sweeps' folders made without computing anything: points with figures by formula, stored as real ones are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from configs.yaml_source import dump_yaml
from mho.sweep.plan import Point
from mho.sweep.store import Row, Store
from mho.sweep.study import Study

Figures = Callable[[dict[str, Any]], dict[str, float | None]]


def bench(bits: Sequence[int] = (3, 4, 5)) -> str:
    """A sheet over resolutions, kinds of cells, a condition, seeds and times."""
    return f"""
description: A bench that is not run
base: {{kind: nladc, ramp: {{device: rram_taox}}, chips: 4}}
axes:
  bits: {list(bits)}
  ramp.device: [rram_taox, pcm]
  recentre: {{values: [false, true], when: {{ramp.device: pcm}}}}
seeds: 2
times_s: [0, 3600]
outputs: [enob, inl_mean_lsb]
"""


def enob(point: dict[str, Any]) -> dict[str, float | None]:
    """More bits are better, PCM is worse and drifts; the figures of a formula."""
    loss = (0.3 if point.get("ramp.device") == "pcm" else 0.0) + 1e-4 * float(point.get("t_s", 0.0))
    value = float(point.get("bits", 4)) - loss + 0.01 * float(point.get("seed", 0))
    return {"enob": value, "inl_mean_lsb": 0.02 * 2.0 ** float(point.get("bits", 4)) + loss}


def write(
    folder: Path,
    text: str,
    figures: Figures = enob,
    *,
    failed: dict[int, str] | None = None,
    missing: Iterable[int] = (),
    notes: Sequence[str] = (),
    code: str | None = None,
) -> Study:
    """Store the points of a sheet; ``failed`` gives errors by the number of the point."""
    sheet = folder.parent / f"{folder.name}.yaml"
    sheet.write_text(text, encoding="utf-8")
    study = Study(str(sheet))
    left = set(missing)
    with Store(folder) as store:
        store.begin(study.sheet.name, dump_yaml(study.sheet.node.plain()), study.code, study.about_code)
        points = [point for point in study.points if point.index not in left]
        rows = [_row(study, point, figures, (failed or {}).get(point.index, ""), notes, code) for point in points]
        store.write(rows, [(study.asked(point), row.digest) for point, row in zip(points, rows, strict=True)])
    return study


def _row(study: Study, point: Point, figures: Figures, error: str, notes: Sequence[str], code: str | None) -> Row:
    outputs = {} if error else figures(dict(point.coordinates))
    first = next(iter(outputs.values()), None)
    chips = {} if first is None else {"chips": {next(iter(outputs)): [first - 0.1, first + 0.1]}}
    return Row(
        digest=f"{study.asked(point)[:40]}",
        state="failed" if error else "done",
        code=code or study.code,
        data="",
        coordinates=point.coordinates,
        outputs=outputs,
        artefacts={**chips, "notes": list(notes)},
        config={},
        error=error,
        seconds=0.25,
    )
