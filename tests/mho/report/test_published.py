"""Records of published chips: every file is sound, every figure has its source, and only like is marked beside like."""

from __future__ import annotations

from pathlib import Path

import pytest

from devices import InputError
from mho.config.read import read
from mho.listings import listing
from mho.report.published import ACROSS_TASKS, FIGURES, Mode, Published, every, of_task
from mho.sweep.names import unit_of

CHIPS = every()
KWS = ["accuracy", "energy_J", "area_m2", "tops", "tops_per_W", "tops_per_mm2"]


@pytest.mark.parametrize("name", CHIPS)
def test_record_is_headed_by_its_source_and_its_figures_have_theirs(name: str) -> None:
    chip = CHIPS[name]
    text = (Path(__file__).parents[3] / "configs" / "published" / f"{name}.yaml").read_text(encoding="utf-8")
    head = text.split("label:")[0]
    assert head.startswith("#")
    assert chip.cite is None or f"{{{chip.cite}," in head
    assert (chip.doi or "DOI not established here") in head or chip.cite is not None
    for mode in chip.modes:
        for figure in mode.figures().values():
            assert figure.source.strip()
    assert len({mode.name for mode in chip.modes}) == len(chip.modes)


@pytest.mark.parametrize("name", CHIPS)
def test_figures_of_a_mode_agree_with_each_other(name: str) -> None:
    """Throughput, power and efficiency of one mode, and throughput, area and density, within their printed digits."""
    loose = {
        # One or two printed digits of throughput, area or density.
        *("yang2025_kws", "jssc2020_digital", "isscc2017_digital", "cicc2018_digital", "vlsi2017_digital"),
        # Table 1 of yang2025 prints 4.9 TOPS, 3.465 W and 1.96 TOPS/W, which do not agree; the record quotes them.
        "hermes64",
    }
    for mode in CHIPS[name].modes:
        held = mode.figures()
        if {"tops", "power_W", "tops_per_W"} <= set(held) and name not in loose:
            product = held["tops_per_W"].value * held["power_W"].value
            assert product == pytest.approx(held["tops"].value, rel=0.03)
        if {"tops", "area_m2", "tops_per_mm2"} <= set(held) and name not in loose:
            assert held["tops"].value / (held["area_m2"].value * 1e6) == pytest.approx(
                held["tops_per_mm2"].value, rel=0.03
            )


def test_they_are_listed_with_what_they_are() -> None:
    assert {name: chip.description for name, chip in CHIPS.items()} == listing("published")


def test_headline_of_the_ramp_adc_paper() -> None:
    five = CHIPS["yang2025_kws"].modes[0].figures()
    assert (five["tops_per_W"].value, five["tops_per_mm2"].value, five["accuracy"].value) == (31.0, 39.48, 0.885)
    assert (five["tops_per_W"].status, five["energy_J"].status) == ("published", "derived")


def test_what_depends_on_the_task_is_marked_on_that_task_only() -> None:
    chip = CHIPS["yang2025_kws"]
    own = chip.marks(KWS, "kws")[0]["figures"]
    assert {"accuracy", "area_m2", "tops_per_W"} <= set(own)
    assert "energy_J" not in own  # per step, and mho's is per inference
    assert set(chip.marks(KWS, "charlm")[0]["figures"]) == set(ACROSS_TASKS)
    assert CHIPS["jia2020_sram"].marks(KWS, "kws") == []  # one-bit operations
    assert chip.marks(["enob", "inl_mean_lsb"], "nladc") == []


def test_figures_are_outputs_of_mho_with_a_unit() -> None:
    assert set(FIGURES) - {"accuracy"} == {name for name in FIGURES if unit_of(name)}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("tops_per_W: {value: -3, status: published, source: x}", "value"),
        (
            "tops_per_W: {value: 3, status: rumoured, source: x}",
            "must be one of published, repository, secondary, derived",
        ),
        ("tops_per_W: {value: 3, status: published}", "source"),
        ("energy_J: {value: 3, status: published, source: x}", "per"),
        ("accuracy: {value: 88.5, status: published, of: words, source: x}", "accuracy"),
        ("tops_per_w: {value: 3, status: published, source: x}", "did you mean tops_per_W"),
        ("bits_in: 5", "at least one of"),
    ],
)
def test_a_wrong_record_is_told_place_and_what_is_allowed(wrong: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "chip.yaml"
    file.write_text(f"label: a\ndescription: b\nsource: c\nmemory: RRAM\nmodes:\n  - {wrong}\n", encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read(str(file), Published, folder="published")
    (problem, *_) = caught.value.problems
    assert problem.startswith(f"{file}:6:")
    assert message in problem


def test_a_key_that_is_no_reference_is_refused() -> None:
    with pytest.raises(ValueError, match=r"cite: must be a key of configs/references.bib"):
        Published(
            label="a", description="b", cite="nobody1900", source="c", memory="RRAM", modes=CHIPS["yoon2022"].modes
        )
    with pytest.raises(ValueError, match="at least one of"):
        Mode(name="empty")


def test_keyword_spotters_stand_in_their_own_terms() -> None:
    rows = {row["label"]: row for row in of_task("kws")}
    aad, delta = rows["AAD-KWS, normal"], rows["DeltaKWS, 12 classes"]
    assert aad["average_power_W"].value == 0.8e-6
    assert (aad["accuracy"].value, aad["accuracy"].of) == (0.978, "Speech Commands, 2 words")
    assert (delta["energy_J"].value, delta["energy_J"].per) == (36e-9, "decision")
    for label, row in rows.items():
        assert row["mode"].counted, label
    assert of_task("spgemm") == []


def test_an_accuracy_on_other_classes_is_not_marked_beside_ours() -> None:
    outputs = ["accuracy", "average_power_W"]
    assert CHIPS["shan2021_kws"].marks(outputs, "kws") == []
    (mark,) = CHIPS["ring_oscillator_kws"].marks(outputs, "kws")
    assert mark["figures"]["average_power_W"]["value"] == 23e-6
