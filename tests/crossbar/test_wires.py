"""The record of wires: kappa, technology, which method may be used, the closed forms and read noise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from crossbar.wires import (
    LINES,
    FoldedNoise,
    Wires,
    alpha_beta,
    alpha_beta_limit,
    effective_conductance,
    kappa,
    read_variance,
    segment_ohm,
)

ONE_OHM = Wires(r_word_ohm=1.0, r_bit_ohm=1.0)


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    """Cells of 10 to 100 kohm, uniform in conductance [S]."""
    return 1e-5 + 9e-5 * torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def inputs(rows: int) -> torch.Tensor:
    """Eight vectors in 0 to 0.2 V, half of them with 70 % of zeros."""
    draw = torch.Generator().manual_seed(1)
    v = 0.2 * torch.rand((8, rows), generator=draw, dtype=torch.float64)
    v[4:] *= torch.rand((4, rows), generator=draw) > 0.7
    return v


@pytest.mark.parametrize(
    ("n", "ohm", "exact"),
    [(16, 1e6, 0.00019), (64, 1e5, 0.02712), (128, 2e4, 0.34645), (64, 2e4, 0.12129), (128, 1e6, 0.01092)],
)
def test_loss_under_uniform_drive_is_the_tabulated_one(n: int, ohm: float, exact: float) -> None:
    """Mean relative loss of current at 1 ohm a segment, uniform cells: shared/facts/ir_drop.md, section 4."""
    g = torch.full((n, n), 1 / ohm, dtype=torch.float64)
    loss = 1 - float(effective_conductance(g, ONE_OHM).sum() / g.sum())
    assert loss == pytest.approx(exact, abs=6e-6)


@given(
    shape=st.tuples(st.integers(4, 24), st.integers(4, 24)),
    ohm=st.tuples(*[st.sampled_from([0.0, 0.01, 0.3])] * 4),
)
def test_two_thirds_of_kappa_are_the_loss_to_first_order(shape: tuple[int, int], ohm: tuple[float, ...]) -> None:
    m, n = shape
    wires = Wires(r_word_ohm=ohm[0], r_bit_ohm=ohm[1], r_driver_ohm=ohm[2], r_sense_ohm=ohm[3])
    g = torch.full(shape, 1e-7, dtype=torch.float64)
    loss = 1 - float(effective_conductance(g, wires).sum() / g.sum())
    # Sums over m and n cells beside the integrals m^2 and n^2 of the formula: (1 + 1/n)(1 + 1/2n) at most.
    expected = 2 / 3 * float(kappa(g, wires))
    assert expected * (1 - 1e-3) - 1e-12 <= loss <= expected * (1 + 1 / min(m, n)) * (1 + 0.5 / min(m, n)) + 1e-12


def test_kappa_of_a_square_array_is_n_squared_r_g() -> None:
    g = drawn(3, 40, 40)
    torch.testing.assert_close(kappa(g, ONE_OHM), 1600.0 * g.mean((-2, -1)))


@pytest.mark.parametrize(
    ("n", "low", "rms", "worst"),
    [
        (32, 1e-5, 2.2e-4, 5.1e-4),
        (64, 1e-5, 2.8e-3, 7.2e-3),
        (128, 1e-5, 2.4e-2, 5.7e-2),
        (64, 1e-6, 3.5e-5, 9.1e-5),
        (128, 1e-6, 5.2e-4, 1.2e-3),
    ],
)
def test_alpha_beta_errs_as_tabulated(n: int, low: float, rms: float, worst: float) -> None:
    """Rms and largest error over the mean exact current: shared/facts/ir_drop.md, section 5 (kappa 0.06, 0.22, 0.9, and
    a tenth of them); another draw of cells and inputs, hence 10 % and 30 %."""
    g, v = drawn(n, n) * low * 1e5, inputs(n)
    exact = v @ effective_conductance(g, ONE_OHM)
    error = (v @ alpha_beta(g, ONE_OHM) - exact) / exact.mean()
    assert float(error.square().mean().sqrt()) == pytest.approx(rms, rel=0.10)
    assert float(error.abs().max()) == pytest.approx(worst, rel=0.30)


def test_alpha_beta_is_exact_where_one_end_alone_resists() -> None:
    for wires in (Wires(r_driver_ohm=900.0), Wires(r_sense_ohm=900.0)):
        g = drawn(20, 30)
        torch.testing.assert_close(alpha_beta(g, wires), effective_conductance(g, wires), rtol=1e-13, atol=0.0)


@pytest.mark.parametrize("driver", ["left", "right"])
@pytest.mark.parametrize("sense", ["bottom", "top"])
@pytest.mark.parametrize("shape", [(48, 96), (96, 48)])
def test_alpha_beta_keeps_to_its_stated_range_with_any_lines(shape: tuple[int, int], driver: str, sense: str) -> None:
    wires = Wires(r_word_ohm=1.0, r_bit_ohm=0.4, r_driver_ohm=25.0, r_sense_ohm=15.0)
    wires = replace(wires, driver=driver, sense=sense)  # type: ignore[arg-type]
    g, v = drawn(*shape), inputs(shape[0])
    exact = v @ effective_conductance(g, wires)
    rms = float((v @ alpha_beta(g, wires) - exact).square().mean().sqrt() / exact.mean())
    assert alpha_beta_limit(rms) <= float(kappa(g, wires))
    assert rms > 1e-3


def test_limit_of_alpha_beta_follows_the_measured_points() -> None:
    assert alpha_beta_limit(9.9e-3) == pytest.approx(0.3)
    assert alpha_beta_limit(0.074) == pytest.approx(1.0)
    assert alpha_beta_limit(1.3e-7) == pytest.approx(0.001)
    assert alpha_beta_limit(5.0) == 3.0


def test_auto_is_exact_where_that_holds() -> None:
    assert Wires().method_for(5.0) == "exact"
    assert Wires().method_for(5.0, linear=False) == "iterative"
    assert Wires(unselected="floating").method_for(0.1) == "iterative"
    assert Wires(method="alpha_beta").method_for(0.2) == "alpha_beta"
    assert Wires(method="iterative").method_for(0.2) == "iterative"


@pytest.mark.parametrize(
    ("wires", "linear", "size", "text"),
    [
        (
            Wires(method="alpha_beta"),
            True,
            0.9,
            "method 'alpha_beta' has an rms error above 0.01 of the mean current where kappa is above 0.302 (got 0.9): "
            "use method 'exact', smaller tiles or a larger tolerance",
        ),
        (
            Wires(method="exact"),
            False,
            0.1,
            "method 'exact' folds the wires into one matrix for all inputs, and the cells' current is not proportional "
            "to voltage: use method 'iterative'",
        ),
        (
            Wires(method="alpha_beta", unselected="floating"),
            True,
            0.1,
            "method 'alpha_beta' folds the wires into one matrix for all inputs, and unselected rows float: "
            "use method 'iterative'",
        ),
    ],
)
def test_a_method_outside_its_range_is_refused_with_the_reason(
    wires: Wires, linear: bool, size: float, text: str
) -> None:
    with pytest.raises(ValueError) as refusal:
        wires.method_for(size, linear=linear)
    assert str(refusal.value) == text


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"r_word_ohm": -1.0}, "r_word_ohm must be at least 0 and finite (got -1.0)"),
        ({"r_sense_ohm": float("inf")}, "r_sense_ohm must be at least 0 and finite (got inf)"),
        ({"r_bit_ohm": float("nan")}, "r_bit_ohm must be at least 0 and finite (got nan)"),
        ({"tolerance": 0.0}, "tolerance must be above 0 (got 0.0)"),
    ],
)
def test_impossible_wires_are_refused(wrong: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError) as refusal:
        Wires(**wrong)
    assert str(refusal.value) == text


@pytest.mark.parametrize(
    ("node", "side_F", "ohm"), [(130, 2, 0.14), (45, 4, 0.70), (22, 12, 4.7), (14, 2, 1.0), (7, 12, 12.5), (5, 4, 6.6)]
)
def test_wires_of_a_node_are_the_tabulated_ones(node: float, side_F: float, ohm: float) -> None:
    """Resistance per cell of 2 F, 4 F and 12 F: shared/facts/ir_drop.md, section 3."""
    wires = Wires.from_node(node, cell_width_F=side_F, cell_height_F=2 * side_F)
    assert wires.r_word_ohm == pytest.approx(ohm, rel=0.04)
    assert wires.r_bit_ohm == pytest.approx(2 * wires.r_word_ohm)
    assert Wires.from_node(node, barrier=True).r_word_ohm > Wires.from_node(node).r_word_ohm


def test_lines_of_smaller_nodes_resist_more_and_nodes_between_lie_between() -> None:
    per_um = [LINES[node].bulk_ohm_per_um for node in sorted(LINES)]
    assert per_um == sorted(per_um, reverse=True)
    assert segment_ohm(14, 2.0) > segment_ohm(16, 2.0) > segment_ohm(22, 2.0)


@pytest.mark.parametrize("node", [3.0, 180.0])
def test_nodes_outside_the_table_are_refused(node: float) -> None:
    with pytest.raises(ValueError, match=f"tabulated from 5 to 130 nm \\(got {node:g} nm\\): give r_word_ohm"):
        Wires.from_node(node)


@pytest.mark.parametrize(("n", "tolerance"), [(32, 0.005), (64, 0.015)])
def test_read_noise_behind_wires_is_that_of_exact_reads(n: int, tolerance: float) -> None:
    """Standard deviation of columns to first order in the noise, from the exact matrix's own derivatives; noise that
    ignores the wires is 5 and 20 % too large (kappa 0.06 and 0.22)."""
    g = drawn(n, n)
    v = inputs(n)[[0, 5]]
    cells = g.clone().requires_grad_()
    current = v @ effective_conductance(cells, ONE_OHM)
    for row in range(2):
        for column in (0, n // 2, n - 1):
            slope = torch.autograd.grad(current[row, column], cells, retain_graph=True)[0]
            exact = float((0.01 * g * slope).square().sum().sqrt())
            found = float(read_variance(v, 0.01 * g, g, ONE_OHM)[row, column].sqrt())
            assert found == pytest.approx(exact, rel=tolerance)
            assert float((v[row].square() @ (0.01 * g).square())[column].sqrt()) > exact * (1 + 4 * tolerance)


def test_read_noise_behind_wires_is_that_of_many_exact_reads() -> None:
    """1,500 draws of every cell, each folded exactly: standard deviations pooled over 24 columns, to four of their
    standard errors of 0.37 %."""
    wires = Wires(r_word_ohm=8.0, r_bit_ohm=8.0, r_driver_ohm=20.0)
    g, draw = drawn(24, 24), torch.Generator().manual_seed(5)
    sigma = 0.02 * g
    v = inputs(24)[:1]
    noisy = g + sigma * torch.randn((1500, 24, 24), generator=draw, dtype=torch.float64)
    measured = (v @ effective_conductance(noisy, wires)).var(0)
    ratio = float((read_variance(v, sigma, g, wires) / measured).mean().sqrt())
    assert ratio == pytest.approx(1.0, abs=0.015)


@pytest.mark.parametrize("ohm", [(1.8, 1.8), (25.0, 25.0), (50.0, 0.0), (0.0, 50.0)], ids=str)
def test_noise_of_two_phase_pulses_behind_wires_is_that_of_each_cell_in_turn(ohm: tuple[float, float]) -> None:
    """A cell's noise is the same in both phases of a product, whose charges are subtracted: each cell of the exact
    network is changed in turn, for 200 signed vectors, to 1 % in the mean; kappa is 0.06 and 0.8. The square of
    alpha-beta's factors is 5 to 7 % too large at 0.8."""
    wires, size, step = Wires(r_word_ohm=ohm[0], r_bit_ohm=ohm[1]), 16, 1e-4
    g, draw = drawn(size, size), torch.Generator().manual_seed(7)
    counts = (5.0 * torch.randn((200, size), generator=draw, dtype=torch.float64)).round().clamp(-15, 15)
    rows, columns = (each.flatten() for each in torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij"))
    changed = g.repeat(size * size, 1, 1)
    changed[torch.arange(size * size), rows, columns] *= 1.0 + step
    of_cells = (effective_conductance(changed, wires) - effective_conductance(g[None], wires)) / step
    exact = torch.einsum("vr,krc->vkc", counts, 0.02 * of_cells).square().sum(1)
    found = counts.square() @ FoldedNoise.of((0.02 * g).square()[None], g[None], wires).square_S2[0]
    assert float((found / exact).mean().sqrt()) == pytest.approx(1.0, abs=0.01)


def test_noise_without_wires_is_the_plain_sum_of_squares() -> None:
    g, v = drawn(2, 9, 5), inputs(9)
    sigma = 0.1 * drawn(2, 9, 5, seed=2)
    torch.testing.assert_close(read_variance(v, sigma, g, Wires()), v.square() @ sigma.square(), rtol=1e-12, atol=0.0)
    nothing = FoldedNoise.of(sigma.square(), torch.zeros_like(g), ONE_OHM)
    assert bool(nothing.variance(v).isfinite().all())
