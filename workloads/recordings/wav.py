"""A recording as it is stored: WAV, SPHERE or FLAC bytes in, 16-bit mono samples at one rate out.

libsndfile reads what is there of a file that was cut off and says nothing; the sizes that the file states about itself
are therefore checked first. Programs that write to a pipe cannot know the length and leave a placeholder, which is
taken as "to the end of the file". Samples in floating point have full scale at 1; some programs write +-32768.
"""

from __future__ import annotations

import io
import re
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import soundfile as sf  # type: ignore[import-untyped,unused-ignore]
import soxr  # type: ignore[import-untyped,unused-ignore]
from numpy.typing import NDArray

RATE_HZ = 16_000
FULL_SCALE = 32768.0
ENDINGS = (".wav", ".sph", ".flac")
LOWEST_RATE_HZ, HIGHEST_RATE_HZ = 2_000, 768_000
MOST_CHANNELS = 64
LONGEST_S, MOST_SAMPLES = 3_600.0, 1 << 27
# Peaks up to here are loud recordings, limited to full scale; larger ones are in the units of 16-bit samples.
LOUDEST_FLOAT = 8.0
# What writers to pipes leave as the length of samples: SoX, ffmpeg, and readers of signed numbers.
_UNKNOWN_LENGTHS = (0xFFFFFFFF, 0x7FFFF000, 0x7FFFFFFF)
_MOST_CHUNKS = 1_000


@dataclass(frozen=True)
class Sound:
    """Samples (n,) as int16 at ``RATE_HZ``, and in ``changes`` what was done to what the file had.

    A change completes "N recordings were ...".
    """

    samples: NDArray[np.int16]
    changes: tuple[str, ...] = ()


def decode_wav(data: bytes) -> Sound:
    """One sound file, resampled to 16 kHz (soxr, high quality) and mixed down to mono where it needs it.

    Raises ``ValueError`` with what is wrong, in words that complete "FILE: ...".
    """
    data, changes = _check_lengths(data)
    try:
        with sf.SoundFile(io.BytesIO(data)) as file:
            rate_Hz, channels, frames = int(file.samplerate), int(file.channels), int(file.frames)
            _check_shape(rate_Hz, channels, frames)
            plain = file.subtype == "PCM_16"
            read = file.read(dtype="int16" if plain else "float32", always_2d=True)
            floating = file.subtype in ("FLOAT", "DOUBLE")
    except sf.LibsndfileError as error:
        raise ValueError(f"a WAV file that libsndfile cannot decode ({error.error_string})") from None
    except (RuntimeError, TypeError, OverflowError, MemoryError) as error:
        raise ValueError(f"a WAV file that soundfile cannot decode ({type(error).__name__})") from None
    if len(read) == 0:
        raise ValueError("a WAV file without a sample")
    if len(read) < frames:
        raise ValueError(f"a truncated file (its header promises {frames} samples, it has {len(read)})")
    if plain and rate_Hz == RATE_HZ and channels == 1:
        return Sound(read[:, 0], tuple(changes))
    if not plain and not np.isfinite(read).all():
        raise ValueError("a WAV file with samples that are not finite")
    scale, words = _scale(read) if floating else (FULL_SCALE if plain else 1.0, [])
    wave = np.asarray(read, np.float32).mean(axis=1) / scale
    if channels != 1:
        changes.append("mixed down to mono")
    if rate_Hz != RATE_HZ:
        wave = resample(wave, rate_Hz)
        changes.append(f"resampled to 16 kHz (from {rate_Hz / 1e3:g} kHz)")
        if not words and np.abs(wave).max() > 1.0:
            words = ["beyond full scale after resampling, and limited to it"]
    return Sound(to_int16(wave), (*changes, *words))


def _check_shape(rate_Hz: int, channels: int, frames: int) -> None:
    """Refuse what no recording is like, before any memory is taken for it."""
    if not LOWEST_RATE_HZ <= rate_Hz <= HIGHEST_RATE_HZ:
        allowed = f"{LOWEST_RATE_HZ:,} to {HIGHEST_RATE_HZ:,} samples per second"
        raise ValueError(f"a sampling rate that no recording of sound has (allowed: {allowed}; got {rate_Hz:,})")
    if not 1 <= channels <= MOST_CHANNELS:
        raise ValueError(f"too many channels (allowed: 1 to {MOST_CHANNELS}; got {channels})")
    if frames > LONGEST_S * rate_Hz:
        raise ValueError(f"a recording that is too long (allowed: {LONGEST_S:g} s; got {frames / rate_Hz:g} s)")
    if frames * channels > MOST_SAMPLES:
        raise ValueError(
            f"a recording that is too large (allowed: {MOST_SAMPLES:,} samples; got {frames * channels:,})"
        )


def _scale(wave: NDArray[np.float32]) -> tuple[float, list[str]]:
    """What full scale is in a wave of floating-point samples, and a note on it."""
    peak = float(np.abs(wave).max())
    if peak <= 1.0:
        return 1.0, []
    if peak <= LOUDEST_FLOAT:
        return 1.0, ["floating point beyond full scale at 1, and limited to it"]
    if peak <= FULL_SCALE:
        return FULL_SCALE, ["floating point in units of 16-bit samples, and divided by 32768"]
    raise ValueError(f"floating-point samples in no usual unit (allowed: up to 1 or up to 32768; got {peak:.4g})")


def _check_lengths(data: bytes) -> tuple[bytes, list[str]]:
    """Compare the lengths that a file states with its size; the file with a length, and a note on it."""
    if data[:4] == b"fLaC":
        return data, []
    if data[:8] == b"NIST_1A\n":
        _check_sphere(data)
        return data, []
    if len(data) < 12 or data[:4] not in (b"RIFF", b"RIFX", b"RF64") or data[8:12] != b"WAVE":
        got = "an empty file" if not data else f"first bytes {data[:4]!r}"
        raise ValueError(f"not a WAV file (allowed: RIFF WAVE; got {got})")
    order, long, at = ">" if data[:4] == b"RIFX" else "<", None, 12
    for _ in range(_MOST_CHUNKS):
        if at + 8 > len(data):
            raise ValueError("a truncated WAV file (it ends before its samples)")
        kind, size = data[at : at + 4], struct.unpack_from(f"{order}I", data, at + 4)[0]
        left_B = len(data) - at - 8
        if kind == b"ds64" and left_B >= 16:
            long = struct.unpack_from("<Q", data, at + 16)[0]
        if kind == b"data":
            if size == 0xFFFFFFFF and long is not None:
                size = long
            elif (size in _UNKNOWN_LENGTHS and size > left_B) or (
                size == 0 and left_B >= 8 and not _is_part(data, at + 8)
            ):
                data = data[: at + 4] + struct.pack(f"{order}I", left_B) + data[at + 8 :]
                return data, ["of unknown length in their header (written to a pipe), and read to the end of the file"]
            if size > left_B:
                raise ValueError(f"a truncated WAV file (its header promises {size} bytes of samples, it has {left_B})")
            return data, []
        at += 8 + size + size % 2
    raise ValueError(f"a WAV file with more than {_MOST_CHUNKS:,} parts before its samples")


def _is_part(data: bytes, at: int) -> bool:
    """Whether a part of a WAV file begins here, rather than samples of one whose writer left its length at 0."""
    return data[at : at + 4].isalnum() and struct.unpack_from("<I", data, at + 4)[0] <= len(data) - at - 8


def _check_sphere(data: bytes) -> None:
    """NIST SPHERE: a header of text, of the size in its second line, then the samples."""
    head = data[: 1 << 16].decode("latin-1")
    stated = re.match(r"NIST_1A\n\s*(\d{1,6})\n", head)
    fields = {key: int(number) for key, number in re.findall(r"^(\w+) -i (\d{1,12})\s*$", head, re.MULTILINE)}
    names = ("sample_count", "channel_count", "sample_n_bytes")
    if not stated or not all(name in fields for name in (names[0], names[2])):
        raise ValueError("a damaged SPHERE file (its header lacks the number or the size of samples)")
    if re.search(r"^sample_coding -s\d+ .*(shorten|wavpack|shortpack)", head, re.MULTILINE):
        raise ValueError("a compressed SPHERE file; unpack it with sph2pipe or sox")
    size = fields[names[0]] * fields.get(names[1], 1) * fields[names[2]]
    left_B = len(data) - int(stated[1])
    if size > left_B:
        raise ValueError(f"a truncated SPHERE file (its header promises {size} bytes of samples, it has {left_B})")


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
