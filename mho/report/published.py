"""Figures of published chips, to compare with simulated ones: ``configs/published``, one file a chip.

Every figure states whether it was published by the chip's authors, read in a public repository, quoted by others
(secondary) or derived by arithmetic that its source states. Efficiencies compare across tasks; what depends on how much
a chip does (area, throughput, accuracy, energy and latency of an inference) compares on one task only.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Interval, Len

from configs.errors import InputError
from mho.config.read import read
from mho.config.resolve import shipped_files
from mho.references import library

Status = Literal["published", "repository", "secondary", "derived"]
FOLDER = "published"
#: Figures that compare whatever the task.
ACROSS_TASKS = ("tops_per_W", "tops_per_mm2")
Positive = Annotated[float, Gt(0.0)]
Text = Annotated[str, Len(1)]


@dataclass(frozen=True, kw_only=True)
class PublishedFigure:
    """A number with its status and its source, in the unit that its key names."""

    value: Positive
    status: Status
    source: Text


@dataclass(frozen=True, kw_only=True)
class PublishedAccuracy(PublishedFigure):
    """An accuracy, from 0 to 1, and on what; ``same_classes``: whether those are the classes of mho's task."""

    value: Annotated[float, Interval(gt=0.0, le=1.0)]
    of: Text
    same_classes: bool = True


@dataclass(frozen=True, kw_only=True)
class PerWork(PublishedFigure):
    """Energy or time of one piece of work, and which: ``inference``, or e.g. ``step`` of an LSTM."""

    per: Text


@dataclass(frozen=True, kw_only=True)
class Mode:
    """One way in which the chip was operated.

    Parameters
    ----------
    name : as a plot names it, after the chip
    bits_in, bits_out : resolution of inputs and outputs
    one_bit : operations are counted as of one bit, so that rates do not compare with those of several
    counted : which parts of the chip its power, energy and area are of
    """

    name: str = ""
    bits_in: Annotated[int, Ge(1)] | None = None
    bits_out: Annotated[int, Ge(1)] | None = None
    one_bit: bool = False
    note: str = ""
    counted: str = ""
    tops: PublishedFigure | None = None
    tops_per_W: PublishedFigure | None = None
    tops_per_mm2: PublishedFigure | None = None
    area_m2: PublishedFigure | None = None
    power_W: PublishedFigure | None = None
    average_power_W: PublishedFigure | None = None
    energy_J: PerWork | None = None
    latency_s: PerWork | None = None
    accuracy: PublishedAccuracy | None = None

    def __post_init__(self) -> None:
        if not self.figures():
            raise ValueError(f"a mode needs at least one of {', '.join(FIGURES)}")

    def figures(self) -> dict[str, PublishedFigure]:
        """The figures that there are, by the name of an output."""
        return {name: figure for name in FIGURES if (figure := getattr(self, name)) is not None}

    def comparable(self, output: str, task: str) -> PublishedFigure | None:
        """The figure that compares with an output of mho's for this task; None where none is the same quantity."""
        figure = self.figures().get(output)
        if figure is None or self.one_bit or (isinstance(figure, PublishedAccuracy) and not figure.same_classes):
            return None
        return None if isinstance(figure, PerWork) and figure.per != "inference" else figure


_ABOUT = ("name", "bits_in", "bits_out", "one_bit", "note", "counted")
FIGURES = tuple(each.name for each in fields(Mode) if each.name not in _ABOUT)


@dataclass(frozen=True, kw_only=True)
class Published:
    """A chip, or a circuit up to its layout, with what was published of it.

    Parameters
    ----------
    label : as a plot names it
    cite : key of configs/references.bib; None where the paper is not in it
    doi : of the paper; None where it is not established
    source : the paper in words
    technology_nm : of the CMOS
    memory : what holds the weights
    analog : computes in the memory (others are digital, for comparison)
    silicon : measured on silicon; None where the fact is not established
    task : kind of experiment whose figures compare with those of this chip; None where there is none
    modes : how it was operated
    """

    label: Text
    description: Text
    cite: str | None = None
    doi: str | None = None
    source: Text
    technology_nm: Positive | None = None
    memory: Text
    analog: bool = True
    silicon: bool | None = None
    task: Text | None = None
    modes: Annotated[tuple[Mode, ...], Len(1)]

    def __post_init__(self) -> None:
        if self.cite is not None and self.cite not in library():
            raise ValueError(f"cite: must be a key of configs/references.bib, or null (got {self.cite})")

    def marks(self, outputs: list[str], task: str) -> list[dict[str, Any]]:
        """A mark for each mode that has two figures to be drawn over each other."""
        found = []
        for mode in self.modes:
            figures = {
                name: {"value": figure.value, "status": figure.status, "source": figure.source}
                for name in outputs
                if (figure := mode.comparable(name, task)) and (name in ACROSS_TASKS or self.task == task)
            }
            if len(figures) > 1:
                label = f"{self.label}, {mode.name}" if mode.name else self.label
                found.append({"label": label, "chip": self.label, "analog": self.analog, "figures": figures})
        return found


def of_task(task: str) -> list[dict[str, Any]]:
    """One row for each way in which a chip did this task: its figures in the terms of always-on chips."""
    rows = []
    for chip in every().values():
        for mode in chip.modes:
            found = mode.figures()
            if chip.task != task or not {"accuracy", "average_power_W"} & set(found):
                continue
            rows.append(
                {
                    "label": f"{chip.label}, {mode.name}" if mode.name else chip.label,
                    "chip": chip,
                    "mode": mode,
                    **{name: found.get(name) for name in ("average_power_W", "energy_J", "area_m2", "accuracy")},
                }
            )
    return rows


def every() -> dict[str, Published]:
    """All shipped records by name. Raises InputError, with the problems of all files at once."""
    found: dict[str, Published] = {}
    problems: list[str] = []
    for name in sorted(shipped_files(FOLDER)):
        try:
            found[name] = read(name, Published, folder=FOLDER).value
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)
    return found
