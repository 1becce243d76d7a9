"""``from_nir`` and ``to_nir``: spiking networks from and to graphs of NIR.

NIR states differential equations, mho steps. With Euler's step of ``dt_s``, as snnTorch and most others take it,
``tau dv/dt = v_leak - v + r x`` is ``v <- decay v + gain x`` with ``decay = 1 - dt / tau`` and ``gain = r dt / tau``.
What a graph may hold, and why nothing else:

- ``Input``, ``Output``, ``Linear``, ``Affine``, ``LIF``, ``IF`` (a LIF that does not leak) and graphs of these.
- ``v_leak`` and ``v_reset`` are 0: mho's membrane rests at 0 and a spike throws its charge away.
- A cycle runs from a population through one product back to it, and takes one step, as a liquid's does. Longer cycles
  do not say which of their edges takes the step.
- ``CubaLIF`` and ``CubaLI`` have a current that decays by itself and ``LI`` never fires: no circuit of mho does that.
- Convolutions, pools, ``Scale``, ``Delay`` and ``Threshold`` are no part of a liquid or a dense spiking layer.

J. E. Pedersen et al., Nat. Commun. 15, 8122 (2024), doi 10.1038/s41467-024-52259-9.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from configs.bounded import FAULTS, printable, quoted
from configs.errors import InputError
from workloads.network.exchange.nir_file import MISSING, read_nir, write_nir
from workloads.network.exchange.onnx_file import module_name
from workloads.network.exchange.spiking import INPUT, Population, SpikingNetwork, Stage

USUAL_STEP_S = 1e-4
"""The step that snnTorch's export assumes; NIR has no place for one."""
ALLOWED = "Affine, IF, Input, LIF, Linear, NIRGraph, Output"
MOST_NAMED = 25
Edges = list[tuple[str, str]]


def from_nir(source: Path | str | Any, *, dt_s: float | None = None) -> SpikingNetwork:
    """The network of a NIR file, or of a ``nir.NIRGraph``; sub-modules have the names of the graph's nodes.

    ``dt_s``: the step [s], by default what the graph's metadata ``dt`` says, else 1e-4. snnTorch writes the same file
    whatever its neurons' reset is; they are computed here as there for ``reset_mechanism="zero"``, and of its recurrent
    ones for ``reset_delay=False`` beside it, since else those take no input in the step after a spike.

    Raises InputError, one sentence, for a damaged file and for all nodes that mho's neurons do not do, with name, kind
    and reason.
    """
    try:
        import nir  # an optional extra
    except ImportError:
        raise InputError(MISSING) from None
    where = "graph" if isinstance(source, nir.NIRGraph) else printable(str(source))
    graph = source if isinstance(source, nir.NIRGraph) else read_nir(source)
    stated = graph.metadata.get("dt", USUAL_STEP_S) if dt_s is None else dt_s
    try:
        step_s = float(stated)
    except (TypeError, ValueError):
        step_s = -1.0
    if not 0.0 < step_s < float("inf"):
        raise InputError(f"{where}: a step dt above 0 seconds (got {quoted(str(stated))})")
    nodes, edges = _flat(graph, where)
    return _Reader(where, nodes, edges, step_s).network()


def to_nir(network: SpikingNetwork, path: Path | str | None = None, *, dt_s: float = USUAL_STEP_S) -> Any:
    """The ``nir.NIRGraph`` of a network, in steps of ``dt_s`` [s], written to a new file where ``path`` is given.

    The graph's metadata ``dt`` says the step. Raises InputError for a file that is there already, and for a population
    whose membrane is thrown away in every step (a decay of 0 has no time constant longer than a step; it is tau = dt).
    """
    try:
        import nir
    except ImportError:
        raise InputError(MISSING) from None
    nodes: dict[str, Any] = {INPUT: nir.Input(input_type={"input": np.array([network.inputs])})}
    edges: Edges = []
    used = {stage.name for stage in network.stages} | {INPUT}
    output = module_name("output", used)
    for name, module in network.named_children():
        if isinstance(module, Population):
            decay, gain, threshold = (value.numpy() for value in (module.decay, module.gain, module.threshold))
            zero = np.zeros_like(decay)
            if bool((decay == 1.0).all()):
                nodes[name] = nir.IF(r=gain / dt_s, v_threshold=threshold, v_reset=zero)
            elif bool((decay == 1.0).any()):
                raise InputError(f"{name}: a decay below 1 of all neurons, or of none (NIR's LIF has a finite tau)")
            else:
                tau = dt_s / (1.0 - decay)
                nodes[name] = nir.LIF(tau=tau, r=gain * tau / dt_s, v_leak=zero, v_threshold=threshold, v_reset=zero)
        elif isinstance(module, nn.Linear):
            weight = module.weight.detach().numpy()
            bias = None if module.bias is None else module.bias.detach().numpy()
            nodes[name] = nir.Linear(weight=weight) if bias is None else nir.Affine(weight=weight, bias=bias)
    for stage in network.stages:
        edges += [(source, stage.name) for source in stage.sources]
        if stage.recurrent is not None:
            edges += [(stage.name, stage.recurrent), (stage.recurrent, stage.name)]
    nodes[output] = nir.Output(output_type={"output": np.array([network.output_size])})
    edges += [(name, output) for name in network.outputs]
    graph = nir.NIRGraph(nodes=nodes, edges=edges, metadata={"dt": dt_s})
    if path is not None:
        write_nir(graph, path)
    return graph


def _flat(graph: Any, where: str, prefix: str = "") -> tuple[dict[str, Any], Edges]:
    """Nodes by name with graphs within the graph taken apart, and their edges; inner inputs and outputs pass on."""
    nodes: dict[str, Any] = {}
    edges: Edges = []
    ends: dict[str, tuple[list[str], list[str]]] = {}
    for name, node in graph.nodes.items():
        full = f"{prefix}{name}"
        if type(node).__name__ != "NIRGraph":
            nodes[full] = node
            ends[name] = ([full], [full])
            continue
        inner, inside = _flat(node, where, f"{full}.")
        first, last = ([k for k, one in inner.items() if type(one).__name__ == end] for end in ("Input", "Output"))
        for end in (*first, *last):
            sources = [a for a, b in inside if b == end]
            targets = [b for a, b in inside if a == end]
            inner.pop(end)
            inside = [pair for pair in inside if end not in pair]
            if end in first:
                ends[name] = (targets, ends.get(name, ([], []))[1])
            else:
                ends[name] = (ends.get(name, ([], []))[0], sources)
        nodes |= inner
        edges += inside
    for pair in graph.edges:
        source, target = (str(one) for one in pair)
        missing = [one for one in (source, target) if one not in ends]
        if missing:
            raise InputError(f"{where}: edges between nodes of the graph (got {quoted(missing[0])!r})")
        edges += [(a, b) for a in ends[source][1] for b in ends[target][0]]
    return nodes, edges


class _Reader:
    def __init__(self, where: str, nodes: dict[str, Any], edges: Edges, dt_s: float) -> None:
        self.where, self.nodes, self.dt_s = where, nodes, dt_s
        self.edges = list(dict.fromkeys(edges))
        self.refused: list[str] = []

    def network(self) -> SpikingNetwork:
        """All stages in order."""
        modules = {name: module for name, node in self.nodes.items() if (module := self._module(name, node))}
        inputs, outputs = ([k for k, n in self.nodes.items() if type(n).__name__ == end] for end in ("Input", "Output"))
        if len(inputs) != 1 or len(outputs) != 1:
            self.refused.append(f"one Input and one Output (got {len(inputs)} and {len(outputs)})")
        if self.refused:
            more = len(self.refused) - MOST_NAMED
            listed = "; ".join(self.refused[:MOST_NAMED]) + (f"; and {more} more" if more > 0 else "")
            raise InputError(f"{self.where}: nodes that mho's neurons do not do: {listed}")
        recurrent = {
            product: population
            for product, module in modules.items()
            if isinstance(module, nn.Linear)
            for population in modules
            if (population, product) in self.edges and (product, population) in self.edges
        }
        stages = self._ordered(modules, recurrent, inputs[0])
        taken: set[str] = {INPUT}
        names = {name: module_name(name, taken) for name in modules} | {inputs[0]: INPUT}
        size = int(np.prod(np.asarray(self.nodes[inputs[0]].input_type["input"])))
        renamed = [
            Stage(
                names[one.name],
                tuple(names[source] for source in one.sources),
                None if one.recurrent is None else names[one.recurrent],
            )
            for one in stages
        ]
        last = [names[a] for a, b in self.edges if b == outputs[0]]
        try:
            return SpikingNetwork(size, {names[k]: module for k, module in modules.items()}, renamed, last)
        except InputError as error:
            raise InputError(f"{self.where}: {problem}" for problem in error.problems) from None

    def _ordered(self, modules: dict[str, nn.Module], recurrent: dict[str, str], first: str) -> list[Stage]:
        """Stages behind their sources. Raises InputError for a cycle that is not a product around one population."""
        sources = {
            name: [a for a, b in self.edges if b == name and a not in recurrent]
            for name in modules
            if name not in recurrent
        }
        own = {population: [p for p, q in recurrent.items() if q == population] for population in modules}
        for product, population in recurrent.items():
            others = [a for a, b in self.edges if b == product] + [b for a, b in self.edges if a == product]
            if set(others) != {population} or len(own[population]) > 1:
                raise InputError(
                    f"{self.where}: one product around {quoted(population)!r}, which nothing else takes or feeds "
                    f"(got {quoted(product)!r})"
                )
        done, stages = {first}, list[Stage]()
        while len(stages) < len(sources):
            ready = [name for name, given in sources.items() if name not in done and given and set(given) <= done]
            if not ready:
                left = ", ".join(quoted(name) for name in sources if name not in done)
                raise InputError(f"{self.where}: cycles of a population and one product, and sources (left: {left})")
            stages += [Stage(name, tuple(sources[name]), next(iter(own[name]), None)) for name in ready]
            done |= set(ready)
        return stages

    def _module(self, name: str, node: Any) -> nn.Module | None:
        kind = type(node).__name__
        try:
            if kind in ("Linear", "Affine"):
                return self._product(node, kind)
            if kind in ("LIF", "IF"):
                return self._population(node, kind)
            if kind not in ("Input", "Output"):
                raise InputError(f"allowed are {ALLOWED}")
        except FAULTS as error:
            self.refused.append(f"{quoted(name)!r} ({kind}): {quoted(' '.join(str(error).split()), 200)}")
        return None

    def _product(self, node: Any, kind: str) -> nn.Linear:
        weight = _numbers(node.weight, "weight")
        bias = _numbers(node.bias, "bias").reshape(-1) if kind == "Affine" else None
        if weight.ndim != 2 or (bias is not None and len(bias) != len(weight)):
            raise InputError(f"a matrix, and a bias for each row of it (got {tuple(weight.shape)})")
        made = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, device="meta").to_empty(device="cpu")
        with torch.no_grad():
            made.weight.copy_(weight)
            if bias is not None:
                made.bias.copy_(bias)
        return made

    def _population(self, node: Any, kind: str) -> Population:
        names = ("tau", "r", "v_leak", "v_reset", "v_threshold") if kind == "LIF" else ("r", "v_reset", "v_threshold")
        given = {name: _numbers(getattr(node, name), name) for name in names}
        size = max(value.numel() for value in given.values())
        if any(value.numel() != size or value.ndim > 1 for value in given.values()):
            raise InputError("one number of each parameter for each neuron, in one dimension")
        values = {name: value.reshape(-1).double() for name, value in given.items()}
        for name in ("v_leak", "v_reset"):
            if name in values and bool((values[name] != 0.0).any()):
                raise InputError(f"{name} of 0 (got {float(values[name].abs().max()):g})")
        tau = values.get("tau", torch.full((size,), torch.inf, dtype=torch.float64))
        # A tau of one step in single precision may be a little shorter than it.
        if bool((tau < self.dt_s * (1.0 - 1e-6)).any()):
            raise InputError(f"tau of at least a step of {self.dt_s:g} s (got {float(tau.min()):g})")
        decay = (1.0 - self.dt_s / tau).clamp(min=0.0)
        gain = values["r"] * self.dt_s / (tau if kind == "LIF" else 1.0)
        return Population(decay, gain, values["v_threshold"])


def _numbers(value: Any, name: str) -> torch.Tensor:
    """Finite numbers as float32, or float64 where they are that."""
    array = np.asarray(value.detach() if isinstance(value, torch.Tensor) else value)
    if array.dtype.kind not in "iuf" or not array.size:
        raise InputError(f"{name}: numbers (got {array.dtype} of {array.size})")
    if not np.isfinite(array).all():
        raise InputError(f"{name}: finite numbers")
    return torch.from_numpy(array.astype(np.float64 if array.dtype == np.float64 else np.float32))
