"""Files of texts and labels as spaCy's corpora, for its categorisers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from tlclassic._compat import require
from tlclassic.errors import InvalidParameterError
from tlclassic.storage import atomic_write
from tlclassic.text import SpacyTokenizer

__all__ = ["write_categories"]


def write_categories(texts: Sequence[str], labels: Sequence[Any], out: str | os.PathLike[str], *, lang: str) -> int:
    """Write texts with their categories as a ``DocBin`` and give back how many documents it holds.

    Parameters
    ----------
    texts : sequence of str of length n
    labels : sequence of length n
        A label each, or a list of labels, or None where it is not known: such a document has no categories, and the
        component ``tlclassic_masked_textcat`` learns nothing of them from it.
    out : path-like
    lang : str
        Whose tokeniser splits the texts.

    Raises
    ------
    InvalidParameterError
        When no label is known, or spaCy does not know the language.
    """
    require("spacy", purpose="A corpus for spaCy")
    from spacy.tokens import DocBin

    sets = [None if label is None else label if isinstance(label, (list, tuple, set)) else [label] for label in labels]
    names = sorted({str(name) for row in sets if row is not None for name in row})
    if not names:
        raise InvalidParameterError("labels must hold at least one label; all are missing.")
    nlp = SpacyTokenizer(lang).nlp
    corpus = DocBin(attrs=["ORTH", "SPACY"])
    for text, row in zip(texts, sets, strict=True):
        doc = nlp.make_doc(text)
        if row is not None:
            given = set(map(str, row))
            doc.cats = {name: float(name in given) for name in names}
        corpus.add(doc)
    with atomic_write(out) as file:
        file.write(corpus.to_bytes())
    return len(corpus)
