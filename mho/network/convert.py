"""``mho.convert``: a torch module on the chips of files, shipped records and objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from mappings.chip import Chip
from mappings.convert import converted
from mappings.convert.converted import Batch, ConvertedNetwork
from mappings.convert.replicas import Replicas
from mho.config.read import read

AnyChip = Chip | str | Path


def chip_named(chip: AnyChip) -> Chip:
    """A chip, or the one of a file or a shipped record. Raises InputError with all that is wrong with a file."""
    if isinstance(chip, Chip):
        return chip
    found = read(chip, Chip, folder="chips").value
    assert isinstance(found, Chip)
    return found


def convert(
    module: torch.nn.Module,
    chip: AnyChip | Mapping[str, AnyChip],
    *,
    example: Batch,
    digital: Sequence[str] = (),
    batch_dim: int = 0,
    replicas: Replicas = 1,
    shared_tiles: Sequence[str] = (),
    equalised: bool = True,
) -> ConvertedNetwork:
    """A torch module as a network on tiles of a chip.

    Parameters
    ----------
    module : any module that ``torch.export`` can trace; it is copied, and stays as it is
    chip : a chip, the name of a shipped one or a file; or these by pattern over the paths of layers, of which the first
        that matches holds (``{"encoder.*": "hermes_core", "*": "yang2025"}``)
    example : inputs, with the batch in dimension ``batch_dim``: shapes are taken from them and, where they have values,
        the ranges of inputs and converters too; ``calibrate`` does so again on more data
    digital : patterns over paths of modules that are to stay digital
    replicas : copies of layers' arrays, which take turns at the positions of a convolution or a sequence: a number for
        all layers, or numbers by pattern over their paths (``{"conv1": 4}``)
    shared_tiles : patterns over paths of layers that may share tiles
    equalised : scale channels between layers so that small ones do not drown in the errors of cells, where that leaves
        the network what it is

    Raises InputError, with every reason and its path in the module, for what cannot be traced, counted or mapped.
    """
    chips = {pattern: chip_named(one) for pattern, one in chip.items()} if isinstance(chip, Mapping) else None
    found = chip_named(chip) if chips is None else chips  # type: ignore[arg-type]
    return converted.convert(
        module,
        found,
        example=example,
        digital=digital,
        batch_dim=batch_dim,
        replicas=replicas,
        shared_tiles=shared_tiles,
        equalised=equalised,
    )
