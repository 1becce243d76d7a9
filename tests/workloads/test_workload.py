"""A workload of the user's own, put into the registry, is read from YAML, run, reported and swept like the others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

import mho
from devices import ChipStreams, InputError, Stream
from mappings.activity import Activity
from mappings.chip import Chip
from mappings.network.dense import DenseLayer
from mappings.network.network import Network, Node, ProgrammedNetwork
from mho.sweep.command import sweep
from workloads import WORKLOADS, RunOptions, Workload
from workloads.experiment import Experiment, Variant
from workloads.ledger import Ledger, Priced, compared, layers_of
from workloads.result import SHARE, Data, Quality, Result, VariantResult
from workloads.running import ExperimentRun, named, one_thread

FIGURES = {"right": SHARE}


@dataclass(frozen=True, kw_only=True)
class FlowerVariant(Variant):
    """One chip to compare."""

    chip: Chip


@dataclass(frozen=True, kw_only=True)
class FlowerEvaluation:
    """How chips are judged."""

    chips: int = 2
    times_s: tuple[float, ...] = (0.0,)


@dataclass(frozen=True, kw_only=True)
class Flowers(Experiment[FlowerVariant]):
    """Three species of iris by one dense layer."""

    kind: Literal["flowers"] = "flowers"
    name: str = "flowers"
    chip: Chip
    variants: tuple[FlowerVariant, ...]
    evaluation: FlowerEvaluation = FlowerEvaluation()


@dataclass
class FlowerRun(ExperimentRun[Flowers]):
    """Find, train, map, score."""

    ledger: Ledger = field(init=False)

    def run(self) -> Result:
        """The whole job."""
        how, table = self.settings, load_iris()
        self.ledger = Ledger(how)
        x = torch.from_numpy(table.data / np.abs(table.data).max(0)).float()
        even = np.arange(len(x)) % 2 == 0
        with self.stage("training"):
            trained = LogisticRegression(C=10.0).fit(x[even], table.target[even])
        asked, classes = x[~even], torch.from_numpy(table.target[~even])
        software = np.array([trained.score(asked, classes)])
        results, comparisons = [], []
        for variant in how.variants:
            with named(variant.name):
                layer = DenseLayer.from_torch(
                    torch.from_numpy(trained.coef_).float(), torch.from_numpy(trained.intercept_).float(), limit=20.0
                )
                rng = ChipStreams.of(Stream.root(how.seed).child("chips"), how.evaluation.chips)
                chips = Network({"output": Node(layer)}).map(variant.chip).program(rng=rng)
            shares = self._score(variant, chips, asked, classes)
            first = shares[0.0]
            comparisons.append(compared(variant.name, "right", f"{variant.name} minus software", first, software))
            results.append(
                VariantResult(
                    name=variant.name,
                    default=variant.default,
                    device=variant.chip.weights.device.kind,
                    quality=tuple(Quality.of(t_s, len(each), {"right": each}) for t_s, each in shares.items()),
                    cost=self.ledger.costs[variant.name],
                )
            )
        data = Data(name="iris", digest="", synthetic=False, train=75, test=75, splits=1)
        self.ledger.estimated_prices()
        metrics = self.ledger.metrics(
            FIGURES, data, software={"right": float(software[0])}, variants=results, comparisons=comparisons, panels=()
        )
        return self.ledger.result(metrics, self.ledger.tables(), data, self.stages)

    def _score(
        self, variant: FlowerVariant, chips: ProgrammedNetwork, x: torch.Tensor, y: torch.Tensor
    ) -> dict[float, np.ndarray]:
        """Share of right answers of every chip at every time, and what the chip costs."""
        seen: dict[str, Activity] = {}
        shares: dict[float, np.ndarray] = {}
        for t_s in self.settings.evaluation.times_s:
            answers = chips.at(t_s).run(x, activity=None if shares else seen).argmax(-1)
            shares[t_s] = (answers == y).double().mean(1).numpy()
            for chip, right in enumerate(shares[t_s].tolist()):
                row = {"variant": variant.name, "stage": "analog", "split": 0, "chip": chip, "t_s": t_s}
                self.ledger.add("accuracy", **row, right=right)
        layers, prices = layers_of(chips, seen), chips.mapped.components()
        self.ledger.price(variant, Priced.of(layers, node_nm=variant.chip.node_nm, components=prices))
        return shares


def run(settings: Flowers, options: RunOptions) -> Result:
    with one_thread():
        return FlowerRun(settings, options).run()


FILE = """
kind: flowers
name: mine
chip: {weights: {device: rram_taox}, ramp: {device: rram_taox}, readout: conventional}
variants: [{name: taox, default: true}, {name: pcm, chip: {weights: {device: pcm}}}]
"""


@pytest.fixture
def flowers() -> Iterator[None]:
    WORKLOADS["flowers"] = Workload(settings=Flowers, figures=FIGURES, run=run)
    yield
    del WORKLOADS["flowers"]


def test_a_workload_of_ones_own_runs_and_is_reported(tmp_path: Path, flowers: None) -> None:
    (tmp_path / "mine.yaml").write_text(FILE)
    metrics = mho.run(str(tmp_path / "mine.yaml"), output=tmp_path / "run")
    assert metrics["software"]["right"] > 0.9
    assert [variant["name"] for variant in metrics["variants"]] == ["taox", "pcm"]
    for variant in metrics["variants"]:
        assert variant["quality"][0]["right"]["mean"] > 0.8
        lines = pd.read_csv(tmp_path / "run" / "components.csv").query("variant == @variant['name']")
        assert variant["cost"]["energy_J"] == pytest.approx(lines.energy_J.sum())
    assert "taox" in (tmp_path / "run" / "report.html").read_text()


def test_a_sweep_asks_its_record_for_its_figures(tmp_path: Path, flowers: None) -> None:
    file = tmp_path / "sweep.yaml"
    (tmp_path / "mine.yaml").write_text(FILE)
    file.write_text("base: mine.yaml\naxes: {chip.bits: [3, 6]}\noutputs: [right, right_std, energy_J]\n")
    table = sweep(str(file), output=tmp_path / "out").table
    assert table["right"].iloc[1] > 0.8
    assert (table["energy_J"] > 0).all()
    file.write_text("base: mine.yaml\naxes: {chip.bits: [3, 6]}\noutputs: [accuracy]\n")
    with pytest.raises(InputError, match=r"outputs\[0\]: must be one of right, right_std, software_right"):
        sweep(str(file), output=tmp_path / "other")


def test_settings_under_another_name_than_their_kind_are_refused(tmp_path: Path) -> None:
    WORKLOADS["iris"] = Workload(settings=Flowers, figures=FIGURES, run=run)
    try:
        (tmp_path / "mine.yaml").write_text(FILE.replace("kind: flowers", "kind: iris"))
        with pytest.raises(TypeError, match=r"Flowers\.kind must be 'iris'"):
            mho.run(str(tmp_path / "mine.yaml"))
    finally:
        del WORKLOADS["iris"]
