"""Every recurrent cell of torch with every option: in float, and on programmed chips that round nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from devices import BlockNoise, ChipStreams, InputError, Stream
from mappings.chip import Chip
from mappings.contract import WordFormat
from mappings.convert.trace import traced
from mappings.network.actions import Cell
from mappings.network.aware import AwareCell
from mappings.network.recurrent import RecurrentLayer
from mappings.network.recurrent_run import RecurrentRead
from mappings.network.torch_cells import ResetBeforeGRU
from mho.config.read import read

EXACT = read("exact", Chip, folder="chips").value
KINDS = ["lstm", "projected", "gru", "rnn", "relu"]
CELL: dict[str, Cell] = {
    "lstm": "lstm",
    "projected": "lstm",
    "gru": "gru_after",
    "rnn": "rnn",
    "relu": "rnn_relu",
    "before": "gru",
}
FEW = settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
sizes = st.tuples(st.integers(1, 7), st.integers(1, 6), st.integers(1, 5), st.integers(1, 6))
seeds = st.integers(0, 2**16)


def module(kind: str, inputs: int, hidden: int, *, bias: bool) -> Any:
    how: dict[str, Any] = {"bias": bias, "batch_first": True}
    if kind == "projected":
        return nn.LSTM(inputs, hidden + 1, proj_size=hidden, **how)
    if kind == "relu":
        return nn.RNN(inputs, hidden, nonlinearity="relu", **how)
    kinds: dict[str, Any] = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN, "before": ResetBeforeGRU}
    return kinds[kind](inputs, hidden, **how)


def tensors(of: nn.Module) -> dict[str, torch.Tensor]:
    names = {"bias_l0": "bias_ih"}
    return {names.get(name, name.removesuffix("_l0")): one for name, one in of.named_parameters()}


def layer_of(kind: str, of: nn.Module, limit: float = 1.0) -> RecurrentLayer:
    found = tensors(of)
    return RecurrentLayer.from_torch(
        "gru" if kind in ("gru", "before") else CELL[kind],
        found["weight_ih"],
        found["weight_hh"],
        found.get("bias_ih"),
        bias_hh=found.get("bias_hh"),
        weight_hr=found.get("weight_hr"),
        reset="before" if kind == "before" else "after",
        limit=limit,
    )


def starts(kind: str, of: Any, batch: int) -> list[torch.Tensor]:
    """First states ``(batch, ...)`` of this kind of layer."""
    hidden = of.hidden_size
    found = [torch.randn(batch, hidden - 1 if kind == "projected" else hidden)]
    return found + ([torch.randn(batch, hidden)] if CELL[kind] == "lstm" else [])


def torchs(of: Any, x: torch.Tensor, start: list[torch.Tensor] | None, lengths: torch.Tensor | None) -> list[Any]:
    """States of all steps and the last ones, by torch."""
    begin: Any = None if start is None else tuple(one[None] for one in start)
    begin = begin if begin is None or len(begin) == 2 else begin[0]
    if lengths is None:
        states, last = of(x, begin)
    else:
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        states, last = of(packed, begin)
        states = nn.utils.rnn.pad_packed_sequence(states, batch_first=True, total_length=x.shape[1])[0]
    return [states, *(one[0] for one in (last if isinstance(last, tuple) else (last,)))]


def example(data: st.DataObject, kind: str) -> tuple[Any, torch.Tensor, list[torch.Tensor] | None, Any]:
    """A layer, sequences, first states or None, and lengths or None."""
    inputs, hidden, batch, steps = data.draw(sizes)
    torch.manual_seed(data.draw(seeds))
    of = module(kind, inputs, hidden, bias=data.draw(st.booleans()))
    x = torch.randn(batch, steps, inputs)
    start = starts(kind, of, batch) if data.draw(st.booleans()) else None
    lengths = torch.randint(1, steps + 1, (batch,)) if kind != "before" and data.draw(st.booleans()) else None
    return of, x, start, lengths


@pytest.mark.parametrize("kind", [*KINDS, "before"])
@FEW
@given(data=st.data())
def test_programmed_chips_that_round_nothing_are_torch(kind: str, data: st.DataObject) -> None:
    of, x, start, lengths = example(data, kind)
    mapped = layer_of(kind, of).map(EXACT, inputs=WordFormat(bits=EXACT.bits, limit=data.draw(st.floats(0.1, 20.0))))
    rng, words = ChipStreams.of(Stream.root(1), 2), (mapped.input_words, mapped.output_words)
    read = mapped.program(rng=rng).at(0.0)
    assert isinstance(read, RecurrentRead)
    with torch.no_grad():
        begin = None if start is None else [one.double() for one in start]
        wanted = torchs(of.double(), x.double(), begin, lengths)
        noise = BlockNoise(rng, [0], len(x))
        states, h, c = read.sequence(
            x / words[0].lsb, noise, None, start=[one[None] for one in start or ()], lengths=lengths
        )
    found = [states * words[1].lsb, h * words[1].lsb, *([c] if CELL[kind] == "lstm" else [])]
    for ours, theirs in zip(found, wanted, strict=True):
        assert float((ours - theirs).abs().max()) <= 1e-5 * max(float(theirs.abs().max()), 1e-3)


@pytest.mark.parametrize("kind", [*KINDS, "before"])
@FEW
@given(data=st.data(), kind_of_float=st.sampled_from([torch.float32, torch.float64]))
def test_without_rounding_the_formats_are_torch_and_so_are_their_gradients(
    kind: str, data: st.DataObject, kind_of_float: torch.dtype
) -> None:
    of, x, start, lengths = example(data, kind)
    if kind == "projected":
        kind_of_float = torch.float64  # torch warns of its way to compute it in float32
    of, x = of.to(kind_of_float), x.to(kind_of_float).requires_grad_()
    begin = None if start is None else [one.to(kind_of_float).requires_grad_() for one in start]
    cell, tolerance = AwareCell.of(CELL[kind], EXACT, inputs=0.1), 1e-6 if kind_of_float is torch.float64 else 2e-5
    pulls: list[torch.Tensor] = []
    results = []
    for theirs in (True, False):
        outputs = torchs(of, x, begin, lengths) if theirs else cell.sequence(x, tensors(of), begin or (), lengths)
        pulls = pulls or [torch.randn_like(one) for one in outputs]
        total = sum((one * pull).sum() for one, pull in zip(outputs, pulls, strict=True))
        leaves = [*of.parameters(), x, *(begin or ())]
        results.append([*outputs, *torch.autograd.grad(total, leaves)])
    for theirs, ours in zip(*results, strict=True):
        torch.testing.assert_close(
            ours, theirs, rtol=tolerance, atol=tolerance if ours.dtype is torch.float64 else 2e-5
        )
    if kind_of_float is torch.float32:
        for theirs, ours in zip(results[0][:2], results[1][:2], strict=True):
            torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6 * max(1.0, float(theirs.detach().abs().max())))


@pytest.mark.parametrize(
    ("kind", "cell"),
    [
        ("lstm", nn.LSTMCell(3, 4)),
        ("gru", nn.GRUCell(3, 4)),
        ("rnn", nn.RNNCell(3, 4)),
        ("relu", nn.RNNCell(3, 4, nonlinearity="relu")),
    ],
)
def test_one_step_is_a_cell_of_torch(kind: str, cell: Any) -> None:
    torch.manual_seed(0)
    x, start = torch.randn(5, 3), starts(kind, cell, 5)
    mapped = layer_of(kind, cell).map(EXACT)
    rng = ChipStreams.of(Stream.root(1), 1)
    read: Any = mapped.program(rng=rng).at(0.0)
    with torch.no_grad():
        wanted = cell(x, tuple(start) if kind == "lstm" else start[0])
        _, h, c = read.sequence(
            x[:, None] / mapped.input_words.lsb, BlockNoise(rng, [0], 5), None, start=[one[None] for one in start]
        )
    wanted = wanted if kind == "lstm" else (wanted,)
    for ours, theirs in zip((h[0] * mapped.output_words.lsb, c[0]), wanted, strict=False):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_a_gru_of_torch_has_two_biases_and_a_reset_gate_that_is_named() -> None:
    gru = nn.GRU(3, 4)
    w_ih, w_hh, b_ih, b_hh = gru.parameters()
    assert RecurrentLayer.from_torch("gru", w_ih, w_hh, b_ih, bias_hh=b_hh).cell == "gru_after"
    assert RecurrentLayer.from_torch("gru", w_ih, w_hh, b_ih + b_hh, reset="before").cell == "gru"
    with pytest.raises(InputError, match=r"bias_hh: a GRU whose reset gate acts after the product has two biases"):
        RecurrentLayer.from_torch("gru", w_ih, w_hh, b_ih + b_hh)
    with pytest.raises(InputError, match=r"bias_hh: shape must be \(12,\), as the weights' \(got \(3,\)\)"):
        RecurrentLayer.from_torch("gru", w_ih, w_hh, b_ih, bias_hh=torch.zeros(3))
    with pytest.raises(InputError, match="reset: 'before' or 'after' \\(got 'behind'\\)"):
        RecurrentLayer.from_torch("gru", w_ih, w_hh, None, reset="behind")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="limit: must be positive and finite"):
        RecurrentLayer.from_torch("gru", w_ih, w_hh, None, limit=0.0)


def sigmoid(z: np.ndarray) -> np.ndarray:
    return np.asarray(1.0 / (1.0 + np.exp(-z)))


@pytest.mark.parametrize("bias", [True, False])
def test_the_gru_whose_reset_gate_acts_before_the_product(bias: bool) -> None:
    """Cho et al. (2014): r, z = sigmoid(W x + U h + b);  n = tanh(W x + U (r h) + b);  h = (1 - z) n + z h."""
    torch.manual_seed(0)
    gru, x, h0 = ResetBeforeGRU(3, 4, bias=bias).double(), torch.randn(5, 2, 3).double(), torch.randn(1, 2, 4).double()
    w, u = gru.weight_ih_l0.detach().numpy(), gru.weight_hh_l0.detach().numpy()
    b = gru.bias_l0.detach().numpy() if gru.bias_l0 is not None else np.zeros(12)
    h, wanted = h0[0].numpy(), []
    for now in x.numpy():
        z_x = now @ w.T + b
        r, z = sigmoid(z_x[:, :4] + h @ u[:4].T), sigmoid(z_x[:, 4:8] + h @ u[4:8].T)
        h = (1 - z) * np.tanh(z_x[:, 8:] + (r * h) @ u[8:].T) + z * h
        wanted.append(h)
    states, last = gru(x, h0)
    np.testing.assert_allclose(states.detach().numpy(), np.stack(wanted), rtol=1e-12)
    assert torch.equal(last[0], states[-1])
    first = ResetBeforeGRU(3, 4, bias=bias, batch_first=True).double()
    first.load_state_dict(gru.state_dict())
    assert torch.equal(first(x.transpose(0, 1), h0)[0], states.transpose(0, 1))


def test_export_keeps_that_gru_whole_and_its_gradient_is_checked() -> None:
    torch.manual_seed(0)
    gru, x = ResetBeforeGRU(3, 2, batch_first=True).double(), torch.randn(2, 4, 3).double()
    graph = traced(gru, (x,)).graph
    targets = [node.target for node in graph.graph.nodes if node.op == "call_function"]
    assert torch.ops.mho.gru_reset_before.default in targets
    assert not any("sigmoid" in str(target) for target in targets)
    given = [x, torch.randn(2, 2).double(), *(one.detach() for one in gru.parameters())]
    assert torch.autograd.gradcheck(torch.ops.mho.gru_reset_before, [one.requires_grad_() for one in given])
    torch.library.opcheck(torch.ops.mho.gru_reset_before.default, tuple(one.detach() for one in given))
