"""Packed sequences in a traced module: padded, with their lengths, since the order of a packed batch depends on data.

While a module is traced, ``pack_padded_sequence`` keeps its sequences padded, recurrent modules of packed ones are one
call with the lengths, and ``pad_packed_sequence`` gives as many steps as the example has, also where all sequences of a
batch are shorter.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

MODULES: dict[type[torch.nn.RNNBase], str] = {torch.nn.LSTM: "lstm", torch.nn.GRU: "gru", torch.nn.RNN: "rnn"}
BUILT: dict[str, Any] = {
    "lstm": torch._VF.lstm,
    "gru": torch._VF.gru,
    "rnn": torch._VF.rnn_tanh,
    "rnn_relu": torch._VF.rnn_relu,
}


@torch.library.custom_op("mho::packed", mutates_args=())
def packed(
    cell: str,
    x: Tensor,
    lengths: Tensor,
    start: list[Tensor],
    weights: list[Tensor],
    has_biases: bool,
    layers: int,
    both_ways: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """States of all steps ``(batch, steps, outputs)``, zero behind a sequence's end, its last ``h`` and, of an LSTM,
    ``c`` ``(layers * ways, batch, outputs)``; x ``(batch, steps, inputs)``, ``lengths (batch,)``."""
    held = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
    order, back = held.sorted_indices, held.unsorted_indices
    assert order is not None
    assert back is not None
    begin = [one.index_select(1, order) for one in start]
    how = (weights, has_biases, layers, 0.0, False, both_ways)
    data, h, *c = BUILT[cell](held.data, held.batch_sizes, begin if cell == "lstm" else begin[0], *how)
    states, _ = pad_packed_sequence(
        PackedSequence(data, held.batch_sizes, order, back),
        batch_first=True,
        total_length=x.shape[1],
    )
    h = h.index_select(1, back)
    return states, h, c[0].index_select(1, back) if c else h.clone()


@packed.register_fake
def _(
    cell: str,
    x: Tensor,
    lengths: Tensor,
    start: list[Tensor],
    weights: list[Tensor],
    has_biases: bool,
    layers: int,
    both_ways: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    outputs = start[0].shape[-1] * (2 if both_ways else 1)
    return x.new_empty((*x.shape[:2], outputs)), torch.empty_like(start[0]), torch.empty_like(start[-1])


def turned(x: Tensor, lengths: Tensor) -> Tensor:
    """Sequences ``(batch, steps, values)`` with their first ``lengths`` steps in the opposite order."""
    step = torch.arange(x.shape[1], device=x.device)
    back = lengths[:, None] - 1 - step
    place = torch.where(back >= 0, back, step)
    return torch.gather(x, 1, place[..., None].expand(x.shape))


def _kept(input: Any, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True) -> Any:
    """In place of ``pack_padded_sequence``: sequences, batch first, and their lengths."""
    x = input if batch_first else input.transpose(0, 1)
    return PackedSequence(x, torch.as_tensor(lengths), None, None)


def _given(sequence: Any, batch_first: bool = False, padding_value: float = 0.0, total_length: Any = None) -> Any:
    """In place of ``pad_packed_sequence``."""
    if padding_value != 0.0:
        raise ValueError(f"padding_value must be 0 (got {padding_value})")
    return sequence.data if batch_first else sequence.data.transpose(0, 1), sequence.batch_sizes


@contextlib.contextmanager
def padded() -> Iterator[None]:
    """Trace packed sequences as padded ones.

    The two functions keep their place and get other code, since modules hold them under names of their own.
    """
    before = {one: one.forward for one in MODULES}
    codes = {pack_padded_sequence: _kept, pad_packed_sequence: _given}
    kept = {function: function.__code__ for function in codes}

    def forward(self: torch.nn.RNNBase, x: Any, hx: Any = None) -> Any:
        kind = next(one for one in MODULES if isinstance(self, one))
        if not isinstance(x, PackedSequence):
            return before[kind](self, x, hx)
        cell = "rnn_relu" if getattr(self, "nonlinearity", "") == "relu" else MODULES[kind]
        ways = 2 if self.bidirectional else 1
        if hx is None:
            sizes = [self.proj_size or self.hidden_size, *([self.hidden_size] if cell == "lstm" else [])]
            start = [x.data.new_zeros((self.num_layers * ways, x.data.shape[0], size)) for size in sizes]
        else:
            start = list(hx) if cell == "lstm" else [hx]
        weights = [getattr(self, name) for name in self._flat_weights_names]
        states, h, c = packed(
            cell, x.data, x.batch_sizes, start, weights, self.bias, self.num_layers, self.bidirectional
        )
        return PackedSequence(states, x.batch_sizes, None, None), (h, c) if cell == "lstm" else h

    try:
        for function, other in codes.items():
            function.__code__ = other.__code__
        for one in MODULES:
            one.forward = forward
        yield
    finally:
        for function, code in kept.items():
            function.__code__ = code
        for one, original in before.items():
            one.forward = original
