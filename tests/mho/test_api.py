"""The public API: what ``import mho`` offers, frozen, and that it can be used from a script."""

from __future__ import annotations

import torch

import mho

PUBLIC = """
AihwkitNoise AmplitudeDAC Array BitSerial BitSlices BlockNoise CMO CellState Cells Chip ChipStreams Comparator
Compensation Component ConventionalADC DEVICES DRIVERS DenseLayer Device DifferentialPair Driver EFFECTS ENCODINGS
Effect Encoding FormedTaOx Function Gaussian Ideal InputError KeywordSpotting Levels LogNormal Measured MiloRRAM
NodeWires OffsetColumn Output PCM PCMHermes1 PCMHermes2 PWMDriver ProgramVerify RampColumn ReadDisturb RecurrentLayer
Result Retention SIGMOID SONOS Spread Stream Stuck TANH TaOx Temperature WORKLOADS WanCubic WanQuartic Weights Wires
alpha_beta effective_conductance identity kappa load_components load_run read_config read_variance run solve spgemm
"""


def test_public_names_are_these_and_no_others() -> None:
    assert sorted(mho.__all__) == sorted(PUBLIC.split())
    assert all(hasattr(mho, name) for name in mho.__all__)


def test_every_public_name_says_what_it_is() -> None:
    plain = {"DEVICES", "DRIVERS", "EFFECTS", "ENCODINGS", "WORKLOADS", "SIGMOID", "TANH"}
    assert all((getattr(mho, name).__doc__ or "").strip() for name in set(mho.__all__) - plain)


def test_a_device_and_a_ramp_in_a_few_lines() -> None:
    chips = mho.ChipStreams.of(mho.Stream.root(0), 64)
    ramp = mho.RampColumn(device=mho.TaOx()).design(mho.SIGMOID, bits=5).program(ramps=1, rng=chips)
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


def test_every_kind_of_every_registry_is_public() -> None:
    for registry in (mho.DEVICES, mho.EFFECTS, mho.ENCODINGS, mho.DRIVERS):
        assert {kind.__name__ for kind in registry.values()} <= set(mho.__all__)
