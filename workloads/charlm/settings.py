"""A character model: text, network, training, and the chips to compare."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Gt, Interval, Len

from devices import InputError
from workloads.charlm.model import CharacterModel
from workloads.charlm.text import TextData
from workloads.charlm.training import TextTraining
from workloads.experiment import Evaluation
from workloads.network.settings import ConvertedExperiment, NetworkVariant
from workloads.on_chips import check_times


@dataclass(frozen=True, kw_only=True)
class TextEvaluation(Evaluation):
    """How chips are judged.

    Parameters
    ----------
    characters : at most so many of the text to test on, the first ones; None takes all
    streams : equal pieces of it that are read side by side; 64 share one stream of read noise
    window : characters of each that are read together; states go on to the next window
    """

    characters: Annotated[int, Interval(ge=2, le=100_000_000)] | None = 20_000
    streams: Annotated[int, Interval(ge=1, le=65_536)] = 64
    window: Annotated[int, Interval(ge=1, le=65_536)] = 64


@dataclass(frozen=True, kw_only=True)
class TextCalibration:
    """By what the ranges of inputs and converters are chosen.

    Parameters
    ----------
    characters : at most so many of the text to train on, the first ones, read as the test is
    percentile : share of the values that a range holds, in percent; what lies beyond is clipped
    """

    characters: Annotated[int, Interval(ge=2, le=100_000_000)] = 16_384
    percentile: Annotated[float, Interval(ge=50.0, le=100.0)] = 100.0


@dataclass(frozen=True, kw_only=True)
class SampledText:
    """What chips write themselves: each character is drawn from what they gave for the ones before.

    Parameters
    ----------
    characters : to write
    prompt : what they read first
    temperature : divides the logits; low ones write what is likely [1]
    of : whose chips write: those of the ``default`` variant, of ``all``, or of the default one and of those that change
        with time, ``drifting``
    chips : so many of each variant, the first ones
    """

    characters: Annotated[int, Interval(ge=1, le=100_000)] = 120
    prompt: Annotated[str, Len(1, 10_000)] = "\n"
    temperature: Annotated[float, Gt(0.0), Interval(le=100.0)] = 0.7
    of: Literal["default", "drifting", "all"] = "drifting"
    chips: Annotated[int, Interval(ge=1, le=100_000)] = 1

    def by(self, variant: NetworkVariant) -> bool:
        """Whether this variant's chips write."""
        drifts = self.of == "drifting" and any(chip.drifts for chip in variant.chips)
        return variant.default or self.of == "all" or drifts


@dataclass(frozen=True, kw_only=True)
class CharacterExperiment(ConvertedExperiment):
    """Characters of a text, predicted by an LSTM on chips.

    A variant's ``aim`` is in hundredths of a bit per character.

    Parameters
    ----------
    weights : a network that is there already, with its vocabulary: one that ships with mho, or a file; it is not
        trained
    weights_for_chips : the same network trained on for chips, which then hold it: one that ships, or a file
    training : in software, of a network without weights
    sample : text that chips write at every time; None for none
    """

    kind: Literal["charlm"] = "charlm"
    name: str = "charlm"
    data: TextData = TextData()
    model: CharacterModel = CharacterModel()
    weights: str | None = None
    weights_for_chips: str | None = None
    training: TextTraining = TextTraining()
    calibration: TextCalibration = TextCalibration()
    evaluation: TextEvaluation = TextEvaluation()
    sample: SampledText | None = SampledText()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.weights_for_chips is not None and self.weights is None:
            raise InputError("weights_for_chips: only beside weights, the same network in software (got none)")
        if self.weights_for_chips is not None and self.hardware_training is not None:
            raise InputError("hardware_training: either this or weights_for_chips; null leaves out one of them")
        check_times(self.variants, self.evaluation.times_s)
