"""Pages of the site that are notebooks. Each is executed when the site is built, so that it shows what this version of
mho gives; a cell that fails ends the build. MkDocs calls ``on_files`` and ``on_page_markdown`` as hooks."""

from __future__ import annotations

import base64
import os
import re
import tempfile
from pathlib import Path

import nbformat
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from nbclient import NotebookClient
from traitlets.config import Config

ROOT = Path(__file__).resolve().parent.parent
FOLDER = "notebooks"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for each notebook, with its pictures beside it."""
    for path in sorted((ROOT / "docs" / FOLDER).glob("*.ipynb")):
        pictures: list[bytes] = []
        text = shown(executed(path), path.stem, pictures)
        files.append(File.generated(config, f"{FOLDER}/{path.stem}.md", content=text))
        for number, picture in enumerate(pictures):
            files.append(File.generated(config, f"{FOLDER}/{path.stem}{number}.png", content=picture))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Pages that name a notebook lead to its page here."""
    return re.sub(rf"\(({FOLDER}/\w+)\.ipynb\)", r"(\1.md)", markdown)


def executed(path: Path) -> nbformat.NotebookNode:
    """The notebook with the outputs of its cells, computed by this checkout in an empty folder."""
    notebook = nbformat.read(path, as_version=4)
    paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    here = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}  # a kernel has its own
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook,
            timeout=900,
            resources={"metadata": {"path": folder}},
            startup_timeout=300,
            # Sockets that are files: nothing listens on a port.
            config=Config(KernelManager={"transport": "ipc", "ip": f"{folder}/kernel"}),
        )
        client.execute(env={**here, "PYTHONPATH": paths})
    return notebook


def shown(notebook: nbformat.NotebookNode, name: str, pictures: list[bytes]) -> str:
    """An executed notebook as Markdown; ``pictures`` grows by what it drew."""
    parts = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            parts.append(cell.source)
            continue
        parts.append(f"```python\n{cell.source}\n```")
        for output in cell.outputs:
            parts.append(_shown(output, name, pictures))
    parts.append(f"[This page as a notebook]({name}.ipynb)")
    return "\n\n".join(filter(None, parts)) + "\n"


def _shown(output: nbformat.NotebookNode, name: str, pictures: list[bytes]) -> str:
    if output.output_type == "stream":
        return f"```text\n{output.text.rstrip()}\n```"
    data = output.data
    if "image/png" in data:
        pictures.append(base64.b64decode(data["image/png"]))
        return f"![Output of the cell above]({name}{len(pictures) - 1}.png)"
    if "text/html" in data:  # tables as the theme draws them
        text = re.sub(r"<style.*?</style>", "", data["text/html"], flags=re.S)
        text = re.sub(r' (border|class|style)="[^"]*"', "", text)
        return f"<div>{text}</div>" if text else ""
    return f"```text\n{data['text/plain']}\n```"
