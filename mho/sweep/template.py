"""The base of a sweep, read once; each point is that tree with a few values put in, checked by the same schema."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from configs.yaml_source import Node, as_node, describe_value, whole_numbers
from devices import InputError
from mho.config.read import digest, schema_of
from mho.config.resolve import REFERENCES, Option, Resolver
from mho.config.schema import Level, dotted, listed, suggestion
from mho.runner import config_digest
from mho.sweep.engines.cards import Compute
from mho.sweep.spec import Sheet
from workloads import WORKLOADS, AnySettings

VARIANT, TIME, SEED = "variant", "t_s", "seed"
# Set once for the whole sweep, so that runs can be shared and no value is silently overruled.
_ELSEWHERE = {"variants": "variants", "evaluation.times_s": "times_s", "kind": "base", "name": "base"}

Coordinates = tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Config:
    """One point's configuration, resolved: plain data, and the digest of what decides its figures."""

    data: dict[str, Any]
    digest: str


class Template:
    """The base's tree, one for each variant that is swept.

    A point of an experiment is one chip: the variant's chip replaces ``chip``, on which the axes then act, so
    that no setting of a variant hides an axis. Its cost is that of the first reading right after programming,
    whatever its time. Computed on another kind of device (``compute``), it is another point.
    """

    def __init__(self, sheet: Sheet, compute: Compute = "cpu") -> None:
        self.sheet, self.compute = sheet, compute
        sweep = sheet.sweep
        resolver = Resolver(schema_of(AnySettings))
        given = sheet.value("base", of=sweep.base)
        if isinstance(sweep.base, str):
            opened = resolver.record(
                sweep.base, "experiments", given.origin.folder, f"{given.origin}: base", sheet.open_files
            )
            if opened is None:
                raise InputError(resolver.problems)
            given, files = opened.node, opened.open_files
        else:
            files = sheet.open_files
        node = resolver.resolve(given, [resolver.schema.root], "experiments", (), files)
        kind = node.child("kind")
        if resolver.problems:
            raise InputError(dict.fromkeys(resolver.problems))
        if kind is None or not isinstance(kind.value, str) or kind.value not in WORKLOADS:
            where, got = (node.origin, "nothing") if kind is None else (kind.origin, describe_value(kind))
            raise InputError(f"{where}: kind: must be one of {', '.join(WORKLOADS)} (got {got})")
        self.kind = str(kind.value)
        self.schema = schema_of(WORKLOADS[self.kind].settings)
        self.resolver = Resolver(self.schema)
        self.resolver.files = resolver.files
        self.options: dict[tuple[str, str], Option | None] = {}
        self.grouped = "variants" in self.schema.keys([self.schema.root])
        places = {path: self.sheet.value("set", path, of=value) for path, value in sweep.set.items()}
        if sweep.chips is not None:
            places["evaluation.chips" if self.grouped else "chips"] = self.sheet.value("chips", of=sweep.chips)
        fixed = [option for path, at in places.items() if (option := self.option(path, at, allowed=("variants",)))]
        node = self._put(node, fixed)
        self._refuse()
        self.nodes = self._by_variant(node)
        self._refuse()
        first = self.config(((VARIANT, next(iter(self.nodes))),)).data
        #: Times of the base, used where the sweep gives none.
        self.times_s = tuple(first["evaluation"]["times_s"]) if self.grouped else (first["t_s"],)

    @cached_property
    def about(self) -> str:
        """Digest of the base as resolved, every variant of it."""
        return digest({name: node.plain() for name, node in self.nodes.items()})

    def option(self, path: str, at: Node, *, allowed: Sequence[str] = ()) -> Option | None:
        """The value at ``at`` for the setting at ``path``, its records read; None, with the problem kept, otherwise."""
        key = (path, json.dumps(whole_numbers(at.plain()), sort_keys=True))
        if key not in self.options:
            self.options[key] = self._option(path, at, allowed)
        return self.options[key]

    def _option(self, path: str, at: Node, allowed: Sequence[str]) -> Option | None:
        where = str(at.origin)
        for taken, instead in _ELSEWHERE.items():
            if (path == taken or path.startswith((f"{taken}.", f"{taken}["))) and taken not in allowed:
                self.resolver.problems.append(f"{where}: {path}: is no axis; '{instead}' of the sweep sets it")
                return None
        before = len(self.resolver.problems)
        made = self.resolver.option(f"{path}=0")
        if made is None:
            self.resolver.problems[before:] = [f"{where}: must be the path of a setting, as in chip.bits (got {path})"]
            return None
        levels: Sequence[Level] = [self.schema.root]
        done: list[str] = []
        for step in made.steps:
            lower = self.schema.below(levels, 0 if step.startswith("[") else step)
            if not lower:
                keys, typed = self.schema.keys(levels), (*done, step)
                text = self.schema.unknown_key(typed, levels) if keys else f"must be {self.schema.allowed(levels)}"
                self.resolver.problems.append(f"{where}: {dotted(typed)}: {text}")
                return None
            levels, done = lower, [*done, step]
        last = next((step for step in reversed(made.steps) if not step.startswith("[")), "")
        self.resolver.count = 0
        node = self.resolver.resolve(at, levels, REFERENCES.get(last), tuple(done), self.sheet.open_files)
        return replace(made, text=where, node=node)

    def config(self, coordinates: Coordinates) -> Config:
        """The configuration of one point. Raises InputError where its values do not go together."""
        given = dict(coordinates)
        node = self.nodes[str(given.pop(VARIANT, next(iter(self.nodes))))]
        t_s = given.pop(TIME, None)
        if t_s is not None and not self.grouped:
            given[TIME] = t_s
        options = [option for path, value in given.items() if (option := self.option(path, self._at(path, value)))]
        self.resolver.count = 0
        node = self._put(node, options)
        if self.grouped:
            node = _one_chip(node, t_s)
        self.resolver.refuse_nan(node)
        # The store keeps plain JSON, which has no infinity.
        self.resolver.problems += [
            f"{below.origin}: {dotted(path)}: must be a finite number (got {describe_value(below)})"
            for path, below in node.walk()
            if isinstance(below.value, float) and math.isinf(below.value)
        ]
        value = self.schema.value(node, self.resolver.problems)
        self._refuse()
        data = self.schema.adapter.dump_python(value, mode="json")
        return Config(data, of_device(config_digest(data), self.compute))

    def places(self, at: Mapping[str, Sequence[Node]]) -> None:
        """Note where the file has the values of each path. Raises InputError for all that no setting can take."""
        for path, nodes in at.items():
            for node in nodes:
                self.option(path, node)
        self._refuse()

    def asked(self, coordinates: Coordinates) -> str:
        """Digest of what is asked for, whatever the device: the base and the values put in, with the records that they
        name read."""
        outside = (VARIANT, TIME) if self.grouped else (VARIANT,)
        options = {path: self.option(path, self._at(path, value)) for path, value in coordinates if path not in outside}
        point = [
            [path, value if (found := options.get(path)) is None else whole_numbers(found.node.plain())]
            for path, value in coordinates
        ]
        return digest({"base": self.about, "point": point})

    def _at(self, path: str, value: Any) -> Node:
        near = self.sheet.node.find(("axes", path)) or self.sheet.node.find(("space", path))
        return as_node(value, near or self.sheet.node)

    def _put(self, node: Node, options: Sequence[Option]) -> Node:
        # The shorter path first, and a kind before its fields, so that no option is undone by a more general one.
        for option in sorted(options, key=lambda each: (len(each.steps), each.steps[-1] != "kind")):
            node = self.resolver.put(node, option, (), [self.schema.root])
        return node

    def _by_variant(self, node: Node) -> dict[str, Node]:
        wanted = self.sheet.sweep.variants
        if not self.grouped:
            if wanted:
                self.resolver.problems.append(
                    f"{self.sheet.origin('variants')}: variants: a base of kind {self.kind} has none"
                )
            return {"": node}
        self.resolver.refuse_long(node)
        node = self.resolver.spread(node, [])
        items = node.child("variants")
        each = [item for item in (items.value if items and isinstance(items.value, tuple) else ())]
        names = {str(given.value): item for item in each if (given := item.child("name"))}
        default = [key for key, item in names.items() if (flag := item.child("default")) and flag.value is True]
        found: dict[str, Node] = {}
        for number, name in enumerate(wanted or default):
            if name not in names:
                where = f"{self.sheet.origin('variants', number)}: variants[{number}]"
                self.resolver.problems.append(
                    f"{where}: must be a variant of the base ({listed(names)}) (got {name}){suggestion(name, names)}"
                )
                continue
            found[name] = _alone(node, names[name])
        if not found and not self.resolver.problems:
            self.resolver.problems.append(f"{node.origin}: variants: the base must have one with default: true")
        return found

    def _refuse(self) -> None:
        problems, self.resolver.problems = self.resolver.problems, []
        if problems:
            raise InputError(dict.fromkeys(problems))


def of_device(key: str, device: str) -> str:
    """A digest as that of the same computed on ``cuda``; on ``cpu`` it is the same."""
    return key if device == "cpu" else digest({"device": device, "of": key})


def _alone(node: Node, variant: Node) -> Node:
    """The experiment with this variant's chip as its only one; it is put under ``variants`` once it is complete."""
    assert isinstance(node.value, dict)
    assert isinstance(variant.value, dict)
    rest = {key: item for key, item in variant.value.items() if key != "chip"} | {"default": as_node(True, variant)}
    chip = {"chip": variant.value["chip"]} if "chip" in variant.value else {}
    value = {**node.value, **chip, "variants": replace(variant, value=(replace(variant, value=rest),))}
    return replace(node, value=value, keys={"chip": node.origin, **node.keys})


def _one_chip(node: Node, t_s: float | None) -> Node:
    """The chip under its variant, and the times right after programming and ``t_s``."""
    assert isinstance(node.value, dict)
    value = dict(node.value)
    variants = value["variants"].value
    assert isinstance(variants, tuple)
    assert isinstance(variants[0].value, dict)
    if "chip" in value:
        item = replace(variants[0], value={**variants[0].value, "chip": value["chip"]})
        value["variants"] = replace(value["variants"], value=(item,))
    if t_s is not None:
        near = value.get("evaluation", node)
        times = as_node([0.0, t_s] if t_s > 0.0 else [0.0], near)
        before = near.value if "evaluation" in value and isinstance(near.value, dict) else {}
        value["evaluation"] = Node({**before, "times_s": times}, near.origin, {**near.keys, "times_s": near.origin})
    return replace(node, value=value)
