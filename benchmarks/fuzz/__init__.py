"""Damaged, odd and hostile inputs for mho: does it answer each with a result or with a sentence, in time and memory?

    python -m benchmarks.fuzz                        # 10,000 inputs over all kinds, a table at the end
    python -m benchmarks.fuzz --each 80 wav yaml     # 80 inputs of each of these kinds
    python -m benchmarks.fuzz matrices 417           # one input again: what it is, what mho writes, where it fails

An input is a folder of files and a command line of mho, made by a generator (one module a kind) from the kind and a
number alone, so that a number names the same input on every machine. mho is imported once, and every input runs in a
forked process with limits on memory and time.
"""

from __future__ import annotations

from benchmarks.fuzz import (
    archives,
    caches,
    cameras,
    matrices,
    measured,
    options,
    pictures,
    runs,
    settings,
    spikes,
    sweeps,
    wav,
    weights,
    yaml_files,
)
from benchmarks.fuzz.case import Generator

KINDS: dict[str, Generator] = {
    "yaml": yaml_files.case,
    "options": options.case,
    "settings": settings.case,
    "matrices": matrices.case,
    "wav": wav.case,
    "archives": archives.case,
    "spikes": spikes.case,
    "cameras": cameras.case,
    "pictures": pictures.case,
    "measured": measured.case,
    "weights": weights.case,
    "runs": runs.case,
    "sweeps": sweeps.case,
    "caches": caches.case,
}
