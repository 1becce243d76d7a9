"""The formant synthesiser eSpeak NG, called in-process through ctypes.

The wheel ``espeakng-loader`` (the extra ``speech``) brings the library and its voices. The synthesiser keeps hidden
state between utterances and draws from the C library's ``rand``: for the same bits every time, each session loads a
private copy of the library and seeds ``rand`` before each utterance.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from configs.errors import InputError
from workloads.recordings.wav import resample

# From speak_lib.h of eSpeak NG 1.52.
_AUDIO_OUTPUT_SYNCHRONOUS = 2
_INITIALIZE_DONT_EXIT = 0x8000
_CHARS_UTF8 = 1
_POS_CHARACTER = 1
_RATE, _PITCH, _RANGE = 1, 3, 4
_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)

MISSING = (
    "no speech data was found and the synthesiser for the embedded default is not installed: "
    "pip install 'mho[speech]', or give Speech Commands with --data PATH"
)


@dataclass(frozen=True, kw_only=True)
class Manner:
    """How a word is spoken: pace, pitch and its range are drawn evenly from (low, high), in the units of eSpeak NG."""

    words_per_minute: tuple[int, int] = (120, 220)
    pitch: tuple[int, int] = (30, 70)
    pitch_range: tuple[int, int] = (30, 80)


class Espeak:
    """One session of the synthesiser; use as a context manager. Raises ``InputError`` where it is not installed."""

    def __init__(self) -> None:
        try:
            import espeakng_loader  # type: ignore[import-untyped,unused-ignore]  # an optional extra
        except ImportError:
            raise InputError(MISSING) from None
        self._folder = tempfile.TemporaryDirectory(prefix="mho-espeak-", ignore_cleanup_errors=True)
        here = Path(self._folder.name)
        library = str(shutil.copy(espeakng_loader.get_library_path(), here))
        data = Path(espeakng_loader.get_data_path())
        try:
            # eSpeak NG cuts off paths of more than about 160 characters; a link in the temporary folder is short.
            (here / "espeak-ng-data").symlink_to(data, target_is_directory=True)
            data = here
        except OSError:
            data = data.parent
        self._library: Any = ctypes.CDLL(library)
        self._c: Any = ctypes.CDLL("msvcrt" if sys.platform == "win32" else None)
        self._pieces: list[NDArray[np.int16]] = []
        self._callback = _Callback(self._hear)
        self._library.espeak_Synth.argtypes = [
            *(ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int, ctypes.c_uint, ctypes.c_uint),
            *(ctypes.c_void_p, ctypes.c_void_p),
        ]
        self._library.espeak_Info.restype = ctypes.c_char_p
        self.rate_Hz: int = self._library.espeak_Initialize(
            _AUDIO_OUTPUT_SYNCHRONOUS, 0, os.fsencode(data), _INITIALIZE_DONT_EXIT
        )
        if self.rate_Hz <= 0:
            self._folder.cleanup()
            raise InputError(f"eSpeak NG cannot start: its voices in {data} are missing or damaged; {MISSING}")
        self._library.espeak_SetSynthCallback(self._callback)
        self.version: str = self._library.espeak_Info(None).decode()

    def __enter__(self) -> Espeak:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._library.espeak_Terminate()
        self._folder.cleanup()

    def voice(self, accent: str, variant: str) -> None:
        """Speak as ``variant`` (a larynx and vocal tract) with an accent of English from now on."""
        if self._library.espeak_SetVoiceByName(f"{accent}+{variant}".encode()):
            raise InputError(f"eSpeak NG {self.version} has no voice '{accent}+{variant}'")

    def say(self, text: str, *, words_per_minute: int, pitch: int, pitch_range: int, seed: int) -> NDArray[np.float32]:
        """The spoken ``text`` as a wave in [-1, 1) at ``rate_Hz``; pitch and its range from 0 to 100, 50 as usual."""
        for parameter, value in ((_RATE, words_per_minute), (_PITCH, pitch), (_RANGE, pitch_range)):
            self._library.espeak_SetParameter(parameter, value, 0)
        self._c.srand(seed & 0x7FFFFFFF)
        self._pieces.clear()
        encoded = text.encode() + b"\0"
        self._library.espeak_Synth(encoded, len(encoded), 0, _POS_CHARACTER, 0, _CHARS_UTF8, None, None)
        if not self._pieces:
            return np.zeros(0, np.float32)
        return np.concatenate(self._pieces).astype(np.float32) / np.float32(32768.0)

    def utter(self, text: str, how: Manner, draw: np.random.Generator) -> NDArray[np.float32]:
        """The spoken ``text`` at 16 kHz from its first to its last sound, at a pace and pitch of its own."""
        spoken = self.say(
            text,
            words_per_minute=int(draw.integers(*how.words_per_minute)),
            pitch=int(draw.integers(*how.pitch)),
            pitch_range=int(draw.integers(*how.pitch_range)),
            seed=int(draw.integers(2**31)),
        )
        wave = resample(spoken, self.rate_Hz)
        loud = np.flatnonzero(np.abs(wave) > 0.01 * np.abs(wave).max(initial=1e-3))
        return wave[loud[0] : loud[-1] + 1] if len(loud) else wave[:0]

    def _hear(self, wave: Any, count: int, _events: Any) -> int:
        if wave and count > 0:
            self._pieces.append(np.ctypeslib.as_array(wave, (count,)).copy())
        return 0
