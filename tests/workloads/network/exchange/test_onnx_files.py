"""Whole ONNX files: those that torch writes, quantised ones, one batch fixed, and files that are refused."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from onnx.reference import ReferenceEvaluator  # noqa: E402

import mho  # noqa: E402
from devices import InputError  # noqa: E402
from workloads.network.exchange.onnx_graph import StatedRange, from_onnx  # noqa: E402
from workloads.network.exchange.onnx_layers import QuantiseDequantise  # noqa: E402


class Speech(nn.Module):
    """Two LSTMs of which the last step is read."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.LSTM(5, 6, num_layers=2, batch_first=True, bidirectional=True)
        self.out = nn.Linear(12, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.log_softmax(self.out(self.rnn(x)[0][:, -1]), dim=-1)


class Attention(nn.Module):
    """One head of attention with its residual and normalisation."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(6, 6) for _ in range(3))
        self.norm = nn.LayerNorm(6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores = torch.softmax(self.q(x) @ self.k(x).transpose(1, 2) / 6**0.5, dim=-1)
        return self.norm(x + scores @ self.v(x))


def cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, stride=2),
        nn.BatchNorm2d(4),
        nn.Hardswish(),
        nn.Conv2d(4, 4, 3, groups=4, padding=(1, 0)),
        nn.GELU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(4 * 2 * 1, 3),
        nn.Dropout(0.2),
        nn.ReLU6(),
    )


MODULES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "two LSTMs": (Speech, (2, 7, 5)),
    "attention": (Attention, (2, 7, 6)),
    "convolutions": (cnn, (2, 1, 8, 8)),
    "gelu as a chain": (lambda: nn.Sequential(nn.Linear(4, 3), nn.GELU(), nn.Linear(3, 2), nn.SiLU()), (2, 4)),
}


def exported(module: nn.Module, x: torch.Tensor, path: Path, *, opset: int, open_batch: bool) -> None:
    axes = {"x": {0: "batch"}} if open_batch else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter that needs no further package is the older one
        torch.onnx.export(module, (x,), path, dynamo=False, input_names=["x"], opset_version=opset, dynamic_axes=axes)


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("opset", [13, 17, 20])
@pytest.mark.parametrize("open_batch", [True, False])
def test_a_file_that_torch_writes_is_the_module_for_any_batch(
    name: str, opset: int, open_batch: bool, tmp_path: Path
) -> None:
    make, shape = MODULES[name]
    torch.manual_seed(0)
    module, x = make().eval(), torch.randn(shape)
    exported(module, x, tmp_path / "net.onnx", opset=opset, open_batch=open_batch)
    found = from_onnx(tmp_path / "net.onnx")
    other = torch.randn(5, *shape[1:])
    with torch.no_grad():
        torch.testing.assert_close(found(x), module(x), rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(found(other), module(other), rtol=1e-5, atol=1e-5)
    products = [type(one) for one in module.modules() if isinstance(one, (nn.Linear, nn.Conv2d))]
    assert [type(one) for one in found.children() if isinstance(one, (nn.Linear, nn.Conv2d))] == products
    if name == "gelu as a chain":
        assert nn.functional.silu in {node.target for node in found.graph.nodes}
        assert "Erf" not in str(found.graph)
        assert "torch.erf" not in found.code


def quantised(zero: Any = np.int8, axis_scale: bool = False) -> tuple[Any, np.ndarray[Any, Any]]:
    rng = np.random.default_rng(0)
    made = helper.make_node
    nodes = [
        made("QuantizeLinear", ["x", "sx", "zx"], ["qx"], name="in_q"),
        made("DequantizeLinear", ["qx", "sx", "zx"], ["dx"], name="in_d"),
        made("DequantizeLinear", ["w", "sw", "zw"], ["dw"], name="w_d", axis=0),
        made("DequantizeLinear", ["b", "sb"], ["db"], name="b_d"),
        made("Gemm", ["dx", "dw", "db"], ["g"], name="dense", transB=1),
        made("Relu", ["g"], ["r"], name="relu"),
        made("QuantizeLinear", ["r", "sy", "zx"], ["qr"], name="out_q"),
        made("DequantizeLinear", ["qr", "sy", "zx"], ["y"], name="out_d"),
    ]
    held = {
        "sx": np.array(0.05),
        "zx": np.array(3, zero),
        "w": rng.integers(-127, 128, (3, 4)).astype(np.int8),
        "sw": rng.uniform(0.01, 0.02, 3) if axis_scale else np.array(0.013),
        "zw": np.zeros(3, np.int8) if axis_scale else np.array(0, np.int8),
        "b": rng.integers(-500, 500, 3).astype(np.int32),
        "sb": np.array(0.001),
        "sy": np.array(0.02),
    }
    graph = helper.make_graph(
        nodes,
        "quantised",
        [helper.make_tensor_value_info("x", TensorProto.DOUBLE, ["n", 4])],
        [helper.make_tensor_value_info("y", TensorProto.DOUBLE, None)],
        [numpy_helper.from_array(value, name) for name, value in held.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    return model, rng.normal(0.0, 4.0, (50, 4))


@pytest.mark.parametrize("zero", [np.int8, np.uint8, np.int16])
@pytest.mark.parametrize("axis_scale", [False, True])
def test_a_quantised_file_rounds_as_it_says_and_its_scales_are_kept(
    zero: Any, axis_scale: bool, tmp_path: Path
) -> None:
    model, x = quantised(zero, axis_scale)
    x[0] = [0.025, 0.075, 0.125, -0.025]  # ties, which go to the even code
    onnx.save(model, tmp_path / "net.onnx")
    module = from_onnx(tmp_path / "net.onnx")
    (wanted,) = ReferenceEvaluator(model).run(None, {"x": x})
    np.testing.assert_allclose(module(torch.from_numpy(x)).detach().numpy(), wanted, rtol=0, atol=1e-12)
    single, inputs = module.float(), torch.from_numpy(x).float()
    on_chip = mho.convert(single, "exact", example=inputs)
    torch.testing.assert_close(on_chip.program().at(0.0)(inputs)[0], single(inputs), rtol=1e-5, atol=1e-5)
    kinds = [type(one) for one in module.children()]
    assert kinds == [QuantiseDequantise, nn.Linear, QuantiseDequantise]
    stated, info = module.meta["ranges"]["dense"], np.iinfo(zero)
    for side, scale in ((stated.input, 0.05), (stated.output, 0.02)):
        low, high = ((float(end) - 3) * scale for end in (info.min, info.max))
        assert side == StatedRange(pytest.approx(low), pytest.approx(high), info.bits)
    assert len(stated.weight_scale) == (3 if axis_scale else 1)


def test_in_training_the_gradient_passes_a_rounding_within_its_range(tmp_path: Path) -> None:
    step = QuantiseDequantise(torch.tensor(0.5), torch.tensor(0, dtype=torch.int8), 1).train()
    x = torch.tensor([0.3, 200.0], requires_grad=True)
    y = step(x)
    y.sum().backward()
    assert y.tolist() == [0.5, 63.5]
    assert x.grad is not None
    assert x.grad.tolist() == [1.0, 0.0]


def test_a_file_that_mixes_its_samples_keeps_its_batch(tmp_path: Path) -> None:
    nodes = [helper.make_node("Reshape", ["x", "s"], ["y"])]
    graph = helper.make_graph(
        nodes,
        "mixes",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.array([2, 3, 2], np.int64), "s")],
    )
    transposed = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[1, 0]),
        helper.make_node("Reshape", ["t", "s"], ["y"]),
    ]
    for made, opens in ((nodes, True), (transposed, False)):
        del graph.node[:]
        graph.node.extend(made)
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), tmp_path / "net.onnx")
        module = from_onnx(tmp_path / "net.onnx")
        assert module(torch.zeros(2, 6)).shape == (2, 3, 2)
        if opens:
            assert module(torch.zeros(5, 6)).shape == (5, 3, 2)
        else:
            with pytest.raises(RuntimeError):
                module(torch.zeros(5, 6))


def gemm(folder: Path, weights: Any, **how: Any) -> Path:
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["x", "w"], ["y"], name="dense")],
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [weights],
    )
    path = folder / "net.onnx"
    model = helper.make_model(graph, **({"opset_imports": [helper.make_opsetid("", 17)]} | how))
    path.write_bytes(model.SerializeToString())
    return path


def external(location: str, **more: str) -> Any:
    tensor = numpy_helper.from_array(np.ones((4, 3), np.float32), "w")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **more}.items():
        tensor.external_data.add(key=key, value=value)
    return tensor


def test_weights_in_a_file_beside_it_are_read(tmp_path: Path) -> None:
    numbers = np.arange(12, dtype=np.float32).reshape(4, 3)
    (tmp_path / "w.bin").write_bytes(b"1234" + numbers.tobytes())
    module = from_onnx(gemm(tmp_path, external("w.bin", offset="4", length="48")))
    torch.testing.assert_close(module.dense.weight.detach(), torch.from_numpy(numbers).T)


@pytest.mark.parametrize("location", ["../w.bin", "/etc/passwd", "a/../../w.bin", "link.bin", "C:\\w.bin", "", "sub"])
def test_weights_outside_of_the_folder_are_not_opened(location: str, tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(bytes(48))
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    (folder / "link.bin").symlink_to(tmp_path / "w.bin")
    with pytest.raises(InputError, match=r"same folder|regular file") as error:
        from_onnx(gemm(folder, external(location)))
    assert len(error.value.problems) == 1


@pytest.mark.parametrize(
    "how", [{"offset": "1"}, {"length": "47"}, {"offset": "-1"}, {"offset": "x"}, {"length": "99"}]
)
def test_weights_of_another_size_than_stated_are_refused(how: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(bytes(48))
    with pytest.raises(InputError, match=r"net\.onnx: .*"):
        from_onnx(gemm(tmp_path, external("w.bin", **how)))


def test_one_sentence_for_each_bad_file(tmp_path: Path) -> None:
    good = numpy_helper.from_array(np.ones((4, 3), np.float32), "w")
    path = gemm(tmp_path, good)
    assert from_onnx(path)(torch.ones(2, 4)).tolist() == [[4.0] * 3] * 2
    whole = path.read_bytes()
    for cut in range(0, len(whole), 3):
        path.write_bytes(whole[:cut])
        with pytest.raises(InputError) as error:
            from_onnx(path)
        assert len(error.value.problems) == 1
        assert str(path) in str(error.value)
        assert "\n" not in str(error.value)
    shape = numpy_helper.from_array(np.ones((5, 3), np.float32), "w")
    with pytest.raises(InputError, match=r"'dense' \(Gemm\): .*"):
        from_onnx(gemm(tmp_path, shape))
    for value, said in ((np.nan, "'?w'?: finite numbers"), (np.inf, r"'dense' \(Gemm\): weights of finite numbers")):
        with pytest.raises(InputError, match=said):
            from_onnx(gemm(tmp_path, numpy_helper.from_array(np.full((4, 3), value, np.float32), "w")))
    for opset in (6, 99):
        with pytest.raises(InputError, match="opset of 7 to"):
            from_onnx(gemm(tmp_path, good, opset_imports=[helper.make_opsetid("", opset)]))


def test_damaged_bytes_give_a_network_or_one_sentence(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model, _ = quantised()
    whole = model.SerializeToString()
    rng = np.random.default_rng(0)
    path = tmp_path / "net.onnx"
    for _ in range(150):
        data = bytearray(whole)
        for place in rng.integers(0, len(data), rng.integers(1, 6)):
            data[place] = rng.integers(0, 256)
        path.write_bytes(data)
        with contextlib.suppress(InputError):
            from_onnx(path)
    assert capfd.readouterr() == ("", "")
