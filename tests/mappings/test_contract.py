"""Every kind of layer keeps the contract of ``mappings.contract``: four steps, and a cost without cells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch

from devices import PCM, BlockNoise, ChipStreams, Stream
from mappings.chip import Chip, Weights
from mappings.contract import Layer, ProgrammedLayer
from mappings.cost import price, summarise
from mappings.network.actions import GATES, Cell
from mappings.network.dense import DenseLayer
from mappings.network.recurrent import RecurrentLayer
from mappings.network.torch_cells import TORCH_ORDER
from periphery import RampColumn

INPUTS, OUTPUTS, SAMPLES, STEPS, DAY_S = 11, 6, 8, 3, 86400.0
CELL = PCM(read_noise_S=1e-7)
CHIP = Chip(rows=8, columns=10, weights=Weights(device=CELL), ramp=RampColumn(device=CELL))


@dataclass(frozen=True)
class Kind:
    """A kind of layer: one made of tensors on a device, the chip that it is mapped to, and inputs of a run."""

    layer: Callable[[str], Layer]
    inputs: Callable[[], Any]
    chip: Any = CHIP
    node_nm: float = CHIP.node_nm
    shape_suffices: bool = True  # whether weights on the meta device can be mapped


def tensor(device: str, *shape: int) -> torch.Tensor:
    if device == "meta":
        return torch.empty(shape, device=device)
    return torch.randn(shape, generator=torch.Generator().manual_seed(len(shape))) / 3


def dense(device: str) -> DenseLayer:
    return DenseLayer.from_torch(tensor(device, OUTPUTS, INPUTS), tensor(device, OUTPUTS), limit=4.0)


def recurrent(cell: Cell) -> Callable[[str], RecurrentLayer]:
    def made(device: str) -> RecurrentLayer:
        columns = len(TORCH_ORDER[cell]) * OUTPUTS
        shapes = (columns, INPUTS), (columns, OUTPUTS), (columns,)
        second = tensor(device, columns) if cell == "gru_after" else None
        tensors = [tensor(device, *shape) for shape in shapes]
        return RecurrentLayer.from_torch(cell, *tensors, bias_hh=second, reset="before")

    return made


def pulses(*shape: int) -> Callable[[], torch.Tensor]:
    return lambda: CHIP.driver.counts(tensor("cpu", *shape), CHIP.bits)


# A kind that joins the contract is one line more here.
KINDS: dict[str, Kind] = {
    "dense": Kind(dense, pulses(1, SAMPLES, INPUTS)),
    **{cell: Kind(recurrent(cell), pulses(SAMPLES, STEPS, INPUTS)) for cell in GATES},
}

each_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def streams() -> ChipStreams:
    return ChipStreams.of(Stream.root(4), 2)


def answers(programmed: ProgrammedLayer, kind: Kind, t_s: float) -> Any:
    return programmed.at(t_s).run(kind.inputs(), noise=BlockNoise(streams().child("read"), [0], SAMPLES))


@each_kind
def test_mapping_and_pricing_draw_nothing(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> Any:
        raise AssertionError("a random number was asked for")

    monkeypatch.setattr(Stream, "torch", fail)
    monkeypatch.setattr(Stream, "numpy", fail)
    for device in ("cpu", "meta") if kind.shape_suffices else ("cpu",):
        mapped = kind.layer(device).map(kind.chip, name="one")
        assert mapped.name == "one"
        assert 0.0 < mapped.grid.utilisation <= 1.0
        assert mapped.actions().instances


@each_kind
def test_the_price_without_a_run_has_every_component_and_says_what_is_assumed(kind: Kind) -> None:
    mapped = kind.layer("cpu").map(kind.chip, name="one")
    actions = mapped.actions()
    lines = price(actions, node_nm=kind.node_nm, components=mapped.components())
    cost = summarise(lines, actions.latency_s, actions.ops)
    assert cost["area_m2"] > 0
    assert cost["energy_J"] > 0
    assert any(note.startswith("one: ") and "estimate" in note for note in actions.notes)


@each_kind
def test_the_same_streams_write_the_same_cells(kind: Kind) -> None:
    mapped = kind.layer("cpu").map(kind.chip)
    first, second = (mapped.program(rng=streams()) for _ in range(2))
    assert first.mapped is mapped
    assert len(first.written()) == len(second.written())
    for one, other in zip(first.written(), second.written(), strict=True):
        for cells, same in zip(one.cells, other.cells, strict=True):
            assert torch.equal(cells.programmed_S, same.programmed_S)


@each_kind
def test_a_time_asked_twice_is_one_reading_of_the_same_cells(kind: Kind) -> None:
    programmed = kind.layer("cpu").map(kind.chip).program(rng=streams())
    later = answers(programmed, kind, DAY_S)
    assert torch.equal(answers(programmed, kind, DAY_S), later)
    assert not torch.equal(answers(programmed, kind, 0.0), later)


@each_kind
def test_counts_of_values_are_those_of_the_weights(kind: Kind) -> None:
    layer = kind.layer("cpu")
    assert layer.inputs == INPUTS
    assert layer.outputs == OUTPUTS
    assert layer.parameters > layer.inputs * layer.outputs
