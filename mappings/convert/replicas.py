"""Copies of a layer's arrays that work at the same time, each on positions of its own.

A convolution, or a linear layer over a sequence, multiplies one matrix with the inputs of many positions, one after
the other. ``r`` copies take ``1 / r`` of the time, and ``r`` times the area. Position ``p`` goes to copy ``p mod r``. A
copy has cells and converters of its own, written apart: the errors of one chip differ between neighbouring positions.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from devices import BlockNoise, InputError
from mappings.activity import Activity
from mappings.contract import LayerRead
from mappings.convert.tiles import TileModule, TileProduct
from mappings.network.layer import MappedMatrixLayer, MatrixLayerRead

Replicas = int | Mapping[str, int]


def replicas_of(
    tiles: Mapping[str, TileModule], replicas: Replicas, products: Mapping[str, Sequence[int]]
) -> dict[str, int]:
    """Copies of every layer.

    ``replicas``: a number, of which each layer takes as many as it has positions (recurrent layers one), or numbers by
    pattern over the layers' names; the first pattern that matches holds, and layers without one have one copy;
    ``products``: positions of one inference, for each call of a layer. Raises InputError for numbers below 1, a pattern
    that matches no layer, and more copies than a layer has positions.
    """
    most = {
        name: max(products.get(name, ()), default=1) if isinstance(one, TileProduct) else 1
        for name, one in tiles.items()
    }
    if not isinstance(replicas, int) and not (
        isinstance(replicas, Mapping) and all(isinstance(pattern, str) for pattern in replicas)
    ):
        raise InputError(f"replicas: a whole number, or numbers by pattern, as in {{'conv1': 4}} (got {replicas!r})")
    wanted = {"*": replicas} if isinstance(replicas, int) else dict(replicas)
    problems = [
        f"replicas: {pattern}: a whole number of at least 1 (got {count!r})"
        for pattern, count in wanted.items()
        if isinstance(count, bool) or not isinstance(count, int) or count < 1
    ]
    if not isinstance(replicas, int):
        problems += [
            f"replicas: {pattern}: matches no layer (layers: {', '.join(tiles)})"
            for pattern in wanted
            if not fnmatch.filter(tiles, pattern)
        ]
    if problems:
        raise InputError(problems)
    found = {}
    for name, count in most.items():
        asked = next((many for pattern, many in wanted.items() if fnmatch.fnmatchcase(name, pattern)), 1)
        if asked > count and not isinstance(replicas, int):
            why = "products of one inference" if isinstance(tiles[name], TileProduct) else "steps wait for each other"
            problems.append(f"replicas: {name}: at most {count} ({why}; got {asked})")
        found[name] = min(asked, count)
    if problems:
        raise InputError(problems)
    return found


def copied(arrays: Mapping[str, MappedMatrixLayer], copies: int) -> dict[str, MappedMatrixLayer]:
    """All arrays of the first copy under their names, then those of the second, and so on."""
    found = dict(arrays)
    for number in range(2, copies + 1):
        for name, one in arrays.items():
            found[f"{name}, copy {number}"] = replace(one, name=f"{name}, copy {number}")
    return found


def steps_of(copy: int, copies: int, products: Sequence[int]) -> int:
    """Positions of one inference that a copy, from 0, computes."""
    return sum(len(range(copy, each, copies)) for each in products)


def taking_turns(
    reads: Sequence[MatrixLayerRead], activity: Sequence[Activity | None], copies: int, positions: int
) -> list[CopiesRead]:
    """The arrays of one copy, each with its like in the others; ``positions``: of one sample."""
    each = len(reads) // copies
    return [CopiesRead(tuple(reads[k::each]), tuple(activity[k::each]), positions) for k in range(each)]


@dataclass(frozen=True)
class CopiesRead(LayerRead):
    """An array and its copies on chips at one time; ``activity``: what each does; ``positions``: of one sample."""

    copies: tuple[MatrixLayerRead, ...]
    activity: tuple[Activity | None, ...]
    positions: int

    def run(self, *inputs: torch.Tensor, noise: BlockNoise, **_: Any) -> torch.Tensor:
        """Outputs ``(chips, samples * positions, outputs)`` for inputs ``(chips | 1, samples * positions, inputs)``."""
        (x,) = inputs
        turn = torch.arange(x.shape[1]) % self.positions % len(self.copies)
        parts, places = [], []
        for number, (read, did) in enumerate(zip(self.copies, self.activity, strict=True)):
            mine = (turn == number).nonzero()[:, 0].to(x.device)
            apart = BlockNoise(noise.streams.child("copy", number), noise.blocks, len(mine), noise.device)
            parts.append(read.run(x[:, mine], noise=apart, activity=did))
            places.append(mine)
        order = torch.cat(places).argsort()
        return torch.cat(parts, dim=1)[:, order]
