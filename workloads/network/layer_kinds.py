"""Kinds of layers that YAML may list, each with its modules of torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from annotated_types import Interval
from torch import nn

from devices import InputError

Size = Annotated[int, Interval(ge=1, le=1_000_000)]
Small = Annotated[int, Interval(ge=1, le=1024)]
Sizes = tuple[int, ...]
Name = Literal[
    "relu",
    "relu6",
    "sigmoid",
    "tanh",
    "gelu",
    "silu",
    "softplus",
    "hardswish",
    "hardsigmoid",
    "hardtanh",
    "elu",
    "selu",
    "leaky_relu",
    "log_sigmoid",
    "mish",
    "softmax",
]
FUNCTIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
    "hardswish": nn.Hardswish,
    "hardsigmoid": nn.Hardsigmoid,
    "hardtanh": nn.Hardtanh,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "leaky_relu": nn.LeakyReLU,
    "log_sigmoid": nn.LogSigmoid,
    "mish": nn.Mish,
}


@dataclass(frozen=True, kw_only=True)
class Layer(ABC):
    """One layer, which knows its modules for inputs of given sizes."""

    kind: str

    @abstractmethod
    def modules(self, sizes: Sizes) -> list[nn.Module]:
        """Modules of torch, one after the other, for samples of these sizes. Raises InputError for sizes of others."""


def _function(name: str) -> nn.Module:
    return nn.Softmax(dim=-1) if name == "softmax" else FUNCTIONS[name]()


@dataclass(frozen=True, kw_only=True)
class FunctionLayer(Layer):
    """A function of every value.

    Parameters
    ----------
    name : of the function; softmax is over the last dimension
    """

    kind: Literal["function"] = "function"
    name: Name

    def modules(self, sizes: Sizes) -> list[nn.Module]:
        """The function."""
        return [_function(self.name)]


@dataclass(frozen=True, kw_only=True)
class WeightLayer(Layer):
    """A layer of weights with a function behind it.

    Parameters
    ----------
    outputs : values, or channels, that it gives
    bias : whether a bias is added
    function : of its outputs; None for none
    """

    outputs: Size
    bias: bool = True
    function: Name | None = None

    def behind(self, *modules: nn.Module) -> list[nn.Module]:
        """The modules, and the function where there is one."""
        return [*modules, *([] if self.function is None else [_function(self.function)])]


@dataclass(frozen=True, kw_only=True)
class LinearLayer(WeightLayer):
    """A product with a matrix, over the last dimension."""

    kind: Literal["linear"] = "linear"

    def modules(self, sizes: Sizes) -> list[nn.Module]:
        """As many inputs as the last dimension has."""
        return self.behind(nn.Linear(sizes[-1], self.outputs, self.bias))


@dataclass(frozen=True, kw_only=True)
class ConvLayer(WeightLayer):
    """A convolution over samples of channels and positions in one or two dimensions.

    Parameters
    ----------
    kernel, stride, padding, dilation : the same in all dimensions
    groups : of channels that have nothing to do with each other
    """

    kind: Literal["conv"] = "conv"
    kernel: Small
    stride: Small = 1
    padding: Annotated[int, Interval(ge=0, le=1024)] = 0
    dilation: Small = 1
    groups: Size = 1

    def modules(self, sizes: Sizes) -> list[nn.Module]:
        """One or two dimensions, as the samples have."""
        make: Any = _of_dimensions(sizes, (nn.Conv1d, nn.Conv2d))
        if sizes[0] % self.groups or self.outputs % self.groups:
            raise InputError(f"groups: divides {sizes[0]} channels and {self.outputs} outputs (got {self.groups})")
        how = (self.kernel, self.stride, self.padding, self.dilation, self.groups, self.bias)
        return self.behind(make(sizes[0], self.outputs, *how))


@dataclass(frozen=True, kw_only=True)
class RecurrentLayer(Layer):
    """A recurrent network over samples of steps and inputs.

    Parameters
    ----------
    units : of every layer
    layers : one behind the other
    both_ways : whether another one reads the steps backwards
    steps : what it gives: the states of the ``last`` step, or of ``all``
    """

    units: Size
    layers: Annotated[int, Interval(ge=1, le=64)] = 1
    both_ways: bool = False
    steps: Literal["last", "all"] = "last"

    def modules(self, sizes: Sizes) -> list[nn.Module]:
        """torch's own, with its names of parameters."""
        if len(sizes) != 2:
            raise InputError(f"samples of steps and inputs (got sizes {in_words(sizes)})")
        make: Any = {"lstm": _LSTM, "gru": _GRU, "rnn": _RNN}[self.kind]
        net = make(sizes[1], self.units, self.layers, batch_first=True, bidirectional=self.both_ways)
        net.last = self.steps == "last"
        return [net]


@dataclass(frozen=True, kw_only=True)
class LSTMLayer(RecurrentLayer):
    """Long short-term memory."""

    kind: Literal["lstm"] = "lstm"


@dataclass(frozen=True, kw_only=True)
class GRULayer(RecurrentLayer):
    """Gated recurrent units, torch's form."""

    kind: Literal["gru"] = "gru"


@dataclass(frozen=True, kw_only=True)
class RNNLayer(RecurrentLayer):
    """Recurrent units of tanh."""

    kind: Literal["rnn"] = "rnn"


class _States:
    """A recurrent network that gives states alone."""

    last: bool

    def forward(self, input: Any, hx: Any = None) -> Any:
        """States of the last step, or of all."""
        states = super().forward(input, hx)[0]  # type: ignore[misc]
        return states[:, -1] if self.last else states


class _LSTM(_States, nn.LSTM): ...


class _GRU(_States, nn.GRU): ...


class _RNN(_States, nn.RNN): ...


@dataclass(frozen=True, kw_only=True)
class FlattenLayer(Layer):
    """All values of a sample in one dimension."""

    kind: Literal["flatten"] = "flatten"

    def modules(self, sizes: Sizes) -> list[nn.Module]:
        """torch's own."""
        return [nn.Flatten()]


@dataclass(frozen=True, kw_only=True)
class BatchNormLayer(Layer):
    """Normalisation of every channel by moments that stay as they were trained."""

    kind: Literal["batch_norm"] = "batch_norm"

    def modules(self, sizes: Sizes) -> list[nn.Module]:
        """One or two dimensions of positions, or none."""
        return [nn.BatchNorm2d(sizes[0]) if len(sizes) == 3 else nn.BatchNorm1d(sizes[0])]


@dataclass(frozen=True, kw_only=True)
class LayerNormLayer(Layer):
    """Normalisation over the last dimension of every sample."""

    kind: Literal["layer_norm"] = "layer_norm"

    def modules(self, sizes: Sizes) -> list[nn.Module]:
        """torch's own."""
        return [nn.LayerNorm(sizes[-1])]


@dataclass(frozen=True, kw_only=True)
class DropoutLayer(Layer):
    """Values left out in training.

    Parameters
    ----------
    share : of the values [1]
    """

    kind: Literal["dropout"] = "dropout"
    share: Annotated[float, Interval(ge=0.0, lt=1.0)] = 0.5

    def modules(self, sizes: Sizes) -> list[nn.Module]:
        """torch's own."""
        return [nn.Dropout(self.share)]


@dataclass(frozen=True, kw_only=True)
class PoolLayer(Layer):
    """The largest or the mean value of neighbouring positions, channel by channel.

    Parameters
    ----------
    of : ``max`` or ``mean``
    size : positions in every dimension; None takes all, and leaves one value for each channel
    """

    kind: Literal["pool"] = "pool"
    of: Literal["max", "mean"] = "max"
    size: Small | None = None

    def modules(self, sizes: Sizes) -> list[nn.Module]:
        """Windows beside each other."""
        kinds = {"max": (nn.MaxPool1d, nn.MaxPool2d), "mean": (nn.AvgPool1d, nn.AvgPool2d)}
        make: Any = _of_dimensions(sizes, kinds[self.of])
        if self.size is not None:
            return [make(self.size)]
        return [make(sizes[1:] if len(sizes) == 3 else sizes[1]), nn.Flatten()]


@dataclass(frozen=True, kw_only=True)
class EmbeddingLayer(Layer):
    """A vector for each index.

    Parameters
    ----------
    words : how many indices there are
    outputs : values of a vector
    """

    kind: Literal["embedding"] = "embedding"
    words: Size
    outputs: Size

    def modules(self, sizes: Sizes) -> list[nn.Module]:
        """torch's own."""
        return [nn.Embedding(self.words, self.outputs)]


def _of_dimensions(sizes: Sizes, kinds: tuple[Any, Any]) -> Any:
    if len(sizes) not in (2, 3):
        raise InputError(f"samples of channels and one or two dimensions of positions (got sizes {in_words(sizes)})")
    return kinds[len(sizes) - 2]


def in_words(sizes: Sizes) -> str:
    """Sizes of a sample for messages."""
    return ", ".join(map(str, sizes)) or "none"
