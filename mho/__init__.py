"""mho simulates analog in-memory computing: what a network on memristive crossbars computes, and what that costs.

Every public name is imported when it is first used (PEP 562), so that ``import mho`` loads neither torch nor pandas.
The names and where they come from are listed once, in ``mho/__init__.pyi``.
"""

import ast as _ast
import importlib as _importlib
import pathlib as _pathlib
import typing as _typing

from mho import packages as _packages  # noqa: F401  first of all: the packages beside mho

_ORIGINS = {
    name.asname or name.name: (statement.module or "", name.name)
    for statement in _ast.parse(_pathlib.Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8")).body
    if isinstance(statement, _ast.ImportFrom)
    for name in statement.names
}

__all__ = tuple(_ORIGINS)


def __getattr__(name: str) -> _typing.Any:
    if name not in _ORIGINS:
        raise AttributeError(f"module 'mho' has no attribute {name!r}")
    module, there = _ORIGINS[name]
    found = globals()[name] = getattr(_importlib.import_module(module), there)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
