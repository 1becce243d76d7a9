"""The integrator against hand calculations of the audit, and what it refuses."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from configs.errors import InputError
from periphery.front_end import FRONT_ENDS, AnyFrontEnd, ColumnLoad, FrontEndDesign, Integrator, Transimpedance
from periphery.front_end.base import A_VT_law
from periphery.prices.scaling import nominal_supply_V

#: The LSTM of the audit: TaOx cells of 100 to 400 uS, 73 rows of pairs, 5 bits, weights up to 1, a sigmoid's range.
TAOX = ColumnLoad(
    node_nm=16,
    temperature_K=300.0,
    t_clk_s=1e-9,
    read_V=0.2,
    charge_per_z_C=0.2 * 1e-9 * 300e-6 * 15,
    range_z=0.5 * 12.4e-12 / (0.2 * 1e-9 * 300e-6 * 15),
    line_S=19e-3,
    lines=1,
    line_F=50e-15,
    peak_A=1e-3,
    drive_s=30e-9,
    phases_cancel=False,
    settle_s=0.0,
)
#: The same layer of integrated cells, 0 to 150 uS, half of them in use.
SUPER_T = replace(
    TAOX,
    charge_per_z_C=0.2 * 1e-9 * 150e-6 / 1.3 * 15,
    range_z=6.9,
    line_S=146 * 15e-6,
    lines=2,
    peak_A=0.2e-3,
    phases_cancel=True,
    settle_s=1e-9,
)
PLAIN = Integrator(division=1.0, bias_A=0.1, gain_error=0.5)


def volts(built: FrontEndDesign, term: str) -> float:
    """Standard deviation of one noise of the design at the capacitor [V]."""
    (found,) = [each.at(built.load.line_S) for each in built.noises if each.name == term]
    return math.sqrt(found) * built.volts_per_z


def test_capacitor_follows_from_charge_and_swing() -> None:
    """12.4 pF for weights up to 1 at 0.2 V, and as much less as the mirror divides."""
    assert PLAIN.design(TAOX).capacitor_F == pytest.approx(12.4e-12, rel=1e-9)
    assert replace(PLAIN, division=32.0).design(TAOX).capacitor_F == pytest.approx(12.4e-12 / 32, rel=1e-9)
    fixed = replace(PLAIN, division=None, capacitor_F=12.4e-12 / 8).design(TAOX)
    assert fixed.division == pytest.approx(8.0)


@pytest.mark.parametrize(("read_V", "expected_V"), [(0.2, 0.228e-3), (2e-3, 22.8e-3)])
def test_noise_of_the_cells_grows_as_the_integrator_shrinks_with_the_read_voltage(
    read_V: float, expected_V: float
) -> None:
    """sqrt(2 k T G T) / C: 0.23 mV at 0.2 V and 22.7 mV at 2 mV, beside an LSB of 15.6 mV; C of weights up to 1.3."""
    shrunk = replace(TAOX, read_V=read_V, charge_per_z_C=TAOX.charge_per_z_C * read_V / 0.2, range_z=TAOX.range_z / 1.3)
    built = PLAIN.design(shrunk)
    assert volts(built, "Johnson noise of the cells") == pytest.approx(expected_V, rel=0.01)
    assert built.budget()[0].value == pytest.approx(15.625e-3)


def test_noise_of_the_amplifier_drives_the_whole_node() -> None:
    """gamma G / gm times the cells' variance: 1.0 mV against 0.23 at 19 mS and 1 mS."""
    load = replace(TAOX, range_z=TAOX.range_z / 1.3, peak_A=0.0)
    built = replace(PLAIN, stages=1, bias_A=2e-3 / 16.0, gain_error=0.5).design(load)
    assert volts(built, "amplifier") == pytest.approx(1.0e-3, rel=0.02)


def test_offset_of_the_virtual_ground_acts_on_the_whole_node() -> None:
    """1 mV over one phase of 15 ns is 1.9 LSB, and 0 where the polarity turns between equal phases."""
    load = replace(TAOX, range_z=TAOX.range_z / 1.3, drive_s=15e-9)
    one = replace(PLAIN, A_VT_Vum=1.0, pair_um2=1e6, gate_F_per_um2=0.0)
    built = one.design(load)
    lsb_z = load.range_z / 2**5
    assert built.offset_sigma_z(load.line_S) / lsb_z == pytest.approx(1.9, rel=0.01)
    assert one.design(replace(load, phases_cancel=True)).offset_sigma_z(load.line_S) == 0.0


def test_one_percent_of_gain_asks_for_three_thousand() -> None:
    """C / G is 0.5 ns against 30 ns: G T / (2 A C) is 1 % at A = 3,000, beside 1 / A."""
    load = replace(TAOX, range_z=TAOX.range_z / 1.3, line_F=0.0)
    built = replace(PLAIN, stages=1, intrinsic_gain=1000.0, gate_F_per_um2=0.0).design(load)
    (finite,) = [term for term in built.losses if term.name == "finite gain"]
    assert finite.at(load.line_S) * 1000.0 / 3000.0 == pytest.approx(0.01 + 1.0 / 3000.0, rel=0.01)


def test_mirror_noise_and_mismatch() -> None:
    """4 k T gamma gm of both devices referred through M; ((gm/I)^2 A_VT^2 + A_beta^2) / (W L), pair convention."""
    front_end = replace(PLAIN, division=32.0, bias_A=1e-3, mirror_um2=4.0)
    built = front_end.design(TAOX)
    input_A = 0.5 * (1e-3 - 1e-3 / 32) / (1 + 1 / 32)
    gm = 16.0 * (1e-3 + input_A)
    charge_C = math.sqrt(2 * 1.380649e-23 * 300 * gm * 33 * 30e-9)
    assert volts(built, "mirror") == pytest.approx(charge_C / TAOX.charge_per_z_C * built.volts_per_z)
    pair = ((16.0 * 1e-3) ** 2 + 0.01**2) / 4.0
    assert front_end.mirror_sigma(TAOX, 1.0, 4.0) == pytest.approx(math.sqrt(pair))
    assert built.mirror_sigma == pytest.approx(math.sqrt(pair * (1 + 1 / 32) / 2))


def test_reset_noise_and_capacitor_matching() -> None:
    """sqrt(k T / C), 1 % um."""
    built = replace(PLAIN, division=32.0).design(SUPER_T)
    assert volts(built, "reset") == pytest.approx(math.sqrt(1.380649e-23 * 300 / built.capacitor_F))
    assert built.capacitor_sigma == pytest.approx(0.01 / math.sqrt(built.capacitor_F / 2e-15))


def test_default_fits_the_integrated_cells() -> None:
    """Tens to hundreds of femtofarads, gain within 1 % and the leak of the mirror, noise well below an LSB."""
    built = Integrator().design(SUPER_T)
    assert 20e-15 < built.capacitor_F < 500e-15
    assert 0.98 < built.gain(SUPER_T.line_S) < 1.0
    assert math.sqrt(built.noise_z2(SUPER_T.line_S)) < 0.25 * SUPER_T.range_z / 2**5
    assert built.bias_loss(SUPER_T.line_S) == pytest.approx(0.01, rel=0.05)
    assert built.supply_V == nominal_supply_V(16) == 0.85


@pytest.mark.parametrize("kind", FRONT_ENDS)
def test_columns_of_a_chip_are_answered_at_once(kind: str) -> None:
    built = FRONT_ENDS[kind]().design(SUPER_T)
    columns = torch.tensor([[0.5e-3, 1e-3], [2e-3, 3e-3]])
    for answer in (built.noise_z2, built.gain, built.offset_sigma_z):
        one_by_one = torch.tensor([[answer(float(line)) for line in chip] for chip in columns])
        torch.testing.assert_close(answer(columns), one_by_one)
    assert bool((built.gain(columns).diff(dim=1) < 0.0).all())
    assert all(math.isfinite(line.value) and line.equation and line.source for line in built.budget())


def test_less_bias_than_solved_breaks_the_target() -> None:
    solved = Integrator().design(SUPER_T)
    less = Integrator(bias_A=0.9 * solved.bias_A, gain_error=0.5).design(SUPER_T)
    assert solved.bias_loss(SUPER_T.line_S) <= 0.01 < less.bias_loss(SUPER_T.line_S)


def test_transimpedance_noise_is_that_of_resistor_and_cells_in_its_bandwidth() -> None:
    """4 k T (G + 1 / R) over a noise bandwidth of 1 / (4 R C)."""
    built = Transimpedance(stages=1, intrinsic_gain=900.0).design(replace(SUPER_T, lines=1, phases_cancel=False))
    load = built.load
    ohm = Transimpedance().resistor_ohm(load)
    ampere = math.sqrt(4 * load.kT_J * (load.line_S + 1 / ohm) / (4 * ohm * built.capacitor_F))
    cells, resistor = volts(built, "Johnson noise of the cells"), volts(built, "Johnson noise of the resistor")
    assert math.hypot(cells, resistor) == pytest.approx(ampere * ohm)
    assert ohm * load.range_C / load.drive_s == pytest.approx(built.swing_V)


@pytest.mark.parametrize(
    ("front_end", "load", "message"),
    [
        (Integrator(swing_V=0.7), SUPER_T, r"front_end.swing_V: at most 0.65 V, .* 0.85 V less 0.2 V .*\(got 0.7\)"),
        (Integrator(swing_V=50.0), SUPER_T, r"front_end.swing_V: at most 0.65 V"),
        (Integrator(supply_V=2.0), SUPER_T, r"front_end.supply_V: at most 1.15 V at 16 nm \(got 2\)"),
        (Integrator(), replace(SUPER_T, read_V=0.6), r"driver.v_read_V: at most 0.55 V above .*\(got 0.6\)"),
        (Integrator(bias_A=1e-6), SUPER_T, r"front_end.bias_A: more than 1.25e-05 A, .*\(got 1e-06\)"),
        (Integrator(bias_A=5e-5), SUPER_T, r"front_end.bias_A: at least 0.000\d+ A for a line .*\(got 5e-05\)"),
        (Integrator(division=None), SUPER_T, r"exactly one of division and capacitor_F"),
        (Integrator(capacitor_F=1e-13), SUPER_T, r"exactly one of division and capacitor_F"),
        (Integrator(division=None, capacitor_F=1e-9), SUPER_T, r"front_end.capacitor_F: at most 4.78e-12 F"),
        (Integrator(), replace(SUPER_T, node_nm=180), r"node_nm: 7 to 130 nm"),
        (Integrator(gain_error=1e-9), replace(SUPER_T, settle_s=0.0), r"no bias below 1 A a column keeps gain_error"),
        (Transimpedance(bias_A=1e-6), SUPER_T, r"front_end.bias_A: more than"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused_with_the_number_that_would_do(
    front_end: Any, load: ColumnLoad, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        front_end.design(load)


def test_the_bias_that_a_refusal_names_would_do() -> None:
    with pytest.raises(InputError) as refused:
        Integrator(bias_A=5e-5).design(SUPER_T)
    named = float(str(refused.value).split("at least ")[1].split(" A")[0])
    assert Integrator(bias_A=1.01 * named).design(SUPER_T).bias_A == pytest.approx(1.01 * named)


def test_yaml_names_the_kind_and_bounds_the_fields() -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(AnyFrontEnd)
    assert adapter.validate_python({}) == Integrator()
    assert adapter.validate_python({"kind": "transimpedance"}) == Transimpedance()
    with pytest.raises(ValidationError):
        adapter.validate_python({"gm_per_I": 35.0})


def test_threshold_matching_passes_through_its_two_points() -> None:
    assert A_VT_law(130) == pytest.approx(5.5e-3)
    assert A_VT_law(16) == pytest.approx(1.0e-3)


#: A bit line of the paper's liquid: 456 cells of 34 uS, whose current goes to the membranes of two neurons.
LIQUID = replace(
    TAOX,
    node_nm=40,
    t_clk_s=100e-9,
    read_V=0.1,
    charge_per_z_C=0.1 * 1e-6 / 0.07 * 100e-9,
    range_z=5.0,
    line_S=456 * 34e-6,
    lines=2,
    peak_A=456 * 34e-6 * 0.1,
    drive_s=100e-9,
    settle_s=10e-9,
)
MIRRORS = Integrator(division=8.0, swing_V=0.45, noise_share=0.04)


def test_auto_zeroing_leaves_the_offset_over_the_gain_and_the_noise_of_its_capacitor() -> None:
    plain, zeroed = (replace(MIRRORS, auto_zero_F=farads).design(LIQUID) for farads in (None, 1e-12))
    assert zeroed.offsets[0].at(LIQUID.line_S) == pytest.approx(plain.offsets[0].at(LIQUID.line_S) / 626**2)
    # sqrt(k T / 1 pF) is 64.4 uV at 300 K: through the cells of both lines for 110 ns.
    charge_C = math.sqrt(2.0) * 64.36e-6 * LIQUID.line_S * 110e-9
    (term,) = [term for term in zeroed.noises if term.name == "auto-zero"]
    through_cells = math.sqrt(term.coefficients[2]) * LIQUID.line_S
    assert through_cells == pytest.approx(charge_C / LIQUID.charge_per_z_C, rel=1e-3)
    assert volts(zeroed, "auto-zero") > charge_C / LIQUID.charge_per_z_C * 0.09, "and through the standing current"
    assert zeroed.area_m2 > plain.area_m2 + 2 * 0.9 * 500e-12, "1 pF on each line at 2 fF/um2"
    assert replace(MIRRORS, auto_zero_F=1e-12).design(SUPER_T).noises == MIRRORS.design(SUPER_T).noises
    level = Transimpedance(gain_error=0.3, auto_zero_F=1e-12).design(replace(TAOX, settle_s=1e-9))
    assert any(term.name == "auto-zero" for term in level.noises)


def test_a_trim_leaves_one_step_of_a_mirror_and_takes_its_bits() -> None:
    plain, trimmed = (replace(MIRRORS, trim_bits=bits).design(LIQUID) for bits in (0, 6))
    assert trimmed.mirror_sigma == pytest.approx(plain.mirror_sigma * 8 / 64 / math.sqrt(12), rel=0.01)
    assert trimmed.area_m2 - plain.area_m2 == pytest.approx(2 * 6 * 3e-12, rel=0.05)


def test_each_copy_of_a_line_takes_a_branch_of_the_mirror() -> None:
    one, two = (MIRRORS.design(replace(LIQUID, copies=copies)) for copies in (1.0, 2.0))
    assert two.bias_A - one.bias_A > 0.9 * 2 * LIQUID.peak_A / 8, (
        "another branch for the largest current, on both lines"
    )
    assert two.area_m2 > one.area_m2
    with pytest.raises(InputError, match="division: more than 1 where a line's current goes to several capacitors"):
        replace(MIRRORS, division=1.0).design(replace(LIQUID, copies=2.0))
