"""The network of an experiment: from an ONNX file, from layers with their weights, or from the user's own function."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError

from configs.bounded import check_regular, expanded, printable, quoted, read_file
from devices import InputError, Stream
from workloads.network.layers import from_layers
from workloads.network.settings import NetworkModel, check_named


@dataclass(frozen=True, eq=False)
class UserNetwork:
    """A network as it was found.

    ``about``: how it was read, for reports; ``example``: its inputs where the user's code gives them; ``trained``:
    whether it came with weights.
    """

    module: torch.nn.Module
    about: str
    example: tuple[torch.Tensor, ...] | None = None
    trained: bool = True


def network_of(
    model: NetworkModel,
    *,
    sizes: Sequence[int] | None = None,
    seed: int = 0,
    module: str | None = None,
    weights: Path | None = None,
) -> UserNetwork:
    """The network that ``model`` names; ``module`` and ``weights`` are options that replace what the settings name.

    ``sizes``: of one sample, for layers; ``seed``: of weights that are drawn. Raises InputError for a file that cannot
    be read, for code that fails, and for weights of other names or shapes.
    """
    draw = Stream.root(seed).child("initial weights").torch()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**31, (1,), generator=draw)))
        if weights is not None and (module is not None or model.layers is None):
            raise InputError(
                "--weights: only a network of model.layers takes a file of weights; others bring their own"
            )
        if module is not None:
            check_named(module)
            return from_function(module, "--module")
        if model.module is not None:
            return from_function(model.module, "model.module")
        if model.onnx is not None:
            from workloads.network.exchange.onnx_graph import from_onnx

            path = expanded(model.onnx)
            return UserNetwork(from_onnx(path), f"model.onnx: {printable(path.name)}")
        assert model.layers is not None
        if sizes is None:
            raise InputError("layers: the sizes of one sample (got none)")
        net = from_layers(model.layers, tuple(sizes))
    file = weights or (None if model.weights is None else expanded(model.weights))
    if file is None:
        return UserNetwork(net, "", trained=False)
    named = "model.weights" if weights is None else "--weights"
    try:
        fill(net, file)
    except InputError as error:
        samples = f"; samples have sizes {', '.join(map(str, sizes))}"
        raise InputError(f"{problem}{samples}" for problem in error.problems) from None
    return UserNetwork(net, f"{named}: {printable(file.name)}")


def fill(net: torch.nn.Module, path: Path) -> None:
    """Put the tensors of a safetensors file into a module of the same names and shapes."""
    where = printable(str(path))
    check_regular(path)
    try:
        tensors = safetensors.torch.load(read_file(path))
    except (SafetensorError, LookupError, AttributeError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{where}: not a readable safetensors file ({error})") from None
    wanted = net.state_dict()
    problems = [f"{where}: {name}: missing" for name in wanted if name not in tensors and not _counter(name)]
    problems += [
        f"{where}: {quoted(name)}: the network has no such tensor ({quoted(', '.join(wanted), 300)})"
        for name in sorted(tensors)
        if name not in wanted
    ]
    for name in sorted(set(wanted) & set(tensors)):
        given, shape = tensors[name], tuple(wanted[name].shape)
        if tuple(given.shape) != shape:
            problems.append(f"{where}: {name}: shape must be {shape} (got {tuple(given.shape)})")
        elif given.is_floating_point() != wanted[name].is_floating_point():
            problems.append(f"{where}: {name}: must be {wanted[name].dtype} (got {given.dtype})")
        elif not bool(given.isfinite().all()):
            problems.append(f"{where}: {name}: values must be finite")
    if problems:
        raise InputError(problems)
    net.load_state_dict(tensors, strict=False)


def _counter(name: str) -> bool:
    """Whether a tensor only counts the batches that a normalisation has seen."""
    return name.endswith("num_batches_tracked")


def from_function(named: str, origin: str) -> UserNetwork:
    """The module that a function of the user's gives, ``FILE.py:FUNCTION``; its file is run.

    ``origin``: the option or key that named it. Raises InputError where there is no such file or function, where it
    fails, with the line of the user's file, and where it gives something else.
    """
    file, _, function = named.rpartition(":")
    path = expanded(file)
    where = f"{origin}: {printable(str(path))}"
    check_regular(path)
    with _on_path(path.resolve().parent), _user_code(path, where):
        spec = importlib.util.spec_from_file_location(f"mho_user_{path.stem}", path)
        assert spec is not None
        assert spec.loader is not None
        code = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = code
        spec.loader.exec_module(code)
        make = getattr(code, function, None)
        if not callable(make):
            raise InputError(f"{where}: has no function {function}")
        found = make()
    example = None
    if isinstance(found, tuple) and len(found) == 2:
        found, given = found
        example = given if isinstance(given, tuple) else (given,)
        if not all(isinstance(one, torch.Tensor) for one in example):
            raise InputError(f"{where}:{function}: beside the module a tensor, or a tuple of them, for an example")
    if not isinstance(found, torch.nn.Module):
        raise InputError(
            f"{where}:{function}: must give a torch.nn.Module, or a module and its inputs (got {type(found).__name__})"
        )
    return UserNetwork(found, f"{origin}: {printable(path.name)}:{function}", example)


@contextmanager
def _on_path(folder: Path) -> Iterator[None]:
    """Let the user's file import what lies beside it."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


@contextmanager
def _user_code(path: Path, where: str) -> Iterator[None]:
    """Turn what the user's code raises into one sentence with its line."""
    try:
        yield
    except InputError:
        raise
    except (Exception, SystemExit) as error:
        lines = [
            one.lineno
            for one in traceback.extract_tb(error.__traceback__)
            if Path(one.filename).resolve() == path.resolve()
        ]
        line = error.lineno if isinstance(error, SyntaxError) else (lines or [None])[-1]
        place = where if line is None else f"{where}:{line}"
        reason = quoted(" ".join(str(error).split()), 300)
        raise InputError(f"{place}: {type(error).__name__}: {reason}") from error


def files_of(model: NetworkModel) -> str:
    """Digest of the files that hold the network, for changes of these to be noticed."""
    code = None if model.module is None else model.module.rpartition(":")[0]
    found = hashlib.sha256()
    for name in (model.onnx, model.weights, code):
        if name is not None:
            found.update(read_file(expanded(name)))
    return found.hexdigest()


def outputs_of(module: torch.nn.Module, x: torch.Tensor, batch: int = 256) -> Any:
    """Outputs of a module in eval mode for all samples."""
    module.eval()
    with torch.no_grad():
        parts: Sequence[Any] = [module(part) for part in x.split(batch)]
    return torch.cat(list(parts)) if isinstance(parts[0], torch.Tensor) else parts[0]
