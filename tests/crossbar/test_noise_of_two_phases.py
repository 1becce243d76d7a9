"""Read noise of positive and negative pulses behind wires, against the exact network with each cell changed in turn."""

from __future__ import annotations

import torch

from crossbar.wires import FoldedNoise, Wires, effective_conductance, kappa


def test_frozen_noise_of_two_phases_needs_the_square_term_alone() -> None:
    """A cell frozen over both phases errs in the signed sum of what they drive: the bit lines' rise averages out.

    Phases with a noise of their own would each see the rise of one sign, and have 7 % less variance at this kappa.
    """
    size, column, sigma_S = 32, 17, 1e-6
    draw = torch.Generator().manual_seed(3)
    g = 100e-6 + 300e-6 * torch.rand((1, size, size), generator=draw, dtype=torch.float64)
    wires = Wires(r_word_ohm=1.0, r_bit_ohm=1.0)
    assert 0.2 < float(kappa(g, wires).max()) < 0.35
    counts = torch.round(15.0 * torch.randn((200, size), generator=draw, dtype=torch.float64).clamp(-1.0, 1.0))
    changed = g.repeat(size, 1, 1)
    changed[torch.arange(size), torch.arange(size), column] += sigma_S
    change = (effective_conductance(changed, wires) - effective_conductance(g, wires))[:, :, column]
    phases = [part @ change.T for part in (counts.clamp_min(0.0), counts.clamp_max(0.0))]
    frozen = (phases[0] + phases[1]).square().sum(1)
    fresh = phases[0].square().sum(1) + phases[1].square().sum(1)
    found = counts.square() @ FoldedNoise.of(torch.full_like(g, sigma_S**2), g, wires).square_S2[0, :, column]
    assert abs(float((found / frozen).mean()) - 1.0) < 0.03
    assert 1.05 < float((found / fresh).mean()) < 1.12
