"""Price records: a YAML file as a frozen dataclass, every fault named with its place in the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from configs.errors import InputError
from configs.yaml_source import Node, describe_value, load_yaml

CONFIGS = Path(__file__).resolve().parents[2] / "configs"

Record = TypeVar("Record")


def read_record(type_: type[Record], path: Path) -> Record:
    """The record in one YAML file. Raises InputError with a line for every fault, as ``build`` does."""
    return build(type_, load_yaml(path))


def build(type_: type[Record], node: Node) -> Record:
    """A frozen dataclass from what a file holds, its ``kind`` apart, which only says what file it is.

    Raises InputError with one line for each missing, unknown or impossible entry.
    """
    plain = {key: value for key, value in node.plain().items() if key != "kind"}
    try:
        return TypeAdapter(type_).validate_json(json.dumps(plain), strict=True)
    except ValidationError as error:
        problems = []
        for fault in error.errors():
            below = node
            for step in fault["loc"]:
                below = below.child(step) or below
            got = "" if fault["type"] == "missing" else f" (got {describe_value(below)})"
            problems.append(f"{below.origin}: {'.'.join(map(str, fault['loc'])) or 'record'}: {fault['msg']}{got}")
        raise InputError(problems) from error
