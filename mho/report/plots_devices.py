"""Pictures of what a device stores and of what a chip's ramps make of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from textwrap import wrap

import torch
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from devices import ChipStreams, Device, FormedTaOx
from mappings.chip import Chip
from mho.report.quantities import duration
from periphery import SIGMOID, TANH, RampRead, output_levels
from periphery.ramp.cells import Ramp

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#777777"
SHADES = "viridis"
TIMES_S = (0.0, 1.0, 60.0, 3600.0, 86400.0, 2592000.0, 31536000.0)
LEVELS = 5
CELLS = 256
TRACKS = 24
SPREAD_LEVELS = 25
V_MAX_V = 0.5


@dataclass(frozen=True)
class Fan:
    """Conductance of the same cells as programmed and standard deviation of one read then, ``(levels, cells)``, and
    conductance at each time that a device answers for, ``(times, levels, cells)`` [S]."""

    times_s: tuple[float, ...]
    levels_S: torch.Tensor
    programmed_S: torch.Tensor
    read_sigma_S: torch.Tensor
    g_S: torch.Tensor

    @classmethod
    def of(cls, cell: Device, levels_S: torch.Tensor, rng: ChipStreams) -> Fan:
        """Program and read; times that a device refuses, since its data end before, are left out."""
        cells = cell.program(levels_S[None, :, None].expand(1, len(levels_S), CELLS), rng=rng)
        readings: dict[float, torch.Tensor] = {}
        for t_s in _times_of(cell):
            try:
                readings[t_s] = cell.conductance_S(cells, t_s).transpose(0, 1).flatten(1)
            except ValueError:
                break
        noise = cell.read_sigma_S(cells.programmed_S, cells)
        programmed, sigma = (each.transpose(0, 1).flatten(1) for each in (cells.programmed_S, noise))
        return cls(tuple(readings), levels_S, programmed, sigma, torch.stack(list(readings.values())))


def _times_of(cell: Device) -> list[float]:
    """Round times, and the last one for which a device has data."""
    measured_s = getattr(cell, "t_s", ()) or getattr(cell, "times_s", ())
    last = {max(measured_s)} if measured_s else set()
    return sorted({t for t in TIMES_S if not (last and t > max(last))} | last)


def device(figure: Figure, cell: Device, rng: ChipStreams) -> None:
    """Conductance over time as a fan, spread against level, a histogram of programmed levels, and what a kind adds:
    the share that forms, or the current of a nonlinear cell."""
    formed = isinstance(cell, FormedTaOx)
    low, high = cell.g_min_S, cell.g_max_S
    fine = Fan.of(cell, torch.linspace(low, high, SPREAD_LEVELS), rng.child("spread"))
    few = Fan.of(cell, torch.linspace(low, high, 1 if formed else LEVELS), rng)
    more = formed or not cell.linear
    figure.set_size_inches(14.0 if more else 11.0, 3.8)
    axes = figure.subplots(1, 4 if more else 3)
    if isinstance(cell, FormedTaOx):
        tracks(axes[0], few)
        wander(axes[1], few)
        histogram(axes[2], few, logarithmic=0.0 < cell.formed_share < 0.999)
        forming(axes[3], cell)
    else:
        fan(axes[0], few)
        spread(axes[1], fine, cell)
        histogram(axes[2], few)
        if more:
            current(axes[3], cell, few.levels_S)
    title = f"{cell.description or type(cell).__name__} ({cell.status})"
    figure.suptitle("\n".join(wrap(title, 110)), fontsize=10)


def fan(ax: Axes, shown: Fan) -> Axes:
    """Median and 5 to 95 % band of every level over time."""
    x = range(len(shown.times_s))
    colours = _colours(len(shown.levels_S))
    marks = torch.tensor([0.05, 0.5, 0.95])
    for level, colour in enumerate(colours):
        low, mid, high = torch.quantile(shown.g_S[:, level].float() * 1e6, marks, dim=1)
        ax.fill_between(x, low, high, color=colour, alpha=0.25, linewidth=0)
        ax.plot(x, mid, color=colour, marker="o", markersize=3)
    _time_axis(ax, shown)
    ax.set_ylabel("conductance [µS]")
    ax.set_title("median, 5 to 95 % of cells", fontsize=8)
    return ax


def tracks(ax: Axes, shown: Fan) -> Axes:
    """Conductance of some cells over time, each a line."""
    for course in shown.g_S.flatten(1)[:, :TRACKS].T:
        ax.plot(range(len(course)), course * 1e6, color=BLUE, alpha=0.6, linewidth=0.8)
    _time_axis(ax, shown)
    ax.set_ylabel("conductance [µS]")
    ax.set_title(f"{TRACKS} cells", fontsize=8)
    return ax


def spread(ax: Axes, shown: Fan, cell: Device) -> Axes:
    """Standard deviation of cells against target, as programmed and at the latest time, and of one read."""
    x = shown.levels_S * 1e6
    ax.plot(x, shown.programmed_S.std(dim=1) * 1e6, "o-", color=BLUE, markersize=3, label="programmed")
    if cell.drifts:
        latest = f"after {duration(shown.times_s[-1])}"
        ax.plot(x, shown.g_S[-1].std(dim=1) * 1e6, "o-", color=ORANGE, markersize=3, label=latest)
    sigma = shown.read_sigma_S.square().mean(dim=1).sqrt()
    if float(sigma.max()) > 0.0:
        ax.plot(x, sigma * 1e6, "--", color=GREY, label="one read")
    ax.set_xlabel("target [µS]")
    ax.set_ylabel("standard deviation [µS]")
    _from_zero(ax)
    ax.legend(frameon=False, fontsize=8)
    return ax


def wander(ax: Axes, shown: Fan) -> Axes:
    """Standard deviation of what each cell has moved since it was formed, over time."""
    moved = (shown.g_S - shown.g_S[0]).flatten(1).std(dim=1)
    ax.plot(range(len(moved)), moved * 1e6, "o-", color=BLUE, markersize=3)
    _time_axis(ax, shown)
    ax.set_ylabel("change since forming [µS]")
    ax.set_title("standard deviation over cells", fontsize=8)
    _from_zero(ax)
    return ax


def histogram(ax: Axes, shown: Fan, *, logarithmic: bool = False) -> Axes:
    """Cells by programmed conductance, one colour a level; on a logarithmic axis where one value towers."""
    programmed = shown.programmed_S * 1e6
    low, high = float(programmed.min()), float(programmed.max())
    margin = 0.03 * (high - low) or 0.03 * high or 1.0
    edges = torch.linspace(max(0.0, low - margin), high + margin, 121).tolist()
    for cells, colour in zip(programmed, _colours(len(programmed)), strict=True):
        ax.hist(cells, bins=edges, color=colour, alpha=0.8)
    ax.set_xlabel("programmed conductance [µS]")
    ax.set_ylabel("cells in a bin")
    ax.set_title(f"{programmed.shape[1]} cells{' a level' * (len(programmed) > 1)}", fontsize=8)
    if logarithmic:
        ax.set_yscale("log")
    return ax


def forming(ax: Axes, cell: FormedTaOx) -> Axes:
    """Share of cells that break down against the forming voltage, and where this array was formed."""
    reach = 4.0 * cell.breakdown_sd_V or 0.1
    low = min(cell.breakdown_V - reach, cell.forming_V - 0.5 * reach)
    high = max(cell.breakdown_V + reach, cell.forming_V + 0.5 * reach)
    volts = torch.linspace(low, high, 200).tolist()
    ax.plot(volts, [100.0 * replace(cell, forming_V=v).formed_share for v in volts], color=BLUE)
    ax.plot([cell.forming_V], [100.0 * cell.formed_share], "o", color=ORANGE, label=f"{cell.forming_V:g} V")
    ax.set_xlabel("forming voltage [V]")
    ax.set_ylabel("formed cells [%]")
    ax.legend(frameon=False, fontsize=8, loc="center left" if cell.formed_share > 0.9 else "lower right")
    return ax


def current(ax: Axes, cell: Device, levels_S: torch.Tensor) -> Axes:
    """Current against voltage of every level, beside the straight line of the same conductance."""
    reach = cell.read_voltage_max_V or V_MAX_V
    volts = torch.linspace(-reach, reach, 201, dtype=torch.float64)
    for level, colour in zip(levels_S.double(), _colours(len(levels_S)), strict=True):
        ax.plot(volts, cell.current_A(level.expand_as(volts), volts) * 1e6, color=colour)
        ax.plot(volts, level * volts * 1e6, ":", color=colour, linewidth=0.9)
    ax.plot([], [], ":", color=GREY, label="G V")
    ax.set_xlabel("voltage [V]")
    ax.set_ylabel("current [µA]")
    ax.legend(frameon=False, fontsize=8)
    return ax


def _colours(count: int) -> list[tuple[float, float, float, float]]:
    """Dark for low levels, light for high ones, the palest end of the map left out."""
    return [colormaps[SHADES](0.5 if count == 1 else 0.85 * level / (count - 1)) for level in range(count)]


def _time_axis(ax: Axes, shown: Fan) -> None:
    """Round times at equal distances."""
    names = [duration(t) for t in shown.times_s]
    ax.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
    ax.set_xlabel("time after programming")


def _from_zero(ax: Axes) -> None:
    """An axis that begins at zero, and has a height where all is zero."""
    ax.set_ylim(0.0, 1.08 * float(ax.dataLim.y1) or 1.0)


def ramps(figure: Figure, chip: Chip, rng: ChipStreams) -> None:
    """The chip's sigmoid and tanh ramps: staircase of four chips against the function, and INL of all."""
    axes = figure.subplots(1, 4)
    for number, function in enumerate((SIGMOID, TANH)):
        read = Ramp.program(chip.ramp.design(function, chip.bits), ramps=1, rng=rng.child(function.name)).read(0.0)
        staircase(axes[2 * number], read)
        inl(axes[2 * number + 1], read)
    figure.suptitle(f"{chip.bits}-bit ramps of {type(chip.ramp.device).__name__} cells", fontsize=10)


def staircase(ax: Axes, read: RampRead, chips: int = 4) -> Axes:
    """Output codes of a few chips over the input, on top of the function."""
    design = read.design
    theta = design.theta
    reach = float(theta.abs().max()) * 1.2
    z = torch.linspace(-reach, reach, 800, dtype=torch.float64)
    levels = output_levels(design.function, design.bits)
    for thresholds in read.thresholds()[:chips, 0]:
        ax.plot(z, levels[torch.searchsorted(thresholds.contiguous(), z, right=True)], color=BLUE, linewidth=0.7)
    ax.plot(z, design.function.f(z), color=ORANGE, linewidth=1.2)
    ax.set_xlabel("pre-activation z")
    ax.set_ylabel(f"{design.function.name}, {design.bits} bits")
    return ax


def inl(ax: Axes, read: RampRead) -> Axes:
    """Integral nonlinearity of every chip at every threshold."""
    values = read.inl_lsb()[:, 0]
    k = range(1, values.shape[1] + 1)
    for chip in values:
        ax.plot(k, chip, color=BLUE, alpha=0.15, linewidth=0.7)
    ax.axhline(0, color=GREY, linewidth=0.6)
    ax.set_xlabel("threshold k")
    ax.set_ylabel(f"INL [LSB], {len(values)} chips")
    return ax
