"""Kill a running sweep many times at random moments, children too, resume it, and compare with an undisturbed run.

``python -m benchmarks.kill_sweep 100 --engine local`` prints what was killed and whether the tables are the same bytes.
A small version of this runs in the tests.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import psutil

from mho.sweep.command import TABLE, sweep
from mho.sweep.store import FILE, Store

SWEEP = """
base: {{kind: nladc, ramp: {{device: rram_taox}}, chips: 24}}
axes:
  bits: [4, 5, 6]
  ramp.device: [rram_taox, pcm]
seeds: {seeds}
"""


def main() -> int:
    """Exit code 0 where nothing was lost, doubled or changed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kills", type=int)
    parser.add_argument("--engine", default="local")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=1000, help="6 points each")
    parser.add_argument("--longest", type=float, default=9.0, help="latest moment of a kill after the start [s]")
    chosen = parser.parse_args()
    draw = random.Random(chosen.kills)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        file = folder / "kill.yaml"
        file.write_text(SWEEP.format(seeds=chosen.seeds), encoding="utf-8")
        command = [sys.executable, "-m", "mho", "sweep", str(file), "-o", str(folder / "killed"), "--quiet"]
        command += ["--engine", chosen.engine, "-j", str(chosen.workers)]
        killed: Counter[str] = Counter()
        for number in range(chosen.kills):
            before = rows(folder / "killed")
            running = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL)
            if draw.random() < 0.3:
                time.sleep(draw.uniform(0.0, chosen.longest))  # while it starts, mostly
            else:
                while running.poll() is None and rows(folder / "killed") == before:
                    time.sleep(0.05)
                time.sleep(draw.uniform(0.0, chosen.longest / 3.0))
            how = draw.choice(("all", "parent", "child"))
            if running.poll() is not None:
                how = "none: it had ended"
            elif how == "child":
                children = psutil.Process(running.pid).children(recursive=True)
                victims = [child for child in children if child.is_running()]
                if victims:
                    draw.choice(victims).kill()
                time.sleep(draw.uniform(0.0, 3.0))
            everything(running.pid, parent_only=how == "parent")
            running.wait()
            killed[how] += 1
            print(f"{number + 1}: {how}, {rows(folder / 'killed') - before} points more", flush=True)
        started = time.monotonic()
        done = subprocess.run(command, check=False)
        last = time.monotonic() - started
        sweep(str(file), output=folder / "alone")
        same = (folder / "killed" / TABLE).read_bytes() == (folder / "alone" / TABLE).read_bytes()
        with Store(folder / "killed") as store:
            written = Counter((row.state, row.attempts) for row in store.rows())
        left = [path.name for path in (folder / "killed").iterdir()]
    print(f"{chosen.engine}, {chosen.workers} workers: killed {dict(killed)}; last resume {last:.0f} s")
    print(f"exit code {done.returncode}; rows by state and writes {dict(written)}; files {sorted(left)}; same: {same}")
    return 0 if same and set(written) == {("done", 1)} else 1


def rows(folder: Path) -> int:
    """How many points the folder holds."""
    if not (folder / FILE).is_file():
        return 0
    with closing(sqlite3.connect(f"file:{folder / FILE}?mode=ro", uri=True, timeout=60.0)) as db:
        try:
            return int(db.execute("select count(*) from points").fetchone()[0])
        except sqlite3.OperationalError:  # killed before the tables were made
            return 0


def everything(pid: int, *, parent_only: bool) -> None:
    """Kill the sweep and, where asked, all that it started, wherever it is."""
    try:
        parent = psutil.Process(pid)
        children = [] if parent_only else parent.children(recursive=True)
        os.kill(pid, signal.SIGKILL)
    except (psutil.NoSuchProcess, ProcessLookupError):
        return
    for child in children:
        try:
            child.kill()
        except psutil.NoSuchProcess:
            continue


if __name__ == "__main__":
    sys.exit(main())
