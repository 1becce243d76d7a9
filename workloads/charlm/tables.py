"""The tables of a character model's run: those of any network, what chips write, cost beside published chips."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mappings.convert.cost import NetworkCost
from workloads.network.settings import NetworkVariant
from workloads.network.tables import NetworkTables
from workloads.result import Metric, Panel, Result

BITS = "bits_per_character"
FIGURES = {BITS: Metric(higher_is_better=False, unit="bit")}

TABLE_1 = "Yang et al., Nat. Commun. 16, 1136 (2025), Table 1, derived from power, TOPS and TOPS/W; 16 nm, 623 kB"
HERMES = (
    "64-core PCM chip, Nat. Electron. (2023), abstract as quoted in public notes; 14 nm, an LSTM step of its network"
)
PUBLISHED = (
    {"what": "ramp paper, NLP, 5 bits", "energy_J": 213e-9, "latency_s": 524e-9, "area_m2": 0.71e-6, "source": TABLE_1},
    {
        "what": "ramp paper, NLP, 8 bits",
        "energy_J": 1.418e-6,
        "latency_s": 1.849e-6,
        "area_m2": 0.71e-6,
        "source": TABLE_1,
    },
    {"what": "HERMES, one LSTM step", "energy_J": 5.24e-6, "latency_s": 1.43e-6, "source": HERMES},
)
BESIDE = (
    "Cost of one character of every variant, and of each layer of it, beside one step of published chips. Ours is a "
    "prediction from mho's prices, fitted to none of these rows; networks and cells differ, and how much the published "
    "figures include is not established."
)
WRITTEN = (
    "Text that chips write as they age, each character drawn from what they gave for the ones before, with the same "
    "random numbers for every chip and time."
)


@dataclass
class CharacterTables(NetworkTables):
    """Further tables: ``text``, ``per_character``; ``tuned``: where a network came from that was trained for chips
    elsewhere, or empty."""

    tuned: str = ""

    @property
    def retrained(self) -> str:
        """What the network was trained on with."""
        return f"the formats and errors of chips, as given ({self.tuned})" if self.tuned else super().retrained

    def wrote(self, variant: NetworkVariant, t_s: float, texts: Iterable[str]) -> None:
        """What chips wrote at a time."""
        for chip, text in enumerate(texts):
            self.add("text", variant=variant.name, t_s=t_s, chip=chip, text=text)

    def per_character(self, variant: NetworkVariant, cost: NetworkCost) -> None:
        """Cost of one character of one variant, in all and of every layer."""
        source = "this run"
        found = cost.summary
        whole = {name: found[name] for name in ("energy_J", "latency_s", "area_m2")}
        self.add("per_character", what=variant.name, part="all", **whole, source=source)
        for row in cost.priced.layers:
            part = {name: row[name] for name in ("energy_J", "latency_s", "area_m2") if name in row}
            self.add("per_character", what=variant.name, part=row["layer"], **part, source=source)

    def reported(self, stages: dict[str, float]) -> Result:
        """Everything, once all variants are done."""
        for row in PUBLISHED:
            self.add("per_character", part="one step", **row)
        panels = [Panel("Cost of a character", BESIDE, "per_character")]
        if "text" in self.rows:
            panels.insert(0, Panel("Text that chips write", WRITTEN, "text"))
        return self.finished(stages, *panels)
