"""Inputs that are never negative: one phase, twice the resolution, and offsets that no second phase cancels."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from torch import nn

from devices import BlockNoise, ChipStreams, Ideal, InputError, Stream
from mappings.chip import Chip, Weights
from mappings.contract import WordFormat
from mappings.network.dense import DenseLayer
from mappings.network.recurrent import RecurrentLayer
from mho.config.read import read
from mho.network.convert import convert
from mho.network.saved import load, save
from periphery import PWMDriver, RampColumn, named_function
from periphery.drivers import BitSerial, UnsignedPWM

CHIP = Chip(bits=5, weights=Weights(device=Ideal()), ramp=RampColumn(device=Ideal()))
IDEAL = CHIP.idealised()
WORDS = WordFormat(bits=5, limit=2.0, kind="unsigned")


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


LAYER = DenseLayer.from_torch(
    normal(12, 40) / 5, normal(12, seed=1), limit=4.0, function=named_function("relu", 0.0, 4.0), measures_drift=True
)


def test_words_are_whole_clock_periods_of_one_phase() -> None:
    driver = UnsignedPWM(x_max=2.0)
    x = torch.tensor([-1.0, 0.0, 0.03, 1.0, 2.0, 9.0])
    assert driver.counts(x, 5).tolist() == [0.0, 0.0, 0.0, 16.0, 31.0, 31.0]
    assert (driver.top(5), driver.phases(5), driver.drive_clocks(5)) == (31, 1, 31)
    assert driver.lsb(5) == WORDS.lsb == 2.0 / 31
    assert driver.clipped(x) == pytest.approx(2 / 6)
    assert PWMDriver().drive_clocks(5) == 30
    counts = torch.tensor([[3.0, 31.0, 0.0, 7.0]])
    assert float(driver.paired_clocks(counts, 5)) == 2 * (3 + 3 + 7)


def test_an_ideal_chip_rounds_inputs_half_as_coarsely_in_the_same_time() -> None:
    x = 2.0 * torch.rand((64, 40), generator=torch.Generator().manual_seed(2))
    linear = DenseLayer.from_torch(normal(12, 40) / 5, normal(12, seed=1), limit=12.0)
    chip = replace(IDEAL, output=replace(IDEAL.output, bits=12))  # whose codes are fine beside those of inputs
    exact = x @ (normal(12, 40) / 5).T + normal(12, seed=1)
    errors, clocks = {}, {}
    for kind in ("signed", "unsigned"):
        mapped = linear.map(chip, inputs=replace(WORDS, kind=kind))
        assert mapped.input_words == replace(WORDS, kind=kind)
        rng = ChipStreams.of(Stream.root(0), 1)
        found = mapped.program(rng=rng).at(0.0).run(mapped.chip.counts(x), noise=BlockNoise(rng, [0], 64))[0]
        errors[kind] = float((found - exact).square().mean().sqrt())
        clocks[kind] = mapped.shape.driver.drive_clocks(5)
    assert clocks == {"signed": 30, "unsigned": 31}
    assert errors["unsigned"] == pytest.approx(0.5 * errors["signed"], rel=0.15)


def test_one_phase_settles_once_and_cancels_no_offset() -> None:
    signed, unsigned = (LAYER.map(CHIP, inputs=replace(WORDS, kind=kind)) for kind in ("signed", "unsigned"))
    loads = [mapped.front_end.designs[0].load for mapped in (signed, unsigned)]
    assert [load.phases_cancel for load in loads] == [True, False]
    assert [load.phases for load in loads] == [2, 1]
    assert signed.timing.input_clocks - 30 == 2 * (unsigned.timing.input_clocks - 31)
    rng = ChipStreams.of(Stream.root(0), 1)
    arrays = [mapped.program(rng=rng).matrix.at(0.0).parts[0].front_end for mapped in (signed, unsigned)]
    assert arrays[0].offset_z is None
    assert arrays[1].offset_z is not None


def test_what_takes_no_such_words_says_so() -> None:
    recurrent = RecurrentLayer.from_torch("rnn", normal(4, 3), normal(4, 4), None)
    with pytest.raises(InputError, match=r"inputs: word lines of this layer take signed words \(got unsigned\)"):
        recurrent.map(IDEAL, inputs=WORDS)
    with pytest.raises(InputError, match=r"inputs: driver bit_serial takes signed words alone \(got unsigned\)"):
        LAYER.map(replace(IDEAL, driver=BitSerial()), inputs=WORDS)
    mapped = LAYER.map(IDEAL, inputs=WORDS)
    rng = ChipStreams.of(Stream.root(0), 1)
    with pytest.raises(InputError, match=r"inputs: must be from 0 to 31 clock periods.*\(got -3\)"):
        mapped.program(rng=rng).at(0.0).run(torch.full((3, 40), -3.0), noise=BlockNoise(rng, [0], 3))


def test_costs_without_a_run_and_calibration_inputs_have_no_sign() -> None:
    mapped = LAYER.map(CHIP, inputs=WORDS)
    assert mapped.actions().latency_s > 0.0
    assert float(mapped.chip.counts(normal(8, 40)).min()) == 0.0
    assert LAYER.ideal(mapped.chip, mapped.chip.counts(normal(8, 40))[None]).shape == (1, 8, 12)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(36, 5)]
    return nn.Sequential(*layers).eval()


def test_layers_behind_a_rectifier_take_one_phase_where_the_driver_states_it(tmp_path) -> None:
    shipped = read("yang2025", Chip, folder="chips").value
    able = replace(shipped, driver=replace(shipped.driver, unsigned="one_phase"))
    x = normal(40, 1, 7, 7)  # of either sign
    net, plain = convert(network(), able, example=x), convert(network(), shipped, example=x)
    kinds = {name: next(iter(arrays.values())).input_words.kind for name, arrays in net.map().arrays.items()}
    assert kinds == {"0": "signed", "2": "unsigned", "5": "signed"}
    assert {one.input_words.kind for one in plain.map().layers.values()} == {"signed"}
    save(net, tmp_path / "net")
    again = load(tmp_path / "net")
    ideal = net.idealised()
    with torch.no_grad():
        assert torch.equal(again.program(1).at(0.0)(x), net.program(1).at(0.0)(x))
        on_chips, formats = ideal.program(1).at(0.0)(x)[0], ideal(x)
        lsb = 2 * net.tiles["5"].limit / 2**able.output.bits
        assert float((on_chips - formats).abs().max()) < 8 * lsb  # a code of a layer in front, now and then
        assert float(((on_chips - formats).abs() < 0.5 * lsb).float().mean()) > 0.95
    cost = [{row["layer"]: row["latency_s"] for row in one.cost(x).priced.layers} for one in (plain, net)]
    assert cost[0]["0"] == cost[1]["0"]
    clocks = (cost[1]["2"] - cost[0]["2"]) / able.driver.t_clk_s
    assert clocks == pytest.approx(31 - 30 - shipped.front_end.settle_clocks, abs=1.0)


def test_a_network_saved_before_lowest_inputs_were_kept_has_signed_words(tmp_path) -> None:
    from safetensors.torch import load_file, save_file

    net = convert(network(), "yang2025", example=normal(8, 1, 7, 7))
    save(net, tmp_path / "net")
    file = tmp_path / "net" / "network.safetensors"
    held = load_file(file)
    save_file({name: one for name, one in held.items() if not name.endswith("input_least")}, file)
    record = json.loads((tmp_path / "net" / "network.json").read_text())
    del record["tensors"]
    (tmp_path / "net" / "network.json").write_text(json.dumps(record))
    again = load(tmp_path / "net")
    assert bool(again.tiles["2"].input_least.isnan())
    assert {one.input_words.kind for one in again.map().layers.values()} == {"signed"}
