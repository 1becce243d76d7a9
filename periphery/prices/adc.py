"""What one conversion of an ordinary ADC costs, by interchangeable published price models.

The models differ by 5 to 100 times on the same conversion, and the converter dominates most designs; so a price is
always asked for by the name of its model, and the report shows it beside the others. Coefficients are in
``configs/components/adc_*.yaml``.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from configs.errors import InputError
from periphery.prices.adc_models import AdcPrice, AdcQuote, Andrulis2024, Isaac2016, NeuroSimSar, PublishedPart
from periphery.prices.component import Area, Component, Latency, Leakage, Price
from periphery.prices.records import CONFIGS, read_record

__all__ = ["ADC_PRICES", "AdcPrice", "AdcQuote", "adc_component", "adc_name", "adc_price", "priced_by"]

ADC_PRICES: dict[str, type[AdcPrice]] = {
    "andrulis2024": Andrulis2024,
    "neurosim_sar": NeuroSimSar,
    "isaac2016": Isaac2016,
    "forms2021": PublishedPart,
    "fan2022": PublishedPart,
    "liu2020": PublishedPart,
    "hong2025": PublishedPart,
}


@cache
def _shipped() -> Mapping[str, AdcPrice]:
    folder = CONFIGS / "components"
    return MappingProxyType({name: read_record(kind, folder / f"adc_{name}.yaml") for name, kind in ADC_PRICES.items()})


def adc_price(name: str) -> AdcPrice:
    """The price model of that name; ``InputError`` with a suggestion if there is none."""
    if name not in ADC_PRICES:
        near = difflib.get_close_matches(name, ADC_PRICES, n=1)
        raise InputError(
            f"an ADC price model: one of {', '.join(ADC_PRICES)} (got {name!r})"
            + (f"; did you mean {near[0]!r}?" if near else "")
        )
    return _shipped()[name]


def priced_by(model: str | None, kind: str) -> str:
    """The price model for converters of ``kind``: ``model``, or with None the first that is for that kind.

    A kind that no model names (it is counted by its parts, or is a user's own) takes any. Raises ``InputError`` with
    the models that fit.
    """
    named = any(kind in each.converters for each in _shipped().values())
    fitting = [name for name, each in _shipped().items() if not named or kind in each.converters]
    if model is None:
        return fitting[0]
    chosen = adc_price(model)
    if model not in fitting:
        raise InputError(
            f"a converter of kind {kind} is priced by {' or '.join(fitting)} (got {model}, which prices "
            f"{' or '.join(chosen.converters)})"
        )
    return model


def adc_name(model: str, bits: int) -> str:
    """The name under which the converter of one model and resolution is counted and priced."""
    return f"adc_{model}_{bits}b"


def adc_component(model: str, *, bits: int, rate_per_s: float, node_nm: float) -> Component:
    """The converter of one model and resolution as a component with the action ``convert``, stated at ``node_nm``."""
    chosen = adc_price(model)
    quote = chosen.price(bits, rate_per_s, node_nm)
    return Component(
        name=adc_name(model, bits),
        description=f"{bits}-bit analog-to-digital converter: {chosen.description}",
        group="adc",
        node_nm=node_nm,
        scaling="none",
        cite=chosen.cite,
        area=Area(area_m2=quote.area_m2, status=quote.area_status, source=quote.area_source),
        leakage=Leakage(
            leakage_W=0.0,
            status=quote.status,
            source="inside the energy of a conversion",
        ),
        latency=Latency(latency_s=quote.latency_s, status=quote.status, source=quote.source),
        actions={
            "convert": Price(
                energy_J=quote.energy_J,
                unit="conversion",
                status=quote.status,
                source=quote.source,
            )
        },
    )
