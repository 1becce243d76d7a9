"""``python -m benchmarks``: time everything and write ``results.json``; further options go to pytest.

Where there is a CUDA device, ``benchmarks.gpu_recurrent`` writes ``results_gpu.json`` as well; else that file stays.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from benchmarks import gpu_recurrent

if __name__ == "__main__":
    failed = pytest.main([str(Path(__file__).parent), "--benchmark-only", *sys.argv[1:]])
    if torch.cuda.is_available() and len(sys.argv) == 1:
        gpu_recurrent.main()
    sys.exit(failed)
