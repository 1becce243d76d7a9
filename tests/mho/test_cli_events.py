"""Damaged recordings through the command line: the file by name, exit code 2, no traceback, nothing left behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mho import cli


def event_files(folder: Path) -> Path:
    """Ten recordings of each of two digits, 5 bytes an event; returns one of them."""
    for digit in ("3", "5"):
        (folder / "Train" / digit).mkdir(parents=True)
        for number in range(10):
            raw = np.zeros((50, 5), np.uint8)
            raw[:, :2], raw[:, 4] = 16, 4 * np.arange(50)
            raw.tofile(folder / "Train" / digit / f"{number:05d}.bin")
    return folder / "Train" / "5" / "00003.bin"


def truncated_events(folder: Path) -> str:
    path = event_files(folder)
    path.write_bytes(path.read_bytes()[:-2])
    return f"{path}: a truncated event file: allowed is a multiple of 5 bytes, got 248"


def a_pixel_beside_the_sensor(folder: Path) -> str:
    path = event_files(folder)
    raw = np.fromfile(path, np.uint8)
    raw[5 * 7] = 200
    raw.tofile(path)
    return f"{path}: event 7: allowed are pixels of a 34 x 34 sensor (got x = 200, y = 16)"


def a_table_with_a_word(folder: Path) -> str:
    for label in ("left", "right"):
        (folder / label).mkdir(parents=True)
        (folder / label / "1.csv").write_text("t,x,y,p\n0.1,2,3,0\n")
    path = folder / "right" / "2.csv"
    path.write_text("t,x,y,p\n0.1,2,3,0\n0.2,two,3,0\n")
    return f"{path}:3: x: allowed is a whole number from 0 to 4095 (got 'two')"


def truncated_spikes(folder: Path) -> str:
    h5py = pytest.importorskip("h5py", reason="the extra 'events' is not installed")
    folder.mkdir()
    path = folder / "shd_train.h5"
    with h5py.File(path, "w") as file:
        file["labels"] = np.zeros(4, np.int64)
    path.write_bytes(path.read_bytes()[:600])
    return f"{path}: a damaged or truncated HDF5 file"


def truncated_sound(folder: Path) -> str:
    folder.mkdir()
    wave = np.sin(np.arange(8000) / 5.0)
    for digit in range(2):
        for number in range(10):
            soundfile.write(folder / f"{digit}_anna_{number}.wav", wave, 8000, subtype="PCM_16")
    path = folder / "1_anna_7.wav"
    path.write_bytes(path.read_bytes()[:30])
    return str(path)


@pytest.mark.parametrize(
    ("experiment", "damage"),
    [
        ("nmnist_tiny", truncated_events),
        ("nmnist_tiny", a_pixel_beside_the_sensor),
        ("nmnist_tiny", a_table_with_a_word),
        ("spoken_digits", truncated_spikes),
        ("spoken_digits", truncated_sound),
    ],
)
def test_a_damaged_recording_is_named_and_refused(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    experiment: str,
    damage: Callable[[Path], str],
) -> None:
    said = damage(tmp_path / "data")
    arguments = ["mho", "run", experiment, "--data", str(tmp_path / "data"), "-o", str(tmp_path / "run")]
    monkeypatch.setattr("sys.argv", arguments)
    with pytest.raises(SystemExit) as stop:
        cli.main()
    out, err = capsys.readouterr()
    assert stop.value.code == 2, err
    assert said in err
    assert "Traceback" not in out + err
    assert not (tmp_path / "run").exists()
