"""What every encoding promises: products, noise, load and gradients, over the registry."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from crossbar import ENCODINGS, Array, BitSlices, DifferentialPair, Encoding, OffsetColumn
from crossbar.wires import FoldedNoise, Wires, effective_conductance
from devices import PCM, ChipStreams, Device, Gaussian, Ideal, Stream, TaOx
from devices.rram_milo import MiloRRAM
from tests.registry import every, named

ROWS, COLUMNS = 12, 7
APART = BitSlices(slice_bits=4, weight_bits=12, combine="digital")
SEVERAL = [DifferentialPair(cells=3), OffsetColumn(cells=2), BitSlices(slice_bits=3, weight_bits=12), APART]
ALL = pytest.mark.parametrize("encoding", [*every(ENCODINGS), *SEVERAL], ids=named)


def weights_of(seed: int = 2, rows: int = ROWS, columns: int = COLUMNS) -> torch.Tensor:
    return torch.randn((rows, columns), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def counts_of(*shape: int, top: int = 15) -> torch.Tensor:
    return torch.randint(-top, top + 1, shape, generator=torch.Generator().manual_seed(3)).double()


def array_of(
    encoding: Encoding,
    device: Device,
    chips: int = 1,
    *,
    weights: torch.Tensor | None = None,
    wires: Wires | None = None,
) -> Array:
    weights = weights_of() if weights is None else weights
    return Array.program(
        weights,
        device=device,
        encoding=encoding,
        tile_of_column=torch.arange(weights.shape[1]) // 4,
        rng=ChipStreams.of(Stream.root(4), chips),
        tile_rows=8,
        wires=wires,
    )


@ALL
@pytest.mark.parametrize("device", [Ideal(), Ideal(g_min_S=20e-6)], ids=["off is off", "off conducts"])
def test_parts_of_a_weight_add_up_to_it(encoding: Encoding, device: Device) -> None:
    """On cells without error the sum over all parts is ``s W``, rounded where weights have a number of bits."""
    array, counts = array_of(encoding, device, 2), counts_of(1, 20, ROWS)
    total = torch.stack([part.product(counts) for part in array.read_parts(0.0)]).sum(0) / array.encoded.scale_S
    bits = encoding.weight_bits if isinstance(encoding, BitSlices) else 40
    lsb = weights_of().abs().max() / 2**bits
    torch.testing.assert_close(
        total, (counts @ weights_of()).expand(2, -1, -1), rtol=0.0, atol=float(lsb * counts.abs().sum(-1).max()) + 1e-9
    )
    assert array.encoded.clipped == 0.0
    assert float(array.encoded.target_S.min()) >= device.g_min_S * (1 - 1e-12)
    assert float(array.encoded.target_S.max()) <= device.g_max_S * (1 + 1e-12)


@ALL
def test_cells_at_rest_load_every_driven_row(encoding: Encoding) -> None:
    """All cells of a row conduct, those of a weight of zero and of the reference as well."""
    device = Ideal(g_min_S=20e-6)
    array = array_of(encoding, device, weights=torch.zeros(ROWS, COLUMNS, dtype=torch.float64))
    read, counts = array.read_parts(0.0)[0], counts_of(1, 5, ROWS)
    target = array.encoded.target_S
    wanted = (counts.abs()[..., None, :, None] * target).sum((-1, -2, -3))
    torch.testing.assert_close(read.charge(counts), wanted)
    assert float(target.min()) >= 20e-6
    assert array.cell_count == target.numel()


@ALL
def test_read_noise_is_that_of_all_cells(encoding: Encoding) -> None:
    """Variance of each column, and covariance of columns that share a reference, against a draw of every cell."""
    device, reads = TaOx(read_noise_S=2e-6), 20_000
    array, counts = array_of(encoding, device), counts_of(1, 1, ROWS)
    draw = torch.Generator().manual_seed(9)
    encoded = array.encoded
    for number, part in enumerate(array.read_parts(0.0)):
        a = torch.tensor([w if p == number else 0.0 for w, p in zip(encoded.significance, encoded.part, strict=True)])
        xi = 2e-6 * torch.randn((reads, *encoded.target_S.shape), generator=draw, dtype=torch.float64)
        charge = torch.einsum("p,npij,i->nj", a.double(), xi, counts[0, 0])
        if encoded.reference is not None:
            charge = charge[:, :COLUMNS] - charge[:, COLUMNS:][:, encoded.reference]
        variance = part.variance(counts)
        assert variance is not None
        wanted = torch.diag(variance[0, 0].double())
        common = part.common_sigma(counts.square())
        if common is not None:
            assert encoded.reference is not None
            same = encoded.reference[:, None] == encoded.reference
            wanted = wanted + same * torch.outer(common[0, 0].double(), common[0, 0].double())
        size = wanted.diagonal().sqrt()
        found = torch.cov(charge.T) / torch.outer(size, size)
        torch.testing.assert_close(found, wanted / torch.outer(size, size), rtol=0.0, atol=6 / math.sqrt(reads))


def test_errors_of_cells_side_by_side_average() -> None:
    """n cells a polarity: the weight's error falls as 1 / sqrt(n)."""
    device = Gaussian(sigma_absolute=0.05, g_min_S=20e-6)
    balanced = torch.full((200, 200), 1.0, dtype=torch.float64)
    spreads = []
    for n in (1, 4):
        array = array_of(DifferentialPair(cells=n, balanced=True), device, weights=0.2 * balanced)
        w = array.read(0.0).difference_S[0] / array.encoded.scale_S
        spreads.append(float(w.std()))
    assert spreads[0] / spreads[1] == pytest.approx(2.0, rel=0.05)


def test_a_scale_of_its_own_uses_the_whole_window_in_every_column() -> None:
    weights = weights_of() * torch.logspace(0, -3, COLUMNS, dtype=torch.float64)
    device = Ideal()
    shared, each = (array_of(DifferentialPair(scale=s), device, weights=weights) for s in ("tile", "column"))
    top = each.encoded.target_S.amax(dim=(0, 1))
    torch.testing.assert_close(top, torch.full_like(top, device.g_max_S))
    assert float(shared.encoded.target_S.amax(dim=(0, 1)).min()) < 0.2 * device.g_max_S
    clipped = array_of(DifferentialPair(scale="column", clip_quantile=0.75), device, weights=weights)
    assert clipped.encoded.clipped == pytest.approx(0.25)


@ALL
@pytest.mark.parametrize(
    "wires", [None, Wires(r_word_ohm=2.0, r_bit_ohm=1.0, method="alpha_beta")], ids=["no wires", "alpha-beta"]
)
def test_gradients_reach_the_weights_through_cells_wires_and_noise(encoding: Encoding, wires: Wires | None) -> None:
    """Slope of a noisy product along a random direction against differences.

    Digits jump, and with them a cell's error and what its current drops on wires, which no slope follows: slices have
    cells without programming error and wires of little resistance here; what is left of the jumps is small at 16 bits.
    """
    device = Gaussian(sigma_absolute=0.01, sigma_proportional=0.02, g_min_S=5e-6, g_max_S=50e-6, read_noise_S=1e-7)
    if isinstance(encoding, BitSlices):
        encoding = BitSlices(slice_bits=encoding.slice_bits, weight_bits=16, combine=encoding.combine)
        device = replace(device, sigma_absolute=0.0, sigma_proportional=0.0)
        wires = wires and replace(wires, r_word_ohm=0.1, r_bit_ohm=0.05)
    counts, xi = counts_of(1, 6, ROWS), counts_of(6, COLUMNS, top=3)
    start, along = weights_of(5), weights_of(6)
    pinned = torch.tensor([[8.0]], dtype=torch.float64)  # keeps w_max, of which no gradient is taken, where it is

    def loss(weights: torch.Tensor) -> torch.Tensor:
        weights = torch.cat([pinned.expand(1, COLUMNS), weights[1:]])
        array = array_of(encoding, device, weights=weights, wires=wires)
        parts = array.read_parts(0.0)
        total = sum(part.product(counts) for part in parts)
        variance = sum(v for part in parts if (v := part.variance(counts)) is not None)
        assert isinstance(total, torch.Tensor)
        assert isinstance(variance, torch.Tensor)
        return ((total + variance.sqrt() * xi) / array.encoded.scale_S).square().mean()

    weights = start.clone().requires_grad_(True)
    (slope,) = torch.autograd.grad(loss(weights), weights)
    step = 1e-2 if isinstance(encoding, BitSlices) else 1e-4
    difference = (loss(start + step * along) - loss(start - step * along)) / (2 * step)
    assert float((slope * along).sum()) == pytest.approx(float(difference), rel=0.03 if step > 1e-3 else 1e-3)


def test_a_pair_behind_wires_is_the_difference_of_its_two_bit_lines() -> None:
    """Tile by tile, the polarities of a weight as neighbouring bit lines, each cell's noise as its column sees it."""
    wires = Wires(r_word_ohm=20.0, r_bit_ohm=10.0)
    array = array_of(DifferentialPair(), TaOx(read_noise_S=1e-6), 2, wires=wires)
    read = array.read(0.0)
    g = array.cells.programmed_S
    for rows in (slice(0, 8), slice(8, ROWS)):
        for columns in (slice(0, 4), slice(4, COLUMNS)):
            tile = g[:, :, rows, columns]
            lines = torch.stack([tile[:, 0], tile[:, 1]], dim=-1).flatten(-2)
            seen = effective_conductance(lines, wires).unflatten(-1, (-1, 2))
            torch.testing.assert_close(read.difference_S[:, rows, columns], seen[..., 0] - seen[..., 1])
            assert read.variance_S2 is not None
            passed = FoldedNoise.of(torch.full_like(lines, 1e-12), lines, wires).square_S2
            both = passed.unflatten(-1, (-1, 2)).sum(-1)
            torch.testing.assert_close(read.variance_S2[:, rows, columns], both)
            assert 0.5 < float(both.mean()) / 2e-12 < 0.99
    assert float(read.difference_S.abs().sum()) < 0.99 * float((g[:, 0] - g[:, 1]).abs().sum())


@pytest.mark.parametrize("levels", [None, 15])
def test_nonlinear_cells_give_the_current_of_every_pulse(levels: int | None) -> None:
    """Pulses of fixed height see the chord of I(V); amplitudes the curve itself, one product for each power of V."""
    device, v = MiloRRAM(), 0.3
    array = array_of(DifferentialPair(), device, 2)
    counts = counts_of(1, 9, ROWS)
    read = array.read(0.0, v_read_V=v, amplitude_levels=levels)
    g = array.cells.programmed_S.double()
    if levels is None:
        current = device.current_A(g, torch.tensor(v)) / v
        wanted = torch.einsum("bi,cpij->cpbj", counts[0], current)
    else:
        volts = counts[0] * v / levels
        current = device.current_A(g[:, :, None], volts[:, :, None])
        wanted = current.sum(3) * levels / v
    torch.testing.assert_close(read.product(counts), wanted[:, 0] - wanted[:, 1])
    linear = torch.einsum("bi,cpij->cpbj", counts[0], g)
    assert float((wanted - linear).abs().max()) > 0.01 * float(linear.abs().max())


def test_what_has_no_matrix_is_refused_with_the_reason() -> None:
    with pytest.raises(ValueError, match="nonlinear current need v_read_V"):
        array_of(DifferentialPair(), MiloRRAM()).read(0.0)
    for device, wires in ((MiloRRAM(), Wires(r_word_ohm=1.0)), (TaOx(), Wires(r_word_ohm=1.0, unselected="floating"))):
        with pytest.raises(ValueError, match="no one matrix for all inputs"):
            array_of(DifferentialPair(), device, wires=wires).read(0.0, v_read_V=0.2)
    with pytest.raises(ValueError, match=r"alpha_beta.* use method 'exact'"):
        array_of(DifferentialPair(), TaOx(), wires=Wires(r_word_ohm=500.0, method="alpha_beta")).read(0.0)
    with pytest.raises(ValueError, match="3 slices of this encoding are converted apart"):
        array_of(APART, PCM()).read(0.0)
    with pytest.raises(ValueError, match="slice_bits must be at most weight_bits = 2"):
        BitSlices(slice_bits=4, weight_bits=2)
