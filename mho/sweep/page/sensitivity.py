r"""Which axes move an output: shares of its variance, each axis alone and with all its interactions.

With the points' equal weight, the variance of an output Y splits over independent axes X_i as

    S_i = Var(E[Y | X_i]) / Var(Y)                first-order share: what X_i does by itself           (1)
    T_i = E[Var(Y | X_~i)] / Var(Y)               total share: X_i alone and in every interaction      (2)

(Sobol', Math. Comput. Simul. 55, 271 (2001), doi 10.1016/S0378-4754(00)00270-6; Saltelli et al., Comput. Phys. Commun.
181, 259 (2010), doi 10.1016/j.cpc.2009.09.018). T_i - S_i is interaction. S_i is Pearson's correlation ratio.

On a full grid with one figure in each cell both are exact sums of squares, with nothing to estimate. Elsewhere (sampled
settings, conditions, points that failed) S_i is estimated from groups of equal values, or, of a sampled number, from
k equally filled bins, without the bias of a finite sample (epsilon squared; Kelley, PNAS 21, 554 (1935), doi
10.1073/pnas.21.9.554), with n points, sums of squares SS_B between and SS_W within the groups:

    S_i = (SS_B - (k - 1) SS_W / (n - k)) / (SS_B + SS_W)                                              (3)

and T_i from a random forest f (Breiman, Mach. Learn. 45, 5 (2001), doi 10.1023/A:1010933404324) whose input X_i is
permuted to X_i' (Jansen, Comput. Phys. Commun. 117, 35 (1999), doi 10.1016/S0010-4655(98)00154-4):

    T_i = E[(f(X) - f(X_~i, X_i'))^2] / (2 Var(Y))                                                     (4)

What the forest misses is missing from (4): the share of variance that it explains out of bag is given beside it, and
(4) counts as no less than (3), which bounds it from below.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

_FEWEST = 20  # points for a forest
_MOST = 1000  # points that a forest is grown on
_TREES = 50
_PERMUTATIONS = 2
_GROUPS = 12  # distinct numbers up to which each is one group


@dataclass(frozen=True)
class Factor:
    """Values of one axis at all points: numbers, or codes of words (then ``ordered`` is false)."""

    values: NDArray[np.float64]
    ordered: bool = True


@dataclass(frozen=True)
class Shares:
    """Shares of one output's variance by axis; None where nothing decides them.

    ``explained`` is the share of variance that the forest behind ``total`` explains out of bag; None on a grid.
    """

    method: Literal["grid", "samples", "constant"]
    points: int
    first: dict[str, float | None]
    total: dict[str, float | None]
    explained: float | None = None


def shares(factors: Mapping[str, Factor], output: NDArray[Any], *, forest: bool = True) -> Shares:
    """First-order and total shares of the output's variance for each axis, over points where it is available."""
    whole = np.isfinite(output)
    y = np.asarray(output, dtype=float)[whole]
    complete = {name: Factor(factor.values[whole], factor.ordered) for name, factor in factors.items()}
    varied = {name: factor for name, factor in complete.items() if len(np.unique(factor.values)) > 1}
    still: dict[str, float | None] = dict.fromkeys(factors, 0.0)
    # Of a constant the last bits may differ.
    if len(y) < 2 or float(np.ptp(y)) <= 1e-12 * float(np.abs(y).max()) or not varied:
        return Shares("constant", len(y), dict.fromkeys(factors), dict.fromkeys(factors))
    cells = _grid(list(varied.values()), y)
    if cells is not None:
        first, total = _exact(cells)
        return Shares(
            "grid",
            len(y),
            {**still, **dict(zip(varied, first, strict=True))},
            {**still, **dict(zip(varied, total, strict=True))},
        )
    alone = {name: correlation_ratio(_groups(factor), y) for name, factor in varied.items()}
    if not forest or len(y) < _FEWEST:
        return Shares("samples", len(y), {**still, **alone}, dict.fromkeys(factors))
    grown, explained = _forest(list(varied.values()), y)
    totals = [max(total, alone[name] or 0.0) for name, total in zip(varied, grown, strict=True)]
    return Shares("samples", len(y), {**still, **alone}, {**still, **dict(zip(varied, totals, strict=True))}, explained)


def _grid(factors: Sequence[Factor], y: NDArray[Any]) -> NDArray[Any] | None:
    """The output as an array with one dimension an axis; None unless each cell holds exactly one point."""
    codes = [np.unique(factor.values, return_inverse=True) for factor in factors]
    shape = [len(levels) for levels, _ in codes]
    if math.prod(shape) != len(y):
        return None
    flat = np.ravel_multi_index([inverse.reshape(-1) for _, inverse in codes], shape)
    if len(np.unique(flat)) != len(y):
        return None
    cells = np.empty(len(y))
    cells[flat] = y
    return cells.reshape(shape)


def _exact(cells: NDArray[Any]) -> tuple[list[float], list[float]]:
    variance = float(cells.var())
    axes = range(cells.ndim)
    first = [float(cells.mean(axis=tuple(other for other in axes if other != axis)).var()) / variance for axis in axes]
    total = [float(cells.var(axis=axis).mean()) / variance for axis in axes]
    return first, total


def _groups(factor: Factor) -> NDArray[Any]:
    """Numbers of groups: of equal values, or of neighbours where a number takes many values."""
    levels, inverse = np.unique(factor.values, return_inverse=True)
    count = len(inverse)
    if not factor.ordered or len(levels) <= _GROUPS or len(levels) < count / 10:
        return inverse.reshape(-1)
    bins = min(32, max(4, round(math.sqrt(count) / 1.5)))
    edges = np.quantile(factor.values, np.linspace(0.0, 1.0, bins + 1)[1:-1])
    return np.searchsorted(edges, factor.values, side="right")


def correlation_ratio(groups: NDArray[Any], y: NDArray[Any]) -> float | None:
    """Share of the variance of ``y`` between groups, without the bias of a finite sample: equation (3)."""
    _, inverse = np.unique(groups, return_inverse=True)
    sizes = np.bincount(inverse)
    count, kinds = len(y), len(sizes)
    if kinds >= count:
        return None
    means = np.bincount(inverse, weights=y) / sizes
    between = float(np.sum(sizes * (means - y.mean()) ** 2))
    within = float(np.sum((y - means[inverse]) ** 2))
    found = (between - (kinds - 1) * within / (count - kinds)) / (between + within)
    return min(1.0, max(0.0, found))


def _forest(factors: Sequence[Factor], y: NDArray[Any]) -> tuple[list[float], float]:
    from sklearn.ensemble import RandomForestRegressor

    rng = np.random.default_rng(0)
    chosen = np.sort(rng.permutation(len(y))[:_MOST])
    x = np.stack([factor.values[chosen] for factor in factors], axis=1)
    scaled = (y[chosen] - y[chosen].mean()) / y[chosen].std()
    grown = RandomForestRegressor(_TREES, oob_score=True, bootstrap=True, random_state=0, n_jobs=1).fit(x, scaled)
    plain = grown.predict(x)
    totals = []
    for column in range(x.shape[1]):
        moved = np.concatenate([_permuted(x, column, rng) for _ in range(_PERMUTATIONS)])
        difference = grown.predict(moved) - np.tile(plain, _PERMUTATIONS)
        totals.append(min(1.0, float(np.mean(difference**2)) / 2.0))
    return totals, float(grown.oob_score_)


def _permuted(x: NDArray[Any], column: int, rng: np.random.Generator) -> NDArray[Any]:
    moved = x.copy()
    moved[:, column] = rng.permutation(x[:, column])
    return moved
