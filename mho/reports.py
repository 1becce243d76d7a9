"""``mho report``: of runs, or of a sweep or a search, by what the folders hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from configs.errors import InputError
from mho.exits import short_of_memory
from mho.files import user_path, write_or_print
from mho.sweep.store import FILE


def write(
    folders: Sequence[Path | str],
    format: str = "html",
    output: Path | str | None = None,
    figures: Path | str | None = None,
) -> list[Path]:
    """Report run directories, or the folder of one sweep or search, in ``format`` and return the files written.

    Without ``output``, ``html`` goes to ``report.html`` in the folder and everything else to standard output.
    ``figures``: a folder for the pictures of runs' pages, as SVG and PDF.
    """
    paths = [user_path(folder) for folder in folders]
    sweeps = [path for path in paths if (path / FILE).is_file()]
    if not sweeps:
        from mho.report import page

        with _damaged(paths):
            return page.write(paths, format, output, figures)
    if len(paths) > 1:
        raise InputError(f"{sweeps[0]}: a sweep is reported alone (got {len(paths)} folders)")
    if figures is not None:
        raise InputError(f"{sweeps[0]}: a sweep's page draws its figures in the browser; --figures takes runs")
    with _damaged(sweeps):
        return _write_sweep(sweeps[0], format, output)


@contextmanager
def _damaged(folders: Sequence[Path]) -> Iterator[None]:
    """Files of which no report can be made were changed since: each may be well-formed while they disagree."""
    try:
        yield
    except Exception as error:
        if isinstance(error, (InputError, OSError)) or short_of_memory(error):
            raise
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise InputError(f"{', '.join(map(str, folders))}: no report can be made of these files ({reason})") from error


def _write_sweep(folder: Path, format: str, output: Path | str | None) -> list[Path]:
    from mho.search import page as search_page
    from mho.search.table import settings
    from mho.sweep.page import page
    from mho.sweep.page.formats import FORMATS
    from mho.sweep.page.reading import of_table, read

    trials = search_page.replayed(folder) if search_page.is_search(folder) else None
    if format == "html":
        target = Path(output) if output is not None else None
        return [search_page.write(folder, *trials, target) if trials is not None else page.write(folder, target)]
    if format not in FORMATS:
        raise InputError(f"--format: must be one of html, {', '.join(FORMATS)} for a sweep (got {format})")
    if format == "parquet" and output is None:
        raise InputError("--format parquet is binary and needs a file: -o PATH")
    found = read(folder) if trials is None else of_table(read(folder), trials[1], settings(trials[0]))
    return write_or_print(FORMATS[format](found), output)
