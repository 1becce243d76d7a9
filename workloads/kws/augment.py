"""More training clips from the same ones: spoken sooner or later, louder or softer, over a background.

Every clip and copy draws its own shift, gain and noise from the stream before any waveform is touched, so that the
result does not depend on the block in which it is computed.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Annotated, cast

import numpy as np
import torch
from annotated_types import Interval, Len
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from configs.errors import InputError
from devices.streams import Stream
from workloads.kws.features import BLOCK, MFCC, Features, Waveforms, as_float
from workloads.recordings.noise import decibels, generated_noise, rms
from workloads.recordings.wav import RATE_HZ

GENERATED_POOL = 64


@dataclass(frozen=True)
class Augmentation:
    """How far training clips are varied; each range is drawn from uniformly.

    ``copies`` of every clip, moved by up to ``max_shift_s`` either way (silence follows), played at a ``speed``
    (low, high) of the original, with a gain of ``gain_dB`` (low, high), and in a share ``noise_share`` of them noise at
    a signal-to-noise ratio ``noise_snr_dB`` (low, high). ``vocal_tract``: factors by which the frequencies of the
    filter bank are stretched, one drawn for each copy (Jaitly and Hinton, ICML workshop 2013).
    """

    copies: Annotated[int, Interval(ge=0, le=1000)] = 5
    max_shift_s: float = 0.1
    gain_dB: tuple[float, float] = (-6.0, 6.0)
    noise_snr_dB: tuple[float, float] = (5.0, 30.0)
    noise_share: float = 0.8
    speed: tuple[float, float] = (1.0, 1.0)
    vocal_tract: Annotated[tuple[float, ...], Len(0, 100)] = (1.0,)

    def __post_init__(self) -> None:
        checks = (
            (
                self.copies >= 0,
                f"copies: allowed are whole numbers from 0 (got {self.copies})",
            ),
            (
                self.max_shift_s >= 0,
                f"max_shift_s: allowed are values from 0 s (got {self.max_shift_s:g})",
            ),
            (
                self.gain_dB[0] <= self.gain_dB[1],
                f"gain_dB: allowed is (low, high) (got {self.gain_dB})",
            ),
            (
                self.noise_snr_dB[0] <= self.noise_snr_dB[1],
                f"noise_snr_dB: allowed is (low, high) (got {self.noise_snr_dB})",
            ),
            (
                0 <= self.noise_share <= 1,
                f"noise_share: allowed are values from 0 to 1 (got {self.noise_share:g})",
            ),
            (
                0.5 <= self.speed[0] <= self.speed[1] <= 2.0,
                f"speed: allowed is (low, high) within 0.5 to 2 (got {self.speed})",
            ),
            (
                len(self.vocal_tract) > 0 and all(0.8 <= factor <= 1.25 for factor in self.vocal_tract),
                f"vocal_tract: allowed are one or more factors from 0.8 to 1.25 (got {self.vocal_tract})",
            ),
        )
        problems = [text for holds, text in checks if not holds]
        if problems:
            raise InputError(problems)


@dataclass(frozen=True, eq=False)
class _Draws:
    clip: NDArray[np.int64]
    shift: NDArray[np.int64]
    gain: NDArray[np.float32]
    noise: NDArray[np.int64]
    start: NDArray[np.int64]
    ratio: NDArray[np.float32]
    speed: NDArray[np.float32]
    warp: NDArray[np.int64]


def _draw(count: int, samples: int, pool: int, how: Augmentation, stream: Stream) -> _Draws:
    draw, total = stream.child("draws").numpy(), count * how.copies
    reach = round(how.max_shift_s * RATE_HZ)
    quiet = draw.uniform(size=total) >= how.noise_share
    ratio = decibels(-draw.uniform(*how.noise_snr_dB, size=total))
    ratio[quiet] = 0.0
    return _Draws(
        clip=np.tile(np.arange(count), how.copies),
        shift=draw.integers(-reach, reach + 1, size=total),
        gain=decibels(draw.uniform(*how.gain_dB, size=total)),
        noise=draw.integers(pool, size=total),
        start=draw.integers(samples, size=total),
        ratio=ratio,
        speed=draw.uniform(*how.speed, size=total).astype(np.float32),
        warp=draw.integers(len(how.vocal_tract), size=total),
    )


def _pool(noise: Waveforms | None, samples: int, stream: Stream) -> NDArray[np.float32]:
    """Noise of unit root mean square, twice over in time, so that a window may start anywhere."""
    waves = as_float(noise) if noise is not None and len(noise) else None
    if waves is None:
        waves = generated_noise(GENERATED_POOL, samples, stream.child("noise").numpy())
    waves = waves / np.maximum(rms(waves), np.float32(1e-6))
    return np.concatenate([waves, waves], axis=1)


def _vary(waves: NDArray[np.float32], pool: NDArray[np.float32], draws: _Draws, rows: slice) -> NDArray[np.float32]:
    if (draws.speed != 1.0).any():
        waves = _played_at(waves, draws.speed[rows])
    samples, shift = waves.shape[1], draws.shift[rows]
    reach = int(np.abs(shift).max(initial=0))
    here = np.arange(len(waves))
    padded = np.pad(waves, ((0, 0), (reach, reach)))
    varied = sliding_window_view(padded, samples, axis=1)[here, reach - shift]
    noise = sliding_window_view(pool, samples, axis=1)[draws.noise[rows], draws.start[rows]]
    noise *= rms(waves) * draws.ratio[rows, None]
    varied += noise
    varied *= draws.gain[rows, None]
    return np.clip(varied, -1.0, 1.0, out=varied)


def _played_at(waves: NDArray[np.float32], speed: NDArray[np.float32]) -> NDArray[np.float32]:
    """Waveforms (n, samples) played faster or slower about their middle, linearly interpolated, silence beyond the
    ends."""
    samples = waves.shape[1]
    middle = 0.5 * (samples - 1)
    place = (torch.arange(samples) - middle) * torch.from_numpy(speed)[:, None] + middle
    sound = torch.from_numpy(np.ascontiguousarray(waves))
    before = place.floor().clamp_(-1, samples - 1)
    share = place - before
    padded = torch.nn.functional.pad(sound, (1, 2))
    left = (before.long() + 1).clamp_(0, samples)
    played = torch.lerp(padded.gather(1, left), padded.gather(1, left + 1), share)
    inside = (place >= 0) & (place <= samples - 1)
    return cast(NDArray[np.float32], (played * inside).numpy())


def augment(waveforms: Waveforms, noise: Waveforms | None, how: Augmentation, *, stream: Stream) -> NDArray[np.float32]:
    """Varied copies (copies * n, samples), float32 in [-1, 1], of ``waveforms`` (n, samples): copy by copy.

    ``noise`` (m, samples) is where the background is cut from (the training part's ``_silence_`` clips); with None or
    no rows it is generated. The clips themselves are not among the result.
    """
    one = _Variation(waveforms, noise, how, stream)
    blocks = [one.block(start)[0] for start in one.starts]
    return np.concatenate(blocks) if blocks else np.empty((0, waveforms.shape[1]), np.float32)


def augmented_mfcc(
    waveforms: Waveforms,
    noise: Waveforms | None,
    how: Augmentation,
    parameters: MFCC,
    *,
    stream: Stream,
    workers: int = 1,
    progress: Callable[[int, int], object] | None = None,
) -> Features:
    """The MFCC (copies * n, frames, n_mfcc) of ``augment``, without ever holding all the varied waveforms.

    ``workers`` threads share the blocks of clips, which changes no bit.
    """
    one = _Variation(waveforms, noise, how, stream)
    total = how.copies * len(waveforms)
    out = np.empty((total, parameters.frames(waveforms.shape[1]), parameters.n_mfcc), np.float32)

    def hear(start: int) -> int:
        block, warp = one.block(start)
        heard = parameters.block(torch.from_numpy(block), how.vocal_tract, torch.from_numpy(warp))
        out[start : start + len(block)] = heard.numpy()
        return start + len(block)

    with ThreadPoolExecutor(workers) as pool:
        for done in pool.map(hear, one.starts):
            if progress:
                progress(done, total)
    return out


class _Variation:
    """All draws of one augmentation, made beforehand, and the blocks that follow from them."""

    def __init__(self, waveforms: Waveforms, noise: Waveforms | None, how: Augmentation, stream: Stream) -> None:
        count, samples = waveforms.shape
        self.waveforms = waveforms
        self.pool = _pool(noise, samples, stream)
        self.draws = _draw(count, samples, len(self.pool), how, stream)
        self.starts = range(0, count * how.copies, BLOCK)

    def block(self, start: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Varied waveforms (block, samples), and which vocal tract each of them has."""
        rows = slice(start, start + BLOCK)
        waves = as_float(self.waveforms[self.draws.clip[rows]])
        return _vary(waves, self.pool, self.draws, rows), self.draws.warp[rows]
