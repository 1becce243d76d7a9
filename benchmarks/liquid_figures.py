"""Figures of docs/liquid.md: firing rates under Bernoulli input, and energy beside a graphics processor.

python benchmarks/liquid_figures.py [N-MNIST folder or archive]
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from devices import ChipStreams, Stream
from mappings.cost import price, shares, summarise
from mappings.liquid.comparison import GPU_MODELS, gpu_actions, training_cost
from mappings.liquid.liquid import Liquid
from mappings.liquid.run import LineSpikes
from periphery.neurons.lif import LIF
from periphery.prices.component import load_components
from workloads.lsm.binning import NMNIST_BINNING, binned
from workloads.recordings.nmnist import load_nmnist

NMNIST = Path(__file__).parents[2] / "shared" / "data" / "nmnist" / "nmnist.tar.xz"
# Inputs, neurons, steps, decay, threshold, weight scale of the authors' code (MemristorLSM, commit a28afca).
PUBLISHED = {
    "N-MNIST": (256, 200, 50, 0.9, 5.0, 0.07),
    "N-TIDIGITS": (64, 200, 129, 0.97, 5.3, 0.08),
    "zero-shot, image": (256, 200, 50, 0.9, 5.0, 0.3),
    "zero-shot, audio": (64, 200, 129, 0.97, 5.3, 0.1),
    "zero-shot, neural": (192, 2048, 201, 0.95, 0.1, 0.0005),
    "zero-shot, E-MNIST": (784, 2048, 49, 0.95, 0.1, 0.0005),
}
RATES = (0.01, 0.02, 0.05, 0.1, 0.2)


def rates() -> None:
    """Neurons that fire in a step [%]: mean and standard deviation over chips, and in software."""
    for name, (inputs, neurons, steps, decay, threshold, gain) in PUBLISHED.items():
        how = Liquid(inputs=inputs, neurons=neurons, gain_per_uS=gain, neuron=LIF(decay=decay, threshold=threshold))
        chips, recordings = (16, 40) if neurons < 1000 else (2, 8)
        rng = ChipStreams.of(Stream.root(0), chips)
        read, software, cells = how.map().program(rng=rng).at(), how.map().software(rng=rng).at(), []
        for rate in RATES:
            spikes = LineSpikes.of(np.random.default_rng(0).random((recordings, steps, inputs)) < rate)
            analog = 100 * read.run(spikes, noise=rng).rates
            ideal = 100 * software.run(spikes, noise=rng).rates
            cells.append(f"{analog.mean():.2g} ± {analog.std():.1g} ({ideal.mean():.2g})")
        print(f"| {name} | {' | '.join(cells)} |")


def energy(source: Path) -> None:
    """Both read paths on real recordings, and the same network on a graphics processor."""
    spikes = binned(load_nmnist(source), NMNIST_BINNING)
    components, rng = load_components(), ChipStreams.of(Stream.root(0), 4)
    print(f"\n{len(spikes)} recordings, {100 * spikes.rate:.2f} % of input lines active in a step")
    for path in ("board", "capacitor"):
        how = replace(Liquid(), read_path=path)
        mapped = how.map()
        activity = mapped.program(rng=rng).at().run(spikes, noise=rng).activity
        layers = [mapped.actions(activity), mapped.readout(10).actions(steps=50)]
        latency_s = sum(layer.latency_s * layer.steps for layer in layers)
        lines = [
            line for layer in layers for line in price(layer, node_nm=40, components=components, latency_s=latency_s)
        ]
        total = summarise(lines, latency_s, sum(layer.ops * layer.steps for layer in layers))
        print(f"\n{path}: {activity.lines:.2f} lines and {activity.spikes:.2f} spikes a step, of {how.rows} lines")
        print(f"{total['energy_J']:.3g} J, {latency_s:.3g} s, {total['area_m2'] * 1e6:.3g} mm2")
        for name, share in sorted(shares(lines, "component").items(), key=lambda item: -item[1].energy_J):
            print(f"    {name:20} {share.energy_J:.3g} J")
        for model in GPU_MODELS:
            priced = price(gpu_actions(how, 10, steps=50, model=model), node_nm=7, components=components)
            other = sum(line.energy_J for line in priced)
            print(f"    gpu {model:12} {other:.3g} J, {other / total['energy_J']:.3g} times")
        print(f"    products of the dense network over those of active lines: {how.rows / activity.lines:.2f}")


def training() -> None:
    """Multiply-accumulates for 60,000 recordings and 100 epochs."""
    cost = training_cost(Liquid(), 10, steps=50, recordings=60_000, epochs=100)
    print(f"\n{cost}")
    for name, own in (
        ("read-out by gradient, liquid not counted", cost.gradient),
        ("read-out by ridge, liquid not counted", cost.ridge),
        ("one dense pass and ridge", cost.forward + cost.ridge),
        ("one dense pass and gradient", cost.forward + cost.gradient),
        ("a dense pass every epoch and gradient", 100 * cost.forward + cost.gradient),
    ):
        print(f"    {name}: {cost.through_time / own:.4g} times fewer")


if __name__ == "__main__":
    rates()
    energy(Path(sys.argv[1]) if len(sys.argv) > 1 else NMNIST)
    training()
