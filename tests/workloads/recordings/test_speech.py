"""The embedded default, and the network that it stands in for."""

from __future__ import annotations

import functools
import hashlib
import socket
import sys
import threading
import time
from collections.abc import Iterator
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

import numpy as np
import pytest

from configs.errors import InputError
from workloads.kws import find
from workloads.kws.find import FULL_SET, TEST_SET, Finding, find_clips
from workloads.recordings.clips import LABELS, SILENCE
from workloads.recordings.espeak import MISSING, Espeak
from workloads.recordings.sources import RemoteFile, Unavailable, cached, fetch
from workloads.recordings.speech import ACCENTS, NOTE, VARIANTS, Spoken, spoken_clips
from workloads.split import split_by_speaker

FEW = Spoken(voices=10, repeats=1)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MHO_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MHO_DATA", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def spoken() -> None:
    pytest.importorskip("espeakng_loader", reason="the extra 'speech' is not installed")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "file.bin").write_bytes(b"public data" * 1000)
    with HTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(tmp_path / "www"))) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}/file.bin"
        http.shutdown()


def remote(url: str, content: bytes = b"public data" * 1000) -> RemoteFile:
    return RemoteFile("file.bin", url, hashlib.sha256(content).hexdigest(), len(content))


@pytest.mark.usefixtures("spoken")
def test_the_default_is_the_same_every_time_and_says_that_it_is_synthetic(cache: Path) -> None:
    first = spoken_clips(seed=1, how=FEW)
    (kept,) = (cache / "kws").iterdir()
    assert spoken_clips(seed=1, how=FEW).digest == first.digest
    kept.unlink()
    assert spoken_clips(seed=1, how=FEW).digest == first.digest
    assert spoken_clips(seed=2, how=FEW).digest != first.digest
    assert first.origin.synthetic
    assert first.notes == (NOTE,)
    assert "synthetic" in first.origin.source


@pytest.mark.usefixtures("spoken")
def test_each_voice_says_each_class_and_can_be_split_by_voice() -> None:
    clips = spoken_clips(how=FEW)
    assert clips.counts == dict.fromkeys(LABELS, 10)
    speakers = set(clips.speakers.tolist())
    assert len(speakers) == 11  # ten voices, and nobody for silence
    assert len({speaker.partition("+")[2] for speaker in speakers}) == 11
    split = split_by_speaker(clips, 0)
    assert not set(clips.speakers[split.test]) & set(clips.speakers[split.train]) - {""}
    silence = clips.classes == LABELS.index(SILENCE)
    assert (clips.speakers[silence] == "").all()
    peak = np.abs(clips.waveforms[~silence].astype(int)).max(1) / 32768
    assert peak.min() > 10 ** (-26 / 20)
    assert len(np.unique(clips.waveforms, axis=0)) == len(clips)


@pytest.mark.usefixtures("spoken")
def test_every_listed_voice_exists() -> None:
    assert len(VARIANTS) == len(set(VARIANTS)) >= 40
    import espeakng_loader

    here = {path.name for path in (Path(espeakng_loader.get_data_path()) / "voices" / "!v").iterdir()}
    assert set(VARIANTS) <= here
    with Espeak() as espeak:
        for accent in ACCENTS:
            espeak.voice(accent, "m1")
        with pytest.raises(InputError, match=r"has no voice 'xx-none\+m1'$"):
            espeak.voice("xx-none", "m1")


def test_without_the_synthesiser_the_cure_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(InputError) as caught:
        find_clips(finding=Finding(network=False))
    assert str(caught.value) == MISSING
    assert "pip install 'mho[speech]', or give Speech Commands with --data PATH" in MISSING


def test_how_much_is_spoken_is_checked() -> None:
    with pytest.raises(InputError) as caught:
        Spoken(voices=2, repeats=0)
    assert caught.value.problems == (
        f"voices: allowed are 3 to {len(VARIANTS)} (got 2)",
        "repeats: allowed are whole numbers from 1 (got 0)",
    )


@pytest.mark.usefixtures("spoken")
def test_when_the_network_fails_the_default_stands_in_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/x"
    monkeypatch.setattr(find, "TEST_SET", remote(url))
    clips = find_clips(spoken=FEW, show_download=False)
    assert clips.origin.synthetic
    assert clips.notes[-1] == (
        "Speech Commands was not found (no --data, no MHO_DATA, nothing in the cache; "
        f"{url} cannot be reached (ConnectionError))."
    )


def test_a_file_is_fetched_once_and_checked(server: str, cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = fetch(remote(server))
    assert path == cache / "file.bin"
    assert path.read_bytes() == b"public data" * 1000
    assert capsys.readouterr().out == ""
    gone = RemoteFile("file.bin", "http://127.0.0.1:9/none", remote(server).sha256, 11_000)
    assert fetch(gone) == path
    path.write_bytes(b"publiC data" * 1000)
    assert cached(remote(server)) is None
    assert fetch(remote(server)).read_bytes() == b"public data" * 1000


def test_another_file_than_the_pinned_one_is_not_kept(server: str, cache: Path) -> None:
    wanted = remote(server, b"something else")
    with pytest.raises(Unavailable) as caught:
        fetch(wanted, progress=False)
    assert str(caught.value) == f"{server} is not the file expected (its SHA-256 is not {wanted.sha256})"
    assert not list(cache.iterdir())


def test_a_page_that_is_not_there_is_told_by_its_status(server: str) -> None:
    with pytest.raises(Unavailable) as caught:
        fetch(remote(server + ".gone"), progress=False)
    assert str(caught.value) == f"{server}.gone cannot be reached (HTTP status 404)"


def test_a_server_that_says_nothing_is_given_up_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"http://127.0.0.1:{mute.getsockname()[1]}/x"
        started = time.monotonic()
        with pytest.raises(Unavailable, match="^" + url):
            fetch(remote(url), within_s=0.6, progress=False)
        assert time.monotonic() - started < 2.0


def test_a_name_look_up_that_hangs_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    hang = threading.Event()

    def head(*_: object, **__: object) -> None:
        hang.wait(5.0)
        raise OSError("too late")

    monkeypatch.setattr("requests.head", head)
    with pytest.raises(Unavailable, match=r"^http://nowhere/x did not answer within 0.3 s$"):
        fetch(remote("http://nowhere/x"), within_s=0.3, progress=False)
    hang.set()


def test_the_pinned_files_are_those_of_the_data_sets_publisher() -> None:
    for pinned, start in ((TEST_SET, "cc2a00c1"), (FULL_SET, "af14739e")):
        assert pinned.url.endswith("/" + pinned.name)
        assert pinned.sha256.startswith(start)
        assert len(pinned.sha256) == 64
