"""Slow noise stays put over the reads of one inference and fast noise does not, through the products of an array."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from crossbar import Array, DifferentialPair
from devices import (
    CMO,
    PCM,
    SONOS,
    ChipStreams,
    Device,
    LogNormal,
    PCMHermes1,
    PCMHermes2,
    Stream,
    WanQuartic,
)
from tests.devices.moments import DAY_S, at_level

CHIPS, ROWS, COLUMNS, READS = 40, 8, 64, 100
NOISY: dict[str, Device] = {
    "pcm": PCM(read_noise_S=0.5e-6),
    "hermes 1": PCMHermes1(read_noise_S=0.3e-6),
    "hermes 2": PCMHermes2(read_noise_S=0.5e-6),
    "wan": WanQuartic(read_noise_S=2e-6),
    "cmo": CMO(read_noise_S=1e-6),
    "sonos": SONOS(),
    "lognormal": LogNormal(sigma_ln=0.1, drift_mean=0.05, drift_sd=0.01, read_noise_S=5e-6),
}


@pytest.mark.parametrize("name", sorted(NOISY))
def test_averaging_reads_takes_fast_noise_away_and_leaves_slow_noise(name: str) -> None:
    """Charge of a column of equal weights after one day: its spread over columns and chips is slow, read noise fast.

    Over N reads the average has the variance slow + fast / N. The slow part is that of the device's own conductances,
    drawn apart; the fast part is what the array says of its products.
    """
    device = NOISY[name]
    array = Array.program(
        torch.ones(ROWS, COLUMNS),
        device=device,
        encoding=DifferentialPair(),
        tile_of_column=torch.zeros(COLUMNS, dtype=torch.long),
        rng=ChipStreams.of(Stream.root(8), CHIPS),
    )
    counts = torch.ones(1, 1, ROWS)
    read = array.read(DAY_S)
    fast = read.variance(counts)
    assert fast is not None
    xi = torch.randn((READS, CHIPS, 1, COLUMNS), generator=torch.Generator().manual_seed(5))
    charges = torch.stack([array.read(DAY_S).product(counts) + fast.sqrt() * draw for draw in xi]).double()
    cells = [at_level(device, g_S, 100_000) for g_S in (device.g_max_S, device.g_min_S)]
    slow = ROWS * sum(float(device.conductance_S(each, DAY_S).var()) for each in cells)
    noise = [device.read_sigma_S(device.conductance_S(each, DAY_S), each) for each in cells]
    of_reads = ROWS * sum(float(sigma.square().mean()) for sigma in noise)
    assert float(fast.mean()) == pytest.approx(of_reads, rel=0.02)
    assert float(charges.var(0).mean()) == pytest.approx(of_reads, rel=0.02)
    columns = CHIPS * COLUMNS
    assert float(charges.mean(0).var()) == pytest.approx(slow + of_reads / READS, rel=5 * math.sqrt(2 / columns))
    assert slow > 10 * of_reads / READS


@pytest.mark.parametrize("name", sorted(NOISY))
def test_fast_noise_moves_no_conductance_and_slow_noise_no_fast_noise(name: str) -> None:
    loud = NOISY[name]
    quiet = replace(loud, read_noise_S=0.0)
    cells = at_level(loud, 0.5 * loud.g_max_S, 1000)
    for t_s in (3600.0, DAY_S):
        g = loud.conductance_S(cells, t_s)
        assert torch.equal(g, quiet.conductance_S(at_level(quiet, 0.5 * loud.g_max_S, 1000), t_s))
        assert torch.equal(loud.read_sigma_S(g, cells), loud.read_sigma_S(g.clone(), cells))
