"""Gaussian noise as a pure function of where and when it is read: chip, recording, step, column.

A counter goes through Philox4x32-10 (J. Salmon et al., SC 2011, doi 10.1145/2063384.2063405) and comes out as four
words, two Box-Muller pairs. Nothing is carried from draw to draw, so a read has the same noise in whatever order,
batch or engine it is computed. Logarithm, sine and cosine are polynomials, since a loop over a library's function does
not vectorise; they are exact to a few units of the last digit, and the largest number is 5.8.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = np.uint32(0x9E3779B9), np.uint32(0xBB67AE85)
_LOW, _32 = np.uint64(0xFFFFFFFF), np.uint64(32)
_TOP, _SECOND, _ZERO = np.uint32(1 << 31), np.uint32(1 << 30), np.uint32(0)
_ROUNDS = 10

_f = np.float32
_LN2, _SQRT_HALF = _f(0.6931471805599453), _f(0.7071067811865476)
_QUARTER = _f(np.pi / 4 / 2**31)
_TINY = _f(2.0**-24)
_MANTISSA, _HALF_BITS = np.int32(0x7FFFFF), np.int32(0x3F000000)


@njit(inline="always", error_model="numpy")
def philox(c0: Any, c1: Any, c2: Any, c3: Any, k0: Any, k1: Any) -> tuple[Any, Any, Any, Any]:
    """Philox4x32-10 of a counter of four words under a key of two; all uint32."""
    for _ in range(_ROUNDS):
        p0, p1 = _M0 * np.uint64(c0), _M1 * np.uint64(c2)
        c0 = np.uint32(np.uint32(p1 >> _32) ^ c1 ^ k0)
        c2 = np.uint32(np.uint32(p0 >> _32) ^ c3 ^ k1)
        c1, c3 = np.uint32(p1 & _LOW), np.uint32(p0 & _LOW)
        k0, k1 = np.uint32(k0 + _W0), np.uint32(k1 + _W1)
    return c0, c1, c2, c3


@njit(inline="always", error_model="numpy")
def _radius(word: Any) -> Any:
    """sqrt(-2 ln u) for u = 2^-24 ... 1 out of a word's upper 24 bits.

    u = m 2^e with m in [sqrt(1/2), sqrt(2)); ln m by the odd series of (m - 1) / (m + 1), whose next term is 1e-10.
    """
    bits = np.float32((_f(np.int32(word >> np.uint32(8))) + _f(1.0)) * _TINY).view(np.int32)
    m = np.int32((bits & _MANTISSA) | _HALF_BITS).view(np.float32)
    e = np.int32(np.int32(bits >> np.int32(23)) - np.int32(126))
    low = m < _SQRT_HALF
    m = m + m if low else m
    exponent = _f(e) - _f(1.0) if low else _f(e)
    s = (m - _f(1.0)) / (m + _f(1.0))
    q = s * s
    series = _f(2.0) + q * (
        _f(2.0 / 3.0) + q * (_f(0.4) + q * (_f(2.0 / 7.0) + q * (_f(2.0 / 9.0) + q * _f(2.0 / 11.0))))
    )
    ln = s * series + exponent * _LN2
    return np.sqrt(max(_f(-2.0) * ln, _f(0.0)))


@njit(inline="always", error_model="numpy")
def _pair(word: Any, radius: Any) -> tuple[Any, Any]:
    """Two coordinates of a point at that radius, its quadrant the upper two bits of a word and the angle the others."""
    a = _f(np.int32(np.uint32(word << np.uint32(2)))) * _QUARTER
    q = a * a
    sine = a * (
        _f(1.0) + q * (_f(-1.0 / 6.0) + q * (_f(1.0 / 120.0) + q * (_f(-1.0 / 5040.0) + q * _f(1.0 / 362880.0))))
    )
    cosine = _f(1.0) + q * (
        _f(-0.5) + q * (_f(1.0 / 24.0) + q * (_f(-1.0 / 720.0) + q * (_f(1.0 / 40320.0) - q * _f(1.0 / 3628800.0))))
    )
    swap = word & _SECOND != _ZERO
    x, y = (sine, cosine) if swap else (cosine, sine)
    half = word & _TOP != _ZERO
    # Quadrants 0 to 3 turn (c, s) into (c, s), (-s, c), (-c, -s), (s, -c).
    x = -x if swap != half else x
    y = -y if half else y
    return radius * x, radius * y


@njit(nogil=True, cache=True, error_model="numpy")
def normals(k0: Any, k1: Any, recording: Any, step: Any, kind: Any, out: Any) -> None:
    """Fill ``out`` (4 q numbers, float32) with standard normal numbers of one read.

    ``k0, k1``: key of the chip; ``kind``: one number for each independent origin of noise; all uint32. The number at
    ``i`` depends on ``q`` too: callers keep to one length.
    """
    q = out.shape[0] // 4
    first, second, third, fourth = out[:q], out[q : 2 * q], out[2 * q : 3 * q], out[3 * q :]
    for i in range(q):
        w0, w1, w2, w3 = philox(np.uint32(i), np.uint32(step), np.uint32(recording), np.uint32(kind), k0, k1)
        a, b = _pair(w1, _radius(w0))
        first[i] = a
        second[i] = b
        c, d = _pair(w3, _radius(w2))
        third[i] = c
        fourth[i] = d
