"""Compiled kernels, or their plain twins where no compiler was there at install time.

Each kernel ``_NAME.pyx`` has a twin ``_NAME_plain.py`` with the same public names; ``load("NAME")`` gives the one to
use. Twins are the oracle in the tests and the fall-back at run time, with one warning.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from importlib.machinery import PathFinder
from typing import Any

from tlclassic.errors import KernelsMissingWarning

__all__ = ["COMPILED", "load"]


#: Every kernel; all of them or none, because they hand each other their objects.
_NAMES = (
    "convolve", "index", "linear", "ngrams", "parse", "pool", "score", "subword", "tag", "tagfit", "tokenize",
)  # fmt: skip


def _is_compiled() -> bool:
    # Found, not imported: a process that scores needs two of them.
    names = [f"{__name__}._{name}" for name in _NAMES]
    return all(sys.modules.get(name, True) and PathFinder.find_spec(name, __path__) for name in names)


#: Whether the compiled kernels are there.
COMPILED: bool = _is_compiled()

if not COMPILED:
    warnings.warn(
        "tlclassic was installed without its compiled kernels and runs on their plain twins, which give the same "
        "results far more slowly. Install a C compiler, then: pip install --force-reinstall --no-deps tlclassic",
        KernelsMissingWarning,
        stacklevel=2,
    )


def load(name: str) -> Any:
    """The module of kernel ``name``: compiled where it was built, else the plain twin."""
    return importlib.import_module(f"tlclassic.kernels._{name}" if COMPILED else f"tlclassic.kernels._{name}_plain")
