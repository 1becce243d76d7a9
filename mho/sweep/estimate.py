"""How long a sweep may take on this machine, measured on a few steps of what it will do many times."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from devices import ChipStreams, Stream
from mappings.network.aware import Aware
from mho.sweep.plan import Point
from mho.sweep.progress import span
from mho.sweep.study import Study
from mho.sweep.template import TIME
from mho.sweep.work import Task, built, perform
from workloads import KeywordSpotting
from workloads.kws.hardware import mapped_keywords
from workloads.kws.model import KeywordNet
from workloads.kws.run import Format, one_thread
from workloads.kws.training import Batches, Stage, train
from workloads.recordings.clips import CLIP_SAMPLES, LABELS
from workloads.result import silent

CLIPS = 4890  # of the 12-class test set of Speech Commands v0.02, where the experiment names no number
_STEPS = 3
_LOOKED_AT = 64


def seconds(study: Study, points: list[Point]) -> tuple[float | None, str]:
    """About how long so many points take on one worker, and what that rests on; None where nothing can tell."""
    middle = study.template.config(points[len(points) // 2].coordinates).data
    if study.kind == "nladc":
        each = perform(Task(study.kind, (middle, middle), (None, None), study.data, Path(), study.code))[1].seconds
        return each * len(points), f"by one point in the middle, run now ({each:.3g} s)"
    if study.kind == "kws":
        return _keyword(study, points, built("kws", middle))
    return None, "this kind of base tells only once a point is done"


def _keyword(study: Study, points: list[Point], experiment: KeywordSpotting) -> tuple[float, str]:
    """Steps of training and chips of evaluation, a few of each timed on random clips of the right shape."""
    how, chip = experiment.training, experiment.variants[0].chip
    mfcc, block = experiment.features.mfcc, experiment.evaluation.block
    rng = Stream.root(0).child("sweep", "estimate")
    x = 2.0 * torch.rand((how.software.batch, mfcc.frames(CLIP_SAMPLES), mfcc.n_mfcc), generator=rng.torch()) - 1.0
    y = torch.arange(len(x)) % len(LABELS)
    data = Batches(x[None].half(), y, x[:2], y[:2])
    net = KeywordNet(experiment.model, mfcc.n_mfcc, len(LABELS), rng=rng)
    form = Format.of(chip)
    aware = Aware(bits=form.bits, state=form.state, x_max=form.x_max, weight_noise=how.weight_noise)

    def trained(stage: Stage, aware: Aware | None) -> float:
        few = replace(stage, steps=_STEPS)

        def again() -> None:
            train(net, data, how, few, aware=aware, rng=rng, name="", progress=silent)

        return _timed(again) / _STEPS * stage.steps

    def judged() -> None:
        chips = mapped_keywords(net, chip, output_limit=1.0).program(rng=ChipStreams.of(rng, 1))
        chips.at(0.0).run(x[:block], block=block, batch=block)

    with one_thread(), torch.no_grad():
        one_chip = _timed(judged) / min(block, len(x))
    with one_thread():
        software, fine = trained(how.software, None), trained(how.aware, aware)
    clips = (experiment.data.clips or CLIPS) * experiment.data.fractions[2]
    plan = study.plan
    trainings = len({plan.training_of(point) for point in points})
    step = max(1, len(points) // _LOOKED_AT)
    forms = len({_form(study, point) for point in points[::step]})
    chips = len(points) * experiment.evaluation.chips
    total = experiment.data.splits * (trainings * software + forms * fine + chips * clips * one_chip)
    said = (
        f"{trainings} x {span(software)} of training, {forms} x {span(fine)} of training for a chip's format, "
        f"{chips} x {span(clips * one_chip)} a chip and time, by a few steps of each, run now; data and features apart"
    )
    return total, said


def _form(study: Study, point: Point) -> Any:
    kept = tuple(pair for pair in point.coordinates if pair[0] != TIME)
    experiment: KeywordSpotting = built("kws", study.template.config(kept).data)
    return study.plan.training_of(point), Format.of(experiment.variants[0].chip)


def _timed(work: Callable[[], Any]) -> float:
    """Seconds of the second run: the first one compiles."""
    work()
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
