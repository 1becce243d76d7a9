"""An array of cells, programmed once on every chip of a batch and read at any time.

With input counts ``N_i`` (signed pulse widths in clock periods) the charge on column j, per ``V_read T_clk``, is

(1) mean        q_j = sum_i N_i (sum_p a_p G_pij - G_ref,i)                       [S clock periods]

over the planes p of a weight, with the signs and significances ``a_p`` of the encoding. Independent Gaussian read noise
of every cell in every read is, at the column, exactly Gaussian:

(2) variance    var q_j = sum_i N_i^2 sum_p a_p^2 sigma(G_pij)^2

so two products replace a noise sample per cell, input and chip; and where all cells have one sigma, the second product
is a sum over inputs. A reference column's noise is one draw for all columns that it serves.

Cells whose current is not proportional to the voltage, ``I = sum_k c_k(G) V^k``: a pulse of fixed height sees the chord
``I(V_read) / V_read``; an amplitude ``V_i = V_read N_i / N_max`` gives one product for each power,

(3)             q_j = sum_k sum_i sign(N_i) |N_i|^k (V_read / N_max)^(k-1) c_k,ij
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch

from crossbar.encoding import Encoded, Encoding
from crossbar.wires import Ends, FoldedNoise, Method, Wires, alpha_beta_ends, ends, kappa
from devices import Cells, ChipStreams, Device, InputError

NO_MATRIX = "no one matrix for all inputs, as a layer needs (crossbar.wires.solve takes input vectors)"
# Of inputs spread evenly over the voltages, weighted by the squares that noise and loss go by: int v^3 / int v^2.
MEAN_AMPLITUDE = 0.75
REGISTER = 16  # single-precision numbers in the widest vector register
# Cells whose wires are folded at once, one tile at least: a CPU's cache holds no more.
FOLDED_CELLS = {"cpu": 0, "cuda": 1 << 24}


@dataclass(frozen=True)
class ArrayRead:
    """What an array is at one time: everything that a product needs.

    ``difference_S``: ``(chips, rows, columns)`` [S]; ``variance_S2``: the same shape, or ``(chips, rows, 1)`` where all
    columns have the same [S^2], or None where no cell has fast read noise; ``row_S``: ``(chips, rows)``, the
    conductance that a word line's driver sees while all other lines are at 0 V [S]; ``sunk_S``: the same shape, the
    part of it that other word lines sink behind wires instead of the sense inputs, or None without wires;
    ``common_S2``: ``(chips, rows, references)``, noise that the columns of a reference share; ``higher``: coefficients
    of V^2, V^3, ... where inputs are amplitudes and cells nonlinear, each already times its power of ``V_read /
    N_max``; ``node_S``: ``(chips, row tiles, columns)``, conductance on all lines of a column in each row tile,
    reference included [S].
    """

    difference_S: torch.Tensor
    variance_S2: torch.Tensor | None
    row_S: torch.Tensor
    sunk_S: torch.Tensor | None = None
    common_S2: torch.Tensor | None = None
    reference: torch.Tensor | None = None
    higher: tuple[torch.Tensor, ...] = ()
    node_S: torch.Tensor | None = None

    def rows(self, first: int, last: int) -> ArrayRead:
        """The array with word lines ``first .. last - 1`` alone."""
        variance = None if self.variance_S2 is None else self.variance_S2[:, first:last]
        common = None if self.common_S2 is None else self.common_S2[:, first:last]
        return ArrayRead(
            self.difference_S[:, first:last],
            variance,
            self.row_S[:, first:last],
            None if self.sunk_S is None else self.sunk_S[:, first:last],
            common,
            self.reference,
            tuple(matrix[:, first:last] for matrix in self.higher),
            self.node_S,
        )

    def columns(self, first: int, last: int) -> ArrayRead:
        """The array with columns ``first .. last - 1`` alone; loads of word lines stay those of the whole."""
        variance, common, reference = self.variance_S2, self.common_S2, self.reference
        if variance is not None and variance.shape[-1] > 1:
            variance = variance[..., first:last]
        if reference is not None:
            if common is not None and common.shape[-1] == len(reference):
                common = common[..., first:last]
            reference = reference[first:last]
        return ArrayRead(
            self.difference_S[..., first:last],
            variance,
            self.row_S,
            self.sunk_S,
            common,
            reference,
            tuple(matrix[..., first:last] for matrix in self.higher),
        )

    def scaled(self, factor: torch.Tensor) -> ArrayRead:
        """The same array in other units: columns times ``factor``, ``(columns,)`` or ``(chips, 1, columns)``."""
        variance = None if self.variance_S2 is None else self.variance_S2 * factor.square()
        common, reference = self.common_S2, self.reference
        if common is not None and reference is not None:
            # Columns of one reference may have different scales: the reference's noise is then kept per column.
            common = common[..., reference] * factor.square()
        return ArrayRead(
            self.difference_S * factor,
            variance,
            self.row_S,
            self.sunk_S,
            common,
            reference,
            tuple(matrix * factor for matrix in self.higher),
            self.node_S,
        )

    def product(self, counts: torch.Tensor) -> torch.Tensor:
        """Mean of ``q``: ``counts (chips | 1, ..., rows)`` to ``(chips, ..., columns)`` [S clocks].

        ``counts (rows,)`` and ``(n, rows)`` are inputs of every chip, and give ``(chips, columns)`` and ``(chips, n,
        columns)``. Raises ValueError for another number of rows or chips.
        """
        total = _batched(counts, self.difference_S)
        size = counts.abs() if self.higher else counts
        power = counts
        for matrix in self.higher:
            power = power * size
            total = total + _batched(power, matrix)
        return total

    def variance(self, counts: torch.Tensor) -> torch.Tensor | None:
        """Variance of ``q`` by fast read noise, same shape as the product [S^2 clocks^2].

        ``counts`` are the inputs: read noise is frozen over a product, whatever the driver.
        """
        return None if self.variance_S2 is None else self.variance_of_squares(counts.square())

    def variance_of_squares(self, squares: torch.Tensor) -> torch.Tensor | None:
        """The same from what multiplies ``sigma^2`` of every row, ``squares (chips | 1, ..., rows)``."""
        if self.variance_S2 is None:
            return None
        found = _batched(squares, self.variance_S2)
        return found.expand(*found.shape[:-1], self.difference_S.shape[-1])

    def common_sigma(self, squares: torch.Tensor) -> torch.Tensor | None:
        """Standard deviation of the noise that columns of one reference share, shape of the product [S clocks].

        ``squares``: what multiplies ``sigma^2`` of every row, ``(chips | 1, ..., rows)``.
        """
        if self.common_S2 is None:
            return None
        sigma = _batched(squares, self.common_S2).sqrt()
        assert self.reference is not None
        return sigma if sigma.shape[-1] == self.difference_S.shape[-1] else sigma[..., self.reference]

    def charge(self, clocks: torch.Tensor, together: torch.Tensor | float = 0.0) -> torch.Tensor:
        """What the drivers supply, ``(chips, ...)`` [S clocks]; times ``V_read T_clk`` it is a charge [C].

        ``clocks (chips | 1, ..., rows)``: time for which each line is driven, weighted by its voltage over V_read;
        ``together``: the mean share of the array's other lines that are driven while one is, in the shape of the result
        or a number. With Y the
        conductance matrix of the drivers, what lines driven with ``v`` draw is

            sum_i v_i^2 Y_ii + sum_(i != k) v_i v_k Y_ik  =  sum_i v_i^2 (Y_ii - together (Y_ii - sum_k Y_ik))

        where the right side is exact without wires, for one line alone (0), for all at once (1), and in the mean over
        which lines are driven.
        """
        load = _batched(clocks.abs(), self.row_S[..., None])[..., 0]
        if self.sunk_S is None:
            return load
        return load - together * _batched(clocks.abs(), self.sunk_S[..., None])[..., 0]


def _batched(counts: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """Product of ``(chips | 1, ..., rows)``, ``(n, rows)`` or ``(rows,)`` with ``(chips, rows, columns)``.

    Each block of vectors of each chip is a separate product of one fixed shape: adding chips or blocks to the batch
    moves no bit of the others. As tried out, BLAS keeps to that only where columns fill whole vector registers and
    no small product stands alone (it is cut among threads): hence the columns of zeros, and the twin.
    """
    chips, rows, columns = matrix.shape
    if counts.dim() == 0 or counts.shape[-1] != rows or (counts.dim() > 2 and counts.shape[0] not in (1, chips)):
        batch = "1" if chips == 1 else f"{chips} or 1"
        raise ValueError(
            f"inputs must be ({rows},), (n, {rows}) or ({batch}, ..., {rows}): {rows} rows on {chips} chips "
            f"(got {tuple(counts.shape)})"
        )
    if counts.dim() < 3:
        product = _batched(counts.reshape(1, -1, rows), matrix)
        return product.reshape(chips, *counts.shape[:-1], columns)
    between = counts.dim() - 3
    filled = torch.nn.functional.pad(matrix, (0, -columns % REGISTER)) if columns % REGISTER else matrix
    filled = filled.reshape(matrix.shape[0], *([1] * between), *filled.shape[1:])
    alone = matrix.shape[0] * counts.shape[:-2].numel() == 1 and counts.shape[-2] < REGISTER
    product = (counts.expand(2, *counts.shape[1:]) @ filled)[:1] if alone else counts @ filled
    return product[..., :columns] if columns % REGISTER else product


@dataclass(frozen=True)
class WireLoss:
    """What wires do to one array.

    ``kappa``: of its worst tile; ``gain``: the factor that fits the weights as they are seen best; ``residual``: rms of
    what this factor leaves over, by the rms of the weights times it [1]; ``largest_row_S``: the largest load that a
    driver sees [S].
    """

    kappa: float
    gain: float
    residual: float
    largest_row_S: float


@dataclass(frozen=True)
class Tiling:
    """How a matrix is tiled: the tile of each weight column, and how many word lines a tile has."""

    tile_of_column: torch.Tensor
    rows: int

    def blocks(self, rows: int, planes: int, encoded: Encoded) -> list[tuple[slice, torch.Tensor]]:
        """Rows of every tile and its bit lines as positions in ``(planes, columns + references)``, flattened.

        The planes of a weight are neighbours; a reference column is its tile's last.
        """
        width = encoded.target_S.shape[-1]
        found = []
        for tile in range(int(self.tile_of_column.max()) + 1):
            columns = torch.nonzero(self.tile_of_column == tile)[:, 0]
            if encoded.reference is not None:
                columns = torch.cat([columns, torch.tensor([encoded.columns + tile])])
            lines = (columns[:, None] + width * torch.arange(planes)).flatten()
            found += [(slice(first, min(first + self.rows, rows)), lines) for first in range(0, rows, self.rows)]
        return found


@dataclass(frozen=True)
class Array:
    """Cells that hold one weight matrix on every chip of a batch.

    ``folded_on``: where wires are folded into conductances, in double precision; the cells stay where they are.
    """

    device: Device
    encoded: Encoded
    cells: Cells
    tiling: Tiling
    wires: Wires | None = None
    folded_on: torch.device = torch.device("cpu")

    @classmethod
    def program(
        cls,
        weights: torch.Tensor,
        *,
        device: Device,
        encoding: Encoding,
        rng: ChipStreams,
        tile_of_column: torch.Tensor | None = None,
        tile_rows: int | None = None,
        wires: Wires | None = None,
    ) -> Array:
        """Write ``weights`` of shape ``(rows, columns)`` on ``len(rng)`` chips; gradients reach ``weights``.

        ``tile_of_column``: the tile of each column, ``(columns,)``, one tile by default; ``tile_rows``: word lines of
        one tile, all of them by default; it matters to wires alone. ``wires``: lines with resistance, whose effect is
        folded into the conductances tile by tile.
        """
        if tile_of_column is None:
            tile_of_column = torch.zeros(weights.shape[1], dtype=torch.long)
        encoded = encoding.encode(weights, device, tile_of_column=tile_of_column)
        cells = device.program(encoded.target_S[None], rng=rng)
        return cls(device, encoded, cells, Tiling(tile_of_column, tile_rows or weights.shape[0]), wires)

    def multiply(self, x: torch.Tensor, t_s: float = 0.0, *, v_read_V: float | None = None) -> torch.Tensor:
        """``x W`` as the cells give it ``t_s`` seconds after programming, in units of x and W, fast noise apart.

        ``x``: ``(rows,)``, ``(n, rows)`` or ``(chips | 1, ..., rows)``; returns ``(chips, ..., columns)`` in the
        type of the cells' values, float32 as a rule. Raises as ``read_parts`` and ``ArrayRead.product`` do.
        """
        parts = self.read_parts(t_s, v_read_V=v_read_V)
        x = x.to(self.encoded.scale_S.dtype)
        return torch.stack([part.product(x) for part in parts]).sum(0) / self.encoded.scale_S

    def wire_loss(self, t_s: float = 0.0) -> WireLoss:
        """What the wires take on the first chip; raises as ``read_parts`` does."""
        g = self.device.conductance_S(self.cells, t_s)[:1]
        _, planes, rows, width = g.shape
        bare = g.transpose(1, 2).reshape(rows, planes * width).double()
        seen, size, largest_S = torch.zeros_like(bare), 0.0, 0.0
        for blocks in self._blocks(1, rows, planes):
            tiles = self._gathered(bare, blocks)
            found = self._folded(tiles) if self.wires else Ends(tiles, tiles.sum(-1), tiles[..., 0])
            self._spread(found.columns_S, seen, blocks)
            size = max(size, float(kappa(tiles, self.wires).max()) if self.wires else 0.0)
            largest_S = max(largest_S, float(found.alone_S.max()))
        signs = torch.tensor(self.encoded.significance).to(bare)[:, None]
        before, after = ((cells.reshape(rows, planes, width) * signs).sum(1) for cells in (bare, seen))
        if (reference := self.encoded.reference) is not None:
            columns = self.encoded.columns
            before, after = (sums[:, :columns] - sums[:, columns:][:, reference] for sums in (before, after))
        gain = float((before * after).sum() / before.square().sum().clamp_min(1e-30))
        rest = float((after - gain * before).norm() / (gain * before).norm().clamp_min(1e-30))
        return WireLoss(kappa=size, gain=gain, residual=rest, largest_row_S=largest_S)

    @property
    def cell_count(self) -> int:
        """Cells of one chip, those of reference columns in every row tile included."""
        return self.encoded.target_S.numel()

    def read(
        self,
        t_s: float,
        *,
        v_read_V: float | None = None,
        amplitude_levels: int | None = None,
        window_s: float | None = None,
    ) -> ArrayRead:
        """The array ``t_s`` seconds after programming, all planes in one conversion.

        Slow noise is in it, fast noise is left to each product. See ``read_parts`` for the parameters. Raises
        ValueError for an encoding whose slices are converted apart.
        """
        parts = self.read_parts(t_s, v_read_V=v_read_V, amplitude_levels=amplitude_levels, window_s=window_s)
        if len(parts) > 1:
            raise ValueError(f"the {len(parts)} slices of this encoding are converted apart: use read_parts")
        return parts[0]

    def read_parts(
        self,
        t_s: float,
        *,
        v_read_V: float | None = None,
        amplitude_levels: int | None = None,
        window_s: float | None = None,
        line_gain: torch.Tensor | None = None,
    ) -> list[ArrayRead]:
        """One ``ArrayRead`` for each conversion that makes up a product; all of them carry the load of the whole row.

        ``v_read_V``: height of a pulse, needed for nonlinear cells; ``amplitude_levels``: ``N_max`` where inputs are
        voltages rather than pulse widths; ``window_s``: time of one product, all phases, over which 1/f noise averages
        out, that of the device's own reads where not given; ``line_gain``: what the mirror of every line does,
        ``(chips, row tiles, planes, columns)``, one row tile for all, copies of a reference after the planes. Raises
        InputError for a time or a voltage at which nothing is known of the cells, and where wires cannot be folded into
        a matrix (nonlinear cells, rows gated off, a closed form out of its range); ValueError for nonlinear cells
        without ``v_read_V``.
        """
        device = self.device if window_s is None else self.device.read_within(window_s)
        if v_read_V is not None:
            device.check_voltage(v_read_V)
        g = device.conductance_S(self.cells, t_s)
        sigma = device.read_sigma_S(g, self.cells)
        noisy = bool((sigma > 0).any())
        higher: tuple[torch.Tensor, ...] = ()
        load_S: torch.Tensor | None = None
        if not device.linear:
            if v_read_V is None:
                raise ValueError("cells with a nonlinear current need v_read_V, the height of a read pulse")
            first, *rest = device.current_coefficients(g)
            typical_V = v_read_V if amplitude_levels is None else MEAN_AMPLITUDE * v_read_V
            chord = first + sum(c * typical_V ** (k + 1) for k, c in enumerate(rest))
            sigma = sigma * (chord / g.clamp_min(1e-15))  # fluctuations scale with the current, to first order
            if amplitude_levels is None:
                g = chord
            else:
                higher = tuple(c * (v_read_V / amplitude_levels) ** (k + 1) for k, c in enumerate(rest))
                g = first
            load_S = chord.sum(dim=(1, 3))
        wired = self.wires is not None and not self.wires.ideal
        uniform = noisy and not wired and bool((sigma == sigma.flatten()[0]).all())
        load_S, noise, sunk = (g.sum(dim=(1, 3)) if load_S is None else load_S), sigma.square(), None
        node_S = self._node_S(g)
        if wired:
            g, noise, load_S, sunk = self._through_wires(g, noise)
        copied = None
        if line_gain is not None:
            factor, copied = self._of_lines(line_gain, g)
            g, higher = g * factor, tuple(c * factor for c in higher)
            noise, uniform = noise * factor.square(), False
        return [
            replace(
                self._part(part, g, noise if noisy else None, higher, (load_S, sunk), uniform=uniform, copied=copied),
                node_S=node_S[part],
            )
            for part in range(self.encoded.parts)
        ]

    def _of_lines(self, line_gain: torch.Tensor, g: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """What mirrors do to every cell, in a shape that goes with ``g``, and to the copies of a reference ``(chips,
        rows, columns)`` or None."""
        planes, references = self.encoded.planes, g.shape[-1] - self.encoded.columns
        tiles, rows = line_gain.shape[1], g.shape[2]
        if tiles == 1:
            by_row = line_gain[:, 0][:, :, None]
        else:
            by_row = line_gain.transpose(1, 2)[:, :, torch.arange(rows) // self.tiling.rows]
        of_cells = torch.nn.functional.pad(by_row[:, :planes], (0, references), value=1.0)
        return of_cells, by_row[:, planes:] if references else None

    def _node_S(self, g: torch.Tensor) -> list[torch.Tensor]:
        """Conductance on the lines of every column, for each conversion ``(chips, row tiles, columns)``."""
        encoded, rows = self.encoded, range(0, g.shape[2], self.tiling.rows)
        lines = torch.stack([g[:, :, first : first + self.tiling.rows].sum(dim=2) for first in rows], dim=2)
        found = []
        for part in range(encoded.parts):
            planes = [p for p in range(encoded.planes) if encoded.part[p] == part]
            total = lines[:, planes].sum(dim=1)
            columns = total[..., : encoded.columns]
            if encoded.reference is not None:
                columns = columns + total[..., encoded.columns :][..., encoded.reference]
            found.append(columns)
        return found

    def _part(
        self,
        part: int,
        g: torch.Tensor,
        noise: torch.Tensor | None,
        higher: tuple[torch.Tensor, ...],
        load_S: tuple[torch.Tensor, torch.Tensor | None],
        *,
        uniform: bool,
        copied: torch.Tensor | None,
    ) -> ArrayRead:
        encoded, columns = self.encoded, self.encoded.columns
        planes = [p for p in range(encoded.planes) if encoded.part[p] == part]
        weights = [encoded.significance[p] for p in planes]

        def summed(cells: torch.Tensor) -> torch.Tensor:
            total: torch.Tensor | None = None
            taken: torch.Tensor | None = None
            for p, weight in zip(planes, weights, strict=True):
                term = cells[:, p] if weight in (1.0, -1.0) else abs(weight) * cells[:, p]
                if total is None:
                    total = term if weight > 0 else -term
                else:
                    total = total + term if weight > 0 else total - term
                if encoded.reference is not None:
                    copy = term[..., columns:][..., encoded.reference]
                    copy = copy if copied is None else copy * copied[:, p]
                    signed = copy if weight > 0 else -copy
                    taken = signed if taken is None else taken + signed
            assert total is not None
            return total if taken is None else total[..., :columns] - taken

        variance = common = None
        if noise is not None:
            squares = sum(weight**2 * noise[:, p] for p, weight in zip(planes, weights, strict=True))
            assert isinstance(squares, torch.Tensor)
            variance = squares[..., :1] if uniform else squares[..., :columns]
            common = squares[..., columns:] if encoded.reference is not None else None
        return ArrayRead(summed(g), variance, *load_S, common, encoded.reference, tuple(summed(c) for c in higher))

    def _through_wires(
        self, g: torch.Tensor, variance: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Conductances as the ends of the wires see them, each cell's variance as its column sees it, and the loads of
        word lines, a driver for each tile: alone, and the part of it that other word lines sink.

        Noise keeps the square term of ``crossbar.wires.FoldedNoise`` alone: a cell is frozen over both phases, and the
        mean of signed inputs is zero. Its error is in ``docs/wires.md``.
        """
        assert self.wires is not None
        chips, planes, rows, width = g.shape
        flat, noise = (cells.transpose(1, 2).reshape(chips, rows, planes * width) for cells in (g, variance))
        noisy = bool((noise > 0).any())
        seen, passed = torch.zeros_like(flat), torch.zeros_like(flat)
        alone, sunk = flat.new_zeros(chips, rows), flat.new_zeros(chips, rows)
        for blocks in self._blocks(chips, rows, planes):
            tiles = self._gathered(flat, blocks)
            found = self._folded(tiles)
            self._spread(found.columns_S, seen, blocks)
            loads, others = (one.to(flat.device).unbind(-2) for one in (found.alone_S, found.sunk_S))
            for (height, _), load, other in zip(blocks, loads, others, strict=True):
                alone[:, height] += load
                sunk[:, height] += other
            if noisy:
                of_cells = FoldedNoise.of(self._gathered(noise, blocks), tiles, self.wires)
                self._spread(of_cells.square_S2, passed, blocks)

        def planar(lines: torch.Tensor) -> torch.Tensor:
            return lines.reshape(chips, rows, planes, width).transpose(1, 2)

        return planar(seen), planar(passed), alone, sunk

    def _blocks(self, chips: int, rows: int, planes: int) -> Iterator[list[tuple[slice, torch.Tensor]]]:
        """Tiles of one size whose wires are folded together, as ``Tiling.blocks`` gives them."""
        sizes: dict[tuple[int, int], list[tuple[slice, torch.Tensor]]] = {}
        for height, lines in self.tiling.blocks(rows, planes, self.encoded):
            sizes.setdefault((height.stop - height.start, len(lines)), []).append((height, lines))
        for (high, wide), alike in sizes.items():
            count = max(1, FOLDED_CELLS.get(self.folded_on.type, 0) // (chips * high * wide))
            yield from (alike[first : first + count] for first in range(0, len(alike), count))

    def _gathered(self, cells: torch.Tensor, blocks: list[tuple[slice, torch.Tensor]]) -> torch.Tensor:
        """Tiles ``(..., tiles, rows, lines)`` of cells ``(..., rows, lines)``, where wires are folded."""
        tiles = [cells[..., height, :][..., lines.to(cells.device)] for height, lines in blocks]
        return torch.stack(tiles, dim=-3).to(self.folded_on if self.folded_on.type != "cpu" else cells.device)

    @staticmethod
    def _spread(tiles: torch.Tensor, cells: torch.Tensor, blocks: list[tuple[slice, torch.Tensor]]) -> None:
        """Put tiles back into ``cells``."""
        for (height, lines), tile in zip(blocks, tiles.to(cells).unbind(-3), strict=True):
            cells[..., height, lines.to(cells.device)] = tile

    def _folded(self, tile: torch.Tensor) -> Ends:
        """The matrices of tiles with the wires folded in."""
        assert self.wires is not None
        return (ends if self._method(tile) == "exact" else alpha_beta_ends)(tile, self.wires)

    def _method(self, tile: torch.Tensor) -> Method:
        """How the wires of tiles are folded into their matrices."""
        assert self.wires is not None
        if unfoldable := why_not_folded(self.wires, self.device):
            raise InputError(f"wires: {unfoldable}")
        try:
            return self.wires.method_for(float(kappa(tile.detach(), self.wires).max()))
        except ValueError as error:
            raise InputError(f"wires: {error}") from None


def why_not_folded(wires: Wires, device: Device) -> str:
    """Why there is no one matrix for all inputs, and what to change; an empty text where there is."""
    if wires.ideal:
        return ""
    if not device.linear:
        return f"nonlinear cells have {NO_MATRIX}; take a linear device, or no wires"
    if wires.unselected == "floating":
        return f"rows that are gated off have {NO_MATRIX}; take unselected: grounded"
    if wires.method == "iterative":
        return f"method: iterative has {NO_MATRIX}; take method: exact or alpha_beta"
    return ""
