"""Mapping and pricing a layer of 16.8 million weights without programming a cell, beside one product of that size.

From its shape alone (tensors on the meta device) a layer is to be priced in 0.02 s, from its weights in 0.3 s.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
import torch

from devices import TaOx
from mappings.chip import Chip, Weights
from mappings.cost import CostLine, price
from mappings.network.dense import DenseLayer
from mappings.network.layer import MatrixLayer
from mappings.network.recurrent import RecurrentLayer
from periphery import RampColumn

if TYPE_CHECKING:
    from benchmarks.conftest import SideBySide

SIDE, HIDDEN, BATCH = 4096, 1448, 64
# A sum of thousands of rows fits no one integrator: row tiles are converted apart.
CHIP = Chip(
    weights=Weights(device=TaOx()),
    ramp=RampColumn(device=TaOx()),
    readout="conventional",
    partial_sums="digital",
    rows=128,
    columns=128,
)
LIMIT_S = {"meta": 0.02, "cpu": 0.3}


def dense(device: str) -> Callable[[], MatrixLayer]:
    weight, bias = torch.zeros(SIDE, SIDE, device=device), torch.zeros(SIDE, device=device)
    if device != "meta":
        weight.normal_(generator=torch.Generator().manual_seed(0))
    return lambda: DenseLayer.from_torch(weight, bias, limit=4.0)


def lstm(device: str) -> Callable[[], MatrixLayer]:
    weights = [torch.zeros(4 * HIDDEN, HIDDEN, device=device) for _ in range(2)]
    if device != "meta":
        for weight in weights:
            weight.normal_(generator=torch.Generator().manual_seed(0))
    return lambda: RecurrentLayer.from_torch("lstm", *weights, torch.zeros(4 * HIDDEN, device=device))


LAYERS = {f"dense layer {SIDE}->{SIDE}": dense, f"LSTM {HIDDEN}->{HIDDEN}": lstm}


@pytest.mark.parametrize("device", LIMIT_S)
@pytest.mark.parametrize("name", LAYERS)
def test_mapped_and_priced(name: str, device: str, side_by_side: SideBySide) -> None:
    made = LAYERS[name](device)
    x, weight = torch.ones(BATCH, SIDE), torch.ones(SIDE, SIDE)

    def work() -> list[CostLine]:
        mapped = made().map(CHIP)
        return price(mapped.actions(), node_nm=CHIP.node_nm, components=mapped.components())

    row = side_by_side(
        f"{name}, mapped and priced from its {'shape' if device == 'meta' else 'weights'}",
        work,
        f"torch.nn.functional.linear {SIDE}->{SIDE}, batch {BATCH}",
        lambda: torch.nn.functional.linear(x, weight),
        target_ratio=0.5 if device == "meta" else 3.0,
    )
    assert row["seconds"] < LIMIT_S[device]
