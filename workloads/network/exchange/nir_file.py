"""Files of the Neuromorphic Intermediate Representation (NIR), which are HDF5, read within limits.

J. E. Pedersen et al., Nat. Commun. 15, 8122 (2024), doi 10.1038/s41467-024-52259-9. An HDF5 file may name other files
as where its numbers are, link to itself, and promise any size: all of it is looked through before a number is read.
"""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

from configs.bounded import expanded, largest_unpacked, one_sentence, printable, quoted, read_file
from configs.errors import InputError

MISSING = "NIR files need the packages nir and h5py, which are not installed: pip install 'mho[nir]'"
DAMAGED = "a whole NIR file (damaged, cut short, or another format)"
DEEPEST = 16
MOST_ENTRIES = 100_000


def read_nir(path: Path | str) -> Any:
    """The ``nir.NIRGraph`` of a file.

    Raises InputError, one sentence, for a file that cannot be read, is no NIR, points to other files or promises more
    than it could hold, and where ``nir`` is missing.
    """
    try:
        import h5py  # optional extras
        import nir
    except ImportError:
        raise InputError(MISSING) from None
    path = expanded(path)
    where = printable(str(path))
    data = read_file(path)
    with one_sentence(where, DAMAGED), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with h5py.File(io.BytesIO(data), "r") as file:
            _check(file, where, largest_unpacked(len(data)))
        try:
            graph = nir.read(io.BytesIO(data), type_check=False)
        except AssertionError as error:
            raise ValueError(error) from None
    if not isinstance(graph, nir.NIRGraph):
        raise InputError(f"{where}: a graph (got {type(graph).__name__})")
    return graph


def write_nir(graph: Any, path: Path | str) -> None:
    """Write a ``nir.NIRGraph`` to a new file. Raises InputError where there is a file already or none can be made."""
    import nir

    path = expanded(path)
    packed = io.BytesIO()
    nir.write(packed, graph)
    try:
        with open(path, "xb") as file:
            file.write(packed.getvalue())
    except OSError as error:
        raise InputError(f"{printable(str(path))}: a new file that can be written ({error.strerror})") from None


def _check(file: Any, where: str, most: int) -> None:
    """Numbers and text of the file itself, not too many. Raises InputError naming what is not."""
    import h5py

    size, entries = 0, 0
    waiting = [(file, "", 0)]
    while waiting:
        group, inside, depth = waiting.pop()
        for name in group:
            entries += 1
            if entries > MOST_ENTRIES or depth > DEEPEST:
                raise InputError(f"{where}: at most {MOST_ENTRIES:,} entries in {DEEPEST} levels (got more)")
            shown = quoted(f"{inside}/{name}")
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise InputError(f"{where}: {shown}: numbers of the file itself (got a link)")
            found = group[name]
            if isinstance(found, h5py.Group):
                waiting.append((found, f"{inside}/{name}", depth + 1))
                continue
            if not isinstance(found, h5py.Dataset):
                raise InputError(f"{where}: {shown}: numbers or text (got {type(found).__name__})")
            if found.external or found.is_virtual:
                raise InputError(f"{where}: {shown}: numbers of the file itself (got the name of another file)")
            size += int(found.size or 0) * found.dtype.itemsize
            if size > most:
                raise InputError(f"{where}: numbers of at most {most:,} bytes (it promises more)")
