"""Text of a character model: a user's file or folder, or the documentation strings that come with Python.

Parts to train on, to choose by and to test on are cut by position, never shuffled: what is tested on comes last.
"""

from __future__ import annotations

import ast
import hashlib
import os
import platform
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

import torch
from annotated_types import Interval

from configs.bounded import expanded, printable, read_file
from devices import InputError
from workloads.result import Data

UNKNOWN = "\ufffd"
"""Stands for every character that is not in the vocabulary; always its first one."""
MOST_BYTES = 1 << 29
PARTS = ("train", "valid", "test")
PREFIXES = ("", "ptb.", "ptb.char.", "wiki.")
"""A folder with three files of these names, as that of Penn Treebank has, brings its own parts."""


@dataclass(frozen=True, kw_only=True)
class TextData:
    """Which text, and how it is cut.

    Parameters
    ----------
    file : a text file in UTF-8; a folder of three files ``train``, ``valid`` and ``test`` (``ptb.train.txt``,
        ``train.txt``, ...), which are the three parts; or a folder whose files ``*.txt``, in the order of their
        names, are one text. None takes the documentation strings of Python's own modules
    excerpt : an excerpt that ships with mho, in place of a file: its first quarter is to train on (to choose ranges
        by), its second one to choose by, its second half to test on
    fractions : shares of one text to train on, to choose the best step by, and to test on, in this order by position
    characters : at most so many different characters, the most frequent ones of the part to train on; all others are
        one more, the unknown one
    """

    file: str | None = None
    excerpt: Literal["shakespeare_end"] | None = None
    fractions: tuple[float, float, float] = (0.9, 0.05, 0.05)
    characters: Annotated[int, Interval(ge=2, le=65_536)] = 127

    def __post_init__(self) -> None:
        if self.file is not None and self.excerpt is not None:
            raise InputError(f"excerpt: null where there is a file (got {self.excerpt})")
        if min(self.fractions) <= 0.0 or abs(sum(self.fractions) - 1.0) > 1e-6:
            got = ", ".join(f"{share:g}" for share in self.fractions)
            raise InputError(f"fractions: must be three shares above 0 of sum 1 (got {got})")


@dataclass(frozen=True)
class Vocabulary:
    """Characters by number; number 0 is the unknown one."""

    characters: str

    @classmethod
    def of(cls, text: str, most: int) -> Vocabulary:
        """The most frequent characters of a text, in the order of their code points."""
        counted = Counter(text)
        counted.pop(UNKNOWN, None)
        kept = sorted(counted, key=lambda one: (-counted[one], one))[:most]
        return cls(UNKNOWN + "".join(sorted(kept)))

    @cached_property
    def number(self) -> Mapping[str, int]:
        """Number of each character."""
        return {one: k for k, one in enumerate(self.characters)}

    def __len__(self) -> int:
        return len(self.characters)

    def encoded(self, text: str) -> torch.Tensor:
        """Numbers of a text's characters."""
        return torch.tensor([self.number.get(one, 0) for one in text], dtype=torch.int64)

    def decoded(self, numbers: torch.Tensor) -> str:
        """Characters of numbers."""
        return "".join(self.characters[k] for k in numbers.tolist())


@dataclass(frozen=True, eq=False)
class Text:
    """Three parts of one text as numbers of ``vocabulary``; ``unknown``: characters of the last part that it lacks."""

    train: torch.Tensor
    valid: torch.Tensor
    test: torch.Tensor
    vocabulary: Vocabulary
    name: str
    source: str
    digest: str

    @property
    def unknown(self) -> int:
        """Characters to test on that the vocabulary does not have."""
        return int((self.test == 0).sum())

    def record(self, tested: int) -> Data:
        """As the files of a run describe it; ``tested``: so many characters of the part to test on are read."""
        return Data(
            name=self.name,
            digest=self.digest,
            synthetic=False,
            source=self.source,
            train=len(self.train),
            test=tested,
            splits=1,
        )

    def check(self, streams: int, window: int) -> None:
        """Raise InputError where a part is too short for streams of one window each."""
        for name in PARTS:
            part = getattr(self, name)
            least = streams * (min(window, 2) if name == "valid" else window) + 1
            if len(part) < least:
                raise InputError(
                    f"{self.source}: the part to {'train' if name == 'train' else 'test'} on must have {least} "
                    f"characters at least, for {streams} streams of {window} (got {len(part)})"
                )


def text_of(which: TextData, data: Path | None = None, *, vocabulary: Vocabulary | None = None) -> Text:
    """The text of a run; ``data``: a file or folder in place of the one in the settings; ``vocabulary``: that of a
    network, by default the characters of the text.

    Raises InputError, naming the file, for one that is not text in UTF-8, and for a text of one character.
    """
    given = which.file if data is None else data
    name: str
    if given is None and which.excerpt is not None:
        whole = resources.files("workloads").joinpath(f"charlm/weights/{which.excerpt}.txt").read_text("utf-8")
        where, name = f"excerpt {which.excerpt}", which.excerpt
        parts = _cut(whole, (0.25, 0.25, 0.5))
    elif given is None:
        whole, where = documentation(), f"documentation strings of Python {platform.python_version()}"
        name, parts = "python documentation", _cut(whole, which.fractions)
    else:
        path = expanded(given)
        where, name = printable(str(path)), printable(path.name)
        found = _three(path) if path.is_dir() else None
        parts = _cut(_whole(path), which.fractions) if found is None else found
    if len(set(parts[0])) < 2:
        raise InputError(f"{where}: the part to train on must have two different characters (got {len(set(parts[0]))})")
    known = Vocabulary.of(parts[0], which.characters) if vocabulary is None else vocabulary
    digest = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
    train, valid, test = (known.encoded(part) for part in parts)
    return Text(train, valid, test, known, name, where, digest)


def documentation() -> str:
    """Documentation strings of Python's own modules, in the order of their names; with another Python another text."""
    found = []
    for path in sorted(Path(os.__file__).parent.glob("*.py")):
        tree = ast.parse(path.read_bytes())
        holders = [one for one in ast.walk(tree) if isinstance(one, ast.Module | ast.ClassDef | ast.FunctionDef)]
        found += [text for one in holders if (text := ast.get_docstring(one))]
    if not found:
        raise InputError("data.file: a text (got none), since this Python has no documentation strings")
    return "\n\n".join(found)


def _three(path: Path) -> tuple[str, str, str] | None:
    """The parts of a folder that has a file for each; None for another folder."""
    for prefix in PREFIXES:
        files = [path / f"{prefix}{part}.txt" for part in PARTS]
        if all(file.is_file() for file in files):
            first, second, third = (_read(file) for file in files)
            return first, second, third
    return None


def _whole(path: Path) -> str:
    if not path.is_dir():
        return _read(path)
    files = sorted(path.glob("*.txt"))
    if not files:
        raise InputError(f"{printable(str(path))}: a folder with files *.txt (got none)")
    return "".join(_read(file) for file in files)


def _read(path: Path) -> str:
    where, content = printable(str(path)), read_file(path, most=MOST_BYTES)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{where}: must be text in UTF-8 (byte {error.start} is not)") from None
    if "\0" in text:
        raise InputError(f"{where}: must be text in UTF-8 (character {text.index(chr(0))} is 0, as in a binary file)")
    return text.replace("\r\n", "\n")


def _cut(text: str, fractions: tuple[float, float, float]) -> tuple[str, str, str]:
    first = round(fractions[0] * len(text))
    second = len(text) - round(fractions[2] * len(text))
    return text[:first], text[first:second], text[second:]
