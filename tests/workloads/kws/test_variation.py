"""Varied batches: ranges, bands of silence, and the share of what was mixed in."""

from __future__ import annotations

import torch

from workloads.kws.variation import Variation, varied

STILL = Variation(shift_frames=0, tempo=0, colour=0, mask_frames=0, mask_coefficients=0, recorded_share=0)


def pool(copies: int = 3, count: int = 40) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    x = torch.rand((copies, count, 20, 6), generator=draw).half() * 1.8 - 0.9
    return x, torch.arange(count)


def test_without_variation_a_batch_is_clips_of_the_varied_copies() -> None:
    x, y = pool()
    out, kind, _, share = varied(x, y, 64, STILL, mixup=0.0, draw=torch.Generator().manual_seed(1))
    both = torch.stack([(out == x[copy, kind].float()).all(2).all(1) for copy in range(3)])
    assert both.any(0).all()
    assert not both[0].any()
    assert (share == 1).all()


def test_recorded_clips_have_their_share() -> None:
    x, y = pool()
    how = Variation(shift_frames=0, tempo=0, colour=0, mask_frames=0, mask_coefficients=0, recorded_share=0.25)
    out, kind, _, _ = varied(x, y, 4000, how, mixup=0.0, draw=torch.Generator().manual_seed(1))
    recorded = (out == x[0, kind].float()).all(2).all(1).float().mean()
    assert abs(recorded - 0.25) < 0.03


def test_mixup_is_the_stated_blend_with_the_neighbour() -> None:
    x, y = pool(copies=1)
    out, kind, other, share = varied(x, y, 64, STILL, mixup=1.0, draw=torch.Generator().manual_seed(1))
    clips = x[0].float()
    torch.testing.assert_close(out, torch.lerp(clips[other], clips[kind], share[:, None, None]))
    assert ((share >= 0.5) & (share < 1.0)).all()


def test_masks_are_single_bands_of_zeros_no_wider_than_asked() -> None:
    x = torch.ones((1, 10, 51, 40)).half()
    how = Variation(shift_frames=0, tempo=0, colour=0, mask_frames=8, mask_coefficients=5)
    out = varied(x, torch.arange(10), 300, how, mixup=0.0, draw=torch.Generator().manual_seed(2))[0]
    for band, widest in (((out == 0).all(2), 8), ((out == 0).all(1), 5)):
        assert 0 < int(band.sum(1).max()) <= widest
        assert (band.int().diff(dim=1).abs().sum(1) <= 2).all()


def test_features_stay_within_the_drivers_range() -> None:
    x, y = pool()
    out = varied(x, y, 500, Variation(colour=0.5), mixup=0.5, draw=torch.Generator().manual_seed(3))[0]
    assert float(out.abs().max()) == 1.0
