"""A character network on chips: its conversion, its training for them, and windows that are read with their states."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from devices import Stream
from mappings.activity import Activity
from mappings.convert.chips import BLOCK, NetworkRead
from mappings.convert.converted import ConvertedNetwork, convert
from mappings.convert.training import Progress, train_for_hardware
from workloads.charlm.model import CharacterNetwork, State, bits, streams
from workloads.charlm.settings import CharacterExperiment, SampledText
from workloads.charlm.text import Vocabulary
from workloads.network.settings import NetworkVariant

MOST_SIDE_BY_SIDE = 256
"""Pieces of the text whose states are computed together in front of a training for chips."""
OWN_TEXT = 1 << 30
"""Number of the first block of noise of what chips write themselves, behind those of any text they read."""


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows of a text, each with the states that the network in software has in front of it.

    ``x, y (windows, window)``, ``h (windows, fed back)``, ``c (windows, units)``.
    """

    x: torch.Tensor
    h: torch.Tensor
    c: torch.Tensor
    y: torch.Tensor

    @classmethod
    def of(cls, net: CharacterNetwork, text: torch.Tensor, count: int, window: int) -> Windows:
        """All whole windows of a text that is read in so many streams."""
        state, found = net.start(count), list[tuple[torch.Tensor, ...]]()
        with torch.no_grad():
            for x, y in streams(text, count, window):
                if found and x.shape[1] < window:
                    break
                found.append((x, *state, y))
                _, *last = net(x, *state)
                state = last[0], last[1]
        x, h, c, y = (torch.cat(parts) for parts in zip(*found, strict=True))
        return cls(x, h, c, y)

    @property
    def inputs(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """As the network takes them."""
        return self.x, self.h, self.c


def converted(
    net: CharacterNetwork, variant: NetworkVariant, example: tuple[torch.Tensor, ...], how: CharacterExperiment
) -> ConvertedNetwork:
    """The network as layers, on the meta device if it and the example are there; ``laid`` puts it on any chips."""
    digital = ["output"] if how.model.output == "digital" else []
    return convert(net, variant.chip, example=example, digital=digital).of_any_sizes()


def laid(net: ConvertedNetwork, variant: NetworkVariant) -> ConvertedNetwork:
    """A converted network, its parameters shared, on a variant's chips."""
    return net.on(variant.of_layers(list(net.tiles)) if variant.chips_by_layer else variant.chip)


def calibrated(
    net: ConvertedNetwork, windows: Windows, how: CharacterExperiment, *, ranges: bool = True
) -> ConvertedNetwork:
    """The same network, calibrated by these windows; ``ranges``: its ranges too."""
    batches = zip(*(one.split(256) for one in windows.inputs), strict=True)
    return net.calibrate([tuple(batch) for batch in batches], percentile=how.calibration.percentile, ranges=ranges)


def trained_for_chips(
    net: ConvertedNetwork,
    teacher: CharacterNetwork,
    text: torch.Tensor,
    how: CharacterExperiment,
    *,
    checkpoint: Path | None,
    device: str,
    progress: Progress,
) -> list[dict[str, Any]]:
    """Train in place, window by window from the states that the network in software has there; the learning curve."""
    assert how.hardware_training is not None
    training, place = how.training, torch.device(device)
    net.to(place)
    teacher.to(place)
    try:
        side_by_side = max(1, min(MOST_SIDE_BY_SIDE, len(text) // (2 * training.window)))
        windows = Windows.of(teacher, text.to(place), side_by_side, training.window)
        whole: Any = windows.inputs, windows.y
        return train_for_hardware(
            net,
            whole,
            lambda outputs, y: cross_entropy(outputs[0].flatten(0, 1), y.flatten()),
            how.hardware_training.of_figures(classes=True),
            teacher=teacher,
            seed=how.seed,
            checkpoint=checkpoint,
            progress=progress,
        )
    finally:
        net.cpu()
        teacher.cpu()


def starts(net: CharacterNetwork, chips: int, count: int) -> State:
    """States of zero of so many streams on every chip, ``(chips, streams, ...)``."""
    h, c = net.start(count)
    return h.expand(chips, *h.shape), c.expand(chips, *c.shape)


def bits_of_chips(
    read: NetworkRead, start: State, text: torch.Tensor, window: int, *, activity: dict[str, Activity] | None = None
) -> torch.Tensor:
    """Bits per character of every chip ``(chips,)``, as ``bits_per_character`` gives those of one network.

    ``activity`` adds up what the first window does.
    """
    (h, c), seen = start, 0
    count, total = h.shape[1], torch.zeros(len(h), dtype=torch.float64)
    blocks = -(-count // BLOCK)
    for number, (x, y) in enumerate(streams(text, count, window)):
        did = activity if number == 0 else None
        logits, h, c = read(x, h, c, first=number * blocks, of_chips=2, activity=did)
        total += torch.stack([bits(one, y).double() for one in logits]) * y.numel()
        seen += y.numel()
    return total / seen


def written_by_chips(
    read: NetworkRead, start: State, how: SampledText, vocabulary: Vocabulary, *, seed: int
) -> Iterator[str]:
    """What each chip writes, the prompt left out. All draw with the same random numbers, at every time the
    same: what differs is the chips."""
    count = len(read.rng)
    drawn = torch.rand(how.characters, generator=Stream.root(seed).child("written").torch())
    prompt = vocabulary.encoded(how.prompt).expand(count, 1, -1)
    logits, h, c = read(prompt, *start, first=OWN_TEXT, of_chips=3)
    numbers = []
    for k, u in enumerate(drawn.tolist()):
        shares = torch.softmax(logits[:, 0, -1] / how.temperature, dim=-1)
        shares[:, 0] = 0.0  # the unknown character is none
        summed = shares.cumsum(-1)
        numbers.append((summed < u * summed[:, -1:]).sum(-1).clamp_max(len(vocabulary) - 1))
        if k + 1 < how.characters:
            logits, h, c = read(numbers[-1][:, None, None], h, c, first=OWN_TEXT + 1 + k, of_chips=3)
    for one in torch.stack(numbers, dim=1):
        yield vocabulary.decoded(one)
