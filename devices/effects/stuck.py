"""Cells that do not work: stuck at a low or at a high conductance."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
import torch
from annotated_types import Ge, Interval

from configs.bounded import one_sentence, read_file
from configs.errors import InputError
from configs.text_tables import number_of, read_rows
from devices.effects.effect import Draws, Effect, Faults, Window

LARGEST_MAP_BYTES = 256 << 20


@dataclass(frozen=True, kw_only=True)
class Stuck(Effect):
    """Cells that keep one conductance whatever is programmed, drawn by rate or given by a measured map.

    A map is a CSV file or a ``.npy`` array of -1 (stuck off), 0 (works) and 1 (stuck on), of the shape of the array on
    every chip; leading dimensions, such as the two planes of a differential pair, may be stacked as rows. A map of more
    rows and columns is that of a larger array, of which the first ones are used. It is the same on every chip, and
    rates come on top of it: a cell that works in the map may still be drawn. A stuck cell does not age; temperature
    moves the current of a stuck-on cell as that of any other conductor.

    Parameters
    ----------
    off_rate, on_rate : share of cells stuck off and stuck on [1]
    map_file : path of a map, relative to the working directory, or none
    off_S : conductance of cells stuck off [S]
    on_S : conductance of cells stuck on, ``g_max_S`` of the device where not given [S]
    """

    kind: Literal["stuck"] = "stuck"
    stage: ClassVar[str] = "fault"
    once: ClassVar[bool] = False

    off_rate: Annotated[float, Interval(ge=0.0, le=1.0)] = 0.0
    on_rate: Annotated[float, Interval(ge=0.0, le=1.0)] = 0.0
    map_file: str | None = None
    off_S: Annotated[float, Ge(0.0)] = 0.0
    on_S: Annotated[float, Ge(0.0)] | None = None

    def __post_init__(self) -> None:
        if self.off_rate + self.on_rate > 1.0:
            raise ValueError(f"off_rate + on_rate must not exceed 1 (got {self.off_rate:g} + {self.on_rate:g})")

    def stream(self, number: int) -> tuple[str | int, ...]:
        """The first has the stream that devices drew defects from before this was an effect: cells stay the same."""
        return super().stream(number) if number else ("stuck",)

    def check(self, window: Window) -> None:
        """Stuck on must conduct better than stuck off."""
        on_S = window.g_max_S if self.on_S is None else self.on_S
        if on_S <= self.off_S:
            raise ValueError(f"off_S must lie below on_S = {on_S:g} S (got {self.off_S:g} S)")

    def faults(self, target_S: torch.Tensor, window: Window, *, draws: Draws) -> Faults:
        """The cells that do not work, by rate and by map; raises InputError for a map that does not fit."""
        shape = target_S.shape[1:]
        draw = draws.identity.uniform_like(target_S)
        on, off = draw >= 1.0 - self.on_rate, draw < self.off_rate
        if self.map_file is not None:
            mapped = read_map(self.map_file, tuple(shape)).to(target_S.device)
            on, off = torch.where(mapped == 0, on, mapped > 0), torch.where(mapped == 0, off, mapped < 0)
        on_S = window.g_max_S if self.on_S is None else self.on_S
        stuck_S = torch.where(on, target_S.new_tensor(on_S), target_S.new_tensor(self.off_S))
        return Faults(on | off, stuck_S, off & ~on)


def read_map(file: str, shape: tuple[int, ...]) -> torch.Tensor:
    """A map of stuck cells of the given shape, as -1, 0 and 1: the first rows and columns of the file.

    Raises InputError where the file cannot be read, has anything else, or has another shape.
    """
    name = Path(file).name
    values = _npy(file) if file.lower().endswith(".npy") else _csv(file)
    planes = int(np.prod(shape[:-2]))
    found = values
    if values.ndim == 2 and len(shape) > 2 and len(values) % planes == 0:
        found = values.reshape(*shape[:-2], -1, values.shape[-1])
    fits = found.ndim == len(shape) and found.shape[:-2] == shape[:-2]
    if not fits or any(got < wanted for got, wanted in zip(found.shape[-2:], shape[-2:], strict=True)):
        stacked = (planes * shape[-2] if len(shape) > 1 else 1, shape[-1])
        allowed = " x ".join(map(str, shape)) + ("" if len(shape) == 2 else f", or {stacked[0]} x {stacked[1]} stacked")
        raise InputError(
            f"{file}: a map must have the shape of the array, {allowed}, or more rows and columns "
            f"(got {_size(values.shape)})"
        )
    wrong = np.argwhere(~np.isin(values, (-1, 0, 1)))
    if len(wrong):
        index = tuple(int(number) for number in wrong[0])
        where = f"{file}:{index[0] + 1}" if not name.lower().endswith(".npy") else f"{file}: {list(index)}"
        raise InputError(f"{where}: a cell is -1 (stuck off), 0 (works) or 1 (stuck on) (got {values[index]:g})")
    used = found[..., : shape[-2], : shape[-1]] if len(shape) > 1 else found[: shape[-1]]
    return torch.from_numpy(used.astype(np.int8))


def _npy(file: str) -> np.ndarray:
    data = read_file(file, most=LARGEST_MAP_BYTES)
    try:
        with one_sentence(file, "must be one NumPy array of numbers, without pickled objects"):
            values = np.load(io.BytesIO(data), allow_pickle=False)
    except MemoryError:  # its header promises more than it has
        raise InputError(f"{file}: must be one NumPy array of numbers (got the header of a huge one)") from None
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "iufb":
        raise InputError(f"{file}: must be one NumPy array of numbers (got {getattr(values, 'dtype', type(values))})")
    return values


def _csv(file: str) -> np.ndarray:
    _, mark, lines = read_rows(file, most=LARGEST_MAP_BYTES)
    rows: list[list[float]] = []
    for number, fields in lines:
        row = [number_of(field, mark) for field in fields]
        if not np.isfinite(row).all():
            raise InputError(
                f"{file}:{number}: a map has -1, 0 and 1, separated by commas (got {','.join(fields)[:60]})"
            )
        rows.append(row)
        if len(row) != len(rows[0]):
            raise InputError(f"{file}:{number}: every row must have {len(rows[0])} cells as the first (got {len(row)})")
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(rows[0]) if rows else 0)


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "one number"
