"""A character model end to end: text, network, training where it has no weights, chips over time, text, cost."""

from __future__ import annotations

import copy
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import torch

from configs.bounded import expanded
from devices import InputError, Stream
from mappings.activity import Activity
from mappings.convert.converted import ConvertedNetwork
from workloads.charlm.hardware import (
    Windows,
    bits_of_chips,
    calibrated,
    converted,
    laid,
    starts,
    trained_for_chips,
    written_by_chips,
)
from workloads.charlm.model import CharacterNetwork, bits_per_character
from workloads.charlm.settings import CharacterExperiment
from workloads.charlm.tables import BITS, FIGURES, CharacterTables
from workloads.charlm.text import Text, text_of
from workloads.charlm.training import train_text
from workloads.charlm.weights import GivenNetwork, given_network, save_network
from workloads.network.model import UserNetwork
from workloads.network.settings import NetworkVariant
from workloads.result import Result
from workloads.running import ExperimentRun, RunOptions, named, one_thread

MOST_UNKNOWN = 0.02
"""Share of the characters to test on that a given network may lack, or it is one for other texts; an estimate."""


def run(settings: CharacterExperiment, options: RunOptions) -> Result:
    """Run the experiment; ``options.weights`` replace what ``weights`` names, and nothing is trained for chips then."""
    # Beside a GPU there is one run at a time, whose chips are written and aged by all threads.
    with one_thread() if options.device == "cpu" else nullcontext():
        return CharacterRun(settings, options).run()


def check(settings: CharacterExperiment) -> None:
    """Raise ``InputError`` where a named network is none of this size, or a variant's chips cannot hold it."""
    for origin in ("weights", "weights_for_chips"):
        if (name := getattr(settings, origin)) is not None:
            given_network(name, settings.model, origin)
    net = CharacterNetwork(settings.data.characters + 1, settings.model).eval().to("meta")
    example = torch.zeros((2, 1), dtype=torch.int64, device="meta"), *net.start(2)
    traced = converted(net, settings.default, example, settings)
    for variant in settings.variants:
        with named(variant.name):
            laid(traced, variant).map()


@dataclass
class CharacterRun(ExperimentRun[CharacterExperiment]):
    """All variants, all times.

    ``tuned``: the network that chips hold, where it is another than the one in software; ``windows``: by which ranges
    are chosen; ``traced``: the network that chips hold, before any training for them; ``software``,
    ``given_for_chips``: bits per character of both in float; ``of_default``: the network trained for the default chips,
    once that is done.
    """

    text: Text = field(init=False)
    net: CharacterNetwork = field(init=False)
    given: GivenNetwork | None = field(init=False, default=None)
    tuned: GivenNetwork | None = field(init=False, default=None)
    learnt: list[dict[str, Any]] = field(init=False, default_factory=list)
    windows: Windows = field(init=False)
    traced: ConvertedNetwork = field(init=False)
    software: float = field(init=False)
    given_for_chips: float | None = field(init=False)
    of_default: tuple[ConvertedNetwork, list[dict[str, Any]]] | None = field(init=False, default=None)

    def run(self) -> Result:
        """Text and network, then variant by variant."""
        how = self.settings
        with self.stage("data"):
            self.start()
        self._prepare()
        if self.given is None:
            with self.stage("rehearsal"), torch.no_grad():
                self.rehearse()
            with self.stage("training, software"):
                self._train()
            self._prepare()
        tables = CharacterTables(
            how,
            self.text.record(len(self._test())),
            UserNetwork(self.net, "" if self.given is None else self.given.about, trained=self.given is not None),
            FIGURES,
            self.given is None,
            "" if self.tuned is None else self.tuned.about,
        )
        self._described(tables)
        with self.stage("evaluation"):
            self.software = self._of(self.net)
            self.given_for_chips = None if self.tuned is None else self._of(self.tuned.net)
            tables.in_software({BITS: self.software})
            for variant in how.variants:
                with named(variant.name):
                    self._judge(variant, tables)
        return tables.reported(self.stages)

    def start(self) -> None:
        """Find text and network, and see that they fit each other."""
        how, options = self.settings, self.options
        named_by: Any = how.weights if options.weights is None else options.weights
        vocabulary = None
        if named_by is not None:
            origin = "weights" if options.weights is None else "--weights"
            self.given = given_network(named_by, how.model, origin)
            vocabulary = self.given.vocabulary
            if how.weights_for_chips is not None and options.weights is None:
                self.tuned = given_network(how.weights_for_chips, how.model, "weights_for_chips")
                if self.tuned.vocabulary != vocabulary:
                    raise InputError("weights_for_chips: must have the vocabulary of weights (got another one)")
        self.text = text_of(how.data, options.data, vocabulary=vocabulary)
        self.text.check(how.evaluation.streams, 2 if self.given is not None else how.evaluation.window)
        if self.given is not None:
            share = self.text.unknown / len(self.text.test)
            if share > MOST_UNKNOWN:
                raise InputError(
                    f"{self.given.about}: a network of another vocabulary: it does not know {share:.1%} of the "
                    f"characters of {self.text.source} (allowed {MOST_UNKNOWN:.0%})"
                )
            self.net = self.given.net
        else:
            self.text.check(how.training.streams, how.training.window)
            draw = Stream.root(how.seed).child("initial weights").torch()
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(int(torch.randint(2**31, (1,), generator=draw)))
                self.net = CharacterNetwork(len(self.text.vocabulary), how.model, how.training.dropout).eval()

    def rehearse(self) -> None:
        """Lay the network on one chip of each variant: what cannot be is refused before anything is trained."""
        for variant in self.settings.variants:
            with named(variant.name):
                calibrated(laid(self.traced, variant), self.windows, self.settings).program(1)

    def _prepare(self) -> None:
        """Find the windows by which ranges are chosen, and trace the network that chips hold."""
        how, train = self.settings, self.text.train[: self.settings.calibration.characters]
        count = max(2, min(how.evaluation.streams, (len(train) - 1) // how.evaluation.window))
        self.windows = Windows.of(self.net, train, count, min(how.evaluation.window, (len(train) - 1) // count))
        self.traced = self._converted()

    def _converted(self) -> ConvertedNetwork:
        held, example = self.net if self.tuned is None else self.tuned.net, (one[:2] for one in self.windows.inputs)
        return converted(held, self.settings.default, tuple(example), self.settings)

    def _train(self) -> None:
        how, options = self.settings, self.options
        folder = None if how.training.checkpoint is None else expanded(how.training.checkpoint) / "software"

        def trained() -> tuple[CharacterNetwork, list[dict[str, Any]]]:
            return train_text(
                self.net,
                self.text,
                how.training,
                rng=Stream.root(how.seed).child("training", "software"),
                device=options.device,
                checkpoint=folder,
                progress=lambda done, total: self.progress("training, software", done, total),
            )

        key = (self.text.digest, "software")
        found = trained() if options.stored is None else options.stored.network(key, self.net, trained, {})
        self.net, self.learnt = found[0].eval(), found[1]
        if folder is not None:
            save_network(folder / "network.safetensors", self.net, self.text.vocabulary, {"text": self.text.source})

    def _test(self) -> torch.Tensor:
        count = self.settings.evaluation.characters
        return self.text.test if count is None else self.text.test[: count + 1]

    def _of(self, step: Any) -> float:
        """Bits per character of a network in software or in its formats."""
        how = self.settings.evaluation
        return bits_per_character(step, self.net.start(how.streams), self._test(), how.streams, how.window)

    def _in_formats(self, net: ConvertedNetwork) -> float:
        """The same of a network in its formats, where chips compute."""
        how, place = self.settings.evaluation, torch.device(self.options.device)
        h, c = (one.to(place) for one in self.net.start(how.streams))
        try:
            return bits_per_character(net.to(place), (h, c), self._test().to(place), how.streams, how.window)
        finally:
            net.cpu()

    def for_chips(self, variant: NetworkVariant) -> tuple[ConvertedNetwork, list[dict[str, Any]]]:
        """The network on a variant's chips, trained for them where the experiment says so; its learning curve."""
        if variant.default and self.of_default is not None:
            return self.of_default
        how, training = self.settings, self.settings.hardware_training
        if training is None:
            return calibrated(laid(self.traced, variant), self.windows, how), []
        # What is trained has parameters of its own.
        found = calibrated(laid(self._converted(), variant), self.windows, how)
        if training.trained_for == "default" and not variant.default:
            source, rows = self.for_chips(how.default)
            return self._holding(found, list(source.parameters())), rows

        def trained() -> tuple[torch.nn.ParameterList, list[dict[str, Any]]]:
            rows = trained_for_chips(
                found,
                copy.deepcopy(self.net),
                self.text.train,
                how,
                checkpoint=None if training.checkpoint is None else expanded(training.checkpoint) / variant.name,
                device=self.options.device,
                progress=lambda _, done, total: self.progress(f"training, {variant.name}", done, total),
            )
            return torch.nn.ParameterList(found.parameters()), rows

        start, key = torch.nn.ParameterList(found.parameters()), (self.text.digest, "hardware", repr(variant.chips))
        stored = self.options.stored
        held, rows = trained() if stored is None else stored.network(key, start, trained, {})
        ready = self._holding(found, list(held)), rows
        if variant.default:
            self.of_default = ready
        return ready

    def _holding(self, net: ConvertedNetwork, weights: list[torch.nn.Parameter]) -> ConvertedNetwork:
        """A network with the weights of a training, and the ranges in which that was: it may lean on their ends."""
        with torch.no_grad():
            for mine, other in zip(net.parameters(), weights, strict=True):
                mine.copy_(other)
        return calibrated(net, self.windows, self.settings, ranges=False)

    def _judge(self, variant: NetworkVariant, tables: CharacterTables) -> None:
        """One variant: bits per character in its formats and on chips over time, what they write, and their cost."""
        import pandas as pd

        how, evaluation = self.settings, self.settings.evaluation
        times_s = variant.times_s(evaluation.times_s)
        net, rows = self.for_chips(variant)
        training = how.hardware_training
        if training is not None and (training.trained_for == "each" or variant.default):
            tables.learnt([{"stage": f"for {variant.name}", "epoch": row["step"], "loss": row["loss"]} for row in rows])
        chips, activity = (
            net.program(evaluation.chips, seed=how.seed, device=self.options.device),
            dict[str, Activity](),
        )
        start = starts(self.net, evaluation.chips, evaluation.streams)
        found: list[dict[str, Any]] = []

        def judged(stage: str, value: float, chip: int = 0, t_s: float = 0.0) -> None:
            found.append({"stage": stage, "chip": chip, "t_s": t_s, BITS: value, "drifts": variant.drifts})

        same = self.tuned is None and training is None
        judged("software", self.software)
        if not same:
            judged("trained", self._of(net.software) if self.given_for_chips is None else self.given_for_chips)
        judged("quantised", self._in_formats(net))
        for number, t_s in enumerate(times_s):
            did = activity if number == 0 else None
            read = chips.at(t_s)  # the wires of every tile are folded into its cells here, once a chip and time
            values = bits_of_chips(read, start, self._test(), evaluation.window, activity=did)
            for chip, value in enumerate(values.tolist()):
                judged("chips", value, chip, float(t_s))
            if how.sample is not None and how.sample.by(variant):
                begin = starts(self.net, evaluation.chips, 1)
                texts = written_by_chips(read, begin, how.sample, self.text.vocabulary, seed=how.seed)
                tables.wrote(variant, t_s, islice(texts, how.sample.chips))
            self.progress(f"chips, {variant.name}", number + 1, len(times_s))
        tables.judged(variant, pd.DataFrame(found))
        one = torch.zeros((1, 1), dtype=torch.int64), *self.net.start(1)
        with torch.no_grad():
            cost = net.cost(*one, observed=(chips, activity))
        tables.hardware(variant, net, chips, cost)
        tables.cells(variant, chips.layers, evaluation.times_s)
        tables.per_character(variant, cost)

    def _described(self, tables: CharacterTables) -> None:
        """What a reader should know of text and network."""
        text = self.text
        tables.note(
            f"The text is {text.source}: {len(text.train)} characters to train on, {len(text.valid)} to choose by, "
            f"{len(text.test)} to test on, of which {len(self._test())} are read; {len(text.vocabulary) - 1} "
            f"characters and one for all others, of which {text.unknown} occur in the part to test on."
        )
        if self.learnt:
            tables.learnt(
                [
                    {"stage": stage, "epoch": row["step"], "loss": row[key]}
                    for row in self.learnt
                    for stage, key in (("software", "loss"), ("software, chosen by", "valid"))
                ]
            )
