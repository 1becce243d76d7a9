"""Training of a character network in software: truncated backpropagation over streams whose states are carried over.

Gaussian noise on the weights of every gradient, relative to the largest weight of its matrix, and a clip of the weights
at a multiple of their standard deviation both regularise the network and prepare it for cells that err (Joshi et al.,
Nat. Commun. 11, 2473 (2020), doi 10.1038/s41467-020-16108-9).
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated

import torch
from annotated_types import Ge, Gt, Interval

from devices import InputError, Stream
from mappings.convert.checkpoint import Checkpoint, Rows, named_state, restore
from workloads.charlm.model import CharacterNetwork, bits, bits_per_character, streams
from workloads.charlm.text import Text
from workloads.running import card_of

Share = Annotated[float, Interval(ge=0.0, lt=1.0)]


@dataclass(frozen=True, kw_only=True)
class TextTraining:
    """AdamW; the learning rate rises over the first 2 % of the steps and falls as half a cosine.

    Parameters
    ----------
    steps : gradients
    streams : pieces of the text that are read side by side
    window : characters of each in one gradient, behind which it is truncated
    learning_rate : largest one
    weight_decay : decoupled weight decay, of matrices
    gradient_limit : largest norm of a gradient
    dropout : shares of the embedding's and of the LSTM's outputs that are left out
    weight_noise : standard deviation of the noise on the weights, relative to the largest weight of each matrix
    clip_sd : weights of a matrix are clipped at so many of their standard deviations, or None
    state_penalty : multiplies the mean square by which projected states leave -1 to 1, where they are projected
    every : steps from one look at the part to choose by to the next; the best of these networks is kept
    checkpoint : folder, relative to the working directory, from which an interrupted training goes on to the same bits;
        at the end it holds ``network.safetensors`` as well, which ``weights`` takes
    """

    steps: Annotated[int, Interval(ge=1, le=10_000_000)] = 300
    streams: Annotated[int, Interval(ge=1, le=65_536)] = 32
    window: Annotated[int, Interval(ge=1, le=65_536)] = 64
    learning_rate: Annotated[float, Gt(0.0), Interval(le=10.0)] = 4e-3
    weight_decay: Annotated[float, Interval(ge=0.0, le=10.0)] = 1e-2
    gradient_limit: Annotated[float, Gt(0.0)] = 1.0
    dropout: tuple[Share, Share] = (0.0, 0.0)
    weight_noise: Annotated[float, Interval(ge=0.0, le=1.0)] = 0.0
    clip_sd: Annotated[float, Ge(1.0)] | None = 3.0
    state_penalty: Annotated[float, Ge(0.0)] = 0.1
    every: Annotated[int, Interval(ge=1, le=10_000_000)] = 100
    checkpoint: str | None = None

    def learning_rate_at(self, share: float) -> float:
        """Learning rate after this share of the steps."""
        return self.learning_rate * min(1.0, share / 0.02) * 0.5 * (1.0 + math.cos(math.pi * share))


def train_text(
    net: CharacterNetwork,
    text: Text,
    how: TextTraining,
    *,
    rng: Stream,
    device: str = "cpu",
    checkpoint: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[CharacterNetwork, Rows]:
    """A copy of the network, trained, with the weights that did best on ``text.valid``, on the CPU; and a row for each
    look at that part: ``step, loss, valid, seconds``, in bits per character.

    Raises InputError for a text too short for its streams, and where the loss is no longer finite.
    """
    text.check(how.streams, how.window)
    work = _Training(copy.deepcopy(net).to(device).train(), text.valid.to(device), how)
    first, store = 0, None
    if checkpoint is not None:
        identity = {**asdict(how), "model": asdict(net.model), "text": text.digest, "of": repr(rng)}
        store = Checkpoint(checkpoint, identity)
        if (found := store.read()) is not None:
            first = work.resumed(*found)
    train = text.train.to(device)
    windows: Iterator[tuple[torch.Tensor, torch.Tensor]] = iter(())
    per_epoch = max(1, (len(train) - how.window) // how.streams // how.window)
    with torch.random.fork_rng(devices=card_of(device)):
        for step in range(first, how.steps):
            epoch, place = divmod(step, per_epoch)
            if place == 0 or step == first:
                offset = int(torch.randint(how.window, (1,), generator=rng.child("offset", epoch).torch()))
                windows = islice(streams(train, how.streams, how.window, first=offset), place, None)
                if place == 0:
                    work.h, work.c = work.net.start(how.streams)
            torch.manual_seed(int(torch.randint(2**31, (1,), generator=rng.child("step", step).torch())))
            work.step(step, *next(windows))
            if (step + 1) % how.every == 0 or step + 1 == how.steps:
                work.look(step + 1)
                if store is not None:
                    store.write(step + 1, work.tensors(), work.rows)
            if progress is not None:
                progress(step + 1, how.steps)
    with torch.no_grad():
        for name, one in work.named.items():
            one.copy_(work.best[name])
    return work.net.cpu().eval(), work.rows


class _Training:
    """What changes while a network is trained: weights, optimiser, states of streams, and the best weights so far."""

    def __init__(self, net: CharacterNetwork, valid: torch.Tensor, how: TextTraining) -> None:
        self.net, self.valid, self.how = net, valid, how
        named: dict[str, torch.Tensor] = dict(net.named_parameters())
        matrices = {name: one for name, one in named.items() if one.dim() > 1}
        vectors = {name: one for name, one in named.items() if one.dim() <= 1}
        self.named = {**matrices, **vectors}
        self.optimiser = torch.optim.AdamW(
            [
                {"params": list(matrices.values()), "weight_decay": how.weight_decay},
                {"params": list(vectors.values()), "weight_decay": 0.0},
            ],
            lr=how.learning_rate,
        )
        self.best = self._copy()
        self.h, self.c = net.start(how.streams)
        self.rows, self.since = Rows(), list[torch.Tensor]()
        self.started = time.perf_counter()

    def step(self, number: int, x: torch.Tensor, y: torch.Tensor) -> None:
        """One gradient on the next window of all streams."""
        how, net = self.how, self.net
        for group in self.optimiser.param_groups:
            group["lr"] = how.learning_rate_at(number / how.steps)
        self.optimiser.zero_grad(set_to_none=True)
        with _noisy(net, how.weight_noise):
            states, self.h, self.c = net.read(x, self.h.detach(), self.c.detach())
            found = bits(net.answers(states), y)
            loss = found * math.log(2.0)
            if net.model.projection is not None and how.state_penalty > 0.0:
                loss = loss + how.state_penalty * _beyond(states)
            loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), how.gradient_limit)
        self.optimiser.step()
        _clip(net, how)
        self.since.append(found.detach())

    def look(self, done: int) -> None:
        """Judge the network on the part to choose by, and keep the best one."""
        how, net = self.how, self.net
        mean = float(torch.stack(self.since).mean())
        self.since.clear()
        if not math.isfinite(mean):
            raise InputError(
                f"training: the loss must be finite (got {mean:g} by step {done}); take a smaller learning_rate "
                f"(got {how.learning_rate:g})"
            )
        count = min(how.streams, len(self.valid) // 2)
        net.eval()
        judged = bits_per_character(net, net.start(count), self.valid, count, how.window)
        net.train()
        if not self.rows or judged < min(row["valid"] for row in self.rows):
            self.best = self._copy()
        seconds = time.perf_counter() - self.started
        self.rows.append({"step": done, "loss": mean, "valid": judged, "seconds": seconds})

    def tensors(self) -> dict[str, torch.Tensor]:
        """All that a training goes on from."""
        found = {f"weights/{name}": one for name, one in self.named.items()}
        found |= {f"best/{name}": one for name, one in self.best.items()}
        found |= {"state/h": self.h, "state/c": self.c}
        return found | named_state(self.optimiser, list(self.named))

    def resumed(self, step: int, tensors: dict[str, torch.Tensor], rows: Rows) -> int:
        """Go on from these; the steps that were done."""
        restore(self.net, self.optimiser, list(self.named), tensors)
        self.best = {name: tensors[f"best/{name}"].to(one.device) for name, one in self.named.items()}
        self.h, self.c = tensors["state/h"].to(self.h.device), tensors["state/c"].to(self.c.device)
        self.rows = rows
        return step

    def _copy(self) -> dict[str, torch.Tensor]:
        return {name: one.detach().clone() for name, one in self.named.items()}


@contextmanager
def _noisy(net: torch.nn.Module, share: float) -> Iterator[None]:
    """The same weights with noise, for one gradient."""
    if share == 0.0:
        yield
        return
    matrices = [one for one in net.parameters() if one.dim() > 1]
    kept = [one.detach().clone() for one in matrices]
    with torch.no_grad():
        for one in matrices:
            one.add_(torch.randn_like(one) * (share * one.abs().max()))
    yield
    with torch.no_grad():
        for one, before in zip(matrices, kept, strict=True):
            one.copy_(before)


def _beyond(states: torch.Tensor) -> torch.Tensor:
    """Mean square by which states leave -1 to 1."""
    return (states.abs() - 1.0).clamp_min(0.0).square().mean()


def _clip(net: CharacterNetwork, how: TextTraining) -> None:
    """Clip matrices by their own weights, and the embedding to the largest input, 1."""
    with torch.no_grad():
        net.table.clamp_(-1.0, 1.0)
        if how.clip_sd is not None:
            for one in net.parameters():
                if one.dim() > 1 and one is not net.table:
                    limit = how.clip_sd * one.std(correction=0)
                    one.copy_(torch.maximum(torch.minimum(one, limit), -limit))
