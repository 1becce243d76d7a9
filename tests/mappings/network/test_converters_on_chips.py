"""Layers on every converter: kinds, digital units, ranges and levels from data, ramps shared by few columns."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from devices import BlockNoise, ChipStreams, Gaussian, Ideal, InputError, Stream, TaOx
from mappings.activity import Activity
from mappings.chip import Chip, Weights
from mappings.network.recurrent import RecurrentLayer
from periphery import Comparator, ConventionalADC, RampColumn
from periphery.adc.activation import Cordic, PiecewiseLinear
from periphery.adc.calibration import RangeCalibration
from periphery.adc.kinds import ADCS, SAR, LinearRamp, Quantiser
from periphery.drivers import PWMDriver

INPUTS, HIDDEN, SAMPLES, STEPS = 7, 5, 16, 6
QUIET = Comparator(offset_V=0.0, noise_V=0.0)
COLUMN = RampColumn(device=Ideal(), capacitor_mismatch=0.0)
RAMP = Chip(bits=6, weights=Weights(device=Ideal()), ramp=COLUMN, comparator=QUIET)
LINEAR = replace(RAMP, readout="conventional", adc=ConventionalADC(bits=8, range_z=5.0))


def rng(chips: int = 1) -> ChipStreams:
    return ChipStreams.of(Stream.root(12), chips)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def layer_of(cell: str = "lstm") -> RecurrentLayer:
    gates = {"lstm": 4, "gru": 3, "rnn": 1}[cell] * HIDDEN
    return RecurrentLayer.from_torch(
        cell,  # type: ignore[arg-type]
        normal(gates, INPUTS),
        normal(gates, HIDDEN, seed=1),
        normal(gates, seed=2) / 2,
        reset="before",
    )


def counts_of(chip: Chip) -> torch.Tensor:
    return chip.driver.counts(normal(SAMPLES, STEPS, INPUTS, seed=3) / 2, chip.bits)


def hidden(chip: Chip, chips: int = 1, cell: str = "lstm", activity: Activity | None = None) -> torch.Tensor:
    counts = counts_of(chip)
    read = layer_of(cell).map(chip, calibration=counts).program(rng=rng(chips)).at(0.0)
    return read.run(counts, noise=BlockNoise(rng(chips).child("read"), [0], SAMPLES), activity=activity)[:, :, -1]


@pytest.mark.parametrize("kind", [kind for kind in ADCS if kind != "sense_amp"])
def test_every_kind_without_errors_gives_the_codes_of_the_quantiser(kind: str) -> None:
    adc = replace(LINEAR.adc, converter=ADCS[kind]())  # type: ignore[arg-type]
    assert float((hidden(replace(LINEAR, adc=adc)) - hidden(LINEAR)).abs().max()) <= 1.0


def test_errors_of_a_converter_reach_the_hidden_state_and_differ_from_chip_to_chip() -> None:
    adc = replace(LINEAR.adc, converter=SAR(capacitor_mismatch=0.05))
    two = hidden(replace(LINEAR, adc=adc), 2)
    assert float((two[0] - two[1]).abs().mean()) > 0.05
    assert torch.equal(two[:1], hidden(replace(LINEAR, adc=adc), 1))


@pytest.mark.parametrize(("unit", "most"), [(PiecewiseLinear(segments=64, bits=12), 2.0), (Cordic(), 2.0)], ids=str)
def test_digital_units_stand_in_for_the_table(unit: Any, most: float) -> None:
    found = hidden(replace(LINEAR, adc=replace(LINEAR.adc, activation=unit)))
    assert float((found - hidden(LINEAR)).abs().max()) <= most
    coarse = hidden(replace(LINEAR, adc=replace(LINEAR.adc, activation=PiecewiseLinear(segments=2, bits=6))))
    assert float((coarse - hidden(LINEAR)).abs().mean()) > 0.5


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("per", ["layer", "tile", "column"])
def test_ranges_calibrated_on_data_resolve_more_than_a_wide_one(cell: str, per: str) -> None:
    """A range ten times too wide costs resolution; one found on data is as good as the right one."""
    best = hidden(replace(LINEAR, adc=replace(LINEAR.adc, bits=12, range_z=8.0)), cell=cell)
    wide = replace(LINEAR, adc=replace(LINEAR.adc, bits=5, range_z=60.0))
    found = replace(wide, adc=replace(wide.adc, calibration=RangeCalibration(per=per)))  # type: ignore[arg-type]
    errors = [float((hidden(chip, cell=cell) - best).abs().mean()) for chip in (wide, found)]
    assert errors[1] < 0.5 * errors[0]


def test_what_a_calibrated_range_clips_is_known() -> None:
    narrow = RangeCalibration(method="percentile", percentile=80.0)
    chip = replace(LINEAR, adc=replace(LINEAR.adc, calibration=narrow))
    mapped = layer_of().map(chip, calibration=counts_of(chip))
    assert [c.clipped for c in mapped.converters] == pytest.approx([0.2, 0.2], abs=0.03)


def test_levels_chosen_for_the_data_lose_less_of_it() -> None:
    """At 3 bits, thresholds where small inputs are against thresholds evenly over the output."""
    chip = replace(RAMP, bits=3, ramp=RampColumn(device=Ideal(), levels="optimal"))
    mapped = layer_of().map(chip, calibration=counts_of(chip)).converters[0]
    z = 0.3 * mapped.group.gather(layer_of().pre_activations(chip, counts_of(chip))["0"])[None]
    errors = {}
    for levels in ("uniform", "optimal"):
        built = replace(mapped, chip=replace(chip, ramp=replace(chip.ramp, levels=levels)))
        conversion = built.following(z[0]).build(rng()).at(0.0)
        y = conversion.values(conversion.codes(z, None, BlockNoise(rng(), [0], z.shape[1])))
        errors[levels] = float((y - torch.sigmoid(z)).square().mean())
    assert errors["optimal"] < 0.5 * errors["uniform"]


@pytest.mark.parametrize("chip", [replace(RAMP, ramp=RampColumn(device=Ideal(), levels="optimal")),
                                  replace(LINEAR, adc=replace(LINEAR.adc, calibration=RangeCalibration()))],
                         ids=["optimal levels", "calibrated range"])  # fmt: skip
def test_a_chip_that_follows_data_asks_for_it(chip: Chip) -> None:
    with pytest.raises(InputError, match="need calibration inputs"):
        layer_of().map(chip)


@pytest.mark.parametrize("per_ramp", [1, 3, 4])
def test_few_columns_to_a_ramp_take_more_ramps_and_compute_the_same(per_ramp: int) -> None:
    chip = replace(RAMP, columns=8, ramp=replace(COLUMN, columns_per_ramp=per_ramp))
    groups = layer_of().groups(chip)
    assert all(group.width <= per_ramp for group in groups)
    numbers = torch.arange(4 * HIDDEN)
    for group in groups:
        assert torch.equal(group.scatter(group.gather(numbers)), numbers[group.first : group.last])
        for ramp in group.columns:
            assert len({int(column) // 8 for column in ramp}) == 1, "a ramp stays on its tile"
    assert torch.equal(hidden(chip), hidden(RAMP))
    noisy = replace(chip, ramp=replace(chip.ramp, device=TaOx()))
    assert hidden(noisy, 2).shape == hidden(RAMP, 2).shape


def test_compensation_reads_codes_of_optimal_levels() -> None:
    device = Gaussian(drift_mean=0.05, drift_sd=0.0, g_min_S=1e-6)
    compensation = replace(RAMP.compensation, mode="global")
    ramp = RampColumn(device=Ideal(), levels="optimal")
    chip = replace(RAMP, weights=Weights(device=device), ramp=ramp, compensation=compensation)
    read = layer_of().map(chip, calibration=counts_of(chip)).program(rng=rng()).at(2592000.0)
    shrunk = (1 + 2592000.0) ** -0.05
    for factor in read.factors:
        assert float(factor) == pytest.approx(shrunk, rel=0.1)  # type: ignore[arg-type]


def test_converters_and_units_are_counted_timed_and_stand_on_the_chip() -> None:
    """A linear ramp: a comparator a column, all at once, steps by the codes; a SAR: shared, one after the other."""

    def counted(chip: Chip) -> tuple[dict[str, float], dict[str, float], float]:
        activity, programmed = Activity(), layer_of("rnn").map(chip).program(rng=rng())
        programmed.at(0.0).run(counts_of(chip), noise=BlockNoise(rng(), [0], SAMPLES), activity=activity)
        found = programmed.mapped.actions(programmed.observed(activity))
        (turn,) = [task.duration_s for task in found.tasks if task.resource == "adc"]
        act = {f"{line.component}.{line.action}": line.count for line in found.actions}
        return act, {line.component: line.count for line in found.instances}, turn

    plain, stands, turn = counted(LINEAR)
    ramp, ramp_stands, ramp_turn = counted(replace(LINEAR, adc=replace(LINEAR.adc, converter=LinearRamp())))
    (adc,) = [name for name in plain if name.endswith(".convert")]
    assert plain[adc] == HIDDEN
    assert adc not in ramp
    assert 0 < ramp["comparator.step"] < HIDDEN * 256
    assert ramp["ramp_generator.step"] == 256
    assert ramp_stands["comparator"] == HIDDEN
    assert ramp_turn == pytest.approx(256e-9)
    assert turn == pytest.approx(HIDDEN * 1e-8)
    assert stands["lookup"] == LINEAR.lanes
    unit, unit_stands, _ = counted(replace(LINEAR, adc=replace(LINEAR.adc, activation=PiecewiseLinear())))
    assert "lookup.evaluate" not in unit
    assert unit["coefficient_table.read_bit"] > 0
    assert "lookup" not in unit_stands


def test_a_ratiometric_reference_does_not_see_the_read_voltage() -> None:
    low = PWMDriver(v_read_V=0.16, v_design_V=0.2)
    shifts = []
    for converter in (Quantiser(), LinearRamp(reference="ratiometric")):
        chip = replace(LINEAR, adc=replace(LINEAR.adc, converter=converter))
        shifts.append(float((hidden(replace(chip, driver=low)) - hidden(chip)).abs().mean()))
    assert shifts[0] > 0.2
    assert shifts[1] == 0.0
