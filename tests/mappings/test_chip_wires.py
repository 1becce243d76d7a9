"""Wires of a chip: capacitance, settling and current by node, and what is said of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from crossbar.wires import Wires
from devices import PCM, ChipStreams, Device, InputError, Stream, TaOx
from mappings.chip import Chip, Weights
from mappings.chip_wires import NodeWires, OhmWires
from mappings.network.recurrent import RecurrentLayer
from mappings.network.wires import wire_notes
from periphery import RampColumn

NODE = NodeWires(cell_width_F=4.0, cell_height_F=12.0)
CHIP = Chip(rows=64, columns=32, weights=Weights(device=TaOx()), ramp=RampColumn(device=TaOx()), wires=NODE)


def notes_of(device: Device, wires: NodeWires | OhmWires | None, rows: int = 256) -> list[str]:
    """An LSTM layer of 73 x 128 weights."""
    draw = torch.Generator().manual_seed(0)
    tensors = [0.3 * torch.randn(shape, generator=draw) for shape in ((128, 40), (128, 32), (128,))]
    chip = replace(CHIP, rows=rows, columns=rows // 2, weights=Weights(device=device), wires=wires)
    mapped = RecurrentLayer.from_torch("lstm", *tensors).map(chip, name="lstm")
    return wire_notes({"lstm": mapped.program(rng=ChipStreams.of(Stream.root(0), 1).child("lstm"))})


def test_lines_by_node_have_the_capacitance_of_metal_and_access_transistor() -> None:
    """16 nm: lines 34.2 nm wide, cells of 4 F x 12 F, 0.19 fF/um, and 16/130 of NeuRRAM's 1.5 fF (wan2022)."""
    lines = CHIP.lines
    assert lines is not None
    access_F, width_um = 1.5e-15 * 16 / 130, (lines.current_limit_A or 0.0) ** 0.5 / (7e9 * 2.0) ** 0.5 * 1e6
    assert width_um == pytest.approx(0.0342, rel=0.01)
    assert lines.c_word_F == pytest.approx(access_F + 0.19e-15 * 4 * width_um)
    assert lines.c_bit_F == pytest.approx(access_F + 0.19e-15 * 12 * width_um)
    tile = CHIP.tile
    assert tile.bit_lines == 64
    assert tile.word_line_F == pytest.approx(64 * lines.c_word_F)
    assert tile.bit_line_F == pytest.approx(64 * lines.c_bit_F)
    assert tile.pulse_J(0.2, 0.8) == pytest.approx(0.16 * tile.word_line_F)
    bare = replace(CHIP, wires=None).tile
    assert (bare.word_line_F, bare.bit_line_F, bare.settling_s[0]) == (0.0, 0.0, 0.0)


def test_lines_by_ohms_have_neurrams_capacitance_a_cell_and_the_limit_of_their_node() -> None:
    given = replace(CHIP, node_nm=130.0, wires=OhmWires(r_word_ohm=1.0)).lines
    assert given is not None
    assert (given.c_word_F, given.c_bit_F) == pytest.approx((2.1e-15, 2.1e-15))
    # 0.7 MA/cm2 is 2.5 mA/um in a line of 130 nm: the kits of that node allow 1 to 2.8 in their lower metals.
    assert given.current_limit_A == pytest.approx(2.45e-3 * 0.175, rel=0.01)
    own = OhmWires(c_word_F=3e-16, c_bit_F=0.0, current_limit_A=1e-3)
    assert own.lines(16.0) == own


def test_a_line_settles_with_half_its_own_resistance_and_all_of_its_drivers() -> None:
    wires = Wires(r_word_ohm=2.0, r_bit_ohm=3.0, r_driver_ohm=100.0, r_sense_ohm=40.0, c_word_F=1e-15, c_bit_F=2e-15)
    assert wires.word_tau_s(50) == pytest.approx((50.0 + 100.0) * 50e-15)
    assert wires.bit_tau_s(20) == pytest.approx((30.0 + 40.0) * 40e-15)


def test_a_clock_too_short_for_a_line_is_refused_with_the_one_that_would_do() -> None:
    slow = replace(CHIP, node_nm=7.0, rows=1024, columns=32)
    with pytest.raises(InputError, match=r"driver.t_clk_s: a bit line past 1024 rows settles in 4.1\de-09 s") as caught:
        slow.check_layers()
    enough = float(str(caught.value).split("take at least ")[1].split(",")[0])
    replace(slow, driver=replace(slow.driver, t_clk_s=enough)).check_layers()


def test_a_chip_that_cannot_work_with_its_wires_is_named_with_the_numbers() -> None:
    """The case of the audit: rram_taox at 16 nm on one tile has kappa 9.8, keeps 0.12 of its weights, and is off by
    115 % after one global gain; its largest word line carries 8.5 mS x 0.2 V over half of the time."""
    first, second = notes_of(TaOx(), NODE)
    assert (
        "leave 0.12 of the weights (kappa 9.8), 1.1 of it off any one factor; below 0.5 an array is taken as" in first
    )
    assert "lstm: a word line at full drive carries 0.00085 A on average over a product, 52 times" in second
    (fit,) = notes_of(PCM(), OhmWires(r_word_ohm=1.0, r_bit_ohm=1.0, current_limit_A=1e-3), rows=64)
    assert "leave 0.99 of the weights (kappa 0.011)" in fit
    assert "unfit" not in fit
    (ideal,) = notes_of(TaOx(), None)
    assert "an idealisation" in ideal
