"""Products of programmed arrays, and the noise and loss that go with them."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal

import pytest
import torch

import crossbar.array
from crossbar import Array, DifferentialPair
from crossbar.wires import Wires, solve
from devices import PCM, ChipStreams, Device, Ideal, MiloRRAM, Stream, TaOx
from periphery.drivers import PWMDriver

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
    sigma = device.read_sigma_S(g, array.cells)
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
    torch.testing.assert_close(array.read(0.0).charge(counts), wanted, rtol=1e-5, atol=0.0)


@pytest.mark.parametrize(
    ("method", "ohm", "tolerance"), [("exact", 1.0, 0.006), ("exact", 8.0, 0.03), ("alpha_beta", 1.0, 0.01)]
)
def test_drivers_supply_what_the_solved_network_draws(
    method: Literal["exact", "alpha_beta"], ohm: float, tolerance: float
) -> None:
    """Charge of two-phase pulses, clock by clock through ``crossbar.wires.solve``, vector by vector and in the mean;
    kappa is 0.3 and 2.1."""
    wires = Wires(r_word_ohm=ohm, r_bit_ohm=3 * ohm, r_driver_ohm=5 * ohm, method=method, tolerance=0.05)
    weights = torch.randn(32, 16, generator=torch.Generator().manual_seed(0))
    chip = ChipStreams.of(Stream.root(1), 1)
    array = Array.program(weights, device=TaOx(), encoding=DifferentialPair(), rng=chip, wires=wires)
    counts = counts_of(1, 12, 32)
    cells = TaOx().conductance_S(array.cells, 0.0)[0].transpose(0, 1).reshape(32, -1).double()
    wanted = torch.zeros(12, dtype=torch.float64)
    for sign in (1.0, -1.0):
        for clock in range(int(counts.abs().max())):
            driven = (sign * counts[0] > clock).double()
            wanted += (driven * solve(driven, (cells,), wires).driver_A).sum(-1)
    together = PWMDriver().paired_clocks(counts, 5) / (31 * counts.abs().sum(-1))
    read = array.read(0.0)
    found = read.charge(counts, together)[0].double()
    torch.testing.assert_close(found, wanted, rtol=tolerance, atol=0.0)
    assert float(found.mean()) == pytest.approx(float(wanted.mean()), rel=tolerance / 3)
    bare = replace(array, wires=None).read(0.0)
    assert bool((bare.charge(counts)[0] > 1.07 * wanted).all())
    assert bool((read.charge(counts)[0] > 1.01 * wanted).all()), "lines at 0 V sink current that others do not supply"


def test_noise_and_loss_of_amplitudes_on_nonlinear_cells_follow_their_current() -> None:
    """The same share of every cell's current fluctuates, at any voltage: 4,000 draws, to 2.5 % (standard error of the
    pooled deviation 0.5 %). Both are 5 to 8 % larger by the conductance at 0 V."""
    cells = MiloRRAM(read_noise_S=1e-6, programming_scale=0.0)
    weights = torch.randn(ROWS, COLUMNS, generator=torch.Generator().manual_seed(2))
    chip = ChipStreams.of(Stream.root(4), 1)
    array = Array.program(weights, device=cells, encoding=DifferentialPair(), rng=chip)
    counts = counts_of(6, ROWS)
    read = array.read(0.0, v_read_V=0.2, amplitude_levels=15)
    g = cells.conductance_S(array.cells, 0.0)[0]
    volts = (counts * (0.2 / 15))[:, None, :, None]
    current = cells.current_A(g, volts)
    noise = 1.0 + 1e-6 / g * torch.randn((4000, *g.shape), generator=torch.Generator().manual_seed(5))
    charge = torch.einsum("nprc,dprc,p->dnc", current * (15 / 0.2), noise, torch.tensor([1.0, -1.0]))
    found = read.variance(counts)
    assert found is not None
    assert float((found[0] / charge.var(0)).mean().sqrt()) == pytest.approx(1.0, abs=0.025)
    wanted = (current * volts).sum((1, 2, 3)) / 0.2**2
    assert float((read.charge((counts / 15).square())[0] / wanted).mean()) == pytest.approx(1.0, abs=0.01)


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


def test_an_ideal_array_multiplies_in_natural_units() -> None:
    weights = torch.tensor([[1.0, -2.0, 0.5], [0.0, 3.0, -1.0], [2.0, 0.25, -0.75]])
    chip = ChipStreams.of(Stream.root(0), 1)
    array = Array.program(weights, device=Ideal(), encoding=DifferentialPair(), rng=chip)
    x = torch.tensor([1.0, -1.0, 2.0])
    torch.testing.assert_close(array.multiply(x), (x @ weights)[None], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("chips", [1, 2, 3])
@pytest.mark.parametrize("leading", [(), (1,), (2,), (7,), (15,), (16,), (1, 1), (1, 4), (1, 3, 5)], ids=str)
def test_inputs_of_every_leading_shape_give_each_product_once(chips: int, leading: tuple[int, ...]) -> None:
    weights = torch.randn(6, 5, generator=torch.Generator().manual_seed(1))
    streams = ChipStreams.of(Stream.root(3), chips)
    read = Array.program(weights, device=TaOx(), encoding=DifferentialPair(), rng=streams).read(0.0)
    x = torch.randn(*leading, 6, generator=torch.Generator().manual_seed(2))
    rest = leading[1:] if len(leading) > 1 else leading
    wanted = torch.einsum("...r,crk->c...k", x.reshape(*rest, 6).double(), read.difference_S.double())
    assert read.product(x).shape == (chips, *rest, 5)
    torch.testing.assert_close(read.product(x).double(), wanted, rtol=1e-4, atol=1e-9)
    assert read.charge(x).shape == (chips, *rest)


def test_inputs_of_a_chip_each_and_inputs_that_fit_nothing() -> None:
    streams = ChipStreams.of(Stream.root(3), 3)
    weights = torch.randn(6, 5, generator=torch.Generator().manual_seed(1))
    read = Array.program(weights, device=TaOx(), encoding=DifferentialPair(), rng=streams).read(0.0)
    x = torch.randn(3, 4, 6, generator=torch.Generator().manual_seed(2))
    each = torch.stack([read.product(x[chip])[chip] for chip in range(3)])
    torch.testing.assert_close(read.product(x), each, rtol=1e-5, atol=1e-9)
    for wrong in (torch.ones(5), torch.ones(2, 4, 6), torch.ones(4, 5), torch.tensor(1.0)):
        with pytest.raises(ValueError, match=r"inputs must be \(6,\), \(n, 6\) or \(3 or 1, ..., 6\)"):
            read.product(wrong)


def test_tiles_whose_wires_are_folded_together_are_those_folded_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = torch.randn((21, 11), generator=torch.Generator().manual_seed(5))
    array = Array.program(
        weights,
        device=PCM(),
        encoding=DifferentialPair(cells=2),
        tile_of_column=torch.arange(11) // 3,
        tile_rows=8,
        rng=ChipStreams.of(Stream.root(1), 3),
        wires=Wires(r_word_ohm=20.0, r_bit_ohm=30.0),
    )
    one_by_one, loss = array.read(1e4), array.wire_loss(1e4)
    monkeypatch.setattr(crossbar.array, "FOLDED_CELLS", {"cpu": 600})
    together = array.read(1e4)
    for name in ("difference_S", "variance_S2", "row_S", "sunk_S"):
        torch.testing.assert_close(getattr(together, name), getattr(one_by_one, name), rtol=1e-6, atol=1e-16)
    assert array.wire_loss(1e4).gain == pytest.approx(loss.gain, rel=1e-9)
    assert array.wire_loss(1e4).kappa == pytest.approx(loss.kappa, rel=1e-9)
