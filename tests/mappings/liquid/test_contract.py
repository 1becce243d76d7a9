"""A liquid in the four steps of the contract: what, where, written, read."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from devices import PCM, ChipStreams, InputError, Stream
from mappings.contract import LayerRead, MappedLayer, ProgrammedLayer, WordFormat
from mappings.cost import price
from mappings.liquid.chip import LiquidChip
from mappings.liquid.liquid import Liquid, Reservoir
from mappings.liquid.run import LineSpikes

CHIPS = ChipStreams.of(Stream.root(0).child("contract"), 2)
SMALL = Reservoir(inputs=30, neurons=20)
KINDS = {
    "board": LiquidChip(),
    "capacitor": LiquidChip(read_path="capacitor"),
    "pairs on several arrays": LiquidChip(pairing="pairs", array_rows=16, array_columns=9),
    "written cells": LiquidChip(device=PCM()),
}


@pytest.mark.parametrize("kind", KINDS)
def test_four_steps(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    chip = KINDS[kind]
    with monkeypatch.context() as patch:
        patch.setattr(Stream, "torch", None)
        patch.setattr(Stream, "numpy", None)
        mapped = SMALL.map(chip, name="pool", inputs=WordFormat(bits=1, kind="spike"))
        assumed = mapped.actions()
        lines = price(assumed, node_nm=chip.circuit.node_nm, components=mapped.components())
    assert isinstance(mapped, MappedLayer)
    assert 0.0 < mapped.grid.utilisation <= 1.0
    assert mapped.grid.tiles == (1 if chip.array_rows > 50 else 4 * 5)
    assert (SMALL.inputs, SMALL.outputs, SMALL.parameters) == (30, 20, 50 * 20)
    assert "assumed" in assumed.notes[0]
    assert assumed.steps == 50
    assert {line.layer for line in lines} == {"pool"}
    assert sum(line.energy_J for line in lines) > 0.0

    one, two = mapped.program(rng=CHIPS), mapped.program(rng=CHIPS)
    assert isinstance(one, ProgrammedLayer)
    assert torch.equal(one.conductance_uS(), two.conductance_uS())
    assert len(one.written()) == (1 if chip.device.writable else 0)
    read, again = one.at(3600.0), one.at(3600.0)
    assert isinstance(read, LayerRead)
    assert torch.equal(read.rows, again.rows)
    spikes = LineSpikes.of(np.random.default_rng(0).random((3, 20, 30)) < 0.3)
    run = read.run(spikes, noise=CHIPS)
    assert torch.equal(run.counts, again.run(spikes, noise=CHIPS).counts)
    seen = mapped.actions(run.activity)
    assert seen.steps == 20
    assert not any("assumed" in note for note in seen.notes)


def test_a_record_is_a_reservoir_and_its_chip() -> None:
    how = Liquid(inputs=30, neurons=20, read_path="capacitor")
    other = how.map(replace(how, array_rows=16))
    assert (how.map().grid.tiles, other.grid.tiles) == (1, 4)
    apart = SMALL.map(LiquidChip(read_path="capacitor"))
    assert how.map().actions() == apart.actions()
    assert torch.equal(how.map().program(rng=CHIPS).weights_uS(), apart.program(rng=CHIPS).weights_uS())


def test_the_read_out_is_a_digital_layer() -> None:
    readout = Liquid(inputs=30, neurons=20).map().readout(10, bits=4)
    assert (readout.parameters, readout.bits) == (200, 4)
    assert readout.actions(steps=50).ops == 400.0
    assert Liquid().map().readout(10).bits == Liquid().circuit.readout_bits


def test_inputs_are_spikes() -> None:
    with pytest.raises(InputError, match=r"liquid: inputs of kind: spike, a word line is active or not \(got signed\)"):
        Liquid().map(inputs=WordFormat(bits=5))
