"""All kinds of layers of a converted network that lie on tiles, by the names that files give them."""

from __future__ import annotations

from mappings.convert.convolution import TileConv
from mappings.convert.recurrent_tiles import TileRecurrent
from mappings.convert.tiles import TileLinear, TileModule

TILES: dict[str, type[TileModule]] = {one.kind: one for one in (TileLinear, TileConv, TileRecurrent)}
