"""Training in software, then with the chip's codes and normal errors of the weights in the loop.

The second stage trains the converted network in its formats (``mappings.convert``). Its errors have the size of those
of the default variant's cells, or the one stated, for every variant, and not the law of each one's cells
(``mappings.convert.training``), so that one network serves all variants of a number format.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from annotated_types import Ge, Gt, Interval

from devices import Stream
from mappings.chip import Chip
from workloads.kws.chips import on_chip
from workloads.kws.model import KeywordNet
from workloads.kws.variation import Variation, varied
from workloads.running import RunOptions

Share = Annotated[float, Interval(ge=0.0, le=1.0)]
Network = Callable[[torch.Tensor], torch.Tensor]

CALIBRATION = 64
"""Clips by which ranges that follow data are chosen."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage of training: AdamW, the learning rate rising linearly and then falling as a cosine.

    Parameters
    ----------
    steps : gradients taken
    batch : clips of one gradient
    learning_rate : largest learning rate
    warm_up : share of the steps in which it rises [1]
    mixup : share of the clips that are mixed with another one [1]
    """

    steps: Annotated[int, Interval(ge=0, le=10_000_000)]
    batch: Annotated[int, Interval(ge=2, le=1_000_000)] = 128
    learning_rate: Annotated[float, Gt(0.0)] = 0.03
    warm_up: Annotated[float, Interval(ge=0.0, lt=1.0)] = 0.1
    mixup: Share = 0.5


@dataclass(frozen=True, kw_only=True)
class Training:
    """How the network is trained.

    Parameters
    ----------
    software : the first stage, an ordinary network
    aware : the second stage, from the first one's weights, once for every bit width among the variants
    tune_given_weights : whether a network that the user gives (``--weights``) goes through the second stage; otherwise
        the chips hold it as it is
    weight_noise : error of the weights in the second stage, drawn per batch, over the largest weight [1]; None takes
        that of the default variant's cells. One value serves every variant, so that they differ in hardware alone
    weight_limit, output_limit : magnitudes to which the recurrent layer's and the read-out's weights are clipped
    weight_decay : decoupled weight decay (not of biases)
    label_smoothing : share of the target spread over all classes [1]
    gradient_limit : largest norm of a gradient
    variation : how features of a batch are varied, in both stages
    checks : how often in a stage the validation part is asked
    """

    software: Stage = Stage(steps=2500)
    aware: Stage = Stage(steps=400, learning_rate=0.002, warm_up=0.05, mixup=0.0)
    tune_given_weights: bool = False
    weight_noise: Annotated[float, Interval(ge=0.0, le=1.0)] | None = None
    weight_limit: Annotated[float, Gt(0.0)] = 1.0
    output_limit: Annotated[float, Gt(0.0)] = 1.0
    weight_decay: Annotated[float, Ge(0.0)] = 0.05
    label_smoothing: Share = 0.1
    gradient_limit: Annotated[float, Gt(0.0)] = 1.0
    variation: Variation = Variation()
    checks: Annotated[int, Interval(ge=1, le=100_000)] = 10


@dataclass(frozen=True)
class Batches:
    """Training and validation features in [-1, 1], with their classes.

    ``x``: ``(copies, n, steps, inputs)``, float16 to save memory, the first copy being the clips as recorded; ``y``:
    ``(n,)``; validation ``(n, steps, inputs)`` float32.
    """

    x: torch.Tensor
    y: torch.Tensor
    x_validation: torch.Tensor
    y_validation: torch.Tensor

    @property
    def copies(self) -> int:
        """Copies of every clip, the recorded one included."""
        return self.x.shape[0]


@dataclass(frozen=True)
class Aware:
    """What training takes from the hardware.

    Parameters
    ----------
    chip : an ideal one, whose number formats the network computes in
    weight_noise : standard deviation of the weights' error, drawn per batch, over the largest weight of a matrix [1]
    """

    chip: Chip
    weight_noise: float

    def noisy(self, weight: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """A matrix with the errors of one programming."""
        if self.weight_noise == 0.0:
            return weight
        xi = torch.empty_like(weight).normal_(generator=generator)
        return weight + xi * (self.weight_noise * float(weight.detach().abs().max()))


def train(
    net: KeywordNet,
    data: Batches,
    how: Training,
    stage: Stage,
    *,
    aware: Aware | None,
    rng: Stream,
    name: str,
    options: RunOptions,
) -> tuple[KeywordNet, list[dict[str, Any]]]:
    """One stage; returns the network as trained, and a row of the learning curve for every check.

    The last weights are kept: the schedule ends at a learning rate of zero, and neither validation nor test part
    chooses among them. ``aware``: None trains in software, on the device of the ``options``; the network comes back on
    the CPU.
    """
    device = options.device if aware is None else "cpu"
    net = copy.deepcopy(net).to(device)
    rows: list[dict[str, Any]] = []
    if stage.steps == 0:
        return net.cpu(), rows
    weights = [p for p in net.parameters() if p.dim() > 1]
    biases = [p for p in net.parameters() if p.dim() == 1 and p.requires_grad]
    groups = [{"params": weights, "weight_decay": how.weight_decay}, {"params": biases, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=stage.learning_rate)
    draw, noise = rng.child("batches").torch(), rng.child("noise").torch(device)
    computed: torch.nn.Module = net
    if aware is not None:
        limit = float(logits_of(net, data.x_validation).abs().max())
        computed = converted = on_chip(net, aware.chip, features=calibration_of(data), limit=limit)
        for tile in converted.tiles.values():
            tile.disturb = lambda weight: aware.noisy(weight, noise)
    checked = {round((k + 1) * stage.steps / how.checks) for k in range(how.checks)}
    started, loss_sum, counted = time.perf_counter(), 0.0, 0
    for step in range(stage.steps):
        computed.train()
        for group in optimiser.param_groups:
            group["lr"] = stage.learning_rate * learning_rate_share(step / stage.steps, stage.warm_up)
        x, y, other, share = varied(data.x, data.y, stage.batch, how.variation, mixup=stage.mixup, draw=draw)
        x, y, other, share = (tensor.to(device) for tensor in (x, y, other, share))
        optimiser.zero_grad(set_to_none=True)
        log_p = torch.log_softmax(computed(x), dim=1)
        right = torch.lerp(log_p.gather(1, other[:, None]), log_p.gather(1, y[:, None]), share[:, None]).mean()
        loss = -((1.0 - how.label_smoothing) * right + how.label_smoothing * log_p.mean())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), how.gradient_limit)
        optimiser.step()
        net.limit_weights(how.weight_limit, how.output_limit)
        loss_sum, counted = loss_sum + float(loss.detach()), counted + 1
        if step + 1 in checked:
            rows.append(
                {
                    "stage": name,
                    "epoch": round((step + 1) * stage.batch / len(data.y), 3),
                    "loss": loss_sum / counted,
                    "validation_accuracy": accuracy_of(
                        computed.eval(), data.x_validation.to(device), data.y_validation.to(device)
                    ),
                    "seconds": time.perf_counter() - started,
                }
            )
            started, loss_sum, counted = time.perf_counter(), 0.0, 0
            options.progress(f"training, {name}", step + 1, stage.steps)
    return net.cpu(), rows


def learning_rate_share(done: float, warm_up: float) -> float:
    """Linear rise, then half a cosine to zero; ``done`` is the share of the steps behind."""
    if done < warm_up:
        return done / warm_up
    return 0.5 * (1.0 + math.cos(math.pi * (done - warm_up) / (1.0 - warm_up)))


def calibration_of(data: Batches) -> torch.Tensor:
    """The first clips as recorded."""
    return data.x[0, :CALIBRATION].float()


def logits_of(net: Network, x: torch.Tensor, batch: int = 1024) -> torch.Tensor:
    """Logits ``(n, classes)`` without gradients."""
    with torch.no_grad():
        return torch.cat([net(part) for part in x.split(batch)])


def accuracy_of(net: Network, x: torch.Tensor, y: torch.Tensor) -> float:
    """Share of clips whose largest logit is the right one."""
    return float((logits_of(net, x).argmax(1) == y).float().mean())
