"""A user's network is computed as what it is, with its classes in their order, or refused in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from devices import InputError, Stream
from workloads.kws.model import KeywordModel, KeywordNet
from workloads.kws.weights import about, load_weights
from workloads.recordings.clips import LABELS
from workloads.stored import StoredNetworks

TENSORFLOW = ("silence", "unknown", "yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
NAMES = ", ".join(LABELS)
Tensors = dict[str, torch.Tensor]


def net(**model: object) -> KeywordNet:
    return KeywordNet(KeywordModel(hidden=12, **model), 40, 12, rng=Stream.root(0))  # type: ignore[arg-type]


def torchs(kind: type[torch.nn.RNNBase] = torch.nn.LSTM) -> Tensors:
    torch.manual_seed(0)
    parts = {"rnn": kind(40, 12), "fc": torch.nn.Linear(12, 12)}
    return {f"{part}.{name}": value.detach() for part, each in parts.items() for name, value in each.named_parameters()}


def refused(path: Path, tensors: Tensors, into: KeywordNet, metadata: dict[str, str] | None = None) -> str:
    save_file(tensors, path, metadata)
    with pytest.raises(InputError) as error:
        load_weights(path, into)
    (problem,) = error.value.problems
    return problem.removeprefix(f"{path}: ")


@pytest.mark.parametrize("how", ["names", "list", "setting"])
def test_outputs_in_another_order_answer_the_same(tmp_path: Path, how: str) -> None:
    plain, path = torchs(), tmp_path / "mine.safetensors"
    order = [[label.strip("_") for label in LABELS].index(name) for name in TENSORFLOW]
    moved = plain | {f"fc.{name}": plain[f"fc.{name}"][order] for name in ("weight", "bias")}
    save_file(plain, path)
    ours = net()
    assert "mho's, since neither the file's metadata nor model.classes states one" in load_weights(path, ours)
    listed = {"names": ", ".join(TENSORFLOW), "list": str(list(TENSORFLOW)).replace("'", '"')}.get(how)
    theirs = net(classes=TENSORFLOW if how == "setting" else ())
    save_file(moved, path, {"classes": listed} if listed else None)
    assert "in the order _silence_, _unknown_, yes, no, up, down" in load_weights(path, theirs)
    x = torch.randn(5, 9, 40)
    torch.testing.assert_close(theirs(x), ours(x), rtol=0, atol=0)


def test_an_order_that_is_none_or_stated_twice_is_refused(tmp_path: Path) -> None:
    path, plain = tmp_path / "mine.safetensors", torchs()
    assert refused(path, plain, net(), {"classes": "yes,no"}) == (
        f"metadata classes: each of {NAMES} is named once (got yes, no)"
    )
    assert refused(path, plain, net(), {"classes": "[1,"}).startswith("metadata 'classes': not a JSON list")
    both = refused(path, plain, net(classes=TENSORFLOW), {"classes": ",".join(LABELS)})
    assert both.startswith("metadata 'classes' and model.classes differ (yes,no,")


def test_a_gru_of_torch_is_refused_with_the_reason(tmp_path: Path) -> None:
    for metadata in (None, {"reset": "after"}):
        text = refused(tmp_path / "gru.safetensors", torchs(torch.nn.GRU), net(cell="gru"), metadata)
        assert text.startswith("metadata 'reset' must be 'before' (got ")
        assert "apply a GRU's reset gate after the product with the hidden state, with a bias of its own" in text
        assert "Take an LSTM, or a GRU trained in mho's form" in text


def test_a_stored_gru_is_read_again_as_the_same_network(tmp_path: Path) -> None:
    made = net(cell="gru")
    StoredNetworks(tmp_path, "x").network("key", made, lambda: (made, []), about(made, LABELS))
    (file,) = tmp_path.glob("*.safetensors")
    again = KeywordNet(KeywordModel(cell="gru", hidden=12), 40, 12, rng=Stream.root(1))
    assert "as the file's metadata states" in load_weights(file, again)
    x = torch.randn(5, 9, 40)
    torch.testing.assert_close(again(x), made(x), rtol=0, atol=0)
    with pytest.raises(InputError, match=r"metadata 'cell' is 'gru', while model.cell is 'lstm'"):
        load_weights(file, net())


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floats_are_taken(tmp_path: Path, kind: torch.dtype) -> None:
    path, plain = tmp_path / "mine.safetensors", torchs()
    save_file({name: tensor.to(kind) for name, tensor in plain.items()}, path)
    into = net()
    load_weights(path, into)
    torch.testing.assert_close(into.weight_hh_l0.detach(), plain["rnn.weight_hh_l0"].to(kind).float())


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"fc.bias": torch.zeros(12, dtype=torch.int32)}, "fc.bias: allowed are float16, bfloat16, .* (got int32)"),
        ({"fc.bias": torch.zeros(12, dtype=torch.complex64)}, "fc.bias: allowed are .* (got complex64)"),
        ({"fc.bias": torch.zeros(12, dtype=torch.float8_e4m3fn)}, "fc.bias: allowed are .* (got float8_e4m3fn)"),
        ({"fc.bias": torch.full((12,), torch.nan)}, "output bias: values must be finite in float32"),
        ({"fc.bias": torch.full((12,), 1e300, dtype=torch.float64)}, "output bias: values must be finite in float32"),
        (
            {f"rnn.bias_{one}_l0": torch.full((48,), 3e38) for one in ("ih", "hh")},
            "bias_ih_l0 + bias_hh_l0: values must be finite in float32",
        ),
        ({"fc.bias": torch.zeros(3)}, "output bias: shape must be (12,) (got (3,))"),
        ({"fc.weight": torch.zeros(())}, "output weight: shape must be (12, 12) (got ())"),
        ({"steps": torch.zeros(())}, "tensors that this network has no use for: steps"),
        ({"rnn.weight_ih_l1": torch.zeros(48, 12)}, "tensors that this network has no use for: rnn.weight_ih_l1"),
        ({"fc2.weight": torch.zeros(2, 2)}, "exactly one tensor '*weight' is needed (got fc.weight, fc2.weight)"),
    ],
)
def test_what_is_no_such_network_is_refused_in_one_sentence(tmp_path: Path, change: Tensors, problem: str) -> None:
    start, _, end = problem.partition(".*")
    text = refused(tmp_path / "mine.safetensors", torchs() | change, net())
    assert text.startswith(start)
    assert text.endswith(end)


def test_a_folder_or_a_device_is_no_file_of_weights(tmp_path: Path) -> None:
    for path in (tmp_path, Path("/dev/null")):
        with pytest.raises(InputError, match="not a readable safetensors file"):
            load_weights(path, net())
