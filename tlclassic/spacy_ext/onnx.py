"""``tlclassic.OnnxTok2Vec.v1``: a frozen transformer encoder as the features of a ``Tok2Vec``, without torch."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tlclassic._compat import require
from tlclassic._validate import check_integer
from tlclassic.spacy_ext.aligning import align, token_spans
from tlclassic.spacy_ext.building import build_tok2vec
from tlclassic.spacy_ext.frozen import FrozenShim, TokenCache, doc_key, frozen_layer
from tlclassic.spacy_ext.stored_encoder import StoredEncoder

require("spacy", purpose="tlclassic.OnnxTok2Vec.v1")
import srsly  # noqa: E402
from spacy.util import registry  # noqa: E402
from thinc.api import Model, chain, with_array  # noqa: E402

__all__ = ["ARCHITECTURE", "EncoderShim", "OnnxTok2Vec"]

ARCHITECTURE = "tlclassic.OnnxTok2Vec.v1"
Floats = NDArray[np.float32]


class EncoderShim(FrozenShim):
    """The states of an ONNX encoder, brought from its pieces to spaCy's tokens; the graph runs once for each batch.

    States are rounded to float16, in which they are kept in training: they do not change, so that every epoch after the
    first finds them there.

    Parameters
    ----------
    model : path-like or None
        The encoder's folder. None: ``from_bytes`` brings it.
    file : str
        Which graph: see :class:`tlclassic.OnnxEncoder`.
    store : {"embed", "refer"}
    layers : sequence of str
        Outputs of the graph whose states are put side by side; none: its answer.
    max_length : int or None
        Tokens of a window; None: as many as the encoder takes.
    overlap : int
        Pieces that a window shares with the next; half a window at most.
    threads : int or None
    cache_tokens : int
        Tokens whose states are kept in memory from the first update on.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | None,
        *,
        file: str = "auto",
        store: str = "embed",
        layers: Sequence[str] = (),
        max_length: int | None = None,
        overlap: int = 64,
        threads: int | None = None,
        cache_tokens: int = 0,
    ) -> None:
        super().__init__()
        check_integer("overlap", overlap, low=0)
        check_integer("cache_tokens", cache_tokens, low=0)
        self.stored = StoredEncoder(model, file=file, store=store, max_length=max_length, threads=threads)
        self.layers = tuple(layers)
        self.overlap = overlap
        self.cache = TokenCache(cache_tokens)
        self._training = False

    @property
    def encoder(self) -> Any:
        """The encoder, opened when it is first needed; raises as :attr:`StoredEncoder.encoder` does."""
        return self.stored.encoder

    @property
    def width(self) -> int:
        """Numbers in the state of one layer."""
        return int(self._sample.shape[1]) // self.n_layers

    @property
    def n_layers(self) -> int:
        """Layers whose states stand side by side."""
        return max(1, len(self.layers))

    @cached_property
    def _sample(self) -> Floats:
        from tlclassic.encoders.windows import piece_states

        ((states, _),) = piece_states(self.encoder, ["a"], overlap=0, layers=self.layers)
        return states

    @property
    def dim(self) -> int:
        """Numbers of each token."""
        return int(self._sample.shape[1])

    def features(self, docs: Sequence[Any], is_train: bool) -> Floats:
        """The states of all tokens, float32 of shape (n_tokens, dim)."""
        # A pipeline that only predicts keeps nothing; one in training also measures itself on the same documents.
        self._training = self._training or is_train
        if not (self._training and self.cache.max_tokens):
            return np.concatenate(self._compute(docs)).astype(np.float32)
        keys = [doc_key(doc) for doc in docs]
        found = {key: self.cache.get(key) for key in keys}
        missing = {key: doc for key, doc in zip(keys, docs, strict=True) if found[key] is None}
        for key, states in zip(missing, self._compute(list(missing.values())), strict=True):
            found[key] = states
            self.cache.put(key, states)
        return np.concatenate([found[key] for key in keys]).astype(np.float32)

    def _compute(self, docs: Sequence[Any]) -> list[NDArray[np.float16]]:
        from tlclassic.encoders.windows import piece_states

        texts = [doc.text for doc in docs]
        states = piece_states(self.encoder, texts, overlap=self.overlap, layers=self.layers)
        return [
            self._fitting(align(of_pieces, offsets, token_spans(doc))).astype(np.float16)
            for doc, (of_pieces, offsets) in zip(docs, states, strict=True)
        ]

    def _fitting(self, states: Floats) -> Floats:
        """Of a text without a piece, whose states have no columns: zeros."""
        return states if states.shape[1] else np.zeros((len(states), self.dim), dtype=np.float32)

    # -- saving ------------------------------------------------------------------------------------------------------

    def to_bytes(self) -> bytes:
        """The encoder's files, or their path and digests."""
        facts, files = self.stored.state()
        settings = {"store": self.stored.store, "layers": list(self.layers), "overlap": self.overlap}
        said = json.dumps({"encoder": facts, "settings": settings}, sort_keys=True)
        raw: bytes = srsly.msgpack_dumps({"facts": said, "files": files})
        return raw

    def from_bytes(self, data: bytes) -> Self:
        """The inverse of :meth:`to_bytes`."""
        held = srsly.msgpack_loads(data)
        said = json.loads(held["facts"])
        settings = said["settings"]
        self.layers, self.overlap = tuple(settings["layers"]), settings["overlap"]
        self.stored.take(settings["store"], said["encoder"], held["files"])
        self.__dict__.pop("_sample", None)
        # States of another encoder, it may be.
        self.cache = TokenCache(self.cache.max_tokens)
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (self.to_bytes(), self.stored.threads)


def _again(raw: bytes, threads: int | None) -> EncoderShim:
    return EncoderShim(None, threads=threads).from_bytes(raw)


# -- a mix of layers -------------------------------------------------------------------------------------------------


def layer_mix(n_layers: int) -> Any:
    """A trained mean of layers whose states stand side by side, from (n, n_layers * d) to (n, d).

    Weights are the softmax of one number a layer, times one number for all (Peters et al. 2018,
    https://aclanthology.org/N18-1202).
    """
    return Model(
        "tlclassic_layer_mix",
        _mix,
        init=_init_mix,
        params={"W": None},
        dims={"nO": None, "nI": None},
        attrs={"n_layers": n_layers},
    )


def _init_mix(model: Any, X: Any = None, Y: Any = None) -> Any:
    if X is not None:
        model.set_dim("nI", X.shape[1])
        model.set_dim("nO", X.shape[1] // model.attrs["n_layers"])
    weights = model.ops.alloc1f(model.attrs["n_layers"] + 1)
    weights[-1] = 1.0
    model.set_param("W", weights)
    return model


def _mix(model: Any, X: Floats, is_train: bool) -> tuple[Floats, Callable[[Floats], Floats]]:
    count = model.attrs["n_layers"]
    layers = X.reshape(len(X), count, -1)
    weights = model.get_param("W")
    scale = weights[-1]
    shares = np.exp(weights[:-1] - weights[:-1].max())
    shares /= shares.sum()
    mean = np.einsum("l,nld->nd", shares, layers, dtype=np.float32)

    def backprop(dY: Floats) -> Floats:
        d_shares = scale * np.einsum("nd,nld->l", dY, layers)
        d_weights = model.ops.alloc1f(count + 1)
        d_weights[:-1] = shares * (d_shares - float(shares @ d_shares))
        d_weights[-1] = float((dY * mean).sum())
        model.inc_grad("W", d_weights)
        # Nothing below is trained.
        return np.zeros_like(X)

    return scale * mean, backprop


@registry.architectures(ARCHITECTURE)  # type: ignore[untyped-decorator]
def OnnxTok2Vec(
    model: str,
    file: str = "auto",
    store: str = "embed",
    layers: list[str] = [],  # noqa: B006 (spaCy fills a config with what stands here)
    max_length: int | None = None,
    overlap: int = 64,
    threads: int | None = None,
    cache_tokens: int = 1_000_000,
    width: int = 96,
    attrs: list[str] = ["NORM", "PREFIX", "SUFFIX", "SHAPE"],  # noqa: B006
    rows: list[int] = [5000, 1000, 2500, 2500],  # noqa: B006
    depth: int = 2,
    window_size: int = 1,
    maxout_pieces: int = 3,
) -> Any:
    """A ``Tok2Vec`` over a frozen ONNX encoder.

    Parameters
    ----------
    model : str
        The encoder's folder; see docs/encoders.md.
    file : str
        "fp32", "int8", "auto" or a path in the folder.
    store : {"embed", "refer"}
        Whether a saved pipeline holds the encoder's files, or the folder's path and their digests.
    layers : list of str
        Outputs of the graph of which a trained mix is taken; none: its answer, the last layer.
    max_length : int or None
        Tokens of a window; None: as many as the encoder takes.
    overlap : int
        Pieces that windows of a long document share; half a window at most.
    threads : int or None
        None: as many as the process may use processors.
    cache_tokens : int
        In training, tokens whose states are kept in memory (float16: 768 bytes each at 384 numbers); 0 keeps none.
    width, attrs, rows, depth, window_size, maxout_pieces
        Of what is trained: see docs/spacy.md.

    Returns
    -------
    Model[List[Doc], List[Floats2d]]
    """
    shim = EncoderShim(
        model, file=file, store=store, layers=layers, max_length=max_length, overlap=overlap, threads=threads,
        cache_tokens=cache_tokens,
    )  # fmt: skip
    frozen = frozen_layer("tlclassic_onnx_encoder", shim)
    if layers:
        frozen = chain(frozen, with_array(layer_mix(len(layers))))
    return build_tok2vec(
        frozen, width=width, attrs=attrs, rows=rows, depth=depth, window_size=window_size, maxout_pieces=maxout_pieces
    )
