"""Layers that YAML lists, as modules of torch in order; sizes of inputs follow from those of one sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch
from torch import nn

from devices import InputError
from devices.kinds import OneOf
from workloads.network.layer_kinds import (
    BatchNormLayer,
    ConvLayer,
    DropoutLayer,
    EmbeddingLayer,
    FlattenLayer,
    FunctionLayer,
    GRULayer,
    Layer,
    LayerNormLayer,
    LinearLayer,
    LSTMLayer,
    PoolLayer,
    RNNLayer,
    Sizes,
    in_words,
)

_CLASSES = (LinearLayer, ConvLayer, FunctionLayer, LSTMLayer, GRULayer, RNNLayer, FlattenLayer, BatchNormLayer)
_MORE = (LayerNormLayer, DropoutLayer, PoolLayer, EmbeddingLayer)
LAYERS: dict[str, type[Layer]] = {one.kind: one for one in (*_CLASSES, *_MORE)}
AnyLayer = Annotated[Layer, OneOf(LAYERS)]


def from_layers(layers: Sequence[Layer], sizes: Sizes) -> nn.Sequential:
    """The layers in order, as ``torch.nn.Sequential``, for samples of ``sizes``; a function is a module of its own.

    Raises InputError, with the number of the layer, where it does not take what the one before gives.
    """
    made: list[nn.Module] = []
    for number, layer in enumerate(layers):
        try:
            if not sizes:
                raise InputError("samples of at least one dimension (got none)")
            new = layer.modules(sizes)
            sizes = _after(new, sizes, whole=isinstance(layer, EmbeddingLayer))
        except InputError as error:
            raise InputError(f"layers[{number}]: {problem}" for problem in error.problems) from None
        except (RuntimeError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(f"layers[{number}]: does not take samples of sizes {in_words(sizes)}: {reason}") from None
        made += new
    return nn.Sequential(*made)


def _after(modules: Sequence[nn.Module], sizes: Sizes, *, whole: bool) -> Sizes:
    """Sizes of a sample behind these modules."""
    x = torch.zeros((2, *sizes), dtype=torch.long if whole else torch.float32)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        for module in modules:
            x = module.eval()(x)
            module.train()
    return tuple(x.shape[1:])
