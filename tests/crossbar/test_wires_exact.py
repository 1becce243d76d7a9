"""The exact effective conductance against independent nodal solutions, in double precision and in rational numbers."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg
import torch
from hypothesis import given
from hypothesis import strategies as st

from crossbar.wires import Wires, alpha_beta, effective_conductance

ENDS = [(driver, sense) for driver in ("left", "right") for sense in ("bottom", "top")]


def drawn(*shape: int, seed: int = 0, zeros: float = 0.0) -> torch.Tensor:
    """Conductances uniform in 10 to 100 uS, a share of them zero [S]."""
    draw = torch.Generator().manual_seed(seed)
    g = 1e-5 + 9e-5 * torch.rand(shape, generator=draw, dtype=torch.float64)
    return g * (torch.rand(shape, generator=draw) >= zeros)


def nodal(g: np.ndarray, wires: Wires) -> np.ndarray:
    """``G_eff`` from one sparse factorisation of all nodes and a unit current at every sense input."""
    m, n = g.shape
    word = np.arange(m * n).reshape(m, n)
    bit = word + m * n
    driven, sensed = word[:, 0 if wires.driver == "left" else -1], bit[-1 if wires.sense == "bottom" else 0]
    at_driver, at_sense = 1 / (wires.r_word_ohm + wires.r_driver_ohm), 1 / (wires.r_bit_ohm + wires.r_sense_ohm)
    one = [word.ravel(), word[:, 1:].ravel(), bit[1:].ravel()]
    other = [bit.ravel(), word[:, :-1].ravel(), bit[:-1].ravel()]
    weight = [g.ravel(), np.full(m * (n - 1), 1 / wires.r_word_ohm), np.full((m - 1) * n, 1 / wires.r_bit_ohm)]
    a, b, w = (np.concatenate(part) for part in (one, other, weight))
    ends, end_weight = np.concatenate((driven, sensed)), np.repeat((at_driver, at_sense), (m, n))
    rows, columns = np.concatenate((a, b, a, b, ends)), np.concatenate((a, b, b, a, ends))
    matrix = scipy.sparse.coo_matrix((np.concatenate((w, w, -w, -w, end_weight)), (rows, columns))).tocsc()
    unit = np.zeros((2 * m * n, n))
    unit[sensed, np.arange(n)] = 1.0
    factors = scipy.sparse.linalg.splu(
        matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
    )
    return at_driver * at_sense * factors.solve(unit)[driven]


def rational(g: list[list[Fraction]], word: Fraction, bit: Fraction, driver: Fraction, sense: Fraction) -> np.ndarray:
    """``G_eff`` of a small array in exact arithmetic: Gauss-Jordan elimination of all its nodes."""
    m, n = len(g), len(g[0])
    size = 2 * m * n
    rows = [[Fraction(0)] * (size + n) for _ in range(size)]

    def tie(a: int, b: int, conductance: Fraction) -> None:
        for one, other in ((a, b), (b, a)):
            rows[one][one] += conductance
            rows[one][other] -= conductance

    for i in range(m):
        for j in range(n):
            node = i * n + j
            tie(node, node + m * n, g[i][j])
            if j:
                tie(node, node - 1, 1 / word)
            if i:
                tie(node + m * n, node + m * n - n, 1 / bit)
        rows[i * n][i * n] += 1 / (word + driver)
    for j in range(n):
        node = m * n + (m - 1) * n + j
        rows[node][node] += 1 / (bit + sense)
        rows[node][size + j] = Fraction(1)
    for k in range(size):
        inverse = 1 / rows[k][k]
        rows[k] = [x * inverse for x in rows[k]]
        for other in range(size):
            if other != k and rows[other][k]:
                factor = rows[other][k]
                rows[other] = [x - factor * y if y else x for x, y in zip(rows[other], rows[k], strict=True)]
    ends = 1 / (word + driver) / (bit + sense)
    return np.array([[float(rows[i * n][size + j] * ends) for j in range(n)] for i in range(m)])


@pytest.mark.parametrize(("driver", "sense"), ENDS)
@pytest.mark.parametrize("shape", [(16, 16), (64, 64), (128, 128), (24, 72), (65, 31), (1, 20), (20, 1)])
def test_agrees_with_an_independent_nodal_solution(shape: tuple[int, int], driver: str, sense: str) -> None:
    draw = np.random.default_rng(shape[0])
    word, bit = draw.uniform(0.2, 4.0, 2)
    at_driver, at_sense = draw.uniform(0.0, 300.0, 2)
    wires = Wires(r_word_ohm=word, r_bit_ohm=bit, r_driver_ohm=at_driver, r_sense_ohm=at_sense)
    wires = replace(wires, driver=driver, sense=sense)  # type: ignore[arg-type]
    g = drawn(*shape, seed=shape[1])
    np.testing.assert_allclose(effective_conductance(g, wires), nodal(g.numpy(), wires), rtol=1e-9, atol=0.0)


@pytest.mark.parametrize(("r", "scale"), [("1", "1"), ("1/1000", "1/1000"), ("300", "10")])
def test_keeps_relative_accuracy_over_ten_decades_of_r_times_g(r: str, scale: str) -> None:
    """From ``r G`` of 1e-13 to 0.3, cells a thousand times apart: against exact arithmetic."""
    g = [[Fraction(scale) * Fraction(10 ** ((3 * i + 5 * j) % 4), 10**7) for j in range(4)] for i in range(5)]
    word, bit, driver, sense = (Fraction(r) * Fraction(x) for x in ("1", "3/2", "20", "7"))
    wires = Wires(r_word_ohm=float(word), r_bit_ohm=float(bit), r_driver_ohm=float(driver), r_sense_ohm=float(sense))
    found = effective_conductance(torch.tensor([[float(x) for x in row] for row in g], dtype=torch.float64), wires)
    np.testing.assert_allclose(found, rational(g, word, bit, driver, sense), rtol=1e-13, atol=0.0)


NO_RESISTANCE = [(0, 2, 0, 0), (0, 2, 50, 0), (0, 2, 50, 20), (2, 0, 0, 0), (2, 0, 10, 0), (2, 0, 10, 30), (0, 0, 9, 5)]


@pytest.mark.parametrize("ohm", NO_RESISTANCE)
def test_a_line_without_resistance_is_the_limit_of_small_ones(ohm: tuple[int, int, int, int]) -> None:
    names = ("r_word_ohm", "r_bit_ohm", "r_driver_ohm", "r_sense_ohm")
    wires = Wires(driver="right", **dict(zip(names, ohm, strict=True)))  # type: ignore[arg-type]
    g = drawn(18, 20, zeros=0.1)
    small, smaller = (
        nodal(g.numpy(), replace(wires, r_word_ohm=max(ohm[0], r), r_bit_ohm=max(ohm[1], r))) for r in (1e-3, 5e-4)
    )
    limit = 2 * smaller - small
    np.testing.assert_allclose(effective_conductance(g, wires), limit, rtol=1e-8, atol=1e-7 * float(g.max()))


def test_driver_and_sense_input_alone_have_a_closed_form() -> None:
    """A driver's resistance divides the row's voltage by ``1 + r sum_j G_ij``."""
    g = drawn(12, 10)
    found = effective_conductance(g, Wires(r_driver_ohm=700.0))
    torch.testing.assert_close(found, g / (1 + 700.0 * g.sum(1, keepdim=True)), rtol=1e-14, atol=0.0)
    assert effective_conductance(g, Wires()) is g


@given(
    shape=st.tuples(st.integers(1, 14), st.integers(1, 14)),
    ohm=st.tuples(*[st.sampled_from([0.0, 0.3, 5.0, 200.0])] * 4),
    zeros=st.sampled_from([0.0, 0.3, 1.0]),
    seed=st.integers(0, 99),
)
def test_wires_only_take_current_and_both_ways_are_alike(
    shape: tuple[int, int], ohm: tuple[float, float, float, float], zeros: float, seed: int
) -> None:
    """No entry is negative, no row conducts more than its cells, and the array read backwards is its transpose."""
    word, bit, driver, sense = ohm
    wires = Wires(r_word_ohm=word, r_bit_ohm=bit, r_driver_ohm=driver, r_sense_ohm=sense)
    g = drawn(*shape, seed=seed, zeros=zeros)
    found = effective_conductance(g, wires)
    assert bool((found >= 0.0).all())
    assert bool((found.sum(1) <= g.sum(1) * (1 + 1e-9)).all())
    swapped = Wires(r_word_ohm=bit, r_bit_ohm=word, r_driver_ohm=sense, r_sense_ohm=driver, driver="right", sense="top")
    backwards = effective_conductance(g.T, swapped).T
    torch.testing.assert_close(found, backwards, rtol=1e-9, atol=1e-12 * 1e-4)


def test_chips_and_tiles_are_a_batch_and_move_no_bit_of_each_other() -> None:
    wires = Wires(r_word_ohm=1.0, r_bit_ohm=2.0, sense="top")
    g = drawn(3, 7, 40, 36)
    together = effective_conductance(g, wires)
    assert together.shape == g.shape
    for chip in range(3):
        for tile in range(7):
            assert torch.equal(together[chip, tile], effective_conductance(g[chip, tile], wires))


def test_single_precision_goes_in_and_comes_out() -> None:
    wires = Wires(r_word_ohm=1.0, r_bit_ohm=1.0)
    g = drawn(30, 30)
    found = effective_conductance(g.float(), wires)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), effective_conductance(g, wires), rtol=1e-6, atol=0.0)


@pytest.mark.parametrize(
    "wires",
    [
        Wires(r_word_ohm=500.0, r_bit_ohm=900.0, r_driver_ohm=300.0, r_sense_ohm=100.0, driver="right", sense="top"),
        Wires(r_bit_ohm=900.0, r_driver_ohm=300.0, r_sense_ohm=50.0),
        Wires(r_word_ohm=900.0, r_driver_ohm=300.0, r_sense_ohm=50.0),
    ],
)
def test_gradients_are_those_of_finite_differences(wires: Wires) -> None:
    g = (1e4 * drawn(2, 5, 3)).requires_grad_()  # near 1, where gradcheck's steps are made for
    scaled = {name: getattr(wires, name) * 1e-4 for name in ("r_word_ohm", "r_bit_ohm", "r_driver_ohm", "r_sense_ohm")}
    wires = replace(wires, **scaled)
    assert torch.autograd.gradcheck(lambda x: effective_conductance(x, wires), g)
    assert torch.autograd.gradcheck(lambda x: alpha_beta(x, wires), g)


@pytest.mark.parametrize("value", [-1e-6, float("nan"), float("inf")])
def test_impossible_conductances_are_refused(value: float) -> None:
    g = drawn(4, 4)
    g[1, 2] = value
    with pytest.raises(ValueError, match="conductances of an array with wires must be finite and at least 0 S"):
        effective_conductance(g, Wires(r_word_ohm=1.0))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_gpu_and_cpu_agree() -> None:
    wires = Wires(r_word_ohm=1.0, r_bit_ohm=2.0, r_driver_ohm=30.0, driver="right")
    g = drawn(5, 72, 128)
    torch.testing.assert_close(
        effective_conductance(g.cuda(), wires).cpu(), effective_conductance(g, wires), rtol=1e-10, atol=0.0
    )
