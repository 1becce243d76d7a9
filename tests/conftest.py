"""What every test stands on: its own cache, no display, one thread, and examples that do not depend on the clock."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import torch

# Before anything imports matplotlib.
os.environ["MPLBACKEND"] = "Agg"
torch.set_num_threads(1)

# A slow or busy machine is no failure, and the same commit gives the same verdict.
hypothesis.settings.register_profile("mho", deadline=None, derandomize=True, max_examples=50, print_blob=True)
hypothesis.settings.load_profile("mho")


@pytest.fixture(scope="session")
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for the session, so that generated data and computed features are made once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def own_surroundings(cache_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No test sees the user's data or cache, and none leaves the default type or thread count of torch changed."""
    monkeypatch.setenv("MHO_CACHE", str(cache_folder))
    monkeypatch.delenv("MHO_DATA", raising=False)
    threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
    yield
    assert torch.get_default_dtype() == dtype
    torch.set_num_threads(threads)
