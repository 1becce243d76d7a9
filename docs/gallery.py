"""The page of the gallery: every script of ``examples/`` that draws a figure from nothing but mho is run as the site is
built, so that text, figure and printed numbers are of the code beside them. A second hook of MkDocs."""

from __future__ import annotations

import ast
import contextlib
import io
import re
import runpy
import sys
import tempfile
from functools import cache
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
SECTIONS = {
    "Cells": ("drift_fan", "write_verify", "read_window", "own_device", "fit_measured"),
    "Arrays": ("product_by_hand", "encodings", "wire_drop"),
    "Converters": ("ramp_functions", "inl_over_chips", "bits_and_noise", "ramp_beside_sar"),
    "Networks and their cost": ("lstm_over_time", "lstm_cost", "energy_by_layer", "price_spread"),
    "Liquids and sparse products": ("liquid_memory", "sparse_density", "sparse_dataflows"),
}
"""Scripts by section, in the order of the page; each takes ``--figure PATH`` and seconds."""
LONGER = ("mlp", "cnn", "lstm", "resnet8", "transformer", "hardware_training", "mlperf_tiny_kws")
"""Scripts that train for minutes, most of them on data that one brings."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page and its figures."""
    for name in (name for names in SECTIONS.values() for name in names):
        figure, _ = ran(name, (EXAMPLES / f"{name}.py").stat().st_mtime_ns)
        files.append(File.generated(config, f"gallery/{name}.svg", content=figure))
    files.append(File.generated(config, "gallery.md", content=page()))
    return files


@cache
def ran(name: str, _changed_ns: int) -> tuple[bytes, str]:
    """A script's figure and what it prints; run once as long as its file is the same."""
    path, argv, printed = list(sys.path), list(sys.argv), io.StringIO()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(printed):
        figure = Path(folder) / f"{name}.svg"
        sys.path.insert(0, str(EXAMPLES))
        sys.argv[:] = [name, "--figure", str(figure)]
        try:
            runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
        finally:
            sys.path[:], sys.argv[:] = path, argv
        return figure.read_bytes(), printed.getvalue()


def page() -> str:
    """Every script: what one sees, the figure, what it prints, the script itself."""
    lines = [
        "# Gallery",
        "",
        "One script, one figure, a few seconds each: `python examples/NAME.py --figure NAME.svg`. All of them were run",
        "when this page was built; what they print stands below each figure. `--help` tells their options.",
    ]
    for head, names in SECTIONS.items():
        lines += ["", f"## {head}"]
        for name in names:
            source = (EXAMPLES / f"{name}.py").read_text(encoding="utf-8")
            title, about = _told(source)
            _, printed = ran(name, (EXAMPLES / f"{name}.py").stat().st_mtime_ns)
            lines += ["", f"### {title}", "", about, "", f"![{title}](gallery/{name}.svg)"]
            lines += ["", "```text", *printed.rstrip().splitlines(), "```"]
            lines += ["", f'??? note "examples/{name}.py"', "", "    ```python"]
            lines += [f"    {line}".rstrip() for line in source.splitlines()]
            lines += ["    ```"]
    lines += ["", "## Longer ones", "", "These train networks, for minutes; `--data` names a folder of recordings.", ""]
    lines += ["| script | |", "|---|---|"]
    for name in LONGER:
        title, _ = _told((EXAMPLES / f"{name}.py").read_text(encoding="utf-8"))
        lines += [f"| `examples/{name}.py` | {title} |"]
    return "\n".join(lines) + "\n"


def _told(source: str) -> tuple[str, str]:
    """First sentence and the rest of a script's docstring, as Markdown."""
    title, _, about = (ast.get_docstring(ast.parse(source)) or "").partition("\n\n")
    about = about.replace("``", "`")
    about = re.sub(r"\bdocs/(\w+)\.md", r"[docs/\1.md](\1.md)", about)
    about = re.sub(r"\bdoi (10\.\S+?)(?=[\s,;:)]|\.\s|\.$)", r"doi [\1](https://doi.org/\1)", about)
    return " ".join(title.split()).rstrip("."), about
