"""Kinds of faults that users of this field's tools reported, where no other test has them (docs/public_reports.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from devices import PCM, ChipStreams, InputError, Stream, TaOx
from mappings.chip import Chip, Compensation, Weights
from mappings.network.recurrent import RecurrentLayer
from mho.config.read import read
from periphery import RampColumn
from periphery.neurons.lif import LIF
from tests.workloads.recordings.written import problems_of
from workloads import AnyExperiment
from workloads.kws.model import KeywordModel, KeywordNet
from workloads.kws.weights import load_weights
from workloads.lsm.binning import Binning, binned
from workloads.recordings.spikes_csv import load_spikes_csv
from workloads.spgemm import read_matrix


def table(folder: Path, text: str) -> Path:
    path = folder / "events.csv"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("device", [PCM(), TaOx()], ids=["pcm", "taox"])
def test_programming_error_is_there_with_compensation_on_or_off(device: PCM | TaOx) -> None:
    draw = torch.Generator().manual_seed(0)
    blocks = torch.randn(8, 6, generator=draw), torch.randn(8, 8, generator=draw)
    layer = RecurrentLayer.from_torch("rnn", *blocks, None)
    exact, held = torch.cat(blocks, dim=1).T, []
    for how in (Compensation(mode="off"), Compensation(mode="global")):
        chip = Chip(weights=Weights(device=device), ramp=RampColumn(device=TaOx()), compensation=how)
        programmed = layer.map(chip).program(rng=ChipStreams.of(Stream.root(1), 2))
        held.append(programmed.matrix.at(0.0).array.difference_S)
    assert torch.equal(held[0], held[1])
    for one in held[0]:
        slope = (one * exact).sum() / exact.square().sum()
        assert 0.003 < float((one - slope * exact).std() / one.std()) < 0.2
    assert not torch.equal(held[0][0], held[0][1])


@pytest.mark.parametrize(
    ("experiment", "option", "problem"),
    [
        ("kws_tiny", "chip.adc.bits=0", "chip.adc.bits: must be a whole number from 1 to 12 or null (got 0)"),
        ("kws_tiny", "chip.bits=0", "chip.bits: must be a whole number from 2 to 8 (got 0)"),
        ("kws_tiny", "model.cell=conv", "model.cell: must be one of lstm, gru, rnn (got the text 'conv')"),
        ("nmnist", "chip.neuron.decay=[0.9, 0.8]", "chip.neuron.decay: must be a number from 0 to 1 (got a list of 2"),
        ("kws_tiny", "evaluation.times_s=[-1]", "evaluation.times_s[0]: must be a number from 0 to 1e+12 (got -1)"),
        ("kws_tiny", "evaluation.times_s=[0, 0]", "evaluation.times_s: must rise (got 0.0, 0.0)"),
        ("kws_tiny", "evaluation.times_s=[3600, 0]", "evaluation.times_s: must rise (got 3600.0, 0.0)"),
    ],
)
def test_what_no_chip_has_is_refused_and_not_ignored(experiment: str, option: str, problem: str) -> None:
    with pytest.raises(InputError) as caught:
        read(
            experiment, AnyExperiment, sets=("chip.readout=conventional", option) if "kws" in experiment else (option,)
        )
    assert any(f"--set {option}: {problem}" in line for line in caught.value.problems)


def test_a_neuron_with_noise_is_reset_where_it_fired_and_nowhere_else() -> None:
    neurons = LIF(decay=0.5, threshold=1.0, noise=2.0).build(4, rng=ChipStreams.of(Stream.root(0), 1))
    x, draw = torch.full((1, 500, 4), 0.9), torch.Generator().manual_seed(0)
    first = neurons.step(neurons.rest(500), x, torch.randn(x.shape, generator=draw))
    second = neurons.step(first, torch.zeros_like(x))
    assert 0.2 < float(first.spikes.mean()) < 0.8
    torch.testing.assert_close(second.membrane, 0.45 * (1.0 - first.spikes))


def test_steps_begin_with_the_recording_and_a_short_one_has_all_of_them(tmp_path: Path) -> None:
    found = load_spikes_csv(table(tmp_path, "recording,label,t_s,x\na,0,0.3,0\na,0,0.9,2\nb,1,0.1,0\nb,1,0.3,2\n"))
    steps = binned(found, Binning(steps=5, mode="width", width_s=0.2)).dense().sum(2)
    np.testing.assert_array_equal(steps, [[0, 1, 0, 0, 1], [1, 1, 0, 0, 0]])
    found = load_spikes_csv(table(tmp_path, "recording,label,t_us,x\na,0,5,0\na,0,9,2\nb,1,1,0\nb,1,3,2\n"))
    steps = binned(found, Binning(steps=3, mode="width", width_s=0.01)).dense().sum(2)
    np.testing.assert_array_equal(steps, [[2, 0, 0], [2, 0, 0]])


@pytest.mark.parametrize(("first", "second", "got"), [("3", "2", "3"), ("-1", "0", "0")])
def test_a_polarity_of_more_than_two_values_is_refused(tmp_path: Path, first: str, second: str, got: str) -> None:
    rows = f"a,0,0.1,1,1,{first}\na,0,0.2,2,1,{second}\nb,1,0.1,1,2,1\n"
    path = table(tmp_path, "recording,label,t_s,x,y,p\n" + rows)
    (problem,) = problems_of(lambda: load_spikes_csv(path))
    assert problem.endswith(f": p: allowed is 0 or 1, or -1 or 1 throughout (got '{got}')")


@pytest.mark.parametrize("digits", [17, 25, 60])
def test_numbers_of_many_digits_are_the_nearest_ones(tmp_path: Path, digits: int) -> None:
    path = tmp_path / "m.mtx"
    rows = f"1 1 {2 / 3:.{digits}f}\n2 1 {1e-7 / 3:.{digits}e}\n"
    path.write_text(f"%%MatrixMarket matrix coordinate real general\n2 2 2\n{rows}")
    np.testing.assert_array_equal(read_matrix(path).csr.data, [2 / 3, 1e-7 / 3])


@pytest.mark.parametrize("value", [2**31 - 1, 2**31, 2**32, -(2**31) - 1])
def test_whole_numbers_beyond_32_bits_keep_their_sign(tmp_path: Path, value: int) -> None:
    path = tmp_path / "m.mtx"
    path.write_text(f"%%MatrixMarket matrix coordinate integer symmetric\n2 2 2\n1 1 {value}\n2 1 {value}\n")
    np.testing.assert_array_equal(read_matrix(path).csr.toarray(), [[value, value], [value, 0]])


class Opened:
    """A pickle that would leave a file behind if it were loaded."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.trace,))


def test_weights_in_a_pickle_or_in_onnx_are_refused_and_not_opened(tmp_path: Path) -> None:
    net = KeywordNet(KeywordModel(hidden=12), 40, 12, rng=Stream.root(0))
    torch.save({"lstm.weight_ih_l0": Opened(tmp_path / "opened")}, tmp_path / "mine.pt")
    (tmp_path / "mine.onnx").write_bytes(b"\x08\x08\x12\x07pytorch\x1a\x052.2.0")
    for name in ("mine.pt", "mine.onnx"):
        with pytest.raises(InputError, match=rf"{name}: not a readable safetensors file"):
            load_weights(tmp_path / name, net)
    assert not (tmp_path / "opened").exists()


@pytest.mark.parametrize("how", [{"bidirectional": True}, {"num_layers": 2}, {"proj_size": 5}], ids=str)
def test_an_lstm_of_more_than_one_layer_and_direction_is_refused(tmp_path: Path, how: dict[str, Any]) -> None:
    lstm = torch.nn.LSTM(40, 12, **how)
    tensors = {f"lstm.{name}": value.detach() for name, value in lstm.named_parameters()}
    save_file(tensors | {"fc.weight": torch.zeros(12, 12)}, tmp_path / "mine.safetensors")
    net = KeywordNet(KeywordModel(hidden=12), 40, 12, rng=Stream.root(0))
    left = {"bidirectional": "lstm.bias_hh_l0_reverse", "num_layers": "lstm.bias_hh_l1", "proj_size": "weight_hr_l0"}
    with pytest.raises(InputError, match=rf"tensors that this network has no use for: .*{left[next(iter(how))]}"):
        load_weights(tmp_path / "mine.safetensors", net)
