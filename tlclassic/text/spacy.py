"""The tokeniser of a spaCy pipeline."""

from __future__ import annotations

import re
from typing import Any

from tlclassic._compat import require
from tlclassic.errors import InvalidParameterError
from tlclassic.text.base import TokenizerBase, check_state, check_text

__all__ = ["SpacyTokenizer"]

_LANGUAGE = re.compile(r"[a-z]{2,3}")
_PURPOSE = "SpacyTokenizer"


class SpacyTokenizer(TokenizerBase):
    """The tokeniser of a spaCy pipeline; none of the pipeline's components runs. Tokens of white space are left out.

    Parameters
    ----------
    nlp : spacy.Language or str
        A pipeline, or a language code such as ``"en"`` for spaCy's rules of that language.

    Raises
    ------
    InvalidParameterError
        When ``nlp`` is neither.
    MissingExtraError
        When spaCy is not installed.
    """

    def __init__(self, nlp: Any) -> None:
        spacy = require("spacy", purpose=_PURPOSE)
        if isinstance(nlp, str):
            nlp = _blank(nlp)
        if not isinstance(nlp, spacy.Language):
            raise InvalidParameterError(f"nlp must be a spaCy pipeline or a language code; got {nlp!r}.")
        self.nlp = nlp

    def tokenize(self, text: str) -> list[str]:
        """The tokens of ``text`` as they stand in it."""
        return [token.text for token in self.nlp.make_doc(check_text(text)) if not token.is_space]

    def to_dict(self) -> dict[str, Any]:
        """The language code, or the name of the installed package, as a JSON-able dict.

        Raises
        ------
        InvalidParameterError
            When the tokeniser was customised: neither its language nor an installed package gives it again.
        """
        rules = _rules(self.nlp)
        if rules is not None and rules == _rules(_blank(self.nlp.lang)):
            return {"type": "spacy", "language": self.nlp.lang, "package": None}
        package = f"{self.nlp.lang}_{self.nlp.meta.get('name') or ''}"
        if rules is not None and _is_package(package) and rules == _rules(_package(package)):
            return {"type": "spacy", "language": self.nlp.lang, "package": package}
        raise InvalidParameterError(
            "tokenizer must be one that can be saved; got a spaCy tokenizer that differs from that of its language "
            f"({self.nlp.lang!r}) and of any installed package. Install the pipeline as a package, or use another "
            "tokenizer."
        )

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> SpacyTokenizer:
        """The tokeniser that :meth:`to_dict` described; a package must be installed already.

        Raises
        ------
        InvalidParameterError
            For an unknown language, or a package that is not installed.
        """
        check_state(state, "spacy", ("language", "package"))
        if state["package"] is None:
            return cls(_blank(state["language"]))
        if not _is_package(state["package"]):
            raise InvalidParameterError(
                f"package must be an installed spaCy pipeline; got {state['package']!r}. Install it with: "
                f"python -m spacy download {state['package']}"
            )
        return cls(_package(state["package"]))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SpacyTokenizer) and self.nlp is other.nlp

    def __hash__(self) -> int:
        return id(self.nlp)

    def __repr__(self) -> str:
        return f"SpacyTokenizer({self.nlp.lang!r})"


def _blank(language: object) -> Any:
    spacy = require("spacy", purpose=_PURPOSE)
    # spaCy imports a module of this name: only what looks like a language code is handed over.
    if not isinstance(language, str) or not _LANGUAGE.fullmatch(language):
        raise InvalidParameterError(f"language must be a code such as 'en'; got {language!r}.")
    try:
        return spacy.blank(language)
    except ImportError as error:
        raise InvalidParameterError(f"language must be one that spaCy knows; got {language!r}: {error}") from error


def _is_package(name: object) -> bool:
    spacy = require("spacy", purpose=_PURPOSE)
    return isinstance(name, str) and bool(spacy.util.is_package(name))


def _package(name: str) -> Any:
    return require("spacy", purpose=_PURPOSE).load(name)


def _rules(nlp: Any) -> dict[str, Any] | None:
    """What the tokeniser was made of; None for one that is not spaCy's own and cannot be compared."""
    tokenizer = nlp.tokenizer
    spacy_tokenizer = require("spacy.tokenizer", purpose=_PURPOSE).Tokenizer
    if type(tokenizer) is not spacy_tokenizer:
        return None
    patterns = ("prefix_search", "suffix_search", "infix_finditer", "token_match", "url_match")
    rules: dict[str, Any] = {name: _pattern(getattr(tokenizer, name)) for name in patterns}
    rules["rules"] = tokenizer.rules
    rules["faster_heuristics"] = tokenizer.faster_heuristics
    return rules


def _pattern(method: Any) -> Any:
    """The regular expression behind a bound method of it; the function itself where it is something else."""
    return getattr(getattr(method, "__self__", None), "pattern", method)
