"""A sweep of cheap points beside the bare work of its points: what keeping, claiming and reporting them costs."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mho.sweep.command import sweep
from mho.sweep.study import Study
from mho.sweep.work import PointBatch, perform

if TYPE_CHECKING:
    from benchmarks.conftest import SideBySide

POINTS = 400
MOST_MS = 10.0  # a point, the report at the end included


def test_overhead_of_a_sweep(side_by_side: SideBySide, tmp_path: Path) -> None:
    file = tmp_path / "cheap.yaml"
    file.write_text(
        f"base: {{kind: nladc, ramp: {{device: rram_taox}}, chips: 1, bits: 2}}\nseeds: {POINTS}\n", encoding="utf-8"
    )
    study = Study(str(file))
    configs = tuple(study.template.config(point.coordinates).data for point in study.points)
    task = PointBatch(study.kind, configs, (None,) * POINTS, None, tmp_path, study.code)
    number = itertools.count()
    row = side_by_side(
        f"sweep of {POINTS} cheap points, one worker, from file to report",
        lambda: sweep(str(file), output=tmp_path / f"out{next(number)}"),
        "the same points measured and not kept",
        lambda: perform(task),
        target_ratio=2.0,
    )
    overhead_ms = (row["seconds"] - row["reference_seconds"]) / POINTS * 1e3
    print(f"overhead {overhead_ms:.2f} ms a point (aim {MOST_MS:g})")
    assert overhead_ms > 0.0


if __name__ == "__main__":
    pytest.main([__file__, "--benchmark-only", "-s"])
