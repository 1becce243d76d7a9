"""Price records as written by people: YAML read strictly, numbers as numbers, every fault named by file and place.

PyYAML alone takes the last of two equal keys without a word; a price list must not. Text such as ``25e-6``, which YAML
1.1 calls a string, becomes a number where the record's dataclass asks for one.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError

from configs.errors import InputError

CONFIGS = Path(__file__).resolve().parents[2] / "configs"

Record = TypeVar("Record")


class _UniqueKeys(yaml.SafeLoader):
    """Safe YAML in which a key may stand once."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"key {key!r} stands twice",
                    problem_mark=key_node.start_mark,
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def read_record(path: Path) -> dict[str, Any]:
    """The mapping in one YAML file.

    Raises ``InputError`` where the file is missing, is not YAML, repeats a key or is not a mapping.
    """
    try:
        record = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeys)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        raise InputError(f"{place}: {error.problem}") from error
    if not isinstance(record, dict):
        raise InputError(f"{path}: a mapping is needed (got {type(record).__name__})")
    return record


def build(kind: type[Record], record: Mapping[str, Any], path: Path) -> Record:
    """A frozen dataclass from a mapping; ``InputError`` with one line per missing, unknown or impossible entry."""
    try:
        return TypeAdapter(kind).validate_python(dict(record))
    except ValidationError as error:
        raise InputError(
            f"{path}: {'.'.join(str(part) for part in fault['loc']) or 'record'}: {fault['msg']}"
            + ("" if fault["type"] == "missing" else f" (got {fault['input']!r})")
            for fault in error.errors()
        ) from error
