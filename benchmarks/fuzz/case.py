"""What a generator makes: files in a folder and a command line; and the small finished runs that it may start from."""

from __future__ import annotations

import io
import random
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TypeVar

import numpy as np
from scipy.io import savemat

KEYWORDS = ["yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go", "_unknown_", "_silence_"]
RATE_HZ = 16000
CLIP_SAMPLES = 1600
SPEAKERS = 6

# The smallest experiments that go through everything: each takes about a second where it is not refused.
SMALL: dict[str, str] = {
    "small_kws": """
extends: kws_tiny
data: {clips: 72}
features: {augmentation: {copies: 1}}
model: {hidden: 4}
training: {software: {steps: 2}, aware: {steps: 1}}
variants: [{name: ramp_5bit, default: true}]
evaluation: {chips: 1, times_s: [0.0]}
""",
    "small_spgemm": """
extends: spgemm_tiny
data: {graph: {scale: 5}}
variants: [{name: taox_4bit, default: true}]
evaluation: {chips: 1, grid_bits: [3], grid_rows: [8]}
""",
    "small_lsm": """
extends: nmnist_tiny
data: {recordings: 40}
chip: {neurons: 10}
variants: [{name: taox_neighbours, default: true}]
evaluation: {chips: 1, sweep_chips: 1}
sweeps: []
""",
    "small_audio": """
extends: spoken_digits
data: {recordings: 40, splits: [folds], folds: 2, validation: 0.2, binning: {steps: 10}}
readout: {penalties: [10.0]}
chip: {neurons: 10}
variants: [{name: taox_neighbours, default: true}]
evaluation: {chips: 1, sweep_chips: 1, readouts: [], shown: 0}
sweeps: []
""",
    "small_sweep": """
base: {kind: nladc, function: sigmoid, bits: 3, ramp: {device: rram_taox}, chips: 2}
axes: {bits: [3, 4], ramp.device: [rram_taox, pcm]}
times_s: [0.0, 3600.0]
outputs: [enob, inl_mean_lsb]
""",
}


@dataclass(frozen=True)
class Case:
    """One input: ``arguments`` of mho, run in the folder that holds the files; results may go to ``out`` in it.

    ``about`` says in a few words what is odd. ``infinite``: a number is infinite or NaN, so that mho may not accept
    it. ``writable``: further files and folders that the command may change. ``environment``: variables set, or with
    None removed; ``encoding`` of the terminal.
    """

    about: str
    arguments: tuple[str, ...]
    infinite: bool = False
    writable: tuple[str, ...] = ()
    environment: Mapping[str, str | None] = field(default_factory=dict)
    encoding: str = "utf-8"


T = TypeVar("T")
Generator = Callable[[int, Path, Path], Case]
"""Makes the input of a number in a folder; the third argument holds ``base`` runs, made once."""


def start(kind: str, number: int) -> random.Random:
    """The random numbers of one input: those of its kind and number, and of nothing else."""
    return random.Random(f"{kind} {number}")


def turn(number: int, given: int) -> int | None:
    """Which of ``given`` listed inputs a number is: listed and random ones take turns until the list is at its end."""
    return number // 2 if number % 2 == 0 and number // 2 < given else None


def from_list(number: int, inputs: Mapping[str, T]) -> tuple[str, T] | None:
    """The input of the list whose turn it is, with its name; None where it is a random one's."""
    listed = turn(number, len(inputs))
    return None if listed is None else list(inputs.items())[listed]


def small(name: str, folder: Path) -> str:
    """Write the small experiment of this name; its path."""
    path = folder / f"{name}.yaml"
    path.write_text(SMALL[name] if name == "small_sweep" else f"name: {name}\n{SMALL[name]}", encoding="utf-8")
    return path.name


def write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files, with the folders that they are in."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def wav(samples: bytes, *, rate: int = RATE_HZ, channels: int = 1, bits: int = 16, tag: int = 1) -> bytes:
    """A plain WAV file."""
    align = channels * bits // 8
    form = struct.pack("<HHIIHH", tag, channels, rate, rate * align & 0xFFFFFFFF, align & 0xFFFF, bits)
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(samples)) + samples
    return b"RIFF" + struct.pack("<I", len(body)) + body


@cache
def clips() -> dict[str, bytes]:
    """A tenth of a second of noise for each keyword and speaker, as Speech Commands lays out its files."""
    rng = np.random.default_rng(0)
    return {
        f"{word}/s{speaker}_nohash_0.wav": wav(rng.integers(-9000, 9000, CLIP_SAMPLES, np.int16).tobytes())
        for word in KEYWORDS
        for speaker in range(SPEAKERS)
    }


def events(count: int = 20, *, x: int = 5, y: int = 6, first_us: int = 0, step_us: int = 100) -> bytes:
    """One recording of an event camera, as N-MNIST stores it: 5 bytes an event."""
    times = range(first_us, first_us + count * step_us, step_us or 1) if step_us else [first_us] * count
    return b"".join(bytes([x, y, (k & 1) << 7 | t >> 16 & 127, t >> 8 & 255, t & 255]) for k, t in enumerate(times))


def recordings(classes: int = 3, each: int = 8) -> dict[str, bytes]:
    """Event files in folders of their classes."""
    return {f"{c}/{i}.bin": events(20 + i, x=i + 8, y=c + 9) for c in range(classes) for i in range(each)}


def matlab() -> bytes:
    """Events in a file of MATLAB 5, as some data sets have them; the same bytes at any time of day."""
    held = io.BytesIO()
    savemat(held, {"TD": {"x": np.arange(9), "y": np.arange(9), "p": np.ones(9), "ts": 100 * np.arange(9)}})
    return b"MATLAB 5.0 MAT-file".ljust(116) + held.getvalue()[116:]
