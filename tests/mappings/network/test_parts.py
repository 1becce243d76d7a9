"""Layers whose sums are put together from parts: slices of weights, bits of inputs, row tiles; and other drivers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from crossbar import BitSlices, DifferentialPair, Encoding, OffsetColumn
from crossbar.wires import Wires
from devices import BlockNoise, ChipStreams, Gaussian, Ideal, InputError, Stream, TaOx
from mappings.activity import Activity
from mappings.chip import Chip, Compensation, Weights
from mappings.matrix import MappedMatrix, ProgrammedMatrix, WeightMatrix
from mappings.network.dense import DenseLayer
from mappings.network.recurrent import RecurrentLayer
from periphery import Comparator, ConventionalADC, RampColumn
from periphery.drivers import AnyDriver, PWMDriver
from periphery.drivers.amplitude import AmplitudeDAC
from periphery.drivers.bit_serial import BitSerial
from periphery.front_end import Integrator
from tests.quiet import CIRCUIT

INPUTS, HIDDEN, SAMPLES, STEPS = 9, 6, 16, 5
QUIET = Comparator(offset_V=0.0, noise_V=0.0)
RAMP = Chip(bits=8, weights=Weights(device=Ideal()), ramp=RampColumn(device=Ideal(), capacitor_mismatch=0.0), **CIRCUIT)
LINEAR = replace(RAMP, readout="conventional", adc=ConventionalADC(bits=12, range_z=8.0))


def streams(chips: int = 1) -> ChipStreams:
    return ChipStreams.of(Stream.root(12), chips)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def hidden(chip: Chip, chips: int = 1, t_s: float = 0.0) -> torch.Tensor:
    weights = normal(HIDDEN, INPUTS), normal(HIDDEN, HIDDEN, seed=1), normal(HIDDEN, seed=2)
    counts = chip.driver.counts(normal(SAMPLES, STEPS, INPUTS, seed=3) / 2, chip.bits)
    rng = streams(chips)
    read = RecurrentLayer.from_torch("rnn", *weights).map(chip).program(rng=rng).at(t_s)
    return read.run(counts, noise=BlockNoise(rng.child("read"), [0], SAMPLES))[:, :, -1]


def programmed(matrix: torch.Tensor, chip: Chip) -> ProgrammedMatrix:
    """A matrix ``(rows, columns)`` as written."""
    mapped = MappedMatrix.of(WeightMatrix((matrix.T,)), chip)
    return mapped.program(mapped.front_end(8.0), rng=streams())


SLICED = BitSlices(slice_bits=4, weight_bits=12, combine="digital")


@pytest.mark.parametrize("driver", [AmplitudeDAC(), AmplitudeDAC(signed="bipolar"), BitSerial()], ids=str)
@pytest.mark.parametrize("encoding", [DifferentialPair(cells=2), OffsetColumn(), BitSlices(weight_bits=16)], ids=str)
def test_a_ramp_sees_the_same_sum_from_every_exact_driver_and_encoding(driver: AnyDriver, encoding: Encoding) -> None:
    other = replace(RAMP, driver=driver, weights=Weights(device=Ideal(), encoding=encoding))  # type: ignore[arg-type]
    difference = (hidden(other) - hidden(RAMP)).abs()
    assert float(difference.max()) <= 1.0, "a rounding at a threshold moves a code by one at most"
    assert float((difference > 0).float().mean()) < 0.02


@pytest.mark.parametrize(
    "changes",
    [
        {"weights": Weights(device=Ideal(), encoding=SLICED)},
        {"driver": BitSerial(accumulation="digital")},
        {"driver": BitSerial(accumulation="digital", signed="twos_complement")},
        {"weights": Weights(device=Ideal(), encoding=SLICED), "rows": 5, "partial_sums": "digital"},
    ],
    ids=["slices", "bits", "two's complement", "slices on row tiles"],
)
def test_words_of_parts_add_up_to_the_sum(changes: dict[str, Any]) -> None:
    """12-bit converters over each part's share of the range: the 8-bit codes of the sum move by two at most."""

    def codes(chip: Chip) -> torch.Tensor:
        layer = DenseLayer.from_torch(normal(HIDDEN, INPUTS), None, limit=8.0)
        counts = chip.driver.counts(normal(1, 400, INPUTS, seed=3), chip.bits)
        read = layer.map(chip).program(rng=streams()).at(0.0)
        return read.run(counts, noise=BlockNoise(streams(), [0], 400)) / (16.0 / 256)

    difference = (codes(replace(LINEAR, **changes)) - codes(LINEAR)).abs()
    assert float(difference.max()) <= 2.0
    assert float(difference.mean()) < 0.2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"weights": Weights(device=Ideal(), encoding=SLICED)},
            "chip.weights.encoding.combine: a ramp converts whole sums, not 3 slices apart; "
            "take combine: charge, or readout: conventional",
        ),
        (
            {"driver": BitSerial(accumulation="digital")},
            "chip.driver.accumulation: a ramp converts whole sums, not the bits of an input apart; "
            "take accumulation: charge, or readout: conventional",
        ),
    ],
)
def test_a_nonlinear_ramp_refuses_parts(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        hidden(replace(RAMP, **changes))
    assert str(caught.value) == message


def test_read_noise_is_frozen_over_the_bits_of_an_input_as_over_one_long_pulse() -> None:
    """N = 2^b - 1: bits weighted as charge and bits converted apart both add up to N^2 of the cells' variance."""
    device = TaOx(read_noise_S=2e-6)
    chip = replace(RAMP, weights=Weights(device=device))
    variances = []
    for driver in (PWMDriver(), BitSerial(), BitSerial(accumulation="digital")):
        read = programmed(normal(9, 4), replace(chip, driver=driver)).at(0.0)
        parts = read.pre_activation(torch.full((1, 4, 9), 127.0), BlockNoise(streams(), [0], 4))
        found = [part.variance for part in parts if part.variance is not None]
        assert len(found) == len(parts)
        variances.append(torch.stack(found).sum(0))
    for of_bits in variances[1:]:
        torch.testing.assert_close(of_bits, variances[0])


def test_noise_of_a_reference_column_is_one_draw_for_its_columns() -> None:
    device = TaOx(read_noise_S=5e-6)
    chip = replace(RAMP, columns=3, weights=Weights(device=device, encoding=OffsetColumn()))
    read = programmed(normal(9, 6), chip).at(0.0)
    counts = torch.full((1, 4000, 9), 20.0)
    (part,) = read.pre_activation(counts, BlockNoise(streams(), [0], 4000))
    seen = part.z[0] / part.z[0].std(0)
    correlation = torch.corrcoef(seen.T)
    same = torch.block_diag(torch.ones(3, 3), torch.ones(3, 3))
    torch.testing.assert_close(correlation, same, rtol=0.0, atol=0.08)


def test_wires_weaken_the_hidden_state_and_a_driver_with_offsets_moves_it() -> None:
    device = TaOx(programming_noise_S=0.0, read_noise_S=0.0)
    plain = replace(RAMP, weights=Weights(device=device))
    assert float((hidden(replace(plain, wires=Wires(r_word_ohm=1.0, r_bit_ohm=1.0))) - hidden(plain)).abs().mean()) > 0
    size = [
        float((hidden(replace(plain, wires=Wires(r_word_ohm=r, r_bit_ohm=r))) - hidden(plain)).abs().mean())
        for r in (0.5, 5.0)
    ]
    assert size[1] > 4 * size[0]
    bent = replace(plain, driver=AmplitudeDAC(element_mismatch=0.05, noise_V=2e-3))
    assert float((hidden(bent, 2)[0] - hidden(bent, 2)[1]).abs().mean()) > 0.1


def counted(chip: Chip) -> tuple[dict[str, float], dict[str, float], int]:
    """Actions and instances of one product of a dense layer, and how often its converters take a turn."""
    layer = DenseLayer.from_torch(normal(HIDDEN, INPUTS), None, limit=4.0)
    rng = streams()
    programmed = layer.map(chip).program(rng=rng)
    seen = Activity()
    counts = chip.driver.counts(normal(1, SAMPLES, INPUTS, seed=3), chip.bits)
    programmed.at(0.0).run(counts, noise=BlockNoise(rng, [0], SAMPLES), activity=seen)
    found = programmed.mapped.actions(programmed.observed(seen))
    act = {f"{line.component}.{line.action}": line.count for line in found.actions}
    turns = sum(task.resource == "adc" for task in found.tasks)
    return act, {line.component: line.count for line in found.instances}, turns


def test_parts_are_counted_timed_and_priced() -> None:
    """Every slice is converted by itself side by side; every bit one after the other on the same converters."""
    plain, stands, turns = counted(LINEAR)
    slices, sliced_stands, _ = counted(replace(LINEAR, weights=Weights(device=Ideal(), encoding=SLICED)))
    bits, bits_stand, bits_turns = counted(replace(LINEAR, driver=BitSerial(accumulation="digital")))
    (adc,) = [name for name in plain if name.endswith(".convert")]
    assert (slices[adc], bits[adc]) == (3 * plain[adc], 14 * plain[adc])
    assert sliced_stands["column_front_end"] == 3 * stands["column_front_end"]
    assert bits_stand["column_front_end"] == stands["column_front_end"]
    assert sliced_stands["cell_array"] == 3 * stands["cell_array"]
    assert slices["adder.add_bit"] > 0
    assert "adder.add_bit" not in plain
    assert "pwm_driver.load_bit" not in bits
    assert bits["bit_driver.drive_bit"] > 0
    assert (turns, bits_turns) == (1, 14)
    on_slices = replace(LINEAR, weights=Weights(device=Ideal(), encoding=BitSlices()))
    charge, charge_stands, _ = counted(on_slices)
    assert charge[adc] == plain[adc]
    assert charge_stands["column_front_end"] == stands["column_front_end"], "one converter behind four capacitors"
    built = [counted(replace(chip, front_end=Integrator()))[1]["capacitor_mim"] for chip in (LINEAR, on_slices)]
    assert built[1] > 2 * built[0], "a capacitor for each significance"


@pytest.mark.parametrize("driver", [AmplitudeDAC(pulse_clocks=3, settle_s=1e-9), BitSerial(bit_clocks=2)], ids=str)
def test_a_product_takes_as_long_as_its_driver(driver: AnyDriver) -> None:
    chip = replace(LINEAR, driver=driver)
    timing = DenseLayer.from_torch(normal(HIDDEN, INPUTS), None, limit=4.0).map(chip).timing
    assert driver.drive_clocks(8) == {"amplitude": 8, "bit_serial": 28}[driver.kind]
    assert timing.input_clocks == driver.drive_clocks(8) + driver.phases(8), "every phase settles for a clock period"


def test_gains_of_columns_are_measured_and_trimmed() -> None:
    """Columns whose cells shrank by different amounts: one factor a ramp leaves them, one a column does not."""
    device = Gaussian(drift_mean=0.05, drift_sd=0.0, g_min_S=1e-6, g_max_S=100e-6)
    rng, t_s, gains = streams(2), 2592000.0, torch.linspace(0.8, 1.2, 32)
    layer = RecurrentLayer.from_torch("rnn", normal(32, 20), normal(32, 32, seed=1) / 3, None)
    left = {}
    for mode, baseline in (("global", "noisy"), ("per_column", "noisy"), ("per_column", "exact")):
        compensation = Compensation(mode=mode, baseline=baseline, vectors=256)  # type: ignore[arg-type]
        chip = replace(RAMP, weights=Weights(device=device), compensation=compensation)
        programmed = layer.map(chip).program(rng=rng)
        array, values = programmed.matrix.array, programmed.mapped.matrix.values
        bent = replace(array, cells=replace(array.cells, programmed_S=array.cells.programmed_S * gains))
        read = replace(programmed, matrix=replace(programmed.matrix, array=bent)).at(t_s)
        seen = read.columns.matrix.array.difference_S / chip.driver.lsb(8)
        shrunk = (seen * values).sum(1) / values.square().sum(0)
        (ramp,), (trim,) = read.factors, read.columns.trims
        assert isinstance(ramp, torch.Tensor)
        assert (trim is None) == (mode == "global")
        total = ramp[:, :, 0] if trim is None else ramp[:, :, 0] * trim[:, 0]
        left[mode, baseline] = float((shrunk / total - 1).abs().max())
    assert left["per_column", "exact"] < 0.03
    assert left["per_column", "noisy"] > 0.1, "a chip measured against itself keeps what it was programmed with"
    assert left["global", "noisy"] > 0.1
