"""Arrays with wires against ngspice: as recorded in ``tests/reference``, and as it runs here.

``python tests/crossbar/test_wires_ngspice.py`` runs ngspice on the arrays of the record and writes its currents anew.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch

from crossbar.wires import Wires, effective_conductance, solve

REFERENCE = Path(__file__).parents[1] / "reference" / "wires_ngspice.json"
CASES: list[dict[str, Any]] = json.loads(REFERENCE.read_text(encoding="utf-8"))["arrays"] if REFERENCE.exists() else []
NAMES = [case["name"] for case in CASES]


def netlist(case: dict[str, Any]) -> str:
    """The array of a case, its operating point, and the currents of its sense inputs in order."""
    wires = Wires(**case["wires"])
    v, cells = case["v_V"], case["coefficients"]
    m, n = len(v), len(cells[0][0])
    rows = [f"* {case['name']}"]

    def line(end: str, volts: float, nodes: list[str], ohm: float, end_ohm: float) -> None:
        """A source at ``end`` and the segments from it along ``nodes``."""
        rows.append(f"V{end} {end} 0 DC {volts!r}")
        for k, (before, node) in enumerate(zip([end, *nodes], nodes, strict=False)):
            rows.append(f"R{node} {before} {node} {ohm if k else ohm + end_ohm!r}")

    order = range(n) if wires.driver == "left" else range(n - 1, -1, -1)
    for i in range(m):
        line(f"in{i}", v[i], [f"w{i}_{j}" for j in order], wires.r_word_ohm, wires.r_driver_ohm)
    order = range(m - 1, -1, -1) if wires.sense == "bottom" else range(m)
    for j in range(n):
        line(f"out{j}", 0.0, [f"b{i}_{j}" for i in order], wires.r_bit_ohm, wires.r_sense_ohm)
    for i in range(m):
        for j in range(n):
            if wires.unselected == "floating" and v[i] == 0.0:
                continue
            ends, u = f"w{i}_{j} b{i}_{j}", f"V(w{i}_{j},b{i}_{j})"
            terms = (f"{c[i][j]!r}*{u}" + f"*abs({u})" * power for power, c in enumerate(cells))
            rows.append(f"Bc{i}_{j} {ends} I={'+'.join(terms)}")
    rows += [".options reltol=1e-12 abstol=1e-20 vntol=1e-16 gmin=1e-20 itl1=500", ".control", "set numdgt=15", "op"]
    rows += [f"print i(Vout{j})" for j in range(n)]
    return "\n".join([*rows, ".endc", ".end", ""])


def ngspice(case: dict[str, Any], folder: Path) -> list[float]:
    """Column currents by ngspice [A]."""
    path = folder / "array.cir"
    path.write_text(netlist(case), encoding="utf-8")
    run = subprocess.run(["ngspice", "-b", str(path)], capture_output=True, text=True, check=False, timeout=120)
    found = re.findall(r"^i\(vout(\d+)\) = (\S+)", run.stdout, re.MULTILINE)
    assert [int(j) for j, _ in found] == list(range(len(case["coefficients"][0][0]))), run.stdout + run.stderr
    return [float(current) for _, current in found]


def tensors(case: dict[str, Any]) -> tuple[torch.Tensor, list[torch.Tensor], Wires]:
    v = torch.tensor(case["v_V"], dtype=torch.float64)
    return v, [torch.tensor(c, dtype=torch.float64) for c in case["coefficients"]], Wires(**case["wires"])


def worst(found: torch.Tensor, expected: list[float]) -> float:
    reference = torch.tensor(expected, dtype=torch.float64)
    return float((found - reference).abs().max() / reference.abs().max())


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_currents_are_those_recorded_from_ngspice(case: dict[str, Any]) -> None:
    v, cells, wires = tensors(case)
    assert worst(solve(v[None], cells, wires).current_A[0], case["current_A"]) < 1e-9
    if len(cells) == 1 and wires.unselected == "grounded":
        assert worst(v @ effective_conductance(cells[0], wires), case["current_A"]) < 1e-9


@pytest.mark.skipif(shutil.which("ngspice") is None, reason="ngspice is not installed (Debian package ngspice)")
@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_ngspice_agrees_here_and_now(case: dict[str, Any], tmp_path: Path) -> None:
    v, cells, wires = tensors(case)
    currents = ngspice(case, tmp_path)
    assert worst(torch.tensor(case["current_A"], dtype=torch.float64), currents) < 1e-10
    assert worst(solve(v[None], cells, wires).current_A[0], currents) < 1e-9


def test_record_holds_every_kind_of_array() -> None:
    """Both sizes, both ends of both lines, nonlinear cells and gated rows."""
    sizes = {(len(case["v_V"]), len(case["coefficients"][0][0])) for case in CASES}
    assert {(8, 8), (16, 16)} <= sizes
    seen = {(len(c["coefficients"]) > 1, c["wires"].get("unselected", "grounded")) for c in CASES}
    assert len(seen) == 4
    assert {(c["wires"]["driver"], c["wires"]["sense"]) for c in CASES} == {
        (driver, sense) for driver in ("left", "right") for sense in ("bottom", "top")
    }


def _drawn() -> list[dict[str, Any]]:
    """Arrays for the record, with numbers of few digits."""
    draw = torch.Generator().manual_seed(3)
    kinds = [
        ("linear", 8, 8, 1, "grounded", "left", "bottom"),
        ("linear", 16, 16, 1, "grounded", "right", "top"),
        ("linear, rectangular", 6, 16, 1, "grounded", "left", "top"),
        ("nonlinear", 8, 8, 3, "grounded", "left", "bottom"),
        ("nonlinear", 16, 16, 3, "grounded", "right", "bottom"),
        ("gated rows", 8, 8, 1, "floating", "left", "top"),
        ("gated rows, nonlinear", 16, 16, 3, "floating", "right", "top"),
    ]
    cases = []
    for kind, m, n, terms, unselected, driver, sense in kinds:
        g = (1e-6 + 1e-4 * torch.rand((m, n), generator=draw, dtype=torch.float64)) * (
            torch.rand((m, n), generator=draw) > 0.05
        )
        factors = (1.0, 0.7, 2.5)[:terms]
        v = 0.8 * torch.rand(m, generator=draw, dtype=torch.float64) - 0.3
        v *= torch.rand(m, generator=draw) > (0.4 if unselected == "floating" else 0.1)
        ohm = [round(float(r), 2) for r in torch.rand(4, generator=draw) * torch.tensor([20.0, 30.0, 200.0, 100.0])]
        cases.append(
            {
                "name": f"{kind} {m} x {n}",
                "wires": {
                    **dict(zip(("r_word_ohm", "r_bit_ohm", "r_driver_ohm", "r_sense_ohm"), ohm, strict=True)),
                    "driver": driver,
                    "sense": sense,
                    "unselected": unselected,
                },
                "v_V": [round(x, 4) for x in v.tolist()],
                "coefficients": [[[float(f"{f * x:.4g}") for x in row] for row in g.tolist()] for f in factors],
            }
        )
    return cases


def _record(folder: Path) -> None:
    version = subprocess.run(["ngspice", "--version"], capture_output=True, text=True, check=True).stdout.split("\n")[1]
    cases = [{**case, "current_A": ngspice(case, folder)} for case in _drawn()]
    program = version.strip("* ").split(" :")[0]
    text = {
        "what": "Column currents of arrays with wires at their operating point; cells carry I = c_1 U + c_2 U|U| + ...",
        "source": f"{program}, netlists by tests/crossbar/test_wires_ngspice.py, reltol 1e-12",
        "arrays": cases,
    }
    body = json.dumps(text, indent=1)
    REFERENCE.write_text(re.sub(r"\n\s+(?=[-\d\]])", " ", body) + "\n", encoding="utf-8")


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as scratch:
        _record(Path(scratch))
