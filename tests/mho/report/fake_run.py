"""A run directory full of invented numbers, for tests of the report: no figure here was ever simulated or measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from configs.yaml_source import dump_yaml

TIMES_S = (0.0, 3600.0, 86400.0, 2592000.0)
LABELS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go", "_unknown_", "_silence_")
SOFTWARE = 0.871
#: name, device, bits, ramp's device, loss at t = 0, loss after a month, compensated
VARIANTS: tuple[tuple[str, str, int, str, float, float, bool], ...] = (
    ("ramp_5bit", "rram_taox", 5, "rram_taox", 0.008, 0.010, False),
    ("ramp_4bit", "rram_taox", 4, "rram_taox", 0.023, 0.026, False),
    ("ramp_8bit", "rram_taox", 8, "rram_taox", 0.012, 0.013, False),
    ("pcm_ramp_pcm", "pcm", 5, "pcm", 0.012, 0.021, False),
    ("pcm_ramp_pcm_compensated", "pcm", 5, "pcm", 0.012, 0.016, True),
    ("pcm_ramp_taox", "pcm", 5, "rram_taox", 0.012, 0.190, False),
    ("pcm_ramp_taox_compensated", "pcm", 5, "rram_taox", 0.013, 0.024, True),
    ("conventional_adc", "rram_taox", 5, "", 0.007, 0.008, False),
)
#: component, group, action, count per inference, unit energy, instances, unit area, leakage, status, source
_PARTS: tuple[tuple[str, str, str, float, float, int, float, float, str, str], ...] = (
    ("comparator", "adc", "compare", 201_000, 1.05e-14, 128, 6.1e-12, 2e-8, "derived", "doi 10.1038/fake-6, Table 1"),
    ("ramp_column", "adc", "step", 1_568, 1.1e-12, 2, 4.0e-12, 1e-8, "fitted", "fitted to a row of Table 1"),
    ("integrator", "adc", "integrate", 6_272, 6.4e-13, 128, 5.2e-12, 3e-8, "estimate", "scaled from another node"),
    ("crossbar", "array", "read", 49, 3.1e-10, 1, 2.1e-10, 0.0, "modelled", "V^2 G t summed over cells"),
    ("pwm_driver", "driver", "pulse", 3_528, 2.1e-14, 72, 2.4e-12, 1e-8, "estimate", "C V^2 of a word line"),
    ("sram_buffer", "buffer", "byte", 9_800, 1.6e-14, 1, 3.1e-10, 4e-7, "modelled", "https://example.org/cacti"),
    ("int16_multiplier", "digital", "multiply", 4_704, 4.1e-13, 8, 2.2e-11, 1e-7, "secondary", "arXiv 2404.06553"),
)  # fmt: skip


def write_fake_run(
    folder: Path, *, seed: int = 0, synthetic: bool = True, splits: int = 1, chips: int = 8, omit: tuple[str, ...] = ()
) -> Path:
    """Write an invented run directory and return its path; ``omit`` names files to leave out."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    tables = {
        "accuracy": _accuracy(rng, splits, chips),
        "components": _components(),
        "schedule": _schedule(),
        "confusion": _confusion(rng),
        "ramp": _ramp(rng, chips),
        "compensation": _compensation(rng, splits, chips),
        "vread": _vread(),
        "learning": _learning(rng, splits),
        "prices": _prices(),
    }
    tables["layers"] = _layers(tables["components"])
    tables["ramps"] = _ramps(tables["ramp"])
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False)
    data = {
        "name": "spoken by espeak-ng voices",
        "digest": "sha256:0123abcd",
        "synthetic": synthetic,
        "note": "No real speech was at hand and the download failed: every clip was synthesised by espeak-ng.",
        "source": "espeakng-loader",
    }
    metrics = _metrics(seed, data, tables, splits, chips)
    files = {
        "metrics.json": json.dumps(metrics, indent=2),
        "manifest.json": json.dumps(_manifest(seed, data), indent=2),
        "trace.json": json.dumps({"traceEvents": []}),
        "config.resolved.yaml": dump_yaml(
            {
                "name": "kws",
                "description": "An LSTM spots keywords (invented figures).",
                "chips": chips,
                "splits": splits,
            }
        ),
    }
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    for name in omit:
        (folder / name).unlink()
    return folder


def _accuracy(rng: np.random.Generator, splits: int, chips: int) -> pd.DataFrame:
    rows: list[tuple[str, str, int, int, float, float]] = []
    for split in range(splits):
        shift = 0.02 * rng.standard_normal() if splits > 1 else 0.0
        rows.append(("", "software", split, -1, 0.0, SOFTWARE + shift))
        for name, _, bits, _, start, end, _ in VARIANTS:
            rows.append((name, "retrained", split, -1, 0.0, SOFTWARE + shift - 0.002))
            rows.append((name, "quantised", split, -1, 0.0, SOFTWARE + shift - 0.02 / bits))
            for chip in range(chips):
                own = 0.005 * rng.standard_normal()
                for place, time in enumerate(TIMES_S):
                    loss = start + (end - start) * (place / 3) ** 2
                    rows.append(
                        (
                            name,
                            "analog",
                            split,
                            chip,
                            time,
                            SOFTWARE + shift - loss + own + 0.002 * rng.standard_normal(),
                        )
                    )
    return pd.DataFrame(rows, columns=["variant", "stage", "split", "chip", "t_s", "accuracy"])


def _layers(components: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for name, _, bits, *_ in VARIANTS:
        scale = 2.0 ** (bits - 5) * (3.1 if name == "conventional_adc" else 1.0)
        mine = components[components["variant"] == name][["area_m2", "energy_J", "leakage_W"]].sum()
        for layer, shape, steps, share, latency in (
            ("lstm", (73, 128), 49, 0.96, 1.6e-7),
            ("output", (33, 12), 1, 0.04, 6e-8),
        ):
            cells = 2 * shape[0] * shape[1]
            cost = (
                share * mine["area_m2"],
                share * mine["energy_J"] / steps,
                share * mine["leakage_W"],
                latency * scale,
            )
            rows.append((name, layer, *shape, cells, 1, steps, cells, *cost, 0.003, 0.012))
    shape_columns = ["variant", "layer", "rows", "columns", "cells", "tiles", "steps", "ops"]
    costs = ["area_m2", "energy_J", "leakage_W", "latency_s", "clipped_weights", "clipped_inputs"]
    return pd.DataFrame(rows, columns=[*shape_columns, *costs])


def _components() -> pd.DataFrame:
    rows = []
    for name, _, bits, *_ in VARIANTS:
        for component, group, action, count, energy, instances, area, leakage, status, source in _PARTS:
            factor = 2.0 ** (bits - 5) * (3.6 if name == "conventional_adc" else 1.0) if group == "adc" else 1.0
            size = 2.8 if name == "conventional_adc" and group == "adc" else 1.0
            rows.append(
                (
                    name,
                    "lstm",
                    component,
                    group,
                    action,
                    count * factor,
                    energy,
                    count * factor * energy,
                    np.nan,
                    np.nan,
                    np.nan,
                    np.nan,
                    16,
                    status,
                    source,
                )
            )
            rows.append(
                (
                    name,
                    "lstm",
                    component,
                    group,
                    "",
                    np.nan,
                    np.nan,
                    np.nan,
                    instances,
                    area * size,
                    instances * area * size,
                    leakage * instances,
                    16,
                    status,
                    source,
                )
            )
    what = ["variant", "layer", "component", "group", "action", "count", "unit_energy_J", "energy_J"]
    pieces = ["instances", "unit_area_m2", "area_m2", "leakage_W", "node_nm", "status", "source"]
    return pd.DataFrame(rows, columns=[*what, *pieces])


def _schedule() -> pd.DataFrame:
    rows = []
    for name, _, bits, *_ in VARIANTS:
        clock, at = 1e-9, 0.0
        for task, resource, clocks in (
            ("load x, h", "buffer", 8),
            ("input phase +", "word lines", 2**bits),
            ("input phase -", "word lines", 2**bits),
            ("gate ramp", "ramp ADC", 2**bits),
            ("c = f c + i a", "digital unit", 12),
            ("charge tanh(c)", "integrators", 10),
            ("tanh ramp", "ramp ADC", 2**bits),
            ("h = o tanh(c)", "digital unit", 5),
        ):
            rows.append((name, "lstm", task, resource, at, clocks * clock))
            at += clocks * clock
        rows.append((name, "output", "output ramp", "ramp ADC", 0.0, 60e-9))
    return pd.DataFrame(rows, columns=["variant", "layer", "task", "resource", "start_s", "duration_s"])


def _confusion(rng: np.random.Generator) -> pd.DataFrame:
    rows = []
    for name, *_ in VARIANTS:
        for true in LABELS:
            shares = rng.dirichlet([0.12] * len(LABELS)) * 0.14
            shares[LABELS.index(true)] += 0.86
            for predicted, count in zip(LABELS, rng.multinomial(600, shares), strict=True):
                rows.append((name, true, predicted, int(count)))
    return pd.DataFrame(rows, columns=["variant", "true", "predicted", "count"])


def _ramp(rng: np.random.Generator, chips: int) -> pd.DataFrame:
    frames = []
    for name, _, bits, device, *_ in VARIANTS:
        for function, low, inverse in (("sigmoid", 0.0, lambda y: np.log(y / (1 - y))), ("tanh", -1.0, np.arctanh)):
            if not device:
                continue
            k = np.arange(1, 2**bits)
            lsb = (1.0 - low) / 2**bits
            y = low + k * lsb
            ideal = inverse(y)
            for chip in range(chips):
                walk = np.cumsum(rng.standard_normal(len(k))) * 0.02 * np.gradient(ideal) * 3
                for stage, offset in (("raw", 0.0), ("calibrated", walk[len(k) // 2])):
                    threshold = ideal + walk - offset
                    inl = (walk - offset) / np.gradient(ideal)
                    columns = {"variant": name, "function": function, "chip": chip, "stage": stage, "k": k, "y": y}
                    frames.append(
                        pd.DataFrame({**columns, "threshold_ideal": ideal, "threshold": threshold, "inl_lsb": inl})
                    )
    return pd.concat(frames, ignore_index=True)


def _ramps(ramp: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for name, _, bits, device, *_ in VARIANTS:
        for function in ("sigmoid", "tanh") if device else ():
            mine = ramp[(ramp["variant"] == name) & (ramp["function"] == function)]
            inl = mine.assign(inl_lsb=mine["inl_lsb"].abs()).groupby("stage")["inl_lsb"].agg(["mean", "max"])
            raw, calibrated = inl.loc["raw"], inl.loc["calibrated"]
            steps = {4: 4.3, 5: 9.0, 8: 70.6}[bits]
            rows.append(
                (
                    name,
                    function,
                    bits,
                    device,
                    2**bits + 5,
                    2**bits,
                    steps,
                    3 if bits == 8 else 0,
                    1.0,
                    *raw,
                    *calibrated,
                )
            )
    columns = "variant function bits device cells clocks max_over_min_step lost_steps capacitor_ratio"
    return pd.DataFrame(
        rows, columns=[*columns.split(), "inl_mean_raw_lsb", "inl_max_raw_lsb", "inl_mean_lsb", "inl_max_lsb"]
    )


def _compensation(rng: np.random.Generator, splits: int, chips: int) -> pd.DataFrame:
    rows = []
    for name, *_, compensated in VARIANTS:
        if not compensated:
            continue
        nu = 0.031 if "taox" in name else 0.002
        for split in range(splits):
            for chip in range(chips):
                for time in TIMES_S:
                    factor = (1 + time / 20) ** nu * (1 + 0.004 * rng.standard_normal())
                    rows.append((name, split, chip, time, "lstm", "sigmoid", factor))
    return pd.DataFrame(rows, columns=["variant", "split", "chip", "t_s", "layer", "function", "factor"])


def _vread() -> pd.DataFrame:
    rows = []
    for voltage in np.linspace(0.15, 0.25, 11):
        for noisy in (False, True):
            rows.append(("ramp", noisy, voltage, 0.02 * (voltage - 0.2) * 10 + (0.04 if noisy else 0.0), 0.0))
            rows.append(
                (
                    "fixed_reference",
                    noisy,
                    voltage,
                    7.7 * (voltage / 0.2 - 1) * (0.99 if noisy else 1.0),
                    7.8 * (voltage / 0.2 - 1),
                )
            )
    columns = ["readout", "offset_and_noise", "v_read_V", "mean_shift_lsb", "predicted_shift_lsb"]
    return pd.DataFrame(rows, columns=columns)


def _learning(rng: np.random.Generator, splits: int) -> pd.DataFrame:
    rows = []
    for split in range(splits):
        for stage, epochs, low in (("software", 30, 0.0), ("noise_aware", 12, 1.1)):
            for epoch in range(1, epochs + 1):
                fall = np.exp(-epoch / 8 - low)
                rows.append(
                    (split, stage, epoch, 2.2 * fall + 0.3, 0.88 - 0.75 * fall + 0.008 * rng.standard_normal(), 0.6)
                )
    return pd.DataFrame(rows, columns=["split", "stage", "epoch", "loss", "validation_accuracy", "seconds"])


def _prices() -> pd.DataFrame:
    rows = []
    for name in ("ramp_5bit", "conventional_adc"):
        rows += [
            (name, "integrator", "NeuRRAM neuron, scaled", 2.4e-13, 5.2e-12, True, "doi 10.1038/s41586-022-04992-8"),
            (name, "integrator", "TIMELY charging unit", 4.17e-14, 4.0e-11, False, "CiMLoop library"),
            (name, "integrator", "ADC regression", 2.6e-13, 9.4e-10, False, "arXiv 2404.06553"),
        ]
    return pd.DataFrame(rows, columns=["variant", "component", "model", "energy_J", "area_m2", "chosen", "source"])


def _metrics(
    seed: int, data: dict[str, Any], tables: dict[str, pd.DataFrame], splits: int, chips: int
) -> dict[str, Any]:
    accuracy, components = tables["accuracy"], tables["components"]
    software = float(accuracy.loc[accuracy["stage"] == "software", "accuracy"].mean())
    quantised = accuracy[(accuracy["stage"] == "quantised") & (accuracy["variant"] == "ramp_5bit")]["accuracy"]
    variants = []
    for place, (name, device, bits, ramp, *_, compensated) in enumerate(VARIANTS):
        quality = []
        for time in TIMES_S:
            rows = accuracy[(accuracy["variant"] == name) & (accuracy["stage"] == "analog") & (accuracy["t_s"] == time)]
            spread = {"mean": float(rows["accuracy"].mean()), "std": float(rows["accuracy"].std())}
            quality.append({"t_s": time, "chips": chips, "accuracy": spread})
        parts = components[components["variant"] == name]
        scale = 2.0 ** (bits - 5) * (3.1 if name == "conventional_adc" else 1.0)
        energy, area, latency = float(parts["energy_J"].sum()), float(parts["area_m2"].sum()), 7.9e-6 * scale
        tops = 918_000 / latency / 1e12
        cost = {"area_m2": area, "energy_J": energy, "leakage_W": float(parts["leakage_W"].sum()), "latency_s": latency}
        cost |= {"power_W": energy / latency, "ops": 918_000, "tops": tops, "tops_per_W": 918_000 / energy / 1e12}
        cost |= {"tops_per_mm2": tops / (area * 1e6)}
        cost["energy_J"] += cost["leakage_W"] * latency
        kind = {"device": device, "ramp_device": ramp or None, "readout": "ramp" if ramp else "conventional"}
        kind |= {"compensation": "global" if compensated else "off"}
        variants.append({"name": name, "default": place == 0, **kind, "bits": bits, "quality": quality, "cost": cost})
    pairs = {"n": splits * chips, "pairs": "chips and splits", "metric": "accuracy"}
    return {
        "experiment": "kws",
        "seed": seed,
        "config_digest": "f00dfeedf00dfeed",
        "data": {**data, "train": 3000, "test": 900, "splits": splits},
        "metrics": {"accuracy": {"higher_is_better": True, "unit": "1"}},
        "software": {"accuracy": software},
        "retrained": {"accuracy": software - 0.002},
        "quantised": {"accuracy": float(quantised.mean())},
        "stages": {
            "software": "the network as first trained, in float",
            "retrained": "that network after further training, in float",
            "quantised": "the retrained network on an ideal chip",
            "analog": "the retrained network on chips",
        },
        "variants": variants,
        "comparisons": [
            {"name": name, "text": text, "mean": mean, "low": mean - 0.004, "high": mean + 0.004, "aim": aim, **pairs}
            for name, text, mean, aim in (
                ("ramp_5bit", "TaOx 5-bit at t = 0, against software", -0.008, -0.02),
                ("ramp_4bit", "TaOx 4-bit at t = 0, against software", -0.038, -0.04),
                ("pcm_ramp_taox", "PCM after one month, against software", -0.19, -0.04),
            )
        ],
        "notes": ["All figures of this run are invented for a test.", "Integrator and driver prices are estimates."],
        "labels": list(LABELS),
        "wall_s": 61.2,
    }


def _manifest(seed: int, data: dict[str, Any]) -> dict[str, Any]:
    return {
        "mho": "0.1.0",
        "python": "3.11",
        "packages": {"torch": "2.13.0"},
        "machine": "invented",
        "threads": 2,
        "seed": seed,
        "git": "0000000",
        "config_digest": "f00dfeedf00dfeed",
        "data": data,
        "wall_s": 61.2,
        "started": "2026-01-01T00:00:00Z",
        "peak_MB": 1234.0,
        "stages": {"data": 9.1, "training": 31.0, "evaluation": 19.5},
    }
