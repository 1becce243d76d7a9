"""Brings a configuration's parts together: shipped records, ``extends``, ``--set`` and variants; lines are kept.

What a merge does: mappings are merged key by key, anything else is replaced. A mapping that names another record
(by ``extends`` or by the record's name) starts from that record alone, and one that changes ``kind`` starts anew:
nothing of the former record is taken over, since the figures and the source of one device are not those of another.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from configs.errors import InputError
from configs.yaml_source import (
    MAX_NODES,
    Node,
    Origin,
    as_node,
    describe_value,
    parse_mapping,
    parse_text,
    read_bytes,
    resolve_scalar,
)
from mho.config.schema import Level, Schema, dotted, listed, suggestion

if TYPE_CHECKING:  # another module in each of the supported versions of Python
    from importlib.resources.abc import Traversable

# Under these keys a record's name may replace its mapping; the value is the folder of the shipped records.
REFERENCES = {
    "device": "devices",
    "component": "components",
    "components": "components",
    "chip": "chips",
    "chips_by_layer": "chips",
    "technology": "technology",
    "experiment": "experiments",
}
# Of these keys of a record none is a figure.
ABOUT = ("kind", "description", "status", "source", "cite")
CHANGED = ", changed: "  # follows the status of a record of which some figures are others
# Each item of the list states only what differs from the mapping of that name beside the list.
SPREAD = {"variants": "chip"}
MAX_SPREAD = 4 * MAX_NODES

_MAX_FILES_DEEP = 30
_SHOWN_FILES = 5
_STEP = re.compile(r"\.?([^.\[\]\s]+)|\[([^\[\]]+)\]")


def configs_root() -> Traversable:
    """The folder of the shipped YAML files."""
    return resources.files("configs")


def shipped_files(folder: str) -> dict[str, Traversable]:
    """The shipped YAML files of a folder, by the name of their record."""
    root = configs_root().joinpath(folder)
    if not root.is_dir():
        return {}
    return {file.name[: -len(".yaml")]: file for file in root.iterdir() if file.name.endswith(".yaml")}


def merge(base: Node, over: Node) -> Node:
    """``over`` on top of ``base``, by the rules at the head of this file."""
    if over.whole or not isinstance(base.value, dict) or not isinstance(over.value, dict):
        return over
    kinds = [node.child("kind") for node in (base, over)]
    if kinds[0] and kinds[1] and kinds[0].value != kinds[1].value:
        return replace(over, whole=base.whole)
    value, changed = dict(base.value), dict(base.changed)
    for key, node in over.value.items():
        value[key] = merge(value[key], node) if key in value else node
        if base.whole and (key not in base.value or value[key].plain() != base.value[key].plain()):
            changed[key] = changed.get(key, key in base.value)
    if "status" in over.value:  # whoever states anew how the figures were found answers for all of them
        changed = {}
    return Node(value, over.origin, {**base.keys, **over.keys}, base.whole, base.broken or over.broken, changed)


Steps = tuple[str | int, ...]
Files = tuple[tuple[str, str], ...]  # of each file: what identifies it, and how messages call it


@dataclass(frozen=True)
class Source:
    """A file's content, its name in messages, and the files being read around it, itself the last."""

    node: Node
    name: str
    open_files: Files


@dataclass(frozen=True)
class Option:
    """One ``--set``: the steps of its path (a key, or ``[`` and an item's index or name) and its value."""

    text: str
    steps: tuple[str, ...]
    node: Node

    @property
    def keys(self) -> tuple[str, ...]:
        """The steps down to the first list."""
        return tuple(takewhile(lambda step: not step.startswith("["), self.steps))


class Resolver:
    """Turns a file into one tree without references, and collects what is wrong on the way."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.problems: list[str] = []
        self.files: dict[str, Node | None] = {}
        self.count = 0

    def opened(self, source: str | Path, folder: str) -> Source:
        """The file of a path, or the shipped record of that name. Raises InputError where there is none."""
        found = self.record(str(source), folder, Path(), str(source), ())
        if found is None:
            raise InputError(self.problems)
        return found

    def record(self, text: str, folder: str | None, base: Traversable, where: str, open_files: Files) -> Source | None:
        """Open the file that a path or a shipped record's name means; None, with a problem noted, where there is none.

        ``base`` is the folder in which a relative path begins, ``where`` what the problem's line begins with.
        """
        records = shipped_files(folder) if folder else {}
        if "/" in text or text.endswith((".yaml", ".yml")):
            file = base.joinpath(text)
            name = text if base == Path() else str(file)
            parent: Traversable = Path(str(file)).parent
        elif folder and text in records:
            file, name, parent = records[text], f"configs/{folder}/{text}.yaml", configs_root().joinpath(folder)
        else:
            named = f"a name in {folder} ({listed(sorted(records))}) or " if folder else ""
            must = f"must be {named}the path of a .yaml file (got {text})"
            self.problems.append(f"{where}: {must}{suggestion(text, records)}")
            return None
        identity = os.path.abspath(str(file))
        if identity in dict(open_files) or len(open_files) > _MAX_FILES_DEEP:
            chain = " -> ".join([*(shown for _, shown in open_files[-_SHOWN_FILES:]), name])
            what = "must not form a circle" if identity in dict(open_files) else f"must be at most {_MAX_FILES_DEEP}"
            self.problems.append(f"{where}: files that extend one another {what} (got {chain})")
            return None
        if identity not in self.files:
            self.files[identity] = self.parsed(file, name, parent, where, records)
        node = self.files[identity]
        return Source(node, name, (*open_files, (identity, name))) if node else None

    def parsed(
        self, file: Traversable, name: str, parent: Traversable, where: str, records: Iterable[str]
    ) -> Node | None:
        """The content of a file, or None with its problems noted."""
        try:
            data = read_bytes(file, name if where == name else f"{where}: {name}")
        except InputError as error:
            self.problems += [f"{line}{suggestion(Path(name).stem, records)}" for line in error.problems]
            return None
        try:
            return parse_mapping(data, name, parent)
        except InputError as error:
            self.problems += error.problems
            return None

    def resolve(self, node: Node, levels: Sequence[Level], folder: str | None, path: Steps, open_files: Files) -> Node:
        """``node`` with every reference below it replaced by what it refers to.

        ``folder`` is where a record's name is looked up here; ``open_files`` are the files being read around it.
        """
        self.count += 1
        if self.count > MAX_NODES:
            raise InputError(f"{node.origin}: the files taken together hold more than {MAX_NODES} values")
        if isinstance(node.value, str) and folder and self.schema.takes_record(levels):
            return self.start(node, node.value, levels, folder, path, open_files)
        if isinstance(node.value, tuple):
            items = [
                self.resolve(item, self.schema.below(levels, index), folder, (*path, index), open_files)
                for index, item in enumerate(node.value)
            ]
            return replace(node, value=tuple(items))
        if not isinstance(node.value, dict):
            return node
        # The items of a mapping without fixed keys are records of the same folder, as the items of a list are.
        fixed = bool(self.schema.keys(levels))
        values = {
            key: self.resolve(
                item,
                self.schema.below(levels, key),
                REFERENCES.get(key) if fixed else folder,
                (*path, key),
                open_files,
            )
            for key, item in node.value.items()
            if key != "extends" or not fixed
        }
        kept = replace(node, value=values)
        extends = node.value.get("extends")
        if extends is None or not fixed:
            return kept
        if not isinstance(extends.value, str):
            where = f"{extends.origin}: {dotted((*path, 'extends'))}"
            self.problems.append(f"{where}: must be a name or the path of a .yaml file (got {describe_value(extends)})")
            return replace(kept, broken=True)
        base = self.start(extends, extends.value, levels, folder, (*path, "extends"), open_files)
        if base.broken and not isinstance(base.value, dict):
            return replace(kept, broken=True)
        return merge(base, kept)

    def start(
        self, node: Node, text: str, levels: Sequence[Level], folder: str | None, path: Steps, open_files: Files
    ) -> Node:
        """The record that ``node`` names, resolved; ``node`` itself, marked as broken, where it cannot be had."""
        source = self.record(text, folder, node.origin.folder, f"{node.origin}: {dotted(path)}", open_files)
        if source is None:
            return replace(node, broken=True)
        path = path[:-1] if path[-1:] == ("extends",) else path
        return replace(self.resolve(source.node, levels, folder, path, source.open_files), whole=True)

    def option(self, text: str) -> Option | None:
        """Read one ``--set``; None, with a problem noted, where it is none."""
        path, equals, value = text.partition("=")
        path, shown = path.strip(), f"--set {text}"
        steps = tuple(key or f"[{item}" for key, item in _STEP.findall(path))
        if not equals or not steps or steps[0].startswith("[") or _STEP.sub("", path) or path[0] == ".":
            self.problems.append(f"{shown}: must be a path and a value, as in chip.bits=4 or variants[0].chip.bits=4")
            return None
        origin = Origin(shown, folder=Path())
        try:
            if value.lstrip()[:1] in ("[", "{", '"', "'"):
                node = parse_text(value, shown, Path())
            else:
                node = Node(resolve_scalar(value.strip(), origin), origin)
        except InputError as error:
            self.problems += error.problems
            return None
        return Option(shown, steps, as_node(node.plain() if node else None, Node(None, origin)))

    def put(self, node: Node | None, option: Option, done: Steps, levels: Sequence[Level]) -> Node:
        """``node`` with the option's value at the rest of its path; unchanged, with a problem noted, if it has none.

        ``done`` are the steps above ``node``, items by their index.
        """
        origin = option.node.origin
        here = node if node is not None else Node({}, origin)
        if len(done) == len(option.steps):
            last = next((step for step in reversed(done) if isinstance(step, str)), "")
            value = self.resolve(option.node, levels, REFERENCES.get(last), done, ())
            return merge(node, value) if node is not None else value
        step = option.steps[len(done)]
        if step.startswith("["):
            index = self.item(here, step[1:], option, done)
            if index is None or not isinstance(here.value, tuple):
                return here
            items = list(here.value)
            items[index] = self.put(items[index], option, (*done, index), self.schema.below(levels, index))
            return replace(here, value=tuple(items))
        lower = self.schema.below(levels, step)
        if not lower:
            keys = self.schema.keys(levels)
            if keys:
                text = f"{dotted((*done, step))}: {self.schema.unknown_key((*done, step), levels)}"
            else:
                text = f"{dotted(done)}: must be {self.schema.allowed(levels)}, which has no keys (got {step})"
            self.problems.append(f"{option.text}: {text}")
            return here
        child = self.put(here.child(step), option, (*done, step), lower)
        above = here if isinstance(here.value, dict) else Node({}, origin)
        return merge(above, Node({step: child}, above.origin, {step: origin}))

    def item(self, node: Node, wanted: str, option: Option, done: Steps) -> int | None:
        """The index of a list's item, given by its index or by its ``name``."""
        items = node.value if isinstance(node.value, tuple) else ()
        names = [str(name.value) for name in (item.child("name") for item in items) if name is not None]
        if wanted.isdecimal() and int(wanted) < len(items):
            return int(wanted)
        for index, item in enumerate(items):
            name = item.child("name")
            if name is not None and name.value == wanted:
                return index
        count = f"0 to {len(items) - 1}" if items else "none, the list is empty"
        allowed = f"must be an index ({count}) or a name ({listed(names)})" if names else f"must be an index ({count})"
        self.problems.append(f"{option.text}: {dotted(done)}: {allowed} (got {wanted}){suggestion(wanted, names)}")
        return None

    def refuse_long(self, node: Node) -> None:
        """Raise InputError for lists that are longer than the schema allows, before anything is made of their items."""
        found = [
            f"{below.origin}: {dotted(path)}: must be a list of at most {most} items (got {describe_value(below)})"
            for path, below in node.walk()
            if isinstance(below.value, tuple) and len(below.value) > (most := self.schema.most_items(path))
        ]
        if found:
            raise InputError(dict.fromkeys([*self.problems, *found]))

    def spread(self, node: Node, options: Sequence[Option], done: tuple[str, ...] = ()) -> Node:
        """``node`` with the mapping beside every list of ``SPREAD`` merged under that of each item.

        ``done`` are the keys above ``node``; an option that changes no item is a problem.
        """
        if not isinstance(node.value, dict):
            return node
        value = {key: self.spread(item, options, (*done, key)) for key, item in node.value.items()}
        for list_key, key in SPREAD.items():
            items, base = value.get(list_key), value.get(key)
            if items is None or base is None or not isinstance(items.value, tuple):
                continue
            if not isinstance(base.value, dict) and not base.broken:
                continue
            size = len(items.value) * sum(1 for _ in base.walk())
            if size > MAX_SPREAD:
                what = f"{len(items.value)} {list_key} of the {key} beside them hold {size} values together"
                raise InputError(
                    f"{items.origin}: {dotted((*done, list_key))}: {what}; at most {MAX_SPREAD} are allowed"
                )
            merged = tuple(_over(base, item, key) for item in items.value)
            value[list_key] = replace(items, value=merged)
            in_items = {id(leaf) for item in merged for leaf in _leaves(item.child(key))}
            for option in options:
                depth = len(done) + 1
                from_option = {id(leaf) for leaf in _leaves(base.find(option.keys[depth:]))}
                if merged and from_option and option.keys[:depth] == (*done, key) and not from_option & in_items:
                    instead = dotted((*done, list_key, 0, key, *option.keys[depth:])).replace("[0]", "[NAME]")
                    text = f"changes nothing, every item of {list_key} has its own value; set {instead}"
                    self.problems.append(f"{option.text}: {dotted(option.keys)}: {text}")
        return replace(node, value=value)

    def marked(self, node: Node, levels: Sequence[Level]) -> Node:
        """``node`` in which the status of every record names the fields of it that were changed.

        Of a mapping that names a kind and no record, and states no status, the record is the kind's own figures.
        """
        if isinstance(node.value, tuple):
            items = (self.marked(item, self.schema.below(levels, at)) for at, item in enumerate(node.value))
            return replace(node, value=tuple(items))
        if not isinstance(node.value, dict):
            return node
        value = {key: self.marked(item, self.schema.below(levels, key)) for key, item in node.value.items()}
        node, stated = replace(node, value=value), value.get("status")
        fields = self.schema.of_kind(levels, value.get("kind"))
        defaults = {key: field["default"] for key, field in fields.items() if "default" in field}
        status = stated.value if stated else defaults.get("status")
        if not self.schema.is_free_text(fields.get("status")) or not isinstance(status, str) or status == "generic":
            return node
        status, _, before = status.partition(CHANGED)
        names = dict.fromkeys(before.split(", ") if before else ())
        for key, item in value.items():
            in_record = node.changed.get(key, False)
            differs = key in defaults and item.plain() != defaults[key]
            if in_record or (differs and (key in node.changed or not stated) and key != "effects"):
                names[key] = None
        names = {name: None for name in names if name not in ABOUT}
        if not names:
            return node
        text = Node(status + CHANGED + ", ".join(names), stated.origin if stated else node.origin)
        return replace(node, value={**value, "status": text})

    def refuse_nan(self, node: Node) -> None:
        """NaN passes every comparison with a range unnoticed."""
        for path, below in node.walk():
            if below.value != below.value:
                self.problems.append(f"{below.origin}: {dotted(path)}: must be a number (got .nan)")


def _over(base: Node, item: Node, key: str) -> Node:
    if not isinstance(item.value, dict):
        return item
    changed = item.value.get(key)
    both = base if changed is None else replace(merge(base, changed), broken=base.broken or changed.broken)
    return replace(item, value={**item.value, key: both}, keys={key: base.origin, **item.keys})


def _leaves(node: Node | None) -> list[Node]:
    return [] if node is None else [below for _, below in node.walk() if not isinstance(below.value, dict)]
