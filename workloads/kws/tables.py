"""The tables of a keyword-spotting run as they grow, and the figures drawn from them at the end."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from scipy import stats

from devices import SONOS, Device
from devices.effects import Stuck, Temperature
from mappings.activity import Activity
from mappings.chip import Chip
from mappings.chip_wires import NodeWires
from mappings.cost import CostLine, price, shares, summarise
from mappings.network.network import ProgrammedNetwork
from mappings.network.writing import write_lines
from mappings.trace import trace
from periphery import Function, RampConverter
from periphery.functions.function import threshold_levels
from periphery.prices.adc import ADC_PRICES, adc_price
from periphery.ramp.read_temperature import temperature_sweep
from periphery.ramp.read_voltage import read_voltage_sweep
from workloads.kws.panels import panels_of
from workloads.recordings.clips import Clips
from workloads.result import Result

if TYPE_CHECKING:
    from workloads.kws.run import KeywordSpotting, Prepared, Variant

ADC_MODELS = tuple(ADC_PRICES)
READ_VOLTAGES_V = tuple(round(0.15 + 0.01 * step, 2) for step in range(11))
TEMPERATURES_K = (233.0, 253.0, 273.0, 300.0, 328.0, 358.0, 398.0)
READ_VOLTAGE_INPUTS = 4001  # fewer fall into step with the codes: 201 gave a shift 7 % off
PLOTTED_CHIPS = 4


@dataclass
class Tables:
    """Rows by table, and what the headline figures need."""

    experiment: KeywordSpotting
    clips: Clips
    notes: list[str]
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    costs: dict[str, dict[str, float]] = field(default_factory=dict)
    cost_lines: dict[str, list[CostLine]] = field(default_factory=dict)
    events: dict[str, Any] = field(default_factory=dict)
    sizes: tuple[int, int] = (0, 0)
    cite: set[str] = field(default_factory=set)
    still: list[str] = field(default_factory=list)

    def add(self, table: str, **row: Any) -> None:
        """One row more."""
        self.rows.setdefault(table, []).append(row)

    def note(self, sentence: str) -> None:
        """A sentence that the reader must see, once."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    def software(self, split: int, accuracy: float, train: int, test: int) -> None:
        """Accuracy of the network before any hardware."""
        self.sizes = train, test
        self._accuracy("", "software", split, -1, 0.0, accuracy)

    def quantised(self, variant: Variant, split: int, accuracy: float) -> None:
        """Accuracy on an ideal chip: what codes alone cost."""
        self._accuracy(variant.name, "quantised", split, -1, 0.0, accuracy)

    def learning(self, split: int, rows: list[dict[str, Any]]) -> None:
        """Epochs of one training stage."""
        for row in rows:
            self.add("learning", split=split, **row)

    def analog(
        self,
        variant: Variant,
        data: Prepared,
        t_s: float,
        answers: torch.Tensor,
        factors: list[float | torch.Tensor],
        chips: ProgrammedNetwork,
        *,
        first: bool,
    ) -> None:
        """Answers ``(chips, n)`` of one variant at one time."""
        right = (answers == data.y_test).double().mean(dim=1)
        for chip, accuracy in enumerate(right.tolist()):
            self._accuracy(variant.name, "analog", data.number, chip, t_s, accuracy)
        for converter, factor in zip(chips.layers["recurrent"].converters, factors, strict=True):
            if isinstance(factor, torch.Tensor):
                for chip, value in enumerate(factor.mean(dim=(1, 2)).tolist()):
                    self.add(
                        "compensation",
                        variant=variant.name,
                        split=data.number,
                        chip=chip,
                        t_s=t_s,
                        layer="recurrent",
                        function=converter.group.function.name,
                        factor=value,
                    )
        if first:
            labels = self.clips.labels
            pairs = torch.stack([data.y_test.expand_as(answers), answers]).flatten(1)
            counts = torch.bincount(pairs[0] * len(labels) + pairs[1], minlength=len(labels) ** 2)
            for index, count in enumerate(counts.tolist()):
                true, predicted = divmod(index, len(labels))
                self.add("confusion", variant=variant.name, true=labels[true], predicted=labels[predicted], count=count)

    def hardware(
        self, variant: Variant, data: Prepared, chips: ProgrammedNetwork, seen: dict[str, Activity], *, steps: int
    ) -> None:
        """Cost, layout, ramps and read-voltage sweep of one variant, from the first split."""
        if variant.name in self.costs:
            return
        chip, records = variant.chip, chips.mapped.components()
        for converter in chips.mapped.layers["recurrent"].converters:
            if converter.ends_z is not None and chip.adc.calibration is not None:
                self.note(
                    f"{variant.name}: converters of {converter.group.function.name} columns have ranges calibrated on "
                    f"training clips ({chip.adc.calibration.method}, per {chip.adc.calibration.per}), which clip "
                    f"{converter.clipped:.2%} of what an ideal chip gives there."
                )
        layers = list(chips.mapped.actions(chips.observed(seen), steps=steps).values())
        latency_s = sum(layer.latency_s * layer.steps for layer in layers)
        lines: list[CostLine] = []
        for actions, (layer, programmed) in zip(layers, chips.layers.items(), strict=True):
            own = price(actions, node_nm=chip.node_nm, components=records, latency_s=latency_s, variant=variant.name)
            lines += own
            step = summarise(own, actions.latency_s, actions.ops)
            shape = programmed.mapped.shape
            self.add(
                "layers",
                variant=variant.name,
                layer=layer,
                rows=shape.rows,
                columns=shape.columns,
                cells=shape.cells,
                tiles=shape.row_tiles * shape.column_tiles,
                steps=int(actions.steps),
                ops=actions.ops,
                area_m2=step["area_m2"],
                energy_J=step["energy_J"] / actions.steps,
                leakage_W=step["leakage_W"],
                latency_s=step["latency_s"],
                clipped_weights=programmed.matrix.array.encoded.clipped,
                clipped_inputs=data.clipped if layer == "recurrent" else 0.0,
            )
            for task in actions.tasks:
                self.add(
                    "schedule",
                    variant=variant.name,
                    layer=layer,
                    task=task.name,
                    resource=task.resource,
                    start_s=task.start_s,
                    duration_s=task.duration_s,
                )
            for sentence in actions.notes:
                self.note(f"{variant.name}: {sentence}.")
        self.cost_lines[variant.name] = lines
        self.costs[variant.name] = summarise(lines, latency_s, sum(layer.ops * layer.steps for layer in layers))
        for line in lines:
            self.add("components", **asdict(line))
            self.cite.update(records[line.component].cite if line.component in records else ())
        if variant.default:
            self.events = trace(
                [task for layer in layers for task in layer.tasks],
                title=f"{self.experiment.name}: one step of each layer, {variant.name}",
            )
        self._prices(variant, chips)
        self.cite.update(chip.cited)
        if chip.readout == "ramp":
            self._ramps(variant, chips)
        self._written(variant, chips)
        self._taken_for_granted(variant)

    def _written(self, variant: Variant, chips: ProgrammedNetwork) -> None:
        """What writing took, where cells are written by program-and-verify."""
        lines = [line for layer in chips.layers.values() for line in write_lines(layer)]
        for line in lines:
            self.add("writes", variant=variant.name, **asdict(line))
        if lines:
            how, cells = variant.chip.weights, sum(line.cells for line in lines)
            given_up = sum(line.not_converged_share * line.cells for line in lines) / cells
            self.note(
                f"{variant.name}: writing its {cells} cells once takes {sum(line.energy_J for line in lines):.3g} J "
                f"and {sum(line.time_s for line in lines):.3g} s with {how.write_rows} x {how.write_columns} weights "
                f"at once, pulses and verify reads alone; verifying gave up on {given_up:.1%} of the cells. It is in "
                "none of the costs per inference."
            )

    def _taken_for_granted(self, variant: Variant) -> None:
        """What a reader should know of this variant's cells and wires."""
        chip = variant.chip
        if not chip.drifts:
            self.still.append(variant.name)
        for cell in chip.cells:
            if isinstance(cell, SONOS) and cell.v_read_V != chip.driver.v_read_V:
                self.note(
                    f"{variant.name}: the currents of sonos were measured at {cell.v_read_V:g} V; at "
                    f"{chip.driver.v_read_V:g} V they are taken as proportional to the voltage (an assumption)."
                )
        if isinstance(chip.wires, NodeWires) and chip.lines is not None:
            node_nm = chip.node_nm if chip.wires.node_nm is None else chip.wires.node_nm
            self.note(
                f"{variant.name}: wires of {node_nm:g} nm, {chip.lines.r_word_ohm:.3g} ohm and "
                f"{chip.lines.r_bit_ohm:.3g} ohm a cell along word and bit lines: {chip.wires.source}."
            )

    def _accuracy(self, variant: str, stage: str, split: int, chip: int, t_s: float, accuracy: float) -> None:
        self.add("accuracy", variant=variant, stage=stage, split=split, chip=chip, t_s=t_s, accuracy=accuracy)

    def _prices(self, variant: Variant, chips: ProgrammedNetwork) -> None:
        """What each price model says of one conversion of this variant's gates."""
        chip = variant.chip
        bits = chip.adc_bits if chip.readout == "conventional" else chip.bits
        for model in ADC_MODELS:
            quote = adc_price(model).price(bits, chip.adc.rate_per_s, chip.node_nm)
            self.add(
                "prices",
                variant=variant.name,
                component=f"{bits}-bit converter",
                model=model,
                energy_J=quote.energy_J,
                area_m2=quote.area_m2,
                chosen=chip.readout == "conventional" and model == chip.adc.price,
                source=quote.source,
            )
        if chip.readout == "ramp":
            lines = [x for x in self.cost_lines[variant.name] if x.layer == "recurrent" and x.group == "adc"]
            recurrent = chips.mapped.layers["recurrent"]
            per_step = recurrent.shape.columns + (recurrent.state.group.last if recurrent.state else 0)
            steps = next(row["steps"] for row in self.rows["layers"] if row["variant"] == variant.name)
            self.add(
                "prices",
                variant=variant.name,
                component=f"{bits}-bit converter",
                model="nonlinear ramp (this chip)",
                energy_J=sum(line.energy_J for line in lines) / (per_step * steps),
                area_m2=sum(line.area_m2 for line in lines) / per_step,
                chosen=True,
                source="all components of group adc of the recurrent layer, over its conversions and columns; "
                "it includes the integrators and computes the activation",
            )

    def _ramps(self, variant: Variant, chips: ProgrammedNetwork) -> None:
        """Ramps as programmed: thresholds, nonlinearity, what was lost."""
        recurrent, output = chips.layers["recurrent"], chips.layers["output"]
        for converter in (*recurrent.converters, *output.converters):
            ramp, design = converter.ramp, converter.design
            assert ramp is not None
            assert design is not None
            raw, calibrated = replace(ramp.ramp, bias=()).read(0.0), ramp.ramp.read(0.0)
            inl = {"raw": raw.inl_lsb()[:, 0], "calibrated": calibrated.inl_lsb()[:, 0]}
            name = design.function.name
            array = (recurrent if name != "identity" else output).matrix.array
            per_z = float(array.encoded.scale_S[0]) / variant.chip.driver.lsb(variant.chip.bits)
            self.add(
                "ramps",
                variant=variant.name,
                function=name,
                bits=design.bits,
                device=variant.chip.ramp.device.kind,
                cells=design.cells,
                clocks=design.ramp_clocks,
                max_over_min_step=design.max_over_min_step,
                lost_steps=design.lost_steps,
                capacitor_ratio=design.unit_S / per_z,
                inl_mean_raw_lsb=float(inl["raw"].abs().mean()),
                inl_max_raw_lsb=float(inl["raw"].abs().amax(-1).mean()),
                inl_mean_lsb=float(inl["calibrated"].abs().mean()),
                inl_max_lsb=float(inl["calibrated"].abs().amax(-1).mean()),
            )
            if design.lost_steps:
                self.note(
                    f"{variant.name}: {design.lost_steps} steps of the {name} ramp do not fit its cells; "
                    f"{design.lost_z:.3g} of its input range is lost."
                )
            if name == "identity":
                continue
            levels = threshold_levels(design.function, design.bits)
            for stage, read in (("raw", raw), ("calibrated", calibrated)):
                found = read.thresholds()[:PLOTTED_CHIPS, 0]
                for chip in range(len(found)):
                    for k in range(len(levels)):
                        self.add(
                            "ramp",
                            variant=variant.name,
                            function=name,
                            chip=chip,
                            stage=stage,
                            k=k + 1,
                            y=float(levels[k]),
                            threshold_ideal=float(design.theta[k]),
                            threshold=float(found[chip, k]),
                            inl_lsb=float(inl[stage][chip, k]),
                        )
            if variant.default and name == "sigmoid":
                self._read_voltages(variant, ramp, chips)
                self._temperatures(variant, design.function, chips)

    def _read_voltages(self, variant: Variant, ramp: RampConverter, chips: ProgrammedNetwork) -> None:
        comparator, driver = variant.chip.comparator, variant.chip.driver
        inputs = READ_VOLTAGE_INPUTS
        draw = chips.rng.child("read voltage")
        for size in (0.0, 1.0):
            for shift in read_voltage_sweep(
                ramp.ramp.read(0.0),
                v_design_V=driver.v_design_V,
                v_read_V=READ_VOLTAGES_V,
                swing_V=comparator.swing_V,
                offset_V=size * comparator.offset_V * draw.child("offset").normal((inputs,)).double(),
                noise_V=size * comparator.noise_V * draw.child("noise").normal((inputs,)).double(),
                adc_bits=variant.chip.adc_bits,
            ):
                self.add("vread", **asdict(shift))

    def _temperatures(self, variant: Variant, function: Function, chips: ProgrammedNetwork) -> None:
        chip = variant.chip
        weights, own = without_maps(chip.weights.device), []
        for device in (weights, chip.ramp.device):
            own += [any(isinstance(effect, Temperature) for effect in device.effects)]
        if own[0] != own[1]:
            self.note(
                f"{variant.name}: one of weights and ramp has a temperature effect and the other has none: codes were "
                "not swept over temperature."
            )
            return
        for shift in temperature_sweep(
            weights,
            chip.ramp,
            function,
            chip.bits,
            temperatures_K=TEMPERATURES_K,
            adc_bits=chip.adc_bits,
            v_read_V=chip.driver.v_read_V,
            rng=chips.rng.child("temperature"),
        ):
            self.add("temperature", **asdict(shift))

    def _converters(self) -> pd.DataFrame:
        """Accuracy and cost of every variant at its first time, by readout and bits: ramp beside conventional chain."""
        accuracy, rows = pd.DataFrame(self.rows["accuracy"]), []
        for variant in self.experiment.variants:
            chip, cost = variant.chip, self.costs[variant.name]
            own = accuracy[(accuracy.variant == variant.name) & (accuracy.stage == "analog")]
            own = own[own.t_s == own.t_s.min()]
            mean, low, high = interval(
                own.groupby("split").accuracy.mean().to_numpy() if own.split.nunique() > 1 else own.accuracy.to_numpy()
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

    @property
    def headline(self) -> Chip:
        """The chip of the default variant."""
        return next(variant.chip for variant in self.experiment.variants if variant.default)

    def result(self, stages: dict[str, float]) -> Result:
        """Everything, once all splits are done."""
        tables = {name: pd.DataFrame(rows) for name, rows in self.rows.items()}
        tables["confusion"] = (
            tables["confusion"].groupby(["variant", "true", "predicted"], sort=False)["count"].sum().reset_index()
        )
        tables["converters"] = self._converters()
        panels = panels_of(tables, self.headline)
        accuracy = tables["accuracy"]
        experiment, clips = self.experiment, self.clips
        variants = []
        for variant in experiment.variants:
            chip, own = variant.chip, accuracy[(accuracy.variant == variant.name) & (accuracy.stage == "analog")]
            quality = [
                {
                    "t_s": t_s,
                    "chips": int(part.chip.nunique()),
                    "accuracy": {"mean": float(part.accuracy.mean()), "std": float(part.accuracy.std(ddof=0))},
                }
                for t_s, part in own.groupby("t_s")
            ]
            variants.append(
                {
                    "name": variant.name,
                    "default": variant.default,
                    "device": chip.weights.device.kind,
                    "ramp_device": chip.ramp.device.kind if chip.readout == "ramp" else None,
                    "readout": chip.readout,
                    "compensation": chip.compensation.mode,
                    "bits": chip.bits,
                    "quality": quality,
                    "cost": self.costs[variant.name],
                }
            )
        default = next(variant for variant in experiment.variants if variant.default)
        self._guesses(default.name)
        if self.still:
            self.note(
                f"Nothing in the model of {', '.join(self.still)} changes with time (drift and retention are not "
                "established for those cells, or switched off): they are read at one time, and that figure stands for "
                "all."
            )
        quantised = accuracy[(accuracy.variant == default.name) & (accuracy.stage == "quantised")].accuracy
        data = {
            "name": clips.data_name,
            "digest": clips.digest,
            "synthetic": clips.synthetic,
            "source": clips.source,
            "note": " ".join(clips.notes),
            "train": self.sizes[0],
            "test": self.sizes[1],
            "splits": experiment.data.splits,
        }
        metrics = {
            "data": {key: data[key] for key in ("name", "digest", "synthetic", "train", "test", "splits")},
            "metrics": {"accuracy": {"higher_is_better": True, "unit": "1"}},
            "software": {"accuracy": float(accuracy[accuracy.stage == "software"].accuracy.mean())},
            "quantised": {"accuracy": float(quantised.mean())},
            "variants": variants,
            "comparisons": self._comparisons(accuracy),
            "notes": self.notes,
            "labels": list(clips.labels),
        }
        self.cite.update((*experiment.cite, clips.bibtex))
        cite = tuple(sorted(key for key in self.cite if key))
        return Result(metrics, tables, self.events, data, dict(stages), cite, panels)

    def _comparisons(self, accuracy: pd.DataFrame) -> list[dict[str, Any]]:
        """Variant minus software on the same clips, chip by chip."""
        software = accuracy[accuracy.stage == "software"].set_index("split").accuracy
        out = []
        for variant in self.experiment.variants:
            own = accuracy[(accuracy.variant == variant.name) & (accuracy.stage == "analog")]
            for t_s, part in own.groupby("t_s"):
                difference = part.assign(value=part.accuracy - part.split.map(software))
                by_split = difference.groupby("split").value.mean()
                values = by_split.to_numpy() if len(by_split) > 1 else difference.value.to_numpy()
                mean, low, high = interval(values)
                over = "speaker splits (means over chips)" if len(by_split) > 1 else "chips of one speaker split"
                out.append(
                    {
                        "name": variant.name,
                        "t_s": float(t_s),  # type: ignore[arg-type]
                        "text": f"{variant.name} {when(float(t_s))} minus software; 95 % interval over {over}",  # type: ignore[arg-type]
                        "metric": "accuracy",
                        "mean": mean,
                        "low": low,
                        "high": high,
                        "n": len(values),
                        "pairs": len(part),
                        "aim": -variant.aim / 100 if variant.aim is not None and t_s == variant.aim_t_s else None,
                    }
                )
        return out

    def _guesses(self, variant: str) -> None:
        """How much of the headline cost rests on fitted and estimated prices."""
        found = shares(self.cost_lines[variant], "status")
        for status in ("fitted", "estimate"):
            if status in found:
                self.note(
                    f"{variant}: prices marked {status!r} make {found[status].energy_share:.1%} of its energy and "
                    f"{found[status].area_share:.1%} of its area."
                )


def without_maps(device: Device) -> Device:
    """The same cells without mapped defects, which belong to arrays of one shape."""
    effects = tuple(effect for effect in device.effects if not (isinstance(effect, Stuck) and effect.map_file))
    return replace(device, effects=effects)


def interval(values: np.ndarray[Any, np.dtype[np.float64]]) -> tuple[float, float, float]:
    """Mean of ``values`` and its 95 % interval by Student's t; no width from a single value."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return mean, float("nan"), float("nan")
    half = float(stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))
    return mean, mean - half, mean + half


def when(t_s: float) -> str:
    """A time after programming in words."""
    for seconds, name in ((86400.0, "day"), (3600.0, "h"), (1.0, "s")):
        if t_s >= seconds:
            count = f"{t_s / seconds:g}"
            return f"after {count} {name}{'s' if name == 'day' and count != '1' else ''}"
    return "right after programming" if t_s == 0.0 else f"after {t_s:g} s"
