"""Keyword spotting end to end on tones: the same bits twice, in other batches and beside other chips."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import save_file

from devices import PCM, InputError, Stream, TaOx
from mappings.chip import Chip, Compensation, Weights
from periphery import RampColumn
from workloads import KeywordSpotting, Result, RunOptions
from workloads.duty import Duty
from workloads.kws.augment import Augmentation
from workloads.kws.model import KeywordModel, KeywordNet
from workloads.kws.run import run
from workloads.kws.settings import Features, KeywordEvaluation, KeywordVariant
from workloads.kws.training import Stage, Training, learning_rate_share
from workloads.kws.weights import load_weights
from workloads.recordings.clips import LABELS

RATE = 16_000


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve tones, each played by ten 'speakers' with their own pitch: a corpus that a small network can learn."""
    folder = tmp_path_factory.mktemp("tones") / "speech"
    draw = np.random.default_rng(0)
    t = np.arange(RATE) / RATE
    for number, label in enumerate(LABELS):
        (folder / label).mkdir(parents=True)
        for speaker in range(10):
            pitch = 200.0 * 1.35**number * (1 + 0.03 * draw.standard_normal())
            wave = 0.3 * np.sin(2 * np.pi * pitch * t) * (label != "_silence_") + 0.01 * draw.standard_normal(RATE)
            name = f"{speaker}.wav" if label == "_silence_" else f"{speaker:08x}_nohash_0.wav"
            soundfile.write(folder / label / name, wave, RATE, subtype="PCM_16")
    return folder


def experiment(**changes: object) -> KeywordSpotting:
    chip = Chip(weights=Weights(device=TaOx()), ramp=RampColumn(device=TaOx()))
    pcm = replace(chip, weights=Weights(device=PCM(read_noise_S=1e-7)), compensation=Compensation(mode="global"))
    plain = KeywordSpotting(
        chip=chip,
        variants=(
            KeywordVariant(name="taox", chip=chip, default=True, aim=2.0),
            KeywordVariant(name="conventional", chip=replace(chip, readout="conventional")),
            KeywordVariant(name="pcm", chip=pcm),
        ),
        features=Features(normalisation="corpus", augmentation=Augmentation(copies=1)),
        model=KeywordModel(hidden=12),
        training=Training(software=Stage(steps=150, batch=32), aware=Stage(steps=30, batch=32, learning_rate=0.002)),
        evaluation=KeywordEvaluation(chips=3, times_s=(0.0, 2592000.0), block=8, batch=16),
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def result(tones: Path) -> Result:
    return run(experiment(), RunOptions(data=tones))


def test_it_learns_tones_and_chips_follow(result: Result) -> None:
    assert result.metrics.software["accuracy"] > 0.6
    assert result.metrics.variants[0].quality[0].spread("accuracy").mean > 0.5
    assert [variant.name for variant in result.metrics.variants] == ["taox", "conventional", "pcm"]


def test_the_network_on_the_chips_is_judged_in_float_as_well(result: Result) -> None:
    accuracy = result.tables["accuracy"]
    retrained = accuracy[accuracy.stage == "retrained"]
    assert list(retrained.variant) == ["taox", "conventional", "pcm"]
    assert retrained.accuracy.nunique() == 1, "one number format"
    assert result.metrics.retrained == {"accuracy": retrained.accuracy.iloc[0]}
    assert list(result.metrics.stages) == ["software", "retrained", "quantised", "analog"]
    assert "(the error of the cells of taox) for every variant" in result.metrics.stages["retrained"]


def test_a_given_network_is_on_the_chips_as_it_is_unless_tuning_is_asked_for(tones: Path, tmp_path: Path) -> None:
    net = KeywordNet(KeywordModel(hidden=12), 40, 12, rng=Stream.root(3))
    save_file(net.state_dict(), tmp_path / "mine.safetensors")
    how = experiment(evaluation=KeywordEvaluation(chips=1, times_s=(0.0,), block=8, batch=16))
    options = RunOptions(data=tones, weights=tmp_path / "mine.safetensors")
    as_it_is = run(how, options)
    assert "learning" not in as_it_is.tables
    assert set(as_it_is.tables["accuracy"].stage) == {"software", "quantised", "analog"}
    assert "retrained" not in as_it_is.metrics.stages
    assert "the network given with --weights on chips" in as_it_is.metrics.stages["analog"]
    assert any(note == as_it_is.metrics.weights and "in the order yes, no" in note for note in as_it_is.metrics.notes)
    assert as_it_is.metrics.variants[0].quality[0].spread("accuracy").std is None
    tuned = run(replace(how, training=replace(how.training, tune_given_weights=True)), options)
    assert set(tuned.tables["learning"].stage) == {"5 bits"}
    assert tuned.metrics.software == as_it_is.metrics.software
    assert tuned.metrics.retrained["accuracy"] > tuned.metrics.software["accuracy"]
    with pytest.raises(InputError, match=r"model\.classes: the order of classes of a network given with"):
        run(replace(how, model=replace(how.model, classes=LABELS)), RunOptions(data=tones))


def test_a_mean_over_more_steps_than_there_are_frames_is_refused() -> None:
    with pytest.raises(
        InputError, match=r"model.readout_steps: allowed are 1 to 51, the frames of a clip .* \(got 52\)"
    ):
        experiment(model=KeywordModel(hidden=12, readout_steps=52))
    with pytest.raises(InputError, match=r"model\.classes: each of yes, .* is named once \(got yes\)"):
        experiment(model=KeywordModel(hidden=12, classes=("yes",)))


def test_a_burst_longer_than_its_period_is_refused_before_recordings_are_read(tmp_path: Path) -> None:
    settings = experiment(duty=Duty(mode="window", period_s=1e-9))
    message = r"variants\[taox\]: duty.period_s: at least [\d.e-]+ s, which a burst takes in mode window"
    with pytest.raises(InputError, match=message):
        run(settings, RunOptions(data=tmp_path / "nothing.zip"))
    with pytest.raises(InputError, match=r"nothing\.zip"):
        run(experiment(duty=Duty(mode="window", period_s=1.0)), RunOptions(data=tmp_path / "nothing.zip"))


def test_same_seed_gives_the_same_metrics(tones: Path, result: Result) -> None:
    again = run(experiment(), RunOptions(data=tones))
    assert again.metrics == result.metrics
    for name in ("accuracy", "components", "ramp", "confusion"):
        assert again.tables[name].equals(result.tables[name]), name


def test_another_evaluation_batch_moves_no_figure(tones: Path, result: Result) -> None:
    other = run(
        experiment(evaluation=KeywordEvaluation(chips=3, times_s=(0.0, 2592000.0), block=8, batch=8)),
        RunOptions(data=tones),
    )
    assert other.metrics == result.metrics


def test_chips_beside_do_not_move_the_first_chips(tones: Path, result: Result) -> None:
    more = run(
        experiment(evaluation=KeywordEvaluation(chips=5, times_s=(0.0, 2592000.0), block=8, batch=16)),
        RunOptions(data=tones),
    )
    first = more.tables["accuracy"].query("chip < 3").reset_index(drop=True)
    assert first.equals(result.tables["accuracy"])


def test_another_seed_gives_other_chips(tones: Path, result: Result) -> None:
    other = run(experiment(seed=1), RunOptions(data=tones))
    assert not other.tables["ramp"].equals(result.tables["ramp"])


def test_costs_add_up(result: Result) -> None:
    components, layers = result.tables["components"], result.tables["layers"]
    for variant in result.metrics.variants:
        own = components[components.variant == variant.name]
        assert variant.cost["energy_J"] == pytest.approx(own.energy_J.sum())
        assert variant.cost["area_m2"] == pytest.approx(own.area_m2.sum())
        mine = layers[layers.variant == variant.name]
        assert variant.cost["energy_J"] == pytest.approx((mine.energy_J * mine.steps).sum())
        assert variant.cost["latency_s"] == pytest.approx((mine.latency_s * mine.steps).sum())
        assert variant.cost["ops"] == pytest.approx((mine.ops * mine.steps).sum())


def test_the_run_itself_shows_what_a_changed_read_voltage_does(result: Result) -> None:
    sweep = result.tables["vread"]
    quiet = sweep[~sweep.offset_and_noise]
    ramp, fixed = quiet[quiet.readout == "ramp"], quiet[(quiet.readout != "ramp") & (quiet.v_read_V != 0.2)]
    assert (ramp.mean_shift_lsb.abs() < 0.1).all()
    assert len(fixed) == 10
    np.testing.assert_allclose(fixed.mean_shift_lsb, fixed.predicted_shift_lsb, rtol=0.05)


@pytest.mark.parametrize(
    "model",
    [
        KeywordModel(cell="gru", hidden=6),
        KeywordModel(cell="rnn", hidden=6),
        KeywordModel(cell="gru", reset="after", layers=2, hidden=6),
    ],
    ids=["gru", "rnn", "two layers of torch's gru"],
)
def test_other_cells_run_the_same_way(tones: Path, model: KeywordModel) -> None:
    one = run(
        experiment(
            model=model,
            training=Training(software=Stage(steps=4, batch=16), aware=Stage(steps=2, batch=16)),
            evaluation=KeywordEvaluation(chips=2, times_s=(0.0,), block=8),
        ),
        RunOptions(data=tones),
    )
    assert list(one.tables["layers"].layer.unique()) == [*model.names, "mean", "digital units"]
    assert (one.tables["layers"].energy_J > 0).all()


def test_a_chip_without_bias_rows_gets_a_network_without_bias(tones: Path) -> None:
    how = experiment()
    bare = replace(how.chip, bias="none")
    one = run(
        replace(
            how,
            chip=bare,
            variants=(KeywordVariant(name="bare", chip=bare, default=True),),
            training=Training(software=Stage(steps=10, batch=16), aware=Stage(steps=4, batch=16)),
        ),
        RunOptions(data=tones),
    )
    layers = one.tables["layers"]
    assert list(layers[layers.cells > 0]["rows"]) == [40 + 12, 12]


def test_several_splits_are_averaged_and_compared_by_split(tones: Path) -> None:
    how = experiment()
    two = run(
        replace(
            how,
            data=replace(how.data, splits=2),
            training=Training(software=Stage(steps=10, batch=16), aware=Stage(steps=2, batch=16)),
        ),
        RunOptions(data=tones),
    )
    software = two.tables["accuracy"].query("stage == 'software'")
    assert list(software.split) == [0, 1]
    assert two.metrics.software["accuracy"] == pytest.approx(software.accuracy.mean())
    assert two.metrics.comparisons[0].n == 2
    assert two.metrics.comparisons[0].pairs == 6


def test_a_users_own_lstm_comes_in_with_torchs_names(tones: Path, tmp_path: Path) -> None:
    lstm = torch.nn.LSTM(40, 12, batch_first=True)
    head = torch.nn.Linear(12, 12)
    tensors = {f"lstm.{k}": v.detach() for k, v in lstm.named_parameters()}
    tensors |= {f"fc.{k}": v.detach() for k, v in head.named_parameters()}
    save_file(tensors, tmp_path / "mine.safetensors")
    net = KeywordNet(KeywordModel(hidden=12, readout_steps=1), 40, 12, rng=Stream.root(0))
    load_weights(tmp_path / "mine.safetensors", net)
    x = torch.randn(3, 9, 40)
    torch.testing.assert_close(net(x), head(lstm(x)[0][:, -1]))


def test_weights_that_do_not_fit_are_named(tmp_path: Path) -> None:
    net = KeywordNet(KeywordModel(hidden=12), 40, 12, rng=Stream.root(0))
    path = tmp_path / "mine.safetensors"
    with pytest.raises(InputError, match=r"mine.safetensors: no such file; --weights takes a safetensors file"):
        load_weights(path, net)
    path.write_bytes(b"not a tensor file")
    with pytest.raises(InputError, match=r"mine.safetensors: not a readable safetensors file"):
        load_weights(path, net)
    wrong = torch.nn.LSTM(40, 16)
    save_file({f"lstm.{k}": v.detach() for k, v in wrong.named_parameters()} | {"fc.weight": torch.zeros(12, 16)}, path)
    with pytest.raises(InputError) as error:
        load_weights(path, net)
    assert f"{path}: weight_ih_l0: shape must be (48, 40) (got (64, 40))" in error.value.problems
    save_file({"lstm.weight_ih_l0": torch.zeros(48, 40)}, path)
    with pytest.raises(InputError, match=r"exactly one tensor '\*weight_hh_l0' is needed \(got none\)"):
        load_weights(path, net)


def test_learning_rate_rises_then_falls_to_zero() -> None:
    shares = [learning_rate_share(k / 100, 0.1) for k in range(101)]
    assert shares[0] == 0.0
    assert shares[10] == pytest.approx(1.0)
    assert shares[100] == pytest.approx(0.0)
    assert all(a <= b for a, b in itertools.pairwise(shares[:11]))
    assert all(a >= b for a, b in itertools.pairwise(shares[10:]))
