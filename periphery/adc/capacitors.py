"""Levels of capacitive converters, and how mismatch of their capacitors moves them.

A capacitor of ``2^k`` units errs by ``sigma sqrt(2^k)`` units when one unit errs by ``sigma``: areas average. Two ways
to make levels from them:

- **binary**: capacitors 1, 2, .. 2^(n-1) and one unit to end the row; level c is the share of the charge on those that
  c's digits name, ``S_c / S`` with S the sum of all. To first order in sigma its error has the variance
  ``sigma^2 c (1 - c / 2^n)`` [LSB^2], and the step at half scale that of ``2^n - 1`` units;
- **symmetric**: both polarities share capacitors, and the sign is switched; an amplifier of finite gain A settles to
  ``1 / (1 + 1 / (A beta))`` of the level, ``beta = C_feedback / (C_feedback + S_c)``. This is CrossSim 3.2's model of
  the converter's capacitors (Sandia National Laboratories, github.com/sandialabs/cross-sim).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from devices import ChipStreams


def capacitors(bits: int, mismatch: float, shape: Sequence[int], *, rng: ChipStreams) -> torch.Tensor:
    """Capacitors ``(chips, *shape, bits + 1)`` in units, lowest first, the last one a single unit, float64."""
    nominal = torch.tensor([2.0**k for k in range(bits)] + [1.0], dtype=torch.float64)
    error = mismatch * rng.normal((*shape, bits + 1)).double() if mismatch > 0.0 else torch.zeros(1).double()
    built = nominal + error * nominal.sqrt()
    return built if mismatch > 0.0 else built.expand(len(rng), *shape, bits + 1)


def digits(numbers: torch.Tensor, count: int) -> torch.Tensor:
    """Binary digits ``(..., count)`` of whole numbers, lowest first, float64."""
    return ((numbers[..., None] >> torch.arange(count)) & 1).double()


def binary_levels(units: torch.Tensor) -> torch.Tensor:
    """Levels ``(..., 2^n)`` of codes 0 .. 2^n - 1 as a share of the range, from capacitors ``(..., n + 1)``."""
    count = units.shape[-1] - 1
    charge: torch.Tensor = units[..., :-1] @ digits(torch.arange(2**count), count).T
    return charge / units.sum(-1, keepdim=True)


def symmetric_levels(units: torch.Tensor, feedback: torch.Tensor, gain: float | None) -> torch.Tensor:
    """Levels ``(..., 2^n)`` of codes 0 .. 2^n - 1 in units of the half range, -1 to 1, from capacitors ``(..., n)``.

    ``feedback``: the amplifier's capacitor ``(...)``; ``gain``: its open-loop gain [1], None for no end of it.
    """
    count = units.shape[-1]
    signed = torch.arange(2**count) - 2 ** (count - 1)
    charge = units @ digits(signed.abs(), count).T
    levels: torch.Tensor = signed.sign() * charge / units[..., -1:] + 0.5**count
    if gain is None:
        return levels
    share = feedback[..., None] / (feedback[..., None] + charge)
    return levels / (1.0 + 1.0 / (gain * share))


def capacitor_steps(units: torch.Tensor, kind: str, gain: float | None) -> torch.Tensor:
    """Where codes 0 .. 2^n - 1 begin, ``(..., 2^n)``, in LSB above the beginning of code 0, float64.

    The symmetric levels are in the middle of their codes, half an LSB above where these begin. Their last unit
    carries the error of the feedback capacitor, which is as large as the largest one.
    """
    count = units.shape[-1] - 1
    if kind == "binary":
        return binary_levels(units) * 2.0**count
    feedback = 2.0 ** (count - 1) + (units[..., -1] - 1.0) * 2.0 ** ((count - 1) / 2)
    levels = symmetric_levels(units[..., :-1], feedback, gain)
    return (levels + 1.0) * 2.0 ** (count - 1) - 0.5
