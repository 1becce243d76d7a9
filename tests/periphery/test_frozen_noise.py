"""Charge of one 1/f-noisy cell in the time domain, clock by clock, against the variance that products are given."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from devices import PCM
from devices.slow_noise import accumulated
from periphery import BitSerial, Driver, PWMDriver

BITS, TRACES, AGE_S, T_CLK_S = 5, 40_000, 20.0, 1e-9
RATES_PER_DECADE = 6


def one_over_f(clocks: int) -> NDArray[np.float64]:
    """Relative noise of many cells at every clock, ``S = 1 / f`` from one over the age to half the clock rate.

    A sum of relaxations whose corner frequencies are evenly spread in ln f: each is an Ornstein-Uhlenbeck process, of
    the variance that 1/f noise has in its share of the logarithm, sampled without error from clock to clock.
    """
    draw = np.random.default_rng(14)
    low, high = 1.0 / AGE_S, 0.5 / T_CLK_S
    edges = np.linspace(np.log(low), np.log(high), round(RATES_PER_DECADE * np.log10(high / low)) + 1)
    corners = np.exp(0.5 * (edges[1:] + edges[:-1]))
    sigma = np.sqrt(np.diff(edges))
    kept = np.exp(-2.0 * np.pi * corners * T_CLK_S)
    state = sigma * draw.standard_normal((TRACES, len(sigma)))
    noise = np.empty((clocks, TRACES))
    for clock in range(clocks):
        noise[clock] = state.sum(1)
        state = kept * state + np.sqrt(1.0 - kept**2) * sigma * draw.standard_normal(state.shape)
    return noise


def charge(driver: Driver, number: int) -> NDArray[np.float64]:
    """Noise of the charge of a product with this input, per conductance and clock."""
    noise = one_over_f(driver.drive_clocks(BITS))
    if isinstance(driver, BitSerial):
        planes = driver.planes(torch.tensor([number]), BITS)[:, 0].numpy()
        clocks = noise.reshape(len(planes), driver.bit_clocks, TRACES).mean(1)
        return (planes * np.array(driver.weights(BITS))) @ clocks
    return noise[:number].sum(0)


@pytest.mark.parametrize(
    "driver",
    [PWMDriver(), BitSerial(), BitSerial(bit_clocks=4), BitSerial(signed="twos_complement")],
    ids=["pwm", "bits", "long bits", "twos complement"],
)
@pytest.mark.parametrize(("number", "within"), [(8, 0.11), (15, 0.05)])
def test_noise_slower_than_a_product_is_frozen_for_every_driver(driver: Driver, number: int, within: float) -> None:
    """``N^2 Q^2 u`` with u of the product's own window; independent reads of bits would have 0.38 of it at 15.

    A pulse of tau seconds in a product of T averages less out: u is larger by ln(T / 2 tau) + 0.47, of 20.
    """
    wanted = number**2 * accumulated(AGE_S, driver.window_s(BITS))
    assert float(charge(driver, number).var()) == pytest.approx(wanted, rel=within)


def test_a_cell_of_memory_is_read_in_the_window_of_the_driver() -> None:
    window_s = PWMDriver().window_s(BITS)
    assert window_s == pytest.approx(30e-9)
    device = PCM().read_within(window_s)
    assert device.log_time(0.0) == pytest.approx(accumulated(20.0, 30e-9))
    assert device.log_time(0.0) / PCM().log_time(0.0) == pytest.approx(1.12, abs=0.01)
