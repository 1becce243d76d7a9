"""MNIST's idx files: headers that promise what is not there, labels, compression."""

from __future__ import annotations

import gzip
import random
import struct
from functools import cache
from pathlib import Path

import numpy as np

from benchmarks.fuzz.case import Case, from_list, small, start, write
from benchmarks.fuzz.changes import bent
from benchmarks.fuzz.packing import gzip_of_zeros

IMAGES, LABELS = 2051, 2049
NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")
COUNT = 24


def idx(magic: int, shape: tuple[int, ...], data: bytes) -> bytes:
    """An idx file with a header that need not be true."""
    return struct.pack(f">{1 + len(shape)}I", magic, *shape) + data


@cache
def _listed() -> dict[str, tuple[bytes, bytes]]:
    pixels = np.random.default_rng(0).integers(0, 256, COUNT * 64, np.uint8).tobytes()
    classes = bytes(number % 3 for number in range(COUNT))
    images, labels = idx(IMAGES, (COUNT, 8, 8), pixels), idx(LABELS, (COUNT,), classes)
    few = idx(LABELS, (4,), bytes([0, 1, 2, 3]))
    return {
        "good": (images, labels),
        "no pictures": (idx(IMAGES, (0, 8, 8), b""), idx(LABELS, (0,), b"")),
        "0 x 0 pixels": (idx(IMAGES, (4, 0, 0), b""), few),
        "1 x 1 pixel": (idx(IMAGES, (4, 1, 1), bytes(4)), few),
        "2^31 pictures": (idx(IMAGES, (2**31, 2**31, 4), b""), few),
        "2^32 - 1 of everything": (idx(IMAGES, (2**32 - 1,) * 3, b""), few),
        "too few pixels": (idx(IMAGES, (COUNT, 8, 8), pixels[:25]), labels),
        "too many pixels": (images + pixels, labels),
        "label 255": (images, idx(LABELS, (COUNT,), classes[:-1] + b"\xff")),
        "labels too few": (images, idx(LABELS, (3,), classes[:3])),
        "labels as pictures": (labels, images),
        "one class": (images, idx(LABELS, (COUNT,), bytes(COUNT))),
        "all black": (idx(IMAGES, (COUNT, 8, 8), bytes(COUNT * 64)), labels),
        "header alone": (b"\0\0\x08\x03", b""),
        "empty": (b"", b""),
        "gzip": (gzip.compress(images, mtime=0), gzip.compress(labels, mtime=0)),
        "gzip cut off": (gzip.compress(images, mtime=0)[:-9], labels),
        "gzip of 5 GB": (gzip_of_zeros() * 80, labels),
        "3,000 x 3,000 pixels": (idx(IMAGES, (1, 3000, 3000), bytes(9_000_000)), idx(LABELS, (1,), b"\0")),
        "1 x 2,000,000 pixels": (idx(IMAGES, (1, 1, 2_000_000), bytes(2_000_000)), idx(LABELS, (1,), b"\0")),
        "12 of 400 x 400 pixels": (
            idx(IMAGES, (12, 400, 400), bytes([0, 255] * 960_000)),
            idx(LABELS, (12,), classes[:12]),
        ),
        "3 pictures": (idx(IMAGES, (3, 8, 8), pixels[:192]), idx(LABELS, (3,), classes[:3])),
        "a text": (b"hello" * 100, b"hello"),
        "little-endian": (struct.pack("<4I", IMAGES, COUNT, 8, 8) + pixels, labels),
        "floats (type 0x0D)": (struct.pack(">4I", 0x0D03, COUNT, 8, 8) + pixels, labels),
    }


def pictures() -> dict[str, bytes]:
    """Two files that are as they should be."""
    return dict(zip(NAMES, _listed()["good"], strict=True))


def _changed(rng: random.Random) -> tuple[str, tuple[bytes, bytes]]:
    """Good files of another size, or good ones with bytes changed; in words, and the two files."""
    if rng.random() < 0.3:
        count, rows, columns = rng.choice([1, 3, 24, 25]), rng.choice([1, 2, 7, 28, 40]), rng.choice([1, 2, 8, 28])
        classes = bytes(rng.choice([0, 1, 2, rng.randrange(256)]) for _ in range(count))
        images = idx(IMAGES, (count, rows, columns), rng.randbytes(count * rows * columns))
        return f"{count} pictures of {rows} x {columns}", (images, idx(LABELS, (count,), classes))
    images, labels = _listed()["good"]
    which = rng.random() < 0.5
    good = labels if which else images
    # Headers of 16 and 8 bytes are where most can go wrong.
    head = (8 if which else 16) if rng.random() < 0.5 else len(good)
    odd = bent(rng, good[:head]) + good[head:]
    if rng.random() < 0.3:
        odd = bent(rng, gzip.compress(odd, mtime=0))
    return "bytes changed", (images, odd) if which else (odd, labels)


def case(number: int, folder: Path, base: Path) -> Case:
    rng = start("pictures", number)
    if listed := from_list(number, _listed()):
        about, files = listed
    else:
        about, files = _changed(rng)
    suffix = ".gz" if rng.random() < 0.3 else ""
    write(folder / "data", {f"{name}{suffix}": data for name, data in zip(NAMES, files, strict=True)})
    if rng.random() < 0.05:
        (folder / "data" / f"{NAMES[1]}{suffix}").unlink()
    return Case(about, ("run", small("small_lsm", folder), "--data", "data", "--quiet"))
