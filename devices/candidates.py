"""Which device fits measured conductances: every candidate with the parameters of greatest likelihood.

A candidate is a distribution of the conductance at a level and a time: the generic cells, with a power-law drift where
there are several times; windows, as write-verify leaves them; and the table itself, every level for itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from scipy import optimize

from devices.fitting import Fit, Groups, Numbers, log_likelihood, normal, tested
from devices.gaussian import Gaussian
from devices.lognormal import LogNormal
from devices.measured import Measured
from devices.measured_csv import Measurements


def fits(data: Measurements) -> list[Fit]:
    """Every candidate that these measurements can test, the one of least BIC first.

    A summary without counts tests none: the list then holds the table alone, with a likelihood of nan.
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
    if groups.values is not None and all(g.min() > 0.0 for g in groups.values) and groups.target_S.all():
        yield _lognormal("lognormal", groups, groups.values, absolute=False)
        yield _lognormal("lognormal_absolute", groups, groups.values, absolute=True)
    yield _measured(groups)
    if groups.values is not None:
        yield from _windows(groups)


def _gaussian(name: str, groups: Groups, *, absolute: bool, proportional: bool) -> Fit:
    """Error of the generic device, with a power-law drift where there are several times."""
    t0_s, log_time = _clock(groups)
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
        return -log_likelihood(groups, mean, np.maximum(variance, 1e-60))

    best_logs, likelihood = _maximise(surprise, start)
    mean, variance, (floor_S, share, nu, nu_sd) = moments(best_logs)
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
    return tested(name, device, len(start), likelihood, groups, normal(mean, np.sqrt(variance)), ends=0)


def _lognormal(name: str, groups: Groups, values: tuple[Numbers, ...], *, absolute: bool) -> Fit:
    """Log-normal conductance of mean one target, its spread a share of the target or the same at every level."""
    logs = replace(
        groups,
        mean_S=np.array([np.log(g).mean() for g in values]),
        variance_S2=np.array([np.log(g).var(ddof=1) for g in values]),
    )
    jacobian = float(sum(np.log(g).sum() for g in values))
    t0_s, log_time = _clock(groups)
    top_S = groups.table.target_S[-1]
    rms = math.sqrt(float(np.mean(groups.variance_S2)))
    start = [math.log(rms / (top_S if absolute else float(groups.target_S.mean())))] + [math.log(0.01)] * (
        2 * groups.moving
    )

    def moments(sizes_ln: Numbers) -> tuple[Numbers, Numbers, list[float]]:
        size, *drift = np.exp(np.clip(sizes_ln, -60.0, 60.0)).tolist()
        nu, nu_sd = drift if groups.moving else (0.0, 0.0)
        written = np.log1p((size * top_S / groups.target_S) ** 2) if absolute else np.full(len(log_time), size**2)
        mean = np.log(groups.target_S) - written / 2.0 - nu * log_time
        return mean, written + (nu_sd * log_time) ** 2, [size, nu, nu_sd]

    def surprise(sizes_ln: Numbers) -> float:
        mean, variance, _ = moments(sizes_ln)
        return jacobian - log_likelihood(logs, mean, np.maximum(variance, 1e-30))

    best_logs, likelihood = _maximise(surprise, start)
    mean, variance, (size, nu, nu_sd) = moments(best_logs)
    device = LogNormal(
        status="fitted",
        g_min_S=groups.table.target_S[0],
        g_max_S=top_S,
        sigma_ln=0.0 if absolute else _short(size),
        sigma_absolute=_short(size) if absolute else 0.0,
        drift_mean=_short(nu),
        drift_sd=_short(nu_sd),
        drift_t0_s=t0_s,
    )
    law = normal(mean, np.sqrt(variance))
    return tested(name, device, len(start), likelihood, groups, lambda g, group: law(np.log(g), group), ends=0)


def _clock(groups: Groups) -> tuple[float, Numbers]:
    """Time constant of a power-law drift, the first time above zero, and ``ln(1 + t / t0)`` of every group."""
    t0_s = min((t for t in groups.table.t_s if t > 0.0), default=1.0)
    return t0_s, np.log1p(groups.t_s / t0_s)


def _maximise(surprise: Callable[[Numbers], float], start: list[float]) -> tuple[Numbers, float]:
    """Logarithms of the parameters of greatest likelihood, and its logarithm."""
    best = optimize.minimize(
        surprise, start, method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-7, "maxiter": 8000, "adaptive": True}
    )
    return np.asarray(best.x), -float(best.fun)


def _measured(groups: Groups) -> Fit:
    """Mean and spread of every level for themselves."""
    variance = groups.variance_S2 * (1.0 - 1.0 / groups.count)  # greatest likelihood divides by n
    likelihood = log_likelihood(groups, groups.mean_S, variance)
    device = _table(groups)
    return tested(
        "measured",
        device,
        2 * len(variance),
        likelihood,
        groups,
        normal(groups.mean_S, np.sqrt(groups.variance_S2)),
        ends=0,
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

    return tested(name, device, parameters, likelihood, groups, cdf, ends=parameters)


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
        mean_S=rows(np.maximum(mean, 0.0)),  # an instrument's offset may read a cell that is off below zero
        sigma_S=rows(sigma),
        t_s=times,
        correlation=1.0 if correlation is None else round(correlation, 4),
        **fields,  # type: ignore[arg-type]
    )


def _short(value: float) -> float:
    """Six digits: more than samples determine, and readable in a file."""
    return float(f"{value:.6g}")
