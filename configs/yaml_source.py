"""YAML as people mean it: scalars resolved as in YAML 1.2, duplicate keys refused, every value with its line.

PyYAML follows YAML 1.1, in which ``25e-6`` is a string, ``off`` is False and ``010`` is 8. Only its parser is used
here: its events are composed into ``Node`` trees, plain data without tags, so that nothing in a file can construct an
object.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from configs.errors import InputError

if TYPE_CHECKING:  # another module in each of the supported versions of Python
    from importlib.resources.abc import Traversable

Scalar = str | int | float | bool | None

# These bounds keep a hostile file from exhausting memory, the stack or patience (PyYAML reads about 0.4 MB/s); no
# honest experiment comes near them.
MAX_BYTES = 1_000_000
MAX_NODES = 100_000
MAX_DEPTH = 40
MAX_DIGITS = 300

_WORDS: dict[str, Scalar] = {"": None, "~": None, "null": None, "Null": None, "NULL": None}
_WORDS |= {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NULL = re.compile(r"(?:~|null|Null|NULL)?")
_BOOL = re.compile(r"true|True|TRUE|false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)


@dataclass(frozen=True)
class Origin:
    """Where a value was written: ``name:line:column``, or only a name (an option of the command line, line 0)."""

    name: str
    line: int = 0
    column: int = 0
    folder: Traversable = field(default=Path(), compare=False)

    def __str__(self) -> str:
        return f"{self.name}:{self.line}:{self.column}" if self.line else self.name


@dataclass(frozen=True)
class Node:
    """A YAML value with its line: a scalar, a tuple of nodes, or a mapping of names to nodes.

    ``keys`` holds the lines of a mapping's keys. ``whole`` marks a value that replaces what it is merged over instead
    of adding to it; ``broken`` one of which a part could not be read, so that what it lacks is no second error.
    ``changed`` are the keys of a record that something was put over, and whether the record itself states them.
    """

    value: Scalar | tuple[Node, ...] | dict[str, Node]
    origin: Origin
    keys: Mapping[str, Origin] = field(default_factory=dict)
    whole: bool = False
    broken: bool = False
    changed: Mapping[str, bool] = field(default_factory=dict)

    def plain(self) -> Any:
        """The value as dicts, lists and scalars."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, tuple):
            return [node.plain() for node in self.value]
        return self.value

    def child(self, step: str | int) -> Node | None:
        """The value under a key or an index, None where there is none."""
        if isinstance(self.value, dict) and isinstance(step, str):
            return self.value.get(step)
        if isinstance(self.value, tuple) and isinstance(step, int) and 0 <= step < len(self.value):
            return self.value[step]
        return None

    def find(self, path: Sequence[str | int]) -> Node | None:
        """The value at a path of keys and indices."""
        node: Node | None = self
        for step in path:
            node = node.child(step) if node else None
        return node

    def put(self, path: Sequence[str], new: Node) -> Node:
        """This tree with another value at a path of keys that are there."""
        if not path:
            return new
        assert isinstance(self.value, dict)
        return replace(self, value={**self.value, path[0]: self.value[path[0]].put(path[1:], new)})

    def walk(self, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Node]]:
        """This node and all below it, each with its path."""
        yield path, self
        if isinstance(self.value, dict):
            for key, node in self.value.items():
                yield from node.walk((*path, key))
        elif isinstance(self.value, tuple):
            for index, node in enumerate(self.value):
                yield from node.walk((*path, index))


def as_node(value: Any, near: Node) -> Node:
    """Plain data as a tree whose every value has the line of ``near``."""
    if isinstance(value, Mapping):
        below = {key: as_node(item, near) for key, item in value.items()}
        return Node(below, near.origin, dict.fromkeys(below, near.origin))
    if isinstance(value, (list, tuple)):
        return Node(tuple(as_node(item, near) for item in value), near.origin)
    return Node(value, near.origin)


def whole_numbers(value: Any) -> Any:
    """Plain data with 1e3 as 1000: an integral float suits a whole number, and both suit a float."""
    if isinstance(value, Mapping):
        return {key: whole_numbers(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [whole_numbers(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def load_yaml(path: Path | str) -> Node:
    """Read a YAML file whose top level is a mapping. Raises InputError with one line for each problem."""
    file = Path(path)
    return parse_mapping(read_bytes(file, str(path)), str(path), file.parent)


def read_bytes(file: Traversable, name: str) -> bytes:
    """The content of a configuration file of sane size; ``name`` is how messages call it."""
    try:
        if isinstance(file, Path) and file.exists() and not (file.is_file() or file.is_dir()):
            raise OSError("it is a pipe or a device, on which reading may never end")
        with file.open("rb") as stream:
            data: bytes = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"{name}: cannot be read: {reason or error}") from error
    if len(data) > MAX_BYTES:
        raise InputError(f"{name}: a configuration may hold at most {MAX_BYTES} bytes (got more)")
    return data


def parse_mapping(data: bytes, name: str, folder: Traversable) -> Node:
    """Read YAML bytes whose top level must be a mapping of keys."""
    try:
        text = data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8")
        line, column = _line_column(before, len(before))
        bad = data[error.start]
        raise InputError(f"{name}:{line}:{column}: the file must be text in UTF-8 (got byte 0x{bad:02x})") from error
    node = parse_text(text, name, folder)
    if node is None or not isinstance(node.value, dict):
        where = node.origin if node else f"{name}:1:1"
        got = "an empty file" if node is None else describe_value(node)
        raise InputError(f"{where}: the top level must be a mapping, lines of 'key: value' (got {got})")
    return node


def parse_text(text: str, name: str, folder: Traversable) -> Node | None:
    """Read one YAML document of any shape; None if it holds nothing."""
    loader: yaml.SafeLoader | None = None
    try:
        loader = yaml.SafeLoader(text)
        composer = _Composer(loader, name, folder)
        node = composer.document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        raise InputError(f"{where}: not readable as YAML: {_in_plain_words(error)}") from error
    except yaml.reader.ReaderError as error:
        line, column = _line_column(text, error.position)
        character = ord(text[error.position])
        raise InputError(f"{name}:{line}:{column}: the character U+{character:04X} is not allowed in YAML") from error
    except (ValueError, OverflowError) as error:
        if isinstance(error, InputError) or loader is None:
            raise
        # PyYAML hands code points beyond Unicode and endless version numbers straight to chr() and int().
        mark = loader.get_mark()
        raise InputError(f"{name}:{mark.line + 1}:{mark.column + 1}: not readable as YAML: {error}") from error
    if composer.problems:
        raise InputError(composer.problems)
    return node


def resolve_scalar(text: str, origin: Origin | str) -> Scalar:
    """The value of an unquoted scalar by the YAML 1.2 core schema."""
    if text in _WORDS:
        return _WORDS[text]
    if not (_INT.fullmatch(text) or _FLOAT.fullmatch(text)):
        return _checked_text(text, origin)
    if len(text) > MAX_DIGITS:
        raise InputError(f"{origin}: a number may have at most {MAX_DIGITS} digits (got {len(text)})")
    if _INT.fullmatch(text):
        return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
    if text.lower().endswith(("inf", "nan")):
        return float(text.replace(".", ""))
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise InputError(f"{origin}: a number must be below 1.8e308 in size (got {text})")
    return number


def describe_value(node: Node) -> str:
    """A value as a message shows it: short, with text apart from numbers."""
    value = node.value
    if isinstance(value, dict):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, tuple):
        return f"a list of {len(value)} item{'' if len(value) == 1 else 's'}" if value else "an empty list"
    if isinstance(value, str):
        return f"the text {value[:60] + '...' if len(value) > 60 else value!r}"
    return _float_text(value) if isinstance(value, float) else yaml_word(value)


def yaml_word(value: int | bool | None) -> str:
    """``null``, ``true``, ``false`` or the digits of a whole number."""
    return "null" if value is None else str(value).lower()


def _line_column(text: str, position: int) -> tuple[int, int]:
    before = text[:position]
    return before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1


def _in_plain_words(error: yaml.MarkedYAMLError) -> str:
    problem = " ".join((error.problem or "").split())
    if "'\\t'" in problem:
        return "a tab cannot indent or begin a value; use spaces"
    if problem == "mapping values are not allowed here":
        return "a second ': ' on one line; put a text that holds ': ' in quotes"
    if "cannot start any token" in problem:
        return f"{problem}; put a text that begins with it in quotes"
    return f"{problem} ({error.context})" if error.context else problem


def _checked_text(text: str, origin: Origin | str) -> str:
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise InputError(f"{origin}: a text must be valid Unicode (got half of a surrogate pair)")
    return text


class _Composer:
    """Builds nodes from the parser's events; recursion is bounded by ``MAX_DEPTH``, aliases by ``MAX_NODES``."""

    def __init__(self, loader: Any, name: str, folder: Traversable) -> None:
        self.loader = loader  # Any: the stubs leave the methods of PyYAML's parser untyped
        self.name = name
        self.folder = folder
        self.count = 0
        self.anchors: dict[str, tuple[Node, int]] = {}
        self.problems: list[str] = []
        self.path: list[str] = []  # keys and numbers of items down to the value that is read

    def document(self) -> Node | None:
        self.loader.get_event()
        if self.loader.check_event(yaml.StreamEndEvent):
            return None
        self.loader.get_event()
        empty = self.loader.peek_event()
        node = self.node(0)
        self.loader.get_event()
        if not self.loader.check_event(yaml.StreamEndEvent):
            raise InputError(f"{self.origin(self.loader.peek_event())}: a second document; one file holds only one")
        if node.value is None and empty.start_mark.index == empty.end_mark.index:
            return None
        return node

    def origin(self, event: Any) -> Origin:
        return Origin(self.name, event.start_mark.line + 1, event.start_mark.column + 1, self.folder)

    def node(self, depth: int) -> Node:
        event = self.loader.get_event()
        origin = self.origin(event)
        if isinstance(event, yaml.AliasEvent):
            return self.alias(str(event.anchor), origin)
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            raise InputError(f"{origin}: tags are not read: write the plain value (got {tag})")
        before = self.count
        self.add(1, origin)
        if depth > MAX_DEPTH:
            raise InputError(f"{origin}: values may be at most {MAX_DEPTH} levels deep (got more)")
        if isinstance(event, yaml.ScalarEvent):
            where = f"{origin}: {''.join(self.path).lstrip('.')}" if self.path else origin
            node = Node(self.scalar(event, where), origin)
        elif isinstance(event, yaml.SequenceStartEvent):
            items: list[Node] = []
            while not self.loader.check_event(yaml.SequenceEndEvent):
                self.path.append(f"[{len(items)}]")
                items.append(self.node(depth + 1))
                self.path.pop()
            self.loader.get_event()
            node = Node(tuple(items), origin)
        else:
            node = self.mapping(origin, depth)
        if event.anchor is not None:
            self.anchors[event.anchor] = (node, self.count - before)
        return node

    def mapping(self, origin: Origin, depth: int) -> Node:
        values: dict[str, Node] = {}
        origins: dict[str, Origin] = {}
        while not self.loader.check_event(yaml.MappingEndEvent):
            key, where = self.key()
            self.path.append(f".{key}")
            value = self.node(depth + 1)
            self.path.pop()
            if key in values:
                first = origins[key]
                self.problems.append(f"{where}: {key}: each key once (got it again, first at {first})")
                continue
            values[key], origins[key] = value, where
        self.loader.get_event()
        return Node(values, origin, origins)

    def key(self) -> tuple[str, Origin]:
        event = self.loader.get_event()
        where = self.origin(event)
        if not isinstance(event, yaml.ScalarEvent) or event.tag is not None:
            raise InputError(f"{where}: a key must be a plain name")
        if event.style is None and event.value in ("", "<<"):
            got = "<<; 'extends: FILE' takes over the keys of another record" if event.value else "nothing"
            raise InputError(f"{where}: a key must be a name (got {got})")
        return _checked_text(event.value, where), where

    def scalar(self, event: yaml.ScalarEvent, origin: Origin | str) -> Scalar:
        return resolve_scalar(event.value, origin) if event.style is None else _checked_text(event.value, origin)

    def alias(self, anchor: str, origin: Origin) -> Node:
        if anchor not in self.anchors:
            raise InputError(f"{origin}: *{anchor}: an alias must follow the end of what its anchor &{anchor} marks")
        node, size = self.anchors[anchor]
        self.add(size, origin)
        return node

    def add(self, nodes: int, origin: Origin) -> None:
        self.count += nodes
        if self.count > MAX_NODES:
            raise InputError(f"{origin}: a file may hold at most {MAX_NODES} values, aliases expanded (got more)")


def _float_text(value: float) -> str:
    if value != value:
        return ".nan"
    return repr(value).replace("inf", ".inf")


class _Dumper(yaml.SafeDumper):
    """Writes what the reader above reads back: its resolvers decide which texts need quotes."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 (a class attribute of PyYAML's, replaced here)

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_list(self, data: Any) -> yaml.SequenceNode:
        flow = not any(isinstance(item, (dict, list, tuple)) for item in data)
        return self.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=flow)

    def represent_text(self, data: str) -> yaml.Node:
        # PyYAML folds line breaks in the other styles, and does not get all of Unicode's line breaks back.
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=None if data.isprintable() else '"')

    def represent_number(self, data: float) -> yaml.Node:
        return self.represent_scalar("tag:yaml.org,2002:float", _float_text(data))


_Dumper.add_representer(list, _Dumper.represent_list)
_Dumper.add_representer(tuple, _Dumper.represent_list)
_Dumper.add_representer(str, _Dumper.represent_text)
_Dumper.add_representer(float, _Dumper.represent_number)
for _tag, _pattern in (("null", _NULL), ("bool", _BOOL), ("int", _INT), ("float", _FLOAT), ("merge", re.compile("<<"))):
    _Dumper.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern.pattern})$"), None)


def dump_yaml(data: Mapping[str, Any]) -> str:
    """Write plain data (dicts, lists, scalars) as YAML that ``load_yaml`` reads back identically."""
    return yaml.dump(dict(data), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
