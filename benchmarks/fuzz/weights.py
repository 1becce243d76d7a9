"""A user's own network in safetensors: shapes, names, types, and headers that are not true."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.fuzz.case import Case, clips, from_list, small, start, write
from benchmarks.fuzz.changes import bent, changed

HIDDEN, INPUTS, CLASSES = 4, 40, 12
TYPES = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "I64": np.int64,
    "I32": np.int32,
    "I16": np.int16,
    "I8": np.int8,
    "U8": np.uint8,
    "BOOL": np.bool_,
}
TOKENS = [b'"', b"{", b"}", b"[", b",", b"9" * 30, b"-1", b"F32", b"BF16", b"null", b"1e300", b"\xff\xff\xff\x7f"]


def network(gates: int = 4, hidden: int = HIDDEN) -> dict[str, np.ndarray[Any, Any]]:
    """Weights of an LSTM (four gates), GRU or RNN under torch's names."""
    rng = np.random.default_rng(0)
    shapes = {
        "lstm.weight_ih_l0": (gates * hidden, INPUTS),
        "lstm.weight_hh_l0": (gates * hidden, hidden),
        "lstm.bias_ih_l0": (gates * hidden,),
        "lstm.bias_hh_l0": (gates * hidden,),
        "output.weight": (CLASSES, hidden),
        "output.bias": (CLASSES,),
    }
    return {name: rng.normal(0, 0.3, shape).astype(np.float32) for name, shape in shapes.items()}


def stored(head: Any, data: bytes) -> bytes:
    """A safetensors file of a header, true or not, and its bytes."""
    text = head if isinstance(head, bytes) else json.dumps(head).encode("utf-8", "surrogatepass")
    return struct.pack("<Q", len(text)) + text + data


def parts(tensors: dict[str, np.ndarray[Any, Any]], kind: str = "F32") -> tuple[dict[str, Any], bytes]:
    """Header and data of a safetensors file."""
    head: dict[str, Any] = {}
    data = b""
    for name, tensor in tensors.items():
        with np.errstate(all="ignore"):
            piece = tensor.astype(TYPES[kind]).tobytes()
        head[name] = {"dtype": kind, "shape": list(tensor.shape), "data_offsets": [len(data), len(data) + len(piece)]}
        data += piece
    return head, data


@cache
def _listed() -> dict[str, bytes]:
    good = network()
    head, data = parts(good)

    def other(changes: Mapping[str, Any]) -> bytes:
        """The good network with other tensors; None leaves one out."""
        tensors = {**good, **changes}
        return stored(*parts({name: tensor for name, tensor in tensors.items() if tensor is not None}))

    def typed(kind: str, first: str = "lstm.weight_ih_l0") -> bytes:
        return stored({**head, first: {**head[first], "dtype": kind}}, data)

    found = {
        "good": stored(head, data),
        "empty": b"",
        "8 bytes": bytes(8),
        "text": b"hello" * 100,
        "cut off": stored(head, data)[:-10],
        "cut in its header": stored(head, data)[:50],
        "no tensors": stored({}, b""),
        "header of 2^63": struct.pack("<Q", 2**63) + b"{}",
    }
    found |= {f"all {kind}": stored(*parts(good, kind)) for kind in TYPES}
    found |= {
        f"first as {kind}": typed(kind)
        for kind in ("BF16", "F8_E4M3", "F8_E5M2", "F4", "I32", "U32", "C64", "foo", "", "F6_E2M3")
    }
    found |= {f"GRU of {hidden}": stored(*parts(network(3, hidden))) for hidden in (4, 24)} | {
        "RNN": stored(*parts(network(1))),
        "LSTM of 24": stored(*parts(network(4, 24))),
    }
    for name, value in {"NaN": np.nan, "infinite": np.inf, "1e38": 1e38, "zero": 0.0, "denormal": 1e-42}.items():
        for tensor in ("lstm.weight_ih_l0", "output.weight", "lstm.bias_ih_l0"):
            found[f"{tensor} {name}"] = other({tensor: np.full(good[tensor].shape, value, np.float32)})
    found |= {f"without {name}": other({name: None}) for name in good}
    found |= {
        "one more tensor": other({"x": np.zeros(3)}),
        "two layers": other({"lstm.weight_ih_l1": np.zeros((16, 4))}),
        "scalars": other({name: np.ones(()) for name in good}),
        "no elements": other({name: np.zeros((0, 4)) for name in good}),
        "transposed": other({"output.weight": good["output.weight"].T}),
        "both biases 3e38": other({f"lstm.bias_{which}_l0": np.full(16, 3e38) for which in ("ih", "hh")}),
        "two readouts": other({"fc.weight": good["output.weight"]}),
        "a pickle of torch": b"PK\x03\x04" + bytes(1000),
        "metadata of markup": stored({"__metadata__": {"x": "<script>"}, **head}, data),
        "metadata a list": stored({"__metadata__": [1], **head}, data),
        "overlap": stored({**head, "output.bias": {**head["output.bias"], "data_offsets": [0, 48]}}, data),
        "shape 2^62": stored({**head, "output.bias": {**head["output.bias"], "shape": [2**62]}}, data),
        "shape negative": stored({**head, "output.bias": {**head["output.bias"], "shape": [-12]}}, data),
        "offsets fall": stored({**head, "output.bias": {**head["output.bias"], "data_offsets": [48, 0]}}, data),
        "header of lists": stored(b"[" * 100_000, b""),
        "a name twice": stored(
            b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
            bytes(4),
        ),
        "not UTF-8": stored(b'{"\xff": 1}', b""),
    }
    return found


def _other_tensors(rng: random.Random, kind: str) -> tuple[str, bytes]:
    """A sound file of tensors that are not the network's: another shape, name or value; in words, and its bytes."""
    tensors = network(rng.choice([1, 3, 4, 4, 4]), rng.choice([HIDDEN, HIDDEN, HIDDEN, 1, 24]))
    name = rng.choice(list(tensors))
    value = rng.choice([0.0, -1.0, 1e-42, 1e20, 1e38, -3e38])
    way = rng.choice(["shape", "name", "value", "one value", "type alone"])
    if way == "shape":
        tensors[name] = np.zeros(
            rng.choice([(), (0,), (1,), (16,), (16, 4), (16, 40, 1), (12, 4), (4, 12), (100_000, 4)]), np.float32
        )
    elif way == "name":
        tensors[rng.choice(["", "weight", "x.weight_ih_l0", name.upper(), "\ud800", name + ".", "a" * 5000])] = (
            tensors.pop(name)
        )
    elif way == "value":
        tensors[name] = np.full_like(tensors[name], value)
    elif way == "one value":
        tensors[name].flat[0] = value
    return f"{kind}: {way} of {name}", stored(*parts(tensors, kind))


def case(number: int, folder: Path, base: Path) -> Case:
    rng = start("weights", number)
    if listed := from_list(number, _listed()):
        about, blob = listed
    else:
        kind, way = rng.choice(list(TYPES)), rng.random()
        if way < 0.5:
            about, blob = _other_tensors(rng, kind)
        elif way < 0.75:
            head, data = parts(network(), kind)
            about, _ = changed(rng, head)
            blob = stored(json.dumps(head).encode("utf-8", "surrogatepass"), data)
        else:
            whole = stored(*parts(network(), kind))
            size = rng.choice([8, 600, 600, len(whole)])
            about, blob = "bytes changed", bent(rng, whole[:size], TOKENS) + whole[size:]
    (folder / "own.safetensors").write_bytes(blob)
    write(folder / "clips", clips())
    cell = {"GRU of 4": ("--set", "model.cell=gru"), "RNN": ("--set", "model.cell=rnn")}.get(about, ())
    arguments = ("run", small("small_kws", folder), "--data", "clips", "--weights", "own.safetensors", *cell, "--quiet")
    return Case(about, arguments, "NaN" in about or "infinite" in about)
