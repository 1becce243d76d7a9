"""Program-and-verify against the four figures of Hong et al., its energy against its pulses, and the array's total."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from devices import ChipStreams, Gaussian, Ideal, Stream, TaOx
from devices.effects import ConductanceSpread, ProgramVerify, Stuck, WriteRecord

TARGETS_S = torch.arange(100, 401, 50, dtype=torch.float64) * 1e-6


def chips(count: int = 1) -> ChipStreams:
    return ChipStreams.of(Stream.root(0), count)


def test_one_set_of_parameters_meets_the_four_published_figures() -> None:
    """Tolerance 5 uS, 91.6 % within 10 iterations, 5.57 iterations, 2.73 uS, over 7 targets from 100 to 400 uS."""
    device = TaOx(effects=(ProgramVerify(),))
    cells = device.program(TARGETS_S.repeat_interleave(30_000)[None], rng=chips())
    write = cells.write
    assert write is not None
    content = write.converged & (write.iterations <= 10)
    residual = (cells.programmed_S - cells.target_S)[write.converged]
    assert float(content.double().mean()) == pytest.approx(0.916, abs=0.005)
    assert float(write.iterations.double().mean()) == pytest.approx(5.57, abs=0.05)
    assert float(residual.std()) == pytest.approx(2.73e-6, abs=0.03e-6)
    assert float(residual.abs().max()) < 5e-6 + 6 * 0.14e-6
    assert int(write.iterations.max()) == 20
    assert write.not_converged_share == pytest.approx(0.02, abs=0.005)
    counts = write.histogram()
    assert counts.sum() == write.iterations.numel()
    assert float((counts * torch.arange(21)).sum() / counts.sum()) == pytest.approx(5.57, abs=0.05)


def test_without_noise_every_pulse_halves_the_distance() -> None:
    """From 0 to 400 uS: 400 / 2^n <= 5 at n = 7, and energies are those of the seven pulses and eight reads."""
    quiet = ProgramVerify(start_S=0.0, start_sd_S=0.0, step_noise=0.0, pulse_noise_S=0.0, verify_noise_S=0.0)
    cells = TaOx(effects=(quiet,)).program(torch.full((1, 4), 400e-6, dtype=torch.float64), rng=chips())
    write = cells.write
    assert write is not None
    assert write.iterations.tolist() == [[7] * 4]
    path = 400e-6 * (1.0 - 0.5 ** torch.arange(8, dtype=torch.float64))
    torch.testing.assert_close(cells.programmed_S, path[-1].expand(1, 4))
    pulses = (0.5 * (path[1:] + path[:-1])).sum() * 1.0**2 * 1e-6
    reads = path.sum() * 0.2**2 * 1e-6
    torch.testing.assert_close(write.energy_J, (pulses + reads).expand(1, 4))
    torch.testing.assert_close(write.time_s, torch.full((1, 4), 15e-6, dtype=torch.float64))


def test_a_cell_too_high_starts_again_or_steps_back() -> None:
    quiet = ProgramVerify(
        start_S=300e-6, start_sd_S=0.0, step_noise=0.0, pulse_noise_S=0.0, verify_noise_S=0.0, reset_gain=0.8
    )
    target = torch.full((1, 1), 200e-6, dtype=torch.float64)
    again = TaOx(effects=(quiet,)).program(target, rng=chips()).write
    assert again is not None
    assert (again.resets.item(), again.converged.item()) == (20, False)
    cells = TaOx(effects=(replace(quiet, overshoot="step"),)).program(target, rng=chips())
    assert cells.write is not None
    assert (cells.write.resets.item(), cells.write.converged.item()) == (2, True)
    assert cells.programmed_S.item() == pytest.approx(204e-6)
    reset_J = 1.2**2 * 1e-6 * (0.5 * (300e-6 + 220e-6) + 0.5 * (220e-6 + 204e-6))
    assert cells.write.energy_J.item() == pytest.approx(reset_J + 0.2**2 * 1e-6 * (300 + 220 + 204) * 1e-6)


def test_verifying_takes_the_place_of_the_devices_own_error() -> None:
    verify = ProgramVerify(start_S=0.0, start_sd_S=0.0, tolerance_S=1e-6, pulse_noise_S=1e-6, max_iterations=200)
    wild = Gaussian(sigma_absolute=0.3, effects=(verify,))
    cells = wild.program(torch.full((1, 5000), 50e-6, dtype=torch.float64), rng=chips())
    assert cells.write is not None
    assert cells.write.not_converged_share == 0.0
    assert float((cells.programmed_S - 50e-6).abs().max()) < 1e-6 + 6 * 0.14e-6
    spread = Gaussian(effects=(verify, ConductanceSpread(device_sd=0.1)))
    g = spread.program(torch.full((1, 50_000), 50e-6, dtype=torch.float64), rng=chips()).programmed_S
    assert float(g.std() / g.mean()) == pytest.approx(0.1, rel=0.02)


def test_stuck_cells_take_every_pulse_unless_they_are_stuck_at_their_target() -> None:
    device = TaOx(effects=(ProgramVerify(), Stuck(off_rate=0.3, on_rate=0.3)))
    cells = device.program(torch.full((1, 3000), 400e-6), rng=chips())
    write, off = cells.write, cells.programmed_S == 0.0
    assert write is not None
    assert cells.stuck is not None
    on = cells.stuck & ~off
    assert (write.iterations[off] == 20).all()
    assert not write.converged[off].any()
    assert (write.iterations[on] == 0).all()
    assert write.converged[on].all()
    assert torch.count_nonzero(write.energy_J[off]) == 0


def test_writing_again_is_another_course_to_the_same_target() -> None:
    device = TaOx(effects=(ProgramVerify(),))
    target = torch.full((1, 20_000), 250e-6, dtype=torch.float64)
    first, second = (device.program(target, rng=chips(), cycle=c).programmed_S for c in (0, 1))
    assert not torch.equal(first, second)
    assert float((first.mean() - second.mean()).abs()) < 0.5e-6


def test_a_whole_array_takes_as_long_as_the_slowest_cell_of_each_block() -> None:
    time_s = torch.tensor([[[1.0, 5.0, 2.0], [3.0, 1.0, 4.0], [1.0, 1.0, 9.0]]])
    count = torch.zeros_like(time_s, dtype=torch.int64)
    record = WriteRecord(count, count == 0, 2.0 * time_s, time_s, count)
    for rows, columns, seconds in (
        (1, 1, 27.0),
        (3, 3, 9.0),
        (1, 3, 5 + 4 + 9),
        (3, 1, 3 + 5 + 9),
        (2, 2, 5 + 4 + 1 + 9),
    ):
        total = record.total(rows_at_once=rows, columns_at_once=columns)
        assert total.time_s.tolist() == [seconds]
        assert total.energy_J.tolist() == [54.0]
    pair = WriteRecord(*(torch.stack([t, t], 1) for t in (count, count == 0, time_s, time_s, count)))
    assert pair.total(rows_at_once=3, columns_at_once=3).time_s.tolist() == [18.0]
    with pytest.raises(ValueError, match=r"must be at least 1 \(got 0, 1\)"):
        record.total(rows_at_once=0)


def test_a_device_without_the_process_has_no_record_of_writing() -> None:
    assert Ideal().program(torch.zeros(1, 2), rng=chips()).write is None
