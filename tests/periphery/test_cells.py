"""Cell areas against silicon: NeuRRAM's array, and no shrinking beyond what was measured."""

from __future__ import annotations

from itertools import pairwise

import pytest

from devices import TaOx
from mappings.chip import Chip, Weights
from periphery import RampColumn
from periphery.prices.cells import cell_area


def test_neurrams_cell_at_its_node_is_measured_and_not_that_of_22_nm() -> None:
    # 12 % of 1.161 mm2 for 65,536 cells; 18,688 of them are 39,800 um2 rather than 479.
    area = cell_area("rram_taox", 130)
    assert area.area_m2 == pytest.approx(0.12 * 1.161e-6 / 65536, rel=2e-3)
    assert 18_688 * area.area_m2 * 1e12 == pytest.approx(39_800, rel=5e-3)
    assert area.low is not None
    assert area.high is not None
    assert (area.low * 1e12, area.high * 1e12) == pytest.approx((1.44, 3.38), rel=2e-3)


def test_a_cell_grows_with_the_node_and_is_not_shrunk_below_the_smallest_on_record() -> None:
    nodes = (7, 16, 22, 28, 40, 55, 65, 90, 130)
    areas = [cell_area("rram_taox", node_nm).area_m2 for node_nm in nodes]
    assert areas[0] == areas[1] == areas[2] == pytest.approx(53 * (22e-9) ** 2)
    assert all(small < large for small, large in pairwise(areas[2:]))
    assert "not shrunk below 22 nm" in cell_area("rram_taox", 16).source
    between = cell_area("rram_taox", 40)
    assert between.status == "derived"
    assert "interpolated between 22 nm" in between.source
    assert cell_area("rram_taox", 55).area_m2 == pytest.approx(0.205e-12, rel=1e-3)


def test_other_memories_are_marked_as_estimates_and_two_devices_in_parallel_take_two_cells() -> None:
    one, two = cell_area("pcm_hermes_1", 22), cell_area("pcm_hermes_2", 22)
    assert one.status == "estimate"
    assert one.source.startswith("estimate: no cell of pcm_hermes_1 is on record")
    assert two.area_m2 == 2 * one.area_m2


def test_a_chip_prices_its_cells_at_its_node() -> None:
    chip = Chip(weights=Weights(device=TaOx()), ramp=RampColumn(device=TaOx()), node_nm=130)
    records = chip.price_list()
    for name in ("cell_array", "ramp_cells"):
        assert records[name].at(130).area_m2 == cell_area("rram_taox", 130).area_m2
