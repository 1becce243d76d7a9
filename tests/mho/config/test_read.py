"""Configurations: what is merged over what, what is refused and in which words, what comes back identically."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from annotated_types import Ge, Gt, Interval, Len
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import Field

from configs.errors import InputError
from configs.yaml_source import Node, Origin, as_node, dump_yaml
from devices import AnyDevice
from mappings import chip as mappings_chip
from mho.config import resolve as config_resolve
from mho.config.read import Loaded, changed_records, digest, json_schema, read, read_values
from mho.config.resolve import shipped_files
from mho.listings import records
from workloads import AnyExperiment


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One cell.

    Parameters
    ----------
    g_min_S, g_max_S : range of targets [S]
    source : where the numbers
        are from
    """

    source: str = ""
    g_min_S: Annotated[float, Ge(0.0)] = 0.0
    g_max_S: Annotated[float, Gt(0.0)]

    def __post_init__(self) -> None:
        if self.g_min_S >= self.g_max_S:
            raise ValueError(f"g_min_S must be below g_max_S = {self.g_max_S:g} (got {self.g_min_S:g})")


@dataclass(frozen=True, kw_only=True)
class PCM(Cell):
    kind: Literal["pcm"] = "pcm"
    drift: Annotated[float, Interval(ge=0, le=1)] = 0.05


@dataclass(frozen=True, kw_only=True)
class TaOx(Cell):
    kind: Literal["rram_taox"] = "rram_taox"
    g_max_S: Annotated[float, Gt(0.0)] = 400e-6
    spread_S: Annotated[float, Ge(0.0)] = 2.73e-6


Device = Annotated[PCM | TaOx, Field(discriminator="kind")]


@dataclass(frozen=True, kw_only=True)
class Weights:
    device: Device
    pairs: bool = True


@dataclass(frozen=True, kw_only=True)
class Chip:
    """A chip, as one YAML record.

    It has a second paragraph.
    """

    bits: Annotated[int, Interval(ge=2, le=8)]
    weights: Weights
    ramp: Device | None = None
    activation: Literal["sigmoid", "tanh"] = "sigmoid"
    tiles: Annotated[int, Gt(0)] | Literal["auto"] = "auto"
    spares: dict[str, Device] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Variant:
    name: str
    chip: Chip
    default: bool = False


@dataclass(frozen=True, kw_only=True)
class Experiment:
    description: str = ""
    chip: Chip
    variants: tuple[Variant, ...] = ()
    times_s: Annotated[tuple[Annotated[float, Ge(0)], ...], Len(1)] = (0.0, 3600.0)
    span_V: tuple[float, float] = (0.15, 0.25)
    seed: Annotated[int, Field(description="the seed of every stream")] = 0
    notes: dict[str, Any] = field(default_factory=dict)


SHIPPED = {
    "devices/pcm.yaml": "kind: pcm\nsource: ours\ng_max_S: 25e-6\n",
    "devices/pcm_hot.yaml": "extends: pcm\ndrift: 0.1\n",
    "devices/taox.yaml": "kind: rram_taox\nsource: theirs\ng_min_S: 100e-6\n",
    "chips/ramp.yaml": "bits: 5\nweights: {device: taox}\n",
    "experiments/kws.yaml": """\
description: Keyword spotting
chip: {extends: ramp, bits: 6}
variants:
- {name: taox, default: true}
- {name: pcm, chip: {weights: {device: pcm}}}
- name: coarse
  chip: {bits: 4}
""",
}


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of shipped records like ``configs``, and an empty working folder."""
    for name, text in SHIPPED.items():
        file = tmp_path / "configs" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    monkeypatch.setattr(config_resolve, "configs_root", lambda: tmp_path / "configs")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


Reader = Callable[..., Loaded[Experiment]]
Complaints = Callable[..., tuple[str, ...]]


@pytest.fixture
def load(files: Path) -> Reader:
    """Read the text of an experiment as ``a.yaml``."""

    def reader(text: str, *sets: str) -> Loaded[Experiment]:
        (files / "a.yaml").write_text(text, encoding="utf-8")
        return read("a.yaml", Experiment, sets=sets)

    return reader


@pytest.fixture
def problems(load: Reader) -> Complaints:
    """The lines with which the text of an experiment is refused."""

    def complain(text: str, *sets: str) -> tuple[str, ...]:
        with pytest.raises(InputError) as caught:
            load(text, *sets)
        assert all("\n" not in line for line in caught.value.problems)
        return caught.value.problems

    return complain


PLAIN = "chip:\n  bits: 5\n  weights:\n    device: pcm\n"


# --- what is merged over what


def test_a_name_stands_for_the_shipped_record(load: Reader) -> None:
    got = load(PLAIN)
    assert got.value.chip == Chip(bits=5, weights=Weights(device=PCM(source="ours", g_max_S=25e-6)))
    assert got.source_text_name == "a.yaml"


def test_numbers_are_those_of_yaml_1_2(load: Reader) -> None:
    got = load(PLAIN + "seed: 1e3\ntimes_s: [0, 010, 1E2]\n")
    assert got.value.seed == 1000
    assert isinstance(got.value.seed, int)
    assert got.value.times_s == (0.0, 10.0, 100.0)
    assert all(isinstance(t_s, float) for t_s in got.value.times_s)


def test_a_shipped_experiment_with_its_variants(files: Path) -> None:
    got = read("kws", Experiment)
    assert got.source_text_name == "configs/experiments/kws.yaml"
    assert [variant.chip.bits for variant in got.value.variants] == [6, 6, 4]
    kinds = [variant.chip.weights.device.kind for variant in got.value.variants]
    assert kinds == ["rram_taox", "pcm", "rram_taox"]
    assert got.value.variants[0].chip == got.value.chip


def test_naming_another_record_takes_nothing_over_from_the_first(load: Reader) -> None:
    got = load(
        "extends: kws\nchip: {weights: {device: {drift: 0.2, extends: pcm}, pairs: false}}\n"
        "variants:\n- {name: hot, chip: {weights: {device: pcm_hot}}}\n"
    )
    assert got.value.chip.weights == Weights(device=PCM(source="ours", g_max_S=25e-6, drift=0.2), pairs=False)
    assert got.value.variants[0].chip.weights.device == PCM(source="ours", g_max_S=25e-6, drift=0.1)
    assert not got.value.variants[0].chip.weights.pairs
    assert got.value.chip.bits == 6
    assert got.value.description == "Keyword spotting"


def test_another_kind_takes_nothing_over(load: Reader) -> None:
    text = PLAIN + "variants:\n- {name: a, chip: {weights: {device: {kind: rram_taox, spread_S: 1e-6}}}}\n"
    assert load(text).value.variants[0].chip.weights.device == TaOx(spread_S=1e-6)
    same = PLAIN + "variants:\n- {name: a, chip: {weights: {device: {kind: pcm, drift: 1}}}}\n"
    assert load(same).value.variants[0].chip.weights.device == PCM(source="ours", g_max_S=25e-6, drift=1.0)


def test_a_variant_with_a_chip_of_its_own_stands_alone(load: Reader) -> None:
    text = PLAIN + "  activation: tanh\nvariants:\n- {name: a, chip: ramp}\n- {name: b, chip: {bits: 3}}\n"
    assert [variant.chip.activation for variant in load(text).value.variants] == ["sigmoid", "tanh"]


def test_lists_are_replaced_and_null_takes_away(load: Reader, files: Path) -> None:
    (files / "base.yaml").write_text(PLAIN + "  ramp: taox\ntimes_s: [1, 2, 3]\n")
    got = load("extends: base.yaml\ntimes_s: [4]\nchip: {ramp: null}\n")
    assert got.value.times_s == (4.0,)
    assert got.value.chip.ramp is None


def test_paths_are_relative_to_the_file_they_stand_in(load: Reader, files: Path) -> None:
    (files / "lab").mkdir()
    (files / "lab" / "cell.yaml").write_text("extends: taox\nspread_S: 5e-6\n")
    (files / "lab" / "base.yaml").write_text("chip: {bits: 3, weights: {device: cell.yaml}}\n")
    assert load("extends: lab/base.yaml\n").value.chip.weights.device == TaOx(
        source="theirs", g_min_S=100e-6, spread_S=5e-6
    )
    assert load(PLAIN, "chip.weights.device=lab/cell.yaml").value.chip.weights.device.g_max_S == 400e-6
    assert load(f"extends: {files}/lab/base.yaml\n").value.chip.bits == 3


def test_records_in_a_mapping_and_free_data(load: Reader, files: Path) -> None:
    (files / "spare.yaml").write_text("kind: rram_taox\n")
    got = load(PLAIN + "  spares: {left: {extends: spare.yaml}}\n")
    assert got.value.chip.spares == {"left": TaOx()}
    free = load(PLAIN + "notes: {device: pcm, extends: nothing, deep: {device: x}}\n")
    assert free.value.notes == {"device": "pcm", "extends": "nothing", "deep": {"device": "x"}}


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """Records in a mapping without fixed keys, and in a list."""

    components: dict[str, PCM]
    device: tuple[Device, ...] = ()


def test_names_in_a_mapping_and_in_a_list_of_records(files: Path) -> None:
    (files.parent / "configs" / "components").mkdir()
    (files.parent / "configs" / "components" / "part.yaml").write_text("g_max_S: 1e-3\n")
    (files / "shelf.yaml").write_text(
        "components: {left: part, right: {extends: part, drift: 1}}\ndevice: [taox, pcm]\n"
    )
    got = read("shelf.yaml", Shelf).value
    assert got.components == {"left": PCM(g_max_S=1e-3), "right": PCM(g_max_S=1e-3, drift=1.0)}
    assert [device.kind for device in got.device] == ["rram_taox", "pcm"]


# --- --set


def test_set_reaches_the_variants_that_do_not_say_otherwise(files: Path) -> None:
    got = read("kws", Experiment, sets=["chip.bits=3"])
    assert [got.value.chip.bits, *(variant.chip.bits for variant in got.value.variants)] == [3, 3, 3, 4]


@pytest.mark.parametrize("path", ["variants[2].chip.bits", "variants[coarse].chip.bits"])
def test_set_of_one_variant_by_index_or_name(files: Path, path: str) -> None:
    got = read("kws", Experiment, sets=[f"{path}=8"])
    assert [variant.chip.bits for variant in got.value.variants] == [6, 6, 8]


def test_set_values_follow_the_rules_of_yaml(load: Reader) -> None:
    got = load(
        PLAIN,
        "times_s=[1e1, .5]",
        "description=a: b # c",
        "chip.weights.device={extends: taox, spread_S: 1e-6}",
        "seed=010",
    )
    assert got.value.times_s == (10.0, 0.5)
    assert got.value.description == "a: b # c"
    assert got.value.chip.weights.device == TaOx(source="theirs", g_min_S=100e-6, spread_S=1e-6)
    assert got.value.seed == 10
    assert load(PLAIN, "description='5'", "chip.ramp=").value.description == "5"


def test_the_more_specific_set_wins_in_any_order(load: Reader) -> None:
    sets = ["chip.weights.device.spread_S=1e-6", "chip.weights.device.kind=rram_taox", "chip.weights.device=pcm"]
    for order in (sets, sets[::-1]):
        assert load(PLAIN, *order).value.chip.weights.device == TaOx(spread_S=1e-6)


@pytest.mark.parametrize(
    ("option", "line"),
    [
        ("chip.bitz=4", "chip.bitz: no such key; allowed are bits, weights, ramp, activation, tiles, spares;"
                        " did you mean bits?"),
        ("bits=4", "bits: no such key; allowed are description, chip, variants, times_s, span_V, seed, notes"
                   "; did you mean chip.bits?"),
        ("chip.bits.x=4", "chip.bits: must be a whole number from 2 to 8, which has no keys (got x)"),
        ("chip.bits=9", "chip.bits: must be a whole number from 2 to 8 (got 9)"),
        ("chip.bits='4'", "chip.bits: must be a whole number from 2 to 8 (got the text '4')"),
        ("chip.weights.device=pcn", "chip.weights.device: must be a name in devices (pcm, pcm_hot, taox) or the path of"
                                    " a .yaml file (got pcn); did you mean pcm?"),
        ("variants[7].chip.bits=4", "variants: must be an index (0 to 2) or a name (taox, pcm, coarse) (got 7)"),
        ("variants[corse].chip.bits=4", "variants: must be an index (0 to 2) or a name (taox, pcm, coarse) (got corse);"
                                        " did you mean coarse?"),
        ("times_s[0]=4", "times_s: must be an index (none, the list is empty) (got 0)"),
        ("chip.bits", "must be a path and a value, as in chip.bits=4 or variants[0].chip.bits=4"),
        ("chip..bits=4", "must be a path and a value, as in chip.bits=4 or variants[0].chip.bits=4"),
        ("=4", "must be a path and a value, as in chip.bits=4 or variants[0].chip.bits=4"),
        ("seed=1e999", "a number must be below 1.8e308 in size (got 1e999)"),
        ("seed=.nan", "seed: must be a number (got .nan)"),
    ],
)  # fmt: skip
def test_set_errors_name_the_option(files: Path, option: str, line: str) -> None:
    with pytest.raises(InputError) as caught:
        read("kws", Experiment, sets=[option])
    assert caught.value.problems[0] == f"--set {option}: {line}"


def test_a_set_that_every_variant_overrides_is_refused(problems: Complaints, load: Reader) -> None:
    text = PLAIN + "variants:\n- {name: a, chip: {bits: 4, weights: {device: taox}}}\n- {name: b, chip: ramp}\n"
    for option in ("chip.bits=3", "chip.weights.device=pcm_hot", "chip.weights.device={kind: pcm, g_max_S: 1e-3}"):
        path = option.partition("=")[0]
        assert problems(text, option) == (
            f"--set {option}: {path}: changes nothing, every item of variants has its own value; "
            f"set variants[NAME].{path}",
        )
    heard = load(text + "- {name: c}\n", "chip.bits=3", "chip.weights.device=pcm_hot").value.variants[2].chip
    assert (heard.bits, heard.weights.device.kind) == (3, "pcm")


# --- errors in files


def test_all_errors_at_once_each_with_its_place(problems: Complaints) -> None:
    assert problems(
        "chip:\n  bits: 12\n  weights:\n    device: {kind: pcm, g_max_S: '1', drfit: 0.1}\n    pairs: off\n"
        "  activation: tanhh\n  tiles: none\ntimes_s: [0, -1, x]\nspan_V: [1]\nseed: 1.5\nsead: 2\n"
    ) == (
        "a.yaml:2:9: chip.bits: must be a whole number from 2 to 8 (got 12)",
        "a.yaml:4:34: chip.weights.device.g_max_S: must be a number above 0 (got the text '1')",
        "a.yaml:4:39: chip.weights.device.drfit: no such key; allowed are source, g_min_S, g_max_S, kind, drift"
        "; did you mean drift?",
        "a.yaml:5:12: chip.weights.pairs: must be true or false (got the text 'off'); did you mean false?",
        "a.yaml:6:15: chip.activation: must be one of sigmoid, tanh (got the text 'tanhh'); did you mean tanh?",
        "a.yaml:7:10: chip.tiles: must be a whole number above 0 or auto (got the text 'none')",
        "a.yaml:8:14: times_s[1]: must be a number of at least 0 (got -1)",
        "a.yaml:8:18: times_s[2]: must be a number of at least 0 (got the text 'x')",
        "a.yaml:9:9: span_V: must be a list of 2 items (a number; a number) (got a list of 1 item)",
        "a.yaml:10:7: seed: must be a whole number (got 1.5)",
        "a.yaml:11:1: sead: no such key; allowed are description, chip, variants, times_s, span_V, seed, notes"
        "; did you mean seed?",
    )


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("chip: {bits: true, weights: {device: pcm}}",
         ["1:14: chip.bits: must be a whole number from 2 to 8 (got true)"]),
        ("chip: {bits: 4.5, weights: {device: pcm}}",
         ["1:14: chip.bits: must be a whole number from 2 to 8 (got 4.5)"]),
        (PLAIN + "times_s: [true]", ["5:11: times_s[0]: must be a number of at least 0 (got true)"]),
        (PLAIN + "description: 5", ["5:14: description: must be text (got 5)"]),
        (PLAIN + "  activation: 3", ["5:15: chip.activation: must be one of sigmoid, tanh (got 3)"]),
        (PLAIN + "times_s: []",
         ["5:10: times_s: must be a list of at least 1 item, each a number of at least 0 (got an empty list)"]),
        (PLAIN + "  ramp: {kind: pcmm}", ["5:16: chip.ramp.kind: must be one of pcm, rram_taox (got the text 'pcmm');"
                                          " did you mean pcm?"]),
        (PLAIN + "  ramp: {g_max_S: 1}",
         ["5:9: chip.ramp.kind: must be one of pcm, rram_taox (got nothing: the key is missing)"]),
        (PLAIN + "  ramp: 3", ["5:9: chip.ramp: must be a mapping or null (got 3)"]),
        ("chip: {bits: 4, weights: {device: 3}}",
         ["1:35: chip.weights.device: must be a mapping or the name of a record in devices (got 3)"]),
        ("chip: {weights: {device: pcm}}\nvariants: [{name: x}, {name: y, chip: {activation: tanh}}]",
         ["1:7: chip.bits: must be a whole number from 2 to 8 (got nothing: the key is missing)"]),
        (PLAIN + "variants: [{}, {}]", ["5:12: variants[0].name: must be text (got nothing: the key is missing)",
                                        "5:16: variants[1].name: must be text (got nothing: the key is missing)"]),
        (PLAIN + "variants: [3]", ["5:12: variants[0]: must be a mapping (got 3)"]),
        (PLAIN + "variants: {name: x}", ["5:11: variants: must be a list, each a mapping (got a mapping)"]),
        ("chip: {bits: 9, weights: {device: pcm}}\nvariants: [{name: x}, {name: y}]",
         ["1:14: chip.bits: must be a whole number from 2 to 8 (got 9)"]),
        ("chip: {bits: 4, weights: {device: {kind: pcm, g_max_S: 1e-6, g_min_S: 2e-6}}}",
         ["1:71: chip.weights.device.g_min_S: must be below g_max_S = 1e-06 (got 2e-06)"]),
        ("chip: {bits: 4, weights: {device: {kind: pcm, g_max_S: .nan}}}",
         ["1:56: chip.weights.device.g_max_S: must be a number (got .nan)"]),
        ("chip:", ["1:6: chip: must be a mapping or the name of a record in chips (got null)"]),
        (PLAIN + "'a b\\n': 1", None),
    ],
)  # fmt: skip
def test_errors_in_plain_words(problems: Complaints, text: str, lines: list[str] | None) -> None:
    got = problems(text)
    if lines is not None:
        assert got == tuple(f"a.yaml:{line}" for line in lines)


def test_a_number_that_cannot_be_meant_is_named_before_what_follows_from_it() -> None:
    with pytest.raises(InputError) as error:
        read("kws_tiny", AnyExperiment, sets=("chip.weights.device.g_max_S=160",))
    first, *others = error.value.problems
    assert first.endswith("(got 160); did you mean 160e-6?")
    assert others, "no amplifier drives such cells"


def test_errors_point_to_the_file_the_value_came_from(problems: Complaints, files: Path) -> None:
    (files / "base.yaml").write_text("chip:\n  bits: 12\n  weights: {device: {kind: pcm, g_max_S: 1, drift: 2}}\n")
    assert problems("seed: x\nextends: base.yaml\nvariants: [{name: a}, {name: b, chip: {activation: tanh}}]\n") == (
        "base.yaml:2:9: chip.bits: must be a whole number from 2 to 8 (got 12)",
        "base.yaml:3:52: chip.weights.device.drift: must be a number from 0 to 1 (got 2)",
        "a.yaml:1:7: seed: must be a whole number (got the text 'x')",
    )


def test_a_record_that_cannot_be_had_is_one_error(problems: Complaints, files: Path) -> None:
    names = "must be a name in chips (ramp) or the path of a .yaml file"
    assert problems("chip: rampp\nseed: x\nvariants: [{name: a, chip: {bits: 4}}]\n") == (
        f"a.yaml:1:7: chip: {names} (got rampp); did you mean ramp?",
        "a.yaml:2:7: seed: must be a whole number (got the text 'x')",
    )
    assert problems("chip: {extends: no, activation: 5}") == (
        f"a.yaml:1:17: chip.extends: {names} (got no)",
        "a.yaml:1:33: chip.activation: must be one of sigmoid, tanh (got 5)",
    )
    assert problems("extends: pcm.yaml") == (
        "a.yaml:1:10: extends: pcm.yaml: cannot be read: No such file or directory",
    )
    assert problems("chip: {bits: 4, weights: {extends: pcm}}") == (
        "a.yaml:1:36: chip.weights.extends: must be the path of a .yaml file (got pcm)",
    )
    assert problems("extends: [kws]\n") == (
        "a.yaml:1:10: extends: must be a name or the path of a .yaml file (got a list of 1 item)",
    )
    (files / "bad.yaml").write_text("bits: 4\nbits: 5\n")
    assert problems("chip: bad.yaml\n") == ("bad.yaml:2:1: bits: each key once (got it again, first at bad.yaml:1:1)",)


def test_circles_are_refused(problems: Complaints, files: Path) -> None:
    (files / "b.yaml").write_text("extends: a.yaml\n")
    assert problems("extends: b.yaml\n") == (
        "b.yaml:1:10: extends: files that extend one another must not form a circle (got a.yaml -> b.yaml -> a.yaml)",
    )
    assert problems("extends: ./a.yaml\n")[0].endswith("must not form a circle (got a.yaml -> ./a.yaml)")
    for index in range(40):
        (files / f"{index}.yaml").write_text(f"extends: {index + 1}.yaml\n")
    assert "must be at most 30 (got " in problems("extends: 0.yaml\n")[0]


def test_unknown_sources_say_what_is_shipped(files: Path) -> None:
    for source, line in (
        ("kwz", "kwz: must be a name in experiments (kws) or the path of a .yaml file (got kwz); did you mean kws?"),
        ("kws.yaml", "kws.yaml: cannot be read: No such file or directory; did you mean kws?"),
        ("./no.yaml", "./no.yaml: cannot be read: No such file or directory"),
        ("", ": must be a name in experiments (kws) or the path of a .yaml file (got )"),
    ):
        with pytest.raises(InputError) as caught:
            read(source, Experiment)
        assert str(caught.value) == line
    with pytest.raises(InputError, match="Is a directory"):
        read(f"{files}/", Experiment)


# --- what comes back


def cells() -> st.SearchStrategy[dict[str, Any]]:
    top = st.floats(1e-9, 1e-3)
    pcm = st.fixed_dictionaries({"kind": st.just("pcm"), "g_max_S": top}, optional={"drift": st.floats(0, 1)})
    return pcm | st.fixed_dictionaries({"kind": st.just("rram_taox")}, optional={"source": st.text(max_size=10)})


TIMES = st.just(0.0) | st.floats(1e-15, 1e11)
CHIPS = st.fixed_dictionaries(
    {
        "bits": st.integers(2, 8),
        "weights": st.fixed_dictionaries({"device": cells() | st.sampled_from(["pcm", "taox"])}),
    },
    optional={"ramp": st.none() | cells(), "tiles": st.integers(1, 10**6) | st.just("auto")},
)
EXPERIMENTS = st.fixed_dictionaries(
    {"chip": CHIPS},
    optional={
        "seed": st.integers(0, 2**64),
        "times_s": st.lists(TIMES, min_size=1, max_size=3),
        "variants": st.lists(
            st.fixed_dictionaries({"name": st.text(max_size=5)}, optional={"chip": CHIPS}), max_size=3
        ),
    },
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(EXPERIMENTS)
def test_the_resolved_configuration_reads_back_as_itself(load: Reader, data: dict[str, Any]) -> None:
    first = load(dump_yaml(data))
    again = load(dump_yaml(first.data))
    assert again == first
    assert first.digest == digest(json.loads(json.dumps(first.data)))


def test_the_digest_depends_on_values_alone(load: Reader) -> None:
    first = load(PLAIN)
    same = load("# a comment\nseed: 0\ntimes_s: [0, 36e2]\nchip: {weights: {device: pcm, pairs: true}, bits: 5.0}\n")
    assert same.digest == first.digest
    assert load(PLAIN, "seed=1").digest != first.digest
    assert len(first.digest) == 64


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.sampled_from(["chip", "variants", "extends", "times_s", "notes", "seed", "x", "span_V"]),
        st.recursive(
            st.sampled_from(
                [None, True, 3, 2.5, math.nan, math.inf, "pcm", "ramp", "kws", "a.yaml", "", 10**30, "x/y"]
            ),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(
                        ["bits", "weights", "device", "chip", "kind", "extends", "ramp", "name", "pcm", "spares"]
                    ),
                    inner,
                    max_size=4,
                )
            ),
            max_leaves=8,
        ),
        max_size=4,
    ),
    st.lists(st.text("chip.bitsvarn[0]={:'\"} ", max_size=20), max_size=2),
)
def test_any_shape_gives_an_experiment_or_an_input_error(load: Reader, data: dict[str, Any], sets: list[str]) -> None:
    try:
        lines = (type(load(dump_yaml(data), *sets).value).__name__,)
    except InputError as error:
        lines = error.problems
    assert lines
    assert all(line and "\n" not in line for line in lines)


# --- for editors, and lists


def test_json_schema_describes_fields_and_allows_names(files: Path) -> None:
    schema = json_schema(Experiment)
    chip = schema["$defs"]["Chip"]
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["additionalProperties"] is False
    assert schema["properties"]["seed"]["description"] == "the seed of every stream"
    assert chip["description"] == "A chip, as one YAML record."
    assert chip["properties"]["bits"] == {"type": "integer", "minimum": 2, "maximum": 8}
    assert chip["properties"]["extends"]["type"] == "string"
    assert "required" not in chip
    assert schema["$defs"]["PCM"]["properties"]["g_max_S"]["description"] == "range of targets [S]"
    assert schema["$defs"]["PCM"]["properties"]["source"]["description"] == "where the numbers are from"
    name, *cells = schema["$defs"]["Weights"]["properties"]["device"]["anyOf"]
    assert name["anyOf"][0] == {"enum": ["pcm", "pcm_hot", "taox"]}
    assert cells == [{"$ref": "#/$defs/PCM"}, {"$ref": "#/$defs/TaOx"}]
    assert schema["properties"]["chip"]["anyOf"][1] == {"$ref": "#/$defs/Chip"}
    assert json.loads(json.dumps(schema)) == schema


def test_shipped_lists_names_with_descriptions(files: Path) -> None:
    assert records("experiments") == {"kws": "Keyword spotting"}
    assert records("devices") == {"pcm": "", "pcm_hot": "", "taox": ""}
    assert records("nothing") == {}


def test_every_shipped_device_reads_as_a_device() -> None:
    names = records("devices")
    assert {"ideal", "pcm", "rram_taox", "gaussian"} <= names.keys()
    for name, description in names.items():
        got = read(name, AnyDevice, folder="devices")
        assert description == got.value.description
        assert description


def test_infinite_and_implausible_values_are_refused_with_their_field_unless_allowed(load: Reader) -> None:
    with pytest.raises(InputError, match=r"a.yaml:\d+:\d+: times_s\[1\]: must be a finite number \(got inf\)"):
        load(PLAIN + "times_s: [0, .inf]\n")
    with pytest.raises(InputError, match=r"ramp.g_max_S: is implausible: .*did you mean 160e-6\?"):
        load(PLAIN + "  ramp: {kind: pcm, g_max_S: 160}\n")
    allowed = load("implausible: allow\n" + PLAIN + "  ramp: {kind: pcm, g_max_S: 160}\n")
    assert allowed.data["implausible"] == "allow"
    assert load("# again\n" + dump_yaml(allowed.data)).value == allowed.value


SET = "chip.weights.device"


@pytest.mark.parametrize(
    ("sets", "status"),
    [
        ([], "published"),
        ([f"{SET}.g_max_S=140e-6"], "published, changed: g_max_S"),
        ([f"{SET}.g_max_S=140e-6", f"{SET}.tail_share=0.2"], "published, changed: g_max_S, tail_share"),
        ([f"{SET}.g_max_S=150e-6"], "published"),  # what it was
        ([f"{SET}=pcm"], "published"),
        ([f"{SET}=pcm", f"{SET}.g_max_S=20e-6"], "published, changed: g_max_S"),
        ([f"{SET}={{kind: rram_superT, g_max_S: 1e-4}}"], "published, changed: g_max_S"),
        ([f"{SET}={{kind: gaussian, g_max_S: 1e-4, g_min_S: 0, sigma_absolute: 0.1}}"], "generic"),
        ([f"{SET}.g_max_S=140e-6", f"{SET}.status=estimate"], "estimate"),
        ([f"{SET}.description=mine"], "published"),
        ([f"{SET}.effects=[{{kind: stuck, off_rate: 0.01}}]"], "published"),
    ],
)
def test_a_record_of_which_a_figure_was_changed_says_so(sets: list[str], status: str) -> None:
    loaded = read("kws_tiny", AnyExperiment, sets=sets)
    variant = next(each for each in loaded.data["variants"] if each["name"] == "ramp_5bit")
    assert variant["chip"]["weights"]["device"]["status"] == status
    found = changed_records(variant)
    assert found == ({"chip.weights.device": status} if "changed" in status else {})
    again = read_values(
        {key: as_node(value, Node(None, Origin("again"))) for key, value in loaded.data.items()}, AnyExperiment
    )
    assert again.data == loaded.data


def test_a_file_that_extends_a_record_says_what_it_changed(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("extends: rram_superT\ng_max_S: 140e-6\n", encoding="utf-8")
    assert read(tmp_path / "mine.yaml", AnyDevice, folder="devices").value.status == "published, changed: g_max_S"


def test_no_shipped_chip_or_experiment_changes_a_record_without_saying_where_its_figure_is_from() -> None:
    for folder, type_ in (("chips", mappings_chip.Chip), ("experiments", AnyExperiment), ("devices", AnyDevice)):
        for name in shipped_files(folder):
            assert changed_records(read(name, type_, folder=folder).data) == {}, name


def test_options_are_told_by_the_variant_that_they_changed() -> None:
    options = (
        "chip.weights.device=pcm",
        "chip.weights.device.g_max_S=2e-5",
        "variants[1].chip.bits=4",
        "evaluation.chips=3",
    )
    found = read("kws_tiny", AnyExperiment, sets=options).sets
    assert found["ramp_5bit"] == options[:2]
    assert found["conventional_5bit"] == options[:3]
    assert found[""] == options[3:]
    assert "pcm_rram_ramp_on" not in found  # whose own cells neither option reaches
