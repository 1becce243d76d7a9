"""A convolutional network on cores of phase-change memory: where its layers lie, accuracy over time, and cost.

    python examples/cnn.py --data FOLDER_OF_MNIST

Without ``--data`` (or ``MHO_DATA``) it takes scikit-learn's digits of 8 x 8 pixels.
"""

from __future__ import annotations

import torch
from digits import DRIFTS, TIMES_S, Digits, asked, shown, train
from torch import nn

import mho


def network() -> nn.Module:
    """Two convolutions with batch normalisation, the mean over the image, one linear layer."""
    return nn.Sequential(
        nn.Unflatten(1, (1, -1)),
        nn.Conv2d(1, 8, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Flatten(),
        nn.LazyLinear(10),
    )


def main() -> None:
    """Train, convert, judge, price."""
    given = asked(__doc__, chip="hermes_core", steps=1000, tests=300, figure="cnn.png", sets=DRIFTS)
    torch.manual_seed(0)
    digits, net = Digits.read(given.data, given.tests), network()
    train(net, digits, given.steps)

    # Drift shrinks all currents: a factor, measured at the time of reading, undoes the mean of it.
    # A convolution is one matrix that is driven once for every position; batch normalisation folds into its weights.
    chip = mho.read_config(given.chip, mho.Chip, folder="chips", sets=given.set).value
    converted = mho.convert(net, chip, example=digits.x[:256])
    print(converted.layers.to_string(index=False))

    # Batches of 100 images bound the memory; results do not depend on them.
    judged = list(zip(digits.x_test.split(100), digits.y_test.split(100), strict=True))
    rows = mho.evaluate(converted, judged, chips=given.chips, times_s=TIMES_S)
    shown(rows, converted, digits, f"Convolutions on {given.chip}", given.figure)


if __name__ == "__main__":
    main()
