"""Products of programmed arrays, and the noise and loss that go with them."""

from __future__ import annotations

import math

import pytest
import torch

from crossbar import Array, DifferentialPair
from devices import PCM, ChipStreams, Device, Ideal, Stream, TaOx

ROWS, COLUMNS = 13, 7


def counts_of(*shape: int, top: int = 15) -> torch.Tensor:
    return torch.randint(-top, top + 1, shape, generator=torch.Generator().manual_seed(3)).float()


def array_of(device: Device, chips: int = 1, *, balanced: bool = False) -> tuple[Array, torch.Tensor]:
    weights = torch.randn((ROWS, COLUMNS), generator=torch.Generator().manual_seed(2))
    array = Array.program(
        weights,
        device=device,
        encoding=DifferentialPair(balanced=balanced),
        tile_of_column=torch.zeros(COLUMNS, dtype=torch.long),
        rng=ChipStreams.of(Stream.root(4), chips),
    )
    return array, weights


@pytest.mark.parametrize("balanced", [False, True])
def test_ideal_cells_multiply_exactly(balanced: bool) -> None:
    array, weights = array_of(Ideal(), 2, balanced=balanced)
    counts = counts_of(1, 20, ROWS)
    read = array.read(0.0)
    wanted = counts.double() @ weights.double()
    torch.testing.assert_close(
        read.product(counts).double() / array.encoded.scale_S, wanted.expand(2, -1, -1), rtol=0.0, atol=1e-4
    )
    assert read.variance_S2 is None
    assert read.variance(counts) is None


@pytest.mark.parametrize("device", [TaOx(), PCM(read_noise_S=0.3e-6)], ids=["taox", "pcm"])
def test_read_noise_referred_to_the_column_is_that_of_its_cells(device: Device) -> None:
    """Mean and variance of the charge against a draw of every cell of both polarities in every read."""
    array, _ = array_of(device, 2)
    counts, t_s, reads = counts_of(1, 1, ROWS), 3600.0, 40_000
    read = array.read(t_s)
    g = device.conductance_S(array.cells, t_s)
    sigma = device.read_sigma_S(g)
    draw = torch.Generator().manual_seed(9)
    for chip in range(2):
        xi = torch.randn((reads, *g.shape[1:]), generator=draw)
        noisy = g[chip] + sigma[chip] * xi
        charge = (counts[0, 0, :, None] * (noisy[:, 0] - noisy[:, 1])).sum(1).double()
        variance = read.variance(counts)
        assert variance is not None
        torch.testing.assert_close(charge.var(0), variance[chip, 0].double(), rtol=5 * math.sqrt(2 / reads), atol=0.0)
        error = (charge.mean(0) - read.product(counts)[chip, 0]) / (charge.std(0) / math.sqrt(reads))
        assert float(error.abs().max()) < 4.5


def test_blocks_and_chips_beside_move_no_bit() -> None:
    """Every block of vectors is a product of one fixed shape, alone or among others."""
    counts = counts_of(1, 6, 5, ROWS)
    few, many = array_of(TaOx(), 2)[0].read(0.0), array_of(TaOx(), 5)[0].read(0.0)
    whole = many.product(counts)
    assert torch.equal(few.product(counts), whole[:2])
    for block in range(6):
        assert torch.equal(few.product(counts[:, block : block + 1]), whole[:2, block : block + 1])
    spread = counts.expand(5, -1, -1, -1)
    assert torch.equal(many.product(spread), whole)
    variance = many.variance(counts)
    assert variance is not None
    part = few.variance(counts[:, 3:4])
    assert part is not None
    assert torch.equal(part, variance[:2, 3:4])


@pytest.mark.parametrize("device", [TaOx(), PCM()], ids=["taox", "pcm"])
def test_ohmic_loss_is_the_sum_over_driven_cells_of_both_polarities(device: Device) -> None:
    array, _ = array_of(device, 3)
    counts = counts_of(1, 4, ROWS)
    g = device.conductance_S(array.cells, 0.0)
    wanted = torch.zeros(3, 4)
    for chip in range(3):
        for vector in range(4):
            for row in range(ROWS):
                wanted[chip, vector] += counts[0, vector, row].abs() * g[chip, :, row, :].sum()
    torch.testing.assert_close(array.read(0.0).loss_S(counts), wanted, rtol=1e-5, atol=0.0)


def test_rows_of_an_array_add_up_to_the_whole() -> None:
    read = array_of(TaOx(), 2)[0].read(0.0)
    counts = counts_of(1, 4, ROWS)
    parts = [read.rows(0, 6).product(counts[..., :6]), read.rows(6, ROWS).product(counts[..., 6:])]
    torch.testing.assert_close(parts[0] + parts[1], read.product(counts), rtol=1e-4, atol=1e-9)
    top, rest = read.rows(0, 6).variance(counts[..., :6]), read.rows(6, ROWS).variance(counts[..., 6:])
    whole = read.variance(counts)
    assert top is not None
    assert rest is not None
    assert whole is not None
    torch.testing.assert_close(top + rest, whole)


def test_fast_noise_is_left_out_of_a_read() -> None:
    """Slow noise belongs to the array, fast noise to each product: reading twice gives one array."""
    array, _ = array_of(PCM(read_noise_S=1e-6), 1)
    first, second = array.read(60.0), array.read(60.0)
    assert torch.equal(first.difference_S, second.difference_S)
    assert first.variance_S2 is not None
    torch.testing.assert_close(first.variance_S2, torch.full_like(first.variance_S2, 2e-12))
