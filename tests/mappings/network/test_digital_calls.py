"""Digital calls of a traced network: counts by hand, windows as torch takes them, a price for every call, refusals."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from configs.errors import InputError
from devices import Ideal
from mappings.chip import Chip, Weights
from mappings.cost import price
from mappings.network.digital_calls import FAMILIES, Call, DigitalCall, count, elementwise, is_known, moves, refused
from periphery import RampColumn
from periphery.prices.component import component

CHIP = Chip(bits=6, lanes=4, weights=Weights(device=Ideal()), ramp=RampColumn(device=Ideal()))
PRICES = CHIP.price_list()
ATEN = torch.ops.aten
sizes = st.integers(1, 9)


def rand(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(1)) + 0.5


def call(target: Any, *args: Any, stored: int | None = None, **kwargs: Any) -> Call:
    return Call(path="net.x", target=target, args=args, kwargs=kwargs, output=target(*args, **kwargs), stored=stored)


def run(target: Any, *args: Any, stored: int | None = None, **kwargs: Any) -> DigitalCall:
    return count(call(target, *args, stored=stored, **kwargs), CHIP, components=PRICES)


def did(of: DigitalCall) -> dict[tuple[str, str], float]:
    return {(line.component, line.action): line.count for line in of.actions.actions}


def needs(of: DigitalCall) -> dict[str, float]:
    return {line.component: line.count for line in of.actions.instances}


def energy_J(of: DigitalCall) -> float:
    return sum(line.energy_J for line in price(of.actions, node_nm=CHIP.node_nm, components=PRICES))


def test_a_residual_sum_by_hand() -> None:
    found = run(ATEN.add.Tensor, rand(1, 3, 5), rand(1, 3, 5))
    assert did(found)["adder", "add_bit"] == 15 * 7  # a carry beyond the words' 6 bits
    assert did(found)["register", "write_bit"] == 15 * 6
    assert needs(found) == {"adder": 4 * 7, "register": 15 * 6, "controller": 1}
    assert found.actions.latency_s == pytest.approx(4 * CHIP.driver.t_clk_s)  # 15 sums on 4 lanes
    assert {line.layer for line in found.actions.actions} == {"net.x"}
    assert "both values change" in found.why


def test_attention_by_hand() -> None:
    heads, queries, keys, width, values = 2, 3, 5, 8, 4
    found = run(
        ATEN.scaled_dot_product_attention.default,
        rand(1, heads, queries, width),
        rand(1, heads, keys, width),
        rand(1, heads, keys, values),
    )
    rows = heads * queries
    scores = rows * keys
    score_products = scores * width * 6 * 6
    scaling = scores * (6 + 6 + 3) * 6  # 1 / sqrt(8) is no power of two
    quotients = scores * 12 * 12
    weighted = rows * values * keys * 6 * 6
    assert did(found)["multiplier", "bit_product"] == score_products + scaling + quotients + weighted
    assert did(found)["lookup", "evaluate"] == scores + rows  # exponentials, and a reciprocal a row
    assert found.actions.ops == 2 * scores * (width + values)
    assert needs(found)["multiplier"] == 4 * 12 * 12  # the largest stage's, on each lane
    four = run(ATEN.scaled_dot_product_attention.default, *(rand(1, 1, 3, 4) for _ in range(3)))
    assert did(four)["multiplier", "bit_product"] == 9 * 4 * 36 + 9 * 144 + 12 * 3 * 36  # 1 / sqrt(4) shifts


def test_layers_that_stay_digital_by_hand() -> None:
    found = run(ATEN.conv2d.default, rand(1, 4, 5, 5), rand(8, 2, 3, 3), rand(8), [1, 1], [1, 1], [1, 1], 2)
    outputs, each = 8 * 5 * 5, 2 * 3 * 3
    assert did(found)["multiplier", "bit_product"] == outputs * each * 6 * 6
    sums, biases = outputs * (each - 1) * (12 + 5), outputs * (12 + 5)  # 18 products, and with the bias 19: 5 bits more
    assert did(found)["adder", "add_bit"] == sums + biases
    assert needs(found)["register"] == 8 * (2 * 9 + 1) * 6 + outputs * 6 + 4 * (12 + 5)  # weights, result, running sums
    assert found.actions.ops == 2 * outputs * each
    assert found.what == "conv2d of 2 groups to 8 x 5 x 5 values, 18 products each"
    assert found.why == "it was asked to stay digital"
    dense = run(ATEN.linear.default, rand(1, 7), rand(3, 7))
    assert did(dense)["multiplier", "bit_product"] == 3 * 7 * 6 * 6
    both = run(ATEN.linear.default, rand(1, 7), rand(3, 7), stored=0)
    assert "both factors change" in both.why


def test_softmax_by_hand() -> None:
    found = run(ATEN.softmax.int, rand(1, 4, 10), -1)
    adder = {
        "largest": 4 * 9 * 6,
        "differences": 40 * 6,
        "sums": 4 * 9 * (12 + 4),
        "align the sums": 4 * (12 + 4) * 4,  # a shifter of 16 bits: log2(16) rows of 16 multiplexers
        "align the quotients": 40 * 12 * 4,
    }
    assert did(found)["adder", "add_bit"] == sum(adder.values())
    assert did(found)["lookup", "evaluate"] == 40 + 4
    assert did(found)["multiplier", "bit_product"] == 40 * 12 * 12
    assert [task.name for task in found.actions.tasks] == [
        "largest of each row",
        "exponentials",
        "sums of exponentials",
        "reciprocals",
        "quotients",
    ]


def test_layer_norm_by_hand() -> None:
    found = run(ATEN.layer_norm.default, rand(1, 3, 5), [5], rand(5), rand(5))
    squares, means = 15 * 6 * 6, 3 * ((12 + 3) * 12 + (6 + 3) * 12 + 12 * 12)
    assert did(found)["multiplier", "bit_product"] == squares + means + 15 * (12 * 12 + 12 * 6)
    assert did(found)["lookup", "evaluate"] == 3  # an inverse root a row
    assert needs(found)["register"] == 15 * 6 + 10 * 6 + 4 * ((6 + 3) + (12 + 3))  # result, parameters, running sums
    bare = run(ATEN.layer_norm.default, rand(1, 3, 5), [5])
    assert did(found)["multiplier", "bit_product"] - did(bare)["multiplier", "bit_product"] == 15 * 12 * 6


def test_units_of_softmax_and_norm_have_the_size_of_published_ones() -> None:
    # arXiv 2604.23647 (abstract), 28 nm: 942 um2 for softmax and 1199 um2 for layer norm, up to 11 and 14 times smaller
    # than others at hand. Here: one lane, 8-bit words, without the words that wait for other calls.
    chip = replace(CHIP, bits=8, lanes=1, node_nm=28.0)
    norm = call(ATEN.layer_norm.default, rand(1, 16), [16], rand(16), rand(16))
    for of, least, span in ((call(ATEN.softmax.int, rand(1, 16), -1), 942e-12, 11), (norm, 1199e-12, 14)):
        units = needs(count(of, chip, components=PRICES))
        area = sum(units[name] * component(name, PRICES).at(28.0).area_m2 for name in ("adder", "multiplier", "lookup"))
        assert least < area < span * least


@given(sizes, sizes, sizes, sizes)
def test_matrix_products_take_every_product_once(batch: int, m: int, k: int, n: int) -> None:
    of = {
        ATEN.bmm.default: (rand(batch, m, k), rand(batch, k, n)),
        ATEN.matmul.default: (rand(1, batch, m, k), rand(1, batch, k, n)),
        ATEN.einsum.default: ("bmk,bkn->bmn", [rand(batch, m, k), rand(batch, k, n)]),
    }
    macs, outs = batch * m * k * n, batch * m * n
    for target, args in of.items():
        found = run(target, *args)
        assert found.actions.ops == 2 * macs
        assert did(found)["multiplier", "bit_product"] == macs * 6 * 6
        assert did(found).get(("adder", "add_bit"), 0) == (macs - outs) * (12 + math.ceil(math.log2(k)))


@given(st.integers(4, 12), st.integers(4, 12), st.integers(1, 4), st.integers(1, 3), st.booleans())
def test_pooling_takes_the_places_inside_its_windows(
    rows: int, columns: int, kernel: int, stride: int, ceil: bool
) -> None:
    x, pad = rand(1, 2, rows, columns), kernel // 2
    ones = torch.ones_like(x)
    inside = nn.functional.avg_pool2d(ones, kernel, stride, pad, ceil_mode=ceil, divisor_override=1)
    joins = float(inside.sum()) - inside.numel()
    largest = run(ATEN.max_pool2d.default, x, [kernel], [stride], [pad], [1], ceil)
    assert did(largest).get(("adder", "add_bit"), 0) == joins * 6
    mean = run(ATEN.avg_pool2d.default, x, [kernel, kernel], [stride], [pad], ceil)
    width = 6 + math.ceil(math.log2(float(inside.max())))
    assert did(mean).get(("adder", "add_bit"), 0) == joins * width
    assert (("multiplier", "bit_product") in did(mean)) == (kernel == 3)  # 1, 4 and 16 places are shifts


@given(st.integers(1, 12), st.integers(1, 12))
def test_adaptive_pooling_takes_the_places_that_torch_takes(before: int, after: int) -> None:
    x = rand(1, 1, before)
    taken = torch.autograd.functional.jacobian(lambda v: nn.functional.adaptive_avg_pool1d(v, after), x)
    joins = int((taken != 0).sum()) - after
    found = run(ATEN.adaptive_max_pool1d.default, x, [after])
    assert did(found).get(("adder", "add_bit"), 0) == joins * 6


def test_means_of_a_power_of_two_are_shifts() -> None:
    eight, nine = (run(ATEN.mean.dim, rand(1, n, 3), [1]) for n in (8, 9))
    assert ("multiplier", "bit_product") not in did(eight)
    assert did(nine)["multiplier", "bit_product"] == 3 * (6 + 4) * 6
    assert did(eight)["adder", "add_bit"] == 3 * 7 * (6 + 3)


def test_an_embedding_is_a_memory_that_is_read() -> None:
    table, rows = rand(1000, 16), torch.zeros(1, 7, dtype=torch.long)
    found = run(ATEN.embedding.default, table, rows)
    assert needs(found)["word_bank"] == math.ceil(16000 * 6 / 8 / 2048)
    assert did(found)["word_bank", "read_byte"] == 7 * 16 * 6 / 8
    small = run(ATEN.embedding.default, rand(10, 16), rows)
    assert "word_bank" not in needs(small)
    assert needs(small)["register"] == (160 + 112) * 6


def test_large_results_wait_in_memory() -> None:
    found = run(ATEN.relu.default, rand(1, 64, 25, 5))
    kept = 8000 * 6 / 8
    assert did(found)["word_bank", "write_byte"] == did(found)["word_bank", "read_byte"] == kept
    assert needs(found)["word_bank"] == math.ceil(kept / 2048)


def test_parameters_that_the_caller_names_wait_on_the_chip() -> None:
    x, place = rand(1, 4, 8), rand(4, 8)
    plain, named = run(ATEN.add.Tensor, x, place), run(ATEN.add.Tensor, x, place, stored=32)
    assert needs(named)["register"] - needs(plain)["register"] == 32 * 6
    assert "both values change" not in named.why


def test_lanes_share_the_time_and_not_the_energy() -> None:
    of = call(ATEN.gelu.default, rand(1, 96))
    one, eight = (count(of, replace(CHIP, lanes=lanes), components=PRICES) for lanes in (1, 8))
    assert one.actions.latency_s == pytest.approx(8 * eight.actions.latency_s)
    assert did(one)["lookup", "evaluate"] == did(eight)["lookup", "evaluate"] == 96
    assert needs(eight)["lookup"] == 8 * needs(one)["lookup"]


def test_words_of_other_widths() -> None:
    of = call(ATEN.mul.Tensor, rand(1, 9), rand(1, 9))
    assert did(count(of, CHIP, bits=8, components=PRICES))["multiplier", "bit_product"] == 9 * 64


X, IMAGE, INDEX = rand(1, 4, 6), rand(1, 2, 6, 6), torch.tensor([0, 2])
MASK = X > 1.0
EXAMPLES: dict[str, tuple[Any, ...]] = {
    **{name: (getattr(ATEN, name).Tensor, X, X) for name in ("add", "sub", "rsub", "mul", "div", "multiply", "divide")},
    **{name: (getattr(ATEN, name).Tensor, X, X) for name in ("subtract", "true_divide", "remainder", "fmod")},
    "floor_divide": (ATEN.floor_divide.default, X, X),
    **{name: (getattr(ATEN, name).default, X) for name in elementwise.FUNCTIONS},
    **{name: (getattr(ATEN, name).default, X) for name in ("relu", "relu6", "hardtanh", "abs", "neg")},
    **{name: (getattr(ATEN, name).default, X, 0.7) for name in ("clamp_min", "clamp_max", "clamp", "clip")},
    "threshold": (ATEN.threshold.default, X, 0.7, 0.0),
    **{name: (getattr(ATEN, name).Scalar, X, 0.7) for name in ("eq", "ne", "lt", "le", "gt", "ge")},
    **{name: (getattr(ATEN, name).default, X, X) for name in ("minimum", "maximum")},
    "where": (ATEN.where.self, MASK, X, X),
    "masked_fill": (ATEN.masked_fill.Scalar, X, MASK, 0.0),
    **{name: (getattr(ATEN, name).default, MASK, MASK) for name in ("logical_and", "logical_or", "logical_xor")},
    **{name: (getattr(ATEN, name).default, MASK) for name in ("logical_not", "bitwise_not")},
    **{name: (getattr(ATEN, name).Tensor, MASK, MASK) for name in ("bitwise_and", "bitwise_or", "bitwise_xor")},
    "pow": (ATEN.pow.Tensor_Tensor, X, X),
    "addcmul": (ATEN.addcmul.default, X, X, X),
    "lerp": (ATEN.lerp.Scalar, X, X, 0.3),
    "glu": (ATEN.glu.default, X),
    **{name: (getattr(ATEN, name).default, X, rand(4)[:1]) for name in ("prelu", "_prelu_kernel")},
    "matmul": (ATEN.matmul.default, X, X.mT),
    "mm": (ATEN.mm.default, X[0], X[0].T),
    "bmm": (ATEN.bmm.default, X, X.mT),
    "mv": (ATEN.mv.default, X[0], X[0, 0]),
    **{name: (getattr(ATEN, name).default, X[0, 0], X[0, 0]) for name in ("dot", "inner", "outer")},
    "addmm": (ATEN.addmm.default, rand(4, 4), X[0], X[0].T),
    "baddbmm": (ATEN.baddbmm.default, rand(1, 4, 4), X, X.mT),
    "addmv": (ATEN.addmv.default, rand(4), X[0], X[0, 0]),
    "linear": (ATEN.linear.default, X, rand(3, 6), rand(3)),
    "conv1d": (ATEN.conv1d.default, X, rand(4, 2, 3), None, [1], [0], [1], 2),
    "conv2d": (ATEN.conv2d.default, IMAGE, rand(4, IMAGE.shape[1], 2, 2)),
    "einsum": (ATEN.einsum.default, "...ij,...kj->...ik", [X, X]),
    "scaled_dot_product_attention": (ATEN.scaled_dot_product_attention.default, X, X, X, rand(4, 4)),
    **{name: (getattr(ATEN, name).int, X, -1) for name in ("softmax", "log_softmax")},
    **{name: (getattr(ATEN, name).default, X, -1, False) for name in ("_softmax", "_log_softmax")},
    "_safe_softmax": (ATEN._safe_softmax.default, X, -1),
    "logsumexp": (ATEN.logsumexp.default, X, [1]),
    **{name: (getattr(ATEN, name).default, X, [6]) for name in ("layer_norm", "rms_norm")},
    "native_layer_norm": (ATEN.native_layer_norm.default, X, [6], None, None, 1e-5),
    "_fused_rms_norm": (ATEN._fused_rms_norm.default, X, [6], None, 1e-5),
    "group_norm": (ATEN.group_norm.default, X, 2),
    "native_group_norm": (ATEN.native_group_norm.default, X, None, None, 1, 4, 6, 2, 1e-5),
    "instance_norm": (ATEN.instance_norm.default, X, None, None, None, None, True, 0.1, 1e-5, False),
    "batch_norm": (ATEN.batch_norm.default, X, None, None, rand(4), rand(4), False, 0.1, 1e-5, False),
    "_native_batch_norm_legit_no_training": (
        ATEN._native_batch_norm_legit_no_training.default, X, None, None, rand(4), rand(4), 0.1, 1e-5,
    ),
    "native_batch_norm": (ATEN.native_batch_norm.default, X, None, None, rand(4), rand(4), False, 0.1, 1e-5),
    "sum": (ATEN.sum.dim_IntList, X, [1]),
    "mean": (ATEN.mean.default, X),
    "cumsum": (ATEN.cumsum.default, X, -1),
    **{name: (getattr(ATEN, name).default, X, [1]) for name in ("amax", "amin")},
    **{name: (getattr(ATEN, name).default, X, 1) for name in ("argmax", "argmin")},
    **{name: (getattr(ATEN, name).dim, MASK, 1) for name in ("any", "all")},
    **{name: (getattr(ATEN, name).dim, X, 1) for name in ("max", "min")},
    **{name: (getattr(ATEN, name).dim, X, [1]) for name in ("var", "std")},
    "linalg_vector_norm": (ATEN.linalg_vector_norm.default, X, 2, [1]),
    "norm": (ATEN.norm.ScalarOpt_dim, X, 2, [1]),
    **{f"{kind}_pool1d": (getattr(ATEN, f"{kind}_pool1d").default, X, [2]) for kind in ("max", "avg")},
    **{f"{kind}_pool2d": (getattr(ATEN, f"{kind}_pool2d").default, IMAGE, [2, 3]) for kind in ("max", "avg")},
    **{f"{kind}_pool3d": (getattr(ATEN, f"{kind}_pool3d").default, IMAGE[None], [2, 2, 2]) for kind in ("max", "avg")},
    "adaptive_avg_pool1d": (ATEN.adaptive_avg_pool1d.default, X, [4]),
    "adaptive_max_pool1d": (ATEN.adaptive_max_pool1d.default, X, [4]),
    "adaptive_avg_pool2d": (ATEN.adaptive_avg_pool2d.default, IMAGE, [1, 1]),
    "_adaptive_avg_pool2d": (ATEN._adaptive_avg_pool2d.default, IMAGE, [1, 4]),
    "adaptive_max_pool2d": (ATEN.adaptive_max_pool2d.default, IMAGE, [4, 1]),
    "adaptive_avg_pool3d": (ATEN.adaptive_avg_pool3d.default, IMAGE[None], [2, 1, 4]),
    "adaptive_max_pool3d": (ATEN.adaptive_max_pool3d.default, IMAGE[None], [2, 1, 4]),
    "max_pool2d_with_indices": (ATEN.max_pool2d_with_indices.default, IMAGE, [2]),
    "upsample_linear1d": (ATEN.upsample_linear1d.vec, X, [12], False, None),
    "upsample_bilinear2d": (ATEN.upsample_bilinear2d.vec, IMAGE, [12, 9], False, None),
    "upsample_trilinear3d": (ATEN.upsample_trilinear3d.vec, IMAGE[None], [3, 7, 7], False, None),
    "embedding": (ATEN.embedding.default, rand(9, 3), INDEX),
    "gather": (ATEN.gather.default, X, 1, torch.zeros(1, 2, 6, dtype=torch.long)),
    "take_along_dim": (ATEN.take_along_dim.default, X, torch.zeros(1, 2, 6, dtype=torch.long), 1),
    "index": (ATEN.index.Tensor, X, [None, INDEX]),
    "index_select": (ATEN.index_select.default, X, 1, INDEX),
    "cat": (ATEN.cat.default, [X, X], 1),
    "pad": (ATEN.pad.default, X, [1, 1]),
    "flip": (ATEN.flip.default, X, [1]),
    "upsample_nearest1d": (ATEN.upsample_nearest1d.vec, X, [12], None),
}  # fmt: skip


def test_every_function_that_computes_has_an_example() -> None:
    moved = {*moves.VIEWS, *moves.COPIES, *moves.CONSTANTS}
    assert set(FAMILIES) - moved == set(EXAMPLES) - moved
    assert [name for name in FAMILIES if name not in ("python", "turned") and not hasattr(ATEN, name)] == []


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_call_has_a_price_and_takes_time(name: str) -> None:
    target, *args = EXAMPLES[name]
    assert is_known(target)
    assert refused([call(target, *args)]) == []
    found = run(target, *args)
    assert energy_J(found) > 0.0
    assert found.actions.latency_s >= CHIP.driver.t_clk_s
    assert found.what
    assert found.why
    assert not found.free


@pytest.mark.parametrize(
    ("target", "args"),
    [
        (ATEN.view.default, (X, [24])),
        (ATEN.permute.default, (X, [0, 2, 1])),
        (ATEN.slice.Tensor, (X, 1, 0, 2)),
        (ATEN.split.Tensor, (X, 2, 1)),
        (ATEN.dropout.default, (X, 0.5, False)),
        (ATEN.zeros.default, ([3],)),
        (ATEN.mul.Tensor, (X, 0.25)),
        (ATEN.div.Tensor, (X, -2)),
    ],
)
def test_calls_that_compute_nothing_cost_nothing(target: Any, args: tuple[Any, ...]) -> None:
    found = run(target, *args)
    assert found.free
    assert found.actions.latency_s == 0.0
    assert found.why == "costs nothing"


def test_unknown_calls_are_named_all_at_once() -> None:
    calls = [
        replace(call(ATEN.sort.default, X), path="body.sort"),
        call(ATEN.relu.default, X),
        replace(call(ATEN.batch_norm.default, X, None, None, None, None, True, 0.1, 1e-5, False), path="body.norm"),
        replace(call(ATEN.linalg_vector_norm.default, X, 1), path="body.length"),
    ]
    assert refused(calls) == [
        "body.sort: aten.sort.default: can be put on no tile and is not known as a digital call",
        "body.norm: aten.batch_norm.default: takes statistics of a batch, and one inference has none",
        "body.length: aten.linalg_vector_norm.default: a norm of order 2 (got 1)",
    ]
    assert not is_known(ATEN.sort.default)
    with pytest.raises(InputError, match=r"^body.sort: aten.sort.default"):
        count(calls[0], CHIP)


class Residual(nn.Module):
    """A convolution with a norm, a residual sum, pooling and a gate behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(2, 2, 3, padding=1), nn.GroupNorm(1, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = nn.functional.hardswish(self.norm(self.convolution(x))) + x
        left, right = nn.functional.avg_pool2d(x, 2).chunk(2, 1)
        return (left * right).flatten(1).log_softmax(-1)


def traced(module: nn.Module, x: torch.Tensor) -> list[Call]:
    def values(given: Any) -> Any:
        return torch.fx.map_arg(given, lambda node: node.meta["val"])

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(module.eval(), (x,), strict=False).run_decompositions({})
    nodes = [node for node in program.graph.nodes if node.op == "call_function"]
    return [
        Call(
            path=node.name,
            target=node.target,
            args=values(node.args),
            kwargs=values(node.kwargs),
            output=node.meta.get("val"),
        )
        for node in nodes
    ]


@pytest.mark.parametrize(
    ("module", "shape", "on_tiles"),
    [
        (lambda: Residual(), (1, 2, 6, 6), {"conv2d"}),
        (lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, activation="gelu"), (1, 3, 8), {"linear"}),
    ],
)
def test_what_a_traced_network_leaves_is_counted(
    module: Callable[[], nn.Module], shape: tuple[int, ...], on_tiles: set[str]
) -> None:
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        calls = traced(module(), rand(*shape))
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    left = [one for one in calls if one.name not in on_tiles]
    assert len(left) < len(calls)
    assert refused(left) == []
    found = [count(one, CHIP, components=PRICES) for one in left]
    assert sum(energy_J(one) for one in found) > 0.0
