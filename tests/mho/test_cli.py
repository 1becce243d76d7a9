"""The command line: every kind of bad input gives one clear message and exit code 2, and nothing half-written."""

from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mho.listings import LISTINGS, listing
from periphery.prices.leakage import papers
from tests.mho.command import mho
from workloads.recordings.clips import LABELS

RATE = 16_000
QUICK = ["--set", "training.software.steps=4", "--set", "training.aware.steps=2", "--set", "evaluation.chips=1"]


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli") / "speech"
    draw = np.random.default_rng(0)
    for number, label in enumerate(LABELS):
        (folder / label).mkdir(parents=True)
        for speaker in range(8):
            name = f"{speaker}.wav" if label == "_silence_" else f"{speaker:08x}_nohash_0.wav"
            wave = 0.1 * draw.standard_normal(RATE) * np.sin(np.arange(RATE) / (20 + number))
            soundfile.write(folder / label / name, wave, RATE, subtype="PCM_16")
    return folder


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory of its own: runs without -o go there."""
    monkeypatch.chdir(tmp_path)


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The message of a command that must end with exit code 2 and no traceback."""
    code, out, err = mho(capsys, *arguments)
    assert code == 2, err
    assert "Traceback" not in err + out
    return err


def test_a_run_leaves_every_file_of_the_contract(
    capsys: pytest.CaptureFixture[str], speech: Path, tmp_path: Path
) -> None:
    target = tmp_path / "run"
    code, out, err = mho(capsys, "run", "kws_tiny", "--data", speech, "-o", target, "--json", *QUICK)
    assert code == 0, err
    printed = json.loads(out)
    assert printed == json.loads((target / "metrics.json").read_text())
    assert printed["data"]["synthetic"] is False
    files = {path.name for path in target.iterdir()}
    assert files >= {
        *("config.resolved.yaml", "manifest.json", "metrics.json", "components.csv", "layers.csv", "accuracy.csv"),
        *("report.html", "trace.json", "schedule.csv", "confusion.csv", "ramp.csv", "ramps.csv", "vread.csv"),
    }
    assert "report" in err
    again = tmp_path / "again"
    code, out, err = mho(
        capsys, "run", target / "config.resolved.yaml", "--data", speech, "-o", again, "--json", "--quiet"
    )
    assert code == 0, err
    both = [json.loads((folder / "metrics.json").read_text()) for folder in (target, again)]
    assert both[0].pop("sets") == list(QUICK[1::2])  # what the command line set, which the resolved file has in it
    assert {**both[0], "wall_s": 0} == {**both[1], "wall_s": 0}
    code, out, _ = mho(capsys, "report", target, again, "--format", "csv")
    assert code == 0
    assert "ramp_5bit" in out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("extends: kws\nchip: {bitz: 4}\n", ":2:8: chip.bitz: no such key"),
        ("extends: kws\nchip: {bits: four}\n", ":2:14: chip.bits: must be a whole number from 2 to 8 (got the text"),
        ("extends: kws\nchip: {bits: 12}\n", ":2:14: chip.bits: must be a whole number from 2 to 8 (got 12)"),
        ("extends: kws\nseed: 1\nseed: 2\n", ":3:1"),
        ("extends: kws\nevaluation: {times_s: [-1.0]}\n", "times_s"),
    ],
)
def test_a_wrong_file_is_told_line_and_column(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    assert message in refused(capsys, "validate", path)
    assert message in refused(capsys, "run", path, "-o", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_unknown_experiment_names_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert "kws_tiny" in refused(capsys, "run", "kwss")


def broken_wav(folder: Path) -> None:
    path = next((folder / "yes").iterdir())
    path.write_bytes(path.read_bytes()[:2000])


def empty_class(folder: Path) -> None:
    for path in (folder / "go").iterdir():
        path.unlink()


@pytest.mark.parametrize(("harm", "words"), [(broken_wav, ("yes", ".wav")), (empty_class, ("go",))])
def test_bad_recordings_are_named(
    capsys: pytest.CaptureFixture[str], speech: Path, tmp_path: Path, harm: object, words: tuple[str, ...]
) -> None:
    import shutil

    folder = tmp_path / "speech"
    shutil.copytree(speech, folder)
    harm(folder)  # type: ignore[operator]
    message = refused(capsys, "run", "kws_tiny", "--data", folder, "-o", tmp_path / "out", "--quiet")
    assert all(word in message for word in words)
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".out*"))


def test_missing_and_empty_data_are_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "nowhere" in refused(capsys, "run", "kws_tiny", "--data", tmp_path / "nowhere", "--quiet")
    (tmp_path / "hollow").mkdir()
    assert "hollow" in refused(capsys, "run", "kws_tiny", "--data", tmp_path / "hollow", "--quiet")


def test_an_archive_that_climbs_out_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "evil.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo("../outside.wav")
        member.size = 4
        archive.addfile(member, io.BytesIO(b"RIFF"))
    message = refused(capsys, "run", "kws_tiny", "--data", path, "--quiet")
    assert "../outside.wav" in message
    assert not (tmp_path.parent / "outside.wav").exists()


def test_a_stereo_recording_at_44_kHz_is_resampled(
    capsys: pytest.CaptureFixture[str], speech: Path, tmp_path: Path
) -> None:
    import shutil

    folder = tmp_path / "speech"
    shutil.copytree(speech, folder)
    path = next((folder / "no").iterdir())
    soundfile.write(path, 0.1 * np.random.default_rng(1).standard_normal((44_100, 2)), 44_100, subtype="PCM_16")
    code, out, err = mho(capsys, "run", "kws_tiny", "--data", folder, "--json", "--quiet", *QUICK)
    assert code == 0, err
    assert "resampled" in " ".join(json.loads(out)["notes"])


def test_a_folder_that_is_no_run_is_not_overwritten(
    capsys: pytest.CaptureFixture[str], speech: Path, tmp_path: Path
) -> None:
    target = tmp_path / "thesis"
    target.mkdir()
    (target / "chapter.txt").write_text("mine")
    message = refused(capsys, "run", "kws_tiny", "--data", speech, "-o", target, "--quiet")
    assert str(target) in message
    assert [path.name for path in target.iterdir()] == ["chapter.txt"]


def test_an_output_below_a_file_is_refused_before_any_work(
    capsys: pytest.CaptureFixture[str], speech: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    message = refused(capsys, "run", "kws_tiny", "--data", speech, "-o", tmp_path / "file" / "run", "--quiet")
    assert "file" in message


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full to act as a full disk")
def test_a_full_disk_is_one_message(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = mho(capsys, "schema", "device", "-o", "/dev/full")
    assert code == 1, "a full disk is no wrong input"
    assert "/dev/full" in err
    assert "Traceback" not in err


def test_lists_shows_and_cites(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "kws" in mho(capsys, "list", "experiments")[1]
    assert "devices" in refused(capsys, "list", "device")
    assert "programming_noise_S: 2.73e-06" in mho(capsys, "show", "rram_taox")[1]
    assert "10.1038/s41467-025-56254-6" in mho(capsys, "cite", "kws")[1]
    assert "no entry" not in mho(capsys, "cite", "kws")[1]
    assert json.loads(mho(capsys, "schema", "chip")[1])["$schema"]
    code, _, err = mho(capsys, "show", "pcm", "--plot", tmp_path / "pcm.svg")
    assert code == 0, err
    assert (tmp_path / "pcm.svg").stat().st_size > 1000
    assert "png" in refused(capsys, "show", "pcm", "--plot", tmp_path / "pcm.xyz")
    assert "speech_commands_test" in mho(capsys, "data", "ls")[1]
    assert "did you mean pcm?" in refused(capsys, "show", "pmc")


def test_a_run_is_kept_and_replaced_only_by_force(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, err = mho(capsys, "run", "spgemm_tiny", "--quiet")
    assert code == 0, err
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name.startswith("spgemm_tiny-20")
    assert f"report: runs/{folder.name}/report.html" in out
    before = (folder / "metrics.json").read_bytes()
    again = ("run", "spgemm_tiny", "--quiet", "--seed", 1, "-o", folder)
    assert "holds an earlier run; give another folder, or --force to replace it" in refused(capsys, *again)
    assert (folder / "metrics.json").read_bytes() == before
    code, out, err = mho(capsys, *again, "--force", "--json")
    assert (code, json.loads(out)["seed"]) == (0, 1)
    assert str(folder) in err


FILES = {
    "run": ("kws_tiny", "an experiment", "extends: kws_tiny\nname: mine\n"),
    "sweep": ("converter_drift", "a sweep", "base: kws_tiny\naxes: {chip.bits: [4, 5]}\n"),
    "search": (
        "converter_front",
        "a search",
        "base: kws_tiny\nspace: {chip.bits: [4, 5]}\nobjectives: {energy_J: minimise}\ntrials: 2\n",
    ),
}


@pytest.mark.parametrize(("given", "right"), [(one, other) for one in FILES for other in FILES if one != other])
def test_a_file_or_name_of_another_command_is_one_sentence_that_names_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, given: str, right: str
) -> None:
    (shipped, what, text), (_, wanted, _) = FILES[right], FILES[given]
    (tmp_path / "mine.yaml").write_text(text)
    for name in (shipped, "mine.yaml"):
        for options in [(), ("--dry-run",)] if given != "run" else [()]:
            err = refused(capsys, given, name, *options)
            assert err == f"mho: {name}: {what}, not {wanted}; use mho {right} {name}\n"
    assert not (tmp_path / "runs").exists()


def test_what_is_wrong_with_a_file_of_the_command_itself_is_still_said(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "mine.yaml").write_text("base: kws_tiny\nspcae: {chip.bits: [4, 5]}\n")
    for command, missing in (("sweep", "axes"), ("search", "space")):
        err = refused(capsys, command, "mine.yaml")
        assert "spcae: no such key" in err
        assert missing in err
    assert "no_such: must be a name in sweeps" in refused(capsys, "sweep", "no_such")


def test_everything_that_is_listed_can_be_shown(capsys: pytest.CaptureFixture[str]) -> None:
    for kind in LISTINGS:
        for name in listing(kind):
            code, out, err = mho(capsys, "show", name)
            assert code == 0, err
            assert len(out.splitlines()) > 1, name
    for name, words in {
        "pwm": ("# driver pwm", "edge_jitter_s: 0.0"),
        "differential": ("# encoding differential", "balanced: false"),
        "ramp": ("# converter ramp", "# device: must be given"),
        "gelu": ("# function gelu", "z Phi(z)"),
        "andrulis2024": ("kind: adc_andrulis2024",),
    }.items():
        out = mho(capsys, "show", name)[1]
        assert all(word in out for word in words), name


def test_validate_and_show_take_sweeps_and_searches(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out, _ = mho(capsys, "validate", "converter_offset", "converter_front", "kws")
    assert (code, out.splitlines()) == (
        0,
        [
            "configs/sweeps/converter_offset.yaml: a valid sweep of 24 points",
            "configs/searches/converter_front.yaml: a valid search of 96 trials",
            "configs/experiments/kws.yaml: a valid experiment",
        ],
    )
    sweep, search = tmp_path / "sweep.yaml", tmp_path / "search.yaml"
    sweep.write_text("base: converter\naxes: {bits: [1, 2]}\n")
    search.write_text(
        "base: {kind: nladc, ramp: {device: pcm}}\nspace: {bits: [4, 40]}\nobjectives: {enob: maximize}\ntrials: 4\n"
    )
    assert "sweep.yaml:1:7: base: must be a name in experiments" in refused(capsys, "validate", sweep)
    assert "search.yaml:2:19: bits: must be a whole number from 1 to 12 (got 40)" in refused(capsys, "validate", search)
    for name in ("converter_offset", "converter_front"):
        code, out, _ = mho(capsys, "show", name)
        assert (code, "kind: nladc" in out) == (0, True)
    assert "--plot draws devices, chips and liquids" in refused(capsys, "show", "converter_front", "--plot", "x.png")


def test_papers_behind_prices_are_those_of_what_the_layers_use(capsys: pytest.CaptureFixture[str]) -> None:
    ramp, liquid = (mho(capsys, "cite", name)[1] for name in ("kws_tiny", "nmnist"))
    assert "{ankit2019," in ramp
    assert not any(f"{{{key}," in ramp for key in ("a100", "ads8324", "aananthakrishnan2020"))
    assert ramp.startswith("%")
    assert [("every source is here" in text) for text in (ramp, liquid)] == [False, True]
    assert "{a100," in liquid


def test_papers_behind_features_and_leakage_are_cited(capsys: pytest.CaptureFixture[str]) -> None:
    serial, bank, none = (
        mho(capsys, "cite", "kws_tiny", "--set", f"duty.features={name}")[1]
        for name in ("mfcc_serial", "filter_bank", "none")
    )
    for text in (serial, bank, none):
        assert all(f"{{{key}," in text for key in papers())
    shown = [[key for key in ("shan2023aad", "filterbank2023") if f"{{{key}," in text] for text in (serial, bank, none)]
    assert shown == [["shan2023aad"], ["filterbank2023"], []]


def test_validate_refuses_a_period_shorter_than_a_burst(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "short.yaml"
    file.write_text("extends: kws_tiny\nduty: {period_s: 1.0e-9}\n")
    said = refused(capsys, "validate", file)
    assert "short.yaml: variants[ramp_5bit]: duty.period_s: at least" in said
