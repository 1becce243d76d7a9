"""How far a price may be off where its record states no range: a factor by status, an estimate that one may change."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Annotated

from pydantic import Field

from periphery.prices.records import CONFIGS, Model, Status, read_record


@dataclass(frozen=True, kw_only=True)
class PriceRanges(Model):
    """``factors``: by status, how many times lower or higher the true price may be."""

    factors: dict[Status, Annotated[float, Field(ge=1, allow_inf_nan=False)]]


@cache
def price_ranges() -> PriceRanges:
    """The shipped factors."""
    return read_record(PriceRanges, CONFIGS / "technology" / "price_ranges.yaml")


def status_factor(status: Status) -> float:
    """The factor up and down of prices of this status [1]."""
    return price_ranges().factors[status]
