"""The public API: what ``import mho`` offers, frozen, and that it can be used from a script."""

from __future__ import annotations

from pathlib import Path

import torch

import mho
from periphery.ramp.cells import Ramp

PUBLIC = """
ACTIVATIONS ADC ADCS ADC_PRICES AihwkitNoise AmplitudeDAC Array Bank BitSerial BitSlices BlockNoise CCO CMO CellState
Cells Characteristic Chip ChipStreams Comparator Compensation Component ConventionalADC Cordic DEVICES DRIVERS
DenseLayer Device DifferentialPair Driver EFFECTS ENCODINGS Effect Encoding FUNCTIONS Flash FormedTaOx Function
Gaussian Grid Ideal InputError KeywordSpotting LIF Levels LinearRamp LogNormal Measured MembraneCapacitor MiloRRAM
NodeWires OffsetColumn OutputConverter PCM PCMHermes1 PCMHermes2 PWMDriver PiecewiseLinear ProgramVerify Quantiser
RampColumn RampConverter RangeCalibration ReadDisturb RecurrentLayer Result Retention SAR SIGMOID SONOS SenseAmp Spread
Stream Stuck TANH TaOx Table Temperature WORKLOADS WanCubic WanQuartic Weights Wires adc_price alpha_beta characterise
effective_conductance from_callable from_csv identity kappa load_components load_run named_function read_config
read_variance run run_search run_sweep Site solve spgemm
"""


def test_public_names_are_these_and_no_others() -> None:
    assert sorted(mho.__all__) == sorted(PUBLIC.split())
    assert all(hasattr(mho, name) for name in mho.__all__)


def test_every_public_name_says_what_it_is() -> None:
    plain = {name for name in mho.__all__ if name.isupper() and not callable(getattr(mho, name))}
    assert plain <= {
        "ACTIVATIONS", "ADCS", "ADC_PRICES", "DEVICES", "DRIVERS", "EFFECTS", "ENCODINGS", "FUNCTIONS", "SIGMOID",
        "TANH", "WORKLOADS",
    }  # fmt: skip
    assert all((getattr(mho, name).__doc__ or "").strip() for name in set(mho.__all__) - plain)


def test_a_device_and_a_ramp_in_a_few_lines() -> None:
    chips = mho.ChipStreams.of(mho.Stream.root(0), 64)
    ramp = Ramp.program(mho.RampColumn(device=mho.TaOx()).design(mho.SIGMOID, bits=5), ramps=1, rng=chips)
    assert ramp.design.cells == 37
    assert float(ramp.read(0.0).inl_lsb().abs().mean()) < 0.1


def test_an_array_with_effects_and_wires_in_a_few_lines() -> None:
    cells = mho.PCM(effects=(mho.Levels(count=16), mho.Stuck(off_rate=0.01)))
    array = mho.Array.program(
        torch.eye(8),
        device=cells,
        encoding=mho.OffsetColumn(),
        tile_of_column=torch.zeros(8, dtype=torch.long),
        wires=mho.Wires(r_word_ohm=2.0, r_bit_ohm=2.0),
        rng=mho.ChipStreams.of(mho.Stream.root(0), 4),
    )
    assert array.read(3600.0).product(torch.ones(1, 1, 8)).shape == (4, 1, 8)


def test_a_function_of_ones_own_a_linear_converter_and_its_range_in_a_few_lines() -> None:
    found = mho.characterise(
        mho.RampColumn(device=mho.TaOx()),
        mho.from_callable("cube", lambda z: z**3, -1.0, 1.0),
        4,
        chips=8,
        rng=mho.Stream.root(0),
    )
    assert found.figures()["mean |INL| [LSB]"][0] < 0.1
    chips = mho.ChipStreams.of(mho.Stream.root(0), 2)
    z = torch.randn(500, 1, 3, generator=torch.Generator().manual_seed(0))
    grid = mho.RangeCalibration(per="column").ranges(z, 6).grid()
    converter = mho.SAR(capacitor_mismatch=0.01).build(grid, mho.Bank(1, 3), rng=chips)
    words = converter.words(converter.codes(z.expand(2, -1, -1, -1), None, mho.BlockNoise(chips, [0], 500)))
    assert float((words - z).abs().median()) < 0.05


def test_every_kind_of_every_registry_is_public() -> None:
    for registry in (mho.DEVICES, mho.EFFECTS, mho.ENCODINGS, mho.DRIVERS, mho.ADCS, mho.ACTIVATIONS):
        assert {kind.__name__ for kind in registry.values()} <= set(mho.__all__)


def test_a_sweep_and_a_search_in_a_few_lines(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(
        "base: {kind: nladc, ramp: {device: ideal}, chips: 1}\naxes: {bits: [2, 3]}\n", encoding="utf-8"
    )
    swept = mho.run_sweep(str(tmp_path / "s.yaml"), output=tmp_path / "swept", site=mho.Site("local", workers=1))
    assert swept.table.enob.is_monotonic_increasing
    (tmp_path / "f.yaml").write_text(
        "base: {kind: nladc, ramp: {device: ideal}, chips: 1}\nspace: {bits: [2, 3]}\ntrials: 2\n"
        "objectives: {enob: maximize}\n",
        encoding="utf-8",
    )
    found = mho.run_search(str(tmp_path / "f.yaml"), output=tmp_path / "found")
    assert found.front.bits.tolist() == [3]
