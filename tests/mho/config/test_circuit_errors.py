"""Circuits that do not close are refused before anything runs, with the number that would do."""

from __future__ import annotations

from pathlib import Path

import pytest

from devices import InputError
from mho.config.read import read
from workloads import AnyExperiment


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (
            "driver: {t_clk_s: 1e-12}",
            "driver.t_clk_s: a bit line past 64 rows settles in 2.65e-12 s (wires.settle_taus time constants): take at "
            "least 2.66e-12, or smaller tiles (got 1e-12)",
        ),
        (
            "front_end: {swing_V: 2}",
            "front_end.swing_V: at most 0.65 V, a supply of 0.85 V less 0.2 V headroom (got 2)",
        ),
        ("front_end: {supply_V: 3}", "front_end.supply_V: at most 1.15 V at 16 nm (got 3)"),
        (
            "front_end: {bias_A: 1e-6}",
            "front_end.bias_A: more than 1.2e-05 A, the largest current of the branches (got 1e-06)",
        ),
        ("front_end: {bias_A: 2e-5}", "front_end.bias_A: at least 9.7e-05 A for a line of"),
        ("front_end: {bias_A: 0}", "front_end.bias_A: must be a number above 0 and of at most 1 or null (got 0)"),
        (
            "front_end: {division: null, capacitor_F: 1e-9}",
            "front_end.capacitor_F: at most 7.2e-12 F, which the charge over the range fills to 0.5 V without division",
        ),
        (
            "driver: {v_read_V: 0.6}",
            "driver.v_read_V: rram_superT: v_V must lie within +-0.3 V",
        ),
        (
            "{driver: {v_read_V: 0.002, v_design_V: 0.002}, read_supply: {noise_V: 1e-4}}",
            "front_end.bias_A: no bias below 1 A a column keeps",
        ),
        ("read_supply: {dropout_V: 0.7}", "driver.v_read_V: at most 0.15 V, the supply of 0.85 V less a dropout of"),
        ("read_supply: {noise_V: 0.1}", "read_supply.noise_V: at most 0.2 of the read voltage, 0.04 V (got 0.1)"),
        ("front_end: {supply_V: 0.7}", "front_end.supply_V: at least 0.85 V, nominal at 16 nm, since a lower one"),
        ("front_end: {length_um: 0.001}", "front_end.length_um: at least 0.016, the node (got 0.001)"),
        ("front_end: {swing_V: 0.7, headroom_V: 0.1}", "ramp_front_end.swing_V: at most 0.65 V, a supply of 0.85 V"),
        ("comparator: {swing_V: 1}", "comparator.swing_V: no such key"),
        ("front_end: {kind: transimpedance}", "front_end.kind: a transimpedance amplifier is sampled at the end of"),
        ("ramp_front_end: {kind: transimpedance}", "ramp_front_end.kind: a ramp is charge that adds up"),
        ("ramp_front_end: {swing_V: 0.4}", "ramp_front_end.swing_V: is that of front_end, 0.5 V"),
        ("temperature_K: 450", "temperature_K: 250 to 410 K, 50 K beyond those at which the leakage of the library"),
        ("{temperature_K: 400, front_end: {gm_per_I: 25}}", "front_end.gm_per_I: at most 21.6 /V at 400 K"),
        ("wires: {kind: ohms, settle_taus: 0.5}", "wires.settle_taus: must be a number from 4 to 20 (got 0.5)"),
        ("wires: {kind: node, settle_taus: 21}", "wires.settle_taus: must be a number from 4 to 20 (got 21)"),
    ],
)
def test_a_circuit_that_does_not_close_is_refused_with_what_would_do(tmp_path: Path, body: str, problem: str) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(f"extends: kws_tiny\nname: a\nvariants:\n  - name: b\n    default: true\n    chip:\n      {body}\n")
    with pytest.raises(InputError) as refused:
        read(str(file), AnyExperiment)
    assert any(f"variants[0].chip.{problem}" in each for each in refused.value.problems), refused.value.problems


@pytest.mark.parametrize(
    ("experiment", "body", "problem"),
    [
        ("nmnist_tiny", "read_path: capacitor, front_end: {swing_V: 2.0}", "front_end.swing_V: at most 0.764 V"),
        ("nmnist_tiny", "read_path: capacitor, front_end: {bias_A: 1e-9}", "front_end.bias_A: more than"),
        ("nmnist_tiny", "read_path: capacitor, circuit: {t_step_s: 1e-12}", "front_end.bias_A: no bias below 1 A"),
        (
            "nmnist_tiny",
            "read_path: capacitor, circuit: {v_read_V: 0.2}, front_end: {virtual_ground_V: 0.8}",
            "circuit.v_read_V: at most 0.164 V above a virtual ground",
        ),
        ("nmnist_tiny", "read_supply: {noise_V: 0.01}", "read_supply.noise_V: acts on read_path: capacitor alone"),
        ("spgemm_tiny", "front_end: {length_um: 0.001}", "front_end.length_um: at least 0.016"),
        ("spgemm_tiny", "front_end: {bias_A: 1e-9}", "front_end.bias_A: more than"),
        ("spgemm_tiny", "front_end: {swing_V: 0.7}", "front_end.swing_V: at most 0.65 V"),
        ("spgemm_tiny", "front_end: {kind: transimpedance}", "front_end.bias_A: no bias below 1 A"),
        ("spgemm_tiny", "rows: 4096", "front_end.bias_A: no bias below 1 A"),
        ("spgemm_tiny", "encoding: {clip_quantile: 0.9}", "encoding: a sparse product's scale is the mapping's"),
        (
            "zeroshot",
            "audio: {read_path: capacitor, front_end: {swing_V: 2}}",
            "audio.front_end.swing_V: at most 0.764",
        ),
    ],
)
def test_liquids_and_sparse_tiles_are_refused_with_file_line_and_variant(
    tmp_path: Path, experiment: str, body: str, problem: str
) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(f"extends: {experiment}\nvariants:\n  - name: b\n    default: true\n    chip: {{{body}}}\n")
    with pytest.raises(InputError) as refused:
        read(str(file), AnyExperiment)
    (line,) = refused.value.problems
    assert f": variants[0].chip.{problem}" in line
    assert ".yaml:" in line


@pytest.mark.parametrize(
    ("experiment", "option"),
    [
        ("nmnist_tiny", "chip.leakage_library=sky130_lp"),
        ("spgemm_tiny", "chip.leakage_library=sky130_lp"),
        ("spgemm_tiny", "variants[0].chip.leakage_library=sky130_lp"),
        ("kws_tiny", "chip.front_end={kind: transimpedance, division: 3.0}"),
    ],
)
def test_a_key_is_never_proposed_where_it_was_typed(experiment: str, option: str) -> None:
    with pytest.raises(InputError) as refused:
        read(experiment, AnyExperiment, sets=(option,))
    assert "no such key; allowed are" in refused.value.problems[0]
    assert "did you mean" not in refused.value.problems[0]


def test_a_key_is_proposed_from_the_experiments_own_kind(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("extends: nmnist_tiny\narray_rows: 64\nhidden: 8\n")
    with pytest.raises(InputError) as refused:
        read(str(file), AnyExperiment)
    rows, hidden = refused.value.problems
    assert rows.endswith("; did you mean chip.array_rows?")
    assert "did you mean" not in hidden


@pytest.mark.parametrize("factor", [0.5, 101])
def test_power_switches_divide_leakage_by_1_to_100(factor: float) -> None:
    with pytest.raises(InputError, match=r"duty.gating.factor: must be a number from 1 to 100 \(got"):
        read("kws_tiny", AnyExperiment, sets=(f"duty.gating={{factor: {factor}}}",))
