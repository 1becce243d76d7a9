"""A trained network on chips: what it answers at any time after programming, and what that costs."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import torch

from devices import BlockNoise, ChipStreams, Stream
from mappings.actions import Action, Actions, Instance
from mappings.activity import Activity
from mappings.chip import Chip
from mappings.network.dense import DenseLayer, ProgrammedDense
from mappings.network.recurrent import ProgrammedRecurrent, RecurrentLayer
from periphery.prices.adc import adc_component
from periphery.prices.component import Component, load_components
from workloads.kws.model import KeywordNet

LAYERS = ("recurrent", "output")


@dataclass
class Seen:
    """Activity of both layers."""

    recurrent: Activity = field(default_factory=Activity)
    output: Activity = field(default_factory=Activity)


@dataclass(frozen=True)
class KeywordChips:
    """The network written on a batch of chips."""

    chip: Chip
    recurrent: ProgrammedRecurrent
    output: ProgrammedDense
    readout_steps: int
    rng: ChipStreams

    @classmethod
    def program(
        cls,
        net: KeywordNet,
        chip: Chip,
        *,
        output_limit: float,
        rng: ChipStreams,
        calibration: torch.Tensor | None = None,
    ) -> KeywordChips:
        """Write both layers on ``len(rng)`` chips; ``output_limit`` is the output at full scale of its converter.

        ``calibration``: features ``(n, steps, inputs)`` for converters that follow data; noise in place of them where
        nothing is to be judged.
        """
        chip_of = {layer: chip.of_layer(layer) for layer in LAYERS}
        recurrent = RecurrentLayer.from_torch(
            net.model.cell, net.weight_ih_l0, net.weight_hh_l0, net.bias_ih_l0, chip=chip
        )
        output = DenseLayer.from_torch(net.output.weight, net.output.bias, chip=chip, limit=output_limit)
        seen = None
        if chip.follows_data:
            if calibration is None:
                draw = Stream.root(0).child("calibration noise").torch()
                calibration = torch.rand((16, 16, net.weight_ih_l0.shape[1]), generator=draw) * 2.0 - 1.0
            seen = recurrent.seen_by(chip_of["recurrent"], chip.driver.counts(calibration, chip.bits))
        return cls(
            chip,
            recurrent.program(chip_of["recurrent"], rng=rng.child("recurrent"), seen=seen),
            output.program(chip_of["output"], rng=rng.child("output")),
            net.model.readout_steps,
            rng,
        )

    def predict(
        self, x: torch.Tensor, t_s: float, *, block: int, batch: int, seen: Seen | None = None
    ) -> tuple[torch.Tensor, list[float | torch.Tensor]]:
        """Classes ``(chips, n)`` of features ``x (n, steps, inputs)``, and the drift-compensation factors.

        ``block`` clips share one stream of read noise and one product; ``batch`` clips (a multiple of blocks) are
        in memory together, which changes no result.
        """
        chip = self.chip
        recurrent = self.recurrent.read(t_s)
        output = self.output.read(t_s, self._output_factor(list(recurrent.factors)))
        counts = chip.driver.counts(x, chip.bits)
        n, top = len(x), 2 ** (chip.bits - 1) - 1
        at_once = max(1, batch // block) * block
        answers = []
        for start in range(0, n, at_once):
            part = counts[start : start + at_once]
            fill = -len(part) % block
            part = torch.nn.functional.pad(part, (0, 0, 0, 0, 0, fill))
            blocks = range(start // block, start // block + len(part) // block)
            if seen:
                seen.recurrent.valid = seen.output.valid = len(part) - fill
            noise = BlockNoise(self.rng.child("read", float(t_s).hex()), blocks, block)
            h = recurrent.run(
                part,
                noise=noise,
                activity=seen.recurrent if seen else None,
                readout_steps=self.readout_steps,
            )
            logits = output.run(h, full_scale=top, noise=noise, activity=seen.output if seen else None)
            answers.append(logits.argmax(-1)[:, : len(part) - fill])
        return torch.cat(answers, dim=1), list(recurrent.factors)

    def _output_factor(self, factors: list[float | torch.Tensor]) -> float | torch.Tensor:
        """The read-out's cells have drifted like the gates': its reference follows their mean factor."""
        tensors = [factor for factor in factors if isinstance(factor, torch.Tensor)]
        if not tensors:
            return 1.0
        mean = torch.stack([factor.mean(dim=1) for factor in tensors]).mean(dim=0)
        return mean[:, None].expand(-1, self.output.converter.group.ramps, 1)

    def components(self) -> dict[str, Component]:
        """The price list, with the converters that this chip names."""
        records = load_components()
        adc = self.chip.adc
        for bits in {self.chip.adc_bits, self.output.converter.adc_bits}:
            record = adc_component(adc.price, bits=bits, rate_per_s=adc.rate_per_s, node_nm=self.chip.node_nm)
            records[record.name] = record
        return records

    def actions(self, seen: Seen, *, recurrent_steps: int) -> list[Actions]:
        """What both layers do in one inference of ``recurrent_steps`` steps."""
        records = self.components()
        recurrent = self.recurrent.actions("recurrent", seen.recurrent, records).per_inference(recurrent_steps)
        output = self.output.actions("output", seen.output, records)
        if self.readout_steps > 1:
            hidden, width = self.recurrent.layer.hidden, self.chip.bits + math.ceil(math.log2(self.readout_steps))
            output = replace(
                output,
                actions=(
                    *output.actions,
                    Action("output", "adder", "add_bit", hidden * (self.readout_steps - 1) * width),
                    Action("output", "register", "write_bit", hidden * self.readout_steps * width),
                ),
                instances=(
                    *output.instances,
                    Instance("output", "adder", self.chip.lanes * width),
                    Instance("output", "register", hidden * width),
                ),
            )
        return [recurrent, output]


@dataclass
class Judged:
    """One variant's chips, its accuracy on an ideal chip, and what the real ones answer at each time.

    ``answers``: time [s], classes (chips, n), and the drift-compensation factors.
    """

    chips: KeywordChips
    ideal: float
    seen: Seen = field(default_factory=Seen)
    answers: list[tuple[float, torch.Tensor, list[float | torch.Tensor]]] = field(default_factory=list)
