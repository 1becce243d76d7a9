"""Samples of a network's run: a user's file, or the digits that come with scikit-learn."""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError

from configs.bounded import expanded, largest_unpacked, one_sentence, printable, quoted, read_file, too_large
from devices import InputError, Stream
from workloads.network.settings import NetworkData
from workloads.recordings.images import sklearn_digits
from workloads.recordings.labelled import DataOrigin
from workloads.result import Data

PARTS = ("x_train", "y_train", "x_test", "y_test")
WHOLE = ("x", "y")
SHORT = (torch.uint8, torch.int8, torch.int16, torch.uint16, torch.bool)
"""Whole numbers that are values, such as pixels and samples of sound; longer ones are indices."""


@dataclass(frozen=True, eq=False)
class Samples:
    """Inputs ``(n, ...)`` and targets ``(n, ...)`` to train and to test on.

    ``where``: the file as messages call it; ``digest`` of its bytes.
    """

    x_train: torch.Tensor
    y_train: torch.Tensor
    x_test: torch.Tensor
    y_test: torch.Tensor
    origin: DataOrigin
    digest: str
    where: str

    def record(self, tested: int | None) -> Data:
        """As the files of a run describe them; ``tested``: at most so many of the samples to test on."""
        return Data(
            name=self.origin.name,
            digest=self.digest,
            synthetic=False,
            source=self.origin.source or self.where,
            train=len(self.x_train),
            test=len(self.x_test[:tested]),
            splits=1,
        )

    def some(self, count: int) -> torch.Tensor:
        """At most so many of the inputs to train on, evenly spread."""
        return self.x_train[:: max(1, len(self.x_train) // count)][:count]


def samples_of(which: NetworkData, data: Path | None = None) -> Samples:
    """The samples of a run; ``data``: a file in place of the one that the settings name.

    Raises InputError, naming file and array, for a file of another kind or damaged, an array that is missing, of
    another length, empty or with values that are not finite.
    """
    if data is None and which.file is None:
        if which.digits:
            return _digits(which)
        raise InputError("data.file: an npz or safetensors file of samples, or --data, or data.digits: true (got none)")
    path = expanded(which.file if data is None else data)  # type: ignore[arg-type]
    where = printable(str(path))
    content = read_file(path)
    arrays = _arrays(content, path.suffix, where)
    given = [name for name in (*PARTS, *WHOLE) if name in arrays]
    if given not in ([*PARTS], [*WHOLE]):
        names = quoted(", ".join(sorted(arrays)) or "none")
        raise InputError(f"{where}: must hold {', '.join(PARTS)}, or {' and '.join(WHOLE)} (got {names})")
    tensors = {name: _usable(arrays[name], f"{where}: {name}", inputs=name.startswith("x")) for name in given}
    for first, second in (("x", "y"), ("x_train", "y_train"), ("x_test", "y_test")):
        if first in tensors and len(tensors[first]) != len(tensors[second]):
            lengths = f"{len(tensors[first])} and {len(tensors[second])}"
            raise InputError(f"{where}: {first} and {second}: as many of either (got {lengths})")
    if given == [*WHOLE]:
        tensors = _split(tensors["x"], tensors["y"], which, where)
    if tensors["x_train"].shape[1:] != tensors["x_test"].shape[1:]:
        shapes = " and ".join(str(tuple(tensors[name].shape[1:])) for name in ("x_train", "x_test"))
        raise InputError(f"{where}: x_train and x_test: samples of one shape (got {shapes})")
    origin = DataOrigin(printable(path.name))
    return Samples(**tensors, origin=origin, digest=hashlib.sha256(content).hexdigest(), where=where)


def _digits(which: NetworkData) -> Samples:
    images = sklearn_digits()
    x = torch.from_numpy(images.pixels).float()[:, None] / images.full
    parts = _split(x, torch.from_numpy(images.classes), which, images.origin.name)
    digest = hashlib.sha256(images.pixels.tobytes() + images.classes.tobytes()).hexdigest()
    return Samples(**parts, origin=images.origin, digest=digest, where=images.origin.name)


def _split(x: torch.Tensor, y: torch.Tensor, which: NetworkData, where: str) -> dict[str, torch.Tensor]:
    draw = Stream.root(which.split_seed).child("split").torch()
    order = torch.randperm(len(x), generator=draw)
    train = round(which.fractions[0] * len(x))
    if not 0 < train < len(x):
        raise InputError(f"{where}: at least one sample to train on and one to test on (got {len(x)} in all)")
    first, rest = order[:train], order[train:]
    return {"x_train": x[first], "y_train": y[first], "x_test": x[rest], "y_test": y[rest]}


def _arrays(content: bytes, suffix: str, where: str) -> dict[str, torch.Tensor]:
    if suffix == ".safetensors":
        try:
            return dict(safetensors.torch.load(content))
        except (SafetensorError, LookupError, AttributeError, TypeError, ValueError, RuntimeError) as error:
            raise InputError(f"{where}: not a readable safetensors file ({error})") from None
    if suffix != ".npz":
        raise InputError(f"{where}: the ending must be .npz or .safetensors (got {suffix or 'none'})")
    with one_sentence(where, "a whole npz file of numbers (damaged, or with Python objects)"):
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            size, most = sum(one.file_size for one in packed.infolist()), largest_unpacked(len(content))
        if size > most:
            raise too_large(where, most, size)
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            return {name: torch.from_numpy(np.array(stored[name])) for name in stored.files if name in (*PARTS, *WHOLE)}


def _usable(tensor: torch.Tensor, where: str, *, inputs: bool) -> torch.Tensor:
    """Values as float32, whole numbers that count or name something as int64."""
    if tensor.dim() == 0 or not tensor.numel():
        raise InputError(f"{where}: at least one sample (got shape {tuple(tensor.shape)})")
    if tensor.is_complex():
        raise InputError(f"{where}: real numbers (got {str(tensor.dtype).removeprefix('torch.')})")
    if not (tensor.is_floating_point() or (inputs and tensor.dtype in SHORT)):
        return tensor.long()
    values = tensor.float()
    if not bool(values.isfinite().all()):
        raise InputError(f"{where}: values must be finite in float32")
    return values
