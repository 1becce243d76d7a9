"""Front ends of sparse tiles: sized for a product, paid in each activation, drawn on every tile."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import sparse
from scipy.constants import Boltzmann

from crossbar import DifferentialPair
from devices import ChipStreams, Ideal, InputError, Stream
from mappings.sparse import SparseChip, SparseLayer, SparseMapping, SparseRun, multiply
from mappings.sparse.tiles import writing
from mappings.sparse.tiles.chip import COLUMN
from mappings.sparse.tiles.front_end import ColumnErrors
from periphery import SAR
from periphery.drivers import PWMDriver
from periphery.prices.scaling import nominal_supply_V
from periphery.supply import Rail, Regulated
from tests import quiet

ROOT = Stream.root(0).child("columns")
STILL = Regulated(noise_V=0.0)
CELLS = Ideal(g_min_S=100e-6, g_max_S=400e-6)
CHIP = SparseChip(rows=32, columns=33, device=CELLS, adc_bits=6, read_supply=STILL)


def ones(rows: int, columns: int, density: float, seed: int) -> sparse.csr_array:
    return sparse.csr_array((np.random.default_rng(seed).random((rows, columns)) < density).astype(float))


A, B = ones(120, 64, 0.3, 1), ones(64, 60, 0.2, 2)


def run(chip: SparseChip) -> SparseRun:
    return multiply(A, B, SparseMapping(chip=chip), rng=ROOT, threads=1)


def counted(found: SparseRun) -> tuple[dict[tuple[str, str], float], dict[str, float]]:
    actions = found.actions()
    return {(one.component, one.action): one.count for one in actions.actions}, {
        one.component: one.count for one in actions.instances
    }


def test_capacitor_follows_from_the_units_and_steps_of_the_converter() -> None:
    (design,) = run(CHIP).mapped.circuits
    unit_C = 0.2 * 1e-9 * 300e-6
    assert design.load.charge_per_z_C == pytest.approx(unit_C)
    assert design.capacitor_F == pytest.approx(64 * unit_C / 0.5 / 8)
    (coarse,) = run(replace(CHIP, lsb_units=2.0)).mapped.circuits
    assert coarse.capacitor_F == pytest.approx(2 * design.capacitor_F)
    fewer = run(replace(CHIP, rows_at_once=4)).mapped.circuits[0]
    assert fewer.load.peak_A < design.load.peak_A
    pairs = run(replace(CHIP, columns=64, encoding=DifferentialPair())).mapped.circuits[0]
    assert pairs.load.lines == 2


def test_every_volt_second_and_coulomb_of_an_activation_is_paid() -> None:
    found = run(CHIP)
    actions, stands = counted(found)
    (design,), counts = found.mapped.circuits, found.counts
    charge_C = counts.loss_S_clocks * 0.2 * 1e-9
    assert actions["cell_array", "read_J"] == pytest.approx(charge_C * 0.2)
    assert actions["read_supply", "loss_J"] == pytest.approx(charge_C * (1.1 * nominal_supply_V(16) - 0.2))
    assert counts.clocks == 2 * counts.activations, "one to drive, one to settle"
    assert actions["column_front_end", "bias_J"] == pytest.approx(32 * counts.clocks * 1e-9 * design.bias_W)
    columns = found.mapped.tiles.tiles * 32
    assert stands["column_front_end"] == pytest.approx(columns * design.area_m2 * 1e12)
    assert stands["capacitor_stacked_mim"] == pytest.approx(columns * design.capacitor_F * 1e12)
    rail = run(replace(CHIP, read_supply=Rail(noise_V=0.0)))
    assert counted(rail)[0]["read_supply", "loss_J"] == pytest.approx(charge_C * 0.2 * 0.25)
    plain = run(replace(CHIP, front_end=replace(COLUMN, division=1.0, gain_error=0.1)))
    (circuit,) = plain.mapped.circuits
    assert circuit.held_W > 0.0
    assert counted(plain)[0]["column_front_end", "bias_J"] > 32 * counts.clocks * 1e-9 * circuit.bias_W


def test_white_noise_of_a_column_has_the_variance_of_its_budget() -> None:
    fine = replace(CHIP, adc_bits=12, lsb_units=0.02, rows_at_once=16)
    bare = run(replace(fine, **quiet.COLUMN))
    noisy = run(replace(fine, front_end=replace(COLUMN, trim_bits=12, auto_zero_F=100e-12)))
    (design,) = noisy.mapped.circuits
    # One word of 1 to 4 for each tile and activation: words of one entry add their noise.
    words = noisy.counts.touched / noisy.exact.nnz
    error = noisy.C.data - bare.C.data * float(design.gain(design.load.line_S))
    expected = math.sqrt(float(design.noise_z2(design.load.line_S)) * words)
    assert error.std() == pytest.approx(expected, rel=0.08)
    johnson = next(term for term in design.noises if term.name.startswith("Johnson")).at(design.load.line_S)
    charge_C2 = 2 * Boltzmann * 300.0 * design.load.line_S * 2 * 2e-9
    assert johnson == pytest.approx(charge_C2 / (0.2 * 1e-9 * 300e-6) ** 2)


def test_mirrors_and_offsets_are_drawn_once_for_each_column_of_a_tile(monkeypatch: pytest.MonkeyPatch) -> None:
    fine = replace(CHIP, adc_bits=12, lsb_units=0.02, rows_at_once=16)
    coarse = replace(fine, front_end=replace(COLUMN, trim_bits=0, auto_zero_F=None))
    bare, found = run(replace(fine, **quiet.COLUMN)), run(coarse)
    error = sparse.csr_array((found.C.data - bare.C.data, found.C.indices, found.C.indptr), found.C.shape).toarray()
    means = error.mean(axis=0)
    assert means.std() > 5 * error.std(axis=0).mean() / math.sqrt(len(error)), "a column errs alike in all rows of A"
    monkeypatch.setattr(writing, "CELLS_AT_ONCE", 2000)
    again = multiply(A, B, SparseMapping(chip=coarse), rng=ROOT, threads=3)
    np.testing.assert_array_equal(again.C.data, found.C.data)


def test_noise_of_the_supply_scales_all_columns_of_an_activation() -> None:
    fine = replace(CHIP, adc_bits=12, lsb_units=0.001, **quiet.COLUMN)
    still, moved = run(fine), run(replace(fine, read_supply=Regulated(noise_V=4e-3)))
    one = still.C.data > 0
    ratio = moved.C.data[one] / still.C.data[one] - 1.0
    assert 0.3 * 0.02 < ratio.std() < 1.05 * 0.02


def test_default_circuit_leaves_whole_sums_whole_and_offsets_do_not() -> None:
    assert run(CHIP).accuracy.rounded_share > 0.995
    assert run(replace(CHIP, front_end=replace(COLUMN, auto_zero_F=None))).accuracy.rounded_share < 0.95


def test_untrimmed_mirrors_leave_a_share_of_every_driven_off_cell() -> None:
    full, none = sparse.csr_array(np.ones((4, 32))), sparse.csr_array(np.tril(np.ones((32, 32)), -31))
    fine = replace(CHIP, adc_bits=12, lsb_units=0.002, rows_at_once=32)
    mapping = SparseMapping(chip=replace(fine, front_end=replace(COLUMN, trim_bits=0, auto_zero_F=1e-9)))
    mapped = SparseLayer(none).map(mapping, inputs=full)
    assert mapped.circuits[0].mirror_sigma > 1e-3
    node_S = torch.full((500, 1, 8), 32 * 100e-6)
    drawn = ColumnErrors.of(mapped.circuits, node_S, ChipStreams.of(ROOT, 500))
    assert drawn.common is not None
    assert drawn.common.std() == pytest.approx(math.sqrt(2.0) * mapped.circuits[0].mirror_sigma, rel=0.05)


def test_converters_see_the_swing_of_the_front_end() -> None:
    rough = replace(CHIP, adc=SAR(noise_V=5e-3), **quiet.COLUMN)
    wide = replace(rough, front_end=replace(quiet.COLUMN["front_end"], swing_V=2.0))
    assert run(wide).accuracy.relative_frobenius < run(rough).accuracy.relative_frobenius


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"front_end": replace(COLUMN, swing_V=0.7)}, "front_end.swing_V: at most 0.65 V"),
        ({"front_end": replace(COLUMN, bias_A=1e-5)}, "front_end.bias_A: more than"),
        ({"driver": PWMDriver(v_read_V=0.6, v_design_V=0.6)}, "driver.v_read_V: at most 0.55 V above a virtual ground"),
    ],
)
def test_a_circuit_that_does_not_close_is_refused_with_what_would_do(changes: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        run(replace(CHIP, **changes))  # type: ignore[arg-type]


def test_a_read_voltage_that_the_supply_cannot_give_is_refused() -> None:
    with pytest.raises(ValueError, match=r"driver.v_read_V: at most 0\.75 V"):
        replace(CHIP, driver=PWMDriver(v_read_V=0.84))
