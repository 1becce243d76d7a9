"""Events into steps: every event once, where it belongs, and the same spikes sparse as dense."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from devices import InputError
from workloads.lsm.binning import NMNIST_BINNING, NTIDIGITS_BINNING, Binning, Spikes, binned
from workloads.recordings.events import Recordings, Stored, gathered
from workloads.recordings.labelled import DataOrigin


def recordings(
    n: int = 3, sensor: tuple[int, int, int] = (2, 34, 34), seed: int = 0, length_s: float = 0.3
) -> Recordings:
    draw = np.random.default_rng(seed)
    stored = []
    for number in range(n):
        events = int(draw.integers(1, 400))
        stored.append(
            Stored(
                where=f"recording {number}",
                name=f"{number:03d}",
                label=str(number % 3),
                t_s=np.sort(draw.integers(0, round(length_s * 1e6), events)) * 1e-6,
                x=draw.integers(0, sensor[2], events),
                y=draw.integers(0, sensor[1], events),
                polarity=draw.integers(0, sensor[0], events),
                group=f"speaker {number % 2}",
                duration_s=length_s if number % 2 else None,
            )
        )
    return gathered(
        stored,
        sensor=sensor,
        labels=("0", "1", "2"),
        origin=DataOrigin("made"),
    )


def plain(found: Recordings, how: Binning) -> np.ndarray:
    """The same by loops over events, in exact arithmetic: counts (recordings, steps, polarities, rows, columns)."""
    shape = how.shape(found.sensor)
    out = np.zeros((len(found), how.steps, *shape), int)
    starts = [0 if how.crop is None or side == 1 else -((how.crop - side) // 2) for side in found.sensor[1:]]
    for row in range(len(found)):
        for event in range(found.offsets[row], found.offsets[row + 1]):
            t, duration = int(found.ticks[event]), int(found.durations[row])
            if how.mode == "duration":
                step = t * how.steps // duration
            else:
                width = round(how.width_s * 1e6)
                bins = -(-duration // width)
                step = t // width // (1 if how.mode == "width" else -(-bins // how.steps))
            y, x = int(found.y[event]) - starts[0], int(found.x[event]) - starts[1]
            kept = [side if how.crop is None or side == 1 else how.crop for side in found.sensor[1:]]
            polarity = int(found.polarity[event])
            if step >= how.steps or not (0 <= y < kept[0] and 0 <= x < kept[1]):
                continue
            if how.polarity in ("off", "on") and found.sensor[0] > 1 and polarity != (how.polarity == "on"):
                continue
            out[row, step, polarity if how.polarity == "both" else 0, y // how.pool, x // how.pool] += 1
    return out


@given(
    steps=st.integers(1, 60),
    mode=st.sampled_from(["duration", "width", "chunk"]),
    width_s=st.sampled_from([1e-6, 1e-3, 6.4e-3]),
    crop=st.sampled_from([None, 1, 15, 16, 34]),
    pool=st.integers(1, 5),
    polarity=st.sampled_from(["off", "on", "both", "either"]),
    seed=st.integers(0, 5),
)
def test_every_event_is_counted_once_where_loops_over_events_put_it(seed: int, **options: object) -> None:
    found, how = recordings(seed=seed), Binning(**options)  # type: ignore[arg-type]
    spikes, expected = binned(found, how), plain(found, how)
    np.testing.assert_array_equal(spikes.counts, expected[expected > 0])
    np.testing.assert_array_equal(spikes.dense().reshape(expected.shape), expected > 0)
    np.testing.assert_array_equal(spikes.event_counts().reshape(len(found), *expected.shape[2:]), expected.sum(1))
    np.testing.assert_array_equal(spikes.active, (expected > 0).sum((2, 3, 4)))
    assert spikes.rate == pytest.approx((expected > 0).mean())
    assert spikes.seen == pytest.approx(expected.sum() / len(found.ticks))
    for step in range(len(spikes) * how.steps):
        assert (np.diff(spikes.lines[spikes.offsets[step] : spikes.offsets[step + 1]]) > 0).all()


def test_window_of_the_paper_is_rows_and_columns_9_to_24() -> None:
    found = recordings(20)
    spikes = binned(found, NMNIST_BINNING)
    assert spikes.shape == (1, 16, 16)
    inside = (found.polarity == 0) & (found.x >= 9) & (found.x <= 24) & (found.y >= 9) & (found.y <= 24)
    assert spikes.counts.sum() == inside.sum()


@given(bins=st.integers(1, 700), seed=st.integers(0, 3))
def test_chunks_are_those_of_torch(bins: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    channels = draw.integers(0, 64, 500)
    t_ms = np.append(draw.integers(0, bins, 499), bins - 1)
    stored = Stored("r", "r", "0", t_s=(t_ms + 0.5) * 1e-3, x=channels, duration_s=bins * 1e-3)
    found = gathered(
        [stored],
        sensor=(1, 1, 64),
        labels=("0",),
        origin=DataOrigin(""),
    )
    train = torch.zeros(bins, 64)
    train[t_ms, channels] = 1
    expected = torch.zeros(129, 64)
    for number, chunk in enumerate(train.chunk(129)):
        expected[number] = chunk.sum(0).clamp(max=1)
    np.testing.assert_array_equal(binned(found, NTIDIGITS_BINNING).dense()[0], expected)


def test_blocks_of_recordings_do_not_change_a_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    found, how = recordings(11), Binning(steps=7, pool=3)
    whole = binned(found, how)
    monkeypatch.setattr("workloads.lsm.binning._BLOCK", 3 * how.steps * whole.inputs)
    parts = binned(found, how)
    for name in ("lines", "counts", "offsets"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name))


def test_chosen_recordings_are_the_rows_of_the_whole() -> None:
    found, how = recordings(9), Binning(steps=5, crop=16)
    rows = [7, 0, 7, 3]
    spikes = binned(found, how)
    for part in (binned(found.select(rows), how), spikes.select(rows)):
        np.testing.assert_array_equal(part.dense(), spikes.dense()[rows])
        np.testing.assert_array_equal(part.event_counts(), spikes.event_counts()[rows])
    np.testing.assert_array_equal(spikes.dense(slice(2, 6)), spikes.dense()[2:6])
    assert spikes.dense(slice(5, 5)).shape == (0, 5, 256)
    mask = np.zeros(9, bool)
    mask[[1, 4]] = True
    assert found.select(mask).digest == found.select([1, 4]).digest
    assert found.select(range(9)).digest == found.digest


def test_digest_tells_events_and_labels_apart() -> None:
    found = recordings(4)
    assert recordings(4).digest == found.digest
    assert len({found.digest, recordings(4, seed=1).digest, found.select([1, 0, 2, 3]).digest}) == 3


def test_address_and_time_return_what_was_stored() -> None:
    stored = Stored("r", "r", "0", t_s=np.array([0.0, 1e-6, 0.25]), x=np.array([3, 0, 33]), y=np.array([1, 2, 33]),
                    polarity=np.array([1, 0, 1]))  # fmt: skip
    found = gathered(
        [stored],
        sensor=(2, 34, 34),
        labels=("0",),
        origin=DataOrigin(""),
    )
    assert found.x.tolist() == [3, 0, 33]
    assert found.y.tolist() == [1, 2, 33]
    assert found.polarity.tolist() == [1, 0, 1]
    np.testing.assert_allclose(found.t_s, [0.0, 1e-6, 0.25])
    assert found.durations.tolist() == [250_001]
    assert found.counts == {"0": 1}


@pytest.mark.parametrize(
    ("how", "sensor", "text"),
    [
        (Binning(crop=35), (2, 34, 34), r"crop: allowed is at most the sensor's 34 x 34 \(got 35\)"),
        (Binning(crop=65), (1, 1, 64), r"crop: allowed is at most the sensor's 1 x 64 \(got 65\)"),
        (Binning(polarity="on"), (1, 1, 64), r"polarity: allowed are 'off', 'either' and 'both' .*\(got 'on'\)"),
    ],
)
def test_a_window_or_polarity_that_the_sensor_lacks_is_refused(
    how: Binning, sensor: tuple[int, int, int], text: str
) -> None:
    with pytest.raises(InputError, match=text):
        how.shape(sensor)


def test_no_recording_gives_no_spike() -> None:
    spikes = binned(recordings(2).select([]), Binning())
    assert isinstance(spikes, Spikes)
    assert len(spikes) == 0
    assert spikes.rate == 0.0


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"x": np.array([1, 34])}, r"event 1: x: allowed are 0 to 33 \(got 34\)"),
        ({"y": np.array([-1, 0])}, r"event 0: y: allowed are 0 to 33 \(got -1\)"),
        ({"polarity": np.array([0, 2])}, r"event 1: polarity: allowed are 0 to 1 \(got 2\)"),
        ({"t_s": np.array([0.0, np.nan])}, r"event 1: allowed are times from 0 to 2000 s \(got nan\)"),
        ({"t_s": np.array([])}, "has no event"),
        ({"x": np.array([1])}, r"allowed is one x for each of 2 times \(got 1\)"),
    ],
)
def test_events_that_cannot_be_are_named(wrong: dict[str, np.ndarray], text: str) -> None:
    good = {"t_s": np.array([0.0, 0.1]), "x": np.array([0, 1]), "y": np.array([0, 1]), "polarity": np.array([0, 1])}
    stored = Stored("file 7", "r", "0", **{**good, **wrong})  # type: ignore[arg-type]
    with pytest.raises(InputError, match=f"^file 7: {text}$"):
        gathered(
            [stored],
            sensor=(2, 34, 34),
            labels=("0",),
            origin=DataOrigin(""),
        )
