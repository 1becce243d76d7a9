"""The sweeps that ship with mho: each reads and previews, and the tables of docs/studies are what they would make."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest

from devices import InputError
from mho.listings import records
from mho.sweep.command import preview, sweep
from mho.sweep.export import cell
from mho.sweep.study import Study
from mho.sweep.template import VARIANT

DOCS = Path(__file__).resolve().parents[3] / "docs"
NAMES = sorted(records("sweeps"))
STUDIED = sorted(path.stem for path in (DOCS / "studies").glob("*.csv"))


def test_the_six_studies_ship() -> None:
    wanted = {
        *("energy_bits_node", "kws_drift_year", "kws_spread_bits"),
        *("kws_tile_wires", "liquid_size", "sparse_tiling"),
    }
    assert wanted <= set(NAMES)
    assert wanted <= set(STUDIED)


@pytest.mark.parametrize("name", NAMES)
def test_every_shipped_sweep_previews_and_writes_nothing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mho.sweep.estimate.seconds", lambda study, points: (None, "not asked"))
    said = preview(name)
    points = Study(name).points
    assert f"{len(points)} points" in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_sweep_says_what_it_is_for_and_whether_its_data_are_synthetic(name: str) -> None:
    study = Study(name)
    assert len(study.sheet.sweep.description) > 40
    wanted = study.sheet.sweep.outputs
    assert not wanted or study.kind == "nladc" or "synthetic" in wanted


@pytest.mark.parametrize("name", STUDIED)
def test_a_committed_table_is_that_of_its_sweep(name: str) -> None:
    """Same columns, same points in the same order, all of them done, none of them on synthetic data."""
    study = Study(name)
    frame = pd.read_csv(DOCS / "studies" / f"{name}.csv")
    axes = [path for dimension in study.plan.dimensions for path in dimension.paths]
    axes = [*([VARIANT] if study.sheet.sweep.variants else []), *axes]
    assert list(frame) == [*axes, *study.sheet.sweep.outputs, "state", "error"]
    assert len(frame) == len(study.plan.points)
    for row, point in zip(frame.to_dict("records"), study.plan.points, strict=True):
        held = dict(point.coordinates)
        for path in axes:
            wanted, found = cell(held.get(path)), row[path]
            missing = found is None or (isinstance(found, float) and math.isnan(found))
            assert missing if wanted is None else found == wanted, (path, wanted, found)
    assert set(frame["state"]) == {"done"}
    if "synthetic" in frame:
        assert set(frame["synthetic"]) == {0}
    text = (DOCS / "studies.md").read_text(encoding="utf-8")
    assert f"mho sweep {name}" in text
    assert f"studies/{name}.svg" in text
    assert (DOCS / "studies" / f"{name}.svg").stat().st_size < 150_000


def test_sparse_points_count_tiles_and_own_to_a_random_graph(tmp_path: Path) -> None:
    file = tmp_path / "sparse.yaml"
    file.write_text(
        "base: {extends: spgemm_tiny, applications: []}\n"
        "axes: {data.graph: [{kind: rmat, scale: 6}, {kind: erdos_renyi, rows: 64}], chip.rows: [16, 32]}\n"
        "times_s: [0.0]\n"
        "outputs: [tiles, utilisation, activations, relative_error, relative_error_std, energy_J, synthetic]\n",
        encoding="utf-8",
    )
    table = sweep(str(file), output=tmp_path / "out").table
    assert set(table["state"]) == {"done"}
    assert set(table["synthetic"]) == {1}
    few, many = (table[table["chip.rows"] == rows].tiles.to_numpy() for rows in (32, 16))
    assert (many > few).all()
    assert table["energy_J"].nunique() == 4


def test_a_sparse_sweep_over_names_refuses_a_single_file(tmp_path: Path) -> None:
    matrix = tmp_path / "one.mtx"
    matrix.write_text("%%MatrixMarket matrix coordinate pattern general\n2 2 2\n1 2\n2 1\n", encoding="utf-8")
    file = tmp_path / "sparse.yaml"
    file.write_text(
        "base: {extends: spgemm_tiny, applications: []}\naxes: {data.names: [[one], [other]]}\ntimes_s: [0.0]\n",
        encoding="utf-8",
    )
    with pytest.raises(InputError, match=r"data\.names: --data is the one file one\.mtx, .* \(got other\)"):
        sweep(str(file), output=tmp_path / "out", data=matrix)
