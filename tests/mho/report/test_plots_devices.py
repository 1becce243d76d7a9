"""Pictures of devices: every kind draws what it knows, on axes with units, and no time beyond its data."""

from __future__ import annotations

import pytest
import torch
from matplotlib.figure import Figure

from devices import DEVICES, SONOS, ChipStreams, Device, FormedTaOx, Measured, MiloRRAM, Stream, WanQuartic
from mho.report.plots_devices import Fan, device

RNG = ChipStreams.of(Stream.root(0), 4)


def drawn(cell: Device) -> Figure:
    figure = Figure(layout="constrained")
    device(figure, cell, RNG)
    return figure


@pytest.mark.parametrize("kind", sorted(DEVICES))
def test_every_kind_is_drawn_with_units_on_its_axes(kind: str) -> None:
    cell: Device = DEVICES[kind]()
    figure = drawn(cell)
    figure.canvas.draw()
    assert len(figure.axes) == (4 if kind in ("rram_milo", "taox_formed") else 3)
    labels = [(ax.get_xlabel(), ax.get_ylabel()) for ax in figure.axes]
    assert labels[0] == ("time after programming", "conductance [µS]")
    assert all(x for x, _ in labels)
    assert all("[" in x or "time" in x for x, _ in labels)
    assert "[µS]" in labels[1][1]


@pytest.mark.parametrize(
    ("cell", "last"),
    [
        (WanQuartic(), "2 days"),
        (SONOS(), "5 days"),
        (Measured(), "1 year"),
        (
            Measured(t_s=(0.0, 100.0), mean_S=(Measured().mean_S[0],) * 2, sigma_S=(Measured().sigma_S[0],) * 2),
            "1.67 min",
        ),
    ],
)
def test_time_ends_where_the_data_end(cell: Device, last: str) -> None:
    assert drawn(cell).axes[0].get_xticklabels()[-1].get_text() == last


def test_spread_is_that_of_the_published_polynomial() -> None:
    line = drawn(MiloRRAM()).axes[1].lines[0]
    target, sigma = torch.tensor(line.get_xdata()), torch.tensor(line.get_ydata())
    torch.testing.assert_close(sigma, 4.782321 - 0.009107 * target, rtol=0.12, atol=0.0, check_dtype=False)


def test_current_panel_shows_the_cell_and_its_straight_line() -> None:
    ax = drawn(MiloRRAM()).axes[3]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("voltage [V]", "current [µA]")
    bent, straight = ax.lines[0].get_ydata(), ax.lines[1].get_ydata()
    assert float(bent[-1]) < 0.8 * float(straight[-1])
    assert float(straight[-1]) == pytest.approx(25.0)


@pytest.mark.parametrize(("forming_V", "scale"), [(4.0, "linear"), (3.433, "log")])
def test_forming_panel_marks_the_share_of_this_array(forming_V: float, scale: str) -> None:
    cell = FormedTaOx(forming_V=forming_V)
    axes = drawn(cell).axes
    assert axes[2].get_yscale() == scale
    (point,) = [line for line in axes[3].lines if len(line.get_xdata()) == 1]  # type: ignore[arg-type]
    assert (point.get_xdata()[0], point.get_ydata()[0]) == (forming_V, pytest.approx(100.0 * cell.formed_share))


def test_a_picture_follows_the_same_cells_through_time() -> None:
    shown = Fan.of(WanQuartic(), torch.tensor([20e-6]), RNG)
    assert shown.g_S.shape[1:] == shown.programmed_S.shape == (1, 4 * 256)
    first, last = shown.g_S[0, 0], shown.g_S[-1, 0]
    assert float(torch.corrcoef(torch.stack([first, last]))[0, 1]) > 0.9


def test_a_spread_of_zero_has_an_axis_of_some_height() -> None:
    assert drawn(DEVICES["ideal"]()).axes[1].get_ylim() == (0.0, 1.0)
