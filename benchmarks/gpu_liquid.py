"""A liquid once on a GPU, beside the matrix products that it holds. Prints a table.

python -m benchmarks.gpu_liquid            (a CUDA device is needed; CI has none)
"""

from __future__ import annotations

import sys

import numpy as np
import torch

from benchmarks.gpu import seconds
from devices import ChipStreams, FormedTaOx, Stream
from mappings.liquid.liquid import Liquid
from mappings.liquid.run import LineSpikes
from periphery.front_end import IdealFrontEnd
from periphery.supply import Regulated

STEPS = 50
LIQUIDS = {
    "no read noise": Liquid(
        device=FormedTaOx(read_noise_S=0.0),
        read_path="capacitor",
        front_end=IdealFrontEnd(),
        read_supply=Regulated(noise_V=0.0),
    ),
    "read noise": Liquid(read_path="capacitor"),
    "read noise and 14-bit ADC": Liquid(),
}


def main() -> None:
    """Run everything."""
    if not torch.cuda.is_available():
        sys.exit("benchmarks.gpu_liquid needs a CUDA device")
    torch.backends.cuda.matmul.allow_tf32 = False
    print(torch.cuda.get_device_name(0), torch.__version__, "single precision, TF32 off")
    for chips, recordings, rate in ((1, 1000, 0.2), (16, 1000, 0.2), (16, 4000, 0.2)):
        raster = np.random.default_rng(0).random((recordings, STEPS, 256), np.float32) < rate
        spikes, rng = LineSpikes.of(raster), ChipStreams.of(Stream.root(0), chips)
        driven = (torch.rand((chips, recordings, 456), device="cuda") < rate).float()
        for name, how in LIQUIDS.items():
            made = how.map().program(rng=rng)
            read, weights = made.at(), made.weights_uS().cuda()

            def products(weights: torch.Tensor = weights, driven: torch.Tensor = driven) -> None:
                for _ in range(STEPS):
                    driven @ weights

            torch.cuda.reset_peak_memory_stats()
            mine = seconds(lambda: read.run(spikes, noise=rng, device="cuda"))  # noqa: B023
            peak, alone = torch.cuda.max_memory_allocated() / 2**20, seconds(products)
            same = ""
            if name == "no read noise" and chips == 1:
                counts = [read.run(spikes, noise=rng, device=where).counts for where in ("cuda", "cpu")]
                same = f"; counts as on the CPU: {torch.equal(*counts)}"
            print(
                f"{chips:3} chips x {recordings} recordings, {rate:.0%} active, {name:26} {1e3 * mine:8.2f} ms; "
                f"products {1e3 * alone:8.2f} ms, {mine / alone:5.2f} x, {peak:6.0f} MB{same}",
                flush=True,
            )


if __name__ == "__main__":
    main()
