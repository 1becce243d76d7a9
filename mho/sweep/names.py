"""What follows from the name of an output or of a setting: its unit, how people write it, and which way is better."""

from __future__ import annotations

from typing import Literal

Direction = Literal["maximize", "minimize"]

#: Unit by the last word of a name; those of ``PREFIXED`` are shown with an SI prefix.
UNITS = {
    **{"J": "J", "W": "W", "s": "s", "m2": "m2", "V": "V", "A": "A", "S": "S", "ohm": "Ω", "F": "F", "Hz": "Hz"},
    **{"K": "K", "nm": "nm", "dB": "dB", "lsb": "LSB", "enob": "bit", "bpc": "bit", "tops": "TOPS"},
}
PREFIXED = ("J", "W", "s", "m2", "V", "A", "S", "Ω", "F", "Hz")
_RATES = {"tops_per_W": "TOPS/W", "tops_per_mm2": "TOPS/mm²"}
# The order matters: "accuracy_std" is a spread before it is an accuracy.
_BETTER: tuple[tuple[str, Direction], ...] = (
    *((ending, "minimize") for ending in ("_std",)),
    *((word, "maximize") for word in ("accuracy", "enob", "tops", "recall", "precision", "exact", "f1", "auc")),
    *((word, "minimize") for word in ("energy", "area", "latency", "leakage", "power", "error", "loss", "bpc")),
    *((word, "minimize") for word in ("perplexity", "lsb", "missing", "falling", "lost", "cells", "clocks")),
)


def unit_of(name: str) -> str:
    """The SI unit at the end of a name; empty where there is none."""
    base = name.rsplit(".", 1)[-1].removesuffix("_worst").removesuffix("_std")
    for rate, unit in _RATES.items():
        if base.endswith(rate):
            return unit
    return UNITS.get(base.rsplit("_", 1)[-1], "")


def label_of(name: str) -> str:
    """A name as a heading shows it: ``energy_J`` is "energy", ``chip.comparator.offset_V`` "comparator offset"."""
    base, rest = name, ""
    for ending, words in (("_worst", ", worst chip"), ("_std", ", std over chips")):
        if base.endswith(ending):
            base, rest = base.removesuffix(ending), words
    if base == "t_s":
        return "time after programming" + rest
    if base.endswith("tops_per_W") or base.endswith("tops_per_mm2"):
        return (
            base.removesuffix("tops_per_W").removesuffix("tops_per_mm2")
            + "efficiency" * base.endswith("W")
            + ("density" * base.endswith("2"))
        )
    head, _, last = base.rpartition("_")
    if head and last in UNITS and last not in ("enob", "tops", "bpc"):
        base = head
    return base.removeprefix("chip.").replace("_", " ").replace(".", " ") + rest


def better(name: str) -> Direction | None:
    """Which way an output is better, as its name suggests; None where it suggests nothing."""
    low = name.lower()
    return next((way for word, way in _BETTER if word in low), None)
