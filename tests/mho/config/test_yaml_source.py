"""YAML 1.2 scalars, places of values, and files that nobody should have to trust."""

from __future__ import annotations

import contextlib
import math
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.errors import InputError
from configs.yaml_source import MAX_BYTES, Node, dump_yaml, load_yaml, parse_mapping, parse_text


def parse(text: str | bytes) -> Node:
    return parse_mapping(text.encode() if isinstance(text, str) else text, "a.yaml", Path())


def problems(text: str | bytes) -> tuple[str, ...]:
    with pytest.raises(InputError) as caught:
        parse(text)
    return caught.value.problems


# The examples of the YAML 1.2.2 specification, section 10.3.2, and the numbers that people write.
CORE = [
    ("null", None),
    ("~", None),
    ("", None),
    ("NULL", None),
    ("nUll", "nUll"),
    ("true", True),
    ("False", False),
    ("on", "on"),
    ("off", "off"),
    ("yes", "yes"),
    ("No", "No"),
    ("y", "y"),
    ("0", 0),
    ("010", 10),
    ("0o7", 7),
    ("0o10", 8),
    ("0x3A", 58),
    ("-19", -19),
    ("+5", 5),
    ("0.", 0.0),
    ("-0.0", -0.0),
    (".5", 0.5),
    ("+12e03", 12000.0),
    ("-2E+05", -200000.0),
    ("25e-6", 25e-6),
    ("1e9", 1e9),
    ("1E-3", 1e-3),
    ("6.02e23", 6.02e23),
    (".inf", math.inf),
    ("-.Inf", -math.inf),
    ("+.INF", math.inf),
    ("1_000", "1_000"),
    ("1:30", "1:30"),
    ("2024-01-31", "2024-01-31"),
    ("0b11", "0b11"),
    ("1e", "1e"),
    ("e5", "e5"),
    (".", "."),
    ("'5'", "5"),
    ('"off"', "off"),
    ("1.2.3", "1.2.3"),
    ("٣", "٣"),
]


@pytest.mark.parametrize(("text", "value"), CORE)
def test_scalars_resolve_as_in_yaml_1_2(text: str, value: object) -> None:
    got = parse(f"a: {text}").plain()["a"]
    assert repr(got) == repr(value)


@pytest.mark.parametrize("text", [".nan", ".NaN", ".NAN"])
def test_nan_is_a_number(text: str) -> None:
    assert math.isnan(parse(f"a: {text}").plain()["a"])


def test_keys_are_names_whatever_they_look_like() -> None:
    assert parse("130: a\non: b\nnull: c\n'': d").plain() == {"130": "a", "on": "b", "null": "c", "": "d"}


def test_every_key_and_value_knows_its_place() -> None:
    node = parse("chip:\n  bits: 4\n  grid: [1, 2,\n    3]\nname: kws\n")
    chip = node.find(["chip"])
    third = node.find(["chip", "grid", 2])
    assert chip is not None
    assert third is not None
    assert str(node.keys["name"]) == "a.yaml:5:1"
    assert str(chip.keys["bits"]) == "a.yaml:2:3"
    assert str(chip.value["bits"].origin) == "a.yaml:2:9"
    assert str(third.origin) == "a.yaml:4:5"
    assert node.find(["chip", "grid", 3]) is None
    assert node.find(["chip", "bits", "x"]) is None


def test_duplicate_keys_are_all_named_with_both_places() -> None:
    assert problems("a: 1\nb: {c: 1, c: 2}\na: 3\n") == (
        "a.yaml:2:11: c: each key once (got it again, first at a.yaml:2:5)",
        "a.yaml:3:1: a: each key once (got it again, first at a.yaml:1:1)",
    )


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "a.yaml:1:1: the top level must be a mapping, lines of 'key: value' (got an empty file)"),
        (
            "# only a comment\n",
            "a.yaml:1:1: the top level must be a mapping, lines of 'key: value' (got an empty file)",
        ),
        ("---\n", "a.yaml:1:1: the top level must be a mapping, lines of 'key: value' (got an empty file)"),
        ("- 1\n- 2", "a.yaml:1:1: the top level must be a mapping, lines of 'key: value' (got a list of 2 items)"),
        ("\nkws", "a.yaml:2:1: the top level must be a mapping, lines of 'key: value' (got the text 'kws')"),
        ("~", "a.yaml:1:1: the top level must be a mapping, lines of 'key: value' (got null)"),
        ("a:\n\tb: 1", "a.yaml:2:1: not readable as YAML: a tab cannot indent or begin a value; use spaces"),
        (
            "a: b: c",
            "a.yaml:1:5: not readable as YAML: a second ': ' on one line; put a text that holds ': ' in quotes",
        ),
        ("a: @b", None),
        ("a: [1, 2", None),
        ("a: 'b", None),
        ("a: 1\n---\nb: 1", "a.yaml:2:1: a second document; one file holds only one"),
        (b"a: 1\nb: \xff", "a.yaml:2:4: the file must be text in UTF-8 (got byte 0xff)"),
        ("a: \x07", "a.yaml:1:4: the character U+0007 is not allowed in YAML"),
        ("a: !!python/object/apply:os.system [ls]", "a.yaml:1:4: tags are not read: write the plain value"),
        ("a: !!str 5", "a.yaml:1:4: tags are not read: write the plain value (got !!str)"),
        ("a: !!float x", "a.yaml:1:4: tags are not read: write the plain value (got !!float)"),
        (
            "<<: {a: 1}",
            "a.yaml:1:1: a key must be a name (got <<; 'extends: FILE' takes over the keys of another record)",
        ),
        ("{? : 1}", "a.yaml:1:3: a key must be a name (got nothing)"),
        ("? [a]\n: 1", "a.yaml:1:3: a key must be a plain name"),
        ("a: *b", "a.yaml:1:4: *b: an alias must follow the end of what its anchor &b marks"),
        ("a: &b [*b]", "a.yaml:1:8: *b: an alias must follow the end of what its anchor &b marks"),
        ("a: {b: [1, 1e999]}", "a.yaml:1:12: a.b[1]: a number must be below 1.8e308 in size (got 1e999)"),
        ("a: 1e999", "a.yaml:1:4: a: a number must be below 1.8e308 in size (got 1e999)"),
        ("a: " + "9" * 5000, "a.yaml:1:4: a: a number may have at most 300 digits (got 5000)"),
        ('a: "\\ud800"', "a.yaml:1:4: a: a text must be valid Unicode (got half of a surrogate pair)"),
        ('a: "\\U00110000"', None),
        ("%YAML " + "9" * 5000 + ".1\n--- a", None),
        ("a: " + "[" * 60 + "]" * 60, "a.yaml:1:44: values may be at most 40 levels deep (got more)"),
        ("[" * 100_000, None),
    ],
)
def test_unreadable_files_give_one_line_with_the_place(text: str | bytes, line: str | None) -> None:
    (got,) = problems(text)
    assert "\n" not in got
    assert got.startswith(line or "a.yaml:1:")


def test_aliases_expand_up_to_a_bound() -> None:
    assert parse("a: &x {b: [1]}\nc: *x\n").plain() == {"a": {"b": [1]}, "c": {"b": [1]}}
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    for level in range(1, 12):
        bomb += f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]\n"
    (line,) = problems(bomb)
    assert line.startswith("a.yaml:5:")
    assert line.endswith(": a file may hold at most 100000 values, aliases expanded (got more)")


def test_files_that_cannot_be_opened(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "no.yaml", "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(InputError) as caught:
            load_yaml(path)
        assert str(caught.value) == f"{path}: cannot be read: {reason}"
    (tmp_path / "big.yaml").write_bytes(b" " * (MAX_BYTES + 1))
    with pytest.raises(InputError, match="may hold at most 1000000 bytes"):
        load_yaml(tmp_path / "big.yaml")
    with pytest.raises(InputError, match="cannot be read"):
        load_yaml("a\0b.yaml")


def test_byte_order_mark_and_windows_line_ends_do_not_matter(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_bytes("\ufeffa: 1\r\nb: µ\r\n".encode())
    assert load_yaml(file).plain() == {"a": 1, "b": "µ"}


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.text(max_size=20)
    | st.sampled_from([text for text, _ in CORE] + ["<<", "=", "-", "?", "!x", "&x", "*x", "a: b", "a #b", " ", "\n"])
)
DATA = st.dictionaries(
    st.text(max_size=5) | st.sampled_from(["on", "<<", "~", "1", "null"]),
    st.recursive(
        SCALARS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=5,
    ),
    max_size=4,
)


@settings(deadline=None, max_examples=150)
@given(DATA)
def test_what_is_dumped_reads_back_identically(data: dict[str, object]) -> None:
    assert repr(parse(dump_yaml(data)).plain()) == repr(data)


def test_dump_reads_well_and_agrees_with_another_reader() -> None:
    text = dump_yaml({"name": "kws", "off": "off", "g_max_S": 25e-6, "t_s": [0.0, 3600.0], "chips": [{"bits": 4}]})
    assert text == ("name: kws\noff: off\ng_max_S: 2.5e-05\nt_s: [0.0, 3600.0]\nchips:\n- bits: 4\n")
    assert yaml.safe_load(text)["chips"] == [{"bits": 4}]


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=60) | st.text("ab:-{}[],&*!|>'\"%#?\t\n \\x01.eE~<U\x85\u2028", max_size=50).map(str.encode))
def test_random_bytes_give_nodes_or_an_input_error(data: bytes) -> None:
    try:
        node = parse(data)
    except InputError as error:
        lines = error.problems
    else:
        lines = ("a.yaml:",) if isinstance(node, Node) else ()
    assert lines
    assert all(line.startswith("a.yaml:") and "\n" not in line for line in lines)


def test_text_of_any_shape() -> None:
    node = parse_text("[1, {a: off}]", "--set", Path())
    assert node is not None
    assert node.plain() == [1, {"a": "off"}]
    assert parse_text(" ", "--set", Path()) is None


@pytest.mark.parametrize("piece", [b"x ", b"[", b"- ", b"\n", b"# x\n", b"\n  x"])
def test_the_largest_file_takes_seconds(piece: bytes) -> None:
    data = b"a: " + piece * ((MAX_BYTES - 3) // len(piece))
    started = time.process_time()
    with contextlib.suppress(InputError):
        parse_mapping(data, "large.yaml", Path())
    assert time.process_time() - started < 5.0
