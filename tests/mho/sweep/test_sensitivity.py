"""Shares of variance against functions whose shares are known in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from mho.sweep.page.sensitivity import Factor, correlation_ratio, shares


def grid(*levels: list[float]) -> list[NDArray[np.float64]]:
    return [axis.ravel().astype(float) for axis in np.meshgrid(*levels, indexing="ij")]


def hypercube(count: int, axes: int, seed: int = 0) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    return np.stack([(rng.permutation(count) + rng.random(count)) / count for _ in range(axes)], axis=1)


def test_shares_of_an_additive_function_on_a_grid_are_exact_and_add_up() -> None:
    a, b, c = grid([0, 1, 2], [0, 1], [5, 7, 9, 11])
    found = shares({"a": Factor(a), "b": Factor(b, ordered=False), "c": Factor(c)}, 3 * a + b**2)
    variance = {"a": 9 * np.var([0, 1, 2]), "b": np.var([0, 1]), "c": 0.0}
    whole = sum(variance.values())
    assert found.method == "grid"
    for name, value in variance.items():
        assert found.first[name] == pytest.approx(value / whole, abs=1e-12)
        assert found.total[name] == pytest.approx(value / whole, abs=1e-12)


def test_a_pure_interaction_has_no_first_order_share() -> None:
    a, b = grid([-1, 1], [-1, 1])
    found = shares({"a": Factor(a), "b": Factor(b)}, a * b)
    assert list(found.first.values()) == pytest.approx([0.0, 0.0], abs=1e-12)
    assert list(found.total.values()) == pytest.approx([1.0, 1.0])


def test_shares_of_the_ishigami_function_are_sobols() -> None:
    """Ishigami and Homma (1990), a = 7, b = 0.1, uniform on (-pi, pi): the closed forms of its variances."""
    a, b = 7.0, 0.1
    v1 = 0.5 * (1 + b * math.pi**4 / 5) ** 2
    v2, v13 = a**2 / 8, b**2 * math.pi**8 * (1 / 18 - 1 / 50)
    variance = v1 + v2 + v13
    x = (2 * hypercube(4000, 3) - 1) * math.pi
    y = np.sin(x[:, 0]) + a * np.sin(x[:, 1]) ** 2 + b * x[:, 2] ** 4 * np.sin(x[:, 0])
    found = shares({f"x{column}": Factor(x[:, column]) for column in range(3)}, y)
    assert found.method == "samples"
    # Sampling error of a ratio of 4000 points is about 0.02; a forest of 1000 points misses a tenth of the variance.
    assert list(found.first.values()) == pytest.approx([v1 / variance, v2 / variance, 0.0], abs=0.04)
    assert list(found.total.values()) == pytest.approx([(v1 + v13) / variance, v2 / variance, v13 / variance], abs=0.09)
    assert found.explained is not None
    assert found.explained > 0.85


def test_the_share_of_an_axis_that_does_nothing_is_unbiased() -> None:
    """Of pure noise in 8 groups of 5, eta squared averages 7/39; epsilon squared zero (and is cut off below it)."""
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(8), 5)
    raw = [correlation_ratio(groups, rng.normal(size=40)) for _ in range(2000)]
    assert np.median([value or 0.0 for value in raw]) < 0.01
    assert np.mean([value or 0.0 for value in raw]) < 0.06  # 0.18 without the correction


def test_points_that_failed_are_left_out_and_a_constant_has_no_shares() -> None:
    a, b = grid([0, 1, 2], [0, 1, 2, 3])
    y = 2 * a + b
    y[3] = np.nan
    found = shares({"a": Factor(a), "b": Factor(b)}, y, forest=False)
    assert (found.method, found.points) == ("samples", 11)
    assert found.total == {"a": None, "b": None}
    assert shares({"a": Factor(a)}, np.full(12, 3.0)).method == "constant"
    assert shares({}, np.arange(3.0)).method == "constant"
    assert shares({"a": Factor(a)}, np.full(12, np.nan)).first == {"a": None}


def test_a_level_for_every_point_tells_nothing_of_its_share() -> None:
    words, other = Factor(np.arange(6.0), ordered=False), Factor(np.array([0.0, 0, 0, 1, 1, 1]))
    found = shares({"word": words, "other": other}, np.array([1.0, 2, 3, 9, 8, 7]), forest=False)
    assert found.first["word"] is None
    assert (found.first["other"] or 0.0) > 0.8
