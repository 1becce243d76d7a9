"""Generated background noise: white, pink and brown noise and mains hum."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from workloads.recordings.wav import RATE_HZ

# Power falls as f^-exponent: resistors, most indoor noise, wind and traffic.
COLOURS = (0.0, 1.0, 2.0)


def generated_noise(count: int, samples: int, draw: np.random.Generator) -> NDArray[np.float32]:
    """``count`` noises (count, samples) of unit root mean square: a random colour each, every fourth with mains hum."""
    from scipy import fft  # type: ignore[import-untyped,unused-ignore]

    white = draw.standard_normal((count, samples), dtype=np.float32)
    frequency = np.maximum(fft.rfftfreq(samples, 1.0 / RATE_HZ), 20.0)
    exponent = np.asarray(COLOURS)[draw.integers(len(COLOURS), size=count)]
    slope = np.power(frequency[None, :], -exponent[:, None] / 2.0).astype(np.float32)
    noise: NDArray[Any] = fft.irfft(fft.rfft(white) * slope, n=samples)
    noise /= rms(noise)
    time_s = np.arange(samples) / RATE_HZ
    for row in np.flatnonzero(draw.uniform(size=count) < 0.25):
        mains_Hz = draw.choice((50.0, 60.0))
        for harmonic in range(1, 8):
            phase = draw.uniform(0.0, 2.0 * np.pi)
            noise[row] += draw.uniform(0.0, 2.0) / harmonic * np.sin(2.0 * np.pi * mains_Hz * harmonic * time_s + phase)
    return np.asarray(noise / rms(noise), np.float32)


def rms(waves: NDArray[Any]) -> NDArray[Any]:
    """Root mean square of each wave (n, 1), never quite zero, so that one may divide by it."""
    square = np.einsum("ns,ns->n", waves, waves, dtype=np.float64) / waves.shape[1]
    return np.asarray(np.sqrt(np.maximum(square, 1e-20)), waves.dtype)[:, None]


def decibels(level_dB: NDArray[np.float64]) -> NDArray[np.float32]:
    """The amplitude ratio of a level in decibels."""
    return np.asarray(np.power(10.0, level_dB / 20.0), np.float32)
