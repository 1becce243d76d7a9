"""No setting of the integrator that a designer chooses improves one figure without worsening another.

Each field is moved by a factor of two (stages by one) behind columns of many sizes. Exceptions stand in ``OPTIMA`` and
``FREE`` and, with their reasons, in ``docs/circuit.md``.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.errors import InputError
from mho.front_ends import REFERENCE
from periphery.front_end import ColumnLoad, Integrator

BETTER, WORSE = 0.99, 1.001
FIELDS = (
    *("swing_V", "division", "gm_per_I", "bias_A", "gain_error", "noise_share"),
    *("pair_um2", "mirror_um2", "input_share", "stages"),
)
#: Fields with an optimum inside their range: beyond it every figure gets worse together.
OPTIMA = {"division", "gm_per_I", "bias_A", "input_share", "stages"}
#: Field, direction, and whether phases cancel.
FREE = {("pair_um2", "down", True)}
DOCS = Path(__file__).parents[3] / "docs" / "circuit.md"


def figures(front_end: Integrator, load: ColumnLoad) -> dict[str, float]:
    """What is better when smaller: errors at the capacitor, area, power."""
    built = front_end.design(load)
    return {
        "noise": math.sqrt(built.noise_z2(load.line_S)),
        "offset": built.offset_sigma_z(load.line_S),
        "gain": 1.0 - built.gain(load.line_S),
        "spread": built.gain_sigma,
        "area": built.area_m2 + built.capacitor_m2,
        "power": built.bias_A * built.supply_V,
    }


def moved(front_end: Integrator, field: str) -> dict[str, Integrator]:
    """The front end with one field moved down and up, where that is in its range."""
    value = getattr(front_end, field)
    if value is None:
        return {}
    ends = {"up": value + 1, "down": value - 1} if field == "stages" else {"up": 2 * value, "down": value / 2}
    allowed: dict[str, tuple[float, float]] = {
        "stages": (1, 4), "gm_per_I": (2.0, 28.0), "input_share": (0.01, 0.99), "division": (1.01, math.inf)
    }  # fmt: skip
    low, high = allowed.get(field, (0.0, math.inf))
    changes: dict[str, Any] = {way: {field: end} for way, end in ends.items() if low <= end <= high}
    return {way: replace(front_end, **change) for way, change in changes.items()}


def free(before: dict[str, float], after: dict[str, float]) -> bool:
    """Whether something is better by 1 % and nothing worse by 0.1 %."""
    better = any(after[name] < BETTER * value for name, value in before.items())
    return better and not any(after[name] > WORSE * value for name, value in before.items())


@st.composite
def columns(draw: st.DrawFn) -> tuple[Integrator, ColumnLoad]:
    line_S = REFERENCE.line_S * 2.0 ** draw(st.floats(-1.5, 1.5))
    load = replace(REFERENCE, line_S=line_S, peak_A=0.1 * line_S, phases_cancel=draw(st.booleans()))
    front_end = Integrator(
        swing_V=draw(st.floats(0.2, 0.65)),
        division=2.0 ** draw(st.floats(2.0, 7.0)),
        gm_per_I=draw(st.floats(8.0, 24.0)),
        stages=draw(st.sampled_from([2, 3])),
        pair_um2=2.0 ** draw(st.floats(-3.0, 1.0)),
        mirror_um2=2.0 ** draw(st.floats(-4.0, 1.0)),
        input_share=draw(st.floats(0.2, 0.8)),
    )
    solved_A = front_end.design(load).bias_A
    return (replace(front_end, bias_A=1.2 * solved_A) if draw(st.booleans()) else front_end), load


@settings(max_examples=60, derandomize=True, deadline=None)
@given(column=columns())
def test_no_setting_is_free(column: tuple[Integrator, ColumnLoad]) -> None:
    front_end, load = column
    before = figures(front_end, load)
    for field in FIELDS:
        if field in OPTIMA or (front_end.bias_A and field in ("gain_error", "noise_share")):
            continue  # with a bias that is given, nothing is solved for the targets
        for way, other in moved(front_end, field).items():
            if (field, way, load.phases_cancel) in FREE:
                continue
            try:
                after = figures(other, load)
            except InputError:
                continue  # it cannot work
            assert not free(before, after), (field, way, before, after)


@pytest.mark.parametrize("phases_cancel", [True, False])
def test_the_default_is_at_no_free_end_of_any_setting(phases_cancel: bool) -> None:
    """The fields with an optimum inside their range as well: the default is not beyond it."""
    load = replace(REFERENCE, phases_cancel=phases_cancel)
    before = figures(Integrator(), load)
    found = set()
    for field in FIELDS:
        for way, other in moved(Integrator(), field).items():
            try:
                after = figures(other, load)
            except InputError:
                continue
            if free(before, after):
                found.add((field, way, phases_cancel))
    assert found <= FREE


def test_the_docs_name_every_exception() -> None:
    text = DOCS.read_text(encoding="utf-8")
    section = text[text.index("## What is not paid for") :]
    assert all(f"`{field}`" in section for field in OPTIMA | {field for field, _, _ in FREE})
