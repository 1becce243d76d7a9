"""Character networks in safetensors files: matrices in 8 bits a weight, with their vocabulary and what made them.

A matrix is whole numbers from -127 to 127 with one scale a row, ``W = scale q``; vectors are in 32 bits.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors.torch
import torch
from safetensors import SafetensorError

from configs.bounded import expanded, printable, read_file
from devices import InputError
from workloads.charlm.model import CharacterModel, CharacterNetwork
from workloads.charlm.text import Vocabulary

if TYPE_CHECKING:  # another module in each of the supported versions of Python
    from importlib.resources.abc import Traversable

SCALE = ".scale"
TOP = 127
ABOUT = "mho"


@dataclass(frozen=True, eq=False)
class GivenNetwork:
    """A network as it was read; ``about``: how, for reports; ``card``: what its file says of itself."""

    net: CharacterNetwork
    vocabulary: Vocabulary
    about: str
    card: Mapping[str, Any]


def shipped(ending: str = ".safetensors") -> dict[str, Traversable]:
    """Files of the networks that ship with mho, by their names."""
    folder = resources.files("workloads").joinpath("charlm/weights")
    return {one.name.removesuffix(ending): one for one in folder.iterdir() if one.name.endswith(ending)}


def save_network(path: Path, net: CharacterNetwork, vocabulary: Vocabulary, card: Mapping[str, Any]) -> None:
    """Write a network in 8 bits a weight; ``card``: data, recipe and figures, for who reads it."""
    tensors: dict[str, torch.Tensor] = {}
    for name, one in net.state_dict().items():
        if one.dim() > 1:
            scale = (one.abs().amax(1) / TOP).clamp_min(1e-12).float()
            tensors[name] = (one / scale[:, None]).round().to(torch.int8)
            tensors[name + SCALE] = scale
        else:
            tensors[name] = one.float()
    about = {"model": asdict(net.model), "vocabulary": vocabulary.characters, "card": dict(card)}
    path.write_bytes(safetensors.torch.save(tensors, {ABOUT: json.dumps(about)}))


def given_network(named: str | Path, model: CharacterModel, origin: str) -> GivenNetwork:
    """The network of this name, or of a file; ``origin``: the key or option that named it.

    Raises InputError for a file of another kind, for tensors that are missing, of other shapes or not finite, and for
    one that is not of this ``model``.
    """
    ours = shipped()
    if str(named) in ours:
        content, where = ours[str(named)].read_bytes(), f"{origin}: {named}"
    else:
        path = expanded(named)
        where = f"{origin}: {printable(str(path))}"
        if not path.exists():
            raise InputError(f"{where}: a file, or one of {', '.join(sorted(ours))}")
        content = read_file(path)
    try:
        tensors = safetensors.torch.load(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        about = json.loads(header["__metadata__"][ABOUT])
        vocabulary, stated = Vocabulary(str(about["vocabulary"])), about["model"]
        card = dict(about["card"])
    except (SafetensorError, LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise InputError(
            f"{where}: must be a character network that mho wrote ({type(error).__name__}: {error})"
        ) from None
    sizes = {key: getattr(model, key) for key in ("inputs", "units", "projection")}
    got = {key: stated.get(key) if isinstance(stated, dict) else None for key in sizes}
    if got != sizes:
        raise InputError(f"{where}: is a network of {_sizes(got)}, while model states {_sizes(sizes)}")
    net = CharacterNetwork(len(vocabulary), model)
    wanted = net.state_dict()
    problems = []
    for name, one in wanted.items():
        key = name if name in tensors else _elsewhere(name)
        found, scale = tensors.get(key), tensors.get(key + SCALE)
        if found is None:
            problems.append(f"{where}: {name}: missing")
        elif tuple(found.shape) != tuple(one.shape):
            problems.append(f"{where}: {name}: shape must be {tuple(one.shape)} (got {tuple(found.shape)})")
        else:
            value = found.float() if scale is None else found.float() * scale.float()[:, None]
            if bool(value.isfinite().all()):
                one.copy_(value)
            else:
                problems.append(f"{where}: {name}: values must be finite")
    if problems:
        raise InputError(problems)
    net.load_state_dict(wanted)
    return GivenNetwork(net.eval(), vocabulary, where, card)


def _elsewhere(name: str) -> str:
    """The name of the embedding in a network that has it elsewhere: on tiles or digital, the file does not decide."""
    return {"embedding.1.weight": "embedding.weight", "embedding.weight": "embedding.1.weight"}.get(name, name)


def _sizes(of: Mapping[str, Any]) -> str:
    projected = "" if of["projection"] is None else f" projected to {of['projection']}"
    return f"{of['inputs']} inputs and {of['units']} units{projected}"
