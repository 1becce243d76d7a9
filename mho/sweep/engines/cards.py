"""The graphics cards of a sweep: which ``--device`` names, and one worker process for each, which sees it alone."""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Literal

import torch

from configs.errors import InputError

Compute = Literal["cpu", "cuda"]
VISIBLE = "CUDA_VISIBLE_DEVICES"
_LOOK_S = 0.1
_held: list[IO[str]] = []  # the lock of this process's card, until the process ends


def compute_of(device: str) -> Compute:
    """Kind of the device that ``--device`` names: points of ``cuda`` are others than those of ``cpu``.

    Raises InputError for what is neither ``cpu`` nor ``cuda`` nor a list of cards.
    """
    if device == "cpu":
        return "cpu"
    if not re.fullmatch(r"cuda|cuda:\d{1,3}(,cuda:\d{1,3})*", device):
        raise InputError(f"--device: must be cpu, cuda (all cards that are visible) or cuda:0,cuda:1 (got {device})")
    return "cuda"


def cards_of(device: str) -> tuple[str, ...]:
    """The cards that ``--device`` names, each as ``CUDA_VISIBLE_DEVICES`` takes it; none for ``cpu``.

    ``cuda:0`` is the first card that this process may see. Raises InputError for a card that is not there or is named
    twice.
    """
    if compute_of(device) == "cpu":
        return ()
    count = torch.cuda.device_count()
    if not count:
        raise InputError(f"--device {device}: this machine has no CUDA device that torch can use; take --device cpu")
    names = [each.strip() for each in os.environ.get(VISIBLE, "").split(",") if each.strip()][:count]
    names = names or [str(number) for number in range(count)]
    wanted = range(count) if device == "cuda" else [int(each.removeprefix("cuda:")) for each in device.split(",")]
    for number in wanted:
        if number >= count:
            raise InputError(f"--device: this machine has the cards {_listed(count)} (got cuda:{number})")
    if len(set(wanted)) < len(wanted):
        raise InputError(f"--device: each card once, since one worker computes on each (got {device})")
    return tuple(names[number] for number in wanted)


def _listed(count: int) -> str:
    return "cuda:0 alone" if count == 1 else f"cuda:0 to cuda:{count - 1}"


def take_card(cards: Sequence[str], folder: Path) -> None:
    """Let this process see one card alone, one that no other process holds by a lock in ``folder``.

    The system releases the lock when the process ends, however it ends.
    """
    while True:
        for number, card in enumerate(cards):
            lock = (folder / f"card{number}").open("w")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.close()
                continue
            _held.append(lock)
            os.environ[VISIBLE] = card
            return
        time.sleep(_LOOK_S)
