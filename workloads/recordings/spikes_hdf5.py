"""Spikes of cochleas in HDF5: the layouts of the Spiking Heidelberg Digits and of N-TIDIGITS.

SHD (and SSC): ``spikes/times`` [s] and ``spikes/units`` of variable length, ``labels``, and, where they are there,
``extra/speaker`` and ``extra/keys``. B. Cramer et al., doi 10.1109/TNNLS.2020.3044364. N-TIDIGITS: for ``train`` and
``test`` the names in ``*_labels`` (``gender-speaker-take-digits``) and a data set of each name under ``*_timestamps``
[s] and ``*_addresses``. J. Anumula et al., doi 10.3389/fnins.2018.00023.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from configs.errors import InputError
from workloads.recordings.archives import TEST, TRAIN
from workloads.recordings.events import Recordings, Stored, gathered

SHD_CHANNELS = 700
TIDIGITS_CHANNELS = 64
# As the paper counts them: z (zero) is class 0, o (oh) is class 10.
TIDIGITS = (*"z123456789", "o")
SHD_SOURCE = (
    "B. Cramer et al., The Heidelberg Spiking Data Sets, IEEE TNNLS 33, 2744 (2022), 10.1109/TNNLS.2020.3044364"
)
TIDIGITS_SOURCE = (
    "J. Anumula et al., Feature Representations for Neuromorphic Audio Spike Streams, Front. Neurosci. 12:23 (2018), "
    "doi 10.3389/fnins.2018.00023"
)
SUFFIXES = (".h5", ".hdf5", ".h5.gz", ".hdf5.gz")
MISSING = "HDF5 spike files need h5py, which is not installed: pip install 'mho[events]'"
ALLOWED = (
    "spikes/times, spikes/units and labels (SHD), or train_labels, train_timestamps and train_addresses (N-TIDIGITS)"
)


def load_spikes_hdf5(source: Path, *, channels: int | None = None, data_name: str = "") -> Recordings:
    """All recordings of an HDF5 file, or of all such files in a folder; gzip is unpacked in memory.

    ``channels``: of the cochlea, if not the 700 of SHD or the 64 of N-TIDIGITS. The part of an SHD file is what its
    name says (``train`` or ``test``). Of N-TIDIGITS the single digits are read, in the order of the paper. Raises
    ``InputError`` for a file of another layout, a damaged one, and every bad recording.
    """
    try:
        import h5py  # an optional extra
    except ImportError:
        raise InputError(MISSING) from None
    paths = [source]
    if source.is_dir():
        paths = sorted(path for path in source.iterdir() if path.name.lower().endswith(SUFFIXES))
        if not paths:
            raise InputError(f"{source}: holds no HDF5 file (allowed: {', '.join(SUFFIXES)})")
    stored: list[Stored] = []
    kinds: set[str] = set()
    keys: list[str] = []
    for path in paths:
        try:
            with h5py.File(_opened(path), "r") as file:
                kind = _layout(file, path)
                kinds.add(kind)
                stored += _shd(file, path, keys) if kind == "SHD" else _tidigits(file, path)
        except (OSError, KeyError, RuntimeError, EOFError, zlib.error) as error:
            raise InputError(f"{path}: a damaged or truncated HDF5 file ({error})") from None
    if len(kinds) > 1:
        raise InputError(f"{source}: allowed are files of one layout (got {' and '.join(sorted(kinds))})")
    heidelberg = kinds == {"SHD"}
    labels = TIDIGITS
    if heidelberg:
        most = max((int(one.label) for one in stored), default=-1)
        labels = tuple(str(number) for number in range(max(most + 1, len(keys))))
    recordings = gathered(
        stored,
        sensor=(1, 1, channels or (SHD_CHANNELS if heidelberg else TIDIGITS_CHANNELS)),
        labels=labels,
        data_name=data_name or source.name,
        source=SHD_SOURCE if heidelberg else TIDIGITS_SOURCE,
        bibtex="cramer2022" if heidelberg else "anumula2018",
    )
    if heidelberg and len(keys) >= len(labels):
        return replace(recordings, labels=tuple(keys))
    return recordings


def _opened(path: Path) -> Any:
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if path.name.lower().endswith(".gz"):
        with gzip.open(path) as packed:
            return io.BytesIO(packed.read())
    return path


def _layout(file: Any, path: Path) -> str:
    if "spikes/times" in file and "spikes/units" in file and "labels" in file:
        return "SHD"
    if any(all(f"{part}_{what}" in file for what in ("labels", "timestamps", "addresses")) for part in (TRAIN, TEST)):
        return "N-TIDIGITS"
    raise InputError(f"{path}: allowed are {ALLOWED} (got {', '.join(sorted(file)[:6]) or 'nothing'})")


def _shd(file: Any, path: Path, keys: list[str]) -> Iterator[Stored]:
    times, units, labels = file["spikes/times"], file["spikes/units"], np.asarray(file["labels"])
    if not len(times) == len(units) == len(labels):
        raise InputError(
            f"{path}: allowed are as many times, units and labels as recordings "
            f"(got {len(times)}, {len(units)} and {len(labels)})"
        )
    if len(labels) and (labels.min() < 0 or labels.dtype.kind not in "iu"):
        raise InputError(f"{path}: labels: allowed are whole numbers from 0 (got {labels.min()})")
    speakers = file["extra/speaker"][:] if "extra/speaker" in file else None
    if "extra/keys" in file and not keys:
        keys += [_text(key) for key in file["extra/keys"][:]]
    stem = path.name.split(".")[0]
    part = next((part for part in (TRAIN, TEST) if part in stem.lower()), "")
    for number, (t_s, unit, label) in enumerate(zip(times[:], units[:], labels.tolist(), strict=True)):
        yield Stored(
            where=f"{path}: recording {number}",
            name=f"{stem}/{number:06d}",
            label=str(label),
            t_s=t_s,
            x=unit,
            group="" if speakers is None else str(speakers[number]),
            part=part,
        )


def _tidigits(file: Any, path: Path) -> Iterator[Stored]:
    for part in (TRAIN, TEST):
        if f"{part}_labels" not in file:
            continue
        times, addresses = file[f"{part}_timestamps"], file[f"{part}_addresses"]
        for name in (_text(raw) for raw in file[f"{part}_labels"][:]):
            pieces = name.split("-")
            if len(pieces) != 4 or not set(pieces[3]) <= set(TIDIGITS):
                raise InputError(f"{path}: {part}_labels: allowed are gender-speaker-take-digits (got {name!r})")
            if len(pieces[3]) > 1:
                continue
            yield Stored(
                where=f"{path}: {part} recording {name}",
                name=f"{part}/{name}",
                label=pieces[3],
                t_s=times[name][:],
                x=addresses[name][:],
                group=pieces[1],
                part=part,
            )


def _text(raw: Any) -> str:
    return raw.decode() if isinstance(raw, bytes) else str(raw)
