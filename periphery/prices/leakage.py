"""Leakage of digital circuits by the standard-cell library that they are made of, and by temperature.

A record's leakage that rests on a library is that of its area there. In another library the same circuit has the area
that Stillmaker and Baas's table gives at that library's node, and leaks so much for it::

    P = P_record (w_library a_library) / (w_record a_record) h^((T - T_0) / (T_hot - T_0))

with w the leakage of a unit of area and h the factor from T_0 to T_hot. The result is not scaled further: it is that of
the library's own process. Between fast and low-power libraries lie two to four orders of magnitude. Coefficients are in
``configs/technology/leakage_libraries.yaml``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

from configs.errors import InputError
from periphery.prices.component import Component, Leakage
from periphery.prices.records import CONFIGS, Model, Positive, Status, Strict, Text, read_record
from periphery.prices.scaling import stillmaker_baas_2017

Library = Literal["aladdin", "nangate45", "asap7_rvt", "asap7_lvt", "ihp130", "sky130_lp"]


REACH_K = 50.0  # how far a law between two temperatures is carried on; an estimate


@dataclass(frozen=True, kw_only=True)
class LibraryLeakage(Strict):
    """One library: leakage of a unit of area at ``reference_K``, ``hot_factor`` times as much at ``hot_K``."""

    node_nm: Positive
    W_per_m2: Positive
    status: Status
    source: Text
    reference_K: Positive
    hot_K: Positive
    hot_factor: Positive
    hot_status: Status
    hot_source: Text

    def temperature_factor(self, temperature_K: float) -> float:
        """Leakage at a temperature over that at ``reference_K`` [1]; raises InputError far from both known ones."""
        low_K, high_K = self.reference_K - REACH_K, self.hot_K + REACH_K
        if not low_K <= temperature_K <= high_K:
            raise InputError(
                f"temperature_K: {low_K:g} to {high_K:g} K, {REACH_K:g} K beyond those at which the leakage of the "
                f"library is known (got {temperature_K:g})"
            )
        return float(self.hot_factor ** ((temperature_K - self.reference_K) / (self.hot_K - self.reference_K)))


@dataclass(frozen=True, kw_only=True)
class LeakageLibraries(Model):
    """All libraries by name."""

    libraries: dict[Library, LibraryLeakage]


@cache
def _shipped() -> LeakageLibraries:
    return read_record(LeakageLibraries, CONFIGS / "technology" / "leakage_libraries.yaml")


def leakage_libraries() -> Mapping[Library, LibraryLeakage]:
    """The shipped libraries."""
    return _shipped().libraries


def papers() -> tuple[str, ...]:
    """Keys of the papers and kits behind the libraries."""
    return _shipped().cite


def with_library(
    components: Mapping[str, Component], library: Library, temperature_K: float = 300.0
) -> dict[str, Component]:
    """The same circuits made of ``library`` and at ``temperature_K``; leakage that names no library stays as it is."""
    return {
        name: record
        if record.leakage.library is None
        else replace(record, leakage=_moved(record, record.leakage, record.leakage.library, library, temperature_K))
        for name, record in components.items()
    }


def _moved(record: Component, stated: Leakage, own: str, library: Library, temperature_K: float) -> Leakage:
    known = leakage_libraries()
    there, here = known[library], next(each for name, each in known.items() if name == own)
    warm = there.temperature_factor(temperature_K)
    if own == library:
        if temperature_K == there.reference_K:
            return stated
        at = f"x {warm:.3g} at {temperature_K:g} K ({there.hot_source})"
        return replace(stated.times(warm), source=f"{stated.source}; {at}")
    node_nm = stated.node_nm or record.node_nm
    area = stillmaker_baas_2017().area_factor(node_nm, there.node_nm)
    return replace(
        stated.times(there.W_per_m2 * area / here.W_per_m2 * warm),
        library=library,
        moves=False,
        status="estimate" if "estimate" in (stated.status, there.status) else "derived",
        source=(
            f"{stated.source}; in library {library} at {there.node_nm:g} nm and {temperature_K:g} K instead: "
            f"{there.source}; area from {node_nm:g} to {there.node_nm:g} nm by Stillmaker & Baas 2017"
        ),
    )
