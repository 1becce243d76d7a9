"""Recurrent cells of torch: their tensors as one matrix of columns, and the GRU that torch does not have.

torch's GRU applies its reset gate behind the product, ``n = tanh(W x + b + r (U h + b'))``. The candidate's two sums
have columns of their own, one with weights of zero on the lines of the state and one on those of the inputs (plus one
word line or more for both biases): one pass over the array then gives both, where driving the same columns twice would
take two. The other form, ``n = tanh(W x + U (r h) + b)`` (Cho et al., arXiv 1406.1078), is ``ResetBeforeGRU``.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch

from devices import InputError
from mappings.matrix import WeightMatrix
from mappings.network.actions import GATES, Cell
from mappings.network.aware import AwareCell

TORCH_ORDER: dict[Cell, tuple[str, ...]] = {"lstm": ("i", "f", "g", "o"), "gru": ("r", "z", "n"), "rnn": ("h",)}
TORCH_ORDER |= {"rnn_relu": TORCH_ORDER["rnn"], "gru_after": TORCH_ORDER["gru"]}
RESET_AFTER = (
    "torch and Keras apply a GRU's reset gate after the product with the hidden state, with a bias of its own; mho's "
    "keyword spotter applies it before where model.reset is not after, so the same weights are another network, and "
    "nothing in the tensors tells which was trained"
)


def cell_of(cell: Cell, reset: Literal["before", "after"]) -> Cell:
    """The cell that is computed: a ``gru`` whose reset gate acts ``after`` the product is torch's."""
    if reset not in ("before", "after"):
        raise InputError(f"reset: 'before' or 'after' (got {reset!r})")
    return "gru_after" if cell == "gru" and reset == "after" else cell


def matrix_of(
    cell: Cell,
    weight_ih: torch.Tensor,
    weight_hh: torch.Tensor,
    bias_ih: torch.Tensor | None,
    bias_hh: torch.Tensor | None,
    weight_hr: torch.Tensor | None,
) -> WeightMatrix:
    """The columns of a layer from tensors named and ordered as torch does.

    Raises InputError for shapes of another cell or of a projection that is not given, and for a GRU of torch with one
    bias for both.
    """
    fed_back, gates = weight_hh.shape[-1], len(TORCH_ORDER[cell])
    hidden = fed_back if weight_hr is None else weight_hr.shape[-1]
    _check(cell, hidden, weight_ih, weight_hh, weight_hr)
    for name, bias in (("bias_ih", bias_ih), ("bias_hh", bias_hh)):
        if bias is not None and bias.shape != (gates * hidden,):
            raise InputError(f"{name}: shape must be ({gates * hidden},), as the weights' (got {tuple(bias.shape)})")
    if cell == "gru_after":
        return _candidate_in_parts(hidden, weight_ih, weight_hh, bias_ih, bias_hh)
    if bias_hh is not None:
        bias_ih = bias_hh if bias_ih is None else bias_ih + bias_hh
    names = [*GATES[cell][0], *GATES[cell][1]]
    order = torch.cat([torch.arange(hidden) + TORCH_ORDER[cell].index(name) * hidden for name in names])
    return WeightMatrix((weight_ih, weight_hh), bias_ih, order)


def _check(
    cell: Cell, hidden: int, weight_ih: torch.Tensor, weight_hh: torch.Tensor, weight_hr: torch.Tensor | None
) -> None:
    fed_back, gates, name = weight_hh.shape[-1], len(TORCH_ORDER[cell]), cell.partition("_")[0]
    if weight_hr is not None and (cell != "lstm" or weight_hr.shape != (fed_back, hidden)):
        raise InputError(
            "weight_hr: an LSTM alone has a projection, (p, h) of h units with a weight_hh of (4 h, p) "
            f"(got {tuple(weight_hr.shape)} and {tuple(weight_hh.shape)} of torch's {name})"
        )
    if weight_hh.shape != (gates * hidden, fed_back) or weight_ih.shape[:-1] != (gates * hidden,):
        how = "without a projection, whose weight_hr is to be given" if weight_hr is None else "with this projection"
        h, p = f"{gates} h", "h" if weight_hr is None else str(fed_back)
        raise InputError(
            f"weight_ih, weight_hh: of h units of torch's {name} they are ({h}, inputs) and ({h}, {p}), {how} "
            f"(got {tuple(weight_ih.shape)} and {tuple(weight_hh.shape)})"
        )


def _candidate_in_parts(
    hidden: int,
    weight_ih: torch.Tensor,
    weight_hh: torch.Tensor,
    bias_ih: torch.Tensor | None,
    bias_hh: torch.Tensor | None,
) -> WeightMatrix:
    """r, z, and the two sums of the candidate in columns of their own."""
    if (bias_ih is None) != (bias_hh is None):
        raise InputError(
            "bias_hh: a GRU whose reset gate acts after the product has two biases, which do not add up: bias (torch's "
            "bias_ih) and bias_hh, or neither (got one)"
        )
    gates, rows = 2 * hidden, 4 * hidden
    x, h = weight_ih.new_zeros((rows, weight_ih.shape[1])), weight_hh.new_zeros((rows, hidden))
    x[: 3 * hidden] = weight_ih.detach()
    h[:gates], h[3 * hidden :] = weight_hh.detach()[:gates], weight_hh.detach()[gates:]
    if bias_ih is None or bias_hh is None:
        return WeightMatrix((x, h))
    return WeightMatrix((x, h), torch.cat([bias_ih[:gates] + bias_hh[:gates], bias_ih[gates:], bias_hh[gates:]]))


@torch.library.custom_op("mho::gru_reset_before", mutates_args=())
def gru_reset_before(
    x: torch.Tensor, h0: torch.Tensor, weight_ih: torch.Tensor, weight_hh: torch.Tensor, bias: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """States of all steps ``(batch, steps, hidden)`` of ``x (batch, steps, inputs)``, and the last one, of a GRU whose
    reset gate acts before the product; ``h0 (batch, hidden)``; gates in torch's order r, z, n."""
    states, last = _reset_before(x, h0, weight_ih, weight_hh, bias)
    return states.contiguous(), last.clone()


def _reset_before(
    x: torch.Tensor, h0: torch.Tensor, weight_ih: torch.Tensor, weight_hh: torch.Tensor, bias: torch.Tensor | None
) -> tuple[torch.Tensor, ...]:
    weights = {"weight_ih": weight_ih, "weight_hh": weight_hh} | ({} if bias is None else {"bias_ih": bias})
    return AwareCell(cell="gru").sequence(x, weights, [h0])


@gru_reset_before.register_fake
def _(
    x: torch.Tensor, h0: torch.Tensor, weight_ih: torch.Tensor, weight_hh: torch.Tensor, bias: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    return x.new_empty((*x.shape[:2], weight_hh.shape[1])), torch.empty_like(h0)


def _keep(ctx: Any, inputs: tuple[torch.Tensor | None, ...], output: object) -> None:
    ctx.save_for_backward(*inputs)


def _backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
    """The sequence is computed again: its steps are not kept."""
    saved: tuple[torch.Tensor | None, ...] = ctx.saved_tensors
    with torch.enable_grad():
        given = [None if one is None else one.detach().requires_grad_() for one in saved]
        outputs = _reset_before(*given)  # type: ignore[arg-type]
        found = iter(torch.autograd.grad(outputs, [one for one in given if one is not None], gradients))
    return tuple(None if one is None else next(found) for one in given)


gru_reset_before.register_autograd(_backward, setup_context=_keep)


class ResetBeforeGRU(torch.nn.Module):
    """A GRU whose reset gate acts before the product with the hidden state, in one layer and direction.

    On tiles it takes fewer columns than torch's and two passes, and its candidate is converted by the nonlinear ramp.
    Called as ``torch.nn.GRU``: ``x`` is ``(steps, batch, inputs)``, or batch first; it gives the states of all steps
    and the last one, ``(1, batch, hidden)``. There is one bias, of both products.
    """

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, batch_first: bool = False) -> None:
        super().__init__()
        self.input_size, self.hidden_size, self.batch_first = input_size, hidden_size, batch_first
        rows, bound = 3 * hidden_size, 1.0 / math.sqrt(hidden_size)
        self.weight_ih_l0 = torch.nn.Parameter(torch.empty(rows, input_size).uniform_(-bound, bound))
        self.weight_hh_l0 = torch.nn.Parameter(torch.empty(rows, hidden_size).uniform_(-bound, bound))
        self.bias_l0 = torch.nn.Parameter(torch.empty(rows).uniform_(-bound, bound)) if bias else None

    def forward(self, x: torch.Tensor, h0: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """States of all steps and the last one, from ``h0 (1, batch, hidden)``, zero by default."""
        x = x if self.batch_first else x.transpose(0, 1)
        start = x.new_zeros((x.shape[0], self.hidden_size)) if h0 is None else h0[0]
        states, last = gru_reset_before(x, start, self.weight_ih_l0, self.weight_hh_l0, self.bias_l0)
        return states if self.batch_first else states.transpose(0, 1), last[None]
