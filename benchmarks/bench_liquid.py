"""A liquid of 256 inputs and 200 neurons beside the matrix products that it holds, and beside snnTorch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from devices import ChipStreams, FormedTaOx, Stream
from mappings.liquid.liquid import Liquid, ProgrammedLiquid
from mappings.liquid.run import ActiveLines, LineSpikes
from mappings.liquid.step import on_grid
from periphery.front_end import IdealFrontEnd
from periphery.supply import Regulated
from workloads.lsm.binning import NMNIST_BINNING, binned
from workloads.recordings.nmnist import load_nmnist

if TYPE_CHECKING:
    from benchmarks.conftest import SideBySide

RECORDINGS, STEPS = 1000, 50
RNG = ChipStreams.of(Stream.root(0).child("bench"), 1)
QUIET = FormedTaOx(read_noise_S=0.0)
LIQUIDS = {
    "no read noise": Liquid(
        device=QUIET, read_path="capacitor", front_end=IdealFrontEnd(), read_supply=Regulated(noise_V=0.0)
    ),
    "read noise": Liquid(read_path="capacitor"),
    "read noise and 14-bit ADC": Liquid(),
}
NMNIST = Path(__file__).parents[2] / "shared" / "data" / "nmnist" / "nmnist.tar.xz"
NMNIST_RATE = 0.0861
"""Share of input lines active in a step: 880 recordings of N-MNIST, binned as in the paper."""


def bernoulli(rate: float) -> LineSpikes:
    return LineSpikes.of(np.random.default_rng(0).random((RECORDINGS, STEPS, 256)) < rate)


@pytest.mark.parametrize("name", LIQUIDS)
@pytest.mark.parametrize("rate", [0.2, 0.9])
def test_liquid(side_by_side: SideBySide, name: str, rate: float) -> None:
    """Beside 50 products of (1000 x 456) and (456 x 200) alone; events are the engine at 20 %, products at 90 %."""
    made = LIQUIDS[name].map().program(rng=RNG)
    read, spikes = made.at(), bernoulli(rate)
    driven = (torch.rand((RECORDINGS, 456), generator=torch.Generator().manual_seed(0)) < 0.2).float()
    weights = made.weights_uS()[0].contiguous()
    row = side_by_side(
        f"liquid 456 x 200, 1000 recordings of 50 steps, {100 * rate:.0f} % active, {name}",
        lambda: read.run(spikes, noise=RNG),
        "matrix products alone",
        lambda: [driven @ weights for _ in range(STEPS)],
        target_ratio=1.5,
        most_MB=1000.0,
    )
    print(
        f"\n{100 * rate:.0f} %, {name}: {row['seconds']:.4f} s, {row['ratio']:.2f} x products, {row['peak_MB']:.0f} MB"
    )


def recordings() -> tuple[str, ActiveLines]:
    """The recordings at hand, else as many spikes at random."""
    if not NMNIST.exists():
        return f"at the rate of N-MNIST ({100 * NMNIST_RATE:.1f} %)", bernoulli(NMNIST_RATE)
    spikes = binned(load_nmnist(NMNIST), NMNIST_BINNING)
    return f"N-MNIST, {len(spikes)} recordings, {100 * spikes.rate:.1f} % of input lines active", spikes


def with_snntorch(made: ProgrammedLiquid, spikes: ActiveLines) -> Any:
    """The same network of snnTorch's neurons, its read noise drawn at the bit lines as well.

    Its own reset would discard the input of that step too, hence the product with the spikes.
    """
    snntorch = pytest.importorskip("snntorch")
    how, chip = made.mapped.reservoir, made.mapped.chip
    weights = on_grid(made.weights_uS())[0] * how.gain_per_uS
    into, back = (torch.nn.Linear(width, how.neurons, bias=False) for width in (how.inputs, how.neurons))
    into.weight.data, back.weight.data = weights[: how.inputs].T.contiguous(), weights[how.inputs :].T.contiguous()
    sigma = chip.device.read_noise_S * 1e6 * how.gain_per_uS
    leaky = snntorch.Leaky(beta=how.neuron.decay, threshold=how.neuron.threshold, reset_mechanism="none")
    n = (len(spikes.offsets) - 1) // spikes.steps
    dense = np.zeros((n * spikes.steps, how.inputs), np.float32)
    dense[np.repeat(np.arange(len(dense)), np.diff(spikes.offsets)), spikes.lines] = 1.0
    x = torch.from_numpy(dense).reshape(n, spikes.steps, -1).transpose(0, 1).contiguous()

    @torch.no_grad()
    def run() -> torch.Tensor:
        fired = membrane = count = torch.zeros((n, how.neurons))
        for now in x:
            current = into(now) + back(fired)
            if sigma > 0.0:
                active = now.sum(1, keepdim=True) + fired.sum(1, keepdim=True)
                current += torch.diff(torch.randn((n, made.mapped.shape.columns)) * (sigma * active.sqrt()))
            fired, membrane = leaky(current, membrane * (1.0 - fired))
            count = count + fired
        return count

    return run


@pytest.mark.parametrize("name", LIQUIDS)
def test_events_beside_snntorch(side_by_side: SideBySide, name: str) -> None:
    """Real recordings; snnTorch starts from dense spikes made before, and has no converter."""
    made = LIQUIDS[name].map().program(rng=RNG)
    label, spikes = recordings()
    reference = with_snntorch(made, spikes)
    if name == "no read noise":
        counts = made.at().run(spikes, noise=RNG, engine="events").counts[0]
        agree = float((counts == reference()).float().mean())
        assert agree > 0.999, "snnTorch adds in another order: a membrane may end on the other side of its threshold"
    read = made.at()
    row = side_by_side(
        f"liquid by events, {label}, {name}",
        lambda: read.run(spikes, noise=RNG, engine="events"),
        "snnTorch",
        reference,
        target_ratio=1 / 3,
    )
    times = f"{row['seconds']:.4f} s, snnTorch {row['reference_seconds']:.4f} s"
    print(f"\n{label}, {name}: {times}: {1 / row['ratio']:.1f} times as fast")
