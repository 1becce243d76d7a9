"""The keyword network of MLPerf Tiny is TensorFlow's, in float, from the sound on, and in 8-bit formats."""

from __future__ import annotations

import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from devices import InputError
from mappings.chip import Compensation
from mho.network.convert import chip_named, convert
from workloads.network.ds_cnn import LABELS, ds_cnn, ds_cnn_features
from workloads.network.evaluate import accuracy
from workloads.network.model import fill
from workloads.recordings.wav import decode_wav

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"
MODEL, SOUNDS = SHARED / "mlperf_tiny_kws", SHARED / "speech_commands" / "speech_commands.tar.xz"
needs_model = pytest.mark.skipif(not MODEL.is_dir(), reason="../shared/data/mlperf_tiny_kws is not here")
needs_sounds = pytest.mark.skipif(not SOUNDS.is_file(), reason="../shared/data/speech_commands is not here")


@pytest.fixture(scope="module")
def reference() -> dict[str, np.ndarray]:
    """What TensorFlow 2.21 makes of all clips, from the published model."""
    with np.load(MODEL / "kws_reference.npz") as held:
        return {name: held[name] for name in held.files}


@pytest.fixture(scope="module")
def net() -> torch.nn.Module:
    made = ds_cnn()
    fill(made, MODEL / "kws_dscnn_float.safetensors")
    return made.eval()


def test_the_network_has_the_parameters_of_the_reference_model() -> None:
    """24,908 with moments of normalisations, of which Keras' summary counts 1,152 as not trained (9 x 2 x 64)."""
    made = ds_cnn()
    trained = sum(one.numel() for one in made.parameters())
    moments = sum(one.numel() for name, one in made.named_buffers() if "running" in name)
    assert (trained + moments, moments) == (24_908, 1_152)
    assert made(torch.zeros(2, 49, 10)).shape == (2, len(LABELS))


@needs_model
def test_probabilities_of_all_clips_are_tensorflows(net: torch.nn.Module, reference: dict[str, np.ndarray]) -> None:
    with torch.no_grad():
        logits = net(torch.from_numpy(reference["features"]))
    np.testing.assert_allclose(logits.softmax(1).numpy(), reference["float_probabilities"], atol=1e-4)
    right = accuracy(logits, torch.from_numpy(reference["labels"].astype(np.int64)))
    assert right == pytest.approx(0.9188, abs=5e-5)


@needs_model
@needs_sounds
def test_features_of_the_recordings_are_tensorflows(reference: dict[str, np.ndarray]) -> None:
    """Of the first recordings of the archive: silence and other words."""
    rows = {str(name): row for row, name in enumerate(reference["names"])}
    waves, found = [], []
    with tarfile.open(SOUNDS, "r|xz") as archive:
        for member in archive:
            row = rows.get(member.name.removeprefix("./"))
            if row is None:
                continue
            file = archive.extractfile(member)
            assert file is not None
            waves.append(decode_wav(file.read()).samples)
            found.append(row)
            if len(found) == 400:
                break
    assert len(found) == 400
    np.testing.assert_allclose(ds_cnn_features(np.stack(waves)), reference["features"][found], atol=1e-3)


def test_a_clip_without_a_sample_above_zero_is_refused() -> None:
    waves = np.ones((3, 16_000), np.int16)
    waves[2] *= -1
    with pytest.raises(InputError, match=r"waveforms: every clip needs a sample above 0 \(number 2 has none\)"):
        ds_cnn_features(waves)


@needs_model
def test_a_chip_that_rounds_nothing_computes_the_network(
    net: torch.nn.Module, reference: dict[str, np.ndarray]
) -> None:
    x = torch.from_numpy(reference["features"][::200])
    with torch.no_grad():
        wanted = net(x)
        found = convert(net, "exact", example=x).program(2).at(0.0)(x)
    for chip in found:
        torch.testing.assert_close(chip, wanted, rtol=0.0, atol=1e-4)


@needs_model
@pytest.mark.parametrize("readout", ["ramp", "conventional"])
def test_in_formats_of_8_bits_it_is_as_right_as_the_official_int8_network(
    readout: str, net: torch.nn.Module, reference: dict[str, np.ndarray], tmp_path: Path
) -> None:
    """On all clips, depthwise convolutions on tiles like the rest."""
    chip = tmp_path / "chip.yaml"
    chip.write_text(f"extends: hermes_core\nreadout: {readout}\n")
    x, y = (torch.from_numpy(reference[name]) for name in ("features", "labels"))
    official = accuracy(torch.from_numpy(reference["int8_outputs"]), y)
    found = convert(net, chip, example=x[:32]).calibrate(x[::8], percentile=99.9)
    with torch.no_grad():
        ours = accuracy(torch.cat([found(some) for some in x.split(256)]), y)
    assert official == pytest.approx(0.9170, abs=5e-5)
    assert abs(ours - official) <= 0.005


@needs_model
@pytest.mark.parametrize("name", ["yang2025", "hermes_core"])
def test_as_given_it_survives_on_chips_of_8_bits(
    name: str, net: torch.nn.Module, reference: dict[str, np.ndarray]
) -> None:
    """64 clips, two chips: with factors and offsets of columns most are right, without them few."""
    x, y = (torch.from_numpy(reference[one]) for one in ("features", "labels"))
    whole = chip_named(name)
    whole = replace(whole, bits=8, adc=replace(whole.adc, bits=8), output=replace(whole.output, bits=8))
    encoding = replace(whole.weights.encoding, scale="column")
    mended = replace(
        whole,
        weights=replace(whole.weights, encoding=encoding),
        compensation=Compensation(mode="affine", baseline="exact", vectors=256),
    )
    judged = torch.linspace(1, len(x) - 2, 64).round().long()
    right = []
    for chip in (whole, mended):
        found = convert(net, chip, example=x[:32]).calibrate(x[::8], percentile=99.9)
        with torch.no_grad():
            right.append(np.mean([accuracy(one, y[judged]) for one in found.program(2).at(0.0)(x[judged])]))
    assert right[1] > 0.7
    assert right[0] < right[1] - 0.2
