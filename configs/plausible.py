"""Physical values that cannot be meant: 160 siemens for 160 microsiemens, a read voltage of 100 V, a clock of a second.

Every field's name carries its unit (``g_max_S``, ``v_read_V``, ``t_clk_s``), so a range for each unit, and narrower
ones for some names, is enough to find a slipped prefix. The ranges are wide: they hold what anybody has built or
measured with a margin on both sides, and are estimates, not limits of the models. 0 is never questioned here.
``implausible: allow`` in a mapping switches the check off for everything below it. Infinity is always refused: no
quantity is infinite, and a sum with it is no result.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from configs.yaml_source import Node

KEY, ALLOW = "implausible", "allow"

_TIME = {"t_clk_s": (1e-12, 1e-4), "edge_jitter_s": (1e-15, 1e-6)} | {
    **dict.fromkeys(("delay_s", "settle_s"), (1e-13, 1e-4)),
    **dict.fromkeys(("t_step_s", "t_gap_s", "t_convert_s"), (1e-12, 1.0)),
    **dict.fromkeys(("set_s", "reset_s", "verify_s"), (1e-12, 10.0)),
    **dict.fromkeys(("hop_s", "window_s"), (1e-4, 10.0)),
    **dict.fromkeys(("frame_s", "max_shift_s"), (1e-6, 10.0)),
    **dict.fromkeys(("width_s",), (1e-7, 100.0)),
    **dict.fromkeys(("saccade_s",), (1e-4, 100.0)),
}
_OTHER = {"swing_V": (1e-3, 5.0), "range_z": (1e-3, 1e6), "limit": (1e-6, 1e9)} | {
    **dict.fromkeys(("v_read_V", "v_design_V", "verify_V"), (1e-3, 3.0)),
    **dict.fromkeys(("offset_V", "noise_V"), (1e-7, 0.5)),
    **dict.fromkeys(("cell_width_F", "cell_height_F"), (0.5, 1e4)),
    **dict.fromkeys(("gain_per_uS", "gain", "late_gain", "reset_gain"), (1e-6, 1e3)),
    **dict.fromkeys(("x_max", "drive_limit"), (1e-6, 1e6)),
    **dict.fromkeys(("edge_factor",), (1e-3, 1e4)),
    **dict.fromkeys(("per_row",), (1e-3, 1e6)),
    **{"W_per_m2": (1e-6, 1e8), "current_limit_A_per_m2": (1e6, 1e13), "gate_F_per_um2": (1e-17, 1e-12)},
}
_SPREADS = ("sigma_absolute", "sigma_proportional", "device_sd", "cycle_sd", "drift_mean", "drift_sd", "jitter")
_SHARES = dict.fromkeys(_SPREADS, (0.0, 1.0)) | {"sigma_ln": (0.0, 3.0), "cell_sd": (0.0, 3.0)}
BY_NAME: dict[str, tuple[float, float]] = _TIME | _OTHER | _SHARES
BY_UNIT: dict[str, tuple[float, float]] = {
    **{"S": (1e-13, 1e-2), "V": (1e-7, 20.0), "s": (1e-15, 1e11), "Hz": (1e-4, 1e13), "F": (1e-19, 1e-5)},
    **{"ohm": (1e-6, 1e9), "K": (1.0, 1500.0), "eV": (1e-4, 10.0), "J": (1e-22, 1.0), "W": (1e-18, 1e4)},
    **{"m2": (1e-18, 1.0), "um2": (1e-4, 1e5), "dB": (1e-3, 300.0), "px": (1e-3, 1e5), "uS": (1e-7, 1e4)},
}
OTHERWISE = (0.0, 1e18)
_PREFIXES = ((1e-3, "e-3"), (1e-6, "e-6"), (1e-9, "e-9"), (1e-12, "e-12"), (1e3, "e3"), (1e6, "e6"), (1e9, "e9"))


def range_of(name: str) -> tuple[float, float]:
    """Smallest and largest plausible size of a field, by its name or else by its unit."""
    per_second = (1e-3, 1e13) if name.endswith("_per_s") else None
    return BY_NAME.get(name) or per_second or BY_UNIT.get(name.rpartition("_")[2], OTHERWISE)


def problem_of(name: str, value: float) -> str:
    """Why ``value`` cannot be meant for the field ``name``; empty where it can."""
    if not math.isfinite(value):
        return f"must be a finite number (got {value})"
    low, high = range_of(name)
    size = abs(value)
    if size == 0.0 or low <= size <= high:
        return ""
    fitting = [end for factor, end in _PREFIXES if low <= size * factor <= high]
    meant = f"; did you mean {value:g}{fitting[0]}?" if fitting and "e" not in f"{value:g}" else ""
    if name in _SHARES:
        meant = f"; it is a share of 1, so {value:g} % is {value / 100:g}"
    unit = name.rpartition("_")[2]
    usual = f"{low:g} to {high:g}{f' {unit}' if unit in BY_UNIT else ''}"
    return f"is implausible: {usual} is usual, {KEY}: {ALLOW} beside it lets it pass (got {value:g}){meant}"


def problems(node: Node) -> list[str]:
    """One line with file, place and field for each number below ``node`` that cannot be meant.

    A number that several variants take over from one place of the file is reported once.
    """
    found: dict[str, str] = {}
    for line in problems_in(node):
        found.setdefault(line.split(": ")[0], line)
    return list(found.values())


def problems_in(node: Node, name: str = "", path: str = "") -> Iterator[str]:
    """The lines of ``problems``, each as often as the value occurs."""
    if isinstance(node.value, dict):
        if allows(node):
            yield from (line for line in problems_in(without(node), name, path) if "finite" in line)
            return
        for key, lower in node.value.items():
            yield from problems_in(lower, key, f"{path}.{key}" if path else key)
    elif isinstance(node.value, tuple):
        for index, lower in enumerate(node.value):
            yield from problems_in(lower, name, f"{path}[{index}]")
    elif isinstance(node.value, float) or (type(node.value) is int and range_of(name) is not OTHERWISE):
        text = problem_of(name, float(node.value))
        if text:
            yield f"{node.origin}: {path}: {text}"


def allows(node: Node) -> bool:
    """Whether a mapping lets implausible values pass."""
    word = node.child(KEY)
    return word is not None and word.value == ALLOW


def without(node: Node) -> Node:
    """The same tree without the word that lets values pass, which is no field of any record."""
    if isinstance(node.value, dict):
        kept = {key: without(lower) for key, lower in node.value.items() if not (key == KEY and lower.value == ALLOW)}
        return replace(node, value=kept)
    if isinstance(node.value, tuple):
        return replace(node, value=tuple(without(lower) for lower in node.value))
    return node
