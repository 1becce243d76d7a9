"""Every ONNX operator that mho reads, against the reference evaluator of the onnx package."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from onnx.reference import ReferenceEvaluator  # noqa: E402

from mappings.network.torch_cells import ResetBeforeGRU  # noqa: E402
from workloads.network.exchange.onnx_functions import FUNCTIONS  # noqa: E402
from workloads.network.exchange.onnx_graph import from_onnx  # noqa: E402
from workloads.network.exchange.onnx_layers import LAYERS  # noqa: E402

TYPES = {np.dtype(np.float64): TensorProto.DOUBLE, np.dtype(np.float32): TensorProto.FLOAT}
DRAW = np.random.default_rng(0)


def model_of(
    nodes: Sequence[Any],
    constants: dict[str, NDArray[Any]],
    shape: Sequence[int | str],
    *,
    outputs: Sequence[str] = ("y",),
    opset: int = 21,
    dtype: Any = np.float64,
) -> Any:
    """A model of one input ``x``."""
    kind = TYPES[np.dtype(dtype)]
    graph = helper.make_graph(
        list(nodes),
        "test",
        [helper.make_tensor_value_info("x", kind, list(shape))],
        [helper.make_tensor_value_info(name, kind, None) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def saved(model: Any, folder: Path) -> Path:
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def close(found: Any, wanted: Sequence[NDArray[Any]]) -> None:
    for one, two in zip(found if isinstance(found, tuple) else (found,), wanted, strict=True):
        assert one.shape == two.shape
        limit = 1e-6 if two.dtype == np.float64 else 1e-5
        np.testing.assert_allclose(one.numpy(), two, rtol=limit, atol=limit)


def compare(model: Any, x: NDArray[Any], folder: Path, *, traced: bool = True) -> torch.fx.GraphModule:
    """The module equals the reference evaluator, by itself and as ``torch.export`` traces it with an open batch."""
    module = from_onnx(saved(model, folder))
    inputs = torch.from_numpy(x)
    wanted = ReferenceEvaluator(model).run(None, {"x": x})
    with torch.no_grad():
        close(module(inputs), wanted)
    if not traced:
        return module
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch.export itself
        program = torch.export.export(
            module, (inputs,), strict=False, dynamic_shapes=({0: torch.export.Dim.DYNAMIC},)
        ).run_decompositions({})
        more = torch.cat([inputs, inputs, inputs])
        close(program.module()(inputs), wanted)
        again, direct = program.module()(more), module(more)
    for one, two in zip(*(made if isinstance(made, tuple) else (made,) for made in (again, direct)), strict=True):
        torch.testing.assert_close(one, two)
    return module


def normal(*shape: int) -> NDArray[np.float64]:
    return DRAW.normal(size=shape)


def positive(*shape: int) -> NDArray[np.float64]:
    return DRAW.uniform(0.5, 2.0, size=shape)


def ints(*values: int) -> NDArray[np.int64]:
    return np.array(values, np.int64)


IMAGE, SOUND, ROWS = (2, 4, 9, 8), (2, 4, 11), (2, 6)
# operator, attributes, constants after the input, shape of the input, opset
CASES: list[tuple[str, dict[str, Any], list[NDArray[Any] | None], tuple[int, ...], int]] = [
    *[(op, {}, [], ROWS, 21) for op in ("Abs", "Erf", "Exp", "HardSwish", "Identity", "Mish", "Neg", "Relu")],
    *[(op, {}, [], ROWS, 21) for op in ("Sigmoid", "Softplus", "Softsign", "Tanh", "Gelu", "Elu", "Selu", "LeakyRelu")],
    ("Gelu", {"approximate": "tanh"}, [], ROWS, 20),
    ("LeakyRelu", {"alpha": 0.3}, [], ROWS, 16),
    ("Elu", {"alpha": 0.7}, [], ROWS, 21),
    ("Selu", {"alpha": 1.2, "gamma": 0.9}, [], ROWS, 21),
    ("HardSigmoid", {}, [], ROWS, 21),
    ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}, [], ROWS, 21),
    ("PRelu", {}, [positive(6)], ROWS, 16),
    ("Clip", {}, [np.array(-0.5), np.array(0.25)], ROWS, 13),
    ("Clip", {}, [None, np.array(0.25)], ROWS, 13),
    ("Clip", {"min": -0.5, "max": 0.5}, [], ROWS, 7),
    *[(op, {}, [positive(6)], ROWS, 21) for op in ("Add", "Sub", "Mul", "Div")],
    *[(op, {}, [np.array(1.7)], ROWS, 21) for op in ("Add", "Sub", "Mul", "Div")],
    ("Pow", {}, [np.array(2.0)], ROWS, 21),
    ("Sum", {}, [positive(1, 6), positive(6)], ROWS, 21),
    *[(op, {"axis": axis}, [], SOUND, 21) for op in ("Softmax", "LogSoftmax") for axis in (1, -1)],
    ("Softmax", {}, [], SOUND, 21),
    ("Softmax", {}, [], ROWS, 11),
    ("MaxPool", {"kernel_shape": [3, 2], "strides": [2, 2], "pads": [1, 0, 1, 0]}, [], IMAGE, 12),
    ("MaxPool", {"kernel_shape": [3, 3], "strides": [2, 2], "auto_pad": "SAME_UPPER"}, [], IMAGE, 12),
    ("MaxPool", {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}, [], IMAGE, 12),
    ("MaxPool", {"kernel_shape": [3], "dilations": [2]}, [], SOUND, 12),
    ("AveragePool", {"kernel_shape": [3], "strides": [2]}, [], SOUND, 21),
    *[
        ("AveragePool", {"kernel_shape": [3, 2], "pads": pads, "count_include_pad": count}, [], IMAGE, 21)
        for pads in ([1, 1, 1, 1], [0, 0, 1, 1])
        for count in (0, 1)
    ],
    ("AveragePool", {"kernel_shape": [3, 3], "strides": [2, 2], "auto_pad": "SAME_LOWER"}, [], IMAGE, 21),
    ("GlobalAveragePool", {}, [], IMAGE, 21),
    ("GlobalMaxPool", {}, [], IMAGE, 21),
    ("Reshape", {}, [ints(0, -1, 4)], IMAGE, 21),
    ("Reshape", {}, [ints(-1, 36)], IMAGE, 21),
    *[("Flatten", {"axis": axis}, [], IMAGE, 21) for axis in (0, 1, 2, -1, 4)],
    ("Flatten", {}, [], IMAGE, 21),
    ("Transpose", {"perm": [0, 2, 3, 1]}, [], IMAGE, 21),
    ("Transpose", {}, [], SOUND, 21),
    ("Squeeze", {}, [ints(1)], (2, 1, 5), 21),
    ("Squeeze", {"axes": [1]}, [], (2, 1, 5), 11),
    ("Unsqueeze", {}, [ints(1, -1)], ROWS, 21),
    ("Unsqueeze", {"axes": [1, 2]}, [], ROWS, 11),
    ("Slice", {}, [ints(1, 0), ints(-1, 4), ints(2, 1)], IMAGE, 21),
    ("Slice", {}, [ints(-1), ints(-100), ints(2), ints(-2)], SOUND, 21),
    ("Slice", {"starts": [1], "ends": [3], "axes": [1]}, [], SOUND, 9),
    ("Gather", {"axis": 1}, [np.array(-1, np.int64)], SOUND, 21),
    ("Gather", {"axis": 2}, [np.array([[0, -1], [3, 2]], np.int64)], SOUND, 21),
    ("Pad", {}, [ints(0, 1, 2, 0, 0, 1), np.array(0.5)], SOUND, 21),
    ("Pad", {"mode": "reflect"}, [ints(0, 0, 2, 0, 0, 1)], SOUND, 21),
    ("Pad", {"mode": "edge"}, [ints(2, 1), None, ints(2)], SOUND, 21),
    ("Pad", {"pads": [0, 0, 1, 0, 0, 2]}, [], SOUND, 7),
    ("ReduceMean", {"keepdims": 0}, [ints(1)], SOUND, 21),
    ("ReduceMean", {"axes": [1, 2]}, [], SOUND, 13),
    ("ReduceSum", {}, [ints(-1)], SOUND, 21),
    ("ReduceMax", {}, [ints(2)], SOUND, 21),
    ("Expand", {}, [ints(1, 4, 6)], (2, 1, 6), 21),
    ("Cast", {"to": TensorProto.DOUBLE}, [], ROWS, 21),
    ("Dropout", {}, [], ROWS, 21),
    ("Dropout", {"ratio": 0.3}, [], ROWS, 7),
    ("MatMul", {}, [normal(6, 5)], ROWS, 21),
    ("MatMul", {}, [normal(11, 5)], SOUND, 21),
    ("MatMul", {}, [normal(2, 11, 5)[:1]], SOUND, 21),
    *[
        ("Gemm", {"alpha": 0.5, "beta": 2.0, "transB": trans}, [normal(*((5, 6) if trans else (6, 5))), bias], ROWS, 21)
        for trans in (0, 1)
        for bias in (normal(5), normal(1, 5), np.array([1.5]), None)
    ],
    ("LayerNormalization", {"axis": -2}, [normal(4, 11), normal(4, 11)], SOUND, 17),
    ("LayerNormalization", {"axis": 2, "epsilon": 1e-2}, [normal(11)], SOUND, 17),
    *[
        ("BatchNormalization", {"epsilon": 1e-3}, [normal(4), normal(4), normal(4), positive(4)], shape, 15)
        for shape in (IMAGE, SOUND, (3, 4))
    ],
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{case[4]}-{len(case[3])}")
def test_an_operator_equals_the_reference(case: Any, tmp_path: Path) -> None:
    op, attributes, given, shape, opset = case
    names = ["x", *(f"c{k}" if one is not None else "" for k, one in enumerate(given))]
    constants = {f"c{k}": one for k, one in enumerate(given) if one is not None}
    node = helper.make_node(op, names, ["y"], name="the.node/0", **attributes)
    open_batch: tuple[int | str, ...] = ("batch", *shape[1:])
    traced = len(shape) > 2 or op in ("Softmax", "MatMul", "Gemm", "Unsqueeze")
    compare(model_of([node], constants, open_batch, opset=opset), normal(*shape), tmp_path, traced=traced)


@pytest.mark.parametrize("auto_pad", ["NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"])
@pytest.mark.parametrize(("stride", "dilation", "group"), [(1, 1, 1), (2, 1, 2), (1, 2, 4), (3, 2, 1)])
def test_a_convolution_equals_the_reference(
    auto_pad: str, stride: int, dilation: int, group: int, tmp_path: Path
) -> None:
    traced = (stride, dilation) == (2, 1)
    for dims, pads in ((1, [2, 1]), (2, [1, 0, 2, 1]), (2, [1, 1, 1, 1])):
        how: dict[str, Any] = {"pads": pads} if auto_pad == "NOTSET" else {"auto_pad": auto_pad}
        how |= {"strides": [stride] * dims, "dilations": [dilation] * dims, "group": group}
        weights = {"w": normal(8, 4 // group, *(3, 2)[:dims]), "b": normal(8)}
        node = helper.make_node("Conv", ["x", "w", "b"], ["y"], name="conv", **how)
        shape = SOUND if dims == 1 else IMAGE
        module = compare(model_of([node], weights, ("n", *shape[1:])), normal(*shape), tmp_path, traced=traced)
        assert isinstance(module.conv, torch.nn.Conv1d if dims == 1 else torch.nn.Conv2d)


def recurrent(op: str, direction: str, layout: int, *, bias: bool, state: bool, **how: Any) -> tuple[Any, NDArray[Any]]:
    steps, batch, inputs, hidden = 5, 3, 4, 6
    gates, directions = {"LSTM": 4, "GRU": 3, "RNN": 1}[op], 2 if direction == "bidirectional" else 1
    constants = {
        "w": normal(directions, gates * hidden, inputs),
        "r": normal(directions, gates * hidden, hidden),
        "b": normal(directions, 2 * gates * hidden),
        "h": normal(*((batch, directions, hidden) if layout else (directions, batch, hidden))),
        "c": normal(*((batch, directions, hidden) if layout else (directions, batch, hidden))),
    }
    names = ["x", "w", "r", "b" if bias else "", "", *(["h", "c"][: 2 if op == "LSTM" else 1] if state else [])]
    outputs = ["y", "y_h", "y_c"][: 3 if op == "LSTM" else 2]
    node = helper.make_node(
        op, names, outputs, name=op.lower(), hidden_size=hidden, direction=direction, layout=layout, **how
    )
    used = {name: value for name, value in constants.items() if name in names}
    shape = (batch, steps, inputs) if layout else (steps, batch, inputs)
    return model_of([node], used, shape, outputs=outputs, opset=14), normal(*shape)


def by_hand(model: Any, x: NDArray[Any]) -> list[NDArray[Any]]:
    """The equations of ONNX's operators, step by step, both directions."""
    (node,) = model.graph.node
    values = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
    how = {one.name: helper.get_attribute_value(one) for one in node.attribute}
    hidden, layout = how["hidden_size"], how["layout"]
    given = [values.get(name) for name in node.input] + [None] * 3
    w, r, b, h0, c0 = given[1], given[2], given[3], given[5], given[6]
    assert w is not None
    assert r is not None
    x = x.swapaxes(0, 1) if layout else x
    sigmoid = lambda z: 1.0 / (1.0 + np.exp(-z))  # noqa: E731
    activation = np.tanh if b"Relu" not in how.get("activations", []) else lambda z: np.maximum(z, 0.0)
    order = {b"forward": [1], b"reverse": [-1], b"bidirectional": [1, -1]}[how["direction"]]
    ys, hs, cs = [], [], []
    for k, sign in enumerate(order):
        wb, rb = np.split(b[k], 2) if b is not None else (np.zeros(len(w[k])), np.zeros(len(w[k])))
        first = [one if one is None else (one.swapaxes(0, 1) if layout else one)[k] for one in (h0, c0)]
        h, c = (np.zeros((x.shape[1], hidden)) if one is None else one for one in first)
        y = np.zeros((len(x), *h.shape))
        for t in range(len(x))[::sign]:
            a, z = x[t] @ w[k].T + wb, h @ r[k].T + rb
            if node.op_type == "LSTM":
                i, o, f, g = np.split(a + z, 4, axis=1)
                c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
                h = sigmoid(o) * np.tanh(c)
            elif node.op_type == "GRU":
                (az, ar, ah), (rz, rr, rh) = np.split(a, 3, axis=1), np.split(z, 3, axis=1)
                update = sigmoid(az + rz)
                gated = sigmoid(ar + rr)
                if how.get("linear_before_reset", 0):
                    gated = gated * rh
                else:
                    gated = (gated * h) @ np.split(r[k], 3)[2].T + np.split(rb, 3)[2]
                h = (1 - update) * np.tanh(ah + gated) + update * h
            else:
                h = activation(a + z)
            y[t] = h
        ys.append(y)
        hs.append(h)
        cs.append(c)
    y, h, c = np.stack(ys, 1), np.stack(hs), np.stack(cs)
    if layout:
        y, h, c = y.transpose(2, 0, 1, 3), h.swapaxes(0, 1), c.swapaxes(0, 1)
    return [y, h, c][: len(node.output)]


@pytest.mark.parametrize("op", ["LSTM", "GRU", "GRU, reset before", "RNN"])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("layout", [0, 1])
def test_a_recurrent_layer_equals_its_equations_and_the_reference(
    op: str, direction: str, layout: int, tmp_path: Path
) -> None:
    op, _, before = op.partition(",")
    if before and direction == "bidirectional":
        pytest.skip("one direction")
    kind = ResetBeforeGRU if before else getattr(torch.nn, op)
    for bias, state in itertools.product((True, False), (True, False)):
        how: dict[str, Any] = {"linear_before_reset": int(not before)} if op == "GRU" else {}
        model, x = recurrent(op, direction, layout, bias=bias, state=state, **how)
        module = from_onnx(saved(model, tmp_path))
        assert isinstance(module.get_submodule(module_path(module)), kind)
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch.export itself
            found = module(torch.from_numpy(x))
            again = found
            if bias != state and layout == 0:
                again = torch.export.export(module, (torch.from_numpy(x),), strict=False).module()(torch.from_numpy(x))
        for one, two, wanted in zip(found, again, by_hand(model, x), strict=True):
            np.testing.assert_allclose(one.numpy(), wanted, rtol=1e-6, atol=1e-6)
            np.testing.assert_allclose(two.numpy(), wanted, rtol=1e-6, atol=1e-6)
        if direction == "forward" and layout == 0:
            for one, wanted in zip(found, ReferenceEvaluator(model).run(None, {"x": x}), strict=False):
                np.testing.assert_allclose(one.numpy(), wanted, rtol=1e-6, atol=1e-6)


def module_path(module: torch.fx.GraphModule) -> str:
    return next(name for name, _ in module.named_children())


def test_an_rnn_of_relu(tmp_path: Path) -> None:
    model, x = recurrent("RNN", "bidirectional", 0, bias=True, state=False, activations=["Relu", "Relu"])
    module = from_onnx(saved(model, tmp_path))
    for one, wanted in zip(module(torch.from_numpy(x)), by_hand(model, x), strict=True):
        np.testing.assert_allclose(one.detach().numpy(), wanted, rtol=1e-6, atol=1e-6)


def test_a_shape_that_the_graph_computes_leaves_the_batch_open(tmp_path: Path) -> None:
    made = helper.make_node
    nodes = [
        made("Shape", ["x"], ["sizes"]),
        made("Gather", ["sizes", "zero"], ["batch"]),
        made("Unsqueeze", ["batch", "axis"], ["one"]),
        made("Mul", ["one", "two"], ["twice"]),
        made("Concat", ["twice", "rest"], ["shape"], axis=0),
        made("Reshape", ["x", "shape"], ["rows"]),
        made("Split", ["rows", "parts"], ["left", "right"], axis=1),
        made("Shape", ["rows"], ["whole"]),
        made("ConstantOfShape", ["whole"], ["zeros"], value=numpy_helper.from_array(np.zeros(1))),
        made("ReduceSum", ["zeros"], ["nothing"]),
        made("Mul", ["left", "left"], ["square"]),
        made("Sqrt", ["square"], ["size"]),
        made("Exp", ["size"], ["grown"]),
        made("Log", ["grown"], ["same"]),
        made("Cast", ["right"], ["is_true"], to=TensorProto.BOOL),
        made("ReduceMean", ["right", "last"], ["mean"]),
        made("Sigmoid", ["mean"], ["gate"]),
        made("Mul", ["mean", "gate"], ["silu"]),
        made("Sum", ["same", "silu", "nothing"], ["added"]),
        made("Where", ["choice", "added", "same"], ["y"]),
    ]
    constants: dict[str, NDArray[Any]] = {
        "zero": np.array(0, np.int64),
        "axis": ints(0),
        "two": ints(2),
        "rest": ints(-1),
        "parts": ints(4, 8),
        "last": ints(1),
        "choice": np.array([True, False, True, False]),
    }
    module = compare(model_of(nodes, constants, ("n", 4, 6)), normal(3, 4, 6), tmp_path)
    assert torch.nn.functional.silu in {node.target for node in module.graph.nodes}


def test_every_operator_is_in_a_test() -> None:
    tried = {case[0] for case in CASES} | {"Conv", "LSTM", "GRU", "RNN"}
    quantised = {"QuantiseDequantise", "QuantizeLinear", "DequantizeLinear"}
    assert {*FUNCTIONS, *LAYERS} == tried | quantised | {
        *("Concat", "ConstantOfShape", "Log", "Shape", "Silu", "Split", "Sqrt", "Where")
    }
