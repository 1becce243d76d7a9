"""Every number of every record has bounds: what ``validate`` lets pass, ``run`` can hold."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from configs.errors import InputError
from configs.plausible import range_of
from mho.catalogue import TYPES, checked
from mho.config.read import schema_of
from mho.nladc import ConverterOptions, measure
from mho.search.spec import Search
from mho.sweep.spec import Sweep
from periphery.prices.component import Component
from workloads import WORKLOADS

RECORDS = {
    **TYPES,
    **{f"settings of {name}": workload.settings for name, workload in WORKLOADS.items()},
    "sweep": Sweep,
    "search": Search,
    "component": Component,
}


def numbers(level: Any, path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every number below a level of a JSON schema, with the field that holds it."""
    if not isinstance(level, Mapping):
        return
    if level.get("type") in ("integer", "number") and not {"const", "enum"} & set(level):
        yield path, level
    for member in (*level.get("anyOf", ()), *level.get("oneOf", ()), *level.get("prefixItems", ())):
        yield from numbers(member, path)
    for key in ("items", "additionalProperties"):
        yield from numbers(level.get(key), path)
    for name, lower in level.get("properties", {}).items():
        yield from numbers(lower, f"{path.split('.')[0]}.{name}")


def every_number(name: str) -> list[tuple[str, Mapping[str, Any]]]:
    root = schema_of(RECORDS[name]).root
    found = [each for title, level in root.get("$defs", {}).items() for each in numbers(level, title)]
    return found + list(numbers({key: root[key] for key in root if key != "$defs"}, name))


@pytest.mark.parametrize("name", RECORDS)
def test_whole_numbers_have_an_upper_bound(name: str) -> None:
    unbounded = [
        path
        for path, level in every_number(name)
        if level["type"] == "integer" and not {"maximum", "exclusiveMaximum"} & set(level)
    ]
    assert unbounded == []


@pytest.mark.parametrize("name", RECORDS)
def test_other_numbers_have_one_by_their_schema_or_by_what_is_plausible(name: str) -> None:
    found = [
        level.get("maximum", level.get("exclusiveMaximum", range_of(path.rpartition(".")[2])[1]))
        for path, level in every_number(name)
        if level["type"] == "number"
    ]
    assert all(math.isfinite(bound) for bound in found)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("features: {mfcc: {hop_s: 1.0e-9}}", "hop_s"),
        ("features: {mfcc: {n_fft: 1.0e9}}", "n_fft: must be a whole number from 2 to 16000"),
        ("features: {mfcc: {window_s: 2.0}}", "window_s: allowed is at most n_fft samples"),
        ("features: {augmentation: {copies: 1.0e300}}", "copies: must be a whole number from 0 to 1000"),
        ("evaluation: {batch: 1.0e300}", "batch: must be a whole number"),
        ("seed: 1.0e300", "seed: must be a whole number"),
        (
            "chip: {weights: {device: {extends: rram_taox, effects: [{kind: levels, count: 1.0e9}]}}}",
            "count: must be a whole number",
        ),
        ("data: {fractions: [0.7, 0.2, 0.2]}", "fractions: must be three shares above 0 of sum 1 (got 0.7, 0.2, 0.2)"),
        ("data: {fractions: [0.8, 0.2, 0]}", "fractions: must be three shares above 0 of sum 1 (got 0.8, 0.2, 0)"),
        ("training: {weight_decay: .inf}", "weight_decay"),
    ],
)
def test_validate_refuses_what_run_would(tmp_path: Any, text: str, message: str) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(f"extends: kws_tiny\n{text}\n", encoding="utf-8")
    with pytest.raises(InputError) as refused:
        checked(str(file))
    assert message in str(refused.value)


@pytest.mark.parametrize("option", ["x=[1", "cells={", 'x="', "x=[1, 2", "[0]=1", "redundant_columns=1e300"])
def test_options_of_the_ramp_that_are_no_yaml(option: str) -> None:
    with pytest.raises(InputError, match="--set"):
        measure(ConverterOptions("sigmoid", 5, "rram_taox", 1, sets=(option,)))
