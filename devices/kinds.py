"""Records whose ``kind:`` names their class: a registry of classes is what YAML is checked against.

The schema is built from the registry whenever pydantic asks for one, so a user's class that is put into the
dict before a file is read is allowed in that file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

Registry = Mapping[str, type]

_used: list[Registry] = []


class OneOf:
    """Behind a base class in ``Annotated``: YAML may hold any class of these registries, chosen by its ``kind``.

    ``usual``: the kind of a mapping without one.
    """

    def __init__(self, *registries: Registry, usual: str | None = None) -> None:
        self.registries = registries
        self.usual = usual
        _used.extend(registries)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """One schema a kind; TypeError for a class in the registry under another name than its kind."""
        classes = {kind: class_ for registry in self.registries for kind, class_ in registry.items()}
        for kind, class_ in classes.items():
            if getattr(class_, "kind", None) != kind:
                raise TypeError(f"{class_.__name__}.kind must be {kind!r}, its name in the registry")
        choices = {kind: handler.generate_schema(class_) for kind, class_ in classes.items()}
        tagged = core_schema.tagged_union_schema(choices, discriminator="kind")
        return core_schema.no_info_before_validator_function(self._with_kind, tagged) if self.usual else tagged

    def _with_kind(self, value: Any) -> Any:
        return {"kind": self.usual, **value} if isinstance(value, dict) and "kind" not in value else value


def registered() -> tuple[tuple[str, type], ...]:
    """Every class that YAML may name by a kind at present: what a cached schema depends on."""
    return tuple(item for registry in _used for item in registry.items())
