"""Training in software against a plain loop of torch, its going on from a file, and states on chips."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from devices import Stream
from mappings.convert.converted import convert
from mho.network.convert import chip_named
from workloads.charlm.hardware import bits_of_chips, starts
from workloads.charlm.model import CharacterModel, CharacterNetwork, bits_per_character
from workloads.charlm.text import Text, TextData, text_of
from workloads.charlm.training import TextTraining, train_text

MODEL = CharacterModel(inputs=8, units=24)
HOW = TextTraining(steps=300, streams=8, window=16, learning_rate=1e-2, clip_sd=None, every=100)


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Text:
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text("".join(f"{k} times {k % 7} is {k * (k % 7)}; " for k in range(900)))
    return text_of(TextData(), path)


def _net(text: Text, model: CharacterModel = MODEL) -> CharacterNetwork:
    torch.manual_seed(0)
    return CharacterNetwork(len(text.vocabulary), model)


def test_a_plain_loop_of_torch_gives_the_same_bits_per_character(text: Text) -> None:
    trained, _ = train_text(_net(text), text, HOW, rng=Stream.root(0))
    ours = bits_per_character(trained, trained.start(8), text.test, 8, 16)

    net = _net(text)
    layers = (
        torch.nn.Embedding(len(text.vocabulary), 8),
        torch.nn.LSTM(8, 24, batch_first=True),
        torch.nn.Linear(24, len(text.vocabulary)),
    )
    for layer, source in zip(layers, (net.embedding, net.lstm, net.output), strict=True):
        layer.load_state_dict(source.state_dict())
    embedding, lstm, output = layers
    parameters = [one for layer in layers for one in layer.parameters()]
    optimiser = torch.optim.AdamW(
        [
            {"params": [one for one in parameters if one.dim() > 1], "weight_decay": HOW.weight_decay},
            {"params": [one for one in parameters if one.dim() <= 1], "weight_decay": 0.0},
        ],
        lr=HOW.learning_rate,
    )
    numbers, state, offset = text.train, None, 0
    per_epoch = (len(numbers) - 16) // 8 // 16
    for step in range(HOW.steps):
        epoch, place = divmod(step, per_epoch)
        if place == 0:
            state = None
            offset = int(torch.randint(16, (1,), generator=Stream.root(0).child("offset", epoch).torch()))
        each = (len(numbers) - 1 - offset) // 8
        begins = [offset + k * each + 16 * place for k in range(8)]
        pieces = torch.stack([numbers[begin : begin + 17] for begin in begins])
        for group in optimiser.param_groups:
            share = step / HOW.steps
            group["lr"] = HOW.learning_rate * min(1.0, share / 0.02) * 0.5 * (1.0 + math.cos(math.pi * share))
        states, state = lstm(embedding(pieces[:, :-1]), state)
        state = tuple(one.detach() for one in state)
        loss = torch.nn.functional.cross_entropy(output(states).flatten(0, 1), pieces[:, 1:].flatten())
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
    with torch.no_grad():
        each = (len(text.test) - 1) // 8
        pieces = torch.stack([text.test[k * each : (k + 1) * each + 1] for k in range(8)])
        states, _ = lstm(embedding(pieces[:, :-1]))
        total = float(torch.nn.functional.cross_entropy(output(states).flatten(0, 1), pieces[:, 1:].flatten()))
    assert ours < 0.7 * math.log2(len(text.vocabulary))
    assert ours == pytest.approx(total / math.log(2.0), rel=0.01)


def test_an_interrupted_training_goes_on_to_the_same_bits(text: Text, tmp_path: Path) -> None:
    how = replace(HOW, steps=12, every=4, weight_noise=0.05, dropout=(0.2, 0.2), clip_sd=3.0)
    whole, rows = train_text(_net(text), text, how, rng=Stream.root(0))

    class Stopped(Exception):
        pass

    def stop(done: int, total: int) -> None:
        if done == 6:
            raise Stopped

    with pytest.raises(Stopped):
        train_text(_net(text), text, how, rng=Stream.root(0), checkpoint=tmp_path, progress=stop)
    resumed, again = train_text(_net(text), text, how, rng=Stream.root(0), checkpoint=tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True))
    assert [row["valid"] for row in rows] == [row["valid"] for row in again]


def test_weights_are_clipped_and_the_embedding_fits_the_drivers(text: Text) -> None:
    how = replace(HOW, steps=20, clip_sd=2.0, learning_rate=0.1)
    net, _ = train_text(_net(text), text, how, rng=Stream.root(0))
    assert float(net.table.detach().abs().max()) <= 1.0
    w = net.lstm.weight_hh_l0.detach()
    assert float(w.abs().max()) <= 2.3 * float(w.std())


@pytest.mark.parametrize("projection", [None, 10])
@pytest.mark.parametrize("embedding", ["digital", "tiles"])
def test_chips_without_errors_carry_states_as_software_does(text: Text, projection: int | None, embedding: str) -> None:
    model = CharacterModel(inputs=8, units=16, projection=projection, embedding=embedding)  # type: ignore[arg-type]
    net = _net(text, model).eval()
    example = text.train[:12].view(2, 6), *net.start(2)
    converted = convert(net, chip_named("exact"), example=example).of_any_sizes()
    assert ("embedding.1" in converted.tiles) == (embedding == "tiles")
    digital = [row["path"] for row in converted.rows() if row["chip"] == "digital"]
    assert all(path.startswith("embedding") for path in digital)  # states that come in and go out are no copies
    read = converted.program(2).at(0.0)
    of_chips = bits_of_chips(read, starts(net, 2, 4), text.test[:200], 7)
    expected = bits_per_character(net, net.start(4), text.test[:200], 4, 50)
    assert of_chips.tolist() == pytest.approx([expected] * 2, rel=1e-4)
