"""Spiking layers as a module of torch: products between populations of leaky integrate-and-fire neurons.

(1) membrane   u <- decay u (1 - s) + gain x,   s = 1 where u > threshold
(2) input      x = what products give in this step, and those of the population itself of its spikes a step ago

It is mho's neuron (``periphery.neurons.lif``) without spread, noise, residue and refractory time, with a decay, a gain
and a threshold of each neuron's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from devices import InputError

INPUT = "input"
"""The name of what goes into a network."""


class Population(nn.Module):
    """Neurons, ``(neurons,)`` of each parameter, in double precision.

    Parameters
    ----------
    decay : share of the membrane that is left after a step [1]
    gain : membrane of one unit of input
    threshold : membrane above which a neuron fires
    """

    def __init__(self, decay: Tensor, gain: Tensor, threshold: Tensor) -> None:
        super().__init__()
        for name, value in (("decay", decay), ("gain", gain), ("threshold", threshold)):
            self.register_buffer(name, value.double())
        self.decay: Tensor
        self.gain: Tensor
        self.threshold: Tensor

    def forward(self, x: Tensor, recurrent: nn.Linear | None = None) -> Tensor:
        """Spikes (batch, steps, neurons), 0 or 1, of ``x`` in that shape, from rest; no gradient passes a threshold."""
        decay, gain, threshold = (value.to(x.dtype) for value in (self.decay, self.gain, self.threshold))
        membrane = spikes = torch.zeros_like(x[:, 0])
        fired = []
        for now in x.unbind(1):
            taken = now if recurrent is None else now + recurrent(spikes)
            membrane = decay * (1.0 - spikes) * membrane + gain * taken
            spikes = (membrane > threshold).to(x.dtype)
            fired.append(spikes)
        return torch.stack(fired, dim=1)


@dataclass(frozen=True)
class Stage:
    """One sub-module of a network: ``sources``, names of the stages whose outputs it adds up, ``INPUT`` among them;
    ``recurrent``, of a population, the name of the product through which it acts on itself a step later."""

    name: str
    sources: tuple[str, ...]
    recurrent: str | None = None


class SpikingNetwork(nn.Module):
    """Products (``nn.Linear``) and populations in order; the sub-modules have the names of the stages.

    Input (batch, steps, inputs), output (batch, steps, outputs), what the stages ``outputs`` give, added up.

    Raises InputError where a stage comes before its source, and where sizes differ.
    """

    def __init__(
        self, inputs: int, modules: Mapping[str, nn.Module], stages: Sequence[Stage], outputs: Sequence[str]
    ) -> None:
        super().__init__()
        self.inputs, self.stages, self.outputs = inputs, tuple(stages), tuple(outputs)
        for name, module in modules.items():
            self.add_module(name, module)
        sizes = {INPUT: inputs}
        for stage in self.stages:
            module = self.get_submodule(stage.name)
            missing = [source for source in stage.sources if source not in sizes]
            if missing or not stage.sources:
                raise InputError(f"{stage.name}: a source before it (got {', '.join(missing) or 'none'})")
            wanted, sizes[stage.name] = _sizes(module)
            pairs = [(source, sizes[source]) for source in stage.sources]
            if stage.recurrent is not None:
                takes, gives = _sizes(self.get_submodule(stage.recurrent))
                pairs.append((stage.recurrent, gives if takes == sizes[stage.name] else 0))
            for source, given in pairs:
                if given != wanted:
                    raise InputError(f"{stage.name}: an input of {wanted} values (got {given} of {source})")
        given_out = {sizes.get(name, 0) for name in self.outputs}
        self.output_size = max(given_out, default=0)
        if len(given_out) != 1:
            raise InputError(f"outputs of one size (got {', '.join(self.outputs) or 'none'})")

    def forward(self, x: Tensor) -> Tensor:
        """What the last stages give in every step of ``x (batch, steps, inputs)``."""
        if x.ndim != 3 or x.shape[2] != self.inputs:
            raise InputError(f"an input of (batch, steps, {self.inputs}) (got {tuple(x.shape)})")
        values = {INPUT: x}
        for stage in self.stages:
            module, given = self.get_submodule(stage.name), self._sum(values, stage.sources)
            if isinstance(module, Population):
                recurrent = None if stage.recurrent is None else self.get_submodule(stage.recurrent)
                values[stage.name] = module(given, recurrent)
            else:
                values[stage.name] = module(given)
        return self._sum(values, self.outputs)

    def _sum(self, values: Mapping[str, Tensor], names: Sequence[str]) -> Tensor:
        found = values[names[0]]
        for name in names[1:]:
            found = found + values[name]
        return found


def _sizes(module: nn.Module) -> tuple[int, int]:
    """Inputs and outputs of a product or a population."""
    if isinstance(module, nn.Linear):
        return module.in_features, module.out_features
    assert isinstance(module, Population)
    return len(module.decay), len(module.decay)
