"""What a file of an experiment may get wrong about cells and arrays: one line each, with its place, before any work."""

from __future__ import annotations

from pathlib import Path

import pytest

from devices import InputError
from mho.config.read import read
from workloads import AnyExperiment

HEAD = """extends: kws_tiny
variants:
  - name: one
    default: true
    chip:
"""


def problems(tmp_path: Path, body: str, *sets: str) -> list[str]:
    """The lines with which a chip is refused, the folder left out."""
    file = tmp_path / "a.yaml"
    file.write_text(HEAD + body, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read(str(file), AnyExperiment, sets=sets)
    return [line.replace(f"{tmp_path}/", "") for line in caught.value.problems]


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (
            "      weights: {device: rram_taocs}",
            "a.yaml:6:25: variants[0].chip.weights.device: must be a name in devices (",
        ),
        (
            "      weights: {device: {kind: rram_taocs}}",
            "a.yaml:6:32: variants[0].chip.weights.device.kind: must be one of ideal, gaussian, lognormal, pcm, ",
        ),
        (
            "      weights: {device: {extends: pcm, g_min_S: 3e-5}}",
            "a.yaml:6:49: variants[0].chip.weights.device.g_min_S: must be below g_max_S = 2.5e-05 (got 3e-05)",
        ),
        (
            "      weights: {device: {extends: pcm, effects: [{kind: stuck, off_S: 1e-4}]}}",
            "a.yaml:6:71: variants[0].chip.weights.device.effects[0].off_S: must lie below on_S = 2.5e-05 S "
            "(got 0.0001 S)",
        ),
        (
            "      weights: {device: {extends: pcm, effects: [{kind: program_verify, start_S: 95e-6}]}}",
            "a.yaml:6:82: variants[0].chip.weights.device.effects[0].start_S: must not exceed g_max_S = 2.5e-05 S "
            "(got 9.5e-05 S)",
        ),
        (
            "      weights: {device: {extends: pcm, effects: [{kind: temperature, temperature_K: 350}]}}",
            "a.yaml:6:85: variants[0].chip.weights.device.effects[0].temperature_K: must be programmed_K = 300 K ",
        ),
        (
            "      wires: {r_driver_ohm: 1000, r_bit_ohm: 3, c_bit_F: 1e-13}\n      driver: {t_clk_s: 5e-10}",
            "a.yaml:7:25: variants[0].chip.driver.t_clk_s: a bit line past 64 rows settles in 3.07e-09 s "
            "(wires.settle_taus time constants): take at least 3.09e-09, or smaller tiles (got 5e-10)",
        ),
        (
            "      weights: {device: rram_milo}\n      wires: {r_word_ohm: 1.0}",
            "a.yaml:7:14: variants[0].chip.wires: nonlinear cells have no one matrix for all inputs, as a layer needs "
            "(crossbar.wires.solve takes input vectors); take a linear device, or no wires",
        ),
        (
            "      weights: {device: rram_milo}\n      ramp: {device: rram_milo}\n      wires: null\n"
            "      driver: {v_read_V: 0.6}",
            "a.yaml:9:26: variants[0].chip.driver.v_read_V: rram_milo: v_V must lie within +-0.5 V, where the current "
            "was measured (got 0.6)",
        ),
        (
            "      weights:\n        encoding: {kind: bit_slices, combine: digital}",
            "a.yaml:7:47: variants[0].chip.weights.encoding.combine: a ramp converts whole sums, not 4 slices apart; "
            "take combine: charge, or readout: conventional",
        ),
        (
            "      weights: {device: taox_formed}",
            "configs/devices/taox_formed.yaml:1:1: variants[0].chip.weights.device: cells of kind taox_formed keep "
            "what forming left and take no weights: they are for a liquid; take a device that can be written",
        ),
        (
            "      weights: {stuck_maps: {recurent: a.csv}}",
            "a.yaml:6:29: variants[0].chip.weights.stuck_maps: layers are recurrent and output (got recurent)",
        ),
        (
            "      wires: {kind: node, node_nm: 3}",
            "a.yaml:6:36: variants[0].chip.wires.node_nm: must be a number from 5 to 130 or null (got 3)",
        ),
        (
            "      wires: {kind: node, r_word_ohm: 3}",
            "a.yaml:6:27: variants[0].chip.wires.r_word_ohm: no such key; allowed are kind, node_nm, ",
        ),
    ],
)
def test_one_line_names_the_place_and_what_is_allowed(tmp_path: Path, body: str, line: str) -> None:
    first, *rest = problems(tmp_path, body)
    assert first.startswith(line)
    assert not rest


def test_every_reason_of_one_chip_is_told_at_once_each_at_its_place(tmp_path: Path) -> None:
    body = "      weights:\n        encoding: {kind: bit_slices, combine: digital}\n"
    body += "      driver: {kind: bit_serial, accumulation: digital}\n      wires: {method: iterative, r_bit_ohm: 1.0}"
    places = [line.split(": ")[0:2] for line in problems(tmp_path, body)]
    assert places == [
        ["a.yaml:7:47", "variants[0].chip.weights.encoding.combine"],
        ["a.yaml:8:48", "variants[0].chip.driver.accumulation"],
        ["a.yaml:9:14", "variants[0].chip.wires"],
    ]


@pytest.mark.parametrize(
    ("device", "last"), [("rram_wan_aihwkit", "172800 s"), ("rram_wan_crosssim", "1 s"), ("sonos", "432000 s")]
)
def test_a_time_beyond_the_data_of_a_device_is_refused_where_it_is_written(
    tmp_path: Path, device: str, last: str
) -> None:
    body = f"      weights: {{device: {device}}}\nevaluation:\n  times_s: [0, 864000]"
    (line,) = problems(tmp_path, body)
    assert line.startswith(f"a.yaml:8:16: evaluation.times_s[1]: {device}: t_s must be at most {last}, the last time ")
    assert line.endswith("; beyond: hold keeps its distribution from there on (got 864000 s); in one")


def test_a_shelf_too_hot_for_the_data_is_a_time_beyond_them(tmp_path: Path) -> None:
    hot = "{kind: temperature, temperature_K: 400, ageing_energy_eV: 1.0}"
    body = f"      weights: {{device: {{extends: rram_wan_aihwkit, effects: [{hot}]}}}}"
    (line,) = problems(tmp_path, body, "evaluation.times_s=[0, 3600]")
    assert line.startswith("--set evaluation.times_s=[0, 3600]: evaluation.times_s[1]: rram_wan_aihwkit: 3600 s in")


def test_holding_the_last_distribution_is_allowed(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(HEAD + "      weights: {device: {extends: sonos, beyond: hold}}\n", encoding="utf-8")
    (variant,) = read(str(file), AnyExperiment).value.variants
    assert variant.chip.drifts
    assert variant.times_s((0.0, 864000.0)) == (0.0, 864000.0)


def test_a_chip_without_drift_is_read_once_whatever_the_cells_of_an_unused_ramp(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(HEAD + "      {readout: conventional, ramp: {device: pcm}}\n", encoding="utf-8")
    (variant,) = read(str(file), AnyExperiment).value.variants
    assert variant.times_s((0.0, 864000.0)) == (0.0,)


def test_wires_by_node_and_by_ohms_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    found = []
    for wires in ("{kind: node, cell_width_F: 4, cell_height_F: 12}", "{r_word_ohm: 2.0, r_bit_ohm: 0.0}", "null"):
        file.write_text(HEAD + f"      wires: {wires}\n", encoding="utf-8")
        found.append(read(str(file), AnyExperiment).value.variants[0].chip.lines)
    assert found[0].r_bit_ohm == pytest.approx(3 * found[0].r_word_ohm)
    assert (found[1].r_word_ohm, found[1].r_bit_ohm, found[2]) == (2.0, 0.0, None)
