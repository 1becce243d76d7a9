"""A SLURM job array for a sweep: one shard a task, each with one folder, joined by a last job.

SQLite's write-ahead log needs a local disk or one machine, so shards never share a store; the script that joins them
reads each folder after its task has ended. A shard that the queue killed is resumed by submitting the script again.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from configs.errors import InputError
from mho.files import write_atomic
from mho.sweep.engines.cards import Compute

_MOST_SHARDS = 100_000

_SCRIPT = """#!/bin/bash
# {name}: {points} points in {shards} shards. Submit both jobs with
#   array=$(sbatch --parsable {script}) && sbatch --dependency=afterany:$array --array=0 {script}
# Task 0 joins the shards' folders, computes what is missing (nothing, where all went well), and writes the table.
# Submitted again after a time limit or a failure, it goes on where it was.
#SBATCH --job-name={name}
#SBATCH --array=1-{shards}
#SBATCH --cpus-per-task=1
#SBATCH --output={logs}
{card}{options}set -euo pipefail
cd {here}
shards={shards} parts={parts} whole={whole}
mho() {{ {mho} "$@"; }}
if [ "$SLURM_ARRAY_TASK_ID" -ne 0 ]; then
  mho sweep {sweep} --shard "$SLURM_ARRAY_TASK_ID/$shards" -o "$parts/$SLURM_ARRAY_TASK_ID"{device}{data}
  exit
fi
merge=() absent=0
for number in $(seq "$shards"); do
  if [ -f "$parts/$number/sweep.sqlite" ]; then merge+=(--merge "$parts/$number"); else absent=$((absent + 1)); fi
done
if [ "$absent" -gt 0 ]; then echo "$absent of $shards shards have left nothing; their points are computed here" >&2; fi
mho sweep {sweep} -o "$whole" "${{merge[@]}}"{device}{data}
"""


def write(
    path: Path,
    *,
    sweep: str,
    title: str,
    points: int,
    shards: int,
    whole: Path,
    data: Path | None = None,
    options: Sequence[str] = (),
    compute: Compute = "cpu",
) -> None:
    """Write the array script, and make the folder of its logs.

    ``options`` are those of sbatch, such as ``--time=4:00:00``; on ``cuda`` each task asks for one card first, so that
    they may ask for others. Raises InputError for what is no number of shards.
    """
    if not 1 <= shards <= min(_MOST_SHARDS, points):
        raise InputError(
            f"--shards: must be from 1 to the number of points, {min(_MOST_SHARDS, points)} (got {shards})"
        )
    wrong = [option for option in options if not option.startswith("-") or "\n" in option]
    if wrong:
        raise InputError(f"--sbatch: must be options of sbatch, as in --time=4:00:00 (got {', '.join(wrong)})")
    name = "".join(sign if sign.isalnum() or sign in "._-" else "_" for sign in title)
    whole = whole.resolve()
    parts = whole.with_name(f"{whole.name}.parts")
    logs = whole.with_name(f"{whole.name}.logs")
    file = Path(sweep)
    text = _SCRIPT.format(
        name=name,
        points=points,
        shards=shards,
        script=shlex.quote(str(path)),
        logs=shlex.quote(f"{logs}/%x.%a.log"),
        card="#SBATCH --gres=gpu:1\n" if compute == "cuda" else "",
        device=" --device cuda" if compute == "cuda" else "",
        options="".join(f"#SBATCH {option}\n" for option in options),
        here=shlex.quote(str(Path.cwd())),
        parts=shlex.quote(str(parts)),
        whole=shlex.quote(str(whole)),
        mho=f"{shlex.quote(sys.executable)} -m mho",
        sweep=shlex.quote(str(file.resolve()) if file.is_file() else sweep),
        data=f" --data {shlex.quote(str(data.expanduser().resolve()))}" if data else "",
    )
    logs.mkdir(parents=True, exist_ok=True)
    write_atomic(path, text.encode())
