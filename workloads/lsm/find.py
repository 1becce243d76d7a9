"""Which recordings a liquid state machine gets: the user's, else the embedded default.

What the user names is recognised by its content: event files (``*.bin``, AEDAT, HDF5, CSV), speech (WAV) or pictures
(idx). No public archive is fetched: none of N-MNIST, SHD, N-TIDIGITS and FSDD has a SHA-256 here, and an archive that
is not pinned could be another one tomorrow. The report says which of these the data is.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

from configs.bounded import expanded, one_sentence, printable
from configs.errors import InputError
from devices.streams import Stream
from workloads.lsm.cochlea import Cochlea, cached_cochlea_events
from workloads.lsm.saccades import Saccades, cached_saccade_events
from workloads.recordings.aedat import AEDAT4, load_aedat
from workloads.recordings.archives import ENDINGS, Member, check_exists, members, parts_in
from workloads.recordings.events import Recordings
from workloads.recordings.images import PATTERN, load_idx, sklearn_digits
from workloads.recordings.nmnist import load_nmnist
from workloads.recordings.sounds import load_sounds
from workloads.recordings.spikes_csv import load_spikes_csv
from workloads.recordings.spikes_hdf5 import SUFFIXES, load_spikes_hdf5
from workloads.recordings.spoken import Counting, spoken_digits
from workloads.recordings.wav import ENDINGS as SOUND_ENDINGS

Wanted = Literal["vision", "audio"]
Kind = Literal["events", "aedat", "hdf5", "csv", "sound", "pictures"]
# scikit-learn's digits fill their 8 x 8 pixels, MNIST's the inner 20 of 28.
EMBEDDED_WIDTH_PX = 20.0
LIKELY = {"vision": ("nmnist*", "*mnist*"), "audio": ("spoken_digits*", "fsdd*", "*tidigits*", "shd*")}
ALLOWED = {
    "vision": "event files ([Train|Test]/CLASS/*.bin or *.aedat), CSV, or MNIST's idx files, in a folder or archive",
    "audio": "WAV files (CLASS_SPEAKER_INDEX.wav or CLASS/*.wav), or spikes in HDF5 or CSV, in a folder or archive",
}
_KINDS: dict[str, Kind] = {
    **{".bin": "events", ".aedat": "aedat", ".csv": "csv", ".h5": "hdf5", ".hdf5": "hdf5"},
    **dict.fromkeys(SOUND_ENDINGS, "sound"),
}
_AS_CSV = "export it as CSV with the columns t_us, x, y, p, one file a recording in a folder for each class"
_NOT_READ = {".aedat4": AEDAT4}
_NOT_READ_ALONE = {
    ".dat": f"events of Prophesee's cameras (DAT) are not read: {_AS_CSV}",
    ".raw": f"events of Prophesee's cameras (EVT 2 or 3) are not read: {_AS_CSV}",
    ".mat": f"files of MATLAB are not read: {_AS_CSV}",
}
"""Endings of other files as well, which lie beside recordings: refused by name where there is nothing else."""
_SHOWN: dict[Wanted, tuple[Kind, ...]] = {
    "vision": ("events", "aedat", "csv", "pictures", "hdf5"),
    "audio": ("sound", "hdf5", "csv"),
}


def find_events(
    wanted: Wanted,
    data: Path | None = None,
    *,
    rng: Stream,
    cochlea: Cochlea | None = None,
    saccades: Saccades | None = None,
    counting: Counting | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Recordings:
    """The recordings of a run, from the first of: ``data``, ``MHO_DATA``, the embedded default.

    Speech goes through the ``cochlea``, pictures through ``saccades``. What the user names must be right: it is never
    replaced in silence, and ``InputError`` says what is wrong with it. ``rng`` keys the camera and the voices.
    """
    chosen, origin = (data, "--data") if data else (os.environ.get("MHO_DATA") or None, "MHO_DATA")
    if chosen:
        path = locate(expanded(chosen), origin, wanted)
        return _loaded(path, wanted, rng, cochlea, saccades, progress)
    note = "No recordings were named (no --data, no MHO_DATA): the embedded default is taken."
    if wanted == "audio":
        sounds = spoken_digits(seed=rng.key, how=counting, progress=progress)
        found = cached_cochlea_events(sounds, cochlea or Cochlea(), progress=progress)
    else:
        camera = saccades or Saccades(width_px=EMBEDDED_WIDTH_PX)
        found = cached_saccade_events(sklearn_digits(), camera, rng=rng.child("camera"), progress=progress)
    return replace(found, notes=(*found.notes, note))


def kind_of(path: Path) -> Kind | None:
    """What a file, folder or archive has, by the name of its first file of these kinds; None for none of them.

    Raises ``InputError`` for a kind that is recognised and not read, with how to convert it.
    """
    if path.name.lower().endswith(SUFFIXES):
        return "hdf5"
    if os.path.isfile(path) and path.suffix.lower() == ".csv":
        return "csv"
    if os.path.isfile(path) and "images" in path.name and "idx3" in path.name:
        return "pictures"
    not_read = (_NOT_READ | _NOT_READ_ALONE).get(path.suffix.lower())
    if not_read and os.path.isfile(path):
        raise InputError(f"{printable(str(path))}: {not_read}")
    if os.path.isdir(path):
        with one_sentence(printable(str(path)), "a folder that can be read"):
            if any(path.glob(PATTERN)):
                return "pictures"
            if any(inner.name.lower().endswith(SUFFIXES) for inner in path.iterdir() if inner.is_file()):
                return "hdf5"
    refused = ""
    for member in _members(path):
        ending = member.path.suffix.lower()
        if member.path.name.startswith("."):
            continue
        if ending in _NOT_READ:
            raise InputError(f"{member.where}: {_NOT_READ[ending]}")
        found = "hdf5" if member.path.name.lower().endswith(SUFFIXES) else _KINDS.get(ending)
        if found:
            return found
        if ending in _NOT_READ_ALONE:
            refused = refused or f"{member.where}: {_NOT_READ_ALONE[ending]}"
    if refused:
        raise InputError(refused)
    return None


def _members(path: Path) -> Iterator[Member]:
    """Every file of a folder or archive, and of the folders or archives in it that are its parts."""
    for folder in [path, *parts_in(path)]:
        yield from members(folder)


def locate(path: Path, origin: str, wanted: Wanted, *, deeper: int = 3) -> Path:
    """The data that ``path`` is, or has under a usual name (``nmnist*``, ``spoken_digits*`` ...).

    Looks ``deeper`` folders down at most, since a link may lead back up. Raises ``InputError`` that names ``origin``,
    where the path was given.
    """
    where = f"{origin}: {printable(str(path))}"
    check_exists(path, where, ALLOWED[wanted])
    if not os.path.isdir(path):
        found = kind_of(path)
        if found in _SHOWN[wanted]:
            return path
        raise InputError(f"{where}: allowed are {ALLOWED[wanted]} (got {found or 'none of these'})")
    with one_sentence(where, "a folder that can be read"):
        named = [inner for pattern in LIKELY[wanted] for inner in sorted(path.glob(pattern))]
        empty = not any(path.iterdir())
    for inner in named if deeper else ():
        if inner.is_dir() or inner.name.lower().endswith(ENDINGS):
            return locate(inner, origin, wanted, deeper=deeper - 1)
    found = kind_of(path)
    if found in _SHOWN[wanted]:
        return path
    what = "an empty folder" if empty else found or "none of these"
    raise InputError(f"{where}: allowed are {ALLOWED[wanted]} (got {what})")


def _loaded(
    path: Path,
    wanted: Wanted,
    rng: Stream,
    cochlea: Cochlea | None,
    saccades: Saccades | None,
    progress: Callable[[int, int], object] | None,
) -> Recordings:
    kind = kind_of(path)
    if kind == "sound":
        return cached_cochlea_events(load_sounds(path), cochlea or Cochlea(), progress=progress)
    if kind == "pictures":
        camera = saccades or Saccades()
        return cached_saccade_events(load_idx(path), camera, rng=rng.child("camera"), progress=progress)
    if kind == "hdf5":
        return load_spikes_hdf5(path)
    if kind == "csv":
        return load_spikes_csv(path)
    if kind == "aedat":
        return load_aedat(path)
    return load_nmnist(path)
