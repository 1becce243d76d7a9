"""``mho`` and the packages beside it belong together: their names always mean those in the folder that holds ``mho``.

They are top-level packages with common names. Next to a script called ``devices.py``, Python's own search would take
that file for the package. So a finder comes before all others and answers for these names, whenever one of them is
first imported.

Worker processes start without that finder. They take over ``sys.path``, though, and may be given an object of one of
the packages before anything has imported ``mho`` there. So ``sys.path`` begins with ``mho/shims``, a folder that holds
one small module for each package and nothing else: it imports ``mho``, which replaces it by the package.
"""

from __future__ import annotations

import gc
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, ModuleSpec, SourceFileLoader
from pathlib import Path
from types import ModuleType

from mho.compiled import use_kernels_of

ROOT = Path(__file__).resolve().parent.parent
SHIMS = Path(__file__).resolve().parent / "shims"
PACKAGES = ("configs", "devices", "crossbar", "periphery", "mappings", "workloads")

# Libraries import tqdm, which warns in a notebook without widgets, of bars that are never drawn.
warnings.filterwarnings("ignore", message="IProgress not found")

WITH_KERNELS = ("periphery", "mappings", "workloads")


class PackageLoader(SourceFileLoader):
    """Runs a package, which imports torch and much else, without a search for garbage.

    Before the first package with compiled kernels, the folder is chosen in which they are kept.

    What an import makes is no garbage: to look for some in it, now and later, takes a quarter of the time of imports.
    """

    def exec_module(self, module: ModuleType) -> None:
        """Run the package's code in its module."""
        if self.name in WITH_KERNELS:
            use_kernels_of(map(ROOT.joinpath, PACKAGES), ROOT / "mho" / "__pycache__")
        collecting = gc.isenabled()
        gc.disable()
        try:
            super().exec_module(module)
        finally:
            if collecting:
                gc.freeze()
                gc.enable()


class BesideMho:
    """A finder on ``sys.meta_path`` that looks for the packages, and nothing else, in the folder that holds ``mho``."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Where the package is, or None for every other module: the usual finders then take over."""
        if name not in PACKAGES:
            return None
        return FileFinder(str(ROOT), (PackageLoader, SOURCE_SUFFIXES)).find_spec(name)


def foreign_file(package: str) -> str | None:
    """The file or folder of an already loaded module that has a package's name but is another one, else None."""
    module = sys.modules.get(package)
    if module is None:
        return None
    folders = list(getattr(module, "__path__", []))
    file = getattr(module, "__file__", None) or (folders[0] if folders else "an unknown file")
    ours = any(Path(folder).resolve() == ROOT / package for folder in folders)
    return None if ours or Path(file).resolve().parent == SHIMS else file


def install() -> None:
    """Let this process, and worker processes, find every package beside ``mho``; none is imported yet.

    Raises:
        ImportError: another module with the name of a package is already loaded. Neither of the two could work on, so
            nothing is unloaded, and the sentence names that module's file.
    """
    for package in PACKAGES:
        foreign = foreign_file(package)
        if foreign is not None:
            raise ImportError(
                f"mho cannot be imported: its package {package!r} is in {ROOT / package}, but a module of that name is "
                f"already loaded from {foreign}; rename that file.",
                name=package,
                path=foreign,
            )
    if BesideMho not in sys.meta_path:
        sys.meta_path.insert(0, BesideMho)
    if str(SHIMS) not in sys.path:
        sys.path.insert(0, str(SHIMS))
    for package in PACKAGES:
        if package in sys.modules and not hasattr(sys.modules[package], "__path__"):
            del sys.modules[package]  # a shim, whose import is under way
            import_module(package)


install()
