"""The pages on converters and on the ramp agree with the code: options, defaults, kinds and prices."""

from __future__ import annotations

from dataclasses import MISSING, fields
from pathlib import Path

import pytest

from periphery import ACTIVATIONS, ADCS, DRIVERS, Comparator, RampColumn
from periphery.prices.adc import ADC_PRICES, adc_price

DOCS = Path(__file__).parents[2] / "docs"


def rows(page: str) -> list[list[str]]:
    """Cells of all lines of tables."""
    lines = (DOCS / page).read_text(encoding="utf-8").splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]


@pytest.mark.parametrize("kind", [RampColumn, Comparator], ids=lambda kind: kind.__name__)
def test_every_option_of_the_ramp_is_listed_with_its_default(kind: type) -> None:
    listed = {cells[0].strip("`"): cells[1] for cells in rows("nladc.md")}
    options = {each.name: "required" if each.default is MISSING else str(each.default) for each in fields(kind)}
    assert {name: listed.get(name) for name in options} == options


def test_every_kind_of_driver_converter_and_activation_has_a_row() -> None:
    listed = {cells[0].strip("`") for cells in rows("converters.md")}
    assert {*ADCS, *DRIVERS, *ACTIVATIONS, *ADC_PRICES} <= listed


@pytest.mark.parametrize("name", ADC_PRICES)
def test_prices_of_the_page_are_those_of_the_models(name: str) -> None:
    row = next(cells for cells in rows("converters.md") if cells[0] == f"`{name}`")
    for bits, energy, area in ((5, row[1], row[2]), (8, row[3], row[4])):
        quote = adc_price(name).price(bits, 1e8, 16.0)
        assert (energy, area) == (f"{quote.energy_J * 1e15:.1f} fJ", f"{quote.area_m2 * 1e12:.1f} um2")
