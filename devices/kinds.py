"""Records whose ``kind:`` names their class: a registry of classes is what YAML is checked against.

The schema is built from the registry whenever pydantic asks for one, so a user's class that is put into the
dict before a file is read is allowed in that file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

Registry = Mapping[str, Any]

_used: list[Registry] = []


class OneOf:
    """Behind a base class in ``Annotated``: YAML may hold any class of these registries, chosen by its ``kind``.

    ``usual``: the kind of a mapping without one; ``class_of``: the class of an entry, where a registry
    holds more than classes, or None for an entry that YAML may not name.
    """

    def __init__(
        self, *registries: Registry, usual: str | None = None, class_of: Callable[[Any], type | None] = lambda one: one
    ) -> None:
        self.registries = registries
        self.usual = usual
        self.class_of = class_of
        _used.extend(registries)

    def classes(self) -> dict[str, type]:
        """The classes by kind, as the registries are now."""
        entries = (item for registry in self.registries for item in registry.items())
        return {kind: class_ for kind, entry in entries if (class_ := self.class_of(entry)) is not None}

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """One schema a kind; TypeError for a class in the registry under another name than its own kind."""
        classes = self.classes()
        for kind, class_ in classes.items():
            if getattr(class_, "kind", None) != kind:
                raise TypeError(f"{class_.__name__}.kind must be {kind!r}, its name in the registry")
        choices = {kind: handler.generate_schema(class_) for kind, class_ in classes.items()}
        tagged = core_schema.tagged_union_schema(choices, discriminator="kind")
        return core_schema.no_info_before_validator_function(self._with_kind, tagged) if self.usual else tagged

    def _with_kind(self, value: Any) -> Any:
        return {"kind": self.usual, **value} if isinstance(value, dict) and "kind" not in value else value


def registered() -> tuple[tuple[str, Any], ...]:
    """Every class that YAML may name by a kind at present: what a cached schema depends on."""
    return tuple(item for registry in _used for item in registry.items())
