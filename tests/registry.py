"""Instances of whatever a registry holds, so that a contract test meets a new kind without a line of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")


def every(registry: Mapping[str, type[T]]) -> list[T]:
    """Each kind as it is by default, and with each of its switches (a choice of words, or yes and no) turned alone."""
    return [each for kind in registry.values() for each in turned(kind())]


def turned(default: T) -> list[T]:
    """An instance, and one for every other choice of each of its switches."""
    found, hints = [default], get_type_hints(type(default))
    for field in fields(default):  # type: ignore[arg-type]
        hint, value = hints[field.name], getattr(default, field.name)
        choices = get_args(hint) if get_origin(hint) is Literal else (False, True) if hint is bool else ()
        found += [replace(default, **{field.name: choice}) for choice in choices if choice != value]  # type: ignore[type-var]
    return found


def erring(registry: Mapping[str, type[T]], size: float) -> list[T]:
    """Each kind that has errors, with all of them on: every number that is 0 by default has this size."""
    found = []
    for kind in registry.values():
        default: Any = kind()
        off = [field.name for field in fields(default) if type(field.default) is float and field.default == 0.0]
        found += [replace(default, **dict.fromkeys(off, size))] if off else []
    return found


def named(instance: Any) -> str:
    """The kind, and what differs from its default: the name of a test's case."""
    changed = [f.name for f in fields(instance) if f.name != "kind" and getattr(instance, f.name) != f.default]
    return "-".join([instance.kind, *(f"{name}={getattr(instance, name)}" for name in changed)])
