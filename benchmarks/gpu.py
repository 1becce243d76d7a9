"""The same array work once on a GPU: products of many chips, wires folded into matrices, a liquid. Prints a table.

    python -m benchmarks.gpu            (a CUDA device is needed; CI has none)

Times are medians of repeats after a warm-up, the device synchronised around each; the reference is the bare product of
the same size on the same device.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from functools import partial

import torch

from crossbar import Array, DifferentialPair
from crossbar.wires import Wires, effective_conductance
from devices import PCM, ChipStreams, Stream

SIDE, BATCH, CHIPS, DAY_S = 512, 256, 64, 86400.0
DEVICE = PCM(read_noise_S=0.1e-6)
REPEATS = 20


def seconds(work: Callable[[], object]) -> float:
    """Median time of ``work`` [s]."""
    for _ in range(3):
        work()
    found = []
    for _ in range(REPEATS):
        torch.cuda.synchronize()
        start = time.perf_counter()
        work()
        torch.cuda.synchronize()
        found.append(time.perf_counter() - start)
    return statistics.median(found)


def line(name: str, work: Callable[[], object], reference: Callable[[], object] | None = None) -> None:
    """One row of the table."""
    torch.cuda.reset_peak_memory_stats()
    mine = seconds(work)
    peak = torch.cuda.max_memory_allocated() / 2**20
    beside = f"{mine / seconds(reference):6.2f} x" if reference else "        "
    print(f"{name:76s} {1e3 * mine:9.3f} ms  {beside}  {peak:7.0f} MB", flush=True)


def main() -> None:
    """Run everything."""
    if not torch.cuda.is_available():
        sys.exit("benchmarks.gpu needs a CUDA device")
    torch.backends.cuda.matmul.allow_tf32 = False
    print(torch.cuda.get_device_name(0), torch.__version__, "single precision, TF32 off")
    draw = torch.Generator("cuda").manual_seed(0)
    rng = ChipStreams.of(Stream.root(0), CHIPS)
    weights = torch.randn((SIDE, SIDE), generator=draw, device="cuda") / SIDE**0.5

    def program() -> Array:
        tile = torch.zeros(SIDE, dtype=torch.long)
        return Array.program(weights, device=DEVICE, encoding=DifferentialPair(), tile_of_column=tile, rng=rng)

    array = program()
    read = array.read(DAY_S)
    counts = torch.randint(-127, 128, (1, BATCH, SIDE), generator=draw, device="cuda").float()
    many = counts.expand(CHIPS, -1, -1).contiguous()
    table = torch.linspace(-1.0, 1.0, 255, device="cuda") * read.product(counts).abs().max()

    def bare() -> torch.Tensor:
        return many @ read.difference_S

    def noisy() -> torch.Tensor:
        variance = read.variance(counts)
        assert variance is not None
        z = read.product(counts)
        return torch.addcmul(z, variance.sqrt(), torch.randn(z.shape, generator=draw, device="cuda"))

    cells = f"{CHIPS} chips x 2 x {SIDE} x {SIDE} cells"
    line(f"program {cells} (PCM)", program)
    line(f"drift and 1/f noise of {cells} after a day", lambda: array.read(DAY_S))
    line(f"{CHIPS} chips of {SIDE}x{SIDE}, batch {BATCH}: products", lambda: read.product(counts), bare)
    line("  with fresh read noise", noisy, bare)
    line("  with fresh read noise and 8-bit conversion", lambda: torch.searchsorted(table, noisy(), right=True), bare)
    for side, arrays in ((128, 64), (256, 16), (256, 64), (512, 8)):
        g = torch.rand((arrays, side, side), generator=draw, device="cuda") * 9e-5 + 1e-5
        work = partial(effective_conductance, g, Wires(r_word_ohm=1.0, r_bit_ohm=1.0))
        line(f"wires of {arrays} arrays of {side}x{side} folded exactly", work)


if __name__ == "__main__":
    main()
