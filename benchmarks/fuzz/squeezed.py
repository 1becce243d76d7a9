"""Archives that are small on the disk and large unpacked, and archives with their headers changed."""

from __future__ import annotations

import gzip
import struct
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
        central = struct.pack("<4s6H3L5H2L", b"PK\x01\x02", 20, 20, 0, 8, 0, 33, *sizes, len(name), 0, 0, 0, 0, 0, len(body))
        body += struct.pack("<4s5H3L2H", b"PK\x03\x04", 20, 0, 8, 0, 33, *sizes, len(name), 0) + name.encode() + packed
        directory += central + name.encode()
    return body + directory + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, len(members), len(members), len(directory), len(body), 0)


def patched(source: bytes, local: int, central: int, value: int, form: str = "<H") -> bytes:
    """A zip file with one field of each member's two headers changed."""
    result = bytearray(source)
    for mark, offset in ((b"PK\x03\x04", local), (b"PK\x01\x02", central)):
        place = -1
        while (place := result.find(mark, place + 1)) >= 0:
            struct.pack_into(form, result, place + offset, value)
    return bytes(result)
