"""Any network end to end: samples, training where it is asked for, chips over time, cost."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch

from configs.bounded import expanded
from devices import InputError, Stream
from mappings.activity import Activity
from mappings.convert.converted import ConvertedNetwork, convert
from mappings.convert.training import train_for_hardware
from workloads.always_on import period_cost
from workloads.network.data import Samples, samples_of
from workloads.network.evaluate import evaluate
from workloads.network.figures import CLASSES, COMPUTED, FIGURES, targets_for
from workloads.network.model import UserNetwork, network_of, outputs_of
from workloads.network.settings import NetworkExperiment, NetworkVariant
from workloads.network.tables import NetworkTables
from workloads.network.training import loss_of, train
from workloads.result import Result
from workloads.running import ExperimentRun, RunOptions, named, one_thread

TRACED = 2
"""Samples of the example that a network is traced with; ranges come from those of the calibration."""


def run(settings: NetworkExperiment, options: RunOptions) -> Result:
    """Run the experiment; ``options.module`` and ``options.weights`` replace what ``model`` names."""
    with one_thread():
        return NetworkRun(settings, options).run()


def check(settings: NetworkExperiment) -> None:
    """Raise ``InputError`` where the network cannot be traced, does not fit its samples, or a variant's chips."""
    if settings.data.file is None and not settings.data.digits:
        return
    work = NetworkRun(settings, RunOptions())
    work.start()
    work.rehearse(work.given.module)


@dataclass
class NetworkRun(ExperimentRun[NetworkExperiment]):
    """All variants, all times; ``of_default``: the network trained for the default chips, once that is done."""

    samples: Samples = None  # type: ignore[assignment]
    given: UserNetwork = None  # type: ignore[assignment]
    of_default: tuple[ConvertedNetwork, list[dict[str, Any]]] | None = None

    def run(self) -> Result:
        """Samples and network, then variant by variant."""
        how = self.settings
        with self.stage("data"):
            self.start()
        figures = {str(name): FIGURES[name] for name in how.figures}
        trains = how.trains(self.given.trained)
        tables = NetworkTables(how, self.samples.record(how.evaluation.samples), self.given, figures, trains)
        tables.cite.add(self.samples.origin.bibtex)
        net = self.given.module
        if trains:
            with self.stage("rehearsal"), torch.no_grad():
                self.rehearse(net)
            with self.stage("training, software"):
                net, rows = self._trained(net)
            tables.learnt(rows)
        elif not self.given.trained:
            raise InputError(
                "model.weights: a safetensors file, --weights, or a block training: layers alone have none (got none)"
            )
        test = self._test()
        with self.stage("evaluation"):
            tables.software(COMPUTED, outputs_of(net, test[0], how.evaluation.batch), test[1])
            for variant in how.variants:
                with named(variant.name):
                    self._judge(variant, net, test, tables)
        return tables.finished(self.stages)

    def start(self) -> None:
        """Find samples and network, and see that they fit each other."""
        how, options = self.settings, self.options
        self.samples = samples = samples_of(how.data, options.data)
        replaced: dict[str, Any] = {"module": options.module, "weights": options.weights}
        self.given = network_of(how.model, sizes=samples.x_train.shape[1:], seed=how.seed, **replaced)
        module = self.given.module
        try:
            outputs = outputs_of(module, samples.x_test[:TRACED])
        except Exception as error:
            reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
            shape = ", ".join(map(str, samples.x_test.shape[1:]))
            raise InputError(
                f"{samples.where}: samples of shape ({shape}) do not go through the network: {reason}"
            ) from error
        for part in ("train", "test"):
            targets_for(how.figures, outputs, getattr(samples, f"y_{part}"), f"{samples.where}: y_{part}")

    def rehearse(self, net: torch.nn.Module) -> None:
        """Lay the network on one chip of each variant and read it at every time: what cannot be is refused before
        anything is trained."""
        for variant in self.settings.variants:
            with named(variant.name):
                converted = self.converted(net, variant)
                chips = converted.program(1)
                for t_s in variant.times_s(self.settings.evaluation.times_s):
                    chips.at(t_s)
                if self.settings.duty is not None:
                    priced = converted.cost(self.samples.x_test[:1]).priced
                    period_cost([priced], self.settings.duty.at(None), node_nm=variant.chip.node_nm)

    def for_chips(self, net: torch.nn.Module, variant: NetworkVariant) -> tuple[ConvertedNetwork, list[dict[str, Any]]]:
        """The network on a variant's chips, trained for them where the experiment says so; its learning curve."""
        if variant.default and self.of_default is not None:
            return self.of_default
        how, samples, converted = self.settings, self.samples, self.converted(net, variant)
        training = how.hardware_training
        if training is None:
            return converted, []
        if training.trained_for == "default" and not variant.default:
            source, rows = self.for_chips(net, how.default)
            self._hold(converted, list(source.parameters()))
            return converted, rows
        y = targets_for(how.figures, outputs_of(net, samples.x_train[:1]), samples.y_train, "y_train")

        whole: Any = samples.x_train, y

        def trained() -> tuple[torch.nn.ParameterList, list[dict[str, Any]]]:
            folder = None if training.checkpoint is None else expanded(training.checkpoint) / variant.name
            place = self.options.device
            rows = train_for_hardware(
                converted.to(place),
                whole,
                loss_of,
                training.of_figures(classes=how.figures[0] in CLASSES),
                teacher=net if place == "cpu" else copy.deepcopy(net).to(place),
                seed=how.seed,
                checkpoint=folder,
                progress=lambda _, done, total: self.progress(f"training, {variant.name}", done, total),
            )
            return torch.nn.ParameterList(converted.cpu().parameters()), rows

        start = torch.nn.ParameterList(converted.parameters())
        stored, key = self.options.stored, (samples.digest, "hardware", repr(variant.chips))
        held, rows = trained() if stored is None else stored.network(key, start, trained, {})
        self._hold(converted, list(held))
        if variant.default:
            self.of_default = converted, rows
        return converted, rows

    def _hold(self, converted: ConvertedNetwork, weights: list[torch.nn.Parameter]) -> None:
        """Give a network the weights of a training; its layers keep the ranges in which that was."""
        with torch.no_grad():
            for mine, other in zip(converted.parameters(), weights, strict=True):
                mine.copy_(other)
        self._calibrate(converted, ranges=False)

    def converted(self, net: torch.nn.Module, variant: NetworkVariant) -> ConvertedNetwork:
        """The network on this variant's chips, its ranges by samples to train on."""
        how = self.settings
        given: dict[str, Any] = {"example": self.samples.x_train[:TRACED]}
        given |= {"digital": how.digital, "equalised": how.equalised}
        found = convert(net, variant.chip, **given)
        if variant.chips_by_layer:
            found = convert(net, variant.of_layers(list(found.tiles)), **given)
        if not found.tiles:
            raise InputError("model: has no layer that lies on tiles (all of it is digital)")
        found = found.laid_out(replicas=how.replicas, shared_tiles=how.shared_tiles)
        return self._calibrate(found)

    def _calibrate(self, converted: ConvertedNetwork, *, ranges: bool = True) -> ConvertedNetwork:
        how = self.settings
        batches = self.samples.some(how.calibration.samples).split(how.evaluation.batch)
        return converted.calibrate(list(batches), percentile=how.calibration.percentile, ranges=ranges)

    def _trained(self, net: torch.nn.Module) -> tuple[torch.nn.Module, list[dict[str, Any]]]:
        """The network trained in software, from the store where runs share one."""
        how, samples, options = self.settings, self.samples, self.options
        assert how.training is not None
        training = how.training
        y = targets_for(how.figures, outputs_of(net, samples.x_train[:1]), samples.y_train, "y_train")
        rng = Stream.root(how.seed).child("training", "software")

        def trained() -> tuple[torch.nn.Module, list[dict[str, Any]]]:
            return train(net, samples.x_train, y, training, rng=rng, options=options)

        if options.stored is None:
            return trained()
        return options.stored.network((samples.digest, "software"), net, trained, {})

    def _test(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Inputs and targets to test on."""
        how, samples = self.settings, self.samples
        count = how.evaluation.samples
        x, y = samples.x_test[:count], samples.y_test[:count]
        return x, targets_for(how.figures, outputs_of(self.given.module, x[:1]), y, "y_test")

    def _judge(
        self,
        variant: NetworkVariant,
        net: torch.nn.Module,
        test: tuple[torch.Tensor, torch.Tensor],
        tables: NetworkTables,
    ) -> None:
        """One variant: its figures on its chips at every time and on an ideal one, and its cost."""
        how = self.settings
        converted, rows = self.for_chips(net, variant)
        if how.hardware_training is None or how.hardware_training.trained_for == "each" or variant.default:
            tables.learnt([{"stage": f"for {variant.name}", "epoch": row["step"], "loss": row["loss"]} for row in rows])
        chips, activity = (
            converted.program(how.evaluation.chips, seed=how.seed, device=self.options.device),
            dict[str, Activity](),
        )
        batch = how.evaluation.batch
        found = evaluate(
            converted,
            list(zip(test[0].split(batch), test[1].split(batch), strict=True)),
            {name: COMPUTED[name] for name in how.figures},
            chips=chips,
            times_s=variant.times_s(how.evaluation.times_s),
            reference=None if how.hardware_training is None else net,
            activity=activity,
            progress=lambda done, total: self.progress(f"chips, {variant.name}", done, total),
        )
        tables.judged(variant, found)
        with torch.no_grad():
            if any(chip.compensation.mode != "off" for chip in variant.chips):
                for t_s in variant.times_s(how.evaluation.times_s):
                    tables.factors(variant, chips, t_s)
            cost = converted.cost(test[0][:1], observed=(chips, activity))
        tables.hardware(variant, converted, chips, cost)
        tables.cells(variant, chips.layers, how.evaluation.times_s)
