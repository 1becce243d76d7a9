"""Read-outs of firing rates: what they learn, in how many bits they are held, and how sure a difference is."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from sklearn.linear_model import RidgeClassifier
from sklearn.preprocessing import StandardScaler

from devices import InputError, Stream
from workloads.lsm.readout import READOUTS, Linear, Logistic, Ridge, Standard, Trained
from workloads.statistics import crossing, difference, interval, principal_plane

Data = tuple[NDArray[np.float64], NDArray[np.int64]]


@pytest.fixture(scope="module")
def blobs() -> Data:
    """Three classes of rates of 20 neurons, one of which hardly ever fires, as spread as rates are."""
    draw = np.random.default_rng(0)
    classes = np.repeat([0, 2, 5], 80)
    centres = draw.uniform(0.02, 0.3, (6, 20))
    rates = centres[classes] + 0.05 * draw.standard_normal((240, 20))
    rates[:, 3] = draw.random(240) < 0.02
    return rates * np.exp2(draw.integers(-6, 3, 20)), classes


def test_ridge_is_that_of_scikit_learn_on_standardised_rates(blobs: Data) -> None:
    rates, classes = blobs
    train, test = slice(0, None, 2), slice(1, None, 2)
    ours = Ridge(penalties=(3.0,)).fit(rates[train], classes[train], rng=Stream.root(0))
    scale = StandardScaler().fit(rates[train])
    theirs = RidgeClassifier(alpha=3.0).fit(scale.transform(rates[train]), classes[train])
    np.testing.assert_allclose(
        ours.scores(rates[test]), theirs.decision_function(scale.transform(rates[test])), atol=1e-9
    )
    assert (ours.predict(rates[test]) == theirs.predict(scale.transform(rates[test]))).all()


def test_of_several_penalties_leave_one_out_takes_a_better_one(blobs: Data) -> None:
    rates, classes = blobs
    many = Ridge(penalties=(1e-3, 10.0, 1e9)).fit(rates, classes, rng=Stream.root(0))
    one = Ridge(penalties=(10.0,)).fit(rates, classes, rng=Stream.root(0))
    np.testing.assert_allclose(many.weights, one.weights)


@pytest.mark.parametrize("how", [Ridge(), Logistic(penalty=1.0), Linear(learning_rate=0.01, epochs=60)])
def test_every_readout_learns_and_twice_the_same(blobs: Data, how: Ridge | Logistic | Linear) -> None:
    rates, classes = blobs
    trained = how.fit(rates[::2], classes[::2], rng=Stream.root(1))
    assert trained.accuracy(rates[1::2], classes[1::2]) > 0.9
    again = how.fit(rates[::2], classes[::2], rng=Stream.root(1))
    assert np.array_equal(again.weights, trained.weights)
    assert READOUTS[how.kind] is type(how)


def test_two_classes_and_one(blobs: Data) -> None:
    rates, classes = blobs
    two = classes != 0
    trained = Logistic(penalty=1.0).fit(rates[two], classes[two], rng=Stream.root(0))
    assert trained.weights.shape == (2, 20)
    assert set(trained.predict(rates[two])) == {2, 5}
    with pytest.raises(InputError, match="at least 2 classes apart \\(got 1"):
        Ridge().fit(rates[~two], classes[~two], rng=Stream.root(0))


def test_held_weights_are_whole_steps_and_err_by_half_a_step_at_most(blobs: Data) -> None:
    rates, classes = blobs
    trained = Ridge().fit(rates, classes, rng=Stream.root(0))
    shift = np.exp2(np.round(np.log2(Standard.fit(rates).deviation)))
    for bits in (2, 4, 8):
        held = trained.in_bits(bits, rates)
        scaled = held.weights * shift
        step = np.abs(trained.weights * shift).max() / (2 ** (bits - 1) - 1)
        np.testing.assert_allclose(scaled / step, np.round(scaled / step), atol=1e-9)
        assert np.abs(scaled - trained.weights * shift).max() <= 0.5 * step * (1 + 1e-9)
        assert len(np.unique(np.round(scaled / step))) <= 2**bits - 1
    assert trained.in_bits(None, rates) is trained
    agree = (trained.in_bits(8, rates).predict(rates) == trained.predict(rates)).mean()
    assert agree > 0.98


def test_a_silent_neuron_is_left_as_it_is() -> None:
    standard = Standard.fit(np.array([[0.0, 1.0], [0.0, 3.0]]))
    assert standard.deviation.tolist() == [1.0, 1.0]
    assert standard.apply(np.array([[0.0, 3.0]])).tolist() == [[0.0, 1.0]]
    empty = Trained(np.zeros((2, 2)), np.zeros(2), np.array([0, 1]))
    assert empty.in_bits(4, np.ones((3, 2))) is empty


def test_difference_is_welchs_and_covers_the_truth_as_often_as_it_says() -> None:
    draw = np.random.default_rng(0)
    a, b = draw.normal(0.3, 1.0, 9), draw.normal(0.0, 3.0, 16)
    _, low, high = difference(a, b)
    outside = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
    assert (low, high) == pytest.approx((outside.low, outside.high))
    held = 0
    for _ in range(2000):
        _, low, high = difference(draw.normal(0.0, 1.0, 8), draw.normal(0.5, 2.0, 5))
        held += low <= -0.5 <= high
    assert held / 2000 == pytest.approx(0.95, abs=0.015)
    assert difference(a, [0.5])[1:] == pytest.approx([limit - 0.5 for limit in interval(a)[1:]])
    assert np.isnan(interval([1.0])[1])


def test_crossing_is_where_a_straight_line_loses_five_points() -> None:
    x, y = [0.0, 1.0, 2.0, 4.0, 8.0], [0.70, 0.90, 0.90, 0.88, 0.80]
    below, above = crossing(x, y, 1.0)
    assert (below, above) == (pytest.approx(0.75), pytest.approx(5.5))
    assert crossing(x, y, 1.0, log=True)[1] == pytest.approx(4.0 * 2 ** (3 / 8))
    assert crossing(x, y, 1.0, loss=0.5) == (None, None)


def test_principal_plane_finds_the_two_widest_directions() -> None:
    draw = np.random.default_rng(0)
    cloud = draw.standard_normal((400, 5)) * [0.1, 3.0, 0.1, 1.0, 0.1]
    plane, (one, two) = principal_plane(cloud)
    assert one == pytest.approx(0.9, abs=0.03)
    assert two == pytest.approx(0.1, abs=0.03)
    assert abs(np.corrcoef(plane[:, 0], cloud[:, 1])[0, 1]) > 0.999
    np.testing.assert_allclose(principal_plane(-cloud)[0], -plane, atol=1e-9)
