"""Recordings in, clips out: layouts, archives, and every way in which a user's data can be wrong."""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from configs.errors import InputError
from tests.workloads.recordings.written import lay
from workloads.kws import find
from workloads.kws.find import find_clips, locate
from workloads.recordings.archives import ALLOWED
from workloads.recordings.clips import CLIP_SAMPLES, KEYWORDS, LABELS, OTHER_WORDS, SILENCE, UNKNOWN, Clips
from workloads.recordings.labelled import DataOrigin
from workloads.recordings.speech_commands import load_speech_commands, speaker_of
from workloads.recordings.wav import decode_wav

TINY = Path(__file__).resolve().parents[4] / "shared" / "data" / "speech_commands_tiny"
needs_tiny = pytest.mark.skipif(not TINY.is_dir(), reason="../shared/data/speech_commands_tiny is not here")


def wav(seed: int = 0, *, samples: int = CLIP_SAMPLES, rate_Hz: int = 16_000, channels: int = 1) -> bytes:
    wave = np.random.default_rng(seed).uniform(-0.3, 0.3, (samples, channels))
    out = io.BytesIO()
    sf.write(out, wave, rate_Hz, format="WAV", subtype="PCM_16")
    return out.getvalue()


def files(per_class: int = 2) -> dict[str, bytes]:
    made = {}
    for label in LABELS:
        for number in range(per_class):
            name = f"{number}.wav" if label == SILENCE else f"{number:08x}_nohash_0.wav"
            made[f"{label}/{name}"] = wav(100 * LABELS.index(label) + number)
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return lay(tmp_path / "words", files())


def pack(path: Path, content: dict[str, bytes], *extra: tarfile.TarInfo) -> Path:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in content.items():
                archive.writestr(name, data)
        return path
    mode = {".xz": "w:xz", ".gz": "w:gz", ".tar": "w:"}[path.suffix]
    with tarfile.open(path, mode) as tar:
        for name, data in content.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        for info in extra:
            tar.addfile(info)
    return path


def told(call: Callable[[], object]) -> tuple[str, ...]:
    with pytest.raises(InputError) as caught:
        call()
    return caught.value.problems


@needs_tiny
def test_the_shared_clips_have_12_classes_and_73_speakers() -> None:
    clips = load_speech_commands(TINY)
    assert clips.counts == dict.fromkeys(LABELS, 10)
    assert len(set(clips.speakers.tolist()) - {""}) == 73
    assert all(
        bool(speaker) != name.startswith(SILENCE) for speaker, name in zip(clips.speakers, clips.names, strict=True)
    )
    samples, _ = sf.read(TINY / clips.names[0], dtype="int16")
    np.testing.assert_array_equal(clips.waveforms[0], samples)
    assert clips.notes == ()
    assert not clips.origin.synthetic


@pytest.mark.parametrize("name", ["words.tar.xz", "words.tar.gz", "words.tar", "words.zip"])
def test_an_archive_gives_the_same_bits_as_the_folder(tmp_path: Path, folder: Path, name: str) -> None:
    content = dict(reversed({f"./{key}": data for key, data in files().items()}.items()))
    packed = load_speech_commands(pack(tmp_path / name, content))
    assert packed.digest == load_speech_commands(folder).digest


def test_digest_tells_waveforms_speakers_and_names_apart(folder: Path) -> None:
    clips = load_speech_commands(folder)
    changed = clips.waveforms.copy()
    changed[3, 5] += 1

    def remade(**other: np.ndarray) -> str:
        given = {key: getattr(clips, key) for key in ("waveforms", "classes", "speakers", "names")}
        return Clips(
            **{**given, **other},
            origin=DataOrigin(""),
        ).digest

    assert remade() == clips.digest
    assert len({clips.digest, remade(waveforms=changed), remade(speakers=clips.speakers[::-1])}) == 3


@pytest.mark.parametrize(
    ("name", "speaker"),
    [
        ("0cb74144_nohash_3.wav", "0cb74144"),
        ("bed_837a0f64_nohash_0.wav.wav", "837a0f64"),
        ("_unknown_/bed_837a0f64_nohash_0.wav.wav", "837a0f64"),
        ("1024.wav", ""),
    ],
)
def test_the_speaker_is_what_stands_before_nohash(name: str, speaker: str) -> None:
    assert speaker_of(name) == speaker


def test_training_layout_makes_unknown_and_silence_of_mean_class_size(tmp_path: Path) -> None:
    content = {f"{word}/{n:08x}_nohash_0.wav": wav(n) for word in (*KEYWORDS, *OTHER_WORDS[:4]) for n in range(3)}
    content |= {f"yes/{n:08x}_nohash_1.wav": wav(n + 50) for n in range(10)}
    content |= {
        "_background_noise_/hum.wav": wav(9, samples=12 * CLIP_SAMPLES),
        "testing_list.txt": b"",
        "LICENSE": b"",
    }
    root = lay(tmp_path / "training", content)
    clips = load_speech_commands(root)
    assert clips.counts[UNKNOWN] == clips.counts[SILENCE] == 4
    unknown = clips.names[clips.classes == LABELS.index(UNKNOWN)]
    assert {name.split("/")[0] for name in unknown} <= set(OTHER_WORDS[:4])
    assert (clips.speakers != "").all()
    assert load_speech_commands(pack(tmp_path / "t.tar.gz", content)).digest == clips.digest
    others = [load_speech_commands(root, seed=seed) for seed in range(1, 4)]
    assert len({tuple(other.names[other.classes == LABELS.index(UNKNOWN)]) for other in others}) > 1


def test_silence_is_cut_within_five_seconds_that_count_as_its_speaker(tmp_path: Path) -> None:
    ramp = np.arange(12 * CLIP_SAMPLES, dtype=np.float64) / (24 * CLIP_SAMPLES) + 0.25
    out = io.BytesIO()
    sf.write(out, ramp, 16_000, format="WAV", subtype="PCM_16")
    content = {name: data for name, data in files(9).items() if not name.startswith(SILENCE)}
    clips = load_speech_commands(lay(tmp_path / "w", content | {"_background_noise_/ramp.wav": out.getvalue()}))
    rows = clips.classes == LABELS.index(SILENCE)
    for wave, speaker in zip(clips.waveforms[rows].astype(float), clips.speakers[rows], strict=True):
        if wave[0] < 1000:  # too soft for its slope to be told
            continue
        # Whatever its gain, a cut of a straight line tells its start by the ratio of its ends.
        start = CLIP_SAMPLES / (wave[-1] / wave[0] - 1) - 6 * CLIP_SAMPLES
        segment_s = 5 * int(speaker.rpartition(".")[2])
        assert segment_s - 0.1 <= start / CLIP_SAMPLES <= segment_s + 4.1


def test_other_rates_and_stereo_are_resampled_mixed_down_and_noted(folder: Path) -> None:
    time_s = np.arange(44_100) / 44_100
    tone = 0.5 * np.sin(2 * np.pi * 1000.0 * time_s)
    sf.write(folder / "yes" / "cc_nohash_0.wav", np.stack([tone, 0 * tone], 1), 44_100, subtype="FLOAT")
    clips = load_speech_commands(folder)
    assert "1 recordings were resampled to 16 kHz (from 44.1 kHz)." in clips.notes
    assert "1 recordings were mixed down to mono." in clips.notes
    wave = clips.waveforms[list(clips.names).index("yes/cc_nohash_0.wav")][1000:-1000] / 32768
    expected = 0.25 * np.sin(2 * np.pi * 1000.0 * np.arange(16_000) / 16_000)[1000:-1000]
    np.testing.assert_allclose(wave, expected, atol=2e-3)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_every_sample_format_has_the_same_scale(subtype: str) -> None:
    wave = np.linspace(-0.5, 0.5, 1001)
    out = io.BytesIO()
    sf.write(out, wave, 16_000, format="WAV", subtype=subtype)
    np.testing.assert_allclose(decode_wav(out.getvalue()).samples / 32768, wave, atol=1 / 128)


def test_short_clips_are_padded_and_long_ones_cropped_at_the_centre(folder: Path) -> None:
    (folder / "no" / "aa_nohash_0.wav").write_bytes(wav(1, samples=8000))
    (folder / "no" / "bb_nohash_0.wav").write_bytes(wav(2, samples=20_000))
    clips = load_speech_commands(folder)
    names = list(clips.names)
    short, long = (clips.waveforms[names.index(f"no/{key}_nohash_0.wav")] for key in ("aa", "bb"))
    np.testing.assert_array_equal(short[4000:12_000], decode_wav(wav(1, samples=8000)).samples)
    assert not short[:4000].any()
    np.testing.assert_array_equal(long, decode_wav(wav(2, samples=20_000)).samples[2000:18_000])
    assert clips.notes == ("1 recordings were cropped at the centre to 1 s.", "1 recordings were padded to 1 s.")


def test_files_that_name_no_speaker_are_noted(folder: Path) -> None:
    (folder / "go" / "alice.wav").write_bytes(wav(3))
    assert load_speech_commands(folder).notes == (
        "1 clips name no speaker (no '_nohash_' in the file name) and are split one by one: "
        "a speaker may be heard in both training and test.",
    )


def test_all_bad_files_are_named_at_once(folder: Path) -> None:
    (folder / "yes" / "cut.wav").write_bytes(wav()[:1000])
    (folder / "yes" / "head.wav").write_bytes(wav()[:30])
    (folder / "no" / "text.wav").write_bytes(b"hello, this is no sound")
    (folder / "no" / "void.wav").write_bytes(b"")
    (folder / "up" / "none.wav").write_bytes(wav(samples=0))
    (folder / "up" / "gone.wav").symlink_to(folder / "nowhere.wav")
    assert sorted(told(lambda: load_speech_commands(folder))) == [
        f"{folder}/no/text.wav: not a WAV file (allowed: RIFF WAVE; got first bytes b'hell')",
        f"{folder}/no/void.wav: not a WAV file (allowed: RIFF WAVE; got an empty file)",
        f"{folder}/up/gone.wav: no such file",
        f"{folder}/up/none.wav: a WAV file without a sample",
        f"{folder}/yes/cut.wav: a truncated WAV file (its header promises 32000 bytes of samples, it has 956)",
        f"{folder}/yes/head.wav: a truncated WAV file (it ends before its samples)",
    ]


def test_more_than_ten_bad_files_end_in_a_count(folder: Path) -> None:
    for number in range(13):
        (folder / "off" / f"bad{number}.wav").write_bytes(b"x")
    problems = told(lambda: load_speech_commands(folder))
    assert len(problems) == 11
    assert problems[-1] == f"{folder}: 3 more files are bad in such ways"


def test_samples_that_are_not_finite_are_refused(folder: Path) -> None:
    sf.write(folder / "on" / "nan.wav", np.full(16_000, np.nan), 16_000, subtype="FLOAT")
    assert told(lambda: load_speech_commands(folder)) == (
        f"{folder}/on/nan.wav: a WAV file with samples that are not finite",
    )


def test_a_class_with_no_clips_is_named(folder: Path) -> None:
    for label in ("stop", SILENCE):
        for file in (folder / label).iterdir():
            file.unlink()
    assert told(lambda: load_speech_commands(folder)) == (
        f"{folder}: class 'stop' has no clips (allowed: a folder 'stop' with WAV files)",
        f"{folder}: class '_silence_' has no clips (allowed: a folder '_silence_' with WAV files "
        "or a folder '_background_noise_')",
    )


def test_an_empty_folder_and_a_missing_file_are_named(tmp_path: Path) -> None:
    assert told(lambda: find_clips(tmp_path)) == (
        f"--data: {tmp_path}: allowed is a folder of class folders ({' '.join(LABELS)}) or an archive "
        "'speech_commands*' within it (got an empty folder)",
    )
    gone = tmp_path / "gone.tar.xz"
    assert told(lambda: find_clips(gone)) == (
        f"--data: {gone}: no such file or folder; allowed: Speech Commands as {ALLOWED}",
    )
    (tmp_path / "yes").mkdir()
    assert told(lambda: find_clips(tmp_path))[0].startswith(f"{tmp_path}: has no WAV file; allowed: a folder for each")


@pytest.mark.parametrize("suffix", [".tar.xz", ".tar", ".zip"])
@pytest.mark.parametrize("name", ["../../yes/evil.wav", "/yes/evil.wav", "yes/../../evil.wav", "C:\\yes\\evil.wav"])
def test_an_archive_with_members_that_point_outside_is_refused(tmp_path: Path, suffix: str, name: str) -> None:
    path = pack(tmp_path / f"evil{suffix}", files(1) | {name: wav()})
    assert told(lambda: load_speech_commands(path)) == (
        f"{path}: member {name!r} points outside of the archive; the archive is refused",
    )
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("kind", "word"), [(tarfile.SYMTYPE, "link"), (tarfile.LNKTYPE, "link"), (tarfile.CHRTYPE, "device")]
)
def test_an_archive_with_links_or_devices_is_refused(tmp_path: Path, kind: bytes, word: str) -> None:
    info = tarfile.TarInfo("yes/odd.wav")
    info.type, info.linkname = kind, "target"
    path = pack(tmp_path / "odd.tar.gz", files(1), info)
    assert told(lambda: load_speech_commands(path)) == (
        f"{path}: member 'yes/odd.wav' is a {word}; the archive is refused",
    )


def test_a_zip_with_a_link_is_refused(tmp_path: Path) -> None:
    path = pack(tmp_path / "odd.zip", files(1))
    with zipfile.ZipFile(path, "a") as archive:
        info = zipfile.ZipInfo("yes/odd.wav")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/hostname")
    assert told(lambda: load_speech_commands(path)) == (
        f"{path}: member 'yes/odd.wav' is a link; the archive is refused",
    )


@pytest.mark.parametrize("name", ["words.tar.xz", "words.tar.gz", "words.zip"])
def test_a_cut_off_archive_is_damaged_wherever_it_was_cut(tmp_path: Path, name: str) -> None:
    whole = pack(tmp_path / name, files(1)).read_bytes()
    for share in (0.4, 0.999):
        path = tmp_path / f"cut-{name}"
        path.write_bytes(whole[: int(share * len(whole))])
        assert told(lambda path=path: load_speech_commands(path))[0].startswith(
            f"{path}: the archive is damaged or cut off ("
        )


def test_a_file_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.tar.xz"
    path.write_bytes(b"just text")
    assert told(lambda: load_speech_commands(path)) == (
        f"{path}: not an archive; allowed: {ALLOWED} (got first bytes b'just t')",
    )


def test_a_huge_member_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("yes/a_nohash_0.wav", "w") as member:
        for _ in range(65):
            member.write(bytes(1 << 20))
    assert told(lambda: load_speech_commands(path)) == (
        f"{path}: member 'yes/a_nohash_0.wav': at most 67,108,864 bytes, unpacked (got 68,157,440); "
        "the environment's MHO_LARGEST_FILE raises that",
    )


def test_a_pipe_recorders_open_length_is_no_truncation() -> None:
    data = bytearray(wav())
    at = data.index(b"data") + 4
    data[at : at + 4] = struct.pack("<I", 0xFFFFFFFF)
    assert len(decode_wav(bytes(data)).samples) > 0


def test_data_is_looked_for_within_a_folder_of_data_sets(tmp_path: Path, folder: Path) -> None:
    root = tmp_path / "data"
    (root / "speech_commands").mkdir(parents=True)
    archive = pack(root / "speech_commands" / "speech_commands.tar.xz", files(1))
    assert locate(root, "MHO_DATA") == archive
    assert locate(folder, "--data") == folder


def test_data_goes_before_the_environment_and_both_before_anything_else(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(find, "fetch", lambda *_, **__: pytest.fail("the network was tried"))
    monkeypatch.setattr(find, "spoken_clips", lambda **_: pytest.fail("the default was spoken"))
    other = lay(tmp_path / "other", files(3))
    monkeypatch.setenv("MHO_DATA", str(other))
    assert len(find_clips(folder)) == 24
    assert len(find_clips()) == 36
    monkeypatch.setenv("MHO_DATA", str(tmp_path / "gone"))
    assert told(find_clips)[0].startswith(f"MHO_DATA: {tmp_path / 'gone'}: no such file or folder")
