"""Keyword spotting end to end: data, features, training, chips over time, cost."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import torch

from devices import ChipStreams, InputError, Stream
from mappings.activity import Activity
from mappings.convert.chips import NetworkRead
from mappings.convert.cost import NetworkCost
from workloads.always_on import period_cost
from workloads.kws.chips import JudgedNetwork, on_chip
from workloads.kws.features import Features, cached_mfcc
from workloads.kws.model import KeywordNet
from workloads.kws.prepare import Prepared, clips_of, prepared, recordings
from workloads.kws.settings import KeywordSpotting, KeywordVariant, NumberFormat
from workloads.kws.tables import KeywordTables
from workloads.kws.training import Aware, Stage, accuracy_of, calibration_of, logits_of, train
from workloads.kws.weights import about, load_weights
from workloads.recordings.clips import CLIP_SAMPLES, LABELS, Clips
from workloads.result import Result
from workloads.running import ExperimentRun, RunOptions, named, one_thread

Trained = tuple[KeywordNet, list[dict[str, Any]]]


def run(settings: KeywordSpotting, options: RunOptions) -> Result:
    """Run the experiment; ``options.weights`` replaces training in software by a user's network (safetensors)."""
    with one_thread():
        return KeywordRun(settings, options).run()


def on_paper(settings: KeywordSpotting) -> Iterator[tuple[KeywordVariant, NetworkCost]]:
    """What a network without values costs on each variant's chip: what needs no training is known from it."""
    net = KeywordNet(settings.model, settings.features.mfcc.n_mfcc, len(LABELS), rng=Stream.root(0)).to("meta")
    mfcc = settings.features.mfcc
    features = torch.empty((1, mfcc.frames(CLIP_SAMPLES), mfcc.n_mfcc), device="meta")
    for variant in settings.variants:
        with named(variant.name):
            cost = on_chip(net, variant.chip.without_data()).cost(features)
        yield variant, cost


def check(settings: KeywordSpotting) -> None:
    """Raise ``InputError`` where a burst of a variant takes longer than the period of the duty."""
    duty = settings.duty
    if duty is None:
        return
    for variant, cost in on_paper(settings):
        with named(variant.name):
            period_cost([cost.priced], duty.at(settings.hop_s), node_nm=variant.chip.node_nm)


@dataclass
class KeywordRun(ExperimentRun[KeywordSpotting]):
    """All splits, all variants, all times."""

    digest: str = ""

    def run(self) -> Result:
        """Data and features, then split by split; where runs share networks, recordings are kept in this process."""
        how, options = self.settings, self.options
        check(how)
        if how.model.classes and options.weights is None:
            raise InputError("model.classes: the order of classes of a network given with --weights (none was given)")
        if options.stored is not None:
            with self.stage("data"):
                clips, features, notes = recordings(how.data, how.features.mfcc, options.data)
        else:
            with self.stage("data"):
                clips = clips_of(how.data, options.data, lambda *done: self.progress("speaking the words", *done))
            with self.stage("features"):
                self.progress("features", 0, 1)
                features, notes = cached_mfcc(clips, how.features.mfcc)
                self.progress("features", 1, 1)
        self.digest = clips.digest
        tables = KeywordTables(how, clips, notes=[*clips.notes, *notes])
        for split in range(how.data.splits):
            self._one_split(split, clips, features, tables)
        with self.stage("cost"):
            return tables.finished(self.stages)

    def _one_split(self, split: int, clips: Clips, features: Features, tables: KeywordTables) -> None:
        settings, how = self.settings, self.settings.training
        rng = Stream.root(settings.seed).child("split", split)
        with self.stage("augmentation"):
            data = prepared(settings, self.options, split, clips, features, rng=rng)
        net = KeywordNet(settings.model, data.x_test.shape[2], len(clips.labels), rng=rng)
        given = self.options.weights
        if given is not None:
            tables.given(load_weights(given, net, clips.labels), net)
        if split == 0:
            self._rehearse(net)
        if given is None:
            with self.stage("training, software"):
                net, rows = self._train(net, data, how.software, None, rng.child("software"), "software")
            tables.learning(split, rows)
        tables.software(split, accuracy_of(net, data.x_test, data.y_test), len(data.batches.y), len(data.y_test))
        wanted: dict[NumberFormat, str] = {}
        for variant in settings.variants:
            form = NumberFormat.of(variant.chip)
            wanted.setdefault(form, f"{form.bits} bits" + ("" if form.bias == "row" else ", no bias"))

        def fine_tuned(form: NumberFormat) -> Trained:
            aware = Aware(form.chip, settings.weight_noise)
            start = net if form.bias == "row" else net.without_bias()
            if not settings.retrains(given is not None):
                return start, []
            return self._train(start, data, how.aware, (form, aware), rng.child("aware", form.stream), wanted[form])

        with self.stage("training, aware"), ThreadPoolExecutor(self.options.workers) as pool:
            trained = dict(zip(wanted, pool.map(fine_tuned, wanted), strict=True))
        for _, rows in trained.values():
            tables.learning(split, rows)
        with self.stage("evaluation"), ThreadPoolExecutor(self.options.side_by_side) as pool:
            if settings.retrains(given is not None):
                for form, (tuned, _) in trained.items():
                    tables.retrained(split, form, accuracy_of(tuned, data.x_test, data.y_test))
            judged = pool.map(
                lambda v: self._evaluate(v, trained[NumberFormat.of(v.chip)][0], data, rng.child("chips")),
                settings.variants,
            )
            for variant, one in zip(settings.variants, judged, strict=True):
                tables.judged(variant, data, one)

    def _train(
        self,
        net: KeywordNet,
        data: Prepared,
        stage: Stage,
        aware: tuple[NumberFormat, Aware] | None,
        rng: Stream,
        name: str,
    ) -> Trained:
        """The trained network and its learning curve, from the store where runs share one."""

        def trained() -> Trained:
            how, options, on = self.settings.training, self.options, None if aware is None else aware[1]
            return train(net, data.batches, how, stage, aware=on, rng=rng, name=name, options=options)

        stored = self.options.stored
        if stored is None:
            return trained()
        errors = None if aware is None else (aware[0], aware[1].weight_noise)
        key = self.digest, data.number, list(rng.path), repr(errors), net.output.bias.requires_grad
        return stored.network(key, net, trained, about(net, LABELS))

    def _rehearse(self, net: KeywordNet) -> None:
        """Lay a network on one chip of each variant and read it at every time: what cannot be is refused before
        anything is trained."""
        noise = (
            torch.rand((16, 16, net.inputs), generator=Stream.root(0).child("calibration noise").torch()) * 2.0 - 1.0
        )
        for variant in self.settings.variants:
            start = net if variant.chip.bias == "row" else net.without_bias()
            with torch.no_grad(), named(variant.name):
                rng = ChipStreams.of(Stream.root(0).child("rehearsal"), 1)
                chips = on_chip(start, variant.chip, features=noise).map().program(rng=rng)
                for t_s in variant.times_s(self.settings.evaluation.times_s):
                    chips.at(t_s)

    def _evaluate(self, variant: KeywordVariant, net: KeywordNet, data: Prepared, rng: Stream) -> JudgedNetwork:
        """One variant on its chips at every time, and once on an ideal chip."""
        how, batches = self.settings.evaluation, data.batches
        limit = float(logits_of(net, batches.x_validation).abs().max())
        with torch.no_grad(), named(variant.name):
            network = on_chip(net, variant.chip, features=calibration_of(batches), limit=limit)
            ideal, chips = (
                one.map().program(rng=streams, device=self.options.device)
                for one, streams in (
                    (network.idealised(), ChipStreams.of(rng.child("ideal"), 1)),
                    (network, ChipStreams.of(rng.child("hardware"), how.chips)),
                )
            )
            answers = self._answers(ideal.at(0.0), data.x_test)
            judged = JudgedNetwork(network, chips, float((answers[0] == data.y_test).float().mean()))
            times = variant.times_s(how.times_s)
            for number, t_s in enumerate(times):
                read = chips.at(t_s)
                answers = self._answers(read, data.x_test, judged.seen if number == 0 else None)
                judged.answers.append((t_s, answers, {name: layer.factors for name, layer in read.layers.items()}))
                self.progress(f"chips, {variant.name}", number + 1, len(times))
        return judged

    def _answers(self, read: NetworkRead, x: torch.Tensor, activity: dict[str, Activity] | None = None) -> torch.Tensor:
        """Classes ``(chips, n)``."""
        how, first, parts = self.settings.evaluation, 0, list[torch.Tensor]()
        for part in x.split(max(1, how.batch // how.block) * how.block):
            parts.append(read(part, first=first, block=how.block, activity=activity).argmax(-1))
            first += read.blocks([part], how.block)
        return torch.cat(parts, dim=1)
