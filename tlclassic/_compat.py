"""Optional dependencies: found without importing them, refused with the command that installs them."""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType

from tlclassic.errors import MissingExtraError

#: Which extra of the distribution brings which top-level module.
EXTRA_OF_MODULE = {
    "gensim": "train",
    "onnxruntime": "onnx",
    "pyarrow": "train",
    "scipy": "train",
    "sklearn": "train",
    "skops": "train",
    "spacy": "spacy",
    "tokenizers": "onnx",
}


def is_installed(module: str) -> bool:
    """Whether the top-level ``module`` can be imported; it is not imported for that."""
    return importlib.util.find_spec(module) is not None


def require(module: str, *, purpose: str) -> ModuleType:
    """Import ``module`` or refuse with the install command.

    Parameters
    ----------
    module : str
        Dotted module name, for example ``"scipy.sparse"``.
    purpose : str
        What needs it; begins the error's sentence, for example ``"Reading Parquet"``.

    Raises
    ------
    MissingExtraError
        When the top-level package is not installed.
    """
    top = module.partition(".")[0]
    if not is_installed(top):
        extra = EXTRA_OF_MODULE[top]
        raise MissingExtraError(
            f"{purpose} needs {top}, which is not installed. Install it with: pip install 'tlclassic[{extra}]'",
            name=top,
        )
    return importlib.import_module(module)
