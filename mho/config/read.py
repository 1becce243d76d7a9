"""From YAML to frozen dataclasses: ``extends``, shipped records, variants, ``--set``, and every error with its line.

A file is resolved in four steps, all on nodes that remember where they were written:

1. every ``extends`` and every record's name is replaced by that record, deep-merged under what the file itself states;
2. each ``--set`` is put on top;
3. each variant's chip is merged over the chip beside the list of variants;
4. the result is validated against the dataclass, strictly: unknown keys are errors, a text is no number.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Generic, TypeVar, overload

from configs.errors import InputError
from configs.plausible import ALLOW, KEY, allows, problems, without
from configs.yaml_source import Node, Origin
from devices.kinds import registered
from mho.config.resolve import CHANGED, REFERENCES, Option, Resolver, shipped_files
from mho.config.schema import Schema

T = TypeVar("T")


@dataclass(frozen=True)
class Loaded(Generic[T]):
    """A configuration as it was read.

    ``data`` holds every default written out, as plain dicts, lists and scalars; ``digest`` is the SHA-256 of its
    canonical JSON; ``source_text_name`` is the file as messages call it. ``sets`` are the options that were put on top,
    by the name of the variant that they changed, and under an empty name those of no variant.
    """

    value: T
    data: dict[str, Any]
    digest: str
    source_text_name: str
    sets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@overload
def read(source: str | Path, type_: type[T], *, sets: Sequence[str] = (), folder: str = "experiments") -> Loaded[T]: ...
@overload
def read(source: str | Path, type_: Any, *, sets: Sequence[str] = (), folder: str = "experiments") -> Loaded[Any]: ...
def read(source: str | Path, type_: Any, *, sets: Sequence[str] = (), folder: str = "experiments") -> Loaded[Any]:
    """Read a file, or the record of that name in the shipped ``folder``, as an instance of a dataclass.

    ``sets`` are the options ``a.b=c``, of which the more specific path wins. Raises InputError with one line for each
    problem, all at once.
    """
    resolver = Resolver(schema_of(type_))
    opened = resolver.opened(source, folder)
    node = resolver.resolve(opened.node, [resolver.schema.root], folder, (), opened.open_files)
    return _loaded(resolver, node, sets, opened.name)


def read_values(values: Mapping[str, Node], type_: Any, *, sets: Sequence[str] = ()) -> Loaded[Any]:
    """An instance of a dataclass from values that were given one by one, as options of a command; ``sets`` on top."""
    resolver = Resolver(schema_of(type_))
    node = Node(dict(values), Origin("options"), {key: node.origin for key, node in values.items()})
    return _loaded(resolver, resolver.resolve(node, [resolver.schema.root], None, (), ()), sets, "options")


def _loaded(resolver: Resolver, node: Node, sets: Sequence[str], name: str) -> Loaded[Any]:
    """A tree without references, with the options on top of it, as its type. Raises InputError with all problems."""
    schema = resolver.schema
    options = [option for option in map(resolver.option, sets) if option is not None]
    # The shorter path first, and a kind before its fields, so that no option is undone by a more general one.
    for option in sorted(options, key=lambda option: (len(option.steps), option.steps[-1] != "kind")):
        node = resolver.put(node, option, (), [schema.root])
    resolver.refuse_long(node)
    node = resolver.marked(resolver.spread(node, options), [schema.root])
    resolver.refuse_nan(node)
    meant, node = node, without(node)
    implausible = problems(meant)
    value = schema.value(node, resolver.problems, implausible)
    if value is not None:
        resolver.problems += implausible
    if resolver.problems:
        raise InputError(dict.fromkeys(resolver.problems))
    data = schema.adapter.dump_python(value, mode="json")
    data |= {KEY: ALLOW} if allows(meant) else {}
    return Loaded(value, data, digest(data), name, _applied(node, options))


def _applied(node: Node, options: Sequence[Option]) -> dict[str, tuple[str, ...]]:
    """The options of the command line by the name of the variant that they changed; those of no variant under ''."""
    applied: dict[str, list[str]] = {}
    for option in options:
        size = len(option.steps)
        # An option of a field of what this one puts there has left its own name at the keys above it.
        names = {other.text for other in options if other.steps[:size] == option.steps}
        owners = {
            path[:2]
            for path, below in node.walk()
            if len(path) + 1 in (size, size + 2)
            and (origin := below.keys.get(option.steps[-1])) is not None
            and origin.name in names
        }
        variants = [node.find((*owner, "name")) for owner in sorted(owners, key=str) if owner[:1] == ("variants",)]
        for name in [str(variant.value) for variant in variants if variant is not None] or [""]:
            applied.setdefault(name, []).append(option.text.removeprefix("--set "))
    return {name: tuple(texts) for name, texts in applied.items()}


def changed_records(data: Any, path: str = "") -> dict[str, str]:
    """The records in a configuration of which some fields are not as published, by path: the status of each."""
    found: dict[str, str] = {}
    if isinstance(data, Mapping):
        if isinstance(status := data.get("status"), str) and CHANGED in status:
            found[path] = status
        for key, item in data.items():
            found |= changed_records(item, f"{path}.{key}" if path else str(key))
    elif isinstance(data, list):
        for at, item in enumerate(data):
            found |= changed_records(item, f"{path}[{at}]")
    return found


def digest(data: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical JSON of plain data: sorted keys, no spaces."""
    return hashlib.sha256(json.dumps(data, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def schema_of(type_: Any) -> Schema:
    """What a type allows with the kinds that are registered now."""
    return _schema(type_, registered())


@lru_cache(maxsize=32)
def _schema(type_: Any, _kinds: tuple[tuple[str, Any], ...]) -> Schema:
    return Schema(type_, REFERENCES)


def json_schema(type_: Any) -> dict[str, Any]:
    """JSON schema (draft 2020-12) with which an editor completes and checks a file of this type."""
    return schema_of(type_).for_editors({folder: sorted(shipped_files(folder)) for folder in set(REFERENCES.values())})
