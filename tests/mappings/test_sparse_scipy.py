"""SciPy's own tests of sparse matrices with its product replaced by ours: every type and shape that they try."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
MODULES = ("test_base", "test_csr", "test_csc", "test_coo", "test_matrix_io", "test_construct")
# Tests that multiply; the many that only index, convert or sort would take minutes and reach no product.
CHOSEN = "mul or dot or power or prod or diagonal or mat or kron or eye or random or sparse_format"


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """SciPy's tests in a process of their own; the counts of products, once all of them have passed."""
    if importlib.util.find_spec("scipy.sparse.tests") is None:
        pytest.skip("SciPy is installed without its tests")
    folder = tmp_path_factory.mktemp("scipy")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parents[1])]),
        "SPGEMM_COUNTS": str(folder / "counts.json"),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "spgemm_for_scipy"]
    command += ["-W", "ignore", "-c", os.devnull, "-k", CHOSEN, "--pyargs"]
    command += [f"scipy.sparse.tests.{name}" for name in MODULES]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-4000:]
    found: dict[str, Any] = json.loads((folder / "counts.json").read_text())
    return found


def test_scipys_tests_pass_with_its_product_replaced(counted: dict[str, Any]) -> None:
    assert counted["replaced"] > 1000


def test_every_product_is_scipys_in_its_type(counted: dict[str, Any]) -> None:
    assert counted["differ"] == {}
