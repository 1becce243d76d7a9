"""Wires of an array: voltage drops along word and bit lines, exactly, in closed form, or vector by vector."""

from __future__ import annotations

from crossbar.wires.exact import effective_conductance, ends
from crossbar.wires.folded import alpha_beta, alpha_beta_ends
from crossbar.wires.iterative import NotConvergedError, Solved, solve
from crossbar.wires.model import Ends, Method, Wires, alpha_beta_limit, kappa
from crossbar.wires.noise import FoldedNoise, read_variance
from crossbar.wires.technology import LINES, line_width_m, segment_ohm

__all__ = [
    "Ends",
    "FoldedNoise",
    "LINES",
    "Method",
    "NotConvergedError",
    "Solved",
    "Wires",
    "alpha_beta",
    "alpha_beta_ends",
    "alpha_beta_limit",
    "effective_conductance",
    "ends",
    "kappa",
    "line_width_m",
    "read_variance",
    "segment_ohm",
    "solve",
]
