"""Pictures into events: an event camera that looks at a still picture in three small jerks, as for N-MNIST.

A pixel sends ON (OFF) each time the logarithm of its light has risen (fallen) by a threshold since its last event: P.
Lichtsteiner et al., IEEE JSSC 43, 566 (2008), doi 10.1109/JSSC.2007.914337. The path is that of the saccades of G.
Orchard et al., doi 10.3389/fnins.2015.00437: three of 100 ms around a triangle. What is made here is synthetic and says
so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Ge, Gt, Interval
from numba import njit
from numpy.typing import NDArray

from devices.streams import Stream
from workloads.recordings.events import Recordings
from workloads.recordings.images import Images
from workloads.recordings.labelled import DataOrigin
from workloads.recordings.sources import remembered

NOTE = (
    "The data is SYNTHETIC: events of a simulated camera that moves over still pictures. Accuracies on it say that the "
    "chain works; they are not accuracies on recordings of an event camera."
)
_BLOCK = 256
_GUESS = 8_000


@dataclass(frozen=True, kw_only=True)
class Saccades:
    """The camera and its path. Path, threshold and noise are fitted to 880 recordings of N-MNIST (docs).

    Parameters
    ----------
    side : pixels of the sensor's side
    width_px : sensor pixels that the picture's width covers
    base_px, height_px : triangle around which the picture moves [pixels]: down, up, and back along the base
    saccade_s : duration of each of the three saccades, which start and end slowly [s]
    frames : positions that are simulated; events between two of them are interpolated in time
    ink : ``bright`` on a dark screen, or ``dark`` on a bright one. In N-MNIST polarity 1 trails the moving ink, as
        behind dark ink; whether the screen or the sign was inverted is an open question
    background : light of the dark parts, to which full brightness adds 1
    threshold : change of the light's logarithm for an event [1]
    threshold_sigma : spread of the thresholds over the camera's pixels, relative [1]
    refractory_s : time after an event in which a pixel is blind [s]
    noise_Hz : events of a pixel without cause [1/s]
    """

    side: Annotated[int, Interval(ge=4, le=1024)] = 34
    width_px: Annotated[float, Gt(0.0)] = 28.0
    base_px: Annotated[float, Ge(0.0)] = 5.0
    height_px: Annotated[float, Ge(0.0)] = 5.0
    saccade_s: Annotated[float, Gt(0.0)] = 0.1
    frames: Annotated[int, Interval(ge=3, le=10_000)] = 120
    ink: Literal["bright", "dark"] = "dark"
    background: Annotated[float, Gt(0.0)] = 0.2
    threshold: Annotated[float, Gt(0.0)] = 0.275
    threshold_sigma: Annotated[float, Ge(0.0)] = 0.1
    refractory_s: Annotated[float, Ge(0.0)] = 1e-3
    noise_Hz: Annotated[float, Ge(0.0)] = 0.2

    def path_px(self) -> NDArray[np.float64]:
        """The picture's centre relative to the sensor's, (frames + 1, 2) as (x, y), y down."""
        corners = np.array([(-0.5, -0.5), (0.0, 0.5), (0.5, -0.5), (-0.5, -0.5)]) * (self.base_px, self.height_px)
        along = np.linspace(0.0, 3.0, self.frames + 1)
        leg = np.minimum(along.astype(int), 2)
        u = along - leg
        eased = u - np.sin(2.0 * np.pi * u) / (2.0 * np.pi)
        return np.asarray(corners[leg] + (corners[leg + 1] - corners[leg]) * eased[:, None], np.float64)


@njit(nogil=True, cache=True, error_model="numpy")
def _watch(
    pixels: Any, path: Any, zoom: float, light: tuple[Any, Any], theta: Any, frame_s: Any, blind_s: Any, out: Any
) -> int:
    """Events of one picture, (t, polarity, y, x) rows of ``out`` as float32; their number, or -1 where it is full.

    ``light``: that of the empty screen, and how much ``pixels`` (rows, columns), 0 to 1 with a rim of zeros, add to it;
    ``theta`` (2, side, side).
    """
    rows, columns = pixels.shape
    screen, sign = light
    side = theta.shape[1]
    quiet = np.float32(np.log(screen))
    reference = np.full((side, side), quiet)
    before = np.full((side, side), quiet)
    last = np.full((side, side), np.float32(-1.0))
    left = np.empty(side, np.int64)
    right = np.empty(side, np.float32)
    one = np.float32(1.0)
    count = 0
    for frame in range(path.shape[0]):
        for x in range(side):
            u = (x - 0.5 * (side - 1) - path[frame, 0]) / zoom + 0.5 * (columns - 1)
            u = min(max(u, 0.0), columns - 1.001)
            left[x] = int(u)
            right[x] = np.float32(u - left[x])
        for y in range(side):
            v = (y - 0.5 * (side - 1) - path[frame, 1]) / zoom + 0.5 * (rows - 1)
            v = min(max(v, 0.0), rows - 1.001)
            j = int(v)
            low = np.float32(v - j)
            high = one - low
            for x in range(side):
                i = left[x]
                top = high * pixels[j, i] + low * pixels[j + 1, i]
                ink = (one - right[x]) * top + right[x] * (high * pixels[j, i + 1] + low * pixels[j + 1, i + 1])
                if ink == 0.0 and before[y, x] == quiet:
                    continue
                seen = quiet if ink == 0.0 else np.float32(np.log(screen + sign * ink))
                if frame == 0:
                    reference[y, x] = seen
                    before[y, x] = seen
                    continue
                polarity = 1 if seen > reference[y, x] else 0
                step = theta[polarity, y, x]
                while abs(seen - reference[y, x]) >= step:
                    reference[y, x] += step if polarity else -step
                    share = (reference[y, x] - before[y, x]) / (seen - before[y, x])
                    t = (frame - one + min(max(share, np.float32(0.0)), one)) * frame_s
                    if last[y, x] >= 0.0 and t - last[y, x] < blind_s:
                        continue
                    if count == out.shape[0]:
                        return -1
                    out[count, 0] = t
                    out[count, 1] = polarity
                    out[count, 2] = y
                    out[count, 3] = x
                    last[y, x] = t
                    count += 1
                before[y, x] = seen
    return count


def saccade_events(
    images: Images, how: Saccades, *, rng: Stream, progress: Callable[[int, int], object] | None = None
) -> Recordings:
    """Events of a camera that is shown all ``images``; marked synthetic.

    ``rng`` keys the camera's thresholds, once, and each picture's noise, by its number. ``progress`` is called with the
    pictures done and the pictures in all.
    """
    side, total_s, blind_s = how.side, 3.0 * how.saccade_s, np.float32(how.refractory_s)
    frame_s = np.float32(total_s / how.frames)
    light = np.float32(how.background + (how.ink == "dark")), np.float32(1.0 if how.ink == "bright" else -1.0)
    spread = 1.0 + how.threshold_sigma * rng.child("thresholds").numpy().standard_normal((2, side, side))
    theta = (how.threshold * np.maximum(spread, 0.2)).astype(np.float32)
    path, zoom = how.path_px(), how.width_px / images.pixels.shape[2]
    end = round(total_s / Recordings.TICK_S)
    out = np.empty((_GUESS, 4), np.float32)
    ticks: list[NDArray[np.int32]] = []
    address: list[NDArray[np.int32]] = []
    for number in range(len(images)):
        pixels = np.pad(images.pixels[number].astype(np.float32) / np.float32(images.full), 1)
        while True:
            count = _watch(pixels, path, zoom, light, theta, frame_s, blind_s, out)
            if count >= 0:
                break
            out = np.empty((2 * len(out), 4), np.float32)
        draw = rng.child("noise", number).numpy()
        extra = int(draw.poisson(how.noise_Hz * total_s * side * side))
        t = np.concatenate([(out[:count, 0] / Recordings.TICK_S).astype(np.int32), draw.integers(0, end, extra)])
        seen = out[:count, 1:].astype(np.int32)
        where = (seen[:, 0] * side + seen[:, 1]) * side + seen[:, 2]
        where = np.concatenate([where, draw.integers(0, 2 * side * side, extra)])
        order = np.argsort(t, kind="stable")
        ticks.append(np.minimum(t[order], end - 1).astype(np.int32))
        address.append(where[order].astype(np.int32))
        if progress and (number + 1) % _BLOCK == 0:
            progress(number + 1, len(images))
    offsets = np.cumsum([0, *(len(t) for t in ticks)]).astype(np.int64)
    return _recordings(images, how, ticks=np.concatenate(ticks), address=np.concatenate(address), offsets=offsets)


def cached_saccade_events(
    images: Images, how: Saccades, *, rng: Stream, progress: Callable[[int, int], object] | None = None
) -> Recordings:
    """``saccade_events``, kept on disk under a digest of pictures, camera and stream; the cache's notes are added."""

    def make() -> dict[str, NDArray[Any]]:
        made = saccade_events(images, how, rng=rng, progress=progress)
        return {name: getattr(made, name) for name in ("ticks", "address", "offsets")}

    digest = hashlib.sha256(f"{images.digest} {how!r} {rng.path!r}".encode()).hexdigest()[:32]
    arrays, notes = remembered(f"lsm/saccades-{digest}.npz", make)
    recordings = _recordings(images, how, **arrays)
    return replace(recordings, notes=(*recordings.notes, *notes))


def _recordings(
    images: Images, how: Saccades, *, ticks: NDArray[np.int32], address: NDArray[np.int32], offsets: NDArray[np.int64]
) -> Recordings:
    end = round(3.0 * how.saccade_s / Recordings.TICK_S)
    return Recordings(
        ticks=ticks,
        address=address,
        offsets=offsets,
        durations=np.full(len(images), end, np.int32),
        classes=images.classes,
        groups=np.array([""] * len(images)),
        names=images.names,
        parts=images.parts,
        sensor=(2, how.side, how.side),
        labels=images.labels,
        origin=DataOrigin(
            f"{images.origin.name} under saccades",
            f"synthetic: simulated saccades over {images.origin.source}",
            images.origin.bibtex,
            synthetic=True,
        ),
        notes=(NOTE,),
    )
