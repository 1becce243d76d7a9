"""Tables of text: separators and decimal commas of any spreadsheet, and faults with their lines."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from configs.errors import InputError
from configs.text_tables import LONGEST_FIELD, number_of, read_rows


def written(folder: Path, data: bytes) -> Path:
    (folder / "t.csv").write_bytes(data)
    return folder / "t.csv"


@pytest.mark.parametrize(
    ("text", "mark"),
    [("x,y\n1.5,2\n", ","), ("x;y\n1,5;2\n", ";"), ("x\ty\n1,5\t2\n", "\t"), ("x;y\r\n1.5;2\r\n", ";")],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_separators_decimal_commas_and_encodings_give_the_same_numbers(
    tmp_path: Path, text: str, mark: str, encoding: str
) -> None:
    _, found, rows = read_rows(written(tmp_path, text.encode(encoding)))
    assert found == mark
    assert [number for number, _ in rows] == [1, 2]
    assert rows[0][1] == ["x", "y"]
    assert [number_of(field, mark) for field in rows[1][1]] == [1.5, 2.0]


@pytest.mark.parametrize("field", ["1_0", "١", "0x10", "1,5", "nan", "inf", "Infinity", "1e", "", "True", "1 2", "--1"])
def test_what_is_no_number_in_ascii_is_none(field: str) -> None:
    assert math.isnan(number_of(field, ","))


def test_a_thousands_separator_is_no_decimal_comma() -> None:
    assert math.isnan(number_of("1.000,5", ";"))
    assert math.isnan(number_of("1,000,5", ";"))
    assert number_of("-1,5e-3", ";") == -1.5e-3


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"x,y\n1,\xff\n", r"t\.csv:2: must be text in UTF-8 \(got the byte 0xff\)$"),
        (b"x,y\n1,2\n3,\0\n", r"t\.csv:3: must be text \(got a byte of 0\)$"),
        (b"x,y\n" + b"1" * 200_000 + b",1\n", r"t\.csv:2: must be a line of a table \(field larger than field limit"),
        (b"x,y\n" + b"1" * 2_000 + b",1\n", rf"t\.csv:2: a field has at most {LONGEST_FIELD} characters \(got 2000\)$"),
    ],
)
def test_a_fault_is_named_with_its_line(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_rows(written(tmp_path, data))


def test_empty_lines_and_comments_keep_the_numbers_of_the_lines(tmp_path: Path) -> None:
    _, mark, rows = read_rows(written(tmp_path, b"# by hand\n\n x , y \n\n1,2\n"))
    assert (mark, rows) == (",", [(3, ["x", "y"]), (5, ["1", "2"])])
