"""Columns of a layer on tiles: nothing is lost or doubled where a group is cut."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from devices import BlockNoise, ChipStreams, Ideal, Stream, TaOx
from mappings.chip import Chip, Weights
from mappings.columns import ColumnGroup, GroupConverter, MappedConverter, codes_of, range_z
from mappings.matrix import PreActivation
from periphery import SIGMOID, TANH, PWMDriver, RampColumn, thresholds
from tests.quiet import FRONT_END


def chip_of(**changes: object) -> Chip:
    return Chip(weights=Weights(device=TaOx()), ramp=RampColumn(device=TaOx()), **changes)  # type: ignore[arg-type]


def built(
    group: ColumnGroup,
    chip: Chip,
    bits: int,
    rng: ChipStreams,
    *,
    volts_per_z: float = 0.1,
    adc_bits: int | None = None,
) -> GroupConverter:
    mapped = MappedConverter(
        name="ramp",
        group=group,
        chip=chip,
        stream=(),
        renewal=(),
        bits=bits,
        adc_bits=adc_bits or chip.adc_bits,
        range_z=chip.adc.range_z,
        volts_per_z=volts_per_z,
    )
    return mapped.following(None).build(rng)


@given(first=st.integers(0, 20), width=st.integers(1, 40), tile=st.integers(1, 24))
def test_scatter_undoes_gather_and_every_piece_is_on_one_tile(first: int, width: int, tile: int) -> None:
    group = ColumnGroup.cut(TANH, first, first + width, tile)
    z = torch.arange(60.0).expand(2, 3, 60)
    gathered = group.gather(z)
    assert gathered.shape == (2, 3, group.ramps, group.width)
    assert torch.equal(group.scatter(gathered), z[..., first : first + width])
    tiles = gathered[0, 0] // tile
    assert (tiles == tiles[:, :1]).all()
    assert len(tiles[:, 0].unique()) == group.ramps == len({c // tile for c in range(first, first + width)})


def test_every_piece_of_a_cut_group_has_a_ramp_of_its_own() -> None:
    group = ColumnGroup.cut(SIGMOID, 0, 10, 4)
    rng = ChipStreams.of(Stream.root(0), 2)
    converter = built(group, chip_of(), 5, rng)
    assert converter.ramp is not None
    levels = converter.ramp.read(0.0).levels
    assert levels.shape == (2, 3, 31)
    assert not torch.equal(levels[0, 0], levels[0, 1])


def test_the_capacitor_holds_the_widest_ramp_or_the_range_of_the_converter() -> None:
    functions = [(SIGMOID, 5), (TANH, 5)]
    widest = max(float(thresholds(f, b).abs().max()) for f, b in functions)
    assert range_z(chip_of(), functions) == pytest.approx(2 * widest)
    assert range_z(chip_of(readout="conventional"), functions) == pytest.approx(8.0)


@pytest.mark.parametrize("readout", ["ramp", "conventional"])
def test_linearised_codes_are_the_input_within_a_code(readout: str) -> None:
    chip = chip_of(readout=readout).idealised()
    group = ColumnGroup.cut(TANH, 0, 1, 512)
    rng = ChipStreams.of(Stream.root(0), 1)
    converter = built(group, chip, 8, rng, adc_bits=12)
    z = torch.linspace(-1.5, 1.5, 301)[None, :, None]
    codes = codes_of(converter.at(0.0), group, [PreActivation(z)], BlockNoise(rng, [0], 301))
    back = converter.linearised(codes)[0, :, 0, 0]
    # Half an LSB of the output, through the slope 1 - tanh^2 at 1.5, and the linear converter's own step.
    assert float((back - z[0, :, 0]).abs().max()) < 0.5 / 128 / (1 - torch.tensor(1.5).tanh() ** 2) * 1.1 + 8 / 2**13
    ends = converter.linearised(torch.tensor([0, 255]))
    assert torch.equal(ends, converter.linearised(torch.tensor([1, 254]))), "end codes stand for what is beyond"


@pytest.mark.parametrize("v_read_V", [0.15, 0.25])
def test_a_changed_read_voltage_is_a_gain_for_a_fixed_reference_and_nothing_for_a_ramp(v_read_V: float) -> None:
    group = ColumnGroup.cut(TANH, 0, 1, 512)
    rng = ChipStreams.of(Stream.root(0), 1)
    z = torch.linspace(-1.0, 1.0, 801)[None, :, None]

    def values(readout: str, v: float) -> torch.Tensor:
        chip = Chip(
            readout=readout,  # type: ignore[arg-type]
            weights=Weights(device=Ideal()),
            ramp=RampColumn(device=TaOx(read_noise_S=0.0)),
            comparator=chip_of().idealised().comparator,
            driver=PWMDriver(v_read_V=v),
            **FRONT_END,
        )
        converter = built(
            group,
            chip,
            8,
            rng,
            volts_per_z=chip.front_end.swing_V / range_z(chip, [(TANH, 8)]) * chip.driver.supply_gain,
            adc_bits=12,
        )
        conversion = converter.at(0.0)
        return conversion.values(codes_of(conversion, group, [PreActivation(z)], BlockNoise(rng, [0], 801)))

    assert torch.equal(values("ramp", v_read_V), values("ramp", 0.2))
    moved = values("conventional", v_read_V)[0, :, 0, 0]
    torch.testing.assert_close(moved, torch.tanh(z[0, :, 0] * v_read_V / 0.2), rtol=0.0, atol=1.5 / 128)
    assert float((moved - values("conventional", 0.2)[0, :, 0, 0]).abs().max()) > 5 / 128
