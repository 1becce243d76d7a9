"""Convolutions of a converted network: a matrix whose inputs are the patches of a picture or a sequence, one after the
other.

A convolution of groups is a block-diagonal matrix. As many blocks as fit into one tile share an array, on its diagonal;
its other cells stand, hold no weight and are paid. Arrays of one layer work at the same time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch.nn.functional import conv1d, conv2d, pad, unfold

from devices import BlockNoise, ChipStreams
from mappings.activity import Activity
from mappings.convert.tiles import Norm, Pack, TileProduct, Values
from mappings.network.layer import MatrixLayerRead

Sizes = tuple[int, ...]


class TileConv(TileProduct):
    """A convolution over the last one or two dimensions of ``x (batch, channels, [height,] width)``.

    Parameters
    ----------
    weight : ``(outputs, inputs / groups, [height,] width)``
    stride, dilation : of each dimension
    padding : zeros on either side of each dimension, or ``same`` or ``valid``
    groups : parts into which channels are cut
    """

    kind = "conv"

    def __init__(
        self,
        name: str,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        *,
        norm: Norm | None = None,
        stride: Sizes,
        padding: Sizes | Literal["same", "valid"],
        dilation: Sizes,
        groups: int = 1,
    ) -> None:
        super().__init__(name, weight, bias, norm=norm)
        self.stride, self.dilation, self.groups = tuple(stride), tuple(dilation), groups
        self.padding: Any = padding if isinstance(padding, str) else tuple(padding)

    @property
    def described(self) -> str:
        """What is computed, for tables."""
        kernel = " x ".join(map(str, self.weight.shape[2:]))
        grouped = f" of {self.groups} groups" if self.groups > 1 else ""
        return super().described.replace(self.kind, f"conv {kernel}{grouped}", 1)

    def record(self) -> dict[str, Any]:
        """What a file keeps beside the tensors."""
        names = ("stride", "padding", "dilation", "groups")
        return super().record() | {name: getattr(self, name) for name in names}

    @classmethod
    def options(cls, record: dict[str, Any]) -> dict[str, Any]:
        """Further arguments of the layer."""
        return {name: record[name] for name in ("stride", "padding", "dilation", "groups")}

    def _convolved(self, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        function: Callable[..., torch.Tensor] = conv1d if weight.dim() == 3 else conv2d
        groups = x.shape[1] // weight.shape[1]
        return function(x, weight, bias, self.stride, self.padding, self.dilation, groups)

    def software(self, *values: torch.Tensor | None) -> torch.Tensor:
        """The convolution, its normalisation and its function in torch."""
        (x,) = values
        assert x is not None
        z = self._convolved(x, *self.folded)
        if self.observed is not None:
            self.observed.add(x, z)
        return z if self.function is None else self.function(z)

    def formats(self, *values: torch.Tensor | None) -> torch.Tensor:
        """The same with inputs and outputs rounded."""
        (x,), chip = values, self.chip
        assert x is not None
        assert chip is not None
        return self.coded(self._convolved(self.driven(x, chip), *self.disturbed()), chip)

    def outline(self, *values: torch.Tensor | None) -> torch.Tensor:
        """Shape of the outputs."""
        (x,) = values
        assert x is not None
        return self._convolved(x, self.weight.to("meta"), None)

    @property
    def inputs(self) -> int:
        """Word lines that values drive, over all arrays."""
        return self.weight[0].numel() * self.groups

    def steps(self, x: torch.Tensor) -> int:
        """One product for each position of the outputs."""
        return self.outline(x)[:, 0].numel()

    @property
    def packs(self) -> list[Pack]:
        """One array, or as many blocks of groups in each as fit into a tile of the chip."""
        weight, bias = self.folded
        rows = weight.flatten(1)
        if self.groups == 1:
            return [Pack(rows, bias, slice(None))]
        assert self.chip is not None
        outputs, inputs = rows.shape[0] // self.groups, rows.shape[1]
        lines = self.chip.rows - (bias is not None)
        each = max(1, min(lines // inputs, self.chip.columns // outputs, self.groups))
        blocks = rows.reshape(self.groups, outputs, inputs)
        found = []
        for first in range(0, self.groups, each):
            some = blocks[first : first + each]
            place = slice(first * outputs, (first + len(some)) * outputs)
            diagonal = torch.block_diag(*some.unbind()) if len(some) > 1 else some[0]
            taken = slice(first * inputs, (first + len(some)) * inputs)
            found.append(Pack(diagonal, None if bias is None else bias[place], taken))
        return found

    def rows(self, x: torch.Tensor) -> torch.Tensor:
        """Patches ``(n * positions, channels * kernel)`` of ``x (n, channels, ...)``."""
        if self.weight.dim() == 3:
            x = x[:, :, None]
        kernel, stride, dilation = ((1,) * (2 - len(one)) + tuple(one) for one in self._sizes())
        x = pad(x, self._margins(kernel, dilation))
        return unfold(x, kernel, dilation=dilation, stride=stride).transpose(1, 2).flatten(0, 1)

    def _sizes(self) -> tuple[Sizes, Sizes, Sizes]:
        return tuple(self.weight.shape[2:]), self.stride, self.dilation

    def _margins(self, kernel: Sizes, dilation: Sizes) -> list[int]:
        """Zeros before and behind each dimension, the last one first, as ``torch.nn.functional.pad`` takes them."""
        if isinstance(self.padding, str) and self.padding == "valid":
            return [0, 0, 0, 0]
        if isinstance(self.padding, str):
            totals = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
            return [side for total in reversed(totals) for side in (total // 2, total - total // 2)]
        sizes = (0,) * (2 - len(self.padding)) + self.padding
        return [side for size in reversed(sizes) for side in (size, size)]

    def run(
        self,
        reads: Sequence[MatrixLayerRead],
        values: Values,
        *,
        chips: int,
        rng: ChipStreams,
        activity: Sequence[Activity | None],
    ) -> torch.Tensor:
        """Outputs of the layer's chips."""
        (x,) = values
        assert x is not None
        samples = x.shape[1]
        shape = self.outline(x[0].to("meta")).shape[2:]
        patches = self.rows(self.counts(x.flatten(0, 1).float())).unflatten(0, (x.shape[0], -1))
        found = []
        for number, (pack, read, did) in enumerate(zip(self.packs, reads, activity, strict=True)):
            noise = BlockNoise(rng.child("array", number), [0], patches.shape[1], patches.device)
            found.append(read.run(patches[..., pack.inputs], noise=noise, activity=did))
        y: torch.Tensor = found[0] if len(found) == 1 else torch.cat(found, dim=-1)
        y = y.unflatten(1, (samples, -1)).transpose(2, 3).unflatten(3, shape)
        return y.to(x.dtype)
