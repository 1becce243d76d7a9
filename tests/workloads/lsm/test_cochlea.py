"""The cochlea against filters by other means, tones whose answer is known, and speech at hand."""

from __future__ import annotations

import io
import math
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from scipy import signal

from devices import InputError
from workloads.lsm.binning import NTIDIGITS_BINNING, binned
from workloads.lsm.cochlea import Cochlea, cached_cochlea_events, cochlea_events, hair_cells
from workloads.recordings.labelled import DataOrigin
from workloads.recordings.sounds import Sounds, load_sounds
from workloads.recordings.wav import RATE_HZ

REAL = Path(__file__).resolve().parents[4] / "shared" / "data" / "spoken_digits" / "fsdd.tar.xz"
needs_real = pytest.mark.skipif(not REAL.is_file(), reason="../shared/data/spoken_digits is not here")


def tone(f_Hz: float, amplitude: float = 0.5, length_s: float = 1.0) -> np.ndarray:
    return (amplitude * np.sin(2 * np.pi * f_Hz * np.arange(round(length_s * RATE_HZ)) / RATE_HZ)).astype(np.float32)


def sounds(*waves: np.ndarray) -> Sounds:
    n = len(waves)
    return Sounds(
        samples=np.concatenate([np.rint(wave * 32767).astype(np.int16) for wave in waves]),
        offsets=np.cumsum([0, *map(len, waves)]).astype(np.int64),
        classes=np.arange(n),
        groups=np.array(["a"] * n),
        names=np.array([str(number) for number in range(n)]),
        parts=np.array([""] * n),
        labels=tuple(str(number) for number in range(n)),
        origin=DataOrigin("tones"),
    )


def told(call: Callable[[], object]) -> tuple[str, ...]:
    with pytest.raises(InputError) as caught:
        call()
    return caught.value.problems


def test_hair_cells_equal_scipys_filters_in_double_precision() -> None:
    how = Cochlea(channels=12)
    wave = np.random.default_rng(0).normal(0, 0.2, 4_001).astype(np.float32)
    cells = hair_cells(wave, how)
    assert cells.shape == (math.ceil(4_001 / 16), 12)
    smooth = -math.expm1(-2 * math.pi * how.lowpass_Hz / RATE_HZ)
    for channel, pole in enumerate(how.poles):
        out = wave.astype(complex)
        for _ in range(4):
            out = signal.lfilter([1.0], [1.0, -pole], out)
        rectified = np.maximum(out.real * 2 * (1 - abs(pole)) ** 4, 0.0)
        level = signal.lfilter([smooth], [1.0, smooth - 1.0], rectified)
        expected = level[np.minimum(np.arange(len(cells)) * 16 + 15, len(wave) - 1)]
        np.testing.assert_allclose(cells[:, channel], expected, rtol=2e-4, atol=2e-5 * expected.max())


def test_a_tone_gives_amplitude_over_pi_in_its_channel() -> None:
    how = Cochlea(lowpass_Hz=5.0)
    for channel in (20, 40, 60):
        cells = hair_cells(tone(how.centres_Hz[channel], 0.5, 1.5), how)[-300:].mean(0)
        assert cells[channel] == pytest.approx(0.5 / math.pi, rel=0.02)
        assert cells.argmax() == channel


def test_channels_have_the_bandwidth_of_hearing() -> None:
    how = Cochlea()
    f = np.arange(1, RATE_HZ // 2, dtype=float)
    for pole, centre in zip(how.poles[10:], how.centres_Hz[10:], strict=True):
        power = np.abs(1.0 / (1.0 - pole * np.exp(-2j * np.pi * f / RATE_HZ))) ** 8
        # Glasberg and Moore (1990): ERB = 24.7 (4.37 f / kHz + 1) Hz.
        assert power.sum() / power.max() == pytest.approx(24.7 * (4.37e-3 * centre + 1), rel=0.03)
    spacing = np.diff(21.4 * np.log10(1 + 0.00437 * how.centres_Hz))
    np.testing.assert_allclose(spacing, spacing[0])
    assert how.centres_Hz[[0, -1]] == pytest.approx([100.0, 3800.0])


def test_nerve_of_a_steady_tone_fires_at_the_rate_of_its_closed_form() -> None:
    how = Cochlea(level_dB=None, lowpass_Hz=2.0, exponent=1.0, gain_Hz=600.0, tau_s=30e-3)
    channel = 40
    wave = tone(how.centres_Hz[channel], 0.4, 3.0)
    drive = float(hair_cells(wave, how)[-1000:, channel].mean() * math.pi - 10**-3)
    found = cochlea_events(sounds(wave), how)
    late = (found.x == channel) & (found.t_s > 1.5)
    # Charge of a frame, with a leak in between and the threshold subtracted: rate q (1 - leak) lost to the mean level.
    charge, leak = 600e-3 * drive, math.exp(-1 / 30)
    membrane, fired = 0.0, 0
    for _ in range(20_000):
        membrane = membrane * leak + charge
        fired += membrane >= 1.0
        membrane -= membrane >= 1.0
    assert late.sum() / 1.5 == pytest.approx(fired / 20.0, rel=0.02)


def test_levels_are_crossed_up_as_often_as_the_loudness_has_steps_and_down_again() -> None:
    how = Cochlea(encoder="level_crossing", level_dB=None, floor_dB=-50.0, delta_dB=4.0, channels=16)
    centre = how.centres_Hz[9]
    wave = np.concatenate([tone(centre, 0.8, 0.5), np.zeros(8_000, np.float32)])
    found = cochlea_events(sounds(wave), how)
    assert found.sensor == (2, 1, 16)
    mine = found.x == 9
    on, off = ((found.polarity == value) & mine for value in (1, 0))
    # 0.8 of full scale lies 48 dB above the floor: 12 steps up, and as many down in the silence that follows.
    assert on.sum() - (off & (found.t_s < 0.5)).sum() in (11, 12)
    assert on.sum() == off.sum()
    assert found.t_s[on].max() < 0.5


def test_loudness_of_a_recording_does_not_matter_where_it_is_levelled() -> None:
    how = Cochlea()
    noise = np.random.default_rng(1).normal(0, 0.1, 8_000)
    found = cochlea_events(sounds(noise, noise / 8, np.zeros(8_000)), how)
    assert found.events[0] == pytest.approx(found.events[1], rel=0.02)
    assert found.events[2] == 0
    assert found.notes == ("1 sounds are too soft to give a spike.",)
    as_is = cochlea_events(sounds(noise, noise / 8), replace(how, level_dB=None))
    assert as_is.events[1] < 0.8 * as_is.events[0]


def test_each_sound_is_heard_by_itself_and_in_time_order() -> None:
    waves = [np.random.default_rng(seed).normal(0, 0.1, 3_000 + 501 * seed) for seed in range(3)]
    together = cochlea_events(sounds(*waves), Cochlea(refractory_s=0.0, gain_Hz=4e3))
    for number, wave in enumerate(waves):
        alone = cochlea_events(sounds(wave), Cochlea(refractory_s=0.0, gain_Hz=4e3))
        np.testing.assert_array_equal(together.select([number]).ticks, alone.ticks)
        np.testing.assert_array_equal(together.select([number]).address, alone.address)
        assert (np.diff(alone.ticks) >= 0).all()
        assert alone.ticks[-1] < alone.durations[0]
        assert alone.durations[0] == math.ceil(len(wave) / 16) * 1000
    limited = cochlea_events(sounds(*waves), Cochlea(gain_Hz=4e3))
    first = limited.select([0])
    assert np.diff(first.ticks[first.x == 30]).min() >= 999
    assert len(limited.ticks) < len(together.ticks)


def test_a_cached_cochlea_is_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MHO_CACHE", str(tmp_path))
    heard = sounds(tone(500), tone(900))
    first = cached_cochlea_events(heard, Cochlea())
    monkeypatch.setattr("workloads.lsm.cochlea.cochlea_events", lambda *_, **__: pytest.fail("heard again"))
    again = cached_cochlea_events(heard, Cochlea())
    assert again.digest == first.digest == replace(first).digest
    assert again.notes == first.notes
    assert len(list((tmp_path / "lsm").iterdir())) == 1


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"f_max_Hz": 9000.0}, "f_min_Hz, f_max_Hz: allowed are 0 < f_min_Hz < f_max_Hz <= 8000 Hz (got 100 and 9000)"),
        ({"frame_s": 1.0}, "frame_s: allowed are 6.25e-05 to 0.1 s (got 1)"),
    ],
)
def test_a_cochlea_that_cannot_be_is_refused(wrong: dict[str, float], text: str) -> None:
    assert told(lambda: Cochlea(**wrong)) == (text,)  # type: ignore[arg-type]


def wav(seed: int = 0, *, samples: int = 4000, rate_Hz: int = 8000) -> bytes:
    out = io.BytesIO()
    sf.write(out, np.random.default_rng(seed).uniform(-0.3, 0.3, samples), rate_Hz, format="WAV", subtype="PCM_16")
    return out.getvalue()


def lay(root: Path, content: dict[str, bytes]) -> Path:
    for name, data in content.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def test_names_tell_class_speaker_and_official_part(tmp_path: Path) -> None:
    names = [f"{digit}_{who}_{index}.wav" for digit in (0, 7) for who in ("ann", "bob") for index in (0, 4, 5, 49)]
    folder = lay(tmp_path / "f", {f"recordings/{name}": wav(number) for number, name in enumerate(names)})
    found = load_sounds(folder)
    assert found.labels == tuple("0123456789")
    assert found.counts["7"] == 8
    assert set(found.groups.tolist()) == {"ann", "bob"}
    for name, part, group in zip(found.names, found.parts, found.groups, strict=True):
        digit, who, index = name.removesuffix(".wav").split("_")
        assert part == ("test" if int(index) < 5 else "train")
        assert who == group
        assert found.classes[found.names.tolist().index(name)] == int(digit)
    assert found.notes == ("16 recordings were resampled to 16 kHz (from 8 kHz).",)
    with tarfile.open(tmp_path / "f.tar.gz", "w:gz") as tar:
        tar.add(folder, arcname=".")
    assert load_sounds(tmp_path / "f.tar.gz").digest == found.digest


def test_folders_tell_the_class_where_names_do_not(tmp_path: Path) -> None:
    content = {"dog/rec_mic_1.wav": wav(1), "cat/rec_mic_1.wav": wav(2), "cat/0cb74144_nohash_0.wav": wav(3)}
    found = load_sounds(lay(tmp_path / "words", content))
    assert found.labels == ("cat", "dog")
    assert found.groups.tolist() == ["0cb74144", "", ""]
    split = load_sounds(lay(tmp_path / "split", {"Train/dog/rec_mic_1.wav": wav(1), "Test/cat/rec_mic_1.wav": wav(2)}))
    assert split.parts.tolist() == ["test", "train"]


def test_wrong_sounds_are_named(tmp_path: Path) -> None:
    folder = lay(tmp_path / "f", {"0_a_1.wav": wav()[:900], "0_a_2.wav": wav(samples=40), "1_a_1.wav": wav()})
    assert told(lambda: load_sounds(folder)) == (
        f"{folder / '0_a_1.wav'}: a truncated WAV file (its header promises 8000 bytes of samples, it has 856)",
        f"{folder / '0_a_2.wav'}: allowed are 0.02 to 60 s (got 0.005 s)",
    )
    (tmp_path / "g").mkdir()
    assert told(lambda: load_sounds(tmp_path / "g"))[0].startswith(
        f"{tmp_path / 'g'}: has no WAV file; allowed: CLASS_"
    )
    loose = lay(tmp_path / "h", {"x.wav": wav()})
    assert told(lambda: load_sounds(loose)) == (
        f"{loose / 'x.wav'}: allowed is CLASS_SPEAKER_INDEX.wav, or a folder for each class (got neither)",
    )


@needs_real
def test_spoken_digits_at_hand_and_how_they_sound_to_the_cochlea() -> None:
    found = load_sounds(REAL)
    assert len(found) == 3000
    assert found.counts == dict.fromkeys("0123456789", 300)
    assert (found.parts == "test").sum() == 300
    assert len(set(found.groups.tolist())) == 6
    some = np.arange(0, 3000, 30)
    cuts = [found.samples[found.offsets[row] : found.offsets[row + 1]] / 32767 for row in some]
    spikes = binned(cochlea_events(sounds(*cuts), Cochlea()), NTIDIGITS_BINNING)
    assert 0.15 < spikes.rate < 0.25
