"""Pictures under saccades: the thresholds that a pixel crosses, a camera that is the same for all, and idx files."""

from __future__ import annotations

import gzip
import math
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from devices import InputError, Stream
from workloads.lsm.saccades import NOTE, Saccades, cached_saccade_events, saccade_events
from workloads.recordings.images import Images, load_idx, sklearn_digits
from workloads.recordings.labelled import DataOrigin

RNG = Stream.root(3)
QUIET = Saccades(noise_Hz=0.0, threshold_sigma=0.0, refractory_s=0.0)
REAL = Path(__file__).resolve().parents[4] / "shared" / "data" / "mnist_t10k"
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason="../shared/data/mnist_t10k is not here")


def pictures(pixels: np.ndarray, full: int = 255) -> Images:
    n = len(pixels)
    return Images(
        pixels=pixels.astype(np.uint8),
        classes=np.arange(n) % 10,
        names=np.array([f"{number:03d}" for number in range(n)]),
        parts=np.array([""] * n),
        labels=tuple("0123456789"),
        full=full,
        origin=DataOrigin("made", "made", ""),
    )


def some(n: int) -> Images:
    every = sklearn_digits()
    return replace(
        every, pixels=every.pixels[:n], classes=every.classes[:n], names=every.names[:n], parts=every.parts[:n]
    )


def told(call: Callable[[], object]) -> tuple[str, ...]:
    with pytest.raises(InputError) as caught:
        call()
    return caught.value.problems


@pytest.mark.parametrize("ink", ["bright", "dark"])
def test_events_follow_the_logarithm_of_the_light_to_within_a_threshold(ink: str) -> None:
    how = replace(QUIET, ink=ink, frames=600)  # type: ignore[arg-type]
    image = np.zeros((1, 28, 28))
    image[0, 8:20, 8:20] = 255
    found = saccade_events(pictures(image), how, rng=RNG)
    path = how.path_px()

    def light(frame: int) -> np.ndarray:
        # A square with straight edges, one picture pixel a sensor pixel, softened over one pixel by the interpolation.
        y, x = (np.arange(34) - 16.5 - path[frame, axis] + 13.5 for axis in (1, 0))
        edge = [np.clip(np.minimum(side - 7, 20 - side), 0, 1) for side in (y, x)]
        ink_there = np.outer(*edge)
        return np.log(0.2 + (ink_there if ink == "bright" else 1.0 - ink_there))

    start = light(0)
    for frame in (150, 200, 300, 333, 600):
        t_s = 0.3 * frame / 600
        before = found.t_s < t_s
        sign = np.where(found.polarity[before] == 1, how.threshold, -how.threshold)
        seen = np.bincount((found.y * 34 + found.x)[before], weights=sign, minlength=34 * 34).reshape(34, 34)
        # Bounds: one threshold that has not been reached, and one in the frame under way.
        assert np.abs(start + seen - light(frame)).max() < 1.3 * how.threshold
    assert len(found.ticks) > 500


def test_path_is_a_closed_triangle_that_starts_each_leg_at_rest() -> None:
    path = Saccades(base_px=4.0, height_px=6.0, frames=300).path_px()
    np.testing.assert_allclose(path[[0, 100, 200, 300]], [(-2, -3), (0, 3), (2, -3), (-2, -3)], atol=1e-12)
    speed = np.linalg.norm(np.diff(path, axis=0), axis=1)
    assert speed[[0, 99, 100, 199, 200, 299]].max() < 0.02 * speed.max()


def test_a_still_camera_and_an_empty_picture_send_nothing() -> None:
    still = replace(QUIET, base_px=0.0, height_px=0.0)
    assert len(saccade_events(some(3), still, rng=RNG).ticks) == 0
    assert len(saccade_events(pictures(np.zeros((2, 8, 8))), QUIET, rng=RNG).ticks) == 0


def test_polarity_one_trails_dark_ink_and_leads_bright_ink() -> None:
    for ink, sign in (("dark", -1), ("bright", 1)):
        found = saccade_events(some(40), replace(QUIET, ink=ink), rng=RNG)  # type: ignore[arg-type]
        down = found.t_s < 0.1
        on, off = (found.y[down & (found.polarity == value)].mean() for value in (1, 0))
        assert (on - off) * sign > 1.0


def test_noise_is_a_poisson_process_of_the_stated_rate() -> None:
    how = Saccades(noise_Hz=3.0)
    found = saccade_events(pictures(np.zeros((60, 8, 8))), how, rng=RNG)
    expected = 3.0 * 0.3 * 34 * 34
    assert found.events.mean() == pytest.approx(expected, abs=4 * math.sqrt(expected / 60))
    assert found.events.var(ddof=1) == pytest.approx(expected, rel=4 * math.sqrt(2 / 59))
    assert found.polarity.mean() == pytest.approx(0.5, abs=4 * 0.5 / math.sqrt(len(found.ticks)))
    assert (found.ticks.max() < found.durations).all()


def test_a_refractory_pixel_is_blind() -> None:
    found = saccade_events(some(3), replace(QUIET, refractory_s=20e-3), rng=RNG)
    for row in range(3):
        one = found.select([row])
        pixel = one.address % (34 * 34)
        order = np.lexsort((one.ticks, pixel))
        same = np.diff(pixel[order]) == 0
        assert np.diff(one.ticks[order])[same].min() >= 20_000 - 1
    assert len(found.ticks) < len(saccade_events(some(3), QUIET, rng=RNG).ticks)


def test_a_picture_gives_the_same_events_whoever_is_shown_beside_it() -> None:
    few, more = saccade_events(some(3), Saccades(), rng=RNG), saccade_events(some(9), Saccades(), rng=RNG)
    assert more.select([0, 1, 2]).digest == few.digest
    assert saccade_events(some(3), Saccades(), rng=Stream.root(4)).digest != few.digest
    assert few.origin.synthetic
    assert few.notes == (NOTE,)


def test_spread_of_thresholds_belongs_to_the_camera() -> None:
    image = np.zeros((2, 28, 28))
    image[:, 8:20, 8:20] = 255
    found = saccade_events(pictures(image), replace(QUIET, threshold_sigma=0.3), rng=RNG)
    np.testing.assert_array_equal(found.select([0]).address, found.select([1]).address)
    even = saccade_events(pictures(image), QUIET, rng=RNG)
    assert found.select([0]).events[0] != even.select([0]).events[0]


def test_a_buffer_that_is_too_small_grows_and_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = saccade_events(some(4), Saccades(), rng=RNG).digest
    monkeypatch.setattr("workloads.lsm.saccades._GUESS", 10)
    assert saccade_events(some(4), Saccades(), rng=RNG).digest == whole


def test_cached_saccades_are_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MHO_CACHE", str(tmp_path))
    first = cached_saccade_events(some(3), Saccades(), rng=RNG)
    monkeypatch.setattr("workloads.lsm.saccades.saccade_events", lambda *_, **__: pytest.fail("watched again"))
    assert cached_saccade_events(some(3), Saccades(), rng=RNG).digest == first.digest


def test_embedded_digits_are_those_of_scikit_learn() -> None:
    found = sklearn_digits()
    assert found.pixels.shape == (1797, 8, 8)
    assert np.bincount(found.classes).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert found.pixels.max() == found.full


def idx(path: Path, values: np.ndarray, magic: int | None = None) -> Path:
    head = struct.pack(f">{1 + values.ndim}I", 2048 + values.ndim if magic is None else magic, *values.shape)
    data = head + values.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def mnist(folder: Path, suffix: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    draw = np.random.default_rng(0)
    for part, count in (("train", 5), ("t10k", 3)):
        idx(folder / f"{part}-images-idx3-ubyte{suffix}", draw.integers(0, 256, (count, 6, 7)))
        idx(folder / f"{part}-labels-idx1-ubyte{suffix}", draw.integers(0, 10, count))
    return folder


def test_idx_files_packed_or_not_give_pictures_labels_and_parts(tmp_path: Path) -> None:
    found = load_idx(mnist(tmp_path / "a"))
    assert found.pixels.shape == (8, 6, 7)
    assert found.parts.tolist() == ["test"] * 3 + ["train"] * 5
    assert load_idx(mnist(tmp_path / "b", ".gz")).digest == found.digest
    assert len(load_idx(tmp_path / "a" / "t10k-images-idx3-ubyte")) == 3


def test_wrong_idx_files_are_named(tmp_path: Path) -> None:
    folder = mnist(tmp_path / "a")
    labels, images = folder / "t10k-labels-idx1-ubyte", folder / "t10k-images-idx3-ubyte"
    whole = images.read_bytes()
    images.write_bytes(whole[:-5])
    assert told(lambda: load_idx(folder)) == (
        f"{images}: a truncated idx file: its header promises 126 bytes (got 121)",
    )
    images.write_bytes(b"\x00\x00\x08\x01" + whole[4:])
    assert "allowed is an idx file of magic number 2051" in told(lambda: load_idx(folder))[0]
    images.write_bytes(whole)
    idx(labels, np.zeros(4))
    assert told(lambda: load_idx(folder)) == (f"{labels}: allowed are labels for each of 3 pictures (got 4)",)
    labels.unlink()
    assert told(lambda: load_idx(folder)) == (f"{labels}: no such file",)
    (tmp_path / "none").mkdir()
    assert told(lambda: load_idx(tmp_path / "none"))[0].startswith(f"{tmp_path / 'none'}: has no pictures")
    packed = mnist(tmp_path / "c", ".gz") / "t10k-images-idx3-ubyte.gz"
    packed.write_bytes(packed.read_bytes()[:-9])
    assert told(lambda: load_idx(packed))[0].startswith(f"{packed}:1: whole packed data (")


@needs_real
def test_mnist_at_hand_under_saccades_is_as_busy_as_n_mnist() -> None:
    every = load_idx(REAL)
    assert np.bincount(every.classes).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    rows = np.arange(0, 10_000, 25)
    chosen = replace(
        every, pixels=every.pixels[rows], classes=every.classes[rows], names=every.names[rows], parts=every.parts[rows]
    )
    found = saccade_events(chosen, Saccades(), rng=RNG)
    # N-MNIST at hand: 4119 events a recording, 0.498 of them ON.
    assert found.events.mean() == pytest.approx(4119, rel=0.05)
    assert found.polarity.mean() == pytest.approx(0.498, abs=0.02)
