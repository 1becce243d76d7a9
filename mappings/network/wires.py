"""What a reader should know of the wires of a network's chips, with the numbers."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from mappings.chip import Chip
from mappings.network.layer import ProgrammedMatrixLayer

LEAST_GAIN = 0.5  # share of the weights below which an array is called unfit


def wire_notes(layers: Mapping[str, ProgrammedMatrixLayer]) -> list[str]:
    """Sentences about the wires of every layer: what they are, what they leave of the weights on the first chip, and
    word lines that carry more current than their metal bears."""
    found: list[str] = []
    for name, layer in layers.items():
        chip, array = layer.mapped.chip, layer.matrix.array
        wires = chip.lines
        if wires is None or wires.ideal:
            found.append(f"{name}: wires without resistance and capacitance (an idealisation)")
            continue
        loss = array.wire_loss()
        left = (
            f"{name}: wires of {wires.r_word_ohm:.3g} and {wires.r_bit_ohm:.3g} ohm a cell (word, bit line) leave "
            f"{loss.gain:.2f} of the weights (kappa {loss.kappa:.2g}), {loss.residual:.2g} of it off any one factor"
        )
        unfit = f"; below {LEAST_GAIN:g} an array is taken as unfit: smaller tiles, wider lines or smaller conductances"
        found.append(left + (unfit if loss.gain < LEAST_GAIN else ""))
        current_A = chip.driver.v_read_V * loss.largest_row_S * full_drive_share(chip)
        if wires.current_limit_A is not None and current_A > wires.current_limit_A:
            found.append(
                f"{name}: a word line at full drive carries {current_A:.2g} A on average over a product, "
                f"{current_A / wires.current_limit_A:.2g} times what its metal is taken to bear for years "
                f"({wires.current_limit_A:.2g} A): wider lines, smaller tiles or smaller conductances help"
            )
    return found


def full_drive_share(chip: Chip) -> float:
    """Share of a product's phases for which a line at full scale is driven [1]."""
    driver, bits = chip.driver, chip.bits
    top = torch.tensor([float(driver.top(bits))])
    return float(driver.driven_clocks(top, bits)) / driver.drive_clocks(bits)
