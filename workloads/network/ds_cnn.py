"""The keyword network of MLPerf Tiny, and the features that it hears.

C. Banbury et al., "MLPerf Tiny Benchmark", arXiv:2106.07597; the network is the small depthwise-separable one of
Y. Zhang et al., "Hello Edge", arXiv:1711.07128. Sizes, padding and features are those of the reference model at
github.com/mlcommons/tiny (commit 1afd2c9), trained there with Keras; its weights are not part of mho.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from torch import nn

from configs.errors import InputError
from workloads.kws.features import MFCC, Features, mfcc
from workloads.recordings.clips import SILENCE, UNKNOWN

LABELS = ("down", "go", "left", "no", "off", "on", "right", "stop", "up", "yes", SILENCE, UNKNOWN)
CHANNELS, BLOCKS = 64, 4
KERAS_EPS = 1e-3
FEATURES = MFCC(
    window_s=0.030,
    hop_s=0.020,
    n_fft=512,
    n_mels=40,
    n_mfcc=10,
    f_min_Hz=20.0,
    f_max_Hz=4000.0,
    recipe="tensorflow",
)
FRAMES = 49


def ds_cnn() -> nn.Sequential:
    """The network, without its weights: features ``(n, 49, 10)`` to logits ``(n, 12)``, whose softmax it outputs.

    Names of layers are those of the stored weights. "Same" padding of 49 frames at a stride of 2 has one zero more at
    the end; the mean over 24 x 5 of the 25 x 5 positions leaves out the last frame.
    """
    layers: dict[str, nn.Module] = {
        "picture": nn.Unflatten(1, (1, FRAMES)),
        "margins": nn.ZeroPad2d((1, 1, 4, 5)),
        **_normalised("conv", nn.Conv2d(1, CHANNELS, (10, 4), stride=2)),
    }
    for number in range(BLOCKS):
        depthwise = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, groups=CHANNELS)
        pointwise = nn.Conv2d(CHANNELS, CHANNELS, 1)
        block = _normalised("depthwise", depthwise) | _normalised("pointwise", pointwise)
        layers[f"block{number}"] = _named(block.items())
    layers |= {"pool": nn.AvgPool2d((24, 5)), "vector": nn.Flatten(), "dense": nn.Linear(CHANNELS, len(LABELS))}
    return _named(layers.items())


def ds_cnn_features(waveforms: NDArray[np.int16]) -> Features:
    """Features ``(n, 49, 10)`` of clips ``(n, 16000)``, each divided by its own largest sample (not magnitude).

    Raises InputError for a clip with no sample above 0.
    """
    loudest = waveforms.max(axis=1, keepdims=True)
    silent = np.flatnonzero(loudest <= 0)
    if silent.size:
        raise InputError(f"waveforms: every clip needs a sample above 0 (number {silent[0]} has none)")
    return mfcc(waveforms / loudest.astype(np.float32), FEATURES)


def _normalised(name: str, conv: nn.Conv2d) -> dict[str, nn.Module]:
    return {name: conv, f"{name}_bn": nn.BatchNorm2d(conv.out_channels, eps=KERAS_EPS), f"{name}_relu": nn.ReLU()}


def _named(layers: Iterable[tuple[str, nn.Module]]) -> nn.Sequential:
    found = nn.Sequential()
    for name, layer in layers:
        found.add_module(name, layer)
    return found
