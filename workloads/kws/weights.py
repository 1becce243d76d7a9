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
MEND_RESET = (
    "Take an LSTM, or a GRU trained in mho's form whose file has the safetensors metadata 'reset: before', or state "
    "model.reset: after"
)


def about(net: KeywordNet, labels: Sequence[str]) -> dict[str, str]:
    """Safetensors metadata by which a file of this network is read again as the same network."""
    stated = {"cell": net.model.cell, "classes": json.dumps(list(labels))}
    return stated | ({"reset": net.model.reset} if net.model.cell == "gru" else {})


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
    remaining 2-D tensor called ``*.weight`` with its ``*.bias``. torch's two bias vectors are added up, but for a GRU
    whose reset gate acts behind the product. The order of the read-out's classes is that of the file's metadata
    ``classes`` (a JSON list, or names with commas) or of ``net.model.classes``, else that of ``labels``.

    Raises InputError naming the file, and the tensor that is missing, of no floating type, not finite or of another
    shape; and for a GRU unless ``net.model`` and metadata agree on its reset gate, which must be stated if ``before``.
    """
    tensors, metadata = _read(path)
    model = net.model
    cell = metadata.get("cell", model.cell)
    if cell != model.cell:
        raise InputError(f"{path}: metadata 'cell' is {cell!r}, while model.cell is {model.cell!r}")
    if model.cell == "gru":
        got = metadata.get("reset", "after" if model.reset == "after" else None)
        if got != model.reset:
            why = f": {RESET_AFTER}. {MEND_RESET}" if model.reset == "before" else ", as model.reset"
            raise InputError(f"{path}: metadata 'reset' must be {model.reset!r} (got {got!r}){why}")
    order, whence = _classes(path, model.classes, metadata, labels)
    _fill(path, net, tensors, order)
    steps = model.readout_steps
    mean = f"the mean of the last {steps} hidden states" if steps > 1 else "the last hidden state"
    biases = "two bias vectors" if model.reset == "after" else "two bias vectors added up"
    layers = "" if model.layers == 1 else f" in each of {model.layers} layers"
    return (
        f"--weights {path.name}: computed as {model.described}, {model.hidden} units{layers}, {biases}, and "
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
    def one(suffix: str, otherwise: torch.Tensor | None = None) -> torch.Tensor:
        """The tensor of this name; where there is none, zeros like ``otherwise``."""
        found = [name for name in tensors if name == suffix or name.endswith("." + suffix)]
        if len(found) == 1:
            return tensors.pop(found[0])
        if otherwise is not None and not found:
            return torch.zeros_like(otherwise)
        listed = ", ".join(found) if found else "none"
        raise InputError(f"{path}: exactly one tensor '*{suffix}' is needed (got {listed})")

    wanted: dict[str, torch.Tensor] = {}
    pairs: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
    for layer in range(net.model.layers):
        mine = {f"{name}_l{layer}": tensor for name, tensor in net.tensors(layer).items()}
        wanted |= mine
        for name in (f"weight_ih_l{layer}", f"weight_hh_l{layer}"):
            pairs[name] = mine[name], one(name)
        names = [f"bias_{which}_l{layer}" for which in ("ih", "hh")]
        for name in names:
            like = mine.get(name, mine[names[0]])
            pairs[name] = like, one(name, like)
        first, second = (pairs[name][1] for name in names)
        if names[1] not in mine and first.shape == second.shape:
            pairs[" + ".join(names)] = mine[names[0]], first + second
    pairs["output weight"] = net.output.weight, one("weight")
    pairs["output bias"] = net.output.bias, one("bias", net.output.bias)
    if tensors:
        layers = net.model.layers
        more = f" (model.layers is {layers})" if any(name.endswith(f"_l{layers}") for name in tensors) else ""
        raise InputError(f"{path}: tensors that this network has no use for: {', '.join(sorted(tensors))}{more}")
    problems = []
    for name, (like, given) in pairs.items():
        if given.shape != like.shape:
            problems.append(f"{path}: {name}: shape must be {tuple(like.shape)} (got {tuple(given.shape)})")
        elif not bool(torch.isfinite(given).all()):
            problems.append(f"{path}: {name}: values must be finite in float32")
    if problems:
        raise InputError(problems)
    with torch.no_grad():
        for name, tensor in wanted.items():
            both = f"{name} + {name.replace('_ih_', '_hh_')}"
            tensor.copy_(pairs[both if both in pairs else name][1])
        net.output.weight[order] = pairs["output weight"][1]
        net.output.bias[order] = pairs["output bias"][1]
