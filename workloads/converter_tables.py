"""Tables of a chip's converters: ramps as programmed, other read voltages, other temperatures, price models."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, replace

from devices import ChipStreams, Device
from devices.effects import Stuck, Temperature
from mappings.chip import Chip
from mappings.columns import GroupConverter
from periphery import Function, RampConverter
from periphery.functions.function import threshold_levels
from periphery.prices.adc import ADC_PRICES, adc_price
from periphery.ramp.read_temperature import temperature_sweep
from periphery.ramp.read_voltage import read_voltage_sweep
from workloads.ledger import Ledger

READ_VOLTAGES_V = tuple(round(0.15 + 0.01 * step, 2) for step in range(11))
TEMPERATURES_K = (233.0, 253.0, 273.0, 300.0, 328.0, 358.0, 398.0)
READ_VOLTAGE_INPUTS = 4001  # fewer fall into step with the codes: 201 gave a shift 7 % off
PLOTTED_CHIPS = 4


def price_rows(ledger: Ledger, variant: str, layer: str, chip: Chip, conversions: int, columns: int) -> None:
    """What each price model gives for one conversion of a layer's columns.

    ``conversions``: of the layer in one inference, on its ``columns`` converters.
    """
    bits = chip.adc_bits if chip.readout == "conventional" else chip.bits
    for model in ADC_PRICES:
        quote = adc_price(model).price(bits, chip.adc.rate_per_s, chip.node_nm)
        ledger.add(
            "prices",
            variant=variant,
            component=f"{bits}-bit converter",
            model=model,
            energy_J=quote.energy_J,
            area_m2=quote.area_m2,
            chosen=chip.readout == "conventional" and model == chip.adc.price_model,
            source=quote.source,
        )
    if chip.readout == "ramp":
        lines = [line for line in ledger.lines[variant] if line.layer == layer and line.group == "adc"]
        ledger.add(
            "prices",
            variant=variant,
            component=f"{bits}-bit converter",
            model="nonlinear ramp (this chip)",
            energy_J=sum(line.energy_J for line in lines) / conversions,
            area_m2=sum(line.area_m2 for line in lines) / columns,
            chosen=True,
            source=f"all components of group adc of the {layer} layer, over its conversions and columns; "
            "it includes the integrators and computes the activation",
        )


def ramp_rows(ledger: Ledger, variant: str, chip: Chip, converters: Iterable[tuple[GroupConverter, float]]) -> None:
    """Ramps as programmed: thresholds, nonlinearity, what was lost; each with its layer's scale of weights [S]."""
    for converter, scale_S in converters:
        ramp, design = converter.ramp, converter.design
        assert ramp is not None
        assert design is not None
        raw, calibrated = replace(ramp.ramp, bias=()).read(0.0), ramp.ramp.read(0.0)
        inl = {"raw": raw.inl_lsb()[:, 0], "calibrated": calibrated.inl_lsb()[:, 0]}
        name = design.function.name
        per_z = scale_S / chip.driver.lsb(chip.bits)
        ledger.add(
            "ramps",
            variant=variant,
            function=name,
            bits=design.bits,
            device=chip.ramp.device.kind,
            cells=design.cells,
            clocks=design.ramp_clocks,
            max_over_min_step=design.max_over_min_step,
            lost_steps=design.lost_steps,
            capacitor_ratio=design.unit_S / per_z,
            inl_mean_raw_lsb=float(inl["raw"].abs().mean()),
            inl_max_raw_lsb=float(inl["raw"].abs().amax(-1).mean()),
            inl_mean_lsb=float(inl["calibrated"].abs().mean()),
            inl_max_lsb=float(inl["calibrated"].abs().amax(-1).mean()),
        )
        if design.lost_steps:
            ledger.note(
                f"{variant}: {design.lost_steps} steps of the {name} ramp do not fit its cells; "
                f"{design.lost_z:.3g} of its input range is lost."
            )
        if name == "identity":
            continue
        levels = threshold_levels(design.function, design.bits)
        for stage, read in (("raw", raw), ("calibrated", calibrated)):
            found = read.thresholds()[:PLOTTED_CHIPS, 0]
            for number in range(len(found)):
                for k in range(len(levels)):
                    ledger.add(
                        "ramp",
                        variant=variant,
                        function=name,
                        chip=number,
                        stage=stage,
                        k=k + 1,
                        y=float(levels[k]),
                        threshold_ideal=float(design.theta[k]),
                        threshold=float(found[number, k]),
                        inl_lsb=float(inl[stage][number, k]),
                    )


def read_voltage_rows(ledger: Ledger, chip: Chip, ramp: RampConverter, *, rng: ChipStreams) -> None:
    """How far codes move when the read voltage is not the one that the ramp was made for."""
    comparator, driver = chip.comparator, chip.driver
    inputs = READ_VOLTAGE_INPUTS
    draw = rng.child("read voltage")
    for size in (0.0, 1.0):
        for shift in read_voltage_sweep(
            ramp.ramp.read(0.0),
            v_design_V=driver.v_design_V,
            v_read_V=READ_VOLTAGES_V,
            swing_V=chip.front_end.swing_V,
            offset_V=size * comparator.offset_sigma_V(chip.node_nm) * draw.child("offset").normal((inputs,)).double(),
            noise_V=size * comparator.noise_sigma_V(chip.node_nm) * draw.child("noise").normal((inputs,)).double(),
            adc_bits=chip.adc_bits,
            supply=size * chip.read_supply_noise * draw.child("supply").normal((inputs,)).double(),
        ):
            ledger.add("vread", **asdict(shift))


def temperature_rows(ledger: Ledger, variant: str, chip: Chip, function: Function, *, rng: ChipStreams) -> None:
    """How far codes move when cells are read at another temperature than the one at which they were programmed."""
    weights = without_maps(chip.weights.device)
    warm = [any(isinstance(effect, Temperature) for effect in cell.effects) for cell in (weights, chip.ramp.device)]
    if warm[0] != warm[1]:
        ledger.note(
            f"{variant}: one of weights and ramp has a temperature effect and the other has none: codes were "
            "not swept over temperature."
        )
        return
    for shift in temperature_sweep(
        weights,
        chip.ramp,
        function,
        chip.bits,
        temperatures_K=TEMPERATURES_K,
        adc_bits=chip.adc_bits,
        v_read_V=chip.driver.v_read_V,
        rng=rng.child("temperature"),
    ):
        ledger.add("temperature", **asdict(shift))


def without_maps(device: Device) -> Device:
    """The same cells without mapped defects, which belong to arrays of one shape."""
    effects = tuple(effect for effect in device.effects if not (isinstance(effect, Stuck) and effect.map_file))
    return replace(device, effects=effects)
