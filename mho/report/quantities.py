"""Quantities as people read them: rounded, with an engineering prefix and a unit."""

from __future__ import annotations

import math
from collections.abc import Sequence

from workloads.statistics import in_words

NOT_AVAILABLE = "not available"
_PREFIXES = {-18: "a", -15: "f", -12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T"}


def missing(value: float | None) -> bool:
    """Whether there is no finite number to show."""
    return value is None or not math.isfinite(value)


def prefix_of(value: float, unit: str) -> tuple[float, str]:
    """Factor and unit that bring an SI ``value`` to display size, e.g. 6e-10 J to (1e12, "pJ").

    Areas in ``m2`` are shown in mm² from 1000 µm² on, as the field does, and in µm² below.
    """
    size = abs(value)
    if unit == "m2":
        return (1e6, "mm²") if size >= 0.9995e-9 or size == 0.0 else (1e12, "µm²")
    if size == 0.0 or not math.isfinite(size):
        return 1.0, unit
    # 999.6 rounds to "1000": it belongs to the next prefix.
    exponent = 3 * math.floor(math.log10(size * 1.0005) / 3)
    exponent = min(max(exponent, -18), 12)
    return 10.0**-exponent, _PREFIXES[exponent] + unit


def rounded(value: float, digits: int = 3) -> str:
    """A number with ``digits`` significant digits, thousands separated, and no exponent between 1e-4 and 1e9."""
    if value == 0.0:
        return "0"
    if not 1e-4 <= abs(value) < 1e9:
        return f"{value:.{digits - 1}e}"
    value = float(f"{value:.{digits - 1}e}")  # first, so that 0.9996 has the decimals of 1.00
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{decimals}f}"
    return text.replace("-", "−")


def to_deviation(mean: float, deviation: float) -> tuple[str, str]:
    """A mean and its standard deviation, this with two significant digits and the mean with as many decimals: "6.2680"
    and "0.0070"."""
    spread = rounded(deviation, 2)
    if deviation == 0.0 or missing(deviation) or not 1e-4 <= abs(mean) < 1e9 or not 1e-4 <= abs(deviation) < 1e9:
        return rounded(mean, 4), spread
    last = math.floor(math.log10(float(f"{deviation:.1e}"))) - 1
    return rounded(mean, max(1, math.floor(math.log10(abs(mean))) - last + 1)), spread


def number(value: float | None, digits: int = 3) -> str:
    """A plain number, or the words for a missing one."""
    return NOT_AVAILABLE if value is None or missing(value) else rounded(value, digits)


def count(value: float | None) -> str:
    """A count with separated thousands; fractions, as of an average, keep three digits."""
    if value is None or missing(value):
        return NOT_AVAILABLE
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) < 1e15 else rounded(value)


def quantity(value: float | None, unit: str, digits: int = 3) -> str:
    """An SI quantity with an engineering prefix: ``quantity(5.95e-10, "J")`` is "595 pJ"."""
    if value is None or missing(value):
        return NOT_AVAILABLE
    factor, shown = prefix_of(value, unit)
    return f"{rounded(value * factor, digits)} {shown}".rstrip()


def between(ends: Sequence[float] | None, unit: str, digits: int = 2) -> str:
    """An interval, in the unit of its middle: ``between((2e-10, 9e-10), "J")`` is "200 to 900 pJ"; none is empty."""
    if ends is None:
        return ""
    low, high = ends
    factor, shown = prefix_of(math.sqrt(low * high) if low > 0.0 else high, unit) if unit else (1.0, "")
    return f"{rounded(low * factor, digits)} to {rounded(high * factor, digits)} {shown}".rstrip()


def percent(value: float | None, decimals: int = 1) -> str:
    """A share as a percentage: ``percent(0.853)`` is "85.3 %"; a small share that is not zero never reads "0.0 %"."""
    if value is None or missing(value):
        return NOT_AVAILABLE
    if 0.0 < abs(value) * 100 < 0.5 * 10**-decimals:
        return f"< {10**-decimals:g} %"
    return f"{100 * value:.{decimals}f} %".replace("-", "−")


def points(value: float | None) -> str:
    """A difference of two shares in percentage points, with its sign."""
    if value is None or missing(value):
        return NOT_AVAILABLE
    return f"{100 * value:+.2f}".replace("-", "−")


def duration(t_s: float | None) -> str:
    """A time since programming, in the largest unit that leaves a number of at least one: "1 h", "7 days"."""
    if t_s is None or missing(t_s):
        return NOT_AVAILABLE
    return "0" if t_s == 0.0 else in_words(t_s) or quantity(t_s, "s")


def counted(number: int, what: str) -> str:
    """``1 chip``, ``2 chips``."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
