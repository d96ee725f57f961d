"""Mean vectors from raw strings, one thread: against a gensim `get_mean_vector` loop over `str.split`, and model2vec.

All three have the same table: GloVe-format vectors for gensim; a static model with a WordPiece tokenizer over the same
words for model2vec, whose vectors are the same rows. Runs are interleaved in one process; peak memory is the
process's growth.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ[_name] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import argparse  # noqa: E402  (thread counts are read when the libraries are imported)
import sys  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402
from common import SCRATCH, Results, dataset  # noqa: E402

from tlclassic import EmbeddingVectorizer, WordVectors  # noqa: E402
from tlclassic.evaluation import interleaved, process_cost  # noqa: E402


def our_vectorizer(vectors: WordVectors) -> Any:
    """Mean pooling as a user gets it."""
    return EmbeddingVectorizer(vectors, pooling="mean").fit(["nothing is learnt"]).transform


def gensim_loop(vectors: WordVectors) -> Any:
    """The usual way with gensim: split at white space, mean of the known words."""
    keyed = vectors.to_gensim()
    zero = np.zeros(vectors.dim, dtype=np.float32)

    def encode(texts: list[str]) -> np.ndarray:
        rows = []
        for text in texts:
            words = [word for word in text.lower().split() if word in keyed.key_to_index]
            rows.append(keyed.get_mean_vector(words, pre_normalize=False) if words else zero)
        return np.vstack(rows)

    return encode


def model2vec_model(vectors: WordVectors) -> Any:
    """A static model with the same rows, one token a word; unknown words go to a last row of zeros."""
    from model2vec import StaticModel
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    vocabulary = {word: row for row, word in enumerate(vectors.words)}
    vocabulary["[UNK]"] = len(vocabulary)
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    table = np.vstack([vectors.take(np.arange(len(vectors))), np.zeros((1, vectors.dim), np.float32)])
    return StaticModel(table, tokenizer, normalize=False)


def model2vec_encode(vectors: WordVectors) -> Any:
    """Its batches, without worker processes."""
    model = model2vec_model(vectors)
    return lambda texts: model.encode(texts, use_multiprocessing=False, show_progress_bar=False)


ENCODERS = {"tlclassic": our_vectorizer, "gensim loop": gensim_loop, "model2vec": model2vec_encode}


def child(encoder: str, store: str, name: str) -> None:
    """Open the store, encode a set once, in a process of its own."""
    ENCODERS[encoder](WordVectors.load(store))(dataset(name)["train"][0])


def peak_memory(store: str, name: str) -> dict[str, int]:
    """Peak memory in MB of a process that opens the vectors and encodes the set with each encoder."""
    return {
        encoder: round(process_cost([sys.executable, __file__, "--child", encoder, store, name]).peak_bytes / 1e6)
        for encoder in ENCODERS
    }


def measure(name: str, texts: list[str], vectors: WordVectors, repeats: int) -> dict[str, Any]:
    """One row."""
    n_bytes = sum(len(text.encode()) for text in texts)
    encoders = {encoder: make(vectors) for encoder, make in ENCODERS.items()}
    candidates = {encoder: (lambda encode=encode: encode(texts)) for encoder, encode in encoders.items()}
    timing = interleaved(candidates, repeats=repeats)
    medians = {key: timing[key]["median"] for key in candidates}
    return {
        "set": name,
        "texts": len(texts),
        "megabytes": round(n_bytes / 1e6, 2),
        "words": len(vectors),
        "dim": vectors.dim,
        "seconds": timing,
        "texts_per_second": {key: round(len(texts) / seconds) for key, seconds in medians.items()},
        "tlclassic MB/s": round(n_bytes / 1e6 / medians["tlclassic"], 1),
        "gensim / tlclassic": round(medians["gensim loop"] / medians["tlclassic"], 1),
        "model2vec / tlclassic": round(medians["model2vec"] / medians["tlclassic"], 1),
    }


def main() -> None:
    """Short and long texts, a table that fits the cache and one that does not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--child", nargs=3)
    arguments = parser.parse_args()
    if arguments.child:
        child(*arguments.child)
        return
    results = Results("pool")
    for size in ("400000-100", "2000000-300"):
        store = SCRATCH / f"glove-{size}.tlc"
        if not store.exists():
            print(f"left out: {store} is made by bench_load.py")
            continue
        vectors = WordVectors.load(store)
        for name in ("trec6", "sst2", "ag_news"):
            texts = dataset(name)["train"][0]
            if (key := f"{name} {size}") not in results:
                results.add(key, measure(name, texts, vectors, arguments.repeats))
            if "peak_mb" not in results.data["rows"][key]:
                results.add(key, {**results.data["rows"][key], "peak_mb": peak_memory(str(store), name)})


if __name__ == "__main__":
    main()
