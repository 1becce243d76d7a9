"""``mho fit``: the law that made the samples is found again, and a record comes out that mho accepts."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy import integrate, stats

from devices import AnyDevice, Gaussian, LogNormal, Measured
from devices.candidates import fits
from devices.fitting import Fit, _distance, chosen
from devices.measured_csv import read_measurements
from mho.config.read import read
from mho.report.plots_fit import fitted
from tests.mho.command import mho

HONG_CSV = Path(__file__).parents[1] / "reference" / "hong2025_3c.csv"
LEVELS_US = np.array([10.0, 20.0, 40.0, 60.0, 80.0])
CELLS = 400

Draw = Callable[[np.random.Generator, np.ndarray], np.ndarray]


def samples(path: Path, draw: Draw, seed: int = 0, times_s: tuple[float, ...] = ()) -> Path:
    """A file of CELLS samples at each of five levels, and time."""
    rng = np.random.default_rng(seed)
    target = np.repeat(LEVELS_US, CELLS)
    lines = ["target_uS,measured_uS" + ",t_s" * bool(times_s)]
    for t in times_s or (0.0,):
        g = np.maximum(draw(rng, target * (1.0 + t / 10.0) ** -0.03 if times_s else target), 0.0)
        lines += [f"{x},{y:.8g}" + f",{t}" * bool(times_s) for x, y in zip(target, g, strict=True)]
    path.write_text("\n".join(lines) + "\n")
    return path


def best(path: Path) -> Fit:
    return fits(read_measurements(path))[0]


def absolute(rng: np.random.Generator, target: np.ndarray) -> np.ndarray:
    return target + 1.5 * rng.standard_normal(len(target))


def proportional(rng: np.random.Generator, target: np.ndarray) -> np.ndarray:
    return target * (1.0 + 0.05 * rng.standard_normal(len(target)))


def both(rng: np.random.Generator, target: np.ndarray) -> np.ndarray:
    return target + np.hypot(0.5, 0.05 * target) * rng.standard_normal(len(target))


def lognormal(rng: np.random.Generator, target: np.ndarray) -> np.ndarray:
    return target * np.exp(0.3 * rng.standard_normal(len(target)) - 0.045)


def lognormal_absolute(rng: np.random.Generator, target: np.ndarray) -> np.ndarray:
    variance = np.log1p((4.0 / target) ** 2)
    return target * np.exp(np.sqrt(variance) * rng.standard_normal(len(target)) - variance / 2)


def window(rng: np.random.Generator, target: np.ndarray) -> np.ndarray:
    return target + rng.uniform(-2.0, 2.0, len(target))


def biased(rng: np.random.Generator, target: np.ndarray) -> np.ndarray:
    return 0.9 * target + 1.0 + (0.5 + 0.02 * (target - 40.0) ** 2 / 40.0) * rng.standard_normal(len(target))


def biased_window(rng: np.random.Generator, target: np.ndarray) -> np.ndarray:
    return 0.9 * target + 1.0 + 0.05 * target * rng.uniform(-1.0, 1.0, len(target))


@pytest.mark.parametrize(
    ("draw", "name", "found"),
    [
        (absolute, "gaussian_absolute", {"sigma_absolute": 1.5 / 80.0, "sigma_proportional": 0.0}),
        (proportional, "gaussian_proportional", {"sigma_absolute": 0.0, "sigma_proportional": 0.05}),
        (both, "gaussian", {"sigma_absolute": 0.5 / 80.0, "sigma_proportional": 0.05}),
        (lognormal, "lognormal", {"sigma_ln": 0.3, "sigma_absolute": 0.0}),
        (lognormal_absolute, "lognormal_absolute", {"sigma_ln": 0.0, "sigma_absolute": 0.05}),
        (window, "window", {"shape": "window"}),
        (biased, "measured", {"shape": "normal"}),
        (biased_window, "measured_window", {"shape": "window"}),
    ],
)
def test_the_law_that_made_the_samples_is_the_one_chosen(
    tmp_path: Path, draw: Draw, name: str, found: dict[str, float | str]
) -> None:
    fit = best(samples(tmp_path / "m.csv", draw))
    assert fit.name == name
    for field, wanted in found.items():
        value = getattr(fit.device, field)
        assert value == (pytest.approx(wanted, rel=0.1) if wanted and not isinstance(wanted, str) else wanted)
    assert fit.chi2 is not None
    assert fit.chi2[2] > 1e-3
    assert min(level.p for level in fit.levels) > 1e-3


def test_p_values_of_the_true_law_are_uniform(tmp_path: Path) -> None:
    """Over 25 files: neither the chi-square nor the distance of a level refuses the law that made the samples."""
    found = [fits(read_measurements(samples(tmp_path / "m.csv", absolute, seed))) for seed in range(25)]
    true = [next(fit for fit in each if fit.name == "gaussian_absolute") for each in found]
    assert [each[0].name for each in found].count("gaussian_absolute") >= 24
    for p in ([fit.chi2[2] for fit in true if fit.chi2], [level.p for fit in true for level in fit.levels]):
        assert stats.kstest(p, "uniform").pvalue > 1e-3


def test_windows_and_tables_hold_what_was_measured(tmp_path: Path) -> None:
    device = best(samples(tmp_path / "w.csv", window)).device
    assert isinstance(device, Measured)
    np.testing.assert_allclose(device.sigma_S, np.full((1, 5), 2e-6 / math.sqrt(3)), rtol=0.01)
    device = best(samples(tmp_path / "b.csv", biased)).device
    assert isinstance(device, Measured)
    np.testing.assert_allclose(device.mean_S[0], (0.9 * LEVELS_US + 1.0) * 1e-6, atol=0.2e-6)


def test_drift_exponent_and_its_spread_are_found_over_times(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    nu = 0.05 + 0.01 * rng.standard_normal(5 * CELLS)
    target = np.repeat(LEVELS_US, CELLS)
    error = 1.0 + 0.02 * rng.standard_normal(len(target))
    lines = ["target_uS,t_s,measured_uS"]
    for t in (0.0, 100.0, 1e4, 1e6):
        g = target * error * (1.0 + t / 100.0) ** -nu
        lines += [f"{x},{t},{y:.8g}" for x, y in zip(target, g, strict=True)]
    path = tmp_path / "d.csv"
    path.write_text("\n".join(lines))
    by_name = {fit.name: fit.device for fit in fits(read_measurements(path))}
    assert "window" not in by_name
    for name in ("gaussian_proportional", "lognormal"):
        device = by_name[name]
        assert isinstance(device, Gaussian | LogNormal)
        assert device.drift_t0_s == 100.0
        assert device.drift_mean == pytest.approx(0.05, rel=0.03)
        assert device.drift_sd == pytest.approx(0.01, rel=0.1)
    assert best(path).name in ("gaussian_proportional", "lognormal")


@pytest.mark.parametrize("name", ["gaussian_absolute", "gaussian_proportional", "lognormal", "measured", "window"])
def test_likelihood_is_the_sum_of_the_log_densities_of_scipy(tmp_path: Path, name: str) -> None:
    path = samples(tmp_path / "m.csv", proportional)
    data = read_measurements(path)
    fit = next(fit for fit in fits(data) if fit.name == name)
    assert data.measured_S is not None
    g, target, device = data.measured_S, data.target_S, fit.device
    if isinstance(device, Gaussian):
        sigma = np.hypot(device.sigma_absolute * 80e-6, device.sigma_proportional * target)
        density = stats.norm.logpdf(g, target, sigma)
    elif isinstance(device, LogNormal):
        s = device.sigma_ln
        density = stats.lognorm.logpdf(g, s, scale=target * math.exp(-(s**2) / 2))
    else:
        assert isinstance(device, Measured)
        group = np.searchsorted(device.target_S, target)
        mean, sigma = np.array(device.mean_S[0])[group], np.array(device.sigma_S[0])[group]
        if name == "window":
            density = stats.uniform.logpdf(g, mean - math.sqrt(3.00001) * sigma, 2 * math.sqrt(3.00001) * sigma)
        else:
            density = stats.norm.logpdf(g, mean, sigma * math.sqrt(1 - 1 / CELLS))
    assert fit.log_likelihood == pytest.approx(float(density.sum()), abs=0.05)
    counted = 2 if name == "window" else fit.parameters  # an end of a window counts twice
    assert fit.bic == pytest.approx(counted * math.log(5 * CELLS) - 2 * fit.log_likelihood)


def relative(log_ratio: float, name: str, error_S: np.ndarray, size_S: float, greatest: float) -> float:
    """Likelihood of one parameter ``size_S`` times a ratio, over the greatest one; 0 of a window that is too narrow."""
    width = size_S * math.exp(log_ratio) * (1.0 + 1e-9)
    if name == "window":
        density = stats.uniform.logpdf(error_S, -width, 2.0 * width)
    else:
        density = stats.norm.logpdf(error_S, 0.0, width)
    return math.exp(float(density.sum()) - greatest)


@pytest.mark.parametrize("name", ["gaussian_absolute", "window"])
def test_bic_grows_with_samples_as_the_likelihood_averaged_over_the_parameter(tmp_path: Path, name: str) -> None:
    """-2 ln of the integral of L over the logarithm of the one parameter, by scipy: BIC and a constant."""
    constants = []
    for count in (20, 400, 8000):
        error = np.random.default_rng(count).uniform(-2.0, 2.0, count)
        target = np.where(np.arange(count) % 2, 20.0, 40.0)
        path = tmp_path / "m.csv"
        path.write_text(
            "target_S,measured_S\n"
            + "\n".join(f"{x:g}e-6,{(x + e) * 1e-6:.12g}" for x, e in zip(target, error, strict=True))
        )
        fit = next(fit for fit in fits(read_measurements(path)) if fit.name == name)
        error_S = error * 1e-6
        size = float(np.abs(error_S).max() if name == "window" else error_S.std())
        far = 12.0 / (count if name == "window" else math.sqrt(count))
        given = (name, error_S, size, fit.log_likelihood)
        mean, _ = integrate.quad(relative, 0.0 if name == "window" else -far, far, args=given, epsabs=1e-9)
        constants.append(-2.0 * (math.log(mean) + fit.log_likelihood) - fit.bic)
    assert np.ptp(constants) < 0.2  # one more ln n would be ln 400 = 6


def test_laws_whose_bic_differs_without_evidence_are_told_apart_by_their_parameters() -> None:
    def law(name: str, parameters: int, bic: float) -> Fit:
        fit = Fit(name, Gaussian(), parameters, 64, (parameters * math.log(64) - bic) / 2)
        assert fit.bic == pytest.approx(bic)
        return fit

    many, few, one = law("many", 16, -1416.4), law("few", 2, -1415.2), law("one", 1, -1412.0)
    assert chosen([many, few, one]) is few
    assert chosen([many, law("few", 2, -1414.3), one]) is many
    assert chosen([law("few", 2, -1418.5), many, one]).name == "few"
    assert chosen([law("same", 2, -1415.0), few]) is few


def test_few_samples_do_not_make_a_law_of_every_level_of_a_gaussian(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Eight values at eight levels: the files of a Gaussian, of which one in eight had 16 parameters before."""
    names = []
    for seed in range(24):
        target = np.repeat(np.linspace(10.0, 150.0, 8), 8)
        g = np.random.default_rng(seed).normal(target, np.hypot(2.0, 0.03 * target))
        path = tmp_path / "m.csv"
        path.write_text("target_uS,measured_uS\n" + "\n".join(f"{x},{y}" for x, y in zip(target, g, strict=True)))
        found = fits(read_measurements(path))
        names.append(chosen(found).name)
        if chosen(found) is not found[0]:  # the file that the record and the table speak of
            code, out, _ = mho(capsys, "fit", path)
            assert code == 0
            above = f"{chosen(found).bic - found[0].bic:.1f}"
            assert f"{above} above the least, of fewer parameters" in " ".join(out.split())
            assert "Differences of BIC below 2 are no evidence" in out
            (row,) = (line.split() for line in out.splitlines() if line.startswith("* "))
            assert (row[1], row[5]) == (names[-1], above)
    assert not {"measured", "measured_window"} & set(names)
    assert names.count("gaussian") >= 16


def test_a_summary_with_counts_judges_normal_laws_as_its_samples_do(tmp_path: Path) -> None:
    path = samples(tmp_path / "m.csv", absolute)
    table = read_measurements(path).table()
    lines = ["target_S,mean_S,sigma_S,count"]
    columns = (table.target_S, table.mean_S[0], table.sigma_S[0], table.count[0])
    lines += [f"{x!r},{m!r},{s!r},{n}" for x, m, s, n in zip(*columns, strict=True)]
    short = tmp_path / "s.csv"
    short.write_text("\n".join(lines))
    by_sample, by_summary = ({fit.name: fit for fit in fits(read_measurements(each))} for each in (path, short))
    assert set(by_summary) == {"gaussian_absolute", "gaussian_proportional", "gaussian", "measured"}
    for name, fit in by_summary.items():
        assert fit.log_likelihood == pytest.approx(by_sample[name].log_likelihood, abs=1e-4)
        assert not fit.levels
    lines = [line.rsplit(",", 1)[0] for line in lines]
    short.write_text("\n".join(lines))
    (alone,) = fits(read_measurements(short))
    assert alone.name == "measured"
    assert math.isnan(alone.bic)


def test_write_verified_memristors_fill_their_window() -> None:
    """Hong's programming stops at +-5 uS: a flat law of one parameter beats the normal, which chi-square refuses."""
    found = {fit.name: fit for fit in fits(read_measurements(HONG_CSV))}
    assert best(HONG_CSV).name == "window"
    width = found["window"].device.sigma_S[0][0] * math.sqrt(3)  # type: ignore[attr-defined]
    assert 4.9e-6 < width <= 5e-6
    assert found["window"].chi2[2] > 0.01  # type: ignore[index]
    assert found["gaussian_absolute"].chi2[2] < 1e-6  # type: ignore[index]
    assert found["gaussian_absolute"].device.sigma_absolute * 400e-6 == pytest.approx(2.76e-6, rel=0.02)  # type: ignore[attr-defined]


def test_fit_writes_a_record_that_validates_and_can_be_drawn(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    reads = tmp_path / "reads.csv"
    rng = np.random.default_rng(2)
    reads.write_text(
        "target_uS,measured_uS\n"
        + "\n".join(f"{x},{x + s * z:.7g}" for x, s in ((100, 0.1), (400, 0.3)) for z in rng.standard_normal(2000))
    )
    record, picture = tmp_path / "mine.yaml", tmp_path / "mine.png"
    code, out, err = mho(capsys, "fit", HONG_CSV, "-o", record, "--reads", reads)
    assert (code, err.strip()) == (0, str(record))
    for words in ("* window", "gaussian_absolute", "lognormal", "chi2 / dof", "window, level by level", "target, uS"):
        assert words in out
    device = read(str(record), AnyDevice, folder="devices").value
    assert isinstance(device, Measured)
    assert (device.shape, device.status, device.g_min_S, device.g_max_S) == ("window", "fitted", 100e-6, 400e-6)
    assert device.read_noise_S == pytest.approx(math.sqrt((0.1**2 + 0.3**2) / 2) * 1e-6, rel=0.03)
    assert "hong2025_3c.csv (448 samples, SHA-256 " in device.source
    assert "the conductance is taken to stay" in device.source
    assert mho(capsys, "validate", record)[0] == 0
    assert mho(capsys, "show", record, "--plot", picture)[0] == 0
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("kind", "device"),
    [("gaussian", Gaussian), ("gaussian_absolute", Gaussian), ("lognormal", LogNormal), ("measured", Measured)],
)
def test_another_kind_may_be_asked_for(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, kind: str, device: type
) -> None:
    record = tmp_path / "mine.yaml"
    code, out, _ = mho(capsys, "fit", HONG_CSV, "-o", record, "--kind", kind)
    assert code == 0
    assert f"* {kind}" in out
    value = read(str(record), AnyDevice, folder="devices").value
    assert type(value) is device
    assert "as asked for" in value.source
    size_S = getattr(value, "sigma_absolute", 0.0) * value.g_max_S
    assert (f"= {size_S:.3g} S at every level" in value.source) == (size_S > 0.0)


def test_times_and_the_assumption_about_them_stand_in_the_record(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    lines = ["target_uS,mean_uS,sigma_uS,t_s", "10,10,0.1,1", "20,20,0.2,1", "10,9.8,0.2,60", "20,19.5,0.4,60"]
    (tmp_path / "m.csv").write_text("\n".join(lines))
    record = tmp_path / "mine.yaml"
    code, out, _ = mho(capsys, "fit", tmp_path / "m.csv", "-o", record)
    assert code == 0
    assert "No count column: the goodness of fit cannot be judged" in out
    device = read(str(record), AnyDevice, folder="devices").value
    assert (device.t_s, device.correlation) == ((1.0, 60.0), 1.0)
    assert "that each keeps its rank is an assumption" in device.source
    assert "the table as it is" in device.source


def test_without_an_output_the_record_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = mho(capsys, "fit", HONG_CSV)
    assert (code, err) == (0, "")
    assert "\nkind: measured\nstatus: fitted\n" in out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("target_S,measured\n1,1\n", "m.csv:1: must have the columns target_S, measured_S, and may have t_s and cell"),
        (
            "target_uS,measured_uS\n10,10\n10,nan\n",
            "m.csv:3: measured_S must be a conductance from -1 to 1 S (got nan)",
        ),
        ("", "m.csv: must begin with a line that names its columns (got an empty file)"),
        (
            "target_uS,measured_uS\n10,10\n10,10\n20,20\n20,21\n",
            "m.csv: level 1e-05 S must have a spread above zero to be fitted (got 0)",
        ),
    ],
)
def test_a_bad_file_is_one_message_and_nothing_is_written(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "m.csv").write_text(text)
    code, out, err = mho(capsys, "fit", tmp_path / "m.csv", "-o", tmp_path / "mine.yaml")
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err
    assert [path.name for path in tmp_path.iterdir()] == ["m.csv"]


def test_an_unknown_kind_names_the_known_ones(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, _, err = mho(capsys, "fit", HONG_CSV, "-o", tmp_path / "mine.yaml", "--kind", "gausian")
    assert code == 2
    assert err == (
        "mho: --kind: must be one of gaussian, gaussian_absolute, gaussian_proportional, lognormal, "
        "lognormal_absolute, measured, measured_window, window (got gausian); did you mean gaussian?\n"
    )
    assert not list(tmp_path.iterdir())


CASES = Path(__file__).parents[3] / "shared" / "cases" / "measured"


@pytest.mark.skipif(not CASES.is_dir(), reason="../shared/cases is not here")
@pytest.mark.parametrize("name", ["semicolon", "semicomma", "tab", "ohm", "neg", "times_jitter"])
def test_every_case_at_hand_gives_a_record_that_validates(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str
) -> None:
    record = tmp_path / "mine.yaml"
    code, out, err = mho(capsys, "fit", CASES / f"{name}.csv", "-o", record)
    assert (code, err.strip()) == (0, str(record))
    assert ("below zero" in out) == (name == "neg")
    assert ("taken as 3 moments" in " ".join(out.split())) == (name == "times_jitter")
    assert mho(capsys, "validate", record)[0] == 0


def rows(*pairs: tuple[float, float]) -> str:
    return "target_S,measured_S\n" + "".join(f"{target:g},{g:.9g}\n" for target, g in pairs)


@pytest.mark.parametrize(
    "text",
    [
        "target_S,measured_S,cell,t_s\n"
        + "".join(f"{t},{t * (1 + 0.01 * c)},0,{k * 100}\n" for t in (1e-5, 2e-5) for c in range(8) for k in range(3)),
        "target_S,measured_S,cell,t_s\n"
        + "".join(
            f"{t},{t * (1 + 0.01 * c)},{c},{k * 100}\n" for t in (1e-5, 2e-5) for c in range(8) for k in range(3)
        ),
        rows(*((t, t * f) for t in (1e-300, 2e-300, 3e-300) for f in (0.9, 1.0, 1.1))),
        rows(*((t, t * f) for t in (0.1, 0.2, 0.3) for f in (0.9, 0.95, 1.0))),
        rows(*((t, -1e-6 * n) for t in (0.0, 1e-5) for n in range(5))),
        rows(*((t, t + 1e-7 * n) for t in (0.0, 1e-5) for n in range(5)), (1e-5, 0.9)),
        "target_S,mean_S,sigma_S,count\n1e-6,1e-6,0.5,10\n1e-5,1e-5,0.5,1000000000\n",
    ],
    ids=["one cell", "cells", "tiny", "large", "all below zero", "outlier", "wide"],
)
def test_no_record_is_written_that_mho_would_refuse(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str
) -> None:
    path, record = tmp_path / "m.csv", tmp_path / "mine.yaml"
    path.write_text(text)
    code, _, err = mho(capsys, "fit", path, "-o", record)
    assert "Traceback" not in err
    if code == 0:
        assert "nan" not in record.read_text()
        assert "inf" not in record.read_text()
        assert mho(capsys, "validate", record)[0] == 0
    else:
        assert (code, record.exists()) == (2, False)


@pytest.mark.parametrize("moments", [1, 2])
def test_a_mean_that_falls_while_the_target_rises_is_noted(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, moments: int
) -> None:
    lines = ["target_S,mean_S,sigma_S,t_s"]
    lines += [f"{g}e-5,{7 - g}e-5,1e-7,{t}" for t in range(moments) for g in (1, 2, 3)]
    (tmp_path / "m.csv").write_text("\n".join(lines))
    code, out, _ = mho(capsys, "fit", tmp_path / "m.csv", "-o", tmp_path / "mine.yaml")
    assert code == 0
    text = "The mean falls where the target rises, 2 times" + (" at 0 s" if moments > 1 else "")
    assert text in " ".join(out.split())
    assert text in read(str(tmp_path / "mine.yaml"), AnyDevice, folder="devices").value.source


def test_two_thousand_levels_take_seconds(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    target = np.repeat(np.arange(1, 2001) * 1e-7, 4)
    (tmp_path / "m.csv").write_text(rows(*zip(target, target + 1e-9 * draw.standard_normal(len(target)), strict=True)))
    start = time.process_time()
    code, out, _ = mho(capsys, "fit", tmp_path / "m.csv", "-o", tmp_path / "mine.yaml")
    assert code == 0
    assert "the levels that fit worst, 100 of 2000" in " ".join(out.split())
    assert time.process_time() - start < 20.0


@pytest.mark.parametrize("count", [3, 50])
def test_distances_are_those_of_scipy(count: int) -> None:
    ranks = np.random.default_rng(count).uniform(size=count)
    test = stats.kstest(ranks, "uniform")
    assert _distance(ranks) == test.statistic
    assert stats.kstwo.sf(_distance(ranks), count) == test.pvalue


def test_a_picture_of_measured_and_fitted_cells(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = samples(tmp_path / "m.csv", lambda rng, g: rng.normal(g, 2.0), times_s=(1.0, 100.0, 1e4))
    code, _, err = mho(capsys, "fit", path, "-o", tmp_path / "mine.yaml", "--plot", tmp_path / "mine.svg")
    assert code == 0, err
    assert "standard deviation over cells" in (tmp_path / "mine.svg").read_text()
    code, _, err = mho(capsys, "fit", path, "-o", tmp_path / "other.yaml", "--plot", tmp_path / "mine.xyz")
    assert (code, "the ending must be one of" in err) == (2, True)
    assert not (tmp_path / "other.yaml").exists()


def test_the_picture_shows_what_was_measured_and_what_the_device_does(tmp_path: Path) -> None:
    table = read_measurements(samples(tmp_path / "m.csv", lambda rng, g: rng.normal(0.9 * g, 3.0))).table()
    figure = Figure()
    fitted(figure, table, Gaussian(g_max_S=100e-6, sigma_absolute=0.03), "gaussian")
    means, spreads = figure.axes
    np.testing.assert_allclose(means.containers[0].lines[0].get_ydata(), -0.1 * LEVELS_US, atol=0.5)
    np.testing.assert_allclose(means.lines[1].get_ydata(), 0.0, atol=0.05)  # a tenth of the measured bars
    assert not means.get_legend()  # it stands below the axes, where it covers nothing
    np.testing.assert_allclose(spreads.lines[-1].get_ydata(), 3.0, rtol=0.1)
