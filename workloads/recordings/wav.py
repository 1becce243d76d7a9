"""A recording as it is stored: RIFF WAV bytes in, 16-bit mono samples at one rate out.

libsndfile reads what is there of a file that was cut off and says nothing; the sizes that the file states about itself
are therefore checked first.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import soundfile as sf  # type: ignore[import-untyped,unused-ignore]
import soxr  # type: ignore[import-untyped,unused-ignore]
from numpy.typing import NDArray

RATE_HZ = 16_000
FULL_SCALE = 32768.0
_UNKNOWN_LENGTH = 0xFFFFFFFF


@dataclass(frozen=True)
class Sound:
    """Samples (n,) as int16 at ``RATE_HZ``, and what the file had before resampling and mixing."""

    samples: NDArray[np.int16]
    stored_rate_Hz: int
    stored_channels: int


def decode_wav(data: bytes) -> Sound:
    """One WAV file, resampled to 16 kHz (soxr, high quality) and mixed down to mono where it needs it.

    Raises ``ValueError`` with what is wrong, in words that complete "FILE: ...".
    """
    _check_riff(data)
    try:
        with sf.SoundFile(io.BytesIO(data)) as file:
            rate_Hz, channels = int(file.samplerate), int(file.channels)
            plain = file.subtype == "PCM_16"
            read = file.read(dtype="int16" if plain else "float32", always_2d=True)
    except sf.LibsndfileError as error:
        raise ValueError(f"a WAV file that libsndfile cannot decode ({error.error_string})") from None
    if len(read) == 0:
        raise ValueError("a WAV file without a sample")
    if plain and rate_Hz == RATE_HZ and channels == 1:
        return Sound(read[:, 0], rate_Hz, channels)
    wave = np.asarray(read, np.float32).mean(axis=1) / (FULL_SCALE if plain else 1.0)
    if not np.isfinite(wave).all():
        raise ValueError("a WAV file with samples that are not finite")
    if rate_Hz != RATE_HZ:
        wave = resample(wave, rate_Hz)
    return Sound(to_int16(wave), rate_Hz, channels)


def _check_riff(data: bytes) -> None:
    if len(data) < 12 or data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        got = "an empty file" if not data else f"first bytes {data[:4]!r}"
        raise ValueError(f"not a WAV file (allowed: RIFF WAVE; got {got})")
    at = 12
    while at + 8 <= len(data):
        kind, size = data[at : at + 4], struct.unpack_from("<I", data, at + 4)[0]
        size_B = len(data) - at - 8
        if kind == b"data":
            # Recorders that write to a pipe leave this length open.
            if size != _UNKNOWN_LENGTH and size > size_B:
                raise ValueError(f"a truncated WAV file (its header promises {size} bytes of samples, it has {size_B})")
            return
        at += 8 + size + size % 2
    raise ValueError("a truncated WAV file (it ends before its samples)")


def resample(wave: NDArray[np.float32], rate_Hz: int) -> NDArray[np.float32]:
    """A mono wave at ``rate_Hz`` brought to 16 kHz, band-limited (soxr, high quality)."""
    resampled: NDArray[Any] = soxr.resample(wave, rate_Hz, RATE_HZ, quality="HQ")
    return np.asarray(resampled, np.float32)


def to_int16(wave: NDArray[np.float32]) -> NDArray[np.int16]:
    """A wave in [-1, 1) rounded to 16 bits; what is outside is limited to the largest code."""
    return np.asarray(np.clip(np.rint(wave * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1), np.int16)


def centred(samples: NDArray[np.int16], length: int) -> NDArray[np.int16]:
    """The middle ``length`` samples of a longer recording; a shorter one with silence on both sides."""
    extra = len(samples) - length
    if extra >= 0:
        return samples[extra // 2 : extra // 2 + length]
    before = -extra // 2
    padded: NDArray[np.int16] = np.pad(samples, (before, -extra - before))
    return padded
