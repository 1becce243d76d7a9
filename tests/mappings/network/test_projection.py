"""An LSTM whose hidden state is projected: against torch, in shape and cost, and part by part."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import pytest
import torch

from devices import PCM, BlockNoise, ChipStreams, Ideal, InputError, Stream, TaOx
from mappings.activity import Activity
from mappings.chip import CellState, Chip, Compensation, Weights
from mappings.cost import price, summarise
from mappings.network.recurrent import MappedRecurrent, ProjectedRecurrent, RecurrentLayer
from mappings.network.writing import write_lines
from periphery import ConventionalADC, RampColumn

INPUTS, HIDDEN, OUTPUTS, STEPS, SAMPLES = 6, 8, 3, 10, 40
IDEAL = Chip(
    bits=8,
    weights=Weights(device=Ideal()),
    ramp=RampColumn(device=Ideal()),
    state=CellState(bits=16, limit=4.0, drive_limit=2.0),
).idealised()


def module() -> torch.nn.LSTM:
    torch.manual_seed(7)
    lstm = torch.nn.LSTM(INPUTS, HIDDEN, proj_size=OUTPUTS, batch_first=True)
    for parameter in lstm.parameters():
        parameter.data.normal_(0.0, 0.5)
    return lstm.requires_grad_(False)


def layer(lstm: torch.nn.LSTM) -> RecurrentLayer:
    bias = lstm.bias_ih_l0 + lstm.bias_hh_l0
    return RecurrentLayer.from_torch("lstm", lstm.weight_ih_l0, lstm.weight_hh_l0, bias, weight_hr=lstm.weight_hr_l0)


def inputs() -> torch.Tensor:
    return torch.rand((SAMPLES, STEPS, INPUTS), generator=torch.Generator().manual_seed(8)) * 2 - 1


def run(chip: Chip, *, chips: int = 1, t_s: float = 0.0, activity: Activity | None = None) -> torch.Tensor:
    """Projected states after the last step, ``(chips, samples, outputs)``."""
    rng = ChipStreams.of(Stream.root(5), chips)
    read = layer(module()).map(chip).program(rng=rng).at(t_s)
    noise = BlockNoise(rng.child("read"), [0], SAMPLES)
    counts = chip.driver.counts(inputs(), chip.bits)
    return read.run(counts, noise=noise, activity=activity)[:, :, -1] * chip.driver.lsb(chip.bits)


@pytest.mark.parametrize("readout", ["ramp", "conventional"])
def test_an_ideal_eight_bit_layer_approaches_the_projected_lstm_of_torch(
    readout: Literal["ramp", "conventional"],
) -> None:
    """Every rounding is of about 1/127; the projection sums 8 states of weight 0.5 and rounds twice: within 1.5 LSB,
    and two bits fewer make it four times as large."""
    chip = replace(IDEAL, readout=readout, adc=ConventionalADC(bits=10, range_z=6.0))
    wanted = module().double()(inputs().double())[0][:, -1].float()
    assert float(wanted.square().mean().sqrt()) > 0.15
    assert float(wanted.abs().max()) < 1.0, "nothing saturates"
    error = {bits: float((run(replace(chip, bits=bits))[0] - wanted).square().mean().sqrt()) for bits in (6, 8)}
    assert error[8] < 1.5 / 127
    assert 2.5 < error[6] / error[8] < 6.0


def test_shape_and_cost_of_a_projected_layer_need_no_weights() -> None:
    """633 x 8064 gates of 2016 units projected to 504: the size of a published language model.

    The front end is ideal: weights without values count as 1 at full scale, and 2016 of them in a range of 1 ask for
    more than any amplifier gives."""
    chip = replace(IDEAL, bits=5, weights=Weights(device=TaOx()), ramp=RampColumn(device=TaOx()))

    def empty(*shape: int) -> torch.Tensor:
        return torch.empty(shape, device="meta")

    large = RecurrentLayer.from_torch(
        "lstm", empty(8064, 128), empty(8064, 504), empty(8064), weight_hr=empty(504, 2016)
    )
    assert (large.inputs, large.hidden, large.outputs) == (128, 2016, 504)
    assert large.parameters == 633 * 8064 + 504 * 2016
    mapped = large.map(chip, name="lstm")
    assert isinstance(mapped, MappedRecurrent)
    assert (mapped.matrix.rows, mapped.matrix.columns) == (633, 8064)
    assert mapped.projection is not None
    assert (mapped.projection.matrix.rows, mapped.projection.matrix.columns) == (2016, 504)
    step, alone = mapped.actions(), mapped.projection.actions()
    assert step.ops == 2 * 632 * 8064 + 2 * 2016 * 504
    assert {one.layer for one in step.actions} == {"lstm", "lstm projection"}
    for found in (step.actions, step.instances):
        assert len({(one.component, getattr(one, "action", ""), one.layer) for one in found}) == len(found)
    lines = [price(found, node_nm=16, components=mapped.components()) for found in (step, alone)]
    whole, part = (summarise([one for one in line if one.layer == "lstm projection"], 1.0, 1.0) for line in lines)
    assert whole["area_m2"] == pytest.approx(part["area_m2"])
    assert whole["energy_J"] > part["energy_J"], "it leaks for the whole step"


def test_a_projection_comes_after_the_hidden_state_and_its_reset_hides_behind_it() -> None:
    mapped = layer(module()).map(IDEAL, name="lstm")
    step = mapped.actions()
    h = next(task for task in step.tasks if task.name == "h = o tanh(c)")
    reset, drive = (
        next(task for task in step.tasks if (task.layer, task.name) == ("lstm projection", name))
        for name in ("reset and hand over", "drive inputs (+)")
    )
    assert drive.start_s == pytest.approx(h.end_s)
    assert reset.end_s == pytest.approx(h.end_s)
    clocks = 2 * 127 + 256  # both phases of the inputs and a linear ramp
    assert step.latency_s == pytest.approx(h.end_s + clocks * 1e-9, abs=8e-9)


def test_what_a_projection_did_is_counted_as_its_own() -> None:
    chip, seen = replace(IDEAL, bits=6), Activity()
    rng = ChipStreams.of(Stream.root(5), 2)
    programmed = layer(module()).map(chip, name="lstm").program(rng=rng)
    counts = chip.driver.counts(inputs(), chip.bits)
    programmed.at(0.0).run(counts, noise=BlockNoise(rng.child("read"), [0], SAMPLES), activity=seen)
    did = programmed.observed(seen)
    assert seen.projection is not None
    assert seen.projection.samples == seen.samples == 2 * SAMPLES * STEPS
    assert did.projection is not None
    assert 0.0 < did.projection.row_pulses <= HIDDEN
    assert 0.0 < did.projection.gate_compare_steps <= OUTPUTS * 64
    priced = {(one.layer, one.component, one.action): one.count for one in programmed.mapped.actions(did).actions}
    assert priced["lstm projection", "comparator", "step"] == did.projection.gate_compare_steps
    with pytest.raises(InputError, match="lstm: activity: must hold that of the projection as well"):
        programmed.mapped.actions(replace(did, projection=None))


def test_a_projection_has_cells_of_its_own_and_follows_the_drift_of_its_gates() -> None:
    cells: Any = PCM()
    chip = Chip(
        bits=6, weights=Weights(device=cells), ramp=RampColumn(device=cells), compensation=Compensation(mode="global")
    )
    rng = ChipStreams.of(Stream.root(5), 4)
    programmed = layer(module()).map(chip).program(rng=rng)
    assert isinstance(programmed, ProjectedRecurrent)
    parts = [one.part for one in programmed.written()]
    assert parts[0] == "weights"
    assert "projection, weights" in parts
    assert not write_lines(programmed), "PCM has no program-and-verify here"
    read: Any = programmed.at(2592000.0)
    gates = torch.stack([factor.mean(1) for factor in read.factors]).mean(0)[:, 0]
    torch.testing.assert_close(read.projection.factors[0][:, 0, 0], gates)
    assert torch.equal(run(chip, chips=2, t_s=3600.0), run(chip, chips=4, t_s=3600.0)[:2])


@pytest.mark.parametrize("cell", ["gru", "rnn"])
def test_other_cells_have_no_projection(cell: Literal["gru", "rnn"]) -> None:
    gates = {"gru": 3, "rnn": 1}[cell]
    with pytest.raises(InputError, match=f"weight_hr: an LSTM alone has a projection.*of torch's {cell}"):
        RecurrentLayer.from_torch(
            cell,
            torch.ones(gates * HIDDEN, INPUTS),
            torch.ones(gates * HIDDEN, OUTPUTS),
            None,
            weight_hr=torch.ones(OUTPUTS, HIDDEN),
            reset="before",
        )


def test_a_projection_of_another_size_is_refused() -> None:
    lstm = module()
    for weight_hr in (torch.ones(OUTPUTS, HIDDEN + 1), torch.ones(OUTPUTS + 1, HIDDEN)):
        with pytest.raises(InputError, match="weight_"):
            RecurrentLayer.from_torch("lstm", lstm.weight_ih_l0, lstm.weight_hh_l0, None, weight_hr=weight_hr)
