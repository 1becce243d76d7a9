"""Where compiled kernels are kept from one process to the next: a folder named by the sources they were made from.

numba keeps a kernel beside the file that holds it, and makes it again when that one file changes. A kernel also
contains the records, constants and functions of other files: after these change it would not load, or compute what it
did before. So ``NUMBA_CACHE_DIR`` is set to a folder of these sources before numba is imported; where the user has set
it, to one in the user's folder.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

VARIABLE = "NUMBA_CACHE_DIR"
PREFIX = "mho-kernels-"
KEPT_S = 7 * 86400.0
"""Folders of other sources are removed when they are this old: a process that uses them may still run."""


def use_kernels_of(folders: Iterable[Path], beside: Path) -> None:
    """Let this process and those it starts keep kernels in a folder of their sources.

    Parameters
    ----------
    folders : all sources from which kernels are made
    beside : where the folder is, unless the user has set one or it cannot be written there; then it is in the user's
        folder of caches
    """
    chosen = os.environ.get(VARIABLE)
    if chosen and Path(chosen).name.startswith(PREFIX):  # of the process that started this one, or of a call before
        parent = Path(chosen).parent
    elif chosen:
        parent = Path(chosen)
    elif os.access(beside.parent, os.W_OK):
        parent = beside
    else:
        parent = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "mho"
    if not parent.is_absolute() and not chosen:  # a user without a home: numba finds what it can
        return
    folder = parent / (PREFIX + digest_of(folders))
    if not folder.exists():
        import shutil

        for old in parent.glob(f"{PREFIX}*"):
            if time.time() - old.stat().st_mtime > KEPT_S:
                shutil.rmtree(old, ignore_errors=True)
    os.environ[VARIABLE] = str(folder)
    if "numba" in sys.modules:  # imported before mho: it has read the variable already
        sys.modules["numba"].config.reload_config()


def digest_of(folders: Iterable[Path]) -> str:
    """Digest of the place, size and time of change of each Python file: 1 ms for mho, where their contents take 20."""
    import hashlib

    stated = hashlib.sha256()
    for folder in folders:
        for path, state in _sources(folder):
            stated.update(f"{path} {state.st_size} {state.st_mtime_ns}\n".encode(errors="surrogateescape"))
    return stated.hexdigest()[:16]


def _sources(folder: Path | str) -> Iterator[tuple[str, os.stat_result]]:
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.is_dir() and entry.name != "__pycache__":
                yield from _sources(entry.path)
            elif entry.name.endswith(".py"):
                yield entry.path, entry.stat()
