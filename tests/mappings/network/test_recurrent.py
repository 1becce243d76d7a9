"""Recurrent layers on tiles: against torch and NumPy, over tiles, in time, and bit for bit in any batch."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest
import torch

from devices import PCM, BlockNoise, ChipStreams, Ideal, InputError, Stream, TaOx
from mappings.activity import Activity
from mappings.chip import CellState, Chip, Compensation, Weights
from mappings.network.actions import Cell
from mappings.network.layer import MatrixLayerRead
from mappings.network.recurrent import RecurrentLayer
from mappings.network.recurrent_run import RecurrentRead
from periphery import Comparator, ConventionalADC, PWMDriver, RampColumn
from tests.quiet import CIRCUIT

Readout = Literal["ramp", "conventional"]
INPUTS, HIDDEN, STEPS, SAMPLES = 6, 8, 10, 40
CELLS: list[Cell] = ["lstm", "gru", "rnn"]
GATES = {"lstm": 4, "gru": 3, "rnn": 1}
MONTH_S = 2592000.0
IDEAL = Chip(
    bits=8,
    weights=Weights(device=Ideal()),
    ramp=RampColumn(device=Ideal()),
    state=CellState(bits=16, limit=4.0, drive_limit=2.0),
).idealised()

REAL = Chip(bits=5, weights=Weights(device=TaOx()), ramp=RampColumn(device=TaOx()))
QUIET = RampColumn(device=TaOx(read_noise_S=0.0))


def weights(cell: Cell, size: float = 0.5) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(7)
    rows = GATES[cell] * HIDDEN
    w_ih, w_hh, bias = (
        size * torch.randn(shape, generator=draw) for shape in ((rows, INPUTS), (rows, HIDDEN), (rows,))
    )
    return w_ih, w_hh, bias


def inputs(samples: int = SAMPLES) -> torch.Tensor:
    return torch.rand((samples, STEPS, INPUTS), generator=torch.Generator().manual_seed(8)) * 2 - 1


def run(
    cell: Cell,
    chip: Chip,
    *,
    chips: int = 1,
    t_s: float = 0.0,
    block: int = SAMPLES,
    together: int = 1,
    activity: Activity | None = None,
) -> torch.Tensor:
    """Hidden states after the last step, ``(chips, samples, hidden)``."""
    rng = ChipStreams.of(Stream.root(5), chips)
    read = RecurrentLayer.from_torch(cell, *weights(cell), reset="before").map(chip).program(rng=rng).at(t_s)
    counts = chip.driver.counts(inputs(), chip.bits)
    parts = []
    for first in range(0, SAMPLES // block, together):
        noise = BlockNoise(rng.child("read"), range(first, first + together), block)
        parts.append(read.run(counts[first * block : (first + together) * block], noise=noise, activity=activity))
    return torch.cat(parts, dim=1)[:, :, -1] * chip.driver.lsb(chip.bits)


def sigmoid(z: np.ndarray) -> np.ndarray:
    return np.asarray(1.0 / (1.0 + np.exp(-z)))


def exact(cell: Cell) -> torch.Tensor:
    """The layer in floating point: torch's LSTM and RNN, and the GRU whose reset gate acts before the product."""
    w_ih, w_hh, bias = weights(cell)
    x = inputs()
    if cell == "gru":
        # Cho et al. (2014): r, z = sigmoid(W x + U h + b);  n = tanh(W x + U (r h) + b);  h = (1 - z) n + z h
        wx, wh, b = (tensor.double().numpy() for tensor in (w_ih, w_hh, bias))
        h = np.zeros((SAMPLES, HIDDEN))
        for t in range(STEPS):
            now = x[:, t].double().numpy() @ wx.T + b
            r = sigmoid(now[:, :HIDDEN] + h @ wh[:HIDDEN].T)
            z = sigmoid(now[:, HIDDEN : 2 * HIDDEN] + h @ wh[HIDDEN : 2 * HIDDEN].T)
            n = np.tanh(now[:, 2 * HIDDEN :] + (r * h) @ wh[2 * HIDDEN :].T)
            h = (1 - z) * n + z * h
        return torch.from_numpy(h).float()
    module = (torch.nn.LSTM if cell == "lstm" else torch.nn.RNN)(INPUTS, HIDDEN, batch_first=True)
    with torch.no_grad():
        for parameter, value in zip(module.parameters(), (w_ih, w_hh, bias, torch.zeros_like(bias)), strict=True):
            parameter.copy_(value)
        hidden: torch.Tensor = module(x)[0][:, -1]
    return hidden


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("readout", ["ramp", "conventional"])
def test_ideal_eight_bit_layer_approaches_floating_point(cell: Cell, readout: Readout) -> None:
    """Rounding of gates (1/256), of h and x (1/127) and of tanh (1/128), each uniform, leaves about one LSB of h:
    every hidden unit sees 14 inputs of rms weight 0.5, each off by 1/127/sqrt(12), so z by 0.004, and remembers for
    about two steps. Two bits fewer make it four times as large."""
    chip = replace(IDEAL, readout=readout, adc=ConventionalADC(bits=10, range_z=6.0))
    error = {
        bits: float((run(cell, replace(chip, bits=bits))[0] - exact(cell)).square().mean().sqrt()) for bits in (6, 8)
    }
    assert error[8] < 1.25 / 127
    assert 2.5 < error[6] / error[8] < 6.0


@pytest.mark.parametrize(
    ("cell", "module"),
    [
        ("lstm", torch.nn.LSTM(INPUTS, HIDDEN, proj_size=3)),
        ("lstm", torch.nn.GRU(INPUTS, HIDDEN)),
        ("lstm", torch.nn.RNN(INPUTS, HIDDEN)),
        ("rnn", torch.nn.LSTM(INPUTS, HIDDEN)),
        ("gru", torch.nn.LSTM(INPUTS, HIDDEN)),
    ],
)
def test_tensors_of_another_cell_or_of_a_projection_that_is_not_given_are_refused(
    cell: Cell, module: torch.nn.RNNBase
) -> None:
    w_ih, w_hh = (getattr(module, name).detach() for name in ("weight_ih_l0", "weight_hh_l0"))
    h = GATES[cell]
    text = f"of h units of torch's {cell} they are \\({h} h, inputs\\) and \\({h} h, h\\), without a projection"
    with pytest.raises(InputError, match=text):
        RecurrentLayer.from_torch(cell, w_ih, w_hh, None, reset="before")
    with pytest.raises(InputError, match="without a projection"):
        RecurrentLayer.from_torch("rnn", torch.ones(HIDDEN, 3, INPUTS), torch.ones(HIDDEN, HIDDEN), None)


def test_sequences_whose_steps_come_first_are_refused() -> None:
    rng = ChipStreams.of(Stream.root(5), 1)
    read = RecurrentLayer.from_torch("lstm", *weights("lstm")).map(REAL).program(rng=rng).at(0.0)
    counts = REAL.driver.counts(inputs(), REAL.bits)
    with pytest.raises(
        InputError, match=rf"noise: must be of 1 chips and {STEPS} samples, as the layer and its inputs"
    ):
        read.run(counts.transpose(0, 1), noise=BlockNoise(rng, [0], SAMPLES))
    with pytest.raises(InputError, match=rf"inputs: the layer takes \(n, steps, {INPUTS}\)"):
        read.run(counts.transpose(1, 2), noise=BlockNoise(rng, [0], SAMPLES))


@pytest.mark.parametrize("cell", CELLS)
def test_the_states_of_all_steps_are_those_of_shorter_sequences(cell: Cell) -> None:
    chip = replace(REAL, weights=Weights(device=TaOx(read_noise_S=0.0)), ramp=QUIET, **CIRCUIT)
    rng = ChipStreams.of(Stream.root(5), 2)
    read = RecurrentLayer.from_torch(cell, *weights(cell), reset="before").map(chip).program(rng=rng).at(0.0)
    counts, noise = chip.driver.counts(inputs(), chip.bits), BlockNoise(rng, [0], SAMPLES)
    states = read.run(counts, noise=noise)
    assert states.shape == (2, SAMPLES, STEPS, HIDDEN)
    for steps in (1, STEPS - 1):
        assert torch.equal(read.run(counts[:, :steps], noise=noise)[:, :, -1], states[:, :, steps - 1])


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("readout", ["ramp", "conventional"])
@pytest.mark.parametrize("columns", [3, 5, 12])
def test_a_layer_cut_into_column_tiles_computes_the_same(cell: Cell, readout: Readout, columns: int) -> None:
    """Every tile has a weight scale of its own: it moves the last bit of z, and now and then a code."""
    chip = replace(IDEAL, readout=readout)
    whole, cut = run(cell, chip)[0], run(cell, replace(chip, columns=columns))[0]
    assert float((whole == cut).float().mean()) > 0.98
    assert float((whole - cut).abs().max()) < 4 / 127


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("readout", ["ramp", "conventional"])
def test_row_tiles_that_share_an_integrator_are_one_sum(cell: Cell, readout: Readout) -> None:
    chip = replace(IDEAL, weights=Weights(device=TaOx()), readout=readout)
    assert torch.equal(run(cell, chip, chips=2), run(cell, replace(chip, rows=4), chips=2))


@pytest.mark.parametrize("cell", CELLS)
def test_digital_partial_sums_approach_the_whole_sum(cell: Cell) -> None:
    """Four tiles are each rounded to an LSB of the converter, so with more bits the words add up to the whole."""
    fine = replace(IDEAL, readout="conventional", adc=ConventionalADC(bits=12, range_z=8.0))
    whole = run(cell, fine)[0]
    error = {}
    for bits in (6, 8, 12):
        split = replace(fine, rows=4, partial_sums="digital", adc=ConventionalADC(bits=bits, range_z=8.0))
        error[bits] = float((run(cell, split)[0] - whole).square().mean().sqrt())
    assert error[12] < 1.0 / 127
    assert error[6] > 2.5 * error[8] > 2.5 * error[12]


def test_digital_partial_sums_do_not_saturate_where_only_the_sum_is_large() -> None:
    """Each tile's part fits the converter though the sum would not: words are wider than a conversion."""
    adc = ConventionalADC(bits=12, range_z=2.0)
    chip = replace(IDEAL, bias="none", readout="conventional", rows=4, partial_sums="digital", adc=adc)
    w_ih, w_hh = torch.full((1, 8), 0.45), torch.zeros(1, 1)
    layer = RecurrentLayer.from_torch("rnn", w_ih, w_hh, None)
    rng = ChipStreams.of(Stream.root(0), 1)
    counts = torch.full((1, 1, 8), 127.0)
    h = layer.map(chip).program(rng=rng).at(0.0).run(counts, noise=BlockNoise(rng, [0], 1))
    assert float(h) / 127 == pytest.approx(math.tanh(3.6), abs=1.5 / 127)


@pytest.mark.parametrize("cell", CELLS)
def test_a_nonlinear_ramp_refuses_partial_sums(cell: Cell) -> None:
    with pytest.raises(InputError) as caught:
        run(cell, replace(IDEAL, rows=4, partial_sums="digital"))
    assert str(caught.value) == (
        "chip.partial_sums: a ramp that computes an activation converts whole sums: 15 rows need 4 tiles of 4; "
        "take partial_sums: charge, or readout: conventional"
    )


REAL_CHIPS = {
    "ramp": REAL,
    "ramp, noise at every step": replace(REAL, bits=3, comparator=Comparator(noise="per_step")),
    "conventional, digital sums": replace(
        REAL, weights=Weights(device=PCM(read_noise_S=1e-7)), readout="conventional", rows=6, partial_sums="digital"
    ),
    "pcm, small tiles, compensated": replace(
        REAL,
        weights=Weights(device=PCM(read_noise_S=1e-7)),
        ramp=RampColumn(device=PCM(read_noise_S=1e-7)),
        columns=5,
        compensation=Compensation(mode="global"),
    ),
}


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("name", REAL_CHIPS)
def test_batch_and_chips_beside_move_no_bit_of_results_or_energy(cell: Cell, name: str) -> None:
    chip = REAL_CHIPS[name]
    seen = [Activity() for _ in range(3)]
    whole = run(cell, chip, chips=2, t_s=3600.0, block=5, together=8, activity=seen[0])
    halved = run(cell, chip, chips=2, t_s=3600.0, block=5, together=4, activity=seen[1])
    single = run(cell, chip, chips=2, t_s=3600.0, block=5, together=1, activity=seen[2])
    more = run(cell, chip, chips=5, t_s=3600.0, block=5, together=8)
    alone = run(cell, chip, chips=1, t_s=3600.0, block=5, together=1)
    assert torch.equal(whole, halved)
    assert torch.equal(whole, single)
    assert torch.equal(whole, more[:2])
    assert torch.equal(whole[:1], alone)
    rng = ChipStreams.of(Stream.root(5), 2)
    array = (
        RecurrentLayer.from_torch(cell, *weights(cell), reset="before")
        .map(chip)
        .program(rng=rng)
        .matrix.array_at(0.0)[0]
    )
    figures = [json.dumps([one.samples, one.sums, one.mean_charge_S(array)], sort_keys=True) for one in seen]
    assert figures[0] == figures[1] == figures[2]
    assert len({float(h) for h in whole.flatten()}) > 3


def test_samples_that_fill_up_a_block_are_not_counted() -> None:
    chip = replace(REAL, columns=5)
    full, part = Activity(), Activity(valid=SAMPLES - 13)
    h = run("lstm", chip, activity=full)
    assert torch.equal(h, run("lstm", chip, activity=part))
    assert part.samples / full.samples == pytest.approx((SAMPLES - 13) / SAMPLES)
    for name in full.sums:
        assert part.sums[name] < full.sums[name]


def numpy_counts(cell: Cell, chip: Chip) -> dict[str, float]:
    """Comparator steps of an ideal layer, column by column, from its own definition."""
    w_ih, w_hh, bias = (tensor.double().numpy() for tensor in weights(cell))
    top, lsb = 2 ** (chip.bits - 1) - 1, 2.0**-chip.bits
    x = np.round(inputs().double().numpy() * top) / top
    h = np.zeros((SAMPLES, HIDDEN))
    steps = 0.0

    def code(y: np.ndarray, low: float) -> np.ndarray:
        scale = lsb * (1.0 - low)
        return np.asarray(np.clip(np.floor((y - low) / scale + (0.0 if low == 0.0 else 0.5)), 0, 2**chip.bits - 1))

    for t in range(STEPS):
        now = x[:, t] @ w_ih.T + bias
        driven = np.round(h * top) / top
        if cell == "rnn":
            new = code(np.tanh(now + driven @ w_hh.T), -1.0)
            steps += float((new + 1).sum())
            h = new * 2 * lsb - 1.0
            continue
        gates = code(sigmoid(now[:, : 2 * HIDDEN] + driven @ w_hh[: 2 * HIDDEN].T), 0.0)
        r, z = np.split((gates + 0.5) * lsb, 2, axis=1)
        fed = np.round(r * h * top) / top
        new = code(np.tanh(now[:, 2 * HIDDEN :] + fed @ w_hh[2 * HIDDEN :].T), -1.0)
        steps += float((gates + 1).sum() + (new + 1).sum())
        h = (1 - z) * (new * 2 * lsb - 1.0) + z * h
    return {"gate_compare_steps": steps}


@pytest.mark.parametrize("cell", ["gru", "rnn"])
@pytest.mark.parametrize("columns", [512, 5])
def test_only_columns_that_convert_are_counted(cell: Cell, columns: int) -> None:
    """A GRU's candidate converts in the second pass alone, and a tile's spare columns never."""
    seen = Activity()
    run(cell, replace(IDEAL, columns=columns, bits=6), activity=seen)
    wanted = numpy_counts(cell, replace(IDEAL, bits=6))
    assert seen.sums["gate_compare_steps"] == pytest.approx(wanted["gate_compare_steps"], rel=1e-3)
    assert seen.samples == SAMPLES * STEPS


@pytest.mark.parametrize("cell", CELLS)
def test_a_wider_input_range_only_coarsens_the_pulses(cell: Cell) -> None:
    """Twice the range per pulse is one bit less for inputs and for what is fed back, and the same layer otherwise."""
    wide = replace(IDEAL, driver=PWMDriver(x_max=2.0))
    error = float((run(cell, wide)[0] - exact(cell)).square().mean().sqrt())
    assert error < 2.5 / 127


def test_what_is_fed_back_saturates_at_the_drivers_range() -> None:
    chip = replace(IDEAL, driver=PWMDriver(x_max=0.25), bias="none")
    layer = RecurrentLayer.from_torch("rnn", torch.full((1, 1), 4.0), torch.zeros(1, 1), None)
    rng = ChipStreams.of(Stream.root(0), 1)
    h = layer.map(chip).program(rng=rng).at(0.0).run(torch.full((1, 1, 1), 127.0), noise=BlockNoise(rng, [0], 1))
    assert float(h) == 127.0


def pcm_layer(ramp: PCM | TaOx, mode: str, chips: int = 16, **changes: Any) -> tuple[RecurrentLayer, Chip, ChipStreams]:
    chip = Chip(
        bits=6,
        weights=Weights(device=PCM()),
        ramp=RampColumn(device=ramp),
        compensation=Compensation(mode=mode, vectors=256, **changes),  # type: ignore[arg-type]
    )
    return RecurrentLayer.from_torch("lstm", *weights("lstm")), chip, ChipStreams.of(Stream.root(5), chips)


@pytest.mark.parametrize("readout", ["ramp", "conventional"])
def test_compensation_measures_by_how_much_the_array_has_shrunk(readout: Readout) -> None:
    """PCM weights after a month under a ramp that does not drift: the factor is the slope of the weights themselves,
    G(t) on G(0), chip by chip, as seen through six-bit codes."""
    layer, chip, rng = pcm_layer(TaOx(), "global")
    programmed = layer.map(replace(chip, readout=readout, adc=ConventionalADC(bits=8))).program(rng=rng)
    read = programmed.at(MONTH_S)
    start, now = (programmed.matrix.at(t).array.difference_S for t in (0.0, MONTH_S))
    for group, factor in zip(read.columns.groups, read.factors, strict=True):
        assert isinstance(factor, torch.Tensor)
        before, after = (m[..., group.first : group.last] for m in (start, now))
        true = (before * after).sum((1, 2)) / before.square().sum((1, 2))
        assert float(true.mean()) < 0.65, "a month of drift is worth compensating"
        ratio = factor[:, 0, 0] / true
        assert float(ratio.mean()) == pytest.approx(1.0, abs=0.02)
        assert float((ratio - 1.0).abs().max()) < 0.08
        steps = factor / chip.compensation.resolution
        torch.testing.assert_close(steps, steps.round())


def test_compensated_thresholds_meet_the_drifted_weights() -> None:
    """What the codes see is z(t) over threshold(t): with the factor their scale is that of the start within a few
    percent, without it it is off by the whole drift."""
    layer, chip, rng = pcm_layer(TaOx(), "global")
    programmed = layer.map(chip).program(rng=rng)
    chips = (chip, replace(chip, compensation=Compensation(mode="off")))
    on, off = (replace(programmed, mapped=replace(programmed.mapped, chip=one)).at(MONTH_S) for one in chips)
    start = programmed.matrix.at(0.0).array.difference_S
    now = on.columns.matrix.array.difference_S
    shrunk = (start * now).sum((1, 2)) / start.square().sum((1, 2))
    fresh = programmed.converters[0].at(0.0)
    for read, low, high in ((on, 0.95, 1.05), (off, 1.5, 3.0)):
        conversion = read.columns.conversions[0]
        spread = (conversion.levels[:, 0, -1] - conversion.levels[:, 0, 0]) / (  # type: ignore[union-attr]
            fresh.levels[:, 0, -1] - fresh.levels[:, 0, 0]  # type: ignore[union-attr]
        )
        assert low < float((spread / shrunk).mean()) < high


def test_a_ramp_of_the_same_cells_drifts_with_the_weights() -> None:
    """Ratiometric: after a month weights and thresholds have both shrunk to about half, and their ratio by little."""
    layer, chip, rng = pcm_layer(PCM(), "off", chips=32)
    programmed = layer.map(chip).program(rng=rng)
    start, now = (programmed.matrix.at(t).array.difference_S for t in (0.0, MONTH_S))
    weights_scale = (start * now).sum((1, 2)) / start.square().sum((1, 2))
    before, after = (programmed.converters[0].at(t).levels[:, 0] for t in (0.0, MONTH_S))  # type: ignore[union-attr]
    ramp_scale = (after[:, -1] - after[:, 0]) / (before[:, -1] - before[:, 0])
    assert float(weights_scale.mean()) < 0.65
    assert float(ramp_scale.mean()) < 0.65
    assert float((ramp_scale / weights_scale).mean()) == pytest.approx(1.0, abs=0.06)
    compensating = replace(programmed.mapped, chip=replace(chip, compensation=Compensation(mode="global")))
    compensated = replace(programmed, mapped=compensating).at(MONTH_S)
    for factor in compensated.factors:
        assert isinstance(factor, torch.Tensor)
        assert float(factor.mean()) == pytest.approx(1.0, abs=0.06)


def test_compensation_recentres_all_ramps_that_drift_the_one_of_the_state_included() -> None:
    layer, chip, rng = pcm_layer(PCM(), "global", chips=32)
    centred = layer.map(chip).program(rng=rng).at(MONTH_S)
    still = replace(chip, compensation=Compensation(mode="global", recentre=False))
    drifted = layer.map(still).program(rng=rng).at(MONTH_S)

    def conversions(read: MatrixLayerRead) -> list[Any]:
        assert isinstance(read, RecurrentRead)
        assert read.state is not None
        return [*read.columns.conversions, read.state.conversion]

    for old, new in zip(conversions(drifted), conversions(centred), strict=True):
        middle = old.levels.shape[-1] // 2
        ideal = -1 / 64 if old.low < 0 else 0.0
        errors = [float((c.levels[:, 0, middle] - math.atanh(ideal)).abs().mean()) for c in (old, new)]
        assert errors[1] < 0.5 * errors[0]


def test_drift_compensation_brings_the_hidden_state_back() -> None:
    """After a month the codes of a compensated layer lie nearer to those of the start than without."""
    errors = {}
    for mode in ("off", "global"):
        layer, chip, rng = pcm_layer(TaOx(), mode)
        programmed = layer.map(chip).program(rng=rng)
        counts = chip.driver.counts(inputs(), chip.bits)
        h = [programmed.at(t).run(counts, noise=BlockNoise(rng, [0], SAMPLES)) for t in (0.0, MONTH_S)]
        errors[mode] = float((h[0] - h[1]).square().mean().sqrt())
    assert errors["global"] < 0.6 * errors["off"]


def test_reading_at_whole_seconds_is_reading_at_that_time() -> None:
    layer, chip, rng = pcm_layer(PCM(), "global", chips=2)
    programmed = layer.map(chip).program(rng=rng)
    for a, b in zip(programmed.at(3600).factors, programmed.at(3600.0).factors, strict=True):
        assert isinstance(a, torch.Tensor)
        assert isinstance(b, torch.Tensor)
        assert torch.equal(a, b)
