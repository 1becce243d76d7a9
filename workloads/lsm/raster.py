"""What a recording looks like: a dot for every spike."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from workloads.recordings.events import Recordings

ON, OFF = "#D55E00", "#0072B2"


def draw_events(ax: Axes, recordings: Recordings, row: int, *, size: float = 1.5) -> Axes:
    """Events of recording ``row`` over time: channels of a cochlea, or pixels counted row by row; ON and OFF apart."""
    held = slice(int(recordings.offsets[row]), int(recordings.offsets[row + 1]))
    t_ms = recordings.ticks[held] * (recordings.TICK_S * 1e3)
    polarities, rows, columns = recordings.sensor
    polarity, line = np.divmod(recordings.address[held], rows * columns)
    for value, colour, name in ((0, OFF, "OFF"), (1, ON, "ON")):
        if polarities > value:
            seen = polarity == value
            ink = colour if polarities > 1 else ax.spines["bottom"].get_edgecolor()
            ax.scatter(t_ms[seen], line[seen], s=size, color=ink, linewidths=0, label=name, rasterized=True)
    ax.set_xlim(0.0, float(recordings.duration_s[row] * 1e3))
    ax.set_ylim(-0.5, rows * columns - 0.5)
    ax.set_xlabel("time (ms)")
    ax.set_ylabel("channel" if rows == 1 else f"pixel, {columns} a row")
    if polarities > 1:
        ax.legend(loc="upper right", markerscale=4)
    return ax


def draw_spikes(ax: Axes, spikes: NDArray[np.generic], *, line: str = "neuron", size: float = 1.5) -> Axes:
    """A raster of what is not zero in ``spikes`` (steps, lines): word lines of an array, or neurons of a reservoir."""
    step, place = np.nonzero(spikes)
    colour = ax.spines["bottom"].get_edgecolor()
    ax.scatter(step, place, s=size, color=colour, linewidths=0, rasterized=True)
    ax.set_xlim(-0.5, spikes.shape[0] - 0.5)
    ax.set_ylim(-0.5, spikes.shape[1] - 0.5)
    ax.set_xlabel("step")
    ax.set_ylabel(line)
    return ax
