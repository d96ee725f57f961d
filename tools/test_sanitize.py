"""Run the kernels' tests twice: under AddressSanitizer and UBSan, and with Cython's own bounds checks.

Usage: python tools/test_sanitize.py

Both builds are made in a scratch folder that stands before the installed package on the path. Run it with the
interpreter of the test environment; it needs gcc with libasan.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from make_wheel import CHECKOUT, call

TESTS = (
    "test_convolution_kernel*.py", "test_index*.py", "test_ngrams*.py", "test_parse*.py", "test_pool*.py",
    "test_score*.py", "test_solvers*.py", "test_subword*.py", "test_tag_kernels.py", "test_text*.py",
)  # fmt: skip
SANITIZERS = "-fsanitize=address,undefined"
#: Overflow of signed numbers, shifts, alignment: any finding ends the run, as AddressSanitizer's do.
FLAGS = f"{SANITIZERS} -fno-sanitize-recover=all -fno-omit-frame-pointer -g1 -O1"


def copy_package(scratch: Path) -> list[Path]:
    """A clean copy of the package in ``scratch``; returns its kernels."""
    stale = shutil.ignore_patterns("*.c", "*.so", "*.html", "__pycache__")
    shutil.copytree(CHECKOUT / "tlclassic", scratch / "tlclassic", ignore=stale)
    return sorted((scratch / "tlclassic" / "kernels").glob("*.pyx"))


def switch_bounds_checks_on(kernel: Path) -> None:
    """Directives in a file win over those of the command line, so they are changed in the file."""
    text, found = re.subn(r"boundscheck(\s*=\s*|\()False", r"boundscheck\1True", kernel.read_text("utf-8"))
    if not found:
        raise SystemExit(f"{kernel.name}: no boundscheck directive found; has its style changed?")
    kernel.write_text(text, "utf-8")


def build(scratch: Path, kernels: list[Path], flags: str) -> None:
    """Compile the kernels beside their sources."""
    environment = {**os.environ, "CFLAGS": flags, "LDFLAGS": SANITIZERS if SANITIZERS in flags else ""}
    cythonize = Path(sys.executable).parent / "cythonize"
    command = [str(cythonize), "-i", "-q", "-j", str(os.cpu_count() or 1), *map(str, kernels)]
    call(*command, cwd=scratch, env=environment)
    for kernel in kernels:
        if not list(kernel.parent.glob(f"{kernel.stem}.*.so")):
            raise SystemExit(f"{kernel.stem} was not compiled.")


def run_tests(scratch: Path, environment: dict[str, str]) -> int:
    """Run the kernels' tests against the package in ``scratch``."""
    tests = sorted({str(path) for pattern in TESTS for path in (CHECKOUT / "tests").glob(pattern)})
    # malloc: Python's own pools would hide an access beyond the end of a small object.
    variables = {**os.environ, "PYTHONPATH": str(scratch), "PYTHONMALLOC": "malloc", "TLCLASSIC_EDITABLE": "1"}
    where = "import tlclassic, tlclassic.kernels as k; print(tlclassic.__file__); assert k.COMPILED"
    python = [sys.executable, "-P"]
    loaded = subprocess.run(
        [*python, "-c", where], env={**variables, **environment}, cwd=scratch, text=True, stdout=subprocess.PIPE
    )
    if loaded.returncode or not loaded.stdout.startswith(str(scratch)):
        raise SystemExit(f"the scratch build is not the one imported: {loaded.stdout}")
    # --capture=sys: a sanitizer writes to the file descriptor, and what pytest had captured of it would be lost.
    command = [*python, "-m", "pytest", "-q", "--capture=sys", "-p", "no:cacheprovider", "-p", "no:xdist", *tests]
    return subprocess.run(command, cwd=CHECKOUT, env={**variables, **environment}).returncode


def sanitizer_environment() -> dict[str, str]:
    """The variables under which an ordinary Python runs instrumented modules."""
    library = subprocess.run(["gcc", "-print-file-name=libasan.so"], check=True, text=True, stdout=subprocess.PIPE)
    if not os.path.isabs(library.stdout.strip()):
        raise SystemExit("gcc has no libasan; install its sanitizer libraries.")
    return {
        "LD_PRELOAD": os.path.realpath(library.stdout.strip()),
        # Python itself frees little at its end, so leaks would be its own.
        "ASAN_OPTIONS": "detect_leaks=0",
        "UBSAN_OPTIONS": "print_stacktrace=1",
    }


def main() -> int:
    for title, flags, environment in (
        ("bounds checks", "-g0 -O1", {}),
        ("AddressSanitizer and UBSan", FLAGS, sanitizer_environment()),
    ):
        begin = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            kernels = copy_package(Path(folder))
            if title == "bounds checks":
                for kernel in kernels:
                    switch_bounds_checks_on(kernel)
            build(Path(folder), kernels, flags)
            status = run_tests(Path(folder), environment)
        print(
            f"test-sanitize: {title}: {'FAILED' if status else 'passed'} in {time.monotonic() - begin:.0f} s",
            flush=True,
        )
        if status:
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main())
