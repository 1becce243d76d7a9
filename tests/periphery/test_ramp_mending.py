"""Bias cells that are programmed again, and ramps of functions that jump."""

from __future__ import annotations

import pytest
import torch

from devices import PCM, BlockNoise, ChipStreams, InputError, Stream, TaOx
from devices.effects import ConductanceSpread, Stuck
from periphery import SIGMOID, Comparator, RampColumn, RampConverter, from_callable
from periphery.ramp.cells import Ramp


def chips(count: int) -> ChipStreams:
    return ChipStreams.of(Stream.root(31), count)


def test_jitter_of_the_bias_cells_is_that_of_their_clock_periods() -> None:
    """A trim of ``w`` periods adds charge Q; each period errs by j, so the start errs by ``Q j / sqrt(w)`` more."""
    column = RampColumn(device=TaOx(read_noise_S=0.0), jitter_clocks=0.05, capacitor_mismatch=0.0)
    ramp = Ramp.program(column.design(SIGMOID, 5), ramps=1, rng=chips(1))
    read = ramp.read(0.0)
    assert read.noise is not None
    trims = [(trim.cells.programmed_S[0, 0].double() * trim.weight[0, 0]).sum() for trim in ramp.bias]
    periods = [trim.weight[0, 0].abs().max().clamp_min(1.0) for trim in ramp.bias]
    start = ramp.steps.programmed_S[0, 0, 0, 0, 0].double() * ramp.design.clocks[0]
    clocks = ramp.design.clocks[0].abs()
    variance = start.square() / clocks + sum(q.square() / w for q, w in zip(trims, periods, strict=True))
    assert float(read.noise[0, 0, 0]) == pytest.approx(0.05 * float(variance.sqrt()) / ramp.design.unit_S, rel=1e-6)


def test_bias_cells_programmed_again_are_the_same_cells() -> None:
    device = PCM(effects=(ConductanceSpread(device_sd=0.05), Stuck(off_rate=0.3)))
    ramp = Ramp.program(RampColumn(device=device).design(SIGMOID, 5), ramps=2, rng=chips(20))
    again = ramp.recentred(3600.0, chips(20).child("later"))
    twice = again.recentred(7200.0, chips(20).child("later"))
    assert (ramp.written, again.written, twice.written) == (1, 2, 3)
    for first, second, third in zip(ramp.bias, again.bias, twice.bias, strict=True):
        for cells in (second.cells, third.cells):
            assert torch.equal(cells.stuck, first.cells.stuck)
            assert torch.equal(cells.marks[0]["factor"], first.cells.marks[0]["factor"])
        assert not torch.equal(second.cells.programmed_S, first.cells.programmed_S)
        assert not torch.equal(second.cells.state["nu"], third.cells.state["nu"])


def test_cells_with_nothing_of_their_own_are_programmed_by_the_stream_given() -> None:
    ramp = Ramp.program(RampColumn(device=PCM()).design(SIGMOID, 5), ramps=1, rng=chips(4))
    one, other, again = (ramp.recentred(3600.0, chips(4).child(name)) for name in ("a", "b", "a"))
    assert torch.equal(one.read(3600.0).levels, again.read(3600.0).levels)
    assert not torch.equal(one.read(3600.0).levels, other.read(3600.0).levels)


def test_a_function_that_jumps_is_one_bit_and_no_more() -> None:
    sign = from_callable("sign", lambda z: (z > 0).double() * 2 - 1, -1.0, 1.0)
    ramp = Ramp.program(RampColumn(device=TaOx()).design(sign, 1), ramps=1, rng=chips(1))
    conversion = RampConverter(ramp, Comparator().idealised(), torch.zeros(1, 1, 1), 1.0).read(0.0)
    z = torch.tensor([-0.5, -0.1, 0.1, 0.5])
    assert conversion.codes(z[None, :, None, None], None, BlockNoise(chips(1), [0], 4)).flatten().tolist() == [
        0,
        0,
        1,
        1,
    ]
    with pytest.raises(InputError) as error:
        RampColumn(device=TaOx()).design(sign, 3)
    assert str(error.value).startswith("function sign: all 7 thresholds of 3 bits lie at z = ")
    assert str(error.value).endswith(", so that no step has a charge; take 1 bit")
