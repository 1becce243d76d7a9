"""MFCC against librosa, normalisation into [-1, 1], and augmentation that does what its ranges say."""

from __future__ import annotations

from pathlib import Path

import librosa
import numpy as np
import pytest
import torch

from configs.errors import InputError
from devices.streams import Stream
from workloads.kws.augment import Augmentation, augment, augmented_mfcc
from workloads.kws.features import MFCC, Normaliser, cached_mfcc, mfcc
from workloads.recordings.clips import Clips
from workloads.recordings.labelled import DataOrigin
from workloads.recordings.noise import generated_noise
from workloads.recordings.sources import cache_dir

RATE = 16_000


def waves(count: int = 5, seed: int = 0) -> np.ndarray:
    """Clips whose loudness spans five decades, one of them silent."""
    draw = np.random.default_rng(seed)
    noise = draw.standard_normal((count, RATE)) * 10.0 ** -np.arange(count)[:, None]
    noise[:, : RATE // 2] *= np.sin(np.linspace(0, 3, RATE // 2)) ** 8
    noise[-1] = 0.0
    return (0.2 * noise).astype(np.float32)


def clips_of(codes: np.ndarray, names: np.ndarray) -> Clips:
    """Clips of one class, each by a speaker of its name."""
    classes = np.zeros(len(codes), np.int64)
    return Clips(waveforms=codes, classes=classes, speakers=names, names=names, origin=DataOrigin(""))


@pytest.mark.parametrize(
    "how",
    [MFCC(), MFCC(window_s=0.025, n_fft=1024, n_mels=64, n_mfcc=13, f_min_Hz=0.0, f_max_Hz=8000.0), MFCC(top_dB=40.0)],
)
def test_each_clip_of_a_batch_has_librosas_mfcc(how: MFCC) -> None:
    clips = waves()
    ours = mfcc(clips, how)
    assert ours.shape == (5, how.frames(RATE), how.n_mfcc)
    for clip, own in zip(clips, ours, strict=True):
        theirs = librosa.feature.mfcc(
            y=clip,
            sr=RATE,
            S=librosa.power_to_db(
                librosa.feature.melspectrogram(
                    y=clip,
                    sr=RATE,
                    n_fft=how.n_fft,
                    win_length=how.window,
                    hop_length=how.hop,
                    n_mels=how.n_mels,
                    fmin=how.f_min_Hz,
                    fmax=how.f_max_Hz,
                ),
                top_db=how.top_dB,
            ),
            n_mfcc=how.n_mfcc,
        )
        np.testing.assert_allclose(own, theirs.T, atol=2e-3)


def test_the_default_is_librosas_one_call_and_takes_16_bit_codes() -> None:
    codes = (waves(1 + 1)[0] * 32767).astype(np.int16)
    theirs = librosa.feature.mfcc(
        y=codes / np.float32(32768), sr=RATE, n_mfcc=40, n_fft=640, hop_length=320, n_mels=40, fmin=20, fmax=7600
    )
    np.testing.assert_allclose(mfcc(codes[None], MFCC())[0], theirs.T, atol=2e-3)


def test_tensorflows_recipe_is_the_one_that_its_documentation_states() -> None:
    """Equations of ``tf.signal`` one by one: stft, linear_to_mel_weight_matrix, mfccs_from_log_mel_spectrograms."""
    how = MFCC(window_s=0.03, n_fft=512, n_mfcc=10, f_max_Hz=4000.0, recipe="tensorflow")
    clips = waves()
    hann = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(480) / 480)

    def mel(f_Hz: np.ndarray) -> np.ndarray:
        return 1127.0 * np.log1p(f_Hz / 700.0)

    edges = np.linspace(mel(np.array(20.0)), mel(np.array(4000.0)), 42)
    bins = mel(np.arange(257) * RATE / 512)[:, None]
    up, down = (bins - edges[:-2]) / np.diff(edges)[:-1], (edges[2:] - bins) / np.diff(edges)[1:]
    filters = np.maximum(0.0, np.minimum(up, down))
    band = np.arange(40)
    cosines = 2.0 * np.cos(np.pi * np.outer(band + 0.5, np.arange(10)) / 40) / np.sqrt(2.0 * 40)
    assert how.frames(RATE) == 49
    theirs = [
        [
            np.log(np.abs(np.fft.rfft(clip[320 * k : 320 * k + 480] * hann, 512)) @ filters + 1e-6) @ cosines
            for k in range(49)
        ]
        for clip in clips
    ]
    np.testing.assert_allclose(mfcc(clips, how), theirs, atol=1e-3)


def test_mfcc_parameters_are_checked_all_at_once() -> None:
    with pytest.raises(InputError) as caught:
        MFCC(window_s=0.05, hop_s=0.0, n_mfcc=41, f_max_Hz=9000.0, top_dB=0.0)
    assert caught.value.problems == (
        "hop_s: allowed are values above 0 s (got 0)",
        "window_s: allowed is at most n_fft samples, 0.04 s (got 0.05 s)",
        "n_mfcc: allowed are 1 to n_mels = 40 (got 41)",
        "f_min_Hz, f_max_Hz: allowed are 0 <= f_min_Hz < f_max_Hz <= 8000 Hz (got 20 and 9000)",
        "top_dB: allowed are values above 0 dB (got 0)",
    )


def test_features_are_remembered_and_a_damaged_cache_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MHO_CACHE", str(tmp_path))
    codes = (waves() * 32767).astype(np.int16)
    names = np.array(list("abcde"))
    clips = clips_of(codes, names)
    made, notes = cached_mfcc(clips, MFCC())
    assert notes == ()
    (kept,) = (cache_dir() / "kws").iterdir()
    monkeypatch.setattr("workloads.kws.features.mfcc", lambda *_: pytest.fail("computed again"))
    np.testing.assert_array_equal(cached_mfcc(clips, MFCC())[0], made)
    monkeypatch.undo()
    monkeypatch.setenv("MHO_CACHE", str(tmp_path))
    whole = kept.read_bytes()
    for damaged in (b"", whole[:500], whole[:2000] + b"\0" + whole[2001:], b"PK" + whole[:50]):
        kept.write_bytes(damaged)
        again, notes = cached_mfcc(clips, MFCC())
        np.testing.assert_array_equal(again, made)
        assert len(notes) == 1
        assert notes[0].startswith(f"cache file {kept} was damaged (")
        assert kept.read_bytes() == whole
    assert cached_mfcc(clips, MFCC(top_dB=40.0))[0].shape == made.shape
    assert len(list((cache_dir() / "kws").iterdir())) == 2


def test_a_cache_that_cannot_be_written_is_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MHO_CACHE", str(tmp_path / "file"))
    names = np.array(["a", "b"])
    clips = clips_of(np.ones((2, 400), np.int16), names)
    _, notes = cached_mfcc(clips, MFCC())
    assert len(notes) == 1
    assert "could not be written" in notes[0]


def test_utterance_normalisation_leaves_mean_zero_and_one_over_scale() -> None:
    features = np.random.default_rng(0).normal(5.0, 7.0, (3, 51, 40)).astype(np.float32)
    scaled, clipped = Normaliser.fit("utterance", features, std_scale=100.0).apply(features)
    assert clipped == 0.0
    np.testing.assert_allclose(scaled.mean((1, 2)), 0.0, atol=1e-6)
    np.testing.assert_allclose(scaled.std((1, 2)), 0.01, rtol=1e-4)


def test_corpus_normalisation_knows_the_training_part_alone_and_counts_what_it_clips() -> None:
    draw = np.random.default_rng(1)
    scale = np.linspace(1.0, 100.0, 40)
    training, test = ((draw.normal(0.0, 1.0, (200, 51, 40)) * scale + scale).astype(np.float32) for _ in range(2))
    normaliser = Normaliser.fit("corpus", training, std_scale=2.0)
    scaled, clipped = normaliser.apply(test)
    assert np.abs(scaled).max() == 1.0
    assert clipped == pytest.approx(0.0455, abs=0.001)  # 2 (1 - Phi(2))
    np.testing.assert_array_equal(normaliser.apply(test[:1])[0], scaled[:1])


def test_normalisation_of_another_name_is_refused() -> None:
    allowed = r"'utterance', 'corpus' and 'cepstral'"
    with pytest.raises(InputError, match=rf"^normalisation: allowed are {allowed} \(got 'none'\)$"):
        Normaliser.fit("none", np.zeros((1, 2, 3), np.float32))
    with pytest.raises(InputError, match=r"^std_scale: allowed are values above 0 \(got -1\)$"):
        Normaliser.fit("corpus", np.zeros((1, 2, 3), np.float32), std_scale=-1)


PLAIN = Augmentation(copies=1, max_shift_s=0.0, gain_dB=(0.0, 0.0), noise_share=0.0)


def test_augmentation_that_varies_nothing_changes_nothing() -> None:
    clips = waves() * 0.2
    how = Augmentation(copies=2, max_shift_s=0.0, gain_dB=(0.0, 0.0), noise_share=0.0)
    np.testing.assert_array_equal(augment(clips, None, how, stream=Stream.root(0)), np.concatenate([clips, clips]))


def test_a_shift_moves_the_clip_and_leaves_silence_behind() -> None:
    clip = np.zeros((1, RATE), np.float32)
    clip[0, 8000] = 0.5
    how = Augmentation(copies=400, max_shift_s=0.1, gain_dB=(0.0, 0.0), noise_share=0.0)
    varied = augment(clip, None, how, stream=Stream.root(0))
    assert (np.count_nonzero(varied, axis=1) == 1).all()
    shift = varied.argmax(1) - 8000
    assert np.abs(shift).max() <= 1600
    assert shift.min() < -1500
    assert shift.max() > 1500
    edge = np.full((1, RATE), 0.5, np.float32)
    moved = augment(edge, None, how, stream=Stream.root(0))
    for row, by in zip(moved, shift, strict=True):
        assert np.count_nonzero(row) == RATE - abs(by)
        assert (row[:by] == 0).all() if by > 0 else (row[RATE + by :] == 0).all()


def test_gain_stays_in_its_range_and_fills_it() -> None:
    clip = np.full((1, RATE), 0.1, np.float32)
    how = Augmentation(copies=300, max_shift_s=0.0, gain_dB=(-6.0, 3.0), noise_share=0.0)
    gain_dB = 20 * np.log10(augment(clip, None, how, stream=Stream.root(1))[:, 0] / 0.1)
    assert -6.001 <= gain_dB.min() < -5.8
    assert 2.8 < gain_dB.max() <= 3.001
    assert gain_dB.mean() == pytest.approx(-1.5, abs=4 * 9 / 12**0.5 / 300**0.5)


@pytest.mark.parametrize("given", [True, False])
def test_noise_comes_at_the_ratio_asked_for_in_its_share_of_clips(given: bool) -> None:
    clips = (0.01 * np.random.default_rng(0).standard_normal((2, RATE))).astype(np.float32)
    pool = (np.random.default_rng(2).standard_normal((3, RATE)) * 3000).astype(np.int16) if given else None
    how = Augmentation(copies=200, max_shift_s=0.0, gain_dB=(0.0, 0.0), noise_snr_dB=(10.0, 10.0), noise_share=0.75)
    varied = augment(clips, pool, how, stream=Stream.root(3))
    noise = varied - np.tile(clips, (200, 1))
    noisy = np.abs(noise).max(1) > 0
    assert noisy.mean() == pytest.approx(0.75, abs=4 * (0.75 * 0.25 / 400) ** 0.5)
    snr_dB = 10 * np.log10((np.tile(clips, (200, 1)) ** 2).mean(1)[noisy] / (noise**2).mean(1)[noisy])
    np.testing.assert_allclose(snr_dB, 10.0, atol=0.01)


def test_augmentation_depends_on_its_stream_and_mfcc_of_it_on_nothing_else() -> None:
    clips, pool = waves(40, 1), waves(3, 2)
    how = Augmentation(copies=2)
    first = augment(clips, pool, how, stream=Stream.root(5))
    np.testing.assert_array_equal(first, augment(clips, pool, how, stream=Stream.root(5)))
    assert not np.array_equal(first, augment(clips, pool, how, stream=Stream.root(6)))
    done: list[int] = []
    features = augmented_mfcc(
        clips, pool, how, MFCC(), stream=Stream.root(5), progress=lambda count, _total: done.append(count)
    )
    np.testing.assert_allclose(features, mfcc(first, MFCC()), atol=1e-3)
    assert done[-1] == 80
    assert augment(clips, pool, Augmentation(copies=0), stream=Stream.root(5)).shape == (0, RATE)


def test_augmentation_leaves_the_callers_arrays_alone() -> None:
    clips, pool = waves(), waves(3, 2)
    kept = clips.copy(), pool.copy()
    augment(clips, pool, Augmentation(), stream=Stream.root(0))
    np.testing.assert_array_equal(clips, kept[0])
    np.testing.assert_array_equal(pool, kept[1])


def test_augmentation_is_checked_all_at_once() -> None:
    with pytest.raises(InputError) as caught:
        Augmentation(copies=-1, max_shift_s=-0.1, gain_dB=(3.0, -3.0), noise_snr_dB=(9.0, 8.0), noise_share=1.5)
    assert caught.value.problems == (
        "copies: allowed are whole numbers from 0 (got -1)",
        "max_shift_s: allowed are values from 0 s (got -0.1)",
        "gain_dB: allowed is (low, high) (got (3.0, -3.0))",
        "noise_snr_dB: allowed is (low, high) (got (9.0, 8.0))",
        "noise_share: allowed are values from 0 to 1 (got 1.5)",
    )


def test_generated_noise_has_the_slopes_of_white_pink_and_brown() -> None:
    noise = generated_noise(300, RATE, np.random.default_rng(0))
    np.testing.assert_allclose(np.sqrt((noise**2).mean(1)), 1.0, rtol=1e-4)
    power = np.abs(np.fft.rfft(noise)) ** 2
    low, high = power[:, 1000:1400].mean(1), power[:, 4000:5600].mean(1)
    slope = np.log2(low / high) / 2
    counts = [int((np.abs(slope - exponent) < 0.25).sum()) for exponent in (0, 1, 2)]
    assert sum(counts) == 300
    assert min(counts) > 70


def test_threads_share_the_augmentation_without_moving_a_bit() -> None:
    clips = (3000 * waves(70)).clip(-32768, 32767).astype(np.int16)
    how = Augmentation(copies=2, speed=(0.9, 1.1), vocal_tract=(0.96, 1.04))
    one, two = (augmented_mfcc(clips, None, how, MFCC(), stream=Stream.root(3), workers=n) for n in (1, 2))
    np.testing.assert_array_equal(one, two)


def test_speed_moves_a_tone_by_its_factor() -> None:
    tone = np.round(8000 * np.sin(2 * np.pi * 500 * np.arange(RATE) / RATE)).astype(np.int16)[None]
    how = Augmentation(copies=1, max_shift_s=0.0, gain_dB=(0.0, 0.0), noise_share=0.0, speed=(1.1, 1.1))
    faster = augment(tone, None, how, stream=Stream.root(0))[0]
    assert np.argmax(np.abs(np.fft.rfft(faster))) == pytest.approx(550, abs=1)


def test_a_longer_vocal_tract_hears_a_higher_tone_as_a_lower_one() -> None:
    """The filter bank stretched by 1.1 gives for 1100 Hz what the plain one gives for 1000 Hz."""
    how = MFCC(n_fft=1024)
    t = np.arange(RATE) / RATE
    low, high = (torch.from_numpy(np.sin(2 * np.pi * f * t).astype(np.float32))[None] for f in (1000.0, 1100.0))
    plain = how.block(low)
    stretched = how.block(high, (1.1,), torch.zeros(1, dtype=torch.long))
    other = how.block(high)
    assert (stretched - plain)[0, 5:-5].abs().mean() < 0.2 * (other - plain)[0, 5:-5].abs().mean()


def test_cepstral_normalisation_takes_a_microphone_away() -> None:
    draw = np.random.default_rng(0)
    features = draw.standard_normal((20, 51, 40)).astype(np.float32) * 10
    coloured = features + draw.standard_normal((20, 1, 40)).astype(np.float32) * 30
    norm = Normaliser.fit("cepstral", features)
    np.testing.assert_allclose(norm.apply(features)[0], norm.apply(coloured)[0], atol=1e-4)
