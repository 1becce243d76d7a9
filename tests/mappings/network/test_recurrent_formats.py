"""Recurrent layers in the formats of real chips, step by step beside a plain loop; first and last states, lengths."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from devices import BlockNoise, ChipStreams, Ideal, InputError, Stream, TaOx
from mappings.activity import Activity
from mappings.chip import CellState, Chip, Weights
from mappings.contract import WordFormat
from mappings.network.actions import Cell
from mappings.network.assumed import Assumed
from mappings.network.aware import AwareCell
from mappings.network.recurrent import RecurrentLayer
from mho.config.read import read
from periphery import ConventionalADC, RampColumn
from tests.quiet import CIRCUIT

INPUTS, HIDDEN, OUTPUTS, SAMPLES, STEPS = 5, 6, 4, 24, 7
BLOCKS = {"lstm": 4, "gru": 3, "gru_after": 3, "rnn": 1, "rnn_relu": 1}
CASES: list[tuple[Cell, bool]] = [*((cell, False) for cell in BLOCKS), ("lstm", True)]  # type: ignore[misc]
PLAIN = Chip(
    bits=5, weights=Weights(device=Ideal()), ramp=RampColumn(device=Ideal()), state=CellState(bits=9, limit=2.0)
).idealised()
CHIPS = {
    "ramp, 3 bits": replace(PLAIN, bits=3),
    "ramp, 5 bits": PLAIN,
    "ramp, 8 bits": replace(PLAIN, bits=8),
    "conventional": replace(PLAIN, readout="conventional", adc=ConventionalADC(bits=7, range_z=3.0)),
    "yang2025": read("yang2025", Chip, folder="chips").value.idealised(),
}


def tensors(cell: Cell, projected: bool, *, bias: bool = True) -> dict[str, torch.Tensor]:
    draw, rows = torch.Generator().manual_seed(3), BLOCKS[cell] * HIDDEN
    fed_back = OUTPUTS if projected else HIDDEN
    shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows, INPUTS), "weight_hh": (rows, fed_back)}
    if bias:
        shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
    if projected:
        shapes["weight_hr"] = (OUTPUTS, HIDDEN)
    return {name: 0.6 * torch.randn(shape, generator=draw) for name, shape in shapes.items()}


def layer(cell: Cell, found: dict[str, torch.Tensor], limit: float) -> RecurrentLayer:
    return RecurrentLayer.from_torch(
        cell,
        found["weight_ih"],
        found["weight_hh"],
        found.get("bias_ih"),
        bias_hh=found.get("bias_hh"),
        weight_hr=found.get("weight_hr"),
        reset="before",
        limit=limit,
    )


def inputs(limit: float) -> torch.Tensor:
    return limit * (2.2 * torch.rand((SAMPLES, STEPS, INPUTS), generator=torch.Generator().manual_seed(4)) - 1.1)


def sigmoid(z: np.ndarray) -> np.ndarray:
    return np.asarray(1.0 / (1.0 + np.exp(-z)))


def plain_step(
    cell: Cell, chip: Chip, w: dict[str, np.ndarray], x: np.ndarray, h: np.ndarray, c: np.ndarray, limits: list[float]
) -> tuple[np.ndarray, np.ndarray]:
    """One step in whole counts and codes: the next state in counts, and what is stored.

    ``h``, ``x``: counts; ``limits``: of inputs, of states, and of a relu or a candidate's parts.
    """
    top, bits = 2 ** (chip.bits - 1) - 1, chip.bits
    ramp, adc = chip.readout == "ramp", chip.adc
    x, driven = x * limits[0] / top, h * limits[1] / top

    def word(z: np.ndarray, largest: float, resolution: int) -> np.ndarray:
        lsb = largest / 2 ** (resolution - 1)
        half = 2 ** (resolution - 1)
        return z if ramp else np.asarray(np.clip(np.floor(z / lsb + 0.5), -half, half - 1) * lsb)

    def code(y: np.ndarray, low: float, high: float, middle: bool, resolution: int = bits) -> np.ndarray:
        lsb = (high - low) / 2**resolution
        number = np.clip(np.floor((y - low) / lsb + (0.5 if middle else 0.0)), 0, 2**resolution - 1)
        return np.asarray(low + (number + (0.0 if middle else 0.5)) * lsb)

    def gate(z: np.ndarray, f: Callable[[np.ndarray], np.ndarray], low: float) -> np.ndarray:
        return code(f(word(z, adc.range_z, chip.adc_bits)), low, 1.0, low < 0.0)

    def part(z: np.ndarray) -> np.ndarray:
        resolution = chip.output.bits
        return code(word(z, limits[2], max(resolution, chip.adc_bits)), -limits[2], limits[2], True, resolution)

    def stored(value: np.ndarray) -> np.ndarray:
        lsb = 2.0 * chip.state.limit / 2**chip.state.bits
        return np.asarray(np.clip(np.round(value / lsb) * lsb, -chip.state.limit, chip.state.limit - lsb))

    def tanh_of(value: np.ndarray) -> np.ndarray:
        if ramp:
            drive = chip.state.drive_limit
            value = np.clip(np.round(value * top / drive), -top, top) * drive / top
        return code(np.tanh(value), -1.0, 1.0, True)

    def pulses(value: np.ndarray) -> np.ndarray:
        return np.asarray(np.clip(np.round(value * top / limits[1]), -top, top))

    z_x, z_h = x @ w["weight_ih"].T + w["bias_ih"], driven @ w["weight_hh"].T + w["bias_hh"]
    if cell == "lstm":
        i, f, g, o = np.split(z_x + z_h, 4, axis=1)
        c = stored(gate(f, sigmoid, 0.0) * c + gate(i, sigmoid, 0.0) * gate(g, np.tanh, -1.0))
        h = pulses(gate(o, sigmoid, 0.0) * tanh_of(c))
        if "weight_hr" in w:
            z = (h * limits[1] / top) @ w["weight_hr"].T
            z = word(z, limits[1], max(bits, chip.adc_bits))
            h = pulses(code(z, -limits[1], limits[1], True))
        return h, c
    if cell in ("gru", "gru_after"):
        (r_x, u_x, n_x), (r_h, u_h, n_h) = np.split(z_x, 3, axis=1), np.split(z_h, 3, axis=1)
        r, u = gate(r_x + r_h, sigmoid, 0.0), gate(u_x + u_h, sigmoid, 0.0)
        if cell == "gru":
            fed = pulses(r * c) * limits[1] / top
            u_n, b_n = w["weight_hh"][2 * HIDDEN :], w["bias_hh"][2 * HIDDEN :]
            n = gate(n_x + fed @ u_n.T + b_n, np.tanh, -1.0)
        else:
            n = tanh_of(stored(part(n_x) + r * part(n_h)))
        c = stored((1 - u) * n + u * c)
        return pulses(c), c
    if cell == "rnn":
        return pulses(gate(z_x + z_h, np.tanh, -1.0)), c
    z = word(z_x + z_h, limits[2], chip.adc_bits)
    return pulses(code(np.maximum(z, 0.0), 0.0, limits[2], True)), c


def ready(
    cell: Cell, projected: bool, chip: Chip, *, chips: int = 1, input_limit: float = 1.5
) -> tuple[Any, torch.Tensor, BlockNoise, list[float]]:
    """A programmed layer, its inputs in counts, noise, and limits of inputs, states and the layer."""
    limit = 1.0 if cell in ("lstm", "rnn", "gru") and not projected else 2.5
    made = layer(cell, tensors(cell, projected), limit)
    mapped = made.map(chip, inputs=WordFormat(bits=chip.bits, limit=input_limit))
    rng = ChipStreams.of(Stream.root(2), chips)
    words = mapped.input_words
    counts = (inputs(input_limit) / words.lsb).round().clamp(-words.full_scale, words.full_scale)
    limits = [input_limit, mapped.output_words.limit, limit]
    return mapped.program(rng=rng).at(0.0), counts, BlockNoise(rng.child("noise"), [0], SAMPLES), limits


@pytest.mark.parametrize(("cell", "projected"), CASES)
@pytest.mark.parametrize("name", CHIPS)
def test_every_step_on_an_ideal_chip_is_that_of_a_plain_loop_to_one_code(
    cell: Cell, projected: bool, name: str
) -> None:
    chip = CHIPS[name]
    layer_read, counts, noise, limits = ready(cell, projected, chip)
    w = {key: value.double().numpy() for key, value in tensors(cell, projected).items()}
    lsb = limits[1] / (2 ** (chip.bits - 1) - 1)
    h, c = torch.zeros((1, SAMPLES, OUTPUTS if projected else HIDDEN)), torch.zeros((1, SAMPLES, HIDDEN))
    same = []
    for t in range(STEPS):
        wanted, _ = plain_step(
            cell, chip, w, counts[:, t].double().numpy(), h[0].double().numpy(), c[0].double().numpy(), limits
        )
        start = [c if cell in ("gru", "gru_after") else h * lsb, *([c] if cell == "lstm" else [])]
        states, h, c = layer_read.sequence(counts[:, t : t + 1], noise, None, start=start)
        assert torch.equal(states[:, :, 0], h)
        apart = np.abs(h[0].numpy() - wanted)
        assert apart.max() <= 1.0
        same.append((apart == 0.0).mean())
    assert np.mean(same) > 0.99


@pytest.mark.parametrize(("cell", "projected"), CASES)
@pytest.mark.parametrize("name", CHIPS)
def test_the_formats_are_those_of_an_ideal_chip(cell: Cell, projected: bool, name: str) -> None:
    chip = CHIPS[name]
    layer_read, counts, noise, limits = ready(cell, projected, chip)
    states, h, _ = layer_read.sequence(counts, noise, None)
    found = tensors(cell, projected)
    formats = AwareCell.of(cell, chip, inputs=limits[0], states=limits[1], limit=limits[2])
    top = 2 ** (chip.bits - 1) - 1
    for kind in (torch.float32, torch.float64):
        ours = formats.sequence(inputs(limits[0]).to(kind), {key: one.to(kind) for key, one in found.items()})
        assert ours[0].dtype is kind
        # A sum may lie on a threshold to the last bit; then one code differs, and what follows from it.
        for mine, chips in ((ours[0], states[0]), (ours[1], h[0])):
            assert float(((mine * top / limits[1] - chips).abs() < 1e-3).double().mean()) > 0.97


@pytest.mark.parametrize("bits", [None, 5])
def test_the_compiled_loop_has_the_gradients_of_every_step_and_of_both_ends(bits: int | None) -> None:
    """Float32 on the CPU is the compiled loop, float64 autograd, one operation at a time."""
    formats = AwareCell(cell="lstm", bits=bits, state=CellState(bits=8, limit=1.0, drive_limit=0.8))
    draw = torch.Generator().manual_seed(6)
    start = [torch.rand((SAMPLES, HIDDEN), generator=draw) * 3 - 1.5 for _ in range(2)]
    pulls = [torch.randn(shape, generator=draw) for shape in ((SAMPLES, STEPS, HIDDEN), *[(SAMPLES, HIDDEN)] * 2)]
    results = []
    for kind in (torch.float32, torch.float64):
        given = [inputs(1.0), *start, *tensors("lstm", False).values()]
        x, h0, c0, *weights = (one.to(kind).requires_grad_() for one in given)
        named = dict(zip(tensors("lstm", False), weights, strict=True))
        outputs = formats.sequence(x, named, [h0, c0])
        assert ("LSTMSequence" in str(outputs[0].grad_fn)) == (kind is torch.float32)
        total = sum((one * pull.to(kind)).sum() for one, pull in zip(outputs, pulls, strict=True))
        results.append([one.double() for one in (*outputs, *torch.autograd.grad(total, [x, h0, c0, *weights]))])
    for fast, slow in zip(*results, strict=True):
        torch.testing.assert_close(fast, slow, rtol=1e-3, atol=1e-4)


REAL = Chip(
    bits=5,
    weights=Weights(device=TaOx(read_noise_S=0.0)),
    ramp=RampColumn(device=TaOx(read_noise_S=0.0)),
    **CIRCUIT,
)


@pytest.mark.parametrize(("cell", "projected"), CASES)
def test_a_sequence_in_two_parts_is_the_whole_one(cell: Cell, projected: bool) -> None:
    """The last state is the first one of what follows. A GRU's is stored finer than it is driven."""
    layer_read, counts, noise, limits = ready(cell, projected, REAL, chips=2)
    whole, last, stored = layer_read.sequence(counts, noise, None)
    lsb = limits[1] / (2 ** (REAL.bits - 1) - 1)
    states, h, c = layer_read.sequence(counts[:, :3], noise, None)
    start = [c if cell in ("gru", "gru_after") else h * lsb, *([c] if cell == "lstm" else [])]
    after, h, c = layer_read.sequence(counts[:, 3:], noise, None, start=start)
    assert torch.equal(torch.cat([states, after], dim=2), whole)
    assert torch.equal(h, last)
    assert torch.equal(c, stored)


@pytest.mark.parametrize(("cell", "projected"), CASES)
@pytest.mark.parametrize("readout", ["ramp", "conventional"])
def test_sequences_of_several_lengths_are_each_run_alone(cell: Cell, projected: bool, readout: Any) -> None:
    """States, outputs and everything that is counted, clock periods of every word line among it."""
    layer_read, counts, noise, _ = ready(cell, projected, replace(REAL, readout=readout), chips=2)
    lengths = torch.randint(0, STEPS + 1, (SAMPLES,), generator=torch.Generator().manual_seed(5))
    lengths[0] = STEPS
    together, alone = Activity(valid=SAMPLES - 3), Activity()
    states, h, c = layer_read.sequence(counts, noise, together, lengths=lengths)
    for k, length in enumerate(lengths.tolist()):
        only = torch.zeros(SAMPLES, dtype=torch.bool)
        only[k] = True
        wanted, last, stored = layer_read.sequence(
            counts[:, :length], noise, alone if k < SAMPLES - 3 else None, lengths=length * only
        )
        assert torch.equal(states[:, k, :length], wanted[:, k])
        assert torch.equal(h[:, k], last[:, k])
        assert torch.equal(c[:, k], stored[:, k])
        assert not bool(states[:, k, length:].any())
    assert together.samples == alone.samples == 2 * int(lengths[: SAMPLES - 3].sum())
    assert together.sums == alone.sums
    assert together.row_clocks is not None
    assert alone.row_clocks is not None
    torch.testing.assert_close(together.row_clocks, alone.row_clocks)
    if projected:
        assert together.projection is not None
        assert alone.projection is not None
        assert together.projection.samples == alone.projection.samples == together.samples
        assert together.projection.sums == alone.projection.sums


@pytest.mark.parametrize(
    ("how", "text"),
    [
        ({"start": [torch.zeros(1, 3, HIDDEN)]}, rf"h0: shape must be \(1 or 1, {SAMPLES}, {HIDDEN}\) \(got \(1, 3, 6"),
        ({"start": [None, torch.zeros(SAMPLES, HIDDEN)]}, "c0: shape must be"),
        ({"start": [None, torch.full((1, SAMPLES, HIDDEN), torch.nan)]}, "c0: values must be finite"),
        ({"start": [None] * 3}, r"start: a layer of lstm takes 2 \(got 3\)"),
        ({"lengths": torch.ones(3, dtype=torch.long)}, rf"lengths: whole numbers of shape \({SAMPLES},\)"),
        ({"lengths": torch.ones(SAMPLES)}, "lengths: whole numbers"),
        ({"lengths": torch.full((SAMPLES,), STEPS + 1)}, rf"lengths: from 0 to {STEPS} steps \(got 8 to 8\)"),
    ],
)
def test_first_states_and_lengths_that_do_not_fit_are_refused(how: dict[str, Any], text: str) -> None:
    layer_read, counts, noise, _ = ready("lstm", False, REAL)
    with pytest.raises(InputError, match=text):
        layer_read.sequence(counts, noise, None, **how)


def test_inputs_have_a_scale_of_their_own_and_states_keep_theirs() -> None:
    """Weights of the inputs take up the ratio, as those of the bias do; a relu's states have the layer's range."""
    made = layer("rnn_relu", tensors("rnn_relu", False), 3.0)
    mapped = made.map(PLAIN, name="x", inputs=WordFormat(bits=6, limit=12.0))
    assert mapped.input_words == WordFormat(bits=6, limit=12.0)
    assert mapped.output_words == WordFormat(bits=6, limit=3.0)
    torch.testing.assert_close(mapped.layer.weights.blocks[0], 4.0 * made.weights.blocks[0])
    assert torch.equal(mapped.layer.weights.blocks[1], made.weights.blocks[1])
    both = made.map(PLAIN)
    assert both.input_words == both.output_words == WordFormat(bits=5, limit=1.0)
    with pytest.raises(InputError, match="inputs: word lines of this layer take signed words"):
        made.map(PLAIN, inputs=WordFormat(bits=1, kind="spike"))


def test_a_gru_of_torch_prices_the_codes_that_its_columns_have() -> None:
    """Gates of 5 bits, two parts of the candidate of 8: converters are as wide as the widest, and steps are each's."""
    mapped = layer("gru_after", tensors("gru_after", False), 2.0).map(PLAIN, name="x")
    assert mapped.shape.code_bits == 8
    assert mapped.timing.gate_ramp_clocks == 2**8 - 1
    steps = mapped.expected(Assumed(code_share=0.5)).gate_compare_steps
    assert steps == 0.5 * (2 * HIDDEN * 2**5 + 2 * HIDDEN * 2**8)
    assert any("both parts are converted linearly" in note for note in mapped.actions().notes)
    wide = layer("gru_after", tensors("gru_after", False), 6.0).map(CHIPS["conventional"], name="x")
    assert wide.front_end.designs[0].load.range_z == 2 * 6.0
    assert wide.shape.code_bits == 8
