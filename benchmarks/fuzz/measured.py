"""Measured conductances for ``mho fit``, and tables of a function or of samples for ``mho show NLADC``."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from benchmarks.fuzz.case import Case, from_list, start
from benchmarks.fuzz.changes import bent, cell

TOKENS = [b",", b"\n", b'"', b"-", b"9" * 20, b"e9", b"nan", b"\0", b"\r", b" ", b"inf", b";", b"\xff", b"1e300", b"0"]
SUMMARY = "target_S,mean_S,sigma_S,count\n0,1e-7,1e-8,10\n1e-5,1e-5,1e-6,10\n5e-5,5e-5,2e-6,10\n"


def samples(each: int = 20, levels: tuple[float, ...] = (0.0, 1e-5, 5e-5)) -> str:
    """Readings about some levels."""
    rng = np.random.default_rng(0)
    rows = [f"{level:g},{abs(level + rng.normal(0, 1e-6)):.6g}" for level in levels for _ in range(each)]
    return "target_S,measured_S\n" + "\n".join(rows) + "\n"


def _three(*levels: float) -> str:
    return "".join(f"{level},{level * 1.1}\n{level},{level * 0.9}\n{level},{level}\n" for level in levels)


def _conductances() -> dict[str, bytes]:
    good, head = samples(), "target_S,measured_S\n"
    cells = (
        head.strip()
        + ",cell,t_s\n"
        + "".join(
            f"{t},{t * (1 + 0.01 * c) * (1 - 0.01 * k)},{c},{k * 100}\n"
            for t in (1e-5, 2e-5)
            for c in range(8)
            for k in range(3)
        )
    )
    odd = {
        "good": good,
        "summary": SUMMARY,
        "cells and times": cells,
        "empty": "",
        "header alone": head,
        "nan": good + "1e-5,nan\n",
        "inf": good + "1e-5,inf\n",
        "infinity": head + "infinity,1e-5\n",
        "1e300": good + "1e-5,1e300\n",
        "below zero": good + "1e-5,-1e-6\n",
        "semicolons": good.replace(",", ";"),
        "decimal commas": good.replace(",", ";").replace(".", ","),
        "tabs": good.replace(",", "\t"),
        "byte order mark": "\ufeff" + good,
        "CR LF": good.replace("\n", "\r\n"),
        "quotes": good.replace("1e-05", '"1e-05"'),
        "open quote": good + '"1,2\n',
        "one level": samples(levels=(1e-5,)),
        "two samples": samples(2),
        "one sample": samples(1),
        "no spread": head + "1e-5,1e-5\n" * 10 + "5e-5,5e-5\n" * 10,
        "no spread at one level": head + "1e-5,1e-5\n" * 10 + "".join(f"5e-5,{5e-5 + i * 1e-7}\n" for i in range(10)),
        "readings of zero": head + "0,0\n" * 10 + "1e-5,0\n" * 10,
        "targets of zero": head + "0,1e-6\n" * 10,
        "1e-300": head + _three(1e-300, 2e-300, 3e-300),
        "denormal": head + _three(5e-324, 1e-320, 3e-318),
        "0.1 S": head + _three(0.1, 0.2, 0.3),
        "uS": good.replace("_S", "_uS"),
        "nS": good.replace("_S", "_nS"),
        "ohm": good.replace("_S", "_ohm"),
        "a column twice": "target_S,target_S,measured_S\n1,1,1\n",
        "two units": "target_S,target_uS,measured_S\n1,1,1\n",
        "unknown column": "target_S,measured_S,foo\n1e-5,1e-5,1\n",
        "no name": "target_S,measured_S,\n1e-5,1e-5,1\n",
        "a cell twice": cells.replace(",1,", ",0,").replace(",2,", ",0,"),
        "cells twice at a time": "target_S,measured_S,cell,t_s\n"
        + "".join(f"{t},{t * (1 + 0.01 * c)},0,{k * 100}\n" for t in (1e-5, 2e-5) for c in range(8) for k in range(3)),
        "times that jitter": "target_S,measured_S,t_s\n"
        + "".join(f"{t},{t * (1 + 0.01 * c)},{0.1 + 0.013 * c}\n" for t in (1e-5, 2e-5) for c in range(8)),
        "t inf": "target_S,measured_S,t_s\n1e-5,1e-5,inf\n",
        "t 1e300": "target_S,measured_S,t_s\n"
        + "".join(f"{t},{t * (1 + 0.01 * c)},{k}\n" for t in (1e-5, 2e-5) for c in range(4) for k in (0, 1e300)),
        "sigma 0": "target_S,mean_S,sigma_S\n0,0,0\n1e-5,1e-5,0\n",
        "count 1": SUMMARY.replace(",10\n", ",1\n"),
        "count 2.5": SUMMARY.replace(",10\n", ",2.5\n"),
        "count 1e18": SUMMARY.replace(",10\n", ",1e18\n"),
        "count 1e30": SUMMARY.replace(",10\n", ",1e30\n"),
        "count nan": SUMMARY.replace(",10\n", ",nan\n"),
        "targets fall": "target_S,mean_S,sigma_S\n1e-5,1e-5,1e-7\n0,0,1e-7\n",
        "a target twice": "target_S,mean_S,sigma_S\n0,0,1e-7\n0,0,1e-7\n",
        "means fall": "target_S,mean_S,sigma_S\n1e-6,5e-5,1e-7\n1e-5,1e-5,1e-7\n5e-5,1e-6,1e-7\n",
        "sigma 0.5 S": "target_S,mean_S,sigma_S,count\n1e-6,1e-6,0.5,10\n1e-5,1e-5,0.5,10\n",
        "NUL": good + "1e-5,\0001\n",
        "a field of 200,000": head + "1" * 200_000 + ",1\n",
        "a quoted field of 200,000": head + '"' + "1" * 200_000 + '",1\n',
        "line break in quotes": head + '"1e-5\n",1\n',
        "5,000 digits": head + "0." + "0" * 5000 + "1,1e-5\n",
        "a comment": "# hi\n" + good,
        "an outlier": samples(200) + "1e-5,0.9\n",
        "90,000 rows": samples(30_000),
        "2,000 levels": head
        + "".join(f"{t * 1e-7:g},{t * 1e-7 * 1.01:g}\n{t * 1e-7:g},{t * 1e-7 * 0.99:g}\n" for t in range(1, 2000)),
        "1_0e-6": head + "1_0e-6,1e-5\n",
        "hexadecimal": head + "0x1p-3,1e-5\n",
        "other digits": head + "\u0661e-5,1e-5\n",
    }
    return {f"fit: {name}": text.encode() for name, text in odd.items()} | {
        "fit: UTF-16": good.encode("utf-16"),
        "fit: Latin": good.encode() + b"\xff\n",
        "fit: 8 MB of line breaks": head.encode() + b"\n" * 8_000_000,
    }


def _functions() -> dict[str, bytes]:
    table = "\n".join(f"{x},{x * x}" for x in range(5))
    odd = {
        "good": table,
        "header": "x,y\n" + table,
        "empty": "",
        "one": "1,1",
        "nan": "0,nan\n1,1",
        "inf": "0,inf\n1,1",
        "1e300": "0,0\n1,1e300",
        "x 1e300": "-1e300,0\n1e300,1",
        "1e308": "-1e308,-1e308\n1e308,1e308",
        "turns": "0,0\n1,1\n2,0",
        "flat": "0,1\n1,1",
        "flat first": "0,1\n1,0\n2,0",
        "falls": "0,1\n1,0",
        "semicolons": table.replace(",", ";"),
        "byte order mark": "\ufeff" + table,
        "3 columns": "0,0,0\n1,1,1",
        "x twice": "0,0\n0,1",
        "x close": "0,0\n1e-320,1",
        "y tiny": "0,0\n1,1e-320",
        "NUL": "0,0\n1,\0001",
        "a wide field": "0," + "1" * 200_000,
        "5,000 digits": "0,0\n" + "9" * 5000 + ",1",
        "text": "hello\nworld",
        "200,000 rows": "\n".join(f"{x},{x}" for x in range(200_000)),
        "steps": "0,0\n1,0\n1.0000001,1\n2,1",
    }
    return {f"function: {name}": text.encode() for name, text in odd.items()}


def _sampled() -> dict[str, bytes]:
    odd = {
        "good": "\n".join(f"{x / 10}" for x in range(-40, 40)),
        "empty": "",
        "one": "0.5",
        "the same": "1\n" * 50,
        "nan": "1\nnan\n2",
        "inf": "1\ninf\n2",
        "1e308": "1e308\n-1e308\n0",
        "text": "hello",
        "beyond": "1e9\n2e9\n",
        "commas": "1,2,3\n4,5,6",
    }
    return {f"samples: {name}": text.encode() for name, text in odd.items()}


@cache
def _listed() -> dict[str, bytes]:
    return _conductances() | _functions() | _sampled()


def case(number: int, folder: Path, base: Path) -> Case:
    rng = start("measured", number)
    if listed := from_list(number, _listed()):
        about, data = listed
    else:
        name = rng.choice(["fit: summary", "fit: cells and times", "fit: good", "function: good", "samples: good"])
        data = _listed()[name]
        if name.startswith("fit") and rng.random() < 0.5:
            rows = [line.split(",") for line in data.decode().splitlines()]
            about = f"{name}, {cell(rng, rows)}"
            data = ("\n".join(",".join(row) for row in rows) + "\n").encode("utf-8", "surrogatepass")
        else:
            about, data = f"{name}, bytes changed", bent(rng, data, TOKENS)
    (folder / "input.csv").write_bytes(data)
    form, _, odd = about.partition(": ")
    infinite = odd in ("nan", "inf", "infinity", "t inf", "count nan")
    if form == "fit":
        kind = rng.choice([(), (), ("--kind", "measured"), ("--kind", "gaussian")])
        return Case(about, ("fit", "input.csv", *kind, "-o", "out/device.yaml"), infinite)
    bench = ("show", "NLADC", "--chips", "2", "--bits", "4")
    if form == "function":
        return Case(about, (*bench, "--function", "input.csv"), infinite)
    return Case(about, (*bench, "--levels", rng.choice(["optimal", "uniform"]), "--samples", "input.csv"), infinite)
