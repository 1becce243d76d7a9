"""Tables of numbers as text: which character separates the columns, whether decimals have a comma, where a fault is.

Spreadsheets write what the user's language asks for: ``1.5,2`` or ``1,5;2`` or tabs. The separator is the tab, the
semicolon or the comma, the first of them that the first line has; where it is no comma, a number may have a decimal
comma, but a table has decimal points or decimal commas, not both. No other sign is read: no thousands separator, no
underscore, no digit outside of ASCII.
"""

from __future__ import annotations

import codecs
import csv
import math
import re
from collections.abc import Iterator
from pathlib import Path

from configs.bounded import read_file
from configs.errors import InputError

LARGEST_TABLE_BYTES = 64 << 20
LONGEST_FIELD = 1000
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def decoded(data: bytes, name: str) -> str:
    """``data`` as text in UTF-8, or in UTF-16 where a byte order mark says so; InputError for anything else."""
    mark, encoding = next(((mark, encoding) for mark, encoding in _MARKS if data.startswith(mark)), (b"", "utf-8"))
    try:
        text = data[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        line = 1 + data.count(b"\n", 0, error.start)
        raise InputError(
            f"{name}:{line}: must be text in UTF-8 (got the byte {error.object[error.start]:#04x})"
        ) from None
    if "\0" in text:
        raise InputError(f"{name}:{1 + text.count(chr(10), 0, text.index(chr(0)))}: must be text (got a byte of 0)")
    return text


def separator_of(line: str) -> str:
    """The character between the columns, taken from the first line of a table."""
    return next((mark for mark in ("\t", ";") if mark in line), ",")


def read_rows(path: Path | str, *, most: int = LARGEST_TABLE_BYTES) -> tuple[bytes, str, list[tuple[int, list[str]]]]:
    """The bytes of a table, its separator, and the fields of every line with the line's number.

    Empty lines and lines that begin with # are passed over, and a field has no space at its ends. Raises InputError
    for a file that cannot be read, is too large or no text, and for a field that is too long.
    """
    name = str(path)
    data = read_file(path, most=most)
    lines = [
        (number, line) for number, line in enumerate(re.split(r"\r\n|\r|\n", decoded(data, name)), 1) if line.strip()
    ]
    lines = [(number, line) for number, line in lines if not line.lstrip().startswith("#")]
    mark = separator_of(lines[0][1]) if lines else ","
    return data, mark, list(_split(name, mark, lines))


def _split(name: str, mark: str, lines: list[tuple[int, str]]) -> Iterator[tuple[int, list[str]]]:
    for number, line in lines:
        try:
            fields = [field.strip() for field in next(csv.reader([line], delimiter=mark))]
        except csv.Error as error:
            raise InputError(f"{name}:{number}: must be a line of a table ({error})") from None
        if max(map(len, fields)) > LONGEST_FIELD:
            longest = max(map(len, fields))
            raise InputError(f"{name}:{number}: a field has at most {LONGEST_FIELD} characters (got {longest})")
        yield number, fields


def number_of(field: str, separator: str) -> float:
    """A field as a number, its decimal comma read where commas separate no columns; NaN for what is no number."""
    if separator != "," and field.count(",") == 1 and "." not in field:
        field = field.replace(",", ".")
    return float(field) if _NUMBER.fullmatch(field) else math.nan
