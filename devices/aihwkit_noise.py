"""Any noise model of aihwkit as a device, so that a user's model can be used.

aihwkit's inference noise models answer three questions in uS: the conductance after programming, a drift coefficient
per cell, and the conductance at a time. They draw every answer anew from torch's global generator. Here each answer of
each chip is drawn with the generator at that chip's stream, and the generator is restored afterwards, so that chips are
independent, repeatable and untouched by what runs beside.

The models publish marginals: a fresh slow noise at every time asked. The coupling assumed here is that a cell draws the
*same* random numbers at every time (the key names the cell and not the time), so its slow noise keeps its rank, with a
correlation of one between times; the other kinds of mho use a path instead. At t = 0 a cell is as programming left it.

A record may name the models that aihwkit ships; another model is an object: ``AihwkitNoise.of(model)``.

Source: Rasch et al., AICAS 2021, doi 10.1109/AICAS51828.2021.9458494, and the source of the model chosen.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Literal

import torch

from configs.errors import InputError
from devices.base import Cells, Device
from devices.streams import ChipStreams, Stream

MODELS = {
    "PCMLikeNoiseModel": "pcm",
    "CustomDriftPCMLikeNoiseModel": "pcm",
    "HermesNoiseModel": "hermes",
    "ReRamWan2022NoiseModel": "reram",
    "ReRamCMONoiseModel": "reram",
    "StateIndependentNoiseModel": "custom",
}
SPREAD_DRAWS = 1024
_global_generator = threading.Lock()


@contextmanager
def _at(stream: Stream) -> Iterator[None]:
    """Torch's global generator of the CPU at the start of a stream, and as it was afterwards."""
    with _global_generator, torch.random.fork_rng(devices=[]):
        torch.default_generator.set_state(stream.state)
        yield


@dataclass(frozen=True, kw_only=True)
class AihwkitNoise(Device):
    """A cell that errs, drifts and is noisy as one of aihwkit's inference noise models.

    The model works on the CPU, chip by chip, whatever the device of the tensors. Gradients pass to the targets as if
    errors and drift were added. A model must draw from torch's global generator alone.

    Parameters
    ----------
    model : class of the noise model in aihwkit
    parameters : its keyword arguments; ``g_max`` and ``g_min`` follow from ``g_max_S`` and ``g_min_S``
    """

    kind: Literal["aihwkit"] = "aihwkit"
    status: str = "published"
    g_min_S: float = 0.0
    g_max_S: float = 25e-6
    model: str = "PCMLikeNoiseModel"
    parameters: dict[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.model not in MODELS:
            raise InputError(f"model must be one of {', '.join(MODELS)} (got {self.model})")
        ranges = {"g_max", "g_min", "g_converter"} & set(self.parameters)
        if ranges:
            raise InputError(f"parameters must not hold {', '.join(sorted(ranges))}: g_max_S and g_min_S set the range")

    @property
    def name(self) -> str:
        """The model's class, for messages."""
        return self.model

    @classmethod
    def of(cls, noise_model: Any, **fields: Any) -> AihwkitNoise:
        """The device of a noise model at hand, with aihwkit's methods; its range is the model's ``g_max`` [uS]."""
        converter = getattr(noise_model, "g_converter", None)
        g_max_uS = getattr(noise_model, "g_max", None) or getattr(converter, "g_max", None)
        if "g_max_S" not in fields and g_max_uS is None:
            raise InputError(f"{type(noise_model).__name__} has no g_max: give g_max_S [S]")
        g_min_uS = getattr(noise_model, "g_min", None) or getattr(converter, "g_min", None) or 0.0
        ranges = {"g_min_S": g_min_uS / 1e6, **({"g_max_S": g_max_uS / 1e6} if g_max_uS is not None else {})}
        return _Given(noise_model=noise_model, **{"source": "the user's own", "status": "generic", **ranges, **fields})

    def peer(self) -> Any:
        """The noise model, made anew.

        Raises InputError where aihwkit is not installed or does not load, or does not take the parameters.
        """
        try:
            made = getattr(import_module(f"aihwkit.inference.noise.{MODELS[self.model]}"), self.model)
        except ModuleNotFoundError as error:
            if (error.name or "").split(".")[0] != "aihwkit":
                raise
            raise InputError(
                "kind: aihwkit needs aihwkit, which is not installed: pip install aihwkit (wheels for Linux on x86-64; "
                "1.1.0 for Python below 3.12)"
            ) from None
        except (ImportError, AttributeError) as error:
            raise InputError(f"the aihwkit installed here does not give {self.model}: {error}") from None
        takes = set(inspect.signature(made).parameters)
        unknown = sorted(set(self.parameters) - takes)
        if unknown:
            allowed = ", ".join(sorted(takes - {"g_max", "g_min", "g_converter"}))
            raise InputError(f"parameters of {self.model} must be among {allowed} (got {', '.join(unknown)})")
        ranges = {"g_max": self.g_max_S * 1e6, "g_min": self.g_min_S * 1e6}
        try:
            return made(**{name: value for name, value in ranges.items() if name in takes}, **self.parameters)
        except (AssertionError, ValueError, TypeError) as error:
            raise InputError(f"{self.model} refuses its parameters: {error}") from None

    @property
    def evolves(self) -> bool:
        """True: whether a model's parameters switch its drift off is not known."""
        return True

    def programming_sigma_S(self, target_S: torch.Tensor) -> torch.Tensor:
        """Standard deviation of 1024 draws at each target (good to 2 %) [S]."""
        stream = ChipStreams((Stream.root(0).child("spread"),))
        many = target_S.detach().reshape(1, 1, -1).expand(1, SPREAD_DRAWS, -1)
        (drawn,) = self._drawn(many, self.peer().apply_programming_noise_to_conductance, stream)
        return (drawn.std(dim=0).reshape(target_S.shape) * 1e-6).to(target_S)

    def cell_state(self, target_S: torch.Tensor, *, rng: ChipStreams) -> dict[str, torch.Tensor]:
        """The model's drift coefficient of every cell, in the model's unit, where it has one."""
        peer = self.peer()

        def coefficients(g_uS: torch.Tensor) -> torch.Tensor:
            nu = peer.generate_drift_coefficients(g_uS)
            return torch.empty(0) if nu is None else nu

        drawn = torch.stack(self._drawn(target_S, coefficients, rng.child("drift")))
        return {"nu": drawn.to(target_S)} if drawn.shape == target_S.shape else {}

    def written_S(self, target_S: torch.Tensor, state: dict[str, torch.Tensor], *, rng: ChipStreams) -> torch.Tensor:
        """The model's conductance after programming [S]."""
        drawn = self._drawn(target_S, self.peer().apply_programming_noise_to_conductance, rng.child("error"))
        return self._added(target_S, drawn)

    def evolve_S(self, cells: Cells, t_s: float) -> torch.Tensor:
        """The model's conductance at a time [S]. Raises ValueError for a time that the model refuses."""
        if t_s == 0.0:
            return cells.programmed_S
        assert cells.slow is not None
        peer = self.peer()

        def at_time(g_uS: torch.Tensor, *nu: torch.Tensor) -> torch.Tensor:
            aged: torch.Tensor = peer.apply_drift_noise_to_conductance(g_uS, nu[0] if nu else None, t_s)
            return aged

        try:
            drawn = self._drawn(cells.programmed_S, at_time, cells.slow, *cells.state.values())
        except Exception as error:
            if not type(error).__module__.startswith("aihwkit"):
                raise
            raise InputError(f"{self.name} refuses t_s = {t_s:g}: {error}") from None
        return self._added(cells.programmed_S, drawn)

    def _drawn(
        self, g_S: torch.Tensor, answer: Callable[..., torch.Tensor], streams: ChipStreams, *beside: torch.Tensor
    ) -> list[torch.Tensor]:
        """A model's answer to the conductances of each chip in uS, drawn at that chip's stream."""
        answers = []
        for chip, stream in enumerate(streams.streams):
            extra = [x[chip].detach().cpu() for x in beside]
            with torch.no_grad(), _at(stream):
                got = answer(g_S[chip].detach().cpu() * 1e6, *extra)
            if not bool(torch.isfinite(got).all()):
                raise ValueError(f"{self.name} answered with a number that is not finite")
            answers.append(got)
        return answers

    def _added(self, before_S: torch.Tensor, drawn_uS: list[torch.Tensor]) -> torch.Tensor:
        g = (torch.stack(drawn_uS) * 1e-6).clamp_min(0.0).to(before_S)
        return before_S + (g - before_S).detach() if before_S.requires_grad else g


@dataclass(frozen=True, kw_only=True)
class _Given(AihwkitNoise):
    """A noise model that was made elsewhere."""

    noise_model: Any = None

    @property
    def name(self) -> str:
        return type(self.noise_model).__name__

    def peer(self) -> Any:
        return self.noise_model
