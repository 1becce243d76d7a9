"""How well a converted network works: in software, in its formats, and on chips over time, chip by chip."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils._pytree import tree_leaves

from devices import InputError
from mappings.activity import Activity
from mappings.convert.chips import ProgrammedNetwork
from mappings.convert.converted import ConvertedNetwork
from mappings.convert.given import called, iterated, kind_of, of_kind, tensors, whole_number
from workloads.statistics import interval

if TYPE_CHECKING:
    import pandas as pd

Figure = Callable[[Any, Any], float]
Batches = Iterable[tuple[Any, Any]]

QUANTILES = {"p05": 0.05, "median": 0.5, "p95": 0.95}


def accuracy(outputs: torch.Tensor, targets: torch.Tensor) -> float:
    """Share of samples whose largest output is that of their class [1].

    Raises InputError where targets are no classes, one for each set of outputs.
    """
    of_kind("targets", targets, torch.Tensor)
    shape, classes = tuple(outputs.shape[:-1]), outputs.shape[-1]
    if tuple(targets.shape) != shape or targets.is_floating_point():
        got = f"{targets.dtype}, {tuple(targets.shape)}"
        raise InputError(f"targets: must be whole numbers of shape {shape}, one class each (got {got})")
    if targets.numel() and not 0 <= int(targets.min()) <= int(targets.max()) < classes:
        ends = f"{int(targets.min())} to {int(targets.max())}"
        raise InputError(f"targets: must be classes from 0 to {classes - 1} (got {ends})")
    return float((outputs.argmax(-1) == targets).float().mean())


def evaluate(
    net: ConvertedNetwork,
    batches: Batches,
    figures: Mapping[str, Figure] | None = None,
    *,
    chips: int | ProgrammedNetwork = 8,
    times_s: Sequence[float] = (0.0,),
    seed: int = 0,
    reference: torch.nn.Module | None = None,
    activity: dict[str, Activity] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    """One row for each stage, chip and time, with a column for each figure, and whether the chips ``drift``.

    Parameters
    ----------
    batches : ``(inputs, targets)``, a list or an iterable that is gone through once; inputs a tensor or several
    figures : by name, functions of all outputs and all targets; accuracy of classes by default
    chips, seed : how many chips, and which: the same seed gives the same ones, whatever their number; or chips of
        ``net`` that were programmed before
    times_s : times after programming at which the same chips are read [s]
    reference : the network in software that results are compared with; the parameters that ``net`` has by default
    activity : adds up what every layer did at the first time

    Stages: ``software`` (``reference`` in float), ``trained`` (the network's own parameters in float, where a reference
    is given), ``quantised`` (its formats without errors), ``chips``. Where ``drifts`` is False nothing that is read
    changes with time in the model of the cells (not established, or switched off): figures at several times are then
    repeated reads, which tell nothing of ageing. Raises InputError for no batch and for a figure that is not finite.
    """
    of_kind("net", net, ConvertedNetwork)
    figures = {"accuracy": accuracy} if figures is None else figures
    if not isinstance(figures, Mapping) or not figures:
        raise InputError(f"figures: must be one or more functions by name (got {kind_of(figures)})")
    for name, figure in figures.items():
        if not isinstance(name, str):
            raise InputError(f"figures: each must have a name (got {name!r})")
        called(f"figures: {name}", figure, "a function of outputs and targets")
    for what, one, kind in (("reference", reference, torch.nn.Module), ("activity", activity, dict)):
        if one is not None:
            of_kind(what, one, kind)
    if progress is not None:
        called("progress", progress, "a function")
    data = [
        _pair(number, one) for number, one in enumerate(iterated("batches", batches, "pairs of inputs and targets"))
    ]
    if not data:
        raise InputError("batches: at least one (got none)")
    for number, (x, y) in enumerate(data):
        try:
            net.graph.traced.check(x, least=1)
        except InputError as error:
            raise InputError(f"batches[{number}]: {problem}" for problem in error.problems) from None
        strange = [one for one in x if one.is_floating_point() and not bool(one.isfinite().all())]
        if strange:
            raise InputError(f"batches[{number}]: inputs must be finite (got NaN or infinity)")
        size = x[0].shape[net.graph.traced.batch_dim]
        if isinstance(y, torch.Tensor | np.ndarray) and (y.ndim == 0 or len(y) != size):
            raise InputError(f"batches[{number}]: a target for each of {size} samples (got {tuple(y.shape)})")
    times = list(iterated("times_s", times_s, "a list of times"))
    numbers = all(isinstance(t, float | int) and 0.0 <= t < math.inf for t in times)
    if not times or not numbers or sorted(set(times)) != times:
        raise InputError(f"times_s: one or more times from 0 s on, rising (got {times})")
    if not isinstance(chips, int | ProgrammedNetwork):
        raise InputError(f"chips: a whole number, or chips of the network that were programmed (got {chips!r})")
    whole_number("seed", seed)
    if clash := sorted({"stage", "chip", "t_s", "drifts"} & set(figures)):
        raise InputError(f"figures: {', '.join(clash)}: is a column of the table; take another name")
    targets = joined([y for _, y in data])
    rows: list[dict[str, Any]] = []
    read_of = chips.mapped.graph.chips if isinstance(chips, ProgrammedNetwork) else net.chips
    drifts = any(chip.drifts for chip in read_of.values())

    def judged(stage: str, outputs: Any, chip: int, t_s: float) -> None:
        found = {name: _number(name, figure(outputs, targets)) for name, figure in figures.items()}
        strange = [name for name, value in found.items() if not np.isfinite(value)]
        if strange:
            raise InputError(f"figures: {', '.join(strange)}: must be finite (got {found[strange[0]]}, {stage})")
        rows.append({"stage": stage, "chip": chip, "t_s": t_s, **found, "drifts": drifts})

    steps, done = 2 + len(times_s), 0

    def told() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, steps)

    with torch.no_grad():
        own, mine = "software", joined([net.software(*x) for x, _ in data])
        if reference is not None:
            own = "trained"
            judged("software", _of_reference(reference, data, mine), 0, 0.0)
        judged(own, mine, 0, 0.0)
        told()
        net.eval()
        judged("quantised", joined([net(*x) for x, _ in data]), 0, 0.0)
        told()
        programmed = net.program(chips, seed=seed) if isinstance(chips, int) else chips
        for number, t_s in enumerate(times_s):
            read, first, parts = programmed.at(t_s), 0, []
            for x, _ in data:
                parts.append(read(*x, first=first, activity=activity if number == 0 else None))
                first += read.blocks(x)
            outputs = joined(parts, dim=1)
            for chip in range(len(programmed.rng)):
                judged("chips", _of_chip(outputs, chip), chip, float(t_s))
            told()
    import pandas as pd

    return pd.DataFrame(rows)


def _of_reference(reference: torch.nn.Module, data: Sequence[tuple[Any, Any]], like: Any) -> Any:
    """Outputs of another network in software. Raises InputError where it takes other inputs than the one that is judged
    or gives outputs of other sizes, with which nothing could be compared."""
    training = reference.training
    reference.eval()
    try:
        found = joined([reference(*x) for x, _ in data])
    except (RuntimeError, TypeError, ValueError, LookupError) as error:
        first = (str(error).splitlines() or [""])[0]
        raise InputError(
            f"reference: must take the inputs of the network (got {type(error).__name__}: {first})"
        ) from None
    finally:
        reference.train(training)
    sizes = [[tuple(one.shape) for one in tree_leaves(outputs) if torch.is_tensor(one)] for outputs in (found, like)]
    if sizes[0] != sizes[1]:
        wanted, got = (", ".join(map(str, one)) for one in sizes[::-1])
        raise InputError(f"reference: must give outputs of the sizes of the network's, {wanted} (got {got})")
    return found


def _pair(number: int, batch: Any) -> tuple[tuple[torch.Tensor, ...], Any]:
    """Inputs and targets of a batch. Raises InputError for what is no pair, and inputs or targets of another kind."""
    where = f"batches[{number}]"
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        raise InputError(f"{where}: must be a pair of inputs and targets (got {type(batch).__name__})")
    odd = [one for one in tree_leaves(batch[1]) if not isinstance(one, torch.Tensor | np.ndarray)]
    if odd:
        raise InputError(f"{where}: targets must be tensors or arrays (got {type(odd[0]).__name__})")
    return tensors(f"{where}: inputs", batch[0]), batch[1]


def _number(name: str, found: Any) -> float:
    """A figure. Raises InputError for what is no number."""
    try:
        return float(found)
    except (TypeError, ValueError, RuntimeError):
        raise InputError(f"figures: {name}: must give one number (got {type(found).__name__})") from None


def compared(rows: pd.DataFrame, figure: str = "accuracy") -> pd.DataFrame:
    """One row for each time: the chips' mean of a figure with its 95 % interval over chips, whether they drift, their
    quantiles, and every other stage's figure and the mean difference to it with its interval, each chip paired with
    that stage."""
    import pandas as pd

    stages = rows[rows.stage != "chips"].set_index("stage")[figure]
    found = []
    for t_s, part in rows[rows.stage == "chips"].groupby("t_s"):
        values = part[figure].to_numpy()
        mean, low, high = interval(values)
        row = {"t_s": t_s, "chips": len(values), "mean": mean, "low": low, "high": high}
        row |= {"drifts": bool(part["drifts"].any())} if "drifts" in part else {}  # rows may come from elsewhere
        row |= {name: float(np.quantile(values, share)) for name, share in QUANTILES.items()}
        for stage, value in stages.items():
            change, below, above = interval(values - float(value))
            row |= {
                str(stage): float(value),
                f"minus_{stage}": change,
                f"minus_{stage}_low": below,
                f"minus_{stage}_high": above,
            }
        found.append(row)
    return pd.DataFrame(found)


def joined(parts: Sequence[Any], dim: int = 0) -> Any:
    """Outputs or targets of all batches as one tensor, or a tuple of them."""
    if isinstance(parts[0], torch.Tensor):
        return torch.cat(list(parts), dim=dim)
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts, axis=dim)
    return tuple(joined(part, dim) for part in zip(*parts, strict=True))


def _of_chip(outputs: Any, chip: int) -> Any:
    if isinstance(outputs, tuple):
        return tuple(_of_chip(one, chip) for one in outputs)
    return outputs[chip]
