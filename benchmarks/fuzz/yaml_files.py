"""YAML of experiments, sweeps, searches, chips, devices and liquids: values, keys, text, and YAML's own traps."""

from __future__ import annotations

import copy
import os
import random
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from benchmarks.fuzz.case import Case, start, turn
from benchmarks.fuzz.changes import aliases, bent, changed

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
FOLDERS = ("experiments", "chips", "devices", "liquids", "sweeps", "searches")
TOKENS = [
    *(b"\t", b"\x00", b"\xff", b"\r\n", b"\r", b": ", b"- ", b"{", b"[", b"&a ", b"*a", b"? ", b"---\n", b"...\n",
    b"|\n", b">\n"),
    *(b"!!python/object/apply:os.system ['touch ran'] ", b"%YAML 1.2\n", b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"<<: *a\n",
    b"#"),
    *(b"'", b'"', b"\\", b"@", b"`", b"!!binary ", b"!!timestamp ", b".inf", b".nan", b"9" * 400),
]  # fmt: skip


def _listed() -> dict[str, bytes]:
    kws = "extends: kws_tiny\n"
    text: dict[str, str] = {
        "empty": "",
        "NUL": "a: \0\n",
        "a list": "- 1",
        "a word": "hello",
        "a tab": "a:\n\tb: 1",
        "two documents": "a: 1\n---\nb: 2",
        "a key twice": "extends: kws\nextends: kws\nname: a\nname: b",
        "a merge": "a: &a {x: 1}\nb:\n  <<: *a",
        "whole number as key": "1: 2",
        "null as key": "null: 2",
        "list as key": "[a]: 2",
        "mapping as key": "{a: 1}: 2",
        "key of 2,000 characters": "x" * 2000 + ": 1",
        "key of a million": "a" * 1_000_000 + ": 1",
        "a tag of Python": "a: !!python/object/apply:os.system ['touch ran']",
        "an unknown tag": "!foo\na: 1",
        "a binary": "a: !!binary '%%%'",
        "a date that is none": "name: 2024-99-99\n",
        "billion laughs": aliases(),
        "an alias of itself": "a: &a [*a]",
        "20,000 anchors": "a: [" + ",".join(f"&a{i} 1" for i in range(20_000)) + "]",
        "100,000 open lists": "[" * 100_000,
        "5,000 open mappings": "a: " + "{a: " * 5000,
        "100,000 dashes": "- " * 100_000,
        "2,000 levels": "\n".join(" " * i + "a:" for i in range(2000)),
        "10,000 colons": "a" + ": a" * 10_000,
        "20,000 question marks": "? " * 20_000,
        "extends itself": "extends: input.yaml",
        "extends nothing": "extends: nope",
        "extends a folder": "extends: ./",
        "extends null": "extends: null",
        "extends a list": "extends: [kws]",
        "extends a device": "extends: /dev/zero",
        "extends a pipe": "extends: pipe.yaml",
        "extends with NUL": 'extends: "a\\0b.yaml"',
        "extends a surrogate": 'extends: "\\ud800.yaml"',
        "extends 5,000 characters": f"extends: {'a' * 5000}.yaml",
        "seed of 299 digits": kws + "seed: " + "9" * 299,
        "seed of 400 digits": kws + "seed: " + "9" * 400,
        "seed of 5,000 digits": kws + "seed: " + "9" * 5000,
        "hexadecimal seed": kws + "seed: 0x" + "f" * 299,
        "seed 1e400": kws + "seed: 1e400",
        "seed 1.5": kws + "seed: 1.5",
        "name with a line break": kws + 'name: "a\\nb"',
        "name with markup": kws + "name: <script>alert(1)</script>",
        "name of nothing": kws + "name: ''",
        "name a surrogate": kws + 'name: "\\ud800"',
        "3,000 variants": kws
        + "variants:\n"
        + "".join(f"- {{name: v{i}, default: {str(i == 0).lower()}}}\n" for i in range(3000)),
        "version of 5,000 digits": "%YAML " + "9" * 5000 + ".1\n---\na: 1",
        "a character beyond Unicode": 'a: "\\UFFFFFFFF"',
        "7 MB in a list": "a: [" + "1," * 3_500_000 + "1]",
        "8 MB in a block": "a: |\n" + " x\n" * 2_000_000,
        "8 MB of comments": "#\n" * 3_000_000,
        "8 MB in a word": "name: " + "x" * 7_900_000,
        "8 MB quoted": 'a: "' + "\\u00e9" * 1_300_000 + '"',
        "8 MB of a broken quote": 'a: "' + "x\n" * 2_000_000,
        "40 experiments in a row": "extends: c0.yaml",
        "g_max_S in microsiemens": "extends: rram_taox\ng_max_S: 160",
        "value_bytes 1e300": "extends: spgemm_tiny\nfabric: {value_bytes: 1.0e+300}",
        "hop_s 1e-9": kws + "features: {mfcc: {hop_s: 1.0e-9}}",
        "n_fft 1e9": kws + "features: {mfcc: {n_fft: 1.0e+9}}",
        "gain 1e9": kws + "features: {augmentation: {gain_dB: [1.0e+9, 1.0e+9]}}",
        "v_read_V 100": kws + "chip: {driver: {v_read_V: 100}}",
        "t_clk_s 1": kws + "chip: {driver: {t_clk_s: 1}}",
        "fractions that do not sum to one": kws + "data: {fractions: [0.5, 0.1, 0.1]}",
        "a sweep of a million points": "base: kws_tiny\naxes: {seed: {first: 1, last: 1000000, count: 1000000}}",
        "a sweep of no points": "base: kws_tiny\naxes: {chip.bits: []}\noutputs: [accuracy]",
        "a search of nothing": "base: kws_tiny\nspace: {}\nobjectives: {}\ntrials: 1",
    }
    files = {name: value.encode("utf-8", "surrogatepass") for name, value in text.items()}
    shipped = (CONFIGS / "experiments" / "kws.yaml").read_bytes()
    return files | {
        "byte order mark": b"\xef\xbb\xbf" + shipped,
        "CR LF": shipped.replace(b"\n", b"\r\n"),
        "CR": shipped.replace(b"\n", b"\r"),
        "UTF-16": shipped.decode().encode("utf-16"),
        "100 NUL": b"\0" * 100,
        "not UTF-8": b"name: \xff\xfe\n",
    }


@cache
def _shipped() -> dict[str, tuple[bytes, Any]]:
    files = sorted(path for folder in FOLDERS for path in (CONFIGS / folder).glob("*.yaml"))
    found = {}
    for path in files:
        # The file goes elsewhere: what it extends is named from there.
        text = path.read_bytes().replace(b"extends: ../", b"extends: %s/" % os.fsencode(CONFIGS))
        found[f"{path.parent.name}/{path.name}"] = (text, yaml.safe_load(text))
    return found


LISTED = _listed()


def _command(rng: random.Random, name: str) -> tuple[str, ...]:
    """The commands that read such a file without running it."""
    folder = name.split("/")[0]
    also = {"experiments": ("show", "cite"), "sweeps": ("validate",), "searches": ("validate",)}.get(folder, ("show",))
    return (rng.choice(["validate", "validate", *also]), "input.yaml")


def case(number: int, folder: Path, base: Path) -> Case:
    rng = start("yaml", number)
    path = folder / "input.yaml"
    listed = turn(number, len(LISTED))
    if listed is not None:
        about, data = list(LISTED.items())[listed]
        path.write_bytes(data)
        if "pipe" in about:
            os.mkfifo(folder / "pipe.yaml")
        for count in range(40) if about.startswith("40 ") else ():
            (folder / f"c{count}.yaml").write_text(f"extends: c{count + 1}.yaml")
        return Case(about, ("validate", path.name))
    name, (data, tree) = rng.choice(list(_shipped().items()))
    if rng.random() < 0.25:
        path.write_bytes(bent(rng, data, TOKENS))
        return Case(f"{name}: bytes changed", _command(rng, name))
    tree = copy.deepcopy(tree)
    words, infinite = [], False
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        about, not_finite = changed(rng, tree)
        words.append(about)
        # A later change may have taken the infinite value away again: only a single one is sure.
        infinite = not_finite
    text = yaml.dump(tree, allow_unicode=True, sort_keys=False)
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    return Case(f"{name}: {'; '.join(words)}", _command(rng, name), infinite and len(words) == 1)
