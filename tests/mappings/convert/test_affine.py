"""What always driven cells and a column's own factor and offset do to a converted network."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

import mho
from devices import InputError
from devices.gaussian import Gaussian
from mappings.chip import Chip, Compensation
from mappings.matrix import WeightMatrix
from mho.network.convert import chip_named
from periphery.drivers.base import full_scale


def relative_error(net: nn.Module, chip: Chip, x: torch.Tensor, t_s: float = 0.0) -> float:
    """Mean square of what four chips give beside the network, over that of the network."""
    with torch.no_grad():
        wanted, found = net(x), mho.convert(net, chip, example=x).program(4, seed=5).at(t_s)(x)
    return float((found - wanted).square().mean() / wanted.square().mean())


def small() -> tuple[nn.Sequential, torch.Tensor]:
    """Two layers whose inputs have means, as behind a relu, and biases small beside what full-scale inputs make."""
    torch.manual_seed(2)
    net = nn.Sequential(nn.Linear(40, 24), nn.ReLU(), nn.Linear(24, 10))
    return net.eval(), torch.rand(64, 40) + 0.2


def cells(chip: str, sigma: float) -> Chip:
    """A chip of 8 bits whose cells alone err."""
    ideal = chip_named(chip).idealised()
    found = Gaussian(g_max_S=100e-6, sigma_absolute=sigma)
    return replace(ideal, bits=8, weights=replace(ideal.weights, device=found))


@pytest.mark.parametrize("level", [0.01, 0.3, 0.9])
def test_lines_of_a_bias_are_driven_as_briefly_as_its_cells_allow(level: float) -> None:
    chip = chip_named("yang2025")
    chip = replace(chip, bits=8, driver=replace(chip.driver, x_max=2.0))
    weight = torch.linspace(-1.0, 1.0, 30).reshape(5, 6)
    bias = torch.linspace(-1.0, 1.0, 5) * level * 2.0
    short, full = (WeightMatrix((weight,), bias, bias_pulse=how) for how in ("shortest", "full"))
    top, counts = full_scale(8), short.bias_counts(chip, 1)
    assert full.bias_counts(chip, 1) == top
    assert counts - 1 < level * top <= counts + 1e-3
    held = short.rows(1, counts * chip.driver.lsb(8))[-1]
    torch.testing.assert_close(held * counts * chip.driver.lsb(8), bias)
    assert float(held.abs().max()) <= 1.0 + 1e-5


def test_a_converted_network_errs_less_by_the_shorter_pulses_of_its_bias(monkeypatch: pytest.MonkeyPatch) -> None:
    net, x = small()
    with torch.no_grad():
        net[0].weight.mul_(2.0)
    x[0, 0] = 4.0  # one input sets the range
    chip = cells("yang2025", 0.03)
    short = relative_error(net, chip, x)
    monkeypatch.setattr(WeightMatrix, "bias_counts", lambda self, chip, bias_rows: chip.driver.top(chip.bits))
    assert short < 0.8 * relative_error(net, chip, x)


@pytest.mark.parametrize("name", ["yang2025", "hermes_core"])
def test_factors_and_offsets_fitted_to_own_inputs_take_out_most_of_the_errors_of_cells(name: str) -> None:
    net, x = small()
    chip = cells(name, 0.03)
    found = {
        mode: relative_error(net, replace(chip, compensation=Compensation(mode=mode, baseline="exact", vectors=256)), x)
        for mode in ("off", "per_column", "affine")
    }
    assert found["affine"] < 0.35 * min(found["off"], found["per_column"])


def test_drift_is_undone_by_it() -> None:
    net, x = small()
    chip = replace(chip_named("hermes_core"), compensation=Compensation(mode="affine", baseline="exact", vectors=256))
    off = replace(chip, compensation=Compensation())
    year_s = 3.15e7
    assert relative_error(net, chip, x, year_s) < 0.2 * relative_error(net, off, x, year_s)
    (factor,) = mho.convert(net, chip, example=x).program(4).at(year_s).layers["0"].factors
    assert factor.shape == (4, 1, 1)
    assert 0.2 < float(factor.mean()) < 0.9


def test_factors_and_offsets_of_words_are_priced() -> None:
    net, x = small()
    chip = chip_named("hermes_core")
    affine = replace(chip, compensation=Compensation(mode="affine", baseline="exact"))
    plain, fitted = (mho.convert(net, one, example=x).map().layers["0"].actions() for one in (chip, affine))
    for component, action, per_column in (("multiplier", "bit_product", 8 * 8), ("adder", "add_bit", 8)):
        before, after = (
            sum(one.count for one in done.actions if (one.component, one.action) == (component, action))
            for done in (plain, fitted)
        )
        calibration = 1e-3 * 24 * per_column
        assert after - before == pytest.approx(24 * per_column, abs=calibration)
    assert (
        mho.convert(net, affine, example=x).cost(x[:1]).summary["area_m2"]
        > mho.convert(net, chip, example=x).cost(x[:1]).summary["area_m2"]
    )


def test_columns_of_own_scales_are_priced() -> None:
    net, x = small()
    for name, component in (("hermes_core", "multiplier"), ("yang2025", "column_front_end")):
        chip = chip_named(name)
        encoding = replace(chip.weights.encoding, scale="column")
        both = (chip, replace(chip, weights=replace(chip.weights, encoding=encoding)))
        tile, column = (
            sum(
                one.count
                for one in mho.convert(net, each, example=x).map().layers["0"].actions().instances
                if one.component == component
            )
            for each in both
        )
        assert column > tile


def test_a_layer_without_inputs_of_its_own_is_refused() -> None:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = nn.LSTM(6, 5, batch_first=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.cell(x)[0]

    chip = replace(chip_named("yang2025"), compensation=Compensation(mode="affine"))
    x = torch.randn(3, 4, 6)
    with pytest.raises(InputError, match="affine measures with a layer's own inputs"):
        mho.convert(Recurrent(), chip, example=x).program(1).at(0.0)(x)
