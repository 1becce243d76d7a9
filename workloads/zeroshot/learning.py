"""Two liquids that learn to mean the same: what one sees and the other hears of a digit is projected side by side.

Each liquid's rates are projected into one space. A contrastive loss draws a picture and a sound
of one digit together and others apart; a sound then finds the picture whose projection has the largest product with its
own, also for digits that neither projection has met. Protocol and sizes: N. Lin et al., doi 10.1038/s43588-024-00751-z,
and the authors' scripts. Their loss is not published; ``simple`` is the public pattern that its surroundings follow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import torch
from annotated_types import Gt, Interval
from numpy.typing import NDArray

from devices.streams import Stream

Ints = NDArray[np.int64]
GELU = torch.nn.functional.gelu


@dataclass(frozen=True, kw_only=True)
class Contrastive:
    """How the projections learn; the defaults are the paper's.

    Parameters
    ----------
    dimensions : of the common space
    loss : ``simple``: cross entropy to the softmax of the mean likeness within each sense, the targets learning along;
        ``clip``: each picture belongs to its own sound alone; ``supcon``: to all sounds of its digit. The last two take
        projections of length one
    temperature : by which products are divided in the loss
    learning_rate, batch, epochs : of Adam
    standardise : bring rates to mean 0 and deviation 1 of the training part first
    """

    dimensions: Annotated[int, Interval(ge=2, le=4096)] = 64
    loss: Literal["simple", "clip", "supcon"] = "simple"
    temperature: Annotated[float, Gt(0.0)] = 1.0
    learning_rate: Annotated[float, Gt(0.0)] = 1e-3
    batch: Annotated[int, Interval(ge=2, le=100_000)] = 8
    epochs: Annotated[int, Interval(ge=1, le=10_000)] = 100
    standardise: bool = False

    @property
    def normalised(self) -> bool:
        """Whether projections have length one."""
        return self.loss != "simple"


@dataclass(frozen=True)
class Sense:
    """Rates of one sense, ``features`` (models, n, features), and the ``classes`` (n,) of its recordings."""

    features: torch.Tensor
    classes: Ints

    @classmethod
    def of(cls, features: NDArray[Any] | torch.Tensor, classes: Ints) -> Sense:
        """From features as arrays."""
        return cls(torch.as_tensor(features).float(), classes)

    def select(self, rows: Ints) -> Sense:
        """The recordings of ``rows``."""
        return Sense(self.features[:, torch.from_numpy(rows)], self.classes[rows])


@dataclass(frozen=True)
class Both:
    """What is seen and what is heard, of one part of the data."""

    seen: Sense
    heard: Sense


@dataclass(frozen=True)
class Projections:
    """One layer for each sense and model: ``weights`` (models, features, dimensions) and ``biases`` (models, 1,
    dimensions) of pictures and of sounds, and the moments (models, 1, features) that are taken from rates first."""

    weights: tuple[torch.Tensor, torch.Tensor]
    biases: tuple[torch.Tensor, torch.Tensor]
    moments: tuple[tuple[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
    normalised: bool

    @classmethod
    def start(cls, how: Contrastive, part: Both, rngs: list[Stream]) -> Projections:
        """Untrained projections, each model's drawn from its own stream."""
        weights, biases, moments = [], [], []
        for number, sense in enumerate((part.seen, part.heard)):
            width = sense.features.shape[2]
            bound = width**-0.5
            drawn = torch.empty((len(rngs), width + 1, how.dimensions))
            for model, rng in zip(drawn, rngs, strict=True):
                model.uniform_(-bound, bound, generator=rng.child("projection", number).torch())
            weights.append(drawn[:, :width].clone())
            biases.append(drawn[:, width:].clone())
            mean, deviation = sense.features.mean(1, keepdim=True), sense.features.std(1, keepdim=True)
            blank = torch.zeros_like(mean), torch.ones_like(mean)
            moments.append((mean, deviation.where(deviation > 0, blank[1])) if how.standardise else blank)
        return cls((weights[0], weights[1]), (biases[0], biases[1]), (moments[0], moments[1]), how.normalised)

    def standard(self, number: int, features: torch.Tensor) -> torch.Tensor:
        """Rates of one sense as its layer takes them."""
        mean, deviation = self.moments[number]
        return (features - mean) / deviation

    def layer(self, number: int, standard: torch.Tensor) -> torch.Tensor:
        """Projections (models, n, dimensions) of one sense: 0 of pictures, 1 of sounds."""
        out = GELU(torch.baddbmm(self.biases[number], standard, self.weights[number]))
        return torch.nn.functional.normalize(out, dim=-1) if self.normalised else out

    def retrieval(self, part: Both) -> NDArray[np.float64]:
        """Share of sounds whose nearest picture, by the largest product, shows the digit that is spoken (models,)."""
        with torch.no_grad():
            seen = self.layer(0, self.standard(0, part.seen.features))
            heard = self.layer(1, self.standard(1, part.heard.features))
            nearest = (heard @ seen.transpose(1, 2)).argmax(2).numpy()
        return np.asarray((part.seen.classes[nearest] == part.heard.classes).mean(1), np.float64)


@dataclass(frozen=True)
class Epochs:
    """Retrieval after every epoch, (epochs, models), of each part that was asked for, and the loss (epochs, models)."""

    loss: NDArray[np.float64]
    shares: dict[str, NDArray[np.float64]]

    def chosen(self, by: str) -> Ints:
        """The epoch of each model that does best on the part ``by``, the first of equals (models,)."""
        return np.asarray(self.shares[by].argmax(0), np.int64)

    def at(self, epochs: Ints, part: str) -> NDArray[np.float64]:
        """Retrieval of each model on a part after its epoch (models,)."""
        return np.asarray(self.shares[part][epochs, np.arange(len(epochs))], np.float64)


def pairs(seen: Ints, heard: Ints) -> NDArray[np.int64]:
    """A picture for every sound of the same class, (sounds, 2): by their order, the pictures over again where they run
    out, as there are fewer of them."""
    found = []
    for kind in np.unique(heard):
        sounds, pictures = np.flatnonzero(heard == kind), np.flatnonzero(seen == kind)
        if len(pictures):
            found.append(np.stack([pictures[np.arange(len(sounds)) % len(pictures)], sounds], 1))
    return np.concatenate(found).astype(np.int64) if found else np.zeros((0, 2), np.int64)


def contrastive_loss(how: Contrastive, seen: torch.Tensor, heard: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """Loss of each model, (models,), for projections (models, batch, dimensions) of pairs; classes (models, batch)."""
    logits = heard @ seen.transpose(1, 2) / how.temperature
    if how.loss == "simple":
        alike = (seen @ seen.transpose(1, 2) + heard @ heard.transpose(1, 2)) / 2
        targets = torch.softmax(alike * how.temperature, dim=-1)
    elif how.loss == "clip":
        targets = torch.eye(logits.shape[1]).expand_as(logits)
    else:
        same = (classes[:, :, None] == classes[:, None]).float()
        targets = same / same.sum(-1, keepdim=True)
    by_sound = -(targets * torch.log_softmax(logits, dim=-1)).sum(-1)
    by_picture = -(targets.transpose(1, 2) * torch.log_softmax(logits.transpose(1, 2), dim=-1)).sum(-1)
    return (by_sound + by_picture).mean(-1) / 2


def learn(
    how: Contrastive,
    train: Both,
    judged: dict[str, Both],
    *,
    rngs: list[Stream],
    progress: Callable[[int, int], object] | None = None,
) -> Epochs:
    """Train projections, one model for each stream, side by side, and judge every part after every epoch.

    A model's bits depend on its own stream and features alone.
    """
    projections = Projections.start(how, train, rngs)
    leaves = [*projections.weights, *projections.biases]
    for leaf in leaves:
        leaf.requires_grad_()
    adam = torch.optim.Adam(leaves, lr=how.learning_rate)
    matched = torch.from_numpy(pairs(train.seen.classes, train.heard.classes))
    classes = torch.from_numpy(train.heard.classes)
    ready = projections.standard(0, train.seen.features), projections.standard(1, train.heard.features)
    draws = [rng.child("order").torch() for rng in rngs]
    models = torch.arange(len(rngs))[:, None]
    losses, shares = [], {name: [] for name in judged}  # type: ignore[var-annotated]
    for epoch in range(how.epochs):
        order = torch.stack([torch.randperm(len(matched), generator=draw) for draw in draws])
        total = torch.zeros(len(rngs))
        batches = order.split(how.batch, dim=1)
        for rows in batches:
            pair = matched[rows]
            projected = [projections.layer(number, ready[number][models, pair[..., number]]) for number in (0, 1)]
            loss = contrastive_loss(how, projected[0], projected[1], classes[pair[..., 1]])
            adam.zero_grad()
            loss.sum().backward()
            adam.step()
            total += loss.detach()
        losses.append((total / len(batches)).numpy())
        for name, part in judged.items():
            shares[name].append(projections.retrieval(part))
        if progress:
            progress(epoch + 1, how.epochs)
    return Epochs(np.stack(losses).astype(np.float64), {name: np.stack(found) for name, found in shares.items()})
