"""Networks of ONNX files against the reference evaluator of the onnx package, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._pytree import tree_leaves

import mho

onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from onnx.reference import ReferenceEvaluator  # noqa: E402

from workloads.network.exchange.onnx_graph import from_onnx  # noqa: E402

RNG = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray[Any, Any]:
    return RNG.standard_normal(shape).astype(np.float32)


def node(kind: str, inputs: str, outputs: str, **how: Any) -> Any:
    return helper.make_node(kind, inputs.split(), outputs.split(), name=f"{kind.lower()}_{outputs.split()[0]}", **how)


def model(nodes: Sequence[Any], x: dict[str, list[Any]], outputs: Sequence[str], held: dict[str, Any]) -> Any:
    graph = helper.make_graph(
        list(nodes),
        "network",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in x.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in held.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


POSITIVE = np.abs(normal(6)) + 0.5
CASES: dict[str, tuple[Any, ...]] = {
    "gemm": ([node("Gemm", "x w b", "y", transB=1), node("Relu", "y", "z")], [4], {"w": normal(3, 4), "b": normal(3)}),
    "gemm, scaled": ([node("Gemm", "x w b", "z", alpha=0.5, beta=2.0)], [4], {"w": normal(4, 3), "b": normal(3)}),
    "matmul, add, softmax, reshape": (
        [
            node("MatMul", "x w", "y"),
            node("Add", "y b", "s"),
            node("Softmax", "s", "t", axis=-1),
            node("Reshape", "t shape", "z"),
        ],
        [2, 4],
        {"w": normal(4, 3), "b": normal(3), "shape": np.array([0, -1], np.int64)},
    ),
    "convolution": (
        [
            node("Conv", "x w b", "y", strides=[2, 2], pads=[1, 0, 2, 1], group=2),
            node("BatchNormalization", "y s o m v", "n"),
            node("HardSwish", "n", "h"),
            node("GlobalAveragePool", "h", "g"),
            node("Flatten", "g", "z"),
        ],
        [4, 9, 8],
        {"w": normal(6, 2, 3, 3), "b": normal(6), "s": normal(6), "o": normal(6), "m": normal(6), "v": POSITIVE},
    ),
    "convolution, same": (
        [node("Conv", "x w", "z", auto_pad="SAME_UPPER", strides=[2])],
        [2, 9],
        {"w": normal(3, 2, 4)},
    ),
    "pools": (
        [node("MaxPool", "x", "y", kernel_shape=[2, 2]), node("AveragePool", "y", "z", kernel_shape=[2, 1])],
        [3, 8, 6],
        {},
    ),
    "functions": (
        [
            node("LeakyRelu", "x", "a", alpha=0.2),
            node("Sigmoid", "a", "b"),
            node("Elu", "b", "c"),
            node("Softplus", "c", "d"),
            node("Selu", "d", "e"),
            node("Softsign", "e", "f"),
            node("HardSigmoid", "f", "g"),
            node("Tanh", "g", "z"),
        ],
        [5],
        {},
    ),
    "layer norm": ([node("LayerNormalization", "x s b", "z")], [3, 5], {"s": normal(5), "b": normal(5)}),
}


@pytest.mark.parametrize("name", CASES)
def test_a_file_computes_what_the_reference_evaluator_does(name: str, tmp_path: Path) -> None:
    nodes, shape, held = CASES[name]
    made = model(nodes, {"x": ["batch", *shape]}, ["z"], held)
    onnx.save(made, tmp_path / "net.onnx")
    x = normal(5, *shape)
    (wanted,) = ReferenceEvaluator(made).run(None, {"x": x})
    module = from_onnx(tmp_path / "net.onnx")
    np.testing.assert_allclose(module(torch.from_numpy(x)).detach().numpy(), wanted, atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize(("kind", "gates"), [("LSTM", 4), ("GRU", 3), ("RNN", 1)])
def test_recurrent_nodes(kind: str, gates: int, tmp_path: Path) -> None:
    hidden, inputs, steps = 6, 5, 7
    held = {
        "W": normal(1, gates * hidden, inputs),
        "R": normal(1, gates * hidden, hidden),
        "B": normal(1, 2 * gates * hidden),
    }
    how = {"linear_before_reset": 1} if kind == "GRU" else {}
    outputs = ["Y", "Yh", "Yc"][: 3 if kind == "LSTM" else 2]
    nodes = [node(kind, "x W R B", " ".join(outputs), hidden_size=hidden, **how)]
    made = model(nodes, {"x": [steps, "batch", inputs]}, outputs, held)
    onnx.save(made, tmp_path / "net.onnx")
    x = normal(steps, 3, inputs)
    wanted = ReferenceEvaluator(made).run(None, {"x": x})
    got = from_onnx(tmp_path / "net.onnx")(torch.from_numpy(x))
    for ours, theirs in zip(tree_leaves(got), wanted, strict=True):
        np.testing.assert_allclose(ours.detach().numpy(), theirs, atol=2e-6)


def test_a_file_on_a_chip_is_the_file(tmp_path: Path) -> None:
    nodes, shape, held = CASES["convolution"]
    head = [node("Gemm", "z w2 b2", "out", transB=1)]
    made = model([*nodes, *head], {"x": ["batch", *shape]}, ["out"], held | {"w2": normal(3, 6), "b2": normal(3)})
    onnx.save(made, tmp_path / "net.onnx")
    x = torch.from_numpy(normal(5, *shape))
    module = from_onnx(tmp_path / "net.onnx")
    net = mho.convert(module, "exact", example=x)
    assert list(net.tiles) == ["conv_y", "gemm_out"]
    torch.testing.assert_close(net.program().at(0.0)(x)[0], module(x), rtol=1e-4, atol=1e-5)


def test_all_nodes_that_cannot_be_computed_are_named(tmp_path: Path) -> None:
    made = model([node("Det", "x", "y"), node("Unique", "y", "z")], {"x": ["batch", 4, 4]}, ["z"], {})
    onnx.save(made, tmp_path / "net.onnx")
    with pytest.raises(mho.InputError, match=r"opset 17: .*'det_y' \(Det\).*'unique_z' \(Unique\)"):
        from_onnx(tmp_path / "net.onnx")


def test_a_reset_gate_before_the_product_is_refused_in_both_directions(tmp_path: Path) -> None:
    held = {"W": normal(2, 9, 2), "R": normal(2, 9, 3), "B": normal(2, 18)}
    how = {"hidden_size": 3, "direction": "bidirectional"}
    made = model([node("GRU", "x W R B", "Y Yh", **how)], {"x": [4, "batch", 2]}, ["Y"], held)
    onnx.save(made, tmp_path / "net.onnx")
    with pytest.raises(mho.InputError, match="reset"):
        from_onnx(tmp_path / "net.onnx")


def test_damaged_files_and_weights_are_refused_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    nodes, shape, held = CASES["gemm"]
    whole = model(nodes, {"x": ["batch", *shape]}, ["z"], held).SerializeToString()
    strange = model(nodes, {"x": ["batch", *shape]}, ["z"], held | {"w": np.full((3, 4), np.nan, np.float32)})
    wrong = model(nodes, {"x": ["batch", *shape]}, ["z"], held | {"b": normal(7)})
    for data in (whole[:-40], b"", b"hello" * 30, strange.SerializeToString(), wrong.SerializeToString()):
        path.write_bytes(data)
        with pytest.raises(mho.InputError, match=r"net\.onnx"):
            from_onnx(path)
    with pytest.raises(mho.InputError):
        from_onnx(tmp_path / "nowhere.onnx")
