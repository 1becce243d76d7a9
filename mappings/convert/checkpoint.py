"""A training on disk, in one safetensors file that is there whole or not at all: tensors, and the rest as JSON.

Random numbers need no place: all streams are named by the step (``devices.Stream``), so the step is their state.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from devices import InputError

NAME = "training.safetensors"
Rows = list[dict[str, Any]]
Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Checkpoint:
    """The file of one training in ``folder``; ``identity``: what must be the same to go on from it, by name."""

    folder: Path
    identity: dict[str, Any]

    @property
    def file(self) -> Path:
        """The one file."""
        return self.folder / NAME

    def write(self, step: int, tensors: Mapping[str, torch.Tensor], rows: Rows) -> None:
        """Put a training after ``step`` steps in place of the one before; raises InputError where that fails."""
        held = {name: one.detach().cpu().contiguous().clone() for name, one in tensors.items()}
        about = {"step": step, "rows": rows, "identity": self.identity, "digest": digest_of(held)}
        data = save(held, {"mho": json.dumps(about)})
        part = self.folder / f".{NAME}.part"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            part.replace(self.file)
            handle = os.open(self.folder, os.O_RDONLY)
            try:
                os.fsync(handle)  # so that the rename survives a power cut
            finally:
                os.close(handle)
        except OSError as error:
            raise InputError(f"{self.file}: cannot write: {error.strerror or error}") from error

    def read(self) -> tuple[int, Tensors, Rows] | None:
        """Steps, tensors and rows of the stored training; None where there is none.

        Raises InputError for a file that is damaged, and for one of another training with what differs.
        """
        if not self.file.exists():
            return None
        try:
            with safe_open(self.file, "pt") as opened:
                about = json.loads((opened.metadata() or {})["mho"])
                tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 (not a dict)
            step, rows, identity = int(about["step"]), list(about["rows"]), dict(about["identity"])
            if digest_of(tensors) != about["digest"]:
                raise ValueError("its tensors are not those that were written")
        except (SafetensorError, OSError, KeyError, ValueError, TypeError) as error:
            raise InputError(
                f"{self.file}: must be a whole checkpoint of a training ({type(error).__name__}: {error}); delete it "
                "to begin anew"
            ) from None
        # As JSON gives it back: tuples are lists there.
        here = json.loads(json.dumps(self.identity))
        other = [name for name in {**here, **identity} if here.get(name) != identity.get(name)]
        if other:
            what = ", ".join(f"{name} {_short(identity.get(name))}, here {_short(here.get(name))}" for name in other)
            raise InputError(f"{self.file}: holds another training ({what}); delete it, or name another folder")
        return step, tensors, rows


def network_digest(net: torch.nn.Module, chips: Mapping[str, Any]) -> str:
    """Digest of what stays as it is in training: names and shapes of parameters, values of buffers (the calibrated
    ranges among them), chips."""
    parameters = sorted((name, tuple(one.shape), str(one.dtype)) for name, one in net.named_parameters())
    described = repr((parameters, sorted(chips.items()), digest_of(dict(net.named_buffers()))))
    return hashlib.sha256(described.encode()).hexdigest()[:16]


def digest_of(tensors: Mapping[str, torch.Tensor]) -> str:
    """SHA-256 of names, shapes, types and values."""
    found = hashlib.sha256()
    for name, one in sorted(tensors.items()):
        found.update(repr((name, tuple(one.shape), one.dtype)).encode())
        found.update(one.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def named_state(optimiser: torch.optim.Optimizer, names: list[str]) -> Tensors:
    """State of an optimiser by the names of its parameters, which are in its order."""
    state = optimiser.state_dict()["state"]
    return {
        f"optimiser/{names[number]}/{key}": one
        for number, held in state.items()
        for key, one in held.items()
        if isinstance(one, torch.Tensor)
    }


def restore(net: torch.nn.Module, optimiser: torch.optim.Optimizer, names: list[str], tensors: Tensors) -> None:
    """Put tensors of ``parameters`` and ``named_state`` back; raises KeyError for one that is missing."""
    state: dict[int, Tensors] = {}
    for name, one in tensors.items():
        kind, _, rest = name.partition("/")
        if kind == "optimiser":
            of, _, key = rest.rpartition("/")
            state.setdefault(names.index(of), {})[key] = one
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            parameter.copy_(tensors[f"weights/{name}"])
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})


def _short(value: Any) -> str:
    return "none" if value is None else str(value)[:40]
