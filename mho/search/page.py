"""The report of a search: the page of a sweep, with trials as its points and the file's aims on its front."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

from configs.errors import InputError
from configs.yaml_source import dump_yaml, parse_mapping
from mho.files import write_atomic
from mho.search.loop import Searcher
from mho.search.spec import Search
from mho.search.table import settings, table
from mho.sweep.engines.cards import Compute
from mho.sweep.page import page, reading
from mho.sweep.store import FILE, Store
from mho.sweep.study import Study


def write(folder: Path, search: Search, frame: pd.DataFrame, output: Path | None = None) -> Path:
    """Write the page of the search in ``folder``, whole or not at all, and return where."""
    target = output or folder / page.PAGE
    found = reading.of_table(reading.read(folder), frame, settings(search))
    found.description = search.description
    write_atomic(target, page.html(found, search.aims).encode())
    return target


def sheet_text(search: Search, study: Study) -> str:
    """What the store keeps of a search's file: all of it, with the number of trials that was asked for."""
    plain = study.sheet.node.plain()
    assert isinstance(plain, dict)
    return dump_yaml({**plain, "trials": search.trials})


def is_search(folder: Path) -> bool:
    """Whether the folder's newest sheet is a search's."""
    with Store(folder, create=False) as store:
        sheets = store.sheets()
    return bool(sheets) and {"space", "objectives"} <= set(_plain(sheets[-1][1]))


def _plain(text: str) -> dict[str, Any]:
    """The content of a sheet that a store keeps."""
    found: dict[str, Any] = parse_mapping(text.encode(), FILE, Path()).plain()
    return found


def replayed(folder: Path) -> tuple[Search, pd.DataFrame]:
    """The search that worked in the folder last, and its trials as far as the store holds them; nothing is computed.

    Raises InputError where its file cannot be read again.
    """
    with Store(folder, create=False) as store:
        name, text, _, device = store.sheets()[-1]
        searcher = _again(name, text, "cuda" if device == "cuda" else "cpu")
        return searcher.search, table(searcher.replay(store), searcher.search)


def _again(name: str, text: str, compute: Compute) -> Searcher:
    """The search of a sheet that a folder keeps: from its file where that is unchanged, else from the kept text."""
    trials = int(_plain(text)["trials"])
    for source in (name, Path(name).stem):
        try:
            searcher = Searcher.of(source, trials=trials, compute=compute)
        except InputError:
            continue
        if sheet_text(searcher.search, searcher.study) == text:
            return searcher
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / f"{re.sub('[^a-zA-Z0-9_-]', '_', Path(name).stem)[:60] or 'search'}.yaml"
        copy.write_text(text, encoding="utf-8")
        try:
            return Searcher.of(str(copy), trials=trials, compute=compute)
        except InputError as error:
            problems = [problem.replace(str(copy), copy.name) for problem in error.problems]
            raise InputError([f"the search's file cannot be read again: {problem}" for problem in problems]) from None
