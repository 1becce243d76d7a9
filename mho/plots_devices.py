"""Pictures of what a device stores and of what a chip's ramps make of it."""

from __future__ import annotations

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from devices import ChipStreams, Device
from mappings.chip import Chip
from periphery import FUNCTIONS, RampRead, output_levels

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#777777"
TIMES_S = (0.0, 1.0, 60.0, 3600.0, 86400.0, 2592000.0, 31536000.0)
TIME_NAMES = ("0", "1 s", "1 min", "1 h", "1 day", "30 days", "1 year")
LEVELS = 5
CELLS = 256


def device(figure: Figure, cell: Device, rng: ChipStreams) -> None:
    """Conductance over time as a fan, spread against level, and a histogram of programmed levels."""
    levels = torch.linspace(cell.g_min_S, cell.g_max_S, LEVELS)
    cells = cell.program(levels[None, :, None].expand(1, LEVELS, CELLS), rng=rng)
    over_time = [cell.conductance_S(cells, t_s).transpose(0, 1).flatten(1) for t_s in TIMES_S]
    left, middle, right = figure.subplots(1, 3)
    fan(left, levels, over_time)
    spread(middle, levels, over_time)
    histogram(right, cells.programmed_S.transpose(0, 1).flatten(1))
    figure.suptitle(f"{cell.description or type(cell).__name__} ({cell.status})", fontsize=10)


def fan(ax: Axes, levels: torch.Tensor, over_time: list[torch.Tensor]) -> Axes:
    """Median and 5 to 95 % band of every level over time."""
    x = range(len(over_time))
    for level in range(len(levels)):
        low, mid, high = torch.stack(
            [torch.quantile(g[level] * 1e6, torch.tensor([0.05, 0.5, 0.95])) for g in over_time], dim=1
        )
        ax.fill_between(x, low, high, color=BLUE, alpha=0.2, linewidth=0)
        ax.plot(x, mid, color=BLUE)
    ax.set_xticks(list(x), TIME_NAMES, rotation=30)
    ax.set_xlabel("time after programming")
    ax.set_ylabel("conductance [uS], 5 to 95 %")
    return ax


def spread(ax: Axes, levels: torch.Tensor, over_time: list[torch.Tensor]) -> Axes:
    """Standard deviation against target, after programming and after 30 days."""
    for index, colour in ((0, BLUE), (5, ORANGE)):
        ax.plot(levels * 1e6, over_time[index].std(dim=1) * 1e6, "o-", color=colour, label=TIME_NAMES[index])
    ax.set_xlabel("target [uS]")
    ax.set_ylabel("standard deviation [uS]")
    ax.set_ylim(bottom=0)
    ax.legend(title="after", frameon=False)
    return ax


def histogram(ax: Axes, programmed: torch.Tensor) -> Axes:
    """Cells by programmed conductance, one colour a level."""
    top = float(programmed.max()) * 1e6
    for level, cells in enumerate(programmed):
        shade = 0.35 + 0.65 * level / max(1, len(programmed) - 1)
        ax.hist(cells * 1e6, bins=120, range=(0, top or 1.0), color=BLUE, alpha=shade)
    ax.set_xlabel("programmed conductance [uS]")
    ax.set_ylabel("cells")
    return ax


def ramps(figure: Figure, chip: Chip, rng: ChipStreams) -> None:
    """The chip's sigmoid and tanh ramps: staircase of four chips against the function, and INL of all."""
    axes = figure.subplots(1, 4)
    for number, (name, function) in enumerate(FUNCTIONS.items()):
        read = chip.ramp.design(function, chip.bits).program(ramps=1, rng=rng.child(name)).read(0.0)
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
