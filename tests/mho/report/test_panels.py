"""Panels that a workload asks for, drawn from its tables."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import pytest

from devices import InputError
from mho.report import page as report
from tests.mho.report.fake_run import write_fake_run
from workloads.result import Panel

SWEEP = pd.DataFrame(
    {
        "sigma": [0.0, 0.1, 0.2] * 2,
        "accuracy": [0.9, 0.85, 0.5, 0.91, 0.9, 0.8],
        "low": [0.89, 0.8, 0.4, 0.9, 0.88, 0.7],
        "high": [0.91, 0.9, 0.6, 0.92, 0.92, 0.9],
        "energy_J": [1e-9, 2e-9, 3e-9] * 2,
        "variant": ["ramp_5bit"] * 3 + ["ramp_4bit"] * 3,
        "row": range(6),
        "column": [0, 1, 2, 2, 1, 0],
    }
)
BOXES = pd.DataFrame({"x0": [0], "y0": [0], "x1": [2], "y1": [3]})
PANELS = (
    Panel(
        section="Where it breaks",
        text="Accuracy over noise.",
        table="sweep",
        kind="lines",
        x="sigma",
        y="accuracy",
        low="low",
        high="high",
        by="variant",
        share=True,
        marks={"configured": 0.1},
    ),
    Panel(section="Where it breaks", text="Rows of it.", table="sweep", kind="table", columns=("sigma", "accuracy")),
    Panel(section="More", text="Energy.", table="sweep", kind="bars", x="variant", y="energy_J"),
    Panel(
        section="More", text="Heat.", table="sweep", kind="heat", x="sigma", y="variant", value="accuracy", share=True
    ),
    Panel(section="More", text="Spy.", table="sweep", kind="spy", x="column", y="row", boxes="boxes"),
    Panel(section="More", text="Counts.", table="sweep", kind="histogram", x="accuracy", facet="variant"),
    Panel(section="More", text="Points.", table="sweep", kind="scatter", x="energy_J", y="accuracy", log_x=True),
)


def a_run(folder: Path, panels: tuple[Panel, ...] = PANELS) -> Path:
    run = write_fake_run(folder, omit=("vread.csv", "learning.csv"))
    SWEEP.to_csv(run / "sweep.csv", index=False)
    BOXES.to_csv(run / "boxes.csv", index=False)
    metrics = json.loads((run / "metrics.json").read_text())
    metrics["panels"] = [asdict(panel) for panel in panels]
    (run / "metrics.json").write_text(json.dumps(metrics))
    return run


def test_a_table_of_shares_cuts_its_intervals(tmp_path: Path) -> None:
    panel = Panel("Intervals", "Rows.", "sweep", low="low", high="high", share=True, columns=("low", "high"))
    run = a_run(tmp_path / "run", (panel,))
    SWEEP.assign(low=-0.5, high=1.5).to_csv(run / "sweep.csv", index=False)
    assert '<td class="num">0.0 %</td><td class="num">100.0 %</td>' in report.html(run)


def test_every_panel_is_drawn_under_its_head(tmp_path: Path) -> None:
    page = report.html(a_run(tmp_path / "run"))
    assert page.index("<h2>Where it breaks</h2>") < page.index("<h2>More</h2>")
    for panel in PANELS:
        assert panel.text in page
    assert page.count('id="panel') >= 2
    assert "configured" in page
    assert '<td class="num">0.850</td>' in page
    assert "energy [nJ]" in page


def test_whiskers_of_bars_follow_the_ink_of_the_page(tmp_path: Path) -> None:
    panel = Panel("A", "Bars.", "sweep", "bars", "sigma", "accuracy", low="low", high="high")
    run = a_run(tmp_path / "run", (panel,))
    SWEEP.assign(sigma=SWEEP["sigma"].astype(str), low=SWEEP["accuracy"] - 0.1, high=SWEEP["accuracy"] + 0.1).to_csv(
        run / "sweep.csv", index=False
    )
    page = report.html(run)
    drawn = page[page.index("<h2>A</h2>") : page.index('id="confusion"')]
    assert drawn.count("stroke: currentColor") > 3
    assert not re.search(r"stroke: #000000", drawn)


def test_a_panel_without_its_table_or_column_is_refused(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", (Panel(section="A", text="", table="sweep", kind="bars", x="sigma", y="power_W"),))
    with pytest.raises(
        InputError, match=r"sweep\.csv: column 'power_W', which a panel of 'A' shows, is missing \(got "
    ):
        report.html(run)
    run = a_run(tmp_path / "other", (Panel(section="A", text="", table="nothing", kind="table"),))
    with pytest.raises(InputError, match=r"nothing\.csv: no such file"):
        report.html(run)


def test_sections_are_those_of_the_tables_that_a_run_wrote_whatever_its_kind(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run")
    page = report.html(run)
    assert "<h2>Read voltage</h2>" not in page
    assert "<h2>Confusions</h2>" in page
    config = run / "config.resolved.yaml"
    config.write_text(config.read_text() + "\nkind: lsm\n")
    page = report.html(run)
    assert "<h2>Confusions</h2>" in page
    assert "<h2>Cost by variant and layer</h2>" in page


def test_names_and_quantities_of_panels_are_those_that_people_read(tmp_path: Path) -> None:
    panels = (
        Panel("A", "Rows.", "sweep", columns=("adc_bits", "area_m2", "mean_shift_lsb", "t_s")),
        Panel("A", "Lines.", "sweep", "lines", "adc_bits", "area_m2", log_y=True),
        Panel("A", "Shift.", "sweep", "lines", "adc_bits", "mean_shift_lsb"),
    )
    run = a_run(tmp_path / "run", panels)
    pd.DataFrame(
        {"adc_bits": [4, 5], "area_m2": [1.65e-9, 3e-9], "mean_shift_lsb": [0.5, 1.0], "t_s": [0.0, 2592000.0]}
    ).to_csv(run / "sweep.csv", index=False)
    page = report.html(run)
    section = page[page.index("<h2>A</h2>") : page.index('id="confusion"')]
    for head in ("ADC bits", "area", "mean shift [LSB]", "time"):
        assert f'<th scope="col" class="num">{head}</th>' in section
    row = "".join(f'<td class="num">{cell}</td>' for cell in ("4", "0.00165 mm²", "0.500", "0"))
    assert row in section
    assert '<td class="num">1 month</td>' in section
    ticks = [text for text in re.findall(r"<text[^>]*>([^<]*)</text>", section) if text]
    assert {"ADC bits", "area [mm²]", "mean shift [LSB]", "4", "5"} <= set(ticks)
    assert not [text for text in ticks if "e-" in text or text.startswith("4.")]
