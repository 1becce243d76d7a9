"""A user's network from a safetensors file: what it is taken for, and what is refused because it would be another."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from devices import InputError
from mappings.network.torch_cells import RESET_AFTER
from workloads.kws.model import KeywordNet
from workloads.recordings.clips import LABELS

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
CELLS = {"lstm": "torch's LSTM", "gru": "a GRU whose reset gate acts before the product", "rnn": "torch's RNN of tanh"}
MEND_RESET = "Take an LSTM, or a GRU trained in mho's form whose file has the safetensors metadata 'reset: before'"


def about(net: KeywordNet, labels: Sequence[str]) -> dict[str, str]:
    """Safetensors metadata by which a file of this network is read again as the same network."""
    stated = {"cell": net.model.cell, "classes": json.dumps(list(labels))}
    return stated | ({"reset": "before"} if net.model.cell == "gru" else {})


def class_order(given: Sequence[str], labels: Sequence[str]) -> list[int]:
    """Number in ``labels`` of each class as given; case and outer underscores do not count (``silence``, ``Yes``).

    Raises InputError unless every class is named once.
    """
    number = {label.strip("_").lower(): index for index, label in enumerate(labels)}
    order = [number.get(name.strip().strip("_").lower(), -1) for name in given]
    if sorted(order) != list(range(len(labels))):
        raise InputError(f"classes: each of {', '.join(labels)} is named once (got {', '.join(given) or 'none'})")
    return order


def load_weights(path: Path, net: KeywordNet, labels: Sequence[str] = LABELS) -> str:
    """Fill ``net`` with a user's network from a safetensors file with torch's names; a sentence on how it was read.

    The recurrent tensors may carry any prefix (``lstm.weight_ih_l0``, ``rnn.0.weight_ih_l0``); the read-out is the
    remaining 2-D tensor called ``*.weight`` with its ``*.bias``. torch's two bias vectors are added up. The order of
    the read-out's classes is that of the file's metadata ``classes`` (a JSON list, or names with commas) or of
    ``net.model.classes``, else that of ``labels``.

    Raises InputError naming the file, and the tensor that is missing, of no floating type, not finite or of another
    shape; and for a GRU whose metadata does not say ``reset: before``.
    """
    tensors, metadata = _read(path)
    model = net.model
    cell = metadata.get("cell", model.cell)
    if cell != model.cell:
        raise InputError(f"{path}: metadata 'cell' is {cell!r}, while model.cell is {model.cell!r}")
    if model.cell == "gru" and metadata.get("reset") != "before":
        got = metadata.get("reset")
        raise InputError(f"{path}: metadata 'reset' must be 'before' (got {got!r}): {RESET_AFTER}. {MEND_RESET}")
    order, whence = _classes(path, model.classes, metadata, labels)
    _fill(path, net, tensors, order)
    steps = model.readout_steps
    mean = f"the mean of the last {steps} hidden states" if steps > 1 else "the last hidden state"
    return (
        f"--weights {path.name}: computed as {CELLS[model.cell]}, {model.hidden} units, two bias vectors added up, and "
        f"a read-out of {mean} (model.readout_steps); classes in the order "
        f"{', '.join(labels[k] for k in order)}: {whence}."
    )


def _read(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Every tensor as float32, and the metadata."""
    if not path.exists():
        raise InputError(f"{path}: no such file; --weights takes a safetensors file")
    try:
        with safe_open(path, "pt") as opened:
            metadata = opened.metadata() or {}
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, LookupError, AttributeError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{path}: not a readable safetensors file ({error})") from None
    allowed = ", ".join(str(kind).removeprefix("torch.") for kind in FLOATS)
    problems = [
        f"{path}: {name}: allowed are {allowed} (got {str(tensor.dtype).removeprefix('torch.')})"
        for name, tensor in sorted(tensors.items())
        if tensor.dtype not in FLOATS
    ]
    if problems:
        raise InputError(problems)
    return {name: tensor.float() for name, tensor in tensors.items()}, metadata


def _classes(
    path: Path, given: Sequence[str], metadata: Mapping[str, str], labels: Sequence[str]
) -> tuple[list[int], str]:
    """The number of each output's class, and who stated that order."""
    text = metadata.get("classes")
    if text is None:
        if given:
            return class_order(given, labels), "as model.classes states"
        return list(range(len(labels))), "mho's, since neither the file's metadata nor model.classes states one"
    try:
        listed = json.loads(text) if text.lstrip().startswith("[") else text.split(",")
        order = class_order([str(name) for name in listed], labels)
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: metadata 'classes': not a JSON list ({error})") from None
    except InputError as error:
        raise InputError(f"{path}: metadata {problem}" for problem in error.problems) from None
    if given and class_order(given, labels) != order:
        raise InputError(f"{path}: metadata 'classes' and model.classes differ ({text} and {', '.join(given)})")
    return order, "as the file's metadata states"


def _fill(path: Path, net: KeywordNet, tensors: dict[str, torch.Tensor], order: list[int]) -> None:
    def one(suffix: str, *, optional: bool = False) -> torch.Tensor | None:
        found = [name for name in tensors if name == suffix or name.endswith("." + suffix)]
        if len(found) == 1:
            return tensors.pop(found[0])
        if optional and not found:
            return None
        listed = ", ".join(found) if found else "none"
        raise InputError(f"{path}: exactly one tensor '*{suffix}' is needed (got {listed})")

    def zero_unless(given: torch.Tensor | None, like: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(like) if given is None else given

    w_ih, w_hh = one("weight_ih_l0"), one("weight_hh_l0")
    b_ih, b_hh = one("bias_ih_l0", optional=True), one("bias_hh_l0", optional=True)
    w_out, b_out = one("weight"), one("bias", optional=True)
    if tensors:
        raise InputError(f"{path}: tensors that this network has no use for: {', '.join(sorted(tensors))}")
    assert w_ih is not None
    assert w_hh is not None
    assert w_out is not None
    pairs = {
        "weight_ih_l0": (net.weight_ih_l0, w_ih),
        "weight_hh_l0": (net.weight_hh_l0, w_hh),
        "bias_ih_l0": (net.bias_ih_l0, zero_unless(b_ih, net.bias_ih_l0)),
        "bias_hh_l0": (net.bias_ih_l0, zero_unless(b_hh, net.bias_ih_l0)),
        "output weight": (net.output.weight, w_out),
        "output bias": (net.output.bias, zero_unless(b_out, net.output.bias)),
    }
    if pairs["bias_ih_l0"][1].shape == pairs["bias_hh_l0"][1].shape:
        pairs["bias_ih_l0 + bias_hh_l0"] = (net.bias_ih_l0, pairs["bias_ih_l0"][1] + pairs["bias_hh_l0"][1])
    problems = []
    for name, (wanted, given) in pairs.items():
        if given.shape != wanted.shape:
            problems.append(f"{path}: {name}: shape must be {tuple(wanted.shape)} (got {tuple(given.shape)})")
        elif not bool(torch.isfinite(given).all()):
            problems.append(f"{path}: {name}: values must be finite in float32")
    if problems:
        raise InputError(problems)
    with torch.no_grad():
        net.weight_ih_l0.copy_(w_ih)
        net.weight_hh_l0.copy_(w_hh)
        net.bias_ih_l0.copy_(pairs.get("bias_ih_l0 + bias_hh_l0", pairs["bias_ih_l0"])[1])
        net.output.weight[order] = w_out
        net.output.bias[order] = pairs["output bias"][1]
