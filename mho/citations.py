"""The papers behind what a run used, as BibTeX."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from importlib import resources
from typing import Any

from mho.runner import load_experiment
from periphery.component import load_components
from workloads import KeywordSpotting


def library() -> dict[str, str]:
    """BibTeX entries by key, from ``configs/references.bib``."""
    text = (resources.files("configs") / "references.bib").read_text(encoding="utf-8")
    entries = re.split(r"(?m)^(?=@)", text)
    return {found.group(1): entry.strip() for entry in entries if (found := re.match(r"@\w+\{([^,\s]+)", entry))}


def keys_of(source: str, sets: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Keys of everything that an experiment's configuration rests on: task, chips, devices, prices."""
    experiment = load_experiment(source, sets=sets).value
    found = _cited(experiment)
    if isinstance(experiment, KeywordSpotting):
        found.update(v.chip.adc.price for v in experiment.variants if v.chip.readout == "conventional")
    for record in load_components().values():
        found.update(record.cite)
    return tuple(sorted(found))


def _cited(value: Any) -> set[str]:
    """Keys that a record and the records within it name under ``cite``."""
    if isinstance(value, tuple):
        return {key for item in value for key in _cited(item)}
    if not is_dataclass(value):
        return set()
    inner = (_cited(getattr(value, field.name)) for field in fields(value))
    return set(getattr(value, "cite", ())).union(*inner)


def bibtex(keys: tuple[str, ...]) -> str:
    """The entries of ``keys``; a key without an entry becomes a comment that says so."""
    known = library()
    return "\n\n".join(known.get(key, f"% {key}: no entry in configs/references.bib") for key in keys) + "\n"
