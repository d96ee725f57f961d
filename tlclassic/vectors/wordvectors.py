"""``WordVectors``: an immutable table of word vectors, an index over its words, and an answer for unknown words."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tlclassic._validate import check_choice
from tlclassic.errors import InvalidParameterError
from tlclassic.vectors import rows as _rows
from tlclassic.vectors.queries import Queries
from tlclassic.vectors.words import Words

if TYPE_CHECKING:
    from tlclassic.kernels._index import WordIndex
    from tlclassic.vectors.subword import SubwordTable

__all__ = ["OOV_POLICIES", "SAVE_FORMATS", "Origin", "WordVectors"]

#: What an unknown word gets.
OOV_POLICIES = ("zero", "subword", "lower", "mean")
#: The formats of :meth:`WordVectors.save`.
SAVE_FORMATS = ("store", "glove", "word2vec", "word2vec-binary", "gensim", "spacy")


class Origin(NamedTuple):
    """Where mapped vectors lie: a file, and what the names of their blocks begin with (nothing in a store)."""

    path: str
    prefix: str = ""


class WordVectors(Queries):
    """Word vectors: read-only, safe to share between threads, one copy per machine where they come from a store.

    Made by :meth:`load`, :meth:`from_arrays`, :meth:`from_gensim` or :meth:`from_spacy`; the constructor itself is
    not public. ``copy``, ``deepcopy`` and scikit-learn's ``clone`` give the same object; pickling one that was opened
    from a store or inside a saved model keeps the path and the digest, and reopens the file.

    Attributes
    ----------
    table : array of shape (n, dim)
        The rows as they are stored: float32, float16 or int8.
    scales : float32 array of shape (n,), or None
        For an int8 table: a value is code times the row's scale.
    index : WordIndex
        From words to rows.
    counts : int64 array of shape (n,), or None
        How often each word occurred in the corpus the vectors were trained on.
    subwords : SubwordTable or None
        fastText's character n-grams, for vectors of unseen words.
    oov : {"zero", "subword", "lower", "mean"}
        What :meth:`lookup` gives for an unknown word: zeros; the sub-word vector; the vector of the word in lower
        case, else zeros; the mean of the table.

    Examples
    --------
    >>> import numpy as np
    >>> vectors = WordVectors.from_arrays(["red", "blue"], np.eye(2, dtype="float32"))
    >>> vectors["blue"]
    array([0., 1.], dtype=float32)
    >>> vectors.lookup(["red", "Blue"], oov="lower")
    array([[1., 0.],
           [0., 1.]], dtype=float32)
    """

    def __init__(
        self,
        index: WordIndex,
        table: NDArray[Any],
        *,
        scales: NDArray[np.float32] | None = None,
        counts: NDArray[np.int64] | None = None,
        subwords: SubwordTable | None = None,
        oov: str = "zero",
        tokenizer: NDArray[np.uint8] | None = None,
        digest: str | None = None,
        origin: Origin | None = None,
    ) -> None:
        check_oov(oov, subwords)
        self.index = index
        self.table = _read_only(table)
        self.scales = None if scales is None else _read_only(scales)
        self.counts = None if counts is None else _read_only(counts)
        self.subwords = subwords
        self.oov = oov
        self.tokenizer_bytes = None if tokenizer is None else _read_only(tokenizer)
        self._digest = digest
        self._origin = origin

    # -- making ------------------------------------------------------------------------------------------------------

    @classmethod
    def from_arrays(
        cls,
        words: Sequence[str],
        table: NDArray[Any],
        *,
        scales: NDArray[Any] | None = None,
        counts: NDArray[Any] | Sequence[int] | None = None,
        subwords: SubwordTable | None = None,
        oov: str = "zero",
        tokenizer_json: str | None = None,
    ) -> WordVectors:
        """Word vectors from a list of words and an array.

        Parameters
        ----------
        words : sequence of str of length n
            Of equal words the first is kept, with a warning.
        table : array of shape (n, dim)
            float32 and float16 are kept as they are and, where C-contiguous, shared and not copied; int8 needs
            ``scales``; other numbers become float32.
        scales : array of shape (n,), optional
        counts : array of shape (n,), optional
        subwords : SubwordTable, optional
        oov : str
        tokenizer_json : str, optional
            Where the words are the tokens of a Hugging Face tokeniser: the text of its ``tokenizer.json``.

        Raises
        ------
        InvalidParameterError
            When shapes do not match, an item is not a string, or a number is not finite in float32.
        """
        from tlclassic.vectors.making import from_arrays

        return from_arrays(
            words, table, scales=scales, counts=counts, subwords=subwords, oov=oov, tokenizer_json=tokenizer_json
        )

    @classmethod
    def load(
        cls,
        source: str | os.PathLike[str],
        *,
        format: str | None = None,
        member: str | None = None,
        cache: bool | str | os.PathLike[str] | None = None,
        trust: bool = False,
        limit: int | None = None,
        oov: str | None = None,
    ) -> WordVectors:
        """Word vectors from a file or folder, in any format of :data:`tlclassic.vectors.FORMATS`.

        Parameters
        ----------
        source : path-like
            May be compressed (gzip, bzip2, xz, zip); that and the format are told by content, not by name.
        format : str, optional
            The format, where it should not be told by content.
        member : str, optional
            The file to read from a zip archive that holds several.
        cache : bool, "beside" or path-like, optional
            Keep a store, which opens in milliseconds, and use it from the second time on: ``True`` in
            ``$XDG_CACHE_HOME/tlclassic`` (``~/.cache/tlclassic``), ``"beside"`` next to the source, a path in that
            folder. It is rebuilt when the source has changed.
        trust : bool
            Allow a format that can run code on load (gensim's own files are pickles).
        limit : int, optional
            Read only the first ``limit`` words.
        oov : {"zero", "subword", "lower", "mean"}, optional
            Default: the source's own policy. That is the saved one of a store, "subword" where the source has
            character n-grams (fastText), else "zero".

        Raises
        ------
        VectorFormatError
            When the file is in no known format or damaged; names the line.
        UnsafeFormatError
            For a pickle without ``trust=True``.
        InvalidParameterError
            For ``oov="subword"`` when the source has no sub-words.
        """
        from tlclassic.vectors.loading import load

        return load(source, format=format, member=member, cache=cache, trust=trust, limit=limit, oov=oov)

    @classmethod
    def from_gensim(cls, keyed_vectors: Any, *, oov: str | None = None) -> WordVectors:
        """Word vectors from a gensim ``KeyedVectors``; its table is shared where it is float32 and C-contiguous.

        ``oov`` is by default "subword" for ``FastTextKeyedVectors`` with n-grams, else "zero".
        """
        from tlclassic.vectors.interop_gensim import from_gensim

        return from_gensim(keyed_vectors, oov=oov)

    @classmethod
    def from_spacy(cls, nlp_or_vocab: Any, *, oov: str = "zero") -> WordVectors:
        """Word vectors from a spaCy pipeline, ``Vocab`` or ``Vectors``."""
        from tlclassic.vectors.interop_spacy import from_spacy

        return from_spacy(nlp_or_vocab, oov=oov)

    def to_gensim(self) -> Any:
        """A gensim ``KeyedVectors``; a float32 table is shared, not copied."""
        from tlclassic.vectors.interop_gensim import to_gensim

        return to_gensim(self)

    def to_spacy(self, nlp_or_vocab: Any = None) -> Any:
        """A spaCy ``Vocab`` with these vectors: a new one, or the one given (or its pipeline's)."""
        from tlclassic.vectors.interop_spacy import to_spacy

        return to_spacy(self, nlp_or_vocab)

    def with_oov(self, oov: str) -> WordVectors:
        """The same vectors, shared, with another answer for unknown words."""
        return WordVectors(
            self.index,
            self.table,
            scales=self.scales,
            counts=self.counts,
            subwords=self.subwords,
            oov=oov,
            tokenizer=self.tokenizer_bytes,
            digest=self._digest,
            origin=self._origin,
        )

    # -- shape -------------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.table)

    @property
    def dim(self) -> int:
        """The number of dimensions."""
        return int(self.table.shape[1])

    @property
    def shape(self) -> tuple[int, int]:
        """``(number of words, dim)``."""
        return len(self), self.dim

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the stored table."""
        return self.table.dtype

    @cached_property
    def words(self) -> Words:
        """The words in row order, decoded when asked for."""
        return Words(self.index.words, self.index.offsets)

    @property
    def path(self) -> str | None:
        """The store that the table is mapped from, if any; :meth:`load` opens it again."""
        return self._origin.path if self._origin is not None and not self._origin.prefix else None

    @property
    def origin(self) -> Origin | None:
        """The file that the table is mapped from: a store, or a saved model and the prefix of its blocks."""
        return self._origin

    @cached_property
    def tokenizer_json(self) -> str | None:
        """The text of the ``tokenizer.json`` whose tokens the words are (static models), else None."""
        return None if self.tokenizer_bytes is None else self.tokenizer_bytes.tobytes().decode("utf-8")

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the contents: words, table, scales, counts, sub-words and tokeniser."""
        if self._digest is None:
            from tlclassic.vectors.state import compute_digest

            self._digest = compute_digest(self)
        return self._digest

    # -- look-up -----------------------------------------------------------------------------------------------------

    def __contains__(self, word: object) -> bool:
        return isinstance(word, str) and self.index.find(word.encode("utf-8", "surrogatepass")) >= 0

    def __getitem__(self, word: str) -> NDArray[np.float32]:
        """The vector of ``word``, float32 of shape (dim,).

        Raises
        ------
        KeyError
            When the word is unknown and the policy has no vector for it: "zero" never has, "lower" where the word in
            lower case is unknown too, "subword" and "mean" always have.
        """
        if not isinstance(word, str):
            raise InvalidParameterError(f"a word must be a string; got {word!r}. For several words use lookup(words).")
        row = self.index.find(word.encode("utf-8", "surrogatepass"))
        if row < 0 and self.oov == "lower":
            row = self.index.find(word.lower().encode("utf-8", "surrogatepass"))
        if row < 0 and self.oov in ("zero", "lower"):
            raise KeyError(word)
        vector: NDArray[np.float32] = self.lookup([word])[0] if row < 0 else self.take([row])[0]
        return vector

    def rows(self, words: Sequence[str]) -> NDArray[np.int64]:
        """The rows of ``words``, -1 where unknown whatever the policy; int64 of shape (n,)."""
        return self.index.find_many(_check_words(words))

    def take(self, rows: Sequence[int] | NDArray[np.integer[Any]]) -> NDArray[np.float32]:
        """The vectors of ``rows``, decoded to float32, shape (n, dim).

        Raises
        ------
        IndexError
            For a row below 0 or past the end.
        """
        return _rows.take(self.table, self.scales, np.asarray(rows))

    def lookup(self, words: Sequence[str], *, oov: str | None = None) -> NDArray[np.float32]:
        """The vectors of ``words``, float32 of shape (n, dim); unknown ones by the policy ``oov`` (default: the own).

        Raises
        ------
        InvalidParameterError
            When ``oov="subword"`` and there are no sub-words.
        """
        policy = self.oov if oov is None else oov
        check_oov(policy, self.subwords)
        words = _check_words(words)
        rows = self.index.find_many(words)
        if policy == "lower":
            unknown = np.flatnonzero(rows < 0)
            rows[unknown] = self.index.find_many([words[i].lower() for i in unknown.tolist()])
        known = rows >= 0
        if known.all():
            return self.take(rows)
        result = np.zeros((len(rows), self.dim), dtype=np.float32)
        result[known] = self.take(rows[known])
        if policy == "mean":
            result[~known] = self.mean
        elif policy == "subword" and self.subwords is not None:
            result[~known] = self.subwords.vectors([words[i] for i in np.flatnonzero(~known).tolist()])
        return result

    @cached_property
    def mean(self) -> NDArray[np.float32]:
        """The mean of all rows, float32 of shape (dim,)."""
        return _read_only(_rows.mean(self.table, self.scales))

    @cached_property
    def norms(self) -> NDArray[np.float32]:
        """The Euclidean norm of each row, float32 of shape (n,)."""
        return _read_only(_rows.norms(self.table, self.scales))

    # -- other vectors from these ------------------------------------------------------------------------------------

    def subset(self, words: Iterable[str]) -> WordVectors:
        """Only the rows of ``words``, in the order of this table; unknown words add nothing.

        With the policy "lower" a word that is known in lower case only brings that row. Counts and sub-words stay.
        """
        from tlclassic.vectors.making import subset

        return subset(self, words)

    def normalized(self) -> WordVectors:
        """float32 vectors of length one; a zero vector stays zero. Sub-words are left out: theirs would not match."""
        from tlclassic.vectors.making import normalized

        return normalized(self)

    def quantize(self, dtype: str = "int8") -> WordVectors:
        """The same vectors as ``"float16"`` or ``"int8"`` (one scale a row: its largest magnitude / 127).

        The sub-words' vectors too. ``"float32"`` decodes them all.

        Raises
        ------
        InvalidParameterError
            When a number does not fit float16.
        """
        from tlclassic.vectors.making import quantize

        return quantize(self, dtype)

    # -- saving, sharing ---------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str], *, format: str = "store") -> None:
        """Write the vectors to ``path``, atomically.

        Parameters
        ----------
        path : path-like
        format : {"store", "glove", "word2vec", "word2vec-binary", "gensim", "spacy"}
            Text formats hold the shortest numbers that read back as the same float32.

        Raises
        ------
        InvalidParameterError
            When the format cannot hold one of the words; names it.
        """
        check_choice("format", format, SAVE_FORMATS)
        from tlclassic.vectors.writers import save

        save(self, path, format)

    def to_state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """``(metadata, arrays)``: JSON-serialisable facts and named arrays, from which the vectors can be rebuilt."""
        from tlclassic.vectors.state import to_state

        return to_state(self)

    @classmethod
    def from_state(
        cls, metadata: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], *, origin: Origin | None = None
    ) -> WordVectors:
        """The inverse of :meth:`to_state`; nothing is copied.

        Raises
        ------
        CorruptArtifactError
            When facts and arrays do not fit together.
        """
        from tlclassic.vectors.state import from_state

        return from_state(metadata, arrays, origin=origin)

    def describe(self) -> dict[str, Any]:
        """Facts for a person: count, dim, dtype, size in bytes, zero vectors, norms, counts, sub-words, digest."""
        from tlclassic.vectors.describing import facts

        return facts(self)

    def __copy__(self) -> WordVectors:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> WordVectors:
        return self

    def __sklearn_clone__(self) -> WordVectors:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        from tlclassic.vectors import state

        if self._origin is not None:
            return state.reopen, (*self._origin, self.digest, self.oov)
        return WordVectors.from_state, self.to_state()

    def __repr__(self) -> str:
        path = f", path={self._origin.path!r}" if self._origin else ""
        return f"WordVectors(n={len(self)}, dim={self.dim}, dtype={self.dtype}, oov={self.oov!r}{path})"


def check_oov(oov: str, subwords: object) -> None:
    check_choice("oov", oov, OOV_POLICIES)
    if oov == "subword" and subwords is None:
        raise InvalidParameterError(
            "oov='subword' needs vectors with sub-words (a fastText .bin file); these have none. "
            "Choose 'zero', 'lower' or 'mean'."
        )


def own_policy(subwords: object) -> str:
    """The policy of a source that names none."""
    return "zero" if subwords is None else "subword"


def _check_words(words: Sequence[str]) -> Sequence[str]:
    if isinstance(words, (str, bytes)):
        raise InvalidParameterError(f"words must be a list of words; got the single string {words!r}. Pass [word].")
    words = words if isinstance(words, (list, tuple)) else list(words)
    for i, word in enumerate(words):
        if not isinstance(word, str):
            raise InvalidParameterError(f"words[{i}] must be a string; got {word!r} of type {type(word).__name__}.")
    return words


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    view = array.view()
    view.flags.writeable = False
    return view
