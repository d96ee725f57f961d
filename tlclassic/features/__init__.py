"""Features: scikit-learn transformers from lists of texts to vectors."""

from tlclassic._compat import require

require("sklearn", purpose="tlclassic.features")

from tlclassic.features.components import CommonComponentRemoval  # noqa: E402 (the door is checked first)
from tlclassic.features.counts import read_counts  # noqa: E402
from tlclassic.features.coverage_report import CoverageReport, coverage  # noqa: E402
from tlclassic.features.ngrams import NgramVectorizer  # noqa: E402
from tlclassic.features.vectorizer import EmbeddingVectorizer  # noqa: E402

__all__ = [
    "CommonComponentRemoval",
    "CoverageReport",
    "EmbeddingVectorizer",
    "NgramVectorizer",
    "coverage",
    "read_counts",
]
