"""What ships with mho, by kind: names and descriptions, read from files without importing anything that computes.

Records are YAML files with a ``description``. Kinds of effects, drivers, converters and the like are the literal dicts
of the packages: their source is parsed, and each kind is described by the first sentence of its class.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

from configs.errors import InputError
from configs.yaml_source import parse_mapping, read_bytes
from mho.config.resolve import shipped_files
from mho.config.schema import suggestion
from mho.packages import ROOT


def records(folder: str, kind: str = "") -> dict[str, str]:
    """The shipped records of a folder (of one ``kind``, where it is named), each with its description."""
    found = {}
    for record, file in sorted(shipped_files(folder).items()):
        name = f"configs/{folder}/{file.name}"
        node = parse_mapping(read_bytes(file, name), name, Path())
        text, kind_of_it = node.child("description"), node.child("kind")
        if not kind or (kind_of_it is not None and kind_of_it.value == kind):
            found[record] = " ".join(str(text.value).split()) if text else ""
    return found


def adc_prices() -> dict[str, str]:
    """Models of what a conversion costs, each with the description in its record."""
    described = records("components")
    return {name: described[f"adc_{name}"] for name in _literal("periphery.prices.adc", "ADC_PRICES")}


def functions() -> dict[str, str]:
    """Functions that a ramp computes, with formula and usual range: the table at the head of their module."""
    tree, _ = _definition("periphery.functions.library", "FUNCTIONS")
    lines = [line for line in (ast.get_docstring(tree) or "").splitlines() if line.startswith("|")]
    rows = [[re.sub(r" \[\d\]", "", cell).strip() for cell in line.split("|")[1:-1]] for line in lines[2:]]
    return {name: f"{formula}; inputs {usual}" for name, formula, usual, *_ in rows}


def registry(module: str, name: str) -> dict[str, str]:
    """Kinds of a registry, each with the first sentence of its class; where the module is loaded, kinds that were put
    into it since as well."""
    found = {}
    for key, kind in _literal(module, name).items():
        _, node = _definition(module, kind)
        assert isinstance(node, ast.ClassDef)
        found[key] = _first_sentence(ast.get_docstring(node))
    loaded: dict[str, type] = getattr(sys.modules.get(module), name, {})
    return found | {key: _first_sentence(kind.__doc__) for key, kind in loaded.items() if key not in found}


def _first_sentence(text: str | None) -> str:
    head = " ".join((text or "").split("\n\n")[0].split())
    return head.split(". ")[0].rstrip(".").replace("``", "")


def _literal(module: str, name: str) -> dict[str, str]:
    """A dict of names of classes, by key, as the source writes it."""
    _, node = _definition(module, name)
    assert isinstance(node, (ast.Assign, ast.AnnAssign))
    assert isinstance(node.value, ast.Dict)
    pairs = zip(node.value.keys, node.value.values, strict=True)
    return {str(ast.literal_eval(key)): ast.unparse(value) for key, value in pairs if key is not None}


def _definition(module: str, name: str) -> tuple[ast.Module, ast.stmt]:
    """Where a name is defined, imports followed: the module's tree and the statement."""
    tree = _parsed(module)
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and name in (each.name for each in node.names):
            return _definition(node.module or "", name)
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        named = {each.id for each in targets if isinstance(each, ast.Name)} | {getattr(node, "name", None)}
        if name in named:
            return tree, node
    raise LookupError(f"{name} is not in {module}")


@cache
def _parsed(module: str) -> ast.Module:
    path = ROOT.joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(file.read_text(encoding="utf-8"))


LISTINGS: dict[str, Callable[[], dict[str, str]]] = {
    **{
        folder: partial(records, folder)
        for folder in ("experiments", "chips", "devices", "liquids", "sweeps", "searches", "published")
    },
    "components": lambda: records("components", "component"),
    "adc-prices": adc_prices,
    "functions": functions,
    "effects": lambda: registry("devices.effects", "EFFECTS"),
    "encodings": lambda: registry("crossbar", "ENCODINGS") | registry("crossbar", "SPARSE_ENCODINGS"),
    "drivers": lambda: registry("periphery.drivers", "DRIVERS"),
    "front-ends": lambda: registry("periphery.front_end", "FRONT_ENDS"),
    "converters": lambda: {
        "ramp": "Distorted ramp of memory cells: computes the function while it converts (readout: ramp)",
        **registry("periphery", "ADCS"),
    },
    "activations": lambda: registry("periphery", "ACTIVATIONS"),
}


def listing(kind: str) -> dict[str, str]:
    """Names and descriptions of one kind; InputError with a suggestion for another word."""
    if kind not in LISTINGS:
        raise InputError(f"{kind}: must be one of {', '.join(LISTINGS)} (got {kind}){suggestion(kind, LISTINGS)}")
    return LISTINGS[kind]()
