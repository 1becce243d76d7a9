"""SciPy's npz files of sparse matrices with one array that is wrong, and the zip files that they are."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from typing import Any

import numpy as np

from benchmarks.fuzz.packing import patched, zip_of_zeros


def npz(**arrays: Any) -> bytes:
    """A file of SciPy's ``save_npz``, of whatever arrays."""
    held = io.BytesIO()
    np.savez(held, **{name: np.asarray(value) for name, value in arrays.items()})  # type: ignore[arg-type]
    return held.getvalue()


class _Ran:
    """What a pickle does that is loaded."""

    def __reduce__(self) -> Any:
        return exec, ("open('ran', 'w').close()",)


def arrays() -> dict[str, bytes]:
    """SciPy's files with one array that is wrong, its headers changed, and zip files of other kinds."""
    two, one = np.array([0, 1]), {"data": np.array([1.0, 2.0]), "shape": [2, 2]}
    rows = {"indices": two, "indptr": [0, 1, 2], **one}
    wrong: dict[str, dict[str, Any]] = {
        "good": {},
        "index 1e9": {"indices": [0, 10**9]},
        "index 5": {"indices": [0, 5]},
        "index -1e8": {"indices": [0, -(10**8)]},
        "index -1": {"indices": [0, -1]},
        "pointer 1e9": {"indptr": [0, 1, 10**9]},
        "pointer -1e9": {"indptr": [0, -(10**9), 2]},
        "pointer falls": {"indptr": [0, 2, 1]},
        "pointer from 1": {"indptr": [1, 1, 2]},
        "pointer overshoots": {"indptr": [0, 10**8, 2]},
        "short data": {"data": [1.0]},
        "nan": {"data": [1.0, np.nan]},
        "inf": {"data": [1.0, np.inf]},
        "complex": {"data": [1.0, 1j]},
        "words": {"data": ["a", "b"]},
        "booleans": {"data": [True, False]},
        "float16": {"data": np.array([1, 2], np.float16)},
        "uint64": {"data": np.array([2**64 - 1, 1], np.uint64)},
        "long double": {"data": np.array([1, 2], np.longdouble)},
        "shape of 3": {"shape": [2, 2, 2]},
        "shape of 1": {"shape": [2]},
        "shape negative": {"shape": [-2, 2]},
        "shape 2^62": {"shape": [2, 2**62]},
        "shape 2.0": {"shape": [2.0, 2.0]},
        "shape nan": {"shape": [np.nan, 2.0]},
        "shape in words": {"shape": ["2", "2"]},
        "1e12 rows": {"shape": [10**12, 2]},
        "0 x 0": {"shape": [0, 0], "indptr": [0], "indices": np.array([], int), "data": np.array([])},
        "data in 2 dimensions": {"data": np.ones((2, 2))},
        "index 0.5": {"indices": [0.5, 1.0]},
        "indices in 2 dimensions": {"indices": np.zeros((2, 1), int)},
        "index nan": {"indices": [0.0, np.nan]},
        "an entry twice": {"indices": [0, 0, 1], "indptr": [0, 2, 3], "data": np.ones(3)},
        "dates": {"data": np.array([1, 2], "M8[s]")},
        "records": {"data": np.zeros(2, [("a", float)])},
        "data a scalar": {"data": 1.0},
        "uint8 that wraps": {"indices": [0, 0], "indptr": [0, 2, 2], "data": np.array([200, 100], np.uint8)},
    }
    found = {
        f"{form} {name}": npz(format=form.encode(), **{**rows, **change})
        for form in ("csr", "csc")
        for name, change in wrong.items()
    }
    places: dict[str, Any] = {"row": two, "col": two, **one}
    odd: dict[str, dict[str, Any]] = {
        "good": {},
        "row 1e9": {"row": [0, 10**9]},
        "row -5": {"row": [0, -5]},
        "nan": {"data": [1, np.nan]},
        "length": {"row": [0]},
        "2^40 rows": {"shape": [2**40] * 2},
        "row 0.5": {"row": [0.5, 1.0]},
        "uint8 that wraps": {"row": [0, 0], "col": [0, 0], "data": np.array([200, 100], np.uint8)},
    }
    found |= {f"coo {name}": npz(format=b"coo", **{**places, **change}) for name, change in odd.items()}
    lines: dict[str, Any] = {"offsets": [0], "data": [[1.0, 2.0]], "shape": [2, 2]}
    odd = {
        "good": {},
        "offset 1e9": {"offsets": [10**9]},
        "two offsets": {"offsets": [0, 1]},
        "offset 2^63 - 1": {"offsets": [2**63 - 1]},
        "1e10 rows": {"shape": [10**10] * 2},
        "offset 0.5": {"offsets": [0.5]},
    }
    found |= {f"dia {name}": npz(format=b"dia", **{**lines, **change}) for name, change in odd.items()}
    blocks: dict[str, Any] = {"indices": two, "indptr": [0, 1, 2], "shape": [4, 4], "data": np.ones((2, 2, 2))}
    odd = {
        "good": {},
        "index 1e8": {"indices": [0, 10**8]},
        "index -1e8": {"indices": [0, -(10**8)]},
        "pointer 1e8": {"indptr": [0, 10**8, 2]},
        "shape": {"shape": [5, 5]},
        "blocks of nothing": {"data": np.ones((2, 0, 0))},
    }
    found |= {f"bsr {name}": npz(format=b"bsr", **{**blocks, **change}) for name, change in odd.items()}
    for form in (b"lil", b"dok", b"foo", b"\xff\xfe", b"", 5, [b"csr", b"csc"], "csr"):
        found[f"format {form!r}"] = npz(format=form, **rows)
    for name in ("format", *rows):
        found[f"without {name}"] = npz(
            **{key: value for key, value in {"format": b"csr", **rows}.items() if key != name}
        )
    ran = np.empty((), object)
    ran[()] = _Ran()
    good = found["csr good"]
    found |= {
        "a pickle as format": npz(format=ran, **rows),
        "a pickle": pickle.dumps(_Ran()),
        "empty": b"",
        "text": b"hello",
        "cut off": good[:-30],
        "cut off early": good[:200],
        "another npz": npz(a=np.ones(3)),
    }
    for shape in (
        "(1000000000000,)",
        "(9223372036854775807,)",
        "(99999999999999999999999,)",
        "(-1,)",
        "(2, 2, 2)",
        "()",
        "(1e3,)",
        "x",
        "(" * 90,
        "('a',)",
        "(4000000000,)",
    ):
        found[f"npy shape {shape:.20}"] = _rezipped(good, shape=shape)
    for descr in ("<f9", "|O", "<U1000000000", "|V8", "", "<M8[foo]", "<i8,<i8", "x" * 50):
        found[f"npy type {descr:.20}"] = _rezipped(good, descr=descr)
    for method in (1, 9, 12, 14, 93, 99):
        found[f"zip method {method}"] = patched(good, 8, 10, method)
    return found | {
        "zip encrypted": patched(good, 6, 8, 1),
        "zip with strong encryption": patched(good, 6, 8, 0x41),
        "3 GB": _large(good),
    }


def _header(descr: str, shape: str) -> bytes:
    head = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode()


def _large(source: bytes) -> bytes:
    """The same npz with 48 times 64 MB of zeros as its data, which are a few kilobytes in the file."""
    with zipfile.ZipFile(io.BytesIO(source)) as old:
        members = {name: (old.read(name), 0) for name in old.namelist() if name != "data.npy"}
    return zip_of_zeros(members | {"data.npy": (_header("<f8", "(402653184,)"), 48)})


def _rezipped(source: bytes, *, descr: str = "<f8", shape: str = "(2,)") -> bytes:
    """The same npz with another header of its data, and so many 64 MB of zeros."""
    result = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(source)) as old, zipfile.ZipFile(result, "w") as new:
        for name in old.namelist():
            if name != "data.npy":
                new.writestr(name, old.read(name))
        new.writestr("data.npy", _header(descr, shape) + old.read("data.npy")[-16:])
    return result.getvalue()
