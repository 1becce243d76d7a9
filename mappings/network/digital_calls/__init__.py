"""Digital calls of a traced network: whatever does not lie on tiles is computed by adders, multipliers and tables, and
is counted and priced.

``FAMILIES`` is the list of all calls that are known: function by function, with what counts it. A new one is one line.

**Words.** Every word that enters has ``bits`` bits, those of the chip's formats; products have twice as many, sums of n
words ``log2(n)`` more, and what leaves a call is rounded to ``bits`` again by leaving off bits, which costs nothing.
Only prices rest on this: values pass from call to call unrounded until a layer's driver rounds them.

**Lanes.** ``chip.lanes`` units work side by side; each has the multipliers, adders, tables and registers of the largest
stage of the call, and takes its next operands at the first clock edge after its last result. Each call has its own.

**Memory.** What a call gives, and parameters that it needs, wait in registers up to 512 bytes, and in banks of 2 KB of
SRAM above, written once and read once in one inference.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from configs.errors import InputError
from mappings.actions import ActionLedger, Actions
from mappings.chip import Chip
from mappings.network.digital_calls import elementwise, moves, normalisation, products, reductions
from mappings.network.digital_calls.work import Buffer, Call, Stage, Work
from periphery.prices.component import Component, component

__all__ = ["FAMILIES", "Call", "DigitalCall", "count", "is_known", "refused"]

REGISTER_BYTES = 512
"""Most bytes that wait in registers; an estimate: they take about the area of a bank of 2 KB."""
BANK_BYTES = 2048


def _named(family: Callable[[Call, int], Work], names: Iterable[str]) -> dict[str, Callable[[Call, int], Work]]:
    return dict.fromkeys(names, family)


def _extreme_or_compared(call: Call, bits: int) -> Work:
    """``max`` and ``min`` of one tensor are extremes, and of two tensors comparisons."""
    return (elementwise.compared if call.given("other") is not None else reductions.extreme)(call, bits)


_POOLS = [f"{kind}_pool{d}d" for kind in ("max", "avg", "adaptive_max", "adaptive_avg") for d in (1, 2, 3)]

FAMILIES: dict[str, Callable[[Call, int], Work]] = {
    **_named(elementwise.added, ("add", "sub", "rsub", "subtract")),
    **_named(elementwise.multiplied, ("mul", "multiply")),
    **_named(elementwise.divided, ("div", "divide", "true_divide", "floor_divide", "remainder", "fmod")),
    **_named(elementwise.compared, (*elementwise.COMPARISONS, "clamp", "clip")),
    **_named(elementwise.chosen, elementwise.CHOICES),
    **_named(elementwise.evaluated, elementwise.FUNCTIONS),
    **_named(elementwise.powered, ("pow",)),
    **_named(elementwise.multiplied_and_added, ("addcmul", "lerp")),
    **_named(elementwise.gated, ("glu",)),
    **_named(elementwise.sloped, ("prelu", "_prelu_kernel")),
    **_named(products.matrix_product, ("matmul", "mm", "bmm", "mv", "dot", "inner", "outer", *products.WITH_A_SUM)),
    **_named(products.layer_product, ("linear", "conv1d", "conv2d")),
    **_named(products.einstein_sum, ("einsum",)),
    **_named(products.attention, ("scaled_dot_product_attention",)),
    **_named(normalisation.softmax, ("softmax", "log_softmax", "_softmax", "_log_softmax", "_safe_softmax")),
    **_named(normalisation.log_sum_exp, ("logsumexp",)),
    **_named(normalisation.layer_norm, ("layer_norm", "native_layer_norm", "rms_norm", "_fused_rms_norm")),
    **_named(normalisation.group_norm, ("group_norm", "native_group_norm", "instance_norm")),
    **_named(normalisation.batch_norm, ("batch_norm", "_native_batch_norm_legit_no_training", "native_batch_norm")),
    **_named(reductions.summed, ("sum", "mean")),
    **_named(reductions.cumulated, ("cumsum",)),
    **_named(reductions.extreme, ("amax", "amin", "argmax", "argmin", "any", "all")),
    **_named(_extreme_or_compared, ("max", "min")),
    **_named(reductions.deviation, ("var", "std", "linalg_vector_norm", "norm")),
    **_named(reductions.pooled, (*_POOLS, "max_pool2d_with_indices", "_adaptive_avg_pool2d")),
    **_named(reductions.interpolated, ("upsample_linear1d", "upsample_bilinear2d", "upsample_trilinear3d")),
    **_named(moves.viewed, moves.VIEWS),
    **_named(moves.copied, moves.COPIES),
    **_named(moves.constant, moves.CONSTANTS),
    **_named(moves.looked_up, ("embedding", "gather", "index", "index_select", "take_along_dim")),
}


@dataclass(frozen=True)
class DigitalCall:
    """One call that is computed digitally: what it does in one inference, and a line for the table of layers.

    ``what``, ``why``: what is computed, and why on no tile.
    """

    actions: Actions
    what: str
    why: str

    @property
    def free(self) -> bool:
        """Whether it costs nothing."""
        return not self.actions.actions and not self.actions.instances


def is_known(target: Any) -> bool:
    """Whether calls of this function can be counted."""
    return Call(path="", target=target).name in FAMILIES


def refused(calls: Iterable[Call]) -> list[str]:
    """A line for each call that cannot be counted, with its path, for one InputError of all."""
    found: list[str] = []
    for call in calls:
        try:
            _work(call, 8)
        except InputError as error:
            found += error.problems
    return found


def count(
    call: Call, chip: Chip, *, bits: int | None = None, components: Mapping[str, Component] | None = None
) -> DigitalCall:
    """Actions, instances and schedule of one call in one inference, under the name ``call.path``.

    Parameters
    ----------
    bits : width of the words that enter and leave; None takes the chip's
    components : the price list, for latencies; None takes the chip's

    Raises InputError for a call that is not known, or in a form that is not.
    """
    width = chip.bits if bits is None else bits
    work = _work(call, width)
    prices = chip.price_list() if components is None else components
    ledger = ActionLedger(call.path, merge=True)
    per_lane: dict[str, float] = {}
    for stage in work.stages:
        if stage.turns:
            _run(ledger, stage, chip, prices)
        sizes: dict[str, float] = {}
        for part in stage.parts:
            if part.times and part.size:
                ledger.act(part.component, part.action, part.times * part.size)
                sizes[part.component] = sizes.get(part.component, 0.0) + part.size
        per_lane |= {name: max(size, per_lane.get(name, 0.0)) for name, size in sizes.items()}
    for name, size in per_lane.items():
        ledger.need(name, chip.lanes * size)
    for buffer in work.rows_wait:
        _keep(ledger, buffer)
    if work.kept and call.values:
        kept = float(call.values * (1 if call.out.dtype == torch.bool else width))
        _keep(ledger, Buffer(kept, kept))
    _recall(ledger, call, work, width)
    if ledger.schedule.tasks:
        ledger.act("controller", "clock", ledger.schedule.tasks[-1].end_s / chip.driver.t_clk_s)
        ledger.need("controller", 1)
    return DigitalCall(ledger.close(ops=work.ops), work.what, work.why)


def _work(call: Call, bits: int) -> Work:
    if (family := FAMILIES.get(call.name)) is None:
        raise InputError(f"{call.path}: {call.overload}: can be put on no tile and is not known as a digital call")
    return family(call, bits)


def _run(ledger: ActionLedger, stage: Stage, chip: Chip, prices: Mapping[str, Component]) -> None:
    """Put a stage on the lanes, behind those before it."""
    t_clk_s = chip.driver.t_clk_s
    at_node = {part.component: component(part.component, prices).at(chip.node_nm) for part in stage.parts if part.times}
    latency_s = sum(at_node[part.component].latency_s for part in stage.parts if part.times and part.size)
    each_s = max(1, math.ceil(latency_s / t_clk_s - 1e-9)) * t_clk_s
    ledger.schedule.add(stage.name, "digital", math.ceil(stage.turns / chip.lanes) * each_s)


def _keep(ledger: ActionLedger, buffer: Buffer) -> None:
    """Words that are written, wait and are read once."""
    if _in_registers(buffer.bits):
        ledger.act("register", "write_bit", buffer.written_bits)
        ledger.need("register", buffer.bits)
    else:
        ledger.act("word_bank", "write_byte", buffer.written_bits / 8)
        ledger.act("word_bank", "read_byte", buffer.written_bits / 8)
        ledger.need("word_bank", math.ceil(buffer.bits / 8 / BANK_BYTES))


def _recall(ledger: ActionLedger, call: Call, work: Work, bits: int) -> None:
    """Parameters that wait on the chip, read once each or where the data say; registers are read for nothing."""
    stored = float(work.stored * bits)
    if stored and _in_registers(stored):
        ledger.need("register", stored)
    elif stored:
        ledger.need("word_bank", math.ceil(stored / 8 / BANK_BYTES))
    read = work.looked_up or work.stored
    if read and not _in_registers(stored or float(call.x.numel() * bits)):
        ledger.act("word_bank", "read_byte", read * bits / 8)


def _in_registers(bits: float) -> bool:
    return bits <= 8 * REGISTER_BYTES
