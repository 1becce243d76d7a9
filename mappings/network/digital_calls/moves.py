"""Calls that compute nothing: words read by other addresses, copied to another buffer, or looked up in a memory."""

from __future__ import annotations

from mappings.network.digital_calls.work import Call, Stage, Work, shape_of

VIEWS = [
    "view",
    "_unsafe_view",
    "reshape",
    "transpose",
    "permute",
    "t",
    "numpy_T",
    "mT",
    "matrix_H",
    "slice",
    "select",
    "narrow",
    "expand",
    "expand_as",
    "broadcast_to",
    "unsqueeze",
    "squeeze",
    "flatten",
    "unflatten",
    "split",
    "split_with_sizes",
    "chunk",
    "unbind",
    "tensor_split",
    "movedim",
    "swapaxes",
    "moveaxis",
    "view_as",
    "reshape_as",
    "unfold",
    "diagonal",
    "alias",
    "detach",
    "detach_copy",
    "lift_fresh_copy",
    "lift_fresh",
    "python",
    "contiguous",
    "clone",
    "copy",
    "pixel_shuffle",
    "pixel_unshuffle",
    "channel_shuffle",
    "dropout",
    "feature_dropout",
    "alpha_dropout",
    "native_dropout",
    "_to_copy",
    "to",
    "type_as",
    "_assert_scalar",
    "sym_size",
    "sym_numel",
    "sym_constrain_range",
    "sym_constrain_range_for_size",
    "_assert_async",
    "tril",
    "triu",
    "real",
    "view_copy",
    "permute_copy",
]
COPIES = [
    "cat",
    "concat",
    "stack",
    "hstack",
    "vstack",
    "flip",
    "turned",
    "roll",
    "pad",
    "constant_pad_nd",
    "reflection_pad1d",
    "reflection_pad2d",
    "replication_pad1d",
    "replication_pad2d",
    "repeat",
    "repeat_interleave",
    "tile",
    "upsample_nearest1d",
    "upsample_nearest2d",
    "upsample_nearest3d",
    "_upsample_nearest_exact2d",
    "im2col",
    "select_scatter",
    "slice_scatter",
    "index_put",
]
CONSTANTS = [
    "zeros",
    "zeros_like",
    "ones",
    "ones_like",
    "full",
    "full_like",
    "empty",
    "empty_like",
    "new_zeros",
    "new_ones",
    "new_full",
    "new_empty",
    "arange",
    "linspace",
    "eye",
    "scalar_tensor",
    "tensor",
    "fill",
]


def viewed(call: Call, bits: int) -> Work:
    """The same words by other addresses.

    A dropout or a change of type does nothing at inference, a clone keeps apart what nobody overwrites, and a triangle
    of a matrix leaves out words at places that are known beforehand.
    """
    return Work(what=f"{call.overload}: the same words, read by other addresses", why="costs nothing", kept=False)


def constant(call: Call, bits: int) -> Work:
    """Values that no input changes: they are known when the chip is made."""
    return Work(what=f"{call.name}: values that no input changes", why="costs nothing", kept=False)


def copied(call: Call, bits: int) -> Work:
    """Every word is written once to a buffer of its own, a word a lane and clock period."""
    return Work(
        what=f"{call.name}: {shape_of(call.out)} words copied to one buffer",
        why="words of several places, or one word several times, have to lie in a new order",
        stages=(Stage("copies", call.values, ()),),
        stored=call.stored or 0,
    )


def looked_up(call: Call, bits: int) -> Work:
    """Rows of a table, or words at places that the data give: read from memory, a word a lane and clock period.

    The table of an embedding stays on the chip; a table that the input changes is in the buffer that wrote it.
    """
    table = int(call.x.numel()) if call.name == "embedding" else 0
    return Work(
        what=f"{call.name}: {shape_of(call.out)} words read at places that the input gives",
        why="it picks rows of a memory, which is no product",
        stages=(Stage("reads", call.values, ()),),
        stored=table if call.stored is None else call.stored,
        looked_up=call.values,
    )
