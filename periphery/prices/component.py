"""What a circuit costs: area, energy per action, leakage and latency, each number with its status and its source.

Records are in ``configs/components/*.yaml``; code has no cost number. A record is stated at the node where its
numbers were published and moved to the chip's node by its named scaling rule (``periphery.prices.scaling``).
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, Literal, Self, TypeVar

from configs.errors import InputError
from configs.yaml_source import describe_value, load_yaml
from periphery.prices.ranges import status_factor
from periphery.prices.records import CONFIGS, NonNegative, Positive, Status, Strict, Text, build
from periphery.prices.scaling import Rule, Scaling, scale

Group = Literal["array", "adc", "driver", "activation", "digital", "buffer", "control", "features"]


@dataclass(frozen=True, kw_only=True)
class Figure(Strict):
    """A number with where it comes from, and at which node and supply it holds if those are not the record's.

    ``number``: the field that holds it; ``factor``: the scaling factor that moves it to another node; ``low`` and
    ``high``: the range in which it was published or is known to lie, in its unit, with ``range_source``; without one
    its status decides (``periphery.prices.ranges``).
    """

    number: ClassVar[str]
    factor: ClassVar[Literal["energy", "delay", "area"]]

    status: Status
    source: Text
    node_nm: Positive | None = None
    supply_V: Positive | None = None
    low: NonNegative | None = None
    high: NonNegative | None = None
    range_source: Text | None = None

    def __post_init__(self) -> None:
        value = getattr(self, self.number)
        if (self.low is None) != (self.high is None):
            raise ValueError("low and high: both or neither")
        if self.low is not None and self.high is not None and not self.low <= value <= self.high:
            raise ValueError(f"low and high: around {self.number}, {value:g} (got {self.low:g} to {self.high:g})")

    @property
    def span(self) -> tuple[float, float]:
        """How far below and above its number the figure may be, as factors: its published range, or its status's."""
        value = getattr(self, self.number)
        if self.low is None or self.high is None:
            factor = status_factor(self.status)
            return 1.0 / factor, factor
        return (self.low / value, self.high / value) if value else (1.0, 1.0)

    def scaled(self, factors: Scaling) -> Self:
        """The number at another node, with the factors' note added to its source."""
        by = getattr(factors, self.factor)
        value = getattr(self, self.number) * by
        status, source = self.status, self.source
        if factors.note and value:
            unchanged = factors.energy == factors.delay == factors.area == 1.0
            status = "derived" if status in ("published", "secondary") and not unchanged else status
            source = f"{source}; {factors.note}"
        return replace(self.times(by), status=status, source=source, node_nm=None, supply_V=None)

    def times(self, by: float) -> Self:
        """The number and its range multiplied by ``by``."""
        names = (self.number, "low", "high")
        return replace(self, **{name: old * by for name in names if (old := getattr(self, name)) is not None})


@dataclass(frozen=True, kw_only=True)
class Area(Figure):
    """Silicon area of one instance [m2]."""

    number: ClassVar[str] = "area_m2"
    factor: ClassVar[Literal["area"]] = "area"
    area_m2: NonNegative


@dataclass(frozen=True, kw_only=True)
class Leakage(Figure):
    """Power that one instance draws as long as it is supplied [W]; scaled as energy, for want of a better rule.

    ``library``: the standard cells on which it rests (``periphery.prices.leakage``), None where that is none of those;
    ``moves``: whether it is scaled to the chip's node.
    """

    number: ClassVar[str] = "leakage_W"
    factor: ClassVar[Literal["energy"]] = "energy"
    leakage_W: NonNegative
    library: Text | None = None
    moves: bool = True

    def scaled(self, factors: Scaling) -> Self:
        """The same at another node; unchanged where it does not move."""
        return super().scaled(factors) if self.moves else replace(self, node_nm=None, supply_V=None)


@dataclass(frozen=True, kw_only=True)
class Latency(Figure):
    """Time that one action takes [s]; 0 where the caller's clock sets it, with the reason as source."""

    number: ClassVar[str] = "latency_s"
    factor: ClassVar[Literal["delay"]] = "delay"
    latency_s: NonNegative


@dataclass(frozen=True, kw_only=True)
class Price(Figure):
    """Energy of one action [J], and what one action is (``unit``)."""

    number: ClassVar[str] = "energy_J"
    factor: ClassVar[Literal["energy"]] = "energy"
    energy_J: NonNegative
    unit: Text


F = TypeVar("F", bound=Figure)


@dataclass(frozen=True, kw_only=True)
class Component(Strict):
    """A circuit with its prices.

    Parameters
    ----------
    group : bar of the cost breakdown to which it belongs
    node_nm, supply_V : CMOS node [nm] and supply [V] of the record's numbers; no supply means the node's nominal one
    scaling : rule by which the numbers move to another node
    cite : keys of the papers behind it
    """

    name: Text
    description: Text
    group: Group
    node_nm: Positive
    scaling: Rule
    area: Area
    leakage: Leakage
    latency: Latency
    actions: dict[str, Price] = field(default_factory=dict)
    supply_V: Positive | None = None
    cite: tuple[str, ...] = ()

    @property
    def area_m2(self) -> float:
        """Area of one instance [m2]."""
        return self.area.area_m2

    @property
    def leakage_W(self) -> float:
        """Leakage power of one instance [W]."""
        return self.leakage.leakage_W

    @property
    def latency_s(self) -> float:
        """Time of one action [s]."""
        return self.latency.latency_s

    def price(self, action: str) -> Price:
        """The price of one action; ``InputError`` where the record has none, since nothing is free by omission."""
        if action not in self.actions:
            raise InputError(
                f"component {self.name}: no price for action {action!r}; "
                f"it has {', '.join(sorted(self.actions)) or 'none'}"
            )
        return self.actions[action]

    def at(self, node_nm: float) -> Component:
        """The same circuit at another node; the source of every changed number has how it was scaled.

        Raises ``InputError`` where the scaling rule does not reach that node.
        """
        return replace(
            self,
            node_nm=node_nm,
            supply_V=self.supply_V if node_nm == self.node_nm else None,
            area=self._at(self.area, node_nm),
            leakage=self._at(self.leakage, node_nm),
            latency=self._at(self.latency, node_nm),
            actions={action: self._at(price, node_nm) for action, price in self.actions.items()},
        )

    def _at(self, figure: F, node_nm: float) -> F:
        from_nm = figure.node_nm or self.node_nm
        from_V = figure.supply_V or (self.supply_V if from_nm == self.node_nm else None)
        return figure.scaled(scale(self.scaling, from_nm, node_nm, from_V))


def read_components(directory: Path = CONFIGS / "components") -> dict[str, Component]:
    """All component records of a folder by name; ADC price models beside them are left to theirs.

    Raises ``InputError`` with every problem of every file: unknown or missing keys, impossible numbers, two records of
    one name, a file name that is not the record's name.
    """
    components: dict[str, Component] = {}
    problems: list[str] = []
    for path in sorted(directory.glob("*.yaml")):
        try:
            node = load_yaml(path)
            kind, name = node.child("kind") or node, node.child("name") or node
            if kind.value == "component":
                component = build(Component, node)
                if component.name != path.stem:
                    problems.append(f"{name.origin}: name: {path.stem!r}, the file's name (got {component.name!r})")
                components[component.name] = component
            elif not str(kind.value).startswith("adc_"):
                got = describe_value(kind)
                problems.append(f"{kind.origin}: kind: 'component' or an ADC price model, 'adc_...' (got {got})")
        except InputError as error:
            problems.extend(error.problems)
    if problems:
        raise InputError(problems)
    return components


@cache
def _shipped() -> Mapping[str, Component]:
    return MappingProxyType(read_components())


def load_components() -> dict[str, Component]:
    """The shipped component records by name."""
    return dict(_shipped())


def component(name: str, components: Mapping[str, Component] | None = None) -> Component:
    """One record by name, from the shipped ones or those given; ``InputError`` with a suggestion if there is none."""
    among = _shipped() if components is None else components
    if name not in among:
        near = difflib.get_close_matches(name, among, n=1)
        raise InputError(f"component {name!r}: no such price record" + (f"; did you mean {near[0]!r}?" if near else ""))
    return among[name]
