"""Which papers an experiment rests on."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

from mho.runner import load_experiment
from periphery.prices.component import load_components
from workloads import WORKLOADS


def keys_of(source: str, sets: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Keys of everything that an experiment's configuration rests on: task, chips, devices, prices."""
    experiment = load_experiment(source, sets=sets).value
    found = _cited(experiment)
    found.update(WORKLOADS[experiment.kind].cites(experiment))
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
