"""A run of kind charlm end to end, the networks that ship, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import torch

import mho
from crossbar import Array, DifferentialPair
from devices import PCM, ChipStreams, InputError, Stream
from mho.runner import load_experiment
from workloads.charlm.hardware import converted, laid
from workloads.charlm.model import CharacterModel, CharacterNetwork
from workloads.charlm.text import Vocabulary
from workloads.charlm.weights import given_network, save_network, shipped


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "numbers.txt"
    path.write_text("".join(f"{k} times {k % 7} is {k * (k % 7)}; " for k in range(900)))
    return path


def _saved(folder: Path, vocabulary: str = "0123456789 times;", **sizes: int) -> Path:
    torch.manual_seed(0)
    known = Vocabulary.of(vocabulary, 100)
    net = CharacterNetwork(len(known), CharacterModel(inputs=8, units=12, **sizes))
    path = folder / "net.safetensors"
    save_network(path, net, known, {"text": "none"})
    return path


def test_a_run_leaves_figures_texts_and_cost_beside_published_chips(text: Path, tmp_path: Path) -> None:
    metrics = mho.run("charlm_tiny", data=text, output=tmp_path / "run")
    superT, pcm = metrics["variants"]
    assert [q["t_s"] for q in superT["quality"]] == [0.0]
    assert [q["t_s"] for q in pcm["quality"]] == [0.0, 3600.0]
    assert metrics["software"]["bits_per_character"] > 0.0
    written = pd.read_csv(tmp_path / "run" / "text.csv", keep_default_na=False)
    # One chip of the default variant, whose cells stay as written, and one of cells that drift, at every time.
    places = [("superT_5bit", 0.0, 0), ("pcm_5bit", 0.0, 0), ("pcm_5bit", 3600.0, 0)]
    assert list(zip(written.variant, written.t_s, written.chip, strict=True)) == places
    assert all(len(one) == 8 for one in written.text)
    costs = pd.read_csv(tmp_path / "run" / "per_character.csv")
    ours = costs[costs.what == "superT_5bit"].set_index("part")
    assert ours.energy_J["all"] == pytest.approx(ours.energy_J.drop("all").sum())
    assert costs[costs.what == "ramp paper, NLP, 5 bits"].energy_J.item() == pytest.approx(213e-9)
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Text that chips write" in page
    assert "characters to train on" in page


def test_one_training_for_the_default_chips_serves_all_variants(text: Path, tmp_path: Path) -> None:
    stages: list[str] = []
    mho.run(
        "charlm_tiny",
        data=text,
        sets=("hardware_training.trained_for=default", "evaluation.times_s=[0]", "sample=null"),
        output=tmp_path / "run",
        progress=lambda stage, done, total: stages.append(stage) if done == total else None,
    )
    assert [stage for stage in stages if stage.startswith("training, ")] == [
        "training, software",
        "training, superT_5bit",
    ]
    read = json.loads((tmp_path / "run" / "metrics.json").read_text())["data"]["test"]
    assert read == 401  # evaluation.characters, and the one before the first


def test_text_is_written_by_the_chips_that_are_named(text: Path, tmp_path: Path) -> None:
    sets = ("hardware_training=null", "evaluation.times_s=[0]", "sample.of=default", "sample.chips=2")
    mho.run("charlm_tiny", data=text, weights=_saved(tmp_path), sets=sets, output=tmp_path / "run")
    written = pd.read_csv(tmp_path / "run" / "text.csv", keep_default_na=False)
    assert list(zip(written.variant, written.chip, strict=True)) == [("superT_5bit", 0), ("superT_5bit", 1)]


def test_four_cells_a_weight_are_on_the_chips_in_what_they_cost_and_in_what_they_err() -> None:
    # Cells of one kind: errors of two that hold the same weight average, so their share falls by the root of two.
    cells, weights = PCM(), torch.rand((64, 16), generator=torch.Generator().manual_seed(0)) - 0.5
    errors = []
    for encoding in (DifferentialPair(), DifferentialPair(cells=2)):
        rng = ChipStreams.of(Stream.root(0), 64)
        array = Array.program(weights, device=cells, encoding=encoding, rng=rng)
        found = array.read(0.0).difference_S / array.encoded.scale_S
        errors.append(float((found - weights).square().mean().sqrt()))
    assert errors[1] == pytest.approx(errors[0] / 2**0.5, rel=0.02)
    how = load_experiment("charlm_hermes_504").value
    net, one = CharacterNetwork(66, how.model).eval().to("meta"), torch.zeros((1, 1), dtype=torch.int64, device="meta")
    traced, found = converted(net, how.default, (one.expand(2, 1), *net.start(2)), how), {}
    for variant in how.variants:
        if variant.name in ("superT_5bit", "superT_5bit_four_cells"):
            with torch.no_grad():
                cost = laid(traced, variant).cost(one, *net.start(1))
            cells = sum(row["cells"] for row in cost.priced.layers)
            found[variant.name] = cells, cost.summary["energy_J"], cost.summary["area_m2"]
    pairs, four = found["superT_5bit"], found["superT_5bit_four_cells"]
    assert four[0] == 2 * pairs[0]
    assert four[0] > 4 * 633 * 2016
    assert four[1] > pairs[1]
    assert 1.5 < four[2] / pairs[2] < 2.5


def test_a_given_network_is_evaluated_without_training(text: Path, tmp_path: Path) -> None:
    sets = ("hardware_training=null", "evaluation.times_s=[0]")
    metrics = mho.run("charlm_tiny", data=text, weights=_saved(tmp_path), sets=sets, output=tmp_path / "run")
    assert "its weights are used as they are" in metrics["weights"]
    table = pd.read_csv(tmp_path / "run" / "accuracy.csv")
    assert sorted(set(table.stage)) == ["analog", "quantised", "software"]


def test_a_file_holds_weights_to_8_bits(tmp_path: Path) -> None:
    model = CharacterModel(inputs=8, units=12)
    path = _saved(tmp_path)
    torch.manual_seed(0)
    net = CharacterNetwork(len(Vocabulary.of("0123456789 times;", 100)), model)
    found = given_network(path, model, "--weights").net
    for name, one in net.state_dict().items():
        allowed = one.abs().amax(-1, keepdim=True) / 254 * 1.001 if one.dim() > 1 else 1e-7
        assert bool(((found.state_dict()[name] - one).abs() <= allowed).all())


def test_networks_that_ship_are_small_and_say_what_they_are() -> None:
    files = shipped()
    assert sum(len(one.read_bytes()) for one in files.values()) < 16e6
    assert set(files) == set(shipped(".md"))
    for name in files:
        model = CharacterModel(units=2016, projection=504) if "2016" in name else CharacterModel()
        card = given_network(name, model, "weights").card
        assert 1.5 < card["bits_per_character"] < 2.3
        assert f"{card['bits_per_character']:.4f}" in shipped(".md")[name].read_text("utf-8")


def test_a_network_of_another_vocabulary_is_refused(text: Path, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"net\.safetensors: a network of another vocabulary: it does not know [\d.]+% of"
    ):
        mho.run("charlm_tiny", data=text, weights=_saved(tmp_path, "abcdef"), sets=("hardware_training=null",))


def test_files_that_are_no_such_network_are_refused(text: Path, tmp_path: Path) -> None:
    other = _saved(tmp_path, projection=4)
    with pytest.raises(InputError, match="12 units projected to 4, while model states 8 inputs and 12 units"):
        given_network(other, CharacterModel(inputs=8, units=12), "--weights")
    other.write_bytes(b"no network")
    with pytest.raises(InputError, match=r"net\.safetensors: must be a character network that mho wrote"):
        given_network(other, CharacterModel(inputs=8, units=12), "--weights")
    with pytest.raises(InputError, match="a file, or one of shakespeare_2016p504"):
        given_network("shakespeare", CharacterModel(), "weights")


def test_a_text_too_short_for_the_evaluation_is_refused(tmp_path: Path) -> None:
    short = tmp_path / "short.txt"
    short.write_text("a few words " * 20)
    with pytest.raises(InputError, match=r"short\.txt: the part to test on must have 17 characters at least"):
        mho.run("charlm_tiny", data=short)
