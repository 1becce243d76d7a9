"""Liquids beside the configured one: the same in software, the same read without error."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from configs.errors import InputError
from mappings.liquid.chip import MEMBRANE
from mappings.liquid.liquid import Liquid
from periphery.front_end import IdealFrontEnd
from workloads.lsm.binning import Spikes

NO_WEIGHTS = "a liquid's weights are those of its cells, and its read-out is trained in each run"


def fits(chip: Liquid, spikes: Spikes, path: str) -> None:
    """Raise ``InputError`` where a liquid has not one word line for each line of the binned recordings."""
    if chip.inputs != spikes.inputs:
        raise InputError(
            f"{path}.inputs: allowed is {spikes.inputs}, the word lines of the binned recordings, "
            f"{' x '.join(map(str, spikes.shape))} (got {chip.inputs})"
        )


def check_front_end(chip: Liquid, path: str) -> None:
    """Raise ``InputError`` where the circuit between bit lines and membranes does not close."""
    if chip.read_path == "capacitor":
        try:
            assert chip.map().membranes
        except InputError as error:
            raise InputError(f"{path}.{problem}" for problem in error.problems) from None


def unread(chip: Liquid) -> tuple[str, ...]:
    """What of a chip's description moves no figure on its read path, as sentences for the reader."""
    if chip.read_path == "board" and chip.front_end != MEMBRANE:
        return ("front_end changes nothing on the board, whose amplifiers and converters are parts",)
    return ()


def as_software(chip: Liquid) -> Liquid:
    """What of a chip its ideal counterpart depends on: two chips that share it share their software."""
    return Liquid(
        inputs=chip.inputs,
        neurons=chip.neurons,
        device=replace(chip.device, read_noise_S=0.0, effects=()),
        gain_per_uS=chip.gain_per_uS,
        neuron=replace(chip.neuron, threshold_sigma=0.0, noise=0.0),
        written_sd=chip.written_sd,
    )


def read_exactly(chip: Liquid) -> Liquid:
    """The same cells, read without noise or converter by equal neurons."""
    neuron = replace(chip.neuron, threshold_sigma=0.0, noise=0.0)
    return replace(
        chip,
        adc_bits=None,
        neuron=neuron,
        device=replace(chip.device, read_noise_S=0.0),
        front_end=IdealFrontEnd(swing_V=chip.front_end.swing_V),
        read_supply=replace(chip.read_supply, noise_V=0.0),
    )


def hardware_of(chip: Liquid) -> dict[str, Any]:
    """What a liquid's hardware is, as ``metrics.json`` states it for a variant."""
    return {"device": chip.device.kind, "wires": "ideal", "pairing": chip.pairing, "read_path": chip.read_path}
