"""Correctness on real vectors: look-ups against gensim and fastText, word similarity against gensim's own evaluation.

Each row holds the largest difference found. SIF, uSIF and the power means are held to plain NumPy readings of the
papers by the test suite (tests/test_features_papers.py).
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from common import SCRATCH, SHARED, Results
from gensim.models import FastText, KeyedVectors
from gensim.models.fasttext import load_facebook_vectors, save_facebook_model

from tlclassic import WordVectors

PUBLISHED = {
    "glove-6b-50d": ("glove_6b_50d/glove.6B.50d.8k.txt.gz", {"no_header": True}),
    "glove-6b-100d": ("glove_6b_100d/glove.6B.100d.top2k7.txt.gz", {"no_header": True}),
    "glove-twitter-25d": ("glove_twitter_25d/glove.twitter.27B.25d.14k.txt.gz", {"no_header": True}),
    "googlenews-300d": ("word2vec_googlenews_300d/GoogleNews-vectors-negative300.13k.bin.gz", {"binary": True}),
    "emoji2vec-300d": ("emoji2vec_300d/emoji2vec.bin", {"binary": True}),
    "fasttext-wiki-en-300d": ("fasttext_wiki_en_fr_300d/wiki.en.75x.vec.gz", {}),
    "fasttext-wiki-fr-300d": ("fasttext_wiki_en_fr_300d/wiki.fr.75x.vec.gz", {}),
    "word2vec-wiki-es-50d": ("word2vec_wiki_es_en_50d/word2vec.es.txt.gz", {}),
    "minilm-static-128d": ("minilm_static_128d/minilm-static.40k.128d.txt.gz", {"no_header": True}),
}
#: Not English, as the word-similarity sets are.
FOREIGN = ("emoji2vec-300d", "fasttext-wiki-fr-300d", "word2vec-wiki-es-50d")
UNSEEN = ["unfilmable", "xyzzyx", "überraschung", "re-rewatching", "A", "", "日本語の映画", "e" * 60]


def lookups(ours: WordVectors, theirs: Any) -> dict[str, Any]:
    """Same words in the same order, largest difference of their vectors."""
    assert list(ours.words) == theirs.index_to_key
    difference = np.abs(ours.lookup(theirs.index_to_key) - theirs.vectors).max()
    return {"words": len(ours), "dim": ours.dim, "largest_difference": float(difference)}


def similarity(ours: WordVectors, theirs: Any) -> dict[str, Any]:
    """Spearman on every set, ours and gensim's, and their largest difference."""
    scores = {}
    for path in sorted((SHARED / "data" / "wordsim").glob("*.tsv")):
        mine = ours.evaluate_similarity(path)
        if mine.n < 10:
            continue
        with tempfile.NamedTemporaryFile("w", suffix=".tsv", encoding="utf-8") as file:
            # gensim has no notion of a header line.
            file.writelines(path.read_text(encoding="utf-8").splitlines(keepends=True)[1:])
            file.flush()
            pearson, spearman, unknown = theirs.evaluate_word_pairs(file.name)
        scores[path.stem] = {
            "pairs": mine.n,
            "unknown": mine.n_unknown,
            "spearman": round(float(mine.spearman), 4),
            "gensim": round(float(spearman[0]), 4),
            "difference": float(
                max(
                    abs(mine.spearman - spearman[0]),
                    abs(mine.pearson - pearson[0]),
                    abs(100 * mine.unknown_share - unknown) / 100,
                )
            ),
        }
    return scores


def fasttext_model(results: Results) -> None:
    """A fastText model in its own binary format: known and unseen words against gensim and the fasttext package."""
    path = SCRATCH / "reference.bin"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = (SHARED / "data/trec6/train.tsv").read_text(encoding="utf-8").lower().splitlines()
        model = FastText(
            [line.split("\t")[0].split() for line in lines], vector_size=50, min_count=2, bucket=50_000, epochs=3
        )
        save_facebook_model(model, str(path))
    ours = WordVectors.load(path, oov="subword")
    words = [*list(ours.words)[:2000], *UNSEEN]
    theirs = load_facebook_vectors(str(path))
    # Asked for a word without any n-gram gensim divides by zero; fastText gives zeros, as we do.
    known = [word for word in words if word]
    row: dict[str, Any] = {"words": len(words), "dim": ours.dim}
    gensim_rows = np.array([theirs[word] for word in known])
    row["largest_difference_gensim"] = float(np.abs(ours.lookup(known) - gensim_rows).max())
    try:
        import fasttext
    except ImportError:
        row["fasttext"] = "left out: not installed"
    else:
        own = fasttext.load_model(str(path))
        rows = np.array([own.get_word_vector(word) for word in words])
        row["largest_difference_fasttext"] = float(np.abs(ours.lookup(words) - rows).max())
    results.add("fastText .bin", row)


def main() -> None:
    """All published cuts, then a fastText model."""
    results = Results("references")
    for name, (path, options) in PUBLISHED.items():
        if name in results:
            continue
        ours = WordVectors.load(SHARED / "vectors" / path)
        theirs = KeyedVectors.load_word2vec_format(str(SHARED / "vectors" / Path(path)), **options)
        results.add(name, {**lookups(ours, theirs), "similarity": {} if name in FOREIGN else similarity(ours, theirs)})
    if "fastText .bin" not in results:
        fasttext_model(results)


if __name__ == "__main__":
    main()
