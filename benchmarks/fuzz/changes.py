"""Small damage to bytes, to text and to trees of values, drawn from a generator of random numbers."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

NUMBERS = [
    "nan",
    "inf",
    "-inf",
    "1e400",
    "1e300",
    "-1",
    "0",
    "-0.0",
    "1e-320",
    "9" * 20,
    "9" * 5000,
    "1_0",
    "0x10",
    "1e999999",
]
SCRIPT = "<script>alert(1)</script>"
TEXTS = [
    "",
    " ",
    "x",
    SCRIPT,
    "$\\frac{$",
    "\u202e",
    "\x00",
    "a,b",
    '"',
    "'",
    "{{7*7}}",
    "=1+1",
    "é" * 50,
    "x" * 3000,
    "[bold]x[/bold]",
    "\n",
]
VALUES: list[Any] = [
    *(None, True, False, 0, -1, 1, 2, 0.5, 100, 1_000_000, 2**63, 10**30, -(10**18), 10**299, 1e300, -1e300, 1e-300,
    5e-324),
    *("", "x", "nan", "ideal", "pcm", "\x00", "\u202e", "A" * 5000, "../../etc/passwd", "1e3", "0x10", SCRIPT),
    *([], {}, [[]], [1], [None], {"a": 1}, {"kind": "x"}, {"kind": None}, {"kind": ["pcm"]}, {"extends": "nope"}),
    *({"extends": "pcm"}, {"": 1}, [0.0] * 3, {"device": "pcm"}),
]  # fmt: skip
INFINITE: list[Any] = [float("nan"), float("inf"), -float("inf")]


def aliases() -> str:
    """YAML's billion laughs: a few lines that stand for many millions of values."""
    lines = [f"{one}: &{one} [{', '.join([f'*{inner}'] * 10)}]" for inner, one in pairwise("abcdefghi")]
    return "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "\n".join(lines)


def bent(rng: random.Random, data: bytes, tokens: Sequence[bytes] = (), *, times: int | None = None) -> bytes:
    """Bytes with one to four places overwritten, removed, doubled, or with a token put in."""
    result = bytearray(data)
    for _ in range(times or rng.choice([1, 1, 2, 4])):
        if not result:
            break
        at, way = rng.randrange(len(result)), rng.random()
        if way < 0.4:
            result[at] = rng.choice([0, 255, 1, 127, 128, rng.randrange(256)])
        elif way < 0.6:
            del result[at : at + rng.randrange(1, 20)]
        elif way < 0.7:
            result[at:at] = result[at : at + rng.randrange(1, 200)]
        elif way < 0.75:
            del result[at:]
        else:
            result[at:at] = rng.choice(tokens) if tokens else rng.randbytes(rng.randrange(1, 9))
    return bytes(result)


def paths(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value of nested lists and mappings, but the whole."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [each for key, value in items for each in ((*path, key), *paths(value, (*path, key)))]


def at(tree: Any, path: tuple[Any, ...]) -> Any:
    """The value that a path leads to."""
    for key in path:
        tree = tree[key]
    return tree


def put(tree: Any, path: tuple[Any, ...], value: Any) -> None:
    """Set one value of a tree."""
    at(tree, path[:-1])[path[-1]] = value


def is_number(value: Any) -> bool:
    """Whether a value of a tree is a number (True is none)."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def changed(rng: random.Random, tree: Any) -> tuple[str, bool]:
    """Change one value of a tree, add one or remove one; in words, and whether a number became infinite or NaN."""
    path = rng.choice(paths(tree))
    way = rng.random()
    shown = ".".join(map(str, path))
    if way < 0.1:
        del at(tree, path[:-1])[path[-1]]
        return f"{shown} removed", False
    if way < 0.2 and isinstance(at(tree, path[:-1]), dict):
        key, value = (
            rng.choice(["bogus", "kind", "extends", "__class__", "name", "seed", "a.b", "axes"]),
            rng.choice(VALUES),
        )
        put(tree, (*path[:-1], key), value)
        return f"{'.'.join(map(str, (*path[:-1], key)))} = {value!r:.40}", False
    infinite = way < 0.35 and is_number(at(tree, path))
    value = rng.choice(INFINITE if infinite else VALUES)
    put(tree, path, value)
    return f"{shown} = {value!r:.40}", infinite


def cell(rng: random.Random, rows: list[list[str]]) -> str:
    """Change one cell or one column of a table, or its rows and columns; in words. ``rows[0]`` is the header."""
    row, column, value = rng.randrange(len(rows)), rng.randrange(len(rows[0])), rng.choice(NUMBERS + TEXTS)
    name, way = rows[0][column], rng.random()
    if way < 0.75:
        for chosen in rows[1:] if way < 0.3 else [rows[row]]:
            if column < len(chosen):
                chosen[column] = value
        return f"{name!r} {'everywhere' if way < 0.3 else f'in row {row}'} = {value!r:.40}"
    if way < 0.82:
        del rows[1:]
        return "no rows"
    if way < 0.88:
        rows += rows[1:]
        return "all rows twice"
    if way < 0.94:
        for chosen in rows:
            del chosen[column : column + 1]
        return f"no column {name!r}"
    del rows[0]
    return "no header"
