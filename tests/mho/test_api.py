"""The public API: what ``import mho`` offers, frozen, and that it can be used from a script."""

from __future__ import annotations

import mho

PUBLIC = """
DEVICES PCM SIGMOID TANH WORKLOADS Array CellState Chip ChipStreams Comparator Compensation Component ConventionalADC
DenseLayer Device DifferentialPair Function Gaussian Ideal InputError KeywordSpotting Output PWMDriver RampColumn
RecurrentLayer Result Stream TaOx Weights identity load_components load_run read_config run spgemm
"""


def test_public_names_are_these_and_no_others() -> None:
    assert sorted(mho.__all__) == sorted(PUBLIC.split())
    assert all(hasattr(mho, name) for name in mho.__all__)


def test_every_public_name_says_what_it_is() -> None:
    plain = {"DEVICES", "WORKLOADS", "SIGMOID", "TANH"}
    assert all((getattr(mho, name).__doc__ or "").strip() for name in set(mho.__all__) - plain)


def test_a_device_and_a_ramp_in_a_few_lines() -> None:
    chips = mho.ChipStreams.of(mho.Stream.root(0), 64)
    ramp = mho.RampColumn(device=mho.TaOx()).design(mho.SIGMOID, bits=5).program(ramps=1, rng=chips)
    assert ramp.design.cells == 37
    assert float(ramp.read(0.0).inl_lsb().abs().mean()) < 0.1
