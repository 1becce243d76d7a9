"""``mho show integrator``: the budget on standard output, and one clear message for what cannot be built."""

from __future__ import annotations

import pytest

from periphery.front_end import FRONT_ENDS
from tests.mho.command import mho


@pytest.mark.parametrize("kind", FRONT_ENDS)
def test_budget_names_every_figure_with_its_equation(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = mho(capsys, "show", kind)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith(f"# front end {kind}")
    assert "line_S 0.001095" in lines[1]
    heads = [line.split("  ")[0] for line in lines[2:]]
    for name in ("LSB", "noise: Johnson noise of the cells", "noise: amplifier", "offset: virtual ground", "bias"):
        assert name in heads


def test_a_budget_has_no_lines_for_parts_that_the_circuit_has_not_got(capsys: pytest.CaptureFixture[str]) -> None:
    _, mirrored, _ = mho(capsys, "show", "integrator")
    _, resistor, _ = mho(capsys, "show", "transimpedance")
    for name in ("gain spread: mirror", "gain spread: capacitor", "division"):
        assert f"\n{name} " in mirrored
        assert f"\n{name} " not in resistor
    (capacitor,) = (line for line in resistor.splitlines() if line.startswith("capacitor  "))
    assert "tau / R" in capacitor


def test_fields_may_be_set_and_bits_change_the_lsb(capsys: pytest.CaptureFixture[str]) -> None:
    _, plain, _ = mho(capsys, "show", "integrator")
    _, other, _ = mho(capsys, "show", "integrator", "--set", "swing_V=0.32", "--bits", "4")
    assert "15.6 mV" in plain.splitlines()[2]
    assert "20.0 mV" in other.splitlines()[2]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--set", "swing_V=0.7"), "front_end.swing_V: at most 0.65 V"),
        (("--set", "swing=0.3"), "swing"),
        (("--set", "bias_A=1e-7"), "front_end.bias_A: more than"),
        (("--bits", "0"), "--bits: must be a whole number from 1 to 12 (got 0)"),
        (("--chips", "3"), "--chips: belongs to mho show NLADC (got it beside integrator)"),
        (("--plot", "a.png"), "--plot: belongs to"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = mho(capsys, "show", "integrator", *words)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
