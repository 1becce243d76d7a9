"""From a torch module to a graph of ATen calls, each with the path of the module that made it (``torch.export``)."""

from __future__ import annotations

import contextlib
import copy
import logging
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx
from torch.utils._pytree import tree_leaves, tree_unflatten

from devices import InputError
from mappings.convert.packed import padded


@dataclass(frozen=True)
class Traced:
    """A module as a graph.

    ``graph``: takes and gives tensors one after the other; its parameters and buffers have the module's own names, and
    there is one call for each operation, in eval mode; ``inputs``: how many tensors it takes; ``batch_dim``,
    ``output_batch``: dimension of the batch in these, and in each output; ``structure``: how the outputs are put
    together; ``example``: one sample on the meta device; ``fixed_sizes``: inputs must have its sizes but for the batch.
    """

    graph: fx.GraphModule
    inputs: int
    batch_dim: int
    output_batch: tuple[int, ...]
    structure: Any
    example: tuple[torch.Tensor, ...]
    fixed_sizes: bool = True

    def check(self, x: Sequence[torch.Tensor], *, least: int = 0) -> None:
        """Raise InputError for another number of inputs, for inputs of other sizes than the network was traced for,
        since sizes are part of what was traced, and for fewer samples than ``least``."""
        if len(x) != self.inputs:
            raise InputError(f"inputs: the network takes {self.inputs} (got {len(x)})")
        floats = {each.dtype for each in self.graph.parameters() if each.is_floating_point()}
        for number, (one, like) in enumerate(zip(x, self.example, strict=True)):
            if not isinstance(one, torch.Tensor):
                raise InputError(f"input {number}: must be a tensor (got {type(one).__name__})")
            if like.is_floating_point() and one.dtype not in (like.dtype, *floats):
                raise InputError(f"input {number}: must be {like.dtype} as the example is (got {one.dtype})")
            sizes = [list(each.shape) for each in (one, like)]
            fits = len(sizes[0]) == len(sizes[1])
            for shape in sizes:
                shape[self.batch_dim : self.batch_dim + 1] = []
            if not fits or (self.fixed_sizes and sizes[0] != sizes[1]):
                wanted = [*like.shape[: self.batch_dim], "batch", *like.shape[self.batch_dim + 1 :]]
                raise InputError(
                    f"input {number}: must have the sizes of the example, ({', '.join(map(str, wanted))}) "
                    f"(got {tuple(one.shape)})"
                )
            if one.shape[self.batch_dim] < least:
                raise InputError(f"input {number}: must have at least {least} sample (got {tuple(one.shape)})")

    def together(self, outputs: Sequence[torch.Tensor]) -> Any:
        """Outputs in the structure in which the module gives them."""
        return tree_unflatten(list(outputs), self.structure)


def traced(module: torch.nn.Module, example: Sequence[torch.Tensor], *, batch_dim: int = 0) -> Traced:
    """Trace ``module`` in eval mode on ``example``: tensors with the batch in dimension ``batch_dim``, of any size.

    Raises InputError where the module fails on the example, where what it computes depends on the values of tensors or
    on the size of the batch, and where an output is no tensor or has no batch; each with the path in the module.
    """
    if not isinstance(module, torch.nn.Module):
        raise InputError(f"module: must be a torch module (got {type(module).__name__})")
    if isinstance(batch_dim, bool) or not isinstance(batch_dim, int) or batch_dim < 0:
        raise InputError(f"batch_dim: a whole number of at least 0 (got {batch_dim!r})")
    module = copy.deepcopy(module).eval()
    check_parameters(module)
    example = tuple(_batched(one, batch_dim) for one in example)
    place = _Place(module)
    with place, torch.no_grad(), _quiet():
        try:
            module(*example)
        except Exception as error:
            raise InputError(f"{place}: the module fails on the example: {_first_line(error)}") from error
        try:
            shapes = tuple({batch_dim: torch.export.Dim.DYNAMIC} for _ in example)
            with padded():
                exported = torch.export.export(module, example, dynamic_shapes=shapes, strict=False)
        except Exception as error:
            raise InputError(f"{place}: {_why(error)}") from error
        found = exported.run_decompositions({}).module(check_guards=False)
    assert isinstance(found, fx.GraphModule)
    found.graph.set_codegen(fx.graph.CodeGen())
    for node in found.graph.find_nodes(op="call_function", target=torch.ops.aten._assert_tensor_metadata.default):
        found.graph.erase_node(node)  # what the exporter notes beside a change of type; it computes nothing
    graph = fx.GraphModule(found, found.graph)
    one = tuple(tensor.narrow(batch_dim, 0, 1).to("meta") for tensor in example)
    few = [tensor.narrow(batch_dim, 0, 2) for tensor in example]
    with _quiet():
        dims = _batch_dims(graph, few, batch_dim)
    return Traced(graph, len(example), batch_dim, dims, exported.call_spec.out_spec, one)


def path_of(node: fx.Node) -> str:
    """Path of the module in which a call stands, empty for the network itself."""
    stack = [path for path, _ in node.meta.get("nn_module_stack", {}).values() if not path.startswith("_")]
    return stack[-1].removeprefix("L['self'].") if stack else ""


def check_parameters(module: torch.nn.Module) -> None:
    """Raise InputError where a parameter or buffer is not finite, with all of their names."""
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    strange = [
        name for name, one in tensors.items() if not one.is_meta and one.is_floating_point() and not _finite(one)
    ]
    if strange:
        raise InputError([f"{name}: values must be finite" for name in strange])


def _finite(tensor: torch.Tensor) -> bool:
    return bool(tensor.detach().isfinite().all())


def _batched(one: torch.Tensor, batch_dim: int) -> torch.Tensor:
    """An example of two samples at least, since sizes of one are taken as fixed."""
    if not isinstance(one, torch.Tensor) or one.dim() <= batch_dim or one.shape[batch_dim] < 1:
        shape = tuple(one.shape) if isinstance(one, torch.Tensor) else type(one).__name__
        raise InputError(f"example: a tensor with a batch in dimension {batch_dim} (got {shape})")
    if one.shape[batch_dim] > 1:
        return one.detach()
    return torch.cat([one.detach()] * 2, dim=batch_dim)


class _Place:
    """Where in a module its forward pass is: the path of the innermost module that has begun and not ended."""

    def __init__(self, module: torch.nn.Module) -> None:
        self.module, self.open, self.hooks = module, list[str](), list[Any]()

    def __enter__(self) -> _Place:
        for name, one in self.module.named_modules():
            label = name or type(self.module).__name__
            self.hooks.append(one.register_forward_pre_hook(lambda *_, label=label: self.open.append(label)))
            self.hooks.append(one.register_forward_hook(lambda *_: self.open.pop() and None))
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self.hooks:
            hook.remove()

    def __str__(self) -> str:
        return self.open[-1] if self.open else type(self.module).__name__


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the logs of the exporter, and with the attention of torch in the form of its parts."""
    fast, before = torch.backends.mha.get_fastpath_enabled(), logging.root.manager.disable
    torch.backends.mha.set_fastpath_enabled(False)
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(None), contextlib.redirect_stderr(None):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
        torch.backends.mha.set_fastpath_enabled(fast)


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _why(error: Exception) -> str:
    """What the exporter refuses, in words."""
    text = str(error)
    if "data-dependent" in text or "unbacked" in text:
        return (
            "what is computed must not depend on the values of tensors (an if, a loop or an index that does); chips "
            "have one fixed schedule"
        )
    if "specialized" in text or "Constraints violated" in text:
        return "shapes must follow the size of the batch (got a size that is fixed, such as view(2, ...) or a loop)"
    return f"torch.export cannot trace it: {_first_line(error)}"


def outputs_of(graph: fx.Graph) -> list[fx.Node]:
    """Nodes whose values a graph gives, in order."""
    (output,) = (node for node in graph.nodes if node.op == "output")
    found: list[fx.Node] = []
    fx.map_arg(output.args, found.append)
    return found


def _batch_dims(graph: fx.GraphModule, example: Sequence[torch.Tensor], batch_dim: int) -> tuple[int, ...]:
    """Dimension of the batch in every output: the one that is 2 for two samples, and 3 for three.

    Sizes are those of outputs that were computed: what the exporter notes beside a call is at times wrong (torch 2.11,
    of ``select``). Raises InputError for an output without, and for one that is no tensor.
    """
    (output,) = graph.graph.find_nodes(op="output")
    given = tree_leaves(output.args)
    strange = [f"output {number}" for number, one in enumerate(given) if not isinstance(one, fx.Node)]
    if strange or not given:
        what = "None or a number" if given else "none"
        raise InputError(f"{', '.join(strange) or 'outputs'}: must be a tensor that the module computes (got {what})")
    shapes = []
    for count in (2, 3):
        whole = [torch.cat([one, one.narrow(batch_dim, 0, 1)], dim=batch_dim) for one in example]
        with torch.no_grad():
            shapes.append(
                [one.shape for one in tree_leaves(graph(*(one.narrow(batch_dim, 0, count) for one in whole)))]
            )
    found: list[int] = []
    for two, three in zip(*shapes, strict=True):
        batch = [dim for dim, sizes in enumerate(zip(two, three, strict=True)) if sizes == (2, 3)]
        if not batch:
            raise InputError(
                f"output {len(found)}: must have the batch as a dimension (got {tuple(two)} for 2 samples)"
            )
        found.append(batch[0])
    return tuple(found)
