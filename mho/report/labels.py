"""Names of columns, resources and readouts as people read them: the one table of labels of the report."""

from __future__ import annotations

#: Units at the end of a column's name that take a prefix, so that a quantity of 1.65e-9 m2 reads 0.00165 mm2.
PREFIXED = ("J", "s", "m2", "W", "V", "S", "Hz", "A", "F", "B")
#: Units that are shown as they are, by the end of a column's name.
PLAIN = {"K": "K", "ohm": "ohm", "eV": "eV", "nm": "nm", "lsb": "LSB"}
_LABELS = {
    "adc": "ADC",
    "adc_bits": "ADC bits",
    "gate_integrators": "column integrators",
    "gate_ramp": "ramp",
    "inl_lsb": "INL",
    "high": "interval to",
    "low": "interval from",
    "features_J": "energy of features",
    "period_J": "energy of a period",
    "p05": "5 % quantile",
    "p95": "95 % quantile",
    "t_s": "time",
    "v_read_V": "read voltage",
}


def unit_of(column: str) -> str:
    """The unit that ends a column's name as people write it, or nothing."""
    tail = column.rpartition("_")[2] if "_" in column else ""
    return tail if tail in PREFIXED else PLAIN.get(tail, "")


def label_of(name: str) -> str:
    """A name without underscores and without its unit."""
    plain = name.rpartition("_")[0] if unit_of(name) else name
    return _LABELS.get(name, plain.replace("_", " "))


def with_unit(column: str, unit: str) -> str:
    """The label of a column and the unit that its values are shown in."""
    return f"{label_of(column)} [{unit}]" if unit else label_of(column)
