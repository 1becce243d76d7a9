"""Spikes of cochleas in HDF5: the layouts of the Spiking Heidelberg Digits and of N-TIDIGITS.

SHD (and SSC): ``spikes/times`` [s] and ``spikes/units`` of variable length, ``labels``, and, where they are there,
``extra/speaker`` and ``extra/keys``, the names of the classes in the order of the labels. B. Cramer et al., doi
10.1109/TNNLS.2020.3044364. N-TIDIGITS: for ``train`` and ``test`` the names in ``*_labels``
(``gender-speaker-take-digits``) and a data set of each name under ``*_timestamps`` [s] and ``*_addresses``. J. Anumula
et al., doi 10.3389/fnins.2018.00023. Channels count from 0, times from the start of each recording.

An HDF5 file may name other files as where its numbers are (external storage, external links, virtual data sets), and
a few bytes of it may promise any size. Only numbers of the file itself are read, after their sizes.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from configs.bounded import check_regular, largest_bytes, one_sentence, printable, read_unpacked, unpacked
from configs.errors import InputError
from workloads.recordings.archives import TEST, TRAIN, members
from workloads.recordings.events import MOST_CLASSES, Recordings, Stored, check_total, gathered
from workloads.recordings.labelled import DataOrigin

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
LARGEST_FILE_BYTES = 4 << 30
MOST_RECORDINGS = 1_000_000
_BLOCK = 64


def load_spikes_hdf5(source: Path, *, channels: int | None = None, data_name: str = "") -> Recordings:
    """All recordings of an HDF5 file, or of all such files in a folder or archive; gzip is unpacked in memory.

    ``channels``: of the cochlea, if not the 700 of SHD or the 64 of N-TIDIGITS. The part of an SHD file is what its
    name says (``train`` or ``test``). Of N-TIDIGITS the single digits are read, in the order of the paper. Raises
    ``InputError`` for a file of another layout, a damaged one, one that points to other files, and every bad recording.
    """
    try:
        import h5py  # an optional extra
    except ImportError:
        raise InputError(MISSING) from None
    stored: list[Stored] = []
    kinds: set[str] = set()
    keys: list[str] = []
    for where, name, opened in _files(source):
        with one_sentence(where, "a damaged or truncated HDF5 file"), h5py.File(opened, "r") as file:
            inside = _Inside(file, where)
            kind = inside.layout()
            kinds.add(kind)
            stored += _shd(inside, name, keys) if kind == "SHD" else _tidigits(inside)
        check_total(source, sum(len(one.t_s) for one in stored))
    origin = printable(str(source))
    if not kinds:
        raise InputError(f"{origin}: has no HDF5 file (allowed: {', '.join(SUFFIXES)})")
    if len(kinds) > 1:
        raise InputError(f"{origin}: allowed are files of one layout (got {' and '.join(sorted(kinds))})")
    heidelberg = kinds == {"SHD"}
    labels: tuple[str, ...] = TIDIGITS
    notes: tuple[str, ...] = ()
    if heidelberg:
        most = max((int(one.label) for one in stored), default=-1)
        labels = tuple(str(number) for number in range(max(most + 1, len(keys))))
        if 0 < len(keys) < len(labels):
            notes = (f"extra/keys names {len(keys)} classes and labels go up to {most}: classes go by their numbers.",)
    recordings = gathered(
        stored,
        sensor=(1, 1, channels or (SHD_CHANNELS if heidelberg else TIDIGITS_CHANNELS)),
        labels=labels,
        origin=DataOrigin(
            data_name or printable(source.name),
            SHD_SOURCE if heidelberg else TIDIGITS_SOURCE,
            "cramer2022" if heidelberg else "anumula2018",
        ),
        notes=notes,
    )
    if heidelberg and len(keys) >= len(labels):
        return replace(recordings, labels=tuple(keys))
    return recordings


def _files(source: Path) -> Iterator[tuple[str, str, Any]]:
    """Every HDF5 file: how to name it, its name, and what h5py opens."""
    if source.is_dir():
        with one_sentence(printable(str(source)), "a folder that can be read"):
            paths = sorted(path for path in source.iterdir() if path.name.lower().endswith(SUFFIXES))
        for path in paths:
            yield printable(str(path)), printable(path.name), _opened(path)
    elif source.name.lower().endswith(SUFFIXES):
        yield printable(str(source)), printable(source.name), _opened(source)
    else:
        for member in members(source, largest=LARGEST_FILE_BYTES):
            if member.path.name.lower().endswith(SUFFIXES):
                data = unpacked(member.read(), member.where, most=LARGEST_FILE_BYTES)
                yield member.where, member.path.name, io.BytesIO(data)


def _opened(path: Path) -> Any:
    check_regular(path)
    return io.BytesIO(read_unpacked(path, most=LARGEST_FILE_BYTES)) if path.name.lower().endswith(".gz") else path


class _Inside:
    """The groups and data sets of an open file, checked before anything is read from them."""

    def __init__(self, file: Any, where: str) -> None:
        self.file, self.where = file, where
        self.read_bytes = 0

    def layout(self) -> str:
        """Which data set's layout the file has."""
        if all(self.has(name) for name in ("spikes/times", "spikes/units", "labels")):
            return "SHD"
        parts = ((f"{part}_{what}" for what in ("labels", "timestamps", "addresses")) for part in (TRAIN, TEST))
        if any(all(self.has(name) for name in names) for names in parts):
            return "N-TIDIGITS"
        found = ", ".join(printable(name) for name, _ in zip(self.file, range(6), strict=False))
        raise InputError(f"{self.where}: allowed are {ALLOWED} (got {found or 'nothing'})")

    def has(self, name: str) -> bool:
        """Whether there is something of this name, reached without a link."""
        import h5py  # an optional extra

        group, *rest = self.file, *name.split("/")
        for piece in rest:
            if not isinstance(group, h5py.Group) or piece not in group:
                return False
            link = group.get(piece, getlink=True)
            if not isinstance(link, h5py.HardLink):
                raise InputError(f"{self.where}: {name}: allowed are numbers of the file itself (got a link)")
            group = group[piece]
        return True

    def column(self, name: str, kinds: str, *, lists: bool = False) -> Any:
        """A data set of one dimension, of numbers or text of these ``kinds``, or of lists of such."""
        import h5py

        if not self.has(name):
            raise InputError(f"{self.where}: {printable(name)} is missing")
        data = self.file[name]
        if not isinstance(data, h5py.Dataset):
            raise InputError(f"{self.where}: {printable(name)}: allowed is a data set (got a group)")
        if data.external or data.is_virtual:
            got = "the name of another file"
            raise InputError(f"{self.where}: {printable(name)}: allowed are numbers of the file itself (got {got})")
        inner = h5py.check_vlen_dtype(data.dtype)
        kind = np.dtype(inner) if lists and inner is not None else data.dtype
        text = h5py.check_string_dtype(data.dtype) is not None and "S" in kinds
        if data.shape is None or data.ndim != 1 or not (text or (kind.kind in kinds and (inner is not None) == lists)):
            wanted = "lists of numbers" if lists else "text" if "S" in kinds else "numbers"
            raise InputError(
                f"{self.where}: {printable(name)}: allowed is one dimension of {wanted} "
                f"(got {data.dtype} of {' x '.join(map(str, data.shape or ())) or 'no dimension'})"
            )
        self.count(len(data) * data.dtype.itemsize)
        return data

    def count(self, size_bytes: int) -> None:
        """Adds to what is read of the file, within the limit."""
        self.read_bytes += size_bytes
        if self.read_bytes > largest_bytes(LARGEST_FILE_BYTES):
            raise InputError(
                f"{self.where}: promises more numbers than fit into {largest_bytes(LARGEST_FILE_BYTES):,} bytes"
            )


def _shd(inside: _Inside, name: str, keys: list[str]) -> Iterator[Stored]:
    where = inside.where
    times, units = (inside.column(f"spikes/{what}", "iuf", lists=True) for what in ("times", "units"))
    column = inside.column("labels", "iu")
    if not len(times) == len(units) == len(column):
        raise InputError(
            f"{where}: allowed are as many times, units and labels as recordings "
            f"(got {len(times)}, {len(units)} and {len(column)})"
        )
    if len(column) > MOST_RECORDINGS:
        raise InputError(f"{where}: allowed are at most {MOST_RECORDINGS:,} recordings (got {len(column):,})")
    labels = column[:]
    if len(labels) and labels.min() < 0:
        raise InputError(f"{where}: labels: allowed are whole numbers from 0 (got {labels.min()})")
    if len(labels) and labels.max() >= MOST_CLASSES:
        raise InputError(f"{where}: labels: allowed are whole numbers below {MOST_CLASSES} (got {labels.max()})")
    speakers = inside.column("extra/speaker", "iuS")[:] if inside.has("extra/speaker") else None
    if speakers is not None and len(speakers) != len(labels):
        raise InputError(f"{where}: extra/speaker: allowed is one for each of {len(labels)} (got {len(speakers)})")
    if inside.has("extra/keys"):
        named = inside.column("extra/keys", "S")
        if len(named) > MOST_CLASSES:
            raise InputError(f"{where}: extra/keys: allowed are at most {MOST_CLASSES} (got {len(named)})")
        found = [_text(key) for key in named[:]]
        if len(set(found)) < len(found):
            raise InputError(f"{where}: extra/keys: allowed is another name for each class (got one twice)")
        if keys and found != keys:
            raise InputError(f"{where}: extra/keys: allowed are the classes of the other files, in their order")
        keys[:] = found
    stem = name.split(".")[0]
    part = next((part for part in (TRAIN, TEST) if part in stem.lower()), "")
    for start in range(0, len(labels), _BLOCK):
        rows = slice(start, start + _BLOCK)
        for number, (t_s, unit) in enumerate(zip(times[rows], units[rows], strict=True), start):
            inside.count(t_s.nbytes + unit.nbytes)
            yield Stored(
                where=f"{where}: recording {number}",
                name=f"{stem}/{number:06d}",
                label=str(labels[number]),
                t_s=t_s,
                x=unit,
                group="" if speakers is None else _text(speakers[number]),
                part=part,
            )


def _tidigits(inside: _Inside) -> Iterator[Stored]:
    for part in (TRAIN, TEST):
        if not inside.has(f"{part}_labels"):
            continue
        column = inside.column(f"{part}_labels", "S")
        if len(column) > MOST_RECORDINGS:
            raise InputError(
                f"{inside.where}: allowed are at most {MOST_RECORDINGS:,} recordings (got {len(column):,})"
            )
        for name in (_text(raw) for raw in column[:]):
            pieces = name.split("-")
            if len(pieces) != 4 or not pieces[3] or not set(pieces[3]) <= set(TIDIGITS):
                raise InputError(
                    f"{inside.where}: {part}_labels: allowed are gender-speaker-take-digits (got {name!r})"
                )
            if len(pieces[3]) > 1:
                continue
            yield Stored(
                where=f"{inside.where}: {part} recording {name}",
                name=f"{part}/{name}",
                label=pieces[3],
                t_s=inside.column(f"{part}_timestamps/{name}", "iuf")[:],
                x=inside.column(f"{part}_addresses/{name}", "iuf")[:],
                group=pieces[1],
                part=part,
            )


def _text(raw: Any) -> str:
    return printable(raw.decode("utf-8", "backslashreplace") if isinstance(raw, bytes) else str(raw))
