"""The liquid: statistics of its weights, its equations against NumPy, noise and converter, and what moves no bit."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from numba import njit
from numpy.typing import NDArray

from devices import PCM, SONOS, ChipStreams, FormedTaOx, Stream
from devices.effects import Retention, Stuck
from mappings import counter_noise as liquid_noise
from mappings.liquid.liquid import Liquid, ProgrammedLiquid
from mappings.liquid.run import Job, LineSpikes, LiquidEngine
from mappings.liquid.step import neuron_input, on_grid
from periphery.neurons.lif import LIF
from tests.quiet import COLUMN

QUIET = FormedTaOx(read_noise_S=0.0, slow_noise_S=0.0)
ENGINES: tuple[LiquidEngine, ...] = ("events", "dense")


def chips(number: int | list[int], seed: int = 0) -> ChipStreams:
    return ChipStreams.of(Stream.root(seed).child("liquid"), number)


def bernoulli(n: int, steps: int, inputs: int, rate: float, seed: int = 0) -> NDArray[np.bool_]:
    return np.random.default_rng(seed).random((n, steps, inputs)) < rate


def reference(x: NDArray[np.bool_], weights: NDArray[np.float64], how: Liquid) -> NDArray[np.float64]:
    """The equations of the facts, one recording in double precision: spikes (steps, neurons)."""
    w_in, w_rec = weights[: how.inputs], weights[how.inputs :]
    mem, s, spikes = np.zeros(how.neurons), np.zeros(how.neurons), []
    for row in x.astype(float):
        mem = how.neuron.decay * mem * (1 - s) + how.gain_per_uS * (row @ w_in + s @ w_rec)
        s = (mem > how.neuron.threshold).astype(float)
        spikes.append(s)
    return np.array(spikes)


@pytest.fixture(scope="module")
def formed() -> torch.Tensor:
    """Weights of the paper's liquid on 16 chips [uS]."""
    return Liquid().map().program(rng=chips(16)).weights_uS().double()


def test_weights_have_no_mean_and_the_spread_of_two_cells(formed: torch.Tensor) -> None:
    assert formed.shape == (16, 456, 200)
    # Differences telescope: the mean of a row is that of its two outer cells, over 200.
    error = math.sqrt(2.0) * 4.703 / 200 / math.sqrt(16 * 456)
    assert abs(float(formed.mean())) < 3 * error
    assert float(formed.std()) == pytest.approx(math.sqrt(2.0) * 4.703, rel=0.01)


@pytest.mark.parametrize(("pairing", "expected"), [("neighbours", -0.5), ("pairs", 0.0)])
def test_adjacent_neurons_share_a_cell_or_do_not(pairing: str, expected: float) -> None:
    how = replace(Liquid(), pairing=pairing)
    w = how.map().program(rng=chips(16)).weights_uS().double()
    w = w - w.mean()
    for apart, correlation in ((1, expected), (2, 0.0)):
        assert float((w[..., apart:] * w[..., :-apart]).mean() / w.var()) == pytest.approx(correlation, abs=0.01)
    if pairing == "pairs":
        assert abs(float(w.mean())) < 3 * float(w.std()) / math.sqrt(w.numel())


def test_rows_of_differences_telescope_on_every_array() -> None:
    how = Liquid(inputs=30, neurons=20, array_columns=9, array_rows=32, device=QUIET)
    made = how.map().program(rng=chips(2))
    assert (made.mapped.shape.columns, made.mapped.grid.tiles) == (23, 2 * 3)
    g, w = made.conductance_uS(), made.weights_uS()
    assert g.shape == (2, 50, 23)
    for lo, hi, first, last in ((0, 8, 0, 8), (8, 16, 9, 17), (16, 20, 18, 22)):
        torch.testing.assert_close(w[..., lo:hi].sum(-1), g[..., last] - g[..., first], rtol=0, atol=1e-4)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("path", ["software", "capacitor", "board"])
def test_liquid_follows_the_equations(engine: LiquidEngine, path: str) -> None:
    how = Liquid(device=QUIET, read_path="capacitor" if path != "board" else "board", adc_bits=None, **COLUMN)
    made = how.map().software(rng=chips(2)) if path == "software" else how.map().program(rng=chips(2))
    x = bernoulli(6, 50, 256, 0.2)
    run = made.at().run(LineSpikes.of(x), noise=chips(2), record=True, engine=engine)
    assert run.raster is not None
    weights = on_grid(made.weights_uS()).double().numpy()
    for chip in range(2):
        for n in range(6):
            expected = reference(x[n], weights[chip], how)
            assert 0.02 < expected.mean() < 0.5
            np.testing.assert_array_equal(run.raster[chip, n].numpy(), expected)
            driven = x[n].sum() + expected[:-1].sum()
            assert int(run.line_reads[chip, n]) == driven
    np.testing.assert_array_equal(run.counts, run.raster.sum(2))
    np.testing.assert_allclose(run.features, run.raster.double().mean(2), rtol=1e-6)
    assert float(run.rates[1]) == pytest.approx(float(run.raster[1].double().mean()))


def test_converter_rounds_every_bit_line_to_whole_codes() -> None:
    how = Liquid(device=QUIET, inputs=40, neurons=24, adc_bits=9, neuron=LIF(threshold=2.0))
    made = how.map().program(rng=chips(1))
    read = made.at()
    assert read.lsb_uS == pytest.approx(64 * 33.96 / 511, rel=1e-5)
    x = bernoulli(4, 30, 40, 0.4)
    run = made.at().run(LineSpikes.of(x), noise=chips(1), record=True)
    g = on_grid(made.conductance_uS() - read.offset_uS).double().numpy()[0] + read.offset_uS
    for n in range(4):
        mem, s, spikes = np.zeros(24), np.zeros(24), []
        for row in x[n]:
            codes = np.round(np.concatenate([row, s]) @ g / read.lsb_uS)
            mem = 0.9 * mem * (1 - s) + 0.07 * read.lsb_uS * np.diff(codes)
            s = (mem > 2.0).astype(float)
            spikes.append(s)
        assert run.raster is not None
        assert np.sum(spikes) > 20
        np.testing.assert_array_equal(run.raster[0, n].numpy(), np.array(spikes))
    assert int(run.clipped.sum()) == 0
    narrow = replace(how, adc_lines=16.0, neuron=LIF(threshold=1e6)).map().program(rng=chips(1))
    lost = narrow.at().run(LineSpikes.of(x), noise=chips(1)).clipped[0].numpy()
    codes = np.round(x.astype(float) @ g[:40] / narrow.at().lsb_uS)
    np.testing.assert_array_equal(lost, (codes > 511).sum((1, 2)))
    assert 0.2 < lost.sum() / codes.size < 0.8, "16 lines on average drive a range of 16"


VARIANTS = {
    "board": Liquid(),
    "capacitor": Liquid(read_path="capacitor"),
    "pairs": Liquid(read_path="capacitor", pairing="pairs"),
    "four arrays": Liquid(inputs=70, neurons=40, array_rows=64, array_columns=24),
    "every term of a neuron": Liquid(
        neuron=LIF(threshold_sigma=0.5, noise=0.3, residue=0.2, refractory_steps=2, threshold=3.0)
    ),
    "noise that differs by cell": Liquid(
        inputs=70, neurons=40, array_rows=64, device=SONOS(), gain_per_uS=0.4, adc_bits=12
    ),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_both_engines_give_the_same_bits(name: str) -> None:
    how = VARIANTS[name]
    made = how.map().program(rng=chips(2))
    x = LineSpikes.of(bernoulli(7, 40, how.inputs, 0.3))
    events, dense = (made.at().run(x, noise=chips(2), record=True, engine=engine) for engine in ENGINES)
    assert 0.005 < float(events.rates.mean()) < 0.6
    for field in ("counts", "line_reads", "clipped", "raster"):
        assert torch.equal(getattr(events, field), getattr(dense, field)), field


@pytest.mark.parametrize("engine", ENGINES)
def test_no_bit_depends_on_batch_or_chips_beside(engine: LiquidEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    how = Liquid()
    x = bernoulli(9, 30, 256, 0.3)
    made = how.map().program(rng=chips(3))
    whole = made.at().run(LineSpikes.of(x), noise=chips(3), engine=engine)
    alone = how.map().program(rng=chips([2])).at().run(LineSpikes.of(x), noise=chips([2]), engine=engine)
    assert torch.equal(alone.counts[0], whole.counts[2])
    some = np.array([7, 2, 5])
    part = made.at().run(LineSpikes.of(x[some]), noise=chips(3), numbers=some, engine=engine)
    assert torch.equal(part.counts, whole.counts[:, some])
    monkeypatch.setattr("mappings.liquid.run.BLOCK", 4)
    assert torch.equal(made.at().run(LineSpikes.of(x), noise=chips(3), engine=engine).counts, whole.counts)
    again = made.at().run(LineSpikes.of(x), noise=chips(3, seed=1), engine=engine)
    assert not torch.equal(again.counts, whole.counts), "another seed of the read noise"


def _noise(how: Liquid, active: int, reads: int) -> NDArray[np.float64]:
    """Inputs of neurons where all rows hold zeros and ``active`` lines are driven: noise alone [uS]."""
    made = how.map().program(rng=chips(1))
    spikes = LineSpikes.of(bernoulli(1, 1, how.inputs, 0.5))
    job = Job.of(made.at(), spikes, np.zeros(1, np.int64), record=False)
    physics, out = job.physics(0, 12345), []
    for read in range(reads):
        x, z = np.empty(how.neurons, np.float32), np.zeros(physics.z_width, np.float32)
        sums, none = np.zeros((1, job.rows.shape[2]), np.float32), np.zeros((1, 0), np.float32)
        neuron_input(physics, sums, none, np.array([active]), np.uint32(read), np.uint32(3), z, x)
        out.append(x.astype(np.float64))
    return np.array(out)


@pytest.mark.parametrize(("pairing", "correlation"), [("neighbours", -0.5), ("pairs", 0.0)])
@pytest.mark.parametrize("active", [1, 60])
def test_read_noise_grows_with_active_lines_and_is_shared_by_neighbours(
    pairing: str, correlation: float, active: int
) -> None:
    how = replace(Liquid(read_path="capacitor", **COLUMN), pairing=pairing)
    x = _noise(how, active, 1500)
    variance = active * 2 * 0.26**2
    # 300,000 numbers, of which neighbours are correlated: the variance is estimated within 0.4 %.
    assert x.var() == pytest.approx(variance, rel=0.015)
    assert abs(x.mean()) < 5 * math.sqrt(variance / x.size)
    assert (x[:, 1:] * x[:, :-1]).mean() / variance == pytest.approx(correlation, abs=0.01)
    assert (x[1:] * x[:-1]).mean() / variance == pytest.approx(0.0, abs=0.01), "noise differs by recording"
    assert (x**4).mean() / variance**2 == pytest.approx(3.0, abs=0.06)


def test_noise_comes_from_philox_and_is_normal() -> None:
    # Known answers of Random123 for Philox4x32-10: counter and key of zeros, and of ones throughout.
    for word, expected in (
        (0, (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        (0xFFFFFFFF, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    ):
        assert njit(lambda w: liquid_noise.philox(w, w, w, w, w, w))(np.uint32(word)) == expected
    x = np.empty((400, 1024), np.float32)
    for step, row in enumerate(x):
        liquid_noise.normals(np.uint32(7), np.uint32(8), np.uint32(1), np.uint32(step), np.uint32(0), row)
    x = x.astype(np.float64)
    n = x.size
    assert abs(x.mean()) < 4 / math.sqrt(n)
    assert x.var() == pytest.approx(1.0, abs=4 * math.sqrt(2 / n))
    for edge in (0.5, 1.0, 2.0, 3.0):
        share = math.erfc(edge / math.sqrt(2.0))
        assert (abs(x) > edge).mean() == pytest.approx(share, abs=4 * math.sqrt(share / n))


def test_rows_on_the_grid_add_up_exactly_in_any_order() -> None:
    rows = Liquid().map().program(rng=chips(2)).weights_uS()
    gridded = on_grid(rows)
    assert float((gridded - rows).abs().max()) <= 2.0**-13
    order = torch.randperm(456, generator=torch.Generator().manual_seed(0))
    forward = gridded.cumsum(1)[:, -1]
    assert torch.equal(forward, gridded[:, order].cumsum(1)[:, -1])
    assert torch.equal(forward.double(), gridded.double().sum(1))


def test_forming_voltage_thins_the_weights_out() -> None:
    half = replace(FormedTaOx(), forming_V=3.433)
    made = replace(Liquid(), device=half).map().program(rng=chips(4))
    unformed = made.conductance_uS() == 0.1
    assert float(unformed.float().mean()) == pytest.approx(0.5, abs=0.005)
    both = unformed[..., 1:] & unformed[..., :-1]
    assert torch.equal(made.weights_uS() == 0.0, both)


def test_stuck_and_relaxing_cells_reach_the_neurons() -> None:
    x = LineSpikes.of(bernoulli(4, 30, 256, 0.2))

    def made(*effects: Retention | Stuck) -> ProgrammedLiquid:
        return Liquid(device=replace(FormedTaOx(), effects=effects)).map().program(rng=chips(2))

    healthy = made().at().run(x, noise=chips(2))
    dead = made(Stuck(off_rate=1.0)).at().run(x, noise=chips(2))
    assert int(dead.counts.sum()) < int(healthy.counts.sum()) / 20, "noise alone"
    stuck = made(Stuck(off_rate=0.1))
    assert float((stuck.conductance_uS() == 0.0).float().mean()) == pytest.approx(0.1, abs=0.005)
    assert float(stuck.at().run(x, noise=chips(2)).rates.mean()) > float(healthy.rates.mean()), "holes widen the spread"
    loses = made(Retention(per_decade=0.1, cell_sd=0.0, rest_S=0.0))
    month_s = 10.0**6.0
    kept = 1.0 - 0.1 * math.log10(1.0 + month_s)
    quiet = float(loses.weights_uS(month_s).std() / loses.weights_uS(0.0).std())
    assert quiet == pytest.approx(kept, rel=0.01)
    assert float(loses.at(month_s).run(x, noise=chips(2)).rates.mean()) < 0.5 * float(healthy.rates.mean())


def test_written_cells_take_random_targets() -> None:
    how = Liquid(device=PCM(), inputs=60, neurons=40)
    w = how.map().program(rng=chips(4)).weights_uS()
    span = (how.device.g_max_S - how.device.g_min_S) * 1e6
    assert float(w.std()) == pytest.approx(math.sqrt(2) * 0.15 * span, rel=0.25), "programming errors add to it"
    assert not torch.equal(w[0], w[1])


def test_whatever_does_not_fit_is_refused() -> None:
    made = Liquid().map().program(rng=chips(2))
    x = LineSpikes.of(bernoulli(2, 3, 256, 0.2))
    with pytest.raises(ValueError, match=r"spikes: allowed are 256 word lines, the liquid's inputs \(got 64\)"):
        made.at().run(LineSpikes.of(bernoulli(2, 3, 64, 0.2)), noise=chips(2))
    with pytest.raises(ValueError, match=r"noise: allowed is one stream for each of the 2 chips \(got 3\)"):
        made.at().run(x, noise=chips(3))
    with pytest.raises(ValueError, match=r"numbers: allowed is one for each of the 2 recordings \(got 1\)"):
        made.at().run(x, noise=chips(2), numbers=np.zeros(1, np.int64))
    with pytest.raises(ValueError, match="a liquid in software has weights but no cells"):
        Liquid().map().software(rng=chips(1)).conductance_uS()
