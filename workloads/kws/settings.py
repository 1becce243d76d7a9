"""Keyword spotting: which recordings, features, network, training and chips."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Interval

from devices import Ideal, InputError
from mappings.chip import CellState, Chip, Weights
from periphery import PWMDriver, RampColumn
from workloads.experiment import Evaluation, Experiment, Times, Variants
from workloads.kws.augment import Augmentation
from workloads.kws.features import MFCC
from workloads.kws.model import KeywordModel
from workloads.kws.training import Training
from workloads.kws.weights import class_order
from workloads.on_chips import ChipVariant, check_times
from workloads.recordings.clips import CLIP_SAMPLES, LABELS


@dataclass(frozen=True, kw_only=True)
class KeywordData:
    """Which recordings, and how speakers are split.

    Parameters
    ----------
    full : download the 35-word training set (2.4 GB) rather than the 12-class test set
    splits : number of speaker splits; each trains its own network and its own chips
    split_seed : seed of the first split, apart from the experiment's seed; the others follow on
    fractions : shares of training, validation and test speakers: each above 0, of sum 1
    clips : at most so many clips, drawn evenly from all classes; None takes all
    """

    full: bool = False
    splits: Annotated[int, Interval(ge=1, le=100)] = 1
    split_seed: Annotated[int, Interval(ge=0, le=2**63 - 1)] = 0
    fractions: tuple[float, float, float] = (0.7, 0.1, 0.2)
    clips: Annotated[int, Interval(ge=24, le=10_000_000)] | None = None

    def __post_init__(self) -> None:
        if min(self.fractions) <= 0.0 or not math.isclose(sum(self.fractions), 1.0, rel_tol=1e-6):
            got = ", ".join(f"{share:g}" for share in self.fractions)
            raise InputError(f"fractions: must be three shares above 0 of sum 1 (got {got})")


@dataclass(frozen=True, kw_only=True)
class Features:
    """Sound to numbers in [-1, 1].

    Parameters
    ----------
    mfcc : cepstral coefficients
    normalisation : ``utterance`` (one mean and deviation a clip), ``corpus`` (one per coefficient, of the training
        part) or ``cepstral`` (per clip and coefficient, then ``corpus``)
    std_scale : so many standard deviations are full scale
    augmentation : variation of the training clips
    """

    mfcc: MFCC = MFCC()
    normalisation: Literal["utterance", "corpus", "cepstral"] = "cepstral"
    std_scale: Annotated[float, Interval(gt=0.0, le=10.0)] = 3.0
    augmentation: Augmentation = Augmentation()


@dataclass(frozen=True, kw_only=True)
class KeywordVariant(ChipVariant):
    """One piece of hardware to compare: its chip says only what differs from the experiment's."""

    def unfit_for(self, layers: Sequence[str]) -> list[str]:
        """Why its chip does not fit a network of these layers."""
        unknown = [layer for layer in self.chip.weights.stuck_maps if layer not in layers]
        names = f"{', '.join(layers[:-1])} and {layers[-1]}"
        return [f"chip.weights.stuck_maps: layers are {names} (got {', '.join(unknown)})"] if unknown else []


@dataclass(frozen=True, kw_only=True)
class KeywordEvaluation(Evaluation):
    """How chips are judged.

    Parameters
    ----------
    block : clips that share a stream of read noise (changing it changes the noise that is drawn)
    batch : clips handed to the chips together, in whole blocks (changes no figure)
    """

    times_s: Times = (0.0, 3600.0, 86400.0, 2592000.0)
    block: Annotated[int, Interval(ge=1, le=4096)] = 64
    batch: Annotated[int, Interval(ge=1, le=1_000_000)] = 512


@dataclass(frozen=True, kw_only=True)
class KeywordSpotting(Experiment[KeywordVariant]):
    """Twelve spoken commands by a small recurrent network whose gates a nonlinear ramp converts."""

    kind: Literal["kws"] = "kws"
    name: str = "kws"
    data: KeywordData = KeywordData()
    features: Features = Features()
    model: KeywordModel = KeywordModel()
    training: Training = Training()
    chip: Chip
    variants: Variants[KeywordVariant]
    evaluation: KeywordEvaluation = KeywordEvaluation()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.model.classes:
            try:
                class_order(self.model.classes, LABELS)
            except InputError as error:
                raise InputError(f"model.{problem}" for problem in error.problems) from None
        mfcc, steps = self.features.mfcc, self.model.readout_steps
        if mfcc.hop > 0 and steps > mfcc.frames(CLIP_SAMPLES):
            raise InputError(
                f"model.readout_steps: allowed are 1 to {mfcc.frames(CLIP_SAMPLES)}, the frames of a clip at "
                f"features.mfcc.hop_s = {mfcc.hop_s:g} s (got {steps})"
            )
        layers = self.model.names
        problems = [f"variants[{k}].{text}" for k, one in enumerate(self.variants) for text in one.unfit_for(layers)]
        if problems:
            raise InputError(problems)
        check_times(self.variants, self.evaluation.times_s)

    @property
    def hop_s(self) -> float:
        """Time from one frame of features to the next [s]."""
        return self.features.mfcc.hop_s

    @property
    def weight_noise(self) -> float:
        """Error of the weights in hardware-aware training, over the largest one [1]."""
        given = self.training.weight_noise
        return self.default.chip.weights.error() if given is None else given

    def retrains(self, given: bool) -> bool:
        """Whether chips hold a network that was trained on with their codes and noise; ``given``: by the user."""
        return self.training.aware.steps > 0 and (self.training.tune_given_weights or not given)


@dataclass(frozen=True)
class NumberFormat:
    """What of a chip a network is trained for: variants of one format share one network."""

    bits: int
    state: CellState
    x_max: float
    bias: Literal["row", "none"]

    @classmethod
    def of(cls, chip: Chip) -> NumberFormat:
        """The format of ``chip``."""
        return cls(chip.bits, chip.state, chip.driver.x_max, chip.bias)

    @property
    def chip(self) -> Chip:
        """An ideal chip of this format."""
        return Chip(
            weights=Weights(device=Ideal()),
            ramp=RampColumn(device=Ideal()),
            bits=self.bits,
            state=self.state,
            driver=PWMDriver(x_max=self.x_max),
            bias=self.bias,
        )

    @property
    def stream(self) -> str:
        """Name of the random stream of its training; it never changes."""
        return repr(self).replace(type(self).__name__, "Format", 1)
