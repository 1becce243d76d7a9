"""On a chip that rounds nothing a converted module is torch; on an ideal chip it is what its formats say."""

from __future__ import annotations

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils._pytree import tree_leaves

from mappings.chip import Chip
from mappings.network.torch_cells import ResetBeforeGRU
from mho.config.read import read
from mho.network.convert import convert

EXACT = read("exact", Chip, folder="chips").value
FEW = settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def close(ours, torchs, tolerance=1e-5):
    """Largest difference within so much of the largest output."""
    for a, b in zip(tree_leaves(ours), tree_leaves(torchs), strict=True):
        scale = max(float(b.abs().max()), 1e-3)
        assert float((a - b).abs().max()) <= tolerance * scale


def checked(module, x, *, batch_dim=0):
    """Module, converted module and programmed chips agree, in double precision."""
    module = module.double().eval()
    x = tuple(one.double() if one.is_floating_point() else one for one in x)
    net = convert(module, EXACT, example=x, batch_dim=batch_dim)
    with torch.no_grad():
        wanted = module(*x)
        close(net(*x), wanted)
        close(net.software(*x), wanted)
        on_chips = net.program(2, seed=3).at(0.0)(*x)
    for chip in range(2):
        close([one[chip] for one in tree_leaves(on_chips)], wanted)


seeds = st.integers(0, 2**16)


@FEW
@given(seed=seeds, sizes=st.tuples(*[st.integers(1, 9)] * 3), bias=st.booleans(), steps=st.integers(0, 3))
def test_linear_layers(seed, sizes, bias, steps):
    torch.manual_seed(seed)
    functions = [nn.ReLU(), nn.GELU(), nn.Tanh(), nn.Identity(), nn.Softplus(), nn.LeakyReLU(0.1), nn.Hardswish()]
    shape = (3, steps, sizes[0]) if steps else (3, sizes[0])
    net = nn.Sequential(
        nn.Linear(sizes[0], sizes[1], bias=bias), functions[seed % len(functions)], nn.Linear(sizes[1], sizes[2])
    )
    checked(net, (torch.randn(shape),))


@FEW
@given(
    seed=seeds,
    groups=st.integers(1, 3),
    depth=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.tuples(st.integers(1, 2), st.integers(1, 3)),
    dilation=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    padding=st.sampled_from(["same", "valid", (0, 0), (1, 2), (2, 0)]),
    bias=st.booleans(),
    norm=st.booleans(),
)
def test_convolutions_in_two_dimensions(seed, groups, depth, kernel, stride, dilation, padding, bias, norm):
    torch.manual_seed(seed)
    stride = (1, 1) if padding == "same" else stride
    channels, outputs = groups * depth[0], groups * depth[1]
    how = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups, "bias": bias}
    conv = nn.Conv2d(channels, outputs, kernel, **how)
    behind = nn.BatchNorm2d(outputs) if norm else nn.Identity()
    if norm:
        behind.running_mean.normal_()
        behind.running_var.uniform_(0.3, 2.0)
    checked(nn.Sequential(conv, behind, nn.SiLU()), (torch.randn(2, channels, 8, 7),))


@FEW
@given(
    seed=seeds,
    kernel=st.integers(1, 4),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 2),
    padding=st.integers(0, 2),
)
def test_convolutions_in_one_dimension(seed, kernel, stride, dilation, padding):
    torch.manual_seed(seed)
    conv = nn.Conv1d(2, 3, kernel, stride=stride, dilation=dilation, padding=padding)
    checked(nn.Sequential(conv, nn.ReLU6()), (torch.randn(2, 2, 11),))


@FEW
@given(
    seed=seeds,
    kind=st.sampled_from(["lstm", "projected", "gru", "rnn", "relu"]),
    sizes=st.tuples(st.integers(1, 5), st.integers(2, 5), st.integers(1, 4)),
    layers=st.integers(1, 2),
    both=st.booleans(),
    bias=st.booleans(),
    batch_first=st.booleans(),
)
def test_recurrent_layers(seed, kind, sizes, layers, both, bias, batch_first):
    torch.manual_seed(seed)
    inputs, hidden, steps = sizes
    how = {"num_layers": layers, "bidirectional": both, "bias": bias, "batch_first": batch_first}
    make = {
        "lstm": lambda: nn.LSTM(inputs, hidden, **how),
        "projected": lambda: nn.LSTM(inputs, hidden, proj_size=hidden - 1, **how),
        "gru": lambda: nn.GRU(inputs, hidden, **how),
        "rnn": lambda: nn.RNN(inputs, hidden, **how),
        "relu": lambda: nn.RNN(inputs, hidden, nonlinearity="relu", **how),
    }
    shape = (3, steps, inputs) if batch_first else (steps, 3, inputs)
    checked(make[kind](), (torch.randn(shape),), batch_dim=0 if batch_first else 1)


class Cells(nn.Module):
    """Cells that are called step by step, with states of their own."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.LSTMCell(3, 4), nn.GRUCell(4, 3), nn.RNNCell(3, 2, nonlinearity="relu")

    def forward(self, x, h, c):
        g, r = h[:, :3], h[:, :2]
        for t in range(x.shape[1]):
            h, c = self.a(x[:, t], (h, c))
            g = self.b(h, g)
            r = self.c(g, r)
        return h, c, r


class Packed(nn.Module):
    """Sequences of different lengths."""

    def __init__(self, both):
        super().__init__()
        self.lstm = nn.LSTM(3, 4, 2, batch_first=True, bidirectional=both)

    def forward(self, x, lengths):
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        states, (h, c) = self.lstm(packed)
        return nn.utils.rnn.pad_packed_sequence(states, batch_first=True)[0], h, c


class Residual(nn.Module):
    """A block of a transformer with a residual convolution in front."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(8, 8, 3, padding=1)
        self.encoder = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, activation="gelu")
        self.place = nn.Parameter(torch.randn(1, 5, 8))
        self.out = nn.Linear(8, 3)

    def forward(self, x):
        y = torch.relu(x + self.conv(x.transpose(1, 2)).transpose(1, 2))
        return torch.softmax(self.out(self.encoder(y + self.place).mean(1)), -1)


@pytest.mark.parametrize(
    ("module", "x"),
    [
        (Cells(), (torch.randn(3, 2, 3), torch.randn(3, 4), torch.randn(3, 4))),
        (Packed(both=False), (torch.randn(4, 5, 3), torch.tensor([2, 5, 3, 1]))),
        (Packed(both=True), (torch.randn(4, 5, 3), torch.tensor([5, 1, 4, 2]))),
        (ResetBeforeGRU(3, 4, batch_first=True), (torch.randn(3, 5, 3),)),
        (ResetBeforeGRU(3, 4, bias=False, batch_first=True), (torch.randn(3, 2, 3),)),
        (Residual(), (torch.randn(3, 5, 8),)),
        (nn.Sequential(nn.Embedding(7, 3), nn.Flatten(), nn.Linear(12, 2)), (torch.randint(7, (3, 4)),)),
    ],
)
def test_whole_modules(module, x):
    checked(module, x)


@pytest.mark.parametrize("chip", ["yang2025", "hermes_core"])
@pytest.mark.parametrize("kind", ["dense", "conv", "lstm", "projected", "gru", "before", "rnn", "relu"])
def test_formats_are_those_of_an_ideal_chip(kind, chip):
    torch.manual_seed(0)
    module, shape = {
        "dense": (nn.Sequential(nn.Linear(6, 5), nn.GELU(), nn.Linear(5, 4), nn.ReLU()), (9, 6)),
        "conv": (
            nn.Sequential(nn.Conv2d(4, 4, 3, groups=2), nn.Hardswish(), nn.Flatten(), nn.Linear(16, 3)),
            (9, 4, 4, 4),
        ),
        "lstm": (nn.LSTM(3, 5, batch_first=True), (9, 4, 3)),
        "projected": (nn.LSTM(3, 5, proj_size=3, batch_first=True), (9, 4, 3)),
        "gru": (nn.GRU(3, 5, batch_first=True), (9, 4, 3)),
        "before": (ResetBeforeGRU(3, 5, batch_first=True), (9, 4, 3)),
        "rnn": (nn.RNN(3, 5, batch_first=True), (9, 4, 3)),
        "relu": (nn.RNN(3, 5, nonlinearity="relu", batch_first=True), (9, 4, 3)),
    }[kind]
    x = torch.randn(shape)
    net = convert(module, chip, example=x)
    with torch.no_grad():
        formats = tree_leaves(net(x))
        ideal = tree_leaves(net.idealised().program().at(0.0)(x))
    for ours, chips in zip(formats, ideal, strict=True):
        apart = (ours - chips[0]).abs()
        # A sum may lie on a threshold to the last bit; then one code differs, and what follows from it.
        assert float((apart > 1e-6).float().mean()) < 0.02


def test_the_samples_of_a_block_and_chips_beside_move_no_bit():
    torch.manual_seed(0)
    net = convert(nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 2)), "yang2025", example=torch.randn(9, 6))
    x = torch.randn(150, 6)
    whole = net.program(3, seed=1).at(0.0)(x)
    read = net.program(2, seed=1).at(0.0)
    parts = torch.cat([read(x[:128]), read(x[128:], first=2)], dim=1)
    assert torch.equal(whole[:2], parts)


def test_layers_that_stay_digital_compute_as_torch_does_and_are_priced():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(4, 8, 3, groups=2), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(32, 5))
    x = torch.randn(6, 4, 4, 4)
    net = convert(module.eval(), "hermes_core", example=x, digital=["0"])
    assert list(net.tiles) == ["4"]
    with torch.no_grad():
        close(net.software(x), module(x))
        close(net(x), net.tiles["4"](module[:4](x)))
        exact = convert(module, EXACT, example=x, digital=["0"]).program(2).at(0.0)(x)
        close([exact[0], exact[1]], [module(x)] * 2)
    layers = net.layers.set_index("path")
    assert layers.loc["0.conv2d", "why"] == "it was asked to stay digital"
    priced = net.cost(x[:1]).table
    assert priced[priced.layer.str.startswith("digital") & (priced.component == "multiplier")].energy_J.sum() > 0.0


@pytest.mark.parametrize("chip", ["yang2025", "hermes_core"])
@pytest.mark.parametrize("kind", ["conv", "gru"])
def test_read_noise_of_a_sample_is_the_same_however_short_its_block_is(chip, kind):
    torch.manual_seed(0)
    conv = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(27, 4))
    module, shape = {"conv": (conv, (2, 5, 5)), "gru": (nn.GRU(3, 5, batch_first=True), (4, 3))}[kind]
    x = torch.randn(90, *shape)
    read = convert(module, chip, example=x, replicas=2 if kind == "conv" else 1).program(2, seed=1).at(0.0)
    whole = tree_leaves(read(x))
    for size in (1, 3, 70):
        for one, part in zip(whole, tree_leaves(read(x[:size])), strict=True):
            of_samples = one[:, :size] if one.shape[1] == 90 else one[:, :, :size]
            # A sum of another batch may differ in its last bit, which moves a code that lies on a threshold.
            assert float(((of_samples - part).abs() > 1e-6).float().mean()) < 0.01


def test_a_network_on_other_chips_shares_its_weights_and_has_their_formats():
    torch.manual_seed(0)
    x = torch.randn(9, 6)
    net = convert(nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 2)), "hermes_core", example=x)
    other = net.on(read("yang2025", Chip, folder="chips").value)
    again = convert(nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 2)), "yang2025", example=x)
    again.load_state_dict(net.state_dict())
    before = net(x)
    assert torch.equal(other(x), again(x))
    assert not torch.equal(other(x), before)
    assert torch.equal(net(x), before)
    with torch.no_grad():
        net.tiles["0"].weight.zero_()
    assert float(other.tiles["0"].weight.detach().abs().max()) == 0.0
