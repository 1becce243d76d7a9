"""Draws ``docs/architecture.svg`` from the code: packages with what they contain, who imports whom, and the contract.

    python docs/architecture.py

Everything in the figure is read from source files: the sentence of each package is the first of its docstring, its
boxes are its sub-packages, and the classes under the four steps of the contract are those that derive from them. A test
draws it again and compares.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "architecture.svg"
PACKAGES = ("mho", "workloads", "mappings", "periphery", "crossbar", "devices", "configs")
STEPS = (
    ("Layer", "what: weights and function"),
    ("MappedLayer", "where: tiles, converters, cost"),
    ("ProgrammedLayer", "written: cells of N chips"),
    ("LayerRead", "read: the cells at one time"),
)
WIDTH, BAND, LEFT, RIGHT = 1080, 78, 40, 790
STYLE = (
    "text{font-family:Helvetica,Arial,sans-serif;fill:#1b2733}.name{font-size:15px;font-weight:bold}"
    ".line{font-size:11px;fill:#44525f}.box{font-size:11px}rect{stroke:#8aa0b4;stroke-width:1}"
    "path{stroke:#5b7086;fill:none;stroke-width:1.2}"
)


def modules(package: str) -> Iterator[tuple[str, ast.Module]]:
    """Every module of a package with its syntax tree, by dotted name."""
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if "shims" not in parts:
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            yield name, ast.parse(path.read_text(encoding="utf-8"))


def sentence(package: str) -> str:
    """The first sentence of a package's docstring, cut at its colon's end where it is long."""
    text = ast.get_docstring(ast.parse((ROOT / package / "__init__.py").read_text(encoding="utf-8"))) or ""
    whole = " ".join(text.split("\n\n")[0].split())
    return whole if len(whole) < 100 else whole.split(":")[0]


def inner(package: str) -> list[str]:
    """Sub-packages in alphabetical order."""
    folders = (ROOT / package).iterdir()
    return sorted(path.name for path in folders if (path / "__init__.py").is_file() and path.name != "shims")


def imports() -> dict[str, list[str]]:
    """Which packages each package imports, from the top of the list downwards."""
    found: dict[str, list[str]] = {}
    for package in PACKAGES:
        used = set()
        for _, tree in modules(package):
            for node in ast.walk(tree):
                names = [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
                names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                used.update(name.split(".")[0] for name in names)
        found[package] = [other for other in PACKAGES if other in used and other != package]
    return found


def classes_of_steps() -> dict[str, list[str]]:
    """The classes of ``mappings`` that are one step of the contract, by the name of that step."""
    bases: dict[str, set[str]] = {}
    for _, tree in modules("mappings"):
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                bases[node.name] = {re.sub(r"\[.*", "", ast.unparse(base)).split(".")[-1] for base in node.bases}

    def derives(name: str, step: str) -> bool:
        return any(base == step or derives(base, step) for base in bases.get(name, ()))

    return {step: sorted(name for name in bases if derives(name, step)) for step, _ in STEPS}


def svg() -> str:
    """The figure."""
    parts: list[str] = []
    for number, package in enumerate(PACKAGES):
        y = 20 + number * BAND
        parts.append(f'<rect x="{LEFT}" y="{y}" width="{RIGHT - LEFT}" height="{BAND - 16}" rx="4" fill="#eef3f7"/>')
        parts.append(f'<text class="name" x="{LEFT + 10}" y="{y + 19}">{package}/</text>')
        parts.append(f'<text class="line" x="{LEFT + 104}" y="{y + 19}">{escape(sentence(package))}</text>')
        x = LEFT + 10
        for name in inner(package):
            width = 14 + round(6.6 * len(name))
            parts.append(f'<rect x="{x}" y="{y + 31}" width="{width}" height="20" rx="3" fill="#ffffff"/>')
            parts.append(f'<text class="box" x="{x + 6}" y="{y + 45}">{name}</text>')
            x += width + 8
    for number, used in enumerate(imports().values()):
        y = 20 + number * BAND
        text = f"imports {', '.join(used)}" if used else "imports no other"
        parts.append(f'<text class="line" x="{RIGHT - 10}" y="{y + 45}" text-anchor="end">{text}</text>')
        if number:
            parts.append(f'<path marker-end="url(#tip)" d="M{LEFT - 16} {y - BAND + 30}V{y + 30}"/>')
    x, y = RIGHT + 24, 34
    parts.append(f'<text class="name" x="{x}" y="{y}">the contract of layers on tiles</text>')
    for number, (step, meaning) in enumerate(STEPS):
        names = classes_of_steps()[step]
        y += 30
        parts.append(f'<text class="box" x="{x}" y="{y}" font-weight="bold">{step}</text>')
        parts.append(f'<text class="line" x="{x}" y="{y + 14}">{meaning}</text>')
        for name in names:
            y += 14
            parts.append(f'<text class="line" x="{x + 12}" y="{y + 14}">{name}</text>')
        y += 24
        if number < len(STEPS) - 1:
            verb = (".map(chip)", ".program(rng)", ".at(t_s)")[number]
            parts.append(f'<path marker-end="url(#tip)" d="M{x + 4} {y - 2}V{y + 14}"/>')
            parts.append(f'<text class="line" x="{x + 14}" y="{y + 10}">{verb}</text>')
    height = max(20 + len(PACKAGES) * BAND, y + 30)
    tip = (
        '<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L8 4L0 8z" style="fill:#5b7086;stroke:none"/></marker>'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="Packages of mho, their imports, and the contract of layers on tiles"><style>{STYLE}</style>'
        f"<defs>{tip}</defs>\n" + "\n".join(parts) + "\n</svg>\n"
    )


if __name__ == "__main__":
    TARGET.write_text(svg(), encoding="utf-8")
