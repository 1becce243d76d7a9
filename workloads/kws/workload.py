"""Keyword spotting as the rest of mho sees it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from devices import ChipStreams, Stream
from periphery.prices import leakage
from workloads.kws.chips import on_chip
from workloads.kws.model import KeywordNet
from workloads.kws.prepare import recordings
from workloads.kws.run import check, on_paper, run
from workloads.kws.settings import KeywordSpotting, NumberFormat
from workloads.kws.tables import FIGURES
from workloads.kws.training import Aware, Batches, Stage, train
from workloads.recordings.clips import CLIP_SAMPLES, LABELS
from workloads.running import RunOptions, one_thread
from workloads.workload import Estimate, Workload

CLIPS = 4890  # of the 12-class test set of Speech Commands v0.02, where the experiment names no number
_STEPS = 3


def data_digest(settings: KeywordSpotting, data: Path | None) -> str:
    """Of the clips; their features are computed into the cache meanwhile."""
    return recordings(settings.data, settings.features.mfcc, data)[0].digest


def number_format(settings: KeywordSpotting) -> tuple[NumberFormat, float]:
    """What a network is trained for: number format of the headline's chip, and error of its weights."""
    return NumberFormat.of(settings.default.chip), settings.weight_noise


def estimate(settings: KeywordSpotting) -> Estimate:
    """Steps of training and chips of evaluation, a few of each timed on random clips of the right shape."""
    how, chip = settings.training, settings.default.chip
    mfcc, block = settings.features.mfcc, settings.evaluation.block
    rng = Stream.root(0).child("sweep", "estimate")
    x = 2.0 * torch.rand((how.software.batch, mfcc.frames(CLIP_SAMPLES), mfcc.n_mfcc), generator=rng.torch()) - 1.0
    y = torch.arange(len(x)) % len(LABELS)
    data = Batches(x[None].half(), y, x[:2], y[:2])
    net = KeywordNet(settings.model, mfcc.n_mfcc, len(LABELS), rng=rng)
    aware = Aware(NumberFormat.of(chip).chip, settings.weight_noise)

    def trained(stage: Stage, aware: Aware | None) -> float:
        few, options = replace(stage, steps=_STEPS), RunOptions()
        spent_s = _seconds(lambda: train(net, data, how, few, aware=aware, rng=rng, name="", options=options))
        return spent_s / _STEPS * stage.steps

    def judged() -> None:
        chips = on_chip(net, chip, features=x[:2]).map().program(rng=ChipStreams.of(rng, 1))
        chips.at(0.0)(x[:block], block=block)

    with one_thread():
        with torch.no_grad():
            one_clip = _seconds(judged) / min(block, len(x))
        software, tuned = trained(how.software, None), trained(how.aware, aware)
    splits, clips = settings.data.splits, (settings.data.clips or CLIPS) * settings.data.fractions[2]
    return Estimate(splits * software, splits * tuned, splits * clips * one_clip, settings.evaluation.chips)


def _seconds(work: Callable[[], object]) -> float:
    """Seconds of the second run: the first one compiles."""
    work()
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def papers(settings: KeywordSpotting) -> set[str]:
    """Keys behind the prices of what the layers of all variants do, behind converters' prices and leakage libraries."""
    found = set(leakage.papers())
    for variant, cost in on_paper(settings):
        chip = variant.chip
        found |= cost.priced.cite
        if chip.readout == "conventional":
            found.add(chip.adc.price_model)
    return found


KWS = Workload(
    settings=KeywordSpotting,
    figures=FIGURES,
    run=run,
    on_gpu=True,
    data_digest=data_digest,
    same_data=True,
    independent_variants=True,
    number_format=number_format,
    estimate=estimate,
    check=check,
    cites=papers,
    cites_prices=True,
)
