"""What a sweep costs beside its points, by whole commands as a user types them, start of the interpreter included.

``python -m benchmarks.sweep_scale`` prints: one worker against two on 64 points of compute, 10,000 cheap points with
the largest memory of all processes together, and the resumption of a finished sweep of that size.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

COMPUTE = """
base: {{kind: nladc, ramp: {{device: pcm}}, bits: 8, chips: {chips}}}
axes: {{comparator.offset_V: {{first: 1e-4, last: 1e-2, count: 64, scale: log}}}}
"""
CHEAP = """
base: {kind: nladc, ramp: {device: rram_taox}, bits: 2, chips: 1}
axes: {ramp.device: [rram_taox, pcm]}
seeds: 5000
"""


def run(*arguments: object) -> tuple[float, float, str]:
    """Seconds, largest memory of the process and its children [MB], and the first line printed.

    Pages that several processes share, such as libraries, are counted once.
    """
    peak = [0.0]
    started = time.perf_counter()
    running = subprocess.Popen(
        [sys.executable, "-m", "mho", "sweep", *map(str, arguments), "--quiet"], stdout=subprocess.PIPE, text=True
    )

    def watch() -> None:
        while running.poll() is None:
            try:
                parent = psutil.Process(running.pid)
                each = (parent, *parent.children(recursive=True))
                held = sum(process.memory_full_info().pss for process in each)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
            peak[0] = max(peak[0], held / 2**20)
            time.sleep(0.1)

    watcher = threading.Thread(target=watch)
    watcher.start()
    printed = running.communicate()[0]
    seconds = time.perf_counter() - started
    watcher.join()
    return seconds, peak[0], printed.splitlines()[0] if printed else ""


def main() -> None:
    """Print the figures."""
    chips = int(sys.argv[1]) if len(sys.argv) > 1 else 1024
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "compute.yaml").write_text(COMPUTE.format(chips=chips), encoding="utf-8")
        (folder / "cheap.yaml").write_text(CHEAP, encoding="utf-8")
        print(f"load {os.getloadavg()[0]:.2f} at the start")
        one = run(folder / "compute.yaml", "-o", folder / "one")
        two = run(folder / "compute.yaml", "-o", folder / "two", "-j", 2)
        again = run(folder / "compute.yaml", "-o", folder / "again")
        ones = (one[0] + again[0]) / 2.0
        print(f"64 points of compute: one worker {one[0]:.1f} and {again[0]:.1f} s, two {two[0]:.1f} s, "
              f"{ones / two[0]:.2f} times (aim 1.8)")  # fmt: skip
        for workers in (1, 2):
            seconds, peak, said = run(folder / "cheap.yaml", "-o", folder / f"cheap{workers}", "-j", workers)
            print(f"{said}; -j {workers}: {seconds:.0f} s (aim 300), {peak:.0f} MB (aim 1024)")
        seconds, peak, said = run(folder / "cheap.yaml", "-o", folder / "cheap1")
        print(f"resumed, all there: {said}; {seconds:.1f} s (aim 5), {peak:.0f} MB")
        print(f"load {os.getloadavg()[0]:.2f} at the end")


if __name__ == "__main__":
    main()
