"""The compiled loop over a recurrent layer's steps beside the step-by-step run, which it has to reproduce."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from devices import PCM, BlockNoise, ChipStreams, Stream, SuperT, TaOx
from mappings.activity import Activity
from mappings.chip import CellState, Chip, Compensation, Weights
from mappings.network.actions import Cell
from mappings.network.recurrent import RecurrentLayer
from mappings.network.recurrent_run import RecurrentRead
from mappings.network.torch_cells import TORCH_ORDER
from mappings.panel_product import PANEL, panels, product
from periphery import AmplitudeDAC, Comparator, ConventionalADC, PWMDriver, RampColumn

INPUTS, HIDDEN, STEPS, SAMPLES, CHIPS, DAY_S = 11, 21, 7, 20, 3, 86400.0
NOISY = PCM(read_noise_S=0.2e-6)
QUIET = Chip(
    weights=Weights(device=TaOx()), ramp=RampColumn(device=TaOx()), comparator=Comparator(noise_V=0.0)
).idealised()
WRITTEN = replace(QUIET, weights=Weights(device=PCM()), ramp=RampColumn(device=PCM(), capacitor_mismatch=0.0))
CASES = {
    "ramp": WRITTEN,
    "8 bits": replace(WRITTEN, bits=8),
    "several ramps": replace(WRITTEN, columns=32, ramp=replace(WRITTEN.ramp, columns_per_ramp=13)),
    "trimmed columns": replace(WRITTEN, compensation=Compensation(mode="per_column")),
    "conventional": replace(WRITTEN, readout="conventional", adc=ConventionalADC(bits=7)),
    "12 bits of state": replace(WRITTEN, readout="conventional", state=CellState(bits=12)),
}
NOISES = {
    "pcm, ramps that err": Chip(weights=Weights(device=NOISY), ramp=RampColumn(device=NOISY)),
    "conventional": Chip(weights=Weights(device=NOISY), ramp=RampColumn(device=NOISY), readout="conventional"),
    "supply": replace(QUIET, read_supply=replace(QUIET.read_supply, noise_V=8e-3)),
}


def layer(cell: Cell, seed: int = 0) -> RecurrentLayer:
    generator = torch.Generator().manual_seed(seed)
    columns = len(TORCH_ORDER[cell]) * HIDDEN
    weights = [
        torch.randn(shape, generator=generator) * 0.4 for shape in ((columns, INPUTS), (columns, HIDDEN), (columns,))
    ]
    return RecurrentLayer.from_torch(cell, *weights, reset="before")


def read_of(cell: Cell, chip: Chip, chips: int = CHIPS) -> RecurrentRead:
    rng = ChipStreams.of(Stream.root(1), chips)
    read = layer(cell).map(chip).program(rng=rng).at(DAY_S)
    assert isinstance(read, RecurrentRead)
    return read


def noise(chips: int = CHIPS, samples: int = SAMPLES) -> BlockNoise:
    return BlockNoise(ChipStreams.of(Stream.root(1), chips).child("read"), [0], samples)


def counts(chip: Chip, samples: int = SAMPLES) -> torch.Tensor:
    x = torch.rand((samples, STEPS, INPUTS), generator=torch.Generator().manual_seed(3)) * 2 - 1
    return chip.driver.counts(x, chip.bits)


def step_by_step(read: RecurrentRead) -> RecurrentRead:
    other = replace(read)
    other.__dict__["fused"] = None
    return other


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("name", CASES)
def test_without_noise_every_code_is_that_of_the_step_by_step_run(name: str, cell: Cell) -> None:
    chip = CASES[name]
    read = read_of(cell, chip)
    assert read.fused is not None
    assert read.fused.layer.draws == 0
    done, by_step = Activity(valid=SAMPLES - 3), Activity(valid=SAMPLES - 3)
    found = read.run(counts(chip), noise=noise(), activity=done)
    expected = step_by_step(read).run(counts(chip), noise=noise(), activity=by_step)
    assert expected.std() > 1.0
    assert torch.equal(found, expected)
    assert done.sums == by_step.sums
    assert done.samples == by_step.samples
    assert torch.equal(done.row_clocks, by_step.row_clocks)  # type: ignore[arg-type]


def test_inputs_of_every_chip_are_its_own() -> None:
    read, x = read_of("lstm", WRITTEN), counts(WRITTEN)
    own = torch.stack([x, x.flip(0), -x])
    assert torch.equal(read.run(own, noise=noise()), step_by_step(read).run(own, noise=noise()))


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_a_sequence_goes_on_from_the_states_that_were_left(cell: Cell) -> None:
    fused, x = read_of(cell, WRITTEN).fused, counts(WRITTEN)
    assert fused is not None
    whole, last = fused.run(x, noise(), None)
    first, state = fused.run(x[:, :3], noise(), None)
    rest, end = fused.run(x[:, 3:], noise(), None, first[:, :, -1], state)
    assert torch.equal(torch.cat([first, rest], dim=2), whole)
    assert torch.equal(end, last)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("name", NOISES)
def test_with_noise_hidden_states_have_the_moments_of_the_step_by_step_run(name: str, cell: Cell) -> None:
    """Means and variances over 4,000 reads of one input, unit by unit; of a mean of states, 5 standard errors."""
    chip, reads = NOISES[name], 4000
    read = read_of(cell, chip, chips=1)
    assert read.fused is not None
    same = counts(chip, 1).expand(reads, -1, -1)[:, :3]
    found = read.run(same, noise=noise(1, reads))[0].double()
    expected = step_by_step(read).run(same, noise=noise(1, reads))[0].double()
    spread = expected.var(0)
    assert spread.max() > 0.05
    error = ((spread + found.var(0)) / reads).sqrt().clamp_min(0.5 / reads)
    assert ((found.mean(0) - expected.mean(0)).abs() / error).max() < 5.0
    assert float(found.var(0).sum()) == pytest.approx(float(spread.sum()), rel=0.03)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_noise_depends_on_chip_sample_and_step_alone(cell: Cell) -> None:
    chip = NOISES["pcm, ramps that err"]
    x, rng = counts(chip, 40), ChipStreams.of(Stream.root(1), CHIPS).child("read")
    read = read_of(cell, chip)
    whole = read.run(x, noise=BlockNoise(rng, range(4), 10))
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        assert torch.equal(whole, read.run(x, noise=BlockNoise(rng, range(4), 10)))
    finally:
        torch.set_num_threads(threads)
    later = read.run(x[30:], noise=BlockNoise(rng, [3], 10))
    assert torch.equal(whole[:, 30:], later)
    alone = read_of(cell, chip, chips=1).run(x, noise=BlockNoise(ChipStreams(rng.streams[:1]), range(4), 10))
    assert torch.equal(whole[:1], alone)
    again = BlockNoise(rng, range(4), 10)
    assert torch.equal(whole, read.run(x, noise=again))
    assert not torch.equal(whole, read.run(x, noise=again))
    assert not torch.equal(whole[0], whole[1])


def test_read_noise_that_follows_the_conductance_takes_a_product_and_equal_noise_none() -> None:
    equal = read_of("lstm", NOISES["pcm, ramps that err"]).fused
    chip = replace(NOISES["pcm, ramps that err"], weights=Weights(device=SuperT()))
    follows = read_of("lstm", chip).fused
    assert equal is not None
    assert follows is not None
    assert equal.layer.sums.by_row.size
    assert equal.layer.sums.variances.shape[1] == equal.layer.wide
    assert not follows.layer.sums.by_row.size
    assert follows.layer.sums.variances.shape == follows.layer.sums.weights.shape


@pytest.mark.parametrize(
    "chip",
    [
        replace(WRITTEN, driver=AmplitudeDAC()),
        replace(WRITTEN, driver=PWMDriver(edge_jitter_s=1e-11)),
        replace(WRITTEN, readout="conventional", partial_sums="digital", rows=16),
        replace(WRITTEN, rounding="none"),
    ],
)
def test_layers_that_the_loop_does_not_know_run_step_by_step(chip: Chip) -> None:
    read = read_of("lstm", chip)
    assert read.fused is None
    assert read.run(counts(chip), noise=noise()).isfinite().all()


@pytest.mark.parametrize("samples", [1, 8, 11])
def test_product_in_panels_is_the_product_whatever_is_computed_beside(samples: int) -> None:
    generator = torch.Generator().manual_seed(0)
    rows, wide = 45, 3 * PANEL
    x = torch.randint(-15, 16, (samples, rows), generator=generator).float()
    matrix = torch.randn((1, rows, wide), generator=generator)
    z, last = torch.full((samples, wide), 7.0), torch.full((1, wide), 7.0)
    flat = panels(matrix)[0].numpy()
    product(x.flatten().numpy(), flat, z.flatten().numpy(), rows, samples, (PANEL, wide, wide))
    expected = x.double() @ matrix[0].double()
    assert (z[:, PANEL:] - expected[:, PANEL:]).abs().max() < 1e-4
    assert (z[:, :PANEL] == 7.0).all()
    product(x[-1].numpy(), flat, last[0].numpy(), rows, 1, (PANEL, wide, wide))
    assert torch.equal(last[0], z[-1])
