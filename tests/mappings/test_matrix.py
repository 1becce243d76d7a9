"""A weight matrix on tiles: rows for weights and bias, pre-activations, row tiles."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from devices import PCM, BlockNoise, ChipStreams, Ideal, InputError, Stream, TaOx
from mappings.chip import Chip, Weights
from mappings.matrix import MappedMatrix, PreActivation, ProgrammedMatrix, WeightMatrix
from periphery import PWMDriver, RampColumn
from tests.quiet import FRONT_END

IDEAL = Chip(bits=8, weights=Weights(device=Ideal()), ramp=RampColumn(device=Ideal()), **FRONT_END)


def rng(chips: int) -> ChipStreams:
    return ChipStreams.of(Stream.root(12), chips)


def quiet(block: int) -> BlockNoise:
    """Blocks of so many samples, and no noise that is drawn from them."""
    return BlockNoise(rng(1), [0], block)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def programmed(matrix: torch.Tensor, chip: Chip, chips: int) -> ProgrammedMatrix:
    """A matrix ``(rows, columns)`` as written."""
    mapped = MappedMatrix.of(WeightMatrix((matrix.T,)), chip)
    return mapped.program(mapped.front_end(8.0), rng=rng(chips))


@pytest.mark.parametrize(("size", "bias_rows"), [(0.5, 1), (1.0, 1), (2.4, 3), (7.0, 7)])
@pytest.mark.parametrize("x_max", [1.0, 2.0])
def test_a_bias_takes_as_many_full_scale_lines_as_the_largest_weight_needs(
    size: float, bias_rows: int, x_max: float
) -> None:
    weight = normal(6, 4)
    bias = normal(6, seed=1)
    bias *= size * x_max * weight.abs().max() / bias.abs().max()
    mapped = MappedMatrix.of(WeightMatrix((weight,), bias), replace(IDEAL, driver=PWMDriver(x_max=x_max)))
    matrix = mapped.values
    assert mapped.bias_rows == bias_rows
    assert matrix.shape == (4 + bias_rows, 6)
    assert torch.equal(matrix[:4], weight.T)
    torch.testing.assert_close(matrix[4:].sum(0) * x_max, bias)
    assert float(matrix.abs().max()) <= float(weight.abs().max()) * (1 + 1e-6)


@pytest.mark.parametrize("size", [1e6, 3e38])
def test_a_bias_that_takes_endless_lines_is_refused(size: float) -> None:
    with pytest.raises(InputError, match="word lines; at most 4096 are allowed"):
        MappedMatrix.of(WeightMatrix((torch.full((6, 4), 0.5),), torch.full((6,), size)), IDEAL)


def test_no_bias_rows_without_a_bias_or_where_the_chip_has_none() -> None:
    assert WeightMatrix((normal(6, 4),)).bias_rows(IDEAL) == 0
    bare = replace(IDEAL, bias="none")
    mapped = MappedMatrix.of(WeightMatrix((normal(6, 4),), torch.zeros(6)), bare)
    assert mapped.rows == len(mapped.values) == 4
    with pytest.raises(InputError, match="bias: none: the layer has a bias that is not zero, and this chip has no"):
        WeightMatrix((normal(6, 4),), normal(6)).bias_rows(bare)
    nothing = WeightMatrix((torch.zeros(6, 4),), normal(6))
    assert nothing.bias_rows(IDEAL) == 1, "a matrix of zeros does not ask for endless rows"


@pytest.mark.parametrize("columns", [512, 5])
@pytest.mark.parametrize("x_max", [1.0, 3.0])
def test_ideal_cells_give_the_weighted_sum_of_the_quantised_inputs(columns: int, x_max: float) -> None:
    chip = replace(IDEAL, columns=columns, driver=PWMDriver(x_max=x_max))
    weights, x = normal(9, 12), normal(1, 20, 9, seed=1)
    counts = chip.driver.counts(x, 8)
    parts = programmed(weights, chip, 2).at(0.0).pre_activation(counts, quiet(10))
    (part,) = parts
    z, variance = part.z, part.variance
    wanted = counts[0].double() * chip.driver.lsb(8) @ weights.double()
    torch.testing.assert_close(z.double(), wanted.expand(2, -1, -1), rtol=0.0, atol=2e-5)
    assert variance is None


def test_read_noise_of_a_pre_activation_is_that_of_its_cells() -> None:
    """sigma_z = x_lsb / s sqrt(2 sum N^2) sigma_G where all cells have one read noise."""
    chip = replace(IDEAL, weights=Weights(device=TaOx()))
    written = programmed(normal(9, 4), chip, 1)
    counts = chip.driver.counts(normal(1, 6, 9, seed=1), 8)
    (part,) = written.at(0.0).pre_activation(counts, quiet(6))
    variance = part.variance
    assert variance is not None
    per_S = chip.driver.lsb(8) / written.array.encoded.scale_S
    wanted = 2 * (0.14e-6 * per_S) ** 2 * counts.square().sum(-1, keepdim=True)
    torch.testing.assert_close(variance, wanted.expand_as(variance))


@pytest.mark.parametrize("device", [TaOx(), PCM(read_noise_S=1e-7)], ids=["taox", "pcm"])
def test_charge_of_row_tiles_is_one_sum_and_digital_words_are_one_a_tile(device: TaOx | PCM) -> None:
    chip = replace(IDEAL, weights=Weights(device=device))
    counts = chip.driver.counts(normal(1, 8, 13, seed=1), 8)

    def parts(**changes: object) -> list[PreActivation]:
        small = replace(chip, **changes)  # type: ignore[arg-type]
        return programmed(normal(13, 6), small, 2).at(3600.0).pre_activation(counts, quiet(4))

    (one,), (shared,) = parts(), parts(rows=5)
    (whole, variance), (charge, charge_variance) = (one.z, one.variance), (shared.z, shared.variance)
    digital = parts(rows=5, partial_sums="digital")
    assert torch.equal(charge, whole)
    assert variance is not None
    assert charge_variance is not None
    assert torch.equal(charge_variance, variance)
    assert len(digital) == 3
    torch.testing.assert_close(torch.stack([part.z for part in digital]).sum(0), whole, rtol=0.0, atol=1e-5)
    torch.testing.assert_close(
        torch.stack([part.variance for part in digital if part.variance is not None]).sum(0), variance
    )


def test_blocks_taken_apart_or_together_have_the_same_bits() -> None:
    chip = replace(IDEAL, weights=Weights(device=TaOx()))
    for mode in ("charge", "digital"):
        read = programmed(normal(13, 7), replace(chip, rows=5, partial_sums=mode), 3).at(0.0)
        counts = chip.driver.counts(normal(1, 30, 13, seed=1), 8)
        whole = read.pre_activation(counts, quiet(5))
        for first in range(0, 30, 5):
            for part, some in zip(whole, read.pre_activation(counts[:, first : first + 5], quiet(5)), strict=True):
                assert torch.equal(part.z[:, first : first + 5], some.z)
                assert part.variance is not None
                assert some.variance is not None
                assert torch.equal(part.variance[:, first : first + 5], some.variance)
