"""Time to start: commands that compute nothing, and others, beside the import of torch in another process."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from benchmarks.conftest import SideBySide

#: Arguments of mho, and the most that they may take in units of torch's import.
COMMANDS = {
    "import mho": (("-c", "import mho"), 0.25),
    "mho --help": (("-m", "mho", "--help"), 0.5),
    "mho --version": (("-m", "mho", "--version"), 0.5),
    "mho list components": (("-m", "mho", "list", "components"), 0.5),
    "mho list converters": (("-m", "mho", "list", "converters"), 0.5),
    "mho show pcm": (("-m", "mho", "show", "pcm"), 1.6),
    "mho validate kws": (("-m", "mho", "validate", "kws"), 1.6),
    "mho cite kws": (("-m", "mho", "cite", "kws"), 1.6),
}


def run(*arguments: str) -> None:
    """One process from its start to its end."""
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)


@pytest.mark.parametrize("name", COMMANDS)
def test_start(side_by_side: SideBySide, name: str) -> None:
    arguments, most = COMMANDS[name]
    side_by_side(name, lambda: run(*arguments), "import torch", lambda: run("-c", "import torch"), target_ratio=most)


if __name__ == "__main__":
    pytest.main([__file__, "--benchmark-only", "-s"])
