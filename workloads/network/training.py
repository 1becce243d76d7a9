"""Training of a network in software, in float; and what an experiment says of training it for its chips."""

from __future__ import annotations

import copy
import math
import time
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal

import torch
from annotated_types import Gt, Interval
from torch.nn.functional import cross_entropy, mse_loss

from devices import Stream
from mappings.convert.training import HardwareTraining
from workloads.experiment import Times
from workloads.running import RunOptions, card_of


@dataclass(frozen=True, kw_only=True)
class SoftwareTraining:
    """AdamW with a learning rate that falls as half a cosine; cross-entropy of classes, squared error of values.

    Parameters
    ----------
    tune_given_weights : whether a network that comes with weights (a file, ONNX, a module) is trained as well;
        otherwise chips hold it as it is
    epochs : passes over the samples to train on
    batch : samples of one gradient
    learning_rate : at the beginning
    weight_decay : decoupled weight decay
    """

    tune_given_weights: bool = False
    epochs: Annotated[int, Interval(ge=1, le=100_000)] = 20
    batch: Annotated[int, Interval(ge=1, le=1_000_000)] = 64
    learning_rate: Annotated[float, Gt(0.0), Interval(le=10.0)] = 3e-3
    weight_decay: Annotated[float, Interval(ge=0.0, le=10.0)] = 1e-2


@dataclass(frozen=True, kw_only=True)
class ChipTraining(HardwareTraining):
    """Training with the formats and the errors of chips, from the weights in software, which are the teacher.

    Parameters
    ----------
    trained_for : ``each`` variant for its own chips, or all for those of the ``default`` variant, to see one network on
        chips that it was not trained for
    checkpoint : folder, relative to the working directory, from which an interrupted training goes on to the same bits
    """

    times_s: Times = (0.0,)
    trained_for: Literal["each", "default"] = "each"
    checkpoint: str | None = None

    def of_figures(self, *, classes: bool) -> HardwareTraining:
        """What ``train_for_hardware`` takes, for figures of classes or of values."""
        how = {each.name: getattr(self, each.name) for each in fields(HardwareTraining)}
        return HardwareTraining(**how | {"outputs": "classes" if classes else "values"})


def loss_of(outputs: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Cross-entropy for whole numbers ``y``, which are classes, else the mean squared error."""
    if y.is_floating_point():
        return mse_loss(outputs, y.to(outputs.dtype))
    return cross_entropy(outputs.flatten(0, -2), y.flatten())


def train(
    module: torch.nn.Module,
    x: torch.Tensor,
    y: torch.Tensor,
    how: SoftwareTraining,
    *,
    rng: Stream,
    options: RunOptions,
) -> tuple[torch.nn.Module, list[dict[str, Any]]]:
    """A copy of the module, trained, on the CPU again, and a row for each epoch."""
    net = copy.deepcopy(module).to(options.device).train()
    x, y = x.to(options.device), y.to(options.device)
    optimiser = torch.optim.AdamW(net.parameters(), lr=how.learning_rate, weight_decay=how.weight_decay)
    draw, rows = rng.child("order").torch(), []
    per_epoch = -(-len(x) // how.batch)
    with torch.random.fork_rng(devices=card_of(options.device)):
        torch.manual_seed(int(torch.randint(2**31, (1,), generator=rng.child("dropout").torch())))
        for epoch in range(how.epochs):
            started, total = time.perf_counter(), 0.0
            for number, chosen in enumerate(torch.randperm(len(x), generator=draw).split(how.batch)):
                done = (epoch * per_epoch + number) / (how.epochs * per_epoch)
                for group in optimiser.param_groups:
                    group["lr"] = how.learning_rate * 0.5 * (1.0 + math.cos(math.pi * done))
                optimiser.zero_grad(set_to_none=True)
                loss = loss_of(net(x[chosen]), y[chosen])
                loss.backward()
                optimiser.step()
                total += float(loss.detach()) * len(chosen)
            row = {"stage": "software", "epoch": epoch + 1, "loss": total / len(x)}
            rows.append(row | {"seconds": time.perf_counter() - started})
            options.progress("training, software", epoch + 1, how.epochs)
    return net.cpu().eval(), rows
