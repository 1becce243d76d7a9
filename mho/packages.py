"""The rooms of the house belong together: ``mho`` loads those that lie beside it, and no others.

The rooms are top-level packages with common names. Next to a script called ``devices.py``, Python's own search would
take that file for the room. So the rooms are searched for beside ``mho`` first, all at once and before anything else of
``mho`` is imported; afterwards every ``import devices.pcm`` finds the package that is already loaded.

Worker processes start without them. They take over ``sys.path``, though, and may be handed an object of a room before
anything has imported ``mho`` there. So ``sys.path`` begins with ``mho/shims``, a folder that holds one small module for
each room and nothing else: its import is that of ``mho``, which puts the room in its place.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent
SHIMS = Path(__file__).resolve().parent / "shims"
PACKAGES = ("configs", "devices", "crossbar", "periphery", "mappings", "workloads")


class BesideMho:
    """A finder on ``sys.meta_path`` that looks for the rooms, and nothing else, in the folder that holds ``mho``."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Where the room is, or None for every other module: the usual finders then take over."""
        return PathFinder.find_spec(name, [str(ROOT)]) if name in PACKAGES else None


def foreign_file(room: str) -> str | None:
    """The file or folder of an already loaded module that bears a room's name and lies elsewhere, else None."""
    module = sys.modules.get(room)
    if module is None:
        return None
    folders = list(getattr(module, "__path__", []))
    place = getattr(module, "__file__", None) or (folders[0] if folders else "an unknown place")
    ours = any(Path(folder).resolve() == ROOT / room for folder in folders)
    return None if ours or Path(place).resolve().parent == SHIMS else place


def load() -> None:
    """Import every room from beside ``mho``, and let worker processes find them too.

    Raises:
        ImportError: a module with the name of a room, from another place, is already loaded. Neither of the two could
            work on, so nothing is unloaded, and the sentence names the file in the way.
    """
    for room in PACKAGES:
        in_the_way = foreign_file(room)
        if in_the_way is not None:
            raise ImportError(
                f"mho cannot be imported: its package {room!r} lies in {ROOT / room}, but a module of that name is "
                f"already loaded from {in_the_way}; rename that file.",
                name=room,
                path=in_the_way,
            )
    for room in PACKAGES:
        if not hasattr(sys.modules.get(room), "__path__"):
            sys.modules.pop(room, None)  # a door, whose import is under way
    sys.meta_path.insert(0, BesideMho)
    # What an import makes is no garbage: to look for some in it, now and later, takes a quarter of the time of imports.
    collecting = gc.isenabled()
    gc.disable()
    try:
        for room in PACKAGES:
            import_module(room)
    finally:
        sys.meta_path.remove(BesideMho)
        gc.freeze()
        if collecting:
            gc.enable()
    if str(SHIMS) not in sys.path:
        sys.path.insert(0, str(SHIMS))


load()
