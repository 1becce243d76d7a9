"""The iterative method against the exact matrix, against Kirchhoff's laws, and where it must refuse."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from crossbar.wires import NotConvergedError, Wires, effective_conductance, ends, kappa, solve
from devices import MiloRRAM


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return 1e-5 + 9e-5 * torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def inputs(*shape: int, seed: int = 1) -> torch.Tensor:
    return 0.4 * torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) - 0.2


def worst(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("driver", ["left", "right"])
@pytest.mark.parametrize("sense", ["bottom", "top"])
@pytest.mark.parametrize("shape", [(16, 16), (96, 40), (33, 130)])
def test_linear_cells_give_the_exact_matrix(shape: tuple[int, int], driver: str, sense: str) -> None:
    wires = Wires(r_word_ohm=1.0, r_bit_ohm=2.5, r_driver_ohm=60.0, r_sense_ohm=20.0)
    wires = replace(wires, driver=driver, sense=sense)  # type: ignore[arg-type]
    g, v = drawn(2, *shape), inputs(2, 3, shape[0])
    found = solve(v, (g,), wires)
    assert worst(found.current_A, v @ effective_conductance(g, wires)) < 1e-8
    assert found.residual <= 1e-10
    assert found.iterations <= 8
    assert found.newton_steps == 1


@given(
    shape=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    ohm=st.tuples(*[st.sampled_from([0.0, 0.3, 20.0, 2000.0])] * 4),
    seed=st.integers(0, 99),
)
def test_any_resistance_may_be_zero_or_large(
    shape: tuple[int, int], ohm: tuple[float, float, float, float], seed: int
) -> None:
    wires = Wires(r_word_ohm=ohm[0], r_bit_ohm=ohm[1], r_driver_ohm=ohm[2], r_sense_ohm=ohm[3], driver="right")
    g, v = drawn(*shape, seed=seed), inputs(2, shape[0]).abs()
    assert worst(solve(v, (g,), wires).current_A, v @ effective_conductance(g, wires)) < 1e-8


@pytest.mark.parametrize(("n", "most"), [(64, 5), (256, 9)])
def test_iterations_stay_few_as_arrays_grow(n: int, most: int) -> None:
    """With the word lines eliminated, 1e-10 of the current takes no more iterations than a residual of 1e-10 does where
    all lines precondition the whole system (5 at 64 rows, 9 at 256: docs/wires.md)."""
    g, wires = drawn(n, n), Wires(r_word_ohm=1.0, r_bit_ohm=1.0)
    assert solve(inputs(1, n), (g,), wires).iterations <= most


def test_nonlinear_cells_obey_kirchhoff_and_their_own_law() -> None:
    """One cell behind its resistances: ``V = U + R I(U)`` to rounding, at both signs."""
    c1, c2, c3 = 1e-4, 3e-4, 2e-4
    wires = Wires(r_word_ohm=300.0, r_bit_ohm=200.0, r_driver_ohm=1000.0, r_sense_ohm=500.0)
    u = torch.linspace(-0.6, 0.6, 13, dtype=torch.float64)
    current = (c1 * u.abs() + c2 * u.abs() ** 2 + c3 * u.abs() ** 3) * u.sign()
    v = u + 2000.0 * current
    cell = [torch.full((1, 1), c, dtype=torch.float64) for c in (c1, c2, c3)]
    found = solve(v[:, None], cell, wires)
    torch.testing.assert_close(found.current_A[:, 0], current, rtol=1e-9, atol=1e-18)
    assert found.newton_steps > 1


def test_without_resistance_cells_see_their_inputs() -> None:
    g, v = drawn(9, 7), inputs(4, 9)
    cells = (g, 2 * g, 5 * g)
    size = v.abs()
    ideal = sum((size**power * v.sign()) @ c for power, c in enumerate(cells, 1))
    torch.testing.assert_close(solve(v, cells, Wires()).current_A, ideal, rtol=1e-12, atol=1e-20)


def test_a_nonlinear_device_goes_in_as_it_is() -> None:
    """Currents of Milo's cells at the voltages that the wires leave them: found without Newton, by repeated reading."""
    device = MiloRRAM()
    g = device.g_min_S + (device.g_max_S - device.g_min_S) * (drawn(8, 6) - 1e-5) / 9e-5
    wires, v = Wires(r_driver_ohm=100.0), inputs(3, 8)
    across = v[..., None]
    for _ in range(60):
        current = device.current_A(g, across.expand(3, 8, 6))
        across = (v - 100.0 * current.sum(-1))[..., None]
    found = solve(v, device.current_coefficients(g), wires)
    assert found.newton_steps > 1
    torch.testing.assert_close(found.current_A, current.sum(1), rtol=1e-9, atol=0.0)


def test_rows_gated_off_are_rows_that_are_not_there() -> None:
    """A floating row loads no bit line; a grounded one does, and takes current off it."""
    g = drawn(12, 10)
    v = inputs(1, 12).abs()
    v[0, 3:9] = 0.0
    wires = Wires(r_word_ohm=2.0, r_bit_ohm=30.0)
    floating = solve(v, (g,), replace(wires, unselected="floating")).current_A
    absent = g.clone()
    absent[3:9] = 0.0
    torch.testing.assert_close(floating, v @ effective_conductance(absent, wires), rtol=1e-9, atol=0.0)
    grounded = solve(v, (g,), wires).current_A
    assert bool((grounded < floating).all())


def test_vectors_and_chips_move_no_bit_of_each_other() -> None:
    wires = Wires(r_word_ohm=4.0, r_bit_ohm=3.0, unselected="floating")
    g, v = drawn(3, 20, 24), inputs(3, 5, 20)
    v[:, 2] *= 1e-3
    v[:, 3, ::2] = 0.0
    together = solve(v, (g, 4 * g), wires).current_A
    for chip in range(3):
        for k in range(5):
            assert torch.equal(together[chip, k], solve(v[chip, k : k + 1], (g[chip], 4 * g[chip]), wires).current_A[0])


def test_no_input_gives_no_current() -> None:
    found = solve(torch.zeros(2, 6), (drawn(6, 4), drawn(6, 4)), Wires(r_word_ohm=1.0, r_bit_ohm=1.0))
    assert torch.equal(found.current_A, torch.zeros(2, 4))


def test_too_few_iterations_are_an_error_not_a_result() -> None:
    g, wires = drawn(64, 64), Wires(r_word_ohm=40.0, r_bit_ohm=40.0)
    assert float(kappa(g, wires)) > 5
    with pytest.raises(NotConvergedError, match="did not settle in 3 iterations of conjugate gradients"):
        solve(inputs(1, 64), (g,), wires, max_iterations=3)
    assert worst(solve(inputs(1, 64), (g,), wires).current_A, inputs(1, 64) @ effective_conductance(g, wires)) < 1e-8


def test_a_tolerance_beyond_double_precision_is_an_error() -> None:
    with pytest.raises(NotConvergedError):
        solve(inputs(1, 32), (drawn(32, 32),), Wires(r_word_ohm=1.0, r_bit_ohm=1.0), tolerance=1e-19)


def test_falling_current_is_refused() -> None:
    cells = (drawn(4, 4), -1e-3 * torch.ones(4, 4, dtype=torch.float64))
    with pytest.raises(ValueError, match=r"current of a cell falls with rising voltage at 0\.\d+ V"):
        solve(torch.full((1, 4), 0.2, dtype=torch.float64), cells, Wires(r_word_ohm=1.0, r_bit_ohm=1.0))


def test_what_is_not_finite_and_what_wants_a_gradient_is_refused() -> None:
    wires = Wires(r_word_ohm=1.0)
    with pytest.raises(ValueError, match="must be finite"):
        solve(torch.full((1, 4), float("nan")), (drawn(4, 4),), wires)
    with pytest.raises(ValueError, match="'iterative' has no gradient: use 'exact' or 'alpha_beta'"):
        solve(inputs(1, 4), (drawn(4, 4).requires_grad_(),), wires)


@pytest.mark.parametrize("driver", ["left", "right"])
@pytest.mark.parametrize("sense", ["bottom", "top"])
@pytest.mark.parametrize("ohm", [(1.0, 3.0, 20.0, 10.0), (0.0, 3.0, 20.0, 0.0), (1.0, 0.0, 0.0, 10.0)])
def test_drivers_of_the_folded_array_supply_what_they_do_vector_by_vector(
    ohm: tuple[float, ...], driver: Literal["left", "right"], sense: Literal["bottom", "top"]
) -> None:
    """One line alone, and all at once; what lines at 0 V sink is what the sense inputs miss."""
    word, bit, at_driver, at_sense = ohm
    wires = Wires(
        r_word_ohm=word, r_bit_ohm=bit, r_driver_ohm=at_driver, r_sense_ohm=at_sense, driver=driver, sense=sense
    )
    g = drawn(12, 20)
    found = ends(g, wires)
    one = solve(torch.eye(12, dtype=torch.float64), (g,), wires)
    torch.testing.assert_close(one.driver_A.diagonal(), found.alone_S, rtol=1e-9, atol=0.0)
    torch.testing.assert_close(one.driver_A.diagonal() - one.current_A.sum(-1), found.sunk_S, rtol=1e-6, atol=1e-15)
    whole = solve(torch.ones(1, 12, dtype=torch.float64), (g,), wires)
    torch.testing.assert_close(whole.driver_A[0], found.alone_S - found.sunk_S, rtol=1e-9, atol=0.0)
