"""How long a sweep may take on this machine, measured on a few steps of what it will do many times."""

from __future__ import annotations

from pathlib import Path

from mho.sweep.plan import Point
from mho.sweep.progress import span
from mho.sweep.study import Study
from mho.sweep.template import TIME
from mho.sweep.work import PointBatch, built, perform
from workloads import WORKLOADS

_LOOKED_AT = 64


def seconds(study: Study, points: list[Point]) -> tuple[float | None, str]:
    """About how long so many points take on one worker, and what that rests on; None for a base without an estimate."""
    if study.compute == "cuda":
        return None, "on a graphics card only a point that is done shows it"
    workload = WORKLOADS[study.kind]
    middle = study.template.config(points[len(points) // 2].coordinates).data
    if workload.measure is not None:
        twice = PointBatch(study.kind, (middle, middle), (None, None), study.data, Path(), study.code)
        each = perform(twice)[1].seconds
        return each * len(points), f"by one point in the middle, run now ({each:.3g} s)"
    if workload.estimate is None:
        return None, "this kind of base shows it only once a point is done"
    found = workload.estimate(built(study.kind, middle))
    trainings = len({study.plan.training_of(point) for point in points})
    step = max(1, len(points) // _LOOKED_AT)
    formats = len({_format(study, point) for point in points[::step]})
    chips = len(points) * found.chips
    return (
        trainings * found.training_s + formats * found.tuning_s + chips * found.chip_s,
        f"{trainings} x {span(found.training_s)} of training, {formats} x {span(found.tuning_s)} of training for a "
        f"chip's format, {chips} x {span(found.chip_s)} a chip and time, by a few steps of each, run now; data and "
        "features apart",
    )


def _format(study: Study, point: Point) -> object:
    kept = tuple(pair for pair in point.coordinates if pair[0] != TIME)
    settings = built(study.kind, study.template.config(kept).data)
    return study.plan.training_of(point), WORKLOADS[study.kind].number_format(settings)
