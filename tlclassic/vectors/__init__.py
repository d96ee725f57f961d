"""Word vectors: read from every common format, held as a memory-mapped table with a word index."""

from tlclassic.vectors.wordvectors import WordVectors

__all__ = ["WordVectors"]
