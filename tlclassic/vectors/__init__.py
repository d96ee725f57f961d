"""Word vectors: read from every common format, held as a memory-mapped table with a word index."""

from tlclassic.vectors.describing import describe
from tlclassic.vectors.detect import FORMATS, detect_format
from tlclassic.vectors.embedded import EMBEDDED, load_vectors
from tlclassic.vectors.store import convert, verify
from tlclassic.vectors.wordvectors import OOV_POLICIES, SAVE_FORMATS, WordVectors

__all__ = [
    "EMBEDDED",
    "FORMATS",
    "OOV_POLICIES",
    "SAVE_FORMATS",
    "WordVectors",
    "convert",
    "describe",
    "detect_format",
    "load_vectors",
    "verify",
]
