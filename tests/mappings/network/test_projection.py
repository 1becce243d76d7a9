"""An LSTM whose hidden state is projected, as torch's ``proj_size``: a dense product after each step, fed back."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from devices import BlockNoise, ChipStreams, Ideal, InputError, Stream, TaOx
from mappings.activity import Activity
from mappings.chip import Chip, Weights
from mappings.network.actions import RecurrentShape
from mappings.network.recurrent import RecurrentLayer
from periphery import RampColumn
from tests.quiet import CIRCUIT

INPUTS, HIDDEN, PROJECTED, SAMPLES, STEPS = 6, 12, 4, 16, 7
CHIP = Chip(bits=8, rows=64, columns=64, weights=Weights(device=Ideal()), ramp=RampColumn(device=Ideal()), **CIRCUIT)


def module() -> torch.nn.LSTM:
    torch.manual_seed(3)
    return torch.nn.LSTM(INPUTS, HIDDEN, proj_size=PROJECTED, batch_first=True)


def layer_of(lstm: torch.nn.LSTM) -> RecurrentLayer:
    w_ih, w_hh, b_ih, b_hh, w_hr = (tensor.detach() for tensor in lstm.parameters())
    return RecurrentLayer.from_torch("lstm", w_ih, w_hh, b_ih + b_hh, w_hr)


def run(chip: Chip, activity: Activity | None = None) -> torch.Tensor:
    rng = ChipStreams.of(Stream.root(4), 2)
    read = layer_of(module()).map(chip).program(rng=rng).at(0.0)
    x = torch.rand((SAMPLES, STEPS, INPUTS), generator=torch.Generator().manual_seed(1)) * 2 - 1
    noise = BlockNoise(rng.child("read"), [0], SAMPLES)
    return read.run(chip.driver.counts(x, chip.bits), noise=noise, activity=activity) * chip.driver.lsb(chip.bits)


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
def test_a_projected_lstm_computes_what_torch_does() -> None:
    x = torch.rand((SAMPLES, STEPS, INPUTS), generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.no_grad():
        wanted = module()(x)[0]
    found = run(CHIP)
    assert found.shape == (2, SAMPLES, STEPS, PROJECTED)
    assert float((found - wanted).abs().max()) < 0.05
    assert float((found - wanted).abs().mean()) < 0.01
    assert not torch.equal(*run(replace(CHIP, weights=Weights(device=TaOx()))))


def test_its_projection_is_shaped_counted_and_timed() -> None:
    lstm, activity = layer_of(module()), Activity()
    run(CHIP, activity)
    mapped = lstm.map(CHIP, name="gates")
    shape = mapped.shape
    assert isinstance(shape, RecurrentShape)
    assert (lstm.inputs, lstm.outputs, shape.rows - shape.bias_rows) == (INPUTS, PROJECTED, INPUTS + PROJECTED)
    assert lstm.parameters == 4 * HIDDEN * (INPUTS + PROJECTED + 1) + PROJECTED * HIDDEN
    rng = ChipStreams.of(Stream.root(4), 2)
    seen = mapped.actions(mapped.program(rng=rng).observed(activity))
    for step in (mapped.actions(), seen):
        assert step.ops == 2 * (4 * HIDDEN * (INPUTS + PROJECTED) + PROJECTED * HIDDEN)
        assert {line.layer for line in step.actions} == {"gates", "gates projection"}
        last = max(step.tasks, key=lambda task: task.end_s)
        assert last.layer == "gates projection"
        gates_end = max(task.end_s for task in step.tasks if task.layer == "gates")
        assert min(task.start_s for task in step.tasks if task.layer == "gates projection") >= gates_end
        heat = {line.layer for line in step.actions if line.action == "read_J" and line.count > 0}
        assert heat == {"gates", "gates projection"}


def test_only_an_lstm_is_projected_and_shapes_have_to_fit() -> None:
    w_ih, w_hh, w_hr = torch.ones(12, 2), torch.ones(12, 2), torch.ones(2, 3)
    assert RecurrentLayer.from_torch("lstm", w_ih, w_hh, None, w_hr).outputs == 2
    with pytest.raises(InputError, match=r"projection: only of an LSTM, as in torch \(got one of a cell of kind rnn\)"):
        RecurrentLayer.from_torch("rnn", w_ih, w_hh, None, w_hr)
    with pytest.raises(InputError, match=r"\(4 h, p\) and \(p, h\) \(got \(12, 2\) and \(3, 3\)\)"):
        RecurrentLayer.from_torch("lstm", w_ih, w_hh, None, torch.ones(3, 3))
