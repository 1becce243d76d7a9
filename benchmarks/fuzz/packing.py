"""Archives made by hand: odd members, headers that are not true, and files that are small on the disk alone."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Mapping
from functools import cache

BLOCK_BYTES = 64 << 20


@cache
def gzip_of_zeros(size_bytes: int = BLOCK_BYTES) -> bytes:
    """A gzip member of zeros; members may be put one behind another."""
    return gzip.compress(bytes(size_bytes), 9, mtime=0)


@cache
def _deflated_zeros() -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(bytes(BLOCK_BYTES)) + packer.flush(zlib.Z_FULL_FLUSH)


def zlib_of_zeros(data: bytes, blocks: int) -> bytes:
    """A zlib stream that begins with some bytes and goes on with so many blocks of zeros; its checksum is wrong."""
    packer = zlib.compressobj(9)
    return packer.compress(data) + packer.flush(zlib.Z_FULL_FLUSH) + _deflated_zeros() * blocks + packer.flush()


def zip_of_zeros(members: Mapping[str, tuple[bytes, int]]) -> bytes:
    """A zip file of members that each begin with some bytes and go on with so many blocks of 64 MB of zeros.

    The checksum of a member with zeros is wrong, which a reader notices once it has unpacked all of them.
    """
    body, directory = b"", b""
    for name, (data, blocks) in members.items():
        packer, last = zlib.compressobj(9, zlib.DEFLATED, -15), zlib.compressobj(9, zlib.DEFLATED, -15)
        packed = packer.compress(data) + packer.flush(zlib.Z_FULL_FLUSH) + _deflated_zeros() * blocks + last.flush()
        sizes = (zlib.crc32(data), len(packed), len(data) + blocks * BLOCK_BYTES)
        central = struct.pack(
            "<4s6H3L5H2L", b"PK\x01\x02", 20, 20, 0, 8, 0, 33, *sizes, len(name), 0, 0, 0, 0, 0, len(body)
        )
        body += struct.pack("<4s5H3L2H", b"PK\x03\x04", 20, 0, 8, 0, 33, *sizes, len(name), 0) + name.encode() + packed
        directory += central + name.encode()
    return (
        body
        + directory
        + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, len(members), len(members), len(directory), len(body), 0)
    )


def patched(source: bytes, local: int, central: int, value: int, form: str = "<H") -> bytes:
    """A zip file with one field of each member's two headers changed."""
    result = bytearray(source)
    for mark, offset in ((b"PK\x03\x04", local), (b"PK\x01\x02", central)):
        place = -1
        while (place := result.find(mark, place + 1)) >= 0:
            struct.pack_into(form, result, place + offset, value)
    return bytes(result)


def tar(files: Mapping[str, bytes], *, form: int = tarfile.PAX_FORMAT, odd: tuple[str, bytes] | None = None) -> bytes:
    """A tar file; ``odd``: name and type of one more member, which points to a file outside."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w", format=form) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        if odd is not None:
            info = tarfile.TarInfo(odd[0])
            info.type, info.linkname = odd[1], "/etc/passwd"
            archive.addfile(info)
    return held.getvalue()


def packed(
    files: Mapping[str, bytes], method: int = zipfile.ZIP_STORED, *, odd: tuple[str, int] | None = None
) -> bytes:
    """A zip file; ``odd``: name and mode of one more member."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, method)
        if odd is not None:
            info = zipfile.ZipInfo(odd[0])
            info.external_attr = odd[1] << 16
            archive.writestr(info, b"/etc/passwd")
    return held.getvalue()


def header(name: str, size: bytes | int, form: bytes = b"0", data: bytes = b"") -> bytes:
    """One tar member by hand: a size that need not be true, any type."""
    block = bytearray(512)
    block[: len(name)] = name.encode()
    block[100:108], block[108:116], block[116:124] = b"0000644\0", b"0000000\0", b"0000000\0"
    block[124:136] = size if isinstance(size, bytes) else b"%011o\0" % size
    block[136:148], block[148:156], block[156:157], block[257:265] = b"00000000000\0", b" " * 8, form, b"ustar\x0000"
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + data + bytes(-len(data) % 512)


def records(*lines: bytes) -> bytes:
    """A PAX header of such lines, each with its length before it, and a member after it."""
    data = b"".join(
        b"%d %s\n" % (next(n for n in range(9, 999) if n == len(str(n)) + 2 + len(line)), line) for line in lines
    )
    return header("pax", len(data), b"x", data) + header("Train/0/a.bin", 5, data=b"xxxxx")
