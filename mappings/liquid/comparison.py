"""What a liquid is compared with: the same network on a graphics processor, and the training of all its weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mappings.actions import ActionLedger, Actions
from mappings.liquid.liquid import Reservoir

GpuModel = Literal["op_esgnn", "flop_fp32", "flop_fp16"]
GPU_MODELS: tuple[GpuModel, ...] = ("op_esgnn", "flop_fp32", "flop_fp16")


def gpu_actions(what: Reservoir, outputs: int, *, steps: int, model: GpuModel = "op_esgnn") -> Actions:
    """The same network on a graphics processor: every product of every step, spikes or none.

    ``op_esgnn`` counts a multiply-accumulate as one operation, as the group's spike rule (spikes x fan-out) does.
    """
    ledger, macs = ActionLedger("network"), float(what.parameters * steps + what.neurons * outputs)
    ledger.act("gpu", model, macs * (1.0 if model == "op_esgnn" else 2.0))
    return ledger.close(ops=2.0 * macs)


@dataclass(frozen=True, kw_only=True)
class TrainingCost:
    """Multiply-accumulates of training a read-out on a fixed liquid, and a spiking network of its size through time.

    Parameters
    ----------
    ridge, gradient : read-out alone, solved at once or by epochs of gradient descent, its features at hand
    forward : one pass of all recordings through the liquid, were it computed as dense products
    through_time : the recurrent network and its read-out by back-propagation through time: a forward pass, and twice
        as much for the gradients of states and weights, in every epoch
    """

    ridge: float
    gradient: float
    forward: float
    through_time: float


def training_cost(what: Reservoir, outputs: int, *, steps: int, recordings: int, epochs: int) -> TrainingCost:
    """Multiply-accumulates, element-wise work left out on both sides."""
    n, features = float(recordings), float(what.neurons)
    forward = n * steps * what.rows * features
    readout = n * features * outputs
    return TrainingCost(
        ridge=n * features**2 / 2 + features**3 / 3 + readout + features**2 * outputs,
        gradient=3.0 * epochs * readout,
        forward=forward,
        through_time=3.0 * epochs * (forward + readout),
    )
