"""What is priced as separate errs separately; what is shared errs alike. One circuit in front of every converter."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from crossbar import BitSlices
from devices import BlockNoise, ChipStreams, Ideal, Stream, TaOx
from mappings.chip import Chip, Compensation, OutputConverter, Weights
from mappings.cost import price
from mappings.network.dense import DenseLayer
from mappings.network.recurrent import RecurrentLayer
from mappings.network.recurrent_run import RecurrentRead
from periphery import Comparator, ConventionalADC, RampColumn
from periphery.adc.kinds import SAR
from periphery.drivers import AnyDriver, PWMDriver
from periphery.drivers.amplitude import AmplitudeDAC
from periphery.drivers.bit_serial import BitSerial
from tests.quiet import CIRCUIT

ROWS, COLUMNS, CHIPS = 20, 8, 300
QUIET = Comparator(offset_V=0.0, noise_V=0.0)
FINE = Chip(
    bits=8,
    weights=Weights(device=Ideal()),
    ramp=RampColumn(device=Ideal()),
    **CIRCUIT,
    readout="conventional",
    adc=ConventionalADC(bits=12, range_z=4.0),
    output=OutputConverter(bits=8, limit=0.5),
    rows=ROWS,
    partial_sums="digital",
)
OFFSET_V = 5e-3


def outputs(chip: Chip, x: float = 0.0, *, chips: int = CHIPS, n: int = 1, seed: int = 3) -> torch.Tensor:
    """Outputs ``(chips, n, columns)`` of a layer of equal weights whose inputs are all ``x``."""
    rng = ChipStreams.of(Stream.root(seed), chips)
    layer = DenseLayer.from_torch(torch.full((COLUMNS, ROWS), 0.02), None, limit=4.0)
    counts = chip.driver.counts(torch.full((n, ROWS), x), chip.bits)
    read = layer.map(chip).program(rng=rng).at(0.0)
    return read.run(counts, noise=BlockNoise(rng.child("read"), [0], n))


@pytest.mark.parametrize("where", ["front end", "converter"])
def test_offsets_of_row_tiles_add_as_independent_ones_do(where: str) -> None:
    """Five tiles: the root of five times one tile's offset, not five times."""
    chip = replace(FINE, comparator=replace(QUIET, offset_V=OFFSET_V))
    if where == "converter":
        chip = replace(FINE, adc=replace(FINE.adc, converter=SAR(offset_V=OFFSET_V), columns_per_adc=1))
    spread = [float(outputs(replace(chip, rows=rows)).std()) for rows in (ROWS, ROWS // 5)]
    assert spread[1] / spread[0] == pytest.approx(math.sqrt(5.0), rel=0.06)


def test_slices_of_a_weight_have_converters_of_their_own() -> None:
    weights = Weights(device=Ideal(), encoding=BitSlices(slice_bits=4, weight_bits=12, combine="digital"))
    chip = replace(FINE, weights=weights, comparator=replace(QUIET, offset_V=OFFSET_V))
    rng = ChipStreams.of(Stream.root(1), CHIPS)
    mapped = DenseLayer.from_torch(torch.full((COLUMNS, ROWS), 0.02), None, limit=4.0).map(chip)
    offset = mapped.program(rng=rng).converters[0].offset_V
    assert offset.shape == (CHIPS, 3, COLUMNS)
    assert mapped.shape.front_ends == 3 * COLUMNS
    correlation = torch.corrcoef(offset.transpose(0, 1).flatten(1)) - torch.eye(3)
    assert float(correlation.abs().max()) < 0.1


def test_bits_of_an_input_take_turns_on_one_converter() -> None:
    """Offsets of one converter add up over the bits, weight by weight: not independent ones."""
    chip = replace(FINE, comparator=replace(QUIET, offset_V=OFFSET_V))
    bits = replace(chip, driver=BitSerial(accumulation="digital"))
    shares = sum(abs(weight) for weight in BitSerial().weights(8)) / 127
    whole, serial = outputs(chip), outputs(bits)
    assert float(torch.corrcoef(torch.stack([whole.flatten(), serial.flatten()]))[0, 1]) > 0.99
    assert float(serial.std() / whole.std()) == pytest.approx(shares, rel=0.05)


@pytest.mark.parametrize(
    "driver", [PWMDriver(edge_jitter_s=0.5e-9), AmplitudeDAC(offset_V=2e-3), AmplitudeDAC(noise_V=5e-3)], ids=str
)
def test_column_tiles_have_row_drivers_of_their_own(driver: AnyDriver) -> None:
    """Columns of one tile see the same errors of its drivers; those of the tile beside it see others."""
    chip = replace(FINE, columns=COLUMNS // 2, driver=driver)
    y = outputs(chip, 0.8)[:, 0].double()
    correlation = torch.corrcoef(y.T)
    within, across = correlation[0, 1], correlation[0, COLUMNS // 2]
    assert float(within) > 0.9
    assert abs(float(across)) < 0.2
    assert DenseLayer.from_torch(torch.ones(COLUMNS, ROWS), None, limit=4.0).map(chip).shape.column_tiles == 2


def test_the_held_product_of_a_conventional_chain_has_its_sampling_noise() -> None:
    """sqrt(kT / C): 2.9 mV on half a femtofarad, over the volts of one unit of z."""
    comparator = replace(QUIET, hold_F=0.5e-15)
    seen = outputs(replace(FINE, comparator=comparator), chips=40, n=100)
    volts = FINE.front_end.swing_V / (2 * FINE.output.limit)
    assert float(seen.std()) == pytest.approx(comparator.hold_noise_V / volts, rel=0.05)


def test_a_held_product_leaks_while_it_waits_for_the_shared_converter() -> None:
    """The k-th of eight neighbours has lost ``1 - exp(-(k + 1/2) 10 ns / 200 ns)`` by its turn."""
    chip = replace(FINE, comparator=replace(QUIET, hold_leak_s=200e-9))
    kept = outputs(chip, 1.0, chips=1)[0, 0] / outputs(FINE, 1.0, chips=1)[0, 0]
    wanted = torch.exp(-(torch.arange(COLUMNS) + 0.5) * 10e-9 / 200e-9)
    torch.testing.assert_close(kept, wanted, rtol=0.0, atol=0.02)


def test_the_state_of_an_lstm_comes_back_through_a_pair_of_noisy_cells() -> None:
    """Gain and noise of c's way back are those of two cells, as it is priced: sqrt(2) of one cell's, over the range."""
    device = TaOx(programming_noise_S=0.0, read_noise_S=3e-6)
    chip = Chip(bits=5, weights=Weights(device=Ideal()), ramp=RampColumn(device=device), **CIRCUIT)
    weights = torch.ones(4 * 3, 2), torch.ones(4 * 3, 3)
    programmed = (
        RecurrentLayer.from_torch("lstm", *weights, None).map(chip).program(rng=ChipStreams.of(Stream.root(2), 2))
    )
    read = programmed.at(0.0)
    assert isinstance(read, RecurrentRead)
    state = read.state
    assert programmed.state_cells is not None
    assert state is not None
    assert state.variance is not None
    assert programmed.state_cells.programmed_S.shape == (2, 2, 3)
    span_S = device.g_max_S - device.g_min_S
    torch.testing.assert_close(state.gain, torch.ones(2, 1, 3))
    torch.testing.assert_close(state.variance.sqrt(), torch.full((2, 1, 3), math.sqrt(2.0) * 3e-6 / span_S))
    pairs = [line.count for line in programmed.mapped.actions().instances if line.component == "cell_array"]
    assert pairs == [2 * 512 * 512 + 2 * 3]


@pytest.mark.parametrize("readout", ["ramp", "conventional"])
def test_whole_tiles_are_paid_and_said(readout: Any) -> None:
    """A layer that fills three quarters of two tiles needs what a full one does, and drives less."""
    chip = replace(FINE, rows=16, columns=6, readout=readout, partial_sums="charge")
    made = {}
    for rows, columns in ((16, 9), (16, 12)):
        mapped = DenseLayer.from_torch(torch.full((columns, rows), 0.02), None, limit=4.0).map(chip)
        made[columns] = mapped.actions()
    stand = [{one.component: one.count for one in step.instances} for step in made.values()]
    assert stand[0] == stand[1]
    assert stand[0]["cell_array"] == 2 * 2 * 16 * 6
    assert stand[0]["word_line"] - (stand[0].get("register", 0.0)) == 2 * 16
    assert made[9].notes[0] == "layer: 16 x 9 weights take 2 whole tiles of 16 x 6, 75.0% of their places"
    assert not any("whole tiles" in note for note in made[12].notes)
    did = [{(one.component, one.action): one.count for one in step.actions} for step in made.values()]
    assert did[0]["code_latch", "write_bit"] < did[1]["code_latch", "write_bit"]
    assert did[0]["word_line", "cell_pulse"] == did[1]["word_line", "cell_pulse"], "a line passes empty places too"


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"delay_s": 1e-9}, "delay_s"),
        ({"delay_compensated": True}, "delay_compensated"),
        ({"noise": "per_step"}, "noise: per_step"),
    ],
)
def test_what_only_a_ramp_reads_is_refused_without_one(changes: dict[str, Any], name: str) -> None:
    with pytest.raises(ValueError) as caught:
        replace(FINE, comparator=replace(QUIET, **changes))
    assert str(caught.value) == (
        f"comparator.{name}: only comparators that watch a ramp have it, and readout: conventional has none; "
        "leave it out, or take readout: ramp"
    )


@pytest.mark.parametrize("readout", ["ramp", "conventional"])
def test_a_quieter_comparator_takes_energy_and_one_of_less_offset_area(readout: Any) -> None:
    def made(**changes: Any) -> tuple[float, float]:
        """Energy of all decisions, and area of the columns' transistors."""
        chip = replace(FINE, readout=readout, partial_sums="charge", comparator=Comparator(**changes))
        mapped = DenseLayer.from_torch(torch.full((COLUMNS, ROWS), 0.02), None, limit=4.0).map(chip)
        step = mapped.actions()
        lines = price(step, node_nm=chip.node_nm, components=mapped.components())
        return (
            sum(line.energy_J for line in lines if line.component == "comparator"),
            sum(line.area_m2 for line in lines if line.component in ("comparator", "column_front_end")),
        )

    usual, quiet, wide = made(), made(step_J=4 * 10.45e-15), made(pair_um2=1.0)
    assert quiet[0] == pytest.approx(4 * usual[0])
    assert quiet[1] == usual[1]
    assert wide[0] == usual[0]
    assert wide[1] - usual[1] == pytest.approx(FINE.columns * 2 * 3 * 0.75e-12)


def test_compensation_is_counted_and_stands_on_the_chip() -> None:
    """Two rounds of 64 vectors, a third for the columns' trims; factors of 8 bits; five bias cells written again."""
    weights = torch.full((COLUMNS, 2), 0.02), torch.full((COLUMNS, COLUMNS), 0.02)
    layer = RecurrentLayer.from_torch("rnn", *weights, None)
    plain = replace(FINE, readout="ramp", partial_sums="charge")
    made = {}
    for mode in ("off", "global", "per_column"):
        compensation = Compensation(mode=mode, every_s=1.0)  # type: ignore[arg-type]
        mapped = layer.map(replace(plain, compensation=compensation))
        step = mapped.actions()
        made[mode] = {f"{one.component}.{one.action}": one.count for one in step.actions}
        made[mode] |= {one.component: one.count for one in step.instances}
    share = step.latency_s
    for mode, products in (("global", 128), ("per_column", 192)):
        wanted = made["off"]["cell_array.read_J"] * (1 + products * share)
        assert made[mode]["cell_array.read_J"] == pytest.approx(wanted)
        assert made[mode]["lookup.evaluate"] == pytest.approx(products * COLUMNS * share)
        assert made[mode]["cell_write.write"] == pytest.approx(5 * share)
        assert made[mode]["lookup"] == 1
    kept = [made[mode]["register"] - made["off"]["register"] for mode in ("global", "per_column")]
    assert kept == [8, 8 + 8 * FINE.columns]
    assert "lookup" not in made["off"]
