"""Sparse products end to end: exact where the converter can tell all sums apart, the same bits twice, bad files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse
from scipy.io import mmwrite

from devices import PCM, Ideal, InputError, LogNormal, Stream, TaOx
from mappings.sparse import Merge, SparseChip, spgemm
from mho import cli, runner
from mho.config.read import read
from mho.report.page import html
from mho.report.rundata import load_run
from workloads import AnyExperiment, Result, RunOptions, SparseProduct
from workloads.spgemm import RMAT, Matrix
from workloads.spgemm.applications import Applied, edges_in, recommendation, triangles, undirected
from workloads.spgemm.data import SparseData
from workloads.spgemm.gcn import citations, layer
from workloads.spgemm.matrices import read_matrix
from workloads.spgemm.run import run
from workloads.spgemm.settings import Reals, SparseEvaluation, SparseVariant

MATRICES = Path(__file__).resolve().parents[4] / "shared" / "data" / "matrices"
CHIP = SparseChip(rows=32, columns=33, adc_bits=4, device=TaOx())


def experiment(**changes: object) -> SparseProduct:
    plain = SparseProduct(
        data=SparseData(graph=RMAT(scale=6, edge_factor=4)),
        chip=CHIP,
        variants=(
            SparseVariant(name="taox", chip=CHIP, default=True, aim=0.01),
            SparseVariant(name="pcm", chip=replace(CHIP, device=PCM()), layout="blocks", order="natural"),
        ),
        evaluation=SparseEvaluation(chips=2, times_s=(0.0, 2592000.0), grid_bits=(2, 5), grid_rows=(8,)),
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def written(folder: Path, matrix: object, name: str = "m.npz") -> Path:
    sparse.save_npz(folder / name, sparse.csr_matrix(matrix))
    return folder / name


def ring(nodes: int, reach: int) -> sparse.csr_array:
    """Each node with an edge to the next ``reach`` on both sides."""
    i = np.repeat(np.arange(nodes), reach)
    j = (i + np.tile(np.arange(1, reach + 1), nodes)) % nodes
    return undirected(sparse.csr_array((np.ones(i.size), (i, j)), shape=(nodes, nodes)))


@pytest.fixture(scope="module")
def result() -> Result:
    return run(experiment(), RunOptions())


def test_software_and_ideal_chip_are_exact_on_a_graph(result: Result) -> None:
    metrics = result.metrics
    assert metrics.software == {"relative_error": 0.0, "exact_share": 1.0, "missing_share": 0.0, "false_share": 0.0}
    assert metrics.quantised == metrics.software
    assert metrics.data.synthetic is True
    assert next(iter(metrics.metrics)) == "relative_error"
    assert not metrics.metrics["relative_error"].higher_is_better


def test_drifting_cells_lose_what_they_hold_and_others_are_judged_once(result: Result) -> None:
    taox, pcm = result.metrics.variants
    assert [row.t_s for row in taox.quality] == [0.0]
    first, month = pcm.quality
    # PCM's conductance falls as t^-nu, nu about 0.06 for the cells that are on: by a month about half is gone.
    assert 0.25 < month.spread("relative_error").mean < 0.65
    assert first.spread("relative_error").mean < 0.05


def test_energy_is_the_sum_of_its_lines_and_blocks_take_more_tiles(result: Result) -> None:
    tables, variants = result.tables, result.metrics.variants
    lines = tables["components"]
    for variant in variants:
        mine = lines[lines["variant"] == variant.name]
        assert mine["energy_J"].sum() == pytest.approx(variant.cost["energy_J"], rel=1e-12)
        assert mine["area_m2"].sum() == pytest.approx(variant.cost["area_m2"], rel=1e-12)
    tiles = tables["mappings"].set_index("mapping")["tiles"]
    assert tiles["compacted"] <= tiles["blocks (GraphR)"]
    counts = tables["counts"].set_index("variant")
    assert counts.loc["pcm", "tiles"] == tiles["blocks (GraphR)"]
    windows = tables["windows"]
    mine = windows[windows["system"] == "taox"]
    assert mine["updates"].sum() == counts.loc["taox", "touched"]
    assert (windows["probes"] == windows["updates"] + windows["collisions"]).all()


def test_the_fabric_hashes_every_partial_product(result: Result) -> None:
    tables, size = result.tables, result.metrics.data.model_extra
    fabric = tables["fabric"].set_index("approach")
    assert (fabric["products"] == size["products"]).all()
    assert (fabric["entries"] == size["entries"]).all()
    assert set(tables["systems"]["kind"]) == {"analog", "fabric"}
    assert len(fabric) == 8


def test_few_bits_for_many_rows_err_and_enough_do_not(result: Result) -> None:
    grid = result.tables["precision"]
    ideal = grid[grid["cells"] == "ideal"].set_index("adc_bits")
    assert ideal.loc[5, "relative_error"] == 0.0
    assert ideal.loc[2, "relative_error"] > 0.05


def test_the_same_seed_gives_the_same_bits_beside_more_chips(result: Result) -> None:
    more = run(experiment(evaluation=replace(experiment().evaluation, chips=3)), RunOptions())
    kept = more.tables["accuracy"]
    kept = kept[kept["chip"] < 2].reset_index(drop=True)
    assert kept.equals(result.tables["accuracy"])


def test_a_large_product_is_judged_on_fewer_chips_and_says_so() -> None:
    few = replace(experiment().evaluation, most_products=1.0, grid_bits=())
    done = run(experiment(evaluation=few, versions=(), dataflows=()), RunOptions())
    assert [variant.quality[0].chips for variant in done.metrics.variants] == [1, 1]
    assert any("1 of 2 chips" in note for note in done.metrics.notes)
    assert "precision" not in done.tables


def test_sums_that_meet_the_end_of_an_accumulator_are_said() -> None:
    """Counts of paths merged in 4 bits of two's complement: saturated, and not in silence."""
    chip = replace(CHIP, device=Ideal(), merge=Merge(accumulator="fixed", bits=4))
    variants = (SparseVariant(name="narrow", chip=chip, default=True),)
    found = run(experiment(chip=chip, variants=variants), RunOptions())
    rows = found.tables["accuracy"]
    assert rows[rows.stage == "analog"].overflowed_share.min() > 0.0
    assert any("narrow: some sums met the end of an accumulator" in note for note in found.metrics.notes)


def test_reals_of_both_signs_take_pairs_and_more_bits(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    file = written(tmp_path, sparse.random_array((40, 30), density=0.1, rng=draw, data_sampler=draw.standard_normal))
    how = experiment(versions=(), dataflows=(), evaluation=SparseEvaluation(chips=1, grid_bits=()))
    done = run(how, RunOptions(data=file))
    notes = " ".join(done.metrics.notes)
    assert "is multiplied by its transpose" in notes
    assert "differential, inputs of 8 bits, codes of 8 bits" in notes
    assert done.metrics.data.model_extra["values"] == "reals"
    # Codes of 8 bits on inputs of 7 and a sign: 1/255 of full scale each way, relative to entries of about 1/3 of it.
    assert 1e-3 < done.metrics.quantised["relative_error"] < 0.03
    pattern = run(replace(how, data=replace(how.data, values="pattern")), RunOptions(data=file))
    assert pattern.metrics.quantised["relative_error"] == 0.0
    plain = how.variants[0].mapping
    zero_one = ring(9, 2)
    assert Reals().on(plain, zero_one, zero_one) is plain


def test_matrices_of_a_folder_and_the_product_of_two_files(tmp_path: Path) -> None:
    written(tmp_path, ring(40, 2), "b.npz")
    written(tmp_path, ring(30, 3), "a.npz")
    written(tmp_path, ring(40, 1), "c.npz")
    rng = Stream.root(0)
    every = SparseData(others=1).find(tmp_path, rng=rng)
    assert [every.main.a.name, *(other.a.name for other in every.others)] == ["a", "b"]
    assert "1 further matrices of the folder were left out" in every.notes[0]
    chosen = SparseData(names=("c", "b.npz")).find(tmp_path, rng=rng)
    assert (chosen.main.a.name, len(chosen.others)) == ("c", 1)
    both = SparseData(product="A*B", second="c.npz").find(tmp_path / "b.npz", rng=rng)
    assert (both.main.a.name, both.main.b.name) == ("b", "c")
    with pytest.raises(InputError, match=r"c\.npz: as many rows as a has columns"):
        SparseData(product="A*B", second="c.npz").find(tmp_path / "a.npz", rng=rng)
    with pytest.raises(InputError, match=r"data\.names: .* holds a, b, c \(got d\)"):
        SparseData(names=("d",)).find(tmp_path, rng=rng)
    with pytest.raises(ValueError, match="second goes with product"):
        SparseData(second="x.mtx")


def applied(graph: object) -> Applied:
    return Applied(Matrix("graph", graph, "pattern", "made"), None, ("right", "wrong"), "right", Stream.root(1))


def multiply(name: str, a: object, b: object) -> object:
    """The exact product, or one in which every entry is one too many."""
    product = spgemm(a, b)
    return product if name == "right" else sparse.csr_array((product.data + 1, product.indices, product.indptr))


def test_triangles_of_rings_and_of_a_complete_graph() -> None:
    # A ring in which each node sees the next two has one triangle a node; the complete graph C(n, 3).
    for graph, expected in ((ring(20, 2), 20), (ring(7, 3), 35)):
        rows = {row["system"]: row for row in triangles(applied(graph), multiply).rows}
        assert rows["exact"]["triangles"] == rows["right"]["found_rounded"] == expected
        assert rows["right"]["nodes_right_rounded"] == 1.0
        # One neighbour too many an edge end: a third of a triangle for each edge.
        assert rows["wrong"]["found"] == pytest.approx(expected + graph.nnz / 6)
    assert "is no graph" in triangles(applied(ring(9, 2)[:5]), multiply).notes[0]


def test_recommendation_finds_hidden_edges_and_forgives_swapped_equals() -> None:
    rows = {row["system"]: row for row in recommendation(applied(ring(120, 4)), multiply).rows}
    # Within reach of 4 a hidden neighbour shares at least three others with its node: it is among the first ten.
    assert rows["exact"]["recall"] > 0.95
    assert rows["right"] | {"system": "exact"} == rows["exact"]
    assert rows["wrong"]["as_good"] == 1.0
    graph = ring(9, 1)
    assert not edges_in(spgemm(graph, graph), graph).any()


def test_no_graph_network_without_features(tmp_path: Path) -> None:
    assert citations(tmp_path, Matrix("x", ring(5, 1), "pattern", "made")) is None
    assert citations(None, Matrix("x", ring(5, 1), "pattern", "made")) is None


def test_a_graph_network_learns_from_neighbours(tmp_path: Path) -> None:
    """Two communities whose nodes' own words say little: sums over neighbours say which."""
    draw, nodes = np.random.default_rng(1), 240
    kind = np.arange(nodes) % 2
    same = kind[:, None] == kind[None, :]
    edges = undirected(sparse.csr_array((draw.random((nodes, nodes)) < np.where(same, 0.06, 0.005)).astype(float)))
    words = (draw.random((nodes, 12)) < np.where(kind[:, None] == (np.arange(12) % 2)[None], 0.3, 0.2)).astype(float)
    written(tmp_path, sparse.csr_array(np.eye(2)), "unrelated.npz")
    mmwrite(tmp_path / "town_graph.mtx", sparse.coo_array(edges))
    mmwrite(tmp_path / "town_features.mtx", sparse.coo_array(words))
    (tmp_path / "town_labels.txt").write_text("\n".join(map(str, kind)))
    (tmp_path / "town_test_index.txt").write_text("\n".join(map(str, range(140, nodes))))
    graph = citations(tmp_path, Matrix("town_graph", edges, "pattern", "made"))
    assert graph is not None
    rows = {row["system"]: row for row in layer(graph, ("right",), multiply)}
    assert (rows["exact"]["trained"], rows["exact"]["tested"]) == (40, 100)
    assert rows["exact"]["accuracy"] > rows["words alone, no neighbours"]["accuracy"] + 0.1
    assert rows["right"] | {"system": "exact"} == rows["exact"]
    (tmp_path / "town_labels.txt").write_text("0\nx\n")
    with pytest.raises(InputError, match=r"town_labels\.txt:2: a whole number from -1 to 1000000 \(got 'x'\)"):
        citations(tmp_path, Matrix("town_graph", edges, "pattern", "made"))


@pytest.mark.skipif(not MATRICES.is_dir(), reason="../shared/data/matrices is not here")
def test_citeseer_has_what_a_graph_network_needs() -> None:
    found = citations(MATRICES, read_matrix(MATRICES / "karate.mtx.gz"))
    assert found is not None
    assert (found.name, found.words.shape, found.test.size) == ("citeseer", (3327, 3703), 1000)
    assert set(found.words.data) == {1.0}


def test_tiny_run_through_the_command_line(tmp_path: Path) -> None:
    runner.run("spgemm_tiny", output=tmp_path / "run", sets=("evaluation.grid_bits=[]", "evaluation.shown=100"))
    run = load_run(tmp_path / "run")
    assert run.metric == "relative_error"
    page = html(tmp_path / "run")
    for head in ("Matrix on tiles", "Tiles beside the SMASH fabric", "Merging in the scratchpad", "Applications"):
        assert head in page
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert manifest["data"]["synthetic"] is True


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("%%MatrixMarket matrix coordinate real general\n3 3 2\n1 1 1.0\n4 1 2.0\n", ":4: row from 1 to 3 (got '4')"),
        ("%%MatrixMarket matrix coordinate real general\n3 3 2\n1 1 1.0\n", ":3: 2 entries, as announced"),
        ("%%MatrixMarket matrix coordinate real general\n3 3 1\n1 1 nan\n", ":3: "),
        ("%%MatrixMarket matrix coordinate complex general\n3 3 1\n1 1 1 0\n", ":1: pattern, integer, real"),
    ],
)
def test_a_broken_file_is_one_line_and_exit_code_2(
    text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "broken.mtx"
    file.write_text(text)
    monkeypatch.setattr(
        "sys.argv", ["mho", "run", "spgemm_tiny", "--quiet", "--data", str(file), "-o", str(tmp_path / "o")]
    )
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 2
    message = capsys.readouterr().err.strip()
    assert message.startswith(f"mho: {file}{said}")
    assert len(message.splitlines()) == 1
    assert not (tmp_path / "o").exists()


def test_a_product_too_large_is_refused_with_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(tmp_path, ring(300, 20))
    monkeypatch.setattr("workloads.spgemm.run.available_bytes", lambda: 100_000)
    with pytest.raises(InputError, match=r"m\.npz: the product's 24,300 entries take 0\.0 GB"):
        run(experiment(), RunOptions(data=file))


def test_what_experiments_may_not_say() -> None:
    one = SparseVariant(name="a", chip=replace(CHIP, device=Ideal()), default=True)
    with pytest.raises(ValueError, match="different names"):
        SparseProduct(variants=(one, one))
    with pytest.raises(ValueError, match="exactly one variant"):
        SparseProduct(variants=(replace(one, default=False),))
    with pytest.raises(ValueError, match="must rise from 0"):
        SparseEvaluation(times_s=(1.0,))
    with pytest.raises(InputError, match="--weights"):
        run(experiment(variants=(replace(one, chip=replace(CHIP, device=LogNormal())),)), RunOptions(weights=Path("w")))


@pytest.mark.parametrize(
    "dense",
    [
        np.eye(4),
        np.array([[1.0, 1.0], [-1.0, -1.0]]),
        np.array([[7.0]]),
        np.diag([1.0, 1e-69, 1e-310]),
        np.full((1, 300), 0.5),
    ],
    ids=["no edge but loops", "C = 0 by cancelling", "one entry", "values without weight", "one row"],
)
def test_odd_matrices_give_numbers_from_end_to_end(dense: np.ndarray, tmp_path: Path) -> None:
    how = experiment(
        applications=("triangles", "recommendation"),
        evaluation=SparseEvaluation(chips=1, grid_bits=(5,), grid_rows=(8,)),
        variants=(SparseVariant(name="ideal", chip=replace(CHIP, device=Ideal()), default=True),),
    )
    found = run(how, RunOptions(data=written(tmp_path, dense)))
    assert "NaN" not in json.dumps(found.metrics.quantised)
    for table in found.tables.values():
        numbers = table.select_dtypes("number").to_numpy(dtype=float)
        assert not np.isinf(numbers).any()
    assert not found.tables["accuracy"][["relative_error", "exact_share"]].isna().any(axis=None)


def test_a_key_that_moved_is_refused_with_its_new_place(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("extends: spgemm_tiny\nchip: {adc_swing_V: 0.5}\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"chip\.adc_swing_V: no such key.*; it is now front_end\.swing_V"):
        read(str(tmp_path / "a.yaml"), AnyExperiment)
