"""Training in software, then with the chip's codes and a generic weight noise in the loop."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from annotated_types import Ge, Gt, Interval

from devices import Stream
from mappings.aware import Aware
from workloads.kws.model import KeywordNet
from workloads.result import Progress

Share = Annotated[float, Interval(ge=0.0, le=1.0)]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage of training: Adam with a one-cycle learning rate.

    Parameters
    ----------
    epochs : passes over the training clips and their copies
    batch : clips of one gradient
    learning_rate : peak of the cycle
    """

    epochs: Annotated[int, Ge(0)]
    batch: Annotated[int, Ge(1)] = 128
    learning_rate: Annotated[float, Gt(0.0)] = 5e-3


@dataclass(frozen=True, kw_only=True)
class Training:
    """How the network is trained.

    Parameters
    ----------
    software : the first stage, an ordinary network
    aware : the second stage, from the first one's weights, once for every bit width among the variants
    weight_noise : error of the weights in the second stage, drawn per batch, over the largest weight [1]. One generic
        value serves every device, so that variants differ in hardware alone
    weight_limit : weights and biases are clipped to this magnitude after every step
    weight_decay : decoupled weight decay
    label_smoothing : share of the target spread over all classes [1]
    gradient_limit : largest norm of a gradient
    input_dropout, output_dropout : shares of features and of hidden units dropped in the first stage [1]
    average : decay of the running average of the weights that is kept, per step; 0 keeps the last weights [1]
    """

    software: Stage = Stage(epochs=30)
    aware: Stage = Stage(epochs=6, learning_rate=2e-3)
    weight_noise: Annotated[float, Interval(ge=0.0, le=1.0)] = 0.03
    weight_limit: Annotated[float, Gt(0.0)] = 2.0
    weight_decay: Annotated[float, Ge(0.0)] = 1e-3
    label_smoothing: Share = 0.1
    gradient_limit: Annotated[float, Gt(0.0)] = 1.0
    input_dropout: Share = 0.0
    output_dropout: Share = 0.0
    average: Annotated[float, Interval(ge=0.0, lt=1.0)] = 0.0


@dataclass(frozen=True)
class Batches:
    """Training and validation features ``(n, steps, inputs)`` in [-1, 1], with their classes ``(n,)``."""

    x: torch.Tensor
    y: torch.Tensor
    x_validation: torch.Tensor
    y_validation: torch.Tensor


def train(
    net: KeywordNet,
    data: Batches,
    how: Training,
    stage: Stage,
    *,
    aware: Aware | None,
    rng: Stream,
    name: str,
    progress: Progress,
    device: str = "cpu",
) -> tuple[KeywordNet, list[dict[str, Any]]]:
    """One stage; returns the network of the best validation epoch of its last third, and a row per epoch.

    The validation part decides, never the test part. ``aware``: None trains in software. ``device``: where training
    runs; the network comes back on the CPU.
    """
    net = copy.deepcopy(net).to(device)
    steps = stage.epochs * -(-len(data.y) // stage.batch)
    if steps == 0:
        return net, []
    optimiser = torch.optim.AdamW(net.parameters(), lr=stage.learning_rate, weight_decay=how.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, stage.learning_rate, total_steps=steps)
    loss_of = torch.nn.CrossEntropyLoss(label_smoothing=how.label_smoothing)
    order = rng.child("order").torch()
    noise = rng.child("noise").torch()
    kept = copy.deepcopy(net)
    best, best_accuracy, rows = copy.deepcopy(net), -1.0, []
    for epoch in range(stage.epochs):
        started, total = time.perf_counter(), 0.0
        for pick in torch.randperm(len(data.y), generator=order).split(stage.batch):
            x, y = data.x[pick], data.y[pick]
            if aware is None and how.input_dropout > 0.0:
                x = x * (torch.rand(x.shape, generator=noise) >= how.input_dropout)
            optimiser.zero_grad(set_to_none=True)
            loss = loss_of(net(x, aware, noise), y)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), how.gradient_limit)
            optimiser.step()
            schedule.step()
            net.limit_weights(how.weight_limit)
            with torch.no_grad():
                for average, now in zip(kept.parameters(), net.parameters(), strict=True):
                    average.lerp_(now, 1.0 - how.average)
            total += float(loss.detach()) * len(pick)
        quiet = None if aware is None else Aware(bits=aware.bits, state=aware.state)
        accuracy = accuracy_of(kept, data.x_validation, data.y_validation, quiet)
        if epoch >= stage.epochs - max(1, stage.epochs // 3) and accuracy >= best_accuracy:
            best, best_accuracy = copy.deepcopy(kept), accuracy
        rows.append(
            {
                "stage": name,
                "epoch": epoch,
                "loss": total / len(data.y),
                "validation_accuracy": accuracy,
                "seconds": time.perf_counter() - started,
            }
        )
        progress(f"training, {name}", epoch + 1, stage.epochs)
    return best, rows


def logits_of(net: KeywordNet, x: torch.Tensor, aware: Aware | None = None, batch: int = 1024) -> torch.Tensor:
    """Logits ``(n, classes)`` without gradients."""
    with torch.no_grad():
        return torch.cat([net(part, aware, torch.Generator()) for part in x.split(batch)])


def accuracy_of(net: KeywordNet, x: torch.Tensor, y: torch.Tensor, aware: Aware | None = None) -> float:
    """Share of clips whose largest logit is the right one."""
    return float((logits_of(net, x, aware).argmax(1) == y).float().mean())
