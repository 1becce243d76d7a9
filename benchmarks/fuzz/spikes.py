"""Spikes: tables in CSV, HDF5 of cochleas, and the event files of cameras."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from benchmarks.fuzz.case import Case, events, from_list, recordings, small, start, write
from benchmarks.fuzz.changes import bent, cell
from benchmarks.fuzz.hdf5 import hdf5_files

TOKENS = [b",", b"\n", b'"', b"-", b"9" * 20, b"e9", b"nan", b"\0", b"\r", b" ", b"inf", b";", b"\xff"]
OVERFLOW = bytes([0, 240, 0, 0, 0])


def table(recordings: int = 12, each: int = 6) -> list[list[str]]:
    """Spikes of some recordings of three classes."""
    rows = [
        [f"r{i}", str(i % 3), f"{0.001 * k:g}", str(15 - k % 5 + i % 3), str(15 + k % 3), str(k % 2)]
        for i in range(recordings)
        for k in range(each)
    ]
    return [["recording", "label", "t", "x", "y", "p"], *rows]


def text(rows: list[list[str]]) -> str:
    return "\n".join(",".join(row) for row in rows) + "\n"


def _tables() -> dict[str, bytes]:
    base = text(table())
    one = "recording,label,t,x\n"
    odd = {
        "good": base,
        "byte order mark": "\ufeff" + base,
        "semicolons": base.replace(",", ";"),
        "tabs": base.replace(",", "\t"),
        "decimal commas": base.replace(",", ";").replace("0.", "0,"),
        "empty": "",
        "header alone": one,
        "line breaks": "\n\n",
        "nan": base.replace("0.001", "nan"),
        "inf": base.replace("0.001", "inf"),
        "t 1e300": base.replace("0.001", "1e300"),
        "x 1e300": one + "a,0,0,1e300\nb,1,0,2\n",
        "x 1e18": one + "a,0,0,1e18\nb,1,0,2\n",
        "x 1e9": one + "".join(f"r{k},{k % 2},0.0{k},{10**9 if k == 0 else k}\n" for k in range(40)),
        "x y p 1e9": "recording,label,t,x,y,p\na,0,0,1000000000,1000000000,1000000000\nb,1,0,2,2,2\n",
        "x y 2^21": "recording,label,t,x,y,p\na,0,0,2097152,2097152,1\nb,1,0,2,2,1\n",
        "x -1": one + "a,0,0,-1\n",
        "x 1.5": one + "a,0,0,1.5\n",
        "t -1": one + "a,0,-1,1\n",
        "p -1": base.replace(",0\n", ",-1\n"),
        "t in us": base.replace(",t,", ",t_us,"),
        "t and t_us": "recording,label,t,t_us,x\na,0,0,0,1\n",
        "no x": "recording,label,t\na,0,0\n",
        "x twice": "recording,label,t,x,x\na,0,0,1,2\n",
        "x and X": "recording,label,t,x,X\na,0,0,1,2\n",
        "t and T": "recording,label,t,T,x\na,0,0,0,2\n",
        "label and Label": "recording,label,Label,t,x\na,0,1,0,2\nb,1,1,0,2\n",
        "y and Y": "recording,label,t,x,y,Y\na,0,0,1,2,3\n",
        "fields too many": base + "r1,0,1,2,3,4,5,6\n",
        "fields too few": base + "r1,0\n",
        "open quote": base + '"r1,0,1,2',
        "NUL": base.replace("r1", "r\0"),
        "times fall": one + "a,0,2,1\na,0,1,1\nb,1,1,1\n",
        "label changes": one + "a,0,0,1\na,1,1,1\n",
        "part foo": "recording,label,t,x,part\na,0,0,1,foo\n",
        "markup": one + "<script>alert(1)</script>,<b>x</b>,0,1\n<i>,y,0,1\n",
        "t alone": "t\n0\n",
        "x True": one + "a,0,0,True\n",
        "x 0x10": one + "a,0,0,0x10\n",
        "x 1_0": one + "a,0,0,1_0\n",
        "x inf": one + "a,0,0,inf\n",
        "spaces": "recording , label , t , x \n a , 0 , 0 , 1 \n",
        "a field of 300,000": one + "a" * 300_000 + ",0,0,1\n",
        "t 1,000": one + 'a,0,"1,000",1\n',
        "t 1e-300": one + "a,0,1e-300,1\n",
        "a date": one + "a,0,2020-01-01,1\n",
        "no label": one + "a,,0,1\nb,,0,1\n",
        "3,000 labels": one + "".join(f"r{i},L{i},0,1\n" for i in range(3000)),
        "t 60 s": one + "a,0,59.9,1\nb,1,59,1\n",
        "100,000 quotes": one + '"' * 100_000,
        "x 2^63": one + "a,0,0,9223372036854775808\nb,0,0,99999999999999999999999999999\n",
        "x of 5,000 digits": one + "a,0,0," + "9" * 5000 + "\n",
        "20,000 columns": ",".join(f"c{i}" for i in range(20_000)) + "\n" + "1," * 20_000,
        "x empty": one + "a,0,0,\n",
        "x 1e308 of many": one + "".join(f"r{k},{k % 2},0,1e308\n" for k in range(20)),
        "no spikes in most": one + "a,0,0,1\n",
    }
    return {f"csv: {name}": data.encode("utf-8", "surrogatepass") for name, data in odd.items()} | {
        "csv: UTF-16": base.encode("utf-16"),
        "csv: not UTF-8": base.encode() + b"\xff,0,1,1,1,1\n",
    }


def _events() -> dict[str, bytes]:
    odd = {
        "odd length": events()[:-1],
        "empty": b"",
        "a byte": b"x",
        "x 34": events(3, x=34),
        "y 200": events(3, y=200),
        "an overflow": OVERFLOW * 5 + events(),
        "overflows alone": OVERFLOW * 5,
        "300,000 overflows": OVERFLOW * 300_000 + events(3),
        "262,144 overflows": OVERFLOW * 262_144 + events(3),
        "times fall": events(3, first_us=5000) + events(3),
        "one time": events(5, step_us=0),
        "100,000 events": events(100_000, step_us=80),
        "all ones": b"\xff" * 500,
        "good": events(),
    }
    return {f"bin: {name}": data for name, data in odd.items()}


@cache
def _listed() -> dict[str, bytes]:
    return _tables() | hdf5_files() | _events()


def case(number: int, folder: Path, base: Path) -> Case:
    rng = start("spikes", number)
    if listed := from_list(number, _listed()):
        about, data = listed
    elif rng.random() < 0.4:
        rows = table()
        about = f"csv: {cell(rng, rows)}"
        data = text(rows).encode("utf-8", "surrogatepass")
    else:
        about, data = rng.choice(
            [(name, data) for name, data in _listed().items() if "good" in name or name == "hdf5: digits"]
        )
        about, data = f"{about}, bytes changed", bent(rng, data, TOKENS)
    form = about.split(":")[0]
    if form == "csv":
        (folder / "data.csv").write_bytes(data)
        return Case(
            about,
            ("run", small("small_lsm", folder), "--data", "data.csv", "--quiet"),
            about in ("csv: nan", "csv: inf", "csv: x inf"),
        )
    if form == "hdf5":
        (folder / "shd_train.h5").write_bytes(data)
        channels = () if "digits" in about else ("--set", "chip.inputs=700")
        return Case(
            about,
            ("run", small("small_audio", folder), "--data", "shd_train.h5", *channels, "--quiet"),
            about in ("hdf5: times nan", "hdf5: times inf", "hdf5: labels nan"),
        )
    files = recordings() if rng.random() < 0.5 else {name: data for name in recordings()}
    write(folder / "data", files | {"0/0.bin": data})
    return Case(about, ("run", small("small_lsm", folder), "--data", "data", "--quiet"))
