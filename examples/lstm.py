"""Two LSTM layers whose gates are computed by ramp converters; the rows of an image are the steps of a sequence.

    python examples/lstm.py --data FOLDER_OF_MNIST

Without ``--data`` (or ``MHO_DATA``) it takes scikit-learn's digits of 8 x 8 pixels.
"""

from __future__ import annotations

import torch
from digits import TIMES_S, Digits, asked, shown, train
from torch import nn

import mho


class Rows(nn.Module):
    """Two layers of 32 cells over the rows from top to bottom, and a linear layer after the last one."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.cells = nn.LSTM(inputs, 32, num_layers=2, batch_first=True)
        self.read = nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Classes of images ``(n, rows, columns)``."""
        states, _ = self.cells(x)
        return self.read(states[:, -1])


def main() -> None:
    """Train, convert, judge, price."""
    given = asked(__doc__, chip="yang2025", steps=1200, tests=300, figure="lstm.png")
    torch.manual_seed(0)
    digits = Digits.read(given.data, given.tests)
    net = Rows(digits.x.shape[-1])
    train(net, digits, given.steps, 1e-2)

    chip = mho.read_config(given.chip, mho.Chip, folder="chips", sets=given.set).value

    # Every step drives inputs and states together; the converters give sigmoid and tanh, cell states are digital.
    converted = mho.convert(net, chip, example=digits.x[:256])
    print(converted.layers.to_string(index=False))

    judged = list(zip(digits.x_test.split(100), digits.y_test.split(100), strict=True))
    rows = mho.evaluate(converted, judged, chips=given.chips, times_s=TIMES_S)
    shown(rows, converted, digits, f"Two LSTM layers on {given.chip}", given.figure)


if __name__ == "__main__":
    main()
