"""Program-and-verify as a process: pulses toward the target, a read after each, until the read is close enough."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge, Gt, Interval

from devices.effects.effect import Draws, Effect, Faults, Window
from devices.effects.write import WriteRecord


@dataclass(frozen=True, kw_only=True)
class ProgramVerify(Effect):
    """Writing in closed loop; what it leaves replaces the device's programming error.

    A cell starts from its RESET state ``start + start_sd xi`` and is read, ``m = G + verify_noise xi``. Within
    ``tolerance`` of its target it is left alone; else it gets one more pulse, at most ``max_iterations`` of them:

    - too low, a SET pulse: ``G += d + sqrt((step_noise d)^2 + pulse_noise^2) xi``, ``d = gain (target - m)``, with
      ``late_gain`` in place of ``gain`` after ``late_after`` pulses;
    - too high, ``overshoot: restart``: a RESET to a new start; ``overshoot: step``: a small RESET pulse of the same
      equation with ``reset_gain``.

    All cells run through the loop together. A stuck cell gets every pulse and keeps its conductance. Each pulse takes
    ``V^2 G t`` with the mean of G before and after, each read ``verify_V^2 G t``, and drivers and converters are not in
    it. Gradients pass to the target as if it were met (straight through).

    Tolerance, gains, their change after 10 iterations, the limit of 20, restart on overshoot and the RESET voltage of
    1.2 V: Hong et al., Nat. Commun. 2025, s41467-025-65233-w, Methods; verify noise: their read noise of 0.14 uS.
    ``start_S``, ``step_noise`` and ``pulse_noise_S`` are fitted to their three results over 7 targets from 100 to 400
    uS: 91.6 % of cells content within 10 iterations, 5.57 iterations in the mean (over all cells, those given up
    included), residual of 2.73 uS (over cells that converged). ``start_sd_S`` and the other voltages and all times
    are estimates.

    Parameters
    ----------
    tolerance_S : largest distance of a content read from the target [S];  max_iterations : pulses before giving up
    gain, late_gain : share of the distance aimed at by a SET pulse [1];  late_after : pulses before ``late_gain``
    overshoot : ``restart`` or ``step``;  reset_gain : share of the distance aimed at by a small RESET pulse [1]
    start_S, start_sd_S : mean and standard deviation of the conductance after a RESET [S]
    step_noise : cycle-to-cycle noise of a pulse per size of its step [1];  pulse_noise_S : and independent of it [S]
    verify_noise_S : noise of a verify read [S]
    set_V, set_s, reset_V, reset_s, verify_V, verify_s : voltage [V] and duration [s] of the pulses and of a read
    """

    kind: Literal["program_verify"] = "program_verify"
    stage: ClassVar[str] = "write"
    cite: ClassVar[tuple[str, ...]] = ("hong2025",)

    tolerance_S: Annotated[float, Gt(0.0)] = 5e-6
    max_iterations: Annotated[int, Interval(ge=1, le=10000)] = 20
    gain: Annotated[float, Gt(0.0)] = 0.5
    late_gain: Annotated[float, Gt(0.0)] = 0.25
    late_after: Annotated[int, Interval(ge=0, le=10_000)] = 10
    overshoot: Literal["restart", "step"] = "restart"
    reset_gain: Annotated[float, Gt(0.0)] = 0.5
    start_S: Annotated[float, Ge(0.0)] = 95e-6
    start_sd_S: Annotated[float, Ge(0.0)] = 10e-6
    step_noise: Annotated[float, Ge(0.0)] = 0.5
    pulse_noise_S: Annotated[float, Ge(0.0)] = 6.1e-6
    verify_noise_S: Annotated[float, Ge(0.0)] = 0.14e-6
    set_V: Annotated[float, Gt(0.0)] = 1.0
    set_s: Annotated[float, Gt(0.0)] = 1e-6
    reset_V: Annotated[float, Gt(0.0)] = 1.2
    reset_s: Annotated[float, Gt(0.0)] = 1e-6
    verify_V: Annotated[float, Gt(0.0)] = 0.2
    verify_s: Annotated[float, Gt(0.0)] = 1e-6

    def check(self, window: Window) -> None:
        """The start and the tolerance must suit the device's range."""
        if self.start_S > window.g_max_S:
            raise ValueError(f"start_S must not exceed g_max_S = {window.g_max_S:g} S (got {self.start_S:g} S)")
        if self.tolerance_S >= window.g_max_S - window.g_min_S:
            raise ValueError(
                f"tolerance_S must be below the range of {window.g_max_S - window.g_min_S:g} S "
                f"(got {self.tolerance_S:g} S)"
            )

    def written(
        self, target_S: torch.Tensor, window: Window, faults: Faults | None, *, draws: Draws
    ) -> tuple[torch.Tensor, WriteRecord]:
        """Conductance when verifying ends [S], and what it took."""
        target = target_S.detach()

        def xi(*names: str | int) -> torch.Tensor:
            return draws.programming.child(*names).normal_like(target)

        def either(back: torch.Tensor, reset: float, set_: float) -> torch.Tensor:
            return torch.where(back, target.new_tensor(reset), target.new_tensor(set_))

        def of_all(g: torch.Tensor) -> torch.Tensor:
            return g if faults is None else faults.applied(g)

        def fresh(pulse: int) -> torch.Tensor:
            return (self.start_S + self.start_sd_S * xi("start", pulse)).clamp_min(0.0)

        g = of_all(fresh(0))
        done = torch.zeros_like(target, dtype=torch.bool)
        energy, time = torch.zeros_like(target), torch.zeros_like(target)
        pulses, resets = torch.zeros_like(target, dtype=torch.int64), torch.zeros_like(target, dtype=torch.int64)
        for pulse in range(self.max_iterations + 1):
            measured = g + self.verify_noise_S * xi("verify", pulse)
            energy = energy + torch.where(done, 0.0, self.verify_V**2 * self.verify_s * g)
            time = time + torch.where(done, 0.0, self.verify_s)
            distance = target - measured
            done = done | (distance.abs() <= self.tolerance_S)
            if pulse == self.max_iterations or bool(done.all()):
                break
            back = ~done & (distance < 0.0)
            step = either(back, self.reset_gain, self.gain if pulse < self.late_after else self.late_gain) * distance
            noise = torch.sqrt((self.step_noise * step) ** 2 + self.pulse_noise_S**2) * xi("pulse", pulse)
            moved = (g + step + noise).clamp_min(0.0)
            if self.overshoot == "restart":
                moved = torch.where(back, fresh(pulse + 1), moved)
            moved = of_all(torch.where(done, g, moved))
            joules_per_S = either(back, self.reset_V**2 * self.reset_s, self.set_V**2 * self.set_s)
            energy = energy + torch.where(done, 0.0, joules_per_S * 0.5 * (g + moved))
            time = time + torch.where(done, 0.0, either(back, self.reset_s, self.set_s))
            pulses, resets = pulses + ~done, resets + back
            g = moved
        # Added zero: the gradient of the target, and no other bits.
        return g + (target_S - target), WriteRecord(pulses, done, energy, time, resets)
