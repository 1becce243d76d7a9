"""Fits the two prices that no source gives to one published row, and predicts the rest with them.

Yang et al., Nat. Commun. 16, 1136 (2025), doi 10.1038/s41467-025-56254-6, Table 1, keyword spotting: at 5 bits one step
of the 72 x 128 LSTM layer takes 161 ns, 0.595 nJ and 0.00291 mm2 (from power, TOPS, TOPS/W and TOPS/mm2). Fitted to it,
and written to ``configs/components`` by hand: the latency of ``controller`` and then the energy of one clock of
``column_front_end``. The 8-bit row (1002 ns, 4.61 nJ) is then a prediction. No area is fitted as a number, but the row
was known when codes were given SRAM cells and the digital unit four lanes: with flip-flop latches and a comparator
beside TIMELY's charging unit, the 5-bit area came out at about 0.0044 mm2.

    PYTHONPATH=. python benchmarks/fit_prices.py
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from devices import TaOx
from mappings.actions import Actions
from mappings.cost import Key, price, shares, summarise
from mappings.network.actions import RecurrentShape, recurrent_actions
from mappings.step import StepActivity, StepTiming
from periphery import SIGMOID, TANH, RampColumn
from periphery.prices.component import Component, load_components

NODE_NM = 16.0
T_CLK_S = 1e-9


@dataclass(frozen=True)
class PublishedRow:
    """Latency, energy and area of one step, derived from one row of the paper's Table 1."""

    latency_s: float
    energy_J: float
    area_m2: float


KWS = {5: PublishedRow(161e-9, 0.595e-9, 0.00291e-6), 8: PublishedRow(1002e-9, 4.61e-9, 0.00302e-6)}


@dataclass(frozen=True)
class FrontEndFit:
    """The two fitted prices, at ``NODE_NM``."""

    energy_per_clock_J: float
    control_s: float

    def applied(self, components: Mapping[str, Component]) -> dict[str, Component]:
        """The price list with these two numbers in place."""
        front_end, controller = components["column_front_end"], components["controller"]
        return {
            **components,
            "column_front_end": replace(
                front_end,
                actions={"clock": replace(front_end.actions["clock"], energy_J=self.energy_per_clock_J)},
            ),
            "controller": replace(controller, latency=replace(controller.latency, latency_s=self.control_s)),
        }


@dataclass(frozen=True)
class Case:
    """One bit width as the simulator ran it: shape, activity and ramp lengths."""

    shape: RecurrentShape
    activity: StepActivity
    gate_ramp_clocks: int
    state_ramp_clocks: int

    def step(self, components: Mapping[str, Component]) -> Actions:
        """Counts and schedule of one step."""
        timing = StepTiming.of(
            self.shape,
            t_clk_s=T_CLK_S,
            node_nm=NODE_NM,
            components=components,
            gate_ramp_clocks=self.gate_ramp_clocks,
            state_ramp_clocks=self.state_ramp_clocks,
        )
        return recurrent_actions(self.shape, self.activity, timing)

    def cost(self, components: Mapping[str, Component]) -> dict[str, float]:
        """Area, energy, leakage and latency of one step."""
        step = self.step(components)
        return summarise(price(step, node_nm=NODE_NM, components=components), step.latency_s, step.ops)


def fit_front_end(case: Case, row: PublishedRow, components: Mapping[str, Component]) -> FrontEndFit:
    """Solve for the two prices that make ``case`` cost what ``row`` says; the cost is linear in each of them.

    Raises ``ValueError`` where the sourced prices alone exceed the row, so that nothing is left to fit.
    """
    uncontrolled_s = case.step(FrontEndFit(0.0, 0.0).applied(components)).latency_s
    if uncontrolled_s > row.latency_s:
        raise ValueError(
            f"one step takes {uncontrolled_s:.4g} s without control, above the row's {row.latency_s:.4g} s"
        )
    bare = FrontEndFit(0.0, row.latency_s - uncontrolled_s).applied(components)
    sourced_J = case.cost(bare)["energy_J"]
    if sourced_J > row.energy_J:
        raise ValueError(f"one step takes {sourced_J:.4g} J without front ends, above the row's {row.energy_J:.4g} J")
    clocks = sum(line.count for line in case.step(bare).actions if line.component == "column_front_end")
    return FrontEndFit((row.energy_J - sourced_J) / clocks, row.latency_s - uncontrolled_s)


# What one step did in `mho run kws --data speech_commands.tar.xz` (real speech, first split, seed 0), from its
# components.csv: sums over the gates' product and the cell state's way back, per step and chip.
MEASURED = {
    bits: StepActivity(
        array_ohmic_J=array_J,
        row_pulses=pulse_bits / 256,
        row_clocks=clock_bits / bits,
        gate_compare_steps=steps,
        ramp_ohmic_J=ramp_J,
    )
    for bits, array_J, pulse_bits, clock_bits, steps, ramp_J in (
        (5, 444.0e-12, 16587, 2186.8, 2837.0, 1.281e-12),
        (8, 3770e-12, 18355, 29640, 21869.0, 14.81e-12),
    )
}


def measured_case(bits: int) -> Case:
    """The 40 to 32 LSTM with a bias row on TaOx cells, with the activity that the simulator saw."""
    gates, state = (RampColumn(device=TaOx()).design(function, bits) for function in (SIGMOID, TANH))
    rows, columns, hidden = 73, 128, 32
    shape = RecurrentShape(
        layer="lstm",
        cell="lstm",
        inputs=40,
        hidden=hidden,
        bias_rows=1,
        row_tiles=1,
        column_tiles=1,
        cells=2 * rows * columns,
        bits=bits,
        state_bits=10,
        readout="ramp",
        groups=2,
        ramps=3,
        ramp_cells=gates.cells + 2 * state.cells,
        ramp_lines=sum(ramp.lines + ramp.column.bias_cells for ramp in (gates, state, state)),
    )
    longest = max(gates.ramp_clocks, state.ramp_clocks)
    return Case(shape, MEASURED[bits], gate_ramp_clocks=longest, state_ramp_clocks=state.ramp_clocks)


def main() -> None:
    """Print the fit, the fitted row and the predicted one, and where each row's energy and area go."""
    components = load_components()
    fit = fit_front_end(measured_case(5), KWS[5], components)
    print(f"column_front_end clock {fit.energy_per_clock_J:.4g} J")
    print(f"controller latency {fit.control_s:.4g} s")
    fitted = fit.applied(components)
    for bits, row in KWS.items():
        case = measured_case(bits)
        cost = case.cost(fitted)
        print(f"{bits} bits: {'energy and latency fitted' if bits == 5 else 'predicted'}")
        for name, published in (("area_m2", row.area_m2), ("energy_J", row.energy_J), ("latency_s", row.latency_s)):
            print(f"  {name:10} {cost[name]:10.4g}, published {published:10.4g}, ratio {cost[name] / published:.3f}")
        lines = price(case.step(fitted), node_nm=NODE_NM, components=fitted)
        by: Key
        for by in ("component", "status"):
            for name, share in shares(lines, by).items():
                print(f"    {name:18} energy {share.energy_share:6.1%}  area {share.area_share:6.1%}")


if __name__ == "__main__":
    main()
