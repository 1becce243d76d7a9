"""What a keyword-spotting run says of cells: what writing took, what is taken for granted, what stops it early."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from devices import SONOS, InputError, TaOx
from devices.effects import ProgramVerify, Stuck, Temperature
from mappings.chip import Chip, Weights
from mappings.chip_wires import NodeWires
from periphery import RampColumn
from workloads import KeywordSpotting, RunOptions
from workloads.kws.augment import Augmentation
from workloads.kws.model import KeywordModel
from workloads.kws.run import run
from workloads.kws.settings import Features, KeywordEvaluation, KeywordVariant
from workloads.kws.training import Stage, Training
from workloads.recordings.clips import LABELS

RATE = 16_000
VERIFIED = TaOx(effects=(ProgramVerify(),))
PLAIN = Chip(weights=Weights(device=TaOx()), ramp=RampColumn(device=TaOx()))


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five speakers a word, each saying nothing but noise."""
    folder = tmp_path_factory.mktemp("noise") / "speech"
    draw = np.random.default_rng(0)
    for label in LABELS:
        (folder / label).mkdir(parents=True)
        for speaker in range(5):
            name = f"{speaker}.wav" if label == "_silence_" else f"{speaker:08x}_nohash_0.wav"
            soundfile.write(folder / label / name, 0.1 * draw.standard_normal(RATE), RATE, subtype="PCM_16")
    return folder


def experiment(*chips: Chip, times_s: tuple[float, ...] = (0.0, 3600.0)) -> KeywordSpotting:
    return KeywordSpotting(
        chip=PLAIN,
        variants=tuple(KeywordVariant(name=f"v{k}", chip=chip, default=k == 0) for k, chip in enumerate(chips)),
        features=Features(normalisation="corpus", augmentation=Augmentation(copies=1)),
        model=KeywordModel(hidden=4),
        training=Training(software=Stage(steps=1, batch=8), aware=Stage(steps=1, batch=8)),
        evaluation=KeywordEvaluation(chips=2, times_s=times_s, block=8),
    )


def test_writing_and_what_is_taken_for_granted_stand_in_tables_and_notes(noise: Path) -> None:
    heat = Temperature(temperature_K=320.0, activation_off_eV=0.02)
    result = run(
        experiment(
            replace(PLAIN, weights=Weights(device=VERIFIED, write_rows=2), ramp=RampColumn(device=VERIFIED)),
            replace(PLAIN, weights=Weights(device=replace(VERIFIED, effects=(ProgramVerify(), heat)))),
            replace(PLAIN, rows=128, columns=128, wires=NodeWires(cell_width_F=4.0)),
            replace(PLAIN, weights=Weights(device=SONOS())),
        ),
        RunOptions(data=noise),
    )
    writes = result.tables["writes"]
    assert writes.groupby("variant").part.apply(list).to_dict() == {
        "v0": [
            "weights",
            "cell state to charge",
            "ramp of sigmoid",
            "ramp of tanh",
            "ramp of the cell state",
            "weights",
            "linear ramp",
        ],
        "v1": ["weights", "weights"],
    }
    layers = result.tables["layers"].query("cells > 0")
    weights = writes[writes.part == "weights"]
    assert weights[weights.variant == "v0"].cells.tolist() == layers[layers.variant == "v0"].cells.tolist()
    assert (writes.iterations_mean <= writes.iterations_p95).all()
    assert ((writes.energy_J > 0) & (writes.time_s > 0) & (writes.not_converged_share < 0.2)).all()
    own = writes[writes.variant == "v0"]
    notes = result.metrics.notes
    assert any(
        note.startswith(
            f"v0: writing its {own.cells.sum()} cells once takes {own.energy_J.sum():.3g} J and "
            f"{own.time_s.sum():.3g} s with 2 x 64 weights at once"
        )
        for note in notes
    )
    assert any(note.startswith("v2: wires of 16 nm, ") and note.endswith("cddb7d3).") for note in notes)
    assert any(note.startswith("v3: the currents of sonos were measured at 0.1 V; at 0.2 V") for note in notes)
    assert any(note.startswith("v0, v1, v2 have no drift in their model") for note in notes)
    assert [panel.kind for panel in result.metrics.panels if panel.section == "Writing"] == ["bars", "table"]
    quality = {variant.name: [one.t_s for one in variant.quality] for variant in result.metrics.variants}
    assert quality == {"v0": [0.0], "v1": [0.0], "v2": [0.0], "v3": [0.0, 3600.0]}


def test_a_temperature_of_one_kind_of_cells_alone_is_not_swept(noise: Path) -> None:
    hot = replace(TaOx(), effects=(Temperature(temperature_K=320.0, activation_off_eV=0.02),))
    result = run(experiment(replace(PLAIN, weights=Weights(device=hot))), RunOptions(data=noise))
    assert "temperature" not in result.tables
    assert any("codes were not swept over temperature" in note for note in result.metrics.notes)


def test_a_map_that_does_not_fit_stops_a_run_before_training(noise: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "map.npy", np.zeros((2, 3, 3), dtype=int))
    mapped = TaOx(effects=(Stuck(map_file=str(tmp_path / "map.npy")),))
    seen: list[str] = []
    with pytest.raises(InputError, match=r"^variants\[v0\]: .*map.npy: a map must have the shape of the array, 2 x "):
        run(
            experiment(replace(PLAIN, weights=Weights(device=mapped))),
            RunOptions(data=noise, progress=lambda stage, done, total: seen.append(stage)),
        )
    assert seen
    assert not any("software" in stage or "bits" in stage for stage in seen)


def test_a_time_beyond_the_data_is_refused_when_the_experiment_is_made() -> None:
    with pytest.raises(InputError, match=r"^evaluation.times_s\[1\]: sonos: t_s must be at most 432000 s"):
        experiment(replace(PLAIN, weights=Weights(device=SONOS())), times_s=(0.0, 864000.0))
