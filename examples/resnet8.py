"""ResNet-8 on cores of phase-change memory, trained for them: convolutions on tiles, sums of branches digital.

    python examples/resnet8.py --data FOLDER_OF_MNIST

The network of MLPerf Tiny (arXiv:2106.07597) with half its channels. Without ``--data`` (or ``MHO_DATA``) it takes
scikit-learn's digits of 8 x 8 pixels; MNIST is taken at half its resolution.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from digits import DRIFTS, TIMES_S, Digits, asked, shown, train
from torch import nn
from torch.nn.functional import avg_pool2d, relu

import mho


class Block(nn.Module):
    """Two convolutions, and a sum with the input, which another one brings to the same shape where it must."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.norm_first = nn.BatchNorm2d(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm_second = nn.BatchNorm2d(outputs)
        self.beside = nn.Conv2d(inputs, outputs, 1, stride) if stride > 1 else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Values ``(n, outputs, rows, columns)``."""
        changed = self.norm_second(self.second(relu(self.norm_first(self.first(x)))))
        return relu(changed + self.beside(x))


def network() -> nn.Module:
    """One convolution, three blocks of 8, 16 and 32 channels, the mean over the image, one linear layer."""
    return nn.Sequential(
        nn.Unflatten(1, (1, -1)),
        nn.Conv2d(1, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        Block(8, 8, 1),
        Block(8, 16, 2),
        Block(16, 32, 2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, 10),
    )


def main() -> None:
    """Train, convert, judge, price."""
    given = asked(__doc__, chip="hermes_core", steps=600, tests=200, figure="resnet8.png", sets=DRIFTS, train=200)
    torch.manual_seed(0)
    digits, net = Digits.read(given.data, given.tests), network()
    if digits.x.shape[-1] > 14:
        digits = replace(digits, x=avg_pool2d(digits.x, 2), x_test=avg_pool2d(digits.x_test, 2))
    train(net, digits, given.steps)

    # Drift shrinks all currents: a factor, measured at the time of reading, undoes the mean of it.
    chip = mho.read_config(given.chip, mho.Chip, folder="chips", sets=given.set).value
    converted = mho.convert(net, chip, example=digits.x[:128])
    print(converted.layers[["path", "kind", "tiles", "why"]].to_string(index=False))  # what is digital, and why

    # What drift and noise of eight layers add up to is too much: train with the cells' errors up to 30 days.
    if given.train:
        how = mho.HardwareTraining(steps=given.train, batch=64, learning_rate=2e-3, times_s=(0.0, TIMES_S[-1]))
        mho.train_for_hardware(converted, (digits.x, digits.y), nn.functional.cross_entropy, how, teacher=net)
        converted.calibrate(digits.x[:128], ranges=False)  # it was trained in its ranges

    judged = list(zip(digits.x_test.split(50), digits.y_test.split(50), strict=True))
    rows = mho.evaluate(converted, judged, chips=given.chips, times_s=TIMES_S, reference=net)
    shown(rows, converted, digits, f"ResNet-8 on {given.chip}", given.figure)


if __name__ == "__main__":
    main()
