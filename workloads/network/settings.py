"""A network of the user's: which model, data, training and chips."""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Interval, Len, MultipleOf

from devices import InputError
from mappings.chip import Chip
from workloads.experiment import Evaluation, Experiment, Variants
from workloads.network.figures import CLASSES, Figure
from workloads.network.layers import AnyLayer
from workloads.network.training import ChipTraining, SoftwareTraining
from workloads.on_chips import ChipVariant, check_times, unfit

Copies = Annotated[int, Interval(ge=1, le=10_000)]
_SOURCES = ("onnx", "layers", "module")


@dataclass(frozen=True, kw_only=True)
class NetworkModel:
    """Where the network comes from: exactly one of ``onnx``, ``layers`` and ``module``.

    Parameters
    ----------
    onnx : ONNX file
    layers : layers in order; sizes of their inputs follow from the samples
    weights : safetensors file with the parameters of ``layers``, under torch's names
    module : ``FILE.py:FUNCTION``: the user's code, run because it is named here; the function takes nothing and gives a
        ``torch.nn.Module``, or such a module and its inputs for an example
    """

    onnx: str | None = None
    layers: Annotated[tuple[AnyLayer, ...], Len(1, 1000)] | None = None
    weights: str | None = None
    module: str | None = None

    def __post_init__(self) -> None:
        named = [name for name in _SOURCES if getattr(self, name) is not None]
        if len(named) != 1:
            got = ", ".join(named) or "none"
            raise InputError(f"exactly one of {', '.join(_SOURCES)} (got {got}); null leaves out what a file extends")
        if self.weights is not None and self.layers is None:
            raise InputError(f"weights: only layers take a file of their own; {named[0]} brings its weights")
        if self.module is not None:
            check_named(self.module)


def check_named(module: str) -> None:
    """Raise InputError unless ``module`` is ``FILE.py:FUNCTION``."""
    file, _, function = module.rpartition(":")
    if not file.endswith(".py") or not function.isidentifier():
        raise InputError(f"module: a file and a function, as in FILE.py:function (got {module})")


@dataclass(frozen=True, kw_only=True)
class NetworkData:
    """Which samples: a file, or the digits that come with scikit-learn.

    Parameters
    ----------
    file : npz or safetensors file with ``x_train``, ``y_train``, ``x_test`` and ``y_test``, or with ``x`` and ``y``
        that are split; the first dimension counts samples, whole numbers of 8 or 16 bits are taken as values, longer
        ones stay whole (indices of an embedding)
    digits : take scikit-learn's 1,797 digits of 8 x 8 pixels, values from 0 to 1, split as ``x`` and ``y`` are
    fractions : shares of ``x`` and ``y`` to train on and to test on, above 0 and of sum 1
    split_seed : by which these are drawn
    """

    file: str | None = None
    digits: bool = False
    fractions: tuple[float, float] = (0.8, 0.2)
    split_seed: Annotated[int, Interval(ge=0, le=2**63 - 1)] = 0

    def __post_init__(self) -> None:
        if self.file is not None and self.digits:
            raise InputError(
                f"file: null where digits is true, and digits false where there is a file (got {self.file})"
            )
        if min(self.fractions) <= 0.0 or not math.isclose(sum(self.fractions), 1.0, rel_tol=1e-6):
            got = ", ".join(f"{share:g}" for share in self.fractions)
            raise InputError(f"fractions: must be two shares above 0 of sum 1 (got {got})")


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """By what the ranges of inputs and converters are chosen.

    Parameters
    ----------
    samples : at most so many of the samples to train on, drawn evenly
    percentile : share of the values that a range holds, in percent; what lies beyond is clipped
    """

    samples: Annotated[int, Interval(ge=1, le=1_000_000)] = 256
    percentile: Annotated[float, Interval(ge=50.0, le=100.0)] = 100.0


@dataclass(frozen=True, kw_only=True)
class NetworkVariant(ChipVariant):
    """One piece of hardware to compare: its chip says only what differs from the experiment's.

    Parameters
    ----------
    chips_by_layer : other chips for some layers, by patterns over their paths, of which the first that matches holds;
        each is a whole chip of its own
    """

    chips_by_layer: dict[str, Chip] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        found = [f"chip.{problem}" for problem in unfit(self.chip)]
        found += [
            f"chips_by_layer.{name}.{problem}" for name, chip in self.chips_by_layer.items() for problem in unfit(chip)
        ]
        if found:
            raise InputError(found)

    @property
    def chips(self) -> tuple[Chip, ...]:
        """The kinds of chip that it is built of."""
        return (self.chip, *self.chips_by_layer.values())

    def of_layers(self, layers: Sequence[str]) -> dict[str, Chip]:
        """The chip of every layer. Raises InputError for a pattern that matches none."""
        idle = [one for one in self.chips_by_layer if not fnmatch.filter(layers, one)]
        if idle:
            raise InputError(
                f"chips_by_layer: {', '.join(idle)}: matches no layer on tiles (layers: {', '.join(layers)})"
            )
        patterns = {**self.chips_by_layer, "*": self.chip}
        return {
            name: next(chip for pattern, chip in patterns.items() if fnmatch.fnmatchcase(name, pattern))
            for name in layers
        }


@dataclass(frozen=True, kw_only=True)
class NetworkEvaluation(Evaluation):
    """How chips are judged.

    Parameters
    ----------
    samples : at most so many of the samples to test on, the first ones; None takes all
    batch : samples in memory together (changes nothing but memory)
    """

    samples: Annotated[int, Interval(ge=1, le=10_000_000)] | None = None
    batch: Annotated[int, Interval(ge=64, le=1_000_000), MultipleOf(64)] = 256


@dataclass(frozen=True, kw_only=True)
class ConvertedExperiment(Experiment[NetworkVariant]):
    """A converted network on chips, whatever its data.

    Parameters
    ----------
    hardware_training : training with the formats and errors of the chips, after that in software; None leaves the
        weights as they are
    """

    hardware_training: ChipTraining | None = None
    chip: Chip
    variants: Variants[NetworkVariant]


@dataclass(frozen=True, kw_only=True)
class NetworkExperiment(ConvertedExperiment):
    """Any network: how well it works on chips over time, and what it costs there.

    Parameters
    ----------
    figures : what is judged, the headline first: of classes ``accuracy`` and ``top5``, or of values ``mse``, ``mae``
        and ``r2``
    digital : patterns over paths of modules that stay digital
    replicas : copies of layers' arrays, which take turns at the positions of a convolution or a sequence: a number for
        all layers, or numbers by pattern over their paths, of which the first that matches holds
    shared_tiles : patterns over paths of layers that may share tiles
    equalised : scale channels between layers so that small ones do not drown in the errors of cells, where that leaves
        the network what it is
    training : training in software before anything else, of a network that comes without weights
    """

    kind: Literal["network"] = "network"
    name: str = "network"
    model: NetworkModel
    data: NetworkData = NetworkData()
    figures: Annotated[tuple[Figure, ...], Len(1, 5)] = ("accuracy",)
    calibration: Calibration = Calibration()
    digital: Annotated[tuple[str, ...], Len(0, 1000)] = ()
    replicas: Copies | dict[str, Copies] = field(default=1, hash=False)
    shared_tiles: Annotated[tuple[str, ...], Len(0, 1000)] = ()
    equalised: bool = True
    training: SoftwareTraining | None = None
    evaluation: NetworkEvaluation = NetworkEvaluation()

    def trains(self, given: bool) -> bool:
        """Whether the network is trained in software; ``given``: it comes with weights."""
        return self.training is not None and (self.training.tune_given_weights or not given)

    def __post_init__(self) -> None:
        super().__post_init__()
        classes = [name in CLASSES for name in self.figures]
        if len(set(self.figures)) < len(self.figures) or (any(classes) and not all(classes)):
            raise InputError(
                "figures: each once, and either of classes (accuracy, top5) or of values (mse, mae, r2) "
                f"(got {', '.join(self.figures)})"
            )
        check_times(self.variants, self.evaluation.times_s)
