"""Runs whose cache (``MHO_CACHE``) is damaged: files cut off, garbled, exchanged, of another program, or no files."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import numpy as np

from benchmarks.fuzz.case import Case, clips, small, start, turn, write
from benchmarks.fuzz.changes import bent
from benchmarks.fuzz.packing import zip_of_zeros
from benchmarks.fuzz.pictures import pictures

CACHE = "kept"
RUNS = {"run_pictures": ("small_lsm", "pictures", pictures), "run_kws": ("small_kws", "clips", clips)}
"""By the finished run that a cache is of: the experiment, its data, and what makes these."""
TOKENS = [b"PK\x03\x04", b"PK\x01\x02", b"\x93NUMPY", bytes(16), b"\xff" * 8, b"'shape': (9", b"|O", b"<f8", b"9" * 30]


def _npz(**arrays: object) -> bytes:
    held = io.BytesIO()
    np.savez(held, **{name: np.asarray(array) for name, array in arrays.items()})
    return held.getvalue()


@cache
def _contents() -> Mapping[str, bytes]:
    """What a file of the cache may hold in its place."""
    header = b"\x93NUMPY\x01\x00\x76\x00" + b"{'descr': '<f8', 'fortran_order': False, 'shape': (1%s,), }" % (b"0" * 15)
    return {
        "nothing": b"",
        "a byte": b"x",
        "text": b"hello\n" * 1000,
        "noise": bytes(range(256)) * 40,
        "PK alone": b"PK\x03\x04",
        "npz of nothing": _npz(),
        "npz of other arrays": _npz(a=np.zeros(3)),
        "npz of its names, other shapes": _npz(mfcc=np.zeros(3), ticks=0, address=np.zeros((2, 2)), offsets=[[1]]),
        "npz of its names, nan": _npz(mfcc=np.full((72, 3, 3), np.nan), ticks=[np.nan], address=[0.5], offsets=[0, 9]),
        "npz of texts": _npz(mfcc="x", ticks="y", address="z", offsets="w"),
        "npz of 8 PB": zip_of_zeros({"mfcc.npy": (header.ljust(128), 0), "ticks.npy": (header.ljust(128), 0)}),
        "npz of 3 GB of zeros": zip_of_zeros({"mfcc.npy": (header, 48), "ticks.npy": (header, 48)}),
        "an array": b"\x93NUMPY\x01\x00",
        "pickle": b"\x80\x04c__main__\nopen\n.",
    }


PLACES: dict[str, Callable[[Path], object]] = {
    "missing": lambda path: None,
    "a folder": lambda path: path.mkdir(),
    "a folder with a file": lambda path: (path.mkdir(), (path / "x").write_bytes(b"x")),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a link to nothing": lambda path: path.symlink_to("nowhere"),
    "a link to /dev/zero": lambda path: path.symlink_to("/dev/zero"),
    "a link to /etc/passwd": lambda path: path.symlink_to("/etc/passwd"),
    "its folder a file": lambda path: (path.parent.rmdir(), path.parent.write_bytes(b"x")),
    "its folder a link to itself": lambda path: (path.parent.rmdir(), path.parent.symlink_to(path.parent.name)),
}


def _ways() -> list[str]:
    cuts = ("cut by a byte", "half", "its first 100 bytes", "twice", "zeros for its middle", "the file of another run")
    return [*cuts, *_contents(), *PLACES]


def _damage(path: Path, way: str, other: bytes) -> None:
    data = path.read_bytes()
    middle = len(data) // 2
    changed = {
        "cut by a byte": data[:-1],
        "half": data[:middle],
        "its first 100 bytes": data[:100],
        "twice": data + data,
        "zeros for its middle": data[: middle - 50] + bytes(100) + data[middle + 50 :],
        "the file of another run": other,
        **_contents(),
    }
    path.unlink()
    if way in PLACES:
        PLACES[way](path)
    else:
        path.write_bytes(changed[way])


def case(number: int, folder: Path, base: Path) -> Case:
    rng = start("caches", number)
    listed = turn(number, len(_ways()) * len(RUNS))
    # Features of speech take the longest to make again.
    run = list(RUNS)[listed % len(RUNS) if listed is not None else rng.random() < 0.1]
    experiment, data, make = RUNS[run]
    shutil.copytree(base / f"of_{run}" / "cache", folder / CACHE)
    (file,) = (folder / CACHE).rglob("*.npz")
    if listed is not None:
        about = _ways()[listed // len(RUNS)]
        (other,) = next(base / f"of_{name}" for name in RUNS if name != run).rglob("*.npz")
        _damage(file, about, other.read_bytes())
    else:
        about = "bytes changed"
        file.write_bytes(bent(rng, file.read_bytes(), TOKENS, times=rng.choice([1, 3, 30])))
    write(folder / data, make())
    return Case(
        f"{experiment}: {about}",
        ("run", small(experiment, folder), "--data", data, "-o", "out", "--quiet"),
        writable=(CACHE,),
        environment={"MHO_CACHE": CACHE},
    )
