"""Which device fits measured conductances: maximum likelihood for every candidate, and how well each one fits.

A candidate is a distribution of the conductance at a level and a time. Its parameters are those of greatest likelihood;
candidates are compared by BIC = p ln n - 2 ln L, which asks of every parameter that it earns its place. Samples are
taken as independent of each other, also those of one cell at several times.

How well the best one fits is told by tests that know nothing of the others: per level the distance of Kolmogorov and
Smirnov, over all samples a chi-square of the values of the fitted distribution function, in bins of equal probability.
Their p-values are those of a distribution known beforehand. As it was fitted to these samples, they flatter it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from devices.base import Device
from devices.errors import InputError
from devices.gaussian import Gaussian
from devices.measured import Measured
from devices.measured_csv import Measurements, Table

Numbers = NDArray[np.float64]
Cdf = Callable[[Numbers, int], Numbers]

FEWEST_A_BIN = 5
MOST_BINS = 20


@dataclass(frozen=True)
class Groups:
    """Statistics of every level at every time (one dimension), all that a normal distribution asks of samples.

    ``ln_mean`` and ``ln_variance`` are those of the logarithm; ``values`` the samples. Both are None for a summary.
    """

    table: Table
    target_S: Numbers
    t_s: Numbers
    count: Numbers
    mean_S: Numbers
    variance_S2: Numbers
    values: tuple[Numbers, ...] | None

    @classmethod
    def of(cls, data: Measurements) -> Groups:
        """Group measurements; InputError where a level has no spread."""
        table = data.table()
        times = np.array(table.t_s or (0.0,))
        t_s, target = (each.ravel() for each in np.meshgrid(times, table.target_S, indexing="ij"))
        sigma = np.array(table.sigma_S).ravel()
        if not (sigma > 0.0).all():
            level = target[np.argmin(sigma)]
            raise InputError(f"{data.name}: level {level:g} S must have a spread above zero to be fitted (got 0)")
        values = None
        if data.measured_S is not None:
            now = data.t_s if len(times) > 1 and data.t_s is not None else np.zeros(len(data.target_S))
            keys = zip(t_s if len(times) > 1 else np.zeros(len(t_s)), target, strict=True)
            values = tuple(data.measured_S[(now == t) & (data.target_S == level)] for t, level in keys)
        count = np.array(table.count, float).ravel()
        return cls(table, target, t_s, count, np.array(table.mean_S).ravel(), sigma**2, values)

    @property
    def moving(self) -> bool:
        """Whether there are several times."""
        return len(self.table.t_s) > 1


@dataclass(frozen=True)
class LevelTest:
    """Kolmogorov-Smirnov distance of one level at one time, and its p-value."""

    target_S: float
    t_s: float
    count: int
    distance: float
    p: float


@dataclass(frozen=True)
class Fit:
    """A candidate at its greatest likelihood. ``levels`` and ``chi2`` (value, degrees of freedom, p) need samples."""

    name: str
    device: Device
    parameters: int
    samples: int
    log_likelihood: float
    levels: tuple[LevelTest, ...] = ()
    chi2: tuple[float, int, float] | None = None

    @property
    def aic(self) -> float:
        """Akaike's criterion, 2 p - 2 ln L."""
        return 2.0 * self.parameters - 2.0 * self.log_likelihood

    @property
    def bic(self) -> float:
        """Schwarz's criterion, p ln n - 2 ln L."""
        return self.parameters * math.log(self.samples) - 2.0 * self.log_likelihood


def fits(data: Measurements) -> list[Fit]:
    """Every candidate that these measurements can judge, the one of least BIC first.

    A summary without counts judges none: the list then holds the table alone, with a likelihood of nan.
    """
    groups = Groups.of(data)
    if not groups.count.all():
        return [Fit("measured", _table(groups), 2 * len(groups.count), 0, math.nan)]
    return sorted(_candidates(groups), key=lambda fit: fit.bic)


def _candidates(groups: Groups) -> Iterator[Fit]:
    for name, absolute, proportional in (
        ("gaussian_absolute", True, False),
        ("gaussian_proportional", False, True),
        ("gaussian", True, True),
    ):
        if groups.target_S.all() or absolute:
            yield _gaussian(name, groups, absolute=absolute, proportional=proportional)
    yield _measured(groups)
    if groups.values is not None:
        yield from _windows(groups)


def _gaussian(name: str, groups: Groups, *, absolute: bool, proportional: bool) -> Fit:
    """Error of the generic device, with a power-law drift where there are several times."""
    t0_s = min((t for t in groups.table.t_s if t > 0.0), default=1.0)
    log_time = np.log1p(groups.t_s / t0_s)
    error = groups.mean_S - groups.target_S
    rms = math.sqrt(float(np.mean(groups.variance_S2 + error**2)))
    start = [math.log(rms)] * absolute + [math.log(rms / float(np.max(groups.target_S)))] * proportional
    start += [math.log(0.01)] * (2 * groups.moving)

    def moments(logs: Numbers) -> tuple[Numbers, Numbers, list[float]]:
        sizes = list(np.exp(np.clip(logs, -60.0, 60.0)))
        floor_S = sizes.pop(0) if absolute else 0.0
        share = sizes.pop(0) if proportional else 0.0
        nu, nu_sd = sizes if groups.moving else (0.0, 0.0)
        left = np.exp(-nu * log_time)
        variance = left**2 * (floor_S**2 + (share * groups.target_S) ** 2 + (groups.target_S * log_time * nu_sd) ** 2)
        return groups.target_S * left, variance, [floor_S, share, nu, nu_sd]

    def surprise(logs: Numbers) -> float:
        mean, variance, _ = moments(logs)
        return -_log_likelihood(groups, mean, np.maximum(variance, 1e-60))

    best = optimize.minimize(
        surprise, start, method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-7, "maxiter": 8000, "adaptive": True}
    )
    mean, variance, (floor_S, share, nu, nu_sd) = moments(best.x)
    levels = groups.table.target_S
    device = Gaussian(
        status="fitted",
        g_min_S=levels[0],
        g_max_S=levels[-1],
        sigma_absolute=_short(floor_S / levels[-1]),
        sigma_proportional=_short(share),
        drift_mean=_short(nu),
        drift_sd=_short(nu_sd),
        drift_t0_s=t0_s,
    )
    return _judged(name, device, len(start), -float(best.fun), groups, _normal(mean, np.sqrt(variance)))


def _measured(groups: Groups) -> Fit:
    """Mean and spread of every level for themselves."""
    variance = groups.variance_S2 * (1.0 - 1.0 / groups.count)  # greatest likelihood divides by n
    likelihood = _log_likelihood(groups, groups.mean_S, variance)
    device = _table(groups)
    return _judged(
        "measured",
        device,
        2 * len(variance),
        likelihood,
        groups,
        _normal(groups.mean_S, np.sqrt(groups.variance_S2)),
    )


def _windows(groups: Groups) -> Iterator[Fit]:
    """Flat distributions, as write-verify leaves them: one window around all targets, or one of each level."""
    assert groups.values is not None
    if not groups.moving:
        width = max(float(np.abs(g - level).max()) for g, level in zip(groups.values, groups.target_S, strict=True))
        centres, halves = groups.target_S, np.full(len(groups.count), width)
        yield _window("window", groups, centres, halves, parameters=1)
    low, high = (np.array([float(end(g)) for g in groups.values]) for end in (np.min, np.max))
    yield _window("measured_window", groups, (low + high) / 2.0, (high - low) / 2.0, parameters=2 * len(low))


def _window(name: str, groups: Groups, centres: Numbers, halves: Numbers, *, parameters: int) -> Fit:
    likelihood = -float(np.sum(groups.count * np.log(2.0 * halves)))
    device = _table(groups, mean_S=centres, sigma_S=halves / math.sqrt(3.0), shape="window")

    def cdf(values: Numbers, group: int) -> Numbers:
        return np.asarray(np.clip((values - centres[group]) / (2.0 * halves[group]) + 0.5, 0.0, 1.0))

    return _judged(name, device, parameters, likelihood, groups, cdf)


def _table(groups: Groups, mean_S: Numbers | None = None, sigma_S: Numbers | None = None, **fields: str) -> Measured:
    mean = groups.mean_S if mean_S is None else mean_S
    sigma = np.sqrt(groups.variance_S2) if sigma_S is None else sigma_S
    levels, times = groups.table.target_S, groups.table.t_s

    def rows(values: Numbers) -> tuple[tuple[float, ...], ...]:
        return tuple(tuple(map(_short, row)) for row in values.reshape(-1, len(levels)).tolist())

    correlation = groups.table.correlation
    return Measured(
        status="fitted",
        g_min_S=levels[0],
        g_max_S=levels[-1],
        target_S=levels,
        mean_S=rows(mean),
        sigma_S=rows(sigma),
        t_s=times,
        correlation=1.0 if correlation is None else round(correlation, 4),
        **fields,  # type: ignore[arg-type]
    )


def _log_likelihood(groups: Groups, mean_S: Numbers, variance_S2: Numbers) -> float:
    """Of normal distributions with these moments, from counts, means and variances alone."""
    n = groups.count
    squares = (n - 1.0) * groups.variance_S2 + n * (groups.mean_S - mean_S) ** 2
    return -0.5 * float(np.sum(n * np.log(2.0 * math.pi * variance_S2) + squares / variance_S2))


def _normal(mean_S: Numbers, sigma_S: Numbers) -> Cdf:
    def cdf(values: Numbers, group: int) -> Numbers:
        return np.asarray(stats.norm.cdf(values, mean_S[group], sigma_S[group]))

    return cdf


def _judged(name: str, device: Device, parameters: int, likelihood: float, groups: Groups, cdf: Cdf) -> Fit:
    """Add the tests that need samples."""
    samples = int(groups.count.sum())
    if groups.values is None:
        return Fit(name, device, parameters, samples, likelihood)
    places = [cdf(values, group) for group, values in enumerate(groups.values)]
    tests = [stats.kstest(place, "uniform") for place in places]
    levels = tuple(
        LevelTest(float(target), float(t), len(place), float(test.statistic), float(test.pvalue))
        for target, t, place, test in zip(groups.target_S, groups.t_s, places, tests, strict=True)
    )
    bins = max(2, min(MOST_BINS, samples // FEWEST_A_BIN))
    found, _ = np.histogram(np.concatenate(places), bins=bins, range=(0.0, 1.0))
    chi2 = float(np.sum((found - samples / bins) ** 2) / (samples / bins))
    return Fit(
        name,
        device,
        parameters,
        samples,
        likelihood,
        levels,
        (chi2, bins - 1, float(stats.chi2.sf(chi2, bins - 1))),
    )


def _short(value: float) -> float:
    """Six digits: more than samples tell, and readable in a file."""
    return float(f"{value:.6g}")
