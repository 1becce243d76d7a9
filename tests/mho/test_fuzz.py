"""The fuzzing of mho's inputs: a few inputs of every kind, and that each sort of fault is seen and named."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(CHECKOUT), "OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"}


def python(*arguments: str, timeout: float = 300.0) -> subprocess.CompletedProcess[str]:
    """A process of its own: what is forked there has neither pytest's threads nor its warnings."""
    return subprocess.run(
        [sys.executable, *arguments], cwd=CHECKOUT, env=ENVIRONMENT, capture_output=True, text=True, timeout=timeout
    )


def test_a_few_inputs_of_every_kind_are_answered_with_a_result_or_a_sentence() -> None:
    done = python("-m", "benchmarks.fuzz", "--each", "2", "--jobs", "1")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_number_names_the_same_input_every_time(tmp_path: Path) -> None:
    script = """
        import hashlib, sys, tempfile
        from pathlib import Path
        from benchmarks.fuzz import KINDS
        for kind in ("yaml", "matrices", "spikes", "measured", "weights", "archives", "pictures", "cameras"):
            for number in (0, 1, 7, 801):
                folder = Path(tempfile.mkdtemp())
                case = KINDS[kind](number, folder, folder)
                files = sorted(path for path in folder.rglob("*") if path.is_file())
                print(kind, number, case, *(hashlib.sha256(path.read_bytes()).hexdigest() for path in files))
    """
    first, second = (python("-c", script.replace("\n        ", "\n")) for _ in range(2))
    assert first.returncode == 0, first.stderr
    assert first.stdout == second.stdout


# What a command does, and the outcome that it must be given.
FAULTS = {
    "ok": "print('done')",
    "refused, with help": "print('Usage: mho data [OPTIONS] COMMAND'); sys.exit(2)",
    "refused": "sys.stderr.write('mho: no\\n'); sys.exit(2)",
    "failed": "sys.stderr.write('mho: disk full\\n'); sys.exit(1)",
    "traceback": "raise KeyError('x')",
    "traceback, caught": "open('out/bug.txt', 'w').write('Traceback (most recent call last):'); sys.exit(1)",
    "crash": "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
    "hang": "while True: pass",
    "hang, waiting": "import time; time.sleep(60)",
    "memory": "x = b'x' * (1 << 30)",
    "memory, refused": "sys.stderr.write('mho: out of memory\\n'); sys.exit(1)",
    "outside": "open('../evil', 'w').close()",
    "infinity": "open('out/a.json', 'w').write('[NaN]')",
    "unclear": "sys.exit(2)",
}
SCRIPT = """
import json, sys, time
from pathlib import Path
import mho.cli
import benchmarks.fuzz.child
from benchmarks.fuzz.case import Case
from benchmarks.fuzz.child import Child

benchmarks.fuzz.child.RESIDENT_BYTES = 1 << 30  # 2 GB take longer to fill on a busy machine than a hang is given
found = {}
for name, command in json.loads(sys.argv[1]).items():
    def make(number, folder, base):
        (folder / "out").mkdir()
        return Case(name, ("run",))
    mho.cli.main = lambda: exec(command, {"sys": sys})
    child = Child("test", 0, make, Path(sys.argv[2]), Path(sys.argv[2]) / "base", limit_s=2.0)
    while (outcome := child.poll()) is None:
        time.sleep(0.01)
    found[name] = outcome.sort
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    done = python("-c", SCRIPT, json.dumps(FAULTS), str(tmp_path_factory.mktemp("fuzz")))
    assert done.returncode == 0, done.stderr
    outcomes: dict[str, str] = json.loads(done.stdout)
    return outcomes


@pytest.mark.parametrize("name", FAULTS)
def test_every_sort_of_fault_is_seen(found: dict[str, str], name: str) -> None:
    assert found[name] == name.partition(",")[0]
