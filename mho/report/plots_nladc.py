"""The picture of a measured ramp converter: transfer curve, nonlinearity of every chip, and how chips differ."""

from __future__ import annotations

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mho.report.quantities import counted
from periphery.ramp.characterise import Characteristic

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#777777"
CURVES = 4
MOST_LINES = 64


def characteristic(found: Characteristic, device: str) -> Figure:
    """Four panels: transfer, INL, DNL, and a histogram of the largest |INL| over chips."""
    figure = Figure(figsize=(11, 7.2), layout="constrained")
    axes = figure.subplots(2, 2)
    transfer(axes[0, 0], found)
    nonlinearity(axes[0, 1], found.inl, "INL")
    nonlinearity(axes[1, 0], found.dnl, "DNL")
    histogram(axes[1, 1], found)
    design = found.design
    figure.suptitle(
        f"{design.bits}-bit {design.function.name}, {device}: {design.cells} cells, "
        f"{counted(design.ramp_clocks, 'clock')}, {counted(len(found.enob), 'chip')}, "
        f"{float(found.enob.mean()):.2f} effective bits",
        fontsize=11,
    )
    return figure


def transfer(ax: Axes, found: Characteristic, curves: int = CURVES) -> Axes:
    """Output of a few chips over the input, on top of the function."""
    function = found.design.function
    for number, output in enumerate(found.transfer[:curves]):
        label = counted(min(curves, len(found.transfer)), "chip") if number == 0 else None
        ax.plot(found.z, output, color=BLUE, linewidth=0.7, drawstyle="steps-post", label=label)
    ax.plot(found.z, function.f(found.z), color=ORANGE, linewidth=1.2, label=function.name)
    ax.set_xlabel("input z")
    ax.set_ylabel("output")
    ax.legend(frameon=False)
    return ax


def nonlinearity(ax: Axes, values: torch.Tensor, name: str) -> Axes:
    """INL or DNL of every chip along the ramp, with the mean of its size over chips."""
    k = torch.arange(1, values.shape[1] + 1)
    marker = "o" if values.shape[1] == 1 else None
    faint = max(0.2, 1.0 / len(values))
    for chip in values[:MOST_LINES]:
        ax.plot(k, chip, color=BLUE, alpha=faint, linewidth=0.7, marker=marker, markersize=3)
    if values.shape[1] and len(values) > 1:
        ax.plot(k, values.abs().mean(0), color=ORANGE, linewidth=1.4, marker=marker, label=f"mean |{name}|")
        ax.legend(frameon=False)
    elif not values.shape[1]:
        ax.text(0.5, 0.6, f"one step has no {name}", ha="center", transform=ax.transAxes, color=GREY)
        ax.set_yticks([])
    ax.axhline(0, color=GREY, linewidth=0.6)
    if values.shape[1] > 1:
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    else:
        ax.set_xticks([1] if values.shape[1] else [])
    ax.set_xlabel("step of the ramp")
    ax.set_ylabel(f"{name} [LSB], {counted(min(len(values), MOST_LINES), 'chip')}")
    return ax


def histogram(ax: Axes, found: Characteristic) -> Axes:
    """Chips by their largest |INL|, before and after the bias cells were trimmed."""
    largest = [values.abs().amax(-1) for values in (found.inl_before, found.inl)]
    top = max(float(each.max()) for each in largest) or 1.0
    for values, colour, name in zip(largest, (GREY, BLUE), ("before calibration", "after"), strict=True):
        ax.hist(values.numpy(), bins=32, range=(0.0, top), color=colour, alpha=0.7, label=name)
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel("largest |INL| of a chip [LSB]")
    ax.set_ylabel("chips")
    ax.legend(frameon=False)
    return ax
