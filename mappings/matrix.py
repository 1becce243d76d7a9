"""One weight matrix on tiles: from pulse widths to pre-activations.

A matrix with more rows than a tile is cut into row tiles. With ``partial_sums: charge`` the bit lines of the tiles
above each other share one integrator, so the charge is the whole sum and one product describes it. With ``digital``
each tile is converted linearly and the words are added; so are the slices of a weight that are converted apart, and the
bits of an input that are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from crossbar import Array, ArrayRead
from devices import BlockNoise, ChipStreams, InputError, Stream
from mappings.chip import Chip
from periphery.drivers import AnyDriver
from periphery.drivers.base import DriverRead, full_scale
from periphery.drivers.bit_serial import BitSerial


def rows_of(weight: torch.Tensor, bias: torch.Tensor | None, *, chip: Chip) -> tuple[torch.Tensor, int]:
    """Rows of word lines for ``weight (outputs, inputs)``, as ``(rows, outputs)``, and how many of them carry the bias.

    The bias sits on word lines driven at full scale. One line carries at most the largest weight of the matrix, so a
    large bias takes several lines. Raises InputError for a bias that the chip has no line for.
    """
    rows = [weight.detach().float().T]
    bias_rows = 0
    if bias is not None and chip.bias == "none" and bool((bias != 0).any()):
        raise InputError("bias: none: the layer has a bias that is not zero, and this chip has no word line for it")
    if bias is not None and chip.bias == "row":
        level = bias.detach().float() / chip.driver.x_max
        largest = float(rows[0].abs().max()) or float(level.abs().max()) or 1.0
        bias_rows = max(1, int(torch.ceil(level.abs().max() / largest - 1e-6)))
        rows.append((level / bias_rows).expand(bias_rows, -1))
    return torch.cat(rows).contiguous(), bias_rows


def calibration_counts(matrix: torch.Tensor, chip: Chip) -> torch.Tensor:
    """Fixed calibration inputs, ``(1, vectors, rows)`` clock periods: full-scale pulses of either sign on so many word
    lines that the columns move over about half of the ramp's range."""
    rows = matrix.shape[0]
    active = float((1.0 / matrix.square().mean().sqrt().clamp_min(1e-6)).square())
    share = min(1.0, max(active, 1.0) / rows)
    generator = Stream.root(0).child("calibration inputs").torch()
    draw = torch.rand((1, chip.compensation.vectors, rows), generator=generator)
    top = float(2 ** (chip.bits - 1) - 1)
    signs: torch.Tensor = (draw < share / 2).float() - (draw > 1 - share / 2).float()
    return top * signs


def check_chip(chip: Chip, rows: int, what: str) -> None:
    """Raise InputError where a layer of so many rows cannot stand on this chip; ``what`` is its ramp, in words."""
    try:
        chip.check_layers()
    except InputError as error:
        raise InputError(f"chip.{problem}" for problem in error.problems) from None
    if chip.readout != "ramp":
        return
    if rows > chip.rows and chip.partial_sums == "digital":
        raise InputError(
            f"chip.partial_sums: {what} converts whole sums: {rows} rows need {-(-rows // chip.rows)} tiles of "
            f"{chip.rows}; take partial_sums: charge, or readout: conventional"
        )


@dataclass(frozen=True)
class MappedMatrix:
    """A matrix ``(rows, columns)`` written on every chip of a batch.

    ``ranges``: for each slice of a weight that is converted apart, its share of the converter's range [1].
    """

    matrix: torch.Tensor
    chip: Chip
    array: Array
    drivers: DriverRead
    ranges: tuple[float, ...] = (1.0,)

    @classmethod
    def program(cls, matrix: torch.Tensor, chip: Chip, *, rng: ChipStreams) -> MappedMatrix:
        """Write the matrix; every column of tiles has a weight scale of its own."""
        array = Array.program(
            matrix,
            device=chip.weights.device,
            encoding=chip.weights.encoding,
            tile_of_column=torch.arange(matrix.shape[1]) // chip.columns,
            tile_rows=chip.rows,
            wires=chip.lines,
            rng=rng,
        )
        drivers = chip.driver.build(matrix.shape[0], chip.bits, rng=rng.child("drivers"))
        mapped = cls(matrix, chip, array, drivers)
        return mapped if array.encoded.parts == 1 else replace(mapped, ranges=tuple(mapped._ranges()))

    def _ranges(self) -> list[float]:
        """What share of a whole product's spread each slice's product has, on calibration inputs and ideal cells.

        Low digits of the weights look random, so their sums do not shrink as their significance does.
        """
        counts, encoded = calibration_counts(self.matrix, self.chip)[0], self.array.encoded
        scale = self.chip.driver.lsb(self.chip.bits) / encoded.scale_S
        whole = float((counts @ self.matrix * self.chip.driver.lsb(self.chip.bits)).square().mean().sqrt())
        shares = []
        for part in range(encoded.parts):
            digits = sum(
                weight * encoded.target_S[p] for p, weight in enumerate(encoded.significance) if encoded.part[p] == part
            )
            spread = float((counts @ digits * scale).square().mean().sqrt())
            shares.append(spread / whole if whole > 0 and spread > 0 else 1.0)
        return shares

    def reading(self, chip: Chip) -> MappedMatrix:
        """The same matrix, its cells read at the temperature of ``chip``."""
        return replace(self, array=replace(self.array, device=chip.weights.device))

    def read(self, t_s: float) -> MatrixRead:
        """The matrix ``t_s`` seconds after programming, in units of pre-activation per clock period."""
        chip = self.chip
        scale = (chip.driver.lsb(chip.bits) / self.array.encoded.scale_S).float()
        levels = 2 ** (chip.bits - 1) - 1 if chip.driver.amplitude else None
        parts = self.array.read_parts(t_s, v_read_V=chip.driver.v_read_V, amplitude_levels=levels)
        return MatrixRead(
            tuple(part.scaled(scale) for part in parts),
            chip.rows,
            chip.partial_sums == "digital",
            chip.driver,
            chip.bits,
            self.drivers,
            self.ranges,
        )


@dataclass(frozen=True)
class PreActivation:
    """What one conversion is given: ``z`` and its variance by fast read noise, both ``(chips, n, columns)``.

    ``range``: the share of the converter's range that this part of a sum is converted over [1].
    """

    z: torch.Tensor
    variance: torch.Tensor | None = None
    range: float = 1.0


@dataclass(frozen=True)
class MatrixRead:
    """A mapped matrix at one time."""

    parts: tuple[ArrayRead, ...]
    tile_rows: int
    digital: bool
    driver: AnyDriver
    bits: int
    drivers: DriverRead
    ranges: tuple[float, ...] = (1.0,)

    @property
    def array(self) -> ArrayRead:
        """The array, where all planes of a weight are summed as charge; else its first slice."""
        return self.parts[0]

    def pre_activation(self, counts: torch.Tensor, noise: BlockNoise) -> list[PreActivation]:
        """What is converted for ``counts (chips | 1, n, rows)``.

        One entry, or one for each row tile, slice and input bit where these are converted apart and added digitally.
        Products run block by block, so that the number of blocks moves no bit. Noise that columns share is in ``z``.
        """
        seen = counts if self.driver.exact else self.drivers.driven(counts, noise)
        chips, n, rows = seen.shape
        blocks = seen.reshape(chips, n // noise.block, noise.block, rows)
        height = self.tile_rows if self.digital else rows
        found: list[PreActivation] = []
        for inputs, squares, share in self._drives(blocks):
            for first in range(0, rows, height):
                driven, noisy = inputs[..., first : first + height], squares[..., first : first + height]
                for part, width in zip(self.parts, self.ranges, strict=True):
                    array = part if height == rows else part.rows(first, first + height)
                    z = array.product(driven).flatten(1, 2)
                    common = array.common_sigma(noisy)
                    if common is not None and array.reference is not None:
                        shared = noise.normal((int(array.reference.max()) + 1,))[..., array.reference]
                        z = z + common.flatten(1, 2) * shared
                    variance = array.variance_of_squares(noisy)
                    found.append(PreActivation(z, None if variance is None else variance.flatten(1, 2), width * share))
        return found

    def _drives(self, blocks: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor, float]]:
        """Inputs as they are converted, whole or bit by bit: counts, noise counts, share of the range."""
        driver, bits = self.driver, self.bits
        if isinstance(driver, BitSerial) and driver.digital_accumulation:
            top = float(full_scale(bits))
            phases = zip(driver.planes(blocks, bits), driver.weights(bits), strict=True)
            return [(weight * plane, weight**2 * plane, abs(weight) / top) for plane, weight in phases]
        return [(blocks, driver.noise_counts(blocks, bits), 1.0)]
