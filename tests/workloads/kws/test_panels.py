"""Panels of a keyword-spotting report beyond accuracy and cost: which are there, and what they draw from."""

from __future__ import annotations

import pandas as pd

from devices import TaOx
from mappings.chip import Chip, Weights
from periphery import RampColumn
from workloads.kws.panels import panels_of

HEADLINE = Chip(weights=Weights(device=TaOx()), ramp=RampColumn(device=TaOx()))


def converters(*rows: tuple[str, str, int, int]) -> pd.DataFrame:
    """Rows of readout, device, bits and converter bits, each with the same quality and cost."""
    figures = {"accuracy": 0.8, "low": 0.7, "high": 0.9, "area_m2": 1e-9, "energy_J": 1e-9, "latency_s": 1e-6}
    names = ("readout", "device", "bits", "adc_bits")
    return pd.DataFrame(
        [{"variant": str(k), **dict(zip(names, row, strict=True)), **figures} for k, row in enumerate(rows)]
    )


def test_ramp_and_conventional_chain_stand_side_by_side_over_bits() -> None:
    kind = HEADLINE.weights.device.kind
    rows = [(readout, kind, bits, bits) for readout in ("ramp", "conventional") for bits in (3, 4, 5, 8)]
    tables = {"converters": converters(*rows, ("conventional", kind, 5, 8), ("ramp", "pcm", 5, 5))}
    panels = panels_of(tables, HEADLINE)
    lines = {panel.y: panel for panel in panels if panel.kind == "lines"}
    assert set(lines) == {"accuracy", "energy_J", "latency_s", "area_m2"}
    assert all((panel.x, panel.by) == ("bits", "readout") for panel in lines.values())
    assert sum(panel.kind == "table" for panel in panels) == 1
    drawn = tables["converters_by_bits"]
    assert len(drawn) == 8
    assert set(drawn.device) == {kind}
    assert bool((drawn.bits == drawn.adc_bits).all())


def test_one_width_is_no_comparison_over_bits() -> None:
    kind = HEADLINE.weights.device.kind
    ramps = (("ramp", kind, 5, 5), ("ramp", kind, 4, 4))
    for rows in ((*ramps, ("conventional", kind, 5, 5)), ramps):
        tables = {"converters": converters(*rows)}
        assert panels_of(tables, HEADLINE) == ()
        assert "converters_by_bits" not in tables


def test_the_temperature_sweep_has_a_panel() -> None:
    kind = HEADLINE.weights.device.kind
    sweep = pd.DataFrame([{"law": "a", "readout": "ramp", "temperature_K": 300.0, "mean_shift_lsb": 0.0}])
    panels = panels_of({"converters": converters(("ramp", kind, 5, 5)), "temperature": sweep}, HEADLINE)
    assert [(panel.section, panel.x, panel.y, panel.by) for panel in panels] == [
        ("Temperature", "temperature_K", "mean_shift_lsb", "readout")
    ]
