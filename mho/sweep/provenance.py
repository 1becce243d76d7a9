"""What made a result: the code of mho, the libraries that compute, and the data."""

from __future__ import annotations

import hashlib
import platform
from functools import lru_cache
from pathlib import Path
from typing import Any

from mho.packages import PACKAGES, ROOT
from mho.runner import _git, _version

#: Packages whose versions may change the last bits of a result.
COMPUTING = ("torch", "numpy", "scipy", "numba", "librosa", "pandas", "scikit-learn")
_ALSO = Path("mho") / "sweep" / "work.py"


@lru_cache(maxsize=1)
def code() -> tuple[str, dict[str, Any]]:
    """Digest of all that computes, and the same in words for people.

    The source files themselves are read, prices included, so that a changed working tree counts as changed although
    its revision is the same; the command line and the reports change no figure and do not count.
    """
    whole = hashlib.sha256()
    files = [path for package in PACKAGES for path in (ROOT / package).rglob("*")]
    files = [path for path in files if path.suffix in (".py", ".yaml", ".csv")]
    # Experiments, chips and devices are in the configuration of a point.
    read = [path for path in files if not path.is_relative_to(ROOT / "configs") or "components" in path.parts]
    for path in sorted([*read, ROOT / _ALSO]):
        whole.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes() + b"\0")
    packages = {name: _version(name) for name in COMPUTING}
    whole.update(repr(sorted(packages.items())).encode())
    about = {
        "mho": _version("mho"),
        "git": _git(),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "packages": packages,
    }
    return whole.hexdigest(), about
