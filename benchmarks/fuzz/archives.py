"""Archives of recordings: tar, zip, gzip and xz with odd members, names, sizes and headers, cut off, and changed."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import stat
import struct
import tarfile
import zipfile
from functools import cache
from pathlib import Path

from benchmarks.fuzz.case import Case, clips, recordings, small, start, turn, wav, write
from benchmarks.fuzz.changes import bent
from benchmarks.fuzz.packing import BLOCK_BYTES, gzip_of_zeros, header, packed, patched, records, tar, zip_of_zeros

TOKENS = [b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x80\0\0\0", b"../", b"/", bytes(512), b"PK\x03\x04", b"PK\x01\x02"]
NAMES = (
    *("../evil.bin", "/no/mho-fuzz-evil.bin", "a/../../evil.bin", "..\\evil.bin", "C:\\evil.bin", "", ".", "..", "/",
    "a/", "\\\\server\\x.bin"),
    *("a\0b.bin", "x" * 300 + ".bin", "é\u202e.bin", "CON", "0\\0.bin", "a\nb.bin", "0/./0.bin", "0//0.bin", " .bin",
    "0/0.bin", "Train/0/0.bin", "~/x.bin"),
)  # fmt: skip
KINDS = {
    "link": tarfile.SYMTYPE,
    "hard link": tarfile.LNKTYPE,
    "device": tarfile.CHRTYPE,
    "pipe": tarfile.FIFOTYPE,
    "folder": tarfile.DIRTYPE,
    "type S": b"S",
    "type K": b"K",
    "type L": b"L",
    "type x": b"x",
    "type g": b"g",
    "type V": b"V",
}


@cache
def _listed() -> dict[str, bytes]:
    good = recordings(2, 6)
    whole, plain = tar(good), packed(good)
    found = {
        "tar": whole,
        "zip": plain,
        "zip, deflated": packed(good, zipfile.ZIP_DEFLATED),
        "zip, bzip2": packed(good, zipfile.ZIP_BZIP2),
        "zip, lzma": packed(good, zipfile.ZIP_LZMA),
        "gzip": gzip.compress(whole, mtime=0),
        "xz": lzma.compress(whole),
        "bzip2": bz2.compress(whole),
        "zip with a backslash": packed({name.replace("/", "\\"): data for name, data in good.items()}),
        "Train.zip within a folder": packed(
            {f"Train/{name}": data for name, data in good.items()}
            | {f"Test/{name}": data for name, data in good.items()}
        ),
        "tar cut off": whole[:3000],
        "tar cut in its header": whole[:600],
        "gzip cut off": gzip.compress(whole, mtime=0)[:-30],
        "xz cut off": lzma.compress(whole)[:-30],
        "gzip and junk": gzip.compress(whole, mtime=0) + b"junk" * 10,
        "xz and junk": lzma.compress(whole) + b"junk" * 10,
        "gzip of text": gzip.compress(b"hello" * 1000, mtime=0),
        "xz of text": lzma.compress(b"hello" * 1000),
        "gzip of nothing": gzip.compress(b"", mtime=0),
        "PK": b"PK",
        "PK and junk": b"PK\3\4" + b"x" * 1000,
        "zip cut off": plain[:-30],
        "zip cut early": plain[:500],
        "junk before zip": b"junk" * 10 + plain,
        "ustar and junk": b"x" * 257 + b"ustar\0" + b"x" * 1000,
        "empty": b"",
        "a byte": b"x",
        "xz header": b"\xfd7zXZ\0",
        "gzip header": b"\x1f\x8b",
        "zip of no member": packed({}),
        "tar of no member": tar({}),
        "zip encrypted": patched(plain, 6, 8, 1),
        "zip, strong encryption": patched(plain, 6, 8, 0x41),
        "zip version 255": patched(plain, 4, 6, 255),
        "zip size 4 GB": patched(plain, 22, 24, 0xFFFFFFF0, "<I"),
        "zip size 50 MB": patched(plain, 22, 24, 50_000_000, "<I"),
        "zip checksum": patched(plain, 14, 16, 1, "<I"),
        "tar size 8 GB": header("Train/0/a.bin", 8 * 2**30 - 1),
        "tar size 50 MB": header("Train/0/a.bin", 50_000_000),
        "tar size negative": header("Train/0/a.bin", b"\xff" * 12),
        "tar size 2^95": header("Train/0/a.bin", b"\x80" + b"\xff" * 11),
        "tar size no octal": header("Train/0/a.bin", b"99999999999\0"),
        "tar type S": header("Train/0/a.bin", 10, b"S", b"x" * 512),
        "tar long name of 4 GB": header("././@LongLink", 4 * 10**9, b"L"),
        "PAX header of 500 MB": header("pax", 5 * 10**8, b"x"),
        "5,000 long names": header("././@LongLink", 5, b"L", b"abcd\0") * 5000,
        "5,000 PAX headers": header("pax", 12, b"x", b"12 path=abc\n") * 5000 + header("a.bin", 5, data=b"x" * 5),
        "PAX length wrong": header("pax", 20, b"x", b"99999 path=x\n" + bytes(7)) + header("a.bin", 5, data=b"x" * 5),
        "PAX length no number": header("pax", 20, b"x", b"abc path=xxxxxxxxxx\n") + header("a.bin", 5, data=b"x" * 5),
        "PAX size": records(b"size=999999999"),
        "PAX size negative": records(b"size=-5"),
        "PAX size no number": records(b"size=abc"),
        "PAX path with NUL": records(b"path=a\0b"),
        "sparse 1.0": records(b"GNU.sparse.major=1", b"GNU.sparse.minor=0", b"GNU.sparse.realsize=99999"),
        "sparse 0.1": records(b"GNU.sparse.map=0,a,b", b"GNU.sparse.size=100"),
        "sparse 0.0": records(b"GNU.sparse.numblocks=x", b"GNU.sparse.size=1000000000000"),
        "global PAX": header("g", 12, b"g", b"12 path=/ab\n") + header("a.bin", 5, data=b"x" * 5),
        "zip of 3 GB": zip_of_zeros({"Train/0/a.bin": (b"", 48)}),
    }
    # Each member just under the size that a member may have; a WAV file whose length is that of its data.
    silence = wav(b"")[:40] + struct.pack("<I", BLOCK_BYTES - 1024)
    member = gzip.compress(header("other/a_nohash_0.wav", BLOCK_BYTES - 512) + silence.ljust(512, b"\0"), mtime=0)
    found["keywords: 8 GB of silence in gzip"] = (member + gzip_of_zeros(BLOCK_BYTES - 1024)) * 120
    found["3 GB of zeros behind a member"] = (
        gzip.compress(header("0/a.bin", 512, data=bytes(512)), mtime=0) + gzip_of_zeros() * 48
    )
    found |= {f"zip method {method}": patched(plain, 8, 10, method) for method in (1, 9, 12, 14, 93, 99)}
    for name in NAMES:
        shown = name.encode("ascii", "backslashreplace").decode()
        if "\0" not in name:
            found[f"tar member named {shown:.40}"] = tar({**good, name: b"xxxxx"})
        found[f"zip member named {shown:.40}"] = packed({**good, name: b"xxxxx"})
    found |= {f"tar member: {what}": tar(good, odd=("Train/0/l.bin", form)) for what, form in KINDS.items()}
    for what, mode in {
        "link": stat.S_IFLNK,
        "device": stat.S_IFCHR,
        "socket": stat.S_IFSOCK,
        "pipe": stat.S_IFIFO,
    }.items():
        found[f"zip member: {what}"] = packed(good, odd=("Train/0/l.bin", mode | 0o777))
    return found


@cache
def _seeds() -> dict[str, bytes]:
    events, words = recordings(2, 6), clips()
    found = {
        "tar": tar(events),
        "zip": packed(events),
        "zip, deflated": packed(events, zipfile.ZIP_DEFLATED),
        "keywords: tar": tar(words),
        "keywords: zip": packed(words, zipfile.ZIP_DEFLATED),
        "GNU tar": tar(events, form=tarfile.GNU_FORMAT),
    }
    return found | {
        "gzip": gzip.compress(found["tar"], mtime=0),
        "xz": lzma.compress(found["tar"]),
        "keywords: gzip": gzip.compress(found["keywords: tar"], 1, mtime=0),
    }


def case(number: int, folder: Path, base: Path) -> Case:
    rng = start("archives", number)
    listed = turn(number, len(_listed()) + 8)
    if listed is not None and listed >= len(_listed()):
        return _odd_folder(listed - len(_listed()), folder)
    if listed is not None:
        about, data = list(_listed().items())[listed]
    else:
        about, data = rng.choice(list(_seeds().items()))
        about, data = f"{about}, bytes changed", bent(rng, data, TOKENS)
    name = rng.choice(["data.zip", "data.tar", "data.tar.gz", "data.tgz", "data.tar.xz", "data"])
    (folder / name).write_bytes(data)
    return Case(
        about,
        ("run", small("small_kws" if about.startswith("keywords") else "small_lsm", folder), "--data", name, "--quiet"),
    )


def _odd_folder(which: int, folder: Path) -> Case:
    """A folder of recordings with something in it that is no file."""
    data = folder / "data"
    write(data, recordings(2, 6))
    odd = data / "0" / "odd.bin"
    about = (
        "a pipe",
        "a link to /dev/zero",
        "a link to nothing",
        "a link to itself",
        "a folder",
        "a link to /etc/passwd",
        "a file that is no text",
        "an empty file",
    )[which]
    links = {1: "/dev/zero", 2: "/nonexistent", 3: "odd.bin", 5: "/etc/passwd"}
    if which == 0:
        os.mkfifo(odd)
    elif which in links:
        odd.symlink_to(links[which])
    elif which == 4:
        odd.mkdir()
    else:
        odd.write_bytes(b"\xff" * 5000 if which == 6 else b"")
    return Case(f"{about} among event files", ("run", small("small_lsm", folder), "--data", "data", "--quiet"))
