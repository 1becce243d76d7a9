"""Where a liquid works: rate, spectral radius and memory against weight scale and threshold.

Too small a weight, and nothing fires; too large, and every spike sets off more than itself, so that the past is lost in
what the liquid does by itself. Between the two it remembers its input. Memory is the linear memory capacity

    MC = sum over delays k of r^2(y_k(t), v(t - k)),     y_k a ridge regression on the neurons' counts in window t,

of a signal v, drawn anew for each window of a few steps, that sets the rate at which the inputs fire; r is the
correlation on windows that were not fitted. H. Jaeger, Short term memory in echo state networks, GMD report 152 (2001).

Without spread and noise in a neuron, only weight scale over threshold matters, and so does the spectral radius of the
recurrent weights in units of the threshold.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from devices import ChipStreams, Stream
from mappings.liquid.liquid import Liquid, ProgrammedLiquid
from mappings.liquid.run import LineSpikes

Values = NDArray[np.float64]
RIDGE = 1.0
"""Added to the diagonal, in squared counts summed over windows."""


@dataclass(frozen=True, kw_only=True)
class Probe:
    """The signal that measures memory.

    Parameters
    ----------
    rate : mean share of input lines active in a step; the default is that of N-MNIST, binned as in the paper
    window : steps for which a value of the signal lasts
    windows : windows of one recording; the first ``delays`` of each only fill the memory
    recordings : independent recordings; the last quarter of them tests the fit
    delays : longest delay, in windows
    """

    rate: float = 0.086
    window: int = 5
    windows: int = 100
    recordings: int = 16
    delays: int = 10

    def signal(self, inputs: int, rng: Stream) -> tuple[Values, LineSpikes]:
        """Signal (recordings, windows), uniform in [-1, 1], and the active lines that it makes."""
        draw = rng.child("probe").numpy()
        signal = draw.uniform(-1.0, 1.0, (self.recordings, self.windows))
        share = np.repeat(self.rate * (1.0 + signal), self.window, axis=1)
        raster = draw.random((*share.shape, inputs), np.float32) < share[..., None]
        return signal, LineSpikes.of(raster)


@dataclass(frozen=True)
class WorkingPoint:
    """A liquid at one weight scale and threshold, means over chips: spikes per neuron and step [1], spectral radius in
    units of the threshold [1], linear memory capacity [windows]."""

    rate: float
    spectral_radius: float
    memory: float


@dataclass(frozen=True)
class DesignMap:
    """Rate, spectral radius and memory, each (thresholds, gains), and the configured point."""

    gains_per_uS: Values
    thresholds: Values
    rate: Values
    spectral_radius: Values
    memory: Values
    configured: WorkingPoint
    probe: Probe


def spectral_radius(made: ProgrammedLiquid, t_s: float = 0.0) -> Values:
    """Largest eigenvalue of the recurrent weights, in units of the threshold, of every chip (chips,)."""
    how = made.mapped.reservoir
    recurrent = made.weights_uS(t_s)[:, how.inputs :].double()
    values = torch.linalg.eigvals(recurrent).abs().amax(dim=1)
    return np.asarray(values.numpy() * how.gain_per_uS / how.neuron.threshold)


def memory_capacity(counts: Values, signal: Values, *, delays: int) -> float:
    """MC of counts (recordings, windows, neurons) that followed a signal (recordings, windows).

    Fitted on the first three quarters of the recordings, judged on the others.
    """
    n, windows, neurons = counts.shape
    train = slice(0, n - max(1, n // 4)), slice(delays, windows)
    test = slice(n - max(1, n // 4), n), slice(delays, windows)
    past = np.stack([np.roll(signal, k, axis=1) for k in range(delays + 1)], axis=-1)
    x, y = counts[train].reshape(-1, neurons), past[train].reshape(-1, delays + 1)
    centre, middle = x.mean(0), y.mean(0)
    x, y = x - centre, y - middle
    weights = np.linalg.solve(x.T @ x + RIDGE * np.eye(neurons), x.T @ y)
    seen = (counts[test].reshape(-1, neurons) - centre) @ weights
    wanted = past[test].reshape(-1, delays + 1) - middle
    seen, wanted = seen - seen.mean(0), wanted - wanted.mean(0)
    spread = np.sqrt((seen**2).sum(0) * (wanted**2).sum(0))
    r = np.divide((seen * wanted).sum(0), spread, out=np.zeros(delays + 1), where=spread > 1e-12)
    # What does not correlate still gives 1 / samples by chance, and a negative correlation is no memory.
    return float(np.clip(np.maximum(r, 0.0) ** 2 - 1.0 / len(wanted), 0.0, None).sum())


def measured(how: Liquid, probe: Probe, *, rng: ChipStreams, source: Stream) -> WorkingPoint:
    """The liquid on the chips of ``rng`` under a probe drawn from ``source``."""
    made = how.map().program(rng=rng)
    signal, lines = probe.signal(how.inputs, source)
    run = made.at().run(lines, noise=rng, record=True)
    assert run.raster is not None
    chips, n, _, neurons = run.raster.shape
    counts = run.raster.numpy().reshape(chips, n, probe.windows, probe.window, neurons).sum(3, dtype=np.float64)
    memory = [memory_capacity(of_chip, signal, delays=probe.delays) for of_chip in counts]
    return WorkingPoint(float(run.rates.mean()), float(spectral_radius(made).mean()), float(np.mean(memory)))


def design_map(
    how: Liquid,
    *,
    rng: ChipStreams,
    source: Stream,
    probe: Probe | None = None,
    reach: float = 4.0,
    points: int = 9,
) -> DesignMap:
    """``points`` weight scales and thresholds from 1 / ``reach`` to ``reach`` times the configured ones.

    Where the thresholds of a chip spread, or its neurons are noisy, that spread and noise go with the threshold.
    """
    probe = Probe() if probe is None else probe
    factors = np.geomspace(1.0 / reach, reach, points)
    grid = np.empty((points, points, 3))
    for row, column in np.ndindex(points, points):
        point = measured(_scaled(how, float(factors[column]), float(factors[row])), probe, rng=rng, source=source)
        grid[row, column] = point.rate, point.spectral_radius, point.memory
    configured = measured(how, probe, rng=rng, source=source)
    gains, thresholds = factors * how.gain_per_uS, factors * how.neuron.threshold
    return DesignMap(gains, thresholds, grid[..., 0], grid[..., 1], grid[..., 2], configured, probe)


def _scaled(how: Liquid, gain: float, threshold: float) -> Liquid:
    neuron = replace(
        how.neuron,
        threshold=how.neuron.threshold * threshold,
        threshold_sigma=how.neuron.threshold_sigma * threshold,
        noise=how.neuron.noise * threshold,
    )
    return replace(how, gain_per_uS=how.gain_per_uS * gain, neuron=neuron)
