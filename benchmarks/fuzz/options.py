"""The command line: --set, options of every command, paths that are odd, variables and terminals."""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks.fuzz.case import Case, start, turn
from benchmarks.fuzz.changes import bent

SETS = [
    *("", "=", "a", "a=", "=1", ".=1", "..=1", "chip", "chip=", "chip=1", "chip=pcm", "chip=yang2025", "chip.bits=",
    "chip.bits=4"),
    *("chip.bits=4.5", "chip.bits=99999999999999999999", "chip.bits=1e300", "chip.bits=.nan", "chip.bits=.inf",
    "chip.bits=[4]"),
    *("chip.bits={a: 1}", "chip.bits='4'", 'chip.bits="4', "chip.bits=[", "chip.bits={", "chip.bits=[*a]",
    "chip.bits=[&a *a]"),
    *("chip.bits=!!python/object/apply:os.system ['touch ran']",
    "chip.bits={!!python/object/apply:os.system ['touch ran']: 1}"),
    *("variants[0].chip.bits=4", "variants[99].chip.bits=4", "variants[-1].chip.bits=4",
    "variants[taox 5bit].chip.bits=4"),
    *("variants[].chip.bits=4", "variants[[0]].chip.bits=4", "variants=[]", "variants=null", "variants[0]=null",
    "variants[0].name=''"),
    *("variants[0].default=false", "variants[1].default=true", "variants[1].name=ramp_5bit",
    "chip.weights.device=nope"),
    *("chip.weights.device=/etc/passwd", "chip.weights.device=../x.yaml", "chip.weights.device=/dev/zero.yaml"),
    *("chip.weights.device={kind: pcm}", "chip.weights.device={extends: pcm}", "chip.weights.device=[pcm]",
    "extends=kws"),
    *("extends=nope", "kind=lsm", "kind=foo", "name=", "name='a\\nb'", 'name="\\0"', 'name="\\ud800"',
    "name=" + "x" * 100_000),
    *("seed=-1", "seed=1.5", "seed=1e400", "seed=" + "9" * 299, "seed=" + "9" * 5000, "seed=0x" + "f" * 200,
    "seed=true", "seed=~"),
    *("a.b.c.d.e.f=1", "a" * 10_000 + "=1", "chip." * 3000 + "x=1", "chip.__class__=1", "\u202e=1", "chip bits=4",
    "chip..bits=4"),
    *("chip.bits.=4", "chip.bits[0]=4", "[0]=1", "chip.bits=4=5", " chip.bits = 4 ", "chip.bits=4\n", "chip.bits=\t4",
    "chip.bits=# x"),
    *("chip.bits=- 4", "chip.bits=yes", "chip.bits=0o7", "evaluation.times_s=[.inf]", "evaluation.times_s=[-1]",
    "evaluation.chips=1e5"),
    *("chip.driver.t_clk_s=.inf", "chip.driver.v_read_V=100", "chip.driver.t_clk_s=1", "\udcff=1"),
]  # fmt: skip
NLADC = [
    *(f"--set redundant_columns={value}" for value in (
        "[1", "*a", "2024-99-99", "2024-01-01", "[" * 3000, "\x01", "9" * 5000, ".nan", ".inf", "1e400", "0", "-1",
        "1000000000",
        "!!binary aGk=", "0x", "1:99999999999999999999999", "{[a]:1}", "!!timestamp\u00a0x")),
    *("--set x=[1", "--set x={a:[}", "--set foo=1", "--set device=pcm", "--set levels=foo", "--set a", "--set ?",
    "--set small_steps=foo"),
    *("--bits 0", "--bits 13", "--bits 1", "--bits 12", "--bits 99999999999999999999", "--function foo",
    "--function /etc/passwd"),
    *("--function softmax", "--device nope", "--device /dev/zero.yaml", "--device ideal", "--device sonos",
    "--chips 0", "--chips 4097"),
    *("--levels foo", "--levels optimal", "--samples /nonexistent", "--samples /etc/passwd", "--range nan nan",
    "--range inf inf"),
    *("--range -inf inf", "--range 1 1", "--range 5 -5", "--range -1e300 1e300", "--range 0 1e-320",
    "--range -1e-30 1e-30"),
    *("--range 1e9 2e9", "--time nan", "--time inf", "--time -1", "--time 1e300 --device pcm",
    "--time inf --device pcm"),
    *("--time 1e12 --device pcm", "--time 3600 --device rram_milo", "--seed -1", "--seed " + "9" * 400,
    "--seed " + "9" * 5000),
    *("--plot out", "--plot out.foo", "--plot /nonexistent/x.png", "--plot out/x.svg", "--plot loop.png", "--recentre"),
    *(f"--function {name} --range -1000 1000" for name in ("gelu", "swish", "relu", "exp", "softplus", "log", "sqrt",
    "identity", "elu")),
    *(f"--function {name} --bits 1" for name in ("sigmoid", "tanh", "gelu", "relu", "exp", "log")),
]  # fmt: skip
SWEEP, SEARCH = ("sweep", "converter_offset"), ("search", "converter_front")
ODD_PATHS = (
    "",
    "loop",
    "loop/x",
    "dangling",
    "x" * 300,
    "x" * 5000,
    "~nosuchuser/x",
    "/proc/x",
    "a\nb",
    "pipe",
    "/etc/passwd/x",
    "\udcff",
    "folder",
)
COMMANDS: list[tuple[str, ...]] = [
    *((*SWEEP, "--dry-run", "--shard", text) for text in ("", "1", "0/0", "1/0", "0/1", "2/1", "-1/2", "1/2/3",
    "1.5/2", "1/" + "9" * 5000, "\u0661/\u0662")),
    *((*SWEEP, "--dry-run", "-j", text) for text in ("0", "-1", "x", "1e3", "999999999999")),
    *((*SWEEP, "-o", "out", *more) for more in (("-j", "0"), ("--merge", "/nonexistent"), ("--merge", "."),
    ("--export", "x.foo"), ("--export", ""))),
    *((*SWEEP, "--slurm", "out/x.sh", *more) for more in (("--shards", "0"), ("--shards", "99999"), ("--sbatch",
    "foo"), ("--sbatch=--x\nrm -rf /",))),
    (*SWEEP, "--shards", "3"), (*SWEEP, "--dry-run", "--data", "/nonexistent"),
    *((*SEARCH, "--dry-run", "--trials", text) for text in ("0", "-1", "1000000000", "1.5", "9" * 400)),
    *(("list", text) for text in ("", "foo", "experimentz", "\udcff")), ("list",), ("schema", "foo"), ("schema",
    "device"), (), ("foo",), ("--version",),
    ("data",), ("data", "ls"), ("data", "get", "foo"), ("data", "get", ""), ("cite", ""), ("cite", "pcm"), ("show",
    "kws", "--bits", "4"),
    ("show", "pcm", "--plot", "out/x.foo"), ("show", "pcm", "--plot", ""), ("show", "adder", "--plot", "out/x.png"),
    ("validate",),
    ("validate", "kws", "nope", "pcm"), ("run",), ("run", "kws", "--device", "tpu"), ("run", "kws_tiny", "--device",
    "cuda"),
    ("run", "kws", "--seed", "-1"), ("run", "kws", "--seed", "x"), ("run", "spgemm_tiny", "--weights", "/nonexistent"),
    *((command, path) for command in ("validate", "show", "run", "cite", "report", "fit") for path in ODD_PATHS),
    *(("run", name, "--data", path) for name in ("kws_tiny", "nmnist_tiny", "spgemm_tiny") for path in ODD_PATHS),
    *(("run", "kws_tiny", "--weights", path) for path in ODD_PATHS),
    *(("run", "spgemm_tiny", "-o", path) for path in ODD_PATHS),
    *(("schema", "device", "-o", path) for path in ODD_PATHS if path not in ("folder", "pipe")),
]  # fmt: skip
SURROUNDINGS: list[tuple[str, str | None, tuple[str, ...]]] = [
    *(("MHO_DATA", path, ("run", name)) for name in ("kws_tiny", "nmnist_tiny", "spgemm_tiny")
      for path in ("/nonexistent", "~nosuchuser/x", "/etc/passwd", "/dev/zero", ".", "a\nb", "loop")),
    *(("MHO_CACHE", path, command) for command in (("data", "ls"), ("run", "nmnist_tiny"))
      for path in ("~nosuchuser/x", "/nonexistent\n", "/etc/passwd", "/proc/x", "x" * 5000, "loop")),
    *(("HOME", value, ("data", "ls")) for value in (None, "/nonexistent", "")), ("XDG_CACHE_HOME", "/etc/passwd",
    ("data", "ls")),
    ("COLUMNS", "0", ("--help",)), ("COLUMNS", "x", ("run", "--help")), ("TERM", "", ("list", "devices")),
]  # fmt: skip
TERMINALS = [
    ("list", "components"),
    ("show", "kws"),
    ("run", "small"),
    ("fit", "nope.csv"),
    ("validate", "\u00e9.yaml"),
    ("cite", "kws"),
    ("show", "NLADC", "--chips", "2"),
]


def _listed() -> list[Case]:
    cases = [
        Case(
            f"--set {text:.60}", ("cite", "kws_tiny", "--set", text), infinite=text.endswith((".inf", ".nan", ".inf]"))
        )
        for text in SETS
    ]
    for text in NLADC:
        options = text.split(" ")
        chips = () if "--chips" in options else ("--chips", "2")
        infinite = "inf" in options or "nan" in options or text.endswith((".inf", ".nan"))
        cases.append(
            Case(f"NLADC {text:.60}", ("show", "NLADC", *chips, *options), infinite, ("out", "out.foo", "loop.png"))
        )
    for command in COMMANDS:
        given = command[command.index("-o") + 1] if "-o" in command else "out"
        about = " ".join(f"{word:.40}" for word in command)
        named = (Path(given).parts[0], "nowhere") if given and not given.startswith("/") else ()
        cases.append(Case(about, command, writable=named))
    for name, value, command in SURROUNDINGS:
        # Where the cache is by default shows only where nothing else says so.
        values = {name: value} if name.startswith("MHO") else {name: value, "MHO_CACHE": None}
        cases.append(Case(f"{name}={value!r:.60} {' '.join(command)}", command, environment=values))
    for encoding in ("ascii", "latin-1"):
        cases += [
            Case(f"terminal in {encoding}: {' '.join(command)}", command, encoding=encoding) for command in TERMINALS
        ]
    return cases


LISTED = _listed()


def case(number: int, folder: Path, base: Path) -> Case:
    rng = start("options", number)
    (folder / "loop").symlink_to("loop")
    (folder / "loop.png").symlink_to("loop.png")
    (folder / "dangling").symlink_to("nowhere")
    (folder / "folder").mkdir()
    os.mkfifo(folder / "pipe")
    listed = turn(number, len(LISTED))
    if listed is not None:
        found = LISTED[listed]
        if "small" not in found.arguments:
            return found
        (folder / "small.yaml").write_text(
            "extends: spgemm_tiny\nname: caf\u00e9 \u03a9\ndata: {graph: {scale: 4}}\nevaluation: {chips: 1}\n",
            encoding="utf-8",
        )
        return Case(found.about, ("run", "small.yaml", "-o", "out"), encoding=found.encoding)
    tokens = [
        b"[",
        b"]",
        b"=",
        b".",
        b"*",
        b"&a",
        b"{",
        b"}",
        b"'",
        b'"',
        b"!!",
        b": ",
        b"\n",
        b"\xff",
        b".inf",
        b"9" * 30,
    ]
    if rng.random() < 0.5:
        word = os.fsdecode(
            bent(rng, rng.choice(SETS)[:200].encode("utf-8", "surrogateescape"), tokens).replace(b"\0", b"")
        )
        return Case(
            f"--set {word!r:.80}", ("cite", rng.choice(["kws_tiny", "nmnist_tiny", "spgemm_tiny"]), "--set", word)
        )
    found = rng.choice(LISTED)
    words = list(found.arguments) or ["list"]
    place = rng.randrange(len(words))
    words[place] = os.fsdecode(
        bent(rng, words[place][:200].encode("utf-8", "surrogateescape"), tokens, times=1).replace(b"\0", b"")
    )
    # An output may be anywhere by now, and a run of a whole experiment is no input of this kind.
    if (
        "run" in words
        or any(word in words for word in ("-o", "--plot", "--slurm", "--export"))
        or words[0] in ("sweep", "search")
    ):
        words = ["validate", *words[1:]]
    return Case(
        " ".join(f"{word!r:.60}" for word in words),
        tuple(words),
        environment=found.environment,
        encoding=found.encoding,
    )
