"""HDF5 files of cochleas (SHD, N-TIDIGITS) with a data set that is odd, missing, elsewhere or huge."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np


def hdf5(fill: Callable[[Any], object]) -> bytes:
    """An HDF5 file in memory."""
    held = io.BytesIO()
    with h5py.File(held, "w", track_order=True) as file:
        fill(file)
    return held.getvalue()


def _heidelberg(count: int = 24, **odd: Any) -> Callable[[Any], object]:
    """The layout of SHD, with other labels, times, units, or further data sets."""

    def fill(file: Any) -> None:
        for name, kind, value in (("times", np.float16, 0.1), ("units", np.uint16, 5)):
            if f"spikes/{name}" in odd:
                file[f"spikes/{name}"] = odd.pop(f"spikes/{name}")
                continue
            kept = file.create_dataset(f"spikes/{name}", (count,), dtype=h5py.vlen_dtype(kind))
            for number in range(count):
                kept[number] = np.array([value, value + number % 3], kind)
        if "labels" not in odd:
            file["labels"] = np.arange(count) % 3
        for name, value in odd.items():
            file[name] = value

    return fill


def hdf5_files() -> dict[str, bytes]:
    numbers = np.arange(24) % 3
    odd: dict[str, Any] = {
        "good": {},
        "labels of 2^62": {"labels": numbers + 2**62},
        "labels of 1e9": {"labels": numbers * 10**9},
        "labels negative": {"labels": numbers - 1},
        "labels 0.5": {"labels": numbers + 0.5},
        "labels in words": {"labels": np.array([b"a"] * 24)},
        "labels nan": {"labels": np.full(24, np.nan)},
        "labels in 2 dimensions": {"labels": numbers.reshape(4, 6)},
        "labels a scalar": {"labels": 3},
        "labels of uint64": {"labels": np.full(24, 2**64 - 1, np.uint64)},
        "labels of records": {"labels": np.zeros(24, [("a", int)])},
        "labels few": {"labels": numbers[:3]},
        "labels none": {"labels": numbers[:0]},
        "labels booleans": {"labels": numbers > 0},
        "times flat": {"spikes/times": np.zeros(24)},
        "times in 2 dimensions": {"spikes/times": np.zeros((24, 2))},
        "times in words": {"spikes/times": np.array([b"a"] * 24)},
        "times nan": {"spikes/times": np.full((24, 2), np.nan)},
        "times inf": {"spikes/times": np.full((24, 2), np.inf)},
        "times a scalar": {"spikes/times": 1.0},
        "units negative": {"spikes/units": np.full((24, 2), -1)},
        "units 1e9": {"spikes/units": np.full((24, 2), 10**9)},
        "units 0.5": {"spikes/units": np.full((24, 2), 0.5)},
        "units of uint64": {"spikes/units": np.full((24, 2), 2**64 - 1, np.uint64)},
        "units complex": {"spikes/units": np.full((24, 2), 1j)},
        "speakers few": {"extra/speaker": numbers[:3]},
        "speakers in words": {"extra/speaker": np.array([b"\xff"] * 24)},
        "keys not UTF-8": {"extra/keys": np.array([b"\xff", b"a", b"b"])},
        "keys numbers": {"extra/keys": numbers[:3]},
        "keys a scalar": {"extra/keys": 1},
        "speakers a scalar": {"extra/speaker": 1},
    }
    found = {name: hdf5(_heidelberg(**dict(change))) for name, change in odd.items()}

    def external(file: Any) -> None:
        _heidelberg()(file)
        del file["labels"]
        file.create_dataset("labels", (24,), np.uint8, external=[("/etc/passwd", 0, 24)])

    def linked(file: Any) -> None:
        _heidelberg()(file)
        del file["labels"]
        file["labels"] = h5py.ExternalLink("/etc/passwd", "/labels")

    def looped(file: Any) -> None:
        _heidelberg()(file)
        del file["labels"]
        file["labels"] = h5py.SoftLink("/labels")

    def huge(file: Any) -> None:
        _heidelberg()(file)
        del file["labels"]
        file.create_dataset("labels", (10**12,), np.int64, chunks=(10**6,), compression="gzip")

    def groups(file: Any) -> None:
        for name in ("spikes/times", "spikes/units", "labels"):
            file.create_group(name)

    def digits(names: list[bytes], *, keep: bool = True) -> Callable[[Any], object]:
        def fill(file: Any) -> None:
            file["train_labels"] = np.array(names)
            for group, value in (("train_timestamps", 0.1), ("train_addresses", 3)):
                file.create_group(group)
                for name in dict.fromkeys(names) if keep else ():
                    file[f"{group}/{name.decode('latin-1')}"] = np.array([value] * 3)

        return fill

    makers = {"external storage": external, "external link": linked, "soft link to itself": looped,
    "1e12 labels": huge, "groups": groups, "nothing": lambda file: None, "foo": lambda file: file.create_group("foo"),
              "digits": digits([f"man-s{s}-a-{d + 1}".encode() for s in range(4) for d in range(3)]),
              "digits without spikes": digits([b"man-s-a-1"], keep=False), "digits, odd names": digits([b"x",
              b"a-b-c-d"]), "digits not UTF-8": digits([b"man-\xff-a-1"])}  # fmt: skip
    return {f"hdf5: {name}": data for name, data in found.items()} | {
        f"hdf5: {name}": hdf5(fill) for name, fill in makers.items()
    }
