"""The report says what the run's files say, escapes what users wrote, and names what is wrong with a directory."""

from __future__ import annotations

import io
import json
import math
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from configs.errors import InputError
from mho.console import watching
from mho.report import costs, drift, merit, pairs, paper, plots, sections, several
from mho.report import page as report
from mho.report.costs import price_rows
from mho.report.exports import long_table
from mho.report.quantities import between
from mho.report.run import load_run
from tests.mho.outline import Outline
from tests.mho.report.fake_run import TIMES_S, VARIANTS, write_fake_run
from workloads.result import Comparison, Metric
from workloads.running import silent

OPTIONAL = ("schedule", "confusion", "ramp", "ramps", "compensation", "vread", "learning", "prices")


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_fake_run(tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture(scope="module")
def page(run_dir: Path) -> str:
    return report.html(run_dir)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_fake_run(tmp_path_factory.mktemp("small") / "run", chips=2)


@pytest.fixture
def broken(small: Path, tmp_path: Path) -> Path:
    """A run of its own for a test to spoil."""
    return shutil.copytree(small, tmp_path / "run")


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes seconds; tests of the page's words do without."""
    monkeypatch.setattr(plots, "svg", lambda name, draw, **size: "<svg></svg>")


def edit(path: Path, change: Callable[[Any], None]) -> None:
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def test_page_is_self_contained_and_its_links_arrive(page: str) -> None:
    outline = Outline(page)
    assert outline.fetched == []
    assert "@import" not in page
    assert "url(http" not in page
    assert sorted(set(outline.ids)) == sorted(outline.ids)
    assert set(outline.inner) <= set(outline.ids)
    assert page.startswith("<!DOCTYPE html>")
    assert len(page.encode()) < 3_000_000


def test_page_has_every_section_and_nothing_is_missing(page: str) -> None:
    titles = re.findall(r"<h2>(.*?)(?: \(\d+\))?</h2>", page)
    assert titles == [
        *("Summary", "In pairs", "Hardware", "Stages and intervals", "Confusions", "Cost by variant and layer"),
        *("Ramp ADC beside conventional ADC", "Price models of a conversion", "One step on its resources"),
        *("Read voltage", "Training", "Notes", "Components, prices and sources", "Provenance"),
    ]
    assert 'class="absent"' not in page
    assert "not available" not in page


def test_sections_of_absent_tables_are_left_out_and_the_page_names_these(tmp_path: Path) -> None:
    page = report.html(write_fake_run(tmp_path / "run", chips=1, omit=tuple(f"{name}.csv" for name in OPTIONAL)))
    for name in OPTIONAL:
        assert f"<code>{name}.csv</code>" in page
    titles = re.findall(r"<h2>(.*?)(?: \(\d+\))?</h2>", page)
    assert titles == [
        *("Summary", "In pairs", "Hardware", "Stages and intervals", "Cost by variant and layer"),
        *("Ramp ADC beside conventional ADC", "Notes", "Components, prices and sources", "Provenance"),
    ]


def rename_variants(folder: Path, names: dict[str, str]) -> None:
    for path in [*folder.glob("*.csv"), folder / "metrics.json"]:
        text = path.read_text()
        for old, new in names.items():
            text = re.sub(rf"\b{old}\b", new, text)
        path.write_text(text)


@pytest.mark.usefixtures("no_figures")
def test_sections_follow_what_a_variant_is_and_not_its_name(broken: Path) -> None:
    """Drift of ramps at several times, whatever their names; a 4-bit ramp called conventional_x is no comparison."""
    renamed = {
        "pcm_ramp_taox": "foo",
        "ramp_4bit": "conventional_x",
        "conventional_adc": "y",
        "ramp_8bit": "pcm_x",
    }
    rename_variants(broken, renamed)
    run = report.load_run(broken)
    ramps = {"ramp_5bit", "conventional_x", "pcm_x", "foo", "pcm_ramp_pcm", "pcm_ramp_pcm_compensated"}
    assert {case["variant"].name for case in drift.drift_cases(run)} == {*ramps, "pcm_ramp_taox_compensated"}
    other = sections.conventional(run)
    assert other is not None
    assert other.name == "y"
    page = report.html(broken)
    assert 'id="drift"' in page
    assert 'id="beside"' in page

    def no_chain(metrics: dict[str, Any]) -> None:
        for variant in metrics["variants"]:
            variant["readout"] = "ramp"

    edit(broken / "metrics.json", no_chain)
    assert 'id="beside"' not in report.html(broken)


@pytest.mark.usefixtures("no_figures")
def test_an_old_run_that_does_not_state_what_its_variants_are_has_no_such_sections(broken: Path) -> None:
    def as_before(metrics: dict[str, Any]) -> None:
        for variant in metrics["variants"]:
            for key in ("ramp_device", "readout", "compensation"):
                del variant[key]

    edit(broken / "metrics.json", as_before)
    page = report.html(broken)
    assert 'id="drift"' not in page
    assert 'id="beside"' not in page


@pytest.mark.usefixtures("no_figures")
def test_banner_only_for_synthetic_data(page: str, tmp_path: Path) -> None:
    assert 'class="banner"' in page
    assert "every clip was synthesised by espeak-ng" in page
    assert 'class="banner"' not in report.html(write_fake_run(tmp_path / "real", synthetic=False, chips=1))


@pytest.mark.usefixtures("no_figures")
def test_what_the_banner_says_is_no_note_and_no_aim_has_no_column(broken: Path) -> None:
    aims = '<th scope="col">Aim</th><th scope="col">Result</th>'
    assert aims in report.html(broken)

    def change(metrics: dict[str, Any]) -> None:
        metrics["notes"].append("every clip was synthesised by espeak-ng.")
        for comparison in metrics["comparisons"]:
            comparison["aim"] = None

    edit(broken / "metrics.json", change)
    page = report.html(broken)
    assert aims not in page
    assert "no aim set" not in page
    before_provenance = page[: page.index('<details class="part" id="provenance">')]
    assert before_provenance.count("every clip was synthesised by espeak-ng.") == 1


@pytest.mark.usefixtures("no_figures")
def test_the_stages_are_named_and_none_is_passed_off_as_another(broken: Path) -> None:
    page, run = report.html(broken), report.load_run(broken)
    rows = [(name, round(value or 0.0, 3)) for name, value, _ in merit.stage_rows(run)]
    mean = run.default.quality[0].spread("accuracy").mean
    assert rows == [("software", 0.871), ("retrained", 0.869), ("ideal chip", 0.867), ("chips", round(mean or 0.0, 3))]
    assert "the retrained network on chips" in page
    assert "chips hold it afterwards" in page
    edit(broken / "metrics.json", lambda metrics: [metrics.pop(key) for key in ("stages", "retrained")])
    old = report.html(broken)
    assert "<th>Stage</th>" not in old
    assert "chips hold it afterwards" not in old


@pytest.mark.usefixtures("no_figures")
def test_one_chip_has_neither_deviation_nor_interval(tmp_path: Path) -> None:
    page = report.html(write_fake_run(tmp_path / "run", chips=1))
    assert "(one chip)" in page
    assert "Accuracy: of one chip." in page
    cells = re.findall(r'<td class="num">[^<]*\(one chip\)(?:<small></small>)?</td>', page)
    assert len(cells) == len(VARIANTS) * len(TIMES_S)


@pytest.mark.usefixtures("no_figures")
def test_the_page_names_the_folder_in_which_the_run_is_published(broken: Path, tmp_path: Path) -> None:
    page = report.html(broken, published_as=tmp_path / "kws")
    assert "<dt>Run directory</dt><dd>kws</dd>" in page


def test_intervals_and_bars_of_shares_end_at_0_and_100_percent(broken: Path) -> None:
    accuracy = pd.read_csv(broken / "accuracy.csv")
    accuracy.loc[accuracy["stage"] == "analog", "accuracy"] = np.resize(
        [1.0, 0.9], (accuracy["stage"] == "analog").sum()
    )
    accuracy.to_csv(broken / "accuracy.csv", index=False)
    _, rows = merit.accuracy_rows(report.load_run(broken))
    ends = [(cell["low"], cell["high"]) for row in rows for cell in row["cells"]]
    assert all(0.0 <= low <= high <= 1.0 for low, high in ends)
    ax = Figure().subplots()
    quality = pd.DataFrame({"variant": ["a"], "t_s": [0.0], "mean": [0.95], "std": [0.2]})
    chips = pd.DataFrame({"variant": ["a"] * 2, "t_s": [0.0] * 2, "value": [0.9, 1.0]})
    plots.accuracy_over_time(ax, quality, chips, plots.variant_styles(["a"]), label="accuracy")
    bars = np.concatenate([part.vertices for each in ax.collections for part in each.get_paths()])
    assert bars[:, 1].max() == pytest.approx(1.0)
    assert bars[:, 1].min() == pytest.approx(0.75)
    points = next(line for line in ax.lines if line.get_marker() == ".")
    assert list(points.get_ydata()) == [0.9, 1.0]
    assert min(points.get_xdata()) > bars[:, 0].max()


@pytest.mark.usefixtures("no_figures")
def test_text_of_users_is_escaped(broken: Path) -> None:
    evil = "<script>alert(1)</script>"
    for path in broken.glob("*.csv"):
        path.write_text(path.read_text().replace("ramp_4bit", evil).replace("sram_buffer", evil))
    for name in ("metrics.json", "manifest.json", "config.resolved.yaml"):
        path = broken / name
        path.write_text(path.read_text().replace("ramp_4bit", evil).replace("invented", evil))
    page = report.html(broken)
    assert page.count("<script") == 1  # the page's own
    assert "&lt;script&gt;alert(1)" in page
    assert "<script" not in report.FORMATS["markdown"]([report.load_run(broken)]).decode()


def test_nan_reads_not_available(broken: Path) -> None:
    def spoil(metrics: dict[str, Any]) -> None:
        for variant in metrics["variants"]:
            variant["cost"] = {"area_m2": math.nan, "energy_J": None}
            for quality in variant["quality"]:
                quality["accuracy"] = {"mean": math.nan, "std": None}
        metrics["software"] = {}

    edit(broken / "metrics.json", spoil)
    accuracy = pd.read_csv(broken / "accuracy.csv")
    accuracy["accuracy"] = np.nan
    accuracy.to_csv(broken / "accuracy.csv", index=False)
    for name in ("ramp", "vread", "learning", "schedule"):  # drawn as in every page, and slow
        (broken / f"{name}.csv").unlink()
    page = report.html(broken)
    assert '<td class="num">not available</td>' in page
    visible = re.sub(r"(?s)<script.*?</script>|<pre>.*?</pre>|<svg.*?</svg>|data-value=\"[^\"]*\"", "", page)
    assert not re.search(r"\bnan\b|\bNone\b", visible)


def test_interval_counts_splits_not_chips() -> None:
    values, one = pd.Series([0.8, 0.82, 0.84, 0.86]), pd.Series([0.0] * 4)
    low, high = merit.interval_of_mean(values, one)
    # scipy.stats.t.interval(0.95, 3, 0.83, sem): t = 3.182, sem = 0.012910
    assert low == pytest.approx(0.83 - 0.04108, abs=1e-4)
    assert high == pytest.approx(0.83 + 0.04108, abs=1e-4)
    wide = merit.interval_of_mean(values, pd.Series([0.0, 0.0, 1.0, 1.0]))
    assert wide[1] - wide[0] > 5 * (high - low)
    assert all(math.isnan(bound) for bound in merit.interval_of_mean(values[:1], one[:1]))


@pytest.mark.parametrize(
    ("mean", "low", "high", "better", "verdict"),
    [
        (-0.01, -0.015, -0.005, True, "met"),
        (-0.019, -0.03, -0.01, True, "met in the mean; the interval reaches beyond"),
        (-0.03, -0.04, -0.02, True, "not met"),
        (0.03, 0.02, 0.04, True, "met"),
        (-0.01, None, None, True, "met by the mean; no interval"),
        (0.03, 0.02, 0.04, False, "not met"),
        (math.nan, None, None, True, "not available"),
    ],
)
def test_verdict_on_a_comparison(mean: float, low: float, high: float, better: bool, verdict: str) -> None:
    comparison = Comparison(name="x", mean=mean, low=low, high=high, aim=-0.02)
    assert merit.verdict(comparison, Metric(higher_is_better=better))[0] == verdict


def test_drift_sentence_follows_the_figures(run_dir: Path) -> None:
    run = report.load_run(run_dir)
    cases = {case["variant"].name: case for case in drift.drift_cases(run)}
    assert cases["pcm_ramp_taox"]["loss"]["mean"] == pytest.approx(0.178, abs=0.005)
    assert [cases[name]["compensated"] for name in ("pcm_ramp_taox", "pcm_ramp_taox_compensated")] == [False, True]
    assert "nothing corrects the ratio" in cases["pcm_ramp_taox"]["why"]
    assert "of the same kind of cell" in cases["pcm_ramp_pcm"]["why"]
    sentence = drift.drift_sentence(run, list(cases.values()))
    assert sentence.endswith("not cancelled by pcm_ramp_taox.")
    assert "Between programming and 1 month" in sentence


@pytest.mark.usefixtures("no_figures")
def test_whatever_ramp_is_measured_at_two_times_has_its_drift_shown(broken: Path) -> None:
    """One drifting variant, of cells that are not phase change, and its loss within what chance makes."""
    chosen = "ramp_4bit"

    def one_drifts(metrics: dict[str, Any]) -> None:
        for variant in metrics["variants"]:
            if variant["name"] == chosen:
                variant["device"] = "rram_cmo_2"
            else:
                variant["quality"] = variant["quality"][:1]

    edit(broken / "metrics.json", one_drifts)
    table = pd.read_csv(broken / "accuracy.csv")
    mine = (table["variant"] == chosen) & (table["stage"] == "analog")
    for change, text in (
        ([0.10, -0.06], "loses 2.00 points"),
        ([0.10, 0.101], "loses 10.05 points [+9.41, +10.69], n = 2."),
    ):
        table.loc[mine & (table["t_s"] == 0.0), "accuracy"] = 0.8
        for chip, loss in enumerate(change):
            table.loc[mine & (table["t_s"] > 0.0) & (table["chip"] == chip), "accuracy"] = 0.8 - loss
        table.to_csv(broken / "accuracy.csv", index=False)
        page = report.html(broken)
        assert '<h3 id="drift">Drift</h3>' in page
        run = report.load_run(broken)
        sentence = drift.drift_sentence(run, drift.drift_cases(run))
        assert f"{chosen} {text}" in sentence
        assert "cancel" not in sentence
        assert ("not distinguishable from none" in sentence) == (-0.06 in change)


def test_confusion_shares_add_up_and_numbers_become_labels(broken: Path) -> None:
    before = sections.confusion_matrices(report.load_run(broken))[0]
    for _, cells in before["rows"]:
        assert sum(share for _, share in cells) == pytest.approx(1.0)
    table, labels = pd.read_csv(broken / "confusion.csv"), list(before["labels"])
    table[["true", "predicted"]] = table[["true", "predicted"]].map(labels.index)
    table.to_csv(broken / "confusion.csv", index=False)
    assert sections.confusion_matrices(report.load_run(broken))[0] == before


@pytest.mark.usefixtures("no_figures")
def test_prices_of_a_component_that_a_variant_lacks_change_no_inference(broken: Path) -> None:
    assert report.html(broken).count("Inference would take") == 2
    prices = pd.read_csv(broken / "prices.csv")
    prices["chosen"] &= prices["variant"] != "ramp_5bit"
    prices.to_csv(broken / "prices.csv", index=False)
    page = report.html(broken)
    mine = page[page.index('<div data-group="prices" data-variant="ramp_5bit"') :]
    mine = mine[: mine.index("</table>")]
    assert "Inference would take" not in mine
    assert "not available" not in mine
    assert "its energy does not depend on them" in mine
    assert page.count("Inference would take") == 1


def test_other_price_model_scales_its_component_alone(run_dir: Path) -> None:
    run = report.load_run(run_dir)
    used, cheaper, _ = price_rows(run)[:3]
    energy = run.rows("components", variant="ramp_5bit", component="integrator")["energy_J"].sum()
    assert used["total_J"] == run.default.cost["energy_J"]
    assert used["total_J"] - cheaper["total_J"] == pytest.approx(energy * (1 - 4.17e-14 / 2.4e-13))


@pytest.mark.usefixtures("no_figures")
def test_totals_that_do_not_add_up_are_said(broken: Path) -> None:
    assert "components.csv adds up to" not in report.html(broken)
    edit(broken / "metrics.json", lambda metrics: metrics["variants"][1]["cost"].update(energy_J=1.0))
    assert "ramp_4bit: metrics.json states energy_J = 1.00 J, while components.csv adds up to" in report.html(broken)


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("metrics.json", "{", r"metrics\.json:1:2: not valid JSON"),
        ("metrics.json", "[]", r"metrics\.json: must hold an object \(got list\)"),
        ("manifest.json", '{"data": {"synthetic": "perhaps"}}', r"manifest\.json: synthetic: .*got 'perhaps'"),
        ("config.resolved.yaml", "a: [", r"config\.resolved\.yaml:1:5: not readable as YAML"),
        ("accuracy.csv", "", r"accuracy\.csv: not a readable CSV table"),
        ("layers.csv", "variant,layer\n", r"layers\.csv: column 'rows', .* missing \(got variant, layer\)"),
        ("learning.csv", "stage,split,epoch,loss,validation_accuracy,seconds\na,0,x,1,1,1\n",
         r"learning\.csv:2: epoch: must be a number \(got 'x'\)"),
        ("vread.csv", "readout,offset_and_noise,v_read_V,mean_shift_lsb,predicted_shift_lsb\nramp,maybe,0,0,0\n",
         r"vread\.csv:2: offset_and_noise: must be true or false \(got 'maybe'\)"),
        ("schedule.csv", "variant,layer,task,resource,start_s,duration_s\nghost,l,t,r,0,1\n",
         r"schedule\.csv: variant 'ghost' is not in metrics\.json"),
    ],
)  # fmt: skip
def test_broken_file_is_named(broken: Path, file: str, text: str, message: str) -> None:
    (broken / file).write_text(text)
    with pytest.raises(InputError, match=message):
        report.load_run(broken)


def test_bad_metrics_are_all_named_at_once(broken: Path) -> None:
    def spoil(metrics: dict[str, Any]) -> None:
        metrics["variants"][0]["default"] = False
        metrics["variants"][2]["quality"][0]["accuracy"] = "good"

    edit(broken / "metrics.json", spoil)
    with pytest.raises(InputError) as caught:
        report.load_run(broken)
    assert "variants: exactly one must be the default (got 0 of 8)" in caught.value.problems[0]
    assert "variants.ramp_8bit.quality at t_s = 0: accuracy: must be an object" in caught.value.problems[1]


def test_no_run_directory(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        report.load_run(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"not a run directory .*: manifest\.json, metrics\.json, .* missing"):
        report.load_run(tmp_path)


def test_variant_called_null_stays_a_name(broken: Path) -> None:
    for path in [*broken.glob("*.csv"), broken / "metrics.json"]:
        path.write_text(path.read_text().replace("ramp_4bit", "null"))
    run = report.load_run(broken)
    assert len(run.rows("layers", variant="null")) == 2


def test_csv_stacks_runs_in_one_long_table(run_dir: Path, tmp_path: Path) -> None:
    second = write_fake_run(tmp_path / "second", seed=1, chips=2)
    (output,) = report.write([run_dir, second], "csv", tmp_path / "all.csv")
    table = pd.read_csv(output)
    assert set(table["run"]) == {str(run_dir), str(second)}
    assert (table["kind"] == "quality").sum() == 2 * len(VARIANTS) * len(TIMES_S)
    energy = table[(table["name"] == "energy_J") & (table["variant"] == "ramp_5bit") & (table["seed"] == 0)]
    assert energy["value"].tolist() == [report.load_run(run_dir).default.cost["energy_J"]]
    assert energy["unit"].tolist() == ["J"]


def test_json_and_trace_hold_the_files_of_the_run(run_dir: Path, tmp_path: Path) -> None:
    (listed,) = report.write([run_dir], "json", tmp_path / "all.json")
    assert json.loads(listed.read_text()) == [json.loads((run_dir / "metrics.json").read_text())]
    (trace,) = report.write([run_dir], "trace", tmp_path / "trace.json")
    assert trace.read_bytes() == (run_dir / "trace.json").read_bytes()


def test_markdown_states_accuracy_cost_and_synthetic_data(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert report.write([run_dir], "markdown") == []
    text = capsys.readouterr().out
    assert "**Synthetic data.**" in text
    mean = report.load_run(run_dir).default.quality[0].spread("accuracy").mean
    assert mean is not None
    assert "ideal chip: 8" in text
    assert f"| ramp_5bit (default) | 8 | {100 * mean:.1f} % ±" in text
    widths = [len(re.findall(r"(?<!\\)\|", line)) for line in text.splitlines() if line.startswith("| ")]
    assert set(widths) == {7, 8}


def test_parquet_without_pyarrow_says_what_to_install(
    run_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_pyarrow(*args: object, **options: object) -> None:
        raise ImportError("pyarrow")

    monkeypatch.setattr(pd.DataFrame, "to_parquet", no_pyarrow)
    with pytest.raises(InputError, match=r"pip install 'mho\[parquet\]'"):
        report.write([run_dir], "parquet", tmp_path / "all.parquet")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match="needs a file: -o PATH"):
        report.write([run_dir], "parquet")


@pytest.mark.usefixtures("no_figures")
def test_html_goes_into_each_run_and_other_formats_refuse_several(run_dir: Path, tmp_path: Path) -> None:
    assert report.write([run_dir]) == [run_dir / "report.html"]
    with pytest.raises(InputError, match=r"--format trace takes one run directory \(got 2\)"):
        report.write([run_dir, run_dir], "trace", tmp_path / "x.json")
    with pytest.raises(InputError, match=r"--format: must be one of html, csv, .* \(got 'pdf'\)"):
        report.write([run_dir], "pdf")
    with pytest.raises(InputError) as caught:
        report.write([tmp_path / "a", run_dir, tmp_path / "b"], "csv", tmp_path / "all.csv")
    assert len(caught.value.problems) == 2


@pytest.mark.usefixtures("no_figures")
def test_other_tasks_report_their_own_metric(broken: Path) -> None:
    def rename(metrics: dict[str, Any]) -> None:
        metrics["metrics"] = {"relative_error": {"higher_is_better": False, "unit": "1"}}
        metrics["software"] = metrics["quantised"] = {"relative_error": 0.0}
        for variant in metrics["variants"]:
            for quality in variant["quality"]:
                quality["relative_error"] = quality.pop("accuracy")

    edit(broken / "metrics.json", rename)
    table = pd.read_csv(broken / "accuracy.csv").rename(columns={"accuracy": "relative_error"})
    table.to_csv(broken / "accuracy.csv", index=False)
    page = report.html(broken)
    assert "Relative error against time since programming" in page
    assert long_table([report.load_run(broken)]).query("kind == 'quality'")["name"].unique().tolist() == [
        "relative_error"
    ]


def test_a_keyword_run_stands_beside_published_chips_with_the_mode_of_its_figures(tmp_path: Path) -> None:
    folder = write_fake_run(tmp_path / "run", chips=1)
    config = (folder / "config.resolved.yaml").read_text(encoding="utf-8")
    duty = "kind: kws\nduty: {mode: continuous, period_s: 0.02, features: mfcc_serial, gating: null}\n"
    (folder / "config.resolved.yaml").write_text(config + duty, encoding="utf-8")
    metrics = json.loads((folder / "metrics.json").read_text())
    for variant in metrics["variants"]:
        variant["cost"] |= {"average_power_W": 1.09e-5, "period_J": 2.18e-7, "period_s": 0.02}
        variant["cost_interval"] = {"tops_per_W": [20.0, 28.0], "average_power_W": [8.6e-6, 1.6e-5]}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    page = report.html(folder)
    assert "Beside published chips" in page
    assert "AAD-KWS, normal" in page
    assert "measured in mode window" in page
    assert "<small>20 to 28</small>" in page
    assert "<small>8.6 to 16 µW</small>" in page


@pytest.mark.usefixtures("no_figures")
def test_ideal_wires_stand_beside_the_headline(broken: Path) -> None:
    def ideal(metrics: Any) -> None:
        for variant in metrics["variants"]:
            variant["wires"] = "ideal"

    assert "<strong>ideal wires</strong>" not in report.html(broken)
    edit(broken / "metrics.json", ideal)
    assert "<strong>ideal wires</strong>" in report.html(broken).split('<section id="accuracy">')[0]


def test_the_summary_is_one_table_for_a_paper(broken: Path) -> None:
    run = report.load_run(broken)
    table = paper.of_run(run)
    assert [name for name, *_ in table.rows] == list(run.variants)
    assert all(len(cells) == len(table.heads) for *_, cells in table.rows)
    frame = pd.read_csv(io.StringIO(table.csv))
    mean = run.default.quality[0].spread("accuracy").mean
    assert mean is not None
    assert frame["accuracy_at_0_s"][0] == pytest.approx(mean, rel=1e-5)
    assert (frame["accuracy_at_0_s_low"].between(0.0, 1.0) & frame["accuracy_at_0_s_high"].between(0.0, 1.0)).all()
    assert frame["energy_J"][0] == pytest.approx(run.default.cost["energy_J"], rel=1e-5)
    lines = table.latex.splitlines()
    assert (lines[0], lines[-1]) == (rf"\begin{{tabular}}{{l{'r' * len(table.heads)}}}", r"\end{tabular}")
    assert all(line.count(" & ") == len(table.heads) for line in lines if line.endswith(r"\\"))
    assert r"\%" in lines[2]


@pytest.mark.usefixtures("no_figures")
def test_the_summary_comes_first_and_the_audit_is_folded(broken: Path) -> None:
    page = report.html(broken)
    assert '<section id="summary">' in page.split("<details")[0]
    folded = re.findall(r'<details class="part" id="(\w+)">', page)
    assert {"confusion", "prices", "components", "provenance"} <= set(folded)


def test_pairs_are_of_the_same_split_and_chip() -> None:
    """Welch's interval of the same figures is wider: what both chips of a pair share drops out of the difference."""
    shared, rng = np.linspace(0.0, 0.3, 8), np.random.default_rng(0)
    ours, theirs = (
        pd.DataFrame({"split": 0, "chip": range(8), "t_s": 0.0, "value": 0.5 + shared + 0.01 * rng.normal(size=8)})
        for _ in range(2)
    )
    (paired,) = pairs.between("a", ours, "b", theirs.iloc[::-1], share=True)
    (apart,) = pairs.between("a", ours, "b", theirs, share=True, paired=False)
    assert (paired.n, paired.paired, apart.paired) == (8, True, False)
    assert paired.mean == pytest.approx(float((ours["value"] - theirs["value"]).mean()))
    assert paired.mean == pytest.approx(apart.mean)
    assert paired.high - paired.low < 0.2 * (apart.high - apart.low)
    assert apart.low >= -1.0
    assert apart.high <= 1.0


@pytest.mark.usefixtures("no_figures")
def test_several_runs_are_one_page_with_what_was_set_apart(small: Path, tmp_path: Path) -> None:
    other = shutil.copytree(small, tmp_path / "other")
    text = (other / "config.resolved.yaml").read_text()
    (other / "config.resolved.yaml").write_text(f"{text}\nmine: {{gain: 2.5}}\n")
    (target,) = report.write([small, other], output=tmp_path / "both.html")
    page = target.read_text()
    assert re.findall(r"<h2>(.*?)</h2>", page) == ["Summary", "In pairs", "Cost", "Settings that differ"]
    assert "<code>mine.gain</code>" in page
    (pair, *_) = pairs.of_runs(several.named([report.load_run(small), report.load_run(other)]))
    assert (pair.ours, pair.theirs, pair.mean, pair.paired) == ("other", "run", 0.0, True)


def test_runs_of_one_name_are_told_apart(small: Path, tmp_path: Path) -> None:
    again = shutil.copytree(small, tmp_path / "b" / small.name)
    names = list(several.named([report.load_run(path) for path in (small, again, again)]))
    assert len(set(names)) == 3


def test_figures_go_to_a_folder_as_svg_and_pdf(small: Path, tmp_path: Path) -> None:
    report.write([small, small], output=tmp_path / "page.html", figures=tmp_path / "figures")
    names = {path.name for path in (tmp_path / "figures").iterdir()}
    assert names == {"accuracy.svg", "accuracy.pdf", "cost.svg", "cost.pdf"}
    assert (tmp_path / "figures" / "cost.pdf").read_bytes().startswith(b"%PDF")
    with pytest.raises(InputError, match="--figures: pictures are those of a page"):
        report.write([small], "csv", figures=tmp_path / "figures")


def test_figures_in_python_are_those_that_the_page_writes(run_dir: Path, tmp_path: Path) -> None:
    figures = load_run(run_dir).figures
    report.write([run_dir], output=tmp_path / "page.html", figures=tmp_path / "figures")
    assert sorted(figures) == sorted(path.stem for path in (tmp_path / "figures").glob("*.svg"))
    assert {type(figure).__mro__[1] for figure in figures.values()} == {Figure}
    (axes,) = figures["accuracy"].axes
    assert "since programming" in axes.get_xlabel()
    picture = figures["accuracy"]._repr_png_()  # type: ignore[attr-defined]
    assert picture.startswith(b"\x89PNG")


def test_a_notebook_gets_one_line_of_progress_that_is_emptied(monkeypatch: pytest.MonkeyPatch) -> None:
    display = pytest.importorskip("IPython.display", reason="the extra 'test' is not installed")
    shell, shown = type("ZMQInteractiveShell", (), {})(), []
    monkeypatch.setattr("IPython.get_ipython", lambda: shell)
    handle = type("Handle", (), {"update": lambda self, found: shown.append(found.data)})()
    monkeypatch.setattr(display, "display", lambda *what, **how: handle)
    with watching(None) as progress:
        progress("a < b", 1, 2)
        progress("a < b", 2, 2)
    assert shown[-2:] == ['<progress value="2" max="2"></progress> a &lt; b, 2 of 2', ""]
    with watching(silent) as progress:
        assert progress is silent


def test_components_that_are_next_to_nothing_are_one_line_with_their_sum() -> None:
    line = {
        "layer": "a",
        "group": "adc",
        "action": "step",
        "count": 1.0,
        "status": "estimate",
        "source": "s",
        "node_nm": 16.0,
    }
    built = {"action": "", "count": math.nan, "energy_J": 0.0, "instances": 1.0, "area_m2": 1e-10, "leakage_W": 1e-9}
    energies = {"large": 1e-9, "tiny": 2e-21, "lookup": 1e-18}
    rows = [{**line, "component": name, "energy_J": energy} for name, energy in energies.items()]
    rows.append({**line, **built, "component": "tiles", "source": "t"})
    parts = pd.DataFrame(rows).assign(variant="v").fillna({"area_m2": 0.0, "leakage_W": 0.0, "energy_J": 0.0})
    shown, sources = costs.component_rows(parts.assign(unit_energy_J=1.0, unit_area_m2=1.0))
    assert [row["component"] for row in shown] == ["large", "tiles", "2 others, each next to nothing"]
    assert shown[-1]["energy_J"] == pytest.approx(1.002e-18)
    assert sum(row["energy_J"] for row in shown) == pytest.approx(parts["energy_J"].sum(), rel=1e-12)
    assert sources == ["s", "t"]


def test_an_interval_of_few_chips_says_how_many(tmp_path: Path) -> None:
    for chips, said in ((2, True), (8, False)):
        table = paper.of_run(report.load_run(write_fake_run(tmp_path / str(chips), chips=chips)))
        ends = [cell.interval for _, _, cells in table.rows for cell in cells if cell.interval.startswith("[")]
        assert ends
        assert all(("n = 2" in text) == said for text in ends)


def test_average_power_names_the_library_of_its_leakage(broken: Path) -> None:
    def power(metrics: dict[str, Any], libraries: list[str]) -> None:
        for variant, library in zip(metrics["variants"], libraries * len(metrics["variants"]), strict=False):
            variant["leakage_library"] = library
            variant["cost"]["average_power_W"] = 1e-5

    edit(broken / "metrics.json", lambda metrics: power(metrics, ["aladdin"]))
    assert "Average power, leakage of aladdin" in paper.of_run(report.load_run(broken)).heads
    edit(broken / "metrics.json", lambda metrics: power(metrics, ["aladdin", "asap7"]))
    table = paper.of_run(report.load_run(broken))
    place = table.heads.index("Average power")
    assert [cells[place].interval for _, _, cells in table.rows][:2] == ["aladdin", "asap7"]


def test_errors_and_losses_have_no_interval_below_nothing() -> None:
    error, unbounded = Metric(higher_is_better=False), Metric(higher_is_better=True, unit="dB")
    assert merit.cut(error, -0.06) == 0.0
    assert merit.cut(error, 1.3) == 1.3
    assert merit.cut(unbounded, -3.0) == -3.0
    assert between((0.00077, 0.0017), "") == "0.00077 to 0.0017"
