"""How much of a corpus the word vectors know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic._validate import check_integer
from tlclassic.features.tokens import Tokens, choose_tokenizer, look_up, stream
from tlclassic.vectors import WordVectors

__all__ = ["CoverageReport", "coverage"]

_QUANTILES = {"min": 0.0, "5%": 0.05, "25%": 0.25, "median": 0.5, "75%": 0.75, "max": 1.0}


@dataclass(frozen=True)
class CoverageReport:
    """Which part of some texts the word vectors know.

    Attributes
    ----------
    n_texts, n_empty, n_unknown_texts : int
        Texts; those without any token; those with tokens but no known one.
    n_tokens, n_known_tokens : int
        Running words, and those that have a vector.
    n_words, n_known_words : int
        Distinct words. Two spellings that share a vector (by the fall-back to lower case) are one word.
    unknown : list of (str, int)
        The most frequent unknown words and how often they occur.
    text_shares : dict of str to float
        The known share of a text's tokens: its minimum, quartiles and maximum over the texts that have tokens.
    """

    n_texts: int
    n_empty: int
    n_unknown_texts: int
    n_tokens: int
    n_known_tokens: int
    n_words: int
    n_known_words: int
    unknown: list[tuple[str, int]]
    text_shares: dict[str, float]

    @property
    def token_share(self) -> float:
        """Known share of the running text; 1 if there is none."""
        return self.n_known_tokens / self.n_tokens if self.n_tokens else 1.0

    @property
    def word_share(self) -> float:
        """Known share of the distinct words; 1 if there are none."""
        return self.n_known_words / self.n_words if self.n_words else 1.0

    def as_dict(self) -> dict[str, Any]:
        """Every number, JSON-serialisable."""
        values = asdict(self)
        values["unknown"] = [list(item) for item in self.unknown]
        return {**values, "token_share": self.token_share, "word_share": self.word_share}

    def __str__(self) -> str:
        lines = [
            f"running text  {self.token_share:7.2%}  ({self.n_known_tokens:,} of {self.n_tokens:,} tokens known)",
            f"vocabulary    {self.word_share:7.2%}  ({self.n_known_words:,} of {self.n_words:,} distinct words known)",
            f"texts         {self.n_texts:,}, of them {self.n_empty:,} empty and "
            f"{self.n_unknown_texts:,} without a known word",
        ]
        if self.text_shares:
            shares = ", ".join(f"{name} {share:.0%}" for name, share in self.text_shares.items())
            lines.append(f"per text      {shares}")
        if self.unknown:
            lines.append("unknown       " + ", ".join(f"{word} ({count:,})" for word, count in self.unknown))
        return "\n".join(lines)


def coverage(
    texts: Iterable[str],
    vectors: WordVectors,
    *,
    tokenizer: Any = "auto",
    lower_fallback: bool = True,
    top: int = 50,
) -> CoverageReport:
    """Count which words of ``texts`` the ``vectors`` know.

    Parameters
    ----------
    texts : iterable of str
        Read once, in bounded memory.
    vectors : WordVectors
    tokenizer, lower_fallback
        As for :class:`EmbeddingVectorizer`.
    top : int
        How many unknown words to name.

    Examples
    --------
    >>> import numpy as np
    >>> from tlclassic import WordVectors
    >>> vectors = WordVectors.from_arrays(["a", "good", "film"], np.eye(3, dtype="float32"))
    >>> report = coverage(["A good film", "a goood film"], vectors)
    >>> report.unknown, round(report.token_share, 3)
    ([('goood', 1)], 0.833)
    """
    check_integer("top", top, low=0)
    chosen = choose_tokenizer(tokenizer, vectors)
    seen = np.zeros(len(vectors), dtype=bool)
    unknown: Counter[str] = Counter()
    lengths, known = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for batch in stream(texts):
        tokens = look_up(chosen, batch, vectors, lower_fallback=lower_fallback, unknown=True)
        seen[tokens.rows[tokens.rows >= 0]] = True
        unknown.update(tokens.unknown_words)
        lengths.append(np.diff(tokens.indptr))
        known.append(_known_per_text(tokens))
    return _report(np.concatenate(lengths), np.concatenate(known), int(seen.sum()), unknown, top)


def _known_per_text(tokens: Tokens) -> NDArray[np.int64]:
    running = np.concatenate([[0], np.cumsum(tokens.rows >= 0)])
    return np.diff(running[tokens.indptr])


def _report(
    lengths: NDArray[np.int64], known: NDArray[np.int64], n_known_words: int, unknown: Counter[str], top: int
) -> CoverageReport:
    filled = lengths > 0
    shares = known[filled] / lengths[filled]
    by_count = sorted(unknown.items(), key=lambda item: (-item[1], item[0]))
    return CoverageReport(
        n_texts=len(lengths),
        n_empty=int((~filled).sum()),
        n_unknown_texts=int((shares == 0).sum()),
        n_tokens=int(lengths.sum()),
        n_known_tokens=int(known.sum()),
        n_words=n_known_words + len(unknown),
        n_known_words=n_known_words,
        unknown=by_count[:top],
        text_shares={name: float(np.quantile(shares, q)) for name, q in _QUANTILES.items()} if len(shares) else {},
    )
