"""What verifying while writing buys: the error that is left, and the pulses that it takes.

Each pulse aims at half of the distance that is left, so one alone is far off. A loop of pulse, read and correction ends
where a read is within 5 µS of the target; the more pulses it is allowed, the fewer cells it gives up, and the mean
effort hardly grows. Loop and its numbers after Hong et al., Nat. Commun. 2025, s41467-025-65233-w
(``devices/effects/program_verify.py``).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from matplotlib.figure import Figure

import mho

LIMITS = (1, 2, 3, 5, 8, 12, 20)


def main() -> None:
    """Write the same targets with rising limits of pulses."""
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--cells", type=int, default=20000)
    ask.add_argument("--figure", type=Path, default=Path("write_verify.svg"))
    given = ask.parse_args()

    bare = mho.Ideal(g_min_S=50e-6, g_max_S=400e-6)  # the loop brings all errors of writing
    target_S = torch.linspace(100e-6, 400e-6, given.cells)[None]
    rng = mho.ChipStreams.of(mho.Stream.root(0), 1)
    error_uS, content, pulses = [], [], []
    for limit in LIMITS:
        cells = bare.with_effect(mho.ProgramVerify(max_iterations=limit)).program(target_S, rng=rng)
        assert cells.write is not None
        off_uS = (cells.programmed_S - target_S) * 1e6
        error_uS.append(float(off_uS.square().mean().sqrt()))
        content.append(float((off_uS.abs() <= 5.0).double().mean()))
        pulses.append(float(cells.write.iterations.double().mean()))
        print(
            f"at most {limit:2d} pulses: {error_uS[-1]:6.2f} uS rms, {content[-1]:.1%} within 5, {pulses[-1]:.2f} used"
        )

    figure = Figure(figsize=(8.0, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.loglog(LIMITS, error_uS, "o-", label="all cells, rms")
    left.axhline(5.0, color="0.5", linestyle="--", label="tolerance of the loop")
    left.set(xlabel="pulses allowed", ylabel="error [µS]")
    right.plot(LIMITS, [100 * share for share in content], "o-", label="within 5 µS [%]")
    right.set(xlabel="pulses allowed", ylabel="cells [%]", ylim=(0.0, 103.0))
    twin = right.twinx()
    twin.plot(LIMITS, pulses, "s--", color="C1", label="pulses used, mean")
    twin.set(ylabel="pulses used", ylim=(0.0, None))
    for axes in (left, right):
        axes.set_xticks(LIMITS, [str(limit) for limit in LIMITS])
        axes.minorticks_off()
    left.legend()
    right.legend(handles=[*right.get_lines(), *twin.get_lines()], loc="center right")
    figure.savefig(given.figure)


if __name__ == "__main__":
    main()
