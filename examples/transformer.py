"""A transformer's encoder: projections and feed-forward layers on tiles, attention digital.

    python examples/transformer.py --data FOLDER_OF_MNIST

Attention multiplies two activations, and cells hold what is written, not what passes: those products are counted and
priced as digital ones. Without ``--data`` (or ``MHO_DATA``) it takes scikit-learn's digits of 8 x 8 pixels.
"""

from __future__ import annotations

import torch
from digits import DRIFTS, TIMES_S, Digits, asked, shown, train
from torch import nn

import mho


class Encoder(nn.Module):
    """Rows of an image as tokens of 32 numbers, two layers of two heads, the mean of the tokens, one linear layer."""

    def __init__(self, rows: int, columns: int) -> None:
        super().__init__()
        self.embed = nn.Linear(columns, 32)
        self.place = nn.Parameter(0.1 * torch.randn(rows, 32))
        layer = nn.TransformerEncoderLayer(32, 2, dim_feedforward=64, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.read = nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Classes of images ``(n, rows, columns)``."""
        return self.read(self.encoder(self.embed(x) + self.place).mean(1))


def main() -> None:
    """Train, convert, judge, price."""
    given = asked(__doc__, chip="hermes_core", steps=1200, tests=300, figure="transformer.png", sets=DRIFTS)
    torch.manual_seed(0)
    digits = Digits.read(given.data, given.tests)
    net = Encoder(*digits.x.shape[1:])
    train(net, digits, given.steps)

    # Drift shrinks all currents: a factor, measured at the time of reading, undoes the mean of it.
    chip = mho.read_config(given.chip, mho.Chip, folder="chips", sets=given.set).value
    converted = mho.convert(net, chip, example=digits.x[:256])
    print(converted.layers[["path", "kind", "tiles", "why"]].to_string(index=False))  # what is digital, and why

    judged = list(zip(digits.x_test.split(100), digits.y_test.split(100), strict=True))
    rows = mho.evaluate(converted, judged, chips=given.chips, times_s=TIMES_S)
    shown(rows, converted, digits, f"Transformer encoder on {given.chip}", given.figure)


if __name__ == "__main__":
    main()
