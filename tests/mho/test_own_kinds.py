"""A class of the user's own, put into a registry before anything is read, is as good as a shipped one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
import torch

import mho
from devices.effects import Draws, Marks, Window
from mho.catalogue import TYPES
from mho.config.read import json_schema
from mho.listings import LISTINGS, listing

EXPERIMENT = """
description: Parts of the user's own, on a short training
extends: kws_tiny
name: mine
training: {software: {steps: 8}, aware: {steps: 4}}
chip:
  weights:
    device: {kind: mine_cell, error_S: 1.0e-6, effects: [{kind: mine_loss, share: 0.01}]}
    encoding: {kind: mine_encoding}
  driver: {kind: mine_driver}
variants:
  - {name: ramp, default: true}
  - {name: linear, chip: {readout: conventional, adc: {converter: {kind: mine_adc}, activation: {kind: mine_unit}}}}
evaluation: {chips: 2, times_s: [0.0]}
"""


@dataclass(frozen=True, kw_only=True)
class MyCell(mho.Device):
    """A cell with one error at every level."""

    kind: Literal["mine_cell"] = "mine_cell"
    g_min_S: float = 1e-6
    g_max_S: float = 50e-6
    error_S: float = 0.0

    def programming_sigma_S(self, target_S: torch.Tensor) -> torch.Tensor:
        return torch.full_like(target_S, self.error_S)


@dataclass(frozen=True, kw_only=True)
class MyLoss(mho.Effect):
    """A share of every conductance is lost at once."""

    kind: Literal["mine_loss"] = "mine_loss"
    stage: ClassVar[str] = "cell"
    share: float = 0.0

    def marks(self, target_S: torch.Tensor, window: Window, *, draws: Draws) -> Marks:
        return {}

    def left_S(self, programmed_S: torch.Tensor, marks: Marks, window: Window) -> torch.Tensor:
        return programmed_S * (1.0 - self.share)


@dataclass(frozen=True, kw_only=True)
class MyEncoding(mho.DifferentialPair):
    """Four cells a polarity."""

    kind: Literal["mine_encoding"] = "mine_encoding"  # type: ignore[assignment]
    cells: int = 4


@dataclass(frozen=True, kw_only=True)
class MyDriver(mho.PWMDriver):
    """Pulses of twice the length."""

    kind: Literal["mine_driver"] = "mine_driver"  # type: ignore[assignment]
    t_clk_s: float = 2e-9


@dataclass(frozen=True, kw_only=True)
class MyADC(mho.SAR):
    """Successive approximation with a noisy comparator."""

    kind: Literal["mine_adc"] = "mine_adc"  # type: ignore[assignment]
    noise_V: float = 1e-4


@dataclass(frozen=True, kw_only=True)
class MyUnit(mho.PiecewiseLinear):
    """Straight pieces, many of them."""

    kind: Literal["mine_unit"] = "mine_unit"  # type: ignore[assignment]
    segments: int = 64


OWN: list[tuple[dict[str, Any], type]] = [
    (mho.DEVICES, MyCell),
    (mho.EFFECTS, MyLoss),
    (mho.ENCODINGS, MyEncoding),
    (mho.DRIVERS, MyDriver),
    (mho.ADCS, MyADC),
    (mho.ACTIVATIONS, MyUnit),
]
KINDS = [class_.kind for _, class_ in OWN]  # type: ignore[attr-defined]


@pytest.fixture
def own_kinds() -> Iterator[None]:
    for (registry, class_), kind in zip(OWN, KINDS, strict=True):
        registry[kind] = class_
    yield
    for (registry, _), kind in zip(OWN, KINDS, strict=True):
        del registry[kind]


@pytest.fixture
def experiment(tmp_path: Path) -> str:
    (tmp_path / "mine.yaml").write_text(EXPERIMENT, encoding="utf-8")
    return str(tmp_path / "mine.yaml")


def test_an_experiment_runs_with_kinds_of_ones_own(own_kinds: None, experiment: str, tmp_path: Path) -> None:
    pytest.importorskip("espeakng_loader", reason="without it there are no words to recognise")
    found = mho.run(experiment, output=tmp_path / "run")
    assert [variant["device"] for variant in found["variants"]] == ["mine_cell", "mine_cell"]
    assert all(variant["cost"]["energy_J"] > 0.0 for variant in found["variants"])
    resolved = (tmp_path / "run" / "config.resolved.yaml").read_text(encoding="utf-8")
    assert all(f"kind: {kind}\n" in resolved for kind in KINDS)


def test_schema_and_listings_show_kinds_of_ones_own(own_kinds: None) -> None:
    schema = json.dumps(json_schema(TYPES["chip"]))
    assert all(f'"const": "{kind}"' in schema for kind in KINDS)
    listed = {name for kind in LISTINGS for name in listing(kind)}
    assert set(KINDS[1:]) <= listed, "of cells, records are listed"


def test_a_kind_that_left_the_registry_is_unknown_again(experiment: str) -> None:
    with pytest.raises(mho.InputError) as caught:
        mho.read_config(experiment, TYPES["experiment"])
    message = str(caught.value)
    assert all(f"(got the text '{kind}')" in message for kind in KINDS if kind != "mine_loss"), message
    assert "mine_loss" not in message, "effects of a cell that is unknown are not looked at"


def test_a_class_under_another_name_than_its_kind_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(mho.DEVICES, "another", MyCell)
    with pytest.raises(TypeError, match=r"MyCell\.kind must be 'another', its name in the registry"):
        mho.read_config("pcm", TYPES["device"], folder="devices")
