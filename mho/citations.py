"""Which papers an experiment rests on."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

from mho.references import bibtex
from mho.runner import load_experiment
from periphery.prices.component import component, load_components
from workloads import WORKLOADS


def bibtex_of(source: str, sets: tuple[str, ...] = ()) -> str:
    """BibTeX of everything that an experiment's configuration rests on, and what the list cannot know.

    Papers behind prices are those of the components that its layers use, or of the whole price list where only a run
    shows which these are.
    """
    experiment = load_experiment(source, sets=sets).value
    workload = WORKLOADS[experiment.kind]
    found = _cited(experiment).union(workload.cites(experiment)) - {""}
    if experiment.duty is not None and experiment.duty.features != "none":
        found.update(component(experiment.duty.features).cite)
    head = "% What this experiment rests on. A run lists what it used, its data included, under cite in manifest.json."
    if not workload.cites_prices:
        found.update(key for record in load_components().values() for key in record.cite)
        head += "\n% Of the price list, every source is here: which components are used is known after a run."
    return f"{head}\n\n{bibtex(tuple(sorted(found)))}"


def _cited(value: Any) -> set[str]:
    """Keys that a record and the records within it name under ``cite``."""
    if isinstance(value, tuple):
        return {key for item in value for key in _cited(item)}
    if not is_dataclass(value):
        return set()
    inner = (_cited(getattr(value, field.name)) for field in fields(value))
    return set(getattr(value, "cite", ())).union(*inner)
