"""The SLURM script of a sweep: what bash and a stand-in for sbatch make of it is the table of one process."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from mho import cli
from mho.sweep import command
from mho.sweep.command import sweep
from tests.mho.command import mho

CHECKOUT = Path(cli.__file__).parent.parent
BENCH = "base: {kind: nladc, ramp: {device: rram_taox}, chips: 2}\naxes: {bits: [2, 3]}\nseeds: 3\n"
# Runs the tasks of the array one after another, as the queue would in some order, and prints a job number.
SBATCH = """#!/bin/bash
[ "$1" = --parsable ] && shift
while [ "${1#--}" != "$1" ]; do options+=("$1"); shift; done
range=$(sed -n 's/^#SBATCH --array=//p' "$1")
[[ " ${options[*]:-} " == *--array=0* ]] && range=0-0
for task in $(seq "${range#*-}" -1 "${range%-*}"); do
  [ "$task" = "${SKIPPED:-}" ] || SLURM_ARRAY_TASK_ID=$task bash "$1" >>jobs.log 2>&1 || exit 1
done
echo 4711
"""


def test_the_array_and_its_last_job_give_the_table_of_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "a folder with spaces"
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / "my bench.yaml").write_text(BENCH, encoding="utf-8")
    (folder / "sbatch").write_text(SBATCH, encoding="utf-8")
    (folder / "sbatch").chmod(0o755)
    code, said, err = mho(
        capsys, "sweep", "my bench.yaml", "--slurm", "job.sh", "--shards", 2, "--sbatch=--time=0:10:00", "-o", "whole"
    )
    assert (code, err) == (0, "")
    script = (folder / "job.sh").read_text()
    assert "#SBATCH --array=1-2\n" in script
    assert "#SBATCH --time=0:10:00\n" in script
    subprocess.run(["bash", "-n", "job.sh"], check=True)
    # Shard 2 never ran: the last job says so, and computes its points.
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "PYTHONPATH": str(CHECKOUT), "SKIPPED": "2"}
    done = subprocess.run(["bash", "-euc", said], env=environment, capture_output=True, text=True, timeout=180)
    log = (folder / "jobs.log").read_text()
    assert done.returncode == 0, log
    assert "3 of 3 points done, 0 failed, 3 computed now" in log
    assert "1 of 2 shards have left nothing; their points are computed here" in log
    assert "6 of 6 points done, 0 failed, 3 computed now" in log
    sweep("my bench.yaml", output=Path("alone"))
    whole = folder / "whole" / command.TABLE
    assert whole.read_bytes() == (folder / "alone" / command.TABLE).read_bytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--shards", 0], "--shards: must be from 1 to the number of points, 6 (got 0)"),
        (["--shards", 7], "--shards: must be from 1 to the number of points, 6 (got 7)"),
        (["-j", 2], "-j: does nothing beside --slurm; put it into the script"),
        (["--export", "t.csv"], "--export: does nothing beside --slurm; put it into the script"),
        (["--sbatch", "rm -rf x"], "--sbatch: must be options of sbatch, as in --time=4:00:00 (got rm -rf x)"),
    ],
)
def test_wrong_options_write_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], options: list[object],
    message: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path("bench.yaml").write_text(BENCH, encoding="utf-8")
    assert mho(capsys, "sweep", "bench.yaml", "--slurm", "job.sh", "--shards", 2, *options) == (
        2,
        "",
        f"mho: {message}\n",
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bench.yaml"]
