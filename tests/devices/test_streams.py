"""Random streams: keyed by name, independent of what runs beside."""

from __future__ import annotations

import math

import numpy as np
import torch

from devices import BlockNoise, ChipStreams, Stream


def test_a_path_names_one_stream_however_it_was_reached() -> None:
    root = Stream.root(7)
    assert root.child("chip", 3) == root.child("chip").child(3)
    assert root.child("chip", 3).key == Stream.root(7).child("chip", 3).key


def test_names_numbers_and_seeds_give_different_keys() -> None:
    root = Stream.root(0)
    streams = [
        root,
        Stream.root(1),
        root.child("a"),
        root.child("b"),
        root.child(1),
        root.child("1"),
        root.child("a", 1),
    ]
    assert len({stream.key for stream in streams}) == len(streams)


def test_numpy_and_torch_generators_start_at_the_key() -> None:
    stream = Stream.root(3).child("data")
    assert np.array_equal(stream.numpy().normal(size=5), stream.numpy().normal(size=5))
    draws = [torch.randn(5, generator=stream.torch()) for _ in range(2)]
    assert torch.equal(*draws)


def test_torch_starts_the_mersenne_twister_at_the_hash_of_the_path() -> None:
    """Against NumPy's twister from the same 624 words: every word of the state is where torch expects it."""
    stream = Stream.root(3).child("data")
    twister = np.random.MT19937(0)
    twister.state = {"bit_generator": "MT19937", "state": {"key": stream.words, "pos": 624}}
    drawn = torch.empty(2000, dtype=torch.int64).random_(0, 2**32, generator=stream.torch())
    # Torch takes two words for a number of more than 32 bits, and 2^32 leaves the second.
    assert np.array_equal(drawn.numpy().astype(np.uint64), twister.random_raw(4000)[1::2])


def test_no_two_of_200000_chips_start_alike() -> None:
    """Seeds of 32 bits gave 7 identical pairs: torch takes the low half of a key."""
    keys: set[int] = set()
    same_low_half: dict[int, list[Stream]] = {}
    for stream in ChipStreams.of(Stream.root(0), 200_000).streams:
        keys.add(stream.key)
        same_low_half.setdefault(stream.key & 0xFFFFFFFF, []).append(stream)
    assert len(keys) == 200_000
    pairs = [streams for streams in same_low_half.values() if len(streams) > 1]
    assert pairs
    for one, other in pairs:
        assert not torch.equal(torch.randn(4, generator=one.torch()), torch.randn(4, generator=other.torch()))


def test_draws_of_chips_are_uncorrelated_and_standard_normal() -> None:
    draws = ChipStreams.of(Stream.root(0), 4).normal((200_000,), dtype=torch.float64)
    assert torch.allclose(torch.cov(draws), torch.eye(4, dtype=torch.float64), atol=5 * math.sqrt(2 / 200_000))


def test_uniform_draws_fill_the_unit_interval() -> None:
    draws = ChipStreams.of(Stream.root(0), 1).uniform_like(torch.empty(1, 200_000))
    assert float(draws.min()) >= 0.0
    assert float(draws.max()) < 1.0
    assert abs(float(draws.mean()) - 0.5) < 5 * math.sqrt(1 / 12 / 200_000)


def test_block_noise_depends_on_chip_and_block_alone() -> None:
    """Blocks taken together or apart, beside more chips or fewer, see the same numbers at every step."""

    def steps(chips: int, blocks: list[int]) -> list[torch.Tensor]:
        noise = BlockNoise(ChipStreams.of(Stream.root(0), chips), blocks, 5)
        return [noise.normal((3,)), noise.normal((2, 4))]

    together, apart, wide = steps(2, [0, 1, 2]), steps(2, [2]), steps(4, [1])
    for a, b, c in zip(together, apart, wide, strict=True):
        assert a.shape[:2] == (2, 15)
        assert torch.equal(a[:, 10:], b)
        assert torch.equal(a[:, 5:10], c[:2])
    assert not torch.equal(together[0][:, :5], together[0][:, 5:10])


def test_noise_of_a_sample_is_the_same_in_a_block_of_any_size() -> None:
    """Three draws in a row, of shapes that fill torch's sixteens and that do not."""
    streams = ChipStreams.of(Stream.root(5), 2)
    whole = BlockNoise(streams, [3], 64)
    drawn = [whole.normal(shape) for shape in ((5,), (1,), (4, 8))]
    for size in (1, 3, 17, 63):
        part = BlockNoise(streams, [3], size)
        for shape, wanted in zip(((5,), (1,), (4, 8)), drawn, strict=True):
            assert torch.equal(part.normal(shape), wanted[:, :size])
    flat = torch.cat([one.flatten() for one in drawn])
    assert len(flat.unique()) == len(flat)
    assert abs(float(flat.mean())) < 0.05
    assert abs(float(flat.std()) - 1.0) < 0.05
