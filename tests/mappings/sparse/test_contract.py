"""A sparse matrix in the four steps of the contract: what, where, written, read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy import sparse

from crossbar import DifferentialPair
from devices import PCM, ChipStreams, Gaussian, InputError, Stream
from mappings.contract import LayerRead, MappedLayer, ProgrammedLayer
from mappings.cost import price
from mappings.sparse import SparseChip, SparseLayer, SparseMapping, multiply
from mappings.sparse.tiles.grouping import ORDERS
from periphery import SAR

CHIPS = ChipStreams.of(Stream.root(0).child("contract"), 2)
NOISY = Gaussian(g_min_S=10e-6, g_max_S=100e-6, sigma_absolute=0.3, read_noise_S=1e-6)
KINDS = {
    "one cell": SparseMapping(chip=SparseChip(rows=8, columns=9, tiles=6, device=NOISY)),
    "blocks of pairs": SparseMapping(
        chip=SparseChip(rows=8, columns=16, device=PCM(), encoding=DifferentialPair()), layout="blocks", scale="row"
    ),
    "converters that err": SparseMapping(chip=SparseChip(rows=16, columns=17, device=NOISY, adc=SAR())),
}


def ones(rows: int, columns: int, seed: int) -> sparse.csr_array:
    return sparse.csr_array((Stream.root(seed).numpy().random((rows, columns)) < 0.3).astype(float))


@pytest.mark.parametrize("kind", KINDS)
def test_four_steps(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b, how = ones(20, 30, 1), ones(30, 25, 2), KINDS[kind]
    layer = SparseLayer(b)
    with monkeypatch.context() as patch:
        patch.setattr(Stream, "torch", None)
        patch.setattr(Stream, "numpy", None)
        mapped = layer.map(how, name="hop", inputs=a)
        counted = mapped.actions()
        lines = price(counted, node_nm=how.chip.node_nm, components=mapped.components())
    assert isinstance(mapped, MappedLayer)
    assert 0.0 < mapped.grid.utilisation <= 1.0
    assert (mapped.grid.rows, mapped.grid.columns) == (how.chip.tile.rows, how.chip.tile.columns)
    assert (layer.inputs, layer.outputs, layer.parameters) == (30, 25, b.nnz)
    assert "cells at their targets" in counted.notes[-1]
    assert {line.layer for line in lines} == {"hop"}
    assert sum(line.energy_J for line in lines) > 0.0

    one, two = mapped.program(rng=CHIPS), mapped.program(rng=CHIPS)
    assert isinstance(one, ProgrammedLayer)
    for chip in range(2):
        for left, right in zip(one.tiles(chip), two.tiles(chip), strict=True):
            assert torch.equal(left.array.cells.programmed_S, right.array.cells.programmed_S)
    assert isinstance(one.at(3600.0), LayerRead)
    runs, again = one.at(3600.0).run(), one.at(3600.0).run()
    for run, other in zip(runs, again, strict=True):
        np.testing.assert_array_equal(run.C.data, other.C.data)
    assert (runs[0].C.data != runs[1].C.data).any(), "each chip has cells to itself"
    short = multiply(a, b, how, rng=CHIPS.streams[1], t_s=3600.0)
    np.testing.assert_array_equal(short.C.data, runs[1].C.data)
    assert mapped.actions(runs[0].counts).notes == counted.notes[:-1]


STORED_ZEROS = sparse.csr_array((np.zeros(2), ([0, 1], [1, 2])), shape=(3, 3))
NOTHING = {
    "0 x 0": (sparse.csr_array((0, 0)), sparse.csr_array((0, 0))),
    "no rows": (sparse.csr_array((0, 3)), ones(3, 2, 1)),
    "no columns": (ones(2, 3, 1), sparse.csr_array((3, 0))),
    "nothing between": (sparse.csr_array((3, 0)), sparse.csr_array((0, 2))),
    "A empty": (sparse.csr_array((3, 3)), sparse.csr_array(np.eye(3))),
    "B empty": (sparse.csr_array(np.eye(3)), sparse.csr_array((3, 3))),
    "stored zeros": (STORED_ZEROS, STORED_ZEROS),
}


@pytest.mark.parametrize("layout", ["compact", "blocks"])
@pytest.mark.parametrize("order", ["best", *ORDERS])
@pytest.mark.parametrize("shape", NOTHING)
def test_products_of_nothing_are_zeros_of_their_shape(shape: str, order: Any, layout: Any) -> None:
    a, b = NOTHING[shape]
    for how in KINDS.values():
        found = multiply(a, b, replace(how, order=order, layout=layout), rng=CHIPS.streams[0])
        assert found.C.shape == (a @ b).shape
        assert not found.C.toarray().any()
        lines = price(found.actions(), node_nm=how.chip.node_nm, components=found.mapped.components())
        assert all(np.isfinite(line.energy_J) for line in lines)


def test_what_cannot_be_known_is_refused() -> None:
    layer = SparseLayer(ones(4, 4, 1))
    with pytest.raises(InputError, match=r"tiles: inputs: the matrix A that drives the word lines \(got none\)"):
        layer.map(SparseMapping())
    with pytest.raises(InputError, match=r"t_s must be at least 0 \(got -1"):
        layer.map(SparseMapping(), inputs=ones(3, 4, 2)).program(rng=CHIPS).at(-1.0)
