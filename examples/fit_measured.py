"""From 64 measured values to a device: fitted, drawn, and used in a product.

Eight cells at each of eight levels; here they are drawn from a normal law of 2 µS, so that one sees what the fit finds.
``mho fit measured.csv -o mine.yaml --plot fit.png`` does the same from the shell: it compares kinds of devices by their
likelihood, writes the best as a record that every experiment takes, and draws measured and fitted cells.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch

import mho
from devices import AnyDevice
from mho.fit import fit_file


def main() -> None:
    """Write the table, fit it, program an array with the device that was found."""
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--data", type=Path, help="CSV file with the columns target_uS and measured_uS")
    ask.add_argument("--figure", type=Path, default=Path("fit_measured.svg"))
    given = ask.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        table, record = given.data or Path(folder) / "measured.csv", Path(folder) / "mine.yaml"
        if given.data is None:
            target_uS = np.repeat(np.linspace(10.0, 80.0, 8), 8)
            measured_uS = target_uS + 2.0 * np.random.default_rng(0).standard_normal(64)
            pairs = zip(target_uS, measured_uS, strict=True)
            lines = ["target_uS,measured_uS", *(f"{asked:.1f},{found:.3f}" for asked, found in pairs)]
            table.write_text("\n".join(lines) + "\n", encoding="utf-8")
        print(fit_file(table, record, plot=given.figure))
        device = mho.read_config(record, AnyDevice).value
    weights, x = torch.eye(3), torch.tensor([1.0, -0.5, 0.25])
    rng = mho.ChipStreams.of(mho.Stream.root(0), 1)
    array = mho.Array.program(weights, device=device, encoding=mho.DifferentialPair(), rng=rng)
    print("the unit matrix on such cells makes of", x.tolist(), array.multiply(x)[0].numpy().round(3).tolist())


if __name__ == "__main__":
    main()
