"""What learns beside a liquid: one layer of weights on firing rates, and the few bits in which a chip stores it.

The liquid is random and fixed; a read-out sees how often each neuron fired and names the class. Three ways to find its
weights: ridge regression and logistic regression (scikit-learn), and gradient descent as in Lin et al., doi
10.1038/s43588-024-00751-z (torch). Rates are standardised by the training part alone.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import torch
from annotated_types import Gt, Interval, Len
from numpy.typing import NDArray
from pydantic import Field

from configs.errors import InputError
from devices.streams import Stream

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Positive = Annotated[float, Gt(0.0)]


@dataclass(frozen=True, kw_only=True)
class Standard:
    """Mean and deviation of every feature over the training part, (features,) each; a constant one is left as it is."""

    mean: Floats
    deviation: Floats

    @classmethod
    def fit(cls, features: NDArray[Any]) -> Standard:
        """Moments of ``features`` (n, features)."""
        x = np.asarray(features, np.float64)
        deviation = x.std(0)
        return cls(mean=x.mean(0), deviation=np.where(deviation > 0.0, deviation, 1.0))

    def apply(self, features: NDArray[Any]) -> Floats:
        """Standardised ``features`` (n, features)."""
        return (np.asarray(features, np.float64) - self.mean) / self.deviation


@dataclass(frozen=True)
class Trained:
    """A linear read-out of plain firing rates: ``weights`` (classes, features), ``bias`` (classes,), and the numbers of
    the classes between which it decides, ``classes`` (classes,)."""

    weights: Floats
    bias: Floats
    classes: Ints

    @classmethod
    def folded(cls, weights: Floats, bias: Floats, classes: Ints, standard: Standard) -> Trained:
        """The read-out of plain rates that equals ``weights``, ``bias`` on standardised ones."""
        plain = weights / standard.deviation
        return cls(plain, bias - plain @ standard.mean, classes)

    def scores(self, features: NDArray[Any]) -> Floats:
        """Score of every class (n, classes)."""
        return np.asarray(features, np.float64) @ self.weights.T + self.bias

    def predict(self, features: NDArray[Any]) -> Ints:
        """The class of each of ``features`` (n, features)."""
        return np.asarray(self.classes[self.scores(features).argmax(1)], np.int64)

    def accuracy(self, features: NDArray[Any], classes: Ints) -> float:
        """Share of ``features`` (n, features) whose class is right [1]."""
        return float((self.predict(features) == classes).mean())

    def in_bits(self, bits: int | None, features: NDArray[Any]) -> Trained:
        """The same as a chip stores it: weights of ``bits`` bits, sign included, evenly spaced up to the largest.

        A neuron that hardly ever fires gets a weight that none of the others comes near. So each neuron's counter has a
        power of two of its own, a shift, by which its rate is brought to the size of the others': ``features`` (n,
        features), those of the training part, set it. ``bias`` is one more row, at full scale. None leaves all as it
        is.
        """
        if bits is None:
            return self
        shift = np.exp2(np.round(np.log2(Standard.fit(features).deviation)))
        scaled = self.weights * shift
        top = 2 ** (bits - 1) - 1
        # One step for all classes, since their scores are compared with one another.
        step = float(np.abs(scaled).max(initial=0.0)) / top
        return self if step == 0.0 else Trained(np.round(scaled / step) * step / shift, self.bias, self.classes)


@dataclass(frozen=True, kw_only=True)
class Readout(ABC):
    """What every read-out has.

    Parameters
    ----------
    bits : bits in which a chip stores each weight, sign included; None: floating point
    """

    bits: Annotated[int, Interval(ge=2, le=24)] | None = 8

    def fit(self, features: NDArray[Any], classes: Ints, *, rng: Stream) -> Trained:
        """The read-out of ``features`` (n, features) for ``classes`` (n,), in floating point.

        Raises ``InputError`` for fewer than two classes.
        """
        present = np.unique(classes)
        if len(present) < 2:
            raise InputError(f"a read-out tells at least 2 classes apart (got {len(present)} in its training part)")
        standard = Standard.fit(features)
        weights, bias = self._solve(standard.apply(features), np.searchsorted(present, classes), rng)
        if len(weights) == 1:
            weights, bias = np.concatenate([-weights, weights]), np.concatenate([-bias, bias])
        return Trained.folded(weights, bias, present, standard)

    @abstractmethod
    def _solve(self, x: Floats, y: Ints, rng: Stream) -> tuple[Floats, Floats]:
        """Weights (classes, features) and bias (classes,) for standardised ``x``; two classes may share a row."""


@dataclass(frozen=True, kw_only=True)
class Ridge(Readout):
    """Least squares on +1 (this class) and -1 (another), with a penalty on the weights' squares.

    Parameters
    ----------
    penalties : candidates for the penalty; of several, the best by leave-one-out on the training part is taken
    """

    kind: Literal["ridge"] = "ridge"
    penalties: Annotated[tuple[Positive, ...], Len(1, 1000)] = (100.0,)

    def _solve(self, x: Floats, y: Ints, rng: Stream) -> tuple[Floats, Floats]:
        from sklearn.linear_model import RidgeClassifier, RidgeClassifierCV

        many = len(self.penalties) > 1
        model = RidgeClassifierCV(alphas=self.penalties) if many else RidgeClassifier(alpha=self.penalties[0])
        model.fit(x, y)
        return np.atleast_2d(model.coef_), np.atleast_1d(model.intercept_)


@dataclass(frozen=True, kw_only=True)
class Logistic(Readout):
    """Logistic regression: the most likely weights, with a penalty on their squares.

    Parameters
    ----------
    penalty : weight of the squares beside the summed log-likelihood
    iterations, tolerance : of L-BFGS, which stops after so many steps or at so small a gradient
    """

    kind: Literal["logistic"] = "logistic"
    penalty: Positive = 100.0
    iterations: Annotated[int, Interval(ge=1, le=100_000)] = 100
    tolerance: Positive = 1e-2

    def _solve(self, x: Floats, y: Ints, rng: Stream) -> tuple[Floats, Floats]:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        with warnings.catch_warnings():
            # What is left after this many steps is far below a recording's worth; the penalty decides more.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = LogisticRegression(C=1.0 / self.penalty, max_iter=self.iterations, tol=self.tolerance).fit(x, y)
        return model.coef_, model.intercept_


@dataclass(frozen=True, kw_only=True)
class Linear(Readout):
    """Cross entropy by Adam: optimiser, rate, batch and epochs of the paper for N-MNIST by default.

    That schedule is for 60 000 recordings; on few it stops long before it has learnt (``epochs``, ``learning_rate``).

    Parameters
    ----------
    learning_rate, batch, epochs : of Adam
    weight_decay : of AdamW, which the paper takes for N-TIDIGITS; 0 is plain Adam
    """

    kind: Literal["linear"] = "linear"
    learning_rate: Positive = 1e-4
    batch: Annotated[int, Interval(ge=1, le=1_000_000)] = 100
    epochs: Annotated[int, Interval(ge=1, le=100_000)] = 100
    weight_decay: Annotated[float, Interval(ge=0.0, le=1.0)] = 0.0

    def _solve(self, x: Floats, y: Ints, rng: Stream) -> tuple[Floats, Floats]:
        inputs, targets = torch.from_numpy(x).float(), torch.from_numpy(y)
        shape = int(y.max()) + 1, x.shape[1]
        draw = rng.child("read-out").torch()
        bound = 1.0 / np.sqrt(shape[1])
        weights = torch.empty(shape).uniform_(-bound, bound, generator=draw).requires_grad_()
        bias = torch.zeros(shape[0], requires_grad=True)
        adam = torch.optim.AdamW([weights, bias], lr=self.learning_rate, weight_decay=self.weight_decay)
        for _ in range(self.epochs):
            for rows in torch.randperm(len(x), generator=draw).split(self.batch):
                loss = torch.nn.functional.cross_entropy(inputs[rows] @ weights.T + bias, targets[rows])
                adam.zero_grad()
                loss.backward()
                adam.step()
        return weights.detach().double().numpy(), bias.detach().double().numpy()


READOUTS: dict[str, type[Readout]] = {"ridge": Ridge, "logistic": Logistic, "linear": Linear}

AnyReadout = Annotated[Ridge | Logistic | Linear, Field(discriminator="kind")]
