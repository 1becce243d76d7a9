"""mho as it is installed: what the wheel and the sdist hold, and that it finds its packages wherever it is run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import textwrap
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

from mho.packages import PACKAGES, foreign_file

CHECKOUT = Path(__file__).resolve().parent.parent
FOREIGN = "raise RuntimeError('the file of the user was taken for a package of mho')\n"


def run(*command: str | Path, cwd: Path, root: Path) -> subprocess.CompletedProcess[str]:
    """A fresh process in ``cwd``, whose files come before mho in ``root``, as they do before installed packages."""
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True, timeout=120
    )


def python(*arguments: str | Path, cwd: Path, root: Path) -> str:
    """What a fresh interpreter prints; a failure shows what it wrote to standard error."""
    done = run(sys.executable, *arguments, cwd=cwd, root=root)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what a build reads, so that building leaves no trace in the checkout."""
    copy = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE", "MANIFEST.in", "CHANGELOG.md", "CITATION.cff", "Makefile"):
        shutil.copy(CHECKOUT / name, copy)
    shutil.copy(CHECKOUT / "constraints.txt", copy)
    for name in (*PACKAGES, "mho", "tests"):
        shutil.copytree(CHECKOUT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def build(source: Path, kind: str) -> Path:
    """Call the build backend as pip does, without the isolated environment that would need the network."""
    script = f"import setuptools.build_meta as b; print(b.build_{kind}('dist'))"
    return source / "dist" / python("-W", "error", "-c", script, cwd=source, root=source).splitlines()[-1]


@pytest.fixture(scope="module")
def wheel(source: Path) -> Path:
    return build(source, "wheel")


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, unpacked: what pip puts into site-packages."""
    folder = tmp_path_factory.mktemp("site-packages")
    zipfile.ZipFile(wheel).extractall(folder)
    return folder


@pytest.fixture
def crowded(tmp_path: Path) -> Path:
    """A user's folder whose names are those of packages: a module, a regular package, and a folder of files."""
    (tmp_path / "devices.py").write_text(FOREIGN)
    (tmp_path / "workloads").mkdir()
    (tmp_path / "workloads" / "__init__.py").write_text(FOREIGN)
    (tmp_path / "configs").mkdir()
    return tmp_path


def test_wheel_ships_packages_data_and_type_markers_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    top = {name.split("/")[0] for name in names}
    assert top == {*PACKAGES, "mho", "mho-0.1.0.dist-info"}
    assert {name for name in names if name.endswith("py.typed")} == {
        f"{package}/py.typed" for package in (*PACKAGES, "mho")
    }

    files = {path for package in (*PACKAGES, "mho") for path in (CHECKOUT / package).rglob("*") if path.is_file()}
    expected = {path.relative_to(CHECKOUT).as_posix() for path in files if "__pycache__" not in path.parts}
    assert {name for name in names if not name.startswith("mho-0.1.0.dist-info/")} == expected
    assert any(name.startswith("configs/devices/") for name in names)
    assert any(name.startswith("mho/templates/") for name in names)
    assert "mho-0.1.0.dist-info/licenses/LICENSE" in names


def test_sdist_holds_what_is_needed_to_build_and_to_test(source: Path) -> None:
    with tarfile.open(build(source, "sdist")) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "LICENSE", "constraints.txt", "Makefile", "tests/test_packages.py"} <= names
    assert {"configs/devices/pcm.yaml", "mho/py.typed", "workloads/kws/__init__.py"} <= names


def test_declared_dependency_on_aihwkit_never_asks_for_a_version_without_a_wheel(wheel: Path) -> None:
    packaging = pytest.importorskip("packaging.requirements")
    archive = zipfile.ZipFile(wheel)
    metadata = archive.read("mho-0.1.0.dist-info/METADATA").decode().splitlines()
    lines = [line.partition(": ")[2] for line in metadata if line.startswith("Requires-Dist: aihwkit")]
    requirements = [packaging.Requirement(line) for line in lines]
    linux = {"platform_system": "Linux", "platform_machine": "x86_64"}
    chosen = {
        python: [str(r.specifier) for r in requirements if r.marker.evaluate({**linux, "python_version": python})]
        for python in ("3.10", "3.11", "3.12", "3.13")
    }
    assert chosen == {"3.10": ["==1.1.0"], "3.11": ["==1.1.0"], "3.12": ["==1.2.0"], "3.13": ["==1.2.0"]}
    for elsewhere in ({"platform_system": "Darwin"}, {"platform_machine": "aarch64"}, {"platform_system": "Windows"}):
        surroundings = {**linux, "python_version": "3.11", **elsewhere}
        assert not any(r.marker.evaluate(surroundings) for r in requirements), elsewhere


def test_every_constraint_is_a_plain_pin() -> None:
    lines = [line for line in (CHECKOUT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    for line in lines:
        assert "://" not in line
        assert "@" not in line
        assert "==" in line.partition(";")[0], line


SCRIPT = """
    import sys

    path, finders = list(sys.path), list(sys.meta_path)
    import mho
    import json
    import multiprocessing
    from pathlib import Path

    import devices, configs, crossbar.array, workloads.kws
    from devices import PCM
    from importlib.resources import files
    from joblib import Parallel, delayed

    def found(argument):
        import devices
        return [str(Path(devices.__file__).parent), type(argument).__name__]

    if __name__ == "__main__":
        notebook = {}
        exec("import mho, devices; found = devices.__file__", notebook)
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            spawned = pool.map(found, [PCM()])
        print(json.dumps({
            "packages": [str(Path(sys.modules[name].__file__).parent) for name in ("devices", "configs", "workloads")],
            "submodule": crossbar.array.__name__,
            "yaml": files("configs").joinpath("devices", "pcm.yaml").is_file(),
            "added_to_path": [entry for entry in sys.path if entry not in path],
            "rest_of_path_kept": sys.path[1:] == path,
            "finders": [getattr(f, "__name__", "") for f in sys.meta_path if f not in finders],
            "notebook": notebook["found"],
            "spawned": spawned,
            "loky": Parallel(n_jobs=2)(delayed(found)(PCM()) for _ in range(2)),
        }))
"""


def test_packages_are_found_beside_a_users_own_devices_py(installed: Path, crowded: Path) -> None:
    """A script, an exec as in a notebook, a spawned and a loky worker: one test, as each process imports torch."""
    (crowded / "script.py").write_text(textwrap.dedent(SCRIPT))
    report = json.loads(python("script.py", cwd=crowded, root=installed))
    ours = [str(installed / "devices"), "PCM"]
    assert report == {
        "packages": [str(installed / package) for package in ("devices", "configs", "workloads")],
        "submodule": "crossbar.array",
        "yaml": True,
        "added_to_path": [str(installed / "mho" / "shims")],
        "rest_of_path_kept": True,
        "finders": ["BesideMho"],
        "notebook": str(installed / "devices" / "__init__.py"),
        "spawned": [ours],
        "loky": [ours, ours],
    }


def test_packages_are_found_by_a_one_liner_whose_workers_have_no_script(crowded: Path) -> None:
    code = """
        import mho, devices
        from joblib import Parallel, delayed
        print(devices.__file__)
        seen = delayed(lambda: (mho.__name__, __import__("devices").__file__)[1])
        print(*Parallel(n_jobs=2)(seen() for _ in range(2)), sep="\\n")
    """
    found = python("-c", textwrap.dedent(code), cwd=crowded, root=CHECKOUT).splitlines()
    assert found == [str(CHECKOUT / "devices" / "__init__.py")] * 3


def test_command_line_runs_beside_a_users_own_devices_py(installed: Path, crowded: Path) -> None:
    script = crowded / "mho-script"
    script.write_text("import sys\nfrom mho.cli import main\nsys.exit(main())\n")
    as_module = python("-m", "mho", "list", "experiments", cwd=crowded, root=CHECKOUT)
    assert "kws" in as_module
    assert python(script, "list", "experiments", cwd=crowded, root=installed) == as_module


def test_a_foreign_module_already_loaded_is_named_in_one_sentence(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "devices.py").write_text("")
    code = """
        import sys, devices
        for attempt in range(2):
            try:
                import mho
            except ImportError as error:
                print(error, error.name, error.path, sep="\\n")
        print(sys.modules["devices"] is devices, "crossbar" in sys.modules, "mho" in sys.modules)
    """
    foreign = tmp_path / "devices.py"
    sentence = (
        f"mho cannot be imported: its package 'devices' is in {installed / 'devices'}, but a module of that name is "
        f"already loaded from {foreign}; rename that file."
    )
    printed = python("-c", textwrap.dedent(code), cwd=tmp_path, root=installed).splitlines()
    assert printed == [sentence, "devices", str(foreign)] * 2 + ["True False False"]


@pytest.mark.parametrize(
    ("attributes", "file"),
    [
        ({"__file__": "/home/user/configs.py"}, "/home/user/configs.py"),
        ({"__path__": ["/home/user/configs"]}, "/home/user/configs"),
        ({"__path__": ["/home/user/configs"], "__file__": None}, "/home/user/configs"),
        ({}, "an unknown file"),
        ({"__path__": [str(CHECKOUT / "configs")], "__file__": str(CHECKOUT / "configs/__init__.py")}, None),
    ],
    ids=["module", "folder without __init__", "namespace package", "made in memory", "the package itself"],
)
def test_foreign_file(attributes: dict[str, object], file: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("configs")
    for name, value in attributes.items():
        setattr(module, name, value)
    monkeypatch.setitem(sys.modules, "configs", module)
    assert foreign_file("configs") == file


def test_there_is_a_shim_for_every_package_and_nothing_else_that_could_hide_a_users_module() -> None:
    shims = CHECKOUT / "mho" / "shims"
    assert {path.name for path in shims.iterdir()} - {"__pycache__"} == {f"{package}.py" for package in PACKAGES}


def test_a_package_that_is_not_loaded_is_not_in_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "configs", raising=False)
    assert foreign_file("configs") is None


def test_readme_names_the_commands_that_the_makefile_has() -> None:
    readme, makefile = (CHECKOUT / "README.md").read_text(), (CHECKOUT / "Makefile").read_text()
    named = set(re.findall(r"\bmake ([a-z]+)", readme))
    assert {"run", "test"} <= named
    for target in named:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"README names `make {target}`"
    assert "make test" in (CHECKOUT / ".ci" / "run").read_text()
