"""Extreme settings of small experiments that are run: what passes the checks must also pass the run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from benchmarks.fuzz.case import Case, clips, small, start, turn, write
from benchmarks.fuzz.changes import at, is_number, paths

NUMBERS = ("0", "-1", "1", "1e-30", "1e30", ".inf", ".nan", "1e300", "1000000", "0.5")
LISTED: list[tuple[str, str]] = [
    *(("small_kws", setting) for setting in (
        "features.mfcc.hop_s=1e-9", "features.mfcc.n_fft=1000000000", "features.mfcc.window_s=1e9",
        "features.mfcc.n_mels=1000000",
        "features.mfcc.n_mfcc=41", "features.mfcc.f_min_Hz=9000", "features.mfcc.f_max_Hz=1e9",
        "features.mfcc.top_dB=-1",
        "features.augmentation.copies=1000000000", "features.augmentation.max_shift_s=1e9",
        "features.augmentation.gain_dB=[1e9,1e9]",
        "features.augmentation.gain_dB=[-.inf,.inf]", "features.augmentation.gain_dB=[300,400]",
        "features.augmentation.noise_snr_dB=[-1e9,-1e9]", "features.std_scale=1e-300", "data.fractions=[0,0,0]",
        "data.fractions=[2,-1,0]", "data.fractions=[1,0,0]", "data.fractions=[0.5,0.5,0]",
        "data.fractions=[0.5,0.1,0.1]",
        "data.clips=12", "data.clips=1", "evaluation.times_s=[1,0]", "evaluation.times_s=[0,0]",
        "evaluation.times_s=[1e300]",
        "evaluation.times_s=[]", "evaluation.batch=1e30", "evaluation.chips=100000", "model.hidden=1",
        "model.hidden=65536",
        "model.readout_steps=1024", "model.cell=gru", "model.cell=rnn", "chip.driver.v_read_V=100",
        "chip.driver.t_clk_s=1",
        "chip.rows=1",
        "chip.bits=1", "chip.bits=12", "chip.weights.device=ideal", "chip.readout=conventional",
        "training.software.steps=0",
        "training.software.learning_rate=1e30", "training.aware.weight_noise=1e30", "seed=" + "9" * 290, "name=\"\\0\"",
        "variants[0].name=\"$\\\\frac{$\"", "variants[0].name=<script>alert(1)</script>", "variants[0].name=software",
        "variants[0].name=../x", "variants[0].name=\"a\\nb\"", "description=<script>alert(1)</script>",
    )),
    *(("small_spgemm", setting) for setting in (
        "data.graph={kind: erdos_renyi, rows: 1e12}", "data.graph={kind: erdos_renyi, rows: 1, per_row: 1}",
        "data.graph={kind: erdos_renyi, rows: 3, per_row: 3}", "data.graph={kind: erdos_renyi, rows: 5, per_row: 0}",
        "data.graph.edge_factor=1e300", "data.graph.edge_factor=1e-300", "data.graph.scale=30", "data.graph.scale=26",
        "data.graph.scale=1", "data.graph.a=1", "data.graph.a=0", "chip.rows=1", "chip.rows=1000000000",
        "chip.columns=1",
        "chip.adc_bits=1", "chip.adc_bits=16", "chip.input_bits=1", "chip.tiles=1", "chip.device=ideal",
        "chip.device=pcm",
        "evaluation.times_s=[1e300]", "evaluation.grid_bits=[1,12]", "evaluation.grid_rows=[1]",
        "fabric.value_bytes=1e300",
        "fabric.value_bytes=1000000000000", "variants[0].name=<script>alert(1)</script>", "variants[0].name=\"\"",
    )),
    *(("small_lsm", setting) for setting in (
        "sweeps=[{what: read_noise, values: [-1]}]", "sweeps=[{what: read_noise, values: [.inf]}]", "chip.neurons=1",
        "chip.neurons=1000000", "chip.gain_per_uS=1e30", "chip.gain_per_uS=0", "chip.threshold=1e30",
        "chip.threshold=0",
        "data.recordings=1", "data.recordings=4", "data.folds=1", "data.folds=1000", "data.validation=0.99",
        "data.binning.steps=1",
        "data.binning.steps=1000000", "data.binning.crop=1", "data.binning.crop=1000", "evaluation.times_s=[1e300]",
        "readout.penalties=[0.0]", "readout.penalties=[1e300]", "readout.bits=1", "variants[0].name=$x$",
    )),
]  # fmt: skip


def case(number: int, folder: Path, base: Path) -> Case:
    rng = start("settings", number)
    listed = turn(number, len(LISTED))
    name, setting, infinite = "", "", False
    if listed is not None:
        name, setting = LISTED[listed]
    else:
        name = rng.choice(["small_kws", "small_spgemm", "small_spgemm", "small_lsm", "small_lsm"])
        tree = _resolved(base, name)
        path = rng.choice([path for path in paths(tree) if _numeric(at(tree, path)) and path[:1] != ("provenance",)])
        value = at(tree, path)
        word = rng.choice(NUMBERS)
        infinite = word in (".inf", ".nan") and "null" not in str(value)
        setting = (
            f"{_dotted(path)}={word}" if is_number(value) else f"{_dotted(path)}=[{', '.join([word] * len(value))}]"
        )
    file = small(name, folder)
    write(folder / "clips", clips() if name == "small_kws" else {})
    data = ("--data", "clips") if name == "small_kws" else ()
    results = ("-o", "out") if "name" in setting or "description" in setting else ()
    return Case(f"{name}: {setting:.200}", ("run", file, *data, "--set", setting, "--quiet", *results), infinite)


def _resolved(base: Path, name: str) -> Any:
    """The whole configuration of a small experiment, as its run directory keeps it."""
    return yaml.safe_load((base / name.replace("small", "run") / "config.resolved.yaml").read_text(encoding="utf-8"))


def _numeric(value: Any) -> bool:
    return is_number(value) or (isinstance(value, list) and value != [] and all(map(is_number, value)))


def _dotted(path: tuple[Any, ...]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")
