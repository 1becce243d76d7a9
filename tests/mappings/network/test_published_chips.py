"""Published cores from the price list without a fit: their rates as figures of a product, and ours beside them."""

from __future__ import annotations

import pytest

from benchmarks.published_chips import BITS, COLUMNS, CORES, HONG, Core, conversion, core, full_tile
from configs.errors import InputError
from mappings.chip import Chip
from mappings.cost import price, shares
from mho.config.read import read
from mho.report.published import Published


def of(name: str, bits: int) -> Core:
    modes = read(name, Published, folder="published").value.modes
    return core(name, next(mode for mode in modes if mode.bits_in == bits))


def test_published_rates_become_figures_of_one_product_of_a_core() -> None:
    """2 x 256 x 256 operations of HERMES at 1.008 TOPS; NeuRRAM has two cells a weight and 48 cores of 1.161 mm2."""
    hermes, neurram = of("hermes_core", 8), of("neurram", 8)
    assert hermes.theirs["latency_s"] == pytest.approx(130.0e-9, rel=1e-3)
    assert hermes.theirs["energy_J"] == pytest.approx(12.48e-9, rel=1e-3)
    assert hermes.theirs["area_m2"] == pytest.approx(0.634e-6, rel=1e-3)
    assert neurram.theirs["latency_s"] == pytest.approx(65536 * 48 / 0.264e12, rel=1e-3)
    assert neurram.theirs["area_m2"] == pytest.approx(1.161e-6, rel=2e-3)


@pytest.mark.parametrize("name", CORES)
def test_chips_have_as_many_cells_as_was_published(name: str) -> None:
    chip = read(name, Chip, folder="chips").value
    assert full_tile(chip).shape.cells == {"hermes_core": 2 * 256 * 256, "neurram": 256 * 256}[name]
    assert full_tile(chip).grid.tiles == 1


@pytest.mark.parametrize("name", CORES)
def test_no_energy_or_area_of_them_is_fitted(name: str) -> None:
    mapped = full_tile(read(name, Chip, folder="chips").value)
    lines = price(mapped.actions(), node_nm=mapped.chip.node_nm, components=mapped.components())
    assert "fitted" not in shares(lines, "status")


def test_energies_are_off_by_less_than_ten_times_and_grow_with_bits_as_they_do_there() -> None:
    """docs/prices.md states the misses; nothing here was made to fit."""
    assert 0.2 < of("hermes_core", 8).ratio("energy_J") < 2.0
    found = [of("neurram", bits) for bits in range(2, 9)]
    assert all(0.1 < one.ratio("energy_J") < 12.0 for one in found)
    assert [one.ours["energy_J"] for one in found] == sorted(one.ours["energy_J"] for one in found)
    with pytest.raises(InputError, match="bits: 2 to 12 for a signed input"):
        of("neurram", 1)


def test_conversion_of_128_columns_beside_the_figure_of_hong_et_al() -> None:
    """Comparators stop half way on average, and their price is that figure over 128 columns of 32 steps; all else is
    a prediction."""
    parts, latency_s = conversion()
    assert parts["comparator"] == pytest.approx(HONG["energy_J"] / 2, rel=0.02)
    assert {"ramp_cells", "column_front_end", "shared_counter", "code_line", "code_latch"} <= set(parts)
    assert not {"cell_array", "pwm_driver"} & set(parts), "inputs are not driven"
    assert parts["code_latch"] == pytest.approx(COLUMNS * BITS * 0.9e-15, rel=0.3)
    assert 0.5 < sum(parts.values()) / HONG["energy_J"] < 1.0
    assert latency_s == pytest.approx(HONG["latency_s"], rel=0.05)
