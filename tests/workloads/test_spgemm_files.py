"""Files that went wrong once: exact, or refused with a sentence, and no index is followed unchecked."""

from __future__ import annotations

import gzip
import io
import tarfile
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from devices import InputError, Stream
from workloads.spgemm import read_matrix
from workloads.spgemm.data import EmptyProduct, SparseData

CASES = Path(__file__).resolve().parents[2].parent / "shared" / "cases" / "matrices"
needs_cases = pytest.mark.skipif(not CASES.exists(), reason="needs ../shared/cases beside the checkout")
HEAD = "%%MatrixMarket matrix coordinate real general\n"


def found(path: Path) -> Any:
    return SparseData().find(path, rng=Stream.root(0))


def put(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@needs_cases
@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "huge_dim.mtx",
            r"huge_dim\.mtx:2: at most [\d,]+ rows and columns .* \(got 3,000,000,000 x 3,000,000,000 with",
        ),
        ("bigint.mtx", r"bigint\.mtx:3: value: an integer below 2\^53 .* \(got '9007199254740993'\)"),
        ("underscore.mtx", r"underscore\.mtx:3: value: a finite number \(got '1_0'\)"),
        ("symm_upper.mtx", r"symm_upper\.mtx:4: .* write 'general' for 'symmetric' in line 1 if both triangles are"),
    ],
)
def test_cases_that_are_refused_with_what_helps(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_matrix(CASES / name)


@needs_cases
@pytest.mark.parametrize("name", ["empty.mtx", "allzero.mtx", "zerorow.mtx"])
def test_cases_without_a_product_are_one_sentence(name: str) -> None:
    assert not read_matrix(CASES / name).csr.data.any()
    with pytest.raises(EmptyProduct, match=rf"{name}: a product that has something to compute \(got C = 0 of"):
        found(CASES / name)


@needs_cases
def test_cases_that_are_read() -> None:
    users = read_matrix(CASES / "konect_bip.txt")
    np.testing.assert_array_equal(users.csr.toarray(), [[1, 1, 0], [0, 1, 0], [0, 0, 1]])
    assert "two kinds of nodes, 3 x 3" in users.notes[0]
    graph = found(CASES / "ungraph.txt")
    assert (graph.main.a.csr.nnz, graph.main.products) == (6, 12)
    assert (graph.main.a.csr @ graph.main.a.csr).nnz == 9
    assert any("undirected" in note for note in graph.notes)
    named = read_matrix(CASES / "csvheader.csv").csr
    np.testing.assert_array_equal(named.toarray(), [[0, 0.5, 0], [0, 0, 1.5], [0, 0, 0]])
    np.testing.assert_array_equal(read_matrix(CASES / "fortranD.mtx").csr.toarray(), [[1.5, 0], [0, 0.25]])
    np.testing.assert_array_equal(
        read_matrix(CASES / "bigid.txt").csr.toarray(), [[0, 0, 0, 0], [0, 0, 0, 0], [0, 1, 0, 0], [1, 0, 0, 0]]
    )
    packed = read_matrix(CASES / "mymat.tar.gz")
    assert (packed.name, packed.csr.shape) == ("mymat", (40, 40))
    assert "mymat_b.mtx (dense, such as a right-hand side)" in packed.notes[0]


@needs_cases
def test_the_unpacked_archive_leaves_the_dense_right_hand_side_out(tmp_path: Path) -> None:
    with tarfile.open(CASES / "mymat.tar.gz") as archive:
        for member in archive.getmembers():
            if member.isreg():
                content = archive.extractfile(member)
                assert content is not None
                put(tmp_path, Path(member.name).name, content.read())
    chosen = found(tmp_path)
    assert chosen.main.a.name == "mymat"
    assert any("mymat_b.mtx:1: coordinate (got 'array')" in note for note in chosen.notes)


NUMBERS = {
    "underscore": (HEAD + "9 9 1\n1_0 1 1\n", r":3: row from 1 to 9 \(got '1_0'\)"),
    "fourth column": (HEAD + "3 3 1\n1 1 1 7\n", r":3: 3 numbers \(got '1 1 1 7'\)"),
    "NUL": (HEAD + "3 3 1\n1 1 5\x00\n", r":3: value: a finite number"),
    "hexadecimal": (HEAD + "3 3 1\n1 1 0x1p3\n", r":3: value: a finite number \(got '0x1p3'\)"),
    "two points": (HEAD + "3 3 1\n1 1 1.2.3\n", r":3: value: a finite number \(got '1\.2\.3'\)"),
    "half an exponent": (HEAD + "3 3 1\n1 1 5e\n", r":3: value: a finite number \(got '5e'\)"),
    "digits of another script": (HEAD + "3 3 1\n\u0661 1 1\n", r":3: row from 1 to 3"),
    "beyond float64": (HEAD + "3 3 1\n1 1 1e400\n", r":3: value: a finite number"),
    "5,000 digits in the header": (HEAD + "9" * 5000 + " 3 1\n1 1 1\n", r":2: sizes below 1e18"),
    "5,000 digits in an index": (HEAD + "3 3 1\n" + "9" * 5000 + " 1 1\n", r":3: row from 1 to 3"),
    "sum beyond float64": (HEAD + "3 3 2\n1 1 1e308\n1 1 1e308\n", r"whose sum over duplicates is finite"),
    "1e12 rows": (HEAD + "1000000000000 1 1\n1 1 1\n", r":2: at most [\d,]+ rows and columns"),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_that_are_none_are_refused_with_their_line(name: str, tmp_path: Path) -> None:
    text, message = NUMBERS[name]
    with pytest.raises(InputError, match=message):
        read_matrix(put(tmp_path, "m.mtx", text))


def test_whole_numbers_are_exact_or_refused(tmp_path: Path) -> None:
    head = HEAD.replace("real", "integer")
    most = 2**53 - 1
    assert read_matrix(put(tmp_path, "m.mtx", head + f"1 1 1\n1 1 {most}\n")).csr.data[0] == most
    for text in (f"1 1 1\n1 1 {most + 1}\n", f"1 1 2\n1 1 {most}\n1 1 1\n"):
        with pytest.raises(InputError, match=r"below 2\^53"):
            read_matrix(put(tmp_path, "m.mtx", head + text))
    for dtype in (np.int64, np.uint64):
        sparse.save_npz(tmp_path / "m.npz", sparse.csr_array(np.array([[most + 2]], dtype)))
        with pytest.raises(InputError, match=r"integers below 2\^53"):
            read_matrix(tmp_path / "m.npz")


@pytest.mark.parametrize("word", ["1.5D+00", "1.5d0", "15D-1", "+1.5E0"])
def test_exponents_of_fortran(word: str, tmp_path: Path) -> None:
    assert read_matrix(put(tmp_path, "m.mtx", HEAD + f"1 1 1\n1 1 {word}\n")).csr.data[0] == 1.5
    assert read_matrix(put(tmp_path, "g.txt", f"0 0 {word}\n")).csr.data[0] == 1.5


LISTS = {
    "semicolons and decimal commas": ("g.csv", "1;2;0,5\n2;1;1,5\n", [[0, 0.5], [1.5, 0]]),
    "blanks and decimal commas": ("g.txt", "1 2 0,5\n2 1 3\n", [[0, 0.5], [3, 0]]),
    "tabs": ("g.tsv", "1\t2\t0.5\n2\t1\t1.5\n", [[0, 0.5], [1.5, 0]]),
    "names in another order": ("g.csv", "weight,Target,colour,Source\n0.5,2,9,1\n1.5,1,9,2\n", [[0, 0.5], [1.5, 0]]),
    "names of SNAP": ("g.txt", "# Directed graph\nFromNodeId\tToNodeId\n1\t2\n2\t1\n", [[0, 1], [1, 0]]),
    "quotes": ("g.csv", '"source","target"\n"1","2"\n"2","1"\n', [[0, 1], [1, 0]]),
    "users and items": ("g.csv", "userId,movieId,rating,timestamp\n7,7,4.5,99\n8,9,1,99\n", [[4.5, 0], [0, 1]]),
    "bipartite, times left out": ("g.txt", "% bip posweighted\n% 2 2 2\n1 1 3 1200\n2 1 4 1201\n", [[3], [4]]),
    "KONECT's sym": ("g.txt", "% sym unweighted\n1 2\n2 3\n", [[0, 1, 0], [1, 0, 1], [0, 1, 0]]),
    "KONECT's asym": ("g.txt", "% asym unweighted\n1 2\n2 3\n", [[0, 1, 0], [0, 0, 1], [0, 0, 0]]),
    "undirected, listed both ways": ("g.txt", "# Undirected graph: x\n1 2 5\n2 1 5\n", [[0, 5], [5, 0]]),
    "undirected with a loop": ("g.txt", "# Undirected graph: x\n1 2\n3 3\n", [[0, 1, 0], [1, 0, 0], [0, 0, 1]]),
    "SNAP's directed": ("g.txt", "# Directed graph (each unordered pair once)\n1 2\n", [[0, 1], [0, 0]]),
    "UTF-16": ("g.txt", "# caf\u00e9\n1 2\n2 1\n".encode("utf-16"), [[0, 1], [1, 0]]),
    "Latin-1 and carriage returns": ("g.txt", "# caf\u00e9\r1 2\r2 1\r".encode("latin-1"), [[0, 1], [1, 0]]),
    "byte order mark": ("g.csv", "\ufeff1,2\n2,1\n", [[0, 1], [1, 0]]),
    "ids up to 2^63 - 1": ("g.txt", f"{2**63 - 1} {2**63 - 2}\n", [[0, 0], [1, 0]]),
}  # fmt: skip


@pytest.mark.parametrize("name", LISTS)
def test_lists_as_programs_write_them(name: str, tmp_path: Path) -> None:
    file, text, expected = LISTS[name]
    np.testing.assert_array_equal(read_matrix(put(tmp_path, file, text)).csr.toarray(), expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b,c\n1,2,3\n", r":1: columns named source and target, or user and item"),
        ("source,target\n1,\n", r":2: node from 0 to \d+ \(got ''\)"),
        ("1,,2\n", r":1: node from 0 to \d+ \(got ''\)"),
        (f"{2**63} 1\n", r":1: node from 0 to 9223372036854775807"),
        ("1 2 3 4\n", r":1: two node numbers, and a value if there is one \(got 4 columns\)"),
        ("1;2;1.000,5\n", r":1: value: a finite number"),
    ],
)
def test_lists_that_are_refused(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        read_matrix(put(tmp_path, "g.csv", text))


def packed(**members: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name.replace("__", "/").replace("_dot_", "."))
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def test_archives_of_suitesparse_and_konect(tmp_path: Path) -> None:
    eye = (HEAD + "2 2 2\n1 1 1\n2 2 1\n").encode()
    path = put(tmp_path, "m.tar.gz", packed(m__m_dot_mtx=eye, m__m_Zeros_dot_mtx=eye))
    assert read_matrix(path).notes == ("m.tar.gz: left out of the archive: m_Zeros.mtx.",)
    path = put(tmp_path, "k.tar.gz", packed(k__out_dot_k=b"% bip\n1 1\n1 2\n", k__README=b"words"))
    assert read_matrix(path).csr.shape == (1, 2)
    with pytest.raises(InputError, match=r"one sparse matrix, or one called x\.mtx \(got a\.mtx, b\.mtx\)"):
        read_matrix(put(tmp_path, "x.tar.gz", packed(a_dot_mtx=eye, b_dot_mtx=eye)))
    with pytest.raises(InputError, match=r"\(got nothing\)"):
        read_matrix(put(tmp_path, "y.tar.gz", packed(readme=b"words")))
    with pytest.raises(InputError, match=r"m\.tar\.gz/m/m\.mtx:3: value: a finite number"):
        read_matrix(put(tmp_path, "m.tar.gz", packed(m__m_dot_mtx=eye.replace(b"1 1 1", b"1 1 x"))))
    with pytest.raises(InputError, match=r"z\.tar: a whole tar archive"):
        read_matrix(put(tmp_path, "z.tar", b"no archive" * 200))


def arrays(kind: str, **changes: Any) -> dict[str, Any]:
    """What ``save_npz`` writes of a 2 x 2 unit matrix (4 x 4 in blocks), with changes."""
    given: dict[str, Any] = {"format": kind.encode(), "shape": np.array([2, 2]), "data": np.array([1.0, 2.0])}
    if kind in ("csr", "csc", "bsr"):
        given |= {"indices": np.array([0, 1]), "indptr": np.array([0, 1, 2])}
    if kind == "coo":
        given |= {"row": np.array([0, 1]), "col": np.array([0, 1])}
    if kind == "dia":
        given |= {"offsets": np.array([0]), "data": np.array([[1.0, 2.0]])}
    if kind == "bsr":
        given |= {"shape": np.array([4, 4]), "data": np.ones((2, 2, 2))}
    return given | changes


LIES = [
    *(
        (kind, {"indices": np.array([0, index])})
        for kind in ("csr", "csc", "bsr")
        for index in (5, 10**9, -1, -(10**9))
    ),
    *((kind, {"indices": np.array([0, 2**32 + 1])}) for kind in ("csr", "csc", "bsr")),
    *((kind, {"indptr": np.array([0, 10**9, 2])}) for kind in ("csr", "csc", "bsr")),
    *((kind, {"indptr": np.array([1, 1, 2])}) for kind in ("csr", "csc", "bsr")),
    *((kind, {"indices": np.array([0.0, 1.5])}) for kind in ("csr", "csc", "bsr")),
    *((kind, {"shape": np.array([2, 2**62])}) for kind in ("csr", "coo", "dia")),
    *((kind, {"shape": np.array([10**10, 10**10])}) for kind in ("coo", "dia")),
    ("bsr", {"data": np.ones((2, 0, 0))}),
    ("bsr", {"shape": np.array([5, 5])}),
    ("coo", {"row": np.array([0, 10**9])}),
    ("coo", {"row": np.array([0, -5])}),
    ("coo", {"row": np.array([0.5, 1.0])}),
    ("dia", {"offsets": np.array([2**63 - 1])}),
    ("dia", {"offsets": np.array([2**32])}),
    ("dia", {"offsets": np.array([0, 1])}),
    ("csr", {"data": np.array([1.0])}),
    ("csr", {"data": np.array(["a", "b"])}),
]


@pytest.mark.parametrize(("kind", "changes"), LIES)
def test_arrays_that_do_not_fit_their_shape_are_refused_before_they_are_followed(
    kind: str, changes: dict[str, Any], tmp_path: Path
) -> None:
    np.savez(tmp_path / "m.npz", **arrays(kind, **changes))
    with pytest.raises(InputError, match=r"m\.npz: "):
        read_matrix(tmp_path / "m.npz")


@pytest.mark.parametrize("kind", ["csr", "csc", "bsr", "coo", "dia"])
def test_the_same_arrays_without_a_lie_are_read(kind: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "m.npz", **arrays(kind))
    assert read_matrix(tmp_path / "m.npz").csr.sum() == (8.0 if kind == "bsr" else 3.0)


@pytest.mark.parametrize("shape", ["(1000000000000,)", "(4000000000,)", "(-1,)", "x", "(" * 90, "(True, True)"])
def test_an_array_that_announces_more_than_it_holds_is_refused(shape: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "whole.npz", **arrays("csr"))
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".ljust(117).encode() + b"\n"
    with zipfile.ZipFile(tmp_path / "whole.npz") as whole, zipfile.ZipFile(tmp_path / "m.npz", "w") as lying:
        for name in whole.namelist():
            data = whole.read(name)
            lying.writestr(name, data[:8] + b"\x76\x00" + header + data[-16:] if name == "data.npy" else data)
    with pytest.raises(InputError, match=r"m\.npz: a sparse matrix written by"):
        read_matrix(tmp_path / "m.npz")


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int16, np.uint16, np.int32, np.float32])
@pytest.mark.parametrize("kind", ["csr", "csc", "coo"])
def test_sums_of_duplicates_do_not_wrap_in_any_type_or_format(dtype: Any, kind: str, tmp_path: Path) -> None:
    top = 100
    parts = (np.full(400, top, dtype), (np.zeros(400, int), np.tile([0, 1], 200)))
    matrix = sparse.coo_array(parts, shape=(1, 2))
    if kind != "coo":
        # Built by hand: SciPy's own conversion adds duplicates, in the narrow type.
        order = np.argsort(parts[1][1], kind="stable") if kind == "csc" else slice(None)
        indices = parts[1][0] if kind == "csc" else parts[1][1]
        pointers = np.array([0, 200, 400]) if kind == "csc" else np.array([0, 400])
        matrix = getattr(sparse, f"{kind}_array")((parts[0][order], indices, pointers), shape=(1, 2))
    sparse.save_npz(tmp_path / "m.npz", matrix)
    np.testing.assert_array_equal(read_matrix(tmp_path / "m.npz").csr.toarray(), [[200 * top, 200 * top]])


def test_truth_values_listed_twice_are_true(tmp_path: Path) -> None:
    twice = sparse.coo_array((np.ones(2, bool), ([0, 0], [0, 0])), shape=(1, 1))
    raw = sparse.csr_array((np.ones(2, bool), np.zeros(2, int), np.array([0, 2])), shape=(1, 1))
    for matrix in (twice, raw):
        sparse.save_npz(tmp_path / "m.npz", matrix)
        assert read_matrix(tmp_path / "m.npz").csr.toarray() == 1.0


@pytest.mark.parametrize("filler", ["\n", "%\n", "  \n"])
def test_two_million_lines_of_nothing_take_linear_time(filler: str, tmp_path: Path) -> None:
    path = put(tmp_path, "m.mtx", HEAD + filler * 2_000_000 + "1 1 1\n" + filler * 2_000_000 + "1 1 5\n")
    start = time.monotonic()
    assert read_matrix(path).csr.toarray() == 5.0
    assert time.monotonic() - start < 20.0


def test_a_small_file_does_not_unpack_to_gigabytes(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"at most 268,435,456 bytes, unpacked \(got more\)"):
        read_matrix(put(tmp_path, "m.mtx.gz", gzip.compress(bytes(1 << 28), 9) * 2))


def test_values_whose_products_are_not_finite_are_refused_and_those_without_weight_left_out(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"largest value from 1e-70 to 1e\+70 in size, .* \(got 1e\+200\)"):
        found(put(tmp_path, "m.mtx", HEAD + "1 1 1\n1 1 1e200\n"))
    tiny = found(put(tmp_path, "m.mtx", HEAD + "2 2 2\n1 1 1\n2 2 1e-310\n"))
    assert tiny.main.a.csr.nnz == 1
    assert any("1 values below 1e-140 in size count as 0" in note for note in tiny.notes)
    with pytest.raises(InputError, match="largest value from"):
        found(put(tmp_path, "m.mtx", HEAD + "1 1 1\n1 1 1e-100\n"))


def test_a_folder_with_an_empty_matrix_goes_on_with_the_others(tmp_path: Path) -> None:
    put(tmp_path, "a.mtx", HEAD + "2 2 0\n")
    put(tmp_path, "b.mtx", HEAD + "2 2 1\n1 1 3\n")
    chosen = found(tmp_path)
    assert chosen.main.a.name == "b"
    assert any(note.startswith("Left out of the folder: ") and "a.mtx" in note for note in chosen.notes)
    with pytest.raises(EmptyProduct):
        SparseData(names=("a",)).find(tmp_path, rng=Stream.root(0))
    (tmp_path / "b.mtx").unlink()
    put(tmp_path, "c.mtx", HEAD + "0 0 0\n")
    with pytest.raises(InputError, match=r"a folder with a matrix to multiply \(got none"):
        found(tmp_path)
