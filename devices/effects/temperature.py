"""Temperature: what a cell conducts when it is read hot or cold, and how fast it ages when it is kept so."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge, Gt

from devices.effects.effect import Draws, Effect, Marks, Window

BOLTZMANN_EV_PER_K = 8.617333262e-5  # CODATA 2018


@dataclass(frozen=True, kw_only=True)
class Temperature(Effect):
    """Cells programmed at one temperature and read, or kept, at another. With ``b(T) = (1 / T - 1 / T_prog) / k_B``:

    (1) conductance  ``G(T) = G exp(-E b(T)) (1 + coefficient (T - T_prog))``, not below zero,
                     ``E = E_off + (E_on - E_off) s + activation_sd xi``, s the cell's position between g_min and g_max
    (2) ageing       drift and retention go as far in ``t`` seconds at the temperature of storage as in
                     ``t exp(-E_ageing b(T_storage))`` seconds at ``T_prog``
    (3) fast noise   ``sigma (T / T_prog)^read_noise_exponent``

    ``xi`` is drawn once per programming, so a cell is one curve over temperature: between two temperatures of reading
    the spread of ``ln G`` is correlated by ``b(T1) b(T2) activation_sd^2`` beside the variance that programming left.
    Read the same cells elsewhere by ``device.at_K(T).conductance_S(cells, t)``.

    All coefficients are zero unless given, and a temperature that then does nothing is refused. For phase-change
    memory, the amorphous state of Ge2Sb2Te5 hops with 0.2 eV at 85 K to 0.4 eV at 300 K (arXiv:2210.14035, after its
    drift was brought to a stop). No coefficient of a cell in configs/devices is established: whatever is set is an
    estimate. One barrier for all of ageing, as in (2), is itself one: relaxation of glasses has many.

    Parameters
    ----------
    temperature_K : temperature of reading [K];  programmed_K : temperature of programming [K]
    storage_K : temperature between programming and reading, that of reading where not given [K]
    activation_off_eV, activation_on_eV : activation energy of conduction at g_min and at g_max [eV]
    activation_sd_eV : standard deviation of it over cells [eV]
    coefficient_per_K : linear coefficient of conductance, negative for a metal [1/K]
    ageing_energy_eV : activation energy of drift and retention [eV]
    read_noise_exponent : exponent of (3), 0.5 for thermal noise [1]
    """

    kind: Literal["temperature"] = "temperature"
    stage: ClassVar[str] = "reading"

    temperature_K: Annotated[float, Gt(0.0)] = 300.0
    programmed_K: Annotated[float, Gt(0.0)] = 300.0
    storage_K: Annotated[float, Gt(0.0)] | None = None
    activation_off_eV: Annotated[float, Ge(0.0)] = 0.0
    activation_on_eV: Annotated[float, Ge(0.0)] = 0.0
    activation_sd_eV: Annotated[float, Ge(0.0)] = 0.0
    coefficient_per_K: float = 0.0
    ageing_energy_eV: Annotated[float, Ge(0.0)] = 0.0
    read_noise_exponent: float = 0.0

    def __post_init__(self) -> None:
        acting = (
            "activation_off_eV",
            "activation_on_eV",
            "activation_sd_eV",
            "coefficient_per_K",
            "ageing_energy_eV",
            "read_noise_exponent",
        )
        if self.temperature_K != self.programmed_K and not any(getattr(self, name) for name in acting):
            raise ValueError(
                f"temperature_K must be programmed_K = {self.programmed_K:g} K unless one of {', '.join(acting)} says "
                f"what it does (got {self.temperature_K:g} K)"
            )
        if self.storage_K not in (None, self.programmed_K) and not self.ageing_energy_eV:
            raise ValueError(
                f"storage_K must be programmed_K = {self.programmed_K:g} K unless ageing_energy_eV is set "
                f"(got {self.storage_K:g} K)"
            )

    def _b_per_eV(self, temperature_K: float) -> float:
        return (1.0 / temperature_K - 1.0 / self.programmed_K) / BOLTZMANN_EV_PER_K

    @property
    def reads_elsewhere(self) -> bool:
        """Whether cells are read at another temperature than that of programming."""
        return self.temperature_K != self.programmed_K

    @property
    def acceleration(self) -> float:
        """Seconds at the temperature of programming in one second of storage, equation (2) [1]."""
        storage_K = self.temperature_K if self.storage_K is None else self.storage_K
        return math.exp(-self.ageing_energy_eV * self._b_per_eV(storage_K))

    def marks(self, target_S: torch.Tensor, window: Window, *, draws: Draws) -> Marks:
        """Deviation of each cell's activation energy from the mean of its state [eV]."""
        if self.activation_sd_eV == 0.0:
            return {}
        xi = draws.programming.normal_like(target_S)
        return {"deviation_eV": self.activation_sd_eV * xi}

    def aged_s(self, t_s: float) -> float:
        """Equation (2) [s]."""
        return t_s * self.acceleration

    def read_S(self, g_S: torch.Tensor, marks: Marks, window: Window) -> torch.Tensor:
        """Equation (1) [S]."""
        b, rise_K = self._b_per_eV(self.temperature_K), self.temperature_K - self.programmed_K
        if rise_K == 0.0:
            return g_S
        energy = self.activation_off_eV + (self.activation_on_eV - self.activation_off_eV) * window.share(g_S)
        if "deviation_eV" in marks:
            energy = energy + marks["deviation_eV"]
        return g_S * torch.exp(-b * energy) * max(1.0 + self.coefficient_per_K * rise_K, 0.0)

    def read_sigma_S(self, sigma_S: torch.Tensor, g_S: torch.Tensor) -> torch.Tensor:
        """Equation (3) [S]."""
        return sigma_S * math.pow(self.temperature_K / self.programmed_K, self.read_noise_exponent)
