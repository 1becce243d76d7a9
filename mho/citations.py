"""The papers behind what a run used, as BibTeX."""

from __future__ import annotations

import re
from importlib import resources

from mho.runner import load_experiment
from periphery.component import load_components


def library() -> dict[str, str]:
    """BibTeX entries by key, from ``configs/references.bib``."""
    text = (resources.files("configs") / "references.bib").read_text(encoding="utf-8")
    entries = re.split(r"(?m)^(?=@)", text)
    return {found.group(1): entry.strip() for entry in entries if (found := re.match(r"@\w+\{([^,\s]+)", entry))}


def keys_of(source: str, sets: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Keys of everything that an experiment's configuration rests on: task, chips, devices, prices."""
    experiment = load_experiment(source, sets=sets).value
    found = set(experiment.cite)
    for variant in experiment.variants:
        chip = variant.chip
        found.update((*chip.cite, *chip.weights.device.cite, *chip.ramp.device.cite))
        if chip.readout == "conventional":
            found.add(chip.adc.price)
    for record in load_components().values():
        found.update(record.cite)
    return tuple(sorted(found))


def bibtex(keys: tuple[str, ...]) -> str:
    """The entries of ``keys``; a key without an entry becomes a comment that says so."""
    known = library()
    return "\n\n".join(known.get(key, f"% {key}: no entry in configs/references.bib") for key in keys) + "\n"
