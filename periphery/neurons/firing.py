"""Whole recordings of leaky integrate-and-fire neurons, compiled: leak, add, compare, and rows only for who fired.

A step of a reservoir is short: a few hundred neurons, of which a few in a hundred fire. Left to a framework it is a
dozen small kernels; here the membranes stay in the processor's cache for a recording, and a recurrent product is the
sum of the rows of those that fired.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import njit


@njit(nogil=True, cache=True, error_model="numpy")
def _fire(x: Any, recurrent: Any, threshold: Any, xi: Any, membranes: Any, counts: Any, spikes: Any) -> None:
    """``x`` and ``xi``: (chips, n, steps, neurons), ``xi`` or of size 0; ``recurrent``: (chips, from, to) or of size 0;
    ``membranes``: decay, residue and refractory steps; ``spikes``: like ``x`` or of size 0."""
    decay, residue, refractory = membranes
    chips, samples, steps, neurons = x.shape
    recurs, noisy, records = recurrent.size > 0, xi.size > 0, spikes.size > 0
    full = np.float32(1.0)
    membrane = np.empty(neurons, np.float32)
    kept = np.empty(neurons, np.float32)
    taken = np.empty(neurons, np.float32)
    waiting = np.empty(neurons, np.int32)
    fired = np.empty(neurons, np.int64)
    for chip in range(chips):
        for sample in range(samples):
            membrane[:] = 0.0
            kept[:] = decay
            waiting[:] = 0
            last = 0
            for step in range(steps):
                for j in range(neurons):
                    taken[j] = x[chip, sample, step, j]
                if recurs:
                    for k in range(last):
                        row = recurrent[chip, fired[k]]
                        for j in range(neurons):
                            taken[j] += row[j]
                if refractory > 0:
                    for j in range(neurons):
                        taken[j] *= full if waiting[j] == 0 else np.float32(0.0)
                for j in range(neurons):
                    membrane[j] = kept[j] * membrane[j] + taken[j]
                    kept[j] = decay
                last = 0
                for j in range(neurons):
                    seen = membrane[j] + xi[chip, sample, step, j] if noisy else membrane[j]
                    if seen > threshold[chip, j] and waiting[j] == 0:
                        fired[last] = j
                        last += 1
                if refractory > 0:
                    for j in range(neurons):
                        waiting[j] = max(waiting[j] - 1, 0)
                for k in range(last):
                    j = fired[k]
                    kept[j] = decay * residue
                    counts[chip, sample, j] += 1
                    if refractory > 0:
                        waiting[j] = refractory
                    if records:
                        spikes[chip, sample, step, j] = 1


_NONE = np.empty((1, 0, 0, 0), np.float32)


def fire(
    x: torch.Tensor,
    recurrent: torch.Tensor | None,
    threshold: torch.Tensor,
    *,
    decay: float,
    residue: float = 0.0,
    refractory: int = 0,
    xi: torch.Tensor | None = None,
    record: bool = False,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Spike counts (chips, n, neurons), int32, of inputs ``x`` (chips, n, steps, neurons) from rest; and the spikes.

    ``recurrent``: (chips, from, to); ``threshold``: (chips, neurons); ``xi``: noise of each decision, shaped as ``x``
    and in its units. ``spikes`` are (chips, n, steps, neurons), uint8, or None where ``record`` is False.
    """
    chips, n, steps, neurons = x.shape
    counts = np.zeros((chips, n, neurons), np.int32)
    spikes = np.zeros((chips, n, steps, neurons) if record else (0, 0, 0, 0), np.uint8)
    _fire(
        x.float().contiguous().numpy(),
        _NONE[0] if recurrent is None else recurrent.float().contiguous().numpy(),
        threshold.float().contiguous().numpy(),
        _NONE if xi is None else xi.float().contiguous().numpy(),
        (np.float32(decay), np.float32(residue), refractory),
        counts,
        spikes,
    )
    return torch.from_numpy(counts), torch.from_numpy(spikes) if record else None
