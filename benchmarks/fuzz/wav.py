"""One odd WAV file among good ones, in a folder of keywords or of spoken digits."""

from __future__ import annotations

import io
import struct
from functools import cache
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.fuzz.case import CLIP_SAMPLES, KEYWORDS, Case, clips, from_list, small, start, wav, write
from benchmarks.fuzz.changes import bent

PLACE = "yes/s0_nohash_0.wav"
LENGTHS = [struct.pack("<I", value) for value in (0, 1, 15, 2**16, 0x7FFFF000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)]
CHUNKS = [
    b"LIST\x0a\0\0\0xxxxxxxxxx",
    b"LIST\x03\0\0\0xyz",
    b"LIST\xff\xff\xff\xff",
    b"junk\0\0\0\0",
    b"data\x04\0\0\0\0\0\0\0",
]


def _before_data(good: bytes, chunk: bytes) -> bytes:
    return good[:12] + chunk + good[12:]


def _with(good: bytes, at: int, form: str, value: int) -> bytes:
    result = bytearray(good)
    struct.pack_into(form, result, at, value)
    return bytes(result)


@cache
def _listed() -> dict[str, bytes]:
    tone = (9000 * np.sin(np.arange(CLIP_SAMPLES))).astype("<i2").tobytes()
    unit = np.sin(np.arange(CLIP_SAMPLES))
    good = wav(tone)
    found = {
        "good": good,
        "empty": b"",
        "4 bytes": b"RIFF",
        "header alone": good[:44],
        "cut off": good[:1000],
        "odd length": good[:-1],
        "text": b"hello" * 100,
        "no samples": wav(b""),
        "RIFX": b"RIFX" + good[4:],
        "length of a pipe (SoX)": _with(_with(good, 40, "<I", 0x7FFFF000), 4, "<I", 0x7FFFF024),
        "length 0xFFFFFFFF": _with(good, 40, "<I", 0xFFFFFFFF),
        "length 0": _with(good, 40, "<I", 0),
        "length too small": _with(good, 40, "<I", 100),
        "no channels": wav(tone, channels=0),
        "65,535 channels": wav(tone, channels=65535),
        "stereo": wav(tone, channels=2),
        "1,024 channels": wav(bytes(2048 * 100), channels=1024),
        "8 bits": wav(tone, bits=8),
        "24 bits": wav(tone[:3000], bits=24),
        "12 bits": wav(tone, bits=12),
        "0 bits": wav(tone, bits=0),
        "float in +-1": wav(unit.astype("<f4").tobytes(), bits=32, tag=3),
        "float in +-32768": wav((9000 * unit).astype("<f4").tobytes(), bits=32, tag=3),
        "float NaN": wav(np.full(CLIP_SAMPLES, np.nan, "<f4").tobytes(), bits=32, tag=3),
        "float infinite": wav(np.full(CLIP_SAMPLES, np.inf, "<f4").tobytes(), bits=32, tag=3),
        "float 1e30": wav(np.full(CLIP_SAMPLES, 1e30, "<f4").tobytes(), bits=32, tag=3),
        "double 1e300": wav(np.full(CLIP_SAMPLES, 1e300).tobytes(), bits=64, tag=3),
        "no format": b"RIFF" + struct.pack("<I", 100) + b"WAVEdata" + struct.pack("<I", 8) + bytes(8),
        "20 MB of empty chunks": _before_data(good, b"junk\0\0\0\0" * 2_500_000),
        "SPHERE": b"NIST_1A\n   1024\n"
        + b"sample_rate -i 16000\nsample_n_bytes -i 2\nchannel_count -i 1\nend_head\n".ljust(1008)
        + tone,
        "30 MB at 1 Hz": wav(b"\1\0" * 15_000_000, rate=1),
        "30 MB at 100 Hz": wav(b"\1\0" * 15_000_000, rate=100),
    }
    found |= {
        f"{rate} Hz": wav(tone, rate=rate)
        for rate in (0, 1, 2, 100, 1000, 8000, 22050, 44100, 192_000, 4_000_000_000, 2**32 - 1)
    }
    found |= {f"format {tag}": wav(tone, tag=tag) for tag in (0, 2, 6, 7, 0x11, 0x31, 0x55, 0xFFFE)}
    found |= {f"chunk {chunk[:8]!r} before": _before_data(good, chunk) for chunk in CHUNKS}
    for form in ("FLAC", "AIFF", "OGG", "W64", "AU", "CAF", "RF64", "WAVEX", "NIST"):
        held = io.BytesIO()
        soundfile.write(held, 0.3 * unit, 16000, format=form)
        found[f"{form} under the name .wav"] = held.getvalue()
    for subtype in soundfile.available_subtypes("WAV"):
        held = io.BytesIO()
        try:
            soundfile.write(
                held,
                0.3 * unit,
                8000 if "GSM" in subtype or "G721" in subtype else 16000,
                format="WAV",
                subtype=subtype,
            )
        except (soundfile.LibsndfileError, ValueError):
            continue
        found[f"WAV of {subtype}"] = held.getvalue()
    return found


def case(number: int, folder: Path, base: Path) -> Case:
    rng = start("wav", number)
    if listed := from_list(number, _listed()):
        about, data = listed
    else:
        source, good = rng.choice([(name, data) for name, data in _listed().items() if 100 < len(data) < 100_000])
        # Nine changes of ten are in the headers.
        head = 80 if rng.random() < 0.9 else len(good)
        about, data = f"{source}, bytes changed", bent(rng, good[:head], [*LENGTHS, *CHUNKS]) + good[head:]
    infinite = about in ("float NaN", "float infinite")
    if rng.random() < 0.2:
        files = {
            f"{label}_p{speaker}_{take}.wav": clips()[f"{KEYWORDS[label]}/s{speaker}_nohash_0.wav"]
            for label in range(3)
            for speaker in range(4)
            for take in range(1)
        }
        write(folder / "data", files | {"0_p0_0.wav": data})
        return Case(
            f"spoken digits: {about}", ("run", small("small_audio", folder), "--data", "data", "--quiet"), infinite
        )
    write(folder / "data", clips() | {PLACE: data})
    return Case(about, ("run", small("small_kws", folder), "--data", "data", "--quiet"), infinite)
