"""What calibration measures of columns whose gain is known."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Literal

import pytest
import torch
from torch import nn

import mho
from devices import AnyDevice, BlockNoise, ChipStreams, Device, Gaussian, Ideal, Stream
from mappings.chip import Chip, Compensation, Weights, normal_quantiles
from mappings.matrix import calibration_counts
from mappings.network.dense import DenseLayer
from mappings.network.layer import MatrixLayer, ProgrammedMatrixLayer
from mappings.network.recurrent import RecurrentLayer
from mho.config.read import read
from mho.network.convert import chip_named
from periphery import Comparator, ConventionalADC, RampColumn
from periphery.adc.calibration import RangeCalibration
from tests.quiet import CIRCUIT

UNVERIFIED = read("rram_superT_unverified", AnyDevice, folder="devices").value
Readout = Literal["ramp", "conventional"]


def chip_of(bits: int, readout: Readout, device: Device | None = None, **fields: Any) -> Chip:
    """Quiet circuits of so many bits everywhere, every column of which is trimmed to exact products."""
    chip = Chip(
        bits=bits,
        readout=readout,
        weights=Weights(device=device or Ideal()),  # type: ignore[arg-type]
        ramp=RampColumn(device=Ideal(), capacitor_mismatch=0.0),
        adc=ConventionalADC(bits=bits, range_z=4.0),
        compensation=Compensation(mode="per_column", baseline="exact"),
        **CIRCUIT | fields,
    )
    return replace(chip, output=replace(chip.output, bits=bits))


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def gates(size: float) -> MatrixLayer:
    """Columns behind sigmoid and tanh whose sums spread by ``size`` when all lines are driven."""
    weights = normal(4 * 48, 30), normal(4 * 48, 48, seed=1)
    return RecurrentLayer.from_torch("lstm", *(one * size / math.sqrt(78) for one in weights), None)


def sums(size: float) -> MatrixLayer:
    """The same behind a linear converter over -4 to 4."""
    return DenseLayer.from_torch(normal(32, 60) * size / math.sqrt(60), None, limit=4.0, measures_drift=True)


def bent(programmed: ProgrammedMatrixLayer) -> ProgrammedMatrixLayer:
    """The layer with all cells of each column larger or smaller by up to a fifth."""
    array = programmed.matrix.array
    written = array.cells.programmed_S
    gain = 0.8 + 0.4 * torch.rand(written.shape[-1], generator=torch.Generator().manual_seed(3))
    moved = replace(array, cells=replace(array.cells, programmed_S=written * gain))
    return replace(programmed, matrix=replace(programmed.matrix, array=moved))


def ratios(programmed: ProgrammedMatrixLayer) -> list[torch.Tensor]:
    """By group, measured factors over the gains of the columns, by least squares over the cells."""
    read, values, chip = programmed.at(0.0), programmed.mapped.matrix.values, programmed.mapped.chip
    cells = read.columns.matrix.array.difference_S / chip.driver.lsb(chip.bits)
    gain = (cells * values).sum(1) / values.square().sum(0)
    found = []
    for converter, ramp, trim in zip(programmed.converters, read.factors, read.columns.trims, strict=True):
        assert trim is not None
        found.append(((ramp * trim) / converter.group.gather(gain[:, None])[:, 0]).flatten())
    return found


def unbiased(found: torch.Tensor, slack: float = 0.005) -> bool:
    """Whether the mean is 1 within four standard errors and ``slack``, for what clipping of the noisiest does."""
    return abs(float(found.mean()) - 1.0) < 4.0 * float(found.std()) / math.sqrt(len(found)) + slack


@pytest.mark.parametrize("bits", [3, 4, 5, 8])
@pytest.mark.parametrize("readout", ["ramp", "conventional"])
@pytest.mark.parametrize("size", [0.5, 1.0, 4.0])
@pytest.mark.parametrize("layer", [gates, sums])
def test_a_known_gain_of_a_column_is_measured(layer: Any, size: float, readout: Readout, bits: int) -> None:
    rng = ChipStreams.of(Stream.root(12), 2)
    for found in ratios(bent(layer(size).map(chip_of(bits, readout)).program(rng=rng))):
        assert unbiased(found), found.mean()
        assert float(found.std()) < 2.5 / 2**bits


@pytest.mark.parametrize("readout", ["ramp", "conventional"])
@pytest.mark.parametrize("layer", [gates, sums])
@pytest.mark.parametrize("size", [0.3, 4.0])
def test_errors_of_cells_bias_no_factor(layer: Any, size: float, readout: Readout) -> None:
    rng = ChipStreams.of(Stream.root(12), 2)
    for found in ratios(layer(size).map(chip_of(5, readout, UNVERIFIED)).program(rng=rng)):
        assert unbiased(found), found.mean()


@pytest.mark.parametrize("readout", ["ramp", "conventional"])
def test_offsets_of_columns_leave_their_factors_alone(readout: Readout) -> None:
    rng, layer = ChipStreams.of(Stream.root(12), 2), sums(1.0)
    quiet = chip_of(8, readout)
    shifted = replace(quiet, comparator=Comparator(offset_V=0.03, noise_V=0.0))
    offset = float(layer.map(shifted).program(rng=rng).converters[0].offset_V.std()) / 0.5 * 8.0
    assert offset > 0.2, "sums spread by 1"
    for found in ratios(bent(layer.map(shifted).program(rng=rng))):
        assert float(found.std()) < 0.02


@pytest.mark.parametrize("name", ["yang2025", "hermes_core"])
@pytest.mark.parametrize("unsigned", [False, True])
def test_ranges_from_data_and_rectifiers(name: str, unsigned: bool) -> None:
    """Three layers of a converted network: ranges follow the data, the later two have inputs of one sign."""
    torch.manual_seed(3)
    net = nn.Sequential(nn.Linear(60, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, 32)).eval()
    x = normal(256, 60)
    chip = replace(chip_named(name).idealised(), bits=8, compensation=Compensation(mode="per_column", baseline="exact"))
    if name == "hermes_core":
        chip = replace(chip, adc=replace(chip.adc, calibration=RangeCalibration()))
    programmed = mho.convert(net, chip, example=x).program(4)
    layer = programmed.layers["4" if unsigned else "0"]
    for found in ratios(bent(layer)):
        assert unbiased(found), found.mean()
        assert float(found.std()) < 0.03


def test_a_factor_is_that_of_inputs_of_usual_size_where_long_pulses_lose_charge() -> None:
    rng, chip = ChipStreams.of(Stream.root(12), 4), chip_named("yang2025")
    chip = replace(chip, wires=None, compensation=replace(chip.compensation, vectors=256))
    programmed = gates(4.0).map(chip).program(rng=rng)
    read = programmed.at(0.0)
    matrix, values = read.columns.matrix, programmed.mapped.matrix.values
    assert matrix.settled is not None
    assert float(matrix.settled[-1]) < 0.97 * chip.driver.top(chip.bits)
    some = torch.randint(1024, (1, 256, len(values)), generator=torch.Generator().manual_seed(1))
    counts = torch.round(normal_quantiles(0.25) * chip.driver.top(chip.bits))[some]
    exact = counts @ values * chip.driver.lsb(chip.bits)
    (given,) = matrix.pre_activation(counts, BlockNoise(rng, [0], 256))
    for converter, factor in zip(programmed.converters, read.factors, strict=True):
        wanted, found = converter.group.gather(exact), converter.group.gather(given.z)
        usual = float((found * wanted).sum() / wanted.square().sum() / len(rng))
        assert float(torch.as_tensor(factor).mean()) == pytest.approx(usual, abs=0.012)


@pytest.mark.parametrize("size", [0.01, 1.0, 30.0])
@pytest.mark.parametrize("signed", [True, False])
def test_calibration_inputs_keep_sums_within_half_of_the_range(size: float, signed: bool) -> None:
    chip = chip_of(8, "ramp", Gaussian())
    chip = chip if signed else replace(chip, driver=chip.driver.unsigned_words())
    matrix, top = normal(200, 40) * size / math.sqrt(200), chip.driver.top(8)
    counts = calibration_counts(matrix, chip, 2.0)
    spread = float((counts @ matrix * chip.driver.lsb(8)).square().mean().sqrt())
    assert float(counts.abs().max()) <= top
    assert bool((counts >= 0).all()) != signed
    if size == 0.01:
        assert bool((counts.abs() == top).all()), "all lines at full scale are too little"
        assert spread < 0.02
    else:
        assert spread == pytest.approx(0.5, rel=0.25)
