"""Files written for tests of readers, and what a reader says of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from devices import InputError


def problems_of(call: Callable[[], object]) -> tuple[str, ...]:
    """The problems of the InputError that a call raises."""
    with pytest.raises(InputError) as caught:
        call()
    return caught.value.problems


def lay(root: Path, content: dict[str, bytes]) -> Path:
    """A folder with these files."""
    for name, data in content.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root
