"""Networks of layers: what passes between them, in what order they are mapped, what they cost together."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from devices import PCM, BlockNoise, ChipStreams, Ideal, InputError, Stream, TaOx
from mappings.activity import Activity
from mappings.chip import Chip, Compensation, Weights
from mappings.cost import price
from mappings.network.dense import DenseLayer
from mappings.network.digital import MeanOfLast
from mappings.network.network import LayerNode, Network
from mappings.network.recurrent import RecurrentLayer
from periphery import Comparator, ConventionalADC, RampColumn
from periphery.adc.calibration import RangeCalibration

INPUTS, HIDDEN, CLASSES, SAMPLES, STEPS = 7, 6, 4, 21, 5
CELL = TaOx(read_noise_S=5e-7)
CHIP = Chip(weights=Weights(device=CELL), ramp=RampColumn(device=CELL))
EXACT = Chip(bits=8, weights=Weights(device=Ideal()), ramp=RampColumn(device=Ideal())).idealised()


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) / 2


def recurrent(inputs: int, seed: int) -> RecurrentLayer:
    weights = normal(4 * HIDDEN, inputs, seed=seed), normal(4 * HIDDEN, HIDDEN, seed=seed + 1)
    return RecurrentLayer.from_torch("lstm", *weights, None)


FIRST, SECOND = recurrent(INPUTS, 0), recurrent(HIDDEN, 10)
OUTPUT = DenseLayer.from_torch(normal(CLASSES, HIDDEN, seed=5), normal(CLASSES, seed=6), limit=4.0)
NETWORK = Network(
    {
        "first": LayerNode(FIRST),
        "second": LayerNode(SECOND, ("first",)),
        "output": LayerNode(OUTPUT, ("second",), MeanOfLast(3)),
    }
)


def features(samples: int = SAMPLES) -> torch.Tensor:
    return normal(samples, STEPS, INPUTS, seed=3).clamp(-1, 1)


def streams(chips: int = 2) -> ChipStreams:
    return ChipStreams.of(Stream.root(8), chips)


def test_layers_in_a_network_are_the_layers_one_by_one() -> None:
    """The same streams, the same noise, words passed on as they are, and the mean of the last steps between them."""
    found = NETWORK.map(CHIP).program(rng=streams()).at(0.0).run(features(), block=SAMPLES)
    noise = BlockNoise(streams().child("read", (0.0).hex()), [0], SAMPLES)
    words = CHIP.driver.counts(features(), CHIP.bits)
    for name, layer in (("first", FIRST), ("second", SECOND)):
        words = layer.map(CHIP).program(rng=streams().child(name)).at(0.0).run(words, noise=noise)
    mean = torch.round(words[:, :, -3:].sum(2) / 3)
    output = OUTPUT.map(CHIP).program(rng=streams().child("output")).at(0.0)
    assert torch.equal(output.run(mean, noise=noise), found)


def test_neither_batches_nor_chips_beside_move_a_bit_and_filled_blocks_are_not_counted() -> None:
    seen: list[dict[str, Activity]] = [{}, {}]
    programmed = NETWORK.map(CHIP).program(rng=streams())
    whole = programmed.at(0.0).run(features(), block=8, batch=64, activity=seen[0])
    parts = programmed.at(0.0).run(features(), block=8, batch=8, activity=seen[1])
    assert whole.shape == (2, SAMPLES, CLASSES)
    assert torch.equal(whole, parts)
    assert torch.equal(whole[:1], NETWORK.map(CHIP).program(rng=streams(1)).at(0.0).run(features(), block=8))
    for name, steps in {"first": STEPS, "second": STEPS, "output": 1}.items():
        assert seen[0][name].samples == 2 * SAMPLES * steps
        assert seen[0][name].sums == seen[1][name].sums


def test_a_dense_layer_goes_through_a_sequence_step_by_step() -> None:
    network = Network({"dense": LayerNode(DenseLayer.from_torch(normal(3, INPUTS), None, limit=4.0))})
    read = network.map(EXACT).program(rng=streams(1)).at(0.0)
    y = read.run(features(), block=SAMPLES)
    assert y.shape == (1, SAMPLES, STEPS, 3)
    for t in range(STEPS):
        assert torch.equal(read.run(features()[:, t], block=SAMPLES), y[:, :, t])


def test_layers_side_by_side_are_taken_together_and_words_are_recast_between_chips() -> None:
    """Two dense layers of other ranges and bits; a third adds their outputs."""
    eye = torch.eye(INPUTS)
    add = DenseLayer.from_torch(torch.cat([eye, eye], dim=1), None, limit=4.0)
    nodes = {
        "one": LayerNode(DenseLayer.from_torch(0.5 * eye, None, limit=1.0)),
        "two": LayerNode(DenseLayer.from_torch(-0.25 * eye, None, limit=1.0)),
        "sum": LayerNode(add, ("one", "two")),
    }
    coarse = replace(EXACT, bits=6, driver=replace(EXACT.driver, x_max=2.0))
    chips = {"one": EXACT, "two": EXACT, "sum": coarse}
    y = Network(nodes).map(chips).program(rng=streams(1)).at(0.0).run(features(), block=SAMPLES)[0]
    assert float((y - 0.25 * features()).abs().max()) < 2 * (2.0 / 31 / 2 + 1.0 / 128) + 8.0 / 256 / 2
    stacked = Network({"first": LayerNode(FIRST), "second": LayerNode(SECOND, ("first",))})
    mixed = stacked.map({"first": EXACT, "second": replace(EXACT, bits=5)})
    assert mixed.layers["second"].input_words.bits == 5
    both = [m.program(rng=streams(1)).at(0.0).run(features(), block=SAMPLES) for m in (mixed, stacked.map(EXACT))]
    assert float((both[0] / 15 - both[1] / 127).abs().mean()) < 0.1


def test_what_a_network_cannot_be_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        Network(
            {
                "first": LayerNode(FIRST, ("second",)),
                "second": LayerNode(SECOND),
                "sum": LayerNode(OUTPUT, ("first", "second")),
            }
        )
    assert caught.value.problems == (
        "first: takes: inputs, or layers before it (got second)",
        "sum: takes 6 values (got 12)",
    )


def test_a_mean_over_steps_takes_sequences() -> None:
    read = Network({"output": LayerNode(OUTPUT, mean=MeanOfLast(2))}).map(EXACT).program(rng=streams(1)).at(0.0)
    constant = normal(SAMPLES, HIDDEN, seed=9).clamp(-1, 1)
    whole = read.run(constant[:, None].expand(-1, STEPS, -1), block=SAMPLES)
    plain = Network({"output": LayerNode(OUTPUT)}).map(EXACT).program(rng=streams(1)).at(0.0)
    assert torch.equal(whole, plain.run(constant, block=SAMPLES))
    with pytest.raises(ValueError, match="a mean over steps takes"):
        read.run(constant, block=SAMPLES)


def test_cost_counts_steps_and_the_adders_of_the_mean() -> None:
    mapped = NETWORK.map(CHIP)
    actions = mapped.actions(steps=STEPS)
    assert {name: one.steps for name, one in actions.items()} == {"first": STEPS, "second": STEPS, "output": 1}
    for name, one in actions.items():
        assert one.actions[0].layer == name
        assert price(one, node_nm=CHIP.node_nm, components=mapped.components())
    adds = [line.count for line in actions["output"].actions if line.component == "adder"]
    width = CHIP.bits + 2
    assert adds == [HIDDEN * 2 * width]
    stored = {line.component: line.count for line in actions["output"].instances}
    assert stored["adder"] == CHIP.lanes * width
    assert stored["register"] == HIDDEN * width
    single = replace(NETWORK.nodes["output"], mean=MeanOfLast(1))
    last = Network({**NETWORK.nodes, "output": single}).map(CHIP).actions(steps=STEPS)["output"]
    assert "adder" not in {line.component for line in last.actions}


def test_a_layer_that_measures_no_drift_follows_the_layers_in_front() -> None:
    device = PCM()
    chip = replace(
        CHIP, weights=Weights(device=device), ramp=RampColumn(device=TaOx()), compensation=Compensation(mode="global")
    )
    read = NETWORK.map(chip).program(rng=streams()).at(2592000.0)
    (followed,) = read.layers["output"].factors
    measured = torch.stack([torch.as_tensor(f).mean(1) for f in read.layers["second"].factors]).mean(0)
    assert torch.equal(torch.as_tensor(followed)[:, 0], measured)
    assert float(measured.mean()) < 0.8
    off = replace(chip, compensation=Compensation(mode="off"))
    mixed = NETWORK.map({"first": chip, "second": chip, "output": off}).program(rng=streams()).at(2592000.0)
    assert mixed.layers["output"].factors == (1.0,)


def test_layers_behind_others_are_calibrated_on_what_those_give() -> None:
    calibration = RangeCalibration()
    chip = replace(EXACT, readout="conventional", adc=ConventionalADC(bits=8, range_z=50.0, calibration=calibration))
    with pytest.raises(InputError, match="need calibration inputs"):
        NETWORK.map(chip)
    mapped = NETWORK.map(chip, calibration=features())
    words = (
        FIRST.map(EXACT)
        .program(rng=streams(1))
        .at(0.0)
        .run(EXACT.driver.counts(features(), 8), noise=BlockNoise(streams(1), [0], SAMPLES))
    )
    alone = SECOND.map(chip, calibration=words[0])
    for found, wanted in zip(mapped.layers["second"].converters, alone.converters, strict=True):
        assert found.range_z == pytest.approx(wanted.range_z, rel=1e-3)
        assert found.range_z < 25.0


def test_maps_of_defects_reach_the_layer_of_their_name(tmp_path: object) -> None:
    quiet = replace(CHIP, comparator=Comparator(offset_V=0.0, noise_V=0.0))
    chip = replace(quiet, weights=replace(CHIP.weights, stuck_maps={"second": f"{tmp_path}/missing.npy"}))
    mapped = NETWORK.map(chip)
    kinds = {name: [effect.kind for effect in one.chip.weights.device.effects] for name, one in mapped.layers.items()}
    assert kinds == {"first": [], "second": ["stuck"], "output": []}
