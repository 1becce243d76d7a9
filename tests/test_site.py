"""The site is built without a warning, commands that pages print are ones that mho takes, and the quick start runs."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
import typer

from mho.catalogue import ARCHIVES
from mho.cli import app
from mho.config.resolve import shipped_files
from tests.mho.command import mho

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
RECORDS = {
    name for folder in ("experiments", "sweeps", "searches", "chips", "devices") for name in shipped_files(folder)
}


def blocks(page: Path, *languages: str) -> list[str]:
    """The fenced blocks of a page in one of the languages; "" is none."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(encoding="utf-8"), flags=re.S | re.M)
    return [text for language, text in found if language in languages]


def commands(page: Path) -> list[list[str]]:
    """The commands of mho in a page's blocks, without comments, and lines that continue joined."""
    lines = "\n".join(blocks(page, "", "console", "bash", "sh")).replace("\\\n", " ").splitlines()
    found = [re.sub(start, "", line) for line in lines if re.match(start := r"(\$ |\.venv/bin/)?mho ", line)]
    return [words for line in found if "..." not in line and (words := shlex.split(line, comments=True))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_of_a_page_are_ones_that_mho_takes(page: Path) -> None:
    command = typer.main.get_command(app)
    for words in commands(page):
        if words[0].startswith("-") or words[0].isupper():
            continue
        with typer.Context(command, info_name="mho") as context:
            assert isinstance(command, typer.core.TyperGroup)
            name, one, rest = command.resolve_command(context, words)
            assert one is not None
            if "--help" in rest or rest in (["ls"],):
                continue
            one.make_context(name, rest, parent=context)  # raises where an option or argument is unknown
        if name in ("run", "sweep", "search") and rest and re.fullmatch(r"[a-z_0-9]+", rest[0]):
            assert rest[0] in RECORDS, f"mho {' '.join(words)}"


def test_the_commands_of_the_quick_start_run(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("espeakng_loader", reason="without it there are no words to recognise")
    page = ROOT / "docs" / "quick_start.md"
    monkeypatch.chdir(tmp_path)
    _, sheet = blocks(page, "yaml")
    (tmp_path / "bits.yaml").write_text(sheet)
    for words in commands(page):
        code, _, err = mho(capsys, *words, *(["--quiet"] if words[0] in ("run", "sweep") else []))
        assert code == 0, f"mho {' '.join(words)}: {err}"
    for file in ("runs/first/report.html", "both.csv", "pcm.png", "runs/bits/results.csv", "runs/network/report.html"):
        assert (tmp_path / file).is_file(), file
    for code in blocks(page, "python"):
        exec(compile(code, page.name, "exec", dont_inherit=True), {})


def test_the_ten_jobs_run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order of the page, in an empty folder; of experiments a smaller form, which ``--set`` gives."""
    page = ROOT / "docs" / "recipes.md"
    monkeypatch.chdir(tmp_path)
    small = ["--set", "training.epochs=2", "--set", "evaluation.chips=1", "--quiet"]
    names: dict[str, object] = {}
    for language, text in re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(encoding="utf-8"), flags=re.S | re.M):
        if language == "python":
            exec(compile(text, page.name, "exec", dont_inherit=True), names)
        elif language == "yaml":
            Path(text.split()[1]).write_text(text.replace("chips: 4", "chips: 1"), encoding="utf-8")
        else:
            for words in map(shlex.split, text.splitlines()):
                more = {"run": small, "sweep": ["--quiet"]}.get(words[1], [])
                code, _, err = mho(capsys, *words[1:], *more)
                assert code == 0, f"{' '.join(words)}: {err}"
    for file in ("fit.png", "mine.png", "both.html", "runs/noise/report.html", "runs/half/report.html"):
        assert (tmp_path / file).stat().st_size > 10_000, file


def test_the_page_of_data_names_every_archive_with_its_address_and_digest() -> None:
    text = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
    for name, remote in ARCHIVES.items():
        (row,) = (line for line in text.splitlines() if line.startswith(f"| `{name}` |"))
        assert f"[{remote.name}]({remote.url})" in row
        assert f"`{remote.sha256}`" in row


def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    build = pytest.importorskip("mkdocs.commands.build", reason="the extra 'docs' is not installed")
    from mkdocs.config import load_config

    config = load_config(str(ROOT / "mkdocs.yml"), site_dir=str(tmp_path / "site"), strict=True)
    config.plugins.on_startup(command="build", dirty=False)
    build.build(config)  # strict: a warning aborts
    notebooks = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))
    assert len(notebooks) == 2
    for each in notebooks:  # executed by the build, which a failing cell ends; stored without what they gave
        cells = [cell for cell in json.loads(each.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
        assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells), each.name
        text = (tmp_path / "site" / "notebooks" / f"{each.stem}.html").read_text(encoding="utf-8")
        assert "<table>" in text
        assert f"{each.stem}0.png" in text
        assert (tmp_path / "site" / "notebooks" / f"{each.stem}0.png").stat().st_size > 10_000
        assert ("SYNTHETIC" in text) == (each.stem == "keyword_spotting"), "what is spoken by a program says so"
    for page in (
        "index",
        "network",
        "gallery",
        "benchmarks",
        *(f"reference/{n}" for n in ("command_line", "configuration", "python")),
    ):
        assert (tmp_path / "site" / f"{page}.html").stat().st_size > 10_000, page
