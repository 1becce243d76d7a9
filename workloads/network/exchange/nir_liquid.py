"""Liquids as spiking networks, and back: what of a liquid NIR can say, and which networks are a liquid.

A liquid is one population with a product of its inputs, a product around itself, and a read-out behind it. Its network
holds weights, decay, gain and thresholds, of one chip at one time. NIR knows no read noise, no converter and no
supply: they are left out, and a liquid with a residue or a refractory time is refused. Back from NIR the weights are
those of a liquid in software (``MappedLiquid.software``): mho's cells bring random weights, no chosen ones.
"""

from __future__ import annotations

import torch
from torch import nn

from configs.errors import InputError
from mappings.liquid.chip import LiquidChip
from mappings.liquid.liquid import ProgrammedLiquid, Reservoir
from periphery.neurons.lif import LIF, Neurons
from workloads.lsm.readout import Trained
from workloads.network.exchange.spiking import INPUT, Population, SpikingNetwork, Stage


def network_of(
    liquid: ProgrammedLiquid, readout: Trained | None = None, *, chip: int = 0, t_s: float = 0.0
) -> SpikingNetwork:
    """The network of one chip of a liquid ``t_s`` seconds after forming, with the means of its weights.

    The output is the spikes, or with a read-out its scores of every step, whose mean over steps are those of the rates.
    Raises InputError for neurons that NIR has none of.
    """
    how, design = liquid.mapped.reservoir, liquid.neurons.design
    if design.residue or design.refractory_steps:
        raise InputError("neuron: no residue and no refractory_steps (NIR's neurons have neither)")
    read = liquid.at(t_s)
    weights = read.rows[chip] if liquid.cells is None or liquid.membranes is not None else None
    if weights is None:
        weights = read.wiring.differences(read.rows[chip])
    constant = read.bias_uS[chip]
    modules: dict[str, nn.Module] = {
        "w_in": _product(weights[: how.inputs].T, constant if bool(constant.any()) else None),
        "w_rec": _product(weights[how.inputs :].T),
        "neurons": _population(liquid.neurons, chip, how.gain_per_uS),
    }
    stages = [Stage("w_in", (INPUT,)), Stage("neurons", ("w_in",), "w_rec")]
    if readout is not None:
        modules["readout"] = _product(torch.from_numpy(readout.weights), torch.from_numpy(readout.bias))
        stages.append(Stage("readout", ("neurons",)))
    return SpikingNetwork(how.inputs, modules, stages, (stages[-1].name,))


def liquid_of(network: SpikingNetwork, chip: LiquidChip | None = None) -> tuple[ProgrammedLiquid, Trained | None]:
    """The liquid, in software, that a network is, and its read-out where it has one; ``chip`` by which it is priced.

    Raises InputError where the network is no input product, population with a product around it and read-out, has a
    constant input, or neurons of more than one decay or gain.
    """
    stages = network.stages
    kinds = [type(network.get_submodule(stage.name)) for stage in stages]
    chain = [stage.sources for stage in stages] == [(INPUT,), *((stage.name,) for stage in stages[:-1])]
    if kinds[:2] != [nn.Linear, Population] or kinds[2:] not in ([], [nn.Linear]) or not chain:
        raise InputError(
            "a liquid is a product of the inputs, one population with a product around it, and at most a read-out "
            f"(got {', '.join(stage.name for stage in stages)})"
        )
    if stages[1].recurrent is None or network.outputs != (stages[-1].name,):
        raise InputError(f"{stages[1].name}: a product from the population to itself, and one output (got none)")
    first, around = (network.get_submodule(name) for name in (stages[0].name, stages[1].recurrent))
    population = network.get_submodule(stages[1].name)
    assert isinstance(first, nn.Linear)
    assert isinstance(around, nn.Linear)
    assert isinstance(population, Population)
    for name, product in ((stages[0].name, first), (stages[1].recurrent, around)):
        if product.bias is not None and bool(product.bias.any()):
            raise InputError(f"{name}: no constant input, which a liquid in software has none of (got a bias)")
    values = {"decay": population.decay, "gain": population.gain}
    for name, value in values.items():
        # As far apart as single precision makes equal numbers.
        if bool(((value - value[0]).abs() > 1e-6 * value[0].abs()).any()):
            raise InputError(f"{stages[1].name}: one {name} of all neurons (got {value.min():g} to {value.max():g})")
    decay, gain = float(population.decay[0]), float(population.gain[0])
    if gain <= 0.0 or not bool((population.threshold > 0.0).all()):
        raise InputError(f"{stages[1].name}: a gain and thresholds above 0")
    design = LIF(decay=decay, threshold=float(population.threshold.mean()))
    how = Reservoir(inputs=network.inputs, neurons=len(population.decay), gain_per_uS=gain, neuron=design)
    weights = torch.cat([first.weight, around.weight], dim=1).detach().float().T[None]
    liquid = ProgrammedLiquid(
        how.map(LiquidChip() if chip is None else chip),
        Neurons(design, population.threshold.float()[None]),
        None,
        weights.contiguous(),
    )
    if len(stages) == 2:
        return liquid, None
    last = network.get_submodule(stages[2].name)
    assert isinstance(last, nn.Linear)
    scores = last.weight.detach().double().numpy()
    bias = torch.zeros(len(scores)) if last.bias is None else last.bias.detach()
    return liquid, Trained(scores, bias.double().numpy(), torch.arange(len(scores)).numpy())


def _product(weight: torch.Tensor, bias: torch.Tensor | None = None) -> nn.Linear:
    made = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, dtype=weight.dtype)
    with torch.no_grad():
        made.weight.copy_(weight)
        if bias is not None:
            made.bias.copy_(bias)
    return made


def _population(neurons: Neurons, chip: int, gain: float) -> Population:
    threshold = neurons.threshold[chip].double()
    return Population(torch.full_like(threshold, neurons.design.decay), torch.full_like(threshold, gain), threshold)
