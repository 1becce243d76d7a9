"""Hardware-aware training of a converted network: in the chip's formats, with the errors of its cells in the weights.

Every step takes the network in its formats with straight-through gradients and, for every layer, the weights as one
freshly written chip holds them at a time drawn for the step (``mappings.convert.disturbance``). The loss may follow a
teacher, as a rule the network in software: with outputs ``y`` and ``y'`` of network and teacher,

    L = (1 - a) loss(y, target) + a T^2 KL(softmax(y' / T) || softmax(y / T))      (classes; values: mean (y - y')^2)

(Hinton et al., arXiv:1503.02531). Weights are clipped at a multiple of their matrix's standard deviation, so that the
few largest do not set the scale on which all others err (Joshi et al., Nat. Commun. 11, 2473 (2020), doi
10.1038/s41467-020-16108-9, clip at 2).

All that is random is named by seed and step. A training that was interrupted goes on from its checkpoint to the same
bits, on the same machine and number of threads.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import torch
from annotated_types import Ge, Gt, Interval
from pydantic import ConfigDict, TypeAdapter, ValidationError
from torch.nn.functional import kl_div, log_softmax, mse_loss
from torch.utils._pytree import tree_leaves, tree_map

from devices import InputError, Stream
from mappings.convert.batches import Batches, BatchSource
from mappings.convert.checkpoint import Checkpoint, Rows, named_state, network_digest, restore
from mappings.convert.converted import ConvertedNetwork
from mappings.convert.disturbance import Disturbance
from mappings.convert.given import called, of_kind, tensors, whole_number

WORDS = {
    **{"Input should be": "must be", "greater than or equal to": "at least", "less than or equal to": "at most"},
    **{"greater than": "above", "less than": "below", "a valid integer": "a whole number", "valid ": ""},
}
"""Of pydantic, in those of other messages."""
Loss = Callable[[Any, Any], torch.Tensor]
Teacher = Callable[..., Any]
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True)
class HardwareTraining:
    """How a converted network is trained for its chip.

    Parameters
    ----------
    steps, epochs : gradients taken, or passes over the data; one of the two
    batch : samples of one gradient, where the data are whole tensors
    optimiser : ``adamw``, or ``sgd`` with ``momentum``
    learning_rate : largest learning rate; it rises linearly over ``warm_up`` of the steps, then falls as a cosine to 0
    weight_decay : decoupled for ``adamw``; of matrices alone
    gradient_limit : largest norm of a gradient, or None
    teacher_weight : share of the loss that follows the teacher, where there is one [1]
    temperature : of the softmax of both, for ``outputs: classes`` (in the last dimension) [1]
    clip_sd : weights of a matrix are clipped at so many of their standard deviations, at least 1, or all weights shrink
        with every step; or None; an estimate [1]
    clip_quantile : or at this quantile of their size, or None [1]
    noise : multiplies the errors of the cells; 0 trains with the formats alone [1]
    times_s : the time after writing is drawn between the first and the last of these, evenly in log(1 s + t) [s]
    every : steps from one checkpoint, and one row of the learning curve, to the next
    """

    steps: Annotated[int, Interval(ge=1, le=10_000_000)] | None = None
    epochs: Annotated[float, Interval(gt=0.0, le=1e6)] | None = None
    batch: Annotated[int, Interval(ge=1, le=1_000_000)] = 128
    optimiser: Literal["adamw", "sgd"] = "adamw"
    learning_rate: Annotated[float, Gt(0.0)] = 1e-3
    warm_up: Annotated[float, Interval(ge=0.0, lt=1.0)] = 0.05
    momentum: Annotated[float, Interval(ge=0.0, lt=1.0)] = 0.9
    weight_decay: Annotated[float, Ge(0.0)] = 0.0
    gradient_limit: Annotated[float, Gt(0.0)] | None = 1.0
    teacher_weight: Annotated[float, Interval(ge=0.0, le=1.0)] = 0.5
    temperature: Annotated[float, Gt(0.0)] = 2.0
    outputs: Literal["classes", "values"] = "classes"
    clip_sd: Annotated[float, Ge(1.0)] | None = 2.5
    clip_quantile: Annotated[float, Interval(gt=0.5, le=1.0)] | None = None
    noise: Annotated[float, Interval(ge=0.0, le=100.0)] = 1.0
    times_s: tuple[Annotated[float, Ge(0.0)], ...] = (0.0,)
    every: Annotated[int, Interval(ge=1, le=10_000_000)] = 100

    def __post_init__(self) -> None:
        """Refuse, with ValueError, what cannot be trained by: whatever a file may not say either."""
        times: Any = self.times_s
        if isinstance(times, list):
            object.__setattr__(self, "times_s", tuple(times))
        kind: type = type(self)
        for name, adapter in _settings(kind).items():
            try:
                adapter.validate_python(getattr(self, name), strict=True)
            except ValidationError as error:
                said = " or ".join(dict.fromkeys(each["msg"] for each in error.errors()))
                for theirs, ours in WORDS.items():
                    said = said.replace(theirs, ours)
                raise ValueError(f"{name}: {said} (got {getattr(self, name)!r})") from None
        if (self.steps is None) == (self.epochs is None):
            raise ValueError(f"steps: give steps or epochs (got {'neither' if self.steps is None else 'both'})")
        if self.clip_sd is not None and self.clip_quantile is not None:
            raise ValueError("clip_quantile: weights are clipped by clip_sd or by clip_quantile: set clip_sd to null")
        if not self.times_s:
            raise ValueError("times_s: at least one time (got none)")

    def steps_of(self, per_epoch: int | None) -> int:
        """Gradients taken; raises InputError for epochs of data whose number of batches is not known."""
        if self.steps is not None:
            return self.steps
        assert self.epochs is not None
        if per_epoch is None:
            raise InputError("epochs: these batches have no known number; give steps")
        return max(1, round(self.epochs * per_epoch))

    def learning_rate_at(self, share: float) -> float:
        """Learning rate after this share of the steps."""
        if share < self.warm_up:
            return self.learning_rate * share / self.warm_up
        fallen = (share - self.warm_up) / (1.0 - self.warm_up)
        return self.learning_rate * 0.5 * (1.0 + math.cos(math.pi * fallen))

    def made(self, net: torch.nn.Module) -> torch.optim.Optimizer:
        """The optimiser of all parameters that are trained; matrices decay, the rest does not."""
        trained = [one for one in net.parameters() if one.requires_grad]
        groups = [
            {"params": [one for one in trained if one.dim() > 1], "weight_decay": self.weight_decay},
            {"params": [one for one in trained if one.dim() <= 1], "weight_decay": 0.0},
        ]
        if self.optimiser == "sgd":
            return torch.optim.SGD(groups, lr=self.learning_rate, momentum=self.momentum)
        return torch.optim.AdamW(groups, lr=self.learning_rate)


@lru_cache
def _settings(of: type) -> dict[str, TypeAdapter[Any]]:
    """What each setting may be, by its annotation."""
    finite = ConfigDict(allow_inf_nan=False)
    return {name: TypeAdapter(hint, config=finite) for name, hint in get_type_hints(of, include_extras=True).items()}


def train_for_hardware(
    net: ConvertedNetwork,
    batches: Batches,
    loss: Loss,
    how: HardwareTraining,
    *,
    teacher: Teacher | None = None,
    seed: int = 0,
    checkpoint: Path | str | None = None,
    progress: Progress | None = None,
) -> Rows:
    """Train ``net``, in place, for the chips that it is on; the rows of its learning curve.

    Parameters
    ----------
    net : ranges stay as calibrated, and the network may lean on what they clip: afterwards choose nothing but what
        follows data anew, by ``calibrate(..., ranges=False)``
    batches : a function of the step, a list of ``(inputs, target)``, or one pair of whole tensors; without a
        ``checkpoint`` any iterable of ``(inputs, target)``. Inputs are a tensor or several
    loss : of the outputs and the target, one number
    teacher : gives outputs for the same inputs, as a rule the module that was converted
    checkpoint : folder for a file from which an interrupted training goes on, by the same call, to the same bits; the
        caller sees to it that data, loss and teacher are the same
    progress : called with the words ``training``, steps done and steps in all

    Raises InputError for settings, batches and checkpoints that do not fit, and where loss or gradient are no longer
    finite; a checkpoint then is the last one before.
    """
    of_kind("net", net, ConvertedNetwork)
    of_kind("how", how, HardwareTraining)
    called("loss", loss, "a function of outputs and target")
    for name, function in (("teacher", teacher), ("progress", progress)):
        if function is not None:
            called(name, function, "a function or a module")
    if checkpoint is not None and not isinstance(checkpoint, str | Path):
        raise InputError(f"checkpoint: must be the path of a folder (got {type(checkpoint).__name__})")
    rng = Stream.root(whole_number("seed", seed)).child("hardware training")
    place = next(net.parameters()).device
    source = BatchSource.of(batches, how.batch, batch_dim=net.graph.traced.batch_dim, rng=rng.child("batches"))
    steps = how.steps_of(source.per_epoch)
    if checkpoint is not None and not source.by_step:
        raise InputError("batches: with a checkpoint they must be a list or a function of the step, to go on from it")
    if not any(one.requires_grad for one in net.parameters()):
        raise InputError("net: at least one parameter must be trained (got requires_grad=False of all)")
    optimiser = how.made(net)
    names = _names(net, optimiser)
    store, first, rows = None, 0, Rows()
    if checkpoint is not None:
        settings = {**asdict(how), "steps": steps, "seed": seed, "teacher": teacher is not None}
        if untrained := [name for name, one in net.named_parameters() if not one.requires_grad]:
            settings["untrained"] = untrained
        store = Checkpoint(Path(checkpoint).expanduser(), {"network": network_digest(net, net.chips), **settings})
        first, rows = _resumed(store, net, optimiser, names)
    errors = None
    if how.noise > 0.0:
        errors = Disturbance.of(net.chips, how.times_s, scale=how.noise, rng=rng.child("errors"), device=place)
    modes = {one: one.training for one in (net, teacher) if isinstance(one, torch.nn.Module)}
    since = list[float]()
    net.train()
    if isinstance(teacher, torch.nn.Module):
        teacher.eval()
    try:
        for step in range(first, steps):
            for group in optimiser.param_groups:
                group["lr"] = how.learning_rate_at(step / steps)
            if errors is not None:
                for name, disturb in errors.drawn(step).items():
                    net.tiles[name].disturb = disturb
            inputs, target = _pair(source.of_step(step), place)
            found = _total(net, inputs, target, loss, how, teacher)
            optimiser.zero_grad(set_to_none=True)
            found.backward()
            limit = math.inf if how.gradient_limit is None else how.gradient_limit
            norm = float(torch.nn.utils.clip_grad_norm_(net.parameters(), limit))
            since.append(float(found.detach()))
            if not (math.isfinite(since[-1]) and math.isfinite(norm)):
                kept = f"; {store.file} has the last step before" if store is not None and store.file.exists() else ""
                raise InputError(
                    f"training: loss and gradient must be finite (got {since[-1]:g} and {norm:g} in step {step + 1}); "
                    f"take a smaller learning_rate (got {how.learning_rate:g}){kept}"
                )
            optimiser.step()
            _clip(net, how)
            if (step + 1) % how.every == 0 or step + 1 == steps:
                rows.append({"step": step + 1, "loss": math.fsum(since) / len(since)})
                since.clear()
                if store is not None:
                    weights = {f"weights/{name}": one for name, one in net.named_parameters()}
                    store.write(step + 1, {**weights, **named_state(optimiser, names)}, rows)
            if progress is not None:
                progress("training", step + 1, steps)
    finally:
        for tile in net.tiles.values():
            tile.disturb = None
        for one, training in modes.items():
            one.train(training)
    return rows


def _names(net: torch.nn.Module, optimiser: torch.optim.Optimizer) -> list[str]:
    """Names of parameters in the order of the optimiser."""
    named = {one: name for name, one in net.named_parameters()}
    return [named[one] for group in optimiser.param_groups for one in group["params"]]


def _resumed(
    store: Checkpoint, net: torch.nn.Module, optimiser: torch.optim.Optimizer, names: list[str]
) -> tuple[int, Rows]:
    """Steps done and rows of the checkpoint, whose weights and optimiser are put back; 0 where there is none."""
    found = store.read()
    if found is None:
        return 0, []
    step, tensors, rows = found
    try:
        restore(net, optimiser, names, tensors)
    except (KeyError, ValueError, RuntimeError) as error:
        raise InputError(f"{store.file}: must be a whole checkpoint of this training ({error}); delete it") from None
    return step, rows


def _pair(batch: Any, place: torch.device) -> tuple[tuple[torch.Tensor, ...], Any]:
    """Inputs and target of a batch, on this device; raises InputError for anything but a pair."""
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        raise InputError(f"batches: each must be a pair of inputs and target (got {type(batch).__name__})")
    inputs, target = tree_map(lambda one: one.to(place) if isinstance(one, torch.Tensor) else one, tuple(batch))
    return tensors("batches: inputs", inputs), target


def _first(outputs: Any) -> torch.Tensor:
    """The first tensor that a network or a teacher gives; raises InputError where there is none."""
    found = [one for one in tree_leaves(outputs) if isinstance(one, torch.Tensor)]
    if not found:
        raise InputError(f"teacher: must give a tensor, or several (got {type(outputs).__name__})")
    return found[0]


def _total(
    net: ConvertedNetwork,
    inputs: Sequence[torch.Tensor],
    target: Any,
    loss: Loss,
    how: HardwareTraining,
    teacher: Callable[..., Any] | None,
) -> torch.Tensor:
    """Loss of one batch, the teacher's part included."""
    outputs = net(*inputs)
    if teacher is None or how.teacher_weight == 0.0:
        return _number(loss(outputs, target))
    with torch.no_grad():
        wanted = _first(teacher(*inputs))
    if wanted.shape != _first(outputs).shape:
        raise InputError(
            f"teacher: must give outputs of the network's sizes, {tuple(_first(outputs).shape)} "
            f"(got {tuple(wanted.shape)})"
        )
    followed = distance(_first(outputs), wanted, how)
    if how.teacher_weight == 1.0:
        return followed
    return (1.0 - how.teacher_weight) * _number(loss(outputs, target)) + how.teacher_weight * followed


def _number(found: Any) -> torch.Tensor:
    """A loss; raises InputError for what no gradient can be taken of."""
    if not isinstance(found, torch.Tensor) or found.numel() != 1 or not found.requires_grad:
        size = f" of shape {tuple(found.shape)}" if isinstance(found, torch.Tensor) else ""
        apart = ", without a gradient" if isinstance(found, torch.Tensor) and not found.requires_grad else ""
        got = f"{type(found).__name__}{size}{apart}"
        raise InputError(f"loss: must give one number that depends on the outputs, as a tensor (got {got})")
    return found.reshape(())


def distance(outputs: torch.Tensor, wanted: torch.Tensor, how: HardwareTraining) -> torch.Tensor:
    """How far outputs are from those of a teacher."""
    if how.outputs == "values":
        return mse_loss(outputs, wanted)
    here, there = (log_softmax(one / how.temperature, dim=-1) for one in (outputs, wanted))
    apart = kl_div(here, there, reduction="none", log_target=True).sum(-1).mean()
    return apart * how.temperature**2


def _clip(net: ConvertedNetwork, how: HardwareTraining) -> None:
    """Clip every matrix of the layers on tiles by its own weights."""
    if how.clip_sd is None and how.clip_quantile is None:
        return
    with torch.no_grad():
        held = [one for tile in net.tiles.values() for one in tile.parameters()]
        for one in (one for one in held if one.requires_grad and one.dim() > 1):
            if how.clip_sd is not None:
                limit = one.std(correction=0) * how.clip_sd
            else:
                assert how.clip_quantile is not None
                limit = one.abs().flatten().kthvalue(max(1, round(how.clip_quantile * one.numel()))).values
            one.copy_(torch.maximum(torch.minimum(one, limit), -limit))
