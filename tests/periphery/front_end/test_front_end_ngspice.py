"""Columns of 16 cells and their front ends against ngspice: as recorded in ``tests/reference``, and as it runs here.

Amplifiers, input devices and mirrors are behavioural: a transconductance, its load, its noise.
``python tests/periphery/front_end/test_front_end_ngspice.py`` runs ngspice on the circuits of the record and writes its
volts anew.
"""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from crossbar.wires import Wires, effective_conductance
from periphery.front_end import ColumnLoad, FrontEndDesign, Integrator

REFERENCE = Path(__file__).parents[2] / "reference" / "front_end_ngspice.json"
CASES: list[dict[str, Any]] = json.loads(REFERENCE.read_text(encoding="utf-8"))["columns"] if REFERENCE.exists() else []
NAMES = [case["name"] for case in CASES]
GM_PER_I, PEAK_A, READ_V = 16.0, 50e-6, 0.2


def open_s(case: dict[str, Any]) -> float:
    return float(case["drive_s"] + case["settle_s"])


def designed(case: dict[str, Any]) -> FrontEndDesign:
    """The front end that has the case's elements, one unit of the pre-activation being one coulomb."""
    e, lines = case["elements"], case["cells_S"]
    n, division = len(lines), e["division"]
    amplifier_A, input_A = 2.0 * e["gm_S"] / GM_PER_I, e["gm_input_S"] / GM_PER_I
    input_branches_A = input_A * (1.0 + 1.0 / division)
    conveyor = division > 1.0
    swing_V = 0.5
    load = ColumnLoad(
        node_nm=16,
        temperature_K=300.0,
        t_clk_s=1e-9,
        read_V=READ_V,
        charge_per_z_C=1.0,
        range_z=swing_V * division * e["capacitor_F"],
        line_S=sum(lines[0]),
        lines=n,
        line_F=case["line_F"],
        peak_A=PEAK_A if conveyor else 0.0,
        drive_s=case["drive_s"],
        phases_cancel=case["phases_cancel"],
        settle_s=case["settle_s"],
    )
    front_end = Integrator(
        swing_V=swing_V,
        division=division,
        gm_per_I=GM_PER_I,
        stages=1,
        intrinsic_gain=e["gain"],
        gain_error=0.5,
        bias_A=n * (amplifier_A + input_branches_A + PEAK_A / division) if conveyor else n * amplifier_A,
        input_share=input_branches_A / (amplifier_A + input_branches_A) if conveyor else 0.5,
        load_F=e["load_F"],
        gate_F_per_um2=0.0,
        A_VT_Vum=1e3 * case["offset_V"] or 1e-12,
        pair_um2=1e6,
        mirror_um2=1e12,  # no mismatch of the quiescent current: ngspice has no quiescent current
    )
    return front_end.design(load)


def netlist(case: dict[str, Any]) -> str:
    """Cells, lines and front end of a case, as run by ``ngspice``.

    ``v(seen)`` is what the converter sees; ``v(out)`` is the same less what the capacitor held one window earlier, by a
    delay line: the noise of a window that begins with a reset.
    """
    e, ends = case["elements"], open_s(case)
    rows = [f"* {case['name']}", ".options temp=26.85 reltol=1e-6 abstol=1e-15 vntol=1e-9 gmin=1e-18"]
    for i, pulses in enumerate(case["pulses_s"]):
        points = ["0 0"]
        for begin, width in pulses:
            corners = zip(
                (begin, begin + EDGE_S, begin + width, begin + width + EDGE_S), (0, READ_V, READ_V, 0), strict=True
            )
            points += [f"{at!r} {volts}" for at, volts in corners]
        rows.append(f"Vrow{i} row{i} 0 DC 0 AC 1 PWL({' '.join(points)})")
    for k, cells in enumerate(case["cells_S"]):
        offset_V = case["offset_V"] if k == 0 else 0.0
        rows += _line(k, cells, case, offset_V)
        # A resistor of gamma / gm without current has the amplifier's noise voltage.
        rows += [f"Rn{k} n{k} os{k} {1.0 / e['gm_S']!r}", f"Vos{k} os{k} 0 {offset_V!r}"]
    rows += _conveyor(case) if e["division"] > 1.0 else _plain(case)
    rows += [
        *(f"Ehold hold 0 {HELD[e['division'] > 1.0]} 1", f"Eseen seen 0 {SEEN[e['division'] > 1.0]} 1"),
        *(
            "Gs 0 h1 hold 0 0.02",
            "Gs_ohm h1 0 h1 0 0.02",
            f"Tdelay h1 0 h2 0 Z0=50 TD={ends!r}",
            "Gt_ohm h2 0 h2 0 0.02",
        ),
        "Bout out 0 V=v(seen)-2*v(h2)",  # a matched source puts half of its voltage on a line
        *(".control", "set numdgt=12", f"tran {ends / 2000!r} {ends!r} 0 {ends / 2000!r} uic"),
        f"meas tran volts find v(seen) at={ends * (1 - 1e-9)!r}",
        *(
            ()
            if case["phases_cancel"]
            else ("noise v(out) Vrow0 dec 800 1e4 1e13", "setplot noise1", "wrdata noise.txt onoise_spectrum")
        ),
    ]
    return "\n".join([*rows, ".endc", ".end", ""])


EDGE_S = 1e-13
HELD = {True: "c 0", False: "o x0"}
SEEN = {True: "c 0", False: "o os0"}


def _line(k: int, cells: list[float], case: dict[str, Any], offset_V: float) -> list[str]:
    """The cells of a line and its wire, ``x`` its lower end."""
    rows, m = [], len(cells)
    wired = case["r_bit_ohm"] > 0.0
    for i, siemens in enumerate(cells):
        node, below = (f"b{k}_{i}", f"b{k}_{i + 1}" if i + 1 < m else f"x{k}") if wired else (f"x{k}", "")
        rows.append(f"Rc{k}_{i} row{i} {node} {1.0 / siemens!r}")
        if wired:
            rows.append(f"Rb{k}_{i} {node} {below} {case['r_bit_ohm']!r}")
            rows.append(f"Cl{k}_{i} {node} 0 {case['line_F'] / m!r} IC={offset_V!r}")
    return rows if wired else [*rows, f"Cl{k} x{k} 0 {case['line_F']!r} IC={offset_V!r}"]


def _conveyor(case: dict[str, Any]) -> list[str]:
    """Input devices behind their amplifiers, mirrors with the noise of both devices, and the capacitor."""
    e, n = case["elements"], len(case["cells_S"])
    gm_mirror = GM_PER_I * PEAK_A + e["gm_input_S"]
    rows = ["Vi i 0 0"]
    for k in range(n):
        ends = "0 i" if k == 0 else "i 0"  # the second line is subtracted
        rows += [
            *(f"Ga{k} g{k} 0 x{k} n{k} {e['gm_S']!r}", f"Ga_out{k} g{k} 0 g{k} 0 {e['gm_S'] / e['gain']!r}"),
            *(f"Ca{k} g{k} 0 {e['load_F']!r}", f"Gm{k} x{k} 0 x{k} g{k} {e['gm_input_S']!r}"),
            f"Gx{k} {ends} x{k} g{k} {e['gm_input_S'] / e['division']!r}",
            *(f"Rin{k} in{k} 0 {1.0 / gm_mirror!r}", f"Gin{k} {ends} in{k} 0 {gm_mirror / e['division']!r}"),
            *(
                f"Rout{k} ou{k} 0 {e['division'] / gm_mirror!r}",
                f"Gout{k} {ends} ou{k} 0 {gm_mirror / e['division']!r}",
            ),
        ]
    if case["phases_cancel"]:
        half_s = open_s(case) / 2.0
        rows += [f"Vturn turn 0 DC 1 PWL(0 1 {half_s!r} 1 {half_s + EDGE_S!r} -1)", "Bc 0 c I=i(Vi)*v(turn)"]
    else:
        rows.append("Fc 0 c Vi 1")
    output_S = n * gm_mirror / (e["division"] * e["gain"] ** 3)
    return [*rows, f"Cc c 0 {e['capacitor_F']!r} IC=0", f"Gc c 0 c 0 {output_S!r}"]


def _plain(case: dict[str, Any]) -> list[str]:
    """A transconductor with the capacitor across it."""
    e = case["elements"]
    return [
        *(f"Ga o 0 x0 n0 {e['gm_S']!r}", f"Ga_out o 0 o 0 {e['gm_S'] / e['gain']!r}"),
        *(f"Ca o 0 {e['load_F']!r} IC={case['offset_V']!r}", f"Cc o x0 {e['capacitor_F']!r} IC=0"),
    ]


def ngspice(case: dict[str, Any], folder: Path) -> dict[str, float]:
    """Volts that the converter sees at the end [V], and the noise of it where the polarity does not turn [V]."""
    path = folder / "column.cir"
    path.write_text(netlist(case), encoding="utf-8")
    run = subprocess.run(["ngspice", "-b", path.name], cwd=folder, capture_output=True, text=True, timeout=300)
    found = re.search(r"^volts\s*=\s*(\S+)", run.stdout, re.MULTILINE)
    assert found, run.stdout + run.stderr
    volts = {"volts_V": float(found[1])}
    if case["phases_cancel"]:
        return volts
    hertz, density = np.loadtxt(folder / "noise.txt").T  # ngspice's own integral takes logarithms, and there are zeros
    return {**volts, "noise_V": math.sqrt(np.trapezoid(density**2, hertz))}


def expected_volts(case: dict[str, Any], built: FrontEndDesign) -> float:
    """Charge of the pulses through cells and wires, with its gain, or the offset where nothing is driven [V]."""
    per_coulomb = built.volts_per_z
    turned = [case["phases_cancel"] and bool(pulses) and pulses[0][0] > 0.0 for pulses in case["pulses_s"]]
    signed = torch.tensor(
        [
            sum(width for _, width in pulses) * (-1.0 if late else 1.0)
            for late, pulses in zip(turned, case["pulses_s"], strict=True)
        ]
    ).double()
    if not bool(signed.any()):
        line_S = built.load.line_S
        return built.offset_sigma_z(line_S) * built.gain(line_S) * per_coulomb / math.sqrt(built.load.lines)
    charge_C = torch.zeros(()).double()
    for sign, cells in zip((1.0, -1.0), case["cells_S"], strict=False):
        g = torch.tensor(cells, dtype=torch.float64)[:, None]
        if case["r_bit_ohm"]:
            g = effective_conductance(g, Wires(r_word_ohm=0.0, r_bit_ohm=case["r_bit_ohm"]))
        charge_C += sign * READ_V * (signed @ g[:, 0]) * built.gain(sum(cells))
    return float(charge_C) * per_coulomb


def expected_noise(case: dict[str, Any], built: FrontEndDesign) -> float:
    """Noise but for the reset's, every line with its own conductance [V]."""
    reset = sum(term.at(0.0) for term in built.noises if term.name == "reset")
    z2 = [built.noise_z2(sum(cells)) - reset for cells in case["cells_S"]]
    return math.sqrt(sum(z2) / len(z2)) * built.volts_per_z


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_volts_are_those_recorded_from_ngspice_within_one_percent(case: dict[str, Any]) -> None:
    assert expected_volts(case, designed(case)) == pytest.approx(abs(case["volts_V"]), rel=0.01, abs=1e-4)


@pytest.mark.parametrize("case", [case for case in CASES if "noise_V" in case], ids=lambda case: case["name"])
def test_noise_is_that_recorded_from_ngspice_within_five_percent(case: dict[str, Any]) -> None:
    built = designed(case)
    assert expected_noise(case, built) == pytest.approx(case["noise_V"], rel=0.05)


@pytest.mark.skipif(shutil.which("ngspice") is None, reason="ngspice is not installed (Debian package ngspice)")
@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_ngspice_agrees_here_and_now(case: dict[str, Any], tmp_path: Path) -> None:
    found = ngspice(case, tmp_path)
    assert found["volts_V"] == pytest.approx(case["volts_V"], rel=1e-4, abs=1e-7)
    assert found.keys() == case.keys() & {"volts_V", "noise_V"}
    assert found.get("noise_V", 0.0) == pytest.approx(case.get("noise_V", 0.0), rel=1e-4)


def test_record_holds_both_circuits_and_every_error() -> None:
    """At least 16 cells a line; finite gain, offset, slow settling, wires, both polarities."""
    assert all(len(cells) >= 16 for case in CASES for cells in case["cells_S"])
    assert {case["elements"]["division"] > 1.0 for case in CASES} == {True, False}
    assert {case["phases_cancel"] for case in CASES} == {True, False}
    assert {case["r_bit_ohm"] > 0.0 for case in CASES} == {True, False}
    lost = [1.0 - built.gain(built.load.line_S) for built in map(designed, CASES)]
    assert max(lost) > 0.05
    assert max(built.settling.loss(built.load.line_S) for built in map(designed, CASES)) > 0.05


def _drawn() -> list[dict[str, Any]]:
    """Columns for the record, with numbers of few digits."""
    draw = torch.Generator().manual_seed(5)
    conveyor = {
        "division": 32.0,
        "capacitor_F": 150e-15,
        "gm_S": 1e-3,
        "gm_input_S": 1e-3,
        "gain": 500.0,
        "load_F": 20e-15,
    }
    plain = {"division": 1.0, "capacitor_F": 4e-12, "gm_S": 0.2, "gm_input_S": 0.0, "gain": 3000.0, "load_F": 50e-15}
    base = {
        "line_F": 50e-15,
        "r_bit_ohm": 0.0,
        "offset_V": 0.0,
        "drive_s": 15e-9,
        "settle_s": 5e-9,
        "phases_cancel": False,
    }
    kinds: list[tuple[str, dict[str, float], dict[str, Any], str]] = [
        ("conveyor", conveyor, {}, "widths"),
        ("conveyor, low gain", {**conveyor, "gain": 50.0}, {}, "widths"),
        ("conveyor, slow amplifier", {**conveyor, "gm_S": 1.5e-5}, {"settle_s": 1e-9}, "full"),
        ("conveyor, offset", conveyor, {"offset_V": 2e-3}, "none"),
        ("conveyor, wires", conveyor, {"r_bit_ohm": 5.0}, "widths"),
        (
            "conveyor, offset in two phases",
            conveyor,
            {"offset_V": 2e-3, "phases_cancel": True, "drive_s": 30e-9},
            "both",
        ),
        ("integrator", plain, {}, "widths"),
        ("integrator, low gain", {**plain, "gain": 200.0}, {}, "widths"),
        ("integrator, weak amplifier", {**plain, "gm_S": 0.02}, {}, "widths"),
        ("integrator, slow amplifier", {**plain, "load_F": 40e-12}, {"settle_s": 0.5e-9, "line_F": 20e-12}, "full"),
        ("integrator, offset", plain, {"offset_V": 2e-3}, "none"),
    ]
    cases = []
    for name, elements, changes, pulses in kinds:
        case = {"name": f"{name}, 16 cells", "elements": elements, **base, **changes}
        lines = 2 if elements["division"] > 1.0 else 1
        share = torch.rand((lines, 16), generator=draw) * torch.tensor([1.0, 0.4])[:lines, None]
        case["cells_S"] = [[float(f"{5e-6 + 1.4e-4 * x:.4g}") for x in row] for row in share.tolist()]
        widths = [round(float(x), 0) * 1e-9 for x in torch.randint(1, 16, (16,), generator=draw)]
        half_s = open_s(case) / 2.0
        case["pulses_s"] = {
            "widths": [[[0.0, width]] for width in widths],
            "full": [[[0.0, case["drive_s"]]] for _ in widths],
            "none": [[] for _ in widths],
            "both": [[[0.0 if i % 3 else half_s, width]] for i, width in enumerate(widths)],
        }[pulses]
        cases.append(case)
    return cases


def _record(folder: Path) -> None:
    version = subprocess.run(["ngspice", "--version"], capture_output=True, text=True, check=True).stdout.split("\n")[1]
    cases = [{**case, **ngspice(case, folder)} for case in _drawn()]
    program = version.strip("* ").split(" :")[0]
    text = {
        "what": "Volts behind the front end of a column at the end of its window, and their noise, in volts",
        "source": f"{program}, netlists by tests/periphery/front_end/test_front_end_ngspice.py, reltol 1e-6",
        "columns": cases,
    }
    body = json.dumps(text, indent=1)
    REFERENCE.write_text(re.sub(r"\n\s+(?=[-\d\]])", " ", body) + "\n", encoding="utf-8")


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as scratch:
        _record(Path(scratch))
