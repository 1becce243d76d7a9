"""The points of a sweep in their order, which of them a shard computes, and which may share a training."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any, TypeVar

from configs.errors import InputError
from configs.yaml_source import Node, Origin, as_node, whole_numbers
from mho.sweep.spec import MOST_POINTS, Sheet, columns, one_or_many, same
from mho.sweep.template import SEED, TIME, VARIANT, Coordinates, Template

T = TypeVar("T")


@dataclass(frozen=True)
class Point:
    """One point: its number in the order of the whole sweep, and what it puts into the base."""

    index: int
    coordinates: Coordinates

    def words(self) -> str:
        """The point as messages call it."""
        return ", ".join(f"{path}={short(value)}" for path, value in self.coordinates) or "the base itself"


@dataclass(frozen=True)
class Shard:
    """Part ``number`` of ``of`` parts."""

    number: int = 1
    of: int = 1

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read ``i/n``, from 1 to n."""
        found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text.strip())
        shard = cls(int(found.group(1)), int(found.group(2))) if found else cls(0, 0)
        if not 1 <= shard.number <= shard.of:
            raise InputError(f"--shard: must be i/n with i from 1 to n, as in 2/8 (got {text})")
        return shard

    def cut(self, parts: Sequence[T]) -> list[T]:
        """Its share: neighbours in the order given, so that points which share a training stay together."""
        first, last = (number * len(parts) // self.of for number in (self.number - 1, self.number))
        return list(parts[first:last])


@dataclass(frozen=True)
class Dimension:
    """What multiplies the points: the settings that change together, their values in turn, and when it exists."""

    name: str
    paths: tuple[str, ...]
    values: tuple[tuple[Any, ...], ...] = ()
    when: tuple[tuple[str, tuple[Any, ...]], ...] = ()

    def holds(self, before: dict[str, Any]) -> bool:
        """Whether the axis exists beside these values."""
        return all(key in before and any(same(before[key], value) for value in wanted) for key, wanted in self.when)


class Plan:
    """All points of a sweep around its base.

    Their order is that of nested loops: variants outermost, then axes as the file has them, samples, seeds, and times
    innermost.
    """

    def __init__(self, sheet: Sheet, template: Template) -> None:
        self.sheet, self.template = sheet, template
        self.dimensions = [*self._axes(), *self._others()]
        total = len(template.nodes) * math.prod(len(dimension.values) for dimension in self.dimensions)
        if total > MOST_POINTS:  # of times, only those that the sweep itself states were counted before
            raise InputError(
                f"{sheet.origin('base')}: base: its {len(self.dimensions[-1].values)} times bring the sweep to {total} "
                f"points; at most {MOST_POINTS} are allowed (times_s states fewer times)"
            )
        taken: dict[str, str] = {}
        for dimension in self.dimensions:
            for path in dimension.paths:
                where = self._origin(dimension.name, path)
                if path in taken:
                    raise InputError(
                        f"{where}: {path}: each setting on one axis (got it again; it is on {taken[path]} already)"
                    )
                if path in sheet.sweep.set and not dimension.when:
                    raise InputError(f"{where}: {path}: is an axis at all points, so that 'set' cannot set it too")
                taken[path] = dimension.name
        nodes = {path: self._nodes(dimension, path) for dimension in self.dimensions for path in dimension.paths}
        for outside in (VARIANT, *((TIME,) if template.grouped else ())):
            nodes.pop(outside, None)
        template.places(nodes)

    def _origin(self, name: str, path: str) -> Origin:
        """The line at which the file puts a setting on the dimension of this name."""
        if name in self.sheet.sweep.axes:
            zipped = ("axes", name, "zip", path)
            return self.sheet.origin(*(zipped if self.sheet.node.find(zipped) else ("axes", name)))
        return self.sheet.origin("samples", "axes", path) if name == "samples" else self.sheet.origin(name)

    def _axes(self) -> Iterator[Dimension]:
        for name, axis in self.sheet.sweep.axes.items():
            of_axis = columns(name, axis)
            when = tuple((key, one_or_many(wanted)) for key, wanted in axis.when.items())
            yield Dimension(name, tuple(of_axis), tuple(zip(*of_axis.values(), strict=True)), when)

    def _others(self) -> Iterator[Dimension]:
        sweep = self.sheet.sweep
        if sweep.samples is not None:
            draws = sweep.samples.draws()
            yield Dimension("samples", tuple(draws), tuple(zip(*draws.values(), strict=True)))
        if sweep.seeds is not None:
            seeds = range(sweep.seeds) if isinstance(sweep.seeds, int) else sweep.seeds
            yield Dimension("seeds", (SEED,), tuple((seed,) for seed in seeds))
        times = sweep.times_s or self.template.times_s
        if sweep.times_s or self.template.grouped:
            yield Dimension("times_s", (TIME,), tuple((t_s,) for t_s in times))

    def _nodes(self, dimension: Dimension, path: str) -> list[Node]:
        """The node of each value of a setting."""
        sheet, name, column = self.sheet, dimension.name, dimension.paths.index(path)
        found = []
        for number, values in enumerate(dimension.values):
            value = values[column]
            tries: tuple[tuple[str | int, ...], ...] = (
                ("axes", name, "values", number),
                ("axes", name, "zip", path, number),
                ("samples", "axes", path),
                (name, number),
                (name,),
            )
            node = next((at for each in tries if (at := sheet.node.find(each)) is not None), None)
            found.append(sheet.value("axes", name, of=value) if node is None else _at(node, value))
        return found

    @property
    def conditional(self) -> bool:
        """Whether some axes exist at some points only."""
        return any(dimension.when for dimension in self.dimensions)

    @cached_property
    def points(self) -> list[Point]:
        """All points; those of a sweep that names variants begin with the variant."""
        found: list[Point] = []
        named = self.sheet.sweep.variants
        for variant in self.template.nodes:
            start = {VARIANT: variant} if named else {}
            for coordinates in self._below(0, start):
                found.append(Point(len(found), tuple(coordinates.items())))
        return found

    def _below(self, depth: int, before: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if depth == len(self.dimensions):
            yield before
            return
        dimension = self.dimensions[depth]
        if not dimension.holds(before):
            yield from self._below(depth + 1, before)
            return
        for values in dimension.values:
            yield from self._below(depth + 1, {**before, **dict(zip(dimension.paths, values, strict=True))})

    def by_training(self, points: Sequence[Point]) -> list[Point]:
        """The points with those beside each other that differ in hardware and time alone."""
        first: dict[str, int] = {}
        for point in points:
            first.setdefault(self.training_of(point), point.index)
        return sorted(points, key=lambda point: (first[self.training_of(point)], point.index))

    def by_run(self, points: Sequence[Point]) -> list[list[Point]]:
        """Neighbours that one run computes: a chip at all its times, of which one without change is read once."""
        if not self.template.grouped:
            return [[point] for point in points]
        return [list(together) for _, together in groupby(points, chip_of)]

    def training_of(self, point: Point) -> str:
        """What of a point training sees: all but the chip and the time."""
        kept = [(path, value) for path, value in point.coordinates if path != TIME and not is_hardware(path)]
        return repr(kept)


def chip_of(point: Point) -> str:
    """All of a point but its time."""
    return repr([pair for pair in point.coordinates if pair[0] != TIME])


def is_hardware(path: str) -> bool:
    """Whether a setting belongs to the chip."""
    return path == VARIANT or path == "chip" or path.startswith("chip.")


def short(value: Any) -> str:
    """A value as a message or a table shows it."""
    if isinstance(value, dict):
        name = value.get("extends") or value.get("kind")
        return f"{{{name}, ...}}" if name and len(value) > 1 else str(value)
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def _at(node: Node, value: Any) -> Node:
    """The node itself where it is the value, else the value with its line (one of a range, or a sample)."""
    return node if whole_numbers(node.plain()) == value else as_node(value, node)
