"""Files of event cameras: AEDAT 2.0, 3.1 and 4.0, folders as of N-Caltech101, and formats that mho does not read."""

from __future__ import annotations

import os
import random
import struct
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from benchmarks.fuzz.case import Case, events, matlab, small, start, turn, write
from benchmarks.fuzz.changes import bent
from benchmarks.fuzz.packing import packed, tar

TOKENS = [b"#", b"\r\n", b"#!AER-DAT", b"\xff" * 8, bytes(8), b"\x80\0\0\0", b"\x7f\xff\xff\xff", b"9" * 20, b"%"]
HEAD_2, HEAD_3, HEAD_4 = b"#!AER-DAT2.0\r\n", b"#!AER-DAT3.1\r\n", b"#!AER-DAT4.0\r\n"
END_3 = b"#Source 1: DVS128\r\n#!END-HEADER\r\n"
CLASSES = ("BACKGROUND_Google", "Faces_easy", "airplanes", "car side")
EACH = 4


def aedat2(count: int = 30, *, head: bytes = HEAD_2 + b"#AEChip: DVS128\r\n", x: int = 9, first_us: int = 0) -> bytes:
    """AEDAT 2.0 of a DVS128: 8 bytes an event, big endian."""
    body = (struct.pack(">II", 17 << 8 | x << 1 | k & 1, (first_us + 100 * k) & 0xFFFFFFFF) for k in range(count))
    return head + b"".join(body)


def davis(count: int = 30, *, x: int = 100, y: int = 90) -> bytes:
    """AEDAT 2.0 of a DAVIS, with every third address a sample of a frame."""
    body = (struct.pack(">II", (k % 3 == 0) << 31 | y << 22 | x << 12 | (k & 1) << 11, 100 * k) for k in range(count))
    return HEAD_2 + b"#AEChip: eu.seebetter.ini.chips.davis.DAVIS240C\r\n" + b"".join(body)


def aedat3(count: int = 30, *, kind: int = 1, size: int = 8, stated: int | None = None, overflow: int = 0) -> bytes:
    """AEDAT 3.1 in one packet; ``stated``: the number of events that its header promises."""
    number = count if stated is None else stated
    packet = struct.pack("<hhiiiiii", kind, 1, size, 4, overflow, number, number, number)
    body = (struct.pack("<II", (40 << 17 | 30 << 2 | (k & 1) << 1 | 1) & 0xFFFFFFFF, 100 * k) for k in range(count))
    return HEAD_3 + END_3 + packet + b"".join(body)


@cache
def _aedat() -> dict[str, bytes]:
    odd = {
        "2.0": aedat2(),
        "2.0 of a DAVIS": davis(),
        "2.0 of no chip": aedat2(head=HEAD_2),
        "2.0 of another chip": aedat2(head=HEAD_2 + b"#AEChip: " + b"x" * 5000 + b"\r\n"),
        "2.0 of a chip of NUL": aedat2(head=HEAD_2 + b"#AEChip: \0\xff\r\n"),
        "2.0 of a nameless chip": aedat2(head=HEAD_2 + b"#AEChip:"),
        "2.0 without events": aedat2(0),
        "2.0 cut off": aedat2()[:-3],
        "2.0, frames alone": HEAD_2 + b"#AEChip: DAVIS\r\n" + struct.pack(">II", 1 << 31, 5) * 20,
        "2.0, pulses alone": aedat2(head=HEAD_2)[:14] + struct.pack(">II", 1 << 15, 5) * 20,
        "2.0, times fall": aedat2(5, first_us=9000) + aedat2(5)[-40:],
        "2.0, the clock wraps": aedat2(first_us=2**32 - 1000),
        "2.0, the clock is negative": aedat2(first_us=2**31),
        "2.0 of all ones": HEAD_2 + b"\xff" * 800,
        "2.0 of a DAVIS, x 1023": davis(x=1023, y=511),
        "2.0, a header without end": HEAD_2 + b"#" + b"x" * 100_000,
        "2.0, 200,000 header lines": HEAD_2 + b"#\n" * 200_000 + aedat2(head=b""),
        "2.0, an event like a header": HEAD_2 + b"#\0\0\0\0\0\0\0" * 20,
        "2.0, 400,000 events": aedat2(400_000),
        "3.1": aedat3(),
        "3.1 without events": aedat3(0),
        "3.1, no end of the header": HEAD_3 + b"#Source 1: DVS128\r\n",
        "3.1 cut off": aedat3()[:-3],
        "3.1 cut in a packet's header": aedat3()[: len(HEAD_3 + END_3) + 9],
        "3.1, other events alone": aedat3(kind=2),
        "3.1, kind -1": aedat3(kind=-1),
        "3.1, events of 0 bytes": aedat3(size=0),
        "3.1, events of -8 bytes": aedat3(size=-8),
        "3.1, events of 2^31 bytes": aedat3(size=2**31 - 1),
        "3.1, 2^31 events": aedat3(stated=2**31 - 1),
        "3.1, -1 events": aedat3(stated=-1),
        "3.1, an overflow": aedat3(overflow=1),
        "3.1, 2^31 overflows": aedat3(overflow=2**31 - 1),
        "3.1, -1 overflows": aedat3(overflow=-1),
        "3.1, 20,000 packets": aedat3(1) + aedat3(1)[len(HEAD_3 + END_3) :] * 20_000,
        "4.0": HEAD_4 + struct.pack("<I", 300) + b"IOHE" + bytes(400),
        "4.0, header alone": HEAD_4,
        "1.0": b"#!AER-DAT1.0\r\n" + bytes(60),
        "3.0": b"#!AER-DAT3.0\r\n" + bytes(60),
        "5.0": b"#!AER-DAT5.0\r\n",
        "first line alone": HEAD_2,
        "no first line": aedat2(head=b""),
        "a first line of 100,000": b"#!AER-DAT" + b"9" * 100_000,
        "empty": b"",
        "UTF-16": "#!AER-DAT2.0\r\n".encode("utf-16"),
        "text": b"hello\n" * 100,
    }
    return {f"aedat: {name}": data for name, data in odd.items()}


@cache
def _not_read() -> dict[str, bytes]:
    """What cameras and their tools write that mho refuses by name, by the ending of its file."""
    prophesee = b"% Data file containing CD events.\n% Version 2\n% Height 240\n% Width 304\n\x0c\x08"
    return {
        "aedat4": HEAD_4 + struct.pack("<I", 300) + b"IOHE" + bytes(400),
        "dat": prophesee + struct.pack("<II", 1000, 5 | 6 << 14 | 1 << 28) * 30,
        "raw": b"% evt 3.0\n% geometry 1280x720\n% end\n" + struct.pack("<H", 0x8000) * 60,
        "mat": matlab(),
        "npy": b"\x93NUMPY\x01\x00" + bytes(80),
        "bag": b"#ROSBAG V2.0\n" + bytes(80),
        "es": b"Event Stream" + bytes(80),
    }


def caltech(**changed: bytes) -> dict[str, bytes]:
    """A folder as N-Caltech101 has it: classes by name, 240 x 180 pixels; a file may be changed."""
    files = {
        f"{name}/image_{k:04d}.bin": events(20 + k, x=230 - 9 * k, y=170 - 9 * c, first_us=300 * c)
        for c, name in enumerate(CLASSES)
        for k in range(1, EACH + 1)
    }
    return files | {name.replace("|", "/"): data for name, data in changed.items()}


@cache
def _caltech() -> dict[str, dict[str, bytes]]:
    good, first = caltech(), f"{CLASSES[2]}/image_0001.bin"
    lower = {name: events(20, x=30, y=30) for name in good}
    odd = {
        "good": good,
        "annotations beside": {f"Caltech101/{name}": data for name, data in good.items()}
        | {"Caltech101_annotations/airplanes/annotation_0001.bin": bytes(83)},
        "annotations among": good | {"airplanes/annotation_0001.bin": bytes(83)},
        "a folder deeper": {f"Caltech101/{name}": data for name, data in good.items()},
        "two folders deeper": {f"a/Caltech101/{name}": data for name, data in good.items()},
        "in Train and Test": {f"{part}/{name}": data for part in ("Train", "Test") for name, data in good.items()},
        "cut off": good | {first: good[first][:-2]},
        "empty file": good | {first: b""},
        "x 250": good | {first: events(9, x=250)},
        "y 200": good | {first: events(9, y=200)},
        "y 255": good | {first: events(9, y=255)},
        "x 255, y 239 in all": {name: events(20, x=255, y=239) for name in good},
        "small pixels": lower,
        "one class": {name: data for name, data in good.items() if name.startswith("Faces")},
        "one file": {first: good[first]},
        "a file in no class": good | {"image_0001.bin": good[first]},
        "endings in capitals": {name.replace(".bin", ".BIN"): data for name, data in good.items()},
        "the same file twice": good | {first.replace("bin", "BIN"): good[first]},
        "hidden files": good | {f"{CLASSES[0]}/.DS_Store": b"x", f"{CLASSES[0]}/._image_0001.bin": b"x"},
        "a class of a digit": good | {f"7/{k}.bin": good[first] for k in range(EACH)},
        "odd names": good | {f"{name}/a.bin": good[first] for name in ("<b>", "é\u202e", "a\nb", "=1+1", "x" * 200)},
        "101 classes": {f"c{c}/{k}.bin": events(9, x=c, y=k) for c in range(101) for k in range(6)},
        "other files alone": {f"{CLASSES[0]}/a.jpg": b"x"},
        "AEDAT among": good | {f"{CLASSES[0]}/a.aedat": aedat2()},
        "AEDAT 4 among": good | {f"{CLASSES[0]}/a.aedat4": _not_read()["aedat4"]},
        "MATLAB among": good | {"Obj_Contours/annotation.mat": matlab()},
        "300,000 events": good | {first: events(300_000, step_us=20)},
    }
    return {f"N-Caltech101: {name}": files for name, files in odd.items()}


@cache
def _listed() -> dict[str, Mapping[str, bytes]]:
    """Files of each listed input: the odd one in every place and among good ones, folders, what is refused."""
    found: dict[str, Mapping[str, bytes]] = {}
    for about, data in _aedat().items():
        found[f"{about}, everywhere"] = {f"{c}/{k}.aedat": data for c in range(2) for k in range(8)}
        found[f"{about}, once"] = {f"{c}/{k}.aedat": aedat2(x=9 + k) for c in range(2) for k in range(8)} | {
            "0/0.aedat": data
        }
    found |= _caltech()
    for ending, data in _not_read().items():
        found[f"in folders: .{ending}"] = {f"{c}/{k}.{ending}": data for c in range(2) for k in range(4)}
        found[f"alone: .{ending}"] = {f"data.{ending}": data}
    return found


def _drawn(rng: random.Random) -> tuple[str, Mapping[str, bytes]]:
    """A file of the good ones with some bytes changed, in a folder of others."""
    seeds = {"2.0": aedat2(), "2.0 of a DAVIS": davis(), "3.1": aedat3(), "3.1 in packets": aedat3(5)}
    if rng.random() < 0.25:
        name = rng.choice(sorted(caltech()))
        return "N-Caltech101, bytes changed", caltech() | {name: bent(rng, caltech()[name], TOKENS)}
    about, data = rng.choice(list(seeds.items()))
    if about == "3.1 in packets":
        data += aedat3(4)[len(HEAD_3 + END_3) :] * 5
    changed = bent(rng, data, TOKENS)
    good = {f"{c}/{k}.aedat": data for c in range(2) for k in range(8)}
    whole = rng.random() < 0.3
    return f"aedat: {about}, bytes changed", dict.fromkeys(good, changed) if whole else good | {"1/3.aedat": changed}


LARGE = {"bin": 500 << 20, "aedat": 500 << 20, "csv": 3 << 30}
"""Bytes of each of ten files that are holes on the disk, by their ending."""


def case(number: int, folder: Path, base: Path) -> Case:
    rng = start("cameras", number)
    listed = turn(number, len(_listed()) + len(LARGE))
    if listed is not None and listed >= len(_listed()):
        return _large(list(LARGE)[listed - len(_listed())], folder)
    about, files = list(_listed().items())[listed] if listed is not None else _drawn(rng)
    if about.startswith("alone"):
        (name,) = files
        write(folder, files)
    elif rng.random() < 0.15:
        name, pack = rng.choice([("data.zip", packed), ("data.tar", tar)])
        (folder / name).write_bytes(pack(files))
    else:
        name = "data"
        write(folder / name, files)
    return Case(about, ("run", small("small_lsm", folder), "--data", name, "--quiet"))


def _large(ending: str, folder: Path) -> Case:
    """A folder of files whose events no memory would hold, which take no place on the disk."""
    for k in range(10):
        path = folder / "data" / str(k % 2) / f"{k}.{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.truncate(path, LARGE[ending])
    about = f"10 files of {LARGE[ending] >> 20} MB: .{ending}"
    return Case(about, ("run", small("small_lsm", folder), "--data", "data", "--quiet"))
