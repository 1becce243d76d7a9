"""The tables of a keyword-spotting run as they grow, and the figures drawn from them at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from mappings.columns import MappedConverter
from mappings.convert.chips import ProgrammedNetwork
from mappings.network.recurrent import MappedRecurrent
from mappings.network.wires import wire_notes
from mappings.priced import LayerOnChip, Priced
from periphery.prices.leakage import leakage_libraries, papers
from workloads.always_on import period_cost
from workloads.converter_tables import price_rows, ramp_rows, read_voltage_rows, temperature_rows
from workloads.kws.chips import JudgedNetwork
from workloads.kws.model import KeywordNet
from workloads.kws.panels import panels_of
from workloads.kws.prepare import Prepared
from workloads.kws.settings import KeywordSpotting, KeywordVariant, NumberFormat
from workloads.on_chips import ChipLedger
from workloads.recordings.clips import Clips
from workloads.result import SHARE, Comparison, Result
from workloads.statistics import interval, when

if TYPE_CHECKING:
    import pandas as pd

FIGURES = {"accuracy": SHARE}


@dataclass
class KeywordTables(ChipLedger):
    """``sizes``: clips in training and test; ``weights``: how a network that the user gave was read, or empty."""

    experiment: KeywordSpotting
    clips: Clips
    sizes: tuple[int, int] = (0, 0)
    weights: str = ""

    def given(self, how_read: str, net: KeywordNet) -> None:
        """A network of the user's, how it was read, and where chips cannot hold its biases."""
        self.weights = how_read
        self.note(how_read)
        bare = [each.name for each in self.experiment.variants if each.chip.bias != "row"]
        if bare and any(bool(bias.any()) for bias in net.biases):
            self.note(f"{', '.join(bare)}: chips without a row for biases hold the given network without its biases.")

    def software(self, split: int, accuracy: float, train: int, test: int) -> None:
        """Accuracy of the network before any hardware."""
        self.sizes = train, test
        self._accuracy("", "software", split, -1, 0.0, accuracy)

    def retrained(self, split: int, form: NumberFormat, accuracy: float) -> None:
        """Accuracy in float of the network that all chips of one number format hold."""
        for variant in self.experiment.variants:
            if NumberFormat.of(variant.chip) == form:
                self._accuracy(variant.name, "retrained", split, -1, 0.0, accuracy)

    def learning(self, split: int, rows: list[dict[str, Any]]) -> None:
        """Epochs of one training stage."""
        for row in rows:
            self.add("learning", split=split, **row)

    def judged(self, variant: KeywordVariant, data: Prepared, one: JudgedNetwork) -> None:
        """One variant on one split: accuracy on an ideal chip and on chips over time, cost and layout."""
        self._accuracy(variant.name, "quantised", data.number, -1, 0.0, one.ideal)
        for number, (t_s, answers, factors) in enumerate(one.answers):
            right = (answers == data.y_test).double().mean(dim=1)
            for chip, accuracy in enumerate(right.tolist()):
                self._accuracy(variant.name, "analog", data.number, chip, t_s, accuracy)
            self._compensation(variant.name, data.number, t_s, factors, one.chips)
            self.note_one_class(variant.name, t_s, answers.numpy(), self.clips.labels)
            if number == 0:
                self._confusion(variant.name, data.y_test, answers)
        if variant.name not in self.costs:
            self._hardware(variant, data, one)

    def _compensation(
        self,
        variant: str,
        split: int,
        t_s: float,
        factors: Mapping[str, Sequence[float | torch.Tensor]],
        chips: ProgrammedNetwork,
    ) -> None:
        """Factors by which drift is compensated, where they are measured."""
        for name, of_layer in factors.items():
            for converter, factor in zip(chips.layers[name].converters, of_layer, strict=True):
                if isinstance(factor, torch.Tensor):
                    where = {"layer": name, "function": converter.group.function.name}
                    for chip, value in enumerate(factor.mean(dim=(1, 2)).tolist()):
                        self.add(
                            "compensation", variant=variant, split=split, chip=chip, t_s=t_s, **where, factor=value
                        )

    def _confusion(self, variant: str, true: torch.Tensor, answers: torch.Tensor) -> None:
        """Which class is taken for which, over all chips."""
        labels = self.clips.labels
        pairs = torch.stack([true.expand_as(answers), answers]).flatten(1)
        counts = torch.bincount(pairs[0] * len(labels) + pairs[1], minlength=len(labels) ** 2)
        for index, count in enumerate(counts.tolist()):
            asked, given = divmod(index, len(labels))
            self.add("confusion", variant=variant, true=labels[asked], predicted=labels[given], count=count)

    def _hardware(self, variant: KeywordVariant, data: Prepared, one: JudgedNetwork) -> None:
        """Cost, layout, ramps and read-voltage sweep of one variant, from the first split."""
        chip, name, chips = variant.chip, variant.name, one.chips
        recurrent = {
            layer: mapped for layer, mapped in chips.mapped.layers.items() if isinstance(mapped, MappedRecurrent)
        }
        for mapped in recurrent.values():
            self._ranges(variant, mapped.converters)
        first, *others = one.cost(data.x_test[:1]).parts
        parts = [replace(first, clipped_inputs=data.clipped), *others]
        self.price(variant, Priced.of(parts, node_nm=chip.node_nm, components=chip.price_list()))
        self._leakage(variant, parts)
        for layer, mapped in recurrent.items():
            converters = mapped.shape.columns + (mapped.state.group.last if mapped.state else 0)
            price_rows(self, name, layer, chip, converters * data.x_test.shape[1], converters)
        self.cite.update(chip.cited)
        if chip.readout == "ramp":
            ramps = [
                (converter, float(layer.matrix.array.encoded.scale_S[0]))
                for layer in chips.layers.values()
                for converter in layer.converters
            ]
            ramp_rows(self, name, chip, ramps)
            for gate in chips.layers[next(iter(recurrent))].converters if variant.default else ():
                if gate.ramp is not None and gate.group.function.name == "sigmoid":
                    read_voltage_rows(self, chip, gate.ramp, rng=chips.rng)
                    temperature_rows(self, name, chip, gate.group.function, rng=chips.rng)
        self.note(*(f"{name}: {sentence}." for sentence in wire_notes(chips.layers)))
        self.written(variant, chips.layers)
        self.cells(variant, chips.layers, self.experiment.evaluation.times_s)
        self.taken_for_granted(variant)

    def _ranges(self, variant: KeywordVariant, converters: Sequence[MappedConverter]) -> None:
        """Ranges that training clips chose, and what they clip."""
        how = variant.chip.adc.calibration
        for converter in converters:
            if converter.ends_z is not None and how is not None:
                self.note(
                    f"{variant.name}: converters of {converter.group.function.name} columns have ranges calibrated on "
                    f"training clips ({how.method}, per {how.per}), which clip {converter.clipped:.2%} of what an "
                    "ideal chip gives there."
                )

    def _leakage(self, variant: KeywordVariant, layers: list[LayerOnChip]) -> None:
        """What the same chip leaks when its digital part is made of other libraries."""
        chip, duty = variant.chip, self.experiment.duty
        for library, record in leakage_libraries().items():
            records = replace(chip, leakage_library=library).price_list()
            there = [replace(one, components={**(one.components or {}), **records}) for one in layers]
            part = Priced.of(there, node_nm=chip.node_nm, components=records)
            row: dict[str, Any] = {"leakage_W": sum(line.leakage_W for line in part.lines)}
            if duty is not None:
                found = period_cost([part], duty.at(self.experiment.hop_s), node_nm=chip.node_nm)
                row |= {"period_J": found.energy_J, "average_power_W": found.average_power_W}
            chosen, node_nm = library == chip.leakage_library, record.node_nm
            self.add("leakage", variant=variant.name, library=library, library_node_nm=node_nm, chosen=chosen, **row)
        self.cite.update(papers())
        if variant.default:
            self.note(
                f"{variant.name}: leakage is that of the standard-cell library {chip.leakage_library} at "
                f"{chip.comparator.temperature_K:g} K; libraries differ by orders of magnitude (leakage.csv)."
            )

    def _accuracy(self, variant: str, stage: str, split: int, chip: int, t_s: float, accuracy: float) -> None:
        self.add("accuracy", variant=variant, stage=stage, split=split, chip=chip, t_s=t_s, accuracy=accuracy)

    def _converters(self) -> pd.DataFrame:
        """Accuracy and cost of every variant at its first time, by readout and bits: ramp beside conventional chain."""
        import pandas as pd

        accuracy, rows = pd.DataFrame(self.rows["accuracy"]), []
        for variant in self.experiment.variants:
            chip, cost = variant.chip, self.costs[variant.name]
            chips = accuracy[(accuracy.variant == variant.name) & (accuracy.stage == "analog")]
            chips = chips[chips.t_s == chips.t_s.min()]
            mean, low, high = interval(
                chips.groupby("split").accuracy.mean().to_numpy()
                if chips.split.nunique() > 1
                else chips.accuracy.to_numpy()
            )
            rows.append(
                {
                    "variant": variant.name,
                    "readout": chip.readout,
                    "device": chip.weights.device.kind,
                    "bits": chip.bits,
                    "adc_bits": chip.adc_bits if chip.readout == "conventional" else chip.bits,
                    "accuracy": mean,
                    "low": low,
                    "high": high,
                    **{name: cost[name] for name in ("area_m2", "energy_J", "latency_s")},
                }
            )
        return pd.DataFrame(rows)

    def finished(self, stages: dict[str, float]) -> Result:
        """Everything, once all splits are done."""
        tables = self.tables()
        tables["confusion"] = (
            tables["confusion"].groupby(["variant", "true", "predicted"], sort=False)["count"].sum().reset_index()
        )
        tables["converters"] = self._converters()
        panels = panels_of(tables, self.experiment.default.chip)
        accuracy, clips = tables["accuracy"], self.clips
        self.estimated_prices()
        if self.experiment.duty is not None and self.experiment.duty.mode == "continuous":
            self.note(
                "Accuracy was measured in mode window: clips of one second, each from an empty state and normalised as "
                "a whole, with the mean of the last hidden states as answer. With state carried for ever it was not "
                "measured, so the average power of mode continuous has no accuracy of its own."
            )
        self.note_still()
        default = accuracy[accuracy.variant == self.experiment.default.name]
        more: dict[str, Any] = {"weights": self.weights} if self.weights else {}
        if self._retrains:
            more["retrained"] = {"accuracy": float(default[default.stage == "retrained"].accuracy.mean())}
        data = clips.data(*self.sizes, self.experiment.data.splits)
        self.cite.add(clips.origin.bibtex)
        metrics = self.metrics(
            FIGURES,
            data,
            software={"accuracy": float(accuracy[accuracy.stage == "software"].accuracy.mean())},
            quantised={"accuracy": float(default[default.stage == "quantised"].accuracy.mean())},
            stages=self._stages(),
            variants=[self.variant_result(variant, FIGURES, accuracy) for variant in self.experiment.variants],
            comparisons=self._comparisons(accuracy),
            labels=clips.labels,
            panels=panels,
            **more,
        )
        return self.result(metrics, tables, data, stages)

    @property
    def _retrains(self) -> bool:
        return self.experiment.retrains(bool(self.weights))

    def _stages(self) -> dict[str, str]:
        """Which network each stage is of, and on what it is computed."""
        network = "the network given with --weights" if self.weights else "the network as first trained"
        stages = {"software": f"{network}, in float"}
        if self._retrains:
            how = self.experiment
            of = f"the error of the cells of {how.default.name}" if how.training.weight_noise is None else "as stated"
            stages["retrained"] = (
                f"that network after further training with the codes and normal errors of {100 * how.weight_noise:.2g} "
                f"% of the largest weight ({of}) for every variant, one network for each number format, in float"
            )
            network = "the retrained network"
        return stages | {
            "quantised": f"{network} on an ideal chip: codes and converters, no error of cells or circuits",
            "analog": f"{network} on chips",
        }

    def _comparisons(self, accuracy: pd.DataFrame) -> list[Comparison]:
        """Variant minus software on the same clips, chip by chip."""
        software = accuracy[accuracy.stage == "software"].set_index("split").accuracy
        out = []
        for variant in self.experiment.variants:
            rows = accuracy[(accuracy.variant == variant.name) & (accuracy.stage == "analog")]
            for t_s, part in rows.groupby("t_s"):
                difference = part.assign(value=part.accuracy - part.split.map(software))
                by_split = difference.groupby("split").value.mean()
                values = by_split.to_numpy() if len(by_split) > 1 else difference.value.to_numpy()
                mean, low, high = interval(values)
                over = "speaker splits (means over chips)" if len(by_split) > 1 else "chips of one speaker split"
                at = float(t_s)  # type: ignore[arg-type]
                out.append(
                    Comparison(
                        name=variant.name,
                        t_s=at,
                        text=f"{variant.name} {when(at)} minus software; 95 % interval over {over}",
                        metric="accuracy",
                        mean=mean,
                        low=low,
                        high=high,
                        n=len(values),
                        pairs=len(part),
                        aim=-variant.aim / 100 if variant.aim is not None and t_s == variant.aim_t_s else None,
                    )
                )
        return out
