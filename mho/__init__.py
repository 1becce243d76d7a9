"""mho simulates analog in-memory computing: what a network on memristive crossbars computes, and what that costs.

Every public name is imported when it is first used (PEP 562), so that ``import mho`` loads neither torch nor pandas.
The names and where they come from are listed once, in ``mho/__init__.pyi``.
"""

import ast as _ast
import importlib as _importlib
import pathlib as _pathlib
import typing as _typing

from mho import packages as _packages  # noqa: F401  first of all: the packages beside mho

_ORIGINS: dict[str, tuple[str, str]] = {}
for _statement in _ast.parse(_pathlib.Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8")).body:
    if isinstance(_statement, _ast.ImportFrom):
        _ORIGINS |= {each.name: (_statement.module or "", each.name) for each in _statement.names}
    elif isinstance(_statement, _ast.Assign):  # another name here than in its module
        _ORIGINS[_ast.unparse(_statement.targets[0])] = _ORIGINS.pop(_ast.unparse(_statement.value))

__all__ = tuple(_ORIGINS)


def __getattr__(name: str) -> _typing.Any:
    if name not in _ORIGINS:
        raise AttributeError(f"module 'mho' has no attribute {name!r}")
    module, there = _ORIGINS[name]
    found = globals()[name] = getattr(_importlib.import_module(module), there)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
