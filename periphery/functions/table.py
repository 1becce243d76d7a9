"""A function from a table: two columns ``x, y`` of a CSV file, straight lines between its points."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from devices import InputError
from periphery.functions.function import Function
from periphery.functions.library import from_callable


def from_csv(
    path: Path | str, *, name: str | None = None, turns: Sequence[float] = (), midtread: bool = False
) -> Function:
    """The function whose points a CSV file lists: input x, rising from line to line, and output y.

    A first line of words is a header; empty lines and lines that begin with ``#`` are skipped. Between points the
    function is a straight line, outside them it saturates. ``turns`` as in ``from_callable``; without it y must not
    turn. Raises InputError with ``file:line`` for every line that is not two numbers or whose x does not rise, and for
    the line where y turns, since there is no inverse.
    """
    file = Path(path)
    lines, x, y = _points(file)
    if not turns:
        _refuse_turns(file, lines, y)
    points_x, points_y = np.array(x), np.array(y)

    def f(z: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(np.interp(z.double().numpy(), points_x, points_y))

    return from_callable(name or file.stem, f, x[0], x[-1], turns=turns, midtread=midtread)


def _points(file: Path) -> tuple[list[int], list[float], list[float]]:
    lines: list[int] = []
    x: list[float] = []
    y: list[float] = []
    problems: list[str] = []
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise InputError(f"{file}: must be a CSV table of x and y ({reason})") from None
    for line, row in enumerate(csv.reader(text.splitlines()), start=1):
        cells = [cell.strip() for cell in row]
        if not any(cells) or cells[0].startswith("#"):
            continue
        numbers = [_number(cell) for cell in cells]
        if not lines and not problems and len(cells) == 2 and all(_is_word(cell) for cell in cells):
            continue
        if len(cells) != 2 or any(number is None for number in numbers):
            problems.append(f"{file}:{line}: must be two finite numbers, x and y (got {','.join(cells)})")
            continue
        if x and not numbers[0] > x[-1]:  # type: ignore[operator]
            problems.append(f"{file}:{line}: x must rise from line to line (got {cells[0]} after {x[-1]:g})")
            continue
        lines.append(line)
        x.append(numbers[0])  # type: ignore[arg-type]
        y.append(numbers[1])  # type: ignore[arg-type]
    if not problems and len(x) < 2:
        problems.append(f"{file}: must have at least two points (got {len(x)})")
    if problems:
        raise InputError(problems)
    return lines, x, y


def _is_word(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return True
    return False


def _number(cell: str) -> float | None:
    try:
        number = float(cell)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _refuse_turns(file: Path, lines: list[int], y: list[float]) -> None:
    direction = 0
    for line, before, after in zip(lines[1:], y[:-1], y[1:], strict=True):
        change = (after > before) - (after < before)
        if change * direction < 0:
            was, then = ("rises", "falls") if direction > 0 else ("falls", "rises")
            raise InputError(
                f"{file}:{line}: y must go one way (got {after:g} after {before:g}): it {was} before and {then} here, "
                "so an output has several inputs and no inverse; name the turning points in turns"
            )
        direction = direction or change
