"""The Unicode word tokeniser; its rules are in docs/tokenizer.md, with an example of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

from tlclassic._validate import check_choice, check_texts
from tlclassic.errors import InvalidParameterError
from tlclassic.kernels import _tokenize_rules as R
from tlclassic.kernels import load
from tlclassic.kernels._tokenize_tables import UNICODE_VERSION
from tlclassic.text.base import Lookup, Span, check_state, check_text

__all__ = ["UNICODE_VERSION", "Tokenizer"]

#: Raised whenever a rule or the Unicode version changes the tokens of some text; saved with every tokeniser.
RULES_VERSION = 1

#: What each value of each option adds to the kernel's flags.
_FLAGS: dict[str, dict[str | bool, int]] = {
    "case": {"lower": R.LOWER, "fold": R.FOLD, "keep": 0},
    "accents": {"keep": 0, "strip": R.STRIP},
    "normalize": {"nfc": R.NFC, "none": 0},
    "contractions": {"split": R.SPLIT, "keep": 0},
    "punctuation": {"drop": 0, "emphasis": R.EMPHASIS, "keep": R.PUNCTUATION},
    "emoji": {True: R.EMOJI, False: 0},
    "emoticons": {True: R.EMOTICONS, False: 0},
}


@dataclass(frozen=True, kw_only=True)
class Tokenizer:
    """Words of any language by Unicode properties, with what carries feeling kept.

    Parameters
    ----------
    case : {"lower", "fold", "keep"}, default="lower"
        Lower-case, fold fully (``ß`` becomes ``ss``) or leave alone.
    accents : {"keep", "strip"}, default="keep"
        ``"strip"`` drops every non-spacing mark: ``é`` becomes ``e``. Implies composition of what is left.
    normalize : {"nfc", "none"}, default="nfc"
        Canonical composition, so that both spellings of ``é`` are one word.
    contractions : {"split", "keep"}, default="split"
        ``don't`` as ``do n't`` (Penn Treebank) or as one token. Both apostrophes are written as ``'``.
    punctuation : {"drop", "emphasis", "keep"}, default="emphasis"
        No punctuation, only ``!`` and ``?``, or each mark as a token.
    emoji : bool, default=True
        Keep emoji, one token each whatever they are composed of; else they are treated as other signs are.
    emoticons : bool, default=True
        Keep ``:)`` and its like as tokens.

    Notes
    -----
    Character properties, case and normalisation are those of one Unicode version (:data:`UNICODE_VERSION`) on every
    Python. Tokens joined by spaces give the same tokens again.

    Raises
    ------
    InvalidParameterError
        For an option outside its domain.

    Examples
    --------
    >>> Tokenizer().tokenize("I don't like it, José 🙁!")
    ['i', 'do', "n't", 'like', 'it', 'josé', '🙁', '!']
    """

    case: Literal["lower", "fold", "keep"] = "lower"
    accents: Literal["keep", "strip"] = "keep"
    normalize: Literal["nfc", "none"] = "nfc"
    contractions: Literal["split", "keep"] = "split"
    punctuation: Literal["drop", "emphasis", "keep"] = "emphasis"
    emoji: bool = True
    emoticons: bool = True

    def __post_init__(self) -> None:
        for name, choices in _FLAGS.items():
            check_choice(name, getattr(self, name), choices)

    @cached_property
    def _flags(self) -> int:
        return sum(choices[getattr(self, name)] for name, choices in _FLAGS.items())

    def tokenize(self, text: str) -> list[str]:
        """The tokens of ``text``, in order.

        Raises
        ------
        InvalidParameterError
            When ``text`` is not a string.
        """
        found: list[str] = load("tokenize").tokens(check_text(text), self._flags)
        return found

    def __call__(self, text: str) -> list[str]:
        return self.tokenize(text)

    def spans(self, text: str) -> list[Span]:
        """The tokens of ``text`` with their character and UTF-8 byte offsets in it.

        A lone surrogate counts three bytes, as U+FFFD in its place would.

        Examples
        --------
        >>> Tokenizer().spans("Ça va")[0]
        Span(text='ça', start=0, end=2, byte_start=0, byte_end=3)
        """
        words, offsets = load("tokenize").spans(check_text(text), self._flags)
        return list(map(Span._make, zip(words, *offsets.T.tolist(), strict=True)))

    def lookup(
        self, texts: Sequence[str], index: Any, *, lower_fallback: bool = False, unknown: bool = False
    ) -> Lookup:
        """The rows of the tokens of ``texts`` in a word index, in one pass and without an object per token.

        Parameters
        ----------
        texts : sequence of str
            The texts.
        index : WordIndex
            As in ``WordVectors.index``; at most 2**31 - 1 words.
        lower_fallback : bool, default=False
            Try a token's lower-cased form when the token itself is unknown.
        unknown : bool, default=False
            Report the unknown tokens and their places.

        Returns
        -------
        Lookup
            ``rows`` int32 of shape (n_tokens,), ``indptr`` int64 of shape (n_texts + 1,), and the unknown tokens.

        Raises
        ------
        InvalidParameterError
            When ``texts`` is not a list of strings.
        """
        found = load("tokenize").lookup(check_texts(texts), index, self._flags, lower_fallback, unknown)
        return Lookup(*found)

    def to_dict(self) -> dict[str, Any]:
        """The options as a JSON-able dict; :meth:`from_dict` gives an equal tokeniser back."""
        return {"type": "words", "rules": RULES_VERSION, **asdict(self)}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Tokenizer:
        """The tokeniser that :meth:`to_dict` described.

        Raises
        ------
        InvalidParameterError
            For an unknown or missing option, or rules newer than this version's.
        """
        check_state(state, "words", ("rules", *_FLAGS))
        if state["rules"] != RULES_VERSION:
            raise InvalidParameterError(
                f"rules must be {RULES_VERSION}, the rules of this version of tlclassic; got {state['rules']!r}. "
                "Install the version of tlclassic that saved the tokenizer, or a newer one."
            )
        return cls(**{name: state[name] for name in _FLAGS})
