"""Liquid state machines end to end on few recordings: the same bits twice, and beside other chips and sweeps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from devices import FormedTaOx, InputError, Stream
from devices.effects import Stuck
from mappings.liquid.chip import MEMBRANE
from mappings.liquid.gpu import run_torch
from mappings.liquid.liquid import Liquid
from mappings.liquid.run import LiquidRun
from mho.report.summary import summary
from mho.runner import run as run_experiment
from periphery.neurons.lif import LIF
from workloads import LiquidStateMachine, Result, RunOptions, ZeroShot
from workloads.lsm.binning import Binning, binned
from workloads.lsm.breaking import SWEPT, OperatingPoint, ParameterSweep, points
from workloads.lsm.chips import as_software, unread
from workloads.lsm.data import EventData
from workloads.lsm.readout import Logistic, Ridge
from workloads.lsm.run import run as run_liquid
from workloads.lsm.settings import LiquidEvaluation, LiquidVariant
from workloads.lsm.split import official_split
from workloads.lsm.tables import LiquidTables
from workloads.running import silent
from workloads.zeroshot.learning import Contrastive
from workloads.zeroshot.run import run as run_zeroshot
from workloads.zeroshot.settings import TwoLiquids, ZeroShotEvaluation, ZeroShotVariant

SHORT = Binning(steps=12, mode="duration", crop=16, polarity="off")
SMALL = Liquid(inputs=256, neurons=24, gain_per_uS=0.05, neuron=LIF(decay=0.9, threshold=5.0))


@pytest.fixture(scope="module")
def moving_bars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Event files as a camera writes them: bars that stand at another place for each of four digits."""
    folder = tmp_path_factory.mktemp("bars") / "Train"
    draw = np.random.default_rng(0)
    for place, digit in enumerate((1, 2, 8, 9)):
        (folder / str(digit)).mkdir(parents=True)
        for number in range(24):
            t = np.sort(draw.integers(0, 300_000, 400))
            x = np.clip(9 + 4 * place + draw.integers(0, 5, 400) + draw.integers(-1, 2), 0, 33)
            raw = np.stack([x, draw.integers(8, 27, 400), t >> 16, t >> 8 & 255, t & 255], 1).astype(np.uint8)
            raw.tofile(folder / str(digit) / f"{number:05d}.bin")
    return folder.parent


def experiment(**changes: object) -> LiquidStateMachine:
    plain = LiquidStateMachine(
        data=EventData(binning=SHORT, folds=2, validation=0.2),
        readout=Ridge(penalties=(10.0,)),
        variants=(
            LiquidVariant(name="neighbours", chip=SMALL, default=True, aim=5.0),
            LiquidVariant(name="pairs", chip=replace(SMALL, pairing="pairs")),
        ),
        evaluation=LiquidEvaluation(chips=2, times_s=(0.0, 86400.0), sweep_chips=2, readouts=(Logistic(),), shown=1),
        sweeps=(
            ParameterSweep(what="read_noise", values=(0.0, 20e-6)),
            ParameterSweep(what="gain", values=(0.02,)),
            ParameterSweep(what="retention", values=(0.5,)),
        ),
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def result(moving_bars: Path) -> Result:
    return run_liquid(experiment(), RunOptions(data=moving_bars))


def test_it_tells_bars_apart_and_chips_do_as_well_as_software(result: Result) -> None:
    metrics = result.metrics
    assert metrics.software["accuracy"] > 0.7
    first = metrics.variants[0]
    assert first.quality[0].spread("accuracy").mean > 0.7
    assert [quality.t_s for quality in first.quality] == [0.0, 86400.0]
    assert sum(variant.default for variant in metrics.variants) == 1
    assert metrics.data.train + metrics.data.test == 48 + 96
    against = {comparison.text.split(";")[0] for comparison in metrics.comparisons}
    assert {"neighbours minus software", "software minus ridge on event counts"} <= against


def test_same_seed_gives_the_same_bits(moving_bars: Path, result: Result) -> None:
    again = run_liquid(experiment(), RunOptions(data=moving_bars))
    assert again.metrics == result.metrics
    for name, table in result.tables.items():
        assert again.tables[name].equals(table), name


def test_chips_beside_and_sweeps_left_out_move_no_bit(moving_bars: Path, result: Result) -> None:
    more = run_liquid(
        experiment(evaluation=LiquidEvaluation(chips=3, times_s=(0.0, 86400.0), sweep_chips=1), sweeps=()),
        RunOptions(data=moving_bars),
    )
    first = more.tables["parts"].query("chip < 2").reset_index(drop=True)
    assert first.equals(result.tables["parts"])


def test_a_sweep_of_some_recordings_sees_the_rates_of_the_whole_run(moving_bars: Path) -> None:
    """The headline's rates stand for the configured point of a sweep: simulated alone they are the same bits."""
    few, same = (
        run_liquid(
            experiment(
                evaluation=LiquidEvaluation(chips=chips, sweep_chips=2, sweep_recordings=40),
                sweeps=(
                    ParameterSweep(what="readout_bits", values=(3,)),
                    ParameterSweep(what="stuck_later", values=(0.2,)),
                ),
            ),
            RunOptions(data=moving_bars),
        )
        for chips in (1, 2)  # with one chip the sweep has to simulate its two itself
    )
    for table in ("sweep_readout_bits", "sweep_stuck_later"):
        assert few.tables[table].equals(same.tables[table])


@pytest.fixture
def card_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The devices that liquids were asked to compute on; what runs on a card runs in torch on the CPU."""
    asked: list[str] = []

    def stand_in(*how: Any, device: str, **more: Any) -> LiquidRun:
        asked.append(device)
        return run_torch(*how, device="cpu", **more)

    monkeypatch.setattr("mappings.liquid.liquid.run_torch", stand_in)
    return asked


def test_on_a_card_software_is_the_same_and_chips_are_as_good(
    moving_bars: Path, result: Result, card_on_the_cpu: list[str]
) -> None:
    found = run_liquid(experiment(), RunOptions(data=moving_bars, device="cuda"))
    assert set(card_on_the_cpu) == {"cuda"}
    assert found.metrics.software == result.metrics.software
    for mine, other in zip(found.metrics.variants, result.metrics.variants, strict=True):
        assert mine.quality[0].spread("accuracy").mean == pytest.approx(
            other.quality[0].spread("accuracy").mean, abs=0.1
        )


def test_another_seed_gives_other_chips_and_the_same_split(moving_bars: Path, result: Result) -> None:
    other = run_liquid(experiment(seed=1, sweeps=()), RunOptions(data=moving_bars))
    assert (
        not other.tables["parts"].query("stage == 'analog'").equals(result.tables["parts"].query("stage == 'analog'"))
    )
    assert other.metrics.baseline == result.metrics.baseline


def test_sweeps_hold_the_configured_point_and_say_where_they_break(result: Result) -> None:
    noise = result.tables["sweep_read_noise"]
    assert noise.read_noise_S.tolist() == [0.0, 0.26e-6, 20e-6]
    assert noise.configured.tolist() == [False, True, False]
    assert noise.accuracy.iloc[2] < noise.accuracy.iloc[1]
    headline = result.metrics.variants[0].quality[0].spread("accuracy").mean
    assert noise.accuracy.iloc[1] == result.tables["sweep_retention"].accuracy.iloc[0] == headline
    limits = result.tables["limits"].set_index("quantity")
    assert 0.26e-6 < float(limits.breaks_above["read_noise_S"]) < 20e-6
    assert limits.breaks_below["read_noise_S"] == "not reached"
    gain = result.tables["sweep_gain"]
    best = gain.gain_per_uS[gain.validation_accuracy.idxmax()]
    assert float(limits.best_on_validation["gain_per_uS"]) == pytest.approx(best)


def test_costs_add_up(result: Result) -> None:
    components, layers = result.tables["components"], result.tables["layers"]
    for variant in result.metrics.variants:
        own, mine = (table[table.variant == variant.name] for table in (components, layers))
        assert variant.cost["energy_J"] == pytest.approx(own.energy_J.sum())
        assert variant.cost["energy_J"] == pytest.approx((mine.energy_J * mine.steps).sum())
        assert variant.cost["latency_s"] == pytest.approx((mine.latency_s * mine.steps).sum())


def test_every_sweep_starts_where_the_chip_stands() -> None:
    start = OperatingPoint(SMALL, Ridge())
    values = {"readout_bits": 3.0, "adc_bits": 9.0, "neurons": 30.0, "forming_voltage": 3.3}
    for what, swept in SWEPT.items():
        configured, found = points(ParameterSweep(what=what, values=(values.get(what, 0.125),)), start)
        assert dict(found)[configured] is start
        moved = dict(found)[values.get(what, 0.125)]
        assert moved != start
        if what not in ("time", "retention", "stuck_later"):
            assert swept.of(moved) == pytest.approx(values.get(what, 0.125))
    with pytest.raises(InputError, match=r"neurons: allowed are whole numbers from 0 \(got 2\.5\)"):
        points(ParameterSweep(what="neurons", values=(2.5,)), start)
    with pytest.raises(InputError, match="adc_bits: the configured chip or read-out has none to sweep"):
        points(ParameterSweep(what="adc_bits", values=(8.0,)), OperatingPoint(replace(SMALL, adc_bits=None), Ridge()))


def test_software_does_not_know_how_a_chip_is_read() -> None:
    worse = replace(SMALL, pairing="pairs", read_path="capacitor", device=FormedTaOx(effects=(Stuck(off_rate=0.1),)))
    assert as_software(worse) == as_software(SMALL)
    assert as_software(replace(SMALL, gain_per_uS=0.06)) != as_software(SMALL)


def test_a_front_end_of_ones_own_that_the_board_has_not_got_is_noted() -> None:
    own = replace(Liquid(), front_end=replace(MEMBRANE, swing_V=0.4))
    assert [len(unread(chip)) for chip in (Liquid(), own, replace(own, read_path="capacitor"))] == [0, 1, 0]
    assert unread(own)[0].startswith("front_end changes nothing on the board")


def test_a_liquid_in_which_nothing_fires_is_noted_and_not_only_its_accuracy(moving_bars: Path) -> None:
    dead = replace(SMALL, neuron=LIF(decay=0.9, threshold=1e6))
    variants = (LiquidVariant(name="neighbours", chip=dead, default=True),)
    one = LiquidEvaluation(chips=2, times_s=(0.0,), shown=1)
    notes = run_liquid(
        experiment(variants=variants, evaluation=one, sweeps=()), RunOptions(data=moving_bars)
    ).metrics.notes
    assert any(note.startswith("neighbours: no neuron fires in any recording on 2 of 2 liquids") for note in notes)
    assert any(note.startswith("software: no neuron fires in any recording") for note in notes)


def test_recordings_in_neither_part_are_noted(moving_bars: Path) -> None:
    how = experiment()
    found = how.data.find(moving_bars, silent)
    names = np.resize(["train", "test", "valid"], len(found))
    found = replace(found, parts=names)
    parts = {"official": [official_split(found, rng=Stream.root(0))]}
    tables = LiquidTables(how, found, binned(found, SHORT), parts)
    tables.note_unused()
    assert tables.notes == [
        "32 of 96 recordings (valid) are neither trained on nor tested: the data set's own test part."
    ]


def test_bad_input_is_refused_in_one_sentence(moving_bars: Path) -> None:
    with pytest.raises(InputError, match=r"chip\.inputs: allowed is 64, .* 1 x 8 x 8 \(got 256\)"):
        run_liquid(experiment(data=EventData(binning=replace(SHORT, pool=2), folds=2)), RunOptions(data=moving_bars))
    with pytest.raises(InputError, match="--weights: a liquid's weights are those of its cells"):
        run_liquid(experiment(), RunOptions(data=moving_bars, weights=moving_bars))
    with pytest.raises(ValueError, match="exactly one variant must have default: true"):
        experiment(variants=(LiquidVariant(name="a", chip=SMALL),))
    with pytest.raises(InputError, match="allowed are recordings with a training and a test part"):
        run_liquid(experiment(data=EventData(binning=SHORT, splits=("official",))), RunOptions(data=moving_bars))


def test_the_tiny_experiment_runs_without_data_and_says_that_it_is_synthetic(tmp_path: Path) -> None:
    metrics = run_experiment("nmnist_tiny", output=tmp_path / "run")
    assert metrics["data"]["synthetic"]
    assert "SYNTHETIC DATA" in summary(metrics.metrics_json)
    page = (tmp_path / "run" / "report.html").read_text()
    for head in ("Liquid and no liquid", "Spikes", "Feature map", "Where it breaks"):
        assert f"<h2>{head}</h2>" in page


def test_digits_are_spoken_heard_and_told_apart_without_data(tmp_path: Path) -> None:
    pytest.importorskip("espeakng_loader", reason="the extra 'speech' is not installed")
    sets = ("sweeps=[]", "evaluation.chips=1", "evaluation.readouts=[]", "data.recordings=300", "chip.neurons=40")
    metrics = run_experiment("spoken_digits", sets=sets, output=tmp_path / "run")
    assert metrics["data"]["synthetic"]
    assert "SYNTHETIC DATA" in summary(metrics.metrics_json)
    assert metrics["software"]["accuracy"] > 0.5
    assert metrics["software"]["accuracy_speakers"] > 0.3


def spikes_csv(folder: Path) -> None:
    """Sounds as spikes of eight channels: another channel for each of four digits."""
    draw = np.random.default_rng(1)
    rows = ["recording,label,t_s,x,y,p"]
    for place, digit in enumerate((1, 2, 8, 9)):
        for number in range(24):
            for t in np.sort(draw.random(60) * 0.3):
                rows.append(f"{digit}_{number},{digit},{t:.6f},{2 * place + draw.integers(0, 2)},0,0")
    (folder / "spikes.csv").write_text("\n".join(rows) + "\n")


def test_zero_shot_end_to_end_and_twice_the_same(moving_bars: Path, tmp_path: Path, card_on_the_cpu: list[str]) -> None:
    """Pictures and sounds of four digits: two are learnt, two are asked for."""
    whole = tmp_path / "both"
    (whole / "fsdd").mkdir(parents=True)
    (whole / "nmnist").symlink_to(moving_bars)
    spikes_csv(whole / "fsdd")
    audio = replace(SMALL, inputs=8, gain_per_uS=0.1)
    how = ZeroShot(
        image=EventData(binning=SHORT, folds=2, validation=0.2),
        audio=EventData(sense="audio", splits=("folds",), folds=2, validation=0.2, binning=Binning(steps=10)),
        seen=("1", "2"),
        unseen=("8", "9"),
        learning=Contrastive(loss="supcon", temperature=0.2, batch=8, epochs=30, standardise=True, dimensions=16),
        variants=(ZeroShotVariant(name="taox", chip=TwoLiquids(image=SMALL, audio=audio), default=True),),
        chip=TwoLiquids(image=SMALL, audio=audio),
        evaluation=ZeroShotEvaluation(chips=2, per_class=10, sweep_chips=1, sweep_epochs=2),
        sweeps=(ParameterSweep(what="neurons", values=(10,)),),
    )
    result = run_zeroshot(how, RunOptions(data=whole))
    assert not card_on_the_cpu
    assert result.metrics.software["seen"] > 0.7
    assert result.metrics.chance == {"unseen": 0.5, "seen": 0.5}
    assert set(result.tables["accuracy"].stage) == {"software", "analog", "quantised"}
    card = run_zeroshot(how, RunOptions(data=whole, device="cuda"))
    assert set(card_on_the_cpu) == {"cuda"}
    assert card.metrics.software == result.metrics.software
    again = run_zeroshot(how, RunOptions(data=whole))
    assert again.metrics == result.metrics
    assert again.tables["epochs"].equals(result.tables["epochs"])
    fewer = run_zeroshot(replace(how, evaluation=replace(how.evaluation, chips=1), sweeps=()), RunOptions(data=whole))
    first = result.tables["accuracy"].query("chip == 0").reset_index(drop=True)
    assert fewer.tables["accuracy"].reset_index(drop=True).equals(first)
    with pytest.raises(InputError, match="no train recording of 7"):
        run_zeroshot(replace(how, seen=("1", "7")), RunOptions(data=whole))
    with pytest.raises(InputError, match=r"allowed are labels of .* \(got 'ten'\)"):
        run_zeroshot(replace(how, seen=("1", "ten")), RunOptions(data=whole))
    with pytest.raises(ValueError, match=r"unseen must not hold what is seen \(got 8\)"):
        replace(how, seen=("1", "8"))
