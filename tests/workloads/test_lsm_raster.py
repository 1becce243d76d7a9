"""Rasters: a dot for every spike, where and when it was."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from workloads.lsm.raster import draw_events, draw_spikes
from workloads.recordings.events import Stored, gathered


def test_dots_stand_at_time_and_line_of_their_events() -> None:
    stored = Stored("", "r", "0", np.array([0.01, 0.02, 0.03]), np.array([1, 2, 3]), np.array([0, 1, 0]),
                    np.array([1, 0, 1]))  # fmt: skip
    found = gathered([stored], sensor=(2, 4, 4), labels=("0",), data_name="", source="", bibtex="")
    ax = draw_events(Figure().subplots(), found, 0)
    off, on = (np.asarray(dots.get_offsets()) for dots in ax.collections)
    np.testing.assert_allclose(off, [(20, 6)])
    np.testing.assert_allclose(on, [(10, 1), (30, 3)])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["OFF", "ON"]
    assert ax.get_ylabel() == "pixel, 4 a row"


def test_a_raster_of_spikes_counts_every_one() -> None:
    spikes = np.random.default_rng(0).random((50, 20)) < 0.1
    ax = draw_spikes(Figure().subplots(), spikes)
    (dots,) = ax.collections
    assert len(dots.get_offsets()) == spikes.sum()
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("step", "neuron")
