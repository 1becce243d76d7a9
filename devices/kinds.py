"""Records that say of which kind they are, and those that need not because one kind is the usual one."""

from __future__ import annotations

from typing import Any

from pydantic import BeforeValidator


def usual_kind(kind: str) -> BeforeValidator:
    """Stands behind ``Field(discriminator="kind")``: a mapping without ``kind:`` is of this one."""

    def named(value: Any) -> Any:
        return {"kind": kind, **value} if isinstance(value, dict) and "kind" not in value else value

    return BeforeValidator(named)
