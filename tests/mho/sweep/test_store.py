"""The store of a sweep: what was committed stays, what is wrong with the file or the disk is one clear message."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from devices import InputError
from mho.sweep.store import FILE, PointStatus, Row, Store


def row(name: str, *, state: str = "done", code: str = "c", value: float = 0.1) -> Row:
    return Row(
        name, state, code, "d", (("bits", 3), ("t_s", 0.0)), {"enob": value, "none": None}, {"chips": [1, 2]},
        {"bits": 3}, error="" if state == "done" else "broken", seconds=0.5,
    )  # fmt: skip


def test_a_row_comes_back_as_it_was_written(tmp_path: Path) -> None:
    value = 0.1 + 0.2
    with Store(tmp_path / "new") as store:
        store.write([row("a", value=value), row("b", state="failed")], [("key", "a")])
    with Store(tmp_path / "new") as store:
        asked, known = store.statuses()
        assert asked == {"key": "a"}
        assert known == {"a": PointStatus("done", "c", "d"), "b": PointStatus("failed", "c", "d")}
        found = {each.digest: each for each in store.rows()}
        assert found["a"].outputs == {"enob": value, "none": None}
        assert found["a"].coordinates == (("bits", 3), ("t_s", 0.0))
        assert found["a"].artefacts == {"chips": [1, 2]}
        assert found["b"].error == "broken"
        assert [each.digest for each in store.rows(["b", "x"])] == ["b"]
        assert store.mean_seconds() == 0.5


def test_writing_a_point_again_replaces_it_and_counts_the_attempts(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.write([row("a", state="failed")])
        store.write([row("a", value=2.0)])
        (found,) = store.rows()
        assert (found.state, found.outputs["enob"], found.attempts) == ("done", 2.0, 2)


def test_a_batch_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.write([row("a")])
        with pytest.raises(ValueError, match="not JSON compliant"):
            store.write([row("b"), row("c", value=float("nan"))])
        store.db.execute(
            "create trigger no_c before insert on points when new.digest = 'c' begin select raise(abort, 'no'); end"
        )
        with pytest.raises(sqlite3.IntegrityError):
            store.write([row("b"), row("c")])
        assert set(store.statuses()[1]) == {"a"}


def test_a_full_disk_is_said_and_what_was_written_stays(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.write([row("a")])
        pages = store.db.execute("pragma page_count").fetchone()[0]
        store.db.execute(f"pragma max_page_count = {pages + 2}")
        with pytest.raises(OSError, match="the disk is full; all points written so far are kept") as error:
            store.write([row(f"{number:064}") for number in range(2000)])
        assert error.value.filename == str(tmp_path / FILE)
    with Store(tmp_path) as store:
        assert set(store.statuses()[1]) == {"a"}


@pytest.mark.parametrize("damage", ["head", "middle", "text", "short"])
def test_a_damaged_file_is_said_and_left_as_it_is(tmp_path: Path, damage: str) -> None:
    with Store(tmp_path) as store:
        store.write([row(f"{number:064}") for number in range(500)])
        store.db.execute("pragma wal_checkpoint(truncate)")
    file = tmp_path / FILE
    whole = file.read_bytes()
    half = len(whole) // 2
    broken = {
        "head": b"\0" * 100 + whole[100:],
        "middle": whole[:4096] + b"\xff" * (half - 4096) + whole[half:],
        "text": b"no database at all\n" * 100,
        "short": whole[: half + 100],
    }[damage]
    file.write_bytes(broken)
    with pytest.raises(InputError) as error, Store(tmp_path):
        pass
    assert str(error.value).startswith(f"{file}: is damaged (")
    assert "it was left as it is. Move it away to start anew" in str(error.value)
    assert file.read_bytes() == broken
    assert not list(tmp_path.glob("*.working"))


@pytest.mark.parametrize(
    "change", ["artefacts = x'00'", "outputs = 'nonsense'", "state = 1", "seconds = 'long'", "error = x'00'"]
)
def test_a_row_that_cannot_be_read_is_said_as_damage(tmp_path: Path, change: str) -> None:
    with Store(tmp_path) as store:
        store.write([row("a")])
        store.db.execute(f"update points set {change}")
        for read in (store.rows, store.results):
            with pytest.raises(InputError, match=r"sweep\.sqlite: is damaged \(.*\); it was left as it is"):
                list(read())


def test_folders_that_are_none_of_ours_are_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"holds other files \(notes.txt\) and no sweep.sqlite"):
        Store(tmp_path)
    with pytest.raises(InputError, match="holds no sweep"):
        Store(tmp_path / "nowhere", create=False)
    other = tmp_path / "other"
    other.mkdir()
    with sqlite3.connect(other / FILE) as db:
        db.execute("create table mine (a)")
    db.close()
    with pytest.raises(InputError, match="is a database of something else; give a new folder"):
        Store(other)


def test_a_claim_holds_while_its_process_lives_and_not_longer(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from mho.sweep.store import Store\n"
        "store = Store(Path(sys.argv[1])); print(sorted(store.claim({'a': None, 'b': None})), flush=True)\n"
        "sys.stdin.read()"
    )
    with (
        Store(tmp_path) as store,
        subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as other,
    ):
        assert other.stdout is not None
        assert other.stdout.readline() == "['a', 'b']\n"
        assert store.claim({"a": None, "c": None}) == {"c"}
        other.kill()
        other.wait()
        assert store.claim({"a": None, "c": None}) == {"a", "c"}
    assert not list(tmp_path.glob(".*.working"))


def test_what_another_process_has_finished_since_is_not_claimed(tmp_path: Path) -> None:
    with Store(tmp_path) as store, Store(tmp_path) as other:
        other.write([row("a"), row("b", code="old")])
        old = PointStatus("done", "old", "d")
        assert store.claim({"a": None, "b": old, "c": None}) == {"b", "c"}


def test_points_of_shards_are_taken_over_finished_before_failed(tmp_path: Path) -> None:
    with Store(tmp_path / "one") as one:
        one.begin("sheet", "text", "c", {"git": "abc"})
        one.write([row("a"), row("b")], [("ka", "a"), ("kb", "b")])
    with Store(tmp_path / "all") as store:
        store.write([row("a", value=9.0), row("b", state="failed")])
        assert store.take_over(tmp_path / "one") == 1
        found = {each.digest: each for each in store.rows()}
        assert (found["a"].outputs["enob"], found["b"].state) == (9.0, "done")
        assert store.statuses()[0] == {"kb": "b"}
        assert store.about("c") == {"git": "abc"}


def test_locks_of_the_dead_are_removed_and_those_of_the_living_stay(tmp_path: Path) -> None:
    with Store(tmp_path) as living:
        os.utime(tmp_path / living.owner, (0, 0))
        old, new = tmp_path / ".old.working", tmp_path / ".new.working"
        for path in (old, new):
            path.touch()
        os.utime(old, (0, 0))
        with Store(tmp_path):
            assert not old.exists()
            assert new.exists(), "its process may not hold the lock yet"
            assert (tmp_path / living.owner).exists()
