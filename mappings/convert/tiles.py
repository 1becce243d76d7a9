"""Layers of a converted network that lie on tiles: their parameters, ranges and the three ways in which they compute.

``software``: as torch does; ``formats``: rounded as the chip rounds, without noise and with straight-through gradients
(``mappings.network.aware``); ``run``: on chips that were programmed.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch import fx
from torch.nn.functional import linear

from devices import BlockNoise, ChipStreams, InputError, Stream
from mappings.activity import Activity
from mappings.chip import Chip
from mappings.contract import WordFormat
from mappings.convert.functions import fitted_function
from mappings.convert.saving import read_graph, written_graph
from mappings.matrix import WeightMatrix
from mappings.network.aware import coded, digitised, pulsed
from mappings.network.dense import DenseLayer, ends_z
from mappings.network.layer import MappedMatrixLayer, MatrixLayerRead
from periphery import FUNCTIONS, Function, identity

Norm = Sequence[Any]
Values = list[torch.Tensor | None]

KEPT = 1 << 16
"""Values of a batch of which quantiles are taken."""
BIAS_LINES = 16
"""Word lines of a layer that its bias may take: inputs much smaller than the bias are given a wider range instead; an
estimate of where lines cost more than resolution."""
SMALLEST, LARGEST = 1e-15, 1e15
"""Between these the largest value of a layer must lie: squares of a thousandth of it fit into single precision."""
CALIBRATION = 64
"""Vectors of inputs that are kept for ranges and levels that follow data."""


@dataclass
class Observed:
    """What a layer was seen to do in software: samples of its inputs' sizes and of its pre-activations."""

    sizes: list[torch.Tensor] = field(default_factory=list)
    largest: float = 0.0
    least: float = float("inf")
    z: list[torch.Tensor] = field(default_factory=list)
    ends: tuple[float, float] = (float("inf"), float("-inf"))
    inputs: list[torch.Tensor] = field(default_factory=list)

    def add(self, x: torch.Tensor, z: torch.Tensor) -> None:
        """Add a batch."""
        if not x.numel():
            raise InputError("batches: at least one sample each (got an empty one)")
        if not (bool(x.isfinite().all()) and bool(z.isfinite().all())):
            raise InputError("batches: values must be finite, and what a layer makes of them")
        self.sizes.append(_some(x).abs())
        self.z.append(_some(z))
        self.largest = max(self.largest, float(x.abs().max()))
        self.least = min(self.least, float(x.min()))
        self.ends = min(self.ends[0], float(z.min())), max(self.ends[1], float(z.max()))
        self.inputs.append(_spread(x.detach(), CALIBRATION).clone())
        if sum(map(len, self.inputs)) > 4 * CALIBRATION:
            self.inputs = [_spread(torch.cat(self.inputs), 2 * CALIBRATION)]

    def range_of_inputs(self, percentile: float) -> float:
        """Size below which so many of the inputs lie."""
        if percentile == 100.0:
            return self.largest
        return float(torch.quantile(torch.cat(self.sizes)[: 16 * KEPT], percentile / 100.0))

    def range_of_z(self, percentile: float) -> tuple[float, float]:
        """Ends between which so many of the pre-activations lie, as many beyond either."""
        if percentile == 100.0:
            return self.ends
        share = 0.5 * (1.0 - percentile / 100.0)
        some = torch.cat(self.z)[: 16 * KEPT]
        return float(torch.quantile(some, share)), float(torch.quantile(some, 1.0 - share))


@dataclass(frozen=True)
class Pack:
    """A weight matrix ``(outputs, inputs)`` on an array of its own, its bias, and which inputs it takes."""

    weight: torch.Tensor
    bias: torch.Tensor | None
    inputs: slice


class TileModule(torch.nn.Module):
    """One layer on tiles.

    ``name``: in tables, the path of its module; ``target``: of its calls in the graph; ``how``: what a call computes;
    ``disturb``: what gives a weight matrix the errors of cells while a network is trained, or None. Ranges are buffers,
    so that they are saved with the weights: ``input_limit``, ``input_least`` (the lowest input), ``low`` and ``high``
    of the pre-activation.
    """

    target: str
    kind: str
    input_limit: torch.Tensor
    input_least: torch.Tensor
    low: torch.Tensor
    high: torch.Tensor
    calibration: torch.Tensor | None

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name, self.path = name, name
        self.how: Literal["software", "formats"] = "formats"
        self.chip: Chip | None = None
        self.observed: Observed | None = None
        self.disturb: Callable[[torch.Tensor], torch.Tensor] | None = None
        for buffer in ("input_limit", "input_least", "low", "high"):
            self.register_buffer(buffer, torch.tensor(float("nan"), dtype=torch.float64))
        self.register_buffer("calibration", None)

    def forward(self, *values: torch.Tensor | None) -> Any:
        """Outputs for values, as ``how`` says."""
        if self.how == "software":
            return self.software(*values)
        return self.formats(*values)

    def observe(self) -> None:
        """Collect what the next calls in software see."""
        self.observed = Observed()

    def settle(self, chip: Chip, percentile: float, *, ranges: bool = True) -> None:
        """Choose ranges and what else follows data by what was observed; a layer that was not called keeps what it
        had.

        Raises InputError for values of sizes whose variances single precision does not hold.
        """
        seen = self.observed
        if seen is None or not seen.sizes:
            return
        for what, size in (("inputs", seen.largest), ("sums", max(map(abs, seen.ends)))):
            if size != 0.0 and not SMALLEST <= size <= LARGEST:
                raise InputError(
                    f"{self.name}: {what} must be of sizes from {SMALLEST:g} to {LARGEST:g}, since chips compute in "
                    f"single precision (got at most {size:.3g}); scale the data"
                )
        if ranges:
            self.input_limit.fill_(seen.range_of_inputs(percentile) or 1.0)
            self.input_least.fill_(seen.least)
            low, high = seen.range_of_z(percentile)
            self.low.fill_(low)
            self.high.fill_(high if high > low else low + 1.0)
        if chip.follows_data or chip.compensation.mode == "affine":
            self.calibration = _spread(torch.cat(seen.inputs), CALIBRATION)

    def words(self, chip: Chip) -> WordFormat:
        """The format of the inputs."""
        limit = float(self.input_limit)
        return WordFormat(bits=chip.bits, limit=limit if limit == limit else chip.driver.x_max)

    @property
    def described(self) -> str:
        """What is computed, for tables."""
        return self.kind

    def record(self) -> dict[str, Any]:
        """What a file keeps beside the tensors."""
        return {"kind": self.kind, "target": self.target}

    @classmethod
    @abstractmethod
    def of_record(cls, name: str, record: dict[str, Any], tensors: dict[str, torch.Tensor]) -> TileModule:
        """The layer that a file describes."""

    def restored(self, record: dict[str, Any], tensors: dict[str, torch.Tensor]) -> TileModule:
        """The same with its name in the graph and all its tensors."""
        self.target = record["target"]
        if "calibration" in tensors:
            self.calibration = tensors["calibration"]
        self.load_state_dict({"input_least": self.input_least} | tensors)  # of which older files know nothing
        return self

    def counts(self, x: torch.Tensor) -> torch.Tensor:
        """Inputs in clock periods of the word lines."""
        assert self.chip is not None
        words = self.words(self.chip)
        return self.chip.of_words(words).counts(x)

    @abstractmethod
    def software(self, *values: torch.Tensor | None) -> Any:
        """As torch computes the layer."""

    @abstractmethod
    def formats(self, *values: torch.Tensor | None) -> Any:
        """As an ideal chip of these formats does, differentiably."""

    @abstractmethod
    def outline(self, *values: torch.Tensor | None) -> Any:
        """Outputs of the right shapes on the meta device."""

    @abstractmethod
    def steps(self, x: torch.Tensor) -> int:
        """Products of the matrix for inputs of this shape."""

    @abstractmethod
    def map(self, chip: Chip) -> dict[str, MappedMatrixLayer]:
        """Where the layer goes with its present weights: its arrays by name, most often one."""

    @abstractmethod
    def run(
        self,
        reads: Sequence[MatrixLayerRead],
        values: Values,
        *,
        chips: int,
        rng: ChipStreams,
        activity: Sequence[Activity | None],
    ) -> Any:
        """Outputs ``(chips, ...)`` of the layer's chips for values ``(chips | 1, ...)``; ``rng``: streams of read noise
        of this block of samples"""


class TileProduct(TileModule):
    """A product with a weight matrix or kernel, the normalisation behind it folded in, and a function of its sums.

    ``weight``, ``bias``: parameters; ``norm_*``: of a batch normalisation, whose moments stay as they are.
    """

    norm_mean: torch.Tensor
    norm_var: torch.Tensor

    def __init__(
        self, name: str, weight: torch.Tensor, bias: torch.Tensor | None, *, norm: Norm | None, **how: Any
    ) -> None:
        super().__init__(name)
        self.weight = own(weight)
        self.bias = None if bias is None else own(bias)
        self.eps = 0.0
        self.normalised = norm is not None
        if norm is not None:
            gamma, beta, mean, variance, self.eps = norm
            self.norm_weight = own(torch.ones_like(mean) if gamma is None else gamma)
            self.norm_bias = own(torch.zeros_like(mean) if beta is None else beta)
            self.register_buffer("norm_mean", mean.detach())
            self.register_buffer("norm_var", variance.detach())
        self.function_name = ""
        self.function: torch.nn.Module | None = None

    def set_function(self, name: str, function: torch.nn.Module) -> None:
        """Let the converters compute a function of the sums; ``name``: the calls that it is made of."""
        self.function_name, self.function = name, function

    @property
    def folded(self) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Weight and bias with the normalisation in them: ``g (W x + b - m) / sqrt(v + eps) + h``."""
        if not self.normalised:
            return self.weight, self.bias
        scale = self.norm_weight * torch.rsqrt(self.norm_var + self.eps)
        shift = self.norm_bias - self.norm_mean * scale
        weight = self.weight * scale.reshape(-1, *[1] * (self.weight.dim() - 1))
        return weight, shift if self.bias is None else shift + scale * self.bias

    def of_function(self) -> Function | None:
        """The function on the range of pre-activations; None for a plain product."""
        if self.function is None:
            return None
        return fitted_function(self.function_name, self.function, float(self.low), float(self.high))

    def words(self, chip: Chip) -> WordFormat:
        """The format of the inputs, of a range for which the bias needs few word lines; without a sign where the driver
        has a form for that and no input was seen below 0."""
        words, (weight, bias) = super().words(chip), self.folded
        if chip.driver.takes_unsigned and float(self.input_least) >= 0.0:
            words = replace(words, kind="unsigned")
        if bias is None or weight.is_meta or bias.is_meta:
            return words
        largest, level = torch.stack([one.detach().abs().max() for one in (weight, bias)]).tolist()
        least = level / (BIAS_LINES * largest) if largest > 0.0 else 0.0
        return replace(words, limit=max(words.limit, least))

    @property
    def limit(self) -> float:
        """Output at full scale of a plain product, either sign."""
        limit = max(map(abs, torch.stack([self.low, self.high]).tolist()))
        return limit if limit == limit and limit > 0.0 else 1.0

    @property
    @abstractmethod
    def packs(self) -> list[Pack]:
        """The arrays of the layer, which work at the same time."""

    def map(self, chip: Chip) -> dict[str, MappedMatrixLayer]:
        """The arrays on their tiles, with names of their own where there are several."""
        found, function, words, packs = {}, self.of_function(), self.words(chip), self.packs
        for number, pack in enumerate(packs, 1):
            name = self.name if len(packs) == 1 else f"{self.name} ({number} of {len(packs)})"
            layer = DenseLayer.from_torch(
                host(pack.weight),
                None if pack.bias is None else host(pack.bias),
                limit=self.limit,
                function=function,
                measures_drift=True,
                bias_pulse="shortest",
            )
            counts = None
            if (layer.follows_data(chip) or chip.compensation.mode == "affine") and self.calibration is not None:
                counts = self.counts(self.rows(self.calibration)[..., pack.inputs].float()).cpu()
            found[name] = layer.map(chip, name=name, inputs=words, calibration=counts)
        return found

    @property
    def inputs(self) -> int:
        """Word lines that values drive, over all arrays."""
        return self.weight[0].numel()

    def rows(self, x: torch.Tensor) -> torch.Tensor:
        """The vectors of which products are formed, ``(n, inputs)``, for inputs with a batch."""
        return x.flatten(0, -2)

    def disturbed(self) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Folded weight and bias; in training with the errors of all cells of their arrays: those of the bias, whose
        lines are always driven, and those that hold no weight. Where arrays hold groups, the weight is that of one."""
        weight, bias = self.folded
        if not self.training or self.disturb is None or self.chip is None:
            return weight, bias
        words, held, shifts = self.words(self.chip), list[torch.Tensor](), list[torch.Tensor]()
        chip = self.chip.of_words(words)
        for pack in self.packs:
            rows, lines = [pack.weight], 0
            matrix, bias_x = WeightMatrix((pack.weight,), pack.bias, bias_pulse="shortest"), words.limit
            if pack.bias is not None and (lines := matrix.bias_rows(chip)):
                bias_x = matrix.bias_counts(chip, lines) * chip.driver.lsb(chip.bits)
                rows.append((pack.bias / bias_x / lines)[:, None].expand(-1, lines))
            array = self.disturb(torch.cat(rows, dim=1))
            inputs = pack.weight.shape[1]
            first = 0 if pack.inputs.start is None else pack.inputs.start
            held.append(torch.nn.functional.pad(array[:, :inputs], (first, self.inputs - first - inputs)))
            shifts.append(array[:, inputs:].sum(1) * bias_x)
        whole = torch.cat(held).unflatten(1, (-1, *weight.shape[2:]))
        if bias is None or chip.compensation.mode == "affine":  # whose offsets take out what bias cells do
            return whole, bias
        return whole, torch.cat(shifts)

    def coded(self, z: torch.Tensor, chip: Chip) -> torch.Tensor:
        """Outputs for sums ``z``, as the codes of the converters give them."""
        if chip.rounding == "none":
            return z if self.function is None else self.function(z)
        function = self.of_function()
        limit, bits = self.limit, chip.bits
        if function is None:
            limit, bits = chip.output.limit or limit, chip.output.bits
        if function is not None:
            known = FUNCTIONS.get(function.name)
            # Ramps end with the range, beyond which one's own function is not asked: what turns there is not followed.
            if known is None or (chip.readout == "ramp" and known.branches):
                z = z.clamp(float(self.low), float(self.high))
        if chip.readout == "conventional":
            ends = (-limit, limit) if function is None else ends_z(chip, function, limit)
            z = digitised(z, *ends, chip.adc_bits if function is not None else max(bits, chip.adc_bits))
        if self.function is None or function is None:
            return coded(z, identity(limit), bits)
        return coded(self.function(z), function, bits)

    def driven(self, x: torch.Tensor, chip: Chip) -> torch.Tensor:
        """Inputs as the drivers give them."""
        words = self.words(chip)
        if chip.rounding == "none":
            return x
        if words.kind == "unsigned":  # reaches as far with one bit more
            return pulsed(x.clamp(min=0.0), words.limit, words.bits + 1)
        return pulsed(x, words.limit, words.bits)

    @property
    def described(self) -> str:
        """What is computed, for tables."""
        return " + ".join(filter(None, (self.kind, "batch_norm" if self.normalised else "", self.function_name)))

    def record(self) -> dict[str, Any]:
        """What a file keeps beside the tensors."""
        function = None
        if isinstance(self.function, fx.GraphModule):
            function = {"name": self.function_name, "graph": written_graph(self.function.graph)}
        return super().record() | {"normalised": self.normalised, "eps": self.eps, "function": function}

    @classmethod
    def of_record(cls, name: str, record: dict[str, Any], tensors: dict[str, torch.Tensor]) -> TileModule:
        """The layer that a file describes."""
        norm = None
        if record["normalised"]:
            norm = [tensors[f"norm_{one}"] for one in ("weight", "bias", "mean", "var")] + [record["eps"]]
        made = cls(name, tensors["weight"], tensors.get("bias"), norm=norm, **cls.options(record))
        if record["function"] is not None:
            graph = read_graph(record["function"]["graph"])
            made.set_function(record["function"]["name"], fx.GraphModule({}, graph))
        return made.restored(record, tensors)

    @classmethod
    def options(cls, record: dict[str, Any]) -> dict[str, Any]:
        """Further arguments of the layer."""
        return {}


class TileLinear(TileProduct):
    """``y = f(W x + b)`` over the last dimension; ``turned``: the parameter is ``(inputs, outputs)``."""

    kind = "linear"

    def __init__(
        self,
        name: str,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        *,
        norm: Norm | None = None,
        turned: bool = False,
    ) -> None:
        super().__init__(name, weight.T if turned else weight, bias, norm=norm)

    def software(self, *values: torch.Tensor | None) -> torch.Tensor:
        """The product, its normalisation and its function in torch."""
        (x,) = values
        assert x is not None
        z = linear(x, *self.folded)
        if self.observed is not None:
            self.observed.add(x, z)
        return z if self.function is None else self.function(z)

    def formats(self, *values: torch.Tensor | None) -> torch.Tensor:
        """The same with inputs and outputs rounded."""
        (x,), chip = values, self.chip
        assert x is not None
        assert chip is not None
        return self.coded(linear(self.driven(x, chip), *self.disturbed()), chip)

    def outline(self, *values: torch.Tensor | None) -> torch.Tensor:
        """Shape of the outputs."""
        (x,) = values
        assert x is not None
        return x.new_empty((*x.shape[:-1], self.weight.shape[0]))

    def steps(self, x: torch.Tensor) -> int:
        """One product for each vector of inputs."""
        return x[..., 0].numel()

    @property
    def packs(self) -> list[Pack]:
        """One array with everything."""
        return [Pack(*self.folded, slice(None))]

    def run(
        self,
        reads: Sequence[MatrixLayerRead],
        values: Values,
        *,
        chips: int,
        rng: ChipStreams,
        activity: Sequence[Activity | None],
    ) -> torch.Tensor:
        """Outputs of the layer's chips."""
        (x,), (read,), (did,) = values, reads, activity
        assert x is not None
        rows = self.counts(x.flatten(1, -2).float())
        y = read.run(rows, noise=BlockNoise(rng, [0], rows.shape[1], rows.device), activity=did)
        return y.reshape(chips, *x.shape[1:-1], y.shape[-1]).to(x.dtype)


def own(values: torch.Tensor) -> torch.nn.Parameter:
    """A layer's parameter: that of the traced module itself, so that layers which share it train it once, and one that
    is not trained stays so; else one with these values."""
    return values if isinstance(values, torch.nn.Parameter) else torch.nn.Parameter(values.detach())


def host(values: torch.Tensor) -> torch.Tensor:
    """Weights where cells are written: on the CPU, unless they have no values."""
    return values.detach() if values.is_meta else values.detach().cpu()


def _spread(x: torch.Tensor, most: int) -> torch.Tensor:
    """At most so many samples, from the first to the last: data often come in the order of their classes."""
    if len(x) <= most:
        return x
    return x[torch.linspace(0, len(x) - 1, most).round().long().to(x.device)]


def _some(values: torch.Tensor) -> torch.Tensor:
    """At most so many of the values, drawn at random: a fixed stride would meet only some channels or columns."""
    flat = values.detach().flatten()
    if flat.numel() > KEPT:
        drawn = torch.randint(flat.numel(), (KEPT,), generator=Stream.root(0).child("observed").torch())
        flat = flat[drawn.to(flat.device)]
    return flat.double()
