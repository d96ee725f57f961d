"""Training word vectors on a corpus, or adapting given ones to it, through gensim.

# Design: the corpus is read and tokenised once, into a temporary file, which every epoch then reads. So a corpus may be
# a stream, a slow tokeniser is paid for once, and an error in the corpus appears here and not in a thread of gensim,
# which would wait for ever. Words that do not occur in the corpus have no part in the training and join afterwards.

word2vec: Mikolov et al. 2013, https://arxiv.org/abs/1310.4546; fastText: Bojanowski et al. 2017,
https://aclanthology.org/Q17-1010/.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic._compat import available_cpus, require
from tlclassic._validate import check_choice, check_integer, check_number
from tlclassic.errors import InvalidParameterError
from tlclassic.vectors.corpus import TokenFile, read_lines
from tlclassic.vectors.fasttext_matrix import allocate
from tlclassic.vectors.interop_gensim import from_gensim, own_rows
from tlclassic.vectors.making import from_arrays
from tlclassic.vectors.subword import SubwordTable
from tlclassic.vectors.wordvectors import WordVectors

__all__ = ["train_vectors"]

_ALGORITHMS = ("word2vec", "fasttext")
_DIM = 100
_BATCH = 4096

Progress = Callable[[int, int | None], object]


def train_vectors(
    corpus: str | os.PathLike[str] | Iterable[str],
    *,
    algorithm: str = "word2vec",
    dim: int | None = None,
    window: int = 5,
    min_count: int = 5,
    epochs: int = 5,
    sg: bool = True,
    negative: int = 5,
    sample: float = 1e-3,
    alpha: float = 0.025,
    min_n: int = 3,
    max_n: int = 6,
    bucket: int = 200_000,
    workers: int | None = None,
    seed: int = 0,
    init: WordVectors | str | os.PathLike[str] | None = None,
    freeze: bool = False,
    tokenizer: Any = None,
    on_progress: Progress | None = None,
) -> WordVectors:
    """Word vectors trained on ``corpus``, its most frequent words first.

    The corpus is never in memory: its tokens wait in a temporary file (``TMPDIR`` says where), about as large as the
    texts. Two runs with the same ``seed`` give the same vectors where ``workers=1``.

    Parameters
    ----------
    corpus : path-like or iterable of str
        A text file with one text a line (plain, gzip, bzip2, xz or zip), or the texts; they are gone through once.
    algorithm : {"word2vec", "fasttext"}
        With "fasttext" unseen words get vectors from their character n-grams.
    dim : int, optional
        Default: that of ``init``, else 100.
    window : int
        Words of context on each side, at most.
    min_count : int
        Leave out words that occur less often; not those of ``init``.
    epochs : int
    sg : bool
        Skip-gram, else continuous bag of words.
    negative : int
        Negative samples a word.
    sample : float
        Frequency above which words are left out at random now and then; 0 for never.
    alpha : float
        The learning rate at the beginning; it falls to 0.0001.
    min_n, max_n, bucket : int
        For "fasttext": lengths of the n-grams, and into how many buckets they are hashed (fastText's own default is
        2,000,000; the store holds ``bucket * dim`` numbers). With ``init`` they are those of its sub-words.
    workers : int, optional
        Threads; default: the CPUs that this process may use.
    seed : int
    init : WordVectors or path-like, optional
        Vectors to start from; given back as they are when the corpus has no word. All their words are in the result,
        and those that do not occur in the corpus keep their vectors (with "fasttext", the n-grams' part of them moves
        on). Their counts, if any, are added to the corpus's.
    freeze : bool
        Keep the vectors of ``init`` exactly, n-grams included, and train those of the new words only.
    tokenizer : optional
        Anything that :func:`tlclassic.text.as_tokenizer` takes; default ``Tokenizer()``.
    on_progress : callable, optional
        Called with ``(texts read, None)`` while the corpus is read, then with ``(texts done, texts * epochs)``. What it
        raises ends the training and is raised here.

    Returns
    -------
    WordVectors
        float32, with ``counts``; of "fasttext" with ``subwords`` and the policy ``oov="subword"``.

    Raises
    ------
    InvalidParameterError
        When a parameter is outside its domain or does not fit ``init``, or no word is frequent enough.
    DataFormatError
        When a line of the file is not UTF-8.
    MissingExtraError
        When gensim is not installed.

    Examples
    --------
    >>> texts = ["the cat sat on the mat", "the dog sat on the rug"] * 20
    >>> vectors = train_vectors(texts, dim=8, epochs=2, workers=1)
    >>> vectors.shape, vectors.words[0], int(vectors.counts[0])
    ((7, 8), 'the', 80)
    """
    for name, value, low in (
        ("window", window, 1),
        ("min_count", min_count, 1),
        ("epochs", epochs, 1),
        ("seed", seed, 0),
    ):
        check_integer(name, value, low=low)
    check_integer("negative", negative, low=1)
    check_number("sample", sample, low=0)
    check_number("alpha", alpha, low=0)
    check_choice("algorithm", algorithm, _ALGORITHMS)
    workers = available_cpus() if workers is None else workers
    check_integer("workers", workers, low=1)
    start = WordVectors.load(init) if isinstance(init, (str, os.PathLike)) else init
    dim = _check_init(start, algorithm, dim, freeze)
    ngrams = _check_ngrams(start, min_n, max_n, bucket) if algorithm == "fasttext" else {}
    models = require("gensim.models", purpose="Training word vectors")
    make_model = models.FastText if algorithm == "fasttext" else models.Word2Vec
    model = make_model(
        vector_size=dim, window=window, min_count=1, sg=int(sg), negative=negative, sample=sample, alpha=alpha,
        epochs=epochs, workers=workers, seed=seed, sorted_vocab=0, **ngrams,
    )  # fmt: skip
    texts = read_lines(corpus) if isinstance(corpus, (str, os.PathLike)) else corpus
    with TokenFile() as tokens:
        tokens.fill(texts, tokenizer, on_progress)
        vocabulary = _vocabulary(tokens.counts, min_count, start)
        if not vocabulary and start is not None:
            return start
        model.build_vocab_from_freq(vocabulary, corpus_count=tokens.n_pieces)
        if start is not None:
            _start_from(model, start, freeze)
        tokens.watch(on_progress, epochs)
        model.train(tokens, total_examples=tokens.n_pieces, epochs=epochs)
        tokens.raise_failure()
    return _finish(model, start, freeze)


def _check_init(start: WordVectors | None, algorithm: str, dim: int | None, freeze: bool) -> int:
    """The number of dimensions."""
    if dim is not None:
        check_integer("dim", dim, low=1)
    if start is None:
        if freeze:
            raise InvalidParameterError("freeze=True needs init: the vectors to keep.")
        return _DIM if dim is None else dim
    if not isinstance(start, WordVectors):
        raise InvalidParameterError(f"init must be WordVectors or a path; got {type(start).__name__}.")
    if dim not in (None, start.dim):
        raise InvalidParameterError(f"dim must be that of init, {start.dim}, or left out; got {dim}.")
    if algorithm == "fasttext" and (start.subwords is None or start.subwords.pruned is not None):
        raise InvalidParameterError(
            "algorithm='fasttext' needs init to have sub-words that were not pruned; these have none. "
            "Use algorithm='word2vec', or start from a fastText .bin file."
        )
    return start.dim


def _check_ngrams(start: WordVectors | None, min_n: int, max_n: int, bucket: int) -> dict[str, int]:
    if start is not None and start.subwords is not None:
        return {"min_n": start.subwords.min_n, "max_n": start.subwords.max_n, "bucket": start.subwords.bucket}
    check_integer("min_n", min_n, low=1)
    check_integer("max_n", max_n, low=min_n)
    check_integer("bucket", bucket, low=1, high=(1 << 31) - 1)
    return {"min_n": min_n, "max_n": max_n, "bucket": bucket}


def _vocabulary(counts: dict[str, int], min_count: int, start: WordVectors | None) -> dict[str, int]:
    """The words to train, with their counts in the corpus: the most frequent first, of equals the first to occur."""
    kept = {word: n for word, n in counts.items() if n >= min_count or (start is not None and word in start)}
    if not kept and start is None:
        raise InvalidParameterError(
            f"no word of the corpus occurs {min_count} times ({len(counts)} different words were read). "
            "Lower min_count or give more texts."
        )
    return dict(sorted(kept.items(), key=lambda item: -item[1]))


def _start_from(model: Any, start: WordVectors, freeze: bool) -> None:
    """Put the given vectors into the untrained model, and lock them if they are to stay.

    gensim multiplies every update of row i by ``lockf[i % len(lockf)]``; its default is a single 1.
    """
    keyed = model.wv
    rows = start.rows(keyed.index_to_key)
    known = np.flatnonzero(rows >= 0)
    locks = np.ones(len(rows), dtype=np.float32)
    if freeze:
        locks[known] = 0
    if start.subwords is None or not hasattr(keyed, "vectors_ngrams"):
        keyed.vectors[known] = start.take(rows[known])
        keyed.vectors_lockf = locks
        return
    keyed.vectors_ngrams[:] = start.subwords.quantize("float32").table
    keyed.vectors_vocab[known] = own_rows(start, start.subwords)[rows[known]]
    keyed.vectors_vocab_lockf = locks
    keyed.vectors_ngrams_lockf = np.array([0 if freeze else 1], dtype=np.float32)


def _finish(model: Any, start: WordVectors | None, freeze: bool) -> WordVectors:
    """The trained words, then those of ``start`` that did not occur in the corpus."""
    trained = from_gensim(model)
    subwords = trained.subwords
    oov = "zero" if subwords is None else "subword"
    # from_gensim distrusts counts n, n - 1, ..., 1, which these can happen to be.
    counts = np.array(model.wv.expandos["count"], dtype=np.int64)
    if start is None:
        return from_arrays(trained.words, trained.table, counts=counts, subwords=subwords, oov=oov)
    rest = np.setdiff1d(np.arange(len(start)), start.rows(list(trained.words)))
    table = allocate((len(trained) + len(rest), start.dim))
    table[: len(trained)] = trained.table
    _fill_rest(table[len(trained) :], start, rest, None if freeze else subwords)
    if freeze:
        rows = start.rows(list(trained.words))
        table[np.flatnonzero(rows >= 0)] = start.take(rows[rows >= 0])
    words = [*trained.words, *(start.words[row] for row in rest.tolist())]
    counts = np.concatenate([counts, np.zeros(len(rest), dtype=np.int64)])
    if start.counts is not None:
        rows = start.rows(words)
        counts += np.where(rows >= 0, start.counts[rows], 0)
    return from_arrays(words, table, counts=counts, subwords=subwords, oov=oov)


def _fill_rest(
    out: NDArray[np.float32], start: WordVectors, rest: NDArray[np.int64], subwords: SubwordTable | None
) -> None:
    """The vectors of words without part in the training; with sub-words, their n-grams had."""
    if subwords is None or start.subwords is None:
        for begin in range(0, len(rest), _BATCH):
            out[begin : begin + _BATCH] = start.take(rest[begin : begin + _BATCH])
        return
    own = own_rows(start, start.subwords)
    for begin in range(0, len(rest), _BATCH):
        rows = rest[begin : begin + _BATCH]
        raw = [start.words.raw(row) for row in rows.tolist()]
        offsets = np.cumsum([0, *map(len, raw)], dtype=np.int64)
        blob = np.frombuffer(b"".join(raw), dtype=np.uint8)
        subwords.mean_into(out[begin : begin + _BATCH], blob, offsets, own=own[rows])
