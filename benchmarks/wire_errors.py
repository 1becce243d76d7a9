"""Errors of the closed forms for wires beside exact solutions: the tables of ``docs/wires.md``, in Markdown.

The worst column of the first table stands as ``ALPHA_BETA_RMS`` in ``crossbar/wires/model.py``.

    PYTHONPATH=. python benchmarks/wire_errors.py > tables.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import replace

import torch

from crossbar.wires import FoldedNoise, Wires, alpha_beta, effective_conductance, kappa

KAPPAS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
# Rows and columns, and the shares of word line, bit line, driver and sense input in kappa.
ARRAYS: dict[str, tuple[tuple[int, int], tuple[float, float, float, float]]] = {
    "square, equal lines": ((64, 64), (0.5, 0.5, 0.0, 0.0)),
    "128 x 64, equal segments": ((128, 64), (0.2, 0.8, 0.0, 0.0)),
    "64 x 128, equal segments": ((64, 128), (0.8, 0.2, 0.0, 0.0)),
    "word line 10 times the bit line": ((64, 64), (10 / 11, 1 / 11, 0.0, 0.0)),
    "bit line 10 times the word line": ((64, 64), (1 / 11, 10 / 11, 0.0, 0.0)),
    "half of kappa in driver and sense input": ((64, 64), (0.25, 0.25, 0.25, 0.25)),
    "all of it in driver and sense input": ((64, 64), (0.0, 0.0, 0.5, 0.5)),
}
CELLS = ("uniform", "log-uniform")


def conductances(cells: str, shape: tuple[int, int], draw: torch.Generator) -> torch.Tensor:
    """Between 10 and 100 uS; or over two decades below 100 uS, with a tenth of the cells at zero [S]."""
    u = torch.rand(shape, generator=draw, dtype=torch.float64)
    if cells == "uniform":
        return 1e-5 + 9e-5 * u
    return 1e-6 * 100.0**u * (torch.rand(shape, generator=draw) > 0.1)


def wires_of(g_S: torch.Tensor, shares: tuple[float, float, float, float], size: float) -> Wires:
    """Wires whose parts make up their shares of ``kappa = size`` on this array."""
    parts = [Wires(r_word_ohm=1.0), Wires(r_bit_ohm=1.0), Wires(r_driver_ohm=1.0), Wires(r_sense_ohm=1.0)]
    word, bit, driver, sense = (
        share * size / float(kappa(g_S, part)) for share, part in zip(shares, parts, strict=True)
    )
    return Wires(r_word_ohm=word, r_bit_ohm=bit, r_driver_ohm=driver, r_sense_ohm=sense)


def inputs(rows: int, draw: torch.Generator) -> torch.Tensor:
    """Eight vectors in 0 to 0.2 V, half of them with 70 % of zeros [V]."""
    v = 0.2 * torch.rand((8, rows), generator=draw, dtype=torch.float64)
    v[4:] *= torch.rand((4, rows), generator=draw) > 0.7
    return v


def alpha_beta_rms(array: str, cells: str, size: float, seed: int = 0) -> float:
    """Rms error of currents by alpha-beta over the mean exact current [1]."""
    shape, shares = ARRAYS[array]
    draw = torch.Generator().manual_seed(seed)
    g = conductances(cells, shape, draw)
    wires = wires_of(g, shares, size)
    v = inputs(shape[0], draw)
    exact = v @ effective_conductance(g, wires)
    return float((v @ alpha_beta(g, wires) - exact).square().mean().sqrt() / exact.mean())


def noise_errors(array: str, drive: str, size: float, seed: int = 0) -> tuple[float, float, float]:
    """Error of the standard deviation of read noise, 1 % of each cell: rms over inputs and columns of the quadratic
    form, of its square term alone, and of noise that ignores the wires [1]."""
    (rows, columns), shares = ARRAYS[array]
    rows, columns = rows // 2, columns // 2
    draw = torch.Generator().manual_seed(seed)
    g = conductances("uniform", (rows, columns), draw)
    wires = wires_of(g, shares, size)
    v = torch.randn((4, rows), generator=draw, dtype=torch.float64) if drive == "signed" else inputs(rows, draw)
    v = {"dense": v[:4], "70 % zeros": v[4:], "signed": v}[drive]
    sigma = 0.01 * g
    cells = g.clone().requires_grad_()
    current = v @ effective_conductance(cells, wires)
    exact = torch.stack(
        [torch.autograd.grad(one, cells, retain_graph=True)[0].mul(sigma).square().sum() for one in current.flatten()]
    )
    noise = FoldedNoise.of(sigma.square(), g, wires)
    bare = FoldedNoise.of(sigma.square(), g, replace(wires, r_word_ohm=0, r_bit_ohm=0, r_driver_ohm=0, r_sense_ohm=0))
    approximations = (noise.variance(v), v.square() @ noise.square_S2, bare.variance(v))
    first, second, third = (
        float((found.flatten() / exact).sqrt().sub(1.0).square().mean().sqrt()) for found in approximations
    )
    return first, second, third


def lines() -> Iterable[str]:
    """Both tables."""
    yield "| array | cells | " + " | ".join(f"kappa {size:g}" for size in KAPPAS) + " |"
    yield "|---" * (2 + len(KAPPAS)) + "|"
    table = {
        (array, cells): [max(alpha_beta_rms(array, cells, size, seed) for seed in range(3)) for size in KAPPAS]
        for array in ARRAYS
        for cells in CELLS
    }
    for (array, cells), row in table.items():
        yield f"| {array} | {cells} | " + " | ".join(f"{value:.1e}" for value in row) + " |"
    worst = [max(row[k] for row in table.values()) for k in range(len(KAPPAS))]
    yield "| **worst** | | " + " | ".join(f"**{value:.1e}**" for value in worst) + " |"
    yield ""
    sizes = KAPPAS[2:]
    yield "| array | inputs | " + " | ".join(f"kappa {size:g}" for size in sizes) + " |"
    yield "|---" * (2 + len(sizes)) + "|"
    for array in ARRAYS:
        for drive in ("dense", "70 % zeros", "signed"):
            errors = [noise_errors(array, drive, size) for size in sizes]
            cells_of_row = " | ".join(" / ".join(f"{100 * value:.1f}" for value in error) for error in errors)
            yield f"| {array} | {drive} | {cells_of_row} |"


if __name__ == "__main__":
    torch.set_num_threads(1)
    for line in lines():
        sys.stdout.write(line + "\n")
