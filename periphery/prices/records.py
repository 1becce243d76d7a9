"""Price records: a YAML file as a frozen dataclass, every fault named with its place in the file."""

from __future__ import annotations

import json
from collections.abc import Hashable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar, cast

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from configs.errors import InputError
from configs.yaml_source import Node, describe_value, load_yaml

CONFIGS = Path(__file__).resolve().parents[2] / "configs"

Status = Literal["published", "secondary", "derived", "modelled", "estimate", "fitted"]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Text = Annotated[str, Field(min_length=1)]

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Strict:
    """A record of which every key is a field."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")


@dataclass(frozen=True, kw_only=True)
class Model(Strict):
    """A record of coefficients.

    Parameters
    ----------
    description : what it describes
    status, source : how the numbers were found, and where
    cite : keys of the papers behind it
    """

    description: str
    status: Status
    source: str
    cite: tuple[str, ...]


def read_record(type_: type[T], path: Path) -> T:
    """The record in one YAML file. Raises InputError with a line for every fault, as ``build`` does."""
    return build(type_, load_yaml(path))


@cache
def _adapter(type_: Any) -> TypeAdapter[Any]:
    return TypeAdapter(type_)


def build(type_: type[T], node: Node) -> T:
    """A frozen dataclass from the content of a file, its ``kind`` apart, which only names the type of the file.

    Raises InputError with one line for each missing, unknown or impossible entry.
    """
    plain = {key: value for key, value in node.plain().items() if key != "kind"}
    try:
        record: T = _adapter(cast(Hashable, type_)).validate_json(json.dumps(plain), strict=True)
        return record
    except ValidationError as error:
        problems = []
        for fault in error.errors():
            below = node
            for step in fault["loc"]:
                below = below.child(step) or below
            got = "" if fault["type"] == "missing" else f" (got {describe_value(below)})"
            problems.append(f"{below.origin}: {'.'.join(map(str, fault['loc'])) or 'record'}: {fault['msg']}{got}")
        raise InputError(problems) from error
