"""Whole or not at all: no reader ever meets a half-written result."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from configs.errors import InputError
from mho.files import RunFolder, write_atomic


def _disk_full(handle: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_write_replaces_a_file_and_makes_missing_folders(tmp_path: Path) -> None:
    target = tmp_path / "new" / "page.html"
    write_atomic(target, b"old")
    write_atomic(target, b"new")
    assert target.read_bytes() == b"new"
    assert [entry.name for entry in target.parent.iterdir()] == ["page.html"]


def test_full_disk_keeps_the_old_file_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "page.html"
    target.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", _disk_full)
    with pytest.raises(InputError, match=r"page\.html: cannot write: No space left on device; nothing was written$"):
        write_atomic(target, b"new")
    assert target.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["page.html"]


def test_write_names_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"page\.html: cannot write: .*file is a file, not a folder$"):
        write_atomic(tmp_path / "file" / "page.html", b"x")
    with pytest.raises(InputError, match=r"cannot write: .*; nothing was written"):
        write_atomic("/proc/page.html", b"x")
    with pytest.raises(InputError, match="cannot write a file here: it is a folder"):
        write_atomic(tmp_path, b"x")


def test_write_keeps_a_link_and_a_device(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write_atomic(tmp_path / "link", b"through")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"through"
    write_atomic(os.devnull, b"gone")
    assert not Path(os.devnull).is_file()


def test_written_files_follow_the_umask(tmp_path: Path) -> None:
    write_atomic(tmp_path / "page", b"")
    (tmp_path / "plain").touch()
    assert (tmp_path / "page").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_run_folder_appears_only_when_whole(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "run"
    with RunFolder(target) as folder:
        (folder / "manifest.json").write_text("{}")
        assert not target.exists()
    assert sorted(entry.name for entry in target.parent.iterdir()) == ["run"]
    assert (target / "manifest.json").is_file()


def test_failed_run_leaves_the_old_one_untouched(tmp_path: Path) -> None:
    target = tmp_path / "run"
    target.mkdir()
    (target / "manifest.json").write_text("old")

    def fail() -> None:
        with RunFolder(target) as folder:
            (folder / "manifest.json").write_text("new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert (target / "manifest.json").read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["run"]


def test_run_replaces_a_run_but_no_other_folder(tmp_path: Path) -> None:
    run, other, file = tmp_path / "run", tmp_path / "other", tmp_path / "file"
    run.mkdir()
    (run / "manifest.json").write_text("old")
    (run / "stale.csv").write_text("")
    with RunFolder(run) as folder:
        (folder / "manifest.json").write_text("new")
    assert [entry.name for entry in run.iterdir()] == ["manifest.json"]
    assert (run / "manifest.json").read_text() == "new"

    other.mkdir()
    (other / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match=r"holds other files \(thesis\.tex\) and no manifest\.json"), RunFolder(other):
        pass
    assert (other / "thesis.tex").read_text() == "years of work"
    file.write_text("")
    with pytest.raises(InputError, match="a file of that name is in the way"), RunFolder(file):
        pass


def test_run_into_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for text in ("first", "second"):
        with RunFolder(".") as folder:
            (folder / "manifest.json").write_text(text)
            (folder / "sub").mkdir()
            (folder / "sub" / "a.csv").write_text(text)
        assert (Path("manifest.json").read_text(), Path("sub/a.csv").read_text()) == (text, text)
        assert sorted(os.listdir()) == ["manifest.json", "sub"]


def test_full_disk_during_a_run_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run() -> None:
        with RunFolder(tmp_path / "run") as folder:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder / "ramp.csv"))

    with pytest.raises(InputError, match=r"run: cannot write: No space left on device; nothing was written$"):
        run()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_that_names_no_file_is_one_line_too(tmp_path: Path) -> None:
    with (
        pytest.raises(InputError, match=r"run: cannot write: No space left on device; nothing was written$"),
        RunFolder(tmp_path / "run"),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert not list(tmp_path.iterdir())


def test_another_failure_of_the_system_keeps_its_own_words(tmp_path: Path) -> None:
    with pytest.raises(ConnectionError), RunFolder(tmp_path / "run"):
        raise ConnectionError("elsewhere")
    assert not list(tmp_path.iterdir())
