"""Sound into spikes, as an ear does it: a bank of filters along the basilar membrane, hair cells, and nerves that fire.

Each channel is a gammatone filter of fourth order, realised as four equal complex poles (V. Hohmann, Acta Acustica 88,
433 (2002)), with the bandwidth of human hearing (B. Glasberg and B. Moore, Hear. Res. 47, 103 (1990), doi
10.1016/0378-5955(90)90170-T). Half-wave rectification and a low-pass model the hair cell; its loudness, compressed,
drives a leaky integrate-and-fire neuron, or crosses levels. One compiled pass over all sounds; channels fill the
processor's vectors.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Ge, Gt, Interval
from numba import njit
from numpy.typing import NDArray

from configs.errors import InputError
from workloads.recordings.events import Recordings
from workloads.recordings.sounds import Sounds
from workloads.recordings.sources import remembered
from workloads.recordings.wav import FULL_SCALE, RATE_HZ

ORDER = 4
# Equivalent rectangular bandwidth of a fourth-order gammatone filter, in units of its decay rate / 2 pi.
BANDWIDTH = 1.019
_BLOCK = 64


@dataclass(frozen=True, kw_only=True)
class Cochlea:
    """How a sound becomes spikes. The values without a source above are choices, made on spoken digits (docs).

    Parameters
    ----------
    channels : filters, evenly spaced on the scale of equivalent rectangular bandwidths
    f_min_Hz, f_max_Hz : lowest and highest centre frequency [Hz]; the default suits speech sampled at 8 kHz or more
    lowpass_Hz : corner of the hair cell's low-pass [Hz]
    frame_s : time step of the nerve, and so the resolution of its spikes [s]
    level_dB : root mean square to which each sound is brought first, re full scale; None leaves it as recorded
    encoder : ``lif``, a neuron driven by the compressed loudness; ``level_crossing``, an ON (OFF) event each time the
        loudness in decibels has risen (fallen) by ``delta_dB``
    exponent : compression of the hair cell's output, as the power of its amplitude [1]
    floor_dB : loudness below which a channel is silent, re full scale
    gain_Hz : rate that a loudness of full scale would drive, were it not for leak and refractory time [1/s]
    tau_s, refractory_s : membrane time constant of the nerve and its refractory time [s]
    delta_dB : step of a level crossing
    """

    channels: Annotated[int, Interval(ge=1, le=4096)] = 64
    f_min_Hz: Annotated[float, Gt(0.0)] = 100.0
    f_max_Hz: Annotated[float, Gt(0.0)] = 3800.0
    lowpass_Hz: Annotated[float, Gt(0.0)] = 60.0
    frame_s: Annotated[float, Gt(0.0)] = 1e-3
    level_dB: float | None = -18.0
    encoder: Literal["lif", "level_crossing"] = "lif"
    exponent: Annotated[float, Interval(gt=0.0, le=1.0)] = 0.3
    floor_dB: float = -60.0
    gain_Hz: Annotated[float, Gt(0.0)] = 650.0
    tau_s: Annotated[float, Gt(0.0)] = 50e-3
    refractory_s: Annotated[float, Ge(0.0)] = 1e-3
    delta_dB: Annotated[float, Gt(0.0)] = 6.0

    def __post_init__(self) -> None:
        problems = []
        if not self.f_min_Hz < self.f_max_Hz <= RATE_HZ / 2:
            problems.append(
                f"f_min_Hz, f_max_Hz: allowed are 0 < f_min_Hz < f_max_Hz <= {RATE_HZ / 2:g} Hz "
                f"(got {self.f_min_Hz:g} and {self.f_max_Hz:g})"
            )
        if not 1 / RATE_HZ <= self.frame_s <= 0.1:
            problems.append(f"frame_s: allowed are {1 / RATE_HZ:g} to 0.1 s (got {self.frame_s:g})")
        if problems:
            raise InputError(problems)

    @property
    def centres_Hz(self) -> NDArray[np.float64]:
        """Centre frequency of each channel, rising [Hz]."""
        low, high = (math.log1p(0.00437 * f) for f in (self.f_min_Hz, self.f_max_Hz))
        return np.asarray(np.expm1(np.linspace(low, high, self.channels)) / 0.00437, np.float64)

    @property
    def poles(self) -> NDArray[np.complex128]:
        """The pole that each channel's filter has four times."""
        width_Hz = BANDWIDTH * 24.7 * (1.0 + 0.00437 * self.centres_Hz)
        return np.asarray(np.exp(2.0 * np.pi * (1j * self.centres_Hz - width_Hz) / RATE_HZ), np.complex128)

    @property
    def frame(self) -> int:
        """Samples of a frame."""
        return max(1, round(self.frame_s * RATE_HZ))


@njit(nogil=True, cache=True, fastmath={"contract", "nsz"}, error_model="numpy")
def _hair_cells(wave: Any, real: Any, imaginary: Any, gain: Any, smooth: Any, frame: int, out: Any) -> None:
    """``wave`` (samples,); filters (channels,); ``out`` (frames, channels): rectified and smoothed, once a frame."""
    channels = real.shape[0]
    state = np.zeros((2 * ORDER, channels), np.float32)
    a, b, c, d, e, f, g, h = state[0], state[1], state[2], state[3], state[4], state[5], state[6], state[7]
    level = np.zeros(channels, np.float32)
    zero = np.float32(0.0)
    for number in range(out.shape[0]):
        for sample in range(number * frame, min((number + 1) * frame, wave.shape[0])):
            x = wave[sample]
            for k in range(channels):
                u, v = real[k], imaginary[k]
                p = u * a[k] - v * b[k] + x
                q = v * a[k] + u * b[k]
                a[k], b[k] = p, q
                r = u * c[k] - v * d[k] + p
                s = v * c[k] + u * d[k] + q
                c[k], d[k] = r, s
                p = u * e[k] - v * f[k] + r
                q = v * e[k] + u * f[k] + s
                e[k], f[k] = p, q
                r = u * g[k] - v * h[k] + p
                s = v * g[k] + u * h[k] + q
                g[k], h[k] = r, s
                level[k] += smooth * (max(r * gain[k], zero) - level[k])
        out[number] = level


@njit(nogil=True, cache=True, error_model="numpy")
def _nerves(drive: Any, leak: Any, most: int, out: Any) -> None:
    """Leaky integrators with a threshold of 1 that is subtracted; ``drive`` (frames, channels) charge a frame."""
    membrane = np.zeros(drive.shape[1], np.float32)
    for number in range(drive.shape[0]):
        for k in range(drive.shape[1]):
            membrane[k] = membrane[k] * leak + drive[number, k]
            spikes = min(int(membrane[k]), most)
            # What a refractory nerve cannot answer is lost, not saved up.
            membrane[k] -= int(membrane[k])
            out[number, k] = spikes


@njit(nogil=True, cache=True, error_model="numpy")
def _crossings(loudness: Any, delta: Any, floor: Any, on: Any, off: Any) -> None:
    """Steps of ``delta`` that ``loudness`` (frames, channels) [dB] rises or falls, from the floor."""
    level = np.full(loudness.shape[1], floor, np.float32)
    for number in range(loudness.shape[0]):
        for k in range(loudness.shape[1]):
            steps = int((loudness[number, k] - level[k]) / delta)
            level[k] += steps * delta
            on[number, k] = max(steps, 0)
            off[number, k] = max(-steps, 0)


def hair_cells(wave: NDArray[np.float32], how: Cochlea) -> NDArray[np.float32]:
    """Output of the hair cells (frames, channels) for a ``wave`` (samples,) at 16 kHz in units of full scale.

    A steady tone at a channel's centre, of amplitude A, gives ``A / pi``, the mean of its positive half.
    """
    poles = how.poles
    # The conjugate pole's share is left out, so the real part of a tone passes with half of this.
    gain = 2.0 * (1.0 - np.abs(poles)) ** ORDER
    smooth = -math.expm1(-2.0 * math.pi * how.lowpass_Hz / RATE_HZ)
    out = np.empty((-(-len(wave) // how.frame), how.channels), np.float32)
    _hair_cells(
        np.ascontiguousarray(wave, np.float32),
        poles.real.astype(np.float32),
        poles.imag.astype(np.float32),
        gain.astype(np.float32),
        np.float32(smooth),
        how.frame,
        out,
    )
    return out


def _spikes(wave: NDArray[np.float32], how: Cochlea) -> NDArray[np.uint8]:
    """Spikes (polarities, frames, channels) of one sound."""
    if how.level_dB is not None:
        wave = wave * np.float32(10.0 ** (how.level_dB / 20.0) / max(float(np.sqrt(np.mean(wave**2))), 1e-6))
    cells = hair_cells(wave, how) * np.float32(math.pi)
    floor = np.float32(10.0 ** (how.floor_dB / 20.0))
    out = np.zeros((2 if how.encoder == "level_crossing" else 1, *cells.shape), np.uint8)
    if how.encoder == "level_crossing":
        loudness = np.float32(20.0) * np.log10(np.maximum(cells, floor))
        _crossings(loudness, np.float32(how.delta_dB), np.float32(how.floor_dB), out[1], out[0])
        return out
    step_s = how.frame / RATE_HZ
    drive = np.maximum(cells, floor) ** np.float32(how.exponent) - floor ** np.float32(how.exponent)
    most = 255 if how.refractory_s == 0.0 else max(1, math.floor(step_s / how.refractory_s + 1e-9))
    charge = drive * np.float32(how.gain_Hz * step_s)
    _nerves(charge, np.float32(math.exp(-step_s / how.tau_s)), min(most, 255), out[0])
    return out


def cochlea_events(sounds: Sounds, how: Cochlea, *, progress: Callable[[int, int], object] | None = None) -> Recordings:
    """Spikes of all ``sounds``; ``progress`` is called with the sounds done and the sounds in all.

    Sensor (polarities, 1, channels): one polarity for ``lif``, OFF and ON for ``level_crossing``. Several spikes of a
    frame are spaced evenly within it.
    """
    ticks: list[NDArray[np.int32]] = []
    address: list[NDArray[np.int32]] = []
    events = np.zeros(len(sounds), np.int64)
    frame = how.frame / RATE_HZ / Recordings.TICK_S
    for number in range(len(sounds)):
        samples = slice(int(sounds.offsets[number]), int(sounds.offsets[number + 1]))
        counts = _spikes(sounds.samples[samples].astype(np.float32) / np.float32(FULL_SCALE), how)
        at, polarity, channel = np.nonzero(counts.transpose(1, 0, 2))
        many = counts[polarity, at, channel].astype(np.int64)
        order = np.arange(many.sum()) - np.repeat(np.cumsum(many) - many, many)
        t = (np.repeat(at, many) + (order + 0.5) / np.repeat(many, many)) * frame
        rising = np.argsort(t, kind="stable")
        ticks.append(t[rising].astype(np.int32))
        address.append((np.repeat(polarity, many) * how.channels + np.repeat(channel, many))[rising].astype(np.int32))
        events[number] = len(t)
        if progress and (number + 1) % _BLOCK == 0:
            progress(number + 1, len(sounds))
    return _recordings(
        sounds,
        how,
        ticks=np.concatenate(ticks),
        address=np.concatenate(address),
        offsets=np.concatenate([[0], np.cumsum(events)]).astype(np.int64),
        # Whole frames, so that the last spike of the last frame is before the end.
        durations=np.ceil(-(-np.diff(sounds.offsets) // how.frame) * frame - 1e-3).astype(np.int32),
    )


def cached_cochlea_events(
    sounds: Sounds, how: Cochlea, *, progress: Callable[[int, int], object] | None = None
) -> Recordings:
    """``cochlea_events``, kept on disk under a digest of the sounds and the parameters; the cache's notes are added."""
    made: list[Recordings] = []

    def make() -> dict[str, NDArray[Any]]:
        made.append(cochlea_events(sounds, how, progress=progress))
        return {name: getattr(made[0], name) for name in ("ticks", "address", "offsets", "durations")}

    digest = hashlib.sha256(f"{sounds.digest} {how!r}".encode()).hexdigest()[:32]
    arrays, notes = remembered(f"lsm/cochlea-{digest}.npz", make)
    recordings = made[0] if made else _recordings(sounds, how, **arrays)
    return replace(recordings, notes=(*recordings.notes, *notes))


def _recordings(
    sounds: Sounds,
    how: Cochlea,
    *,
    ticks: NDArray[np.int32],
    address: NDArray[np.int32],
    offsets: NDArray[np.int64],
    durations: NDArray[np.int32],
) -> Recordings:
    silent = int((np.diff(offsets) == 0).sum())
    return Recordings(
        ticks=ticks,
        address=address,
        offsets=offsets,
        durations=durations,
        classes=sounds.classes,
        groups=sounds.groups,
        names=sounds.names,
        parts=sounds.parts,
        sensor=(2 if how.encoder == "level_crossing" else 1, 1, how.channels),
        labels=sounds.labels,
        origin=sounds.origin,
        notes=(*sounds.notes, *((f"{silent} sounds are too soft to give a spike.",) if silent else ())),
    )
