"""Pictures of digits, to be shown to an event camera: MNIST's idx files, or scikit-learn's embedded digits."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from configs.bounded import printable, read_unpacked
from configs.errors import InputError
from workloads.recordings.archives import TEST, TRAIN
from workloads.recordings.labelled import DataOrigin, Labelled

MNIST_SOURCE = "Y. LeCun et al., Gradient-based learning applied to document recognition, doi 10.1109/5.726791 (MNIST)"
DIGITS_SOURCE = (
    "E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, doi 10.24432/C50P49, the test part as "
    "scikit-learn ships it (CC BY 4.0)"
)
IMAGES, LABELS = 2051, 2049
SMALLEST_SIDE, LARGEST_SIDE = 2, 512
PATTERN = "*images*idx3*"


@dataclass(frozen=True, eq=False, kw_only=True)
class Images(Labelled):
    """``n`` grey pictures: ``pixels`` (n, rows, columns) uint8 with ink at ``full``.

    Row 0 is the top. ``parts`` (n,): ``train``, ``test`` or empty.
    """

    pixels: NDArray[np.uint8]
    parts: NDArray[np.str_]
    full: int

    def _content(self) -> tuple[object, Iterable[NDArray[Any]], Iterable[NDArray[np.str_]]]:
        return (self.labels, self.pixels.shape, self.full), (self.pixels, self.classes), (self.names, self.parts)


def sklearn_digits() -> Images:
    """The 1797 digits of 8 x 8 pixels and 17 grey levels that come with scikit-learn; no official split."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    return Images(
        pixels=digits.images.astype(np.uint8),
        classes=digits.target.astype(np.int64),
        names=np.array([f"{label}/{number:05d}" for number, label in enumerate(digits.target.tolist())]),
        parts=np.array([""] * len(digits.target)),
        labels=tuple("0123456789"),
        full=16,
        origin=DataOrigin("scikit-learn digits", DIGITS_SOURCE, "alpaydin1998"),
    )


def load_idx(source: Path, *, data_name: str = "") -> Images:
    """MNIST-like pictures of an idx file or of a folder with ``*-images-idx3-ubyte`` files, with their labels beside.

    Raises ``InputError`` for a file with another magic number, a truncated one, and labels that are missing or too few.
    """
    paths = sorted(source.glob(PATTERN)) if source.is_dir() else [source]
    if not paths:
        raise InputError(f"{source}: has no pictures; allowed: *-images-idx3-ubyte, as it is or with .gz")
    pixels: list[NDArray[np.uint8]] = []
    classes: list[NDArray[np.int64]] = []
    names: list[str] = []
    parts: list[str] = []
    for path in paths:
        beside = path.with_name(path.name.replace("images", "labels").replace("idx3", "idx1"))
        found, given = _idx(path, IMAGES), _idx(beside, LABELS)
        if len(found) != len(given):
            raise InputError(f"{beside}: allowed are labels for each of {len(found)} pictures (got {len(given)})")
        if pixels and found.shape[1:] != pixels[0].shape[1:]:
            raise InputError(f"{path}: allowed are {pixels[0].shape[1:]} pixels, as in {paths[0]}")
        part = TRAIN if TRAIN in path.name else TEST if path.name.startswith(("t10k", TEST)) else ""
        pixels.append(found)
        classes.append(given.astype(np.int64))
        names += [
            f"{part or path.name.split('-')[0]}/{label}/{number:05d}" for number, label in enumerate(given.tolist())
        ]
        parts += [part] * len(given)
    every = np.concatenate(classes)
    return Images(
        pixels=np.concatenate(pixels),
        classes=every,
        names=np.array(names),
        parts=np.array(parts),
        labels=tuple(str(number) for number in range(max(10, int(every.max(initial=0)) + 1))),
        full=255,
        origin=DataOrigin(data_name or printable(source.name), MNIST_SOURCE, "lecun1998"),
    )


def _idx(path: Path, magic: int) -> NDArray[np.uint8]:
    """The bytes of one idx file in the shape that its header states."""
    data = read_unpacked(path)
    name, sides = printable(str(path)), magic & 0xFF
    if len(data) < 4 + 4 * sides or struct.unpack(">I", data[:4])[0] != magic:
        raise InputError(f"{name}: allowed is an idx file of magic number {magic} (got first bytes {data[:4]!r})")
    shape = struct.unpack(f">{sides}I", data[4 : 4 + 4 * sides])
    size_B = len(data) - 4 - 4 * sides
    promised_B = math.prod(shape)  # whole numbers of Python, which no header overflows
    if size_B != promised_B:
        what = "truncated" if size_B < promised_B else "overlong"
        raise InputError(f"{name}: a {what} idx file: its header promises {promised_B} bytes (got {size_B})")
    if not promised_B or not all(SMALLEST_SIDE <= side <= LARGEST_SIDE for side in shape[1:]):
        allowed = f"pictures of {SMALLEST_SIDE} to {LARGEST_SIDE} pixels a side, at least one"
        raise InputError(f"{name}: allowed are {allowed} (got {' x '.join(map(str, shape))})")
    return np.frombuffer(data, np.uint8, offset=4 + 4 * sides).reshape(shape)
