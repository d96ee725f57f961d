"""What the tests of spaCy's components share: tiny models, and texts that break things."""

from __future__ import annotations

import importlib.metadata

import tlclassic
from tlclassic import NgramClassifier, TokenTagger

TEXTS = ["good film", "great plot", "a fine film", "bad film", "dull plot", "a poor film"]
LABELS = ["pos", "pos", "pos", "neg", "neg", "neg"]
SENTENCES = [["Anna", "lives", "in", "Berlin"], ["Berlin", "likes", "Anna"], ["he", "likes", "Berlin"]]
TAGS = [["B-PER", "O", "O", "B-LOC"], ["B-LOC", "O", "B-PER"], ["O", "O", "B-LOC"]]
WORDS = [["PROPN", "VERB", "ADP", "PROPN"], ["PROPN", "VERB", "PROPN"], ["PRON", "VERB", "PROPN"]]
#: Empty, white space alone, emoji with joiners, CJK, a lone surrogate's stand-in, contractions, new lines.
CORNERS = ["", "   ", "\n\t ", "👍🏽👨‍👩‍👧 good", "日本語の映画は good です", "don't\n\nbad", "…", "ﬁlm"]


def save_compiled(folder, y=LABELS, name="compiled.tlc", **options):
    """A compiled classifier's file."""
    model = NgramClassifier(**options).fit(TEXTS, y)
    path = folder / name
    tlclassic.compile(model, dtype="float32").save(path)
    return path


def save_tagger(folder, tags, name="tagger.tlc"):
    """A compiled tagger's file."""
    path = folder / name
    TokenTagger(vectors=None, epochs=5).fit(SENTENCES, tags).compile(dtype="float32").save(path)
    return path


def installed():
    """Whether spaCy's own commands find tlclassic: by the entry points of an installed package."""
    return any(point.name == "tlclassic_textcat" for point in importlib.metadata.entry_points(group="spacy_factories"))
