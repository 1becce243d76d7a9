"""A run in Python: its tables as DataFrames, and the figures of its report as matplotlib has them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from mho.report import rundata
from mho.report.rundata import RunData

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, repr=False)
class Run(RunData):
    """What ``mho.run`` and ``mho.load_run`` give: figures of merit and cost, tables, and pictures of both."""

    def __repr__(self) -> str:
        return f"Run of {self.metrics.experiment}\n{self.summary.to_string(index=False)}"

    @cached_property
    def figures(self) -> dict[str, Figure]:
        """The report's figures by the names that ``mho report --figures`` gives them: ``accuracy``, ``cost``, ...

        Drawn when they are first asked for. A notebook shows each; ``savefig`` writes one.
        """
        from mho.report import page

        return page.figures(self)


def load_run(run_dir: Path | str) -> Run:
    """Read the run directory ``run_dir``.

    Raises ``InputError`` with one line per problem (file, line, what is allowed, what was got) when a file is missing
    or broken.
    """
    return Run(**vars(rundata.load_run(run_dir)))
