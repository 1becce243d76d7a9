"""Every number of every record has bounds: what ``validate`` lets pass, ``run`` can hold."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from configs.errors import InputError
from configs.plausible import range_of
from mho.catalogue import TYPES, checked
from mho.config import resolve
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


def lists(level: Any, path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every list of free length below a level of a JSON schema, with the field that holds it."""
    if isinstance(level, Mapping):
        if level.get("type") == "array" and "prefixItems" not in level:
            yield path, level
        for key, lower in level.items():
            yield from lists(lower, f"{path}.{key}" if path.count(".") == 0 else path)
    elif isinstance(level, list):
        for lower in level:
            yield from lists(lower, path)


DATA = {  # lists that are data or words, and multiply nothing: a file of 100,000 values holds no more of them
    *("target_S", "mean_S", "sigma_S", "t_s", "values_S", "cite", "classes", "names", "seen", "unseen"),
}


@pytest.mark.parametrize("name", [*TYPES, *(f"settings of {name}" for name in WORKLOADS)])
def test_lists_that_multiply_work_have_an_upper_length(name: str) -> None:
    root = schema_of(RECORDS[name]).root
    titled = {**root.get("$defs", {}), name: {key: root[key] for key in root if key != "$defs"}}
    found = [each for title, level in titled.items() for each in lists(level.get("properties", {}), title)]
    assert found
    assert [path for path, level in found if "maxItems" not in level and path.rpartition(".")[2] not in DATA] == []


MANY = "variants: [" + ", ".join(f"{{name: v{number}}}" for number in range(3000)) + "]"
TABLE = ", ".join(f"{number + 1}.0e-7" for number in range(1000))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (MANY, "variants: must be a list of at most 128 items (got a list of 3000 items)"),
        (
            f"evaluation: {{times_s: [{', '.join(map(str, range(1001)))}]}}",
            "times_s: must be a list of at most 1000 items (got a list of 1001 items)",
        ),
        ("evaluation: {chips: 100000}", "chips: must be a whole number from 1 to 4096 (got 100000)"),
        (
            "chip: {weights: {device: {kind: measured, "
            f"target_S: [{TABLE}], mean_S: [[{TABLE}]], sigma_S: [[{TABLE}]]}}}}}}\n"
            + MANY[: MANY.index(", {name: v128}")]
            + "]",
            "128 variants of the chip beside them hold",
        ),
    ],
)
def test_lists_are_counted_before_anything_is_merged(
    tmp_path: Any, text: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def merged(*nodes: Any) -> Any:
        raise AssertionError("a variant was merged")

    monkeypatch.setattr("mho.config.resolve._over", merged if "chips" not in text else resolve._over)
    monkeypatch.setattr(resolve, "MAX_SPREAD", 300_000)
    file = tmp_path / "x.yaml"
    file.write_text(f"extends: kws_tiny\n{text}\n", encoding="utf-8")
    with pytest.raises(InputError) as refused:
        checked(str(file))
    assert message in str(refused.value)


@pytest.mark.parametrize("allow", [False, True])
def test_what_cannot_be_computed_with_is_implausible_or_one_sentence(tmp_path: Any, allow: bool) -> None:
    file = tmp_path / "x.yaml"
    word = "implausible: allow, " if allow else ""
    file.write_text(
        f"extends: spgemm_tiny\nchip: {{device: {{{word}extends: rram_taox, g_max_S: 1.0e+300}}}}\n", encoding="utf-8"
    )
    with pytest.raises(InputError) as refused:
        checked(str(file))
    wanted = "must hold numbers that can be computed with (got OverflowError: " if allow else "g_max_S: is implausible"
    assert [wanted in problem for problem in refused.value.problems] == [True]


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
