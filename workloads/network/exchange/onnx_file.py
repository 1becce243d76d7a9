"""An ONNX file as nodes and constants, within limits: no code, no file outside of its folder, no NaN in a weight.

ONNX is a protobuf of a graph: nodes with an operator and attributes, and initialisers, tensors that may lie in files
beside it (external data). Specification: https://github.com/onnx/onnx/blob/main/docs/IR.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
import torch

from configs.bounded import expanded, one_sentence, printable, quoted, read_file
from configs.errors import InputError

MISSING = "ONNX files need the package onnx, which is not installed: pip install 'mho[onnx]'"
DAMAGED = "a whole ONNX file (damaged, cut short, or another format)"
OLDEST_OPSET = 7
"""Operators of older files broadcast by attributes of their own."""
MOST_NODES = 100_000
SMALL_INTEGERS = 64
"""Whole numbers up to which a constant is taken for sizes, axes or positions and written into the graph as such."""

Value = Any
"""A constant: a tensor, or an int or a tuple of int for few whole numbers, which are sizes, axes or positions."""


@dataclass(frozen=True)
class OnnxNode:
    """One operator of the graph; ``name`` is unique and fit for a module's path, ``label`` is how messages call it."""

    name: str
    label: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class OnnxFile:
    """A graph: ``inputs`` name to sizes, an int or None for one that is open, or None where no shape is stated."""

    where: str
    opset: int
    nodes: tuple[OnnxNode, ...]
    constants: Mapping[str, Value]
    inputs: Mapping[str, tuple[tuple[int | None, ...] | None, torch.dtype]]
    outputs: tuple[str, ...]


def read_onnx(path: Path | str) -> OnnxFile:
    """The graph of an ONNX file of opset 7 or later.

    Raises InputError in one sentence for a file that cannot be read, is damaged or not ONNX, has an opset that is not
    known, tensors outside of its folder, of a size other than stated or with NaN, and where ``onnx`` is missing.
    """
    try:
        import onnx  # an optional extra
        from google.protobuf.message import DecodeError
    except ImportError:
        raise InputError(MISSING) from None
    if not isinstance(path, str | Path):
        raise InputError(f"path: must be the path of an ONNX file (got {path!r:.80})")
    path = expanded(path)
    where = printable(str(path))
    data = read_file(path)
    with one_sentence(where, DAMAGED):
        try:
            model = onnx.load_model_from_string(data)
        except DecodeError as error:
            raise ValueError(error) from None
    graph = model.graph
    if not model.HasField("graph") or not graph.node or not graph.output:
        raise InputError(f"{where}: {DAMAGED} (it has no graph with nodes and outputs)")
    if len(graph.node) > MOST_NODES:
        raise InputError(f"{where}: at most {MOST_NODES:,} nodes (got {len(graph.node):,})")
    known = onnx.defs.onnx_opset_version()
    opset = next((one.version for one in model.opset_import if one.domain in ("", "ai.onnx")), 0)
    if not OLDEST_OPSET <= opset <= known:
        raise InputError(f"{where}: an ONNX opset of {OLDEST_OPSET} to {known} (got {opset or 'none'})")
    with one_sentence(where, DAMAGED):
        stored = _Tensors(path, where)
        weights = [(_text(one.name), one) for one in graph.initializer]
        constants = {name: stored.value(one, f"weights {quoted(name)}") for name, one in weights}
        if len(constants) < len(weights):
            raise InputError(f"{where}: another name for each tensor of weights (got one twice)")
        if len(graph.sparse_initializer):
            raise InputError(f"{where}: dense weights (got sparse ones, {len(graph.sparse_initializer)} tensors)")
        nodes = tuple(_nodes(graph.node, stored))
        inputs = {_text(one.name): _sizes(one, where) for one in graph.input if _text(one.name) not in constants}
        outputs = tuple(_text(one.name) for one in graph.output)
    _check_names(where, nodes, [*constants, *inputs], outputs)
    return OnnxFile(where, opset, nodes, constants, inputs, outputs)


def _nodes(given: Iterable[Any], stored: _Tensors) -> Iterable[OnnxNode]:
    taken: set[str] = set()
    count: Counter[str] = Counter()
    for node in given:
        op, domain, given_name = (_text(text) for text in (node.op_type, node.domain, node.name))
        op = op if domain in ("", "ai.onnx") else f"{domain}.{op}"
        name = module_name(given_name or f"{op}_{count[op]}", taken)
        count[op] += 1
        label = f"{quoted(given_name or name)!r} ({quoted(op)})"
        attributes = {_text(one.name): _attribute(one, stored, label) for one in node.attribute}
        inputs, outputs = (tuple(map(_text, names)) for names in (node.input, node.output))
        yield OnnxNode(name, label, op, inputs, outputs, attributes)


def _text(given: str | bytes) -> str:
    """A name of the file; protobuf gives bytes where they are not UTF-8."""
    return given.decode("utf-8", "backslashreplace") if isinstance(given, bytes) else given


def module_name(name: str, taken: set[str]) -> str:
    """A name that torch takes for a sub-module, unlike those ``taken`` and every attribute of a module; it joins
    them."""
    plain = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in name).strip("_") or "node"
    plain = f"node_{plain}" if plain[0].isdigit() else plain
    while plain in taken or hasattr(torch.fx.GraphModule, plain) or plain in _ATTRIBUTES:
        stem, _, last = plain.rpartition("_")
        plain = f"{stem}_{int(last) + 1}" if stem and last.isdigit() else f"{plain}_1"
    taken.add(plain)
    return plain


_ATTRIBUTES = frozenset(vars(torch.nn.Module())) | {"meta", "graph", "training"}


def _attribute(one: Any, stored: _Tensors, label: str) -> Any:
    """A number, text, a tuple of numbers or of text, or a tensor; a graph or another kind is told by its name."""
    import onnx

    kinds = onnx.AttributeProto
    if one.type == kinds.TENSOR:
        return stored.value(one.t, f"node {label}, {quoted(_text(one.name))}")
    value = onnx.helper.get_attribute_value(one)
    if one.type in (kinds.FLOAT, kinds.INT):
        return value
    if one.type == kinds.STRING:
        return _text(value)
    if one.type in (kinds.FLOATS, kinds.INTS):
        return tuple(value)
    if one.type == kinds.STRINGS:
        return tuple(map(_text, value))
    raise InputError(
        f"{stored.where}: node {label}: {quoted(_text(one.name))}: numbers, text or a tensor (got another kind)"
    )


def _sizes(one: Any, where: str) -> tuple[tuple[int | None, ...] | None, torch.dtype]:
    kind = one.type.tensor_type
    if not one.type.HasField("tensor_type") or kind.elem_type not in DTYPES:
        raise InputError(f"{where}: input {quoted(_text(one.name))}: a tensor of numbers (got another type)")
    if not kind.HasField("shape"):
        return None, DTYPES[kind.elem_type]
    sizes = tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in kind.shape.dim)
    return tuple(size if size is not None and size > 0 else None for size in sizes), DTYPES[kind.elem_type]


def _check_names(where: str, nodes: Iterable[OnnxNode], given: list[str], outputs: Iterable[str]) -> None:
    """Every value is made once, before it is used."""
    made = set(given)
    if len(made) < len(given):
        raise InputError(f"{where}: another name for each weight and input (got one twice)")
    for node in nodes:
        for name in node.inputs:
            if name and name not in made:
                raise InputError(f"{where}: node {node.label} takes {quoted(name)!r}, which nothing before it gives")
        for name in filter(None, node.outputs):
            if name in made:
                raise InputError(f"{where}: node {node.label} gives {quoted(name)!r}, which is there already")
            made.add(name)
    for name in outputs:
        if name not in made:
            raise InputError(f"{where}: output {quoted(name)!r} is given by no node")


class _Tensors:
    """Tensors of one file, and of the files beside it that it names."""

    def __init__(self, path: Path, where: str) -> None:
        self.folder, self.where = path.parent, where
        self.files: dict[str, bytes] = {}

    def value(self, tensor: Any, what: str) -> Value:
        """A constant as torch has it; few whole numbers as int or tuple."""
        import onnx

        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            tensor = self._inside(tensor, what)
        if tensor.data_type not in (*DTYPES, *CODES):
            kind = onnx.TensorProto.DataType.Name(tensor.data_type).lower()
            raise InputError(f"{self.where}: {what}: numbers of 4 to 64 bits or bool (got {kind})")
        array = onnx.numpy_helper.to_array(tensor)
        if tensor.data_type in CODES:
            found = torch.from_numpy(array.astype(np.int32))
        elif tensor.data_type == onnx.TensorProto.BFLOAT16:
            found = torch.from_numpy(array.astype(np.float32)).to(torch.bfloat16)
        else:
            found = torch.from_numpy(np.array(array))
        if found.is_floating_point() and bool(found.isnan().any()):
            raise InputError(f"{self.where}: {what}: finite numbers (got NaN)")
        return plain(found)

    def _inside(self, tensor: Any, what: str) -> Any:
        """The same tensor with the numbers that an external file of the folder holds for it."""
        import onnx

        stated = {_text(one.key): _text(one.value) for one in tensor.external_data}
        name = stated.get("location", "")
        posix, windows = PurePosixPath(name), PureWindowsPath(name)
        inside = bool(name) and not (posix.is_absolute() or windows.is_absolute() or windows.drive)
        inside = inside and ".." not in (*posix.parts, *windows.parts) and name.isprintable()
        file = self.folder / name if inside else self.folder
        if not inside or not file.resolve().is_relative_to(self.folder.resolve()):
            raise InputError(f"{self.where}: {what}: data in a file of the same folder (got {quoted(name)!r})")
        if name not in self.files:
            self.files[name] = read_file(file)
        data = self.files[name]
        start, size = (int(stated.get(key, default)) for key, default in (("offset", 0), ("length", len(data))))
        if not (0 <= start <= len(data)) or size < 0 or ("length" in stated and start + size > len(data)):
            raise InputError(
                f"{self.where}: {what}: data within the {len(data):,} bytes of {quoted(name)!r} "
                f"(got {size:,} bytes from {start:,} on)"
            )
        whole = onnx.TensorProto()
        whole.CopyFrom(tensor)
        whole.ClearField("external_data")
        whole.data_location = onnx.TensorProto.DEFAULT
        whole.raw_data = data[start : start + size]
        return whole


def plain(tensor: torch.Tensor) -> Value:
    """Few whole numbers as int or tuple, any other constant as it is."""
    small = tensor.dtype in (torch.int64, torch.int32) and tensor.ndim <= 1 and tensor.numel() <= SMALL_INTEGERS
    if not small:
        return tensor
    return int(tensor) if tensor.ndim == 0 else tuple(tensor.tolist())


DTYPES = {
    1: torch.float32,
    2: torch.uint8,
    3: torch.int8,
    5: torch.int16,
    6: torch.int32,
    7: torch.int64,
    9: torch.bool,
    10: torch.float16,
    11: torch.float64,
    16: torch.bfloat16,
}
"""torch's type for ``onnx.TensorProto.DataType``."""
CODES = (4, 21, 22)
"""uint16, uint4 and int4: read as int32, for weights that are dequantised."""
