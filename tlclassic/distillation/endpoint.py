"""A classifier behind HTTP: texts are posted as JSON, probabilities come back."""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from tlclassic._validate import check_integer, check_number
from tlclassic.errors import InputError, InvalidParameterError

__all__ = ["Endpoint", "is_url"]

#: Texts in one request.
BATCH = 256
#: A longer answer is none: 256 texts with 10,000 classes take 60 MB.
MAX_ANSWER = 1 << 28
#: What is worth another try: too many requests, and the server's own faults.
_AGAIN = (408, 425, 429)
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 30.0
_PROBE = "text"
_EXPECTED = 'expected {"classes": [...], "probabilities": [[...], ...]}'


def is_url(value: object) -> bool:
    """Whether ``value`` is an ``http://`` or ``https://`` URL."""
    return isinstance(value, str) and value.lower().startswith(("http://", "https://"))


class Endpoint:
    """Posts ``{"texts": [...]}`` and reads the probabilities in the answer.

    Answers that are understood: ``{"classes": [...], "probabilities": [[...], ...]}``; or one object a text,
    ``[{"label": p, ...}, ...]``, also below ``"predictions"``, also as ``tlclassic predict --proba`` writes rows
    (``{"label": ..., "proba": {"label": p, ...}}``).

    Parameters
    ----------
    url : str
        ``/predict`` is put behind one without a path.
    timeout : float
        Seconds without a byte from the server before a request is given up.
    retries : int
        Further tries after a fault of the server or the line; the wait before them doubles from half a second on.

    Attributes
    ----------
    classes : list
        Asked for by one text.
    multilabel : bool or None
        What the server says of it, if anything.

    Raises
    ------
    InputError
        When the server cannot be reached or answers with something else; names the URL.
    """

    def __init__(self, url: str, *, timeout: float = 60.0, retries: int = 4) -> None:
        check_number("timeout", timeout, low=0.001)
        check_integer("retries", retries, low=0)
        self.url = _with_path(url)
        self.timeout = timeout
        self.retries = retries
        answer = self._ask([_PROBE])
        rows, classes = self._rows(answer, 1, None)
        if classes is None:
            self._refuse(f"the answer names no classes; {_EXPECTED}", "Let the server name them")
        self.classes: list[Any] = classes
        said = answer.get("multilabel") if isinstance(answer, dict) else None
        self.multilabel = said if isinstance(said, bool) else None
        self.probe: NDArray[np.float64] = self._matrix(rows, 1)

    def probabilities(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """The probabilities of ``texts``, float64 of shape (n, C), in the order of ``classes``."""
        found = [self._batch(list(texts[at : at + BATCH])) for at in range(0, len(texts), BATCH)]
        return np.concatenate(found) if found else np.empty((0, len(self.classes)))

    def _batch(self, texts: list[str]) -> NDArray[np.float64]:
        rows, classes = self._rows(self._ask(texts), len(texts), self.classes)
        if classes is not None and classes != self.classes:
            self._refuse(f"the classes have changed to {classes!r:.200}", "Start again with the model that serves now")
        return self._matrix(rows, len(texts))

    # -- what the answer holds ---------------------------------------------------------------------------------------

    def _rows(self, answer: Any, n: int, known: list[Any] | None) -> tuple[Any, list[Any] | None]:
        """The rows, and the classes in their order as far as the answer says."""
        if isinstance(answer, dict) and "probabilities" in answer:
            rows, classes = answer["probabilities"], answer.get("classes", known)
            if not isinstance(rows, list) or not isinstance(classes, (list, type(None))):
                self._refuse(f"probabilities and classes must be lists; {_EXPECTED}", "Correct the server")
            return rows, classes
        items = answer.get("predictions") if isinstance(answer, dict) else answer
        if not isinstance(items, list) or len(items) != n or not all(isinstance(item, dict) for item in items):
            self._refuse(f"the answer to {n} texts is {_shown(answer)}; {_EXPECTED}", "Correct the server")
        items = [item["proba"] if isinstance(item.get("proba"), dict) else item for item in items]
        classes = list(items[0]) if known is None else known
        names = set(classes)
        for item in items:
            if set(item) != names:
                self._refuse(
                    f"each text must have a probability for each of {classes!r:.200}; got {_shown(item)}",
                    "Let the server answer with all classes",
                )
        return [[item[name] for name in classes] for item in items], classes

    def _matrix(self, rows: Any, n: int) -> NDArray[np.float64]:
        try:
            matrix = np.array(rows, dtype=np.float64)
        except (ValueError, TypeError):
            self._refuse(f"the probabilities must be numbers; got {_shown(rows)}", "Correct the server")
        if matrix.shape != (n, len(self.classes)):
            self._refuse(
                f"probabilities must have the shape {(n, len(self.classes))}; got {matrix.shape}", "Correct the server"
            )
        return matrix

    # -- the line ----------------------------------------------------------------------------------------------------

    def _ask(self, texts: list[str]) -> Any:
        request = urllib.request.Request(
            self.url,
            data=json.dumps({"texts": texts}).encode("ascii"),
            headers={"Content-Type": "application/json", "Accept": "application/json"},
            method="POST",
        )
        for tries in range(self.retries + 1):
            try:
                with urllib.request.urlopen(request, timeout=self.timeout) as answer:
                    return self._parsed(answer.read(MAX_ANSWER + 1))
            except urllib.error.HTTPError as error:
                with error:
                    said = error.read(200).decode("utf-8", "replace").strip()
                fault = f"answered {error.code} {error.reason}" + (f" ({said})" if said else "")
                if error.code < 500 and error.code not in _AGAIN:
                    self._refuse(fault, "Check the URL and what the server takes")
                cause: Exception = error
            # URLError, time-outs and broken lines are OSErrors; an answer that breaks off is an HTTPException.
            except (OSError, http.client.HTTPException) as error:
                fault, cause = f"cannot be reached ({getattr(error, 'reason', None) or error!r})", error
            if tries < self.retries:
                time.sleep(min(_LONGEST_WAIT, _FIRST_WAIT * 2**tries))
        tried = f", {self.retries + 1} times" if self.retries else ""
        raise InputError(f"{fault}{tried}", path=self.url, remedy="Check that the server runs") from cause

    def _parsed(self, raw: bytes) -> Any:
        if len(raw) > MAX_ANSWER:
            self._refuse(f"the answer is longer than {MAX_ANSWER:,} bytes", "Check the URL")
        try:
            return json.loads(raw)
        except (ValueError, RecursionError) as error:
            self._refuse(f"the answer is not JSON ({error}): {raw[:80]!r}", "Check the URL")

    def _refuse(self, message: str, remedy: str) -> NoReturn:
        raise InputError(message, path=self.url, remedy=remedy)


def _with_path(url: str) -> str:
    try:
        parts = urllib.parse.urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise InvalidParameterError(f"teacher must be a URL that can be read; got {url!r} ({error}).") from error
    if not parts.hostname:
        raise InvalidParameterError(f"teacher must be a URL with a host; got {url!r}.")
    return urllib.parse.urlunsplit(parts._replace(path=parts.path if parts.path.strip("/") else "/predict"))


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 120 else text[:120] + "..."
