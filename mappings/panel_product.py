"""Products of a few vectors with a matrix, inside a compiled loop that goes on with them.

A library's product cannot be called from a loop that is to run beside others without waiting, and what it rounds
depends on how many vectors it is given. Here every sum is formed from the first row to the last, whatever is computed
beside it. Columns are stored in panels of 32, ``matrix[panel, row, column]``: one panel stays in the first cache while
all vectors pass it, and the sums of 8 vectors stay in registers.
"""

from __future__ import annotations

from typing import Any

import torch
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

LANES, ACROSS = 16, 2
PANEL = LANES * ACROSS
TOGETHER = 8  # vectors


def panels(matrix: torch.Tensor) -> torch.Tensor:
    """``(chips, rows, columns)``, columns a multiple of 32, as ``product`` takes it: ``(chips, rows * columns)``."""
    chips, rows, columns = matrix.shape
    return matrix.reshape(chips, rows, columns // PANEL, PANEL).transpose(1, 2).reshape(chips, rows * columns)


def _tile(vectors: int) -> Any:
    """``z[s, :32] = sum_k x[s, k] panel[k, :32]`` for so many vectors; arrays are flat, with positions and strides."""

    @intrinsic
    def tile(typing: Any, x: Any, x_at: Any, panel: Any, panel_at: Any, z: Any, z_at: Any, rows: Any, wide: Any) -> Any:
        signature = types.void(x, x_at, panel, panel_at, z, z_at, rows, wide)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            x, x_at, panel, panel_at, z, z_at, rows, wide = arguments
            number, index = ir.FloatType(), ir.IntType(64)
            vector = ir.VectorType(number, LANES)
            undefined = ir.Constant(vector, ir.Undefined)
            first, all_first = ir.Constant(ir.IntType(32), 0), ir.Constant(ir.VectorType(ir.IntType(32), LANES), None)

            def at(array: Any, kind: Any, *terms: Any) -> Any:
                place = builder.gep(context.make_array(kind)(context, builder, array).data, [terms[0]])
                for term in terms[1:]:
                    place = builder.gep(place, [term])
                return place

            kinds = signature.args
            zero, place_for = ir.Constant(vector, None), cgutils.alloca_once_value
            sums = [[place_for(builder, zero) for _ in range(ACROSS)] for _ in range(vectors)]  # type: ignore[no-untyped-call]
            with cgutils.for_range(builder, rows) as loop:
                row = builder.mul(loop.index, ir.Constant(index, PANEL))
                weights = []
                for j in range(ACROSS):
                    place = at(panel, kinds[2], panel_at, row, ir.Constant(index, LANES * j))
                    weights.append(builder.load(builder.bitcast(place, vector.as_pointer()), align=4))
                for s in range(vectors):
                    place = at(x, kinds[0], x_at, loop.index, builder.mul(rows, ir.Constant(index, s)))
                    one = builder.insert_element(undefined, builder.load(place), first)
                    one = builder.shuffle_vector(one, undefined, all_first)
                    for total, weight in zip(sums[s], weights, strict=True):
                        term = builder.fmul(one, weight, flags=("contract",))
                        builder.store(builder.fadd(builder.load(total), term, flags=("contract",)), total)
            for s in range(vectors):
                for j, total in enumerate(sums[s]):
                    place = at(
                        z, kinds[4], z_at, builder.mul(wide, ir.Constant(index, s)), ir.Constant(index, LANES * j)
                    )
                    builder.store(builder.load(total), builder.bitcast(place, vector.as_pointer()), align=4)
            return context.get_dummy_value()

        return signature, generate

    return tile


_many, _one = _tile(TOGETHER), _tile(1)


@njit(nogil=True, cache=True, error_model="numpy")
def product(x: Any, matrix: Any, z: Any, rows: int, samples: int, columns: Any) -> None:
    """``z[s, first:last] = x[s] @ matrix[:, first:last]`` for ``samples`` vectors; all float32 and flat.

    ``x``: ``(samples, rows)``; ``matrix``: as ``panels`` makes it; ``z``: ``(samples, wide)``; ``columns``: ``(first,
    last, wide)``, the first two multiples of 32.
    """
    first, last, wide = columns
    together = samples - samples % TOGETHER
    for column in range(first, last, PANEL):
        for s in range(0, together, TOGETHER):
            _many(x, s * rows, matrix, column * rows, z, s * wide + column, rows, wide)
        for s in range(together, samples):
            _one(x, s * rows, matrix, column * rows, z, s * wide + column, rows, wide)


def _borrowed(typing: Any, record: Any) -> Any:
    """A record of arrays, nested ones included, whose owners are not counted while a compiled loop hands them about.

    Counting takes turns among threads that share an array. The caller holds the arrays as long as the loop runs.
    """

    def free(context: Any, builder: Any, kind: Any, value: Any) -> Any:
        if isinstance(kind, types.Array):
            array = context.make_array(kind)(context, builder, value)
            array.meminfo = ir.Constant(array.meminfo.type, None)
            array.parent = ir.Constant(array.parent.type, None)
            return array._getvalue()
        parts: Any = kind if isinstance(kind, types.BaseTuple) else ()
        for place, part in enumerate(parts):
            one = free(context, builder, part, builder.extract_value(value, place))
            value = builder.insert_value(value, one, place)
        return value

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return free(context, builder, signature.args[0], arguments[0])

    return record(record), generate


borrowed: Any = intrinsic(_borrowed)
