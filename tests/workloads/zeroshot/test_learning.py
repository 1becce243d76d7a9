"""Projections that learn to mean the same: losses against their definitions, bits, and what carries over."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from devices import Stream
from workloads.zeroshot.learning import Both, Contrastive, Projections, Sense, contrastive_loss, learn, pairs

SEEN, UNSEEN = [0, 1, 2, 3, 4, 5], [6, 7]


def senses(models: int = 2) -> dict[str, Both]:
    """Eight classes that two senses see through different mixtures of the same eight causes."""
    draw = np.random.default_rng(0)
    causes = draw.standard_normal((8, 8))
    mixtures = draw.standard_normal((2, 8, 30))

    def sense(number: int, kinds: list[int], each: int) -> Sense:
        classes = np.repeat(kinds, each)
        rates = (causes[classes] + 0.2 * draw.standard_normal((len(classes), 8))) @ mixtures[number]
        return Sense.of(np.stack([rates] * models), classes)

    return {
        name: Both(sense(0, kinds, 6), sense(1, kinds, 10))
        for name, kinds in {"train": SEEN, "validation": SEEN, "unseen": UNSEEN}.items()
    }


def test_every_sound_gets_a_picture_of_its_class_in_order() -> None:
    found = pairs(np.array([1, 0, 1, 2]), np.array([1, 1, 0, 1, 3]))
    assert found.tolist() == [[1, 2], [0, 0], [2, 1], [0, 3]]


def test_losses_are_what_they_say() -> None:
    draw = torch.Generator().manual_seed(0)
    seen, heard = (torch.randn((1, 4, 3), generator=draw) for _ in range(2))
    classes = torch.tensor([[0, 1, 1, 2]])
    logits = heard[0] @ seen[0].T / 0.5
    rows = torch.nn.functional.cross_entropy(logits, torch.arange(4))
    columns = torch.nn.functional.cross_entropy(logits.T, torch.arange(4))
    clip = contrastive_loss(Contrastive(loss="clip", temperature=0.5), seen, heard, classes)
    assert float(clip) == pytest.approx(float((rows + columns) / 2), rel=1e-5)
    alone = contrastive_loss(Contrastive(loss="supcon", temperature=0.5), seen, heard, torch.tensor([[0, 1, 2, 3]]))
    assert float(alone) == pytest.approx(float(clip), rel=1e-5)
    # Three sounds and pictures of one class: the target is a third each.
    same = contrastive_loss(Contrastive(loss="supcon"), seen, heard, torch.zeros((1, 4), dtype=torch.long))
    logits = heard[0] @ seen[0].T
    by_hand = -(torch.log_softmax(logits, 1).mean() + torch.log_softmax(logits, 0).mean()) / 2
    assert float(same) == pytest.approx(float(by_hand), rel=1e-5)
    targets = torch.softmax((seen[0] @ seen[0].T + heard[0] @ heard[0].T) / 2, -1)
    simple = contrastive_loss(Contrastive(), seen, heard, classes)
    by_pattern = -(targets * torch.log_softmax(logits, 1)).sum(1) - (targets.T * torch.log_softmax(logits.T, 1)).sum(1)
    assert float(simple) == pytest.approx(float(by_pattern.mean() / 2), rel=1e-5)


def test_retrieval_counts_the_nearest_picture() -> None:
    eye = torch.eye(3)[None]
    both = Both(Sense(eye, np.array([0, 1, 2])), Sense(eye[:, [0, 1, 1]], np.array([0, 1, 2])))
    blank = (torch.zeros(1, 1, 3), torch.ones(1, 1, 3))
    held = Projections((5 * eye, 5 * eye), (torch.zeros(1, 1, 3),) * 2, (blank, blank), False)
    assert held.retrieval(both).tolist() == [pytest.approx(2 / 3)]


def test_it_learns_what_it_saw_and_causes_carry_over() -> None:
    data = senses()
    how = Contrastive(loss="supcon", temperature=0.2, batch=30, epochs=25, standardise=True, dimensions=16)
    rngs = [Stream.root(0).child(number) for number in range(2)]
    epochs = learn(how, data["train"], {name: data[name] for name in ("validation", "unseen")}, rngs=rngs)
    chosen = epochs.chosen("validation")
    assert (epochs.at(chosen, "validation") > 0.9).all()
    assert epochs.loss[-1].mean() < epochs.loss[0].mean()
    assert epochs.shares["unseen"].shape == (25, 2)
    # The first of equally good epochs, by validation alone.
    best = epochs.shares["validation"].max(0)
    assert all((epochs.shares["validation"][: chosen[k], k] < best[k]).all() for k in range(2))


def test_a_model_does_not_depend_on_those_beside_it() -> None:
    how = Contrastive(loss="clip", batch=16, epochs=3, dimensions=8)
    root = Stream.root(3)
    several, alone = senses(3), senses(1)
    judged = ("validation", "unseen")
    many = learn(
        how, several["train"], {name: several[name] for name in judged}, rngs=[root.child(k) for k in range(3)]
    )
    one = learn(how, alone["train"], {name: alone[name] for name in judged}, rngs=[root.child(0)])
    assert np.array_equal(many.loss[:, :1], one.loss)
    assert all(np.array_equal(many.shares[name][:, :1], one.shares[name]) for name in judged)
    assert not np.array_equal(many.loss[:, 0], many.loss[:, 1])
