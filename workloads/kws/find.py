"""Which recordings a keyword-spotting run uses: the user's, the cache's, the network's, else the embedded default."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from configs.bounded import expanded, one_sentence, printable
from configs.errors import InputError
from workloads.recordings.archives import ALLOWED, ENDINGS, check_exists
from workloads.recordings.clips import LABELS, Clips
from workloads.recordings.sources import RemoteFile, Unavailable, cached, fetch
from workloads.recordings.speech import Spoken, spoken_clips
from workloads.recordings.speech_commands import load_speech_commands

_PLACE = "https://storage.googleapis.com/download.tensorflow.org/data/"
TEST_SET = RemoteFile(
    name="speech_commands_test_set_v0.02.tar.gz",
    url=_PLACE + "speech_commands_test_set_v0.02.tar.gz",
    sha256="cc2a00c1147c2254e9be3fa0f779d8c17421dc349b86366567a8edfa9acd51df",
    size_bytes=112_563_277,
)
FULL_SET = RemoteFile(
    name="speech_commands_v0.02.tar.gz",
    url=_PLACE + "speech_commands_v0.02.tar.gz",
    sha256="af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
    size_bytes=2_428_923_189,
)


@dataclass(frozen=True)
class Finding:
    """Where to look: ``full`` fetches the 35-word training set (2.4 GB), not the 12-class test set (113 MB).

    Without ``network`` nothing is fetched; an answer of the server is waited for ``within_s`` at most.
    """

    full: bool = False
    network: bool = True
    within_s: float = 9.0


def find_clips(
    data: Path | None = None,
    *,
    seed: int = 0,
    finding: Finding | None = None,
    spoken: Spoken | None = None,
    progress: Callable[[int, int], object] | None = None,
    show_download: bool = True,
) -> Clips:
    """The clips of a run, from the first of: ``data``, ``MHO_DATA``, the cache, the network, the embedded default.

    What the user names must be right: it is never replaced in silence, and ``InputError`` says what is wrong with it.
    Where the network fails, a note in the clips says why the default is taken. ``progress`` follows the synthesiser.
    """
    finding = finding or Finding()
    chosen, origin = (data, "--data") if data else (os.environ.get("MHO_DATA") or None, "MHO_DATA")
    if chosen:
        return load_speech_commands(locate(expanded(chosen), origin), seed=seed)
    remote = FULL_SET if finding.full else TEST_SET
    path, reason = cached(remote), "the network is switched off"
    if not path and finding.network:
        try:
            path = fetch(remote, within_s=finding.within_s, progress=show_download)
        except Unavailable as error:
            reason = str(error)
    if path:
        return load_speech_commands(path, seed=seed)
    clips = spoken_clips(seed=seed, how=spoken, progress=progress)
    note = f"Speech Commands was not found (no --data, no MHO_DATA, nothing in the cache; {reason})."
    return replace(clips, notes=(*clips.notes, note))


def locate(path: Path, origin: str, *, deeper: int = 3) -> Path:
    """The Speech Commands folder or archive that ``path`` is or contains: one named ``speech_commands*`` within it.

    Looks ``deeper`` folders down at most, since a link may lead back up. Raises ``InputError`` that names ``origin``,
    where the path was given.
    """
    where = f"{origin}: {printable(str(path))}"
    check_exists(path, where, f"Speech Commands as {ALLOWED}")
    if not os.path.isdir(path) or any((path / label).is_dir() for label in LABELS):
        return path
    with one_sentence(where, "a folder that can be read"):
        inside = sorted(path.glob("speech_commands*"))
        empty = not any(path.iterdir())
    for inner in inside:
        if inner.is_file() and inner.name.endswith(ENDINGS):
            return inner
    for inner in inside if deeper else ():
        if inner.is_dir():
            return locate(inner, origin, deeper=deeper - 1)
    what = "an empty folder" if empty else "a folder with neither of them"
    raise InputError(
        f"{where}: allowed is a folder of class folders ({' '.join(LABELS)}) or an archive "
        f"'speech_commands*' within it (got {what})"
    )
