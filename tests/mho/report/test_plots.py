"""Plots show the numbers that they are given, in named units, and disturb nobody's matplotlib."""

from __future__ import annotations

import inspect
import math
from types import ModuleType

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mho.report import figures, plots, plots_ramp
from mho.report.quantities import count, duration, percent, points, quantity
from workloads.statistics import when


@pytest.fixture
def ax() -> Axes:
    axes: Axes = Figure().subplots()
    return axes


@given(st.floats(1e-17, 1e11), st.sampled_from(["J", "W", "s"]))
def test_engineering_prefix_keeps_the_value_and_shows_one_to_a_thousand(value: float, unit: str) -> None:
    text = quantity(value, unit)
    number, shown = text.split(" ")
    factors = {
        "a": 1e-18,
        "f": 1e-15,
        "p": 1e-12,
        "n": 1e-9,
        "µ": 1e-6,
        "m": 1e-3,
        "": 1.0,
        "k": 1e3,
        "M": 1e6,
        "G": 1e9,
    }
    assert 1.0 <= float(number) < 1000.0
    assert float(number) * factors[shown.removesuffix(unit)] == pytest.approx(value, rel=5.1e-3)


def test_quantities_read_as_in_the_field() -> None:
    assert quantity(5.95e-10, "J") == "595 pJ"
    assert quantity(9.999e-7, "s") == "1.00 µs"
    assert quantity(2.91e-9, "m2") == "0.00291 mm²"
    assert quantity(24.29e-12, "m2") == "24.3 µm²"
    assert quantity(0.0, "W") == "0 W"
    assert [quantity(value, "J") for value in (None, math.nan, math.inf)] == ["not available"] * 3
    assert [percent(0.853), percent(1e-5), percent(0.0)] == ["85.3 %", "< 0.1 %", "0.0 %"]
    assert [points(-0.0123), points(math.nan)] == ["−1.23", "not available"]
    assert count(18432.0) == "18,432"
    assert [duration(t) for t in (0.0, 1.0, 3600.0, 86400.0, 604800.0, 2592000.0)] == [
        *("0", "1 s", "1 h", "1 day", "7 days", "1 month"),
    ]
    assert when(2592000.0) == f"after {duration(2592000.0)}"


def test_rows_of_a_timeline_are_named_in_plain_words(ax: Axes) -> None:
    names = ["word_lines", "gate_integrators", "gate_ramp", "adc"]
    tasks = pd.DataFrame({"task": names, "resource": names, "start_s": [0.0, 1e-9, 2e-9, 3e-9], "duration_s": 1e-9})
    plots.timeline(ax, tasks)
    assert [each.get_text() for each in ax.get_yticklabels()] == ["word lines", "column integrators", "ramp", "ADC"]


def test_zero_stands_left_of_the_logarithmic_times() -> None:
    places = plots.time_positions([3600.0, 0.0, 86400.0])
    assert list(places) == [0.0, 3600.0, 86400.0]
    assert places[86400.0] - places[3600.0] == pytest.approx(math.log10(24))
    assert places[0.0] < places[3600.0]


def test_accuracy_marks_every_mean_and_names_the_break(ax: Axes) -> None:
    quality = pd.DataFrame({"variant": "a", "t_s": [0.0, 3600.0], "mean": [0.9, 0.8], "std": [0.01, 0.02]})
    chips = pd.DataFrame({"variant": "a", "t_s": [0.0, 0.0], "value": [0.89, 0.91]})
    styles = plots.variant_styles(["a"])
    assert plots.accuracy_over_time(ax, quality, chips, styles, label="accuracy", lines={"software": 0.95}) is ax
    assert [0.9, 0.8] in [np.asarray(line.get_ydata()).tolist() for line in ax.lines]
    assert ax.get_legend_handles_labels()[1] == ["software", "a"]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0", "1 h"]
    assert "broken" in ax.get_xlabel()


def test_stacked_bars_add_up_and_write_the_converter_share(ax: Axes) -> None:
    parts = pd.DataFrame({"variant": "a", "group": ["adc", "array"], "value": [3e-9, 1e-9]})
    plots.stacked_bars(ax, parts, "J", plots.group_colours(parts["group"]), label="energy", names=["a", "empty"])
    assert max(float(patch.get_extents().x1) for patch in ax.patches) == pytest.approx(
        ax.transData.transform((4, 0))[0]
    )
    assert [text.get_text() for text in ax.texts] == ["4.00 nJ, ADC 75 %", "not available"]
    assert ax.get_xlabel() == "energy (nJ)"


def test_conversion_alone_has_its_colour() -> None:
    colours = plots.group_colours(("array", "adc", "driver", "digital", "buffer", "control", "activation"))
    assert [group for group, colour in colours.items() if colour == plots.ADC] == ["adc"]
    assert len(set(colours.values())) == len(colours)


def test_timeline_bars_start_and_last_as_given(ax: Axes) -> None:
    tasks = pd.DataFrame(
        {"task": ["input", "ramp"], "resource": ["rows", "adc"], "start_s": [0.0, 3e-8], "duration_s": [3e-8, 6e-8]}
    )
    plots.timeline(ax, tasks)
    to_data = ax.transData.inverted()
    extents = [bar.get_extents().transformed(to_data) for bar in ax.patches]
    assert [(box.x0, box.x1) for box in extents] == [pytest.approx((0, 30), abs=1e-6), pytest.approx((30, 90))]
    assert ax.get_xlabel().endswith("(ns)")


def test_staircase_puts_each_code_half_a_step_from_its_thresholds(ax: Axes) -> None:
    ramp = pd.DataFrame({"chip": 0, "k": [1, 2, 3], "y": [0.25, 0.5, 0.75], "threshold": [-1.0, 0.0, 1.0]})
    plots_ramp.ramp_staircase(ax, ramp.assign(threshold_ideal=[-1.1, 0.0, 1.1]), colour="red")
    stairs, ideal = ax.lines
    assert np.asarray(stairs.get_ydata())[:4] == pytest.approx([0.125, 0.375, 0.625, 0.875])
    assert np.asarray(stairs.get_xdata())[1:4].tolist() == [-1.0, 0.0, 1.0]
    assert np.asarray(ideal.get_xdata()).tolist() == [-1.1, 0.0, 1.1]


def test_inl_keeps_chips_apart(ax: Axes) -> None:
    ramp = pd.DataFrame({"stage": "raw", "chip": [0, 0, 1, 1], "k": [1, 2, 1, 2], "inl_lsb": [0.1, 0.2, 0.3, 0.4]})
    plots_ramp.ramp_inl(ax, ramp, colour="red")
    drawn = np.asarray(ax.lines[0].get_ydata(), float)
    assert drawn[np.isfinite(drawn)].tolist() == [0.1, 0.2, 0.3, 0.4]
    assert np.isnan(drawn[2])


def test_svg_is_the_same_twice_and_escapes_every_text() -> None:
    def draw(figure: Figure) -> None:
        figure.subplots().set_title("<script>$alert$</script>")

    before = dict(mpl.rcParams)
    first = plots.svg("a", draw)
    assert first == plots.svg("a", draw)
    assert "<script" not in first
    assert "&lt;script&gt;$alert$" in first
    assert plots.INK not in first
    assert 'id="a-' in first
    assert 'id="figure' not in first
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("module", [plots, figures])
def test_plots_leave_pyplot_alone(module: ModuleType) -> None:
    assert "pyplot" not in inspect.getsource(module)


def test_more_variants_than_colours_still_look_different() -> None:
    """The eleventh variant has the first one's colour: another marker, dashes, and stripes beside its name."""
    styles = list(plots.variant_styles([f"v{number}" for number in range(25)]).values())
    assert len({(style.colour, style.dashes) for style in styles}) == len(styles)
    assert len({style.key for style in styles}) == len(styles)
    assert len({(style.colour, style.marker) for style in styles}) == len(styles)
    assert styles[0].key == styles[0].colour
    assert styles[10].colour == styles[0].colour


def test_marks_of_many_variants_lie_inside_the_axes(ax: Axes) -> None:
    names = [f"v{number}" for number in range(14)]
    quality = pd.DataFrame([(name, time, 0.9, 0.01) for name in names for time in (0.0, 3600.0)])
    quality.columns = pd.Index(["variant", "t_s", "mean", "std"])
    chips = quality.rename(columns={"mean": "value"})
    plots.accuracy_over_time(ax, quality, chips, plots.variant_styles(names), label="accuracy")
    left, right = ax.get_xlim()
    marks = np.concatenate([np.asarray(line.get_xdata(), float) for line in ax.lines if len(line.get_xdata()) == 2])
    assert left < marks.min() < marks.max() < right


def test_lines_that_coincide_take_turns() -> None:
    times = np.array([0.0, 1.0])
    curves = {"a": np.array([0.5, 0.9]), "b": np.array([0.1, 0.2]), "c": np.array([0.5, 0.902])}
    found = plots.shared_dashes({name: (times, y) for name, y in curves.items()})
    assert found == {"a": (0, 2), "b": (0, 1), "c": (1, 2)}
    first, second = plots.dashed("-", 0, 2), plots.dashed("-", 1, 2)
    assert isinstance(first, tuple)
    assert isinstance(second, tuple)
    (start, (mark, blank)), (later, same) = first, second
    assert same == (mark, blank)
    assert mark == blank  # so that the one fills the gaps of the other
    assert (later - start) % (mark + blank) == mark
    assert plots.dashed(":", 0, 1) == ":"


def test_constants_of_the_same_value_are_one_line_with_both_names(ax: Axes) -> None:
    quality = pd.DataFrame({"variant": "a", "t_s": [0.0], "mean": [0.9], "std": [0.01]})
    chips = pd.DataFrame({"variant": "a", "t_s": [0.0], "value": [0.9]})
    constants = {"software": 0.95, "retrained": 0.93, "ideal chip": 0.93}
    plots.accuracy_over_time(ax, quality, chips, plots.variant_styles(["a"]), label="accuracy", lines=constants)
    assert ax.get_legend_handles_labels()[1][:2] == ["software", "retrained = ideal chip"]
