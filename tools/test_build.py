"""Prove the build: sdist → wheel → empty environment, without a compiler, and on every Python that is found.

Usage: python tools/test_build.py

Run it with the interpreter of the test environment, which has the pinned build tools.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

from make_wheel import CHECKOUT, call, make_sdist, make_wheel

CONSTRAINTS = CHECKOUT / "constraints.txt"
#: Beside the running one.
OTHER_PYTHONS = ("3.12", "3.13", "3.14")
#: Tests that need the base dependencies only.
CORE_TESTS = ("test_errors.py", "test_index.py", "test_storage.py", "test_validate.py")
BASE_PACKAGES = {"numpy", "typer"}

#: Tokenise, look up and pool, the same with kernels and without; prints what must be equal.
PROBE = """
import json, sys, warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import numpy as np
    import tlclassic
    from tlclassic.kernels import COMPILED, load
    from tlclassic.errors import KernelsMissingWarning
    tokenizer = tlclassic.Tokenizer()
    words = ["it", "'s", "n't", "a", "good", "film", "!", "café", "😀"]
    table = np.linspace(-1, 1, len(words) * 5, dtype=np.float32).reshape(len(words), 5)
    vectors = tlclassic.WordVectors.from_arrays(words, table)
    texts = ["It's a GOOD film!", "isn't it", "", "CAFÉ 😀 unknown", "a " * 50]
    found = tokenizer.lookup(texts, vectors.index)
    looked_up = vectors.lookup(["good", "unknown", "café"])
    means = np.empty((len(texts), 5), dtype=np.float32)
    mean = ("sum", 1, None, None, "count", 0.0)
    load("pool").pool(table, found.rows.astype(np.int32), found.indptr, [mean], means)
print(json.dumps({
    "compiled": COMPILED,
    "warnings": sum(issubclass(w.category, KernelsMissingWarning) for w in caught),
    "other_warnings": [str(w.message) for w in caught if not issubclass(w.category, KernelsMissingWarning)],
    "file": tlclassic.__file__,
    "tokens": [tokenizer.tokenize(text) for text in texts],
    "rows": np.asarray(found.rows).tolist(), "indptr": np.asarray(found.indptr).tolist(),
    "lookup": looked_up.tolist(),
    # The twin adds up in float64 throughout, the kernel within blocks in float32.
    "means": [[round(float(value), 5) for value in row] for row in means],
    "heavy": sorted({"sklearn", "scipy", "gensim", "spacy", "pyarrow"} & set(sys.modules)),
}))
"""


class Environment:
    """A virtual environment in a folder of its own, and commands in it, run outside the checkout."""

    def __init__(self, folder: Path, python: str = sys.executable) -> None:
        self.folder = folder
        # A copy of a virtual environment's interpreter would inherit nothing; its base is what venv uses anyway.
        call(python, "-m", "venv", folder)
        self.python = folder / "bin" / "python"

    def install(self, *what: str | Path, **variables: str) -> None:
        call(self.python, "-m", "pip", "install", "-qq", "-c", CONSTRAINTS, *what, env={**os.environ, **variables})

    def run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        words = [str(word) for word in command]
        return subprocess.run(words, cwd=self.folder, env=environment, capture_output=True, text=True)

    def probe(self) -> dict[str, object]:
        done = self.run(self.python, "-c", PROBE)
        check(done.returncode == 0, f"the probe fails:\n{done.stderr}")
        result = json.loads(done.stdout)
        check(result["file"].startswith(str(self.folder)), f"imported from {result['file']}")
        check(result["heavy"] == [], f"the core imports {result['heavy']}")
        check(result["other_warnings"] == [], f"unexpected warnings: {result['other_warnings']}")
        del result["file"]
        return result

    def modules(self) -> list[str]:
        """The compiled kernels that are installed."""
        return sorted(path.name.partition(".")[0] for path in self.folder.rglob("tlclassic/kernels/*.so"))


def check(holds: bool, message: str) -> None:
    if not holds:
        raise SystemExit(f"test-build: FAILED: {message}")


def kernels() -> list[str]:
    return sorted(path.stem for path in (CHECKOUT / "tlclassic" / "kernels").glob("*.pyx"))


def check_contents(wheel: Path) -> None:
    """What is in the wheel, what is not, and what it asks for."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = [archive.read(name).decode() for name in names if name.endswith(".dist-info/METADATA")]
    tops = {name.partition("/")[0] for name in names if ".dist-info/" not in name}
    check(tops == {"tlclassic"}, f"the wheel installs {sorted(tops)}, not tlclassic alone")
    unwanted = [name for name in names if re.search(r"\.(c|html|pyc)$|(^|/)(tests?|benchmarks|cli\.py)(/|$)", name)]
    check(not unwanted, f"the wheel holds {unwanted}")
    wanted = ["tlclassic/py.typed", "tlclassic/kernels/_index.pyi", "tlclassic/models/README.md"]
    wanted += [f"tlclassic/data/sample/{path.name}" for path in (CHECKOUT / "tlclassic/data/sample").iterdir()]
    sources = [path.relative_to(CHECKOUT).as_posix() for path in (CHECKOUT / "tlclassic").rglob("*.py")]
    missing = sorted(set(wanted + sources) - set(names))
    check(not missing, f"the wheel lacks {missing}")
    built = sorted(Path(name).name.partition(".")[0] for name in names if name.endswith(".so"))
    check(built == kernels(), f"the wheel's kernels are {built}, not {kernels()}")
    base = re.findall(r"^Requires-Dist: ([\w.-]+)(?!.*extra ==)", metadata, re.MULTILINE)
    check(set(base) == BASE_PACKAGES, f"the base dependencies are {base}")


def test_wheel(scratch: Path, wheel: Path) -> dict[str, object]:
    """The wheel in an empty environment with only the base dependencies."""
    environment = Environment(scratch / "with-compiler")
    environment.install(wheel)
    result = environment.probe()
    check(result["compiled"] is True and result["warnings"] == 0, "the kernels are not used")
    for command in ([], ["-m"]):
        start = [environment.python, "-m", "tlclassic"] if command else [environment.folder / "bin" / "tlclassic"]
        done = environment.run(*start, "--help")
        check(done.returncode == 0 and "Usage: tlclassic" in done.stdout, f"--help fails:\n{done.stderr}")
    done = environment.run(environment.python, "-c", "import cli")
    check("No module named 'cli'" in done.stderr, "a module named cli is installed")
    done = environment.run(environment.python, "-c", "import tlclassic; tlclassic.EmbeddingVectorizer")
    check(
        "pip install 'tlclassic[train]'" in done.stderr, f"a missing extra is not refused as it should:\n{done.stderr}"
    )
    check("MissingExtraError" in done.stderr, f"a missing extra raises something else:\n{done.stderr}")
    return result


def test_no_compiler(scratch: Path, sdist: Path, expected: dict[str, object]) -> None:
    """The source distribution where no compiler works: the plain twins, one warning, the same results."""
    environment = Environment(scratch / "without-compiler")
    environment.install("setuptools", "Cython")
    environment.install("--no-build-isolation", "--no-cache-dir", sdist, CC="false", CXX="false", LDSHARED="false")
    check(environment.modules() == [], f"these were built without a compiler: {environment.modules()}")
    result = environment.probe()
    check(result["compiled"] is False, "the twins are not used")
    check(result["warnings"] == 1, f"{result['warnings']} warnings about missing kernels, not 1")
    for key in set(expected) - {"compiled", "warnings"}:
        check(result[key] == expected[key], f"{key}: {result[key]} from the twins, {expected[key]} from the kernels")


def find_python(version: str) -> str | None:
    """An interpreter of ``version`` that starts, on the path or among pyenv's."""
    candidates = [shutil.which(f"python{version}")]
    if pyenv := shutil.which("pyenv"):
        root = subprocess.run([pyenv, "root"], capture_output=True, text=True).stdout.strip()
        candidates += sorted(map(str, Path(root).glob(f"versions/{version}.*/bin/python{version}")))
    for candidate in candidates:
        if candidate is None:
            continue
        done = subprocess.run([candidate, "-c", "import ssl, sys; print(sys.version)"], capture_output=True, text=True)
        if done.returncode == 0 and done.stdout.startswith(f"{version}."):
            return candidate
    return None


def test_other_python(scratch: Path, sdist: Path, version: str, python: str, expected: dict[str, object]) -> None:
    """Build, probe and core tests on another interpreter."""
    environment = Environment(scratch / version, python)
    environment.install("setuptools", "Cython", "pytest", "hypothesis")
    wheel = make_wheel(sdist, scratch / f"wheel-{version}", python=environment.python)
    environment.install(wheel)
    check(environment.modules() == kernels(), f"Python {version}: compiled are {environment.modules()}")
    check(environment.probe() == expected, f"Python {version}: other results than Python {sys.version.split()[0]}")
    tests = [CHECKOUT / "tests" / name for name in CORE_TESTS]
    done = environment.run(
        environment.python, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", CHECKOUT,
        "-c", CHECKOUT / "pyproject.toml", *tests,
    )  # fmt: skip
    check(done.returncode == 0, f"Python {version}: core tests fail:\n{done.stdout[-3000:]}{done.stderr[-1000:]}")
    print(f"test-build: Python {version}: {done.stdout.strip().splitlines()[-1]}", flush=True)


def main() -> None:
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        sdist = make_sdist(scratch / "dist")
        wheel = make_wheel(sdist, scratch / "dist")
        check_contents(wheel)
        expected = test_wheel(scratch, wheel)
        print(f"test-build: wheel in an empty environment: passed ({time.monotonic() - begin:.0f} s)", flush=True)
        test_no_compiler(scratch, sdist, expected)
        print(f"test-build: without a compiler: passed ({time.monotonic() - begin:.0f} s)", flush=True)
        for version in OTHER_PYTHONS:
            if version == f"{sys.version_info.major}.{sys.version_info.minor}":
                continue
            if python := find_python(version):
                test_other_python(scratch, sdist, version, python, expected)
            else:
                print(f"test-build: Python {version}: skipped, it is not on this machine", flush=True)
    print(f"test-build: passed in {time.monotonic() - begin:.0f} s")


if __name__ == "__main__":
    main()
