"""Measured tables: their moments come back, nothing outside them is made up, and errors in a file name its line."""

from __future__ import annotations

import math
import os
import xml.etree.ElementTree as ET
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from scipy import stats

from devices import ChipStreams, InputError, Measured, Stream
from devices.effects import ConductanceSpread
from devices.measured_csv import read_measurements

ROOT = Path(__file__).parents[2]
HONG_CSV = ROOT / "tests" / "reference" / "hong2025_3c.csv"
WORKBOOK = ROOT.parent / "shared" / "data" / "devices" / "readc" / "SourceData_Fig_3.xlsx"
SAMPLES = 1_000_000
TWO_LEVELS = {"g_min_S": 10e-6, "g_max_S": 20e-6, "target_S": (10e-6, 20e-6)}


def table(**fields: object) -> Measured:
    """Two levels at three times: the mean sinks by 1 uS, the spread grows."""
    three = {
        **TWO_LEVELS,
        "t_s": (0.0, 10.0, 1000.0),
        "mean_S": ((10e-6, 20e-6), (9.5e-6, 19.5e-6), (9e-6, 19e-6)),
        "sigma_S": ((0.1e-6, 0.2e-6), (0.2e-6, 0.3e-6), (0.3e-6, 0.5e-6)),
    }
    return Measured(**{**three, **fields})  # type: ignore[arg-type]


def cells_at(device: Measured, target_S: float, times_s: tuple[float, ...], samples: int = SAMPLES) -> torch.Tensor:
    target = torch.full((1, samples), target_S, dtype=torch.float64)
    cells = device.program(target, rng=ChipStreams.of(Stream.root(1), 1))
    return torch.stack([device.conductance_S(cells, t)[0] for t in times_s])


def assert_moments(g_S: torch.Tensor, mean_S: float, sigma_S: float) -> None:
    assert float(g_S.mean()) == pytest.approx(mean_S, abs=4 * sigma_S / math.sqrt(len(g_S)))
    assert float(g_S.std()) == pytest.approx(sigma_S, rel=0.01)


@pytest.mark.parametrize("shape", ["normal", "window"])
@pytest.mark.parametrize(
    ("target_uS", "mean_uS", "sigma_uS"),
    [(100.0, 100.080, 2.417), (175.0, 174.819, 2.8115), (330.0, 329.4882, 2.7014), (400.0, 399.382, 2.844)],
)
def test_moments_are_those_of_the_table_and_of_straight_lines_between_levels(
    shape: str, target_uS: float, mean_uS: float, sigma_uS: float
) -> None:
    g = cells_at(Measured(shape=shape), target_uS * 1e-6, (0.0,))[0]  # type: ignore[arg-type]
    assert_moments(g, mean_uS * 1e-6, sigma_uS * 1e-6)
    kurtosis = float(stats.kurtosis(g.numpy()))
    assert kurtosis == pytest.approx(-1.2 if shape == "window" else 0.0, abs=0.03)
    if shape == "window":
        assert float((g - mean_uS * 1e-6).abs().max()) <= math.sqrt(3) * sigma_uS * 1.0001e-6


@pytest.mark.parametrize("correlation", [1.0, 0.6, 0.0])
def test_moments_at_and_between_times_whatever_the_coupling(correlation: float) -> None:
    halfway = 10.0 * math.expm1(0.5 * (math.log1p(1.0) + math.log1p(100.0)))
    at = cells_at(table(correlation=correlation), 15e-6, (0.0, 10.0, halfway, 1000.0))
    for g, mean, sigma in zip(at, (15e-6, 14.5e-6, 14.25e-6, 14e-6), (0.15e-6, 0.25e-6, 0.325e-6, 0.4e-6), strict=True):
        assert_moments(g, mean, sigma)
    found = torch.corrcoef(at)
    assert float(found[0, 1]) == pytest.approx(correlation, abs=0.005)
    assert float(found[1, 3]) == pytest.approx(correlation, abs=0.005)
    assert float(found[0, 3]) == pytest.approx(correlation**2, abs=0.005)


def test_rank_is_kept_at_full_correlation() -> None:
    first, last = cells_at(table(), 12e-6, (0.0, 500.0), 1000)
    assert torch.equal(first.argsort(), last.argsort())


def test_until_the_first_time_a_cell_is_as_programmed_and_after_the_last_nothing_is_known() -> None:
    late = table(t_s=(1.0, 10.0, 1000.0))
    before, first = cells_at(late, 12e-6, (0.0, 1.0), 100)
    assert torch.equal(before, first)
    with pytest.raises(ValueError) as caught:
        cells_at(late, 12e-6, (1001.0,), 10)
    assert str(caught.value) == (
        "t_s must be at most 1000 s, the last time of the table; beyond: hold keeps its distribution from there on "
        "(got 1001 s)"
    )
    end, later = cells_at(table(beyond="hold"), 12e-6, (1000.0, 1e6), 100)
    assert torch.equal(end, later)


def test_one_moment_says_nothing_about_retention_so_that_cells_stay() -> None:
    start, later = cells_at(Measured(), 200e-6, (0.0, 1e9), 100)
    assert torch.equal(start, later)
    assert not Measured().drifts
    assert table().drifts


def test_spread_of_cells_comes_on_top_of_the_table() -> None:
    g = cells_at(Measured(effects=(ConductanceSpread(device_sd=0.05),)), 200e-6, (0.0,), 200_000)[0]
    assert float(g.std()) == pytest.approx(math.hypot(2.979e-6, 0.05 * 199.401e-6), rel=0.01)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"target_S": (20e-6, 10e-6)}, "target_S must hold at least two levels, each above the one before"),
        ({"target_S": (10e-6,)}, "target_S must hold at least two levels, each above the one before"),
        (
            {"mean_S": ((10e-6, 20e-6),)},
            "mean_S must hold 3 rows of 2 numbers, one row a time and one number a level (got rows of [2])",
        ),
        ({"t_s": (0.0, 10.0, 10.0)}, "t_s must be empty or hold at least two times, each after the one before"),
        ({"g_max_S": 21e-6}, "g_min_S and g_max_S must lie within the levels, 1e-05 to 2e-05 S"),
    ],
)
def test_impossible_tables_are_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        table(**fields)
    assert str(caught.value) == message


def write(folder: Path, text: str) -> Path:
    path = folder / "m.csv"
    path.write_text(text)
    return path


def test_samples_in_microsiemens_become_a_table(tmp_path: Path) -> None:
    text = "# two levels\nmeasured_uS, target_uS\n9,10\n11,10\n\n21,20\n23,20\n"
    device = Measured.from_csv(write(tmp_path, text), read_noise_S=0.1e-6)
    assert device.target_S == (10e-6, 20e-6)
    np.testing.assert_allclose(device.mean_S, [[10e-6, 22e-6]], rtol=1e-12)
    np.testing.assert_allclose(device.sigma_S, [[math.sqrt(2) * 1e-6, math.sqrt(2) * 1e-6]], rtol=1e-12)
    assert (device.g_min_S, device.g_max_S, device.read_noise_S, device.status) == (10e-6, 20e-6, 0.1e-6, "fitted")
    assert device.source.startswith("table of m.csv (4 samples, SHA-256 ")


def test_summary_with_times_becomes_a_table(tmp_path: Path) -> None:
    lines = ["t_s,target_S,mean_S,sigma_S,count", "0,1e-5,1e-5,1e-7,9", "0,2e-5,2e-5,2e-7,9"]
    lines += ["60,1e-5,9e-6,1e-7,9", "60,2e-5,1.9e-5,3e-7,8"]
    found = read_measurements(write(tmp_path, "\n".join(lines))).table()
    assert found.t_s == (0.0, 60.0)
    assert found.sigma_S == ((1e-7, 2e-7), (1e-7, 3e-7))
    assert found.count == ((9, 9), (9, 8))


def test_cells_that_were_followed_give_their_correlation(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    first = draw.standard_normal((2, 4000))
    second = 0.7 * first + math.sqrt(1 - 0.49) * draw.standard_normal((2, 4000))
    lines = ["target_uS,t_s,cell,measured_uS"]
    for level, target in enumerate((50.0, 80.0)):
        for t, score in ((1.0, first), (9.0, second)):
            lines += [f"{target},{t},{number},{target + z:.6f}" for number, z in enumerate(score[level])]
    device = Measured.from_csv(write(tmp_path, "\n".join(lines)))
    assert device.correlation == pytest.approx(0.7, abs=0.02)


HEAD = "target_S,measured_S\n"
SUMMARY = "target_S,mean_S,sigma_S\n"
SAMPLE_COLUMNS = "must have the columns target_S, measured_S, and may have t_s and cell"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ": must begin with a line that names its columns (got an empty file)"),
        ("# nothing\n\n", ": must begin with a line that names its columns (got an empty file)"),
        ("target_S,g\n1,1\n", f":1: {SAMPLE_COLUMNS} (got no measured_S: target_S, g)"),
        (
            "target_S,mean_S\n1,1\n",
            ":1: must have the columns target_S, mean_S, sigma_S, and may have t_s and count (got no sigma_S: "
            "target_S, mean_S)",
        ),
        ("target_S,measured_S,temp\n", f":1: {SAMPLE_COLUMNS} (got temp)"),
        ("target_S,measured_S,target_uS\n", ":1: must name each column once (got target_S, target_uS)"),
        (HEAD, ":1: must be followed by measurements (got none)"),
        (HEAD + "1e-5,nan\n", ":2: measured_S must be a conductance from -1 to 1 S (got nan)"),
        (HEAD + "1e-5,1e-5\n1e-5,\n", ":3: measured_S must be a conductance from -1 to 1 S (got nothing)"),
        (HEAD + "1e-5,ten\n", ":2: measured_S must be a conductance from -1 to 1 S (got ten)"),
        (HEAD + "1e-5,-1.5\n", ":2: measured_S must be a conductance from -1 to 1 S (got -1.5)"),
        (HEAD + "-1e-5,1e-5\n", ":2: target_S must be a conductance from 0 to 1 S (got -1e-5)"),
        (
            HEAD + "1e-5,12\n",
            ":2: measured_S must be a conductance from -1 to 1 S (got 12); is the column in uS? then name it _uS",
        ),
        (HEAD + "1e-5,1e-5,1e-5\n", ":2: must have 2 fields (got 3)"),
        ("target_S,measured_S,t_s\n1e-5,1e-5,-1\n", ":2: t_s must be a number of seconds, at least 0 (got -1)"),
        (HEAD + "1e-5,1e-5\n1e-5,2e-5\n", ": target_S must have at least two levels (got 1)"),
        (HEAD + "1e-5,1e-5\n2e-5,1e-5\n2e-5,2e-5\n", ": level 1e-05 S must have at least two samples (got 1)"),
        (
            SUMMARY + "2e-5,2e-5,1e-6\n1e-5,1e-5,1e-6\n",
            ":3: levels must rise within a time, and times rise (got 1e-05 S, which comes after a larger one)",
        ),
        (
            SUMMARY + "1e-5,2e-5,1e-6\n1e-5,1e-5,1e-6\n",
            ":3: levels must rise within a time, and times rise (got 1e-05 S, which is there already)",
        ),
        (
            "target_S,mean_S,sigma_S,t_s\n1e-5,1e-5,1e-6,0\n2e-5,1e-5,1e-6,0\n1e-5,1e-5,1e-6,9\n",
            ": level 2e-05 S at 9 s must have a line: every level is measured at every time (got none)",
        ),
        (
            "target_S,mean_S,sigma_S,count\n1e-5,1e-5,1e-6,1.5\n",
            ":2: count must be a whole number from 2 to 1,000,000,000 (got 1.5)",
        ),
    ],
)
def test_a_bad_file_is_told_its_line_and_what_is_allowed(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(InputError) as caught:
        Measured.from_csv(path)
    assert caught.value.problems == (f"{path}{message}",)


def test_every_bad_line_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_measurements(write(tmp_path, HEAD + "1e-5,x\n1e-5,1e-5\n1e-5,inf\n"))
    assert [problem.split(":")[1] for problem in caught.value.problems] == ["2", "4"]


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.csv: no such file$"):
        read_measurements(tmp_path / "none.csv")
    (tmp_path / "b.csv").write_bytes(b"target_S\xff\n")
    with pytest.raises(InputError, match=r"b\.csv:1: must be text in UTF-8 \(got the byte 0xff\)$"):
        read_measurements(tmp_path / "b.csv")


def test_record_of_hong_holds_the_moments_of_the_published_samples() -> None:
    record = yaml.safe_load((ROOT / "configs" / "devices" / "measured_hong.yaml").read_text(encoding="utf-8"))
    found = Measured.from_csv(HONG_CSV)
    for values in (record, {key: getattr(Measured(), key) for key in ("target_S", "mean_S", "sigma_S")}):
        for key in ("target_S", "mean_S", "sigma_S"):
            np.testing.assert_allclose(np.array(values[key], float), getattr(found, key), atol=0.0006e-6)


@pytest.mark.skipif(not WORKBOOK.is_file(), reason="the published workbook is not beside the checkout")
def test_reference_samples_are_those_of_the_published_workbook() -> None:
    sheet = ET.fromstring(zipfile.ZipFile(WORKBOOK).read("xl/worksheets/sheet2.xml"))
    main = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
    rows = [[float(str(cell.findtext(f"{main}v"))) for cell in row] for row in list(sheet.iter(f"{main}row"))[1:]]
    found = read_measurements(HONG_CSV)
    assert found.measured_S is not None
    np.testing.assert_allclose(found.measured_S.reshape(7, 64).T * 1e6, rows, rtol=1e-5)


CASES = ROOT.parent / "shared" / "cases" / "measured"
needs_cases = pytest.mark.skipif(not CASES.is_dir(), reason="../shared/cases is not here")


@needs_cases
@pytest.mark.parametrize("name", ["semicolon", "semicomma", "tab"])
def test_any_dialect_of_a_spreadsheet_gives_the_same_table(name: str) -> None:
    found = read_measurements(CASES / f"{name}.csv")
    assert found.notes == ()
    assert found.table().target_S == (2e-5, 5e-5, 1e-4, 1.5e-4)
    np.testing.assert_allclose(found.table().mean_S[0], [2.005e-5, 4.973e-5, 1.000e-4, 1.499e-4], rtol=1e-3)


@needs_cases
def test_resistances_become_conductances_one_by_one() -> None:
    found = read_measurements(CASES / "ohm.csv")
    assert found.notes == ("Resistances were turned into conductances one by one, G = 1 / R.",)
    np.testing.assert_allclose(found.table().target_S, [2e-5, 5e-5, 1e-4, 1.5e-4], rtol=1e-6)
    same = read_measurements(CASES / "semicolon.csv").table()
    np.testing.assert_allclose(found.table().mean_S, same.mean_S, rtol=1e-6)


@needs_cases
def test_readings_below_zero_are_kept_with_a_note() -> None:
    found = read_measurements(CASES / "neg.csv")
    assert found.notes[0].startswith("193 of 800 readings are below zero, down to -1.22e-05 S")
    assert found.table().mean_S[0][0] == pytest.approx(-4.954e-6, rel=1e-3)
    device = Measured.from_csv(CASES / "neg.csv")
    assert device.mean_S[0][0] == 0.0
    assert "193 of 800 readings are below zero" in device.source


@needs_cases
def test_times_that_jitter_are_taken_as_moments_by_a_stated_tolerance() -> None:
    found = read_measurements(CASES / "times_jitter.csv")
    table = found.table()
    assert table.t_s == (0.236062, 10.2467, 1000.25)
    assert table.count == ((50,) * 4,) * 3
    assert "569 of them were taken as 3 moments, those within 10% or 1 s of the first" in found.notes[0]


def test_exact_times_are_left_as_they_are(tmp_path: Path) -> None:
    lines = ["target_S,measured_S,t_s"]
    lines += [f"{g}e-5,{g}.{n}e-5,{t}" for t in (0, 0.5, 0.6, 1000) for g in (1, 2) for n in (0, 1)]
    found = read_measurements(write(tmp_path, "\n".join(lines)))
    assert (found.table().t_s, found.notes) == ((0.0, 0.5, 0.6, 1000.0), ())


def test_microseconds_are_not_one_moment(tmp_path: Path) -> None:
    lines = ["target_S,measured_S,t_s"]
    lines += [f"{g}e-5,{g}.{n}e-5,{t + n * 1e-9}" for t in (1e-6, 1e-3) for g in (1, 2) for n in (0, 1)]
    assert len(read_measurements(write(tmp_path, "\n".join(lines))).table().t_s) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "target_S,mean_S,sigma_S,count\n1e-5,1e-5,1e-6,nan\n",
            ":2: count must be a whole number from 2 to 1,000,000,000",
        ),
        ("target_S,mean_S,sigma_S,count\n1e-5,1e-5,1e-6,1e30\n", ":2: count must be a whole number from 2 to 1,0"),
        (HEAD + "1" * 200_000 + ",1\n", ":2: must be a line of a table (field larger than field limit (131072))"),
        (HEAD + "1_0e-6,1e-5\n", ":2: target_S must be a conductance from 0 to 1 S (got 1_0e-6)"),
        (HEAD + "١e-5,1e-5\n", ":2: target_S must be a conductance from 0 to 1 S (got ١e-5)"),
        (HEAD + "infinity,1e-5\n", ":2: target_S must be a conductance from 0 to 1 S (got infinity)"),
        ("target_ohm,measured_ohm\n1e4,0\n", ":2: measured_S must be a resistance of at least 1 ohm (got 0)"),
        (
            "target_ohm,measured_ohm\n1e4,0.5\n",
            ":2: measured_S must be a resistance of at least 1 ohm (got 0.5); is the column in kohm? then name",
        ),
        (
            "target_ohm,mean_ohm,sigma_ohm\n1e4,1e4,1\n",
            ":1: must have mean and spread in siemens, since",
        ),
        ("target_S;measured_S\n1.000,5;1\n", ":2: target_S must be a conductance from 0 to 1 S (got 1.000,5)"),
    ],
)
def test_numbers_that_are_none_are_refused_with_their_line(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(InputError) as caught:
        read_measurements(path)
    assert caught.value.problems[0].startswith(f"{path}{message}")


def test_bad_lines_beyond_twenty_are_a_count(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_measurements(write(tmp_path, HEAD + "x,y\n" * 60_000))
    assert len(caught.value.problems) == 21
    assert caught.value.problems[-1].endswith("119980 more lines are bad so")


def test_a_pipe_or_a_device_is_no_table(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    for path, text in (
        (tmp_path / "pipe.csv", "a named pipe"),
        (Path("/dev/zero"), "a device"),
        (tmp_path, "a folder"),
    ):
        with pytest.raises(InputError, match=text):
            read_measurements(path)


def test_cells_that_are_repeated_are_not_followed(tmp_path: Path) -> None:
    lines = ["target_S,measured_S,cell,t_s"]
    lines += [f"{g}e-5,{g}.{c}e-5,0,{100 * k}" for g in (1, 2) for c in range(8) for k in range(3)]
    found = read_measurements(write(tmp_path, "\n".join(lines)))
    assert found.table().correlation is None
    assert found.notes == ("42 lines repeat a cell at the same level and time: cells are not followed over time.",)
