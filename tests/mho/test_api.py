"""The public API: what ``import mho`` offers, frozen, and that it can be used from a script."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import mho
from crossbar import SPARSE_ENCODINGS
from mho.listings import LISTINGS, listing

PUBLIC = """
ACTIVATIONS ADC ADCS ADC_PRICES AihwkitNoise AmplitudeDAC Array Bank BitSerial BitSlices BlockNoise CCO CMO CellState
Cells Characteristic Chip ChipStreams Comparator Compensation Component ConventionalADC Cordic DEVICES DRIVERS
ConductanceSpread DenseLayer Device DifferentialPair DiscreteLevels Driver EFFECTS ENCODINGS Effect Encoding FUNCTIONS
Flash FormedTaOx Function Gaussian Grid Ideal InputError KeywordSpotting LIF LinearRamp LogNormal LookUpTable Measured
MembraneCapacitor MiloRRAM NodeWires OffsetColumn OutputConverter PCM PCMHermes1 PCMHermes2 PWMDriver PiecewiseLinear
ProgramVerify Quantiser Ramp RampColumn RampConverter RangeCalibration ReadDisturb RecurrentLayer Result Resume
ColumnLoad FRONT_ENDS Integrator Retention SAR SIGMOID SONOS SenseAmp Site Stream Stuck SuperT TANH TaOx Temperature
Transimpedance WORKLOADS WanCubic WanQuartic Weights Wires adc_price alpha_beta characterise effective_conductance
from_callable from_csv identity kappa load_components load_run named_function price read_config read_variance run
run_search run_sweep solve spgemm summarise
ConvertedNetwork HardwareTraining ResetBeforeGRU compared convert evaluate from_nir from_onnx liquid_of load network_of
save to_nir train_for_hardware
"""


def test_public_names_are_these_and_no_others() -> None:
    assert sorted(mho.__all__) == sorted(PUBLIC.split())
    assert all(hasattr(mho, name) for name in mho.__all__)
    assert set(mho.__all__) <= set(dir(mho))
    with pytest.raises(AttributeError, match="'mho' has no attribute 'RampRead'"):
        mho.RampRead  # type: ignore[attr-defined]  # noqa: B018


def test_type_checkers_are_offered_the_same_names() -> None:
    """A stub exports what it imports ``as`` the same name, and what it assigns."""
    tree = ast.parse(Path(mho.__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
    imported = [each for node in tree.body if isinstance(node, ast.ImportFrom) for each in node.names]
    assigned = [ast.unparse(node.targets[0]) for node in tree.body if isinstance(node, ast.Assign)]
    assert sorted([each.name for each in imported if each.asname == each.name] + assigned) == sorted(mho.__all__)


@pytest.mark.parametrize(
    "code",
    [
        "import mho; mho.__all__, dir(mho), mho.InputError",
        "sys.argv[1:] = ['--help']; from mho.cli import main; main()",
        "sys.argv[1:] = ['--version']; from mho.cli import main; main()",
        *(f"sys.argv[1:] = ['list', '{kind}']; from mho.cli import main; main()" for kind in LISTINGS),
    ],
)
def test_what_does_not_compute_loads_no_heavy_library(code: str) -> None:
    heavy = {"torch", "pandas", "matplotlib", "scipy", "numba", "sklearn", "numpy"}
    watch = f"import atexit, sys; atexit.register(lambda: print('LOADED', sorted({heavy} & set(sys.modules))))"
    done = subprocess.run([sys.executable, "-c", f"{watch}; {code}"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "LOADED []"


@pytest.mark.parametrize(
    ("kind", "registry"),
    [
        *(("effects", mho.EFFECTS), ("encodings", mho.ENCODINGS | SPARSE_ENCODINGS), ("drivers", mho.DRIVERS)),
        *(("activations", mho.ACTIVATIONS), ("functions", mho.FUNCTIONS), ("adc-prices", mho.ADC_PRICES)),
        *(("converters", {"ramp": None, **mho.ADCS}), ("front-ends", mho.FRONT_ENDS)),
    ],
)
def test_listings_made_from_the_source_hold_what_the_registries_hold(kind: str, registry: dict[str, object]) -> None:
    rows = listing(kind)
    assert list(rows) == list(registry)
    for name, text in rows.items():
        assert text
        if kind != "adc-prices" and isinstance(registry[name], type):
            head = " ".join((registry[name].__doc__ or "").split())
            assert head.replace("``", "").startswith(text)


def test_every_public_name_says_what_it_is() -> None:
    plain = {name for name in mho.__all__ if name.isupper() and not callable(getattr(mho, name))}
    assert plain <= {
        "ACTIVATIONS", "ADCS", "ADC_PRICES", "DEVICES", "DRIVERS", "EFFECTS", "ENCODINGS", "FRONT_ENDS", "FUNCTIONS",
        "SIGMOID", "TANH", "WORKLOADS",
    }  # fmt: skip
    assert all((getattr(mho, name).__doc__ or "").strip() for name in set(mho.__all__) - plain)


def test_a_device_and_a_ramp_in_a_few_lines() -> None:
    chips = mho.ChipStreams.of(mho.Stream.root(0), 64)
    ramp = mho.Ramp.program(mho.RampColumn(device=mho.TaOx()).design(mho.SIGMOID, bits=5), ramps=1, rng=chips)
    assert ramp.design.cells == 37
    assert float(ramp.read(0.0).inl_lsb().abs().mean()) < 0.1


def test_an_array_with_effects_and_wires_in_a_few_lines() -> None:
    cells = mho.PCM(effects=(mho.DiscreteLevels(count=16), mho.Stuck(off_rate=0.01)))
    array = mho.Array.program(
        torch.eye(8),
        device=cells,
        encoding=mho.OffsetColumn(),
        tile_of_column=torch.zeros(8, dtype=torch.long),
        wires=mho.Wires(r_word_ohm=2.0, r_bit_ohm=2.0),
        rng=mho.ChipStreams.of(mho.Stream.root(0), 4),
    )
    assert array.read(3600.0).product(torch.ones(1, 1, 8)).shape == (4, 1, 8)


def test_a_function_of_ones_own_a_linear_converter_and_its_range_in_a_few_lines() -> None:
    found = mho.characterise(
        mho.RampColumn(device=mho.TaOx()).design(mho.from_callable("cube", lambda z: z**3, -1.0, 1.0), 4),
        chips=8,
        rng=mho.Stream.root(0),
    )
    assert found.figures()["mean |INL| [LSB]"][0] < 0.1
    chips = mho.ChipStreams.of(mho.Stream.root(0), 2)
    z = torch.randn(500, 1, 3, generator=torch.Generator().manual_seed(0))
    grid = mho.RangeCalibration(per="column").ranges(z, 6).grid()
    converter = mho.SAR(capacitor_mismatch=0.01).build(grid, mho.Bank(1, 3), rng=chips)
    words = converter.words(converter.codes(z.expand(2, -1, -1, -1), None, mho.BlockNoise(chips, [0], 500)))
    assert float((words - z).abs().median()) < 0.05


def test_every_kind_of_every_registry_is_public() -> None:
    for registry in (mho.DEVICES, mho.EFFECTS, mho.ENCODINGS, mho.DRIVERS, mho.ADCS, mho.FRONT_ENDS, mho.ACTIVATIONS):
        assert {kind.__name__ for kind in registry.values()} <= set(mho.__all__)


def test_a_sweep_and_a_search_in_a_few_lines(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(
        "base: {kind: nladc, ramp: {device: ideal}, chips: 1}\naxes: {bits: [2, 3]}\n", encoding="utf-8"
    )
    swept = mho.run_sweep(str(tmp_path / "s.yaml"), output=tmp_path / "swept", site=mho.Site("local", workers=1))
    assert swept.table.enob.is_monotonic_increasing
    (tmp_path / "f.yaml").write_text(
        "base: {kind: nladc, ramp: {device: ideal}, chips: 1}\nspace: {bits: [2, 3]}\ntrials: 2\n"
        "objectives: {enob: maximize}\n",
        encoding="utf-8",
    )
    found = mho.run_search(str(tmp_path / "f.yaml"), output=tmp_path / "found")
    assert found.front.bits.tolist() == [3]
