"""Mel-frequency cepstral coefficients: what a word sounds like, in 40 numbers every 20 ms.

By default the mel filters are librosa's and the result equals ``librosa.feature.mfcc`` of each clip by itself; the
short-time spectra of many clips are found together, since librosa limits the dynamic range (``top_db``) by the loudest frame of
whatever it is given, which for a batch would let one clip change another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Annotated, Any, Literal, cast

import numpy as np
import torch
from annotated_types import Interval
from numpy.typing import NDArray

from configs.errors import InputError
from workloads.recordings.clips import Clips
from workloads.recordings.sources import remembered
from workloads.recordings.wav import FULL_SCALE, RATE_HZ

# A block of this size keeps its spectra in the processor's cache.
BLOCK = 32
POWER_FLOOR = 1e-10
MAGNITUDE_FLOOR = 1e-6
CEPSTRAL_FLOOR = 2.0

Features = NDArray[np.float32]
Waveforms = NDArray[np.int16] | NDArray[np.float32]


@dataclass(frozen=True)
class MFCC:
    """Mel-frequency cepstrum after Davis and Mermelstein (doi:10.1109/TASSP.1980.1163420).

    ``recipe``: ``librosa``: Hann window, power spectrum, ``n_mels`` Slaney filters from ``f_min_Hz`` to ``f_max_Hz``,
    decibels limited to ``top_dB`` below the loudest of the clip, orthonormal cosine transform (type 2), first
    ``n_mfcc`` coefficients; windows are centred on multiples of the hop, the first on the start of the clip.
    ``tensorflow``, as ``tf.signal`` and MLPerf Tiny have them (arXiv:2106.07597): magnitudes, triangles of height 1 on
    the HTK mel scale, natural logarithms of what is 1e-6 more, and every coefficient scaled by sqrt(2 / n_mels);
    windows lie whole within the clip.
    """

    window_s: float = 0.040
    hop_s: float = 0.020
    n_fft: Annotated[int, Interval(ge=2, le=RATE_HZ)] = 640
    n_mels: Annotated[int, Interval(ge=1, le=1024)] = 40
    n_mfcc: Annotated[int, Interval(ge=1, le=1024)] = 40
    f_min_Hz: float = 20.0
    f_max_Hz: float = 7600.0
    top_dB: float = 80.0
    recipe: Literal["librosa", "tensorflow"] = "librosa"

    def __post_init__(self) -> None:
        checks = (
            (
                self.hop_s > 0,
                f"hop_s: allowed are values above 0 s (got {self.hop_s:g})",
            ),
            (
                self.hop_s <= 0 or 1 <= self.hop_s * RATE_HZ <= RATE_HZ,
                f"hop_s: allowed is one sample, {1 / RATE_HZ:g} s, to the second of a clip (got {self.hop_s:g} s)",
            ),
            (
                1 <= self.window_s * RATE_HZ <= self.n_fft + 0.5,
                f"window_s: allowed is at most n_fft samples, {self.n_fft / RATE_HZ:g} s (got {self.window_s:g} s)",
            ),
            (
                0 < self.n_mfcc <= self.n_mels,
                f"n_mfcc: allowed are 1 to n_mels = {self.n_mels} (got {self.n_mfcc})",
            ),
            (
                0 <= self.f_min_Hz < self.f_max_Hz <= RATE_HZ / 2,
                f"f_min_Hz, f_max_Hz: allowed are 0 <= f_min_Hz < f_max_Hz <= {RATE_HZ / 2:g} Hz "
                f"(got {self.f_min_Hz:g} and {self.f_max_Hz:g})",
            ),
            (
                self.top_dB > 0,
                f"top_dB: allowed are values above 0 dB (got {self.top_dB:g})",
            ),
        )
        problems = [text for holds, text in checks if not holds]
        if problems:
            raise InputError(problems)

    @property
    def window(self) -> int:
        """Samples under one window."""
        return round(self.window_s * RATE_HZ)

    @property
    def hop(self) -> int:
        """Samples from one frame to the next."""
        return round(self.hop_s * RATE_HZ)

    def frames(self, samples: int) -> int:
        """Frames of a clip, which librosa continues by silence on both sides."""
        return 1 + (samples - (0 if self.recipe == "librosa" else self.window)) // self.hop

    @property
    def _silence(self) -> tuple[int, int]:
        """Samples of silence before and after a clip; the window lies in the middle of ``n_fft`` samples."""
        whole = self.n_fft if self.recipe == "librosa" else self.n_fft - self.window
        return whole // 2, whole - whole // 2

    @cached_property
    def _window(self) -> torch.Tensor:
        import librosa.filters

        window = librosa.filters.get_window("hann", self.window, fftbins=True)
        before = (self.n_fft - self.window) // 2
        padded = np.pad(window, (before, self.n_fft - self.window - before))
        return torch.from_numpy(padded.astype(np.float32))

    @cached_property
    def _mel(self) -> torch.Tensor:
        import librosa.filters

        if self.recipe == "tensorflow":
            return _triangles(self, _mel_edges_Hz(self))
        basis = librosa.filters.mel(
            sr=RATE_HZ,
            n_fft=self.n_fft,
            n_mels=self.n_mels,
            fmin=self.f_min_Hz,
            fmax=self.f_max_Hz,
        )
        return torch.from_numpy(np.ascontiguousarray(basis.T, np.float32))

    @cached_property
    def _cosines(self) -> torch.Tensor:
        from scipy import fft  # type: ignore[import-untyped,unused-ignore]

        transform = fft.dct(np.eye(self.n_mels), axis=0, norm="ortho")[: self.n_mfcc]
        if self.recipe == "tensorflow":
            transform[0] *= np.sqrt(2.0)
        return torch.from_numpy(np.ascontiguousarray(transform.T, np.float32))

    def block(
        self, waveforms: torch.Tensor, warps: tuple[float, ...] = (1.0,), warp: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Coefficients (n, frames, n_mfcc) of waveforms (n, samples), float32 in [-1, 1).

        ``warp`` (n,): which of the factors ``warps`` stretches each clip's filter bank; None leaves it alone.
        """
        padded = torch.nn.functional.pad(waveforms, self._silence)
        frames = padded.unfold(1, self.n_fft, self.hop) * self._window
        real, imaginary = torch.view_as_real(torch.fft.rfft(frames)).unbind(-1)
        power = real.square().addcmul_(imaginary, imaginary)
        if self.recipe == "tensorflow":
            power.sqrt_()
        if warp is None or warps == (1.0,):
            bands = power @ self._mel
        else:
            bands = power.new_empty((*power.shape[:2], self.n_mels))
            for number, factor in enumerate(warps):
                chosen = warp == number
                bands[chosen] = power[chosen] @ _warped_mel(self, factor)
        if self.recipe == "tensorflow":
            return torch.log(bands + MAGNITUDE_FLOOR) @ self._cosines
        level_dB = 10.0 * torch.log10(bands.clamp_min(POWER_FLOOR))
        level_dB = torch.maximum(level_dB, level_dB.amax((1, 2), keepdim=True) - self.top_dB)
        return level_dB @ self._cosines


@lru_cache(maxsize=32)
def _warped_mel(how: MFCC, factor: float) -> torch.Tensor:
    """The filter bank with its frequencies stretched by ``factor`` up to 4.8 kHz, and linearly to Nyquist above."""
    if factor == 1.0:
        return how._mel
    nyquist = RATE_HZ / 2
    knee = 4800.0 * min(factor, 1.0) / factor
    edges = _mel_edges_Hz(how)
    above = nyquist - (nyquist - knee * factor) / (nyquist - knee) * (nyquist - edges)
    return _triangles(how, np.where(edges <= knee, edges * factor, above))


def _mel_edges_Hz(how: MFCC) -> NDArray[np.float64]:
    """Frequencies between which the triangular filters lie: each begins at one and ends at the next but one."""
    import librosa

    htk = how.recipe == "tensorflow"
    edges = librosa.mel_frequencies(how.n_mels + 2, fmin=how.f_min_Hz, fmax=how.f_max_Hz, htk=htk)
    return cast("NDArray[np.float64]", edges)


def _triangles(how: MFCC, edges_Hz: NDArray[np.float64]) -> torch.Tensor:
    """Filters (bins, n_mels): straight over frequency and of equal area, or over the HTK mel scale and of height 1."""
    import librosa

    htk, bins_Hz = how.recipe == "tensorflow", np.linspace(0.0, RATE_HZ / 2, how.n_fft // 2 + 1)
    edges, bins = (librosa.hz_to_mel(of, htk=True) if htk else of for of in (edges_Hz, bins_Hz))
    rise = np.subtract.outer(edges, bins)
    width = np.diff(edges)[:, None]
    filters = np.maximum(0.0, np.minimum(-rise[:-2] / width[:-1], rise[2:] / width[1:]))
    if not htk:
        filters *= 2.0 / (edges_Hz[2:] - edges_Hz[:-2])[:, None]
    return torch.from_numpy(np.ascontiguousarray(filters.T, np.float32))


def as_float(waveforms: Waveforms) -> NDArray[np.float32]:
    """Waveforms as float32 in [-1, 1), whether stored so or as 16-bit codes."""
    if waveforms.dtype == np.int16:
        return waveforms.astype(np.float32) / np.float32(FULL_SCALE)
    return waveforms.astype(np.float32, copy=False)


def mfcc(
    waveforms: Waveforms,
    parameters: MFCC,
    *,
    progress: Callable[[int, int], object] | None = None,
) -> Features:
    """Coefficients (n, frames, n_mfcc), float32, of ``waveforms`` (n, samples) at 16 kHz.

    ``progress`` is called with the clips done and the clips in all.
    """
    count, samples = waveforms.shape
    out = np.empty((count, parameters.frames(samples), parameters.n_mfcc), np.float32)
    for start in range(0, count, BLOCK):
        rows = slice(start, start + BLOCK)
        out[rows] = parameters.block(torch.from_numpy(as_float(waveforms[rows]))).numpy()
        if progress:
            progress(min(start + BLOCK, count), count)
    return out


def cached_mfcc(clips: Clips, parameters: MFCC) -> tuple[Features, tuple[str, ...]]:
    """``mfcc`` of all clips, kept on disk under a digest of the clips and the parameters; and notes on the cache."""
    digest = hashlib.sha256(f"{clips.digest} {parameters!r}".encode()).hexdigest()[:32]
    arrays, notes = remembered(f"kws/mfcc-{digest}.npz", lambda: {"mfcc": mfcc(clips.waveforms, parameters)})
    return arrays["mfcc"], notes


@dataclass(frozen=True, eq=False)
class Normaliser:
    """Brings coefficients into [-1, 1], the range of the drivers; what is outside is clipped and counted.

    ``utterance``: subtract the mean of the clip, divide by ``std_scale`` times its standard deviation, both over all
    frames and coefficients (github.com/Intelligent-Microsystems-Lab/QuantizedLSTM). ``corpus``: the same for each
    coefficient by itself with ``mean`` and ``std`` (n_mfcc,) of the training part. ``cepstral``: first the mean and the
    deviation of each coefficient over the frames of the clip (cepstral mean and variance normalisation, with
    ``CEPSTRAL_FLOOR`` added to the deviation so that silence is not blown up), then ``corpus``.
    """

    kind: Literal["utterance", "corpus", "cepstral"]
    std_scale: float
    mean: Features | None = None
    std: Features | None = None

    @classmethod
    def fit(cls, kind: str, training: Features, *, std_scale: float = 3.0) -> Normaliser:
        """The normaliser named ``kind``, with what it must know of the ``training`` features (n, frames, n_mfcc)."""
        if std_scale <= 0:
            raise InputError(f"std_scale: allowed are values above 0 (got {std_scale:g})")
        if kind == "utterance":
            return cls("utterance", std_scale)
        if kind in ("corpus", "cepstral"):
            if kind == "cepstral":
                training = _over_frames(training)
            rows = training.reshape(-1, training.shape[-1])
            mean, std = rows.mean(0, dtype=np.float64), rows.std(0, dtype=np.float64)
            return cls(cast(Any, kind), std_scale, mean.astype(np.float32), std.astype(np.float32))
        raise InputError(f"normalisation: allowed are 'utterance', 'corpus' and 'cepstral' (got {kind!r})")

    def apply(self, features: Features) -> tuple[Features, float]:
        """The features in [-1, 1], and the share of values that were clipped to get there."""
        if self.kind == "cepstral":
            features = _over_frames(features)
        if self.mean is not None and self.std is not None:
            mean, std = self.mean, self.std
        else:
            mean, std = (
                features.mean((1, 2), keepdims=True),
                features.std((1, 2), keepdims=True),
            )
        scaled = (features - mean) / np.maximum(std * np.float32(self.std_scale), np.float32(1e-6))
        clipped = float(np.mean(np.abs(scaled) > 1.0)) if scaled.size else 0.0
        return np.clip(scaled, -1.0, 1.0), clipped


def _over_frames(features: Features) -> Features:
    """Each coefficient of each clip (n, frames, n_mfcc), less its mean, over its deviation plus the floor."""
    deviation = features.std(1, keepdims=True) + np.float32(CEPSTRAL_FLOOR)
    return cast(Features, (features - features.mean(1, keepdims=True)) / deviation)
