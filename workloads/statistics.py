"""How sure a difference is, where a curve has fallen too far, and a plane onto which many rates are thrown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

DAY_S = 86400.0
TIMES = ((365 * DAY_S, "year"), (30 * DAY_S, "month"), (DAY_S, "day"), (3600.0, "h"), (60.0, "min"), (1.0, "s"))


def deviation(values: Sequence[float] | NDArray[Any]) -> float | None:
    """Standard deviation of a sample, over n - 1; None where a single value has none."""
    sample = np.asarray(values, np.float64)
    return float(sample.std(ddof=1)) if len(sample) > 1 else None


def interval(values: Sequence[float] | NDArray[Any]) -> tuple[float, float, float]:
    """Mean of ``values`` and its 95 % interval by Student's t; no width from a single value.

    The interval is as computed, so that of a share may reach beyond 0 or 1; whoever shows it cuts it there.
    """
    sample = np.asarray(values, np.float64)
    mean = float(sample.mean())
    if len(sample) < 2:
        return mean, math.nan, math.nan
    from scipy import stats

    half = float(stats.t.ppf(0.975, len(sample) - 1) * sample.std(ddof=1) / math.sqrt(len(sample)))
    return mean, mean - half, mean + half


def difference(
    ours: Sequence[float] | NDArray[Any], theirs: Sequence[float] | NDArray[Any]
) -> tuple[float, float, float]:
    """Mean of ``ours`` less that of ``theirs`` and its 95 % interval, for two samples that have nothing in common.

    Welch's t: the two may spread differently. A sample of one counts as exact. B. L. Welch, Biometrika 34, 28
    (1947), doi 10.1093/biomet/34.1-2.28.
    """
    a, b = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    mean = float(a.mean() - b.mean())
    parts = [(sample.var(ddof=1) / len(sample), len(sample) - 1) for sample in (a, b) if len(sample) > 1]
    total = sum(part for part, _ in parts)
    if not parts:
        return mean, math.nan, math.nan
    if total == 0.0:
        return mean, mean, mean
    freedom = total**2 / sum(part**2 / degrees for part, degrees in parts)
    from scipy import stats

    half = float(stats.t.ppf(0.975, freedom) * math.sqrt(total))
    return mean, mean - half, mean + half


def crossing(
    x: Sequence[float], y: Sequence[float], configured: float, *, loss: float = 0.05, log: bool = False
) -> tuple[float | None, float | None]:
    """Where ``y`` has lost ``loss`` against its value at ``configured``: first going down from there, first going up.

    ``x`` rises and holds ``configured``. Between two points the curve is a straight line (over log x with ``log``,
    where both are above 0); None where the curve stays above as far as it goes.
    """
    start = list(x).index(configured)
    limit = y[start] - loss

    def first(places: Sequence[int]) -> float | None:
        for before, after in pairwise(places):
            if y[after] <= limit < y[before]:
                share = (y[before] - limit) / (y[before] - y[after])
                low, high = x[before], x[after]
                if log and low > 0.0 and high > 0.0:
                    return float(low * (high / low) ** share)
                return float(low + share * (high - low))
        return None

    return first(range(start, -1, -1)), first(range(start, len(x)))


def principal_plane(features: NDArray[Any]) -> tuple[NDArray[np.float64], tuple[float, float]]:
    """``features`` (n, features) on their two main axes, (n, 2), and the share of the variance that each explains.

    The sign of an axis is free; here its largest component is positive, so that a picture does not flip.
    """
    centred = np.asarray(features, np.float64) - np.mean(features, axis=0)
    left, size, axes = np.linalg.svd(centred, full_matrices=False)
    sign = np.sign(axes[np.arange(2), np.abs(axes[:2]).argmax(1)])
    total = float((size**2).sum()) or 1.0
    return left[:, :2] * size[:2] * np.where(sign == 0.0, 1.0, sign), (
        float(size[0] ** 2 / total),
        float(size[1] ** 2 / total),
    )


def in_words(t_s: float) -> str:
    """A time in the largest unit that leaves a number of at least one: "1 h", "7 days"; nothing below a second."""
    for seconds, name in TIMES:
        if t_s >= 0.999 * seconds:
            amount = f"{t_s / seconds:.3g}"
            return f"{amount} {name}{'s' if len(name) > 2 and name != 'min' and amount != '1' else ''}"
    return ""


def when(t_s: float) -> str:
    """A time after programming in words."""
    return "right after programming" if t_s == 0.0 else f"after {in_words(t_s) or f'{t_s:g} s'}"
