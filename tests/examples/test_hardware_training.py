"""The example of training for the chip runs on recordings in a small form and says what is regained at which time."""

from __future__ import annotations

import runpy
import wave
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from workloads.recordings.clips import LABELS

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "hardware_training.py"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tones of a pitch for every class, by six speakers."""
    made, drawn = tmp_path_factory.mktemp("speech_commands"), np.random.default_rng(0)
    for number, label in enumerate(LABELS):
        (made / label).mkdir()
        for speaker in range(6):
            time_s = np.arange(16000) / 16000
            tone = np.sin(2 * np.pi * (300 + 250 * number) * time_s) + 0.1 * drawn.standard_normal(16000)
            with wave.open(str(made / label / f"{speaker:08x}_nohash_0.wav"), "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(16000)
                file.writeframes((8000 * tone).astype("<i2").tobytes())
    return made


def test_what_is_regained_is_printed_for_both_chips(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main = runpy.run_path(str(EXAMPLE))["main"]
    small = ("--units", "8", "--copies", "1", "--float-steps", "20", "--steps", "2", "--chips", "2")
    main(["--data", str(folder), *small])
    head, *parts = capsys.readouterr().out.split("\n\n")
    assert "(recorded), 72 clips; judged by" in head
    times = {part.splitlines()[0]: [float(row.split()[0]) for row in part.splitlines()[2:]] for part in parts}
    assert times == {"unverified, 4 bits": [0.0], "PCM, drifting, 4 bits": [0.0, 86400.0, 2592000.0]}


def test_a_share_is_of_the_mean_loss_and_its_interval_that_of_the_same_chips() -> None:
    regained = runpy.run_path(str(EXAMPLE))["regained"]

    def judged(*accuracies: float) -> pd.DataFrame:
        rows = [{"stage": "software", "t_s": 0.0, "accuracy": 0.9}]
        return pd.DataFrame(rows + [{"stage": "chips", "t_s": 5.0, "accuracy": one} for one in accuracies])

    row = regained(judged(0.4, 0.6), judged(0.6, 0.8)).iloc[0]
    assert row.software == 0.9
    assert row.before == pytest.approx(0.5)
    assert row.regained == pytest.approx(0.5)
    assert row.regained_low == pytest.approx(row.regained_high)  # every chip regains as much
