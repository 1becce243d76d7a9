"""Average power of a workload that runs for ever, against the sum by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from devices import InputError
from mappings.actions import ActionLedger
from mappings.priced import LayerOnChip, Priced
from periphery.prices.component import component, load_components
from workloads.always_on import period_cost
from workloads.duty import Duty, Gating

HOP_S = 0.02


def clip(steps: int = 51) -> Priced:
    """A recurrent layer of 51 steps and an output layer of one, as a second of sound takes."""
    layers = []
    for name, times, energy_J in (("recurrent", steps, 1e-9), ("output", 1, 1e-10)):
        ledger = ActionLedger(name)
        ledger.act("cell_array", "read_J", energy_J)
        ledger.need("register", 100)
        ledger.need("shared_counter", 50)
        ledger.schedule.add("step", "array", 1e-6)
        actions = ledger.close(ops=10.0).per_inference(times)
        layers.append(LayerOnChip(name=name, actions=actions, rows=1, columns=1, cells=1, tiles=1))
    return Priced.of(layers, node_nm=16, components=load_components())


PLAIN = Duty(mode="continuous", period_s=HOP_S)
REGISTER_W = 200 * component("register").at(16).leakage_W
COUNTER_W = 100 * component("shared_counter").at(16).leakage_W


def test_a_period_is_the_burst_of_one_step_and_leakage_through_the_whole_hop() -> None:
    found = period_cost([clip()], PLAIN, node_nm=16)
    assert found.dynamic_J == pytest.approx(1.1e-9)
    assert found.burst_s == pytest.approx(2e-6)
    assert found.leakage_J == pytest.approx((REGISTER_W + COUNTER_W) * HOP_S)
    assert found.average_power_W == pytest.approx((1.1e-9 + found.leakage_J) / HOP_S)


def test_a_window_computed_anew_takes_all_the_steps_of_a_clip_in_each_hop() -> None:
    step, window = (period_cost([clip()], replace(PLAIN, mode=mode), node_nm=16) for mode in ("continuous", "window"))
    assert window.dynamic_J == pytest.approx(51e-9 + 1e-10)
    assert window.burst_s == pytest.approx(52e-6)
    assert 45 < window.dynamic_J / step.dynamic_J < 51
    assert window.leakage_J == pytest.approx(step.leakage_J), "everything leaks through the hop in either mode"


def test_gating_divides_what_keeps_nothing_and_costs_energy_to_wake_and_area() -> None:
    free, gated = (period_cost([clip()], replace(PLAIN, gating=how), node_nm=16) for how in (None, Gating(factor=20)))
    idle_s = HOP_S - 2e-6
    saved_J = COUNTER_W * idle_s * (1 - 1 / 20)
    assert free.leakage_J - gated.leakage_J == pytest.approx(saved_J), "registers hold the state that is carried on"
    assert gated.wake_J > 0.0
    assert gated.row()["gating_area_m2"] == pytest.approx(0.1 * 100 * component("shared_counter").at(16).area_m2)
    anew = period_cost([clip()], Duty(mode="window", period_s=HOP_S, gating=Gating()), node_nm=16)
    assert anew.leakage_J < gated.leakage_J, "a window starts from an empty state"


def test_features_draw_their_published_power_whatever_the_hop() -> None:
    at_28 = component("mfcc_serial").at(28)
    for hop_s in (0.01, 0.02):
        found = period_cost([clip()], Duty(period_s=hop_s, features="mfcc_serial"), node_nm=28)
        assert found.features_J / hop_s == pytest.approx(0.17e-6)
        assert found.row()["features_area_m2"] == at_28.area_m2


def test_a_period_shorter_than_its_burst_is_refused_with_the_time_that_it_takes() -> None:
    message = r"duty\.period_s: at least 5\.2e-05 s, which a burst takes in mode window \(got 1e-05\)"
    with pytest.raises(InputError, match=message):
        period_cost([clip()], Duty(mode="window", period_s=1e-5), node_nm=16)
    with pytest.raises(InputError, match=r"duty\.period_s: a time above 0 s .* \(got none\)"):
        Duty(mode="burst").at(None)
