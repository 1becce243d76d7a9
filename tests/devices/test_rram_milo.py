"""Milo's RRAM: the published spread and current, in the units in which they were published."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from devices import ChipStreams, MiloRRAM, Stream

SAMPLES = 1_000_000


def published_current_A(g_S: np.ndarray, v_V: np.ndarray) -> np.ndarray:
    """The equation as printed, term by term, for positive voltages."""
    x = np.log10(g_S)
    n2 = 1.388e-4 * x**3 + 1.541e-3 * x**2 + 5.711e-3 * x + 7.063e-3
    n3 = 8.8710e-5 * x**2 + 6.7919e-4 * x + 1.2968e-3
    return g_S * v_V + n2 * v_V**2 + n3 * v_V**3


@pytest.mark.parametrize(("g_uS", "sigma_uS"), [(50.0, 4.326971), (137.5, 3.5301085), (225.0, 2.733246)])
def test_spread_after_verify_has_the_published_moments(g_uS: float, sigma_uS: float) -> None:
    target = torch.full((1, SAMPLES), g_uS * 1e-6, dtype=torch.float64)
    error = MiloRRAM().program(target, rng=ChipStreams.of(Stream.root(3), 1)).programmed_S - target
    assert float(error.std()) * 1e6 == pytest.approx(sigma_uS, rel=0.01)
    assert float(error.mean()) * 1e6 == pytest.approx(0.0, abs=4 * sigma_uS / math.sqrt(SAMPLES))


@pytest.mark.parametrize(("dtype", "rel"), [(torch.float64, 1e-12), (torch.float32, 3e-7)])
def test_current_is_the_published_polynomial_of_conductance_in_siemens(dtype: torch.dtype, rel: float) -> None:
    g = torch.linspace(50e-6, 225e-6, 36, dtype=dtype)[:, None]
    v = torch.linspace(0.0, 0.5, 26, dtype=dtype)[None, :]
    wanted = published_current_A(g.double().numpy(), v.double().numpy())
    current = MiloRRAM().current_A(g, v).double().numpy()
    np.testing.assert_allclose(current, wanted, rtol=rel, atol=rel * 1e-4)
    np.testing.assert_array_equal(MiloRRAM().current_A(g, -v).double().numpy(), -current)


def test_nonlinearity_is_that_of_the_paper_and_not_of_another_unit() -> None:
    """Worked by hand: x = -4 at 100 uS gives N2 = -8.2e-6 and N3 = -6e-7; at 50 uS the cell bends most."""
    first, second, third = MiloRRAM().current_coefficients(torch.tensor([100e-6], dtype=torch.float64))
    assert float(first) == 100e-6
    assert float(second) == pytest.approx(-8.2e-6, rel=1e-6)
    assert float(third) == pytest.approx(-6e-7, rel=1e-6)
    g = torch.tensor([50e-6, 225e-6], dtype=torch.float64)
    bend = MiloRRAM().current_A(g, torch.tensor(0.5, dtype=torch.float64)) / (0.5 * g)
    assert 0.6 < float(bend[0]) < 0.8
    assert float(bend[1]) == pytest.approx(1.0, abs=0.01)
    assert not MiloRRAM().linear


def test_a_dead_cell_carries_no_current_and_a_cell_out_of_range_keeps_the_shape_of_the_nearest_end() -> None:
    v = torch.tensor(0.4, dtype=torch.float64)
    g = torch.tensor([0.0, 25e-6, 50e-6, 225e-6, 450e-6], dtype=torch.float64)
    current = MiloRRAM().current_A(g, v)
    assert float(current[0]) == 0.0
    assert float(current[1] / current[2]) == pytest.approx(0.5)
    assert float(current[4] / current[3]) == pytest.approx(2.0)


@pytest.mark.parametrize("v_V", [0.6, -0.6, math.nan])
def test_voltages_beyond_the_measurement_are_refused(v_V: float) -> None:
    with pytest.raises(ValueError) as caught:
        MiloRRAM().current_A(torch.tensor([100e-6]), torch.tensor([0.1, v_V]))
    size = "nan" if math.isnan(v_V) else "0.6"
    assert str(caught.value) == f"v_V must lie within +-0.5 V, where the current was measured (got {size})"
