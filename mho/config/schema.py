"""What a configuration type allows, in words for its users and in JSON schema for their editors.

The JSON schema that pydantic derives from a dataclass is the one description used here: which keys exist at a path,
which values are allowed there, and where a misspelt key may belong.
"""

from __future__ import annotations

import inspect
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import ErrorDetails, core_schema

from configs.yaml_source import Node, describe_value, whole_numbers

Path = tuple[str | int, ...]
Level = Mapping[str, Any]

MOVED = {
    "adc_swing_V": "front_end.swing_V",
    "copy_ratio": "front_end.division, its inverse",
    "v_threshold_V": "front_end.swing_V",
    "v_supply_V": "front_end.supply_V",
}
"""Keys that earlier versions had in a chip, and where their values belong."""
DIALECT = "https://json-schema.org/draft/2020-12/schema"
_PARAMETER = re.compile(r"^(\w+(?:, \w+)*) : (.+(?:\n[ \t]+\S.*)*)", re.MULTILINE)
_ABOUT_TYPE_OR_RANGE = re.compile(r"missing|_type$|than|literal|enum|too_|multiple_of|pattern|from_float|finite_number")
_BOOLEAN_WORDS = {"on": "true", "yes": "true", "y": "true", "off": "false", "no": "false", "n": "false"}
_BEGINS_WITH_PATH = re.compile(r"([A-Za-z_]\w*(?:\.\w+|\[\d+\])*):? ")
_IN_VARIANT = re.compile(r"variants\[\d+\]\.")
_SHOWN_CHOICES = 16
_LONGEST_WORD = 200


def dotted(path: Iterable[str | int]) -> str:
    """A path as messages show it: ``variants[0].chip.bits``."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            name = step if re.fullmatch(r"[\w<>/+-]+", step) else repr(step[:60])
            text += f".{name}" if text else name
    return text or "the file"


def suggestion(word: str, choices: Iterable[str]) -> str:
    """``; did you mean ...?`` where one of the choices is close to the word, else nothing."""
    if len(word) > _LONGEST_WORD:  # the comparison takes the square of it
        return ""
    by_lower = {choice.lower(): choice for choice in choices}
    close = get_close_matches(word.lower(), by_lower, n=1)
    return f"; did you mean {by_lower[close[0]]}?" if close else ""


def listed(choices: Iterable[str]) -> str:
    """Choices as one phrase, cut where they are too many to read."""
    names = list(choices)
    shown = ", ".join(names[:_SHOWN_CHOICES]) or "none"
    return f"{shown}, ... ({len(names)} in all)" if len(names) > _SHOWN_CHOICES else shown


class Schema:
    """The structure of a configuration type, walked level by level.

    ``references`` names the keys under which a shipped record's name may replace a mapping, with its folder.
    """

    def __init__(self, type_: Any, references: Mapping[str, str]) -> None:
        self.adapter: TypeAdapter[Any] = TypeAdapter(type_)
        self.references = references
        self.root: Level = self.adapter.json_schema(schema_generator=_FromDocstrings, mode="validation")

    def open(self, level: Level) -> Level:
        """A level with its ``$ref`` followed."""
        while "$ref" in level:
            name = level["$ref"].removeprefix("#/$defs/")
            level = {**self.root["$defs"][name], **{key: level[key] for key in level if key != "$ref"}}
        return level

    def alternatives(self, levels: Iterable[Level]) -> list[Level]:
        """All levels without unions: every kind of record, every type of a value."""
        leaves: list[Level] = []
        for level in map(self.open, levels):
            members = level.get("oneOf") or level.get("anyOf")
            leaves += self.alternatives(members) if members else [level]
        return leaves

    def below(self, levels: Iterable[Level], step: str | int) -> list[Level]:
        """What a key or an index may hold; empty where there may be nothing."""
        found = (_below(level, step) for level in self.alternatives(levels))
        return [level for level in found if level is not None]

    def most_items(self, path: Path) -> float:
        """The items that a list at a path may have at most; infinity where its type sets no limit."""
        levels: Sequence[Level] = [self.root]
        for step in path:
            levels = self.below(levels, step)
        lists = [level for level in self.alternatives(levels) if level.get("type") == "array"]
        return max((level.get("maxItems", math.inf) for level in lists), default=math.inf)

    def keys(self, levels: Iterable[Level]) -> list[str]:
        """The keys that a mapping may have here, of every kind of record."""
        return list(dict.fromkeys(key for level in self.alternatives(levels) for key in level.get("properties", ())))

    def of_kind(self, levels: Iterable[Level], kind: Node | None) -> Mapping[str, Level]:
        """The fields of a mapping here: of the alternative of its ``kind``, where several are allowed."""
        for level in self.alternatives(levels):
            fields: Mapping[str, Level] = level.get("properties", {})
            if fields and ("kind" not in fields or kind is None or fields["kind"].get("const") == kind.value):
                return fields
        return {}

    def is_free_text(self, level: Level | None) -> bool:
        """Whether any text may stand here."""
        leaves = self.alternatives([level]) if level is not None else []
        return any(_takes_text(leaf) and not {"enum", "const"} & set(leaf) for leaf in leaves)

    def takes_record(self, levels: Iterable[Level]) -> bool:
        """Whether a text here can only be the name of a record: a mapping with keys is allowed, plain text is not."""
        leaves = self.alternatives(levels)
        return any("properties" in leaf for leaf in leaves) and not any(map(_takes_text, leaves))

    def elsewhere(self, typed: Path, root: Node | None = None) -> str:
        """``; did you mean a.b.key?`` where the last key of ``typed`` exists at another path, else nothing.

        It is looked for in the kind that ``root`` states, since the records of other kinds have other keys.
        """
        kind = root.child("kind") if root else None
        kinds = self.open(self.root).get("discriminator", {}).get("mapping", {})
        known = kind is not None and isinstance(kind.value, str) and kind.value in kinds
        seen: set[str] = set()
        front: list[tuple[Path, Level]] = [((), {"$ref": kinds[kind.value]} if kind and known else self.root)]
        key, same = typed[-1], tuple(step for step in typed if isinstance(step, str) and step != "variants")
        while front:
            path, level = front.pop(0)
            for leaf in self.alternatives([level]):
                if leaf.get("title") in seen:
                    continue
                seen.add(leaf.get("title", ""))
                for name, lower in leaf.get("properties", {}).items():
                    if name == key and (*path, name) != same:
                        return f"; did you mean {dotted((*path, name))}?"
                    front.append(((*path, name), lower))
        return ""

    def unknown_key(self, typed: Path, levels: Sequence[Level], root: Node | None = None) -> str:
        """The sentence for the last key of a path, which does not exist there, in a configuration ``root``."""
        key, keys = str(typed[-1]), self.keys(levels)
        moved = f"; it is now {MOVED[key]}" if key in MOVED else ""
        meant = moved or suggestion(key, keys) or self.elsewhere(typed, root)
        return f"no such key; allowed are {listed(keys)}{meant}"

    def allowed(self, levels: Iterable[Level], key: str | int | None = None) -> str:
        """The values allowed here, as a phrase: ``a whole number from 2 to 8``."""
        leaves = self.alternatives(levels)
        phrases = [self._phrase(leaf) for leaf in leaves if not _choices(leaf)]
        choices = [_choice_text(choice) for leaf in leaves for choice in _choices(leaf)]
        if choices:
            phrases.append(f"one of {listed(choices)}" if len(choices) > 1 else choices[0])
        if key in self.references and self.takes_record(leaves):
            phrases.append(f"the name of a record in {self.references[str(key)]}")
        return " or ".join(dict.fromkeys(phrases))

    def value(self, node: Node, problems: list[str], implausible: Sequence[str] = ()) -> Any:
        """A tree as a value of this type, strictly checked; None, with the problems added, where it is none.

        Where the numbers do not allow to compute with them while a record is built, the ``implausible`` ones are why.
        """
        try:
            return self.adapter.validate_json(json.dumps(whole_numbers(node.plain())), strict=True, extra="forbid")
        except ValidationError as error:
            # Where only records' own checks fail, a number that cannot be meant may be why.
            if all(each["type"] == "value_error" for each in error.errors(include_url=False, include_input=False)):
                problems += implausible
            problems += self.explain(error, node)
        except ArithmeticError as error:
            what = f"{type(error).__name__}: {error.args[-1] if error.args else error}"
            problems += implausible or [f"{node.origin}: must hold numbers that can be computed with (got {what})"]
        return None

    def explain(self, error: ValidationError, root: Node) -> list[str]:
        """One line for each problem that pydantic found in what ``root`` holds, duplicates apart."""
        lines: dict[tuple[str, ...], str] = {}
        for details in error.errors(include_url=False, include_input=False):
            found = self._locate(details["loc"], root)
            if found is None:
                continue
            path, levels, above = found
            node = root.find(path)
            if node is not None and (node.value != node.value or _long_enough(node, details)):
                continue
            missing = details["type"] in ("missing", "union_tag_not_found")
            if not _follows_from_broken(root, path, missing=missing):
                for each in _problems_of(details):
                    key, line = self._line(each, root, path, levels, above)
                    lines.setdefault(key, line)
        # What a variant lacks, the chip above it lacks as well: one line is enough.
        return [
            line
            for key, line in lines.items()
            if not _IN_VARIANT.match(key[0]) or (_IN_VARIANT.sub("", key[0]),) not in lines
        ]

    def _line(
        self, details: ErrorDetails, root: Node, path: Path, levels: Sequence[Level], above: Sequence[Level]
    ) -> tuple[tuple[str, ...], str]:
        """The line of one problem, with the key by which it is recognised as the same problem met again."""
        kind = details["type"]
        if kind in ("unexpected_keyword_argument", "extra_forbidden"):
            parent = root.find(path[:-1])
            where = parent.keys[str(path[-1])] if parent else root.origin
            text = self.unknown_key(path, above, root)
            return (str(where), text), f"{where}: {dotted(path)}: {text}"
        if kind in ("union_tag_not_found", "union_tag_invalid"):
            path = (*path, "kind")
            levels = self.below(levels, "kind")
        if kind == "missing" and isinstance(path[-1], int):
            path, levels = path[:-1], above
        node = root.find(path)
        if node is None:
            parent = root.find(path[:-1]) or root
            text = f"must be {self.allowed(levels, path[-1])} (got nothing: the key is missing)"
            return (dotted(path),), f"{parent.origin}: {dotted(path)}: {text}"
        if kind in ("value_error", "assertion_error"):
            text = "; ".join(str(details["ctx"]["error"]).splitlines())
            below, node, text = _named(node, text)
            path = (*path, *below)
        elif _ABOUT_TYPE_OR_RANGE.search(kind) or kind.startswith("union_tag"):
            got = describe_value(node)
            text = f"must be {self.allowed(levels, path[-1] if path else None)} (got {got}){self._meant(node, levels)}"
        else:
            text = f"{details['msg']} (got {describe_value(node)})"
        return (str(node.origin), text), f"{node.origin}: {dotted(path)}: {text}"

    def _meant(self, node: Node, levels: Sequence[Level]) -> str:
        if not isinstance(node.value, str):
            return ""
        leaves = self.alternatives(levels)
        if node.value.lower() in _BOOLEAN_WORDS and any(leaf.get("type") == "boolean" for leaf in leaves):
            return f"; did you mean {_BOOLEAN_WORDS[node.value.lower()]}?"
        return suggestion(
            node.value, [choice for leaf in leaves for choice in _choices(leaf) if isinstance(choice, str)]
        )

    def _locate(
        self, location: Sequence[str | int], root: Node
    ) -> tuple[Path, Sequence[Level], Sequence[Level]] | None:
        """The path of an error in the file, the levels there and the levels above.

        pydantic's location holds, between keys, the names of the members of unions that it tried. None if the error is
        about a member that the value was not meant to be.
        """
        path: Path = ()
        level: Level = self.root
        above: Sequence[Level] = []
        rest = list(location)
        while rest:
            level = self.open(level)
            kinds = level.get("discriminator", {}).get("mapping", {})
            members = [member for member in level.get("anyOf", ()) if self.open(member).get("type") != "null"]
            if rest[0] in kinds:
                level = {"$ref": kinds[rest.pop(0)]}
            elif len(members) == 1:
                level = members[0]
            elif members:
                fitting = [member for member in members if self._fits(member, root.find(path))]
                if len(fitting) != 1:
                    break
                if not self._is_label(str(rest.pop(0)), fitting[0]):
                    return None
                level = fitting[0]
            else:
                step = rest.pop(0)
                if step == "[key]":
                    break
                path, above = (*path, step), [level]
                lower = _below(level, step)
                if lower is None:
                    return path, [], above
                level = lower
        return path, [level], above

    def _fits(self, member: Level, node: Node | None) -> bool:
        types = {leaf.get("type") for leaf in self.alternatives([member])}
        if node is None or not isinstance(node.value, (dict, tuple)):
            return False
        return ("object" if isinstance(node.value, dict) else "array") in types

    def _is_label(self, label: str, member: Level) -> bool:
        return label == self.open(member).get("title") or label.startswith(
            ("dict[", "list[", "tuple[", "tagged-union[")
        )

    def _phrase(self, leaf: Level) -> str:
        kind = leaf.get("type")
        if kind in ("integer", "number"):
            return f"a {'whole ' if kind == 'integer' else ''}number{_range(leaf)}"
        if kind == "array" and "prefixItems" in leaf:
            each = "; ".join(self.allowed([item]) for item in leaf["prefixItems"])
            return f"a list of {_items(len(leaf['prefixItems']))} ({each})"
        if kind == "array":
            bounds = [("least", leaf.get("minItems")), ("most", leaf.get("maxItems"))]
            size = " and".join(f" of at {word} {_items(bound)}" for word, bound in bounds if bound is not None)
            each = f", each {self.allowed([leaf['items']])}" if leaf.get("items") else ""
            return f"a list{size}{each}"
        if kind == "string":
            pattern = f" that matches {leaf['pattern']}" if "pattern" in leaf else ""
            return ("text that is not empty" if leaf.get("minLength") == 1 else "text") + pattern
        if kind == "object" and "maxProperties" in leaf:
            return f"a mapping of {leaf.get('minProperties', 0)} to {leaf['maxProperties']} keys"
        return {"object": "a mapping", "boolean": "true or false", "null": "null"}.get(str(kind), "another value")

    def for_editors(self, shipped: Mapping[str, Iterable[str]]) -> dict[str, Any]:
        """JSON schema (draft 2020-12) of a file as users write it.

        No key is required, since any of them may come in by ``extends``; under a reference key a name or a path may
        replace the mapping. ``shipped`` holds the names of each folder.
        """
        definitions = {name: self._editor_level(level, shipped) for name, level in self.root.get("$defs", {}).items()}
        top = {key: value for key, value in self.root.items() if key != "$defs"}
        schema = {"$schema": DIALECT, **self._editor_level(top, shipped)}
        return {**schema, "$defs": definitions} if definitions else schema

    def _editor_level(self, level: Level, shipped: Mapping[str, Iterable[str]], key: str = "") -> dict[str, Any]:
        out = {name: value for name, value in level.items() if name not in ("required", "discriminator", "oneOf")}
        members = level.get("oneOf") or level.get("anyOf")
        if members:
            out["anyOf"] = [self._editor_level(member, shipped) for member in members]
        if "properties" in level:
            lower = {name: self._editor_level(value, shipped, name) for name, value in level["properties"].items()}
            extends = {"type": "string", "description": "the file or shipped record from which this mapping starts"}
            out["properties"] = {"extends": extends, **lower}
        if isinstance(level.get("items"), Mapping):
            out["items"] = self._editor_level(level["items"], shipped, key)
        if isinstance(level.get("additionalProperties"), Mapping):
            out["additionalProperties"] = self._editor_level(level["additionalProperties"], shipped)
        if key in self.references and self.takes_record([level]):
            names = {"enum": list(shipped[self.references[key]])}
            record = {"type": "string", "anyOf": [names, {"pattern": r"/|\.ya?ml$"}]}
            about: dict[str, Any] = {name: out.pop(name) for name in ("description", "default") if name in out}
            return {**about, "anyOf": [record, *out["anyOf"]] if out.keys() == {"anyOf"} else [record, out]}
        return out


class _FromDocstrings(GenerateJsonSchema):
    """pydantic's schema with each field's line from the docstrings, and with unknown keys refused."""

    # A default that JSON cannot hold is left out of the schema, which is all that an editor needs.
    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012 (an attribute of pydantic's)

    def dataclass_schema(self, schema: core_schema.DataclassSchema) -> JsonSchemaValue:
        out = super().dataclass_schema(schema)
        cls = schema["cls"]
        lines = _parameter_lines(cls)
        for name, field in out.get("properties", {}).items():
            if name in lines:
                field.setdefault("description", lines[name])
        if "description" in out:
            out["description"] = " ".join(out["description"].split("\n\n")[0].split())
        return {**out, "title": cls.__name__, "additionalProperties": False}

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def _parameter_lines(cls: type) -> dict[str, str]:
    """Field descriptions: ``name : text`` in the docstrings of a class and its parents, or ``Doc`` in ``Annotated``."""
    lines: dict[str, str] = {}
    for parent in reversed(cls.__mro__):
        for names, text in _PARAMETER.findall(inspect.cleandoc(parent.__doc__ or "")):
            lines |= dict.fromkeys(names.split(", "), " ".join(text.split()))
    for name, hint in get_type_hints(cls, include_extras=True).items():
        for note in getattr(hint, "__metadata__", ()):
            if isinstance(getattr(note, "documentation", None), str):
                lines[name] = note.documentation
    return lines


def _problems_of(details: ErrorDetails) -> list[ErrorDetails]:
    """One entry for each problem of an error that holds several."""
    problems = getattr(details.get("ctx", {}).get("error"), "problems", ())
    if len(problems) < 2:
        return [details]
    return [{**details, "ctx": {**details["ctx"], "error": problem}} for problem in problems]


def _named(node: Node, text: str) -> tuple[Path, Node, str]:
    """Where below ``node`` a message points that begins with a key or a path, as far as the file goes, and its rest."""
    found = _BEGINS_WITH_PATH.match(text)
    steps = [int(step) if step.isdigit() else step for step in re.findall(r"\w+", found.group(1))] if found else []
    if found is None or node.child(steps[0]) is None:
        return (), node, text
    for step in steps:
        lower = node.child(step)
        if lower is None:
            break
        node = lower
    return tuple(steps), node, text[found.end() :]


def _below(level: Level, step: str | int) -> Level | None:
    if isinstance(step, int):
        fixed = level.get("prefixItems", ())
        lower = fixed[step] if step < len(fixed) else level.get("items")
    else:
        lower = level.get("properties", {}).get(step, level.get("additionalProperties"))
    return lower if isinstance(lower, Mapping) else {} if lower is True else None


def _choices(leaf: Level) -> list[Any]:
    return [leaf["const"]] if "const" in leaf else list(leaf.get("enum", ()))


def _choice_text(choice: Any) -> str:
    return choice if isinstance(choice, str) else str(choice).lower()


def _takes_text(leaf: Level) -> bool:
    return bool(leaf.get("type", "string") == "string")


def _items(count: int) -> str:
    return f"{count} item{'' if count == 1 else 's'}"


def _range(leaf: Level) -> str:
    low, high = leaf.get("minimum"), leaf.get("maximum")
    above, under = leaf.get("exclusiveMinimum"), leaf.get("exclusiveMaximum")
    step = f", a multiple of {leaf['multipleOf']:g}" if "multipleOf" in leaf else ""
    if low is not None and high is not None:
        return f" from {low:.12g} to {high:.12g}{step}"
    bounds = [(" of at least ", low), (" above ", above), (" of at most ", high), (" below ", under)]
    return " and".join(f"{words}{bound:.12g}" for words, bound in bounds if bound is not None) + step


def _long_enough(node: Node, details: ErrorDetails) -> bool:
    """pydantic counts only the valid items of a list: too few of those is an error that the items already report."""
    if details["type"] != "too_short" or not isinstance(node.value, tuple):
        return False
    return len(node.value) >= int(details["ctx"]["min_length"])


def _follows_from_broken(root: Node, path: Path, *, missing: bool) -> bool:
    """Whether an error only repeats that a record of which the value is made could not be read."""
    along = [root.find(path[:depth]) for depth in range(len(path) + 1)]
    at_end = along[-1] is not None and along[-1].broken
    return at_end or (missing and any(node is not None and node.broken for node in along))
