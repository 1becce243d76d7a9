"""The report of a sweep in Chromium without a network: plots have marks, the table sorts and filters, all in peace."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mho.sweep.page import page
from mho.sweep.page.reading import read
from mho.sweep.pareto import Aims, Limit, front
from tests.mho.sweep import browser, fake_sweep

pytestmark = pytest.mark.skipif(browser.found() is None, reason="no Chromium here (Debian package chromium)")

EVIL = "</script><b onmouseover=alert(1)>&amp;"
CHOOSE = """(key, value) => {
  const list = document.querySelector(`select[data-key="${key}"]`);
  list.value = value;
  list.dispatchEvent(new Event("change"));
}"""

FILTER = """(key, text) => {
  const input = document.querySelector(`#points input[data-key="${key}"]`);
  input.value = text;
  input.dispatchEvent(new Event("input"));
}"""


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[browser.Browser]:
    with browser.Browser(tmp_path_factory.mktemp("profile")) as opened:
        opened.look()
        yield opened


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep with a failed and a missing point, costs beside which chips stand, and a hostile error."""
    folder = tmp_path_factory.mktemp("sweeps")

    def figures(point: dict[str, Any]) -> dict[str, float | None]:
        held = fake_sweep.enob(point)
        rate = 5.0 + 3.0 * float(point["seed"]) + 9.0 / float(point["bits"])
        return {**held, "tops_per_W": rate, "tops_per_mm2": 0.1 * point["bits"], "energy_J": 1e-9 * point["bits"]}

    sheet = fake_sweep.bench().replace("outputs: [enob, inl_mean_lsb]", "")
    fake_sweep.write(folder / "whole", sheet, figures, failed={4: EVIL}, missing=(7,))
    page.write(folder / "whole")
    return folder


def opened(tab: browser.Browser, path: Path) -> browser.Browser:
    tab.open(path)
    return tab


def rows(tab: browser.Browser) -> list[list[str]]:
    found: list[list[str]] = tab.run(
        "[...document.querySelectorAll('#points tbody tr')]"
        ".map((row) => [...row.cells].map((cell) => cell.textContent))"
    )
    return found


def choose(tab: browser.Browser, key: str, value: str) -> None:
    tab.run(f"({CHOOSE})({json.dumps(key)}, {json.dumps(value)})")


def caption(tab: browser.Browser, section: str) -> str:
    return str(tab.run(f"document.getElementById('{section}-caption').textContent"))


def test_every_plot_has_marks_and_nothing_complains_or_leaves(tab: browser.Browser, pages: Path) -> None:
    opened(tab, pages / "whole" / page.PAGE)
    count = "document.querySelectorAll('{}').length"
    assert tab.run(count.format("#lines .scatterlayer .point")) == 9
    assert tab.run(count.format("#heat .heatmaplayer image")) == 1
    assert tab.run(count.format("#front .scatterlayer .point")) >= 30
    assert tab.run(count.format("#shares .barlayer .point")) >= 5
    assert tab.run(count.format("#parallel .threads path")) == 34
    assert len(rows(tab)) == 25
    assert tab.complaints == []
    assert all(request.startswith(("file:", "data:", "about:", "blob:")) for request in tab.requests)
    # plotly.js knows a button that sends the figures away.
    assert (
        tab.run(
            "[...document.querySelectorAll('.modebar-btn')]"
            ".filter((one) => /cloud|studio/i.test(one.dataset.title)).length"
        )
        == 0
    )
    assert tab.run("document.querySelectorAll('b[onmouseover]').length") == 0


def test_table_sorts_filters_and_turns_pages(tab: browser.Browser, pages: Path) -> None:
    opened(tab, pages / "whole" / page.PAGE)
    heads = tab.run("[...document.querySelectorAll('#points th')].map((head) => head.dataset.key)")
    enob = heads.index("enob")

    def click(key: str) -> None:
        tab.run(f"document.querySelector('#points th[data-key=\"{key}\"] button').click()")

    def filtered(key: str, text: str) -> list[list[str]]:
        tab.run(f"({FILTER})({json.dumps(key)}, {json.dumps(text)})")
        return rows(tab)

    click("enob")
    up = [float(row[enob]) for row in rows(tab)]
    assert up == sorted(up)
    click("enob")
    down = [float(row[enob]) for row in rows(tab)]
    assert down == sorted(down, reverse=True)
    assert down[0] > up[0]
    assert tab.run("document.querySelector('#points th[data-key=enob]').getAttribute('aria-sort')") == "descending"
    tab.run("document.getElementById('table-on').click()")
    assert len(rows(tab)) == 11
    assert {row[0] for row in rows(tab)[-2:]} == {"failed", "missing"}  # without a figure, last
    assert [float(row[enob]) for row in filtered("enob", ">4.5")] == [value for value in down if value > 4.5]
    assert len(filtered("enob", "")) == 25
    assert {row[heads.index("energy_J")] for row in filtered("energy_J", "<= 4000 pJ")} == {"3", "4"}
    assert len(rows(tab)) == 22
    assert {row[heads.index("energy_J")] for row in filtered("energy_J", "4..5")} == {"4", "5"}
    filtered("energy_J", "")
    assert [row[0] for row in filtered("state", "fail")] == ["failed"]
    assert rows(tab)[0][-1] == EVIL
    assert "filter.state=fail" in tab.run("location.hash")
    tab.run("document.getElementById('table-clear').click()")
    assert len(rows(tab)) == 25
    lines = list(csv.DictReader(io.StringIO(tab.run("csvText()"))))
    assert len(lines) == 36
    assert float(lines[0]["enob"]) == max(float(line["enob"]) for line in lines if line["enob"])
    assert tab.complaints == []


def test_choices_redraw_and_stand_in_the_address(tab: browser.Browser, pages: Path) -> None:
    opened(tab, pages / "whole" / page.PAGE)
    choose(tab, "lines.y", "energy_J")
    assert tab.run("document.getElementById('lines').layout.yaxis.title.text") == "energy [nJ]"
    assert "lines.y=energy_J" in tab.run("location.hash")
    choose(tab, "lines.panels", "none")
    choose(tab, "lines.spread", "seeds")
    assert "standard deviation (over n − 1) over seeds" in caption(tab, "lines")
    assert "± 1 std over seeds" in tab.run("document.getElementById('lines').layout.legend.title.text")
    choose(tab, "only.ramp.device", "pcm")
    assert {row[2] for row in rows(tab)} == {"pcm"}
    assert tab.run("document.querySelectorAll('#parallel .threads path').length") == 22
    address = tab.run("location.hash")
    tab.send("Page.navigate", url="about:blank")
    tab.send("Page.navigate", url=(pages / "whole" / page.PAGE).as_uri() + address)
    while not tab.run("document.documentElement?.dataset.ready === 'yes'"):
        pass
    assert tab.run("document.querySelector('select[data-key=\"lines.y\"]').value") == "energy_J"
    assert {row[2] for row in rows(tab)} == {"pcm"}
    assert tab.complaints == []


def test_front_in_the_page_is_that_of_python_and_chips_are_marked(tab: browser.Browser, pages: Path) -> None:
    opened(tab, pages / "whole" / page.PAGE)
    found = read(pages / "whole")
    for a, b, ways in (
        ("enob", "energy_J", ("maximize", "minimize")),
        ("tops_per_W", "tops_per_mm2", ("maximize", "maximize")),
        ("enob", "inl_mean_lsb", ("minimize", "maximize")),
    ):
        held = np.flatnonzero(found.usable)
        mask = front(np.stack([found.outputs[a], found.outputs[b]], axis=1)[held], ways)
        columns = f"outputOf('{a}').values, outputOf('{b}').values"
        script = f"frontOf(chosen().filter(usable), {columns}, '{ways[0]}', '{ways[1]}')"
        assert sorted(tab.run(script)) == held[mask].tolist()
    choose(tab, "front.x", "tops_per_mm2")
    choose(tab, "front.y", "tops_per_W")
    published = "document.getElementById('front').data.filter((one) => one.meta === 'published')"
    marks = f"{published}.flatMap((one) => one.hovertext)"
    assert "IBM HERMES 64-core, 1-phase" in tab.run(marks)
    choose(tab, "front.x", "energy_J")
    assert tab.run(marks) == []
    assert tab.complaints == []


def test_a_range_of_the_parallel_coordinates_chooses_points_by_keyboard_and_pointer(
    tab: browser.Browser, pages: Path
) -> None:
    opened(tab, pages / "whole" / page.PAGE)
    tab.run("document.querySelector('#parallel .upright[data-key=bits]').focus()")
    tab.key("ArrowUp", 38)
    inside = "document.querySelectorAll('#parallel .threads path:not(.outside)').length"
    assert tab.run(inside) == 24
    assert {row[1] for row in rows(tab)} == {"4", "5"}
    assert "inside the ranges" in caption(tab, "table")
    tab.key("Escape", 27)
    assert tab.run(inside) == 34
    tab.run("document.querySelector('#parallel').scrollIntoView({block: 'center', behavior: 'instant'})")
    drawn = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))"
    assert tab.run(drawn), "what moves while the page scrolls and draws has come to rest"
    box = tab.run(
        "(() => { const b = document.querySelector('.upright[data-key=bits] .target').getBoundingClientRect();"
        " return [b.x + b.width / 2, b.top, b.height]; })()"
    )
    for kind, share in (("mousePressed", 0.01), ("mouseMoved", 0.2), ("mouseReleased", 0.2)):
        tab.send(
            "Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1] + share * box[2], button="left", clickCount=1
        )
        assert tab.run(drawn)
    assert {row[1] for row in rows(tab)} == {"5"}
    assert tab.complaints == []


@pytest.mark.parametrize(
    "sheet",
    [
        "base: {kind: nladc, ramp: {device: rram_taox}}\n",
        "base: {kind: nladc, ramp: {device: rram_taox}}\nsamples: {count: 90, axes: {comparator.offset_V: "
        "{first: 1e-4, last: 1e-2, scale: log}, comparator.noise_V: {first: 0, last: 1e-3}}}\n",
    ],
)
def test_small_and_sampled_sweeps_draw_what_they_can(tab: browser.Browser, sheet: str, tmp_path: Path) -> None:
    fake_sweep.write(tmp_path / "odd", sheet)
    aims = Aims(objectives={"enob": "maximize", "inl_mean_lsb": "minimize"}, constraints={"enob": Limit(low=3.8)})
    opened(tab, page.write(tmp_path / "odd", aims=aims))
    assert tab.complaints == []
    assert len(rows(tab)) > 0
    assert all(caption(tab, section) for section in ("lines", "heat", "front", "parallel", "shares", "table"))


def test_page_is_as_wide_as_a_narrow_window_and_dark_where_asked(tab: browser.Browser, pages: Path) -> None:
    tab.look(width=390, height=800, dark=True)
    opened(tab, pages / "whole" / page.PAGE)
    assert tab.run("document.documentElement.scrollWidth") <= 390
    assert tab.run("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 28)"
    assert tab.run("document.getElementById('lines').layout.font.color") == "#e6e9ef"
    tab.look()
    shown = "document.getElementById('lines').layout.font.color"
    wait = f"const look = (left) => {shown} === '#1f2430' || !left ? done({shown}) : setTimeout(look, 50, left - 1)"
    assert tab.run(f"new Promise((done) => {{ {wait}; look(200); }})") == "#1f2430"
    assert tab.complaints == []
