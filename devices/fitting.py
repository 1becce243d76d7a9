"""How well a distribution fits measured conductances: likelihood, and tests level by level and over all samples.

Candidates (``devices.candidates``) are compared by Schwarz's criterion BIC = p ln n - 2 ln L, which asks of every
parameter that it earns its place. It is the large-n form of -2 ln of the likelihood averaged over the parameters, whose
width falls as 1 / sqrt(n). An end of a flat distribution is known to 1 / n, so that it costs 2 ln n: with a density
1 / w of its half-width w and the largest error m, the integral of (2 w)^-n / w from m on is (2 m)^-n / n, exactly.
``n`` counts all samples, also for laws of each level, which sees only its own: the stricter choice of the two.

A difference of BIC below 2 is no evidence (R. E. Kass, A. E. Raftery, J. Am. Stat. Assoc. 90, 773 (1995), doi
10.1080/01621459.1995.10476572: "not worth more than a bare mention"; 2 to 6 positive, 6 to 10 strong), and the law of
fewer parameters is taken. Samples are taken as independent of each other, also those of one cell at several times.

How well the best one fits is measured by tests independent of the others: per level the distance of Kolmogorov and
Smirnov, over all samples a chi-square of the values of the fitted distribution function, in bins of equal probability.
Their p-values are those of a distribution given beforehand. As it was fitted to these samples, they flatter it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from configs.errors import InputError
from devices.base import Device
from devices.measured_csv import MeasuredTable, Measurements

Numbers = NDArray[np.float64]
Cdf = Callable[[Numbers, int], Numbers]

NO_EVIDENCE = 2.0
"""Differences of BIC below it do not count; twice the logarithm of a Bayes factor of e."""
FEWEST_A_BIN = 5
MOST_BINS = 20


@dataclass(frozen=True)
class Groups:
    """Statistics of every level at every time (one dimension), all that a normal distribution asks of samples.

    ``values`` are the samples, None for a summary.
    """

    table: MeasuredTable
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
    """A candidate at its greatest likelihood. ``levels`` and ``chi2`` (value, degrees of freedom, p) need samples.

    ``ends`` of the parameters are ends of flat distributions.
    """

    name: str
    device: Device
    parameters: int
    samples: int
    log_likelihood: float
    levels: tuple[LevelTest, ...] = ()
    chi2: tuple[float, int, float] | None = None
    ends: int = 0

    @property
    def bic(self) -> float:
        """Schwarz's criterion, (p + ends) ln n - 2 ln L."""
        return (self.parameters + self.ends) * math.log(max(1, self.samples)) - 2.0 * self.log_likelihood


def chosen(fits: Sequence[Fit]) -> Fit:
    """The law of fewest parameters among those whose BIC is not above the least by evidence; the least BIC decides."""
    least = min(fits, key=lambda fit: fit.bic)
    near = [fit for fit in fits if fit is least or fit.bic - least.bic < NO_EVIDENCE]
    return min(near, key=lambda fit: (fit.parameters, fit.bic))


def log_likelihood(groups: Groups, mean_S: Numbers, variance_S2: Numbers) -> float:
    """Of normal distributions with these moments, from counts, means and variances alone."""
    n = groups.count
    squares = (n - 1.0) * groups.variance_S2 + n * (groups.mean_S - mean_S) ** 2
    return -0.5 * float(np.sum(n * np.log(2.0 * math.pi * variance_S2) + squares / variance_S2))


def normal(mean_S: Numbers, sigma_S: Numbers) -> Cdf:
    def cdf(values: Numbers, group: int) -> Numbers:
        return np.asarray(special.ndtr((values - mean_S[group]) / sigma_S[group]))

    return cdf


def _distance(uniform: Numbers) -> float:
    """Largest distance of the empirical distribution from the even one on [0, 1], after Kolmogorov and Smirnov."""
    steps, values = np.arange(len(uniform) + 1) / len(uniform), np.sort(uniform)
    return float(max((steps[1:] - values).max(), (values - steps[:-1]).max()))


def tested(
    name: str, device: Device, parameters: int, likelihood: float, groups: Groups, cdf: Cdf, *, ends: int
) -> Fit:
    """Add the tests that need samples."""
    samples = int(groups.count.sum())
    if groups.values is None:
        return Fit(name, device, parameters, samples, likelihood, ends=ends)
    ranks = [cdf(values, group) for group, values in enumerate(groups.values)]
    counts = np.array([len(rank) for rank in ranks])
    distances = np.array([_distance(rank) for rank in ranks])
    p_values = np.clip(stats.kstwo.sf(distances, counts), 0.0, 1.0)  # all levels at once: scipy.stats.kstest takes one
    levels = tuple(
        LevelTest(float(target), float(t), int(count), float(distance), float(p))
        for target, t, count, distance, p in zip(groups.target_S, groups.t_s, counts, distances, p_values, strict=True)
    )
    bins = max(2, min(MOST_BINS, samples // FEWEST_A_BIN))
    found, _ = np.histogram(np.concatenate(ranks), bins=bins, range=(0.0, 1.0))
    chi2 = float(np.sum((found - samples / bins) ** 2) / (samples / bins))
    return Fit(
        name,
        device,
        parameters,
        samples,
        likelihood,
        levels,
        (chi2, bins - 1, float(stats.chi2.sf(chi2, bins - 1))),
        ends,
    )
