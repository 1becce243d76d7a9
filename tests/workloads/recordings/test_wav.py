"""Sound as programs write it: pipes, SPHERE, RF64 and floating point in any unit; headers that promise too much."""

from __future__ import annotations

import contextlib
import io
import struct
import time

import numpy as np
import pytest
import soundfile as sf

from workloads.recordings.wav import MOST_CHANNELS, decode_wav

WAVE = (0.3 * np.sin(2 * np.pi * 440.0 * np.arange(16_000) / 16_000) * 32768).astype("<i2")


def riff(data: bytes = WAVE.tobytes(), *, rate: int = 16_000, channels: int = 1, stated: int | None = None) -> bytes:
    """A 16-bit WAV file by hand; ``stated`` is the length that its header promises."""
    form = struct.pack("<HHIIHH", 1, channels, rate, 2 * channels * rate & 0xFFFFFFFF, 2 * channels & 0xFFFF, 16)
    size = struct.pack("<I", len(data) if stated is None else stated)
    return b"RIFF" + struct.pack("<I", 36 + len(data)) + b"WAVEfmt \x10\0\0\0" + form + b"data" + size + data


def written(wave: np.ndarray, **how: object) -> bytes:
    out = io.BytesIO()
    sf.write(out, wave, **{"samplerate": 16_000, "format": "WAV", **how})
    return out.getvalue()


def sphere(data: bytes, *, count: int = 16_000, extra: str = "") -> bytes:
    fields = f"sample_count -i {count}\nsample_n_bytes -i 2\nchannel_count -i 1\nsample_byte_format -s2 01\n"
    fields += f"sample_rate -i 16000\nsample_coding -s3 pcm\n{extra}end_head\n"
    return f"NIST_1A\n   1024\n{fields}".encode().ljust(1024) + data


@pytest.mark.parametrize("stated", [0x7FFFF000, 0xFFFFFFFF, 0x7FFFFFFF, 0], ids=["SoX", "ffmpeg", "signed", "none"])
def test_a_length_left_open_by_a_pipe_is_the_rest_of_the_file(stated: int) -> None:
    sound = decode_wav(riff(stated=stated))
    np.testing.assert_array_equal(sound.samples, WAVE)
    assert [change.split(" in ")[0] for change in sound.changes] == (["of unknown length"])


@pytest.mark.parametrize("form", [{"format": "RF64"}, {"format": "WAVEX"}, {"endian": "BIG"}, {"format": "FLAC"}])
def test_relatives_of_wav_give_the_same_samples(form: dict[str, str]) -> None:
    sound = decode_wav(written(WAVE, subtype="PCM_16", **form))
    np.testing.assert_array_equal(sound.samples, WAVE)
    assert sound.changes == ()


def test_sphere_files_of_speech_corpora_are_read() -> None:
    np.testing.assert_array_equal(decode_wav(sphere(WAVE.tobytes())).samples, WAVE)
    for data, text in (
        (sphere(WAVE.tobytes()[:900]), "a truncated SPHERE file (its header promises 32000 bytes"),
        (sphere(b"", count=10**11), "a truncated SPHERE file"),
        (sphere(WAVE.tobytes(), extra="sample_coding -s27 pcm,embedded-shorten-v2.00\n"), "a compressed SPHERE file"),
        (b"NIST_1A\n   1024\nend_head\n".ljust(2000), "a damaged SPHERE file"),
    ):
        with pytest.raises(ValueError) as caught:
            decode_wav(data)
        assert str(caught.value).startswith(text)


@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_floating_point_in_units_of_16_bits_is_scaled_and_not_clipped(subtype: str) -> None:
    sound = decode_wav(written(WAVE.astype(np.float64), subtype=subtype))
    np.testing.assert_array_equal(sound.samples, WAVE)
    assert sound.changes == ("floating point in units of 16-bit samples, and divided by 32768",)


def test_floating_point_beyond_full_scale_is_limited_with_a_note() -> None:
    wave = 1.5 * np.sin(np.arange(16_000) / 5.0)
    sound = decode_wav(written(wave, subtype="FLOAT"))
    np.testing.assert_allclose(sound.samples, np.clip(wave, -1, 1) * 32768, atol=1.5)
    assert sound.changes == ("floating point beyond full scale at 1, and limited to it",)
    assert decode_wav(written(wave / 2, subtype="FLOAT")).changes == ()
    with pytest.raises(ValueError, match=r"no usual unit \(allowed: up to 1 or up to 32768; got 1e\+06\)"):
        decode_wav(written(wave / 1.5e-6, subtype="FLOAT"))


def test_resampling_and_mixing_are_noted() -> None:
    sound = decode_wav(riff(np.repeat(WAVE, 2).tobytes(), channels=2, rate=8_000))
    assert sound.changes == ("mixed down to mono", "resampled to 16 kHz (from 8 kHz)")
    assert len(sound.samples) == 32_000


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (riff(rate=1), "a sampling rate that no recording of sound has (allowed: 2,000 to 768,000 samples per second"),
        (riff(rate=2**31 - 1), "a sampling rate that no recording of sound has"),
        (riff(rate=0), "a "),
        (riff(channels=1000), f"too many channels (allowed: 1 to {MOST_CHANNELS}; got 1000)"),
        (riff(stated=0xFFFFFFF0), "a truncated WAV file (its header promises 4294967280 bytes of samples"),
        (riff(stated=4_000_000_000), "a truncated WAV file (its header promises 4000000000 bytes of samples"),
        (
            riff(np.zeros(8_000_000, "<i2").tobytes(), rate=2_000),
            "a recording that is too long (allowed: 3600 s; got 4000 s)",
        ),
        (riff()[:12] + b"junk\0\0\0\0" * 1_000_000, "a WAV file with more than 1,000 parts before its samples"),
        (
            b"RF64\xff\xff\xff\xffWAVEds64" + struct.pack("<I3QI", 28, 0, 1 << 40, 0, 0) + b"data\xff\xff\xff\xff",
            "a trunc",
        ),
        (written(WAVE, subtype="PCM_16", format="FLAC")[:4_000], "a "),
    ],
    ids=["1 Hz", "4 GHz", "0 Hz", "channels", "4 GB", "4e9", "an hour", "parts", "RF64", "FLAC cut"],
)
def test_what_no_recording_is_like_is_refused_at_once(data: bytes, message: str) -> None:
    start = time.monotonic()
    with pytest.raises(ValueError) as caught:
        decode_wav(data)
    assert str(caught.value).startswith(message)
    assert time.monotonic() - start < 3.0


def test_bytes_changed_at_random_are_sound_or_one_sentence() -> None:
    draw = np.random.default_rng(0)
    seeds = [riff(), sphere(WAVE.tobytes()), *(written(WAVE, format=form) for form in ("RF64", "FLAC", "WAVEX"))]
    for number in range(300):
        data = bytearray(seeds[number % len(seeds)])
        for at in draw.integers(0, 80, 3):
            data[at] = draw.choice([0, 255, 127, draw.integers(256)])
        with contextlib.suppress(ValueError):
            assert decode_wav(bytes(data)).samples.dtype == np.int16
