"""Pareto fronts against their definition, and limits that make points infeasible."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices import InputError
from mho.sweep.names import Direction, better, label_of, unit_of
from mho.sweep.pareto import Aims, Limit, front

FIGURE = st.one_of(st.integers(0, 4).map(float), st.floats(-3, 3), st.just(float("nan")))


def beaten(one: list[float], others: list[list[float]], ways: list[Direction]) -> bool:
    """By the definition: another is at least as good in everything and better in something."""
    signed = [[-value if way == "maximize" else value for value, way in zip(row, ways, strict=True)] for row in others]
    mine = [-value if way == "maximize" else value for value, way in zip(one, ways, strict=True)]
    return any(
        all(a <= b for a, b in zip(row, mine, strict=True)) and any(a < b for a, b in zip(row, mine, strict=True))
        for row in signed
    )


@given(st.integers(1, 3).flatmap(lambda n: st.tuples(
    st.lists(st.lists(FIGURE, min_size=n, max_size=n), max_size=25),
    st.lists(st.sampled_from(["maximize", "minimize"]), min_size=n, max_size=n),
)))  # fmt: skip
def test_front_is_what_nothing_dominates(given_: tuple[list[list[float]], list[Direction]]) -> None:
    rows, ways = given_
    whole = [row for row in rows if all(value == value for value in row)]
    expected = [all(value == value for value in row) and not beaten(row, whole, ways) for row in rows]
    assert front(np.array(rows, dtype=float).reshape(-1, len(ways)), ways).tolist() == expected


def test_infeasible_points_neither_stand_on_the_front_nor_beat_others() -> None:
    outputs = {"accuracy": [0.9, 0.8, 0.7], "energy_J": [1.0, 2.0, 3.0], "area_m2": [5.0, 1.0, float("nan")]}
    aims = Aims(objectives={"accuracy": "maximize", "energy_J": "minimize"}, constraints={"area_m2": Limit(high=2.0)})
    assert aims.feasible(outputs).tolist() == [False, True, False]
    assert aims.best(outputs).tolist() == [False, True, False]


def test_wrong_aims_are_named() -> None:
    with pytest.raises(InputError, match=r"objectives: enob: must be maximize or minimize \(got up\)"):
        Aims(objectives={"enob": "up"})  # type: ignore[dict-item]
    with pytest.raises(InputError, match=r"objectives: speed: must be an output of the points \(enob\) \(got speed\)"):
        Aims(objectives={"speed": "maximize"}).refuse_unknown(["enob"])
    with pytest.raises(InputError, match="low at most high"):
        Limit(low=2.0, high=1.0)


@pytest.mark.parametrize(
    ("name", "unit", "label", "way"),
    [
        ("energy_J", "J", "energy", "minimize"),
        ("area_m2", "m2", "area", "minimize"),
        ("tops_per_W", "TOPS/W", "efficiency", "maximize"),
        ("tops_per_mm2", "TOPS/mm²", "density", "maximize"),
        ("inl_mean_lsb_worst", "LSB", "inl mean, worst chip", "minimize"),
        ("enob", "bit", "enob", "maximize"),
        ("accuracy_std", "", "accuracy, std over chips", "minimize"),
        ("comparator.offset_V", "V", "comparator offset", None),
        ("chip.bits", "", "bits", None),
        ("t_s", "s", "time after programming", None),
        ("steps", "", "steps", None),
    ],
)
def test_names_tell_unit_label_and_direction(name: str, unit: str, label: str, way: str | None) -> None:
    assert (unit_of(name), label_of(name)) == (unit, label)
    if way is not None:
        assert better(name) == way
