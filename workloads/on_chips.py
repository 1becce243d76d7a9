"""Networks on chips, whatever the task: a variant with its chip, and what a ledger says of the chips of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge

from devices import SONOS, InputError
from mappings.chip import Chip
from mappings.chip_wires import NodeWires
from mappings.contract import ProgrammedLayer
from mappings.matrix import check_columns
from mappings.network.layer import ProgrammedMatrixLayer
from mappings.network.recurrent import ProjectedRecurrent
from mappings.network.writing import write_lines
from workloads.cell_tables import cell_rows
from workloads.experiment import Variant
from workloads.ledger import Ledger
from workloads.result import Quality, VariantResult

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class ChipVariant(Variant):
    """One piece of hardware to compare: its chip says only what differs from the experiment's.

    Parameters
    ----------
    chip : of this variant
    aim : allowed loss against software, in points of accuracy, where the experiment states one
    aim_t_s : time at which that aim counts [s]
    """

    chip: Chip
    aim: float | None = None
    aim_t_s: Annotated[float, Ge(0.0)] = 0.0

    def __post_init__(self) -> None:
        if problems := unfit(self.chip):
            raise InputError(f"chip.{problem}" for problem in problems)

    @property
    def chips(self) -> tuple[Chip, ...]:
        """The kinds of chip that it is built of."""
        return (self.chip,)

    @property
    def drifts(self) -> bool:
        """Whether anything that is read changes with time."""
        return any(chip.drifts for chip in self.chips)

    def times_s(self, all_s: tuple[float, ...]) -> tuple[float, ...]:
        """The times at which its chips are read: one is enough where nothing changes."""
        return all_s if self.drifts else all_s[:1]


def unfit(chip: Chip) -> list[str]:
    """Why no layer of any size fits a chip."""
    try:
        chip.check_layers()
        check_columns(chip)
    except InputError as error:
        return list(error.problems)
    return []


def check_times(variants: Iterable[ChipVariant], times_s: Sequence[float]) -> None:
    """Raise InputError for times that the model of a variant's cells does not reach."""
    late: dict[str, list[str]] = {}
    for variant in variants:
        for cell in dict.fromkeys(cell for chip in variant.chips for cell in chip.cells):
            for number, t_s in enumerate(times_s):
                try:
                    cell.check_time(t_s)
                except InputError as error:
                    late.setdefault(f"evaluation.times_s[{number}]: {cell.kind}: {error}", []).append(variant.name)
    if late:
        raise InputError(f"{problem}; in {', '.join(dict.fromkeys(names))}" for problem, names in late.items())


@dataclass
class ChipLedger(Ledger):
    """``still``: variants that nothing changes over time."""

    still: list[str] = field(default_factory=list, kw_only=True)

    def cells(
        self, variant: ChipVariant, layers: Mapping[str, ProgrammedMatrixLayer], times_s: tuple[float, ...]
    ) -> None:
        """Where the weights' cells of all chips of the headline lie, once programmed and over time."""
        if variant.default:
            held = list(layers.values())
            held += [layer.projection for layer in held if isinstance(layer, ProjectedRecurrent)]
            arrays = [layer.matrix.array for layer in held]
            cell_rows(self, variant.name, [(array.device, array.cells) for array in arrays], variant.times_s(times_s))

    def written(self, variant: ChipVariant, layers: Mapping[str, ProgrammedLayer]) -> None:
        """What writing took, where cells are written by program-and-verify."""
        lines = [line for layer in layers.values() for line in write_lines(layer)]
        for line in lines:
            self.add("writes", variant=variant.name, **asdict(line))
        if lines:
            how, cells = variant.chip.weights, sum(line.cells for line in lines)
            given_up = sum(line.not_converged_share * line.cells for line in lines) / cells
            self.note(
                f"{variant.name}: writing its {cells} cells once takes {sum(line.energy_J for line in lines):.3g} J "
                f"and {sum(line.time_s for line in lines):.3g} s with {how.write_rows} x {how.write_columns} weights "
                f"at once, pulses and verify reads alone; verifying gave up on {given_up:.1%} of the cells. It is in "
                "none of the costs per inference."
            )

    def taken_for_granted(self, variant: ChipVariant) -> None:
        """What a reader should know of this variant's cells and wires."""
        if not variant.drifts:
            self.still.append(variant.name)
        for chip in variant.chips:
            for cell in dict.fromkeys(chip.cells):
                if cell.unknown_drift:
                    self.note(f"{variant.name}: {cell.unknown_drift}.")
                if isinstance(cell, SONOS) and cell.v_read_V != chip.driver.v_read_V:
                    self.note(
                        f"{variant.name}: the currents of sonos were measured at {cell.v_read_V:g} V; at "
                        f"{chip.driver.v_read_V:g} V they are taken as proportional to the voltage (an assumption)."
                    )
            if isinstance(chip.wires, NodeWires) and chip.lines is not None:
                node_nm = chip.node_nm if chip.wires.node_nm is None else chip.wires.node_nm
                self.note(
                    f"{variant.name}: wires of {node_nm:g} nm, {chip.lines.r_word_ohm:.3g} ohm and "
                    f"{chip.lines.r_bit_ohm:.3g} ohm a cell along word and bit lines: {chip.wires.source}."
                )
            elif chip.wires is not None and chip.wires.source:
                self.note(f"{variant.name}: resistance of its wires: {chip.wires.source}.")

    def note_still(self) -> None:
        """Note the variants without drift, once all are known."""
        if self.still:
            self.note(
                f"{', '.join(self.still)} {'have' if self.still[1:] else 'has'} no drift in "
                f"{'their' if self.still[1:] else 'its'} model (not established, or switched off): they "
                "are read at one time, and that figure is given for all."
            )

    def variant_result(self, variant: ChipVariant, figures: Iterable[str], table: pd.DataFrame) -> VariantResult:
        """One variant as ``metrics.json`` lists it; ``table`` holds a row for each chip at each time."""
        chip, rows = variant.chip, table[(table.variant == variant.name) & (table.stage == "analog")]
        names = tuple(figures)
        return VariantResult(
            name=variant.name,
            default=variant.default,
            device=chip.weights.device.kind,
            ramp_device=chip.ramp.device.kind if chip.readout == "ramp" else None,
            wires="ideal" if chip.lines is None or chip.lines.ideal else "resistive",
            readout=chip.readout,
            compensation=chip.compensation.mode,
            bits=chip.bits,
            leakage_library=chip.leakage_library,
            temperature_K=chip.comparator.temperature_K,
            quality=tuple(
                Quality.of(_seconds(t_s), int(part.chip.nunique()), {name: part[name].to_numpy() for name in names})
                for t_s, part in rows.groupby("t_s")
            ),
            cost=self.costs[variant.name],
            cost_interval=self.intervals[variant.name],
        )


def _seconds(key: Any) -> float:
    return float(key)
