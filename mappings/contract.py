"""What everything on tiles answers, in four steps from a weight to a result.

    Layer            what     weights and function, no chip         shapes, parameters
    MappedLayer      where    tiles, columns, converters; no cell   grid, actions(activity), components()
    ProgrammedLayer  written  the cells of N chips                  at(t_s), written()
    LayerRead        read     the cells at one time                 run(inputs, noise=..., activity=...)

    layer.map(chip, inputs=WordFormat(...)) -> MappedLayer
    mapped.program(rng=...)                 -> ProgrammedLayer
    programmed.at(t_s)                      -> LayerRead

Dense, recurrent, liquid and sparse layers are subclasses of these; a network is a graph of them with the same four
steps (``mappings.convert``). What a layer takes as inputs is its kind's: pulse widths, active word lines, or a
sparse matrix. Cost is count x price: ``MappedLayer.actions`` counts, ``mappings.cost.price`` prices. Where a
run adds up an activity, ``observed(activity)`` of what is programmed gives the means that ``actions`` takes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from devices import Cells, ChipStreams
from mappings.actions import Actions
from mappings.tile import TileGrid
from periphery.prices.component import Component


@dataclass(frozen=True, kw_only=True)
class WordFormat:
    """The digital words that pass from one layer to the next.

    Parameters
    ----------
    bits : width of a word, its sign included
    limit : value at full scale [1]
    kind : ``signed`` words, ``unsigned`` ones, or ``spike`` (one bit: a line is active or not)
    """

    bits: int
    limit: float = 1.0
    kind: Literal["signed", "unsigned", "spike"] = "signed"

    @property
    def full_scale(self) -> int:
        """The count that means ``limit``, the largest one."""
        return (1 << self.bits - 1) - 1 if self.kind == "signed" else (1 << self.bits) - 1

    @property
    def lsb(self) -> float:
        """The value of one count."""
        return self.limit / self.full_scale


class Layer(ABC):
    """What is computed: weights and a function, and no hardware."""

    @property
    @abstractmethod
    def inputs(self) -> int:
        """Values that come in."""

    @property
    @abstractmethod
    def outputs(self) -> int:
        """Values that go out."""

    @property
    @abstractmethod
    def parameters(self) -> int:
        """Weights, biases included."""

    @abstractmethod
    def map(self, chip: Any, *, name: str = "layer", inputs: Any = None) -> MappedLayer:
        """Find where the layer goes on the tiles of ``chip``; nothing is drawn, no cell is made.

        ``inputs``: the format of its inputs, the chip's by default; a sparse layer takes the matrix that comes in.
        Raises InputError, with every reason, where the layer does not fit the chip.
        """


class MappedLayer(ABC):
    """Where a layer goes: everything that its area, energy and latency follow from, whatever its size."""

    name: str

    @property
    @abstractmethod
    def grid(self) -> TileGrid:
        """Tiles that the layer takes, and how full they are."""

    @abstractmethod
    def components(self) -> Mapping[str, Component]:
        """The price list, with the converters that the chip names."""

    @abstractmethod
    def actions(self, activity: Any = None) -> Actions:
        """What one step does: counts, instances and schedule.

        ``activity``: means of what was observed in a run, with the conductances that it met; with None the layer's
        assumptions about conductances and inputs are taken instead, and a note of the result names them.
        """

    @abstractmethod
    def program(self, *, rng: ChipStreams) -> ProgrammedLayer:
        """Write the layer once on each chip of ``rng``."""


@dataclass(frozen=True, kw_only=True)
class WrittenCells:
    """Cells of one part of a layer that are written in the same way.

    Parameters
    ----------
    part : what they are for
    device : their kind
    cells : as they left programming
    rows_at_once, columns_at_once : cells of an array that are written together
    """

    part: str
    device: str
    cells: Sequence[Cells]
    rows_at_once: int = 1
    columns_at_once: int = 1


class ProgrammedLayer(ABC):
    """A layer as written on a batch of chips; any number of readings are of the same cells."""

    mapped: MappedLayer

    @abstractmethod
    def at(self, t_s: float) -> LayerRead:
        """The same chips ``t_s`` seconds after they were written.

        Raises InputError for a time for which nothing is published about the cells.
        """

    def written(self) -> Sequence[WrittenCells]:
        """The cells of every part that programming wrote, for what writing took; none where forming left them."""
        return ()


class LayerRead(ABC):
    """A layer's chips at one time."""

    @abstractmethod
    def run(self, *inputs: Any, **how: Any) -> Any:
        """What the chips answer: ``run(inputs, noise=..., activity=...)``, where ``activity`` adds up what they did.

        A kind that answers with a record of its run has the activity there, and takes none; a sparse layer has had its
        inputs since it was mapped, and its noise since it was programmed.
        """
