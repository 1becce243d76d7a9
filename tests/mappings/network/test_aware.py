"""Training sees the chip: the written-out gradient, and the codes of the converters."""

from __future__ import annotations

import pytest
import torch

from devices import BlockNoise, ChipStreams, Ideal, Stream, TaOx
from mappings.chip import CellState, Chip, Weights
from mappings.network.aware import AwareCell, coded, pulsed
from mappings.network.recurrent import RecurrentLayer
from periphery import SIGMOID, TANH, PWMDriver, RampColumn

HIDDEN, INPUTS = 8, 6


def weights(cell: str, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    gates = {"lstm": 4, "gru": 3, "rnn": 1}[cell] * HIDDEN
    draw = torch.Generator().manual_seed(seed)
    return tuple(
        (0.8 * torch.randn(shape, generator=draw)).requires_grad_()
        for shape in ((gates, INPUTS), (gates, HIDDEN), (gates,))
    )  # type: ignore[return-value]


def stored(c: torch.Tensor, state: CellState) -> torch.Tensor:
    """Whole steps, saturating; the gradient is that of the saturation."""
    lsb = 2.0 * state.limit / 2**state.bits
    kept = c.clamp(-state.limit, state.limit - lsb)
    return kept + (torch.round(kept / lsb) * lsb - kept).detach()


def hidden(formats: AwareCell, x: torch.Tensor, *weights: torch.Tensor) -> torch.Tensor:
    """The last state."""
    return formats.sequence(x, dict(zip(("weight_ih", "weight_hh", "bias_ih"), weights, strict=True)))[1]


def step_by_step(
    aware: AwareCell, x: torch.Tensor, w_ih: torch.Tensor, w_hh: torch.Tensor, b: torch.Tensor
) -> torch.Tensor:
    """The LSTM, one autograd operation at a time."""
    state, bits = aware.state, aware.bits
    h = c = torch.zeros(x.shape[0], HIDDEN)
    for t in range(x.shape[1]):
        now = pulsed(x[:, t], 1.0, bits) if bits else x[:, t]
        i, f, g, o = (now @ w_ih.T + h @ w_hh.T + b).chunk(4, dim=1)
        i, f, o, g = i.sigmoid(), f.sigmoid(), o.sigmoid(), g.tanh()
        if not bits:
            c = f * c + i * g
            h = o * c.tanh()
            continue
        i, f, o, g = coded(i, SIGMOID, bits), coded(f, SIGMOID, bits), coded(o, SIGMOID, bits), coded(g, TANH, bits)
        c = stored(f * c + i * g, state)
        h = pulsed(o * coded(pulsed(c, state.drive_limit, bits).tanh(), TANH, bits), 1.0, bits)
    return h


@pytest.mark.parametrize("bits", [None, 4, 5, 8])
def test_written_out_lstm_gradient_is_that_of_autograd(bits: int | None) -> None:
    aware = AwareCell(cell="lstm", bits=bits, state=CellState(bits=8, limit=1.0, drive_limit=0.8))
    x = torch.randn((5, 9, INPUTS), generator=torch.Generator().manual_seed(1)).clamp(-1, 1)
    target = torch.randn((5, HIDDEN), generator=torch.Generator().manual_seed(2))
    results = []
    for forward in ("fast", "slow"):
        w = weights("lstm")
        h = (hidden if forward == "fast" else step_by_step)(aware, x, *w)
        ((h - target) ** 2).sum().backward()
        results.append((h.detach(), *(p.grad for p in w)))
    for fast, slow in zip(*results, strict=True):
        torch.testing.assert_close(fast, slow, rtol=1e-4, atol=1e-5)


def test_without_rounding_it_is_torchs_lstm() -> None:
    lstm = torch.nn.LSTM(INPUTS, HIDDEN, batch_first=True)
    x = torch.randn(3, 7, INPUTS)
    bias = lstm.bias_ih_l0 + lstm.bias_hh_l0
    ours = hidden(AwareCell(cell="lstm"), x, lstm.weight_ih_l0, lstm.weight_hh_l0, bias)
    torch.testing.assert_close(ours, lstm(x)[1][0][0])


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("bits", [3, 5, 8])
def test_training_and_ideal_chip_agree_code_by_code(cell: str, bits: int) -> None:
    chip = Chip(bits=bits, weights=Weights(device=TaOx()), ramp=RampColumn(device=TaOx())).idealised()
    w_ih, w_hh, bias = weights(cell, seed=3)
    layer = RecurrentLayer.from_torch(cell, w_ih, w_hh, bias, reset="before")  # type: ignore[arg-type]
    x = torch.randn((16, 12, INPUTS), generator=torch.Generator().manual_seed(4)).clamp(-1, 1)
    rng = ChipStreams.of(Stream.root(0), 1)
    with torch.no_grad():
        counts = chip.driver.counts(x, bits)
        h = layer.map(chip).program(rng=rng).at(0.0).run(counts, noise=BlockNoise(rng, [0], 16))[0, :, -1]
        trained = hidden(AwareCell(cell=cell, bits=bits, state=chip.state), x, w_ih, w_hh, bias)  # type: ignore[arg-type]
    top = 2 ** (bits - 1) - 1
    same = (h - trained * top).abs() < 1e-3
    assert isinstance(chip.weights.device, Ideal)
    assert same.float().mean() > 0.97, f"only {same.float().mean():.3f} of the hidden codes agree"


@pytest.mark.parametrize("x_max", [0.5, 2.0])
def test_training_drives_the_range_of_the_chip(x_max: float) -> None:
    chip = Chip(
        bits=5, weights=Weights(device=TaOx()), ramp=RampColumn(device=TaOx()), driver=PWMDriver(x_max=x_max)
    ).idealised()
    w_ih, w_hh, bias = weights("lstm", seed=3)
    layer = RecurrentLayer.from_torch("lstm", w_ih, w_hh, bias)
    x = torch.randn((16, 12, INPUTS), generator=torch.Generator().manual_seed(4)).clamp(-x_max, x_max)
    rng = ChipStreams.of(Stream.root(0), 1)
    with torch.no_grad():
        h = (
            layer.map(chip)
            .program(rng=rng)
            .at(0.0)
            .run(chip.driver.counts(x, 5), noise=BlockNoise(rng, [0], 16))[0, :, -1]
        )
        aware = AwareCell(cell="lstm", bits=5, state=chip.state, input_limit=x_max, state_limit=x_max)
        trained = hidden(aware, x, w_ih, w_hh, bias)
    assert ((h - trained * 15 / x_max).abs() < 1e-3).float().mean() > 0.97
