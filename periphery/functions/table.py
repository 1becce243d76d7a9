"""A function from a table: two columns ``x, y`` of a CSV file, straight lines between its points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from configs.text_tables import number_of, read_rows
from devices import InputError
from periphery.functions.function import Function
from periphery.functions.library import from_callable

LARGEST_TABLE_BYTES = 16 << 20
LARGEST_NUMBER = 1e30
PROBLEMS_SHOWN = 20


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
        return torch.from_numpy(np.interp(z.double().cpu().numpy(), points_x, points_y)).to(z.device)

    return from_callable(name or file.stem, f, x[0], x[-1], turns=turns, midtread=midtread)


def _points(file: Path) -> tuple[list[int], list[float], list[float]]:
    lines: list[int] = []
    x: list[float] = []
    y: list[float] = []
    problems: list[str] = []
    _, mark, rows = read_rows(file, most=LARGEST_TABLE_BYTES)
    for line, cells in rows:
        if not any(cells):
            continue
        numbers = [_number(cell, mark) for cell in cells]
        if not lines and not problems and len(cells) == 2 and all(_is_word(cell) for cell in cells):
            continue
        if len(cells) != 2 or any(number is None for number in numbers):
            large = any(LARGEST_NUMBER < abs(number_of(cell, mark)) < math.inf for cell in cells)
            allowed = f", of at most {LARGEST_NUMBER:g}" if large else ""
            got = ",".join(cells)[:80]
            problems.append(f"{file}:{line}: must be two finite numbers, x and y{allowed} (got {got})")
            continue
        if x and not numbers[0] > x[-1]:  # type: ignore[operator]
            problems.append(f"{file}:{line}: x must rise from line to line (got {cells[0]} after {x[-1]:g})")
            continue
        lines.append(line)
        x.append(numbers[0])  # type: ignore[arg-type]
        y.append(numbers[1])  # type: ignore[arg-type]
    if not problems and len(x) < 2:
        problems.append(f"{file}: must have at least two points (got {len(x)})")
    if len(problems) > PROBLEMS_SHOWN:
        problems = [*problems[:PROBLEMS_SHOWN], f"{file}: {len(problems) - PROBLEMS_SHOWN} more lines are bad so"]
    if problems:
        raise InputError(problems)
    return lines, x, y


def _is_word(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return True
    return False


def _number(cell: str, mark: str) -> float | None:
    number = number_of(cell, mark)
    return number if abs(number) <= LARGEST_NUMBER else None


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
