"""Matrix Market files and edge lists, plain and compressed, and npz files, as the matrix of a small product."""

from __future__ import annotations

import bz2
import gzip
import itertools
from functools import cache
from pathlib import Path

from benchmarks.fuzz import npz
from benchmarks.fuzz.case import Case, from_list, matlab, small, start
from benchmarks.fuzz.changes import NUMBERS, bent
from benchmarks.fuzz.packing import gzip_of_zeros

HEAD = b"%%MatrixMarket matrix coordinate real general\n"
GOOD = b"3 3 3\n1 1 1\n2 1 2\n3 3 4\n"
TOKENS = [
    b"\n",
    b" ",
    b"-",
    b"9" * 20,
    b"e",
    b".",
    b"%",
    b"#",
    b"\0",
    b"nan ",
    b"inf ",
    b"\r",
    b"1e400 ",
    b"0 0 0\n",
    b"\xff",
    b",",
    b";",
]


def _texts() -> dict[str, bytes]:
    """Name of the file and what is odd, against its text."""
    entry: dict[str, bytes | str] = {
        "few entries": "3 3 3\n1 1 1\n",
        "many entries": "3 3 1\n1 1 1\n2 2 2\n",
        "index 0": "3 3 1\n0 1 1\n",
        "index -1": "3 3 1\n-1 1 1\n",
        "index beyond": "3 3 1\n4 1 1\n",
        "nan": "3 3 1\n1 1 nan\n",
        "inf": "3 3 1\n1 1 inf\n",
        "1e400": "3 3 1\n1 1 1e400\n",
        "sum beyond a double": "3 3 2\n1 1 1e308\n1 1 1e308\n",
        "square beyond a double": "3 3 1\n1 1 1e308\n",
        "1e200 and 1e-300": "2 2 2\n1 1 1e200\n2 2 1e-300\n",
        "index 1.0": "3 3 1\n1.0 1 1\n",
        "hexadecimal": "3 3 1\n0x1 1 1\n",
        "underscore": "3 3 1\n1 1 1_0\n",
        "decimal comma": "3 3 1\n1 1 1,5\n",
        "1D5": "3 3 1\n1 1 1.5D+00\n",
        "text": "3 3 1\n1 1 abc\n",
        "NUL": "3 3 1\n1 1 \0001\n",
        "not UTF-8": b"3 3 1\n1 1 \xff\n",
        "0 0 0": "0 0 0\n",
        "3 3 0": "3 3 0\n",
        "0 3 0": "0 3 0\n",
        "1 1 0": "1 1 0\n",
        "-3 rows": "-3 3 0\n",
        "one entry of zero": "3 3 1\n1 1 0\n",
        "1 x 1": "1 1 1\n1 1 1\n",
        "1e9 rows": "1000000000 1 1\n1 1 1\n",
        "3e9 x 3e9": "3000000000 3000000000 1\n1 1 1\n",
        "1e12 rows": "1000000000000 1000000000000 1\n1 1 1\n",
        "2^63 rows": "9223372036854775808 3 1\n1 1 1\n",
        "2^31 rows": "2147483648 2147483648 1\n1 1 1\n",
        "1e30 rows": "1" + "0" * 30 + " 3 1\n1 1 1\n",
        "rows of 5,000 digits": "9" * 5000 + " 3 1\n1 1 1\n",
        "entries of 5,000 digits": "3 3 " + "9" * 5000 + "\n1 1 1\n",
        "index of 5,000 digits": "3 3 1\n" + "9" * 5000 + " 1 1\n",
        "1e18 entries": "3 3 1000000000000000000\n1 1 1\n",
        "a line of 3 MB": "3 3 1\n1 1 " + "1" * 3_000_000 + "\n",
        "2 million blank lines": b"\n" * 2_000_000 + GOOD,
        "400,000 comments": b"%\n" * 400_000 + GOOD,
        "a comment of 5 MB": b"%" + b"x" * 5_000_000 + b"\n" + GOOD,
        "3 MB of spaces": "3 3 1\n" + " " * 3_000_000 + "1 1 1\n",
        "an entry twice": "3 3 2\n1 1 1\n1 1 2\n",
        "entries that cancel": "3 3 2\n1 1 1\n1 1 -1\n",
        "3e6 rows": "3000000 3000000 3\n1 1 1\n2 2 2\n3 3 3\n",
        "10,000 rows": "10000 10000 3\n1 1 1\n2 2 2\n3 3 3\n",
        "2 x 100,000": "2 100000 2\n1 1 1\n2 99999 1\n",
        "denormal": "2 2 2\n1 1 1e-320\n2 2 1e-320\n",
        "negative": "2 2 2\n1 1 -5\n2 2 -3\n",
        "other digits": "3 3 1\n\u0661 1 1\n",
        "vertical tabs": "3 3 1\n1\x0b1\x0b1\n",
        "form feed": "3 3 2\n1 1 1\x0c2 2 2\n",
        "two sizes": "3 3\n1 1 1\n",
        "four sizes": "3 3 1 1\n1 1 1\n",
        "size and comment": "3 3 1 % c\n1 1 1\n",
        "good": GOOD,
    }
    found = {f"a.mtx {name}": HEAD + (body.encode() if isinstance(body, str) else body) for name, body in entry.items()}
    for words in itertools.product(
        ("coordinate", "array"),
        ("real", "integer", "complex", "pattern", "double", "foo"),
        ("general", "symmetric", "skew-symmetric", "hermitian"),
    ):
        body = {"pattern": b"3 3 3\n1 1\n2 1\n3 3\n", "complex": b"3 3 3\n1 1 1 0\n2 1 2 0\n3 3 4 0\n"}.get(
            words[1], GOOD
        )
        found[f"a.mtx {' '.join(words)}"] = f"%%MatrixMarket matrix {' '.join(words)}\n".encode() + body
    head = b"%%MatrixMarket matrix coordinate "
    edges = {
        "empty": "",
        "comments": "# a\n% b\n",
        "one": "0 1\n",
        "weights": "0 1 0.5\n1 2 0.25\n",
        "commas": "0,1\n1,2\n",
        "header": "source,target,weight\n1,2,0.5\n",
        "mixed": "0 1\n1 2 3\n",
        "negative": "-1 2\n",
        "1.5": "1.5 2\n",
        "2^53 + 1": "9007199254740993 1\n9007199254740992 2\n",
        "30 digits": "9" * 30 + " 1\n",
        "5,000 digits": "9" * 5000 + " 1\n",
        "nan": "0 1 nan\n",
        "inf": "0 1 inf\n",
        "NUL": "0 1\0\n",
        "4 columns": "0 1 2 3\n",
        "semicolons": "0;1\n",
        "decimal comma": "0 1 0,5\n",
        "tab": "0\t1\n",
        "byte order mark": "\ufeff0 1\n",
        "words": "a b\n",
        "1e308 twice": "0 1 1e308\n0 1 1e308\n",
        "300,000 comments": "# x\n" * 300_000 + "0 1\n",
        "quotes": '"0","1"\n',
        "a loop": "5 5\n",
        "KONECT": "% bip unweighted\n% 3 3 3\n1 1\n2 2\n3 3\n1 2\n",
        "2^62": "4611686018427387904 1\n",
        "1e12": "1000000000000 1\n",
    }
    found |= {f"e{suffix} {name}": text.encode() for name, text in edges.items() for suffix in (".txt", ".csv")}
    found |= {
        f"{name} a name": b"0 1\n"
        for name in ("e.el", "e.edges", "e.tsv", "e.foo", "e", ".mtx", "e.mtx.gz.gz", "e.npz.gz")
    }
    squeezed = gzip.compress(HEAD + GOOD, mtime=0)
    return found | {
        "a.mtx empty": b"",
        "a.mtx no header": GOOD,
        "a.mtx only header": HEAD,
        "a.mtx CR LF": (HEAD + GOOD).replace(b"\n", b"\r\n"),
        "a.mtx CR": (HEAD + GOOD).replace(b"\n", b"\r"),
        "a.mtx byte order mark": b"\xef\xbb\xbf" + HEAD + GOOD,
        "a.mtx space before": b" " + HEAD + GOOD,
        "a.mtx tabs": HEAD.replace(b" ", b"\t") + GOOD,
        "a.mtx gzip": squeezed,
        "a.mtx symmetric, upper": head + b"real symmetric\n3 3 1\n1 3 1\n",
        "a.mtx symmetric, not square": head + b"real symmetric\n3 4 1\n1 1 1\n",
        "a.mtx skew diagonal": head + b"real skew-symmetric\n3 3 1\n1 1 1\n",
        "a.mtx integer 1.5": head + b"integer general\n3 3 1\n1 1 1.5\n",
        "a.mtx integer 1e20": head + b"integer general\n3 3 1\n1 1 100000000000000000000\n",
        "a.mtx integer 2^53 + 1": head + b"integer general\n2 2 1\n1 1 9007199254740993\n",
        "a.mtx pattern with values": head + b"pattern general\n3 3 1\n1 1 1\n",
        "a.mtx array 0 x 0": b"%%MatrixMarket matrix array real general\n0 0\n",
        "a.mat of MATLAB 5": matlab(),
        "a.mat of MATLAB 7.3": b"MATLAB 7.3 MAT-file".ljust(512) + b"\x89HDF\r\n\x1a\n" + bytes(200),
        "a.mat text": HEAD + GOOD,
        "a.mat empty": b"",
        "a.mtx as MATLAB 5": matlab(),
        "e.txt as MATLAB 5": matlab(),
        "n.npz as MATLAB 5": matlab(),
        "a.mtx.gz good": squeezed,
        "a.mtx.gz cut off": squeezed[:-10],
        "a.mtx.gz half": squeezed[: len(squeezed) // 2],
        "a.mtx.gz plain": HEAD + GOOD,
        "a.mtx.gz empty": b"",
        "a.mtx.gz head": squeezed[:10],
        "a.mtx.gz two members": squeezed + squeezed,
        "a.mtx.gz junk after": squeezed + b"junk",
        "a.mtx.bz2 good": bz2.compress(HEAD + GOOD),
        "a.mtx.gz 4 GB": gzip.compress(HEAD, mtime=0) + gzip_of_zeros() * 64,
        "a.mtx.gz 1 GB of blank lines": gzip.compress(HEAD, mtime=0) + gzip.compress(b"\n" * (64 << 20), mtime=0) * 16,
    }


@cache
def _listed() -> dict[str, bytes]:
    return _texts() | {f"n.npz {name}": data for name, data in npz.arrays().items()}


def case(number: int, folder: Path, base: Path) -> Case:
    rng = start("matrices", number)
    if listed := from_list(number, _listed()):
        about, data = listed
        name = about.split(" ")[0]
    else:
        kinds = ["a.mtx", "a.mtx", "n.npz", "n.npz", "e.txt", "e.csv", "a.mtx.gz"]
        name = rng.choice(kinds)
        entries = [f"{rng.randint(1, 20)} {rng.randint(1, 20)} {rng.random():.3g}" for _ in range(30)]
        if name == "n.npz":
            data = _listed()[f"n.npz {rng.choice(['csr', 'csc', 'coo', 'bsr', 'dia'])} good"]
        else:
            for _ in range(rng.choice([0, 0, 1])):
                entries[rng.randrange(30)] = f"1 2 {rng.choice(NUMBERS)}"
            head = HEAD + b"% c\n20 20 30\n" if "mtx" in name else b""
            data = head + "\n".join(entries).replace(" ", "," if name == "e.csv" else " ").encode() + b"\n"
        data = bent(rng, gzip.compress(data, mtime=0) if name.endswith("gz") else data, TOKENS)
        about = f"{name} changed"
    (folder / name).write_bytes(data)
    infinite = " ".join(about.split(" ")[1:]).removeprefix("csr ").removeprefix("csc ").removeprefix("coo ") in (
        "nan",
        "inf",
        "1e400",
    )
    return Case(about, ("run", small("small_spgemm", folder), "--data", name, "--quiet"), infinite)
