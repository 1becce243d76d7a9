"""Pages of the site that are made of the code: the start page of README.md, and the reference of the command line, of
configurations and of Python. MkDocs calls ``on_files`` as a hook."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from griffe import Extension, Object
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent
AREAS = {
    "mho": "Runs and networks",
    "workloads": "Runs and networks",
    "mappings": "Chips and layers",
    "periphery": "Circuits around the array",
    "crossbar": "Arrays",
    "devices": "Cells",
    "configs": "Errors",
}


class Parameters(Extension):
    """Docstrings as Markdown: the lines ``name : text`` of their parameters become a list."""

    def on_object(self, *, obj: Object, **kwargs: Any) -> None:
        """Called for every class and function."""
        if obj.docstring is not None:
            obj.docstring.value = re.sub(r"Parameters\n-+\n((?:.+\n?)+)", _listed, obj.docstring.value)


def _listed(found: re.Match[str]) -> str:
    items = re.sub(r"(?m)^(\w[\w, ]*?) : ", r"- `\1`: ", found[1])
    return f"\n{items}\n"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    made = {
        "index.md": start(),
        "reference/command_line.md": command_line(),
        "reference/configuration.md": configuration(),
        "reference/python.md": python(),
    }
    for path, text in made.items():
        files.append(File.generated(config, path, content=text))
    return files


def start() -> str:
    """README.md with its links as they are seen from here."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    text = re.sub(r"(\]\(|src=\")docs/", r"\1", text)
    return text.replace("](decisions)", "](decisions/0001-packages-at-the-root.md)").replace(
        "[LICENSE](LICENSE)", "`LICENSE`"
    )


def command_line() -> str:
    """Every command with its arguments and options, as ``--help`` has them."""
    import typer
    from typer.cli import get_docs_for_click

    from mho.cli import app

    command = typer.main.get_command(app)
    with typer.Context(command, info_name="mho") as context:
        return str(get_docs_for_click(obj=command, ctx=context, name="mho", title="Command line"))


def configuration() -> str:
    """Every key of an experiment, a chip, a device and a liquid: what it means, its type and its default."""
    from mho.catalogue import TYPES
    from mho.config.read import json_schema

    lines = [
        "# Configuration",
        "",
        "Made of the classes that a file becomes. `mho schema KIND` prints the same as JSON schema, with which an",
        "editor completes and checks a file; `mho show NAME` prints a shipped record.",
    ]
    seen: set[str] = set()
    for kind in ("device", "liquid", "chip", "experiment"):  # what several have in common stands with the smallest
        schema = json_schema(TYPES[kind])
        heads = {name: each for name, each in schema.get("$defs", {}).items() if "properties" in each}
        if "properties" in schema:
            heads = {kind.capitalize(): schema, **heads}
        lines += ["", f"## {kind.capitalize()}"]
        for name, each in heads.items():
            if name not in seen:
                seen.add(name)
                lines += ["", f"### {name}", "", _escaped(each.get("description", "")), "", *_keys(each)]
    return "\n".join(lines) + "\n"


def _keys(schema: dict[str, Any]) -> Iterator[str]:
    yield "| key | takes | default | meaning |"
    yield "|---|---|---|---|"
    needed = schema.get("required", ())
    for key, each in schema["properties"].items():
        default = "required" if key in needed else f"`{each['default']!r}`" if "default" in each else ""
        yield f"| `{key}` | {_cell(_taken(each))} | {_cell(default)} | {_cell(each.get('description', ''))} |"


def _taken(each: dict[str, Any]) -> str:
    if "$ref" in each:
        return str(each["$ref"].rsplit("/", 1)[1])
    for word in ("anyOf", "oneOf", "allOf"):
        if word in each:
            return " or ".join(dict.fromkeys(filter(None, map(_taken, each[word]))))
    if "enum" in each:
        return ", ".join(f"`{value}`" for value in each["enum"])
    if "const" in each:
        return f"`{each['const']}`"
    if each.get("type") == "array":
        items = each.get("items") or {}
        return f"list of {_taken(items)}" if items else "list"
    limits = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to", "exclusiveMaximum": "below"}
    ends = [f"{word} {each[name]:g}" for name, word in limits.items() if isinstance(each.get(name), (int, float))]
    return " ".join([str(each.get("type", "")).replace("null", "nothing"), *ends]).strip()


def _cell(text: str) -> str:
    return _escaped(" ".join(text.split())).replace("|", "\\|")


def _escaped(text: str) -> str:
    return text.replace("``", "`").replace("<", "&lt;")


def python() -> str:
    """Every public name of ``mho``, by what it is about."""
    import mho

    origins = mho._ORIGINS
    area = {name: AREAS[module.split(".")[0]] for name, (module, _) in origins.items()}
    order = list(dict.fromkeys(AREAS.values()))
    lines = ["# Python", "", "What `import mho` offers. Arrays are `torch.Tensor`, quantities SI, units in names."]
    for head, names in groupby(sorted(origins, key=lambda name: (order.index(area[name]), name.lower())), area.get):
        lines += ["", f"## {head}"]
        for name in names:
            module, there = origins[name]
            lines += ["", f"::: {module}.{there}"]
    return "\n".join(lines) + "\n"
