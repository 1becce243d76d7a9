"""``python -m benchmarks``: time everything and write ``results.json``; further options go to pytest."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

if __name__ == "__main__":
    sys.exit(pytest.main([str(Path(__file__).parent), "--benchmark-only", *sys.argv[1:]]))
