"""A search from file to front: the same trials on any number of workers and after any kill, and the true front."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest

from mho import reports
from mho.search import command
from mho.search.command import closing, preview, search
from mho.search.guide import optimiser
from mho.search.spec import Bound, Choice, Search
from mho.search.trial import Trial, on_front
from mho.sweep.command import sweep
from mho.sweep.engines.clusters import Site
from mho.sweep.store import Store
from tests.mho.command import mho
from workloads.nladc import ConverterBench

BENCH = """
base: {kind: nladc, ramp: {device: rram_taox}, chips: 2}
space:
  bits: {first: 2, last: 5, whole: true}
  ramp.device: [rram_taox, pcm]
  recentre: {values: [false, true], when: {ramp.device: pcm}}
objectives: {enob: maximize, cells: minimize}
trials: 40
t_s: 3600
seeds: 2
sampler: {startup: 8}
"""


def written(folder: Path, text: str = BENCH) -> str:
    path = folder / "bench.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> command.SearchOutcome:
    """A search that nothing disturbed."""
    folder = tmp_path_factory.mktemp("search")
    return search(written(folder), output=folder / "out")


def test_the_front_is_that_of_a_sweep_over_all_configurations(
    undisturbed: command.SearchOutcome, tmp_path: Path
) -> None:
    (tmp_path / "all.yaml").write_text(
        "base: {kind: nladc, ramp: {device: rram_taox}, chips: 2}\n"
        "axes:\n  bits: [2, 3, 4, 5]\n  ramp.device: [rram_taox, pcm]\n"
        "  recentre: {values: [false, true], when: {ramp.device: pcm}}\n"
        "seeds: 2\ntimes_s: [3600]\n",
        encoding="utf-8",
    )
    whole = sweep(str(tmp_path / "all.yaml"), output=tmp_path / "all").table
    means = whole.groupby(["bits", "ramp.device", "recentre"], dropna=False)[["enob", "cells"]].mean().reset_index()
    best = {
        (bits, device, recentre is True or recentre == 1.0)
        for bits, device, recentre, enob, cells in means.itertuples(index=False)
        if not ((means.enob >= enob) & (means.cells <= cells) & ((means.enob > enob) | (means.cells < cells))).any()
    }
    found = undisturbed.front
    assert f"<p>{len(found)} of {len(undisturbed.table)} trials" in undisturbed._repr_html_()
    tried = undisturbed.table.drop_duplicates(["bits", "ramp.device", "recentre"])
    assert len(tried) == len(means) == 12, "a dozen configurations, all of them tried by 40 trials"
    assert {(row.bits, row[2], row.recentre is True) for row in found.itertuples(index=False)} == best
    merged = tried.merge(means, on=["bits", "ramp.device", "recentre"], suffixes=("", "_swept"))
    np.testing.assert_allclose(merged.enob, merged.enob_swept, rtol=1e-14)


def test_two_workers_and_a_second_run_give_the_same_table(undisturbed: command.SearchOutcome, tmp_path: Path) -> None:
    file = written(tmp_path)
    outcome = search(file, output=tmp_path / "two", site=Site(workers=2))
    whole = (undisturbed.folder / command.TABLE).read_bytes()
    assert outcome.computed == undisturbed.computed > 0
    assert (tmp_path / "two" / command.TABLE).read_bytes() == whole
    again = search(file, output=tmp_path / "two")
    assert again.computed == 0
    assert (tmp_path / "two" / command.TABLE).read_bytes() == whole


# Forks start at once, where a new interpreter would import for seconds.
KILLED = """
    import os, random, signal, sys, time
    from pathlib import Path
    from mho.search.command import search

    started = time.perf_counter()
    search(sys.argv[1], output=Path("undisturbed"))
    whole_s = time.perf_counter() - started
    draw = random.Random(7)
    for number in range(6):
        child = os.fork()
        if child == 0:
            search(sys.argv[1], output=Path("killed"))
            os._exit(0)
        time.sleep(draw.uniform(0.1, 0.6) * whole_s)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    print(search(sys.argv[1], output=Path("killed")).computed)
"""


def test_a_killed_search_goes_on_where_it_was(undisturbed: command.SearchOutcome, tmp_path: Path) -> None:
    written(tmp_path)
    found = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLED), "bench.yaml"], cwd=tmp_path, check=True, capture_output=True,
        text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert int(found.stdout) < undisturbed.computed, "what was finished before the kills is not computed again"
    whole = (undisturbed.folder / command.TABLE).read_bytes()
    assert (tmp_path / "killed" / command.TABLE).read_bytes() == whole
    assert (tmp_path / "undisturbed" / command.TABLE).read_bytes() == whole
    with Store(tmp_path / "killed") as store:
        assert {row.attempts for row in store.rows()} == {1}


def test_more_trials_keep_the_first_ones(undisturbed: command.SearchOutcome, tmp_path: Path) -> None:
    file = written(tmp_path)
    more = search(file, output=tmp_path / "out", trials=48).table
    pd.testing.assert_frame_equal(more.head(40).drop(columns="front"), undisturbed.table.drop(columns="front"))


def test_constraints_keep_trials_off_the_front_and_guide_the_sampler(tmp_path: Path) -> None:
    text = BENCH.replace("seeds: 2\n", "") + "constraints: {cells: {most: 60}, enob: {least: 2.5}}\n"
    text = text.replace("space:\n", "space:\n  ramp.redundant_columns: {first: 1, last: 32, whole: true}\n")
    table = search(written(tmp_path, text), output=tmp_path / "tpe").table
    inside = (table.cells <= 60) & (table.enob >= 2.5)
    assert (table.feasible == inside).all()
    assert inside[table.front].all()
    by_chance = search(
        written(tmp_path, text.replace("startup: 8", "method: random")), output=tmp_path / "random"
    ).table
    assert inside.sum() >= 1.5 * by_chance.feasible.sum() > 0, "the sampler looks where constraints are kept"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("method", ["nsga2", "random", "qmc"])
def test_every_sampler_runs_and_is_repeatable(method: str, tmp_path: Path) -> None:
    text = BENCH.replace("sampler: {startup: 8}", f"sampler: {{method: {method}, population: 4, seed: 3}}")
    text = text.replace("trials: 40", "trials: 12").replace("seeds: 2\n", "")
    tables = [search(written(tmp_path, text), output=tmp_path / name).table for name in ("one", "two")]
    pd.testing.assert_frame_equal(*tables)
    assert tables[0]["state"].eq("done").all()


def test_pruned_trials_were_dominated_at_their_rung_and_save_points(tmp_path: Path) -> None:
    text = BENCH.replace("chips: 2}", "chips: 6}").replace("seeds: 2\n", "")
    text = text.replace("bits: {first: 2, last: 5, whole: true}", "bits: {first: 2, last: 6, whole: true}")
    outcome = search(written(tmp_path, text + "pruning: {rungs: [2, 4]}\n"), output=tmp_path / "out")
    table = outcome.table
    pruned = table[table["state"] == "pruned"]
    assert len(pruned) >= 3
    assert set(pruned.rung) <= {2, 4}
    assert not pruned.front.any()
    with Store(tmp_path / "out") as store:
        rows = [(dict(row.coordinates).get("chips", 6), row.outputs) for row in store.rows()]
    for trial in pruned.itertuples(index=False):
        same_rung = [outputs for chips, outputs in rows if chips == trial.rung]
        assert any(
            one["enob"] >= trial.enob
            and one["cells"] <= trial.cells
            and (one["enob"], one["cells"]) != (trial.enob, trial.cells)
            for one in same_rung
        )
    # What is on the front of the whole search, nothing in it was given up for.
    plain = search(written(tmp_path, text), output=tmp_path / "plain")
    assert set(plain.front.cells) == set(outcome.front.cells)


def test_a_cost_that_breaks_a_constraint_is_given_up_at_the_first_look(tmp_path: Path) -> None:
    text = BENCH.replace("seeds: 2\n", "") + "constraints: {cells: {most: 20}}\npruning: {rungs: [1]}\n"
    table = search(written(tmp_path, text.replace("chips: 2}", "chips: 4}")), output=tmp_path / "out").table
    assert (table[table.cells > 20]["state"] == "pruned").all()
    assert (table[table.cells > 20].error == "violates cells").all()


def test_a_failed_trial_is_kept_with_its_error_and_retried_on_demand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    measure = ConverterBench.measure

    def breaks(self: ConverterBench) -> Any:
        if self.bits in (3, 4):
            raise ZeroDivisionError("a chip without cells")
        return measure(self)

    monkeypatch.setattr(ConverterBench, "measure", breaks)
    file = written(tmp_path)
    code, said, _ = mho(capsys, "search", file, "-o", tmp_path / "out", "--trials", 10)
    assert code == 1
    assert "failed: ZeroDivisionError: a chip without cells (test_search.py:" in said
    table = pd.read_csv(tmp_path / "out" / command.TABLE)
    assert set(table[table.bits.isin([3, 4])]["state"]) == {"failed"}
    assert set(table[~table.bits.isin([3, 4])]["state"]) == {"done"}
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    code, said, _ = mho(capsys, "search", file, "-o", tmp_path / "out", "--trials", 10, "--retry-failed")
    assert (code, said.splitlines()[0].split(";")[0]) == (0, "10 trials: 10 done, 0 pruned, 0 failed")


def test_the_front_of_trials_counts_a_configuration_once() -> None:
    wanted = Search(
        base="x", space={"a": Choice(values=(1, 2))}, objectives={"up": "maximize", "down": "minimize"}, trials=9,
        constraints={"down": Bound(most=5.0)},
    )  # fmt: skip
    rows = [(1, 1.0, 1.0), (1, 1.0, 1.0), (2, 2.0, 2.0), (3, 1.5, 2.0), (4, 9.0, 6.0), (5, 2.0, 2.0)]
    trials = [Trial(number, (("a", a),), "done", {"up": up, "down": down}) for number, (a, up, down) in enumerate(rows)]
    trials.append(Trial(6, (("a", 6),), "pruned", {"up": 99.0, "down": 0.0}))
    trials.append(Trial(7, (("a", 7),), "failed"))
    assert on_front(trials, wanted) == [True, False, True, False, False, True, False, False]


def test_a_dry_run_names_space_aims_and_points(tmp_path: Path) -> None:
    text = preview(written(tmp_path, BENCH + "constraints: {cells: {most: 25}}\npruning: {rungs: [1]}\n"))
    assert "bits: whole numbers from 2 to 5" in text
    assert "recentre: False or True, where ramp.device is pcm" in text
    assert "enob: maximize" in text
    assert "cells: at most 25" in text
    assert "40 trials of 2 seeds, each looked at with chips 1 first: at most 160 points" in text
    assert text.splitlines()[-1].startswith("time: ")
    assert not (tmp_path / "runs").exists()


def test_the_summary_shows_the_front(undisturbed: command.SearchOutcome) -> None:
    lines = closing(undisturbed).splitlines()
    assert lines[0] == f"40 trials: 40 done, 0 pruned, 0 failed; {undisturbed.computed} points computed now"
    assert lines[1] == f"front: {len(undisturbed.front)} trials; objectives enob (maximize), cells (minimize)"
    assert lines[2].split() == ["trial", "enob", "cells", "bits", "ramp.device", "recentre"]
    assert len(lines) == 5 + len(undisturbed.front)
    assert lines[-1].startswith("report: ")


def test_the_report_is_made_from_the_folder_alone_also_of_a_search_cut_short(
    undisturbed: command.SearchOutcome, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    shutil.copytree(undisturbed.folder, folder)
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "Search of 40 trials (nladc): 40 done" in page
    (folder / "report.html").unlink()
    assert reports.write([folder]) == [folder / "report.html"]
    assert (folder / "report.html").read_text(encoding="utf-8") == page
    table = pd.read_csv(folder / command.TABLE, dtype={"error": str})
    reports.write([folder], "csv", tmp_path / "again.csv")
    again = pd.read_csv(tmp_path / "again.csv", dtype={"error": str})
    pd.testing.assert_frame_equal(again, table[again.columns])
    # Half of the points are gone, as if the search had been killed: what is there is reported, nothing is computed.
    with Store(folder) as store:
        held = [row.digest for row in store.rows()]
        store.db.execute("delete from points where digest > ?", (sorted(held)[len(held) // 2],))
        store.db.execute("delete from asked where digest not in (select digest from points)")
    reports.write([folder], "csv", tmp_path / "half.csv")
    assert len(pd.read_csv(tmp_path / "half.csv")) < 40


def test_json_holds_every_trial(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said, _ = mho(capsys, "search", written(tmp_path), "-o", tmp_path / "out", "--trials", 3, "--json", "--quiet")
    rows = json.loads(said)
    assert (code, [row["trial"] for row in rows]) == (0, [0, 1, 2])
    assert {"bits", "enob", "cells", "feasible", "front", "state"} <= set(rows[0])


WRONG = [
    ("objectives: {enob: maximize, cells: minimize}", "objectives: {enobb: maximize}",
     "bench.yaml:7:14: objectives.enobb: must be one of"),
    ("objectives: {enob: maximize, cells: minimize}", "objectives: {enob: up}",
     "bench.yaml:7:20: objectives.enob: must be one of maximize, minimize (got the text 'up')"),
    ("  bits:", "  bitz:", "recentre; did you mean bits?"),
    ("last: 5, whole: true", "last: 50, whole: true",
     "bench.yaml:4:9: bits: must be a whole number from 1 to 12 (got 50)"),
    ("first: 2, last: 5, whole: true", "first: 2.5, last: 5",
     "bench.yaml:4:9: bits: must be a whole number from 1 to 12 (got 2.5)"),
    ("when: {ramp.device: pcm}", "when: {ramp.devic: pcm}",
     "must be a setting that comes before this one (bits, ramp.device) (got ramp.devic); did you mean ramp.device?"),
    ("when: {ramp.device: pcm}", "when: {ramp.device: pcmm}",
     "must be a value of that setting (rram_taox, pcm) (got pcmm)"),
    ("trials: 40", "trials: 0", "bench.yaml:8:9: trials: must be a whole number from 1 to 100000 (got 0)"),
    ("trials: 40", "trials: 4\nconstraints: {cells: {}}", "a constraint needs least or most"),
    ("trials: 40", "trials: 4\npruning: {rungs: [4, 2]}", "pruning.rungs: must grow (got 4, 2)"),
    ("trials: 40", "trials: 4\npruning: {rungs: [1], path: bits}",
     "pruning.path: bits is a setting of the search itself"),
    ("trials: 40", "trials: 4\npruning: {rungs: [1, 2]}",
     "bench.yaml:9:22: pruning.rungs[1]: must be less than chips, which is 2 (got 2)"),
    ("trials: 40", "trials: 4\npruning: {rungs: [1], path: seed}", "pruning.path: seed is no such setting"),
    ("trials: 40", "trials: 4\nconstraints: {cells: {most: .nan}}",
     "bench.yaml:9:29: constraints.cells.most: must be a finite number (got .nan)"),
    ("trials: 40\nt_s: 3600\nseeds: 2", "trials: 100000\nt_s: 3600\nseeds: 20",
     "bench.yaml:8:1: trials: bring the search to 2000000 points; at most 100000 are allowed"),
    ("trials: 40", "trials: 4\nset: {bits: 3}", "space.bits: is a setting of the search, so that 'set' cannot set"),
    ("  bits: {first: 2, last: 5, whole: true}", "  t_s: [1, 2]",
     "bench.yaml:4:3: space.t_s: is a setting of the search, so that 't_s' cannot set it too"),
    ("first: 2, last: 5, whole: true", "first: 0.4, last: 5, whole: true, scale: log",
     "space.bits.whole: first and last must be whole numbers too (got 0.4 and 5)"),
    ("first: 2, last: 5, whole: true", "first: 2, last: .inf, whole: true", "must be a finite number (got .inf)"),
    ("when: {ramp.device: pcm}", "when: {bits: 9}",
     "space.recentre.when.bits: must be a value of that setting (2 to 5) (got 9)"),
    ("when: {ramp.device: pcm}", "when: {bits: []}", "must name at least one value (got none)"),
    ("[rram_taox, pcm]", "[pcm, rram_taox, pcm]",
     "bench.yaml:5:3: space.'ramp.device': each value once (got pcm again)"),
    ("seeds: 2", "seeds: [1, 1]", "seeds: each value once (got 1 again)"),
    ("seeds: 2", "seeds: []", "seeds: must hold at least one value (got none)"),
    ("startup: 8", "seed: 4294967296", "sampler.seed: must be a whole number from 0 to 4294967295 (got 4294967296)"),
    ("space:", "axes:", "space: must be a mapping of 1 to 100 keys (got nothing: the key is missing)"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "message"), WRONG)
def test_a_wrong_file_is_one_message_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, message: str
) -> None:
    assert old in BENCH
    written(tmp_path, BENCH.replace(old, new))
    code, out, err = mho(capsys, "search", "bench.yaml", "-o", tmp_path / "out")
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err
    assert not (tmp_path / "out").exists()


def test_constraints_that_nothing_keeps_to_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = BENCH.replace("trials: 40", "trials: 3\nconstraints: {enob: {least: 30}}")
    code, said, _ = mho(capsys, "search", written(tmp_path, text), "-o", tmp_path / "out", "--quiet")
    assert code == 0
    assert "3 of the done ones violate a constraint" in said
    assert "no trial keeps to all constraints" in said


def test_bad_options_are_one_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(tmp_path)
    assert mho(capsys, "search", file, "--trials", 0) == (
        2,
        "",
        "mho: --trials: must be a whole number from 1 to 100000 (got 0)\n",
    )
    code, _, err = mho(capsys, "search", "converter_fron", "--dry-run")
    assert (code, "did you mean converter_front?" in err) == (2, True)


def test_shipped_searches_are_valid() -> None:
    from mho.listings import listing

    names = list(listing("searches"))
    assert "converter_front" in names
    for name in names:
        assert preview(name)


def test_the_optimiser_is_optunas_with_the_directions_of_the_file() -> None:
    wanted = Search(base="x", space={"a": Choice(first=0, last=1)}, objectives={"u": "maximize"}, trials=1)
    assert [each.name for each in optimiser(wanted).directions] == ["MAXIMIZE"]
    assert isinstance(optimiser(wanted).sampler, optuna.samplers.TPESampler)
