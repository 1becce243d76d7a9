"""The figure and the tables of ``docs/circuit.md`` are those of the code, and its parameters those of the classes."""

from __future__ import annotations

import runpy
from dataclasses import fields
from pathlib import Path

from periphery.front_end import FRONT_ENDS

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "circuit.md").read_text(encoding="utf-8")


def test_figure_and_budget_are_drawn_from_the_code() -> None:
    drawn = runpy.run_path(str(DOCS / "circuit.py"))
    assert drawn["svg"]() == (DOCS / "circuit.svg").read_text(encoding="utf-8"), "run python docs/circuit.py"
    assert drawn["table"]() in PAGE, "run python docs/circuit.py"
    assert drawn["changes"]() in PAGE, "run python docs/circuit.py"


def test_every_parameter_has_a_line() -> None:
    table = PAGE[PAGE.index("## Parameters") : PAGE.index("## Budget")]
    named = {field.name for kind in FRONT_ENDS.values() for field in fields(kind)} - {"kind"}
    assert {name for name in named if f"`{name}`" not in table} == set()
