"""Any function from a text to its tokens, as a tokeniser."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NoReturn

from tlclassic.errors import InvalidParameterError
from tlclassic.text.base import TokenizerBase, check_text

__all__ = ["CallableTokenizer"]


@dataclass(frozen=True)
class CallableTokenizer(TokenizerBase):
    """A function as a tokeniser. It cannot be saved, since saving it would mean saving code.

    Parameters
    ----------
    function : callable
        From a ``str`` to an iterable of ``str``.

    Examples
    --------
    >>> CallableTokenizer(str.split).tokenize("as it stands.")
    ['as', 'it', 'stands.']
    """

    function: Callable[[str], Iterable[str]]

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise InvalidParameterError(f"function must be callable; got {self.function!r}.")

    def tokenize(self, text: str) -> list[str]:
        """The tokens of ``text``.

        Raises
        ------
        InvalidParameterError
            When the text, or something that the function gives, is not a string.
        """
        found = self.function(check_text(text))
        if isinstance(found, (str, bytes)) or not isinstance(found, Iterable):
            raise InvalidParameterError(
                f"function must give a list of strings for a text; got {found!r} of type {type(found).__name__}."
            )
        tokens = list(found)
        for token in tokens:
            if not isinstance(token, str):
                raise InvalidParameterError(
                    f"function must give strings; got {token!r} of type {type(token).__name__} for {text[:80]!r}."
                )
        return tokens

    def to_dict(self) -> NoReturn:
        """Refused: a function is code.

        Raises
        ------
        InvalidParameterError
            Always.
        """
        name = getattr(self.function, "__qualname__", repr(self.function))
        raise InvalidParameterError(
            f"tokenizer must be one that can be saved; got the function {name}, which is code. "
            "Use tlclassic.text.Tokenizer, a HuggingFaceTokenizer or a SpacyTokenizer in models that are saved."
        )

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> NoReturn:
        """Refused: a function is never saved."""
        raise InvalidParameterError(f"state must be that of a tokenizer that can be saved; got {state!r}.")
