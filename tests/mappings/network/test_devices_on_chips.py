"""Every kind of cell in the weights and in the ramps of a layer: what it computes, what it cannot, and what stays."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from crossbar import BitSlices, DifferentialPair
from crossbar.wires import Ends, Wires, ends
from devices import DEVICES, PCM, BlockNoise, ChipStreams, Device, Ideal, InputError, MiloRRAM, Stream, TaOx
from devices.effects import ConductanceSpread, DiscreteLevels, ProgramVerify, Retention, Stuck, Temperature
from mappings.chip import Chip, Compensation, Weights
from mappings.chip_wires import NodeWires
from mappings.network.dense import DenseLayer
from mappings.network.layer import ProgrammedMatrixLayer
from mappings.network.recurrent import RecurrentLayer
from mappings.network.writing import write_lines
from periphery import Comparator, ConventionalADC, RampColumn
from periphery.drivers import PWMDriver
from periphery.drivers.bit_serial import BitSerial
from tests.devices.test_contract import device_of
from tests.quiet import CIRCUIT

INPUTS, HIDDEN, SAMPLES, STEPS, DAY_S = 10, 8, 24, 4, 86400.0
QUIET = Comparator(offset_V=0.0, noise_V=0.0)
RAMP = Chip(bits=6, weights=Weights(device=Ideal()), ramp=RampColumn(device=Ideal()), **CIRCUIT)
LINEAR = replace(RAMP, bits=8, readout="conventional", adc=ConventionalADC(bits=12, range_z=8.0))


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def streams(chips: int) -> ChipStreams:
    return ChipStreams.of(Stream.root(21), chips)


def on(chip: Chip, device: Device, **changes: object) -> Chip:
    """The chip with one kind of cell in the weights and in the ramps."""
    cells = replace(chip, weights=Weights(device=device), ramp=RampColumn(device=device))  # type: ignore[arg-type]
    return replace(cells, **changes)  # type: ignore[arg-type]


def layer(chip: Chip, chips: int = 1) -> ProgrammedMatrixLayer:
    weights = normal(4 * HIDDEN, INPUTS), normal(4 * HIDDEN, HIDDEN, seed=1), normal(4 * HIDDEN, seed=2)
    return RecurrentLayer.from_torch("lstm", *weights).map(chip, name="recurrent").program(rng=streams(chips))


def hidden(chip: Chip, chips: int = 1, t_s: float = 0.0) -> torch.Tensor:
    counts = chip.driver.counts(normal(SAMPLES, STEPS, INPUTS, seed=3) / 2, chip.bits)
    noise = BlockNoise(streams(chips).child("read"), [0], SAMPLES)
    return layer(chip, chips).at(t_s).run(counts, noise=noise)[:, :, -1]


WRITTEN = sorted(kind for kind in DEVICES if DEVICES[kind].writable)


@pytest.mark.parametrize("kind", [*WRITTEN, "rram_taox+effects"])
def test_every_kind_that_can_be_written_computes_the_layer(kind: str) -> None:
    """The mean over chips follows the hidden states of ideal cells, right after programming and, compensated, one day
    later: errors of cells are errors, and no other weights. More chips beside them move no bit."""
    chip = on(RAMP, device_of(kind), compensation=Compensation(mode="global"))
    ideal = hidden(RAMP.idealised())
    for t_s in (0.0, DAY_S):
        found = hidden(chip, 24, t_s)
        assert torch.equal(found[:2], hidden(chip, 2, t_s))
        both = torch.stack([found.mean(0).flatten(), ideal.flatten()])
        assert float(torch.corrcoef(both)[0, 1]) > 0.95


def test_formed_cells_take_no_weights() -> None:
    with pytest.raises(InputError) as caught:
        layer(on(RAMP, device_of("taox_formed")))
    assert caught.value.problems == (
        "chip.weights.device: cells of kind taox_formed keep what forming left and take no weights: they are for a "
        "liquid; take a device that can be written",
        "chip.ramp.device: cells of kind taox_formed cannot be written: take another",
    )


NO_MATRIX = "no one matrix for all inputs, as a layer needs"


@pytest.mark.parametrize(
    ("chip", "message"),
    [
        (on(RAMP, MiloRRAM(), wires=Wires(r_bit_ohm=1.0)), f"chip.wires: nonlinear cells have {NO_MATRIX}"),
        (replace(RAMP, wires=Wires(r_bit_ohm=1.0, unselected="floating")), f"rows that are gated off have {NO_MATRIX}"),
        (replace(RAMP, wires=Wires(r_bit_ohm=1.0, method="iterative")), f"method: iterative has {NO_MATRIX}"),
        (replace(RAMP, wires=Wires(r_bit_ohm=1e4, method="alpha_beta")), "wires: method 'alpha_beta' has an rms error"),
        (
            on(RAMP, MiloRRAM(), driver=PWMDriver(v_read_V=0.8, v_design_V=0.8)),
            "chip.driver.v_read_V: rram_milo: v_V must lie within +-0.5 V, where the current was measured (got 0.8)",
        ),
        (
            replace(RAMP, weights=Weights(device=Ideal(), encoding=BitSlices(combine="digital"))),
            "chip.weights.encoding.combine: a ramp converts whole sums, not 4 slices apart",
        ),
        (
            replace(RAMP, driver=BitSerial(accumulation="digital")),
            "chip.driver.accumulation: a ramp converts whole sums, not the bits of an input apart",
        ),
    ],
)
def test_what_no_layer_can_do_is_refused_with_the_reason(chip: Chip, message: str) -> None:
    with pytest.raises(InputError) as caught:
        layer(chip).at(0.0)
    assert message in str(caught.value)


def test_a_time_beyond_what_is_known_of_a_device_is_refused() -> None:
    programmed = layer(on(RAMP, DEVICES["rram_wan_aihwkit"]()))
    with pytest.raises(InputError, match=r"t_s must be at most 172800 s, the last time published .*got 2.592e\+06 s"):
        programmed.at(30 * DAY_S)
    with pytest.raises(InputError, match=r"t_s must be at least 0 \(got -1.0\)"):
        programmed.at(-1.0)


SLOW = PCM(programming_scale=0.0, drift_scale=0.0, slow_noise_scale=1.0, read_noise_S=0.0)
READS, CHIPS = 64, 48


@pytest.mark.parametrize(
    ("slow", "fast_S"), [(0.0, 1e-6), (1.0, 0.0), (1.0, 1e-6)], ids=["fast noise", "slow noise", "both"]
)
def test_slow_noise_does_not_average_out_over_the_steps_of_one_inference_and_fast_noise_does(
    slow: float, fast_S: float
) -> None:
    """One input given to a layer 64 times after a day: the spread of the average over chips is slow + fast / 64."""

    def outputs(device: Device) -> torch.Tensor:
        chip = replace(LINEAR, weights=Weights(device=device))  # type: ignore[arg-type]
        dense = DenseLayer.from_torch(normal(40, 30) / 8, None, limit=4.0)
        counts = chip.driver.counts(normal(1, 1, 30, seed=1).clamp(-1, 1), chip.bits).expand(1, READS, -1)
        rng = streams(CHIPS)
        noise = BlockNoise(rng.child("read"), [0], READS)
        return dense.map(chip).program(rng=rng).at(DAY_S).run(counts, noise=noise).double()

    found = outputs(replace(SLOW, slow_noise_scale=slow, read_noise_S=fast_S))
    lone = outputs(replace(SLOW, slow_noise_scale=slow)) if slow else None
    still = float(lone[:, 0].var(0).mean()) if lone is not None else 0.0
    within, average = float(found.var(1).mean()), float(found.mean(1).var(0).mean())
    if not fast_S:
        assert within == 0.0, "the same chip gives the same answer at every step"
        assert average == pytest.approx(still)
        return
    rounding = 2 * (8.0 / 256) ** 2 / 12 / READS
    assert within > 20 * rounding
    assert average == pytest.approx(still + within / READS, rel=0.12, abs=rounding)
    assert not slow or still > 5 * within / READS


# --- temperature: written at one, read at another


HOT_K, ENERGY_EV = 350.0, 0.05
GAIN = math.exp(-ENERGY_EV * (1.0 / HOT_K - 1.0 / 300.0) / 8.617333262e-5)


def hot(device: Device, **fields: float) -> Device:
    law = {"temperature_K": HOT_K, "activation_off_eV": ENERGY_EV, "activation_on_eV": ENERGY_EV, **fields}
    return replace(device, effects=(*device.effects, Temperature(**law)))


def test_compensation_measures_what_heat_does_against_the_temperature_of_programming() -> None:
    """Cells that do not drift, all 1.32 times as conductive at 350 K: the factor is that, at any time."""
    weights = Weights(device=hot(Ideal()))  # type: ignore[arg-type]
    chip = replace(LINEAR, weights=weights, compensation=Compensation(mode="global"))
    assert not chip.drifts
    cold = hidden(LINEAR)
    for baseline in ("noisy", "exact"):
        warm = replace(chip, compensation=replace(chip.compensation, baseline=baseline))
        for factor in layer(warm).at(0.0).factors:
            assert float(torch.as_tensor(factor).mean()) == pytest.approx(GAIN, abs=1.5 / 128)
        assert float((hidden(warm) - cold).abs().mean()) < 0.5
    off = replace(chip, compensation=Compensation(mode="off"))
    assert float((hidden(off) - cold).abs().mean()) > 2.0


def test_a_ramp_of_the_same_cells_follows_the_heat_by_itself() -> None:
    plain, warm = on(RAMP, Ideal()), on(RAMP, hot(Ideal()))
    fixed = replace(plain, weights=Weights(device=hot(Ideal())))  # type: ignore[arg-type]
    assert float((hidden(warm) - hidden(plain)).abs().mean()) < 0.25
    assert float((hidden(fixed) - hidden(plain)).abs().mean()) > 1.0


def test_a_ramp_is_calibrated_at_the_temperature_of_programming() -> None:
    cells = TaOx(read_noise_S=0.0)
    built = layer(on(RAMP, hot(cells)), 2).converters[0].ramp
    cold = layer(on(RAMP, cells), 2).converters[0].ramp
    assert built is not None
    assert cold is not None
    assert torch.equal(built.ramp.read(0.0).levels, cold.ramp.read(0.0).levels)


def test_a_chip_drifts_where_something_that_is_read_does() -> None:
    still = on(RAMP, hot(TaOx()))
    assert not still.drifts, "temperature alone changes nothing with time"
    assert replace(still, ramp=RampColumn(device=PCM())).drifts
    assert not replace(still, ramp=RampColumn(device=PCM()), readout="conventional").drifts
    assert on(RAMP, TaOx(effects=(Retention(),))).drifts


def test_one_temperature_reaches_cells_of_weights_and_ramps_their_ageing_and_the_comparators() -> None:
    """Said on the chip, it stands for what each part would have to say; a part that says another is refused."""
    law = Temperature(activation_off_eV=ENERGY_EV, ageing_energy_eV=1.0)
    cells = PCM(effects=(law,))
    warm = replace(on(RAMP, cells), temperature_K=HOT_K)
    for cell in warm.cells:
        (effect,) = cell.effects
        assert isinstance(effect, Temperature)
        assert effect.temperature_K == HOT_K
        assert effect.acceleration > 100.0
    assert warm.comparator.temperature_K == warm.read_K == HOT_K
    assert on(RAMP, hot(Ideal())).read_K == HOT_K
    assert on(RAMP, cells).read_K == RAMP.read_K == 300.0
    assert all(cell.effects == (law,) for cell in warm.as_written.cells)
    half = replace(RAMP, ramp=RampColumn(device=cells), weights=Weights(device=hot(Ideal())))  # type: ignore[arg-type]
    assert half.ramp.device.effects[0] == replace(law, temperature_K=HOT_K)
    said_twice = r"weights.device: a chip has one temperature, 310 K by temperature_K \(got 350 K\)"
    with pytest.raises(ValueError, match=said_twice):
        replace(on(RAMP, hot(Ideal())), temperature_K=310.0)


# --- defects by map, writing, wires by node


def test_a_map_of_each_layer_reaches_its_cells_and_may_be_larger(tmp_path: Path) -> None:
    rows, columns = layer(RAMP).mapped.matrix.values.shape
    map_ = np.zeros((2, rows + 7, columns + 3), dtype=int)
    map_[1, 2, 5], map_[0, 0, 0], map_[0, rows, 0] = 1, -1, 1
    np.save(tmp_path / "map.npy", map_)
    np.savetxt(tmp_path / "map.csv", map_.reshape(-1, columns + 3), fmt="%d", delimiter=",")
    spread = TaOx(effects=(ConductanceSpread(device_sd=0.01), Temperature(temperature_K=300.0)))
    for name in ("map.npy", "map.csv"):
        weights = Weights(device=spread, stuck_maps={"recurrent": str(tmp_path / name)})
        chip = replace(RAMP, weights=weights)
        assert chip.of_layer("output") is chip
        cells = layer(chip.of_layer("recurrent"), 2).matrix.array.cells
        assert cells.stuck is not None
        assert cells.stuck[0].nonzero().tolist() == [[0, 0, 0], [1, 2, 5]]
        assert float(cells.programmed_S[1, 1, 2, 5]) == pytest.approx(spread.g_max_S)
    np.save(tmp_path / "small.npy", map_[:, : rows - 1])
    small = replace(RAMP, weights=Weights(device=Ideal(effects=(Stuck(map_file=str(tmp_path / "small.npy")),))))
    with pytest.raises(InputError, match=rf"small.npy: a map must have the shape of the array, 2 x {rows} x {columns}"):
        layer(small)


def test_lines_of_writing_are_sums_over_the_cells_that_were_written() -> None:
    chip = on(RAMP, TaOx(effects=(DiscreteLevels(count=8), ProgramVerify())))
    programmed = layer(chip, 3)
    record = programmed.matrix.array.cells.write
    assert record is not None
    weights, *others = write_lines(programmed)
    assert weights.cells == programmed.matrix.array.cell_count
    assert weights.iterations_mean == pytest.approx(float(record.iterations.double().mean()))
    assert weights.energy_J == pytest.approx(float(record.energy_J.double().sum() / 3))
    assert weights.not_converged_share == pytest.approx(record.not_converged_share, abs=1e-12)
    assert [line.part for line in others] == [
        "cell state to charge",
        "ramp of sigmoid",
        "ramp of tanh",
        "ramp of the cell state",
    ]
    ramps = others[1:]
    bias = chip.ramp.bias_cells
    assert [line.cells for line in ramps] == [one.design.cells for one in programmed.ramps if one.design]
    assert bias > 0
    slow = replace(chip, weights=replace(chip.weights, write_columns=1))
    one_by_one = write_lines(layer(slow, 3))[0]
    assert one_by_one.energy_J == weights.energy_J
    assert one_by_one.time_s == pytest.approx(float(record.time_s.double().sum() / 3))
    assert weights.time_s < one_by_one.time_s / 8
    assert write_lines(layer(on(RAMP, TaOx()))) == []


def test_verifying_gives_up_on_what_lies_below_the_state_after_a_reset() -> None:
    device = TaOx(g_min_S=0.0, effects=(ProgramVerify(start_S=95e-6, start_sd_S=0.0),))
    weights = write_lines(layer(replace(RAMP, weights=Weights(device=device))))[0]
    assert weights.not_converged_share > 0.5, "one cell of every pair is asked to be at 0 S"
    assert weights.iterations_p95 == 20.0


def test_wires_by_node_are_those_of_the_chip_unless_a_node_is_given() -> None:
    by_chip = replace(
        RAMP,
        node_nm=22.0,
        rows=256,
        columns=256,
        wires=NodeWires(cell_width_F=4.0, cell_height_F=12.0, r_sense_ohm=3.0),
    )
    wanted = Wires.from_node(22.0, cell_width_F=4.0, cell_height_F=12.0, r_sense_ohm=3.0)
    assert by_chip.lines is not None
    for name in ("r_word_ohm", "r_bit_ohm", "r_sense_ohm", "r_driver_ohm", "method", "unselected"):
        assert getattr(by_chip.lines, name) == getattr(wanted, name)
    own = replace(by_chip, wires=NodeWires(node_nm=65.0, barrier=True))
    assert own.lines is not None
    assert own.lines.r_bit_ohm == Wires.from_node(65.0, barrier=True).r_bit_ohm
    cells = TaOx(read_noise_S=0.0)
    given = replace(
        RAMP, rows=256, columns=256, weights=Weights(device=cells, encoding=DifferentialPair()), wires=wanted
    )
    assert torch.equal(hidden(given), hidden(replace(given, node_nm=22.0, wires=by_chip.wires)))


def test_an_idealised_chip_has_no_errors_left() -> None:
    driver = PWMDriver(edge_jitter_s=1e-10)
    rough = on(RAMP, hot(TaOx()), driver=driver, wires=Wires(r_bit_ohm=5.0), comparator=Comparator())
    ideal = replace(rough, weights=replace(rough.weights, stuck_maps={"recurrent": "nowhere.csv"})).idealised()
    assert ideal.driver.exact
    assert torch.equal(hidden(ideal.of_layer("recurrent")), hidden(RAMP.idealised()))


def test_wires_are_folded_once_whatever_measures_drift(monkeypatch: pytest.MonkeyPatch) -> None:
    folded = []

    def counted(tiles: torch.Tensor, wires: Wires) -> Ends:
        folded.append(tiles.shape)
        return ends(tiles, wires)

    monkeypatch.setattr("crossbar.array.ends", counted)
    chip = on(RAMP, PCM(), wires=Wires(r_bit_ohm=1.0), compensation=Compensation(mode="global", baseline="exact"))
    written = layer(replace(chip, rows=12, columns=16), chips=2)
    written.at(3600.0)
    assert len(folded) == -(-written.mapped.matrix.rows // 12) * 2
