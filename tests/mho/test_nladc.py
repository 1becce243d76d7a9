"""``mho show NLADC``: figures on standard output, a picture, and one clear message for what cannot be built."""

from __future__ import annotations

from pathlib import Path

import matplotlib.image
import pytest

from tests.mho.command import mho


def test_figures_and_picture_of_a_converter(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    picture = tmp_path / "gelu.png"
    arguments = ("NLADC", "--function", "gelu", "--bits", 5, "--device", "rram_taox", "--chips", 8, "--plot", picture)
    code, out, err = mho(capsys, "show", *arguments)
    assert (code, err) == (0, f"{picture}\n")
    lines = out.splitlines()
    assert lines[0] == "NLADC: gelu, 5-bit, uniform levels, cells rram_taox"
    assert lines[2] == "32 steps, 40 clocks, 38 cells, 0 steps lost"
    figures = {line[:38].strip(): [float(word) for word in line[38:].split()] for line in lines[4:]}
    assert len(figures) == 10
    assert 0 < figures["mean |INL| [LSB]"][0] < figures["mean |INL| before calibration [LSB]"][0] < 1
    assert figures["ENOB of the sine test [bit]"][0] == pytest.approx(5.0, abs=0.15)
    assert figures["missing codes"] == [0.0, 0.0]
    shape = matplotlib.image.imread(picture).shape
    assert shape[0] > 800
    assert shape[1] > 1200
    assert mho(capsys, "show", *arguments)[1] == out, "the same seed gives the same figures"


def test_a_table_a_range_samples_and_other_fields(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    table, inputs = tmp_path / "knee.csv", tmp_path / "inputs.txt"
    table.write_text("x,y\n-2,0\n0,0.5\n1,2\n", encoding="utf-8")
    inputs.write_text("\n".join(str(-1 + k / 50) for k in range(100)), encoding="utf-8")
    code, out, _ = mho(capsys, "show", "NLADC", "--function", table, "--bits", 4, "--chips", 2)
    assert (code, out.splitlines()[0]) == (0, "NLADC: knee, 4-bit, uniform levels, cells rram_taox")
    code, out, _ = mho(
        capsys, "show", "NLADC", "--function", "softplus", "--range", -2, 2, "--levels", "optimal", "--samples", inputs,
        "--bits", 3, "--chips", 2, "--set", "redundant_columns=2", "--set", "reorder=true", "--device", "pcm",
        "--time", 3600, "--recentre",
    )  # fmt: skip
    assert (code, out.splitlines()[0]) == (0, "NLADC: softplus, 3-bit, optimal levels, cells pcm")
    assert ", 21 cells, " in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--bits", "13"], "bits must be a whole number from 1 to 12 (got 13)"),
        (["--bits", "0"], "bits must be a whole number from 1 to 12 (got 0)"),
        (
            ["--function", "softplus", "--range", "4", "-4"],
            "function softplus: the range's low end must lie below its high end (got 4 to -4)",
        ),
        (
            ["--function", "softplux"],
            "function: must be one of sigmoid, tanh, identity, softplus, softsign, elu, selu, relu, hard_sigmoid, exp, "
            "sqrt, gelu, silu, gelu_tanh, mish, hard_swish, hard_tanh, relu6, leaky_relu, log_sigmoid (got softplux)",
        ),
        (["--levels", "optimal"], "levels: optimal needs samples of the inputs (got none)"),
        (["--levels", "best"], "--levels best: levels: must be one of uniform, optimal (got the text 'best')"),
        (
            ["--function", "identity", "--range", "nan", "1"],
            "--range: both ends must be finite numbers (got nan to 1)",
        ),
        (
            ["--function", "sqrt", "--range", "-1", "4"],
            "function sqrt: the range must lie within 0 to inf (got -1 to 4)",
        ),
        (["--chips", "0"], "--chips: must be a whole number from 1 to 4096 (got 0)"),
        (["--time", "-1"], "--time: must be finite and at least 0 s (got -1)"),
        (["--time", "inf"], "--time: must be finite and at least 0 s (got inf)"),
        (["--range", "-inf", "inf"], "--range: both ends must be finite numbers (got -inf to inf)"),
        (["--range", "0", "inf"], "--range: both ends must be finite numbers (got 0 to inf)"),
        (
            ["--set", "redundant_columns=99"],
            "--set redundant_columns=99: redundant_columns: must be a whole number from 1 to 64 (got 99)",
        ),
        (
            ["--set", "reorder=off"],
            "--set reorder=off: reorder: must be true or false (got the text 'off'); did you mean false?",
        ),
        (
            ["--set", "reorder"],
            "--set reorder: must be a path and a value, as in chip.bits=4 or variants[0].chip.bits=4",
        ),
        (["--set", "device=pcm"], "--set device: is what --device names"),
        (["--set", "device.kind=pcm"], "--set device: is what --device names"),
        (["--plot", "picture.xyz"], None),
    ],
)
def test_what_cannot_be_built_is_one_message(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: list[str], message: str | None
) -> None:
    code, out, err = mho(capsys, "show", "NLADC", "--chips", 2, *arguments)
    assert code == 2
    if message is None:
        assert err.startswith("mho: picture.xyz: the ending must be one of ")
    else:
        assert (out, err) == ("", f"mho: {message}\n")


def test_a_table_that_turns_has_no_inverse(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("0,0\n1,1\n2,0.5\n", encoding="utf-8")
    code, out, err = mho(capsys, "show", "NLADC", "--function", table)
    assert (code, out) == (2, "")
    assert err == (
        f"mho: {table}:3: y must go one way (got 0.5 after 1): it rises before and falls here, so an output has "
        "several inputs and no inverse; name the turning points in turns\n"
    )


def test_one_bit_of_one_chip_has_a_picture_too(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    picture = tmp_path / "one.png"
    code, out, _ = mho(capsys, "show", "NLADC", "--function", "relu", "--bits", 1, "--chips", 1, "--plot", picture)
    assert code == 0
    assert out.splitlines()[2:4] == [
        "1 step, 1 clock, 7 cells, 1 step lost",
        f"{'1 chip':38}{'mean':>10} {'worst':>10}",
    ]
    assert picture.stat().st_size > 10_000


def test_an_unsorted_table_is_named_with_its_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("0,0\n2,1\n1,2\n", encoding="utf-8")
    code, _, err = mho(capsys, "show", "NLADC", "--function", table)
    assert (code, err) == (2, f"mho: {table}:3: x must rise from line to line (got 1 after 2)\n")


def test_options_of_the_converter_beside_another_record_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = mho(capsys, "show", "rram_taox", "--bits", 3)
    assert (code, err) == (2, "mho: --bits: belongs to mho show NLADC (got it beside rram_taox)\n")
