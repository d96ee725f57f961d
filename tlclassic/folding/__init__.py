"""Folding: a fitted linear text classifier as one small artefact."""

from tlclassic._compat import require

require("sklearn", purpose="tlclassic.folding")

from tlclassic.folding.compiling import compile  # noqa: E402 (the door is checked first)
from tlclassic.folding.measure import ParityError  # noqa: E402
from tlclassic.folding.report import report_table  # noqa: E402
from tlclassic.folding.sizes import parse_size  # noqa: E402

__all__ = ["ParityError", "compile", "parse_size", "report_table"]
