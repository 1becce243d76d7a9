"""The keyword network on chips: layer by layer what its layers are, with the mean of the last steps counted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from devices import PCM, BlockNoise, ChipStreams, InputError, Stream, TaOx
from mappings.activity import Activity
from mappings.chip import Chip, Compensation, Weights
from mappings.network.dense import DenseLayer
from mappings.network.recurrent import RecurrentLayer
from mappings.network.recurrent_run import RecurrentRead
from periphery import ConventionalADC, RampColumn
from periphery.adc.calibration import RangeCalibration
from workloads.kws.chips import on_chip
from workloads.kws.model import KeywordModel, KeywordNet
from workloads.kws.weights import load_weights

CHIP = Chip(weights=Weights(device=TaOx()), ramp=RampColumn(device=TaOx()))
INPUTS, HIDDEN, CLASSES, SAMPLES, STEPS, LIMIT = 7, 12, 12, 40, 11, 3.0
CELLS: list[dict[str, Any]] = [{"cell": "lstm"}, {"cell": "gru"}, {"cell": "rnn"}, {"cell": "gru", "reset": "after"}]


def network(**model: Any) -> KeywordNet:
    net = KeywordNet(KeywordModel(hidden=HIDDEN, **model), INPUTS, CLASSES, rng=Stream.root(0))
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(2.0)
    return net


def features() -> torch.Tensor:
    return 2.0 * torch.rand((SAMPLES, STEPS, INPUTS), generator=torch.Generator().manual_seed(1)) - 1.0


def streams(chips: int = 1) -> ChipStreams:
    return ChipStreams.of(Stream.root(5), chips)


@pytest.mark.parametrize("readout", ["ramp", "conventional"])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("how", CELLS, ids=lambda how: "_".join(how.values()))
def test_an_ideal_chip_is_its_layers_one_by_one_to_the_code(how: dict[str, Any], layers: int, readout: str) -> None:
    """Words pass from layer to layer as they are; ``readout_steps: 1`` takes the last ones."""
    chip = replace(CHIP, readout=readout).idealised()
    net = network(layers=layers, readout_steps=1, **how)
    with torch.no_grad():
        converted = on_chip(net, chip, features=features(), limit=LIMIT)
        read = converted.map().program(rng=streams()).at(0.0)
        assert list(read.layers) == list(net.model.names)
        for name in net.model.recurrent:
            layer = read.layers[name]
            assert isinstance(layer, RecurrentRead)
            assert (layer.fused is not None) == ("reset" not in how), "the compiled loop runs it"
        found = read(features(), block=SAMPLES)
        words, noise = chip.counts(features())[None], BlockNoise(streams(), [0], SAMPLES)
        for number, name in enumerate(net.model.recurrent):
            of = net.tensors(number)
            after = how.get("reset", "before")
            limit = converted.tiles[name].limit if after == "after" else 1.0  # type: ignore[attr-defined]
            layer = RecurrentLayer.from_torch(
                net.model.cell, *list(of.values())[:3], bias_hh=of.get("bias_hh"), reset=after, limit=limit
            )
            words = layer.map(chip, name=name).program(rng=streams().child(name)).at(0.0).run(words, noise=noise)
        output = DenseLayer.from_torch(net.output.weight, net.output.bias, limit=LIMIT)
        last = output.map(chip).program(rng=streams().child("output")).at(0.0)
        assert torch.equal(found, last.run(words[:, :, -1], noise=noise))


def test_the_mean_of_the_last_steps_is_that_of_their_words_but_for_ties() -> None:
    chip = CHIP.idealised()
    net = network(readout_steps=8)
    with torch.no_grad():
        read = on_chip(net, chip, features=features(), limit=LIMIT).map().program(rng=streams()).at(0.0)
        noise = BlockNoise(streams(), [0], SAMPLES)
        words = read.layers["recurrent"].run(chip.counts(features()), noise=noise)[:, :, -8:].sum(2)
        found = read(features(), block=SAMPLES)
        ways = [read.layers["output"].run(torch.floor(words / 8 + 0.5 - tie), noise=noise) for tie in (0.0, 1e-3)]
    whole = ((words % 8) != 4).all(-1)
    assert 0.1 < whole.float().mean() < 0.9
    assert torch.equal(found[whole], ways[0][whole])
    assert torch.equal(ways[0][whole], ways[1][whole])


def test_the_mean_is_counted_by_its_adders_and_registers() -> None:
    """Seven sums of eight words of 5 bits, 3 bits wider; each of the units keeps its own until the last step."""
    net = network(readout_steps=8)
    parts = {part.name: part for part in on_chip(net, CHIP).cost(features()[:1]).parts}
    assert list(parts) == ["recurrent", "output", "mean", "digital units"]
    assert parts["recurrent"].actions.steps == STEPS
    did = {(one.component, one.action): one.count for one in parts["mean"].actions.actions}
    assert did["adder", "add_bit"] == HIDDEN * 7 * 8
    assert did["register", "write_bit"] == HIDDEN * 8 * 8
    stands = {one.component: one.count for name in ("mean", "digital units") for one in parts[name].actions.instances}
    assert stands["register"] == HIDDEN * 8
    assert stands["adder"] == CHIP.lanes * 8
    last = on_chip(network(readout_steps=1), CHIP).cost(features()[:1]).parts
    assert [part.name for part in last] == ["recurrent", "output"]


def test_what_trains_the_network_trains_it_on_chips() -> None:
    net = network(layers=2)
    converted = on_chip(net, CHIP, features=features(), limit=LIMIT)
    mine = {id(one) for one in net.parameters()}
    trained = {id(one) for one in converted.parameters() if one.requires_grad}
    assert trained == mine
    converted(features()).square().sum().backward()
    assert all(one.grad is not None and bool(one.grad.any()) for one in net.parameters())
    bare = network().without_bias()
    assert [one.requires_grad for one in on_chip(bare, CHIP).parameters()].count(True) == 3


def test_two_kinds_of_chip_in_one_program_do_not_mix() -> None:
    """Formats and ranges of one network do not move those of another that was laid before it."""
    net = network()
    with torch.no_grad():
        first = on_chip(net, CHIP, features=features(), limit=LIMIT)
        alone = first(features())
        coarse = replace(CHIP, bits=3, driver=replace(CHIP.driver, x_max=2.0))
        second = on_chip(net, coarse, features=features(), limit=2.0 * LIMIT)
        assert not torch.equal(second(features()), alone)
        assert torch.equal(first(features()), alone)
    assert [float(one.tiles["output"].high) for one in (first, second)] == [LIMIT, 2.0 * LIMIT]
    assert [one.tiles["recurrent"].words(one.chips["recurrent"]).limit for one in (first, second)] == [1.0, 2.0]


@pytest.mark.parametrize(
    "chip",
    [
        replace(CHIP, ramp=RampColumn(device=TaOx(), levels="optimal")),
        replace(CHIP, readout="conventional", adc=ConventionalADC(bits=8, calibration=RangeCalibration())),
    ],
    ids=["levels", "ranges"],
)
def test_converters_of_every_layer_follow_data(chip: Chip) -> None:
    net = network(layers=2)
    with torch.no_grad():
        converted = on_chip(net, chip, features=features(), limit=LIMIT)
        layers = converted.map().layers
        plain = on_chip(net, chip.without_data(), features=features(), limit=LIMIT).map().layers
        for name in net.model.recurrent:
            for mine, other in zip(layers[name].converters, plain[name].converters, strict=True):
                if chip.readout == "ramp":
                    assert mine.design != other.design
                else:
                    assert mine.ends_z is not None
                    assert other.ends_z is None
        assert converted.map().program(rng=streams()).at(0.0)(features()).shape == (1, SAMPLES, CLASSES)


def test_maps_of_defects_reach_the_layer_of_their_name(tmp_path: Path) -> None:
    chip = replace(CHIP, weights=replace(CHIP.weights, stuck_maps={"recurrent.l1": f"{tmp_path}/missing.npy"}))
    layers = on_chip(network(layers=2), chip).map().layers
    kinds = {name: [effect.kind for effect in one.chip.weights.device.effects] for name, one in layers.items()}
    assert kinds == {"recurrent.l0": [], "recurrent.l1": ["stuck"], "output": []}


def test_chips_of_a_batch_of_blocks_are_those_alone_and_every_layer_measures_its_drift() -> None:
    chip = replace(CHIP, weights=Weights(device=PCM(read_noise_S=1e-7)), compensation=Compensation(mode="global"))
    net = network(layers=2)
    seen: list[dict[str, Activity]] = [{}, {}]
    with torch.no_grad():
        converted = on_chip(net, chip, features=features(), limit=LIMIT)
        read = converted.map().program(rng=streams(3)).at(2592000.0)
        whole = read(features(), block=8, activity=seen[0])
        parts = [read(features()[k : k + 16], first=k // 8, block=8, activity=seen[1]) for k in range(0, SAMPLES, 16)]
        alone = converted.map().program(rng=streams(1)).at(2592000.0)(features(), block=8)
    assert torch.equal(whole, torch.cat(parts, dim=1))
    assert torch.equal(whole[:1], alone)
    for name, steps in {"recurrent.l0": STEPS, "recurrent.l1": STEPS, "output": 1}.items():
        assert seen[0][name].samples == 3 * SAMPLES * steps
        assert seen[0][name].sums == seen[1][name].sums
        assert all(isinstance(factor, torch.Tensor) for factor in read.layers[name].factors)


@pytest.mark.parametrize(("cell", "kind"), [("lstm", torch.nn.LSTM), ("rnn", torch.nn.RNN), ("gru", torch.nn.GRU)])
def test_several_layers_of_torch_are_read_as_they_are(tmp_path: Path, cell: str, kind: type[torch.nn.RNNBase]) -> None:
    torch.manual_seed(0)
    theirs, head, path = (
        kind(INPUTS, HIDDEN, 3, batch_first=True),
        torch.nn.Linear(HIDDEN, 12),
        tmp_path / "a.safetensors",
    )
    tensors = {f"rnn.{name}": value.detach() for name, value in theirs.named_parameters()}
    save_file(tensors | {f"fc.{name}": value.detach() for name, value in head.named_parameters()}, path)
    reset = "after" if cell == "gru" else "before"
    net = network(cell=cell, layers=3, reset=reset)
    said = load_weights(path, net)
    assert f"{HIDDEN} units in each of 3 layers" in said
    torch.testing.assert_close(net(features()), head(theirs(features())[0][:, -8:].mean(1)))
    with pytest.raises(InputError, match=r"no use for: .*weight_ih_l2 \(model.layers is 2\)"):
        load_weights(path, network(cell=cell, layers=2, reset=reset))
    with pytest.raises(InputError, match=r"exactly one tensor '\*weight_ih_l3' is needed \(got none\)"):
        load_weights(path, network(cell=cell, layers=4, reset=reset))


def test_a_reset_gate_is_where_model_and_file_say(tmp_path: Path) -> None:
    path, net = tmp_path / "gru.safetensors", network(cell="gru", reset="after")
    save_file(net.state_dict(), path, {"reset": "before"})
    with pytest.raises(InputError, match=r"metadata 'reset' must be 'after' \(got 'before'\), as model\.reset"):
        load_weights(path, net)
    with pytest.raises(InputError, match="reset: only a gru has a reset gate"):
        KeywordModel(cell="lstm", reset="after")
