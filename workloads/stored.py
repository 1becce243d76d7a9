"""Trained networks in a folder that many runs share: where hardware alone differs, a network is trained once."""

from __future__ import annotations

import copy
import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save

from configs.bounded import expanded
from workloads.recordings.sources import written_whole

Net = TypeVar("Net", bound=torch.nn.Module)
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class StoredNetworks:
    """Networks in ``folder`` by all that their training depends on; ``of`` digests what is common to these runs.

    A second process that needs a network which is being trained waits for it. A stored network is the trained one to
    the bit.
    """

    folder: Path
    of: str

    def network(
        self, key: object, start: Net, train: Callable[[], tuple[Net, Rows]], about: Mapping[str, str]
    ) -> tuple[Net, Rows]:
        """The network that ``train`` makes of ``start``, and its learning curve, both by ``key``.

        ``about``: metadata of the file, for who reads it elsewhere.
        """
        name = hashlib.sha256(repr((self.of, key)).encode()).hexdigest()[:32]
        file = self.folder / f"{name}.safetensors"
        self.folder.mkdir(parents=True, exist_ok=True)
        with file.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            found = _read(file, start)
            if found is None:
                found = train()
                tensors = {key: tensor.contiguous() for key, tensor in found[0].state_dict().items()}
                with written_whole(file) as part:
                    part.write_bytes(save(tensors, {**about, "learning": json.dumps(found[1])}))
        return found


def files_digest(path: Path | None) -> str:
    """Names, sizes and times of the files that the user names (``MHO_DATA`` by default); empty where none are named."""
    chosen = path or os.environ.get("MHO_DATA")
    if not chosen:
        return ""
    top = expanded(chosen)
    every = [top, *sorted(top.rglob("*"))] if top.is_dir() else [top]
    found = [(str(one), about.st_size, about.st_mtime_ns) for one in every if one.exists() and (about := one.stat())]
    return hashlib.sha256(repr(found).encode()).hexdigest()


def _read(file: Path, start: Net) -> tuple[Net, Rows] | None:
    """The network in the file and its learning curve; None where there is none that can be read."""
    try:
        tensors = load_file(file)
        with safe_open(file, "pt") as opened:
            rows = json.loads((opened.metadata() or {})["learning"])
        trained = copy.deepcopy(start)
        trained.load_state_dict(tensors)
    except (FileNotFoundError, SafetensorError, KeyError, ValueError, RuntimeError):
        return None
    return trained, rows
