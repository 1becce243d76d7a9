"""A reading as the page's script takes it: axes with their levels, outputs with unit and direction, one column each.

What a script shows must stay light: of very many points the page gets a fixed sample, which it states.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mho.report.published import Published
from mho.report.quantities import duration
from mho.sweep.names import PREFIXED, better, label_of, unit_of
from mho.sweep.page.reading import ABSENT, Reading
from mho.sweep.page.sensitivity import Factor, Shares, shares
from mho.sweep.pareto import Aims
from mho.sweep.plan import short

MOST_POINTS = 10_000  # in the page
_MOST_LEVELS = 40  # of a number, beyond which its values are no levels to choose from
_MOST_MAIN = 8  # outputs whose shares of variance are found
_LONGEST = 80
SAMPLES = "samples"  # the dimension of settings that are drawn together
FEW = 12  # values of an axis, up to which all are listed


def build(found: Reading, aims: Aims | None, chips: dict[str, Published]) -> dict[str, Any]:
    """Everything that the page's script draws, as plain JSON data."""
    names = shown_first(found)
    shown = _sample(found, aims)
    best = aims.best(found.outputs, found.usable) if aims else None
    feasible = aims.feasible(found.outputs) if aims and aims.constraints else None
    errors = list(dict.fromkeys(found.errors))
    return {
        "title": found.title,
        "points": len(found),
        "shown": shown.tolist() if len(shown) < len(found) else None,
        "axes": [_axis(found, path, shown) for path in found.paths],
        "outputs": [_output(found, name, aims, shown) for name in names],
        "wanted": [name for name in found.wanted if name in found.outputs],
        "states": "".join(found.states[index][0] for index in shown),
        "errors": errors,
        "error": [errors.index(found.errors[index]) for index in shown],
        "best": [bool(best[index]) for index in shown] if best is not None else None,
        "front": int(best.sum()) if best is not None else None,
        "feasible": [bool(feasible[index]) for index in shown] if feasible is not None else None,
        "objectives": dict(aims.objectives) if aims else None,
        "trials": aims is not None or any(each.name == SAMPLES for each in found.dimensions),
        "published": marks(found, names, chips),
        "sensitivity": sensitivity(found, names),
    }


def shown_first(found: Reading) -> list[str]:
    """Names of the outputs: those that the sheet wants, then plain figures, then the others."""
    rest = [name for name in found.outputs if name not in found.wanted]
    plain = [name for name in rest if not derived(name)]
    wanted = [name for name in found.wanted if name in found.outputs]
    return list(dict.fromkeys([*wanted, *plain, *rest]))


def derived(name: str) -> bool:
    """Whether an output is a spread over chips, or a figure of no chip."""
    return name.endswith(("_std", "_worst")) or name.startswith(("software_", "retrained_", "quantised_"))


def main_outputs(found: Reading) -> list[str]:
    """Outputs that the sheet wants, else the plain ones."""
    names = [name for name in found.wanted if name in found.outputs] or shown_first(found)
    return [name for name in names if not name.endswith("_std")][:_MOST_MAIN]


def _sample(found: Reading, aims: Aims | None) -> NDArray[np.int64]:
    """Indices of the points of the page: all, or a fixed sample with every one that the aims call best."""
    count = len(found)
    if count <= MOST_POINTS:
        return np.arange(count)
    kept = np.flatnonzero(aims.best(found.outputs, found.usable)) if aims else np.arange(0)
    drawn = np.random.default_rng(0).permutation(count)
    chosen = list(dict.fromkeys([*kept.tolist(), *drawn.tolist()]))[:MOST_POINTS]
    return np.sort(np.array(chosen))


def texts_of(values: list[Any]) -> dict[str, str]:
    """What a reader sees of each value of an axis, by its JSON text; no two values look alike."""
    keys = {_key(value): value for value in values if value is not ABSENT}
    texts = {key: _cut(short(value) if value is not None else "none") for key, value in keys.items()}
    texts |= {key: str(value).lower() for key, value in keys.items() if isinstance(value, bool)}
    met = Counter(texts.values())
    return {key: _cut(key, 400) if met[text] > 1 else text for key, text in texts.items()}


def _cut(text: str, most: int = _LONGEST) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def is_number(value: Any) -> bool:
    """A number that an axis can be drawn over; a truth value is a word."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _key(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _axis(found: Reading, path: str, shown: NDArray[np.int64]) -> dict[str, Any]:
    values = found.coordinates[path]
    present = [value for value in values if value is not ABSENT]
    numeric = bool(present) and all(is_number(value) for value in present)
    group = next(each for each in found.dimensions if path in each.paths)
    axis: dict[str, Any] = {
        "path": path,
        "label": label_of(path),
        "unit": unit_of(path),
        "prefixed": unit_of(path) in PREFIXED and path.rsplit(".", 1)[-1] != "t_s",
        "numeric": numeric,
        # Sampled settings are drawn together, and yet each is one axis.
        "of": path if group.name == SAMPLES else group.name,
        "leads": group.name == SAMPLES or group.paths[0] == path,
    }
    keys = [None if value is ABSENT else _key(value) for value in values]
    if numeric:
        distinct = sorted(set(present))
        axis["many"] = len(distinct) > _MOST_LEVELS
        if axis["many"]:
            return axis | {"values": [values[index] if keys[index] is not None else None for index in shown]}
        times = path.rsplit(".", 1)[-1] == "t_s"
        levels = [duration(value) if times else f"{value:.12g}" for value in distinct]
        number_of = {value: number for number, value in enumerate(distinct)}
        axis |= {"levels": levels, "numbers": distinct}
        return axis | {"values": [-1 if keys[index] is None else number_of[values[index]] for index in shown]}
    texts = texts_of(values)
    position = {key: number for number, key in enumerate(texts)}
    axis |= {"many": False, "levels": list(texts.values())}
    return axis | {"values": [-1 if (key := keys[index]) is None else position[key] for index in shown]}


def _output(found: Reading, name: str, aims: Aims | None, shown: NDArray[np.int64]) -> dict[str, Any]:
    unit = unit_of(name)
    declared = aims.objectives.get(name) if aims else None
    spread = found.spread.get(name)
    return {
        "name": name,
        "label": label_of(name),
        "unit": unit,
        "prefixed": unit in PREFIXED,
        "better": declared or better(name),
        "declared": declared is not None,
        "values": numbers(found.outputs[name][shown]),
        "spread": numbers(spread[shown]) if spread is not None and np.isfinite(spread).any() else None,
        "chips": found.chips.get(name),
    }


def numbers(values: NDArray[Any]) -> list[float | None]:
    """JSON has no NaN."""
    return [value if math.isfinite(value) else None for value in values.tolist()]


def marks(found: Reading, names: list[str], chips: dict[str, Published]) -> list[dict[str, Any]]:
    """Published chips that compare with two outputs of this sweep. On synthetic data an accuracy compares with none."""
    comparable = [name for name in names if not (found.synthetic and "accuracy" in name)]
    return [mark for chip in chips.values() for mark in chip.marks(comparable, found.kind)]


def sensitivity(found: Reading, names: list[str]) -> list[dict[str, Any]]:
    """Shares of variance of the main outputs, by what multiplies the points (settings that go together are one)."""
    usable = found.usable
    groups = {each.name: each.paths for each in found.dimensions if each.name != SAMPLES}
    groups |= {path: (path,) for each in found.dimensions if each.name == SAMPLES for path in each.paths}
    factors = {name: _factor(found, paths, usable) for name, paths in groups.items()}
    chosen = [name for name in main_outputs(found) if name in names]
    labels = {name: label_of(paths[0]) if len(paths) == 1 else label_of(name) for name, paths in groups.items()}
    found_of = {name: shares(factors, found.outputs[name][usable]) for name in chosen}
    return [
        {"output": name, **_plain(one), "labels": [labels[axis] for axis in one.first]}
        for name, one in found_of.items()
    ]


def _plain(found: Shares) -> dict[str, Any]:
    return {
        "method": found.method,
        "points": found.points,
        "explained": found.explained,
        "axes": list(found.first),
        "first": list(found.first.values()),
        "total": list(found.total.values()),
    }


def _factor(found: Reading, paths: tuple[str, ...], usable: NDArray[np.bool_]) -> Factor:
    rows = [row for row, use in zip(zip(*(found.coordinates[path] for path in paths)), usable) if use]  # noqa: B905
    present = [row[0] for row in rows if row[0] is not ABSENT]
    if len(paths) == 1 and present and all(is_number(value) for value in present):
        below = min(present) - (max(present) - min(present) or 1.0)
        return Factor(np.array([below if value is ABSENT else value for (value,) in rows], dtype=float))
    keys = ["\0".join("" if value is ABSENT else _key(value) for value in row) for row in rows]
    position = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    return Factor(np.array([position[key] for key in keys], dtype=float), ordered=False)
