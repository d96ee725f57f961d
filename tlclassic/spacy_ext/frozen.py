"""What static vectors and encoders have in common in a thinc model: features of tokens that are not trained."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlclassic._compat import require

require("spacy", purpose="A Tok2Vec architecture")
from thinc.api import Model, Ragged  # noqa: E402
from thinc.shims import Shim  # noqa: E402

__all__ = ["FrozenShim", "TokenCache", "doc_key", "frozen_layer"]


class FrozenShim(Shim):  # type: ignore[misc]
    """Features of the tokens of documents, from something that thinc does not train but saves with its model."""

    def __init__(self) -> None:
        super().__init__(None)

    @property
    def dim(self) -> int:
        """Numbers of each token."""
        raise NotImplementedError

    def features(self, docs: Sequence[Any], is_train: bool) -> NDArray[np.float32]:
        """Of all tokens of the documents, one after the other: float32 of shape (n_tokens, dim)."""
        raise NotImplementedError

    def finish_update(self, optimizer: Any) -> None:
        """Nothing is trained."""

    def to_device(self, device_type: str, device_id: int) -> None:
        """Everything stays on the CPU."""

    def copy(self) -> FrozenShim:
        """Itself, since nothing changes it: components that part from a shared backbone go on to share this."""
        return self


def frozen_layer(name: str, shim: FrozenShim) -> Any:
    """The thinc layer that gives a shim's features: documents in, one ``Ragged`` out, no gradient."""
    return Model(name, _forward, init=_init, shims=[shim], dims={"nO": None})


def _init(model: Any, X: Any = None, Y: Any = None) -> Any:
    if not model.has_dim("nO"):
        model.set_dim("nO", model.shims[0].dim)
    return model


def _forward(model: Any, docs: Sequence[Any], is_train: bool) -> tuple[Any, Callable[[Any], list[Any]]]:
    lengths = model.ops.asarray1i([len(doc) for doc in docs])
    if int(lengths.sum()):
        data = model.ops.asarray2f(model.shims[0].features(docs, is_train))
    else:
        data = model.ops.alloc2f(0, model.get_dim("nO"))
    return Ragged(data, lengths), _no_gradient


def _no_gradient(_: Any) -> list[Any]:
    return []


def doc_key(doc: Any) -> bytes:
    """What the features of a document's tokens depend on: its text and where its tokens stand in it."""
    text = doc.text.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(doc.to_array(_attributes()).tobytes() + text, digest_size=16).digest()


def _attributes() -> list[int]:
    from spacy.attrs import IDX, LENGTH

    return [IDX, LENGTH]


class TokenCache:
    """Features of documents, as long as there is room; the ones that were used longest ago go first.

    Parameters
    ----------
    max_tokens : int
        Tokens of all documents together; 0 keeps nothing.
    """

    def __init__(self, max_tokens: int) -> None:
        self.max_tokens = max_tokens
        self.n_tokens = 0
        self._held: OrderedDict[bytes, NDArray[np.float16]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._held)

    def get(self, key: bytes) -> NDArray[np.float16] | None:
        """The features kept under a key, float16 of shape (n_tokens, dim)."""
        found = self._held.get(key)
        if found is not None:
            self._held.move_to_end(key)
        return found

    def put(self, key: bytes, features: NDArray[np.float16]) -> None:
        """Keep features."""
        if key in self._held or len(features) > self.max_tokens:
            return
        self._held[key] = features
        self.n_tokens += len(features)
        while self.n_tokens > self.max_tokens:
            self.n_tokens -= len(self._held.popitem(last=False)[1])
