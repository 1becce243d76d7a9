"""Zero-shot retrieval: which recordings, digits, liquids and ways to learn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Interval, Len

from mappings.liquid.liquid import Liquid
from workloads.experiment import Experiment, Variant, Variants
from workloads.lsm.binning import NTIDIGITS_BINNING
from workloads.lsm.breaking import ParameterSweep
from workloads.lsm.chips import check_front_end
from workloads.lsm.data import EventData
from workloads.zeroshot.learning import Contrastive


@dataclass(frozen=True, kw_only=True)
class TwoLiquids:
    """The liquid that sees (``image``) and the one that hears (``audio``)."""

    image: Liquid = Liquid(gain_per_uS=0.3)
    audio: Liquid = Liquid(inputs=64, gain_per_uS=0.1)

    def each(self) -> tuple[Liquid, Liquid]:
        """Both, the image's first."""
        return self.image, self.audio


@dataclass(frozen=True, kw_only=True)
class ZeroShotVariant(Variant):
    """One pair of liquids to compare.

    Parameters
    ----------
    chip : both liquids
    aim : allowed loss of the first metric against software, in points
    """

    chip: TwoLiquids
    aim: float | None = None

    def __post_init__(self) -> None:
        check_front_end(self.chip.image, "chip.image")
        check_front_end(self.chip.audio, "chip.audio")


@dataclass(frozen=True, kw_only=True)
class ZeroShotEvaluation:
    """How retrieval is judged.

    Parameters
    ----------
    chips : seeds: pairs of chips, each with projections of its own start and order, and as many in software
    per_class : at most so many test recordings of a class and sense, as the paper's 100
    sweep_chips, sweep_epochs : seeds and epochs at each point of a sweep
    methods : further ways to learn, judged on the headline's rates
    """

    chips: Annotated[int, Interval(ge=1, le=1000)] = 8
    per_class: Annotated[int, Interval(ge=1, le=1_000_000)] = 100
    sweep_chips: Annotated[int, Interval(ge=1, le=1000)] = 2
    sweep_epochs: Annotated[int, Interval(ge=1, le=10_000)] = 10
    methods: Annotated[tuple[Contrastive, ...], Len(0, 100)] = ()


@dataclass(frozen=True, kw_only=True)
class ZeroShot(Experiment[ZeroShotVariant]):
    """Sounds of digits find pictures of them, learnt on some digits and asked of others as well.

    Parameters
    ----------
    image, audio : the recordings. Test recordings of seen digits are those of the first part of the first split; of
        unseen digits, which are never trained on, all recordings are asked
    seen, unseen : labels of digits
    learning : how the projections learn; the epoch is chosen on validation recordings of seen digits
    """

    kind: Literal["zeroshot"] = "zeroshot"
    name: str = "zeroshot"
    image: EventData = EventData(sense="vision", folds=4, validation=0.15)
    audio: EventData = EventData(sense="audio", splits=("official",), binning=NTIDIGITS_BINNING)
    seen: Annotated[tuple[str, ...], Len(2)] = ("1", "2", "3", "4", "5", "6", "7")
    unseen: Annotated[tuple[str, ...], Len(2)] = ("8", "9")
    learning: Contrastive = Contrastive()
    chip: TwoLiquids = TwoLiquids()
    variants: Variants[ZeroShotVariant]
    evaluation: ZeroShotEvaluation = ZeroShotEvaluation()
    sweeps: Annotated[tuple[ParameterSweep, ...], Len(0, 100)] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if set(self.seen) & set(self.unseen):
            raise ValueError(f"unseen must not hold what is seen (got {', '.join(set(self.seen) & set(self.unseen))})")
        if any(sweep.what in ("readout_bits", "stuck_later", "retention", "time") for sweep in self.sweeps):
            raise ValueError("sweeps must be of what is true before training, and not of read-out bits")
