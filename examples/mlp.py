"""A perceptron of two layers on a chip whose converters compute the activation: accuracy over time, and cost.

    python examples/mlp.py --data FOLDER_OF_MNIST

Without ``--data`` (or ``MHO_DATA``) it takes scikit-learn's digits of 8 x 8 pixels.
"""

from __future__ import annotations

import torch
from digits import TIMES_S, Digits, asked, shown, train
from torch import nn

import mho


def main() -> None:
    """Train, convert, judge, price."""
    given = asked(__doc__, chip="yang2025", steps=1500, tests=500, figure="mlp.png")
    torch.manual_seed(0)
    digits = Digits.read(given.data, given.tests)
    net = nn.Sequential(nn.Flatten(), nn.Linear(digits.x[0].numel(), 64), nn.ReLU(), nn.Linear(64, 10))
    train(net, digits, given.steps)

    chip = mho.read_config(given.chip, mho.Chip, folder="chips", sets=given.set).value

    # The example gives shapes and, by its values, the ranges of drivers and converters. `net` stays as it is.
    converted = mho.convert(net, chip, example=digits.x[:256])
    print(converted.layers.to_string(index=False))

    # Each chip is written once and read at every time; it is paired with the network in software.
    judged = [(digits.x_test, digits.y_test)]
    rows = mho.evaluate(converted, judged, chips=given.chips, times_s=TIMES_S)
    shown(rows, converted, digits, f"Perceptron on {given.chip}", given.figure)


if __name__ == "__main__":
    main()
