"""What every kind of cell promises, over the registry, alone and with a stack of effects: identity, independence of the
batch, range, defects."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from pydantic import TypeAdapter

from devices import DEVICES, PCM, AnyDevice, ChipStreams, Device, FormedTaOx, InputError, Stream, TaOx
from devices.effects import EFFECTS, Effect, Stuck

KINDS = sorted(DEVICES)
STACKED = [f"{kind}+effects" for kind in KINDS]
RECORDS = {
    path.stem: yaml.safe_load(path.read_text(encoding="utf-8"))
    for path in sorted((Path(__file__).parents[2] / "configs" / "devices").glob("*.yaml"))
}
# What the records of the generic cells leave switched off.
DRIFT = {"drift_mean": 0.05, "drift_sd": 0.01}
LOSE_CONDUCTANCE = {"gaussian", "lognormal", "pcm", "pcm_hermes_1", "pcm_hermes_2", "rram_cmo", "sonos", "aihwkit"}
TIMES_S = (0.0, 3600.0, 86400.0, 2592000.0)


def chips(count: int, seed: int = 0) -> ChipStreams:
    return ChipStreams.of(Stream.root(seed), count)


def device_of(kind: str) -> Device:
    """The device of the first record of its kind, with everything switched on; ``<kind>+effects`` has a stack of
    effects as well. Kinds known up to a last time keep the distribution of that time."""
    name, _, stacked = kind.partition("+")
    if name == "aihwkit":
        pytest.importorskip("aihwkit", reason="aihwkit is not installed", exc_type=ImportError)
    device = built(next(record for record in RECORDS.values() if record["kind"] == name))
    allowed = {field.name for field in fields(device)}
    changes: dict[str, Any] = {"beyond": "hold", **DRIFT}
    device = replace(device, **{name: value for name, value in changes.items() if name in allowed})
    return replace(device, effects=stack(device)) if stacked else device


def built(record: dict[str, Any]) -> Device:
    adapter: TypeAdapter[Device] = TypeAdapter(AnyDevice)
    return adapter.validate_python(record)


def noisy(kinds: list[str]) -> list[str]:
    return [kind for kind in kinds if kind in STACKED or DEVICES[kind]().status != "ideal"]


def stack(device: Device) -> tuple[Effect, ...]:
    """One of every effect that suits the device, of a size that suits its range; a new kind as it is by default."""
    g = device.g_max_S
    sizes: dict[str, dict[str, float]] = {
        "levels": {"count": 12},
        "program_verify": {
            **{"tolerance_S": 0.02 * g, "start_S": 0.2 * g, "start_sd_S": 0.02 * g},
            **{"pulse_noise_S": 0.02 * g, "verify_noise_S": 0.001 * g},
        },
        "spread": {"device_sd": 0.03, "cycle_sd": 0.02},
        "retention": {"per_decade": 0.01},
        "read_disturb": {"reads_per_s": 1.0, "shift": 0.001, "end_S": 0.0, "cell_sd": 0.2},
        "stuck": {"off_rate": 0.002, "on_rate": 0.002},
        "temperature": {
            **{"temperature_K": 330.0, "activation_on_eV": 0.01},
            **{"activation_sd_eV": 0.002, "ageing_energy_eV": 0.1},
        },
    }
    every: list[Any] = [kind(**sizes.get(name, {})) for name, kind in EFFECTS.items()]
    return tuple(effect for effect in every if device.writable or effect.stage not in ("aim", "write"))


def targets(device: Device, shape: tuple[int, ...] = (40, 50)) -> torch.Tensor:
    share = torch.linspace(0.0, 1.0, torch.Size(shape).numel()).reshape(1, *shape)
    return device.g_min_S + (device.g_max_S - device.g_min_S) * share


@pytest.mark.parametrize("kind", KINDS + STACKED)
def test_programming_and_reading_twice_gives_the_same_bits(kind: str) -> None:
    device = device_of(kind)
    first, second = (device.program(targets(device), rng=chips(3)) for _ in range(2))
    for t_s in (*TIMES_S, *reversed(TIMES_S)):
        assert torch.equal(device.conductance_S(first, t_s), device.conductance_S(second, t_s))


@pytest.mark.parametrize("kind", KINDS + STACKED)
def test_programming_leaves_the_callers_targets_alone(kind: str) -> None:
    device = device_of(kind)
    target = targets(device)
    before = target.clone()
    device.conductance_S(device.program(target, rng=chips(1)), 3600.0)
    assert torch.equal(target, before)


@pytest.mark.parametrize("kind", KINDS + STACKED)
def test_cells_keep_their_identity_from_hour_to_month(kind: str) -> None:
    """At one target all that differs between cells is their own error: it must be found again later."""
    device = device_of(kind)
    middle = torch.full((1, 20000), 0.5 * (device.g_min_S + device.g_max_S), dtype=torch.float64)
    cells = device.program(middle, rng=chips(1))
    hour, month = (device.conductance_S(cells, t)[0] for t in (3600.0, 2592000.0))
    if kind not in noisy([kind]):
        assert torch.equal(hour, month)
        return
    assert torch.corrcoef(torch.stack([hour, month]))[0, 1] > 0.8


@pytest.mark.parametrize("kind", KINDS + STACKED)
def test_other_chips_in_the_batch_move_no_bit_of_the_first(kind: str) -> None:
    device = device_of(kind).with_effect(Stuck(off_rate=0.01, on_rate=0.01))
    few, many = (device.program(targets(device), rng=chips(count)) for count in (2, 7))
    for t_s in TIMES_S:
        assert torch.equal(device.conductance_S(few, t_s), device.conductance_S(many, t_s)[:2])
    alone = device.program(targets(device), rng=ChipStreams.of(Stream.root(0), [5]))
    assert torch.equal(alone.programmed_S[0], many.programmed_S[5])


@pytest.mark.parametrize("kind", KINDS + STACKED)
@pytest.mark.parametrize("shape", [(1,), (3,), (2, 2), (7,), (2, 31), (33,)])
def test_a_chip_keeps_its_bits_where_a_tensor_ends(kind: str, shape: tuple[int, ...]) -> None:
    """The last numbers of a tensor may take another path through the processor than those inside."""
    device, count = device_of(kind), 10 if kind in STACKED else 40
    target = 0.5 * (targets(device, shape) + 0.5 * (device.g_min_S + device.g_max_S))
    many = device.program(target, rng=chips(count))
    for chip in range(count):
        alone = device.program(target, rng=ChipStreams.of(Stream.root(0), [chip]))
        for t_s in (0.0, 1000.0):
            assert torch.equal(device.conductance_S(alone, t_s)[0], device.conductance_S(many, t_s)[chip])


@pytest.mark.parametrize("kind", [*noisy(KINDS), *STACKED])
def test_chips_and_seeds_differ(kind: str) -> None:
    device = device_of(kind)
    cells = device.program(targets(device), rng=chips(2))
    assert not torch.equal(cells.programmed_S[0], cells.programmed_S[1])
    assert not torch.equal(cells.programmed_S, device.program(targets(device), rng=chips(2, seed=1)).programmed_S)


@pytest.mark.parametrize("kind", KINDS)
def test_stuck_cells_have_their_rate_and_stay_stuck(kind: str) -> None:
    device = device_of(kind).with_effect(Stuck(off_rate=0.03, on_rate=0.01))
    middle = torch.full((1, 200000), 0.5 * (device.g_min_S + device.g_max_S))
    cells = device.program(middle, rng=chips(1))
    assert cells.stuck is not None
    for t_s in TIMES_S:
        g = device.conductance_S(cells, t_s)
        for value, rate in ((0.0, 0.03), (device.g_max_S, 0.01)):
            share = float((g[cells.stuck] == value).sum()) / g.numel()
            assert share == pytest.approx(rate, abs=4 * (rate * (1 - rate) / g.numel()) ** 0.5)
    for broken, value in ((Stuck(off_rate=1.0), 0.0), (Stuck(on_rate=1.0), device.g_max_S)):
        dead = device_of(kind).with_effect(broken)
        assert torch.all(dead.conductance_S(dead.program(middle, rng=chips(1)), 86400.0) == value)


@pytest.mark.parametrize("kind", KINDS + STACKED)
@pytest.mark.parametrize("beyond", [-0.01, 1.01, float("nan")])
def test_targets_out_of_range_are_refused(kind: str, beyond: float) -> None:
    device = device_of(kind)
    target = torch.tensor([[device.g_min_S, device.g_min_S + beyond * (device.g_max_S - device.g_min_S)]])
    with pytest.raises(ValueError, match=r"targets must lie in \[.*\] S \(got \["):
        device.program(target, rng=chips(1))


@pytest.mark.parametrize("kind", KINDS + STACKED)
@pytest.mark.parametrize("t_s", [-1.0, float("nan")])
def test_negative_times_are_refused(kind: str, t_s: float) -> None:
    device = device_of(kind)
    cells = device.program(targets(device), rng=chips(1))
    with pytest.raises(ValueError, match=r"t_s must be at least 0 \(got (-1\.0|nan)\)"):
        device.conductance_S(cells, t_s)


@pytest.mark.parametrize("kind", KINDS + STACKED)
def test_drifts_says_whether_conductance_moves_in_time(kind: str) -> None:
    device = device_of(kind)
    cells = device.program(targets(device), rng=chips(1))
    start, later = device.conductance_S(cells, 0.0), device.conductance_S(cells, 2592000.0)
    assert torch.equal(start, later) is not device.drifts
    if kind in LOSE_CONDUCTANCE:
        assert later.mean() < start.mean()


@pytest.mark.parametrize("kind", KINDS + STACKED)
def test_conductances_and_read_noise_are_finite_and_not_negative(kind: str) -> None:
    device = replace(device_of(kind), read_noise_S=0.1e-6)
    cells = device.program(targets(device), rng=chips(2))
    for t_s in TIMES_S:
        g = device.conductance_S(cells, t_s)
        sigma = device.read_sigma_S(g, cells)
        assert torch.isfinite(g).all()
        assert (g >= 0.0).all()
        assert sigma.shape == g.shape
        quiet = replace(device, read_noise_S=0.0).read_sigma_S(g, cells)
        absent = torch.zeros_like(g, dtype=torch.bool)
        if cells.faults is not None:
            absent = absent | cells.faults.off
        if isinstance(device, FormedTaOx):
            absent = absent | (cells.state["formed"] == 0.0)
        assert torch.all(sigma[absent] == 0.0)
        there = ~absent
        torch.testing.assert_close(sigma[there], torch.hypot(quiet, torch.full_like(g, 0.1e-6))[there])


@pytest.mark.parametrize("kind", KINDS)
def test_a_cell_that_is_stuck_off_has_no_read_noise(kind: str) -> None:
    device = replace(device_of(kind), read_noise_S=0.1e-6).with_effect(Stuck(off_rate=0.5, off_S=1e-9))
    cells = device.program(targets(device), rng=chips(1))
    sigma = device.read_sigma_S(device.conductance_S(cells, 0.0), cells)
    assert cells.stuck is not None
    assert torch.all(sigma[cells.stuck] == 0.0)


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_range_is_refused_with_a_sentence(kind: str) -> None:
    with pytest.raises(ValueError, match="g_min_S must be below g_max_S"):
        DEVICES[kind](g_min_S=1.0)  # type: ignore[call-arg]


@pytest.mark.parametrize("kind", [f"{kind}+effects" for kind in KINDS if DEVICES[kind].writable])
def test_gradients_pass_through_every_effect_to_the_targets(kind: str) -> None:
    """Snapping and verifying pass gradients straight through; all else is differentiated."""
    device = device_of(kind)
    share = torch.linspace(0.1, 0.9, 400, dtype=torch.float64)[None]
    target = (device.g_min_S + share * (device.g_max_S - device.g_min_S)).requires_grad_()
    cells = device.program(target, rng=chips(1))
    device.conductance_S(cells, 3600.0).sum().backward()
    assert target.grad is not None
    assert torch.isfinite(target.grad).all()
    works = ~cells.stuck if cells.stuck is not None else torch.ones_like(target, dtype=torch.bool)
    assert (target.grad[works] > 0.0).double().mean() > 0.9


def test_every_kind_has_a_record_and_every_record_a_kind() -> None:
    assert {record["kind"] for record in RECORDS.values()} == set(DEVICES)


@pytest.mark.parametrize("kind", KINDS)
def test_effects_act_on_every_kind_by_the_base_class(kind: str) -> None:
    for name in ("drifts", "conductance_S", "read_sigma_S"):
        assert getattr(DEVICES[kind], name) is getattr(Device, name)


@pytest.mark.parametrize("name", RECORDS)
def test_shipped_records_build_their_class_and_name_a_source(name: str) -> None:
    device = built(RECORDS[name])
    assert type(device) is DEVICES[RECORDS[name]["kind"]]
    assert set(RECORDS[name]) <= {field.name for field in fields(device)}
    assert device.source
    assert device.status in {"published", "stand-in", "estimate", "ideal", "generic"}
    default = type(device)()
    assert (device.g_min_S, device.g_max_S, device.status) == (default.g_min_S, default.g_max_S, default.status)
    if device.status in {"published", "stand-in"}:
        assert device.read_voltage_max_V is not None
        assert device.read_voltage_source
        with pytest.raises(InputError, match=r"v_V must lie within \+-0\.[35] V, .* \(got 0\.6\)"):
            device.check_voltage(0.6)
        device.check_voltage(-0.25)
    else:
        device.check_voltage(5.0)
    if isinstance(device, TaOx):
        assert isinstance(default, TaOx)
        assert (device.programming_noise_S, device.read_noise_S) == (2.73e-6, 0.14e-6)
        assert (default.programming_noise_S, default.read_noise_S) == (2.73e-6, 0.14e-6)
    if name in {"rram_taox", "rram_superT", "rram_superT_unverified", "rram_milo", "measured_hong"}:
        assert device.unknown_drift.startswith(f"drift and retention of {device.kind} are not established")
    if isinstance(device, PCM):
        assert (device.t0_s, device.t_read_s) == (20.0, 250e-9)
